#include "plugin/state_incidents.h"

#include <math.h>
#include <string.h>

#include "connectors/codec/timestamp.h"
#include "eddy_codec.h"
#include "engine/flow/lane_store.h"

/* The section, if it means what the plan means. */
static const unsigned char *incidents_section(const struct plan *p, const struct row_layout *stored,
                                              const struct stored_row *row)
{
    const struct section *have = row_layout_find(stored, "incidents");
    const struct section *want = p ? row_layout_find(&p->layout, "incidents") : NULL;
    if (!have || !want || have->version != want->version || have->bytes != want->bytes) return NULL;
    return row->row + have->offset;
}

static const char *incidents_time(int64_t time_ns, char out[TIMESTAMP_MAX + 1])
{
    if (time_ns == EDDY_NO_TIME) return NULL;
    out[timestamp_write(time_ns, out)] = '\0';
    return out;
}

static const char *incidents_time_text(int64_t time_ns, char out[TIMESTAMP_MAX + 1])
{
    const char *text = incidents_time(time_ns, out);
    return text ? text : "-";
}

static void incidents_line(const struct plan *p, const struct eddy_incident *in, FILE *out)
{
    char from[TIMESTAMP_MAX + 1], to[TIMESTAMP_MAX + 1], peak[TIMESTAMP_MAX + 1];
    const bool open = in->state == EDDY_INCIDENT_ONGOING;
    fprintf(out, "  %s  %-12s %s %s", in->id, in->kind, open ? "open since" : "closed",
            incidents_time_text(in->start_ns, from));
    if (!open) fprintf(out, " to %s", incidents_time_text(in->end_ns, to));
    fprintf(out, ", %lld events", (long long)in->events);
    if (in->repeats > 0) fprintf(out, ", opened again %d times", in->repeats);
    if (in->new_normal) fprintf(out, ", the new normal");
    fprintf(out, "; peak %s", incidents_time_text(in->peak_ns, peak));
    if (!isnan(in->peak)) fprintf(out, " %.3g", in->peak);
    for (int i = 0; i < in->n_drivers; i++) {
        const struct eddy_driver *d = &in->drivers[i];
        fprintf(out, "%s %s", i ? "," : ":", p->schema.names[d->value]);
        if (in->n_drivers > 1) fprintf(out, " (%.0f %%)", 100 * d->share);
        fprintf(out, " %.6g", d->y);
        if (!isnan(d->yhat)) fprintf(out, " for %.6g (%.6g to %.6g)", d->yhat, d->yhat_lower, d->yhat_upper);
    }
    fputc('\n', out);
}

bool state_incidents(const struct plan *p, const struct row_layout *stored, const struct stored_row *row, FILE *out)
{
    const unsigned char *at = incidents_section(p, stored, row);
    struct eddy_incident in;
    int n = 0;
    if (!at) return false;
    fprintf(out, "incidents\n");
    for (int k = 0; k < p->n_kinds; k++)
        if (lane_stored_incident(p, at, k, &in)) {
            incidents_line(p, &in, out);
            n++;
        }
    if (n == 0) fprintf(out, "  none yet\n");
    return true;
}

static void incidents_drivers_json(const struct plan *p, const struct eddy_incident *in, struct json_out *j)
{
    json_open(j, "values", '{');
    for (int i = 0; i < in->n_drivers; i++) {
        const struct eddy_driver *d = &in->drivers[i];
        json_open(j, p->schema.names[d->value], '{');
        json_real(j, "share", d->share);
        json_real(j, "y", d->y);
        json_real(j, "yhat", d->yhat);
        json_real(j, "lower", d->yhat_lower);
        json_real(j, "upper", d->yhat_upper);
        json_close(j, '}');
    }
    json_close(j, '}');
}

static void incidents_one_json(const struct plan *p, const struct eddy_incident *in, struct json_out *j)
{
    char time[TIMESTAMP_MAX + 1];
    const bool open = in->state == EDDY_INCIDENT_ONGOING;
    json_open(j, NULL, '{');
    json_text(j, "id", in->id);
    json_text(j, "kind", in->kind);
    json_text(j, "state", open ? "ongoing" : "closed");
    if (in->new_normal) json_bool(j, "new_normal", true);
    json_text(j, "start", incidents_time(in->start_ns, time));
    json_text(j, "end", open ? NULL : incidents_time(in->end_ns, time));
    json_int(j, "events", in->events);
    if (in->repeats > 0) json_int(j, "repeats", in->repeats);
    json_open(j, "peak", '{');
    json_text(j, "ts", incidents_time(in->peak_ns, time));
    json_real(j, "score", in->peak);
    if (in->n_drivers > 0) incidents_drivers_json(p, in, j);
    json_close(j, '}');
    json_close(j, '}');
}

bool state_incidents_json(const struct plan *p, const struct row_layout *stored, const struct stored_row *row,
                          struct json_out *j)
{
    const unsigned char *at = incidents_section(p, stored, row);
    struct eddy_incident in;
    if (!at) return false;
    json_open(j, "incidents", '[');
    for (int k = 0; k < p->n_kinds; k++)
        if (lane_stored_incident(p, at, k, &in)) incidents_one_json(p, &in, j);
    json_close(j, ']');
    return true;
}

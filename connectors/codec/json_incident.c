#include "connectors/codec/json_incident.h"

#include <string.h>

#include "connectors/codec/json_text.h"
#include "connectors/codec/json_write.h"
#include "connectors/codec/number.h"

static size_t incident_bound(const struct eddy_result *r, const struct eddy_incident *in)
{
    enum { FIXED_BYTES = 448, DRIVER_BYTES = 64 + 5 * NUMBER_TEXT_BYTES };
    size_t bytes = FIXED_BYTES + json_text_bound(strlen(in->kind));
    for (int d = 0; d < in->n_drivers; d++)
        bytes += DRIVER_BYTES + json_text_bound(strlen(r->schema->names[in->drivers[d].value]));
    return bytes;
}

size_t json_incidents_bound(const struct eddy_result *r)
{
    size_t bytes = r->n_incidents > 0 ? sizeof(",\"incidents\":[]") : 0;
    for (int i = 0; i < r->n_incidents; i++) bytes += incident_bound(r, &r->incidents[i]);
    return bytes;
}

static char *incident_number(char *p, const char *name, double x)
{
    p = json_put(p, name);
    return p + number_write(x, p);
}

static char *incident_drivers(char *p, const struct eddy_result *r, const struct eddy_incident *in)
{
    p = json_put(p, ",\"values\":{");
    for (int i = 0; i < in->n_drivers; i++) {
        const struct eddy_driver *d = &in->drivers[i];
        const char *name = r->schema->names[d->value];
        if (i) *p++ = ',';
        p += json_text_quote(p, name, strlen(name));
        p = incident_number(p, ":{\"share\":", d->share);
        p = incident_number(p, ",\"y\":", d->y);
        p = incident_number(p, ",\"yhat\":", d->yhat);
        p = incident_number(p, ",\"lower\":", d->yhat_lower);
        p = incident_number(p, ",\"upper\":", d->yhat_upper);
        *p++ = '}';
    }
    return json_put(p, "}");
}

/* The members, without the braces around them. */
static char *incident_members(char *p, const struct eddy_result *r, const struct eddy_incident *in, int time_format)
{
    static const char *const states[] = {
        [EDDY_INCIDENT_OPEN] = "open", [EDDY_INCIDENT_ONGOING] = "ongoing", [EDDY_INCIDENT_CLOSED] = "closed"};
    p = json_put(json_put(json_put(p, "\"id\":\""), in->id), "\",\"kind\":");
    p += json_text_quote(p, in->kind, strlen(in->kind));
    p = json_put(json_put(json_put(p, ",\"state\":\""), states[in->state]), "\"");
    if (in->new_normal) p = json_put(p, ",\"new_normal\":true");
    p = json_write_instant(json_put(p, ",\"start\":"), in->start_ns, time_format);
    p = json_put(p, ",\"end\":");
    p = in->state == EDDY_INCIDENT_CLOSED ? json_write_instant(p, in->end_ns, time_format) : json_put(p, "null");
    p = json_put(p, ",\"events\":");
    p += number_write_int(in->events, p);
    if (in->repeats > 0) {
        p = json_put(p, ",\"repeats\":");
        p += number_write_int(in->repeats, p);
    }
    p = json_write_instant(json_put(p, ",\"peak\":{\"ts\":"), in->peak_ns, time_format);
    p = incident_number(p, ",\"score\":", in->peak);
    if (in->n_drivers > 0) p = incident_drivers(p, r, in);
    return json_put(p, "}");
}

char *json_incidents_write(char *p, const struct eddy_result *r, int time_format)
{
    p = json_put(p, ",\"incidents\":");
    for (int i = 0; i < r->n_incidents; i++) {
        p = json_put(p, i ? ",{" : "[{");
        p = json_put(incident_members(p, r, &r->incidents[i], time_format), "}");
    }
    return json_put(p, "]");
}

eddy_status json_incident_record(const struct eddy_result *r, int i, int time_format, struct eddy_buffer *out,
                                 struct eddy_error *err)
{
    enum { FIXED_BYTES = 192 };
    const size_t bytes = FIXED_BYTES + json_text_bound(r->key_len) + json_text_bound(strlen(r->topic)) +
                         incident_bound(r, &r->incidents[i]);
    if (eddy_buffer_reserve(out, bytes) < 0)
        return eddy_fail(err, EDDY_ENOMEM, "json: out of memory for an incident");
    char *begin = out->data + out->len, *p = json_put(begin, "{\"key\":");
    p += json_text_quote(p, r->key, r->key_len);
    *p++ = ',';
    p = incident_members(p, r, &r->incidents[i], time_format);
    p = json_write_origin(p, r);
    *p++ = '}';
    out->len += (size_t)(p - begin);
    return EDDY_OK;
}

/* Incidents of a key: what its score and its detectors say becomes records that open, go on and close.
 *
 * Row      at_incidents: [n_kinds], each a struct incident followed by what drove it at its peak,
 *          [n_drivers] struct incident_driver.
 * Kinds    what the score opens is told as the fault that it speaks of (incident.h), "anomaly" until it knows.  It is
 *          made of the detectors of which no kind of their own holds: one fault is one incident.
 * Ids      a hash of key, kind, the count of the key's events and the time: the same live and replayed, and in
 *          whatever topic or file the events lie. */
#include <endian.h>
#include <math.h>
#include <string.h>

#include "engine/flow/lane_private.h"
#include "engine/flow/lane_store.h"
#include "engine/math/scalar.h"

static struct incident *incident_of(const struct plan *p, const struct key_row *r, int kind)
{
    return (struct incident *)(void *)(r->row + p->at_incidents + (size_t)kind * p->incident_bytes);
}

static uint64_t incident_id(const struct plan *p, const struct key_row *r, int kind, int64_t time_ns)
{
    const char *name = p->kinds[kind];
    const uint64_t from[] = {keyspace_hash(r->key, r->key_len), keyspace_hash(name, strlen(name)), (uint64_t)kind,
                             (uint64_t)r->count, (uint64_t)time_ns};
    const uint64_t id = keyspace_hash((const char *)from, sizeof(from));
    return id ? id : 1;
}

/* The largest parts of the evidence; with one value all of it is that one's. */
static int incident_drivers(const struct plan *p, const float *parts /* [n_values] */, struct incident_driver *to,
                            const struct eddy_result *out)
{
    double sum = 0;
    int n = 0;
    for (int v = 0; v < p->n_values; v++) sum += (double)parts[v];
    for (int v = 0; v < p->n_values; v++) {
        const double share = p->n_values == 1 ? 1 : sum > 0 ? (double)parts[v] / sum : 0;
        if (!(share > 0) || (n == p->n_drivers && share <= (double)to[n - 1].share)) continue;
        int place = n < p->n_drivers ? n++ : n - 1;
        for (; place > 0 && (double)to[place - 1].share < share; place--) to[place] = to[place - 1];
        to[place] = (struct incident_driver){
            v, (float)share, out->y[v], out->yhat[v], out->yhat_lower[v], out->yhat_upper[v]};
    }
    return n;
}

void lane_incident_id(uint64_t id, char out[EDDY_INCIDENT_ID])
{
    for (int half = 0; half < 2; half++) { /* eight digits at once, the first in the lowest byte */
        uint64_t x = half == 0 ? id >> 32 : id & UINT32_MAX;
        x = (x << 32 | x >> 16) & 0x0000ffff0000ffffu;
        x = (x << 16 | x >> 8) & 0x00ff00ff00ff00ffu;
        x = (x << 8 | x >> 4) & 0x0f0f0f0f0f0f0f0fu;
        const uint64_t letters = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
        x += 0x3030303030303030u + letters * ('a' - '0' - 10);
        x = htole64(x);
        memcpy(out + 8 * half, &x, sizeof(x));
    }
    out[EDDY_INCIDENT_ID - 1] = 0;
}

/* What the row says of an incident of a kind. */
static void incident_describe(const struct plan *p, const struct incident *in, int kind, struct eddy_incident *to)
{
    const struct incident_driver *drivers = (const struct incident_driver *)(const void *)(in + 1);
    const bool named = kind == 0 && in->fault > 0 && (int)in->fault < p->n_faults;
    *to = (struct eddy_incident){.kind = named ? p->faults[in->fault] : p->kinds[kind],
                                 .state = in->open ? EDDY_INCIDENT_ONGOING : EDDY_INCIDENT_CLOSED,
                                 .repeats = in->repeats > INT32_MAX ? INT32_MAX : (int)in->repeats,
                                 .start_ns = in->start_ns,
                                 .end_ns = in->last_ns,
                                 .peak_ns = in->peak_ns,
                                 .peak = in->peak > 0 ? in->peak : NAN,
                                 .events = in->events,
                                 .n_drivers = (int)in->n_drivers};
    lane_incident_id(in->id, to->id);
    for (int i = 0; i < to->n_drivers; i++)
        to->drivers[i] = (struct eddy_driver){drivers[i].value, (double)drivers[i].share, drivers[i].y,
                                              drivers[i].yhat,  drivers[i].yhat_lower,    drivers[i].yhat_upper};
}

/* Adds what there is to tell of a kind to the event's result. */
static void incident_tell(struct lane *l, const struct incident *in, int kind, const struct incident_step *step,
                          struct eddy_result *out)
{
    struct eddy_incident *to = (struct eddy_incident *)(uintptr_t)out->incidents + out->n_incidents++;
    incident_describe(l->plan, in, kind, to);
    if (step->change == INCIDENT_OPENED || step->change == INCIDENT_REOPENED) to->state = EDDY_INCIDENT_OPEN;
    to->new_normal = step->change == INCIDENT_ACCEPTED;
}

bool lane_stored_incident(const struct plan *p, const unsigned char *section, int kind, struct eddy_incident *out)
{
    struct {
        struct incident incident;
        struct incident_driver drivers[EDDY_INCIDENT_DRIVERS];
    } in = {0};
    memcpy(&in, section + (size_t)kind * p->incident_bytes, p->incident_bytes);
    if (in.incident.id == 0 || (int)in.incident.n_drivers > p->n_drivers) return false;
    for (int i = 0; i < (int)in.incident.n_drivers; i++)
        if (in.drivers[i].value < 0 || in.drivers[i].value >= p->n_values) return false;
    incident_describe(p, &in.incident, kind, out);
    out->new_normal = in.incident.accepted;
    return true;
}

/* What a step of the state machine means for the key's row and for the result. */
static void incident_take(struct lane *l, struct incident *in, int kind, struct incident_step step,
                          const float *parts, struct eddy_result *out)
{
    if (step.peak)
        in->n_drivers = (uint8_t)incident_drivers(l->plan, parts, (struct incident_driver *)(void *)(in + 1), out);
    if (step.change == INCIDENT_OPENED) l->stats.incidents++;
    if (step.change != INCIDENT_SAME || step.told) incident_tell(l, in, kind, &step, out);
}

void lane_incident_kinds(struct lane *l, const struct plan_judge *j, const struct key_row *r, bool warmup,
                         const struct eddy_verdict *verdict, struct eddy_result *out)
{
    const struct plan *p = l->plan;
    const uint32_t holds = warmup ? 0 : verdict->holds, accepted = verdict->accepted;
    for (int i = 0; i < j->n_kinds; i++) {
        struct incident *in = incident_of(p, r, j->first_kind + i);
        const bool hold = holds >> i & 1;
        if (!hold && !in->open && in->id == 0) continue;
        const struct incident_event e = {.time_ns = out->time_ns,
                                         .evidence = scalar_least(scalar_most(verdict->evidence, verdict->score), 1),
                                         .threshold = p->settings->detect.threshold,
                                         .accepted = accepted >> i & 1,
                                         .id = hold && !in->open ? incident_id(p, r, j->first_kind + i, out->time_ns)
                                                                 : 1};
        incident_take(l, in, j->first_kind + i, incident_hold(in, &p->settings->detect.incidents, &e, hold),
                      verdict->attribution, out);
    }
}

/* Its number in the plan; 0 = unknown. */
static uint8_t incident_fault(const struct plan *p, const char *name)
{
    for (int i = 1; name && i < p->n_faults; i++)
        if (strcmp(p->faults[i], name) == 0) return (uint8_t)i;
    return 0;
}

void lane_incident(struct lane *l, const struct lane_item *item, struct eddy_result *out)
{
    const struct plan *p = l->plan;
    const struct key_row *r = item->row;
    const struct lane_unclaimed *from = &item->unclaimed;
    struct incident *in = incident_of(p, r, 0);
    const double threshold = p->settings->detect.threshold, evidence = scalar_most(from->evidence, from->score);
    const bool may_open = !in->open && evidence >= threshold;
    const struct incident_event e = {.time_ns = out->time_ns,
                                     .evidence = evidence,
                                     .threshold = threshold,
                                     .alert = from->score >= threshold,
                                     .fault = incident_fault(p, from->fault),
                                     .id = may_open ? incident_id(p, r, 0, out->time_ns) : 1};
    incident_take(l, in, 0, incident_judge(in, &p->settings->detect.incidents, &e), out->attribution, out);
}

void lane_incident_show(struct lane *l, const struct key_row *r, int i, struct eddy_result *out)
{
    for (int k = 0; k < l->plan->n_kinds; k++) {
        const struct incident *in = incident_of(l->plan, r, k);
        if (!in->open) continue;
        lane_incident_id(in->id, l->incident_ids[i]);
        out->incident = l->incident_ids[i];
        return;
    }
}

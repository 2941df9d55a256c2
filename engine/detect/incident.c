#include "engine/detect/incident.h"

static uint32_t incident_count(uint32_t n)
{
    return n < UINT32_MAX ? n + 1 : n;
}

/* Whether at least `span` lies between two times; spans of any length. */
static bool incident_apart(int64_t from_ns, int64_t to_ns, int64_t span)
{
    return to_ns >= from_ns && (uint64_t)to_ns - (uint64_t)from_ns >= (uint64_t)span;
}

/* Whether `hold` keeps it open.  When times have run backwards, one of them was wrong, and events decide alone. */
static bool incident_held(const struct incident *in, const struct incident_settings *s, int64_t time_ns)
{
    return s->hold > 0 && time_ns >= in->last_ns && !incident_apart(in->last_ns, time_ns, s->hold);
}

static struct incident_step incident_open(struct incident *in, const struct incident_settings *s,
                                          const struct incident_event *e)
{
    const uint8_t heard = in->heard;
    const bool other = in->fault != 0 && heard != 0 && in->fault != heard;
    const bool again = in->id != 0 && in->since < (uint64_t)s->repeat && !in->accepted && !other;
    if (again) {
        in->repeats = incident_count(in->repeats);
        in->events = in->events < UINT32_MAX - in->since ? in->events + in->since : UINT32_MAX;
    } else {
        *in = (struct incident){
            .id = e->id,
            .start_ns = e->time_ns,
            .last_ns = e->time_ns,
        };
    }
    if (in->fault == 0) in->fault = heard;
    in->events = incident_count(in->events);
    in->open = 1;
    in->quiet = in->loud = in->since = 0;
    in->heard = 0;
    in->alerted = in->accepted = 0;
    in->told_ns = e->time_ns;
    if (e->time_ns > in->last_ns) in->last_ns = e->time_ns;
    const bool peak = !again || e->evidence > in->peak;
    if (peak) in->peak = e->evidence, in->peak_ns = e->time_ns;
    return (struct incident_step){again ? INCIDENT_REOPENED : INCIDENT_OPENED, peak, false};
}

static struct incident_step incident_close(struct incident *in, enum incident_change change)
{
    in->open = 0;
    in->since = 0;
    in->accepted = change == INCIDENT_ACCEPTED;
    return (struct incident_step){change, false, false};
}

/* An event of an open incident. */
static struct incident_step incident_go_on(struct incident *in, const struct incident_settings *s,
                                           const struct incident_event *e, bool belongs)
{
    struct incident_step step = {INCIDENT_SAME, false, false};
    in->events = incident_count(in->events);
    in->quiet = belongs ? 0 : incident_count(in->quiet);
    if (belongs && e->time_ns > in->last_ns) in->last_ns = e->time_ns;
    if (belongs && e->evidence > in->peak) {
        in->peak = e->evidence;
        in->peak_ns = e->time_ns;
        step.peak = true;
    }
    if (e->time_ns < in->told_ns) in->told_ns = e->time_ns;
    if (s->ongoing > 0 && incident_apart(in->told_ns, e->time_ns, s->ongoing)) {
        in->told_ns = e->time_ns;
        step.told = true;
    }
    return step;
}

struct incident_step incident_judge(struct incident *in, const struct incident_settings *s,
                                    const struct incident_event *e)
{
    const bool belongs = e->alert || e->evidence >= s->hysteresis * e->threshold;
    const uint8_t fault = e->alert ? e->fault : 0;
    if (in->open) {
        if (fault != 0 && (in->fault == 0 || e->evidence >= in->peak)) in->fault = fault;
        struct incident_step step = incident_go_on(in, s, e, belongs);
        if (in->quiet >= (uint64_t)s->quiet && !incident_held(in, s, e->time_ns))
            return incident_close(in, INCIDENT_CLOSED);
        if (s->accept > 0 && in->events > (uint64_t)s->accept) {
            const bool peak = step.peak;
            step = incident_close(in, INCIDENT_ACCEPTED);
            step.peak = peak;
        }
        return step;
    }
    in->since = incident_count(in->since);
    in->quiet = belongs ? 0 : incident_count(in->quiet);
    if (in->accepted && in->quiet < (uint64_t)s->quiet) return (struct incident_step){INCIDENT_SAME, false, false};
    if (in->accepted) in->accepted = 0, in->since = UINT32_MAX; /* what is new now is another incident */

    const bool loud = e->alert || e->evidence >= e->threshold;
    in->loud = loud ? incident_count(in->loud) : 0;
    in->alerted = loud && (in->alerted || e->alert);
    in->heard = !loud ? 0 : in->heard ? in->heard : fault;
    if (in->alerted && in->loud >= (uint64_t)s->min_count) return incident_open(in, s, e);
    return (struct incident_step){INCIDENT_SAME, false, false};
}

struct incident_step incident_hold(struct incident *in, const struct incident_settings *s,
                                   const struct incident_event *e, bool holds)
{
    if (!in->open) {
        in->since = incident_count(in->since);
        return holds ? incident_open(in, s, e) : (struct incident_step){INCIDENT_SAME, false, false};
    }
    const struct incident_step step = incident_go_on(in, s, e, holds);
    return holds ? step : incident_close(in, e->accepted ? INCIDENT_ACCEPTED : INCIDENT_CLOSED);
}

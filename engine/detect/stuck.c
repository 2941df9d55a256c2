/* Values that stand still: a run of identical ones that is long by the value's own past.
 *
 *     run      identical values in a row, missing ones skipped;  longest: of the runs before
 *     limit    max(min_run, ratio longest)
 *     holds    run >= limit, from the event `after` on, until the value moves
 *     longest  the run that ends, but no more than the limit that it passed: a second fault must not hide behind the
 *              first.  Until `after` it grows with the run.
 * A value that has never moved is no fault of its sensor.  Opens incidents of the kind "stuck"; the score is not touched. */
#include <math.h>
#include <stddef.h>

#include "engine/detect/detectors.h"
#include "engine/math/sound.h"

struct stuck_settings {
    int64_t min_run, after;
    double ratio;
};

#define AT(member) offsetof(struct stuck_settings, member)
static const struct eddy_option options[] = {{"min_run", EDDY_OPT_INT, AT(min_run), "40", 2, 1e9, "events",
                                              "Identical values in a row that count at least.", NULL, 0, false},
                                             {"ratio", EDDY_OPT_REAL, AT(ratio), "2", 1, 1000, "",
                                              "How many times the longest run before it must be.", NULL, 0, false},
                                             {"after", EDDY_OPT_INT, AT(after), "300", 0, 1e9, "events",
                                              "The events of a value that only say what is usual.", NULL, 0, false},
                                             {0}};

struct stuck_value {
    double last;
    int64_t n;
    uint32_t run, longest;
    uint32_t moved, holds;
};

static size_t stuck_state_bytes(const void *settings, int n_values, int n_horizons)
{
    (void)settings, (void)n_horizons;
    return (size_t)n_values * sizeof(struct stuck_value);
}

static double stuck_limit(const struct stuck_settings *s, const struct stuck_value *v)
{
    return fmax((double)s->min_run, s->ratio * (double)v->longest);
}

/* Run over limit; at least 1 while it holds. */
static double stuck_value(const struct stuck_settings *s, struct stuck_value *v, double x)
{
    const double limit = stuck_limit(s, v);
    if (v->n > 0 && x == v->last) {
        if (v->run < UINT32_MAX) v->run++;
    } else {
        const double learned = fmin((double)v->run, limit);
        if (v->n > 0 && learned > (double)v->longest) v->longest = (uint32_t)learned;
        v->moved |= v->n > 0;
        v->run = 1;
        v->holds = 0;
    }
    v->last = x;
    if (v->n++ < s->after) {
        if (v->run > v->longest) v->longest = v->run;
        return 0;
    }
    v->holds |= v->moved && (double)v->run >= limit;
    return v->holds ? (double)v->run / limit : 0;
}

static void stuck_judge(const void *settings, void *state, const struct eddy_evidence *in, struct eddy_verdict *out)
{
    struct stuck_value *values = state;
    out->score = out->evidence = 0;
    for (int i = 0; i < in->n_values; i++) {
        const double by = isfinite(in->x[i]) ? stuck_value(settings, &values[i], in->x[i]) : values[i].holds;
        out->attribution[i] = (float)by;
        out->holds |= by > 0;
    }
}

static const char *const kinds[] = {"stuck", NULL};

static bool stuck_sound(const void *settings, int n_values, int n_horizons, const void *state)
{
    const struct stuck_value *v = state;
    bool sound = true;
    (void)settings, (void)n_horizons;
    for (int i = 0; i < n_values; i++) sound &= sound_count(v[i].n);
    return sound;
}

const struct eddy_detector detector_stuck = {
    .part = {sizeof(struct eddy_detector), EDDY_PART_DETECTOR, "stuck",
             "opens incidents where a value stands still for longer than it ever did (32 bytes a value)", options,
             sizeof(struct stuck_settings), NULL},
    .state_version = 1,
    .state_bytes = stuck_state_bytes,
    .judge = stuck_judge,
    .sound = stuck_sound,
    .kinds = kinds,
};

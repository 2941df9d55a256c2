/* Lasting changes: of a value's level, and of how well it can be forecast.
 *
 * Both compare a mean of late with its own long run (long_run.h): level_shift the value itself, either way, season taken
 * in as usual movement; drift the error of the forecast one step ahead, upwards only, which says that what was learned no
 * longer holds.  They open incidents of their own kinds; the score is not touched. */
#include <math.h>
#include <stddef.h>

#include "engine/detect/detectors.h"
#include "engine/detect/long_run.h"
#include "engine/math/sound.h"

#define AT(member) offsetof(struct long_run_settings, member)
static const struct eddy_option options[] = {
    {"window", EDDY_OPT_INT, AT(window), "48", 2, 1e6, "events", "How far the mean of late reaches.", NULL, 0, false},
    {"memory", EDDY_OPT_INT, AT(memory), "2000", 10, 1e9, "events", "How far the long run reaches.", NULL, 0, false},
    {"after", EDDY_OPT_INT, AT(after), "500", 1, 1e9, "events", "The events of a value that only say what is usual.",
     NULL, 0, false},
    {"accept", EDDY_OPT_INT, AT(accept), "800", 1, 1e9, "events", "A change that lasts longer is the new normal.",
     NULL, 0, false},
    {"limit", EDDY_OPT_REAL, AT(limit), "5", 0.1, 1000, "standard deviations of the mean of late",
     "How far the mean must be from its long run.", NULL, 0, false},
    {"record", EDDY_OPT_REAL, AT(record), "1.3", 0, 1000, "", "How many times as far as ever before.", NULL, 0,
     false},
    {"clip", EDDY_OPT_REAL, AT(clip), "6", .5, 1e6, "mean deviations",
     "A value counts at most as though it were so far from its long run: less lets fewer outliers pass for a change.",
     NULL, 0, false},
    {"close_ratio", EDDY_OPT_REAL, AT(close_ratio), "0.5", 0, 1, "share of the limit",
     "A change is over when the mean of late is back within this share of what it took to find it.", NULL, 0, false},
    {0}};

static size_t drift_state_bytes(const void *settings, int n_values, int n_horizons)
{
    (void)settings, (void)n_horizons;
    return (size_t)n_values * sizeof(struct long_run);
}

static void drift_take(struct eddy_verdict *out, struct long_run *r, const struct long_run_settings *s, int value,
                       double x, bool rises_only, double threshold)
{
    const double by = isfinite(x) ? long_run_step(r, s, x, rises_only, detectors_strictness(threshold)) : r->open;
    if (isfinite(x)) out->accepted |= long_run_accepted(r, s);
    out->attribution[value] = (float)by;
    out->holds |= by > 0;
}

static void drift_judge(const void *settings, void *state, const struct eddy_evidence *in, struct eddy_verdict *out)
{
    out->score = out->evidence = 0;
    for (int i = 0; i < in->n_values; i++)
        drift_take(out, (struct long_run *)state + i, settings, i, fabs(in->residual[i]), true, in->threshold);
}

static void level_shift_judge(const void *settings, void *state, const struct eddy_evidence *in,
                              struct eddy_verdict *out)
{
    out->score = out->evidence = 0;
    for (int i = 0; i < in->n_values; i++)
        drift_take(out, (struct long_run *)state + i, settings, i, in->x[i], false, in->threshold);
}

static bool drift_sound(const void *settings, int n_values, int n_horizons, const void *state)
{
    const struct long_run *r = state;
    bool sound = true;
    (void)settings, (void)n_horizons;
    for (int i = 0; i < n_values; i++) sound &= sound_count(r[i].n);
    return sound;
}

static const char *const drift_kinds[] = {"drift", NULL};
static const char *const level_shift_kinds[] = {"level_shift", NULL};

const struct eddy_detector detector_drift = {
    .part = {sizeof(struct eddy_detector), EDDY_PART_DETECTOR, "drift",
             "opens incidents where the forecast's errors have grown for good (80 bytes a value)", options,
             sizeof(struct long_run_settings), NULL},
    .state_version = 2,
    .state_bytes = drift_state_bytes,
    .judge = drift_judge,
    .sound = drift_sound,
    .kinds = drift_kinds,
};

const struct eddy_detector detector_level_shift = {
    .part = {sizeof(struct eddy_detector), EDDY_PART_DETECTOR, "level_shift",
             "opens incidents where a value's level has moved for good (80 bytes a value)", options,
             sizeof(struct long_run_settings), NULL},
    .state_version = 1,
    .state_bytes = drift_state_bytes,
    .judge = level_shift_judge,
    .sound = drift_sound,
    .kinds = level_shift_kinds,
};

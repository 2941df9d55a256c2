/* Values that are missing: for longer, or more often, than in the value's own past.
 *
 *     gap      missing values in a row;  longest: of the gaps before
 *     rate     share of missing values, a mean with gain 1/32;  most: its maximum in the past, but for the latest
 *              1 to 2 blocks of 64 events
 *     opens    gap >= min_gap + ratio longest, or rate > most + margin, from the event `after` on
 *     closes   when a value is there and rate <= most + margin / 2
 *     longest  the gap that ends, but no more than the limit that it passed; `most` stands still while it holds
 * A value that has never been there is not missed.  Opens incidents of the kind "missing"; the score is not touched. */
#include <math.h>
#include <stddef.h>

#include "engine/detect/detectors.h"
#include "engine/math/sound.h"

enum { BLOCK = 64, ACCEPTED = 1000 };
static const double GAIN = 1. / 32;

struct missing_settings {
    int64_t min_gap, after;
    double ratio, margin;
};

#define AT(member) offsetof(struct missing_settings, member)
static const struct eddy_option options[] = {
    {"min_gap", EDDY_OPT_INT, AT(min_gap), "5", 1, 1e9, "events", "Missing values in a row that count at least.",
     NULL, 0, false},
    {"ratio", EDDY_OPT_REAL, AT(ratio), "1.2", 0, 1000, "", "How many times the longest gap before is added to that.",
     NULL, 0, false},
    {"margin", EDDY_OPT_REAL, AT(margin), "0.1", 0.01, 1, "share of the events",
     "How far the share of missing values, of about the last 32, must exceed its past.", NULL, 0, false},
    {"after", EDDY_OPT_INT, AT(after), "300", 0, 1e9, "events", "The events of a value that only say what is usual.",
     NULL, 0, false},
    {0}};

struct missing_value {
    int64_t n;                          /* events since the value was first there */
    float rate, most, block[2];         /* block: maxima of the last block, and of the one that runs */
    uint32_t gap, longest, holds, held; /* held: events since it holds */
};

static size_t missing_state_bytes(const void *settings, int n_values, int n_horizons)
{
    (void)settings, (void)n_horizons;
    return (size_t)n_values * sizeof(struct missing_value);
}

static void missing_block(struct missing_value *v)
{
    if (v->rate > v->block[1]) v->block[1] = v->rate;
    if (v->n % BLOCK) return;
    if (v->block[0] > v->most) v->most = v->block[0];
    v->block[0] = v->block[1];
    v->block[1] = 0;
}

/* More than 0 while it holds. */
static double missing_value(const struct missing_settings *s, struct missing_value *v, bool there, bool *accepted)
{
    if (v->n == 0 && !there) return 0;
    const double limit = (double)s->min_gap + s->ratio * (double)v->longest;
    v->n++;
    if (!there && v->gap < UINT32_MAX) v->gap++;
    v->rate += (float)(GAIN * ((there ? 0. : 1.) - (double)v->rate));
    const double excess = ((double)v->rate - (double)v->most) / s->margin;
    if (there) {
        const double learned = fmin((double)v->gap, limit);
        if (learned > (double)v->longest) v->longest = (uint32_t)learned;
        v->gap = 0;
        if (excess <= .5) v->holds = 0;
    }
    if (v->n <= s->after) {
        if (v->gap > v->longest) v->longest = v->gap;
        missing_block(v);
        if (v->n == s->after) v->most = fmaxf(v->most, fmaxf(v->block[0], v->block[1]));
        return 0;
    }
    v->holds |= (double)v->gap >= limit || excess > 1;
    v->held = v->holds ? v->held + 1 : 0;
    *accepted = v->held > ACCEPTED && there; /* it comes now and then, and has for long: that is usual now */
    if (*accepted) {
        v->most = fmaxf(v->most, v->rate);
        v->holds = v->held = 0;
    }
    if (!v->holds) missing_block(v);
    return v->holds ? fmax(1, fmax((double)v->gap / limit, excess)) : 0;
}

static void missing_judge(const void *settings, void *state, const struct eddy_evidence *in, struct eddy_verdict *out)
{
    struct missing_value *values = state;
    out->score = out->evidence = 0;
    for (int i = 0; i < in->n_values; i++) {
        bool accepted = false;
        const double by = missing_value(settings, &values[i], isfinite(in->x[i]), &accepted);
        out->attribution[i] = (float)by;
        out->accepted |= accepted;
        out->holds |= by > 0;
    }
}

static const char *const kinds[] = {"missing", NULL};

static bool missing_sound(const void *settings, int n_values, int n_horizons, const void *state)
{
    const struct missing_value *v = state;
    bool sound = true;
    (void)settings, (void)n_horizons;
    for (int i = 0; i < n_values; i++) sound &= sound_count(v[i].n);
    return sound;
}

const struct eddy_detector detector_missing = {
    .part = {sizeof(struct eddy_detector), EDDY_PART_DETECTOR, "missing",
             "opens incidents where a value is missing for longer or more often than before (40 bytes a value)",
             options, sizeof(struct missing_settings), NULL},
    .state_version = 1,
    .state_bytes = missing_state_bytes,
    .judge = missing_judge,
    .sound = missing_sound,
    .kinds = kinds,
};

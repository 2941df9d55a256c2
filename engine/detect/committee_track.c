/* Scales, means and the season's profile of one value.  DETECTION, section 11, for a season of any length.
 *
 * Equations (n rows before this one, d = x - last, clip(a, l) = a within +-l, S steps of a season, B = min(24, S) bins,
 *            m = max(1, S / B) rows in a bin, b = floor(B phase + 1/2) mod B; a time on the full hour lies mid in its bin)
 *     un      = 4 sd + .02 w + 1e-6 |x|                       before any of the following
 *     s       = error + .002 w + 1e-7 |x|
 *     sd     += max(1 / (n + 1), move_rate) (|clip(d, max(6 sd, un))| - sd)
 *     error  += max(1 / (k + 1), error_rate) (min(|e|, 5 s) - error)    k forecasts so far
 *     w      += max(1 / (n + 1), 2 / 673) (|x - m97| - w)
 *     m_r    += max(1 / (n + 1), 2 / r) (x - m_r)                       r in 12, 25, 97
 *     move_b += max(season_rate / m, 1 / n_b) (clip(d, 2 un) - move_b)
 *     err_b  += max(season_error_rate / m, 1 / n_b) (min(|e| / s, 5) - err_b)
 *     spread += max(1 / (n + 1), error_rate) (min(|d - move_b|, max(6 sd, un)) - spread)
 *     C_b     = centred cumulative sum of m (move_b - mean of all)
 *     profile = C_{b-1} + min(1, f + .5 / m) (C_b - C_{b-1})             f = where in its bin the row lies, 0..1
 * How long a value stood still at first says nothing of how it moves: the row of its first move, if that is beyond the
 * first 30, becomes row 0, and only runs, gaps and the range stay known; sd = |d| / 2 there, so that the value is known
 * to move, however seldom it does so again.
 * Clips, shares of w and x in un and s, and the lengths of the means are no options: they keep numbers within reason, and the
 * limits of all members were found with them.
 * With an unknown season there is one bin, which holds the mean move.  When another season becomes known the profile
 * begins anew.  The lag of a season is the smallest whole number of seasons of 12 rows or more that the ring can hold;
 * where it can hold none, or none is known, 24 rows. */
#include <math.h>
#include <string.h>

#include "engine/detect/committee.h"
#include "engine/math/scalar.h"

enum { LEARNING_ROWS = 30, PROFILE_ROWS = 25, USUAL_LAG = 24, SHORTEST_LAG = 12, LONGEST_LAG = COMMITTEE_RING - 4 };
static const double OTHER_SEASON = 1.3; /* shorter or longer than the known one by this factor */

/* ---- the season ---- */

static void track_season_change(struct committee_season *p, double steps)
{
    double usual = 0;
    for (int b = 0; b < p->n_bins; b++) usual += (double)p->error[b] / p->n_bins;
    memset(p, 0, sizeof(*p));
    p->steps = (float)steps;
    p->n_bins = steps >= 2 ? (int)scalar_least(floor(steps + .5), COMMITTEE_BINS) : 1;
    for (int b = 0; b < p->n_bins; b++) p->error[b] = (float)usual;
}

static int track_lag(double steps)
{
    if (!(steps >= 2)) return USUAL_LAG;
    const double lag = floor(steps * ceil(SHORTEST_LAG / steps) + .5);
    return lag <= LONGEST_LAG ? (int)lag : USUAL_LAG;
}

static double track_profile(const double *level, int n_bins, double phase, double per_bin)
{
    const double place = phase * n_bins + .5;
    const int bin = (int)floor(place) % n_bins, before = (bin + n_bins - 1) % n_bins;
    const double share = scalar_least(1, place - floor(place) + .5 / per_bin);
    return level[before] + share * (level[bin] - level[before]);
}

static void track_season(struct committee_value *v, const struct eddy_season *season, struct committee_event *out)
{
    struct committee_season *p = &v->season;
    const double steps = season->steps >= 2 && season->steps < 1e9 ? season->steps : 0, known = (double)p->steps;
    if (p->n_bins == 0 || (steps > 0) != (known > 0) || steps > OTHER_SEASON * known || known > OTHER_SEASON * steps)
        track_season_change(p, steps);
    const int n_bins = p->n_bins;
    out->per_bin = steps > n_bins ? steps / n_bins : 1;
    out->lag = track_lag(steps);
    out->bin = n_bins > 1 ? (int)floor(season->phase * n_bins + .5) % n_bins : 0;
    out->profile = out->last_profile = 0;
    if (n_bins == 1 || v->n <= PROFILE_ROWS) return;

    double level[COMMITTEE_BINS], mean = 0, sum = 0, centre = 0;
    for (int b = 0; b < n_bins; b++) mean += p->move[b] / n_bins;
    for (int b = 0; b < n_bins; b++) {
        sum += out->per_bin * (p->move[b] - mean);
        level[b] = sum;
        centre += sum / n_bins;
    }
    for (int b = 0; b < n_bins; b++) level[b] -= centre;
    out->profile = track_profile(level, n_bins, season->phase, out->per_bin);
    const double last = season->phase - 1 / steps;
    out->last_profile = track_profile(level, n_bins, last < 0 ? last + 1 : last, out->per_bin);
}

/* ---- the row ---- */

static void track_first(struct committee_value *v, double x)
{
    for (int i = 0; i < COMMITTEE_RING; i++) v->x[i] = x;
    v->m12 = v->m25 = v->m97 = v->fast = v->low = v->high = x;
    v->since_gap = 99;
    v->usual_high = 1.5F;
    v->quiet_for = 99;
}

/* How long gaps are, and how many rows are missing of late. */
static void track_gap(struct committee_value *v, bool missing)
{
    v->missing_rate += (float)(((missing ? 1 : 0) - (double)v->missing_rate) / 32);
    if (missing) {
        if (v->gap < INT32_MAX) v->gap++;
        v->since_gap = 0;
        return;
    }
    if (v->gap > v->longest_gap)
        v->longest_gap = v->n > COMMITTEE_YOUNG ? (int32_t)scalar_least(v->gap, 1.2 * v->longest_gap + 4) : v->gap;
    v->gap = 0;
    v->most_missing -= (float)(1e-4 * (double)v->most_missing);
    if (v->missing_rate > v->most_missing) v->most_missing = v->missing_rate;
    if (v->since_gap < 99) v->since_gap++;
}

bool committee_begin(struct committee_value *v, const struct committee_rates *rates, double x,
                     const struct eddy_season *season, struct committee_event *out)
{
    *out = (struct committee_event){.rates = rates, .missing = !isfinite(x), .low_mean = NAN, .high_move = NAN};
    if (v->n == 0) {
        if (out->missing) return false;
        track_first(v, committee_clip(x, COMMITTEE_LARGEST));
    }
    track_gap(v, out->missing);
    v->missing = v->missing << 1 | out->missing;
    track_season(v, season, out);
    const double last = committee_past(v, 1);
    out->x = out->missing ? last : committee_clip(x, COMMITTEE_LARGEST);
    out->d = out->x - last;
    out->un = 4 * v->sd + .02 * v->w + 1e-6 * fabs(out->x) + COMMITTEE_LEAST;
    out->s = v->error + .002 * v->w + 1e-7 * fabs(out->x) + COMMITTEE_LEAST;
    out->follows = !out->missing && v->since_gap > 1;
    out->settled = !out->missing && v->since_gap > 8;
    return true;
}

/* ---- learning ---- */

/* What a move counts at most: un alone, where sd is 0. */
static double track_most_move(const struct committee_value *v, const struct committee_event *in)
{
    return scalar_most(6 * v->sd, in->un);
}

static void track_learn_season(struct committee_value *v, const struct committee_event *in, double rate)
{
    struct committee_season *p = &v->season;
    const int b = in->bin;
    if (in->foreseen)
        p->error[b] += (float)(scalar_most(in->rates->season_error / in->per_bin, 1. / (p->n[b] + 1)) *
                               (scalar_least(fabs(in->e) / in->s, 5) - (double)p->error[b]));
    v->spread += scalar_most(rate, in->rates->error) *
                 (scalar_least(fabs(in->d - p->move[b]), track_most_move(v, in)) - v->spread);
    if (p->n[b] < UINT8_MAX) p->n[b]++;
    const double move = v->n > LEARNING_ROWS ? committee_clip(in->d, 2 * in->un) : in->d;
    p->move[b] += scalar_most(in->rates->season_move / in->per_bin, 1. / p->n[b]) * (move - p->move[b]);
}

/* The first move of a value that stood still for longer than it takes to learn how it moves. */
static bool track_wakes(const struct committee_value *v, const struct committee_event *in)
{
    return v->sd <= 0 && v->n > LEARNING_ROWS && in->follows && fabs(in->d) > 0;
}

static void track_begin_anew(struct committee_value *v, const struct committee_event *in)
{
    const struct committee_value was = *v;
    memset(v, 0, sizeof(*v));
    track_first(v, in->x);
    v->sd = fabs(in->d) / 2;
    v->low = was.low;
    v->high = was.high;
    v->missing = was.missing;
    v->missing_rate = was.missing_rate;
    v->most_missing = was.most_missing;
    v->longest_gap = was.longest_gap;
    v->longest_run = was.longest_run;
    v->n = 1;
}

void committee_learn(struct committee_value *v, const struct committee_event *in)
{
    if (track_wakes(v, in)) {
        track_begin_anew(v, in);
        return;
    }
    const double rate = 1 / ((double)v->n + 1);
    if (in->follows) {
        const double move = v->n > LEARNING_ROWS ? committee_clip(in->d, track_most_move(v, in)) : in->d;
        v->sd += scalar_most(rate, in->rates->move) * (fabs(move) - v->sd);
        if (in->foreseen) {
            const double error = v->forecast.n > 40 ? scalar_least(fabs(in->e), 5 * in->s) : fabs(in->e);
            v->error += scalar_most(1. / (v->forecast.n + 1), in->rates->error) * (error - v->error);
        }
        track_learn_season(v, in, rate);
    }
    if (!in->missing) {
        v->w += scalar_most(rate, 2. / 673) * (fabs(in->x - v->m97) - v->w);
        v->m12 += scalar_most(rate, 2. / 12) * (in->x - v->m12);
        v->m25 += scalar_most(rate, 2. / 25) * (in->x - v->m25);
        v->m97 += scalar_most(rate, 2. / 97) * (in->x - v->m97);
    }
    v->n++;
}

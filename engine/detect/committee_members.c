/* One statistic for each kind of fault.  DETECTION, section 11.
 *
 * Equations (names as in committee_track.c and committee_windows.c)
 *     e1ph    log(|e| / (s (.3 + .7 err_b)) + .05)                 a spike: one error, for the time of day
 *     var24   log(mean24 + .05),  var60  log(mean60 + .05)         a burst
 *     exceed  exceeding
 *     low48   -log(low_mean + .02 sd),  lowmax  -log(high_move + .02 sd)          less motion than ever
 *     calm    -log(mean60 + .05)                                   errors smaller than ever
 *     rough   roughness                                            errors that alternate: noise upon the value
 *     cusum   log(1 + max(rising, falling))    rising = max(0, rising + clip(e / s, 4) - drift), falling the same for -e
 *     level   log(|fast - m97| / un + .05)     fast += (x - profile - fast) / level_events
 *     phase   log(.5 + max_q g_q)              g_q = clip(g_q + l(d - move_b) - l(d - move_{b + q B / 8}), 0, 200),
 *                                              l(a) = min(9, a^2 / (2 spread^2)), q = 1 .. 7: somebody else's time of day
 *     stuck   (run + 1) / (longest run + 6)                        a frozen value, if it has ever moved
 *     novel   10 (excess beyond all earlier values) / (their range)
 *     miss    max(gap / (longest gap + 4), 2 (rate - .05) / (largest rate + .1))
 * The evidence is the statistic's r of calibration.h; for the last three the
 * statistic itself.  A run that ends counts as at most 1.5 longest + 8 rows, a gap as at most 1.2 longest + 4, so that one
 * fault does not hide the next; in the first 300 rows they count in full. */
#include <math.h>

#include "engine/detect/committee.h"
#include "engine/math/precise.h"
#include "engine/math/scalar.h"

enum { FIRST_WINDOWS = 100, FIRST_RHYTHM = 200, LEAST_BINS = 4 };

static double member_e1ph(struct committee_value *v, const struct committee_event *in)
{
    if (!in->foreseen) return NAN;
    const double usual = in->s * (.3 + .7 * (double)v->season.error[in->bin]);
    return precise_log(fabs(in->e) / usual + .05);
}

static bool windows_known(const struct committee_value *v, const struct committee_event *in)
{
    return in->settled && v->n > FIRST_WINDOWS;
}

static double member_var24(struct committee_value *v, const struct committee_event *in)
{
    return windows_known(v, in) ? precise_log(in->mean24 + .05) : NAN;
}

static double member_var60(struct committee_value *v, const struct committee_event *in)
{
    return windows_known(v, in) ? precise_log(in->mean60 + .05) : NAN;
}

static double member_exceed(struct committee_value *v, const struct committee_event *in)
{
    return windows_known(v, in) ? in->exceeding : NAN;
}

static double member_low48(struct committee_value *v, const struct committee_event *in)
{
    if (!windows_known(v, in) || isnan(in->low_mean)) return NAN;
    return -precise_log(in->low_mean + .02 * v->sd + COMMITTEE_LEAST);
}

static double member_lowmax(struct committee_value *v, const struct committee_event *in)
{
    if (!windows_known(v, in) || isnan(in->high_move)) return NAN;
    return -precise_log(in->high_move + .02 * v->sd + COMMITTEE_LEAST);
}

static double member_calm(struct committee_value *v, const struct committee_event *in)
{
    return windows_known(v, in) ? -precise_log(in->mean60 + .05) : NAN;
}

static double member_rough(struct committee_value *v, const struct committee_event *in)
{
    return windows_known(v, in) ? (double)v->roughness : NAN;
}

static double member_cusum(struct committee_value *v, const struct committee_event *in)
{
    if (!in->follows || v->n <= FIRST_WINDOWS) return NAN;
    const float error = (float)committee_clip(in->e / in->s, 4), forgiven = (float)in->rates->drift;
    v->rising = fmaxf(0, v->rising + error - forgiven);
    v->falling = fmaxf(0, v->falling - error - forgiven);
    return precise_log(1 + (double)fmaxf(v->rising, v->falling));
}

static double member_level(struct committee_value *v, const struct committee_event *in)
{
    if (!in->follows) return NAN;
    v->fast += (in->x - in->profile - v->fast) / in->rates->level_events;
    if (v->n <= FIRST_WINDOWS) return NAN;
    return precise_log(fabs(v->fast - v->m97) / in->un + .05);
}

static double member_phase(struct committee_value *v, const struct committee_event *in)
{
    struct committee_season *p = &v->season;
    if (!in->follows || v->n <= FIRST_RHYTHM || p->n_bins < LEAST_BINS) return NAN;
    const double unit = 1.4142135623730951 * v->spread + COMMITTEE_LEAST, own = (in->d - p->move[in->bin]) / unit;
    const double here = scalar_least(own * own, 9);
    double most = 0;
    for (int q = 0; q < COMMITTEE_SHIFTS; q++) {
        const int other = (in->bin + (2 * (q + 1) * p->n_bins + 8) / 16) % p->n_bins;
        const double off = (in->d - p->move[other]) / unit;
        p->log_ratio[q] = (float)scalar_least(
            200, scalar_most(0, (double)p->log_ratio[q] + here - scalar_least(off * off, 9)));
        most = scalar_most(most, (double)p->log_ratio[q]);
    }
    return precise_log(.5 + most);
}

static double member_stuck(struct committee_value *v, const struct committee_event *in)
{
    if (in->missing || v->n == 0) return NAN;
    if (in->d == 0) {
        if (v->run < INT32_MAX) v->run++;
        if (v->sd <= 0) return NAN;
        return ((double)v->run + 1) / ((double)v->longest_run + 6);
    }
    if (v->run > v->longest_run)
        v->longest_run = v->n > COMMITTEE_YOUNG ? (int32_t)scalar_least(v->run, 1.5 * v->longest_run + 8) : v->run;
    v->run = 0;
    return NAN;
}

static double member_novel(struct committee_value *v, const struct committee_event *in)
{
    if (in->missing) return NAN;
    const double range = v->high - v->low, excess = scalar_most(in->x - v->high, v->low - in->x);
    v->low = scalar_least(v->low, in->x);
    v->high = scalar_most(v->high, in->x);
    return range > 0 && excess > 0 && v->n > FIRST_WINDOWS ? 10 * scalar_least(excess / range, 1e6) : NAN;
}

static double member_miss(struct committee_value *v, const struct committee_event *in)
{
    if (!in->missing) return NAN;
    return scalar_most((double)v->gap / ((double)v->longest_gap + 4),
                       2 * ((double)v->missing_rate - .05) / ((double)v->most_missing + .1));
}

/* Limits as DETECTION found them, all together: the options limits and member_limits are factors on them. */
const struct committee_member committee_members[COMMITTEE_MEMBERS] = {
    {"e1ph", "spike", 1.772, true, false, COMMITTEE_SINGLE, 0, member_e1ph},
    {"var24", "variance", 5.018, true, false, COMMITTEE_WAITS, 1, member_var24},
    {"var60", "variance", 4.625, true, false, COMMITTEE_WAITS, 2, member_var60},
    {"exceed", "variance", 3.998, true, false, COMMITTEE_WAITS, 3, member_exceed},
    {"low48", "quiet", 5.853, true, true, COMMITTEE_WAITS, 4, member_low48},
    {"lowmax", "quiet", 21.2, true, true, COMMITTEE_WAITS, 5, member_lowmax},
    {"rough", "variance", 6.737, true, false, COMMITTEE_WAITS, 6, member_rough},
    {"cusum", "drift", 4.667, true, false, COMMITTEE_WAITS, 7, member_cusum},
    {"level", "level_shift", 3.516, true, false, COMMITTEE_WAITS, 8, member_level},
    {"phase", "rhythm", 3.281, true, false, COMMITTEE_WAITS, 9, member_phase},
    {"calm", "quiet", 5.853, true, true, COMMITTEE_WAITS, 10, member_calm},
    {"stuck", "stuck", 1.5, false, true, COMMITTEE_WAITS, -1, member_stuck},
    {"novel", "spike", .476, true, false, COMMITTEE_SINGLE, -1, member_novel},
    {"miss", "dropout", 1.2, false, false, COMMITTEE_OTHER, -1, member_miss},
};

double committee_evidence(const struct committee_member *member, struct committee_value *v,
                          const struct committee_event *in, int64_t block, double memory)
{
    const double y = member->statistic(v, in);
    if (isnan(y)) return CALIBRATION_UNKNOWN;
    return member->calibration < 0 ? y : calibration_judge(&v->calibration[member->calibration], y, block, memory);
}

/* The last errors and moves of a value, summed.
 *
 * Equations (z = min(|e| / s, 6), 0 where it is unknown)
 *     mean24, mean60  of z over so many rows
 *     q         += .02 ([z > q] - exceeding), q >= .5              where that share of z lies beyond
 *     exceeding  = share of the last 20 rows with z > q, each by the q of its time
 *     roughness += (-clip(e / s, 3) clip(e' / s, 3) - roughness) / rough_events    e' the error before
 *     low_mean   = mean of min(|d|, 4 un) over the last 48 rows, of which 25 at least must be known
 *     high_move  = the largest over the last 24, of which 19 must be known
 * A move is known when neither it nor the row before was missing. */
#include <math.h>

#include "engine/detect/committee.h"
#include "engine/math/scalar.h"

/* Of usual errors, per event: how fast the level that errors exceed follows.  The 20 events that are judged by it raise it by
 * .4 at most, so that a burst does not excuse itself, and 300 quiet ones lower it by .5.  What a user tunes is `exceeding`. */
static const float LEVEL_STEP = .02F;
enum { SHORT = 24, MIDDLE = 48, LONG = 60, EXCEEDING = 20, LAST = COMMITTEE_RING - 1 };

static void windows_moves(const struct committee_value *v, struct committee_event *in)
{
    const uint64_t unknown = v->missing | v->missing >> 1;
    const double most = 4 * in->un;
    double sum = 0, highest = 0, next = in->x;
    int n_short = 0, n = 0;
    for (int back = 0; back < MIDDLE; back++) {
        const double x = committee_past(v, back + 1), move = scalar_least(fabs(next - x), most);
        next = x;
        if (unknown >> back & 1) continue;
        sum += move;
        n++;
        if (back >= SHORT) continue;
        n_short++;
        highest = move > highest ? move : highest;
    }
    in->low_mean = n > MIDDLE / 2 ? sum / n : NAN;
    in->high_move = n_short > 18 ? highest : NAN;
}

static void windows_errors(const struct committee_value *v, struct committee_event *in)
{
    float recent = 0, before = 0;
    for (int back = 0; back < SHORT; back++) recent += v->z[(v->n - back) & LAST];
    for (int back = SHORT; back < LONG; back++) before += v->z[(v->n - back) & LAST];
    in->mean24 = (double)recent / SHORT;
    in->mean60 = (double)(recent + before) / LONG;
    in->exceeding = scalar_bits(v->exceeded & ((1ull << EXCEEDING) - 1)) / (double)EXCEEDING;
}

void committee_windows(struct committee_value *v, struct committee_event *in)
{
    v->x[v->n & LAST] = in->x;
    v->z[v->n & LAST] = in->missing ? 0 : (float)in->z;
    const bool exceeds = !in->missing && in->z > (double)v->usual_high;
    v->exceeded = v->exceeded << 1 | exceeds;
    if (in->missing) {
        v->last_error = 0;
        return;
    }
    const float usual = (float)in->rates->exceeding;
    v->usual_high = fmaxf(v->usual_high + LEVEL_STEP * ((exceeds ? 1.F : 0.F) - usual), .5F);
    const double error = in->e / in->s;
    v->roughness += (float)((-committee_clip(error, 3) * committee_clip((double)v->last_error, 3) -
                             (double)v->roughness) /
                            in->rates->rough_events);
    v->last_error = (float)committee_clip(error, 6);
    windows_errors(v, in);
    windows_moves(v, in);
}

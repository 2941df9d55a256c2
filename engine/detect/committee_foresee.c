/* What a value's own past says it will be: recursive least squares on twelve features, one step ahead.
 *
 * Equations (all in shares of un, committee_track.c; x_j = x of j rows ago, d_j = x_j - x_{j+1}, L the lag of a season)
 *     f   = .3; d_1, d_2, d_3; move of the bin; x_1 - m12; x_1 - m97 - profile of the last row; d_L, d_{L-1}, d_{L+1};
 *           x_1 - m25; x_2 - x_L                              clipped to +-3, the move of the bin to +-25
 *     e   = clip(d, 25) - w . f
 *     u   = P f,  a = lambda + f . u                          lambda = forgetting, P = 10 I at first
 *     w  += u clip(e, 4 mean |e|) / a                         the clip from the 31st on
 *     P   = (P - u u' / a) / lambda                           halved when its trace passes 200 times its size
 * Rounding that leaves P no covariance begins P anew. */
#include <math.h>
#include <string.h>

#include "engine/detect/committee.h"
#include "engine/math/scalar.h"

enum { N = COMMITTEE_FEATURES, FIRST_ROW = 31, UNCLIPPED = 30 };
static const float AT_FIRST = 10, MOST_TRACE = 200.F * N;

static int triangle(int i)
{
    return i * (i + 1) / 2;
}

static void foresee_begin(struct committee_forecast *r)
{
    memset(r->p, 0, sizeof(r->p));
    for (int i = 0; i < N; i++) r->p[triangle(i) + i] = AT_FIRST;
}

/* u = P f; returns f . u. */
static float foresee_spread(const struct committee_forecast *r, const float f[N], float u[N])
{
    float spread = 0;
    for (int i = 0; i < N; i++) u[i] = r->p[triangle(i) + i] * f[i];
    for (int i = 1; i < N; i++) {
        const float *row = r->p + triangle(i);
        float sum = 0;
        for (int k = 0; k < i; k++) {
            sum += row[k] * f[k];
            u[k] += row[k] * f[i];
        }
        u[i] += sum;
    }
    for (int i = 0; i < N; i++) spread += f[i] * u[i];
    return spread;
}

static void foresee_learn(struct committee_forecast *r, const struct committee_rates *rates, const float f[N],
                          double error)
{
    const float lambda = (float)rates->forgetting;
    float u[N], spread = foresee_spread(r, f, u), trace = 0;
    if (!(spread >= 0 && spread < 1e30F)) {
        foresee_begin(r);
        spread = foresee_spread(r, f, u);
    }
    const float whole = lambda + spread;
    if (r->n > UNCLIPPED) error = committee_clip(error, 4 * (double)r->error + 1e-9);
    r->error += (float)(scalar_most(1. / (r->n + 1), rates->error) * (fabs(error) - (double)r->error));
    for (int i = 0; i < N; i++) {
        const float share = u[i] / whole;
        float *row = r->p + triangle(i);
        r->w[i] += share * (float)error;
        for (int k = 0; k <= i; k++) row[k] = (row[k] - share * u[k]) / lambda;
        trace += row[i];
    }
    for (int i = 0; i < triangle(N) && trace > MOST_TRACE; i++) r->p[i] *= .5F;
    if (r->n < INT32_MAX) r->n++;
}

static void foresee_features(const struct committee_value *v, const struct committee_event *in, float f[N])
{
    const int lag = in->lag;
    const double x1 = committee_past(v, 1), x2 = committee_past(v, 2), x3 = committee_past(v, 3);
    const double before = committee_past(v, lag - 1), same = committee_past(v, lag);
    const double after = committee_past(v, lag + 1), later = committee_past(v, lag + 2);
    const double parts[N] = {.3 * in->un,
                             x1 - x2,
                             x2 - x3,
                             x3 - committee_past(v, 4),
                             v->season.move[in->bin],
                             x1 - v->m12,
                             x1 - v->m97 - in->last_profile,
                             same - after,
                             before - same,
                             after - later,
                             x1 - v->m25,
                             x2 - same};
    for (int i = 0; i < N; i++) f[i] = (float)committee_clip(parts[i] / in->un, i == 4 ? 25 : 3);
}

void committee_foresee(struct committee_value *v, struct committee_event *in)
{
    in->foreseen = in->follows && v->n >= FIRST_ROW;
    in->e = in->follows ? in->d : 0;
    if (in->foreseen) {
        float f[N], sum = 0;
        if (v->forecast.n == 0) foresee_begin(&v->forecast);
        foresee_features(v, in, f);
        for (int i = 0; i < N; i++) sum += v->forecast.w[i] * f[i];
        const double error = committee_clip(in->d / in->un, 25) - (double)sum;
        foresee_learn(&v->forecast, in->rates, f, error);
        in->e = in->un * error;
    }
    in->z = scalar_least(fabs(in->e) / in->s, 6);
}

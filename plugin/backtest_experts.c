/* The experts' weights over the course of a replay: means over spans of results, as many as fit; when there are too many,
 * two become one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/backtest_private.h"

enum { FIRST_STRIDE = 64 };

bool backtest_experts_shape(struct backtest *b, const struct eddy_result *r)
{
    struct backtest_weights *w = &b->weights;
    const size_t n = (size_t)r->experts.n;
    if (n == 0) return true;
    w->names = calloc(n, sizeof(*w->names));
    w->mean = calloc(TRAINING * n, sizeof(*w->mean));
    w->count = calloc(n, sizeof(*w->count));
    w->sum = calloc(n, sizeof(*w->sum));
    if (!w->names || !w->mean || !w->count || !w->sum) return false;
    w->n_experts = r->experts.n;
    w->stride = FIRST_STRIDE;
    for (int e = 0; e < w->n_experts; e++)
        if (!(w->names[e] = strdup(r->experts.names[e]))) return false;
    return true;
}

void backtest_experts_free(struct backtest_weights *w)
{
    for (int e = 0; e < w->n_experts; e++) free(w->names[e]);
    free(w->names);
    free(w->mean);
    free(w->count);
    free(w->sum);
}

static double mean_of_two(double a, double b)
{
    return isnan(a) ? b : isnan(b) ? a : (a + b) / 2;
}

static void weights_halve(struct backtest_weights *w)
{
    for (int i = 0; i < w->n / 2; i++) {
        for (int e = 0; e < w->n_experts; e++)
            w->mean[i * w->n_experts + e] = mean_of_two(w->mean[2 * i * w->n_experts + e],
                                                        w->mean[(2 * i + 1) * w->n_experts + e]);
        w->until[i] = w->until[2 * i + 1];
    }
    w->n /= 2;
    w->stride *= 2;
}

void backtest_experts_add(struct backtest *b, const struct eddy_result *r)
{
    struct backtest_weights *w = &b->weights;
    const int plane = b->n_horizons * b->n_values;
    if (!w->n_experts || r->experts.n != w->n_experts) return;
    for (int e = 0; e < w->n_experts; e++)
        for (int i = 0; i < plane; i++) {
            const double weight = r->experts.weights[e * plane + i];
            if (isfinite(weight)) w->sum[e] += weight, w->count[e]++;
        }
    if (++w->results < w->stride) return;
    if (w->n == TRAINING) weights_halve(w);
    for (int e = 0; e < w->n_experts; e++) {
        w->mean[w->n * w->n_experts + e] = w->count[e] ? w->sum[e] / (double)w->count[e] : NAN;
        w->sum[e] = 0, w->count[e] = 0;
    }
    w->until[w->n++] = b->events;
    w->results = 0;
}

void backtest_experts_write(const struct backtest *b, struct json_out *j)
{
    const struct backtest_weights *w = &b->weights;
    if (w->n_experts == 0) return;
    json_open(j, "experts", '{');
    json_open(j, "names", '[');
    for (int e = 0; e < w->n_experts; e++) json_text(j, NULL, w->names[e]);
    json_close(j, ']');
    json_open(j, "weights", '[');
    for (int i = 0; i < w->n; i++) {
        json_open(j, NULL, '[');
        json_int(j, NULL, w->until[i]);
        json_open(j, NULL, '[');
        for (int e = 0; e < w->n_experts; e++) json_digits(j, NULL, w->mean[i * w->n_experts + e], 4);
        json_close(j, ']');
        json_close(j, ']');
    }
    json_close(j, ']');
    json_close(j, '}');
}

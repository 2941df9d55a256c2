/* How good each expert is alone, and how much it weighs: sums of the squared errors that results bring, per series and in
 * raw units like those of the forecasts, and of the weights over all series. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/metrics_private.h"

void metrics_experts_free(struct metrics_experts *x)
{
    for (int e = 0; e < x->n && x->names; e++) free(x->names[e]);
    free(x->names);
    free(x->weight);
}

bool metrics_experts_shape(struct metrics *m, const struct eddy_result *r)
{
    struct metrics_experts *x = &m->experts;
    const size_t n = (size_t)r->experts.n;
    if (n == 0) return true;
    x->names = calloc(n, sizeof(*x->names));
    x->weight = calloc(n * (size_t)m->n_horizons + 1, sizeof(*x->weight));
    if (!x->names || !x->weight) return false;
    x->n = r->experts.n;
    for (int e = 0; e < x->n; e++)
        if (!(x->names[e] = strdup(r->experts.names[e]))) return false;
    return true;
}

void metrics_experts_add(struct metrics *m, struct metrics_key *k, const struct eddy_result *r)
{
    const int plane = m->n_horizons * m->n_values;
    const bool scored = metrics_rows_have(&m->score, k->count);
    for (int e = 0; e < m->experts.n && r->experts.n == m->experts.n; e++)
        for (int i = 0; i < m->n_horizons; i++) {
            const bool judged = metrics_rows_have(&m->score, k->count - m->horizons[i]);
            struct metrics_weight *weight = &m->experts.weight[e * m->n_horizons + i];
            for (int v = 0; v < m->n_values; v++) {
                const int at = e * plane + i * m->n_values + v;
                const double error = r->experts.errors[at], w = r->experts.weights[at];
                struct metrics_expert *own = &k->experts[at];
                if (judged && isfinite(error)) own->n++, own->squared += error * error;
                if (scored && isfinite(w)) weight->n++, weight->sum += w;
            }
        }
}

struct expert_pool {
    int64_t n, n_ratios;
    double squared, log_ratio;
};

static void pool_series(const struct metrics *m, const struct metrics_key *k, int e, int i, int v,
                        struct expert_pool *p)
{
    const struct metrics_expert *own = &k->experts[(e * m->n_horizons + i) * m->n_values + v];
    const struct metrics_sum *sum = &k->sums[v * m->n_horizons + i];
    const double unit = metrics_unit(m, k, v);
    if (isnan(unit)) return;
    p->n += own->n;
    p->squared += own->squared / (unit * unit);
    if (!own->n || !sum->n || !(own->squared > 0) || !(sum->persistence_squared > 0)) return;
    p->log_ratio += log(own->squared / (double)own->n / (sum->persistence_squared / (double)sum->n));
    p->n_ratios++;
}

static void pool_all(const struct metrics *m, int e, int i, struct expert_pool *p)
{
    *p = (struct expert_pool){0};
    for (size_t at = 0; at < m->cap; at++)
        for (int v = 0; m->table[at] && v < m->n_values; v++) pool_series(m, m->table[at], e, i, v, p);
}

static double per(double sum, int64_t n)
{
    return n ? sum / (double)n : NAN;
}

void metrics_experts_write(const struct metrics *m, struct json_out *j)
{
    const struct metrics_experts *x = &m->experts;
    if (x->n == 0) return;
    json_open(j, "experts", '{');
    for (int e = 0; e < x->n; e++) {
        json_open(j, x->names[e], '{');
        json_open(j, "by_horizon", '[');
        for (int i = 0; i < m->n_horizons; i++) {
            const struct metrics_weight *weight = &x->weight[e * m->n_horizons + i];
            struct expert_pool p;
            pool_all(m, e, i, &p);
            json_open(j, NULL, '{');
            json_int(j, "h", m->horizons[i]);
            json_int(j, "n", p.n);
            json_real(j, "mse", per(p.squared, p.n));
            json_real(j, "relative_mse", p.n_ratios ? exp(p.log_ratio / (double)p.n_ratios) : NAN);
            json_real(j, "weight", per(weight->sum, weight->n));
            json_close(j, '}');
        }
        json_close(j, ']');
        json_close(j, '}');
    }
    json_close(j, '}');
}

/* The first and the last horizon: error against persistence and mean weight. */
void metrics_experts_print(const struct metrics *m, FILE *out)
{
    const struct metrics_experts *x = &m->experts;
    if (x->n < 2 || m->n_horizons == 0) return;
    const int last = m->n_horizons - 1;
    fprintf(out, "\n%-24s %10s %9s %10s %9s\n", "expert", "relative", "weight", "relative", "weight");
    fprintf(out, "%-24s %10s%10d %10s%10d\n", "", "at", m->horizons[0], "at", m->horizons[last]);
    for (int e = 0; e < x->n; e++) {
        struct expert_pool a, b;
        pool_all(m, e, 0, &a);
        pool_all(m, e, last, &b);
        const struct metrics_weight *w = &x->weight[e * m->n_horizons];
        fprintf(out, "%-24s %10.4g %9.3f %10.4g %9.3f\n", x->names[e],
                a.n_ratios ? exp(a.log_ratio / (double)a.n_ratios) : NAN, per(w[0].sum, w[0].n),
                b.n_ratios ? exp(b.log_ratio / (double)b.n_ratios) : NAN, per(w[last].sum, w[last].n));
    }
}

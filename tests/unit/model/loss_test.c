/* Losses and heads: golden values from PyTorch (tests/golden/losses.py), numeric gradients, points, quantiles.  Run from
 * the root of the tree.
 *
 * Compiled twice, in single precision and with float defined as double. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/model/loss.h"
#include "tests/unit/model/fixture.h"

static const char path[] = "tests/golden/losses.txt";
static const double levels[] = {0.05, 0.25, 0.5, 0.75, 0.95};

enum { MOST_LEVELS = 8, MOST = 96 };
struct golden {
    char name[64];
    struct loss loss;
    double levels[MOST_LEVELS];
    int n_steps, n_targets, n_outputs;
    float y[MOST], target[MOST], value[MOST], d_y[MOST];
};

static void golden_numbers(FILE *f, const char *name, int n, float *to)
{
    char word[16];
    cr_assert_leq(n, MOST);
    cr_assert_eq(fscanf(f, "%15s", word), 1);
    cr_assert_str_eq(word, name);
    for (int i = 0; i < n; i++) {
        double v;
        cr_assert_eq(fscanf(f, "%lf", &v), 1);
        to[i] = (float)v;
    }
}

static bool golden_next(FILE *f, struct golden *g)
{
    struct loss *l = &g->loss;
    if (fscanf(f, " loss %63s %d %lf %lf %d", g->name, &l->kind, &l->delta, &l->freedom, &l->n_classes) != 5)
        return false;
    cr_assert_eq(fscanf(f, " levels %d", &l->n_levels), 1);
    cr_assert_leq(l->n_levels, MOST_LEVELS);
    for (int k = 0; k < l->n_levels; k++) cr_assert_eq(fscanf(f, "%lf", &g->levels[k]), 1);
    l->levels = g->levels;
    cr_assert_eq(fscanf(f, " shape %d %d %d", &g->n_steps, &g->n_targets, &g->n_outputs), 3);
    golden_numbers(f, "y", g->n_steps * g->n_outputs, g->y);
    golden_numbers(f, "target", g->n_steps * g->n_targets, g->target);
    golden_numbers(f, "value", g->n_steps, g->value);
    golden_numbers(f, "d_y", g->n_steps * g->n_outputs, g->d_y);
    return true;
}

static void golden_check(const struct golden *g)
{
    const double tolerance = sizeof(float) == 8 ? 1e-9 : 2e-6;
    cr_assert_eq(loss_outputs(&g->loss, g->n_targets), g->n_outputs, "%s", g->name);
    for (int t = 0; t < g->n_steps; t++) {
        float d_y[MOST];
        const double value = loss_step(&g->loss, g->n_targets, g->y + t * g->n_outputs, g->target + t * g->n_targets,
                                       2, d_y);
        const double want = (double)g->value[t];
        cr_assert_float_eq(value, want, tolerance * (1 + fabs(want)), "%s step %d: %.9g, golden %.9g", g->name, t,
                           value, want);
        for (int i = 0; i < g->n_outputs; i++) {
            const double d = 2 * (double)g->d_y[t * g->n_outputs + i]; /* the weight is 2 */
            cr_assert_float_eq((double)d_y[i], d, tolerance * (1 + fabs(d)),
                               "%s step %d output %d: %.9g, golden %.9g", g->name, t, i, (double)d_y[i], d);
        }
    }
}

Test(loss, values_and_gradients_are_the_golden_ones_and_unknown_labels_add_nothing)
{
    struct golden g;
    FILE *f = fopen(path, "r");
    int n = 0;
    cr_assert(f, "%s cannot be read: run from the root of the tree", path);
    for (; golden_next(f, &g); n++) golden_check(&g);
    cr_assert_eq(n, 11);
    fclose(f);
}

static const struct loss kinds[] = {
    {.kind = LOSS_HUBER, .delta = 1},
    {.kind = LOSS_SQUARED},
    {.kind = LOSS_GAUSSIAN},
    {.kind = LOSS_STUDENT_T, .freedom = 3},
    {.kind = LOSS_QUANTILES, .n_levels = 5, .levels = levels},
    {.kind = LOSS_SIGMOID, .n_classes = 2},
    {.kind = LOSS_SOFTMAX, .n_classes = 5},
};
enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]), TARGETS = 2 };

Test(loss, gradients_agree_with_differences_of_the_values)
{
    const double h = sizeof(float) == 8 ? 1e-6 : 1e-3, tolerance = sizeof(float) == 8 ? 1e-7 : 5e-3;
    for (int k = 0; k < N_KINDS; k++) {
        float y[MOST], d_y[MOST], unused[MOST], target[TARGETS] = {0, 1};
        const int n = loss_outputs(&kinds[k], TARGETS);
        test_fill(y, (size_t)n, 3, 1);
        (void)loss_step(&kinds[k], TARGETS, y, target, 1, d_y);
        for (int i = 0; i < n; i++) {
            const float kept = y[i];
            y[i] = kept + (float)h;
            const double up = loss_step(&kinds[k], TARGETS, y, target, 1, unused);
            y[i] = kept - (float)h;
            const double down = loss_step(&kinds[k], TARGETS, y, target, 1, unused);
            y[i] = kept;
            cr_assert_float_eq((double)d_y[i], (up - down) / (2 * h), tolerance, "kind %d output %d", k, i);
        }
    }
}

/* Anything between -3e38 and 3e38. */
static float huge(uint64_t seed, uint64_t i)
{
    const float size = 1e19f * eddy_random_normal(seed, 2 * i);
    return (eddy_random_uniform(seed, 2 * i + 1) < 0.5f ? 1 : 1e17f) * size;
}

Test(loss, outputs_of_any_size_give_finite_losses_and_gradients)
{
    for (int k = 0; k < N_KINDS; k++)
        for (uint64_t seed = 0; seed < 200; seed++) {
            float y[MOST], d_y[MOST], target[TARGETS] = {1, 0};
            const int n = loss_outputs(&kinds[k], TARGETS);
            for (int i = 0; i < n; i++) y[i] = huge(seed, (uint64_t)i);
            cr_assert(isfinite(loss_step(&kinds[k], TARGETS, y, target, 1, d_y)), "kind %d", k);
            for (int i = 0; i < n; i++) cr_assert(isfinite(d_y[i]), "kind %d output %d", k, i);
        }
}

Test(loss, a_log_scale_beyond_its_limit_is_led_back_and_no_further)
{
    const struct loss gaussian = {.kind = LOSS_GAUSSIAN};
    const float target = 0;
    float d_y[2];
    cr_assert_float_eq(loss_step(&gaussian, 1, (float[]){1, 50}, &target, 1, d_y), 12, 1e-5);
    cr_assert_float_eq(d_y[1], 1, 1e-5f); /* too wide for the error: down */
    (void)loss_step(&gaussian, 1, (float[]){1, -50}, &target, 1, d_y);
    cr_assert_lt(d_y[1], -1e9f); /* too narrow for it: up */
    (void)loss_step(&gaussian, 1, (float[]){0, -50}, &target, 1, d_y);
    cr_assert_eq(d_y[1], 0);
    (void)loss_step(&gaussian, 1, (float[]){1e9f, 50}, &target, 1, d_y);
    cr_assert_eq(d_y[1], 0);
}

static float quantile_at(const struct loss *l, const float *y, double tau)
{
    const struct loss_tail tail = loss_tail(l, tau);
    float q;
    cr_assert(loss_quantile(l, 1, y, &tail, &q));
    return q;
}

Test(loss, quantiles_never_cross_whatever_the_outputs)
{
    const struct loss *l = &kinds[LOSS_QUANTILES];
    for (uint64_t seed = 0; seed < 300; seed++) {
        float y[5], last = -INFINITY;
        for (int k = 0; k < 5; k++) y[k] = (seed % 3 ? 4.f : 1e3f) * eddy_random_normal(seed, (uint64_t)k);
        for (double tau = 0.01; tau < 1; tau += 0.01) {
            const float q = quantile_at(l, y, tau);
            cr_assert_geq(q, last, "seed %d, level %g", (int)seed, tau);
            last = q;
        }
    }
}

Test(loss, a_quantile_head_gives_its_own_levels_and_goes_straight_on_between_them)
{
    const struct loss *l = &kinds[LOSS_QUANTILES];
    const float step = 0.69314718f; /* log(1 + e^0) */
    const float y[] = {0, 0, 10, 0, 0};
    for (int k = 0; k < 5; k++) cr_assert_float_eq(quantile_at(l, y, levels[k]), 10 + (float)(k - 2) * step, 1e-5f);
    /* half way to the normal quantile of 0.75, 0.67449 */
    cr_assert_float_eq(quantile_at(l, y, 0.632032), 10 + step / 2, 1e-5f);
    /* as far beyond that of 0.95 as that of 0.75 is before it, 2.61522 */
    cr_assert_float_eq(quantile_at(l, y, 0.9955415), 10 + 3 * step, 1e-4f);
    const struct loss one = {.kind = LOSS_QUANTILES, .n_levels = 1, .levels = &levels[2]};
    cr_assert_eq(quantile_at(&one, y + 2, 0.9), 10);
}

Test(loss, bands_of_gaussian_and_student_t_heads)
{
    const float y[] = {1, -2, 0, 0.69314718f}; /* scales 1 and 2 */
    float q[2];
    struct loss_tail tail = loss_tail(&kinds[LOSS_GAUSSIAN], 0.975);
    cr_assert(loss_quantile(&kinds[LOSS_GAUSSIAN], 2, y, &tail, q));
    cr_assert_float_eq(q[0], 1 + 1.959963985f, 1e-5f);
    cr_assert_float_eq(q[1], -2 + 2 * 1.959963985f, 1e-5f);
    tail = loss_tail(&kinds[LOSS_STUDENT_T], 0.05); /* 3 degrees of freedom */
    cr_assert(loss_quantile(&kinds[LOSS_STUDENT_T], 2, y, &tail, q));
    cr_assert_float_eq(q[0], 1 - 2.353363435f, 1e-5f);
    cr_assert_float_eq(q[1], -2 - 2 * 2.353363435f, 1e-5f);
    cr_assert_not(loss_quantile(&kinds[LOSS_HUBER], 2, y, &tail, q));
    cr_assert_not(loss_quantile(&kinds[LOSS_SQUARED], 2, y, &tail, q));
    cr_assert_not(loss_quantile(&kinds[LOSS_SOFTMAX], 1, y, &tail, q));
}

Test(loss, a_label_of_no_class_adds_nothing)
{
    const float y[5] = {1, 2, 3, 4, 5}, labels[] = {-1, 5, 1e30f};
    for (int i = 0; i < 3; i++) {
        float d_y[5];
        cr_assert_eq(loss_step(&kinds[LOSS_SOFTMAX], 1, y, &labels[i], 1, d_y), 0);
        cr_assert_arr_eq(d_y, ((float[5]){0}), sizeof(d_y));
    }
}

Test(loss, the_point_is_the_mean_or_the_median)
{
    const float y[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    cr_assert_arr_eq(loss_point(&kinds[LOSS_HUBER], 2, y), ((float[]){1, 2}), 2 * sizeof(float));
    cr_assert_arr_eq(loss_point(&kinds[LOSS_STUDENT_T], 2, y), ((float[]){1, 2}), 2 * sizeof(float));
    cr_assert_arr_eq(loss_point(&kinds[LOSS_QUANTILES], 2, y), ((float[]){5, 6}), 2 * sizeof(float));
}

Test(loss, probabilities_add_up_to_1)
{
    const float y[] = {0.69314718f, 0, 1.0986123f, -99, -99}; /* odds 2 : 1 : 3 */
    float p[5];
    loss_probabilities(&kinds[LOSS_SOFTMAX], 1, y, p);
    cr_assert_float_eq(p[0], 2.0f / 6, 1e-6f);
    cr_assert_float_eq(p[1], 1.0f / 6, 1e-6f);
    cr_assert_float_eq(p[2], 3.0f / 6, 1e-6f);
    loss_probabilities(&kinds[LOSS_SIGMOID], 1, y, p); /* odds 2 : 1 */
    cr_assert_float_eq(p[0], 1.0f / 3, 1e-6f);
    cr_assert_float_eq(p[1], 2.0f / 3, 1e-6f);
    cr_assert(loss_is_classes(&kinds[LOSS_SIGMOID]) && loss_is_classes(&kinds[LOSS_SOFTMAX]));
    cr_assert_not(loss_is_classes(&kinds[LOSS_QUANTILES]));
}

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "tests/unit/model/fixture.h"

static const char *const names[] = {"portable", "avx2", "avx512"};
enum { N_NAMES = 3 };

/* One product with everything it needs, in memory of its own. */
struct product_test {
    struct panels_source source;
    float *bias, *w, *u, *panels, *x, *h, *want,
        *fused; /* want: each product and sum rounded; fused: once for both */
    float **x_rows, **h_rows;
    int rows;
};

static void product_test_open(struct product_test *t, int rows, int n_x, int n_h, int n_out)
{
    t->rows = rows;
    t->bias = test_floats((size_t)n_out);
    t->w = test_floats((size_t)n_out * (size_t)n_x);
    t->u = test_floats((size_t)n_out * (size_t)n_h);
    t->x = test_floats((size_t)rows * (size_t)n_x);
    t->h = test_floats((size_t)rows * (size_t)n_h);
    t->want = test_floats((size_t)rows * (size_t)n_out);
    t->fused = test_floats((size_t)rows * (size_t)n_out);
    t->panels = test_floats(panels_floats(n_out, n_x + n_h));
    test_fill(t->bias, (size_t)n_out, 1, 1);
    test_fill(t->w, (size_t)n_out * (size_t)n_x, 2, 1);
    test_fill(t->u, (size_t)n_out * (size_t)n_h, 3, 1);
    test_fill(t->x, (size_t)rows * (size_t)n_x, 4, 1);
    test_fill(t->h, (size_t)rows * (size_t)n_h, 5, 1);
    t->x_rows = test_rows(t->x, rows, (size_t)n_x);
    t->h_rows = test_rows(t->h, rows, (size_t)n_h);
    t->source = (struct panels_source){n_out, n_x, n_h, t->bias, NULL, t->w, t->u};
    panels_pack(&t->source, t->panels);
    for (int b = 0; b < rows; b++)
        for (int j = 0; j < n_out; j++) {
            float sum = t->bias[j], fused = t->bias[j];
            for (int k = 0; k < n_x; k++) sum += t->x_rows[b][k] * t->w[j * n_x + k];
            for (int k = 0; k < n_h; k++) sum += t->h_rows[b][k] * t->u[j * n_h + k];
            for (int k = 0; k < n_x; k++) fused = fmaf(t->x_rows[b][k], t->w[j * n_x + k], fused);
            for (int k = 0; k < n_h; k++) fused = fmaf(t->h_rows[b][k], t->u[j * n_h + k], fused);
            t->want[b * n_out + j] = sum;
            t->fused[b * n_out + j] = fused;
        }
}

static void product_test_close(struct product_test *t)
{
    float *all[] = {t->bias, t->w, t->u, t->x, t->h, t->want, t->fused, t->panels};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    free(t->x_rows);
    free(t->h_rows);
}

static void product_check(int rows, int n_x, int n_h, int n_out)
{
    struct product_test t;
    product_test_open(&t, rows, n_x, n_h, n_out);
    const struct product p = {n_x, n_h, panels_count(n_out), t.panels};
    const size_t stride = (size_t)p.n_panels * PANEL + 3; /* rows need not be aligned */
    float *y = test_floats((size_t)rows * stride);
    for (int i = 0; i < N_NAMES; i++) {
        const struct kernels *k = kernels_named(names[i]);
        if (!k) continue;
        const float *want = strcmp(names[i], "portable") == 0 ? t.want : t.fused;
        k->product(&p, rows, (const float *const *)t.x_rows, (const float *const *)t.h_rows, y, stride);
        for (int b = 0; b < rows; b++)
            for (int j = 0; j < n_out; j++)
                cr_assert_eq(y[(size_t)b * stride + (size_t)j], want[b * n_out + j],
                             "%s: %d rows, %d + %d inputs, %d outputs: row %d, column %d", names[i], rows, n_x, n_h,
                             n_out, b, j);
    }
    free(y);
    product_test_close(&t);
}

Test(kernels, product_is_the_sum_in_order_bit_for_bit_at_every_size)
{
    static const int inputs[][2] = {{1, 0}, {0, 1}, {3, 16}, {17, 33}};
    static const int outputs[] = {1, 16, 17, 100, 144};
    for (int rows = 1; rows <= 13; rows++)
        for (size_t i = 0; i < 4; i++)
            for (size_t o = 0; o < 5; o++) product_check(rows, inputs[i][0], inputs[i][1], outputs[o]);
}

Test(kernels, product_lets_not_a_number_spread_to_its_own_row_only)
{
    struct product_test t;
    product_test_open(&t, 7, 5, 0, 20);
    t.x_rows[3][2] = NAN;
    float *y = test_floats(7 * 32);
    kernels_best()->product(&(struct product){5, 0, 2, t.panels}, 7, (const float *const *)t.x_rows, NULL, y, 32);
    for (int b = 0; b < 7; b++)
        for (int j = 0; j < 20; j++) cr_assert_eq(isnan(y[b * 32 + j]) != 0, b == 3);
    free(y);
    product_test_close(&t);
}

/* Everything that one table computes from the same input, as one array of results. */
enum { ROWS = 5, UNITS = 37, WIDTH = 48, N = ROWS * UNITS };
struct everything {
    float state[2][ROWS * 2 * UNITS], y[2][N], tape[2][LSTM_TAPE * N];
    float d_state[2][N], d_a[2][4 * N], activated[4][N], d_activated[4][N], stepped[3][4][N], clipped[N], sum[N],
        decayed[4][N], attended[4][N];
    double squares, distance;
};

static void run_recurrent(const struct kernels *k, const float *a, const float *dh, struct everything *e)
{
    for (int cell = 0; cell < 2; cell++) {
        float **state = test_rows(e->state[cell], ROWS, (size_t)(cell + 1) * UNITS);
        float **y = test_rows(e->y[cell], ROWS, UNITS);
        test_fill(e->state[cell], (size_t)(cell + 1) * N, 20, 0.5f);
        memcpy(e->d_state[cell], dh, N * sizeof(float));
        if (cell == 0) {
            k->gru(ROWS, UNITS, a, 4 * WIDTH, state, y, e->tape[0]);
            k->gru_back(ROWS, UNITS, e->tape[0], e->d_state[0], e->d_a[0]);
        } else {
            k->lstm(ROWS, UNITS, a, 4 * WIDTH, state, y, e->tape[1]);
            k->lstm_back(ROWS, UNITS, e->tape[1], dh, e->d_state[1], e->d_a[1]);
        }
        free(state);
        free(y);
    }
}

/* The moments are a + N and, none negative, what relu has made of a. */
static void run_optimisers(const struct kernels *k, const float *a, const float *gradient, struct everything *e)
{
    const struct optimiser_step step = {0.7f, 0.9f, 0.999f, 1e-8f, 10, 1000, 1e-3f, 0.3f};
    for (int rule = 0; rule < 3; rule++) {
        float(*to)[N] = e->stepped[rule];
        const struct optimiser_arrays arrays = {
            gradient, a, a + N, e->activated[ACTIVATION_RELU], a + 2 * N, to[0], to[1], to[2], to[3]};
        (rule == 0 ? k->adam : rule == 1 ? k->rmsprop : k->sgd)(&step, N, &arrays);
    }
    k->clip(N, 0.5f, gradient, e->clipped);
    e->squares = k->squares(N - 3, gradient);
    e->distance = k->distance(N - 3, gradient, a);
}

/* ROWS keys whose values lie UNITS apart in a; the last key and value get no gradient. */
static void run_attention(const struct kernels *k, const float *a, const float *dh, struct everything *e)
{
    enum { HEADS = 3, D = 11 };
    const float *keys[ROWS], *values[ROWS], age[ROWS] = {0, 1, 2, 3, 4}, slope[HEADS] = {0.5f, 0.25f, 0.125f};
    float *d_k[ROWS] = {NULL}, *d_v[ROWS] = {NULL}, scratch[ROWS];
    for (int i = 0; i < ROWS; i++) {
        keys[i] = a + i * UNITS;
        values[i] = a + N + i * UNITS;
        if (i + 1 < ROWS) d_k[i] = e->attended[2] + i * UNITS, d_v[i] = e->attended[3] + i * UNITS;
    }
    const struct attention t = {ROWS, HEADS, D, 0.3f, slope, keys, values, age};
    float *o = e->attended[0], *p = o + UNITS, *d_q = e->attended[1];
    k->attend(&t, a + 2 * N, o, p, ROWS);
    k->attend_back(&t, a + 2 * N, p, ROWS, dh, d_q, d_k, d_v, scratch);
}

static void run_everything(const struct kernels *k, struct everything *e)
{
    float *a = test_floats(ROWS * 4 * WIDTH), *dh = test_floats(N);
    memset(e, 0, sizeof(*e));
    test_fill(a, ROWS * 4 * WIDTH, 21, 3);
    test_fill(dh, N, 22, 1);
    run_recurrent(k, a, dh, e);
    run_attention(k, a, dh, e);
    for (int g = 0; g < 4; g++) {
        k->activate((enum activation)g, N, a, e->activated[g]);
        k->activate_back((enum activation)g, N, e->activated[g], dh, e->d_activated[g]);
    }
    for (int i = 0; i < 4; i++) memcpy(e->decayed[i], dh, sizeof(e->decayed[i]));
    k->decay(N, 0.7f, a, a + N, e->decayed[0]);
    k->decay_back(N, 0.7f, a, a + N, e->decayed[0], e->decayed[1], e->decayed[2], e->decayed[3]);
    memcpy(e->sum, dh, sizeof(e->sum));
    k->add(N, a, e->sum);
    k->add_rows(ROWS, UNITS, a, UNITS, e->sum);
    run_optimisers(k, a, dh, e);
    free(a);
    free(dh);
}

/* Relative to what is larger: the value or 1, the size of what was added up. */
static void assert_close(const char *name, size_t n, const float *want, const float *got)
{
    for (size_t i = 0; i < n; i++) {
        if (isnan(want[i]) && isnan(got[i])) continue;
        cr_assert_leq(fabsf(got[i] - want[i]), 1e-5f * fmaxf(1, fabsf(want[i])), "%s: %zu: %g, portable %g", name, i,
                      (double)got[i], (double)want[i]);
    }
}

Test(kernels, sets_that_fuse_agree_bit_for_bit_and_with_portable_to_the_last_digits)
{
    struct everything *want = calloc(1, sizeof(*want)), *got = calloc(2, sizeof(*got));
    const size_t networks = offsetof(struct everything, stepped) / sizeof(float);
    int n = 0;
    cr_assert(want && got);
    run_everything(kernels_named("portable"), want);
    for (int i = 1; i < N_NAMES; i++) {
        const struct kernels *k = kernels_named(names[i]);
        if (!k) continue;
        run_everything(k, &got[n]);
        assert_close(names[i], networks, (const float *)want, (const float *)&got[n]);
        assert_close(names[i], sizeof(want->decayed) / sizeof(float), want->decayed[0], got[n].decayed[0]);
        assert_close(names[i], sizeof(want->attended) / sizeof(float), want->attended[0], got[n].attended[0]);
        cr_assert_arr_eq(got[n].clipped, want->clipped, sizeof(want->clipped));
        cr_assert_arr_eq(got[n].sum, want->sum, sizeof(want->sum));
        cr_assert(got[n].squares == want->squares && got[n].distance == want->distance);
        cr_assert_arr_eq(got[n].stepped, want->stepped, sizeof(want->stepped));
        n++;
    }
    if (n == 2) cr_assert_arr_eq(&got[0], &got[1], sizeof(got[0]), "avx2 and avx512");
    free(want);
    free(got);
}

/* Scores over columns in order, sums over keys in order, as they are written down. */
static void attend_by_hand(const struct attention *t, const float *q, float *o, float *p)
{
    for (int h = 0; h < t->heads; h++, p += t->n) {
        float most = -INFINITY, sum = 0;
        for (int a = 0; a < t->n; a++) {
            float dot = 0;
            for (int j = h * t->d; j < (h + 1) * t->d; j++) dot += q[j] * t->k[a][j];
            p[a] = dot * t->scale;
            if (t->age) p[a] -= t->slope[h] * t->age[a];
            if (p[a] > most) most = p[a];
        }
        for (int a = 0; a < t->n; a++) sum += p[a] = math_exp(p[a] - most);
        for (int a = 0; a < t->n; a++) p[a] *= 1 / sum;
        for (int j = h * t->d; j < (h + 1) * t->d; j++) {
            o[j] = 0;
            for (int a = 0; a < t->n; a++) o[j] += p[a] * t->v[a][j];
        }
    }
}

static void attend_check(int n, int heads, int d, bool aged)
{
    const size_t units = (size_t)heads * (size_t)d, shares = (size_t)heads * (size_t)n;
    float *kv = test_floats(2 * (size_t)n * units), *q = test_floats(units), *age = test_floats((size_t)n);
    float *slope = test_floats((size_t)heads), **k = test_rows(kv, n, 2 * units),
          **v = test_rows(kv + units, n, 2 * units);
    float *o = test_floats(units), *p = test_floats(shares), *want_o = test_floats(units),
          *want = test_floats(shares);
    test_fill(kv, 2 * (size_t)n * units, 31, 1);
    test_fill(q, units, 32, 1);
    for (int a = 0; a < n; a++) age[a] = (float)a * 0.7f;
    for (int h = 0; h < heads; h++) slope[h] = 1 / (float)(h + 2);
    const struct attention t = {
        n, heads, d, 0.4f, slope, (const float *const *)k, (const float *const *)v, aged ? age : NULL};
    attend_by_hand(&t, q, want_o, want);
    for (int i = 0; i < N_NAMES; i++) {
        const struct kernels *best = kernels_named(names[i]);
        if (!best) continue;
        best->attend(&t, q, o, p, (size_t)n);
        if (strcmp(names[i], "portable") != 0) { /* e^x is fused there */
            assert_close(names[i], shares, want, p);
            assert_close(names[i], units, want_o, o);
            continue;
        }
        cr_assert_arr_eq(p, want, shares * sizeof(float), "%d keys, %d heads of %d", n, heads, d);
        cr_assert_arr_eq(o, want_o, units * sizeof(float), "%d keys, %d heads of %d", n, heads, d);
    }
    float *all[] = {kv, q, age, slope, o, p, want_o, want};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    free(k);
    free(v);
}

Test(kernels, attention_adds_up_in_order_bit_for_bit_at_every_size)
{
    static const int heads[][2] = {{1, 1}, {1, 3}, {2, 4}, {3, 5}, {5, 7}, {1, 16}, {2, 17}, {4, 16}, {7, 33}};
    static const int keys[] = {1, 2, 3, 4, 5, 16, 17, 37, 64};
    for (size_t h = 0; h < sizeof(heads) / sizeof(heads[0]); h++)
        for (size_t n = 0; n < sizeof(keys) / sizeof(keys[0]); n++)
            attend_check(keys[n], heads[h][0], heads[h][1], (h + n) % 2 == 0);
}

Test(kernels, the_best_set_is_one_of_the_named_ones)
{
    const struct kernels *best = kernels_best();
    cr_assert_eq(kernels_named(best->name), best);
    cr_assert_null(kernels_named("abacus"));
    cr_assert_not_null(kernels_named("portable"));
}

Test(kernels, the_environment_or_a_call_chooses_another_set)
{
    cr_assert_eq(setenv("EDDY_KERNEL", "portable", 1), 0);
    cr_assert_str_eq(kernels_best()->name, "portable");
    cr_assert(kernels_force("auto"));
    cr_assert_str_eq(kernels_best()->name, "portable");
    cr_assert_not(kernels_force("abacus"));
    for (int i = 0; i < N_NAMES; i++) {
        cr_assert_eq(kernels_force(names[i]), kernels_named(names[i]) != NULL);
        if (kernels_named(names[i])) cr_assert_str_eq(kernels_best()->name, names[i]);
    }
}

/* Two weights of 1 with gradients 3 and -0.001 after their first step: weights, moments, variances, averages. */
static void first_step(void (*rule)(const struct optimiser_step *, size_t, const struct optimiser_arrays *),
                       float to[4][2])
{
    const float gradient[2] = {3, -0.001f}, weight[2] = {1, 1}, zero[2] = {0, 0};
    const struct optimiser_step first = {1, 0.9f, 0.999f, 1e-8f, 10, 1000, 0.01f, 0.5f};
    const struct optimiser_arrays arrays = {gradient, weight, zero, zero, weight, to[0], to[1], to[2], to[3]};
    rule(&first, 2, &arrays);
}

Test(kernels, adam_moves_by_the_learning_rate_on_its_first_step)
{
    float to[4][2];
    first_step(kernels_best()->adam, to);
    cr_assert_float_eq(to[0][0], 0.99f, 1e-6f); /* whatever the gradient's size */
    cr_assert_float_eq(to[0][1], 1.01f, 1e-6f);
    cr_assert_float_eq(to[1][0], 0.3f, 1e-6f);
    cr_assert_float_eq(to[2][0], 0.009f, 1e-6f);
    cr_assert_float_eq(to[3][0], 0.995f, 1e-6f);
}

Test(kernels, rmsprop_divides_by_the_root_of_the_mean_square_alone)
{
    float to[4][2];
    first_step(kernels_best()->rmsprop, to);
    cr_assert_float_eq(to[0][0], 1 - 0.01f / 0.0316227766f, 1e-5f); /* sqrt(1 - 0.999) */
    cr_assert_float_eq(to[1][0], 0, 0);
    cr_assert_float_eq(to[2][0], 0.009f, 1e-6f);
    cr_assert_float_eq(to[3][0], 1 - 0.005f / 0.0316227766f, 1e-5f);
}

Test(kernels, sgd_moves_along_the_gradient)
{
    float to[4][2];
    first_step(kernels_best()->sgd, to);
    cr_assert_float_eq(to[0][0], 0.97f, 1e-6f);
    cr_assert_float_eq(to[0][1], 1.00001f, 1e-6f);
    cr_assert_float_eq(to[1][0], 3, 1e-6f);
    cr_assert_float_eq(to[2][0], 0, 0);
}

Test(kernels, clip_limits_both_ways_and_leaves_what_is_not_a_number)
{
    const float a[] = {-3, -0.5f, 0, 0.25f, INFINITY, NAN}, want[] = {-0.5f, -0.5f, 0, 0.25f, 0.5f};
    float clipped[6];
    kernels_best()->clip(6, 0.5f, a, clipped);
    cr_assert_arr_eq(clipped, want, sizeof(want));
    cr_assert(isnan(clipped[5]));
}

Test(kernels, one_number_that_is_not_finite_is_found_anywhere)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    float a[67];
    for (int i = 0; i < N_NAMES; i++) {
        const struct kernels *k = kernels_named(names[i]);
        if (!k) continue;
        test_fill(a, 67, 1, 1e38f / 4);
        cr_assert(k->finite(67, a));
        cr_assert(k->finite(0, a));
        for (int at = 0; at < 67; at++) {
            const float kept = a[at];
            a[at] = bad[at % 3];
            cr_assert_not(k->finite(67, a), "%s: at %d", names[i], at);
            a[at] = kept;
        }
    }
}

Test(kernels, squares_add_up_in_double)
{
    const float a[20] = {3, 4, [17] = 1e30f, [19] = 12};
    cr_assert_float_eq(kernels_best()->squares(17, a), 25, 1e-12);
    cr_assert_float_eq(kernels_best()->distance(17, a, (const float[17]){1, 2, [16] = 4}), 2 * 2 + 2 * 2 + 4 * 4,
                       1e-12);
    cr_assert_float_eq(kernels_best()->squares(20, a) / ((double)1e30f * (double)1e30f), 1, 1e-12);
}

/* One row of 32 numbers: sums over every 16th, added up in halves. */
Test(kernels, the_loops_of_least_squares_give_the_same_bits_in_every_set)
{
    enum { WIDE = 2 * RECURSIVE_WIDTH, PAIRS = 7, ODD = 2 };
    double a[WIDE], none[WIDE] = {0};
    float single[WIDE], none_single[WIDE] = {0}, first_single = 0;
    const double *as[PAIRS];
    const float *singles[PAIRS];
    test_fill(single, WIDE, 1, 1);
    for (int i = 0; i < WIDE; i++) a[i] = (double)single[i] / 3;
    for (int p = 0; p < PAIRS; p++) {
        as[p] = p == ODD ? none : a;
        singles[p] = p == ODD ? none_single : single;
    }
    double sums[RECURSIVE_WIDTH];
    for (int i = 0; i < RECURSIVE_WIDTH; i++) sums[i] = a[i] * a[i] + a[i + RECURSIVE_WIDTH] * a[i + RECURSIVE_WIDTH];
    for (int half = RECURSIVE_WIDTH / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) sums[i] += sums[i + half];
    for (int i = 0; i < N_NAMES; i++) {
        const struct kernels *k = kernels_named(names[i]);
        double sum[PAIRS], follower[WIDE] = {0};
        float sum_single[PAIRS];
        if (!k) continue;
        k->dots_f64(PAIRS, WIDE, as, as, sum);
        k->dots_f32(PAIRS, WIDE, singles, singles, sum_single);
        for (int p = 0; p < PAIRS; p++) {
            cr_expect_eq(sum[p], p == ODD ? 0 : sums[0], "%s, pair %d", names[i], p);
            cr_expect_eq(sum_single[p], p == ODD ? 0 : sum_single[0], "%s, pair %d", names[i], p);
        }
        cr_expect(first_single == 0 || sum_single[0] == first_single, "%s", names[i]);
        first_single = sum_single[0];
        k->follow_f64(WIDE, a, 3, follower);
        cr_expect_eq(follower[7], 3 * a[7]);
    }
}

/* Of five tiles a side, against the whole matrix by hand. */
Test(kernels, a_triangle_is_deflated_and_multiplied_as_the_symmetric_matrix_that_it_stands_for)
{
    enum { WIDE = 5 * RECURSIVE_WIDTH };
    static double whole[WIDE][WIDE], triangle[WIDE * WIDE], s[WIDE], x[WIDE], y[WIDE];
    static float single_triangle[WIDE * WIDE], single_s[WIDE], single_x[WIDE], single_y[WIDE];
    static double fused[WIDE];
    static float fused_single[WIDE];
    int n_fused = 0;
    cr_assert_eq(recursive_row(WIDE), 15 * RECURSIVE_WIDTH * RECURSIVE_WIDTH, "5 + 4 + .. tiles");
    test_fill(single_s, WIDE, 1, 1);
    test_fill(single_x, WIDE, 1, 2);
    for (int i = 0; i < N_NAMES; i++) {
        const struct kernels *k = kernels_named(names[i]);
        if (!k) continue;
        for (int r = 0; r < WIDE; r++) {
            s[r] = (double)single_s[r], x[r] = (double)single_x[r];
            for (int c = 0; c < WIDE; c++) whole[r][c] = 1 / (double)(1 + r + c);
            for (int c = 0; c < RECURSIVE_WIDTH * (r / RECURSIVE_WIDTH + 1); c++) {
                triangle[recursive_row(r) + (size_t)c] = whole[r][c];
                single_triangle[recursive_row(r) + (size_t)c] = (float)whole[r][c];
            }
        }
        k->deflate_f64(WIDE, s, .5, x, triangle, y);
        k->deflate_f32(WIDE, single_s, .5f, single_x, single_triangle, single_y);
        for (int r = 0; r < WIDE; r++) {
            double product = 0;
            for (int c = 0; c < WIDE; c++) {
                const double is = (whole[r][c] - s[r] * s[c]) * .5;
                product += is * x[c];
                if (c >= RECURSIVE_WIDTH * (r / RECURSIVE_WIDTH + 1)) continue;
                const size_t at = recursive_row(r) + (size_t)c;
                cr_assert_float_eq(triangle[at], is, 1e-15, "%s %d %d", names[i], r, c);
                cr_assert_float_eq((double)single_triangle[at], is, 1e-6, "%s %d %d", names[i], r, c);
                if (c / RECURSIVE_WIDTH == r / RECURSIVE_WIDTH)
                    cr_assert_eq(triangle[at], triangle[recursive_row(c) + (size_t)r], "both halves of a tile");
            }
            cr_assert_float_eq(y[r], product, 1e-13, "%s %d", names[i], r);
            cr_assert_float_eq((double)single_y[r], product, 1e-4, "%s %d", names[i], r);
        }
        if (strcmp(names[i], "portable") == 0) continue;
        if (n_fused++) cr_assert_arr_eq(y, fused, sizeof(y), "%s", names[i]);
        if (n_fused > 1) cr_assert_arr_eq(single_y, fused_single, sizeof(single_y), "%s", names[i]);
        memcpy(fused, y, sizeof(y));
        memcpy(fused_single, single_y, sizeof(single_y));
    }
}

Test(kernels, hubers_loss_and_known_labels_are_the_same_bits_in_every_set)
{
    enum { MANY = 37 };
    float y[MANY], label[MANY], d[MANY], d_want[MANY];
    double want = 0, part[16] = {0};
    const float delta = .5f, weight = .3f;
    test_fill(y, MANY, 1, 1);
    for (int i = 0; i < MANY; i++) {
        label[i] = i % 5 == 4 ? NAN : i % 3 == 0 ? y[i] - .25f : -y[i];
        const float e = i % 5 == 4 ? 0 : y[i] - label[i], size = fabsf(e);
        d_want[i] = fmaxf(fminf(e, delta), -delta) * weight;
        part[i % 16] += (double)(size <= delta ? e * e / 2 : delta * (size - delta / 2));
    }
    for (int i = 0; i < 16; i++) want += part[i];
    for (int i = 0; i < N_NAMES; i++) {
        const struct kernels *k = kernels_named(names[i]);
        if (!k) continue;
        cr_expect_eq(k->known(MANY, label), MANY - 7, "%s", names[i]);
        cr_expect_eq(k->huber(MANY, delta, weight, y, label, d), want, "%s", names[i]);
        for (int j = 0; j < MANY; j++) cr_expect_eq(d[j], d_want[j], "%s %d", names[i], j);
    }
}

/* A window by itself: engine/math/tail.h, as one would write it down. */
static double tail_by_hand(struct tail *t, double share, int64_t n_events, double gain, double decades)
{
    const double off = share - t->mean, z = off / fmax(sqrt(t->variance), 1e-6);
    double tail = 0;
    if (z > -1) tail = tail_table[TAIL_STEPS];
    if (z > -1 && z < 9) {
        const int i = (int)((z + 1) * 4);
        tail = tail_table[i] + ((z + 1) * 4 - i) * (tail_table[i + 1] - tail_table[i]);
    }
    t->mean += gain * off;
    t->variance += gain * (off * off - t->variance);
    return n_events > 20 ? fmin(tail / decades, 1) : 0;
}

Test(kernels, windows_of_hits_are_judged_with_the_same_bits_in_every_set)
{
    enum { MOST = 9, LISTS = 3, STRIDE = 5, EVENTS = 300 };
    static const int length[MOST] = {16, 20, 26, 60, 64, 1, 7, 33, 63};
    for (int i = 0; i < N_NAMES; i++) {
        const struct kernels *k = kernels_named(names[i]);
        if (!k) continue;
        for (int n = 1; n <= MOST; n++)
            for (int lists = 1; lists <= LISTS; lists++) {
                struct tail got[MOST] = {{0, 0}}, want[MOST] = {{0, 0}};
                uint64_t hit[LISTS * STRIDE] = {0}, random = 1;
                for (int t = 0; t < EVENTS; t++) {
                    for (int list = 0; list < lists; list++, random = random * 6364136223846793005u + 1)
                        hit[list * STRIDE] = hit[list * STRIDE] << 1 | ((random >> 40) % 100 < (t < 250 ? 8u : 90u));
                    const struct tail_windows w = {n, length, lists, hit, STRIDE, t, fmax(1. / (t + 1), .01), 10};
                    double evidence[MOST];
                    k->tails(&w, got, evidence);
                    for (int j = 0; j < n; j++) {
                        double share = 0;
                        for (int list = 0; list < lists; list++)
                            share += scalar_bits(hit[list * STRIDE] << (64 - length[j])) / (double)length[j];
                        const double by_hand = tail_by_hand(&want[j], share / lists, t, w.gain, w.decades);
                        cr_assert_eq(evidence[j], by_hand, "%s: window %d of %d, event %d", names[i], j, n, t);
                    }
                    cr_assert_arr_eq(got, want, sizeof(got));
                }
            }
    }
}

Test(kernels, a_series_meets_its_own_past_with_the_same_bits_in_every_set)
{
    enum { NEW = 7, LAGS = 3 * CORRELATE_LAGS };
    float gain[NEW], x[NEW], series[NEW + LAGS], start[LAGS], r[LAGS], want[LAGS];
    test_fill(series, NEW + LAGS, 1, 1);
    test_fill(start, LAGS, 2, 1);
    for (int k = 0; k < NEW; k++) { /* the newest stands first */
        x[k] = series[NEW - 1 - k];
        gain[k] = 1.f / (float)(k + 3);
    }
    memcpy(want, start, sizeof(start));
    for (int i = 0; i < LAGS; i++)
        for (int k = 0; k < NEW; k++) want[i] += gain[k] * (x[k] * series[NEW - 1 - k + i + 1] - want[i]);
    for (int i = 0; i < N_NAMES; i++) {
        const struct kernels *k = kernels_named(names[i]);
        if (!k) continue;
        memcpy(r, start, sizeof(start));
        k->correlate(NEW, gain, x, series + NEW, LAGS, r);
        cr_expect_arr_eq(r, want, sizeof(r), "%s", names[i]);
    }
}

#include "engine/math/matmul.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "tests/unit/model/fixture.h"

Test(matmul, agrees_with_the_definition)
{
    const float a[] = {1, 2, 3, 4, 5, 6}, b[] = {1, 0, -1, 2, 1, 1}; /* a [2,3] or [3,2], b [3,2] */
    float c[4] = {10, 10, 10, 10};
    matmul_single_thread();
    matmul(2, 2, 3, (struct matrix){a, 3}, (struct matrix){b, 2}, 1, c, 2);
    const float added[4] = {10 + 1 - 2 + 3, 10 + 4 + 3, 10 + 4 - 5 + 6, 10 + 10 + 6};
    cr_assert_arr_eq(c, added, sizeof(c));
    matmul_tn(2, 2, 3, (struct matrix){a, 2}, (struct matrix){b, 2}, 0, c, 2);
    const float transposed[4] = {1 - 3 + 5, 6 + 5, 2 - 4 + 6, 8 + 6};
    cr_assert_arr_eq(c, transposed, sizeof(c));
}

Test(matmul, of_no_steps_is_what_was_there_or_nothing)
{
    const float none[4] = {NAN, NAN, NAN, NAN}, there[4] = {1, 2, 3, 4};
    float c[4] = {1, 2, 3, 4};
    matmul_single_thread();
    matmul(2, 2, 0, (struct matrix){none, 2}, (struct matrix){none, 2}, 1, c, 2);
    cr_assert_arr_eq(c, there, sizeof(c));
    matmul_tn(2, 2, 0, (struct matrix){none, 2}, (struct matrix){none, 2}, 0, c, 2);
    for (int i = 0; i < 4; i++) cr_expect_eq(c[i], 0);
}

enum { APART = 3, EDGE = 7 }; /* floats between rows, and behind the last that nobody may touch */

struct matmul_test {
    struct matmul p;
    float *a, *b, *c, *want;
    size_t n_c;
};

/* want: every sum in order of k, each product and sum rounded once. */
static void matmul_test_open(struct matmul_test *t, int m, int n, int k, bool turned, bool adds)
{
    const size_t lda = (size_t)(turned ? m : k) + APART, ldb = (size_t)n + APART, ldc = (size_t)n + APART;
    const size_t n_a = lda * (size_t)(turned ? k : m), n_b = ldb * (size_t)k;
    t->n_c = ldc * (size_t)m + EDGE;
    t->a = test_floats(n_a);
    t->b = test_floats(n_b);
    t->c = test_floats(t->n_c);
    t->want = test_floats(t->n_c);
    test_fill(t->a, n_a, 1, 1);
    test_fill(t->b, n_b, 2, 1);
    test_fill(t->want, t->n_c, 3, 1);
    t->p = (struct matmul){.m = m,
                           .n = n,
                           .k = k,
                           .a = t->a,
                           .b = t->b,
                           .c = t->c,
                           .a_row = turned ? 1 : lda,
                           .a_step = turned ? lda : 1,
                           .ldb = ldb,
                           .ldc = ldc,
                           .adds = adds};
    for (size_t i = 0; i < (size_t)m; i++)
        for (size_t j = 0; j < (size_t)n; j++) {
            float sum = adds ? t->want[i * ldc + j] : 0;
            for (size_t s = 0; s < (size_t)k; s++)
                sum = fmaf(t->a[i * t->p.a_row + s * t->p.a_step], t->b[s * ldb + j], sum);
            t->want[i * ldc + j] = sum;
        }
}

static void matmul_test_close(struct matmul_test *t)
{
    free(t->a);
    free(t->b);
    free(t->c);
    free(t->want);
}

/* Returns how many sets have loops of their own. */
static int matmul_test_sets(struct matmul_test *t)
{
    static const char *const names[] = {"portable", "avx2", "avx512"};
    int n = 0;
    for (int i = 0; i < 3; i++) {
        const struct kernels *set = kernels_named(names[i]);
        if (!set || !set->matmul) continue;
        test_fill(t->c, t->n_c, 3, 1);
        set->matmul(&t->p);
        cr_expect(memcmp(t->c, t->want, t->n_c * sizeof(float)) == 0, "%s: [%d, %d] over %d%s%s", names[i], t->p.m,
                  t->p.n, t->p.k, t->p.a_row == 1 ? ", turned" : "", t->p.adds ? ", added" : "");
        n++;
    }
    return n;
}

/* Blocks of rows and vectors, columns that fill no vector, and runs of k: each at, below and above its size. */
Test(matmul, of_every_set_adds_up_in_order_and_touches_nothing_else)
{
    static const int rows[] = {1, 2, 3, 4, 5, 6, 7, 13}, columns[] = {1, 7, 8, 9, 15, 16, 17, 33, 64, 65, 113},
                     steps[] = {1, 2, 127, 128, 129, 300};
    enum { N_ROWS = sizeof(rows) / sizeof(rows[0]), N_COLUMNS = sizeof(columns) / sizeof(columns[0]) };
    enum { N_STEPS = sizeof(steps) / sizeof(steps[0]), N_CASES = N_ROWS * N_COLUMNS * N_STEPS * 4 };
    int sets = 0;
    for (int i = 0; i < N_CASES; i++) {
        struct matmul_test t;
        const int at = i / 4;
        matmul_test_open(&t, rows[at % N_ROWS], columns[at / N_ROWS % N_COLUMNS], steps[at / N_ROWS / N_COLUMNS],
                         i % 2, i / 2 % 2);
        sets += matmul_test_sets(&t);
        matmul_test_close(&t);
    }
    if (sets == 0) cr_log_warn("this processor has neither AVX2 nor AVX-512: OpenBLAS does these products");
}

Test(matmul, of_numbers_that_are_none_stays_none_in_its_rows_alone)
{
    struct matmul_test t;
    matmul_test_open(&t, 8, 20, 5, false, false);
    t.a[3 * t.p.a_row + 2] = NAN;
    const struct kernels *set = kernels_best();
    if (set->matmul) {
        set->matmul(&t.p);
        for (size_t i = 0; i < 8; i++)
            for (size_t j = 0; j < 20; j++) cr_expect_eq(isnan(t.c[i * t.p.ldc + j]) != 0, i == 3);
    }
    matmul_test_close(&t);
}

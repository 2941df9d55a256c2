/* The experts against statsmodels: tests/golden/experts/NAME.txt, written by tests/golden/experts.py, which says how
 * the two begin alike.  Run from the root of the tree. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/forecast/experts_fixture.h"

enum { MAX_FILES = 50, MAX_PATH = 120 };

struct golden_file {
    char path[MAX_PATH];
};

/* Parameters of a test may not point into the heap. */
static struct golden_file files[MAX_FILES];

static double deviation(const double *x, int n)
{
    double mean = 0, square = 0;
    for (int i = 0; i < n; i++) mean += x[i] / n;
    for (int i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean) / n;
    return sqrt(square);
}

static double *golden_series(FILE *f, int *n)
{
    cr_assert_eq(fscanf(f, " series %d", n), 1);
    double *x = calloc((size_t)*n, sizeof(*x));
    cr_assert(x);
    for (int i = 0; i < *n; i++) cr_assert_eq(fscanf(f, "%lf", &x[i]), 1);
    return x;
}

ParameterizedTestParameters(golden_experts, forecast_what_statsmodels_forecasts)
{
    glob_t found = {0};
    cr_assert_eq(glob("tests/golden/experts/*.txt", 0, NULL, &found), 0,
                 "no golden files: run from the root of the tree");
    cr_assert_leq(found.gl_pathc, MAX_FILES);
    for (size_t i = 0; i < found.gl_pathc; i++)
        (void)snprintf(files[i].path, sizeof(files[i].path), "%s", found.gl_pathv[i]);
    const size_t n = found.gl_pathc;
    globfree(&found);
    return cr_make_param_array(struct golden_file, files, n);
}
ParameterizedTest(struct golden_file *file, golden_experts, forecast_what_statsmodels_forecasts)
{
    char yaml[400];
    int season, n_horizons, horizons[TEST_HORIZONS], n, n_origins, seen = 0;
    double tolerance, want;
    struct test_expert t;
    FILE *f = fopen(file->path, "r");
    cr_assert(f, "%s", file->path);
    cr_assert_eq(fscanf(f, " expert %399[^\n] season %d horizons %d", yaml, &season, &n_horizons), 3);
    cr_assert_leq(n_horizons, TEST_HORIZONS);
    for (int j = 0; j < n_horizons; j++) cr_assert_eq(fscanf(f, "%d", &horizons[j]), 1);
    cr_assert_eq(fscanf(f, " tolerance %lf", &tolerance), 1);
    double *x = golden_series(f, &n);
    cr_assert_eq(fscanf(f, " forecasts %d", &n_origins), 1);

    test_expert_open_at(&t, yaml, season, n_horizons, horizons);
    for (int k = 0; k < n_origins; k++) {
        int origin;
        cr_assert(fscanf(f, "%d", &origin) == 1 && origin <= n);
        while (seen < origin) test_expert_fold(&t, x[seen++]);
        for (int j = 0; j < n_horizons; j++) {
            cr_assert_eq(fscanf(f, "%lf", &want), 1);
            cr_assert_float_eq(t.forecast[j], want, tolerance * deviation(x, n),
                               "%s: after %d values, %d ahead: %.9g, golden %.9g, deviation %g", file->path, origin,
                               horizons[j], t.forecast[j], want, deviation(x, n));
        }
    }
    test_expert_close(&t);
    free(x);
    fclose(f);
}

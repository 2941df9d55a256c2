/* What holds for every expert, however it is set up. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/forecast/experts_cases.h"
#include "tests/unit/forecast/experts_fixture.h"

enum { SEASON = 24 };

/* Parameters of a test may not point into the heap. */
struct expert_case {
    char yaml[120];
};
static struct expert_case cases[N_EXPERT_CASES];

static struct criterion_test_params all_cases(void)
{
    for (int i = 0; i < N_EXPERT_CASES; i++)
        (void)snprintf(cases[i].yaml, sizeof(cases[i].yaml), "%s", expert_cases[i]);
    return cr_make_param_array(struct expert_case, cases, N_EXPERT_CASES);
}
#define EVERY_EXPERT(name)                                                                                           \
    ParameterizedTestParameters(experts, name)                                                                       \
    {                                                                                                                \
        return all_cases();                                                                                          \
    }                                                                                                                \
    ParameterizedTest(struct expert_case *c, experts, name)

static double seasonal(int i)
{
    return 20 + 5 * sin(2 * 3.14159265358979 * i / SEASON) + test_noise(3, i);
}

static double series_constant(int i)
{
    (void)i;
    return 42;
}
static double series_zero(int i)
{
    (void)i;
    return 0;
}
static double series_jumps(int i)
{
    return i % 97 == 50 ? 1e308 : i % 97 == 70 ? -1e308 : test_noise(1, i);
}
static double series_largest(int i)
{
    return i % 2 ? DBL_MAX : -DBL_MAX;
}
static double series_denormal(int i)
{
    return i % 3 ? 5e-324 : -5e-324;
}
static double series_alternating(int i)
{
    return i % 2 ? 1 : -1;
}
static double series_exponential(int i)
{
    return pow(1.5, i % 1700);
}
static double series_holes(int i)
{
    return i % 3 == 1 || (i / 200) % 2 ? NAN : seasonal(i);
}
static double series_step(int i)
{
    return i < 500 ? test_noise(1, i) : 1e12;
}
static double series_spike_after_constant(int i)
{
    return i == 700 ? 1e9 : 1;
}
static double series_ramp(int i)
{
    return 1e15 * i * i;
}
static double (*const hostile[])(int) = {
    series_constant,
    series_zero,
    series_jumps,
    series_largest,
    series_denormal,
    series_ramp,
    series_holes,
    series_alternating,
    series_exponential,
    series_step,
    series_spike_after_constant,
};

static void assert_sane(const struct test_expert *t, const char *yaml, int series, int i)
{
    for (int j = 0; j < t->shape.n_horizons; j++)
        cr_assert(isfinite(t->forecast[j]), "%s, series %d, step %d: %g", yaml, series, i, t->forecast[j]);
    for (size_t k = 0; k + sizeof(double) <= t->bytes; k += sizeof(double)) {
        double v; /* counters and pairs of sane floats look like finite doubles as well */
        memcpy(&v, (const char *)t->state + k, sizeof(v));
        cr_assert(isfinite(v), "%s, series %d, step %d: state at %zu", yaml, series, i, k);
    }
}

EVERY_EXPERT(stays_finite_whatever_comes)
{
    for (int s = 0; s < (int)(sizeof(hostile) / sizeof(*hostile)); s++) {
        struct test_expert t;
        test_expert_open(&t, c->yaml, SEASON);
        for (int i = 0; i < 2000; i++) {
            test_expert_fold(&t, hostile[s](i));
            assert_sane(&t, c->yaml, s, i);
        }
        test_expert_close(&t);
    }
}

EVERY_EXPERT(recovers_after_a_glitch)
{
    struct test_expert t;
    double largest = 0;
    test_expert_open(&t, c->yaml, SEASON);
    for (int i = 0; i < 1500; i++) {
        test_expert_fold(&t, i == 600 ? 65535 : seasonal(i));
        if (i > 1000) largest = fmax(largest, fmax(fabs(t.forecast[0]), fabs(t.forecast[TEST_HORIZONS - 1])));
    }
    cr_assert_lt(largest, 200, "%s: %g", c->yaml, largest);
    test_expert_close(&t);
}

EVERY_EXPERT(knows_nothing_before_the_first_value_and_something_from_it_on)
{
    struct test_expert t;
    test_expert_open(&t, c->yaml, SEASON);
    for (int i = 0; i < 60; i++) {
        test_expert_fold(&t, NAN);
        for (int j = 0; j < TEST_HORIZONS; j++) cr_assert(isnan(t.forecast[j]));
    }
    test_expert_fold(&t, 17);
    for (int j = 0; j < TEST_HORIZONS; j++) cr_assert_float_eq(t.forecast[j], 17, 1e-9, "%s", c->yaml);
    test_expert_close(&t);
}

EVERY_EXPERT(goes_on_forecasting_through_a_gap)
{
    struct test_expert t;
    test_expert_open(&t, c->yaml, SEASON);
    for (int i = 0; i < 500; i++) test_expert_fold(&t, seasonal(i));
    for (int i = 500; i < 560; i++) {
        test_expert_fold(&t, NAN);
        for (int j = 0; j < TEST_HORIZONS; j++)
            cr_assert(fabs(t.forecast[j] - 20) < 100, "%s: %g", c->yaml, t.forecast[j]);
    }
    test_expert_close(&t);
}

EVERY_EXPERT(forecasts_a_constant_when_nothing_ever_changed)
{
    struct test_expert t;
    test_expert_open(&t, c->yaml, SEASON);
    for (int i = 0; i < 300; i++) test_expert_fold(&t, 42);
    for (int j = 0; j < TEST_HORIZONS; j++) cr_assert_float_eq(t.forecast[j], 42, 1e-6, "%s", c->yaml);
    test_expert_close(&t);
}

EVERY_EXPERT(is_its_state_and_nothing_else)
{
    struct test_expert one, two;
    test_expert_open(&one, c->yaml, SEASON);
    for (int i = 0; i < 400; i++) test_expert_fold(&one, i % 11 == 5 ? NAN : seasonal(i));
    test_expert_open(&two, c->yaml, SEASON);
    memcpy(two.state, one.state, one.bytes);
    two.scale = one.scale;
    if (one.model) memcpy(two.model, one.model, one.model_bytes);
    if (one.contributions) memcpy(two.contributions, one.contributions, TEST_SHARE_EVERY * one.contribution_bytes);
    two.count = one.count;
    for (int i = 400; i < 800; i++) {
        test_expert_fold(&one, i % 11 == 5 ? NAN : seasonal(i));
        test_expert_fold(&two, i % 11 == 5 ? NAN : seasonal(i));
        cr_assert_eq(memcmp(one.forecast, two.forecast, sizeof(one.forecast)), 0, "%s, step %d", c->yaml, i);
    }
    cr_assert_eq(memcmp(one.state, two.state, one.bytes), 0, "%s", c->yaml);
    test_expert_close(&one);
    test_expert_close(&two);
}

EVERY_EXPERT(forecasts_the_same_whichever_horizons_are_asked_for)
{
    static const int few[] = {3, 24};
    struct test_expert all, some;
    test_expert_open(&all, c->yaml, SEASON);
    test_expert_open_at(&some, c->yaml, SEASON, 2, few);
    for (int i = 0; i < 400; i++) {
        test_expert_fold(&all, seasonal(i));
        test_expert_fold(&some, seasonal(i));
        cr_assert_eq(all.forecast[2], some.forecast[0]);
        cr_assert_eq(all.forecast[23], some.forecast[1]);
    }
    test_expert_close(&all);
    test_expert_close(&some);
}

EVERY_EXPERT(does_not_depend_on_the_unit)
{
    struct test_expert one, other;
    test_expert_open(&one, c->yaml, SEASON);
    test_expert_open(&other, c->yaml, SEASON);
    for (int i = 0; i < 600; i++) {
        test_expert_fold(&one, seasonal(i));
        test_expert_fold(&other, -1024 * seasonal(i));
        for (int j = 0; j < TEST_HORIZONS; j++)
            cr_assert_float_eq(other.forecast[j], -1024 * one.forecast[j], 1024 * 1e-3, "%s, step %d", c->yaml, i);
    }
    test_expert_close(&one);
    test_expert_close(&other);
}

EVERY_EXPERT(keeps_a_step_in_its_own_place)
{
    struct test_expert t;
    test_expert_open(&t, c->yaml, SEASON);
    unsigned char *before = malloc((size_t)t.n_kept * t.kept_each + 1);
    cr_assert(before);
    for (int i = 0; i < 200; i++) {
        if (t.kept) memcpy(before, t.kept, (size_t)t.n_kept * t.kept_each);
        const int own = t.n_kept > 0 ? (int)(t.count % t.n_kept) : 0;
        test_expert_fold(&t, i % 11 == 5 ? NAN : seasonal(i));
        for (int k = 0; k < t.n_kept; k++)
            cr_assert(k == own || memcmp(before + (size_t)k * t.kept_each, t.kept + (size_t)k * t.kept_each,
                                         t.kept_each) == 0,
                      "%s, step %d: place %d", c->yaml, i, k);
    }
    free(before);
    test_expert_close(&t);
}

Test(experts, say_what_they_cost)
{
    for (int i = 0; experts_built_in[i]; i++) {
        struct test_expert t;
        const char *name = experts_built_in[i]->name, *summary = experts_built_in[i]->summary;
        char said[40];
        test_expert_open(&t, name, SEASON);
        (void)snprintf(said, sizeof(said), " %zu bytes", t.bytes);
        cr_assert(strstr(summary, said), "%s keeps%s, but says: %s", name, said, summary);
        test_expert_close(&t);
    }
}

Test(experts, each_is_among_the_cases)
{
    for (int i = 0; experts_built_in[i]; i++) {
        bool found = false;
        for (int k = 0; k < N_EXPERT_CASES; k++)
            found = found || strcmp(expert_cases[k], experts_built_in[i]->name) == 0;
        cr_assert(found, "%s", experts_built_in[i]->name);
    }
}

Test(experts, refuse_a_season_that_nobody_has_named)
{
    cr_assert(strstr(test_expert_refusal("holt_winters", 0), "holt_winters: no season is known"));
    cr_assert(strstr(test_expert_refusal("seasonal_naive", 0), "seasonal_naive: {season: 24}"));
    cr_assert(strstr(test_expert_refusal("holt_winters: {season: 1}", 0), "at least 2"));
    cr_assert_str_empty(test_expert_refusal("holt_winters: {season: 24}", 0));
    cr_assert_str_empty(test_expert_refusal("seasonal_naive", 24));
}

Test(experts, refuse_half_known_coefficients_and_too_many_candidates)
{
    cr_assert(strstr(test_expert_refusal("arima: {p: 2, q: 1, ar: [0.5, 0.2]}", 0), "give all or none"));
    cr_assert(strstr(test_expert_refusal("arima: {p: 2, q: 0, ar: [0.5]}", 0), "1 coefficients for p = 2"));
    cr_assert_str_empty(test_expert_refusal("arima: {p: 2, q: 0, ar: [0.5, 0.2]}", 0));
    cr_assert(strstr(test_expert_refusal("holt: {alpha: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], beta: [0.1, 0.2, 0.3, "
                                         "0.4, 0.5, 0.6, 0.7], phi: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}",
                                         0),
                     "294 combinations"));
}

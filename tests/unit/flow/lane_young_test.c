/* Windows that are cut as though their key were new (train.young). */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "fixture.h"

static const int64_t HOUR_NS = 3600000000000, START_NS = 1700000000000000000;
enum { WINDOW = 16, LATE = 48, LAST = LATE + WINDOW - 1, END = 80 };

#define PIPELINE                                                                                                     \
    "forecast: {season: 24h, horizons: [1, 3], network: {layers: [{gru: {units: 4}}]}}\n"                            \
    "train: {mode: inline, every: 4, window: 16, epoch: 16, windows: 64"

/* A wave on a level far from 0; one value is missing inside the window that is compared. */
static double value(int64_t i)
{
    return i == LATE + 5 ? NAN : 1000 + 3 * sin((double)i * .4) + .1 * (double)(i % 7);
}

/* The window that ends with the event LAST of a key whose first event is `first`. */
static void window_of(const char *yaml, int64_t first, float *block, size_t *n)
{
    struct fixture_lane f;
    struct window_set set = {.most_bytes = 1 << 24, .below = UINT64_MAX};
    fixture_open(&f, yaml, 1, NULL, 100);
    lane_gather(f.lane, &set);
    for (int64_t i = first; i < END; i++) {
        const double x = value(i);
        fixture_feed(&f, i, "key", START_NS + i * HOUR_NS, &x);
    }
    *n = 0;
    for (int64_t i = 0; i < set.n; i++) {
        if (set.item[i].offset != LAST) continue;
        *n = set.floats;
        memcpy(block, set.item[i].block, set.floats * sizeof(*block));
    }
    cr_assert_gt(*n, 0, "no window ends at %d", LAST);
    window_set_free(&set);
    fixture_close(&f);
}

/* The largest difference of two windows; one label that only one of them has counts as infinite. */
static double apart(const float *a, const float *b, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(a[i]) && isnan(b[i])) continue;
        most = fmax(most, isnan(a[i]) || isnan(b[i]) ? INFINITY : fabs((double)a[i] - (double)b[i]));
    }
    return most;
}

Test(young, a_young_window_of_an_old_key_is_that_of_a_new_key_with_the_same_values)
{
    float old[1024], new[1024], usual[1024];
    size_t n_old, n_new, n_usual;
    window_of(PIPELINE ", young: 1}\n", 0, old, &n_old);
    window_of(PIPELINE "}\n", LATE, new, &n_new);
    window_of(PIPELINE "}\n", 0, usual, &n_usual);
    cr_assert_eq(n_old, n_new);
    cr_assert_eq(n_old, n_usual);
    cr_expect_lt(apart(old, new, n_old), 1e-5, "%g apart", apart(old, new, n_old));
    cr_expect_gt(apart(old, usual, n_old), .1, "an old key's own window looks the same");
}

Test(young, a_young_window_has_no_labels_once_a_new_key_would_know_its_season)
{
    float old[1024], new[1024];
    size_t n, n_new;
    window_of("forecast: {season: 8, horizons: [1], network: {layers: [{gru: {units: 4}}]}}\n"
              "train: {mode: inline, every: 4, window: 16, epoch: 16, windows: 64, young: 1}\n",
              0, old, &n);
    window_of("forecast: {season: 8, horizons: [1], network: {layers: [{gru: {units: 4}}]}}\n"
              "train: {mode: inline, every: 4, window: 16, epoch: 16, windows: 64}\n",
              LATE, new, &n_new);
    cr_assert_eq(n, n_new);
    const float *labels = old + n - WINDOW, *others = new + n - WINDOW;
    for (int k = 0; k < WINDOW; k++) {
        if (k >= 8)
            cr_expect(isnan(labels[k]), "step %d", k);
        else
            cr_expect(isnan(labels[k]) ? isnan(others[k]) : fabsf(labels[k] - others[k]) < 1e-5f, "step %d", k);
    }
    cr_expect(!isnan(labels[0]) && !isnan(others[9]));
}

Test(young, windows_reach_twice_as_far_as_the_largest_horizon)
{
    struct fixture_lane f;
    fixture_open(&f,
                 "forecast: {horizons: [1, 24], network: {layers: [{gru: {units: 4}}]}}\n"
                 "train: {mode: inline, every: 4, window: 8, young: 0.5}\n",
                 1, NULL, 100);
    cr_expect_eq(f.plan->networks[0].window.n_steps, 48);
    fixture_close(&f);
}

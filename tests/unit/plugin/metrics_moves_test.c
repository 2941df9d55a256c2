/* Brier scores of moves against numbers worked out by hand. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "plugin/metrics.h"

static const double bands[] = {0.5};

static void moves_add(struct metrics *m, double y, const double *moves /* [3] */)
{
    static const char *const names[] = {"v"};
    static const struct eddy_schema schema = {.n_values = 1, .names = names};
    static const int horizons[] = {1};
    const double lower[] = {y - 1}, upper[] = {y + 1};
    const struct eddy_result r = {.key = "a",
                                  .key_len = 1,
                                  .topic = "f",
                                  .schema = &schema,
                                  .y = &y,
                                  .n_horizons = 1,
                                  .horizons = horizons,
                                  .forecast = &y,
                                  .lower = lower,
                                  .upper = upper,
                                  .n_bands = 1,
                                  .coverages = bands,
                                  .band_lower = lower,
                                  .band_upper = upper,
                                  .moves = moves};
    metrics_add(m, &r);
}

static void moves_open(struct metrics **m, const struct settings *settings)
{
    struct eddy_error err;
    const struct metrics_request request = {.settings = settings};
    cr_assert_eq(metrics_open(&request, m, &err), EDDY_OK);
}

/* Came: up, flat, down.  (.2, .5, .3): .04 + .25 + .49, .04 + .25 + .09, .64 + .25 + .09.  Shares in hindsight: a third
 * each, 1 - 3 / 9. */
Test(metrics_moves, brier_scores_equal_those_worked_out_by_hand)
{
    static const struct settings settings = {.forecast = {.bands = {1, bands}, .moves = {.flat = .5}}};
    static const double said[] = {.2, .5, .3};
    struct metrics *m;
    struct metrics_horizon h;
    moves_open(&m, &settings);
    for (int i = 0; i < 4; i++) moves_add(m, (const double[]){100, 101, 101.4, 99}[i], said);
    cr_assert(metrics_horizon(m, 0, &h));
    cr_assert_float_eq(h.brier, (.78 + .38 + .98) / 3, 1e-12);
    cr_assert_float_eq(h.brier_climatology, 2. / 3, 1e-12);
    metrics_close(m);
}

Test(metrics_moves, a_share_of_the_price_is_meant_where_it_is_transformed)
{
    static const struct eddy_pair word = {"default", "log", 0};
    static const struct settings settings = {
        .forecast = {.bands = {1, bands}, .moves = {.flat = .1}, .transform = {1, &word}}};
    static const double up[] = {0, 0, 1}, unknown[] = {NAN, NAN, NAN};
    struct metrics *m;
    struct metrics_horizon h;
    moves_open(&m, &settings);
    moves_add(m, 1000, up);
    moves_add(m, 1050, up); /* 5 %: flat, a mistake of 2 */
    moves_add(m, 1300, up);
    moves_add(m, 0, unknown); /* no price */
    moves_add(m, 1300, unknown);
    moves_add(m, 1300, up);
    cr_assert(metrics_horizon(m, 0, &h));
    cr_assert_float_eq(h.brier, 1, 1e-12, "2 and 0: %g", h.brier);
    metrics_close(m);
}

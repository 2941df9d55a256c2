/* Prices in a lane: another domain, bands by volatility, moves. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "eddy_layer.h"
#include "fixture.h"

static const int64_t DAY = 86400000000000, START = 1700000000000000000;

#define PRICES                                                                                                       \
    "forecast: {horizons: [1, 4, 16], experts: [persistence], season: none, transform: log_return, volatility: "     \
    "ewma, moves: {flat: 0.005}}\ntrain: {mode: off}\n"

/* A random walk of the logarithm, 1 % a step, from `start`. */
static double price(int i, double start)
{
    static double sum;
    if (i == 0) sum = 0;
    sum += .01 * (double)eddy_random_normal(3, (uint64_t)i);
    return start * exp(sum);
}

static void prices_run(struct fixture_lane *f, int n, double start)
{
    for (int i = 0; i < n; i++) fixture_feed(f, i, "ACME", START + i * DAY, (double[]){price(i, start)});
}

Test(lane_prices, values_are_written_as_they_came_and_forecasts_in_their_units)
{
    struct fixture_lane f;
    fixture_open(&f, PRICES, 1, NULL, 100);
    prices_run(&f, 300, 100);
    const struct eddy_result *r = fixture_feed(&f, 300, "ACME", START + 300 * DAY, (double[]){104.35});
    cr_assert_eq(r->y[0], 104.35, "to the last bit");
    cr_assert_float_eq(r->forecast[0], 104.35, 1e-9);
    cr_assert(r->lower[0] < 104.35 && r->upper[0] > 104.35 && r->lower[0] > 90);
    fixture_close(&f);
}

Test(lane_prices, bands_grow_with_the_root_of_the_horizon)
{
    struct fixture_lane f;
    fixture_open(&f, PRICES, 1, NULL, 100);
    prices_run(&f, 1000, 100);
    const struct eddy_result *r = fixture_feed(&f, 1000, "ACME", START + 1000 * DAY, (double[]){price(1000, 100)});
    double width[3];
    for (int j = 0; j < 3; j++) width[j] = log(r->upper[j] / r->lower[j]);
    cr_assert_float_eq(width[0], 2 * 1.645 * .01, .01);
    cr_assert_float_eq(width[1] / width[0], 2, .4);
    cr_assert_float_eq(width[2] / width[0], 4, .9);
    fixture_close(&f);
}

Test(lane_prices, a_price_of_a_hundred_times_as_much_is_judged_alike)
{
    struct fixture_lane cheap, dear;
    fixture_open(&cheap, PRICES, 1, NULL, 100);
    fixture_open(&dear, PRICES, 1, NULL, 100);
    prices_run(&cheap, 500, 1);
    prices_run(&dear, 500, 128);
    const struct eddy_result *a = fixture_feed(&cheap, 500, "ACME", START + 500 * DAY, (double[]){2});
    const double evidence = a->evidence, upper = a->upper[2], up = a->moves[6];
    const struct eddy_result *b = fixture_feed(&dear, 500, "ACME", START + 500 * DAY, (double[]){256});
    cr_assert_float_eq(b->evidence, evidence, 1e-6);
    cr_assert_float_eq(b->upper[2], 128 * upper, 1e-4 * b->upper[2]);
    cr_assert_float_eq(b->moves[6], up, 1e-6);
    fixture_close(&cheap);
    fixture_close(&dear);
}

Test(lane_prices, moves_sum_to_one_and_are_even_on_a_random_walk)
{
    struct fixture_lane f;
    fixture_open(&f, PRICES, 1, NULL, 100);
    const struct eddy_result *r = fixture_feed(&f, 0, "ACME", START, (double[]){100});
    cr_assert(r->moves && isnan(r->moves[0]), "nothing is known yet");
    fixture_close(&f);
    fixture_open(&f, PRICES, 1, NULL, 100);
    prices_run(&f, 1000, 100);
    r = fixture_feed(&f, 1000, "ACME", START + 1000 * DAY, (double[]){price(1000, 100)});
    for (int j = 0; j < 3; j++) {
        const double down = r->moves[j], flat = r->moves[3 + j], up = r->moves[6 + j];
        cr_assert_float_eq(down + flat + up, 1, 1e-12);
        cr_assert_float_eq(down, up, .15);
    }
    cr_assert_float_eq(r->moves[3], .38, .12, "within half a deviation; %g", r->moves[3]);
    cr_assert_lt(r->moves[5], .2);
    fixture_close(&f);
}

Test(lane_prices, a_price_of_nothing_counts_as_missing)
{
    struct fixture_lane f;
    fixture_open(&f, PRICES, 1, NULL, 100);
    prices_run(&f, 200, 100);
    fixture_feed(&f, 200, "ACME", START + 200 * DAY, (double[]){100});
    const struct eddy_result *r = fixture_feed(&f, 201, "ACME", START + 201 * DAY, (double[]){0});
    cr_assert_eq(r->y[0], 0);
    cr_assert_eq(r->evidence, 0);
    cr_assert_float_eq(r->forecast[0], 100, 1e-9, "the last price that was one");
    r = fixture_feed(&f, 202, "ACME", START + 202 * DAY, (double[]){-5});
    cr_assert_eq(r->y[0], -5);
    cr_assert_float_eq(r->forecast[0], 100, 1e-9);
    fixture_close(&f);
}

Test(lane_prices, values_have_domains_of_their_own)
{
    struct fixture_lane f;
    fixture_open(&f,
                 "forecast: {horizons: [1], experts: [persistence], season: none, transform: {b: log}}\n"
                 "train: {mode: off}\n",
                 2, NULL, 100);
    for (int i = 0; i < 20; i++) {
        const struct eddy_result *r = fixture_feed(&f, i, "k", START + i * DAY, (double[]){-5, 20});
        cr_assert_float_eq(r->forecast[0], -5, 1e-12);
        cr_assert_float_eq(r->forecast[1], 20, 1e-9);
    }
    fixture_close(&f);
}

/* With a network that learns, values that are missing, and eviction to disk. */
static void prices_outcome(int chunk, int64_t resident, uint64_t *digest, char hash[33])
{
    struct fixture_lane f;
    fixture_open(&f,
                 "forecast: {horizons: [1, 3], network: {layers: [{gru: {units: 4}}]}, experts: [persistence, "
                 "network], transform: {a: log_return, b: log}, volatility: ewma, moves: {flat: 0.01}}\n"
                 "train: {mode: inline, every: 4, window: 9, epoch: 64, windows: 16, batch: 4}\n",
                 2, NULL, resident);
    fixture_run(&f, &(struct fixture_stream){.n_keys = 12, .n_values = 2, .gaps = true}, 0, 1500, chunk);
    fixture_hash(&f, hash);
    *digest = f.digest;
    fixture_close(&f);
}

Test(lane_prices, turns_and_eviction_change_nothing)
{
    uint64_t one, many;
    char one_hash[33], many_hash[33];
    prices_outcome(1, 1000, &one, one_hash);
    prices_outcome(333, 3, &many, many_hash);
    cr_assert_eq(one, many);
    cr_assert_str_eq(one_hash, many_hash);
}

Test(lane_prices, incidents_tell_prices_and_not_their_logarithms)
{
    struct fixture_lane f;
    int told = 0;
    fixture_open(&f, PRICES, 1, NULL, 100);
    prices_run(&f, 400, 100);
    for (int i = 400; i < 430; i++) {
        const double x = i % 2 ? 300 : 500;
        const struct eddy_result *r = fixture_feed(&f, i, "ACME", START + i * DAY, (double[]){x});
        for (int k = 0; k < r->n_incidents && r->incidents[k].n_drivers > 0; k++, told++)
            cr_assert_float_eq(r->incidents[k].drivers[0].y, r->incidents[k].drivers[0].y > 400 ? 500 : 300, .01,
                               "%g", r->incidents[k].drivers[0].y);
    }
    cr_assert_gt(told, 0, "such jumps open an incident");
    fixture_close(&f);
}

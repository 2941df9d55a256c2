/* Reading scores back and judging them: every figure of the demo's table, on numbers that can be checked by hand. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plugin/demo/outcome.h"
#include "plugin/demo/tally.h"

static const char *const one_name[] = {"a"};
static double values[] = {1, 2, 4, NAN, 8, 8, 8, 8, 8, 8, 8, 8};
enum { N_STEPS = sizeof(values) / sizeof(values[0]) };
static struct fault one_fault[] = {{0, FAULT_STUCK, 5, 6}};
static const int horizons[] = {1, 2};

static struct simulation small(void)
{
    return (struct simulation){.field = "v",
                               .names = one_name,
                               .n_series = 1,
                               .n_steps = N_STEPS,
                               .decimals = 2,
                               .start_ns = 1000,
                               .step_ns = 10,
                               .x = values,
                               .faults = one_fault,
                               .n_faults = 1};
}

static struct scored result(int step)
{
    return (struct scored){.key = "a",
                           .key_len = 1,
                           .time_ns = 1000 + 10 * step,
                           .y = values[step],
                           .yhat = NAN,
                           .lower = NAN,
                           .upper = NAN};
}

static struct tally opened(const struct simulation *s)
{
    struct tally t;
    struct eddy_error err;
    cr_assert_eq(tally_open(s, horizons, 2, false, &t, &err), EDDY_OK);
    return t;
}

Test(demo_scored, reads_a_record_of_the_output)
{
    static const char line[] =
        "{\"key\":\"m-1\",\"ts\":\"2026-03-02T00:00:00.5Z\",\"y\":{\"v\":1.5},\"yhat\":{\"v\":null},"
        "\"yhat_lower\":0.5,\"yhat_upper\":2e0,\"score\":0.25,\"evidence\":0.5,\"score_ratio\":1,\"anomaly\":true,"
        "\"state\":\"ok\",\"model\":\"v1\",\"forecast\":[{\"h\":1,\"yhat\":2,\"lower\":1,\"upper\":3},"
        "{\"h\":12,\"yhat\":null,\"lower\":null,\"upper\":null}],"
        "\"src\":{\"topic\":\"a}b\\\"\",\"partition\":0,\"offset\":7}}";
    struct scored r;
    struct eddy_error err;
    cr_assert_eq(scored_read(line, sizeof(line) - 1, &r, &err), EDDY_OK, "%s", err.message);
    cr_assert(r.key_len == 3 && memcmp(r.key, "m-1", 3) == 0);
    cr_assert_eq(r.time_ns, 1772409600500000000);
    cr_assert_eq(r.y, 1.5);
    cr_assert(isnan(r.yhat));
    cr_assert(r.lower == .5 && r.upper == 2 && r.score == .25 && r.anomaly);
    cr_assert_eq(r.n_forecasts, 2);
    cr_assert(r.forecasts[0].h == 1 && r.forecasts[0].yhat == 2 && r.forecasts[0].upper == 3);
    cr_assert(r.forecasts[1].h == 12 && isnan(r.forecasts[1].yhat));
}

Test(demo_scored, refuses_what_is_no_record_and_every_truncation_of_one)
{
    static const char *const bad[] = {
        "",
        "x",
        "{}",
        "[]",
        "{\"key\":1}",
        "{\"key\":\"a\",\"score\":1}",
        "{\"key\":\"a\",\"ts\":\"yesterday\",\"score\":1}",
        "{\"key\":\"a\",\"ts\":\"2026-03-02T00:00:00+01:00\",\"score\":1}",
        "{\"key\":\"a\",\"ts\":\"2026-03-02T00:00:00Z\",\"score\":null}",
        "{\"key\":\"a\",\"ts\":\"2026-03-02T00:00:00Z\",\"score\":1,\"y\":{\"a\":1,\"b\":2}}"};
    static const char good[] = "{\"key\":\"a\",\"ts\":\"2026-03-02T00:00:00Z\",\"score\":1,\"z\":[1,{\"b\":\"}\"}],"
                               "\"forecast\":[{\"h\":1,\"yhat\":2}],\"anomaly\":false}";
    struct scored r;
    struct eddy_error err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_eq(scored_read(bad[i], strlen(bad[i]), &r, &err), EDDY_EDATA, "%s", bad[i]);
    cr_assert_eq(scored_read(good, sizeof(good) - 1, &r, &err), EDDY_OK, "%s", err.message);
    for (size_t n = 0; n < sizeof(good) - 1; n++)
        cr_assert_eq(scored_read(good, n, &r, &err), EDDY_EDATA, "%.*s", (int)n, good);
}

Test(demo_tally, errors_are_those_of_pairs_that_have_both_sides)
{
    struct simulation s = small();
    struct tally t = opened(&s);
    struct scored r = result(0); /* the newest reading is 1; 2 comes next, then 4 */
    r.n_forecasts = 2;
    r.forecasts[0] = (struct scored_forecast){1, 2.5, 1, 3};
    r.forecasts[1] = (struct scored_forecast){2, 3.0, 1, 3.5};
    tally_add(&t, &r);
    r = result(2); /* step 3 is missing: only two steps ahead counts */
    r.n_forecasts = 2;
    r.forecasts[0] = (struct scored_forecast){1, 5, 4, 6};
    r.forecasts[1] = (struct scored_forecast){2, 6, 4, 9};
    tally_add(&t, &r);

    const struct tally_errors *one = &t.errors[TALLY_ALL][0], *two = &t.errors[TALLY_ALL][1];
    cr_assert(one->n == 1 && one->absolute == .5 && one->persistence == 1 && one->n_covered == 1);
    cr_assert(two->n == 2 && two->absolute == 1 + 2 && two->persistence == 3 + 4);
    cr_assert(two->squared == 1 + 4 && two->persistence_squared == 9 + 16);
    cr_assert(two->n_bands == 2 && two->n_covered == 1);
    tally_close(&t);
}

Test(demo_tally, counts_each_event_once_and_nothing_strange)
{
    struct simulation s = small();
    struct tally t = opened(&s);
    struct scored r = result(1);
    tally_add(&t, &r);
    tally_add(&t, &r);
    r = result(3); /* missing as it was sent */
    tally_add(&t, &r);
    r = result(2);
    r.y = 4.5;
    tally_add(&t, &r);
    r = result(2);
    r.key = "b";
    tally_add(&t, &r);
    cr_assert_eq(t.n_scored, 2);
    cr_assert_eq(t.n_repeated, 1);
    cr_assert_eq(t.n_strange, 2);
    tally_close(&t);
}

static int64_t judged(int alert, struct tally_fault *fault)
{
    struct simulation s = small();
    struct tally t = opened(&s);
    struct scored r = result(alert);
    r.anomaly = true;
    tally_add(&t, &r);
    int64_t n_false = tally_judge(&t, fault);
    tally_close(&t);
    return n_false;
}

Test(demo_tally, an_alert_hits_from_the_start_to_one_horizon_after_the_end)
{
    struct tally_fault fault;
    cr_assert(judged(4, &fault) == 1 && !fault.hit);
    cr_assert(judged(5, &fault) == 0 && fault.hit && fault.alert == 5);
    cr_assert(judged(8, &fault) == 0 && fault.hit && fault.alert == 8); /* the fault ends at 6, the horizon is 2 */
    cr_assert(judged(9, &fault) == 1 && !fault.hit);
}

/* A tally in which all has gone well, for the checks below. */
static struct tally all_well(const struct simulation *s)
{
    struct tally t = opened(s);
    for (int step = 0; step < N_STEPS; step++) {
        struct scored r = result(step);
        r.anomaly = step == 5;
        tally_add(&t, &r);
    }
    for (int h = 0; h < 2; h++)
        t.errors[TALLY_ALL][h] = (struct tally_errors){.n = 10, .absolute = 1, .persistence = 2};
    return t;
}

Test(demo_outcome, fails_when_the_pipeline_did_not_do_its_job)
{
    struct simulation s = small();
    struct tally sensors = all_well(&s), prices = all_well(&s);
    struct tally_fault fault = {true, 5};
    struct outcome good = {.sensors = &sensors, .prices = &prices, .seconds = 1, .updates = 1, .faults = &fault}, bad;
    struct eddy_error err;
    cr_assert_eq(outcome_check(&good, &err), EDDY_OK, "%s", err.message);

    bad = good;
    bad.updates = 0;
    cr_assert_eq(outcome_check(&bad, &err), EDDY_EDATA);
    cr_assert(strstr(err.message, "no training step"), "%s", err.message);
    bad = good;
    bad.faults = &(struct tally_fault){false, 0};
    cr_assert_eq(outcome_check(&bad, &err), EDDY_EDATA);
    cr_assert(strstr(err.message, "only 0 of 1 faults"), "%s", err.message);
    sensors.errors[TALLY_ALL][1].absolute = 2;
    cr_assert_eq(outcome_check(&good, &err), EDDY_EDATA);
    cr_assert(strstr(err.message, "no better than persistence"), "%s", err.message);
    prices.n_scored--;
    cr_assert_eq(outcome_check(&good, &err), EDDY_EDATA);
    cr_assert(strstr(err.message, "1 of 12 prices have no score"), "%s", err.message);
    tally_close(&sensors);
    tally_close(&prices);
}

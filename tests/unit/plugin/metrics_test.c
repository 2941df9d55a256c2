/* The figures of a replay against numbers worked out by hand. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/metrics.h"

#define NEAR(a, b) cr_assert_float_eq((a), (b), 1e-12, "%s: %.17g instead of %.17g", #a, (double)(a), (double)(b))

static const double bands[] = {0.5, 0.9};
static const struct settings settings = {
    .name = "t", .forecast = {.bands = {2, bands}}, .detect = {.threshold = 0.4}};

static struct metrics *opened(bool by_partition)
{
    struct metrics *m;
    struct eddy_error err;
    const struct metrics_request request = {.settings = &settings, .by_partition = by_partition};
    cr_assert_eq(metrics_open(&request, &m, &err), EDDY_OK);
    return m;
}

/* One result of one value: y, and what is forecast for horizons 1 and 2, with bands of +-0.5 (0.5) and +-1 (0.9). */
static void add(struct metrics *m, const char *topic, int32_t partition, const char *key, double y, double f1,
                double f2)
{
    static const char *const names[] = {"v"};
    static const struct eddy_schema schema = {.n_values = 1, .names = names};
    static const int horizons[] = {1, 2};
    const double forecast[] = {f1, f2};
    const double lower[] = {f1 - 0.5, f2 - 0.5, f1 - 1, f2 - 1}, upper[] = {f1 + 0.5, f2 + 0.5, f1 + 1, f2 + 1};
    const struct eddy_result r = {.key = key,
                                  .key_len = strlen(key),
                                  .topic = topic,
                                  .partition = partition,
                                  .schema = &schema,
                                  .y = &y,
                                  .n_horizons = 2,
                                  .horizons = horizons,
                                  .forecast = forecast,
                                  .lower = lower + 2,
                                  .upper = upper + 2,
                                  .n_bands = 2,
                                  .coverages = bands,
                                  .band_lower = lower,
                                  .band_upper = upper};
    metrics_add(m, &r);
}

Test(metrics, errors_equal_those_worked_out_by_hand)
{
    /* y           1    3    6
     * for h=1     2    5    -     errors: 3-2 = 1, 6-5 = 1       persistence: 3-1 = 2, 6-3 = 3
     * for h=2     4    -    -     error:  6-4 = 2                persistence: 6-1 = 5 */
    struct metrics *m = opened(false);
    struct metrics_horizon h;
    add(m, "f", 0, "a", 1, 2, 4);
    add(m, "f", 0, "a", 3, 5, 7);
    add(m, "f", 0, "a", 6, 8, 9);
    cr_assert(metrics_horizon(m, 0, &h));
    cr_assert_eq(h.h, 1);
    cr_assert_eq(h.n, 2);
    NEAR(h.mse, 1.0);
    NEAR(h.mae, 1.0);
    NEAR(h.rmse, 1.0);
    NEAR(h.persistence_mse, (4.0 + 9.0) / 2);
    NEAR(h.persistence_mae, 2.5);
    NEAR(h.relative_mse, 2.0 / 13.0);
    NEAR(h.smape, (200.0 * 1 / 5 + 200.0 * 1 / 11) / 2);
    NEAR(h.mase, 1.0 / 2.5); /* the mean step of the series is (2 + 3) / 2 */
    NEAR(h.coverage, 1.0);   /* both errors lie on the band's edge */
    NEAR(h.width, 2.0);
    cr_assert(metrics_horizon(m, 1, &h));
    cr_assert_eq(h.n, 1);
    NEAR(h.mse, 4.0);
    NEAR(h.persistence_mse, 25.0);
    NEAR(h.coverage, 0.0);
    cr_assert_not(metrics_horizon(m, 2, &h));
    metrics_close(m);
}

Test(metrics, missing_values_and_unknown_forecasts_make_no_pair)
{
    struct metrics *m = opened(false);
    struct metrics_horizon h;
    add(m, "f", 0, "a", 1, NAN, 3);
    add(m, "f", 0, "a", 2, 2.5, 4); /* nothing was forecast for it */
    add(m, "f", 0, "a", NAN, 9, 9); /* missing: no pair; the persistence of its forecast is still 2 */
    add(m, "f", 0, "a", 4, 0, 0);   /* h=1: 4-9, persistence 4-2; h=2: 4-4, persistence 4-2 */
    cr_assert(metrics_horizon(m, 0, &h));
    cr_assert_eq(h.n, 1);
    NEAR(h.mse, 25.0);
    NEAR(h.persistence_mse, 4.0);
    cr_assert(metrics_horizon(m, 1, &h));
    cr_assert_eq(h.n, 1);
    NEAR(h.mse, 0.0);
    metrics_close(m);
}

Test(metrics, a_series_of_huge_numbers_does_not_decide_the_relative_error)
{
    struct metrics *m = opened(false);
    struct metrics_horizon h;
    /* Small: error 1, persistence 2 -> ratio 1/4.  Huge: error 2e6, persistence 1e6 -> ratio 4. */
    add(m, "f", 0, "small", 0, 1, 0);
    add(m, "f", 0, "small", 2, 0, 0);
    add(m, "f", 0, "huge", 0, 3e6, 0);
    add(m, "f", 0, "huge", 1e6, 0, 0);
    cr_assert(metrics_horizon(m, 0, &h));
    cr_assert_eq(h.n_series, 2);
    NEAR(h.relative_mse, 1.0);
    cr_assert_gt(h.mse / h.persistence_mse, 3.9);
    metrics_close(m);
}

Test(metrics, a_key_of_two_partitions_is_two_series_for_kafka_and_one_for_files)
{
    for (int by_partition = 0; by_partition < 2; by_partition++) {
        struct metrics *m = opened(by_partition);
        struct metrics_horizon h;
        add(m, "t", 0, "a", 1, 1, 1);
        add(m, "t", 1, "a", 5, 5, 5);
        cr_assert(metrics_horizon(m, 0, &h));
        cr_assert_eq(h.n, by_partition ? 0 : 1);
        metrics_close(m);
    }
}

Test(metrics, many_keys_are_kept_apart)
{
    enum { KEYS = 5000 };
    struct metrics *m = opened(false);
    struct metrics_horizon h;
    for (int round = 0; round < 3; round++)
        for (int k = 0; k < KEYS; k++) {
            char key[16];
            (void)snprintf(key, sizeof(key), "key-%d", k);
            add(m, "f", 0, key, k, k, k); /* each forecasts its own constant: any mix-up is an error */
        }
    cr_assert(metrics_horizon(m, 0, &h));
    cr_assert_eq(h.n, 2 * KEYS);
    NEAR(h.mse, 0.0);
    cr_assert(isnan(h.relative_mse), "nothing errs, so there is no ratio");
    metrics_close(m);
}

Test(metrics, keys_beyond_the_limit_are_counted_not_kept)
{
    enum { KEYS = 1000 };
    struct metrics *m;
    struct eddy_error err;
    struct metrics_horizon h;
    const struct metrics_request request = {.settings = &settings, .max_bytes = 20000};
    cr_assert_eq(metrics_open(&request, &m, &err), EDDY_OK);
    for (int round = 0; round < 2; round++)
        for (int k = 0; k < KEYS; k++) {
            char key[16];
            (void)snprintf(key, sizeof(key), "key-%d", k);
            add(m, "f", 0, key, k, k, k);
        }
    cr_assert(metrics_horizon(m, 0, &h));
    cr_assert_gt(h.n, 10);
    cr_assert_lt(h.n, 100);
    cr_assert_eq(2 * h.n + metrics_unmeasured(m), 2 * KEYS, "a key is measured throughout or not at all");
    metrics_close(m);
}

Test(metrics, json_has_the_agreed_members)
{
    static const char *const members[] = {"\"events\":3",
                                          "\"keys\":1",
                                          "\"bad\":2",
                                          "\"seconds\":0.5",
                                          "\"events_per_second\":6",
                                          "\"state_hash\":\"0f\"",
                                          "\"by_horizon\":[{\"h\":1,\"n\":2,",
                                          "\"coverage\":{\"0.5\":0,\"0.9\":1},", /* both errors are 1 */
                                          "\"width\":{\"0.5\":1,\"0.9\":2},",
                                          "\"cumulative\":[{\"H\":1,",
                                          "{\"H\":2,\"mse\":2,",
                                          "\"threshold\":0.4",
                                          "\"alerts\":4",
                                          "\"updates\":5",
                                          "\"grad_norm\":null",
                                          "\"config_sha256\":\"ab\"",
                                          "\"model\":\"v7\"",
                                          "\"units\":\"raw\""};
    struct metrics *m = opened(false);
    struct eddy_error err;
    char text[8192] = "";
    add(m, "f", 0, "a", 1, 2, 4);
    add(m, "f", 0, "a", 3, 5, 7);
    add(m, "f", 0, "a", 6, 8, 9);
    const struct driver_stats stats = {.events = 3,
                                       .keys = 1,
                                       .bad = 2,
                                       .seconds = 0.5,
                                       .alerts = 4,
                                       .updates = 5,
                                       .grad_norm = (double)NAN,
                                       .model = 7};
    const struct metrics_run run = {&stats, "0f", "ab"};
    FILE *out = fmemopen(text, sizeof(text), "w");
    struct json_out j = json_begin(out);
    cr_assert_eq(metrics_write(m, &run, &j, &err), EDDY_OK);
    fclose(out);
    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
        cr_assert(strstr(text, members[i]) != NULL, "%s is missing in %s", members[i], text);
    metrics_close(m);
}

static void write_text(struct metrics *m, char text[8192])
{
    const struct driver_stats stats = {0};
    const struct metrics_run run = {&stats, NULL, NULL};
    struct eddy_error err;
    FILE *out = fmemopen(text, 8192, "w");
    struct json_out j = json_begin(out);
    cr_assert_eq(metrics_write(m, &run, &j, &err), EDDY_OK);
    fclose(out);
}

static struct metrics *opened_with(const struct settings *of, const char *score, const char *scale)
{
    struct metrics *m;
    struct eddy_error err;
    struct metrics_request request = {.settings = of};
    cr_assert(!score || metrics_rows_parse(score, &request.score));
    cr_assert(!scale || metrics_rows_parse(scale, &request.scale));
    cr_assert_eq(metrics_open(&request, &m, &err), EDDY_OK);
    return m;
}

Test(metrics, only_forecasts_made_in_the_scored_rows_count)
{
    struct metrics *m = opened_with(&settings, "1:3", NULL);
    struct metrics_horizon h;
    add(m, "f", 0, "a", 0, 90, 90); /* too early */
    add(m, "f", 0, "a", 0, 1, 5);
    add(m, "f", 0, "a", 0, 1, 5);
    add(m, "f", 0, "a", 0, 90, 90); /* too late; what came before is still judged by these rows */
    add(m, "f", 0, "a", 0, 90, 90);
    cr_assert(metrics_horizon(m, 0, &h));
    cr_expect_eq(h.n, 2);
    NEAR(h.mse, 1);
    cr_assert(metrics_horizon(m, 1, &h));
    cr_expect_eq(h.n, 2);
    NEAR(h.mse, 25);
    metrics_close(m);
}

Test(metrics, errors_are_divided_by_the_deviation_of_the_rows_that_scale)
{
    char text[8192] = "";
    struct metrics *m = opened_with(&settings, "2:", "0:2");
    struct metrics_horizon h;
    const double sizes[] = {1, 100};
    for (int k = 0; k < 2; k++) {
        double u = sizes[k];
        const char *key = k ? "large" : "small";
        add(m, "f", 0, key, 8 * u, 0, 0);
        add(m, "f", 0, key, 12 * u, 0, 0);      /* deviation 2 u */
        add(m, "f", 0, key, 10 * u, 14 * u, 0); /* error 6 u = 3 deviations; persistence 2 u = 1 */
        add(m, "f", 0, key, 8 * u, NAN, NAN);
    }
    add(m, "f", 0, "flat", 5, 0, 0); /* has no deviation: is left out */
    add(m, "f", 0, "flat", 5, 0, 0);
    add(m, "f", 0, "flat", 5, 7, 0);
    add(m, "f", 0, "flat", 5, 7, 0);
    cr_assert(metrics_horizon(m, 0, &h));
    cr_expect_eq(h.n, 2);
    NEAR(h.mse, 9);
    NEAR(h.mae, 3);
    NEAR(h.persistence_mse, 1);
    NEAR(h.width, (2 / 2.0 + 2 / 200.0) / 2); /* the helper's bands do not grow with the series */
    write_text(m, text);
    cr_expect(strstr(text, "\"units\":\"scaled\",\"unmeasured\":0,\"unscaled\":1,"), "%s", text);
    metrics_close(m);
}

Test(metrics, pinball_is_the_mean_over_the_edges_and_the_median)
{
    struct metrics *m = opened(false);
    struct metrics_horizon h;
    add(m, "f", 0, "a", 0, 1, 0); /* edges 0, 0.5, 1.5, 2 of levels .05, .25, .75, .95 */
    add(m, "f", 0, "a", 3, 0, 0);
    cr_assert(metrics_horizon(m, 0, &h));
    NEAR(h.pinball, (0.05 * 3 + 0.25 * 2.5 + 0.5 * 2 + 0.75 * 1.5 + 0.95 * 1) / 5);
    metrics_close(m);
}

Test(metrics, the_seasonal_forecast_repeats_the_newest_known_season)
{
    const struct settings seasonal = {
        .name = "t", .forecast = {.bands = {2, bands}, .season = "2"}, .detect = {.threshold = 0.4}};
    struct metrics *m = opened_with(&seasonal, NULL, NULL);
    struct metrics_horizon h;
    add(m, "f", 0, "a", 1, 0, 0);
    add(m, "f", 0, "a", 5, 0, 0); /* a season ago there was no row */
    add(m, "f", 0, "a", 2, 0, 0); /* 2 - 1, for both horizons */
    add(m, "f", 0, "a", 8, 0, 0); /* 8 - 5 */
    cr_assert(metrics_horizon(m, 0, &h));
    cr_expect_eq(h.n, 3);
    NEAR(h.seasonal_mse, (1.0 + 9.0) / 2);
    cr_assert(metrics_horizon(m, 1, &h));
    NEAR(h.seasonal_mse, (1.0 + 9.0) / 2);
    metrics_close(m);
}

/* One value, one horizon, two experts: the errors of what they had said, their weights now. */
static void add_experts(struct metrics *m, double y, double last_error, double other_error, double weight)
{
    static const char *const names[] = {"v"}, *const experts[] = {"last", "other"};
    static const struct eddy_schema schema = {.n_values = 1, .names = names};
    static const int horizons[] = {1};
    const double edge[] = {y, y}, errors[] = {last_error, other_error}, weights[] = {weight, 1 - weight};
    const struct eddy_result r = {.key = "a",
                                  .key_len = 1,
                                  .topic = "f",
                                  .schema = &schema,
                                  .y = &y,
                                  .n_horizons = 1,
                                  .horizons = horizons,
                                  .forecast = &y,
                                  .lower = &y,
                                  .upper = &y,
                                  .n_bands = 1,
                                  .coverages = bands,
                                  .band_lower = edge,
                                  .band_upper = edge,
                                  .experts = {.n = 2, .names = experts, .errors = errors, .weights = weights}};
    metrics_add(m, &r);
}

Test(metrics, each_expert_has_its_own_error_and_its_mean_weight)
{
    char text[8192] = "";
    struct metrics *m = opened_with(&settings, "1:3", "0:2"); /* deviation 1 */
    add_experts(m, 1, NAN, NAN, 0.9);
    add_experts(m, 3, 2, 9, 0.25); /* of what row 0 said: not scored */
    add_experts(m, 5, 2, 1, 0.75);
    add_experts(m, 9, 4, 3, 0.9);
    write_text(m, text);
    cr_expect(strstr(text, "\"experts\":{\"last\":{\"by_horizon\":[{\"h\":1,\"n\":2,\"mse\":10,\"relative_mse\":1,"
                           "\"weight\":0.5}]},\"other\":{\"by_horizon\":[{\"h\":1,\"n\":2,\"mse\":5,"
                           "\"relative_mse\":0.5,\"weight\":0.5}]}}"),
              "%s", text);
    metrics_close(m);
}

Test(metrics, rows_are_two_numbers)
{
    struct metrics_rows rows;
    cr_expect(metrics_rows_parse("0:1", &rows) && rows.from == 0 && rows.to == 1);
    cr_expect(metrics_rows_parse("3600:14400", &rows) && rows.from == 3600 && rows.to == 14400);
    cr_expect(metrics_rows_parse("7:", &rows) && rows.from == 7 && rows.to == INT64_MAX);
    static const char *const wrong[] = {"",   ":",     "1",    "2:2",  "3:2",
                                        ":4", "1:2:3", "-1:2", " 1:2", "1:99999999999999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        cr_expect_not(metrics_rows_parse(wrong[i], &rows), "\"%s\"", wrong[i]);
}

Test(metrics, every_band_has_its_own_coverage)
{
    char text[8192] = "";
    struct metrics *m = opened(false);
    add(m, "f", 0, "a", 0, 1, 0);
    add(m, "f", 0, "a", 1.25, 3, 0); /* error 0.25: inside both */
    add(m, "f", 0, "a", 3.75, 9, 0); /* 0.75: inside the wider one */
    add(m, "f", 0, "b", 5, 5.5, 0);
    add(m, "f", 0, "b", 4.5, 0, 0); /* 1: on the wider one's edge */
    add(m, "f", 0, "a", -40, 0, 0); /* far out */
    write_text(m, text);
    cr_assert(strstr(text, "\"h\":1,\"n\":4,"), "%s", text);
    cr_assert(strstr(text, "\"coverage\":{\"0.5\":0.25,\"0.9\":0.75},\"width\":{\"0.5\":1,\"0.9\":2}"), "%s", text);
    metrics_close(m);
}

Test(metrics, a_band_that_was_never_known_is_null)
{
    char text[8192] = "";
    struct metrics *m = opened(false);
    add(m, "f", 0, "a", 0, 1, 0);
    write_text(m, text);
    cr_assert(strstr(text, "\"coverage\":{\"0.5\":null,\"0.9\":null}"), "%s", text);
    metrics_close(m);
}

/* A result with two classes; label NULL = none. */
static void add_class(struct metrics *m, double p_ok, double p_fault, const char *label, bool late)
{
    static const char *const names[] = {"v"}, *const classes[] = {"ok", "fault"};
    static const struct eddy_schema schema = {.n_values = 1, .names = names};
    const double y = NAN, p[] = {p_ok, p_fault};
    const struct eddy_result r = {.key = "a",
                                  .key_len = 1,
                                  .topic = "f",
                                  .schema = &schema,
                                  .y = &y,
                                  .classes = {.n_classes = 2, .names = classes, .p = p},
                                  .label = label,
                                  .label_len = label ? strlen(label) : 0,
                                  .label_only = late};
    metrics_add(m, &r);
}

Test(metrics, classes_are_judged_where_label_and_probabilities_are_known)
{
    static const char *const parts[] = {
        "\"classes\":{\"n\":4,\"accuracy\":0.75,\"log_loss\":",
        "\"brier\":0.33,\"base_rate_brier\":0.5,", /* (0.08 + 0.72 + 0.02 + 0.5) / 4, 1 - 1/4 - 1/4 */
        "\"ok\":{\"n\":2,\"precision\":0.666666667,\"recall\":1}",
        "\"fault\":{\"n\":2,\"precision\":1,\"recall\":0.5}"};
    char text[8192] = "";
    struct metrics *m = opened(false);
    add_class(m, 0.8, 0.2, "ok", false);
    add_class(m, 0.6, 0.4, "fault", false);
    add_class(m, 0.1, 0.9, "fault", true);
    add_class(m, 0.5, 0.5, "ok", false);    /* of equals the first counts */
    add_class(m, NAN, NAN, "ok", false);    /* nothing is known yet */
    add_class(m, 0.8, 0.2, "broken", true); /* no such class */
    add_class(m, 0.8, 0.2, NULL, false);
    write_text(m, text);
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        cr_expect(strstr(text, parts[i]), "%s is missing in %s", parts[i], text);
    const char *loss = strstr(text, "\"log_loss\":");
    cr_assert_not_null(loss);
    cr_expect_float_eq(atof(loss + strlen("\"log_loss\":")), -(log(0.8) + log(0.4) + log(0.9) + log(0.5)) / 4, 1e-8);
    metrics_close(m);
}

Test(metrics, a_certain_mistake_costs_a_finite_loss)
{
    char text[8192] = "";
    struct metrics *m = opened(false);
    add_class(m, 1, 0, "fault", false);
    write_text(m, text);
    cr_expect(strstr(text, "\"log_loss\":34.5387764,\"brier\":2,\"base_rate_brier\":0,"), "%s", text); /* 15 ln 10 */
    metrics_close(m);
}

Test(metrics, a_late_label_is_no_step_of_its_key)
{
    struct metrics *m = opened(false);
    struct metrics_horizon h;
    add_class(m, 0.5, 0.5, "ok", true);
    add(m, "f", 0, "a", 1, 2, 4);
    add_class(m, 0.5, 0.5, "ok", true);
    add(m, "f", 0, "a", 3, 5, 7);
    cr_assert(metrics_horizon(m, 0, &h));
    cr_expect_eq(h.n, 1);
    NEAR(h.mse, 1.0);
    metrics_close(m);
}

static void add_smoothed(struct metrics *m, bool known, const double *y /* [2] */, const double *actual /* [2] */)
{
    static const char *const names[] = {"v", "w"};
    static const struct eddy_schema schema = {.n_values = 2, .names = names};
    const double own[] = {NAN, NAN};
    const struct eddy_result r = {.key = "a",
                                  .key_len = 1,
                                  .topic = "f",
                                  .schema = &schema,
                                  .y = own,
                                  .smoothed = {.y = y, .actual = actual, .known = known}};
    metrics_add(m, &r);
}

Test(metrics, smoothed_values_are_judged_against_those_that_came)
{
    char text[8192] = "";
    struct metrics *m = opened(false);
    add_smoothed(m, true, (const double[]){1, 5}, (const double[]){2, 8});     /* errors 1 and 3 */
    add_smoothed(m, true, (const double[]){1, NAN}, (const double[]){NAN, 8}); /* no pair */
    add_smoothed(m, true, (const double[]){4, 0}, (const double[]){2, NAN});   /* 2 */
    add_smoothed(m, false, (const double[]){9, 9}, (const double[]){0, 0});    /* nothing yet */
    add_smoothed(m, false, NULL, NULL);
    write_text(m, text);
    cr_expect(strstr(text, "\"smoothed\":{\"n\":3,\"mse\":4.66666667,\"mae\":2}"), "%s", text);
    cr_expect_null(strstr(text, "\"classes\""), "%s", text);
    metrics_close(m);
}

Test(metrics, without_labels_and_smoothing_there_are_no_such_figures)
{
    char text[8192] = "";
    struct metrics *m = opened(false);
    add_class(m, 0.5, 0.5, NULL, false);
    write_text(m, text);
    cr_expect_null(strstr(text, "\"classes\""), "%s", text);
    cr_expect_null(strstr(text, "\"smoothed\""), "%s", text);
    metrics_close(m);
}

Test(json_out, hostile_text_stays_json)
{
    char text[128] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    struct json_out j = json_begin(out);
    json_open(&j, NULL, '[');
    json_bytes(&j, NULL, "a\"\\\n\x01", 5);
    json_bytes(&j, NULL, "\xff\xc3\xa9\xed\xa0\x80", 6); /* a stray byte, an e acute, half a surrogate pair */
    json_real(&j, NULL, INFINITY);
    json_close(&j, ']');
    fclose(out);
    cr_assert_str_eq(
        text, "[\"a\\\"\\\\\\u000a\\u0001\",\"\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\",null]");
}

Test(metrics, what_workers_collected_apart_is_what_one_collects)
{
    struct metrics *one = opened(true), *parts[] = {opened(true), opened(true), opened(true)};
    struct metrics_horizon is, wanted;
    struct metrics_summary first[3], last[3];
    struct eddy_error err;
    for (int i = 0; i < 40; i++)
        for (int p = 0; p < 3; p++) {
            const double y = (p + 1) * (i % 7), f = y + (i % 3);
            add(one, "t", p, "same key", y, f, f + 1);
            add(parts[(p + 1) % 3], "t", p, "same key", y, f, f + 1); /* part 0 has partition 2, ... */
        }
    metrics_merge(parts[0], parts[1]);
    metrics_merge(parts[0], parts[2]);
    cr_assert_eq(metrics_keys(parts[0]), 3);
    for (int i = 0; i < 2; i++) {
        cr_assert(metrics_horizon(one, i, &wanted) && metrics_horizon(parts[0], i, &is));
        cr_expect_eq(is.n, wanted.n);
        cr_expect_eq(is.n_series, wanted.n_series);
        NEAR(is.mse, wanted.mse);
        NEAR(is.mae, wanted.mae);
        NEAR(is.coverage, wanted.coverage);
        NEAR(is.relative_mse, wanted.relative_mse);
    }
    cr_assert_eq(metrics_summaries(one, first, &err), EDDY_OK);
    cr_assert_eq(metrics_summaries(parts[0], last, &err), EDDY_OK);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(last[i].number, i);
        cr_expect_eq(last[i].rows, 40);
        NEAR(last[i].relative_mse, first[(i + 2) % 3].relative_mse);
    }
    for (int i = 0; i < 3; i++) metrics_close(parts[i]);
    metrics_close(one);
}

Test(metrics, a_worker_that_saw_nothing_takes_nothing_away)
{
    struct metrics *idle = opened(true), *busy = opened(true), *none = opened(true);
    struct metrics_horizon h;
    for (int i = 0; i < 5; i++) add(busy, "t", 1, "a", i, i + 1, i + 2);
    metrics_merge(idle, busy);
    metrics_merge(idle, none);
    cr_assert(metrics_horizon(idle, 0, &h));
    cr_expect_eq(h.n, 4);
    cr_expect_eq(metrics_keys(idle), 1);
    metrics_close(idle), metrics_close(busy), metrics_close(none);
}

Test(metrics, a_result_of_other_values_is_counted_and_not_judged)
{
    static const char *const names[] = {"v", "w", "x"};
    static const struct eddy_schema wide = {.n_values = 3, .names = names};
    static const int horizons[] = {1, 2};
    const double y[] = {1, 2, 3}, forecast[6] = {0};
    const struct eddy_result r = {.key = "b",
                                  .key_len = 1,
                                  .topic = "t",
                                  .schema = &wide,
                                  .y = y,
                                  .n_horizons = 2,
                                  .horizons = horizons,
                                  .forecast = forecast};
    struct metrics *m = opened(true), *other = opened(true);
    add(m, "t", 1, "a", 1, 2, 3);
    cr_expect_eq(metrics_add(m, &r), -1);
    cr_expect_eq(metrics_unmeasured(m), 1);
    (void)metrics_add(other, &r);
    metrics_merge(m, other);
    cr_expect_eq(metrics_unmeasured(m), 2);
    cr_expect_eq(metrics_keys(m), 1);
    metrics_close(m), metrics_close(other);
}

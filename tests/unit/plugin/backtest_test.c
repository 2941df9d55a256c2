/* The report of a replay: one page that holds what it shows, whatever the texts and however long the series. */
#include <criterion/criterion.h>
#define json_real jansson_real /* a name of plugin/json_out.h as well; it is not called here */
#include <jansson.h>
#undef json_real
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/backtest.h"
#include "plugin/backtest_private.h"
#include "plugin/windows.h"

static const double bands[] = {0.9};
static const struct settings settings = {
    .name = "t", .forecast = {.bands = {1, bands}}, .detect = {.threshold = 0.5}};

struct report {
    struct metrics *m;
    struct backtest *b;
    char *text;
    json_t *data;
};

static struct report opened(const struct windows *labels, int64_t max_bytes)
{
    struct report r = {0};
    struct eddy_error err;
    const struct metrics_request request = {.settings = &settings, .labels = labels};
    cr_assert_eq(metrics_open(&request, &r.m, &err), EDDY_OK);
    cr_assert_eq(backtest_open(max_bytes, labels, &r.b, &err), EDDY_OK);
    return r;
}

static void add_ahead(struct report *to, const char *key, int i, double y, double score, double f)
{
    static const char *const names[] = {"v</script>"};
    static const struct eddy_schema schema = {.n_values = 1, .names = names};
    static const int horizons[] = {1, 2};
    const double forecast[] = {f, f}, lower[] = {f - 1, f - 1}, upper[] = {f + 1, f + 1};
    const struct eddy_result r = {.key = key,
                                  .key_len = strlen(key),
                                  .topic = "f",
                                  .schema = &schema,
                                  .time_ns = i * 1000000000LL,
                                  .y = &y,
                                  .yhat = forecast,
                                  .yhat_lower = lower,
                                  .yhat_upper = upper,
                                  .score = score,
                                  .anomaly = score >= 0.5,
                                  .n_horizons = 2,
                                  .horizons = horizons,
                                  .forecast = forecast,
                                  .lower = lower,
                                  .upper = upper,
                                  .n_bands = 1,
                                  .coverages = bands,
                                  .band_lower = lower,
                                  .band_upper = upper};
    backtest_add(to->b, metrics_add(to->m, &r), &r);
}

static void add(struct report *to, const char *key, int i, double y, double score)
{
    add_ahead(to, key, i, y, score, y);
}

static void write_page(struct report *r)
{
    char path[] = "/tmp/eddy-report-XXXXXX";
    int file = mkstemp(path);
    struct eddy_error err;
    const struct driver_stats stats = {.events = 1};
    const struct metrics_run run = {&stats, NULL, NULL};
    const struct backtest_about about = {"title <b>", "eddy", r->m, &run, 0.5};
    cr_assert(file >= 0);
    cr_assert_eq(backtest_write(r->b, &about, path, &err), EDDY_OK, "%s", err.message);
    off_t size = lseek(file, 0, SEEK_END);
    cr_assert_not_null(r->text = calloc((size_t)size + 1, 1));
    cr_assert_eq(pread(file, r->text, (size_t)size, 0), size);
    close(file);
    unlink(path);
    const char *begin = strstr(r->text, "id=\"data\">"), *end = begin ? strstr(begin, "</script>") : NULL;
    cr_assert_not_null(end);
    begin += strlen("id=\"data\">");
    r->data = json_loadb(begin, (size_t)(end - begin), JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(r->data, "what stands in the page is no JSON");
}

static void closed(struct report *r)
{
    json_decref(r->data);
    free(r->text);
    backtest_close(r->b);
    metrics_close(r->m);
}

static const json_t *chart(const struct report *r, size_t i)
{
    return json_array_get(json_object_get(r->data, "charts"), i);
}

static const json_t *column(const json_t *of, const char *name)
{
    return json_object_get(json_array_get(json_object_get(of, "values"), 0), name);
}

Test(backtest, texts_with_markup_stay_texts)
{
    struct report r = opened(NULL, 0);
    for (int i = 0; i < 20; i++) add(&r, "<img src=x onerror=alert(1)>&\"\\", i, i, 0);
    write_page(&r);
    cr_expect_null(strstr(r.text, "<img"));
    cr_expect_null(strstr(r.text, "v</script>"));
    cr_expect_str_eq(json_string_value(json_object_get(chart(&r, 0), "key")), "<img src=x onerror=alert(1)>&\"\\");
    cr_expect_null(strstr(r.text, "http://"));
    cr_expect_null(strstr(r.text, "https://"));
    cr_expect_not_null(strstr(r.text, "default-src 'none'"));
    closed(&r);
}

Test(backtest, a_short_series_is_there_row_by_row)
{
    struct report r = opened(NULL, 0);
    for (int i = 0; i < 100; i++) add(&r, "a", i, i == 7 ? (double)NAN : i, i == 50 ? 0.75 : 0.25);
    write_page(&r);
    const json_t *c = chart(&r, 0), *y = column(c, "y");
    cr_expect_eq(json_array_size(json_object_get(c, "t")), 100);
    cr_assert_eq(json_array_size(y), 100);
    cr_expect(json_is_null(json_array_get(y, 7)));
    cr_expect_eq(json_number_value(json_array_get(y, 99)), 99);
    cr_expect_eq(json_integer_value(json_array_get(json_object_get(c, "a"), 0)), 50);
    cr_expect_eq(json_array_size(column(c, "fans")), 3, "rows 0 and 64, and the last one");
    closed(&r);
}

Test(backtest, a_long_series_is_thinned_but_keeps_extremes_alerts_and_their_neighbours)
{
    enum { ROWS = 200000 };
    struct report r = opened(NULL, 1 << 20);
    for (int i = 0; i < ROWS; i++)
        add(&r, "a", i, i == 123456 ? 1000 : i == 99999 ? -1000 : sin(i * 0.01), i == 150000 ? 0.9 : 0.1);
    cr_assert_eq(r.b->omitted, 0);
    cr_assert_leq(r.b->bytes, 1 << 20);
    const struct backtest_series *s = r.b->series[0];
    cr_assert_lt(s->n, 40000);
    cr_assert_gt(s->n, 4000);
    bool high = false, low = false;
    int near = 0;
    for (int i = 0; i < s->n; i++) {
        int64_t row = s->time_ns[i] / 1000000000;
        cr_assert(i == 0 || s->time_ns[i] > s->time_ns[i - 1]);
        high |= row == 123456;
        low |= row == 99999;
        near += row >= 150000 && row < 150032;
        cr_assert_eq(s->flags[i] & ROW_ALERT, row == 150000);
    }
    cr_expect(high && low);
    cr_expect_eq(near, 32);
    closed(&r);
}

Test(backtest, label_windows_are_kept_whole_and_shown)
{
    static struct windows_span span = {5000LL * 1000000000, 5999LL * 1000000000};
    static char name[] = "a.csv";
    static struct windows_series series = {name, 1, 0, 1, &span};
    const struct windows labels = {1, &series};
    struct report r = opened(&labels, 500000);
    for (int i = 0; i < 60000; i++) add(&r, "a", i, sin(i * 0.01), 0.1);
    const struct backtest_series *s = r.b->series[0];
    int inside = 0;
    for (int i = 0; i < s->n; i++) inside += s->time_ns[i] >= span.start_ns && s->time_ns[i] <= span.end_ns;
    cr_expect_eq(inside, 1000);
    cr_expect_lt(s->n, 20000);
    write_page(&r);
    cr_expect_eq(json_array_size(json_object_get(chart(&r, 0), "spans")), 1);
    closed(&r);
}

Test(backtest, the_worst_series_comes_first_and_those_without_room_are_counted)
{
    struct report r = opened(NULL, 0);
    for (int i = 0; i < 50; i++) { /* both rise by 1; one knows nearly half of it, the other looks back */
        add_ahead(&r, "better", i, i, 0, i + 0.4);
        add_ahead(&r, "worse", i, i, 0, i - 1);
    }
    write_page(&r);
    const json_t *first = json_array_get(json_object_get(r.data, "overview"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(first, "key")), "worse");
    closed(&r);
    r = opened(NULL, 100000);
    for (int k = 0; k < 1000; k++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "k%d", k);
        add(&r, key, 0, 1, 0);
    }
    cr_expect_gt(r.b->omitted, 900);
    write_page(&r);
    cr_expect_eq(json_array_size(json_object_get(r.data, "overview")), 1000);
    closed(&r);
}

Test(backtest, a_page_that_cannot_be_written_is_named)
{
    struct report r = opened(NULL, 0);
    struct eddy_error err;
    const struct driver_stats stats = {0};
    const struct metrics_run run = {&stats, NULL, NULL};
    const struct backtest_about about = {"t", "eddy", r.m, &run, 0.5};
    cr_expect_eq(backtest_write(r.b, &about, "/nowhere/r.html", &err), EDDY_EIO);
    cr_expect(strstr(err.message, "/nowhere/r.html"));
    closed(&r);
}

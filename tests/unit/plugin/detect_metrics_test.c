/* Alarms against label windows, by hand. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plugin/metrics.h"
#include "plugin/windows.h"

static const struct settings settings = {.name = "t", .detect = {.threshold = 0.5}};

static struct windows_span spans[] = {{2000000000, 4000000000}, {8000000000, 9000000000}};
static char name[] = "a.csv", other[] = "quiet";
static struct windows_series series[] = {{name, 1, 0, 2, spans}, {other, 5, 0, 0, spans}};
static const struct windows labels = {2, series};

static struct metrics *opened(struct metrics_rows score, int64_t max_bytes)
{
    struct metrics *m;
    struct eddy_error err;
    const struct metrics_request request = {
        .settings = &settings, .labels = &labels, .score = score, .max_bytes = max_bytes};
    cr_assert_eq(metrics_open(&request, &m, &err), EDDY_OK);
    return m;
}

/* Row i at i seconds; '#' in `alarms` is an anomaly, with '=' an incident is open, '<' opens one. */
static void add(struct metrics *m, const char *key, const char *alarms)
{
    static const char *const names[] = {"v"};
    static const struct eddy_schema schema = {.n_values = 1, .names = names};
    for (int i = 0; alarms[i]; i++) {
        const double y = 1;
        const struct eddy_incident incident = {.state = EDDY_INCIDENT_OPEN};
        const struct eddy_result r = {.key = key,
                                      .key_len = strlen(key),
                                      .topic = "f",
                                      .schema = &schema,
                                      .time_ns = i * 1000000000LL,
                                      .y = &y,
                                      .score = alarms[i] == '#' ? 0.75 : 0.25,
                                      .anomaly = alarms[i] == '#',
                                      .incident = alarms[i] == '=' || alarms[i] == '<' ? "id" : NULL,
                                      .n_incidents = alarms[i] == '<',
                                      .incidents = &incident};
        metrics_add(m, &r);
    }
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

static void expect(const char *text, const char *part)
{
    cr_expect(strstr(text, part), "%s is missing in %s", part, text);
}

Test(metrics_detect, windows_false_alarms_and_rows_are_counted)
{
    char text[8192] = "";
    struct metrics *m = opened((struct metrics_rows){0}, 0);
    /*             ..wwww..ww      windows: rows 2-4 and 8-9 */
    add(m, "a", "#..##.#...");       /* a hit after a row, one missed; rows 0 and 6 are false alarms */
    add(m, "quiet", ".##...");       /* one false alarm of two rows */
    add(m, "unknown", "##########"); /* nobody knows */
    write_text(m, text);
    expect(text, "\"series\":2,\"unjudged\":0,");
    expect(text, "},\"windows\":{\"hit\":1,\"missed\":1,\"delay_rows_median\":1},\"false_alarms\":3,");
    expect(text, "\"pointwise\":{\"rows\":16,\"precision\":0.333333333,\"recall\":0.4,\"f1\":0.363636364,"
                 "\"far\":0.363636364,\"mar\":0.6}");
    expect(text, "\"by_series\":{\"a.csv\":{\"alerts\":4,\"windows\":{\"hit\":1,");
    expect(text, "\"quiet\":{\"alerts\":2,\"windows\":{\"hit\":0,\"missed\":0,\"delay_rows_median\":null},"
                 "\"false_alarms\":1,");
    expect(text, "\"best_threshold\":0.25}");
    metrics_close(m);
}

Test(metrics_detect, an_alarm_that_outlasts_its_window_is_no_false_alarm_but_its_rows_are)
{
    char text[8192] = "";
    struct metrics *m = opened((struct metrics_rows){0}, 0);
    add(m, "a", "...####...");
    write_text(m, text);
    expect(text, "\"false_alarms\":0,\"pointwise\":{\"rows\":10,\"precision\":0.5,");
    metrics_close(m);
}

Test(metrics_detect, rows_of_an_open_incident_are_alarmed)
{
    char text[8192] = "";
    struct metrics *m = opened((struct metrics_rows){0}, 0);
    add(m, "a", "<=..<==...");
    write_text(m, text);
    expect(text, "\"incidents\":2,");
    expect(text, "\"windows\":{\"hit\":1,\"missed\":1,\"delay_rows_median\":2},\"false_alarms\":1,");
    expect(text, "\"by_series\":{\"a.csv\":{\"alerts\":0,");
    metrics_close(m);
}

Test(metrics_detect, only_the_scored_rows_are_judged)
{
    char text[8192] = "";
    struct metrics *m = opened((struct metrics_rows){4, 8}, 0);
    add(m, "a", "#.#.#.#.##"); /* rows 4 (hit, two late), 6 (false) */
    write_text(m, text);
    expect(text, "\"windows\":{\"hit\":1,\"missed\":0,\"delay_rows_median\":2},\"false_alarms\":1,"
                 "\"pointwise\":{\"rows\":4,");
    metrics_close(m);
}

Test(metrics_detect, rows_beyond_the_limit_are_counted_not_kept)
{
    char text[8192] = "";
    struct metrics *m = opened((struct metrics_rows){0}, 5000);
    add(m, "a", "#..##.#...");
    write_text(m, text);
    expect(text, "\"unjudged\":10,");
    expect(text, "\"rows\":0,");
    metrics_close(m);
}

Test(metrics_detect, without_labels_nothing_is_said_of_windows)
{
    char text[8192] = "";
    struct metrics *m;
    struct eddy_error err;
    const struct metrics_request request = {.settings = &settings};
    cr_assert_eq(metrics_open(&request, &m, &err), EDDY_OK);
    add(m, "a", "#..##.#...");
    write_text(m, text);
    cr_expect_null(strstr(text, "\"nab\""));
    cr_expect_null(strstr(text, "\"windows\""));
    metrics_close(m);
}

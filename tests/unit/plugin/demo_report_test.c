/* The report: whole, self-contained, and no key can break out of its place. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "plugin/demo/page.h"
#include "plugin/demo/report.h"

enum { MANY = 100000 };
static struct report_point many[MANY];

static struct eddy_buffer page_of(const struct report *r)
{
    struct eddy_buffer text = {0};
    struct eddy_error err;
    cr_assert_eq(report_format(r, &text, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(eddy_buffer_append(&text, "", 1), EDDY_OK);
    return text;
}

static int count(const char *text, const char *word)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word)) n++;
    return n;
}

Test(demo_report, a_hostile_key_stays_text)
{
    static const struct report_point point = {1000000000, 1, NAN, NAN, NAN, 0, false};
    const struct report_series series = {
        "g", "</script><script>alert(1)</script><!--\"'\\\n\xff\xed\xa0\x80", "f", "", &point, 1, NULL, 0, NULL, 0};
    const struct report r = {.title = "<b>&amp;</b>", .lead = "", .footer = "", .series = &series, .n_series = 1};
    struct eddy_buffer with = page_of(&r), without = page_of(&(struct report){.title = "", .lead = "", .footer = ""});

    /* As many elements as the page has without any data, and the key as escapes in the one place. */
    cr_assert_eq(count(with.data, "<"), count(without.data, "<"));
    cr_assert_eq(count(with.data, ">"), count(without.data, ">"));
    cr_assert(strstr(with.data, "\\u003c/script\\u003e\\u003cscript\\u003ealert(1)"));
    cr_assert(strstr(with.data, "\\u0022\\u0027\\u005c\\u000a\\ufffd\\ufffd\\ufffd\\ufffd\""));
    eddy_buffer_free(&with);
    eddy_buffer_free(&without);
}

Test(demo_report, valid_utf8_is_kept)
{
    const struct report r = {.title = "\xc2\xb0 \xe2\x82\xac \xf0\x9f\x8c\x80", .lead = "", .footer = ""};
    struct eddy_buffer text = page_of(&r);
    cr_assert(strstr(text.data, "\"title\":\"\xc2\xb0 \xe2\x82\xac \xf0\x9f\x8c\x80\""));
    eddy_buffer_free(&text);
}

Test(demo_report, the_page_loads_nothing)
{
    static const char *const loads[] = {"http:", "https:", "src=", "href=", "@import", "url(", "fetch(", "import("};
    for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
        cr_assert_null(memmem(page_html, page_html_bytes(), loads[i], strlen(loads[i])), "%s", loads[i]);
    cr_assert_eq(count(page_html, PAGE_DATA), 1);
    cr_assert(strstr(page_html, "default-src 'none'"));
}

Test(demo_report, long_series_are_thinned_but_no_alert_is_lost)
{
    for (int i = 0; i < MANY; i++)
        many[i] = (struct report_point){1000000000LL * i, i % 7, 1, 0, 9, .01, i % 1000 == 123};
    many[55555].y = 4242;
    const struct report_series series = {"g", "k", "f", "", many, MANY, NULL, 0, NULL, 0};
    const struct report r = {.title = "", .lead = "", .footer = "", .series = &series, .n_series = 1};
    struct eddy_buffer text = page_of(&r);
    const char *alerts = strstr(text.data, "\"a\":[");
    cr_assert(alerts);
    int n_alerts = 0, n_points = 1;
    for (const char *at = alerts + 5; *at != ']'; at++) {
        n_alerts += *at == '1';
        n_points += *at == ',';
    }
    cr_assert_eq(n_alerts, 100);
    cr_assert_leq(n_points, 2 * REPORT_POINTS);
    cr_assert(strstr(text.data, "4242"), "the greatest value must stay");
    cr_assert_lt(text.len, 3u << 20);
    eddy_buffer_free(&text);
}

Test(demo_report, missing_values_are_null)
{
    static const struct report_point points[] = {{0, NAN, NAN, NAN, NAN, 0, false},
                                                 {2000000000, 1.5, 1, -INFINITY, 2, .5, true}};
    const struct report_series series = {"g", "k", "f", "", points, 2, NULL, 0, NULL, 0};
    const struct report r = {.title = "", .lead = "", .footer = "", .series = &series, .n_series = 1};
    struct eddy_buffer text = page_of(&r);
    cr_assert(strstr(text.data, "\"t\":[0,2],\"y\":[null,1.5],\"f\":[null,1],\"l\":[null,null],\"u\":[null,2],"
                                "\"s\":[0,0.5],\"a\":[0,1]"));
    eddy_buffer_free(&text);
}

Test(demo_report, a_path_that_cannot_be_written_is_named)
{
    struct eddy_error err;
    const struct report r = {.title = "", .lead = "", .footer = ""};
    cr_assert_eq(report_write(&r, "/nonexistent/x.html", &err), EDDY_EIO);
    cr_assert(strstr(err.message, "/nonexistent/x.html"));
    cr_assert_eq(report_write(&r, "/dev/full", &err), EDDY_EIO);
}

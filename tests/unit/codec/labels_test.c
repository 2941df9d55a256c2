/* Labels and categories, from records of both codecs. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"

static const char *const fields[] = {"type", "site"}, *const paths[] = {"meta.type", "site"};
static const struct json_settings labelled = {
    .key = "key", .time = "ts", .label = "state", .categories = {2, fields}};
static const struct json_settings nested = {
    .key = "key", .time = "ts", .label = "meta.state", .categories = {2, paths}};
static const struct json_settings plain = {.key = "key", .time = "ts"};

static void expect_good(struct bench *b, const char *payload)
{
    eddy_status rc = bench_decode(b, payload);
    cr_expect_eq(rc, EDDY_OK, "%s: %s", payload, b->err.message);
}

Test(category, numbers_are_whole_small_and_told_apart)
{
    cr_expect_eq(eddy_category("press", 5), eddy_category("press", 5));
    cr_expect_neq(eddy_category("press", 5), eddy_category("presse", 6));
    cr_expect_neq(eddy_category("", 0), 0.0f);
    cr_expect_neq(eddy_category("", 0), eddy_category("0", 1));
    for (int i = 0; i < 1000; i++) {
        char text[16];
        int n = snprintf(text, sizeof(text), "machine-%d", i);
        float number = eddy_category(text, (size_t)n);
        cr_expect(number >= 0 && number < 1048576 && number == (float)(int)number, "%s: %g", text, (double)number);
    }
}

Test(category, the_numbers_stay_what_they_are_because_stored_weights_depend_on_them)
{
    /* XXH3_64bits of the empty text is 2d06800538d394c2, of "press" 3b7eeccb9f27b020. */
    cr_expect_eq(eddy_category("", 0), (float)0x394c2);
    cr_expect_eq(eddy_category("", 0), EDDY_NO_CATEGORY);
    cr_expect_eq(eddy_category("press", 5), (float)0x7b020);
}

Test(json_labels, a_label_and_categories_come_with_the_values)
{
    struct bench b;
    bench_open(&b, &codec_json, &labelled, "v");
    bench_want(&b, "type site");
    expect_good(&b, "{\"type\":\"press\",\"key\":\"a\",\"ts\":\"2020-01-01\",\"state\":\"fa\\u0075lt\",\"v\":1,"
                    "\"site\":7}");
    bench_expect_label(&b, "fault", false);
    bench_expect_category(&b, 0, "press");
    bench_expect_category(&b, 1, "7");
    cr_expect_eq(b.x[0], 1.0);
    expect_good(&b, "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"state\":12,\"v\":1,\"site\":true}");
    bench_expect_label(&b, "12", false);
    bench_expect_category(&b, 0, "");
    bench_expect_category(&b, 1, "true");
    bench_close(&b);
}

Test(json_labels, what_is_missing_is_no_label_and_the_empty_category)
{
    static const char *const rests[] = {"", ",\"state\":null,\"type\":null", ",\"state\":\"\",\"type\":\"\""};
    struct bench b;
    bench_open(&b, &codec_json, &labelled, "v");
    bench_want(&b, "type");
    for (size_t i = 0; i < sizeof(rests) / sizeof(*rests); i++) {
        char payload[128];
        (void)snprintf(payload, sizeof(payload), "{\"key\":\"a\",\"ts\":\"2020-01-01\"%s}", rests[i]);
        expect_good(&b, payload);
        bench_expect_label(&b, NULL, false);
        bench_expect_category(&b, 0, "");
        cr_expect(isnan(b.x[0]));
    }
    bench_close(&b);
}

Test(json_labels, a_label_without_any_value_field_comes_late)
{
    struct bench b;
    bench_open(&b, &codec_json, &labelled, "v w");
    expect_good(&b, "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"state\":\"ok\",\"other\":1,\"type\":\"press\"}");
    bench_expect_label(&b, "ok", true);
    cr_expect(isnan(b.x[0]) && isnan(b.x[1]));
    expect_good(&b, "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"state\":\"ok\",\"w\":null}");
    bench_expect_label(&b, "ok", false);
    bench_close(&b);
    bench_open(&b, &codec_json, &plain, "v");
    expect_good(&b, "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"state\":\"ok\"}");
    bench_expect_label(&b, NULL, false);
    bench_close(&b);
}

Test(json_labels, paths_reach_them)
{
    struct bench b;
    bench_open(&b, &codec_json, &nested, "v");
    bench_want(&b, "meta.type site");
    expect_good(&b, "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":1,\"meta\":{\"state\":false,\"type\":\"press\"},"
                    "\"site\":7}");
    bench_expect_label(&b, "false", false);
    bench_expect_category(&b, 0, "press");
    bench_expect_category(&b, 1, "7");
    expect_good(&b, "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"meta\":{\"state\":3}}");
    bench_expect_label(&b, "3", true);
    bench_expect_refusal(&b, "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":1,\"meta\":{\"state\":[]}}", "wrong_type");
    bench_close(&b);
}

Test(json_labels, objects_and_lists_are_refused)
{
    struct bench b;
    bench_open(&b, &codec_json, &labelled, "v");
    bench_want(&b, "type");
    bench_expect_refusal(&b, "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":1,\"state\":{}}", "wrong_type");
    bench_expect_refusal(&b, "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":1,\"type\":[1]}", "wrong_type");
    bench_expect_refusal(&b, "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":1,\"type\":1,\"type\":1}",
                         "duplicate_field");
    bench_close(&b);
}

Test(json_labels, who_wants_no_categories_gets_none)
{
    struct bench b;
    bench_open(&b, &codec_json, &labelled, "v");
    bench_want(&b, "type");
    struct eddy_record record = b.record;
    record.payload = "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":1,\"type\":\"press\"}";
    record.payload_len = strlen(record.payload);
    b.event = (struct eddy_event){.x = b.x};
    cr_expect_eq(codec_json.decode(b.codec, &b.schema, &record, &b.arena, &b.event, &b.err), EDDY_OK);
    bench_close(&b);
}

Test(json_labels, schemas_that_differ_in_categories_alone_do_not_mix)
{
    static const char payload[] = "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":1,\"type\":\"t\",\"site\":\"s\"}";
    struct bench b;
    bench_open(&b, &codec_json, &labelled, "v");
    for (int round = 0; round < 3; round++) {
        bench_want(&b, "site");
        expect_good(&b, payload);
        bench_expect_category(&b, 0, "s");
        bench_want(&b, "type");
        expect_good(&b, payload);
        bench_expect_category(&b, 0, "t");
        bench_want(&b, "type site");
        expect_good(&b, payload);
        bench_expect_category(&b, 1, "s");
    }
    bench_close(&b);
}

Test(json_labels, neither_is_discovered_as_a_value)
{
    char out[64];
    struct bench b;
    bench_open(&b, &codec_json, &labelled, "");
    cr_expect_str_eq(bench_discover(&b, "{\"key\":1,\"ts\":\"2020-01-01\",\"state\":1,\"type\":2,\"v\":3,\"site\":4}",
                                    out, sizeof(out)),
                     "v");
    cr_expect_str_eq(bench_discover(&b, "{\"key\":1,\"ts\":\"2020-01-01\",\"state\":1}", out, sizeof(out)),
                     "<no_values>");
    bench_close(&b);
}

/* ---- CSV ---- */

static const char *const cells[] = {"key", "ts", "v", "w", "state", "type", "site"};
static const struct csv_settings lines = {
    .columns = {7, cells}, .key = "key", .time = "ts", .label = "state", .categories = {2, fields}};

Test(csv_labels, a_label_and_categories_are_cells)
{
    struct bench b;
    bench_open(&b, &codec_csv, &lines, "v w");
    bench_want(&b, "site type");
    expect_good(&b, "a,2020-01-01,1,2, fault ,press,7");
    bench_expect_label(&b, "fault", false);
    bench_expect_category(&b, 0, "7");
    bench_expect_category(&b, 1, "press");
    expect_good(&b, "a,2020-01-01,1,2,\" fa,\"\"ult\",\" press\",");
    bench_expect_label(&b, " fa,\"ult", false);
    bench_expect_category(&b, 0, "");
    bench_expect_category(&b, 1, " press");
    expect_good(&b, "a,2020-01-01,1,2,NA,null,NaN");
    bench_expect_label(&b, NULL, false);
    bench_expect_category(&b, 0, "");
    bench_expect_category(&b, 1, "");
    bench_close(&b);
}

Test(csv_labels, a_label_whose_value_cells_are_all_empty_comes_late)
{
    struct bench b;
    bench_open(&b, &codec_csv, &lines, "v w");
    expect_good(&b, "a,2020-01-01,, ,ok,press,");
    bench_expect_label(&b, "ok", true);
    cr_expect(isnan(b.x[0]) && isnan(b.x[1]));
    expect_good(&b, "a,2020-01-01,,NA,ok,,");
    bench_expect_label(&b, "ok", false);
    expect_good(&b, "a,2020-01-01,,,,,");
    bench_expect_label(&b, NULL, false);
    bench_close(&b);
}

Test(csv_labels, the_columns_of_a_file_bring_their_own)
{
    static const int role[] = {CSV_LABEL, CSV_CATEGORY - 1, CSV_TIME, CSV_CATEGORY};
    static const char *const mine[] = {"site", "type"};
    static const struct csv_columns file = {
        .n_columns = 4, .role = role, .n_categories = 2, .categories = mine, .has_label = true};
    struct bench b;
    bench_open(&b, &codec_csv, &lines, "v");
    bench_want(&b, "type other");
    b.record.context = &file;
    b.record.key = "k";
    b.record.key_len = 1;
    expect_good(&b, "ok,press,2020-01-01,7"); /* a file of labels alone */
    bench_expect_label(&b, "ok", true);
    bench_expect_category(&b, 0, "press");
    bench_expect_category(&b, 1, "");
    bench_want(&b, "site");
    expect_good(&b, "ok,press,2020-01-01,7");
    bench_expect_category(&b, 0, "7");
    bench_close(&b);
}

Test(csv_labels, neither_is_discovered_as_a_value)
{
    char out[64];
    struct bench b;
    bench_open(&b, &codec_csv, &lines, "");
    cr_expect_str_eq(bench_discover(&b, "a,2020-01-01,1,2,3,4,5", out, sizeof(out)), "v w");
    bench_close(&b);
}

/* ---- both ---- */

static void expect_categories(const struct eddy_codec *type, const void *settings, int n, const char *joined,
                              size_t len)
{
    struct bench b;
    struct eddy_buffer names = {0};
    bench_open(&b, type, settings, "");
    cr_expect_eq(type->categories(b.codec, &names, &b.err), n);
    cr_expect(names.len == len && (len == 0 || memcmp(names.data, joined, len) == 0));
    eddy_buffer_free(&names);
    bench_close(&b);
}

Test(labels, a_codec_tells_its_categories)
{
    expect_categories(&codec_json, &labelled, 2, "type\0site", 10);
    expect_categories(&codec_json, &plain, 0, NULL, 0);
    expect_categories(&codec_csv, &lines, 2, "type\0site", 10);
}

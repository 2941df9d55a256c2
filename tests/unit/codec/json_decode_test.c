/* What the JSON codec makes of a record. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

static const struct json_settings plain = {.key = "key", .time = "ts"};
static const struct json_settings kafka = {.key = JSON_RECORD_KEY, .time = JSON_RECORD_TIME};
static const struct json_settings nested = {.key = "meta.id", .time = "meta.ts"};

static void expect_good(struct bench *b, const char *payload)
{
    eddy_status rc = bench_decode(b, payload);
    cr_expect_eq(rc, EDDY_OK, "%s: %s", payload, b->err.message);
}

Test(json_decode, fields_come_in_any_order_and_unknown_ones_are_passed_over)
{
    struct bench b;
    bench_open(&b, &codec_json, &plain, "temp load");
    expect_good(&b, "{\"load\":3,\"note\":{\"a\":[1,{\"b\":null}]},\"ts\":\"1970-01-01T00:00:01Z\",\"temp\":21.5,"
                    "\"key\":\"p1\"}");
    bench_expect_key(&b, "p1");
    cr_expect_eq(b.event.time_ns, 1000000000);
    cr_expect_eq(b.event.time_text_len, strlen("1970-01-01T00:00:01Z"));
    cr_expect_eq(b.x[0], 21.5);
    cr_expect_eq(b.x[1], 3.0);
    expect_good(&b, " {\r\n\t\"key\" : \"p1\" , \"ts\" : \"1970-01-01\" } \n");
    bench_close(&b);
}

Test(json_decode, null_and_absent_values_are_missing)
{
    struct bench b;
    bench_open(&b, &codec_json, &plain, "temp load");
    expect_good(&b, "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"temp\":null}");
    cr_expect(isnan(b.x[0]) && isnan(b.x[1]));
    bench_close(&b);
}

Test(json_decode, the_record_brings_key_and_time_when_told)
{
    struct bench b;
    bench_open(&b, &codec_json, &kafka, "v");
    bench_expect_refusal(&b, "{\"v\":1}", "missing_key");
    b.record.key = "k\xC3\xA4";
    b.record.key_len = 3;
    bench_expect_refusal(&b, "{\"v\":1}", "missing_time");
    b.record.time_ns = 5;
    expect_good(&b, "{\"v\":1}");
    bench_expect_key(&b, "k\xC3\xA4");
    cr_expect_eq(b.event.time_ns, 5);
    cr_expect_null(b.event.time_text);
    b.record.key = "\xFF\xFE";
    b.record.key_len = 2;
    bench_expect_refusal(&b, "{\"v\":1}", "not_utf8");
    b.record.key = "";
    b.record.key_len = 0;
    bench_expect_refusal(&b, "{\"v\":1}", "missing_key"); /* as in CSV and in eddy.h */
    bench_close(&b);
}

Test(json_decode, escapes_in_keys_and_names_are_decoded)
{
    struct bench b;
    bench_open(&b, &codec_json, &plain, "temp");
    expect_good(&b,
                "{\"k\\u0065y\":\"a\\n\\\"\\u00e4\\ud83d\\ude00\\/\",\"ts\":\"2020\\u002d01-01\",\"\\u0074emp\":1}");
    bench_expect_key(&b, "a\n\"\xC3\xA4\xF0\x9F\x98\x80/");
    cr_expect_eq(b.x[0], 1.0);
    bench_close(&b);
}

Test(json_decode, a_number_as_key_counts_as_its_text)
{
    struct bench b;
    bench_open(&b, &codec_json, &plain, "v");
    expect_good(&b, "{\"key\":12345678901234567890,\"ts\":\"2020-01-01\"}");
    bench_expect_key(&b, "12345678901234567890");
    bench_close(&b);
}

Test(json_decode, bad_records_say_why)
{
    static const struct {
        const char *payload, *reason;
    } bad[] = {
        {"", "empty"},
        {" \n", "empty"},
        {"{", "not_json"},
        {"{}", "missing_key"},
        {"[]", "wrong_type"},
        {"12", "wrong_type"},
        {"hello", "not_json"},
        {"{\"key\":\"a\"}", "missing_time"},
        {"{\"key\":\"a\",\"ts\":null}", "missing_time"},
        {"{\"key\":null,\"ts\":\"2020-01-01\"}", "missing_key"},
        {"{\"key\":true,\"ts\":\"2020-01-01\"}", "wrong_type"},
        {"{\"key\":\"a\",\"ts\":[]}", "wrong_type"},
        {"{\"key\":\"a\",\"ts\":\"yesterday\"}", "bad_time"},
        {"{\"key\":\"a\",\"ts\":1700000000}", "bad_time"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":\"1\"}", "wrong_type"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":true}", "wrong_type"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":{}}", "wrong_type"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":1e400}", "not_finite"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":-1e400}", "not_finite"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":NaN}", "not_json"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":Infinity}", "not_json"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v\":1,\"v\":2}", "duplicate_field"},
        {"{\"key\":\"a\",\"key\":\"a\",\"ts\":\"2020-01-01\"}", "duplicate_field"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\"}x", "not_json"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",}", "not_json"},
        {"{\"key\":\"a\" \"ts\":\"2020-01-01\"}", "not_json"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"n\":[1,]}", "not_json"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"n\":{\"a\":1]}", "not_json"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"n\":01}", "not_json"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"n\":\"\\x\"}", "not_json"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"n\":\"\\ud800\"}", "not_json"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"n\":\"\\udc00\"}", "not_json"},
        {"{\"key\":\"a\tb\",\"ts\":\"2020-01-01\"}", "not_json"},
        {"{\"key\":\"\xC0\xAF\",\"ts\":\"2020-01-01\"}", "not_utf8"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"n\":\"\xED\xA0\x80\"}", "not_utf8"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"\xFF\":1}", "not_utf8"},
        {"{\"key\":\"a\",\"ts\":\"2020-01-01\",\"n\":\"\xF4\x90\x80\x80\"}", "not_utf8"},
        {"\xEF\xBB\xBF{\"key\":\"a\",\"ts\":\"2020-01-01\"}", "not_json"},
    };
    struct bench b;
    bench_open(&b, &codec_json, &plain, "v");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) bench_expect_refusal(&b, bad[i].payload, bad[i].reason);
    bench_close(&b);
}

Test(json_decode, every_beginning_of_a_record_is_refused)
{
    static const char whole[] =
        "{\"key\":\"a\\u00e4\",\"ts\":\"2020-01-01\",\"n\":[1.5e3,{\"x\":\"\xC3\xA4\"}],\"v\":-2.5}";
    struct bench b;
    bench_open(&b, &codec_json, &plain, "v");
    for (size_t len = 0; len + 1 < sizeof(whole); len++) {
        char *exact = malloc(len + 1); /* so that a sanitizer sees a read behind the end */
        cr_assert_not_null(exact);
        memcpy(exact, whole, len);
        cr_expect_eq(bench_decode_bytes(&b, exact, len), EDDY_EDATA, "%zu bytes", len);
        free(exact);
    }
    expect_good(&b, whole);
    bench_close(&b);
}

/* The record before is laid out as the whole one. */
Test(json_decode, a_record_that_breaks_off_is_not_read_beyond_its_end)
{
    static const char whole[] = "{\"key\":\"sensor-000017\",\"ts\":\"2026-01-01T00:00:00Z\",\"v\":20.347}";
    struct bench b;
    bench_open(&b, &codec_json, &plain, "v");
    char *end = bench_page_end();
    for (size_t len = 1; len < sizeof(whole); len++) {
        expect_good(&b, whole);
        memcpy(end - len, whole, len);
        cr_expect_eq(bench_decode_bytes(&b, end - len, len), len + 1 < sizeof(whole) ? EDDY_EDATA : EDDY_OK,
                     "%zu bytes", len);
    }
    bench_expect_key(&b, "sensor-000017");
    cr_expect_eq(b.event.time_ns, 1767225600 * INT64_C(1000000000));
    cr_expect_eq(b.x[0], 20.347);
    bench_close(&b);
}

/* Strings and numbers of every length stand last, where whole words would reach beyond the end. */
Test(json_decode, the_last_value_is_read_to_its_end)
{
    struct bench b;
    bench_open(&b, &codec_json, &plain, "v");
    char *end = bench_page_end();
    for (int n = 1; n <= 40; n++) {
        char key[48] = "", text[160];
        memset(key, 'k', (size_t)n);
        size_t len = (size_t)snprintf(text, sizeof(text), "{\"ts\":\"2026-01-01\",\"key\":\"%s\"}", key);
        memcpy(end - len, text, len);
        for (int again = 0; again < 2; again++)
            cr_expect_eq(bench_decode_bytes(&b, end - len, len), EDDY_OK, "%s", b.err.message);
        bench_expect_key(&b, key);
        len = (size_t)snprintf(text, sizeof(text), "{\"ts\":\"2026-01-01\",\"key\":\"a\",\"v\":-%.*f}", n % 20,
                               n * 1.7);
        memcpy(end - len, text, len);
        for (int again = 0; again < 2; again++)
            cr_expect_eq(bench_decode_bytes(&b, end - len, len), EDDY_OK, "%s", b.err.message);
        cr_expect_eq(b.x[0], strtod(strrchr(text, ':') + 1, NULL), "%s", text);
    }
    bench_close(&b);
}

Test(json_decode, any_byte_within_a_key_is_read_as_without_a_record_before)
{
    struct bench used, fresh;
    bench_open(&used, &codec_json, &plain, "v");
    for (size_t at = 0; at < 33; at++)
        for (int byte = 0; byte < 256; byte++) {
            char text[96] = "{\"key\":\"0123456789abcdef0123456789abcdef0\",\"ts\":\"2026-01-01\",\"v\":1}";
            const size_t len = strlen(text);
            expect_good(&used, text);
            text[8 + at] = (char)byte;
            bench_open(&fresh, &codec_json, &plain, "v");
            const eddy_status rc = bench_decode_bytes(&used, text, len);
            cr_assert_eq(bench_decode_bytes(&fresh, text, len), rc, "%d at %zu", byte, at);
            cr_assert_str_eq(used.err.message, fresh.err.message);
            bench_close(&fresh);
            if (byte == '\\') continue; /* some of them are escapes */
            cr_assert_eq(rc == EDDY_OK, byte >= 0x20 && byte < 0x80 && byte != '"', "%d at %zu", byte, at);
        }
    bench_close(&used);
}

Test(json_decode, limits_hold_at_their_edges)
{
    struct bench b;
    struct eddy_limits limits = {.record = 100, .key = 3, .depth = 3, .fields = 4};
    bench_open(&b, &codec_json, &plain, "");
    codec_json.close(b.codec);
    cr_assert_eq(codec_json.open(&plain, &limits, &b.codec, &b.err), EDDY_OK);
    expect_good(&b, "{\"key\":\"abc\",\"ts\":\"2020-01-01\",\"n\":[[1]]}");
    bench_expect_refusal(&b, "{\"key\":\"abcd\",\"ts\":\"2020-01-01\"}", "key_too_long");
    bench_expect_refusal(&b, "{\"key\":\"abc\",\"ts\":\"2020-01-01\",\"n\":[[[1]]]}", "too_deep");
    expect_good(&b, "{\"key\":\"abc\",\"ts\":\"2020-01-01\",\"n\":{\"m\":1}}");
    bench_expect_refusal(&b, "{\"key\":\"abc\",\"ts\":\"2020-01-01\",\"n\":{\"m\":1,\"o\":1}}", "too_many_fields");
    static char large[101];
    memset(large, ' ', sizeof(large));
    memcpy(large, "{\"key\":\"abc\",\"ts\":\"2020-01-01\"}", 31);
    cr_expect_eq(bench_decode_bytes(&b, large, 100), EDDY_OK);
    cr_expect_eq(bench_decode_bytes(&b, large, 101), EDDY_EDATA);
    cr_expect_str_eq(b.err.reason, "too_large");
    bench_close(&b);
}

Test(json_decode, a_depth_bomb_is_refused_without_recursion)
{
    struct bench b;
    size_t n = 900000;
    char *bomb = malloc(n);
    cr_assert_not_null(bomb);
    memset(bomb, '[', n);
    memcpy(bomb, "{\"a\":", 5);
    bench_open(&b, &codec_json, &plain, "v");
    cr_expect_eq(bench_decode_bytes(&b, bomb, n), EDDY_EDATA);
    cr_expect_str_eq(b.err.reason, "too_deep");
    bench_close(&b);
    free(bomb);
}

Test(json_decode, epoch_times_are_read_by_their_unit)
{
    static const struct json_settings ms = {.key = "key", .time = "ts", .time_unit = TIME_MS};
    struct bench b;
    bench_open(&b, &codec_json, &ms, "v");
    expect_good(&b, "{\"key\":\"a\",\"ts\":1700000000123}");
    cr_expect_eq(b.event.time_ns, 1700000000123000000);
    expect_good(&b, "{\"key\":\"a\",\"ts\":\"1700000000123\"}");
    cr_expect_eq(b.event.time_ns, 1700000000123000000);
    bench_expect_refusal(&b, "{\"key\":\"a\",\"ts\":1e30}", "bad_time");
    bench_expect_refusal(&b, "{\"key\":\"a\",\"ts\":\"2020-01-01\"}", "bad_time");
    bench_close(&b);
}

Test(json_decode, paths_reach_into_objects_and_lists)
{
    struct bench b;
    bench_open(&b, &codec_json, &nested, "payload.temp list.1 a.b");
    expect_good(&b, "{\"meta\":{\"id\":\"p1\",\"ts\":\"1970-01-01T00:00:01Z\"},\"payload\":{\"temp\":1.5},\"list\":["
                    "1,2],\"a.b\":3}");
    bench_expect_key(&b, "p1");
    cr_expect_eq(b.event.time_ns, 1000000000);
    cr_expect(b.x[0] == 1.5 && b.x[1] == 2 && b.x[2] == 3);
    expect_good(&b, "{\"meta\":{\"id\":9007199254740993,\"ts\":\"1970-01-01\"},\"payload\":7,\"list\":[]}");
    bench_expect_key(&b, "9007199254740993");
    cr_expect(isnan(b.x[0]) && isnan(b.x[1]) && isnan(b.x[2]));
    bench_close(&b);
}

Test(json_decode, paths_refuse_what_flat_fields_refuse)
{
    struct bench b;
    bench_open(&b, &codec_json, &nested, "p.t");
    bench_expect_refusal(&b, "", "empty");
    bench_expect_refusal(&b, "{\"meta\":{}}", "missing_key");
    bench_expect_refusal(&b, "{\"meta\":{\"id\":\"a\"}}", "missing_time");
    bench_expect_refusal(&b, "{\"meta\":{\"id\":\"a\",\"ts\":\"2020-01-01\"},\"p\":{\"t\":\"1\"}}", "wrong_type");
    bench_expect_refusal(&b, "{\"meta\":{\"id\":\"a\",\"ts\":\"2020-01-01\"},\"p\":{\"t\":1e999}}", "not_finite");
    bench_expect_refusal(&b, "{\"meta\":{\"id\":\"a\",\"ts\":\"2020-01-01\"},\"p\":{\"t\":1,\"t\":2}}",
                         "duplicate_field");
    bench_expect_refusal(&b, "{\"meta\":{\"id\":\"a\",\"ts\":\"2020-01-01\"}", "not_json");
    bench_expect_refusal(&b, "{\"meta\":{\"id\":\"\xFF\"}}", "not_utf8");
    bench_expect_refusal(&b, "[]", "wrong_type");
    bench_close(&b);
}

Test(json_decode, nested_times_keep_their_nanoseconds)
{
    static const struct json_settings seconds = {.key = "m.k", .time = "m.t", .time_unit = TIME_S};
    static const struct json_settings ns = {.key = "m.k", .time = "m.t", .time_unit = TIME_NS};
    struct bench b;
    bench_open(&b, &codec_json, &seconds, "v");
    expect_good(&b, "{\"m\":{\"k\":\"a\",\"t\":1700000000.123}}");
    cr_expect_eq(b.event.time_ns, 1700000000123000000);
    bench_close(&b);
    bench_open(&b, &codec_json, &ns, "v");
    expect_good(&b, "{\"m\":{\"k\":\"a\",\"t\":1700000000123456789}}");
    cr_expect_eq(b.event.time_ns, 1700000000123456789);
    bench_close(&b);
}

Test(json_decode, poison_in_any_position_leaves_its_neighbours_alone)
{
    static const char *const poison[] = {"",
                                         "{\"key\":\"x\\u00",
                                         "{\"key\":\"evil\",\"ts\":\"2020-01-01\",\"v\":1e400}",
                                         "{\"key\":\"evil\",\"ts\":\"2020-01-01\",\"v\":9",
                                         "\xFF\xFF",
                                         "{\"v\":{\"a\":["};
    enum { BATCH = 8 };
    struct bench b;
    char payload[BATCH][96];
    bench_open(&b, &codec_json, &plain, "v");
    for (int i = 0; i < BATCH; i++)
        (void)snprintf(payload[i], sizeof(payload[i]), "{\"key\":\"k\\u003%d\",\"ts\":\"2020-01-0%d\",\"v\":%d}", i,
                       i + 1, i);
    for (size_t p = 0; p < sizeof(poison) / sizeof(*poison); p++)
        for (int at = 0; at < BATCH; at++)
            for (int i = 0; i < BATCH; i++) {
                char key[4] = {'k', (char)('0' + i), '\0'};
                if (i == at) cr_expect_eq(bench_decode(&b, poison[p]), EDDY_EDATA);
                expect_good(&b, payload[i]);
                bench_expect_key(&b, key);
                cr_expect_eq(b.x[0], (double)i);
            }
    bench_close(&b);
}

Test(json_decode, values_are_discovered_in_the_order_of_the_record)
{
    char out[256];
    struct bench b;
    bench_open(&b, &codec_json, &plain, "");
    cr_expect_str_eq(
        bench_discover(
            &b,
            "{\"z\":1,\"key\":\"a\",\"s\":\"x\",\"a.b\":2,\"ts\":\"2020-01-01\",\"n\":null,\"o\":{\"p\":1},\"a\":3}",
            out, sizeof(out)),
        "z a.b a");
    cr_expect_str_eq(bench_discover(&b, "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"s\":\"x\"}", out, sizeof(out)),
                     "<no_values>");
    cr_expect_str_eq(bench_discover(&b, "{\"ts\":\"2020-01-01\",\"v\":1}", out, sizeof(out)), "<missing_key>");
    cr_expect_str_eq(bench_discover(&b, "{\"key\":\"a\",\"ts\":\"?\",\"v\":1}", out, sizeof(out)), "<bad_time>");
    bench_close(&b);
}

Test(json_decode, values_of_the_settings_need_no_record)
{
    static const char *const names[] = {"pressure", "temp"};
    static const struct json_settings listed = {.key = "key", .time = "ts", .values = {2, names}};
    char out[256];
    struct bench b;
    bench_open(&b, &codec_json, &listed, "");
    cr_expect_str_eq(bench_discover(&b, "not even json", out, sizeof(out)), "pressure temp");
    bench_close(&b);
}

Test(json_decode, many_schemas_in_turn_do_not_mix)
{
    struct bench b;
    struct eddy_schema mine;
    char name[16];
    bench_open(&b, &codec_json, &plain, "");
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 16; i++) { /* more than are kept; always at the same address */
            (void)snprintf(name, sizeof(name), "v%d", i);
            const char *one = name;
            mine = (struct eddy_schema){.n_values = 1, .names = &one};
            b.schema = mine;
            expect_good(&b, "{\"key\":\"a\",\"ts\":\"2020-01-01\",\"v0\":0,\"v1\":1,\"v2\":2,\"v3\":3,\"v4\":4,"
                            "\"v5\":5,\"v6\":6,\"v7\":7,"
                            "\"v8\":8,\"v9\":9,\"v10\":10,\"v11\":11,\"v12\":12,\"v13\":13,\"v14\":14,\"v15\":15}");
            cr_expect_eq(b.x[0], (double)i);
        }
    bench_close(&b);
}

Test(json_decode, settings_that_contradict_themselves_are_refused)
{
    static const char *const twice[] = {"a", "a"}, *const key[] = {"key"};
    const struct json_settings bad[] = {{.key = "", .time = "ts"},
                                        {.key = "x", .time = "x"},
                                        {.key = "key", .time = "ts", .values = {2, twice}},
                                        {.key = "key", .time = "ts", .values = {1, key}},
                                        {.key = "key", .time = "ts", .label = "ts"},
                                        {.key = "key", .time = "ts", .label = ""},
                                        {.key = "key", .time = "ts", .label = "a", .categories = {1, twice}},
                                        {.key = "key", .time = "ts", .label = "a", .values = {1, twice}},
                                        {.key = "key", .time = "ts", .categories = {2, twice}},
                                        {.key = "key", .time = "ts", .categories = {1, key}},
                                        {.key = "key", .time = "ts", .categories = {1, twice}, .values = {1, twice}}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct eddy_error err = {0};
        cr_expect_eq(codec_json.part.check(&bad[i], &err), EDDY_ECONFIG);
    }
    cr_expect_eq(codec_json.part.check(&plain, NULL), EDDY_OK);
}

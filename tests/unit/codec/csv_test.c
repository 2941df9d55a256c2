/* Lines of cells, with the columns of a file or of the settings. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"

static const char *const cells[] = {"key", "ts", "temp", "load"};
static const struct csv_settings plain = {.columns = {4, cells}, .key = "key", .time = "ts"};
static const struct csv_settings none = {.key = JSON_RECORD_KEY, .time = "ts"};

static void expect_good(struct bench *b, const char *line)
{
    eddy_status rc = bench_decode(b, line);
    cr_expect_eq(rc, EDDY_OK, "%s: %s", line, b->err.message);
}

Test(csv, cells_are_read_by_the_columns_of_the_settings)
{
    struct bench b;
    bench_open(&b, &codec_csv, &plain, "load temp");
    expect_good(&b, "p1,2020-01-01T00:00:00Z,21.5,-3");
    bench_expect_key(&b, "p1");
    cr_expect_eq(b.event.time_ns, 1577836800000000000);
    cr_expect(b.x[0] == -3 && b.x[1] == 21.5);
    expect_good(&b, "p1, 2020-01-01 , +1e3 ,.5\r\n");
    cr_expect(b.x[0] == 0.5 && b.x[1] == 1000);
    bench_close(&b);
}

Test(csv, quotes_hold_separators_and_doubled_quotes)
{
    struct bench b;
    bench_open(&b, &codec_csv, &plain, "temp");
    expect_good(&b, "\"a,\"\"b\"\"\",\"2020-01-01\",\"1.5\",");
    bench_expect_key(&b, "a,\"b\"");
    cr_expect_eq(b.x[0], 1.5);
    expect_good(&b, "a\"b,2020-01-01,1,2");
    bench_expect_key(&b, "a\"b");
    bench_close(&b);
}

Test(csv, missing_cells_are_missing_values)
{
    static const char *const lines[] = {"k,2020-01-01,,1",    "k,2020-01-01,NA,1",   "k,2020-01-01,NaN,1",
                                        "k,2020-01-01,nan,1", "k,2020-01-01,null,1", "k,2020-01-01,\"\",1",
                                        "k,2020-01-01,  ,1"};
    struct bench b;
    bench_open(&b, &codec_csv, &plain, "temp load");
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        expect_good(&b, lines[i]);
        cr_expect(isnan(b.x[0]) && b.x[1] == 1, "%s", lines[i]);
    }
    bench_close(&b);
}

Test(csv, bad_lines_say_why)
{
    static const struct {
        const char *line, *reason;
    } bad[] = {{"", "empty"},
               {"k,2020-01-01,1", "not_csv"},
               {"k,2020-01-01,1,2,3", "not_csv"},
               {"\"k,2020-01-01,1,2", "not_csv"},
               {"\"k\"x,2020-01-01,1,2", "not_csv"},
               {",2020-01-01,1,2", "missing_key"},
               {"k,,1,2", "missing_time"},
               {"k,NA,1,2", "missing_time"},
               {"k,soon,1,2", "bad_time"},
               {"k,1700000000,1,2", "bad_time"},
               {"k,2020-01-01,one,2", "wrong_type"},
               {"k,2020-01-01,1 000,2", "wrong_type"},
               {"k,2020-01-01,true,2", "wrong_type"},
               {"k,2020-01-01,inf,2", "not_finite"},
               {"k,2020-01-01,-Infinity,2", "not_finite"},
               {"k,2020-01-01,1e400,2", "not_finite"},
               {"\xFF,2020-01-01,1,2", "not_utf8"}};
    struct bench b;
    bench_open(&b, &codec_csv, &plain, "temp load");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) bench_expect_refusal(&b, bad[i].line, bad[i].reason);
    expect_good(&b, "k,2020-01-01,1,2");
    bench_close(&b);
}

Test(csv, limits_of_record_and_key_hold)
{
    static char line[4096];
    struct bench b;
    bench_open(&b, &codec_csv, &plain, "temp");
    memset(line, 'k', 1025);
    strcpy(line + 1025, ",2020-01-01,1,2");
    bench_expect_refusal(&b, line, "key_too_long");
    expect_good(&b, line + 1);
    bench_close(&b);
}

Test(csv, the_context_of_a_file_goes_before_the_settings)
{
    static const int role[] = {0, CSV_IGNORE, CSV_TIME};
    static const char *const values[] = {"flow"}, *const everything[] = {"level", "flow"};
    static const struct eddy_schema all = {.n_values = 2, .names = everything};
    static const struct csv_columns file = {
        .n_columns = 3, .role = role, .n_values = 1, .values = values, .all = &all};
    char out[64];
    struct bench b;
    bench_open(&b, &codec_csv, &plain, "level flow");
    b.record.context = &file;
    b.record.key = "pumps/one";
    b.record.key_len = 9;
    cr_expect_str_eq(bench_discover(&b, "1,x,2020-01-01", out, sizeof(out)), "level flow");
    expect_good(&b, "1.5,x,2020-01-01");
    bench_expect_key(&b, "pumps/one");
    cr_expect(isnan(b.x[0]) && b.x[1] == 1.5);
    b.record.key = NULL;
    bench_expect_refusal(&b, "1.5,x,2020-01-01", "missing_key");
    bench_close(&b);
}

Test(csv, rows_without_a_time_column_are_numbered)
{
    static const int role[] = {0};
    static const char *const values[] = {"v"};
    static const struct csv_columns file = {.n_columns = 1,
                                            .role = role,
                                            .n_values = 1,
                                            .values = values,
                                            .clock = CSV_CLOCK_ROWS,
                                            .start_ns = 1000,
                                            .interval_ns = 60,
                                            .first_offset = 5};
    static const struct csv_columns endless = {.n_columns = 1,
                                               .role = role,
                                               .n_values = 1,
                                               .values = values,
                                               .clock = CSV_CLOCK_ROWS,
                                               .interval_ns = INT64_MAX,
                                               .first_offset = 0};
    struct bench b;
    bench_open(&b, &codec_csv, &none, "v");
    b.record.context = &file;
    b.record.key = "k";
    b.record.key_len = 1;
    expect_good(&b, "1");
    cr_expect_eq(b.event.time_ns, 1000 + (7 - 5) * 60);
    b.record.context = &endless;
    bench_expect_refusal(&b, "1", "bad_time");
    bench_close(&b);
}

Test(csv, a_record_without_context_needs_columns_in_the_settings)
{
    struct bench b;
    bench_open(&b, &codec_csv, &none, "v");
    cr_expect_eq(bench_decode(&b, "1,2"), EDDY_ECONFIG);
    cr_expect(strstr(b.err.message, "codec.csv.columns"));
    bench_close(&b);
}

Test(csv, the_record_brings_key_and_time_when_told)
{
    static const struct csv_settings kafka = {
        .columns = {1, cells + 2}, .key = JSON_RECORD_KEY, .time = JSON_RECORD_TIME};
    struct bench b;
    bench_open(&b, &codec_csv, &kafka, "temp");
    bench_expect_refusal(&b, "1", "missing_key");
    b.record.key = "k";
    b.record.key_len = 1;
    bench_expect_refusal(&b, "1", "missing_time");
    b.record.time_ns = 77;
    expect_good(&b, "1");
    cr_expect_eq(b.event.time_ns, 77);
    bench_close(&b);
}

Test(csv, settings_that_contradict_themselves_are_refused)
{
    static const char *const twice[] = {"a", "a"}, *const other[] = {"pressure"}, *const key[] = {"key"},
                             *const load[] = {"load", "load"};
    const struct csv_settings bad[] = {
        {.columns = {2, twice}, .key = "$key", .time = "$timestamp"},
        {.columns = {4, cells}, .key = "id", .time = "ts"},
        {.columns = {4, cells}, .key = "key", .time = "when"},
        {.columns = {4, cells}, .key = "key", .time = "key"},
        {.columns = {4, cells}, .key = "key", .time = "ts", .values = {1, other}},
        {.columns = {4, cells}, .key = "key", .time = "ts", .values = {1, key}},
        {.columns = {4, cells}, .key = "key", .time = "ts", .label = "ts"},
        {.columns = {4, cells}, .key = "key", .time = "ts", .label = "state"},
        {.columns = {4, cells}, .key = "key", .time = "ts", .categories = {1, other}},
        {.columns = {4, cells}, .key = "key", .time = "ts", .categories = {2, load}},
        {.columns = {4, cells}, .key = "key", .time = "ts", .label = "load", .categories = {1, load}},
        {.columns = {4, cells}, .key = "key", .time = "ts", .label = "load", .values = {1, load}},
        {.columns = {4, cells}, .key = "key", .time = "ts", .categories = {1, load}, .values = {1, load}}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct eddy_error err = {0};
        cr_expect_eq(codec_csv.part.check(&bad[i], &err), EDDY_ECONFIG, "%zu", i);
    }
    cr_expect_eq(codec_csv.part.check(&plain, NULL), EDDY_OK);
    cr_expect_eq(codec_csv.part.check(&none, NULL), EDDY_OK);
}

Test(csv, results_are_columns_below_their_names)
{
    static const struct csv_settings named = {.key = "$key", .time = "ts", .header = true};
    struct sample s;
    struct bench b;
    struct eddy_buffer out = {0};
    sample_make(&s, "temp", 1);
    s.yhat[0] = NAN;
    s.result.key = "a,\"b\"";
    s.result.key_len = 5;
    bench_open(&b, &codec_csv, &named, "");
    cr_expect_str_eq(
        sample_encode(&b, &s, &out),
        "key,ts,y,yhat,yhat_lower,yhat_upper,score,evidence,score_ratio,anomaly,state,model,incident,yhat_h1,"
        "yhat_lower_h1,yhat_upper_h1,topic,partition,offset\n"
        "\"a,\"\"b\"\"\",2023-11-14T22:13:20Z,1.5,,0.5,2.5,0.5,0.75,1.25,true,ok,v12,,0,0,0,sensors,3,42");
    cr_expect_str_eq(
        sample_encode(&b, &s, &out),
        "\"a,\"\"b\"\"\",2023-11-14T22:13:20Z,1.5,,0.5,2.5,0.5,0.75,1.25,true,ok,v12,,0,0,0,sensors,3,42");
    struct sample other;
    sample_make(&other, "temp load", 1);
    cr_expect_eq(codec_csv.encode(b.codec, &other.result, &out, &b.err), EDDY_EUNSUPPORTED);
    eddy_buffer_free(&out);
    bench_close(&b);
}

Test(csv, several_values_give_columns_by_name)
{
    struct sample s;
    struct bench b;
    struct eddy_buffer out = {0};
    sample_make(&s, "temp lo,ad", 2);
    bench_open(&b, &codec_csv, &none, "");
    cr_assert_eq(csv_header(&s.result, &out, &b.err), EDDY_OK);
    cr_assert_eq(eddy_buffer_append(&out, "", 1), EDDY_OK);
    cr_expect_str_eq(out.data,
                     "key,ts,y_temp,\"y_lo,ad\",yhat_temp,\"yhat_lo,ad\",yhat_lower_temp,\"yhat_lower_lo,ad\","
                     "yhat_upper_temp,\"yhat_upper_lo,ad\",score,evidence,score_ratio,anomaly,state,model,incident,"
                     "attribution_temp,\"attribution_lo,ad\",yhat_temp_h1,\"yhat_lo,ad_h1\",yhat_lower_temp_h1,"
                     "\"yhat_lower_lo,ad_h1\",yhat_upper_temp_h1,\"yhat_upper_lo,ad_h1\",yhat_temp_h12,"
                     "\"yhat_lo,ad_h12\",yhat_lower_temp_h12,\"yhat_lower_lo,ad_h12\",yhat_upper_temp_h12,"
                     "\"yhat_upper_lo,ad_h12\",topic,partition,offset");
    cr_expect_str_eq(
        sample_encode(&b, &s, &out),
        "pump-1,2023-11-14T22:13:20Z,1.5,2.5,1.25,2.25,0.5,1.5,2.5,3.5,0.5,0.75,1.25,true,ok,v12,,0.5,0.5,"
        "0,0.25,0,0.25,0,0.25,0.5,0.75,0.5,0.75,0.5,0.75,sensors,3,42");
    eddy_buffer_free(&out);
    bench_close(&b);
}

Test(csv, what_was_smoothed_and_the_classes_are_columns_before_the_origin)
{
    struct sample s;
    struct bench b;
    struct eddy_buffer out = {0};
    sample_make(&s, "temp load", 0);
    sample_extend(&s);
    s.classes[1] = s.result.classes.label = "wear,tear";
    bench_open(&b, &codec_csv, &none, "");
    cr_assert_eq(csv_header(&s.result, &out, &b.err), EDDY_OK);
    cr_assert_eq(eddy_buffer_append(&out, "", 1), EDDY_OK);
    cr_expect(strstr(out.data, ",attribution_load,smoothed_ts,smoothed_temp,smoothed_load,smoothed_score,class,p_ok,"
                               "\"p_wear,tear\",topic"),
              "%s", out.data);
    cr_expect(strstr(sample_encode(&b, &s, &out),
                     ",0.5,0.5,2023-11-14T22:12:20Z,3.25,4.25,0.125,\"wear,tear\",0.75,0.25,sensors,3,42"),
              "%s", out.data);
    s.result.smoothed.known = false;
    s.result.classes.label = NULL;
    s.p[0] = s.p[1] = NAN;
    cr_expect(strstr(sample_encode(&b, &s, &out), ",0.5,0.5,,,,,,,,sensors,3,42"), "%s", out.data);
    eddy_buffer_free(&out);
    bench_close(&b);
}

Test(csv, a_result_with_other_columns_than_the_header_is_refused)
{
    static const struct csv_settings named = {.key = "$key", .time = "ts", .header = true};
    struct sample s, other;
    struct bench b;
    struct eddy_buffer out = {0};
    sample_make(&s, "temp", 1);
    sample_extend(&s);
    bench_open(&b, &codec_csv, &named, "");
    (void)sample_encode(&b, &s, &out);
    s.result.smoothed.known = false; /* its columns stay */
    (void)sample_encode(&b, &s, &out);
    other = s;
    other.result.smoothed.y = NULL;
    cr_expect_eq(codec_csv.encode(b.codec, &other.result, &out, &b.err), EDDY_EUNSUPPORTED);
    other = s;
    other.result.classes.n_classes = 0;
    cr_expect_eq(codec_csv.encode(b.codec, &other.result, &out, &b.err), EDDY_EUNSUPPORTED);
    eddy_buffer_free(&out);
    bench_close(&b);
}

Test(csv, header_and_row_have_the_same_number_of_cells)
{
    struct csv_cell cell;
    struct eddy_arena arena = {0};
    struct bench b;
    struct eddy_buffer out = {0};
    bench_open(&b, &codec_csv, &none, "");
    static const char *const shapes[] = {"a", "a b", "a b c d e f g"};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
        for (int h = 0; h <= 4; h++) {
            struct sample s;
            sample_make(&s, shapes[i], h);
            if (h % 2) sample_extend(&s);
            out.len = 0;
            cr_assert_eq(csv_header(&s.result, &out, &b.err), EDDY_OK);
            int n_names = csv_split(out.data, out.len, &arena, &cell, 1, NULL);
            const char *row = sample_encode(&b, &s, &out);
            cr_expect_eq(csv_split(row, strlen(row), &arena, &cell, 1, NULL), n_names, "%s, %d", shapes[i], h);
        }
    eddy_arena_free(&arena);
    eddy_buffer_free(&out);
    bench_close(&b);
}

Test(csv, moves_are_columns_beside_the_forecast_that_they_follow_from)
{
    static const double moves[] = {.25, .5, .25};
    struct sample s;
    struct bench b;
    struct eddy_buffer out = {0};
    sample_make(&s, "temp", 1);
    s.result.moves = moves;
    bench_open(&b, &codec_csv, &none, "");
    cr_assert_eq(csv_header(&s.result, &out, &b.err), EDDY_OK);
    cr_assert_eq(eddy_buffer_append(&out, "", 1), EDDY_OK);
    cr_expect(strstr(out.data, ",yhat_upper_h1,down_h1,flat_h1,up_h1,topic"), "%s", out.data);
    cr_expect(strstr(sample_encode(&b, &s, &out), ",0,0,0,0.25,0.5,0.25,sensors"), "%s", out.data);
    eddy_buffer_free(&out);
    bench_close(&b);
}

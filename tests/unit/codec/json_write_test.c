/* The output record, byte for byte. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "connectors/codec/json_text.h"
#include "connectors/codec/json_write.h"
#include "fixture.h"

static const struct json_settings plain = {.key = "key", .time = "ts"};

static void expect_encoded(const struct json_settings *settings, const struct sample *s, const char *text)
{
    struct bench b;
    struct eddy_buffer out = {0};
    bench_open(&b, &codec_json, settings, "");
    cr_expect_str_eq(sample_encode(&b, s, &out), text, "%s", out.data);
    eddy_buffer_free(&out);
    bench_close(&b);
}

Test(json_write, one_value_gives_plain_numbers)
{
    struct sample s;
    sample_make(&s, "temp", 2);
    expect_encoded(
        &plain, &s,
        "{\"key\":\"pump-1\",\"ts\":\"2023-11-14T22:13:20Z\",\"y\":1.5,\"yhat\":1.25,\"yhat_lower\":0.5,"
        "\"yhat_upper\":2.5,\"score\":0.5,\"evidence\":0.75,\"score_ratio\":1.25,\"anomaly\":true,\"state\":\"ok\","
        "\"model\":\"v12\",\"forecast\":[{\"h\":1,\"yhat\":0,\"lower\":0,\"upper\":0},{\"h\":12,\"yhat\":0.25,"
        "\"lower\":0.25,\"upper\":0.25}],\"src\":{\"topic\":\"sensors\",\"partition\":3,\"offset\":42}}");
}

Test(json_write, several_values_give_objects_and_an_attribution)
{
    struct sample s;
    sample_make(&s, "temp lo\"ad", 1);
    expect_encoded(
        &plain, &s,
        "{\"key\":\"pump-1\",\"ts\":\"2023-11-14T22:13:20Z\",\"y\":{\"temp\":1.5,\"lo\\\"ad\":2.5},"
        "\"yhat\":{\"temp\":1.25,\"lo\\\"ad\":2.25},\"yhat_lower\":{\"temp\":0.5,\"lo\\\"ad\":1.5},"
        "\"yhat_upper\":{\"temp\":2.5,\"lo\\\"ad\":3.5},\"score\":0.5,\"evidence\":0.75,\"score_ratio\":1.25,"
        "\"anomaly\":true,\"state\":\"ok\",\"model\":\"v12\",\"attribution\":{\"temp\":0.5,\"lo\\\"ad\":0.5},"
        "\"forecast\":[{\"h\":1,\"yhat\":{\"temp\":0,\"lo\\\"ad\":0.25},\"lower\":{\"temp\":0,\"lo\\\"ad\":0.25},"
        "\"upper\":{\"temp\":0,\"lo\\\"ad\":0.25}}],\"src\":{\"topic\":\"sensors\",\"partition\":3,\"offset\":42}}");
}

Test(json_write, what_is_not_known_is_null_and_no_horizon_is_an_empty_list)
{
    struct sample s;
    sample_make(&s, "temp", 0);
    s.y[0] = s.yhat[0] = s.lower[0] = s.upper[0] = NAN;
    s.result.score = s.result.evidence = s.result.score_ratio = 0;
    s.result.anomaly = false;
    s.result.state = EDDY_STATE_WARMUP;
    expect_encoded(
        &plain, &s,
        "{\"key\":\"pump-1\",\"ts\":\"2023-11-14T22:13:20Z\",\"y\":null,\"yhat\":null,\"yhat_lower\":null,"
        "\"yhat_upper\":null,\"score\":0,\"evidence\":0,\"score_ratio\":0,\"anomaly\":false,\"state\":\"warmup\","
        "\"model\":\"v12\",\"forecast\":[],\"src\":{\"topic\":\"sensors\",\"partition\":3,\"offset\":42}}");
}

static const char *part_of(const struct json_settings *settings, const struct sample *s, const char *from,
                           const char *to, char *out, size_t room)
{
    struct bench b;
    struct eddy_buffer text = {0};
    bench_open(&b, &codec_json, settings, "");
    const char *begin = strstr(sample_encode(&b, s, &text), from);
    cr_assert_not_null(begin);
    const char *end = strstr(begin, to);
    (void)snprintf(out, room, "%.*s", (int)(end - begin), begin);
    eddy_buffer_free(&text);
    bench_close(&b);
    return out;
}

Test(json_write, what_was_smoothed_and_the_classes_stand_before_the_origin)
{
    char out[256];
    struct sample s;
    sample_make(&s, "temp", 0);
    sample_extend(&s);
    cr_expect_str_eq(part_of(&plain, &s, ",\"forecast\"", ",\"src\"", out, sizeof(out)),
                     ",\"forecast\":[],\"smoothed\":{\"ts\":\"2023-11-14T22:12:20Z\",\"y\":3.25,\"score\":0.125},"
                     "\"classes\":{\"ok\":0.75,\"fault\":0.25},\"class\":\"ok\"");
    sample_make(&s, "temp lo\"ad", 0);
    sample_extend(&s);
    s.classes[1] = "fa\"ult";
    s.result.classes.label = s.classes[1];
    s.smooth[1] = s.result.smoothed.score = NAN;
    cr_expect_str_eq(part_of(&plain, &s, ",\"smoothed\"", ",\"src\"", out, sizeof(out)),
                     ",\"smoothed\":{\"ts\":\"2023-11-14T22:12:20Z\",\"y\":{\"temp\":3.25,\"lo\\\"ad\":null},"
                     "\"score\":null},\"classes\":{\"ok\":0.75,\"fa\\\"ult\":0.25},\"class\":\"fa\\\"ult\"");
}

Test(json_write, without_a_smoothed_event_there_is_none_and_unknown_classes_are_null)
{
    static const struct json_settings ms = {.key = "key", .time = "ts", .time_format = TIME_FORMAT_EPOCH_MS};
    char out[256];
    struct sample s;
    sample_make(&s, "temp", 0);
    sample_extend(&s);
    s.result.smoothed.known = false;
    s.p[0] = s.p[1] = NAN;
    s.result.classes.label = NULL;
    cr_expect_str_eq(part_of(&plain, &s, ",\"forecast\"", ",\"src\"", out, sizeof(out)),
                     ",\"forecast\":[],\"classes\":{\"ok\":null,\"fault\":null},\"class\":null");
    s.result.classes.n_classes = 0;
    s.result.smoothed.known = true;
    cr_expect_str_eq(part_of(&ms, &s, ",\"forecast\"", ",\"y\"", out, sizeof(out)),
                     ",\"forecast\":[],\"smoothed\":{\"ts\":1699999940000");
}

Test(json_write, keys_and_topics_are_escaped)
{
    char out[256];
    struct sample s;
    sample_make(&s, "temp", 0);
    s.result.key = "a\"\\\n\x01\xC3\xA4z, and so on for more than eight bytes";
    s.result.key_len = strlen(s.result.key);
    s.result.topic = "bad \xFF path";
    cr_expect_str_eq(part_of(&plain, &s, "\"key\"", ",\"ts\"", out, sizeof(out)),
                     "\"key\":\"a\\\"\\\\\\n\\u0001\xC3\xA4z, and so on for more than eight bytes\"");
    cr_expect_str_eq(part_of(&plain, &s, "\"topic\"", ",\"partition\"", out, sizeof(out)),
                     "\"topic\":\"bad \xEF\xBF\xBD path\"");
}

Test(json_write, the_time_comes_in_the_form_that_was_asked_for)
{
    static const struct json_settings ms = {.key = "key", .time = "ts", .time_format = TIME_FORMAT_EPOCH_MS};
    static const struct json_settings as_input = {.key = "key", .time = "ts", .time_format = TIME_FORMAT_AS_INPUT};
    char out[256];
    struct sample s;
    sample_make(&s, "temp", 0);
    cr_expect_str_eq(part_of(&ms, &s, "\"ts\"", ",\"y\"", out, sizeof(out)), "\"ts\":1700000000000");
    cr_expect_str_eq(part_of(&as_input, &s, "\"ts\"", ",\"y\"", out, sizeof(out)), "\"ts\":\"2023-11-14T22:13:20Z\"");
    s.result.time_text = "2023-11-14 22:13";
    s.result.time_text_len = strlen(s.result.time_text);
    cr_expect_str_eq(part_of(&as_input, &s, "\"ts\"", ",\"y\"", out, sizeof(out)), "\"ts\":\"2023-11-14 22:13\"");
    s.result.time_text = "1700000000.50";
    s.result.time_text_len = strlen(s.result.time_text);
    cr_expect_str_eq(part_of(&as_input, &s, "\"ts\"", ",\"y\"", out, sizeof(out)), "\"ts\":1700000000.50");
}

Test(json_write, the_longest_result_fits_into_what_was_reserved)
{
    struct sample s;
    struct bench b;
    struct eddy_buffer out = {0};
    char key[300];
    sample_make(&s, "a \x01\x02\x03\x04\x05\x06\x07 c d e f g h i j k l m n o", 4);
    sample_extend(&s);
    memset(key, 1, sizeof(key)); /* every byte takes six */
    s.result.key = s.result.time_text = key;
    s.result.key_len = s.result.time_text_len = sizeof(key);
    for (int i = 0; i < 4 * MOST_VALUES; i++) s.ahead[i] = -1.23456789e-300;
    for (int i = 0; i < s.schema.n_values; i++)
        s.y[i] = s.yhat[i] = s.lower[i] = s.upper[i] = s.result.score = s.result.evidence = s.result.score_ratio =
            -1.23456789e-300;
    s.result.offset = s.result.time_ns = INT64_MIN + 1;
    s.result.partition = INT32_MIN;
    s.result.model = INT64_MAX;
    s.result.smoothed.time_ns = INT64_MIN + 1;
    s.result.smoothed.score = s.smooth[0] = s.p[0] = s.p[1] = -1.23456789e-300;
    s.classes[0] = s.classes[1] = s.result.classes.label = "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01";
    static const struct json_settings as_input = {.key = "key", .time = "ts", .time_format = TIME_FORMAT_AS_INPUT};
    bench_open(&b, &codec_json, &as_input, "");
    cr_assert_eq(codec_json.encode(b.codec, &s.result, &out, &b.err), EDDY_OK);
    cr_expect_leq(out.len, out.cap);
    cr_expect_eq(out.data[out.len - 1], '}');
    eddy_buffer_free(&out);
    bench_close(&b);
}

Test(json_write, an_open_incident_stands_in_the_record_and_news_of_incidents_in_a_list)
{
    struct sample s;
    sample_make(&s, "temp", 0);
    const struct eddy_incident news[] = {
        {.id = "00c0ffee00c0ffee",
         .kind = "anomaly",
         .state = EDDY_INCIDENT_OPEN,
         .start_ns = 1700000000000000000,
         .peak_ns = 1700000000000000000,
         .peak = 0.75,
         .events = 1,
         .n_drivers = 1,
         .drivers = {{.value = 0, .share = 1, .y = 1.5, .yhat = 1.25, .yhat_lower = 0.5, .yhat_upper = NAN}}},
        {.id = "0badcafe0badcafe",
         .kind = "stuck",
         .state = EDDY_INCIDENT_CLOSED,
         .new_normal = true,
         .repeats = 2,
         .start_ns = 1700000000000000000,
         .end_ns = 1700000060000000000,
         .peak_ns = 1700000060000000000,
         .peak = NAN,
         .events = 3},
    };
    s.result.incident = news[0].id;
    s.result.incidents = news;
    s.result.n_incidents = 2;
    expect_encoded(
        &plain, &s,
        "{\"key\":\"pump-1\",\"ts\":\"2023-11-14T22:13:20Z\",\"y\":1.5,\"yhat\":1.25,\"yhat_lower\":0.5,"
        "\"yhat_upper\":2.5,\"score\":0.5,\"evidence\":0.75,\"score_ratio\":1.25,\"anomaly\":true,\"state\":\"ok\","
        "\"model\":\"v12\",\"incident\":\"00c0ffee00c0ffee\",\"forecast\":[],\"incidents\":["
        "{\"id\":\"00c0ffee00c0ffee\",\"kind\":\"anomaly\",\"state\":\"open\",\"start\":\"2023-11-14T22:13:20Z\","
        "\"end\":null,\"events\":1,\"peak\":{\"ts\":\"2023-11-14T22:13:20Z\",\"score\":0.75,\"values\":{\"temp\":"
        "{\"share\":1,\"y\":1.5,\"yhat\":1.25,\"lower\":0.5,\"upper\":null}}}},"
        "{\"id\":\"0badcafe0badcafe\",\"kind\":\"stuck\",\"state\":\"closed\",\"new_normal\":true,"
        "\"start\":\"2023-11-14T22:13:20Z\",\"end\":\"2023-11-14T22:14:20Z\",\"events\":3,\"repeats\":2,"
        "\"peak\":{\"ts\":\"2023-11-14T22:14:20Z\",\"score\":null}}],"
        "\"src\":{\"topic\":\"sensors\",\"partition\":3,\"offset\":42}}");
}

Test(json_write, moves_stand_beside_the_forecast_that_they_follow_from)
{
    static const double moves[] = {.25, .125, .5, .75, .25, .125}; /* down, flat, up at two horizons */
    struct sample s;
    char text[256];
    sample_make(&s, "temp", 2);
    s.result.moves = moves;
    cr_expect_str_eq(
        part_of(&plain, &s, "\"forecast\"", ",\"src\"", text, sizeof(text)),
        "\"forecast\":[{\"h\":1,\"yhat\":0,\"lower\":0,\"upper\":0,\"moves\":{\"down\":0.25,\"flat\":0.5,"
        "\"up\":0.25}},{\"h\":12,\"yhat\":0.25,\"lower\":0.25,\"upper\":0.25,\"moves\":{\"down\":0.125,"
        "\"flat\":0.75,\"up\":0.125}}]",
        "%s", text);
}

Test(json_write, equal_scores_are_written_alike_and_others_are_not_mixed_up)
{
    static const double pairs[][2] = {{0, 0},        {0, -0.0}, {.125, .125}, {.1234567891, .1234567891},
                                      {.125, .25},   {0, .5},   {NAN, NAN},   {NAN, .5},
                                      {1e-30, 1e-30}};
    static const char *const texts[] = {"0,\"evidence\":0",         "0,\"evidence\":0",
                                        "0.125,\"evidence\":0.125", "0.12345679,\"evidence\":0.12345679",
                                        "0.125,\"evidence\":0.25",  "0,\"evidence\":0.5",
                                        "null,\"evidence\":null",   "null,\"evidence\":0.5",
                                        "1e-30,\"evidence\":1e-30"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct sample s;
        char want[128], text[128];
        sample_make(&s, "temp", 0);
        s.result.score = pairs[i][0];
        s.result.evidence = pairs[i][1];
        (void)snprintf(want, sizeof(want), "\"score\":%s", texts[i]);
        cr_expect_str_eq(part_of(&plain, &s, "\"score\"", ",\"score_ratio\"", text, sizeof(text)), want);
    }
}

/* Wherever a character stands that needs an escape or a look: it is as if each had been quoted by itself. */
Test(json_write, texts_of_every_length_are_quoted_as_their_characters_are)
{
    static const char odd[] = "a\"\\\n\x1f\x7f ~";
    for (size_t len = 0; len < 40; len++)
        for (size_t at = 0; at <= len; at++)
            for (size_t k = 0; k < sizeof(odd) - 1; k++) {
                char text[40], out[6 * 40 + 2], want[6 * 40 + 2], one[8];
                size_t n_want = 0;
                want[n_want++] = '"';
                for (size_t i = 0; i < len; i++) {
                    text[i] = i == at ? odd[k] : (char)('A' + i);
                    const size_t n = json_text_quote(one, text + i, 1) - 2;
                    memcpy(want + n_want, one + 1, n);
                    n_want += n;
                }
                want[n_want++] = '"';
                cr_assert_eq(json_text_quote(out, text, len), n_want);
                cr_assert(memcmp(out, want, n_want) == 0, "%.*s", (int)n_want, out);
            }
}

Test(json_write, only_the_fields_that_were_asked_for_are_written)
{
    static const char *const few[] = {"score", "key", "src"}, *const absent[] = {"incident"};
    const struct json_settings lean = {.key = "key", .time = "ts", .fields = {3, few}};
    const struct json_settings none = {.key = "key", .time = "ts", .fields = {1, absent}};
    char out[256];
    struct sample s;
    sample_make(&s, "temp", 0);
    s.result.key = "a";
    s.result.key_len = 1;
    s.result.score = .5;
    s.result.incident = NULL;
    cr_expect_str_eq(part_of(&lean, &s, "{", "\"src\"", out, sizeof(out)), "{\"key\":\"a\",\"score\":0.5,");
    expect_encoded(&none, &s, "{}");
}

Test(json_write, a_field_that_results_do_not_have_is_refused_by_name)
{
    static const char *const wrong[] = {"key", "yhatt"}, *const twice[] = {"key", "key"};
    struct json_settings s = {.key = "key", .time = "ts", .fields = {2, wrong}};
    struct eddy_error err = {0};
    cr_expect_eq(codec_json.part.check(&s, &err), EDDY_ECONFIG);
    cr_expect(strstr(err.message, "yhatt"), "%s", err.message);
    s.fields = (struct eddy_strings){2, twice};
    cr_expect_eq(codec_json.part.check(&s, &err), EDDY_ECONFIG);
    cr_expect(strstr(err.message, "twice"), "%s", err.message);
}

/* ---- what is kept from one result to the next ---- */

static void expect_same_as_alone(struct bench *b, const struct sample *s)
{
    struct bench alone;
    struct eddy_buffer out = {0}, want = {0};
    bench_open(&alone, &codec_json, &plain, "");
    const char *text = sample_encode(&alone, s, &want);
    cr_assert_str_eq(sample_encode(b, s, &out), text, "%s", out.data);
    eddy_buffer_free(&out);
    eddy_buffer_free(&want);
    bench_close(&alone);
}

Test(json_write, another_topic_at_the_same_place_is_seen)
{
    struct bench b;
    struct sample s;
    char topic[16] = "pumps";
    sample_make(&s, "temp", 1);
    s.result.topic = topic;
    bench_open(&b, &codec_json, &plain, "");
    expect_same_as_alone(&b, &s);
    topic[4] = 'S';
    expect_same_as_alone(&b, &s);
    topic[4] = '\0'; /* what was kept begins with it */
    expect_same_as_alone(&b, &s);
    (void)snprintf(topic, sizeof(topic), "pump\"s\n");
    expect_same_as_alone(&b, &s);
    topic[0] = '\0';
    expect_same_as_alone(&b, &s);
    bench_close(&b);
}

Test(json_write, topics_of_every_length_are_written_in_full)
{
    struct bench b;
    struct sample s;
    char topic[400];
    sample_make(&s, "temp", 1);
    s.result.topic = topic;
    bench_open(&b, &codec_json, &plain, "");
    for (size_t len = 0; len < sizeof(topic); len++)
        for (int odd = 0; odd < 2; odd++) {
            memset(topic, odd ? 1 : 't', len); /* 1 takes six bytes */
            topic[len] = '\0';
            expect_same_as_alone(&b, &s);
            expect_same_as_alone(&b, &s);
        }
    bench_close(&b);
}

Test(json_write, whatever_came_before_a_result_is_written_as_if_it_were_the_first)
{
    static const char *const topics[] = {"a", "b", "",
                                         "a/long/path/of/a/file/somewhere/on/a/disk/that/is/large.jsonl"};
    static const uint64_t models[] = {0, 1, 12, UINT64_MAX, INT64_MAX};
    uint64_t seed = 21;
    struct bench b;
    struct sample s;
    sample_make(&s, "temp", 2);
    bench_open(&b, &codec_json, &plain, "");
    for (int i = 0; i < 3000; i++) {
        const uint64_t r = next_random(&seed);
        s.result.topic = topics[r % 4];
        s.result.partition = (r >> 8 & 1) ? INT32_MIN : (int32_t)(r >> 9 & 1);
        s.result.offset = (int64_t)(r >> 20);
        s.result.anomaly = r >> 10 & 1;
        s.result.state = (int)(r >> 11 & 3);
        s.result.model = models[(r >> 13) % 5];
        s.result.time_ns = (int64_t)(r >> 16 & 3) * 30000000000;
        s.result.score = s.result.evidence = r >> 18 & 1 ? 0 : .125;
        expect_same_as_alone(&b, &s);
    }
    bench_close(&b);
}

/* Attributions are of several values alone, so that one value's text is the same without. */
Test(json_write, results_with_all_fields_and_with_a_choice_of_them_are_alike)
{
    static const char *most[N_JSON_RESULT_FIELDS];
    struct json_settings choice = plain;
    int n = 0;
    for (int i = 0; i < N_JSON_RESULT_FIELDS; i++)
        if (i != JSON_RESULT_ATTRIBUTION) most[n++] = json_result_words[i];
    choice.fields = (struct eddy_strings){n, most};
    for (int horizons = 0; horizons < 4; horizons++)
        for (int extended = 0; extended < 2; extended++) {
            struct bench b;
            struct sample s;
            struct eddy_buffer out = {0};
            sample_make(&s, "temp", horizons);
            if (extended) sample_extend(&s);
            s.result.moves = extended ? s.ahead : NULL;
            s.y[0] = horizons ? -1.0 / 3 : NAN;
            s.result.incident = extended ? "00c0ffee00c0ffee" : NULL;
            bench_open(&b, &codec_json, &plain, "");
            expect_encoded(&choice, &s, sample_encode(&b, &s, &out));
            eddy_buffer_free(&out);
            bench_close(&b);
        }
}

#include "fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct eddy_option wire_options[] = {
    {"topics", EDDY_OPT_STRINGS, offsetof(struct wire_settings, topics), NULL, 0, 0, "", "Topics.", NULL, 0, false},
    {"start", EDDY_OPT_STRING, offsetof(struct wire_settings, start), "earliest", 0, 0, "", "", NULL, 0, false},
    {"properties", EDDY_OPT_MAP, offsetof(struct wire_settings, properties), "", 0, 0, "", "", NULL, 0, false},
    {"password", EDDY_OPT_STRING, offsetof(struct wire_settings, password), "", 0, 0, "", "", NULL, 0, true},
    {0},
};

struct sink_settings {
    const char *topic, *path;
    struct eddy_strings topics;
};

static const struct eddy_option sink_options[] = {
    {"topic", EDDY_OPT_STRING, offsetof(struct sink_settings, topic), "", 0, 0, "", "Topic.", NULL, 0, false},
    {"topics", EDDY_OPT_STRINGS, offsetof(struct sink_settings, topics), "", 0, 0, "", "Topics.", NULL, 0, false},
    {0},
};

static const struct eddy_option file_options[] = {
    {"path", EDDY_OPT_STRING, offsetof(struct sink_settings, path), NULL, 0, 0, "", "Path.", NULL, 0, false},
    {0},
};

struct json_settings {
    const char *key, *time;
    int time_unit, time_format;
    struct eddy_strings values;
};

static const struct eddy_option json_options[] = {
    {"key", EDDY_OPT_STRING, offsetof(struct json_settings, key), "$key", 0, 0, "", "", NULL, 0, false},
    {"time", EDDY_OPT_STRING, offsetof(struct json_settings, time), "ts", 0, 0, "", "", NULL, 0, false},
    {"time_unit", EDDY_OPT_ENUM, offsetof(struct json_settings, time_unit), "iso8601", 0, 0, "iso8601|s|ms|us|ns", "",
     NULL, 0, false},
    {"values", EDDY_OPT_STRINGS, offsetof(struct json_settings, values), "", 0, 0, "", "", NULL, 0, false},
    {"time_format", EDDY_OPT_ENUM, offsetof(struct json_settings, time_format), "rfc3339", 0, 0,
     "rfc3339|epoch_ms|as_input", "", NULL, 0, false},
    {0},
};

static eddy_status json_check(const void *settings, struct eddy_error *err)
{
    const struct json_settings *s = settings;
    if (s->key && strcmp(s->key, s->time) == 0)
        return eddy_fail(err, EDDY_ECONFIG, "key and time are the same field \"%s\"", s->key);
    return EDDY_OK;
}

static const struct eddy_option gru_options[] = {
    {"units", EDDY_OPT_INT, offsetof(struct gru_settings, units), "32", 1, 1024, "units", "Width.", NULL, 0, false},
    {0},
};

static const struct eddy_option inner_options[] = {
    {"depth", EDDY_OPT_INT, 0, "3", 0, 0, "", "Depth.", NULL, 0, false},
    {0},
};

#define PROBE(member) offsetof(struct probe_settings, member)
static const struct eddy_option probe_options[] = {
    {"flag", EDDY_OPT_BOOL, PROBE(flag), "false", 0, 0, "", "", NULL, 0, false},
    {"count", EDDY_OPT_INT, PROBE(count), "", 0, 0, "", "", NULL, 0, false},
    {"wait", EDDY_OPT_DURATION, PROBE(wait), "10s", 0, 0, "", "", NULL, 0, false},
    {"room", EDDY_OPT_SIZE, PROBE(room), "1MiB", 0, 0, "", "", NULL, 0, false},
    {"rate", EDDY_OPT_REAL, PROBE(rate), "0.5", 0, 0, "", "", NULL, 0, false},
    {"text", EDDY_OPT_STRING, PROBE(text), "$key", 0, 0, "", "", NULL, 0, false},
    {"word", EDDY_OPT_ENUM, PROBE(word), "blue", 0, 0, "red|green|blue", "", NULL, 0, false},
    {"words", EDDY_OPT_STRINGS, PROBE(words), "[a, b]", 0, 0, "", "", NULL, 0, false},
    {"numbers", EDDY_OPT_REALS, PROBE(numbers), "[0.25, 1e3]", -1, 1e4, "", "", NULL, 0, false},
    {"steps", EDDY_OPT_RANGES, PROBE(steps), "[1]", 1, 1024, "", "", NULL, 0, false},
    {"inner", EDDY_OPT_GROUP, PROBE(inner), "", 0, 0, "", "", inner_options, 0, false},
    {0},
};

static const struct eddy_option defaults_options[] = {
    {"count", EDDY_OPT_INT, 0, "7", 1, 9, "", "", NULL, 0, false},
    {"name", EDDY_OPT_STRING, 8, "abc", 0, 0, "", "", NULL, 0, false},
    {"needed", EDDY_OPT_STRING, 16, NULL, 0, 0, "", "", NULL, 0, false},
    {0},
};

static const struct eddy_part part_source = {sizeof(struct eddy_part),
                                             EDDY_PART_SOURCE,
                                             "kafka",
                                             "A topic.",
                                             wire_options,
                                             sizeof(struct wire_settings),
                                             NULL};
static const struct eddy_part part_sink = {
    sizeof(struct eddy_part), EDDY_PART_SINK, "kafka", "A topic.", sink_options, sizeof(struct sink_settings), NULL};
static const struct eddy_part part_file = {
    sizeof(struct eddy_part), EDDY_PART_SINK, "file", "A file.", file_options, sizeof(struct sink_settings), NULL};
static const struct eddy_part part_json = {
    sizeof(struct eddy_part),     EDDY_PART_CODEC, "json", "JSON objects.", json_options,
    sizeof(struct json_settings), json_check};
static const struct eddy_part part_csv = {sizeof(struct eddy_part), EDDY_PART_CODEC, "csv", "Lines.", NULL, 0, NULL};
const struct eddy_part part_gru = {
    sizeof(struct eddy_part), EDDY_PART_LAYER, "gru", "Gated.", gru_options, sizeof(struct gru_settings), NULL};
static const struct eddy_part part_lstm = {
    sizeof(struct eddy_part), EDDY_PART_LAYER, "lstm", "Gated.", gru_options, sizeof(struct gru_settings), NULL};
static const struct eddy_part part_exceedance = {
    sizeof(struct eddy_part), EDDY_PART_DETECTOR, "exceedance", "Rank.", NULL, 0, NULL};
static const struct eddy_part part_persistence = {
    sizeof(struct eddy_part), EDDY_PART_EXPERT, "persistence", "The last value.", NULL, 0, NULL};
const struct eddy_part part_probe = {sizeof(struct eddy_part),
                                     EDDY_PART_DETECTOR,
                                     "probe",
                                     "All types.",
                                     probe_options,
                                     sizeof(struct probe_settings),
                                     NULL};
const struct eddy_part part_defaults = {
    sizeof(struct eddy_part), EDDY_PART_LAYER, "defaults", "", defaults_options, 24, NULL};

static const struct eddy_part *const list[] = {&part_source,      &part_sink,  &part_file, &part_json,
                                               &part_csv,         &part_gru,   &part_lstm, &part_exceedance,
                                               &part_persistence, &part_probe, NULL};
const struct eddy_parts parts = {list};

struct config *open_good(const char *text, const char *const *overrides)
{
    struct config_request request = {.text = text, .overrides = overrides, .parts = &parts};
    struct config *c = NULL;
    struct eddy_error err = {0};
    eddy_status rc = config_open(&request, &c, &err);
    cr_assert_eq(rc, EDDY_OK, "%s", err.message);
    cr_assert_eq(config_error_count(c), 0);
    return c;
}

void expect_errors(const char *text, const char *const *overrides, const char *const *errors)
{
    struct config_request request = {.text = text, .overrides = overrides, .parts = &parts};
    struct config *c = NULL;
    struct eddy_error err = {0};
    cr_assert_eq(config_open(&request, &c, &err), EDDY_ECONFIG);
    cr_assert_eq(err.code, EDDY_ECONFIG);
    cr_assert_not_null(c);
    int n = 0;
    for (; errors[n]; n++) {
        const char *got = config_error(c, n);
        cr_expect_str_eq(got ? got : "(no error)", errors[n]);
    }
    for (int i = n; i < config_error_count(c); i++) cr_expect(false, "one more error: %s", config_error(c, i));
    if (n) cr_expect_str_eq(err.message, errors[0]);
    cr_expect_null(config_error(c, config_error_count(c)));
    cr_expect_null(config_error(c, -1));
    config_close(c);
}

char *printed(const struct config *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    cr_assert_not_null(out);
    config_print(c, out);
    cr_assert_eq(fclose(out), 0);
    return text;
}

char *with_probe(const char *line)
{
    char *text = NULL;
    cr_assert(asprintf(&text, MINIMAL "detect: {detectors: [probe: {\n  %s}]}\n", line) > 0);
    return text;
}

const struct probe_settings *probe_of(const struct config *c)
{
    return config_settings(c)->detect.detectors.item[0].settings;
}

void expect_probe_error(const char *line, const char *error)
{
    char *text = with_probe(line);
    if (error) {
        char *whole = NULL;
        cr_assert(asprintf(&whole, "configuration:5: detect.detectors.0.probe.%s", error) > 0);
        expect_errors(text, NULL, (const char *const[]){whole, NULL});
        free(whole);
    } else {
        config_close(open_good(text, NULL));
    }
    free(text);
}

/* The effective configuration, its hash, the reference; and secrets, which nothing shows. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/sha256.h"
#include "fixture.h"

static void expect_in(const char *text, const char *part)
{
    cr_expect(strstr(text, part), "no \"%s\" in:\n%s", part, text);
}

static void expect_not_in(const char *text, const char *part)
{
    cr_expect_null(strstr(text, part), "\"%s\" in:\n%s", part, text);
}

Test(print, defaults_are_written_out)
{
    struct config *c = open_good(MINIMAL "forecast: {horizons: [1-48, 60, 70, 71]}\n", NULL);
    char *text = printed(c);
    expect_in(text, "name: plant\nseed: 1\nworkers: 1\nsource:\n  kafka:\n    topics: [a]\n    start: earliest\n    "
                    "properties: {}\n");
    expect_in(text, "codec:\n  json:\n    key: \"$key\"\n    time: ts\n    time_unit: iso8601\n    values: []\n");
    expect_in(text, "forecast:\n  horizons: [1-48, 60, 70, 71]\n  channels: independent\n");
    expect_in(text, "  network:\n    layers:\n      - gru:\n          units: 32\n    residual: false\n");
    expect_in(text, "  bands: [0.5, 0.9]\n  calendar: true\n");
    expect_in(text, "  detectors:\n    - exceedance: {}\n");
    expect_in(text, "  learning_rate: 0.002\n");
    expect_in(text, "  checkpoint: 10s\n  memory: 1GiB\n  max_keys: 0\n  ttl: 0\n");
    expect_in(text, "  # dead_letter: not set\n");
    free(text);
    config_close(c);
}

Test(print, what_is_printed_reads_back_as_the_same_configuration)
{
    char *probe = with_probe(
        "text: \"a\\tb \\\"${EDDY_NONE:-$$$${x}}\\\" \\\\ #\", words: [\"null\", \"a: b\", \"1\"], "
        "numbers: [0.1, 1e-9], steps: [1, 3-9], wait: 90s");
    struct config *c = open_good(probe, NULL);
    char *text = printed(c);
    struct config *again = open_good(text, NULL);
    char *twice = printed(again);
    cr_expect_str_eq(twice, text);
    cr_expect_str_eq(probe_of(again)->text, probe_of(c)->text);
    char a[65], b[65];
    config_sha256(c, a);
    config_sha256(again, b);
    cr_expect_str_eq(a, b);
    free(text);
    free(twice);
    free(probe);
    config_close(c);
    config_close(again);
}

static const char *const secret_lines[] = {
    "sasl.password: hunter2",
    "ssl.key.password: hunter2",
    "ssl.key.pem: hunter2",
    "sasl.oauthbearer.client.secret: hunter2",
    "sasl.jaas.config: hunter2",
    "API_TOKEN: hunter2",
    "some.url: \"https://me:hunter2@host/\"",
    "harmless: \"${EDDY_PASSWORD}\"",
    "harmless: \"x${file:/tmp/eddy-secret-test}\"",
};

Test(secrets, are_masked_in_open_maps)
{
    setenv("EDDY_PASSWORD", "hunter2", 1);
    FILE *file = fopen("/tmp/eddy-secret-test", "we");
    cr_assert(file && fputs("hunter2\n", file) >= 0 && fclose(file) == 0);
    for (size_t i = 0; i < sizeof(secret_lines) / sizeof(secret_lines[0]); i++) {
        char *text = NULL;
        cr_assert(asprintf(&text,
                           "name: a\nsource:\n  kafka:\n    topics: [a]\n    properties:\n      %s\n      client.id: "
                           "visible\nsink: kafka\n",
                           secret_lines[i]) > 0);
        struct config *c = open_good(text, NULL);
        const struct wire_settings *s = config_settings(c)->source.settings;
        cr_expect(strstr(s->properties.item[0].value, "hunter2"), "the part itself needs it");
        char *out = printed(c);
        expect_not_in(out, "hunter2");
        expect_in(out, "*****");
        expect_in(out, "client.id: visible");
        free(out);
        free(text);
        config_close(c);
    }
    unlink("/tmp/eddy-secret-test");
}

Test(secrets, are_masked_in_options_that_say_so)
{
    struct config *c = open_good("name: a\nsource: {kafka: {topics: a, password: hunter2}}\nsink: kafka\n", NULL);
    char *out = printed(c);
    expect_not_in(out, "hunter2");
    expect_in(out, "password: \"*****\"");
    free(out);
    config_close(c);
}

Test(secrets, are_in_no_error)
{
    static const char *const texts[] = {
        "source: {kafka: {topics: a, password: [hunter2]}}",
        "source: {kafka: {topics: a, passwrod: hunter2}}",
        "source: {kafka: {topics: a, properties: hunter2}}",
        "source: {kafka: {topics: a, properties: {sasl: {password: hunter2}}}}",
        "source: {kafka: {topics: a, properties: {sasl.password: [hunter2]}}}",
        "source: {kafka: {topics: a, properties: {sasl.password: &x hunter2}}}",
        "source: {kafka: {topics: a, properties: {sasl.password: \"hunter2${EDDY_NONE}\"}}}",
        "source: {kafka: {topics: a, properties: {sasl.password: \"${EDDY_NONE-hunter2}\"}}}",
        "source: {kafka: {topics: a, properties: {sasl.password: \"hunter2\\0\"}}}",
        "source: {kafka: {topics: a, properties: {sasl.password: hunter2, sasl.password: hunter2}}}",
        "source: {kafka: {topics: a, properties: {sasl.password: \"hunter2}}}",
        "source: {kafka: {topics: a, properties: {sasl.password: *hunter2}}}",
        "source: {kafka: {topics: a, properties: {sasl.password: &hunter2}}}",
        "source: {kafka: {topics: a, properties: {sasl.password: !hunter2}}}",
        "source: {kafka: {topics: a, properties: {sasl.password: @hunter2}}}",
        "source: {kafka: {topics: a, properties: {sasl.password: %hunter2}}}",
        "source: {kafka: {topics: a, properties: {sasl.password: hunter2: hunter2}}}",
    };
    unsetenv("EDDY_NONE");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct config_request request = {.text = texts[i], .parts = &parts};
        struct config *c;
        struct eddy_error err = {0};
        cr_expect_eq(config_open(&request, &c, &err), EDDY_ECONFIG);
        cr_expect_gt(config_error_count(c), 0);
        for (int k = 0; k < config_error_count(c); k++) expect_not_in(config_error(c, k), "hunter2");
        expect_not_in(err.message, "hunter2");
        config_close(c);
    }
    const char *const sets[] = {"source.kafka.properties.sasl.password=[hunter2]",
                                "source.kafka.password={hunter2: 1}", "hunter2", NULL};
    struct config_request request = {.text = MINIMAL, .parts = &parts, .overrides = sets};
    struct config *c;
    cr_expect_eq(config_open(&request, &c, NULL), EDDY_ECONFIG);
    cr_expect_eq(config_error_count(c), 3);
    for (int k = 0; k < config_error_count(c); k++) expect_not_in(config_error(c, k), "hunter2");
    config_close(c);
}

static void hash_of(const char *set, char out[65])
{
    struct config *c = open_good(
        "name: a\nsource: {kafka: {topics: a, properties: {x: 1}}}\nsink: {kafka: {topic: b}}\n"
        "errors: {dead_letter: {kafka: {topic: d}}}\n",
        set ? (const char *const[]){set, NULL} : NULL);
    config_sha256(c, out);
    config_close(c);
}

Test(hash, covers_what_changes_outputs_and_nothing_else)
{
    static const char *const same[] = {"state.path=/elsewhere",
                                       "source.kafka.properties.bootstrap.servers=x",
                                       "source.kafka.password=hunter2",
                                       "source.kafka.topics=[z]",
                                       "sink.kafka.topic=z",
                                       "errors.dead_letter.kafka.topic=z",
                                       "train.every=8",
                                       "forecast.network.layers=[gru]"};
    static const char *const different[] = {"seed=2",
                                            "train.every=9",
                                            "codec.json.time=t",
                                            "forecast.bands=[0.9]",
                                            "forecast.network.layers.0.gru.units=16",
                                            "late=drop"};
    char base[65], other[65];
    hash_of(NULL, base);
    cr_expect_eq(strlen(base), 64);
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        hash_of(same[i], other);
        cr_expect_str_eq(other, base, "%s", same[i]);
    }
    for (size_t i = 0; i < sizeof(different) / sizeof(different[0]); i++) {
        hash_of(different[i], other);
        cr_expect_str_neq(other, base, "%s", different[i]);
    }
}

Test(hash, sha256_gives_the_values_of_the_standard)
{
    static const struct {
        const char *text, *hash;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hash[65];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sha256_hex(cases[i].text, strlen(cases[i].text), hash);
        cr_expect_str_eq(hash, cases[i].hash);
    }
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    sha256_hex(million, 1000000, hash);
    cr_expect_str_eq(hash, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static char *reference(const char *part, enum options_format format, eddy_status expected, struct eddy_error *err)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    cr_expect_eq(options_print(&parts, part, format, out, err), expected);
    (void)fclose(out);
    return text;
}

Test(reference, names_every_option_once_in_every_format)
{
    char *text = reference(NULL, OPTIONS_TEXT, EDDY_OK, NULL);
    expect_in(text, "  train.mode\n      one of background, inline, off; default background\n");
    expect_in(text, "  state.checkpoint\n      duration, 1ms .. 1d; default 10s\n");
    expect_in(text, "  name\n      text; required\n");
    expect_in(text, "detector probe: All types.\n");
    expect_in(text, "  inner.depth\n");
    expect_in(text, "codec csv: Lines.\n  no options\n");
    free(text);

    text = reference(NULL, OPTIONS_MARKDOWN, EDDY_OK, NULL);
    expect_in(text, "| `forecast.horizons` | ranges, 1 .. 1024, steps ahead | `[1]` | ");
    expect_in(text, "## source kafka\n");
    expect_in(text, "| `password` | text | unset |  Never printed. |\n");
    free(text);

    text = reference(NULL, OPTIONS_JSON, EDDY_OK, NULL);
    json_error_t error;
    json_t *list = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(list, "%s: %s", error.text, text);
    size_t i;
    json_t *row;
    int found = 0;
    json_array_foreach(list, i, row)
    {
        found += strcmp(json_string_value(json_object_get(row, "path")), "limits.key") == 0;
        cr_expect(json_is_string(json_object_get(row, "type")));
        cr_expect(json_is_boolean(json_object_get(row, "required")));
    }
    cr_expect_eq(found, 1);
    json_decref(list);
    free(text);
}

Test(reference, one_part_kind_or_group_can_be_asked_for)
{
    char *text = reference("kafka", OPTIONS_TEXT, EDDY_OK, NULL);
    expect_in(text, "source kafka: ");
    expect_in(text, "sink kafka: ");
    expect_not_in(text, "codec");
    free(text);
    text = reference("layer", OPTIONS_TEXT, EDDY_OK, NULL);
    expect_in(text, "layer gru: ");
    expect_in(text, "layer lstm: ");
    expect_not_in(text, "detector");
    free(text);
    text = reference("train", OPTIONS_TEXT, EDDY_OK, NULL);
    expect_in(text, "  train.window\n");
    expect_not_in(text, "state.path");
    free(text);
    text = reference("csv", OPTIONS_JSON, EDDY_OK, NULL);
    cr_expect_str_eq(text, "[]\n");
    free(text);
}

Test(reference, unknown_parts_get_a_hint)
{
    struct eddy_error err = {0};
    free(reference("kafak", OPTIONS_TEXT, EDDY_ENOTFOUND, &err));
    cr_expect_str_eq(err.message, "no part or option is called \"kafak\" (did you mean \"kafka\"?)");
    free(reference("zzz", OPTIONS_TEXT, EDDY_ENOTFOUND, &err));
    cr_expect_str_eq(err.message, "no part or option is called \"zzz\"");
}

Test(reference, a_full_disk_is_an_error)
{
    FILE *out = fopen("/dev/full", "we");
    cr_assert_not_null(out);
    (void)setvbuf(out, NULL, _IONBF, 0);
    cr_expect_eq(options_print(&parts, NULL, OPTIONS_TEXT, out, NULL), EDDY_EIO);
    (void)fclose(out);
}

struct committee {
    struct eddy_strings members;
    double limits;
};

/* The small parts, and the experts and detectors that samples name. */
static const struct eddy_parts *with_experts(void)
{
    enum { MOST = 40 };
    static const struct eddy_part fleet = {.struct_size = sizeof(fleet), .kind = EDDY_PART_EXPERT, .name = "fleet"};
    static const struct eddy_part network = {
        .struct_size = sizeof(network), .kind = EDDY_PART_EXPERT, .name = "network"};
    static const struct eddy_part persistence = {
        .struct_size = sizeof(persistence), .kind = EDDY_PART_EXPERT, .name = "persistence"};
    static const struct eddy_option options[] = {
        {"members", EDDY_OPT_STRINGS, offsetof(struct committee, members), "", 0, 0, "", "Who.", NULL, 0, false},
        {"limits", EDDY_OPT_REAL, offsetof(struct committee, limits), "1", .1, 100, "", "How much.", NULL, 0, false},
        {0}};
    static const struct eddy_part committee = {.struct_size = sizeof(committee),
                                               .kind = EDDY_PART_DETECTOR,
                                               .name = "committee",
                                               .options = options,
                                               .settings_size = sizeof(struct committee)};
    static const struct eddy_part *list[MOST + 5];
    static const struct eddy_parts all = {list};
    int n = 0;
    for (; parts.item[n]; n++) {
        cr_assert_lt(n, MOST);
        list[n] = parts.item[n];
    }
    list[n] = &fleet;
    list[n + 1] = &network;
    list[n + 2] = &persistence;
    list[n + 3] = &committee;
    return &all;
}

Test(samples, are_good_configurations)
{
    static const char *const paths[] = {"config/sensors.yml", "config/prices.yml", "config/forecast.yml",
                                        "config/fleet.yml", "config/faults.yml"};
    unsetenv("EDDY_BROKERS");
    unsetenv("EDDY_STATE");
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        static const struct profile none[] = {{0}}; /* they name parts that are not here */
        struct config_request request = {.path = paths[i], .parts = with_experts(), .profiles = none};
        struct config *c;
        struct eddy_error err = {0};
        cr_expect_eq(config_open(&request, &c, &err), EDDY_OK, "%s", err.message);
        cr_expect_str_eq(config_settings(c)->state.path, "./eddy-state");
        const struct wire_settings *s = config_settings(c)->source.settings;
        cr_expect_str_eq(s->properties.item[0].value, "localhost:9092");
        config_close(c);
    }
}

/* Option tables: defaults, types, unknown names, parts, and all errors in one go. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "config/option.h"
#include "fixture.h"

#define ERRORS(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(options, smallest_file_gets_every_default)
{
    struct config *c = open_good(MINIMAL, NULL);
    const struct settings *s = config_settings(c);
    cr_expect_str_eq(s->name, "plant");
    cr_expect_eq(s->seed, 1);
    cr_expect_str_eq(s->source.part->name, "kafka");
    cr_expect_eq(s->source.part->kind, EDDY_PART_SOURCE);
    cr_expect_eq(s->sink.part->kind, EDDY_PART_SINK);
    cr_expect_str_eq(s->codec.part->name, "json");
    cr_expect_eq(s->forecast.horizons.n, 1);
    cr_expect_eq(s->forecast.horizons.item[0], 1);
    cr_expect_eq(s->forecast.channels, CHANNELS_INDEPENDENT);
    cr_expect_eq(s->forecast.scope, SCOPE_SHARED);
    cr_expect_eq(s->forecast.bands.n, 2);
    cr_expect_eq(s->forecast.bands.item[1], 0.9);
    cr_expect(s->forecast.calendar);
    cr_expect_eq(s->forecast.missing.n, 0);
    cr_expect_eq(s->forecast.network.layers.n, 1);
    cr_expect_eq(s->forecast.network.layers.item[0].part, &part_gru);
    cr_expect_eq(((const struct gru_settings *)s->forecast.network.layers.item[0].settings)->units, 32);
    cr_expect_eq(s->detect.threshold, 0.4);
    cr_expect_eq(s->detect.warmup, 50);
    cr_expect_eq(s->detect.detectors.n, 1);
    cr_expect_eq(s->train.mode, TRAIN_BACKGROUND);
    cr_expect_eq(s->train.every, 8);
    cr_expect_eq(s->train.window, 48);
    cr_expect_eq(s->train.learning_rate, 2e-3);
    cr_expect_eq(s->train.clip_norm, 1);
    cr_expect_eq(s->train.ema, 0.99);
    cr_expect_eq(s->train.batch, 4);
    cr_expect_eq(s->train.windows, 64);
    cr_expect_eq(s->train.epoch, 256);
    cr_expect_eq(s->train.lag, 1);
    cr_expect_str_eq(s->state.path, "eddy-state");
    cr_expect_eq(s->state.checkpoint, 10000000000);
    cr_expect_eq(s->state.memory, (int64_t)1 << 30);
    cr_expect_eq(s->state.max_keys, 0);
    cr_expect_eq(s->state.ttl, 0);
    cr_expect_eq(s->state.on_change, ON_CHANGE_REFUSE);
    cr_expect_eq(s->state.missing, MISSING_STATE_REBUILD);
    cr_expect_eq(s->errors.tolerance, TOLERANCE_ALL);
    cr_expect_null(s->errors.dead_letter.part);
    cr_expect_eq(s->limits.record, 1 << 20);
    cr_expect_eq(s->limits.key, 1024);
    cr_expect_eq(s->limits.depth, 32);
    cr_expect_eq(s->limits.fields, 1024);
    cr_expect_eq(s->late, LATE_FOLD);
    cr_expect_eq(s->guarantee, GUARANTEE_AT_LEAST_ONCE);
    cr_expect_eq(s->plugins.n, 0);
    config_close(c);
}

Test(options, several_errors_come_in_one_go_with_their_lines)
{
    const char *text = "name: plant 7\n"
                       "source:\n"
                       "  kafka:\n"
                       "    topcs: [a]\n"
                       "sink: {kafka: {topic: b}}\n"
                       "forecast:\n"
                       "  horizons: [0, 1-2000]\n"
                       "  bands: [0.9, 0.5]\n"
                       "train: {mode: backgruond, every: many}\n"
                       "state:\n"
                       "  checkpoint: 10\n"
                       "  memory: 512MB2\n"
                       "threads: 4\n";
    expect_errors(
        text, NULL,
        ERRORS(
            "configuration:1: name: may hold letters, digits, dot, dash and underscore only, got \"plant 7\"",
            "configuration:3: source.kafka.topics: is required: Topics.",
            "configuration:4: source.kafka.topcs: unknown option (did you mean \"topics\"?)",
            "configuration:7: forecast.horizons: \"0\" is outside 1 .. 1024",
            "configuration:7: forecast.horizons: \"1-2000\" is outside 1 .. 1024",
            "configuration:8: forecast.bands: 0.5 is not above the one before it; expected ascending shares such as "
            "[0.5, 0.9]",
            "configuration:9: train.mode: \"backgruond\" is not one of: background, inline, off (did you mean "
            "\"background\"?)",
            "configuration:9: train.every: \"many\" is not a whole number",
            "configuration:11: state.checkpoint: \"10\" has no unit; expected a duration such as 250ms, 10s, 5m, 24h "
            "or 30d",
            "configuration:12: state.memory: \"512MB2\" has an unknown unit; expected a size such as 64KiB, 512MiB "
            "or "
            "1GiB",
            "configuration:13: threads: unknown option; known: name, seed, workers, source, codec, forecast, detect, "
            "train, "
            "state, sink, errors, limits, late, guarantee, commit_interval, latency, kernel, plugins"));
}

Test(options, missing_required_options_are_named_with_their_meaning)
{
    expect_errors(
        "seed: 2\n", NULL,
        ERRORS("configuration:1: name: is required: The pipeline's name: consumer group and state files derive "
               "from it. Letters, digits, dot, dash and underscore, at most 100.",
               "configuration:1: source: is required: Where events come from.",
               "configuration:1: sink: is required: Where results go."));
}

Test(options, commands_may_bring_their_own_source_and_sink)
{
    struct config_request request = {
        .text = "name: a\n", .parts = &parts, .source_optional = true, .sink_optional = true};
    struct config *c;
    cr_assert_eq(config_open(&request, &c, NULL), EDDY_OK);
    cr_expect_null(config_settings(c)->source.part);
    cr_expect_null(config_settings(c)->sink.part);
    config_close(c);

    request.sink_optional = false;
    cr_assert_eq(config_open(&request, &c, NULL), EDDY_ECONFIG);
    cr_expect_eq(config_error_count(c), 1);
    cr_expect_str_eq(config_error(c, 0), "configuration:1: sink: is required: Where results go.");
    config_close(c);

    request.sink_optional = true;
    request.source_optional = false;
    cr_assert_eq(config_open(&request, &c, NULL), EDDY_ECONFIG);
    cr_expect_eq(config_error_count(c), 1);
    cr_expect_str_eq(config_error(c, 0), "configuration:1: source: is required: Where events come from.");
    config_close(c);
}

Test(options, single_values_where_maps_belong_are_refused)
{
    expect_errors(
        MINIMAL "state: here\ntrain: [1]\nforecast: {missing: last, network: gru}\n", NULL,
        ERRORS("configuration:4: state: expected a map of options, got a single value",
               "configuration:5: train: expected a map of options, got a list",
               "configuration:6: forecast.network: expected a map of options, got a single value",
               "configuration:6: forecast.missing: expected a map of names and values, got a single value"));
}

Test(options, maps_and_lists_where_single_values_belong_are_refused)
{
    expect_errors(MINIMAL "seed: [1]\nlate: {fold: 1}\n", NULL,
                  ERRORS("configuration:4: seed: expected a whole number, got a list",
                         "configuration:5: late: expected a word, got a map"));
}

Test(options, empty_values_are_refused)
{
    expect_errors(
        "name:\nsource: {kafka: {topics: []}}\nsink:\nseed: ~\nstate:\ndetect: {detectors: []}\n"
        "codec: null\nforecast: {horizons: [], bands: []}\nplugins:\n",
        NULL,
        ERRORS("configuration:9: plugins: is empty: expected a list of texts; leave the line out for the default"));
    expect_errors(
        "name:\nsource: {kafka: {topics: []}}\nsink:\nseed: ~\nstate:\ndetect: {detectors: []}\n"
        "codec: null\nforecast: {horizons: [], bands: []}\n",
        NULL,
        ERRORS("configuration:1: name: is empty: expected a text; leave the line out for the default",
               "configuration:2: source.kafka.topics: is empty, but required",
               "configuration:3: sink: is empty: expected a name, or {name: {options}}; leave the line out for the "
               "default",
               "configuration:4: seed: is empty: expected a whole number; leave the line out for the default",
               "configuration:5: state: is empty: expected a map of options; leave the line out for the default",
               "configuration:6: detect.detectors: is empty: expected at least one detector",
               "configuration:7: codec: is empty: expected a name, or {name: {options}}; leave the line out for the "
               "default",
               "configuration:8: forecast.horizons: is empty: expected at least one, such as [1]",
               "configuration:8: forecast.bands: is empty: expected at least one, such as [0.9]"));
}

Test(options, unknown_parts_list_the_known_ones)
{
    expect_errors(
        "name: a\nsource: {kafak: {topics: [a]}}\nsink: {kafka: {}}\ncodec: gru\n"
        "forecast: {network: {layers: [gru, {gruu: {units: 3}}, transformer]}}\n",
        NULL,
        ERRORS("configuration:2: source: unknown source \"kafak\"; known: kafka (did you mean \"kafka\"?)",
               "configuration:4: codec: unknown codec \"gru\"; known: json, csv; that name is a layer",
               "configuration:5: forecast.network.layers.1: unknown layer \"gruu\"; known: gru, lstm (did you "
               "mean \"gru\"?)",
               "configuration:5: forecast.network.layers.2: unknown layer \"transformer\"; known: gru, lstm"));
}

Test(options, a_part_is_one_name)
{
    expect_errors(
        MINIMAL "codec: {json: {}, csv: {}}\nerrors: {dead_letter: {}}\n"
                "forecast: {network: {layers: [{gru: 3}, [gru]]}}\n",
        NULL,
        ERRORS("configuration:4: codec: takes one codec, got 2: \"json\", \"csv\"",
               "configuration:5: errors.dead_letter: is empty: expected the name of a sink",
               "configuration:6: forecast.network.layers.0.gru: expected a map of options, got a single value",
               "configuration:6: forecast.network.layers.1: expected a list of names or {name: {options}}, got "
               "a list"));
}

Test(options, parts_may_be_just_named_and_know_where_they_stand)
{
    struct config *c = open_good(MINIMAL "codec: csv\nerrors: {dead_letter: {file: {path: bad.jsonl}}}\nforecast:\n"
                                         "  network:\n    layers:\n      - gru:\n      - lstm: {units: 16}\n",
                                 NULL);
    const struct settings *s = config_settings(c);
    cr_expect_str_eq(s->codec.where, "configuration:4: codec.csv");
    cr_expect_str_eq(s->errors.dead_letter.part->name, "file");
    cr_expect_eq(s->forecast.network.layers.n, 2);
    cr_expect_str_eq(s->forecast.network.layers.item[1].where, "configuration:10: forecast.network.layers.1.lstm");
    cr_expect_eq(((const struct gru_settings *)s->forecast.network.layers.item[0].settings)->units, 32);
    cr_expect_eq(((const struct gru_settings *)s->forecast.network.layers.item[1].settings)->units, 16);
    config_close(c);
}

Test(options, what_a_part_refuses_is_reported_where_it_stands)
{
    expect_errors(MINIMAL "codec:\n  json: {key: ts}\n", NULL,
                  ERRORS("configuration:5: codec.json: key and time are the same field \"ts\""));
}

Test(options, a_part_with_errors_of_its_own_is_not_asked)
{
    expect_errors(MINIMAL "codec:\n  json: {key: ts, time_unit: min}\n", NULL,
                  ERRORS("configuration:5: codec.json.time_unit: \"min\" is not one of: iso8601, s, ms, us, ns"));
}

Test(options, open_maps_keep_names_values_lines_and_order)
{
    struct config *c = open_good("name: a\nsource:\n  kafka:\n    topics: a\n    properties:\n"
                                 "      bootstrap.servers: \"h:1,h:2\"\n      socket.keepalive.enable: true\n"
                                 "      ssl.ca.location: \"\"\nsink: {kafka: {}}\n",
                                 NULL);
    const struct wire_settings *s = config_settings(c)->source.settings;
    cr_assert_eq(s->properties.n, 3);
    cr_expect_str_eq(s->properties.item[0].name, "bootstrap.servers");
    cr_expect_str_eq(s->properties.item[0].value, "h:1,h:2");
    cr_expect_eq(s->properties.item[0].line, 6);
    cr_expect_str_eq(s->properties.item[1].value, "true");
    cr_expect_eq(s->properties.item[1].line, 7);
    cr_expect_str_eq(s->properties.item[2].value, "");
    cr_assert_eq(s->topics.n, 1);
    cr_expect_str_eq(s->topics.item[0], "a");
    config_close(c);
}

Test(options, more_than_a_hundred_errors_are_counted)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    for (int i = 0; i < 300; i++) (void)fprintf(out, "zzzzzzzz%d: 1\n", i);
    (void)fclose(out);
    struct config_request request = {.text = text, .parts = &parts};
    struct config *c;
    cr_assert_eq(config_open(&request, &c, NULL), EDDY_ECONFIG);
    cr_expect_eq(config_error_count(c), 101);
    cr_expect(strstr(config_error(c, 100), "more errors"));
    config_close(c);
    free(text);
}

Test(options, part_defaults_fill_a_struct_without_a_configuration)
{
    struct {
        int64_t count;
        const char *name, *needed;
    } s;
    memset(&s, 0xff, sizeof(s));
    struct eddy_error err = {0};
    cr_assert_eq(config_part_defaults(&part_defaults, &s, &err), EDDY_OK, "%s", err.message);
    cr_expect_eq(s.count, 7);
    cr_expect_str_eq(s.name, "abc");
    cr_expect_null(s.needed);

    struct probe_settings probe;
    cr_expect_eq(config_part_defaults(&part_probe, &probe, &err), EDDY_EUNSUPPORTED);
    cr_expect(strstr(err.message, "probe.words: "), "%s", err.message);
}

Test(options, plugins_are_loaded_before_parts_are_looked_up)
{
    expect_errors(MINIMAL "plugins: [x.so]\n", NULL,
                  ERRORS("configuration:4: plugins: this program loads no plugins"));
}

static const struct eddy_parts *load(void *context, const struct eddy_strings *paths, struct eddy_error *err)
{
    *(int *)context = paths->n;
    if (paths->n == 2) {
        (void)eddy_fail(err, EDDY_ENOTFOUND, "%s: no such file", paths->item[1]);
        return NULL;
    }
    return &parts;
}

Test(options, loader_gets_the_list_and_its_error_is_reported)
{
    int n = -1;
    struct config_request request = {
        .text = MINIMAL "plugins: [a.so, b.so]\ncodec: whatever\n", .load_plugins = load, .context = &n};
    struct config *c;
    cr_expect_eq(config_open(&request, &c, NULL), EDDY_ECONFIG);
    cr_expect_eq(n, 2);
    cr_expect_eq(config_error_count(c), 1);
    cr_expect_str_eq(config_error(c, 0), "configuration:4: plugins: b.so: no such file");
    config_close(c);

    request.overrides = (const char *const[]){"codec=json", "plugins=a.so", NULL};
    cr_expect_eq(config_open(&request, &c, NULL), EDDY_OK);
    cr_expect_eq(n, 1);
    cr_expect_str_eq(config_settings(c)->plugins.item[0], "a.so");
    config_close(c);
}

Test(suggest, near_words_are_found_and_far_ones_are_not)
{
    const char *const known[] = {"horizons", "bands", "network", "every", NULL};
    cr_expect_str_eq(suggest("horizon", known), "horizons");
    cr_expect_str_eq(suggest("HORIZONS", known), "horizons");
    cr_expect_str_eq(suggest("netwrok", known), "network");
    cr_expect_str_eq(suggest("band", known), "bands");
    cr_expect_str_eq(suggest("evry", known), "every");
    cr_expect_null(suggest("season", known));
    cr_expect_null(suggest("", known));
    cr_expect_null(suggest("hor", known));
    cr_expect_null(suggest("x", (const char *const[]){NULL}));
    cr_expect_str_eq(suggest("a", (const char *const[]){"b", NULL}), "b"); /* at least one letter may differ */
    char longest[200];
    memset(longest, 'h', sizeof(longest));
    longest[199] = 0;
    cr_expect_null(suggest(longest, known));
}

Test(options, every_type_has_a_row_of_its_own)
{
    for (int type = EDDY_OPT_BOOL; type <= EDDY_OPT_PARTS; type++) {
        const struct option_type *row = option_type((enum eddy_option_type)type);
        cr_assert(row->name && *row->name, "type %d", type);
        cr_assert(row->expected && *row->expected, "type %d", type);
        for (int other = EDDY_OPT_BOOL; other < type; other++)
            cr_assert_str_neq(row->name, option_type((enum eddy_option_type)other)->name);
    }
    cr_assert_str_eq(option_type((enum eddy_option_type)99)->name, "");
}

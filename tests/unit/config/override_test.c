/* --set a.b.c=VALUE: maps, open maps with dotted names, lists, parts and defaults; and paths that lead nowhere. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ERRORS   SET

Test(override, values_replace_and_add_to_what_the_file_says)
{
    struct config *c = open_good(MINIMAL "train: {every: 3}\n",
                                 SET("train.every=5", "train.window=99", "state.checkpoint=1m", "seed=-4",
                                     "forecast.horizons=[1, 5-7]", "train.every=6"));
    const struct settings *s = config_settings(c);
    cr_expect_eq(s->train.every, 6, "the last one wins");
    cr_expect_eq(s->train.window, 99);
    cr_expect_eq(s->state.checkpoint, 60000000000);
    cr_expect_eq(s->seed, -4);
    cr_expect_eq(s->forecast.horizons.n, 4);
    config_close(c);
}

Test(override, a_value_may_be_any_yaml)
{
    struct config *c = open_good(MINIMAL, SET("train={every: 4, mode: inline}", "codec=csv", "state.path=\"a b\"",
                                              "forecast.network.layers=[lstm, {gru: {units: 8}}]"));
    const struct settings *s = config_settings(c);
    cr_expect_eq(s->train.every, 4);
    cr_expect_eq(s->train.mode, TRAIN_INLINE);
    cr_expect_str_eq(s->codec.part->name, "csv");
    cr_expect_str_eq(s->state.path, "a b");
    cr_expect_eq(s->forecast.network.layers.n, 2);
    config_close(c);
}

Test(override, open_maps_take_names_with_dots)
{
    struct config *c = open_good(
        "name: a\nsource: {kafka: {topics: a, properties: {bootstrap.servers: \"x:1\", client.id: me}}}\n"
        "sink: kafka\n",
        SET("source.kafka.properties.bootstrap.servers=y:2", "source.kafka.properties.fetch.min.bytes=5"));
    const struct wire_settings *s = config_settings(c)->source.settings;
    cr_assert_eq(s->properties.n, 3);
    cr_expect_str_eq(s->properties.item[0].value, "y:2");
    cr_expect_eq(s->properties.item[0].line, 0);
    cr_expect_str_eq(s->properties.item[1].value, "me");
    cr_expect_eq(s->properties.item[1].line, 3 - 1);
    cr_expect_str_eq(s->properties.item[2].name, "fetch.min.bytes");
    config_close(c);
}

static int64_t units_of(const struct config *c, int layer)
{
    return ((const struct gru_settings *)config_settings(c)->forecast.network.layers.item[layer].settings)->units;
}

Test(override, a_number_picks_an_item_of_a_list)
{
    struct config *c = open_good(
        MINIMAL "forecast: {network: {layers: [{gru: {units: 8}}, lstm]}, horizons: [1, 2]}\n",
        SET("forecast.network.layers.0.gru.units=16", "forecast.network.layers.1.lstm.units=4",
            "forecast.network.layers.2=gru", "forecast.horizons.1=9", "source.kafka.topics.1=second"));
    cr_assert_eq(config_settings(c)->forecast.network.layers.n, 3);
    cr_expect_eq(units_of(c, 0), 16);
    cr_expect_eq(units_of(c, 1), 4);
    cr_expect_eq(units_of(c, 2), 32);
    cr_expect_eq(config_settings(c)->forecast.horizons.item[1], 9);
    const struct wire_settings *s = config_settings(c)->source.settings;
    cr_assert_eq(s->topics.n, 2);
    cr_expect_str_eq(s->topics.item[0], "a");
    cr_expect_str_eq(s->topics.item[1], "second");
    config_close(c);
}

Test(override, a_path_into_a_default_changes_that_default)
{
    struct config *c = open_good(MINIMAL, SET("forecast.network.layers.0.gru.units=16", "codec.json.key=id",
                                              "forecast.bands.1=0.8", "state.path=s"));
    cr_expect_eq(units_of(c, 0), 16);
    cr_expect_eq(config_settings(c)->forecast.network.layers.n, 1);
    cr_expect_eq(config_settings(c)->forecast.bands.item[0], 0.5);
    cr_expect_eq(config_settings(c)->forecast.bands.item[1], 0.8);
    config_close(c);
}

Test(override, a_single_value_is_a_list_of_one)
{
    struct config *c = open_good(
        "name: a\nsource: {kafka: {topics: a}}\nsink: kafka\nforecast: {horizons: 3}\n"
        "detect: {detectors: exceedance}\n",
        SET("source.kafka.topics.0=b", "forecast.horizons.1=5", "detect.detectors.1.probe.count=3"));
    const struct wire_settings *s = config_settings(c)->source.settings;
    cr_expect_str_eq(s->topics.item[0], "b");
    cr_expect_eq(config_settings(c)->forecast.horizons.n, 2);
    cr_expect_eq(config_settings(c)->detect.detectors.n, 2);
    config_close(c);
}

Test(override, one_named_part_may_become_another)
{
    struct config *c = open_good("name: a\nsource: {kafka: {topics: a}}\nsink: kafka\n",
                                 SET("sink.file.path=/tmp/x", "errors.dead_letter.file.path=bad"));
    cr_expect_str_eq(config_settings(c)->sink.part->name, "file");
    cr_expect_str_eq(config_settings(c)->errors.dead_letter.part->name, "file");
    config_close(c);
}

Test(override, empty_values_of_the_file_can_be_filled)
{
    struct config *c = open_good(MINIMAL "state:\ncodec:\n", SET("state.path=x", "codec.json.time=t"));
    cr_expect_str_eq(config_settings(c)->state.path, "x");
    config_close(c);
}

Test(override, errors_name_the_override_in_place_of_a_line)
{
    expect_errors(
        MINIMAL,
        SET("train.evry=5", "threads=2", "train.window=1", "forecast.network.layers.0.gru.unit=4",
            "state.path=", "codec={json: {key: ts}}"),
        ERRORS("--set threads=...: threads: unknown option; known: name, seed, workers, source, codec, "
               "forecast, detect, "
               "train, state, sink, errors, limits, late, guarantee, commit_interval, latency, kernel, plugins",
               "--set codec=...: codec.json: key and time are the same field \"ts\"",
               "--set forecast.network.layers.0.gru.unit=...: forecast.network.layers.0.gru.unit: unknown "
               "option (did you mean \"units\"?)",
               "--set train.evry=...: train.evry: unknown option (did you mean \"every\"?)",
               "--set train.window=...: train.window: \"1\" is outside 2 .. 4096",
               "--set state.path=...: state.path: is empty: expected a text; leave the line out for the "
               "default"));
}

Test(override, errors_of_the_file_come_first)
{
    expect_errors(MINIMAL "late: maybe\n", SET("seed=x"),
                  ERRORS("configuration:4: late: \"maybe\" is not one of: fold, drop",
                         "--set seed=...: seed: \"x\" is not a whole number"));
}

Test(override, bad_paths_are_refused)
{
    static const struct {
        const char *set, *error;
    } cases[] = {
        {"train.every", "--set: expected a.b.c=VALUE, got a text without ="},
        {"=5", "--set =...: a name is missing in the path"},
        {"train.=5", "--set train.=...: a name is missing in the path"},
        {"train..every=5", "--set train..every=...: train: a name is missing in the path"},
        {".train=5", "--set .train=...: a name is missing in the path"},
        {"seed.a=5", "--set seed.a=...: seed: is a single value, so there is nothing inside it to set"},
        {"forecast.horizons.x=5",
         "--set forecast.horizons.x=...: forecast.horizons.x: is no item of a list: expected its "
         "number, 0 for the first"},
        {"forecast.horizons.7=5",
         "--set forecast.horizons.7=...: forecast.horizons.7: there is no such item: the list has 1"},
        {"forecast.horizons.0.a=5",
         "--set forecast.horizons.0.a=...: forecast.horizons.0: is a single value, so there is "
         "nothing inside it to set"},
        {"forecast.network.layers.99999999999999999999.gru=1",
         "--set forecast.network.layers.99999999999999999999.gru=...: forecast.network.layers.99999999999999999999: "
         "there "
         "is no such item: the list has 1"},
        {"late=[fold", "--set late=...: not YAML: did not find expected ',' or ']'"},
        {"late=&a fold", "--set late=...: anchors (&) are not used here; a text that begins with & needs quotes"},
        {"codec.jsn.key=a", "--set codec.jsn.key=...: codec: unknown codec \"jsn\"; known: json, csv (did you mean "
                            "\"json\"?)"},
        {"sink.file.path=x", "configuration:3: sink: takes one sink, got 2: \"kafka\", \"file\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_errors(MINIMAL, SET(cases[i].set), ERRORS(cases[i].error));
    expect_errors(MINIMAL "state: here\n", SET("state.path=x"),
                  ERRORS("configuration:4: state: expected a map of options, got a single value",
                         "--set state.path=...: state: is no map in the file, so there is nothing inside it to set"));
}

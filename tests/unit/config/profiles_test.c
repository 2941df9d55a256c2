/* Profiles: one word sets many options, and whatever is written still wins. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

static const struct profile profiles[] = {
    {"forecast.profile", "best", "profile best",
     "forecast:\n"
     "  bands: [0.8]\n"
     "  mix: {rate: 3, floor: 0.25}\n"
     "  networks:\n"
     "    first: {layers: [{gru: {units: 5}}], loss: squared}\n"
     "    second: {layers: [gru]}\n"
     "train: {every: 7}\n"},
    {"forecast.profile", "fleet", "profile fleet", "forecast: {bands: [2, x]}\n"},
    {"detect.sensitivity", "high", "sensitivity high", "detect: {threshold: 0.125}\n"},
    {0},
};

static struct config *open_with(const char *text, const char *const *overrides)
{
    struct config_request request = {.text = text, .overrides = overrides, .parts = &parts, .profiles = profiles};
    struct config *c = NULL;
    struct eddy_error err = {0};
    (void)config_open(&request, &c, &err);
    cr_assert_not_null(c);
    return c;
}

static const struct network_settings *network(const struct config *c, int i)
{
    return config_settings(c)->forecast.networks.item[i].settings;
}

Test(profiles, a_word_sets_many_options)
{
    struct config *c = open_with(MINIMAL "forecast: {profile: best}\ndetect: {sensitivity: high}\n", NULL);
    const struct settings *s = config_settings(c);
    cr_assert_eq(config_error_count(c), 0, "%s", config_error(c, 0));
    cr_expect_eq(s->forecast.bands.n, 1);
    cr_expect_eq(s->forecast.mix.rate, 3);
    cr_expect_eq(s->forecast.networks.n, 2);
    cr_expect_eq(s->train.every, 7);
    cr_expect_eq(s->train.window, 48, "what no profile says has its default");
    cr_expect_eq(s->detect.threshold, .125);
    config_close(c);
}

Test(profiles, what_the_file_says_wins_option_by_option)
{
    struct config *c = open_with(MINIMAL "forecast:\n  profile: best\n  mix: {rate: 9}\n  networks:\n"
                                         "    first: {residual: true}\n    mine: {layers: [gru]}\n"
                                         "train: {every: 2}\n",
                                 NULL);
    const struct settings *s = config_settings(c);
    cr_assert_eq(config_error_count(c), 0, "%s", config_error(c, 0));
    cr_expect_eq(s->forecast.mix.rate, 9);
    cr_expect_eq(s->forecast.mix.floor, .25);
    cr_expect_eq(s->train.every, 2);
    cr_expect_eq(s->forecast.networks.n, 3);
    cr_expect(network(c, 0)->residual);
    cr_expect_eq(((const struct gru_settings *)network(c, 0)->layers.item[0].settings)->units, 5);
    cr_expect_str_eq(s->forecast.networks.item[1].name, "mine");
    config_close(c);
}

Test(profiles, overrides_choose_profiles_and_reach_into_them)
{
    const char *const sets[] = {"forecast.networks.first.layers.0.gru.units=11", "forecast.mix.rate=4",
                                "forecast.profile=best", NULL};
    struct config *c = open_with(MINIMAL, sets);
    cr_assert_eq(config_error_count(c), 0, "%s", config_error(c, 0));
    cr_expect_eq(config_settings(c)->forecast.mix.rate, 4);
    cr_expect_eq(((const struct gru_settings *)network(c, 0)->layers.item[0].settings)->units, 11);
    config_close(c);
}

Test(profiles, errors_name_the_profile)
{
    struct config *c = open_with(MINIMAL "forecast: {profile: fleet}\n", NULL);
    cr_assert_eq(config_error_count(c), 2);
    cr_expect_str_eq(config_error(c, 0), "profile fleet:1: forecast.bands: \"2\" is outside 0 .. 1");
    config_close(c);
    c = open_with(MINIMAL "forecast: {profile: worst}\n", NULL);
    cr_assert_eq(config_error_count(c), 1);
    cr_expect_not_null(strstr(config_error(c, 0), "configuration:4: forecast.profile: \"worst\""));
    config_close(c);
}

Test(profiles, what_they_set_is_printed)
{
    struct config *c = open_with(MINIMAL "forecast: {profile: best, mix: {floor: 0.5}}\n", NULL);
    char *text = printed(c);
    cr_expect_not_null(strstr(text, "  profile: best\n"));
    cr_expect_not_null(strstr(text, "  bands: [0.8]\n"));
    config_close(c);
    free(text);
}

Test(profiles, low_latency_commits_more_often_unless_told_otherwise)
{
    static const char *const low[] = {"latency=low", NULL};
    struct config_request request = {.text = MINIMAL "latency: low\n", .parts = &parts};
    struct eddy_error err = {0};
    struct config *c = NULL;
    cr_assert_eq(config_open(&request, &c, &err), EDDY_OK, "%s", err.message);
    cr_expect_eq(config_settings(c)->latency, LATENCY_LOW);
    cr_expect_eq(config_settings(c)->commit_interval, 100 * 1000000);
    config_close(c);
    request.text = MINIMAL "commit_interval: 2s\n";
    request.overrides = low;
    cr_assert_eq(config_open(&request, &c, &err), EDDY_OK, "%s", err.message);
    cr_expect_eq(config_settings(c)->commit_interval, 2000000000);
    config_close(c);
    request.overrides = NULL;
    request.text = MINIMAL;
    cr_assert_eq(config_open(&request, &c, &err), EDDY_OK, "%s", err.message);
    cr_expect_eq(config_settings(c)->latency, LATENCY_BALANCED);
    cr_expect_eq(config_settings(c)->commit_interval, 1000000000);
    config_close(c);
}

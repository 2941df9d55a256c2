/* Numbers, units, words and lists: every spelling that is read, and what is said about the others. */
#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/unit.h"
#include "fixture.h"

struct reading_case {
    const char *text;
    int64_t value;
};

#define SECOND INT64_C(1000000000)

Test(units, every_spelling_of_a_duration_is_read)
{
    static const struct reading_case cases[] = {
        {"0", 0},
        {"7ns", 7},
        {"3us", 3000},
        {"3\xC2\xB5s", 3000},
        {"250ms", 250000000},
        {"10s", 10 * SECOND},
        {"1.5s", 3 * SECOND / 2},
        {"10 s", 10 * SECOND},
        {"5m", 300 * SECOND},
        {"5min", 300 * SECOND},
        {"24h", 86400 * SECOND},
        {"30d", 2592000 * SECOND},
        {"2w", 1209600 * SECOND},
        {"0.001us", 1},
        {".5s", SECOND / 2},
        {"0s", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = -1;
        cr_expect_null(parse_duration(cases[i].text, &value), "%s", cases[i].text);
        cr_expect_eq(value, cases[i].value, "%s gave %lld", cases[i].text, (long long)value);
    }
}

Test(units, every_spelling_of_a_size_is_read)
{
    static const struct reading_case cases[] = {
        {"0", 0},
        {"4096", 4096},
        {"12B", 12},
        {"64kB", 64000},
        {"64KB", 64000},
        {"1KiB", 1024},
        {"512MiB", 512LL << 20},
        {"3MB", 3000000},
        {"1GiB", 1 << 30},
        {"1.5GiB", 3LL << 29},
        {"2GB", 2000000000},
        {"1 TiB", 1LL << 40},
        {"1TB", 1000000000000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = -1;
        cr_expect_null(parse_size(cases[i].text, &value), "%s", cases[i].text);
        cr_expect_eq(value, cases[i].value, "%s gave %lld", cases[i].text, (long long)value);
    }
}

struct refusal {
    const char *text, *wrong;
};

Test(units, bad_durations_are_refused_with_the_reason)
{
    static const struct refusal cases[] = {
        {"10", "has no unit"},
        {"10sec", "has an unknown unit"},
        {"10S", "has an unknown unit"},
        {"-5s", "is negative"},
        {"s", "is not a number with a unit"},
        {"1h30m", "has an unknown unit"},
        {"1e3s", "has an unknown unit"},
        {"1.2.3s", "has an unknown unit"},
        {"0.5ns", "is finer than a nanosecond"},
        {"9223372036854775808ns", "is too large"},
        {"106752d", "is too large"},
        {"99999999999999999999s", "is too large"},
        {"0.00000000000000000000001s", "has too many digits"},
        {"", "is not a number with a unit"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = -1;
        const char *wrong = parse_duration(cases[i].text, &value);
        cr_expect_str_eq(wrong ? wrong : "good", cases[i].wrong, "%s: %s", cases[i].text, wrong ? wrong : "good");
        cr_expect_eq(value, -1, "%s was written", cases[i].text);
    }
}

Test(units, bad_sizes_are_refused_with_the_reason)
{
    static const struct refusal cases[] = {
        {"1gib", "has an unknown unit"},
        {"1K", "has an unknown unit"},
        {"0.3B", "is not a whole number of bytes"},
        {"-1", "is negative"},
        {"9e18GiB", "has an unknown unit"},
        {"9000000000000000000GiB", "is too large"},
        {"8388608TiB", "is too large"},
        {"many", "is not a number with a unit"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = -1;
        const char *wrong = parse_size(cases[i].text, &value);
        cr_expect_str_eq(wrong ? wrong : "good", cases[i].wrong, "%s: %s", cases[i].text, wrong ? wrong : "good");
    }
}

Test(units, what_is_printed_reads_back)
{
    static const int64_t values[] = {0, 1, 999, 1000, 90 * SECOND, 86400 * SECOND, INT64_MAX, 1 << 20, 5000000};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char text[UNIT_TEXT_BYTES];
        int64_t back = -1;
        format_duration(values[i], text);
        cr_expect_null(parse_duration(text, &back));
        cr_expect_eq(back, values[i], "%s", text);
        format_size(values[i], text);
        cr_expect_null(parse_size(text, &back));
        cr_expect_eq(back, values[i], "%s", text);
    }
    char text[UNIT_TEXT_BYTES];
    format_duration(86400 * SECOND, text);
    cr_expect_str_eq(text, "1d");
    format_duration(1500000000, text);
    cr_expect_str_eq(text, "1500ms");
    format_size(512 << 20, text);
    cr_expect_str_eq(text, "512MiB");
    format_real(0.1, text);
    cr_expect_str_eq(text, "0.1");
    format_real(1.0 / 3, text);
    cr_expect_eq(strtod(text, NULL), 1.0 / 3);
}

Test(values, numbers_are_read_exactly)
{
    char *text = with_probe("count: -9223372036854775808, rate: 1.25e-3, flag: TRUE, room: 1.5KiB, wait: 2m");
    struct config *c = open_good(text, NULL);
    const struct probe_settings *s = probe_of(c);
    cr_expect_eq(s->count, INT64_MIN);
    cr_expect_eq(s->rate, 1.25e-3);
    cr_expect(s->flag);
    cr_expect_eq(s->room, 1536);
    cr_expect_eq(s->wait, 120 * SECOND);
    cr_expect_eq(s->word, 2);
    cr_expect_str_eq(s->text, "$key");
    cr_expect_eq(s->inner.depth, 3);
    cr_expect_eq(s->words.n, 2);
    cr_expect_eq(s->numbers.item[1], 1000);
    config_close(c);
    free(text);
}

Test(values, wrong_numbers_are_refused)
{
    expect_probe_error("count: 99999999999999999999", "count: \"99999999999999999999\" is too large");
    expect_probe_error("count: -99999999999999999999", "count: \"-99999999999999999999\" is too far below zero");
    expect_probe_error("count: 1.5", "count: \"1.5\" is not a whole number");
    expect_probe_error("count: 0x10", "count: \"0x10\" is not a whole number");
    expect_probe_error("count: 12 apples", "count: \"12 apples\" is not a whole number");
    expect_probe_error("rate: 1e400", "rate: \"1e400\" is too large");
    expect_probe_error("rate: -1e400", "rate: \"-1e400\" is too large");
    expect_probe_error("rate: .nan", "rate: \".nan\" is not a number");
    expect_probe_error("rate: inf", "rate: \"inf\" is not a number");
    expect_probe_error("rate: 0x1p3", "rate: \"0x1p3\" is not a number");
    expect_probe_error("rate: 1e", "rate: \"1e\" is not a number");
    expect_probe_error("rate: .", "rate: \".\" is not a number");
    expect_probe_error("rate: \"1,5\"", "rate: \"1,5\" is not a number");
    expect_probe_error("rate: \" 1\"", "rate: \" 1\" is not a number");
    expect_probe_error("flag: yes", "flag: \"yes\" is neither true nor false");
    expect_probe_error("room: 9e18GiB",
                       "room: \"9e18GiB\" has an unknown unit; expected a size such as 64KiB, 512MiB or 1GiB");
    expect_probe_error("room: 99999999999999999999",
                       "room: \"99999999999999999999\" is too large; expected a size such as 64KiB, 512MiB or 1GiB");
    expect_probe_error("word: pink", "word: \"pink\" is not one of: red, green, blue");
    expect_probe_error("word: bleu", "word: \"bleu\" is not one of: red, green, blue (did you mean \"blue\"?)");
    expect_probe_error("word: 0", "word: \"0\" is not one of: red, green, blue");
    expect_probe_error("inner: {dept: 1}", "inner.dept: unknown option (did you mean \"depth\"?)");
    expect_probe_error("rate: 1e-400", NULL); /* too small is 0, as everywhere */
    expect_probe_error("rate: +2.", NULL);
}

Test(values, bounds_belong_to_the_range)
{
    config_close(open_good(MINIMAL "train: {every: 1, ema: 0}\nstate: {checkpoint: 1ms, memory: 64KiB}\n", NULL));
    expect_errors(MINIMAL "train: {every: 0, ema: 1}\nstate: {checkpoint: 2d, memory: 1KiB, ttl: 40000d}\n", NULL,
                  (const char *const[]){"configuration:4: train.every: \"0\" is outside 1 .. 4096",
                                        "configuration:4: train.ema: \"1\" is outside 0 .. 0.999999",
                                        "configuration:5: state.checkpoint: \"2d\" is outside 1ms .. 1d",
                                        "configuration:5: state.memory: \"1KiB\" is outside 64KiB .. 1024TiB",
                                        "configuration:5: state.ttl: \"40000d\" is outside 0 .. 36500d", NULL});
}

Test(values, ranges_are_expanded_sorted_and_unique)
{
    char *text = with_probe("steps: [24-26, 3, 1-2, 3, \"25\"]");
    struct config *c = open_good(text, NULL);
    const struct eddy_ints *steps = &probe_of(c)->steps;
    static const int expected[] = {1, 2, 3, 24, 25, 26};
    cr_assert_eq(steps->n, 6);
    for (int i = 0; i < 6; i++) cr_expect_eq(steps->item[i], expected[i]);
    config_close(c);
    free(text);

    expect_probe_error("steps: 7", NULL);
    expect_probe_error("steps: 5-3", "steps: \"5-3\" is a range that runs backwards");
    expect_probe_error("steps: [1-]", "steps: \"1-\" is neither a number nor a range such as 1-48");
    expect_probe_error("steps: [1--3]", "steps: \"1--3\" is neither a number nor a range such as 1-48");
    expect_probe_error("steps: [1-2-3]", "steps: \"1-2-3\" is neither a number nor a range such as 1-48");
    expect_probe_error("steps: [one]", "steps: \"one\" is neither a number nor a range such as 1-48");
    expect_probe_error("steps: [-3]", "steps: \"-3\" is outside 1 .. 1024");
    expect_probe_error("steps: [1-99999999999999999999]", "steps: \"1-99999999999999999999\" is too large");
    expect_probe_error("steps: [1-9999999999]", "steps: \"1-9999999999\" is outside 1 .. 1024");
    expect_probe_error("steps: {a: 1}",
                       "steps: expected a list of numbers and ranges such as [1, 12, 24-48], got a map");
    expect_probe_error("steps: [[1]]",
                       "steps: expected a list of numbers and ranges such as [1, 12, 24-48], got a list");
}

Test(values, lists_name_the_item_that_is_wrong)
{
    expect_probe_error("numbers: [1, two]", "numbers: \"two\" is not a number");
    expect_probe_error("numbers: [1, 20000]", "numbers: \"20000\" is outside -1 .. 10000");
    expect_probe_error("words: [a, [b]]", "words: expected a list of texts, got a list");
    expect_probe_error("words: [a, \"\"]", "words: is empty");
    expect_probe_error("words: [a, ~]",
                       "words: is empty: expected a list of texts; leave the line out for the default");
    expect_probe_error("words: []", NULL);
}

Test(values, a_quoted_empty_text_unsets_what_has_no_default)
{
    struct config *c = open_good("name: a\nsource: {kafka: {topics: a}}\nsink: kafka\nstate: {topic: \"\"}\n", NULL);
    cr_expect_null(config_settings(c)->state.topic);
    config_close(c);
    expect_probe_error("text: \"\"", "text: is empty; leave the line out for the default, $key");
    expect_errors("name: \"\"\nsource: kafka\nsink: kafka\n", (const char *const[]){"source.kafka.topics=a", NULL},
                  (const char *const[]){"configuration:1: name: is empty, but required", NULL});
}

Test(values, behind_more_mistakes_than_are_told_nothing_unread_is_looked_at)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    (void)fputs("name: a\nsource: {kafka: {topics: a}}\nsink: kafka\n", f);
    for (int i = 0; i < 1000; i++) (void)fprintf(f, "unknown%d: 1\n", i);
    (void)fputs("forecast: {season: [1], horizons: {}, bands: {}}\nseed: x\n", f);
    (void)fclose(f);
    struct config *c = NULL;
    struct eddy_error err = {0};
    cr_expect_eq(config_open(&(struct config_request){.text = text, .parts = &parts}, &c, &err), EDDY_ECONFIG);
    config_close(c);
    free(text);
}

Test(values, long_and_hostile_values_are_shortened_and_cleaned)
{
    expect_probe_error("word: \"\\e[31mx\\n\"", "word: \"?[31mx?\" is not one of: red, green, blue");
    expect_probe_error("word: aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaa",
                       "word: \"aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbb..\" is not one of: red, "
                       "green, blue");
}

Test(values, decimal_points_do_not_depend_on_the_host_program)
{
    /* Any locale with a decimal comma that the machine has; without one the test still reads the number. */
    (void)(setlocale(LC_ALL, "de_DE.UTF-8") || setlocale(LC_ALL, "fr_FR.UTF-8"));
    struct config *c = open_good(MINIMAL "detect: {threshold: 0.25}\n", NULL);
    cr_expect_eq(config_settings(c)->detect.threshold, 0.25);
    char *text = printed(c);
    cr_expect(strstr(text, "threshold: 0.25\n"));
    free(text);
    config_close(c);
}

Test(checks, rules_between_options_are_reported_at_the_option)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"forecast: {scope: key}", "configuration:4: forecast.scope: weights per key cannot be trained in the "
                                   "background: say train: {mode: inline}"},
        {"forecast: {horizons: [1-600]}",
         "configuration:4: forecast.horizons: names 600 horizons; at most 512 are allowed"},
        {"forecast: {bands: [0, 0.5]}",
         "configuration:4: forecast.bands: 0 is not between 0 and 1; expected ascending "
         "shares such as [0.5, 0.9]"},
        {"forecast: {bands: [0.5, 1]}",
         "configuration:4: forecast.bands: 1 is not between 0 and 1; expected ascending "
         "shares such as [0.5, 0.9]"},
        {"forecast: {bands: [0.5, 0.5]}",
         "configuration:4: forecast.bands: 0.5 is not above the one before it; expected "
         "ascending shares such as [0.5, 0.9]"},
        {"forecast:\n  missing:\n    default: last\n    temp: lats",
         "configuration:7: forecast.missing.temp: \"lats\" is not one of: last, forecast, skip (did you mean "
         "\"last\"?)"},
        {"forecast: {transform: log_retrun}",
         "configuration:4: forecast.transform.default: \"log_retrun\" is not one of: none, log, log_return (did you "
         "mean \"log_return\"?)"},
        {"forecast: {transform: {price: [1]}}",
         "configuration:4: forecast.transform.price: expected a text, got a list"},
        {"forecast: {network: {layers: [gru, gru, gru, gru, gru, gru, gru, gru, gru, gru, gru, gru, gru, gru, gru, "
         "gru, "
         "gru]}}",
         "configuration:4: forecast.network.layers: has 17 layers; at most 16 are allowed"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = NULL;
        cr_assert(asprintf(&text, MINIMAL "%s\n", cases[i].text) > 0);
        expect_errors(text, NULL, (const char *const[]){cases[i].error, NULL});
        free(text);
    }
    config_close(open_good(MINIMAL "forecast: {scope: key, horizons: [1-512]}\ntrain: {mode: inline}\n", NULL));
    config_close(open_good(MINIMAL "forecast: {missing: {temp: skip, default: forecast}}\n", NULL));
}

Test(checks, a_name_must_do_for_files_and_groups)
{
    expect_errors(
        MINIMAL, (const char *const[]){"name=a/b", NULL},
        (const char *const[]){"--set name=...: name: may hold letters, digits, dot, dash and underscore only, "
                              "got \"a/b\"",
                              NULL});
    expect_errors(MINIMAL, (const char *const[]){"name=..", NULL},
                  (const char *const[]){"--set name=...: name: may not be \"..\"", NULL});
    char long_name[200] = "name=";
    memset(long_name + 5, 'x', 101);
    expect_errors(
        MINIMAL, (const char *const[]){long_name, NULL},
        (const char *const[]){"--set name=...: name: is 101 characters long; at most 100 are allowed", NULL});
    long_name[105] = 0;
    config_close(open_good(MINIMAL, (const char *const[]){long_name, NULL}));
}

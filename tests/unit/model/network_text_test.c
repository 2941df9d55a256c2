/* What a network says: its summary, its fingerprint, and why some cannot be. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model/fixture.h"
#include "tests/unit/model/probe.h"

/* ---- the summary ---- */

static char *summary(const char *network, int n_in, int n_out)
{
    struct test_network t;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    cr_assert(f);
    test_network_open(&t, network, n_in, n_out);
    network_summary(t.net, f);
    (void)fclose(f);
    test_network_close(&t);
    return text;
}

/* The four counts of the row that starts with `row`. */
static void assert_row(const char *text, const char *row, const size_t want[4])
{
    enum { COUNTS_AT = 33 /* behind layer and shape */ };
    size_t got[4];
    const char *line = text;
    while (line && strncmp(line, row, strlen(row)) != 0) line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL;
    cr_assert(line && strlen(line) > COUNTS_AT, "no %s in\n%s", row, text);
    cr_assert_eq(sscanf(line + COUNTS_AT, "%zu %zu %zu %zu", &got[0], &got[1], &got[2], &got[3]), 4, "%s", line);
    for (int i = 0; i < 4; i++) cr_assert_eq(got[i], want[i], "count %d of %s: %zu\n%s", i, row, got[i], text);
}

Test(network_text, a_summary_has_the_counts_of_the_textbooks)
{
    enum { UNITS = 7, IN = 5 };
    char *text = summary("dense_tanh:4", 3, 2);
    assert_row(text, "0 dense", (const size_t[]){16, 0, 0, 12});
    assert_row(text, "head", (const size_t[]){10, 0, 0, 8});
    assert_row(text, "total", (const size_t[]){26, 0, 0, 20});
    free(text);

    text = summary("{bias: false, layers: [{dense: {units: 4, bias: false}}]}", 3, 2);
    assert_row(text, "total", (const size_t[]){20, 0, 0, 20});
    cr_assert(strstr(text, "no bias"), "%s", text);
    free(text);

    text = summary("[{rnn: {units: 3}}]", 10, 1);
    assert_row(text, "0 rnn", (const size_t[]){42, 3, 6, 39});
    free(text);
    text = summary("[{bidirectional: {layer: {rnn: {units: 3}}, lag: 4}}]", 10, 1);
    assert_row(text, "0 bidirectional", (const size_t[]){84, 3 + 1 + 4 * 10 + 4 + 4 * 3 + 3, 6 * 9, 6 * 39});
    cr_assert(strstr(text, "lag 4") && strstr(text, "the event of 4 events ago"), "%s", text);
    free(text);
    text = summary("[{lstm: {units: 7}}]", IN, 1);
    assert_row(text, "0 lstm",
               (const size_t[]){4 * (UNITS * (IN + UNITS) + UNITS), 2 * UNITS, 7 * UNITS, 4 * UNITS * (IN + UNITS)});
    free(text);
    text = summary("[{gru: {units: 7}}]", IN, 1);
    assert_row(text, "0 gru",
               (const size_t[]){3 * (UNITS * (IN + UNITS) + 2 * UNITS), UNITS, 5 * UNITS, 3 * UNITS * (IN + UNITS)});
    free(text);
}

Test(network_text, a_summary_counts_per_event_and_says_what_holds_for_the_whole)
{
    char *text = summary("{loss: quantiles, quantiles: [0.1, 0.5, 0.9], residual: true, layers: "
                         "[{conv1d: {filters: 4, kernel: 8, stride: 4}}, {gru: {units: 4, bias: single}}]}",
                         2, 1);
    assert_row(text, "0 conv1d", (const size_t[]){4 * (8 * 2 + 1), 1 + 1 + 7 * 2, 0, 4 * 8 * 2 / 4});
    assert_row(text, "1 gru", (const size_t[]){3 * (4 * 8 + 4), 4, 5 * 4, 3 * 4 * 8 / 4});
    assert_row(text, "held in between", (const size_t[]){0, 1 + 3, 0, 0});
    assert_row(text, "total", (const size_t[]){68 + 108 + 15, 16 + 4 + 4, 20, 16 + 24 + 12 / 4});
    static const char *const words[] = {"kernel 8, stride 4\n", "bias single, + its input, every 4 events\n",
                                        "quantiles: 0.1, 0.5, 0.9", "1 of 2 layers", "every 4 events and stands"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        cr_assert(strstr(text, words[i]), "%s\n%s", words[i], text);
    free(text);
    text = summary("{loss: softmax, classes: [up, down], layers: [{gru: {units: 4}}]}", 2, 1);
    cr_assert(strstr(text, "softmax: up, down; 1 label an event"), "%s", text);
    free(text);
}

/* ---- the fingerprint ---- */

/* Each differs from all the others. */
static void assert_told_apart(struct eddy_buffer *prints, int n)
{
    for (int i = 0; i < n; i++) cr_assert_eq(eddy_buffer_append(&prints[i], "", 1), EDDY_OK);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(prints[i].data, prints[j].data, "%d and %d: %s", i, j, prints[i].data);
    for (int i = 0; i < n; i++) eddy_buffer_free(&prints[i]);
}

Test(network_text, a_fingerprint_tells_networks_apart)
{
    static const char *const networks[] = {"gru:8",
                                           "lstm:8",
                                           "gru:9",
                                           "gru:8 gru:8",
                                           "{residual: true, layers: [{gru: {units: 8}}, {gru: {units: 8}}]}",
                                           "{bias: false, layers: [{gru: {units: 8}}]}",
                                           "{loss: squared, layers: [{gru: {units: 8}}]}",
                                           "{delta: 2, layers: [{gru: {units: 8}}]}",
                                           "{loss: gaussian, layers: [{gru: {units: 8}}]}",
                                           "{loss: student_t, layers: [{gru: {units: 8}}]}",
                                           "{loss: student_t, freedom: 3, layers: [{gru: {units: 8}}]}",
                                           "{loss: quantiles, quantiles: [0.1, 0.5], layers: [{gru: {units: 8}}]}",
                                           "{loss: quantiles, quantiles: [0.5, 0.9], layers: [{gru: {units: 8}}]}",
                                           "{loss: softmax, classes: [a, b], layers: [{gru: {units: 8}}]}",
                                           "{loss: softmax, classes: [b, a], layers: [{gru: {units: 8}}]}",
                                           "bidirectional: {layer: {gru: {units: 2}}}",
                                           "bidirectional: {layer: {lstm: {units: 2}}}",
                                           "bidirectional: {layer: {lstm: {units: 2, forget_bias: 2}}}"};
    enum { N = sizeof(networks) / sizeof(networks[0]) };
    struct eddy_buffer prints[N] = {{0}};
    for (int i = 0; i < N; i++) {
        struct test_network t;
        test_network_open(&t, networks[i], 3, 2);
        cr_assert_eq(network_fingerprint(t.net, &prints[i]), EDDY_OK);
        test_network_close(&t);
    }
    assert_told_apart(prints, N);
}

/* A layer, as somebody else may write one, with an option of every type. */
struct talkative {
    struct probe probe;
    bool flag;
    int word;
    int64_t whole, ns, bytes;
    double real;
    const char *text;
    struct eddy_strings texts;
    struct eddy_reals reals;
    struct eddy_ints ranges;
    struct eddy_map map;
    struct {
        int64_t inside;
    } group;
    struct eddy_choice part;
    struct eddy_choices parts;
    struct eddy_groups groups;
};
#define AT(member) offsetof(struct talkative, member)
static const struct eddy_option inside_options[] = {{"inside", EDDY_OPT_INT, 0, "0", 0, 0, "", "", NULL, 0, false},
                                                    {0}};
static const struct eddy_option talkative_options[] = {
    {"flag", EDDY_OPT_BOOL, AT(flag), "", 0, 0, "", "", NULL, 0, false},
    {"word", EDDY_OPT_ENUM, AT(word), "", 0, 0, "a|b", "", NULL, 0, false},
    {"whole", EDDY_OPT_INT, AT(whole), "", 0, 0, "", "", NULL, 0, false},
    {"ns", EDDY_OPT_DURATION, AT(ns), "", 0, 0, "", "", NULL, 0, false},
    {"bytes", EDDY_OPT_SIZE, AT(bytes), "", 0, 0, "", "", NULL, 0, false},
    {"real", EDDY_OPT_REAL, AT(real), "", 0, 0, "", "", NULL, 0, false},
    {"text", EDDY_OPT_STRING, AT(text), "", 0, 0, "", "", NULL, 0, false},
    {"texts", EDDY_OPT_STRINGS, AT(texts), "", 0, 0, "", "", NULL, 0, false},
    {"reals", EDDY_OPT_REALS, AT(reals), "", 0, 0, "", "", NULL, 0, false},
    {"ranges", EDDY_OPT_RANGES, AT(ranges), "", 0, 0, "", "", NULL, 0, false},
    {"map", EDDY_OPT_MAP, AT(map), "", 0, 0, "", "", NULL, 0, false},
    {"group", EDDY_OPT_GROUP, AT(group), "", 0, 0, "", "", inside_options, 0, false},
    {"part", EDDY_OPT_PART, AT(part), "", 0, 0, "", "", NULL, EDDY_PART_LAYER, false},
    {"parts", EDDY_OPT_PARTS, AT(parts), "", 0, 0, "", "", NULL, EDDY_PART_LAYER, false},
    {"groups", EDDY_OPT_GROUPS, AT(groups), "", 0, 0, "", "", inside_options, sizeof(int64_t), false},
    {0}};

static void talkative_print(const struct talkative *settings, struct eddy_buffer *print)
{
    struct eddy_layer layer = probe_layer;
    layer.part.options = talkative_options;
    const struct eddy_choice choice = {.part = &layer.part, .settings = settings};
    const struct network_settings network = {.layers = {1, &choice}};
    const struct network_shape shape = {.n_in = 1, .n_dims = 1, .n_horizons = 1};
    struct network *net;
    struct eddy_error err;
    cr_assert_eq(network_open(&network, &shape, &net, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(network_fingerprint(net, print), EDDY_OK);
    network_close(net);
}

Test(network_text, a_fingerprint_holds_options_of_every_type)
{
    static const char *const joined[] = {"ab"}, *const apart[] = {"a", "b"};
    static const double reals[] = {0.1};
    static const int ranges[] = {7};
    static const struct eddy_pair pairs[] = {{"a", "b", 0}};
    static const int64_t one = 1;
    const struct talkative inner = {.whole = 1};
    const struct eddy_part part = {.kind = EDDY_PART_LAYER, .name = "talkative", .options = talkative_options};
    const struct eddy_choice inside = {.part = &part, .settings = &inner}, other = {.part = &probe_layer.part};
    const struct eddy_group group = {.name = "g", .settings = &one};
    const struct talkative all[] = {{.flag = false},
                                    {.flag = true},
                                    {.word = 1},
                                    {.whole = 1},
                                    {.ns = 1},
                                    {.bytes = 1},
                                    {.real = 0.1},
                                    {.text = "a"},
                                    {.text = ""},
                                    {.texts = {1, joined}},
                                    {.texts = {2, apart}},
                                    {.reals = {1, reals}},
                                    {.ranges = {1, ranges}},
                                    {.map = {1, pairs}},
                                    {.group = {1}},
                                    {.part = inside},
                                    {.part = other},
                                    {.parts = {1, &inside}},
                                    {.parts = {1, &other}},
                                    {.groups = {1, &group}}};
    enum { N = sizeof(all) / sizeof(all[0]) };
    struct eddy_buffer prints[N] = {{0}};
    for (int i = 0; i < N; i++) talkative_print(&all[i], &prints[i]);
    assert_told_apart(prints, N);
}

/* ---- refusals ---- */

static void assert_refused(const char *network, const char *message)
{
    struct test_network t;
    struct network *net;
    struct eddy_error err = {0};
    const struct network_settings *settings = test_network_settings(&t, network);
    const struct network_shape shape = {.n_in = 3, .n_dims = 1, .n_horizons = 2, .where = "forecast.network"};
    cr_assert_eq(network_open(settings, &shape, &net, &err), EDDY_ECONFIG, "%s", network);
    cr_assert_null(net);
    cr_assert(strstr(err.message, message), "%s\n%s", network, err.message);
    config_close(t.config);
}

Test(network_text, what_cannot_be_is_refused_where_it_was_written)
{
    static const char smoother[] = "{bidirectional: {layer: {gru: {units: 2}}, lag: 3}}";
    char both[300];
    assert_refused("[{decoder: {layer: {gru: {units: 2}}}}]",
                   "configuration:2: forecast.network.layers.0.decoder: needs an encoder below it");
    assert_refused("[{gru: {units: 2}}, {decoder: {layer: {gru: {units: 2}}}}, {dense: {units: 2}}]",
                   "layers.2.dense: stands above decoder, which has the last word");
    assert_refused("{loss: gaussian, layers: [{gru: {units: 2}}, {decoder: {layer: {gru: {units: 2}}}}]}",
                   "forecast.network.loss: decoder says a point; its losses are huber and squared");
    assert_refused("{residual: true, layers: [{gru: {units: 2}}]}",
                   "forecast.network.residual: no layer is as wide as its input");
    assert_refused("{loss: quantiles, quantiles: [0.1, 0.9], layers: [{gru: {units: 2}}]}",
                   "forecast.network.quantiles: 0.5 must be among them");
    assert_refused("{loss: quantiles, quantiles: [0.5, 0.1], layers: [{gru: {units: 2}}]}",
                   "forecast.network.quantiles: 0.1 is not above the one before it");
    assert_refused("{loss: sigmoid, classes: [a, b, c], layers: [{gru: {units: 2}}]}",
                   "forecast.network.classes: loss sigmoid tells two classes apart, 3 are named");
    assert_refused("{loss: softmax, classes: [a], layers: [{gru: {units: 2}}]}",
                   "forecast.network.classes: loss softmax needs at least two, 1 are named");
    (void)snprintf(both, sizeof(both), "[{gru: {units: 2}}, %s]", smoother);
    assert_refused(both, "layers.0.gru: gru below bidirectional remembers the value that the smoother must not see");
    (void)snprintf(both, sizeof(both), "[%s, {lstm: {units: 2}}]", smoother);
    assert_refused(both, "layers.1.lstm: lstm above bidirectional remembers");
    (void)snprintf(both, sizeof(both), "[%s, {dense: {units: 3}}, %s]", smoother, smoother);
    assert_refused(both, "layers.2.bidirectional: answers late, as bidirectional does already");
    (void)snprintf(both, sizeof(both), "[{conv1d: {filters: 2, kernel: 2, stride: 2}}, %s]", smoother);
    assert_refused(both, "layers.1.bidirectional: answers late, and so cannot be combined with a stride");
}

static void assert_probes_refused(struct probe *below, struct probe *above, const char *message)
{
    const struct eddy_choice choices[] = {{.part = &probe_layer.part, .settings = below},
                                          {.part = &probe_layer.part, .settings = above}};
    const struct network_settings settings = {.layers = {2, choices}};
    const struct network_shape shape = {.n_in = 1, .n_dims = 1, .n_horizons = 1};
    struct network *net;
    struct eddy_error err = {0};
    cr_assert_eq(network_open(&settings, &shape, &net, &err), EDDY_ECONFIG);
    cr_assert(strstr(err.message, message), "%s", err.message);
}

Test(network_text, a_layer_that_plans_nonsense_is_refused)
{
    struct probe plain = {0}, late = {.lag = -1}, countless = {.stride = 2, .forgets = true};
    struct probe seldom = {.stride = 1 << 12}, seldom_head = {.stride = 2, .head = true};
    assert_probes_refused(&plain, &late, "network: probe: 1 inputs, 1 outputs, lag -1, stride 1");
    assert_probes_refused(&plain, &countless, "a stride of 2 needs a state that counts");
    assert_probes_refused(&seldom, &seldom, "a stride of 4096 above layers that fire every 4096 events");
    assert_probes_refused(&plain, &seldom_head, "says 1 numbers every 2 steps");
}

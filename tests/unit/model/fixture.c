#include "tests/unit/model/fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What every configuration must name, without anything in it. */
static const struct eddy_part json = {.struct_size = sizeof(json), .kind = EDDY_PART_CODEC, .name = "json"};
static const struct eddy_part exceedance = {
    .struct_size = sizeof(exceedance), .kind = EDDY_PART_DETECTOR, .name = "exceedance"};
static const struct eddy_part *const list[] = {&json, &exceedance, LAYERS(LAYERS_PART) NULL};
static const struct eddy_parts parts = {list};

/* "lstm:5 dense_relu:6" as YAML: a dense layer's activation stands behind its name. */
static void words_to_yaml(const char *layers, char *yaml, size_t room)
{
    char words[200], *rest = NULL;
    size_t len = (size_t)snprintf(yaml, room, "[");
    cr_assert_lt(strlen(layers), sizeof(words));
    strcpy(words, layers);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *units = strchr(word, ':');
        cr_assert(units, "%s", word);
        *units++ = 0;
        char *activation = strchr(word, '_');
        if (activation) *activation++ = 0;
        len += (size_t)snprintf(yaml + len, room - len, "%s{%s: {units: %s%s%s}}", len > 1 ? ", " : "", word, units,
                                activation ? ", activation: " : "", activation ? activation : "");
        cr_assert_lt(len, room);
    }
    (void)snprintf(yaml + len, room - len, "]");
}

const struct network_settings *test_network_settings(struct test_network *t, const char *layers)
{
    static const struct network_settings head_alone = {.bias = true,
                                                       .delta = 1}; /* not to be had from a configuration */
    char yaml[1000], text[1200];
    struct eddy_error err = {0};
    t->config = NULL;
    if (!*layers) return &head_alone;
    if (*layers == '[' || *layers == '{')
        (void)snprintf(yaml, sizeof(yaml), "%s", layers);
    else if (strstr(layers, ": "))
        (void)snprintf(yaml, sizeof(yaml), "[{%s}]", layers);
    else
        words_to_yaml(layers, yaml, sizeof(yaml));
    (void)snprintf(text, sizeof(text),
                   *layers == '{' ? "name: test\nforecast: {network: %s}\n"
                                  : "name: test\nforecast: {network: {layers: %s}}\n",
                   yaml);
    const struct config_request request = {
        .text = text, .parts = &parts, .source_optional = true, .sink_optional = true};
    cr_assert_eq(config_open(&request, &t->config, &err), EDDY_OK, "%s: %s", layers, err.message);
    return &config_settings(t->config)->forecast.network;
}

void test_network_open_shape(struct test_network *t, const char *layers, const struct network_shape *shape)
{
    struct eddy_error err = {0};
    const struct network_settings *settings = test_network_settings(t, layers);
    static const char *const name[] = {"network"};
    cr_assert_eq(network_open(settings, shape, &t->net, &err), EDDY_OK, "%s: %s", layers, err.message);
    cr_assert_eq(model_open(name, &t->net, 1, &t->model, &err), EDDY_OK, "%s", err.message);
}

void test_network_open(struct test_network *t, const char *layers, int n_in, int n_out)
{
    const struct network_shape shape = {.n_in = n_in, .n_dims = n_out, .n_horizons = 1};
    test_network_open_shape(t, layers, &shape);
}

void test_network_close(struct test_network *t)
{
    model_close(t->model);
    network_close(t->net);
    config_close(t->config);
}

void test_layer_open(struct test_layer *l, const char *layer, const struct network_shape *shape)
{
    struct test_network t;
    struct eddy_error err = {0};
    const struct network_settings *settings = test_network_settings(&t, layer);
    const struct eddy_layer_place place = {.n_in = shape->n_in,
                                           .n_categories = shape->n_categories,
                                           .n_dims = shape->n_dims,
                                           .n_horizons = shape->n_horizons,
                                           .above = shape->n_categories == 0};
    cr_assert_eq(settings->layers.n, 1, "%s", layer);
    *l = (struct test_layer){.config = t.config,
                             .layer = (const struct eddy_layer *)(const void *)settings->layers.item[0].part};
    cr_assert_eq(l->layer->plan(settings->layers.item[0].settings, &place, &l->plan, &err), EDDY_OK, "%s: %s", layer,
                 err.message);
}

void test_layer_close(struct test_layer *l)
{
    config_close(l->config);
}

float *test_floats(size_t n)
{
    const size_t bytes = (n * sizeof(float) + 64) / 64 * 64;
    float *p = aligned_alloc(64, bytes);
    cr_assert(p);
    memset(p, 0, bytes);
    return p;
}

void test_fill(float *to, size_t n, uint64_t seed, float scale)
{
    for (size_t i = 0; i < n; i++) to[i] = scale * eddy_random_normal(seed, i);
}

void test_inputs(float *x, size_t n_cells, int n_in, int n_categories, uint64_t seed)
{
    test_fill(x, n_cells * (size_t)n_in, seed, 1);
    for (size_t cell = 0; cell < n_cells; cell++)
        for (int c = n_in - n_categories; c < n_in; c++) {
            const size_t i = cell * (size_t)n_in + (size_t)c;
            x[i] = (float)(eddy_random_bits(seed + 1, i) % 4);
        }
}

float **test_rows(float *data, int n, size_t stride)
{
    float **rows = calloc((size_t)n + 1, sizeof(*rows));
    cr_assert(rows);
    for (int b = 0; b < n; b++) rows[b] = data + (size_t)b * stride;
    return rows;
}

/* Fuzzes the reading of model files: any bytes are refused with a message or give finite weights. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "engine/model/layers.h"
#include "engine/model/model_file.h"
#include "tests/fuzz/fuzz.h"

static const struct eddy_part json = {.struct_size = sizeof(json), .kind = EDDY_PART_CODEC, .name = "json"};
static const struct eddy_part exceedance = {
    .struct_size = sizeof(exceedance), .kind = EDDY_PART_DETECTOR, .name = "exceedance"};
static const struct eddy_part *const list[] = {&json, &exceedance, LAYERS(LAYERS_PART) NULL};

static const char text[] = "name: fuzz\n"
                           "forecast: {network: {layers: [{lstm: {units: 2}}, {gru: {units: 1, bias: single}}]}}\n";

static void must(eddy_status rc, const struct eddy_error *err)
{
    if (rc >= 0) return;
    (void)fprintf(stderr, "fuzz: %s\n", err->message);
    abort();
}

/* The model that the corpus belongs to, opened once and kept. */
static const struct model *fuzz_model(void)
{
    static struct config *config;
    static struct network *net;
    static struct model *model;
    static const struct eddy_parts parts = {list};
    static const char *const name[] = {"network"};
    const struct config_request request = {
        .text = text, .parts = &parts, .source_optional = true, .sink_optional = true};
    const struct network_shape shape = {.n_in = 1, .n_dims = 1, .n_horizons = 1};
    struct eddy_error err = {0};
    if (model) return model;
    must(config_open(&request, &config, &err), &err);
    must(network_open(&config_settings(config)->forecast.network, &shape, &net, &err), &err);
    must(model_open(name, &net, 1, &model, &err), &err);
    return model;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const struct model *model = fuzz_model();
    struct eddy_error err = {0};
    float *params = calloc(model->n_params, sizeof(*params));
    if (!params) return 0;
    const eddy_status rc = model_file_decode(model, "FILE", bytes, n, params, &err);
    if (rc < 0 && strncmp(err.message, "FILE", 4) != 0) abort();
    for (size_t i = 0; rc >= 0 && i < model->n_params; i++)
        if (!isfinite(params[i])) abort();
    free(params);
    return 0;
}

#include "engine/model/network.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/stack.h"

enum {
    STEP_ROWS = 64,      /* rows that go through all layers together: their activations stay in the first cache */
    PACKED_MULTIPLE = 16 /* floats; each layer's packed weights start on a cache line */
};

static const float HEAD_GAIN = 0.1f / 0.7f; /* of what a dense layer starts with: forecasts begin near 0 */

/* The planned network with the settings of its head behind it. */
struct network_block {
    struct network network;
    struct layer_dense_settings head;
};

static size_t network_round_up(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* Plans `layer` on top of what is there. */
static eddy_status network_push(struct network *net, const struct network_shape *shape,
                                const struct eddy_layer *layer, const void *settings, struct eddy_error *err)
{
    const struct network_layer *below = net->n_layers > 0 ? &net->layers[net->n_layers - 1] : NULL;
    struct network_layer *l = &net->layers[net->n_layers];
    const int n_in = below ? below->plan.n_out : net->n_in;
    const struct eddy_layer_place place = {.n_in = n_in,
                                           .n_categories = below ? 0 : shape->n_categories,
                                           .n_dims = shape->n_dims,
                                           .n_horizons = shape->n_horizons,
                                           .above = below != NULL};
    eddy_status rc = layer->plan(settings, &place, &l->plan, err);
    if (rc < 0) return rc;
    if (l->plan.lag != 0 || l->plan.stride != 1 || l->plan.n_in != n_in || l->plan.n_out < 1)
        return eddy_fail(
            err, EDDY_EUNSUPPORTED,
            "layer %s: lag %d, stride %d, %d inputs, %d outputs; networks take layers with lag 0, stride "
            "1, %d inputs",
            layer->part.name, l->plan.lag, l->plan.stride, l->plan.n_in, l->plan.n_out, n_in);
    l->layer = layer;
    l->first_param = net->n_params;
    l->first_packed = net->n_packed;
    l->first_state = net->n_state;
    net->n_params += l->plan.n_params;
    net->n_packed = network_round_up(net->n_packed + l->plan.n_packed, PACKED_MULTIPLE);
    net->n_state += l->plan.n_state;
    net->n_layers++;
    return EDDY_OK;
}

/* Floats of one buffer of activations between two layers. */
static size_t network_width(const struct network *net)
{
    int widest = 1;
    for (int l = 0; l < net->n_layers; l++)
        if (net->layers[l].plan.n_out > widest) widest = net->layers[l].plan.n_out;
    return network_round_up((size_t)widest, PACKED_MULTIPLE);
}

static size_t network_work(const struct network *net)
{
    size_t layer_work = 0;
    for (int l = 0; l <= net->n_layers; l++)
        if (net->layers[l].plan.n_work > layer_work) layer_work = net->layers[l].plan.n_work;
    return 2 * STEP_ROWS * network_width(net) + layer_work;
}

eddy_status network_open(const struct network_settings *settings, const struct network_shape *shape,
                         struct network **out, struct eddy_error *err)
{
    *out = NULL;
    const int n_out = shape->n_dims * shape->n_horizons;
    if (shape->n_in < 1 || n_out < 1)
        return eddy_fail(err, EDDY_EINVAL, "a network of %d inputs and %d outputs cannot be", shape->n_in, n_out);
    const int n_layers = settings->layers.n;
    struct network_block *block = calloc(1, sizeof(*block));
    struct network_layer *layers = calloc((size_t)n_layers + 1, sizeof(*layers));
    eddy_status rc = EDDY_OK;
    if (!block || !layers) {
        free(block);
        free(layers);
        return eddy_fail(err, EDDY_ENOMEM, "out of memory while planning a network of %d layers", n_layers);
    }
    struct network *net = &block->network;
    net->n_in = shape->n_in;
    net->n_out = n_out;
    net->layers = layers;
    net->n_targets = n_out;
    net->stride = 1;
    for (int i = 0; i < n_layers && rc >= 0; i++) {
        const struct eddy_choice *choice = &settings->layers.item[i];
        rc = network_push(net, shape, (const struct eddy_layer *)(const void *)choice->part, choice->settings, err);
    }
    block->head = (struct layer_dense_settings){n_out, ACTIVATION_IDENTITY};
    if (rc >= 0) rc = network_push(net, shape, &layer_dense, &block->head, err);
    if (rc < 0) {
        network_close(net);
        return rc;
    }
    net->n_layers--; /* the head is not counted */
    net->n_work = network_work(net);
    *out = net;
    return EDDY_OK;
}

void network_close(struct network *net)
{
    if (!net) return;
    free(net->layers);
    free((struct network_block *)(void *)net); /* its first member */
}

void network_init(const struct network *net, uint64_t seed, float *params)
{
    for (int i = 0; i <= net->n_layers; i++) {
        const struct network_layer *l = &net->layers[i];
        l->layer->init(&l->plan, eddy_random_bits(seed, (uint64_t)i), params + l->first_param);
    }
    const struct network_layer *head = &net->layers[net->n_layers];
    for (size_t i = 0; i < head->plan.n_params; i++) params[head->first_param + i] *= HEAD_GAIN;
}

void network_pack(const struct network *net, const float *params, float *packed)
{
    if (net->n_packed > 0) memset(packed, 0, net->n_packed * sizeof(float));
    for (int i = 0; i <= net->n_layers; i++) {
        const struct network_layer *l = &net->layers[i];
        l->layer->pack(&l->plan, params + l->first_param, packed + l->first_packed);
    }
}

/* One step of at most STEP_ROWS rows; outputs of the layers go back and forth between the two halves of `work`. */
static void network_step_some(const struct network *net, const float *packed, const struct eddy_rows *rows,
                              float *work)
{
    float *state[STEP_ROWS], *y[STEP_ROWS];
    const float *x[STEP_ROWS];
    const size_t width = network_width(net), half = STEP_ROWS * width;
    struct eddy_rows now = {.n = rows->n, .x = rows->x, .state = state, .elapsed_s = rows->elapsed_s, .y = y};
    for (int i = 0; i <= net->n_layers; i++) {
        const struct network_layer *l = &net->layers[i];
        for (int b = 0; b < rows->n; b++) {
            state[b] = rows->state[b] + l->first_state;
            y[b] = i == net->n_layers ? rows->y[b] : work + (size_t)(i % 2) * half + (size_t)b * width;
        }
        l->layer->step(&l->plan, packed + l->first_packed, &now, work + 2 * half);
        for (int b = 0; b < rows->n; b++) x[b] = y[b];
        now.x = x;
    }
}

void network_step(const struct network *net, const float *packed, const struct eddy_rows *rows, float *work)
{
    for (int first = 0; first < rows->n; first += STEP_ROWS) {
        const int n = rows->n - first < STEP_ROWS ? rows->n - first : STEP_ROWS;
        const float *elapsed_s = rows->elapsed_s ? rows->elapsed_s + first : NULL;
        const struct eddy_rows some = {
            .n = n, .x = rows->x + first, .state = rows->state + first, .elapsed_s = elapsed_s, .y = rows->y + first};
        network_step_some(net, packed, &some, work);
    }
}

/* The scalar options of a layer as text: an activation has no size, but other weights belong to it. */
static int network_option_text(const struct eddy_option *o, const void *settings, char *text, size_t room)
{
    const char *at = (const char *)settings + o->offset;
    switch (o->type) {
    case EDDY_OPT_BOOL: return snprintf(text, room, " %s=%d", o->name, *(const bool *)(const void *)at);
    case EDDY_OPT_ENUM: return snprintf(text, room, " %s=%d", o->name, *(const int *)(const void *)at);
    case EDDY_OPT_REAL: return snprintf(text, room, " %s=%.17g", o->name, *(const double *)(const void *)at);
    case EDDY_OPT_INT:
    case EDDY_OPT_DURATION:
    case EDDY_OPT_SIZE: return snprintf(text, room, " %s=%" PRId64, o->name, *(const int64_t *)(const void *)at);
    default: return 0; /* layers have scalar options only, so far */
    }
}

eddy_status network_fingerprint(const struct network *net, struct eddy_buffer *out)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i <= net->n_layers && rc >= 0; i++) {
        const struct network_layer *l = &net->layers[i];
        char line[160];
        int n = snprintf(line, sizeof(line), "%.60s %d %d %zu %zu", l->layer->part.name, l->plan.n_in, l->plan.n_out,
                         l->plan.n_params, l->plan.n_state);
        rc = eddy_buffer_append(out, line, (size_t)n);
        for (const struct eddy_option *o = l->layer->part.options; o && o->name && rc >= 0; o++) {
            n = network_option_text(o, l->plan.settings, line, sizeof(line));
            rc = eddy_buffer_append(out, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
        }
        if (rc >= 0) rc = eddy_buffer_append(out, "\n", 1);
    }
    return rc;
}

/* Every weight is used once per event; biases are added, not multiplied. */
static size_t network_multiply_adds(const struct network_layer *l)
{
    size_t n = 0;
    struct eddy_tensor_info t;
    for (int i = 0; l->layer->tensor && l->layer->tensor(&l->plan, i, &t); i++)
        if (strncmp(t.name, "bias", 4) != 0) n += (size_t)t.rows * (size_t)t.cols;
    return n;
}

void network_summary(const struct network *net, FILE *out)
{
    size_t multiply_adds = 0;
    (void)fprintf(out, "%-12s %8s %8s %12s %8s %16s\n", "layer", "input", "output", "parameters", "state",
                  "multiply-adds");
    for (int i = 0; i <= net->n_layers; i++) {
        const struct network_layer *l = &net->layers[i];
        const char *name = i == net->n_layers ? "head" : l->layer->part.name;
        (void)fprintf(out, "%-12s %8d %8d %12zu %8zu %16zu\n", name, l->plan.n_in, l->plan.n_out, l->plan.n_params,
                      l->plan.n_state, network_multiply_adds(l));
        multiply_adds += network_multiply_adds(l);
    }
    (void)fprintf(out, "%-12s %8d %8d %12zu %8zu %16zu\n", "total", net->n_in, net->n_out, net->n_params,
                  net->n_state, multiply_adds);
}

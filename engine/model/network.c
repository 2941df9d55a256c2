#include "engine/model/network.h"

#include <string.h>

#include "engine/model/stack.h"

enum {
    STEP_ROWS = 64,     /* rows that go through all layers together: their activations stay in the first cache */
    WIDTH_MULTIPLE = 16 /* floats; each row of activations starts on a cache line */
};

static const float HEAD_GAIN = 0.1f / 0.7f; /* of what a dense layer starts with: forecasts begin near 0 */

void network_init(const struct network *net, uint64_t seed, float *params)
{
    for (int i = 0; i <= net->n_layers; i++) {
        const struct network_layer *l = &net->layers[i];
        l->layer->init(&l->plan, eddy_random_bits(seed, (uint64_t)i), params + l->first_param);
    }
    const struct network_layer *head = &net->layers[net->n_layers];
    if (head->plan.head) return; /* one that knows better how it starts */
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

/* Floats of one row of activations between two layers. */
static size_t network_width(const struct network *net)
{
    int widest = 1;
    for (int i = 0; i <= net->n_layers; i++)
        if (net->layers[i].plan.n_out > widest) widest = net->layers[i].plan.n_out;
    return ((size_t)widest + WIDTH_MULTIPLE - 1) / WIDTH_MULTIPLE * WIDTH_MULTIPLE;
}

size_t network_work(const struct network *net)
{
    size_t layer_work = 0;
    for (int i = 0; i <= net->n_layers; i++)
        if (net->layers[i].plan.n_work > layer_work) layer_work = net->layers[i].plan.n_work;
    return 2 * STEP_ROWS * network_width(net) + layer_work;
}

/* The rows that are still on their way up: those for which every layer below has fired. */
struct climb {
    const struct network *net;
    int n;
    float *state[STEP_ROWS]; /* of the whole network */
    const float *x[STEP_ROWS];
    float *y[STEP_ROWS], *out[STEP_ROWS]; /* of the layer in hand; of the network */
    float elapsed_s[STEP_ROWS];
};

static void climb_step(struct climb *c, const struct network_layer *l, const float *packed, float *work)
{
    float *state[STEP_ROWS];
    const struct eddy_rows rows = {.n = c->n, .x = c->x, .state = state, .elapsed_s = c->elapsed_s, .y = c->y};
    for (int b = 0; b < c->n; b++) state[b] = c->state[b] + l->first_state;
    l->layer->step(&l->plan, packed + l->first_packed, &rows, work);
    for (int b = 0; l->residual && b < c->n; b++)
        for (int j = 0; j < l->plan.n_out; j++) c->y[b][j] += c->x[b][j];
}

/* Those that did not fire stay behind, with the output that they had. */
static void climb_leave(struct climb *c, const struct network_layer *l)
{
    const struct network *net = c->net;
    int n = 0;
    for (int b = 0; b < c->n; b++) {
        float *elapsed = &c->state[b][l->at_elapsed];
        *elapsed += c->elapsed_s[b];
        if (c->state[b][l->first_state] != 0) {
            memcpy(c->out[b], c->state[b] + net->at_held, (size_t)net->n_out * sizeof(float));
            continue;
        }
        c->state[n] = c->state[b];
        c->y[n] = c->y[b];
        c->out[n] = c->out[b];
        c->elapsed_s[n++] = *elapsed;
        *elapsed = 0;
    }
    c->n = n;
}

/* One step of at most STEP_ROWS rows; outputs of the layers go back and forth between the two halves of `work`. */
static void network_step_some(const struct network *net, const float *packed, const struct eddy_rows *rows,
                              float *work)
{
    const size_t width = network_width(net), half = STEP_ROWS * width;
    struct climb c; /* its arrays stay unset beyond n: clearing them would cost as much as a small layer's step */
    c.net = net;
    c.n = rows->n;
    for (int b = 0; b < rows->n; b++) {
        c.state[b] = rows->state[b];
        c.x[b] = rows->x[b];
        c.out[b] = rows->y ? rows->y[b] : NULL;
        c.elapsed_s[b] = rows->elapsed_s ? rows->elapsed_s[b] : 0;
    }
    const int n_stepped = net->n_layers + (rows->y ? 1 : 0);
    for (int i = 0; i < n_stepped && c.n > 0; i++) {
        const struct network_layer *l = &net->layers[i];
        for (int b = 0; b < c.n; b++)
            c.y[b] = i == net->n_layers ? c.out[b] : work + (size_t)(i % 2) * half + (size_t)b * width;
        climb_step(&c, l, packed, work + 2 * half);
        if (l->plan.stride > 1) climb_leave(&c, l);
        for (int b = 0; b < c.n; b++) c.x[b] = c.y[b];
    }
    for (int b = 0; net->stride > 1 && b < c.n; b++)
        memcpy(c.state[b] + net->at_held, c.out[b], (size_t)net->n_out * sizeof(float));
}

bool network_head_remembers(const struct network *net)
{
    return net->stride > 1 || net->layers[net->n_layers].plan.n_state > 0;
}

void network_step(const struct network *net, const float *packed, const struct eddy_rows *rows, float *work)
{
    for (int first = 0; first < rows->n; first += STEP_ROWS) {
        const int n = rows->n - first < STEP_ROWS ? rows->n - first : STEP_ROWS;
        const float *elapsed_s = rows->elapsed_s ? rows->elapsed_s + first : NULL;
        const struct eddy_rows some = {.n = n,
                                       .x = rows->x + first,
                                       .state = rows->state + first,
                                       .elapsed_s = elapsed_s,
                                       .y = rows->y ? rows->y + first : NULL};
        network_step_some(net, packed, &some, work);
    }
}

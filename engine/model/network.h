/* A network: a stack of layers with a linear head on top, planned once and then read only.
 *
 * Equations   h_0 = x;  h_l = layer_l(h_{l-1}, state_l);  y = W_y h_L + b_y   (W_y [n_out, width of h_L])
 * Layout      params  [n_params]  layer by layer, bottom to top, then the head (weight, bias)
 *             packed  [n_packed]  the same in serving order
 *             state   [n_state]   per row: the layers' states one after another
 * Memory      network_open allocates the plan; nothing else allocates.
 * Threads     an open network is read only and shared by all threads. */
#ifndef ENGINE_MODEL_NETWORK_H
#define ENGINE_MODEL_NETWORK_H

#include <stdio.h>

#include "config/settings.h"
#include "eddy_buffer.h"
#include "eddy_layer.h"
#include "engine/model/loss.h"

/* What a network reads and forecasts. */
struct network_shape {
    int n_in; /* inputs, of which the last n_categories hold category numbers */
    int n_categories;
    int n_dims, n_horizons; /* n_out = n_horizons * n_dims, horizon by horizon */
};

struct network {
    int n_in, n_out, n_layers; /* n_out: width of the head */
    int n_targets;             /* labels of a step: n_horizons * n_dims */
    int lag, stride;           /* y answers the input of `lag` steps ago, and changes every `stride` steps */
    struct loss loss;
    size_t n_params, n_packed, n_state, n_work; /* floats; n_work for EDDY_LAYER_MAX_ROWS rows */
    struct network_layer *layers;               /* [n_layers + 1], the head last (a dense layer) */
};

eddy_status network_open(const struct network_settings *, const struct network_shape *, struct network **out,
                         struct eddy_error *);
void network_close(struct network *);

void network_init(const struct network *, uint64_t seed, float *params); /* the head starts near 0 */
void network_pack(const struct network *, const float *params, float *packed);
/* One step for any number of rows (split into batches inside); rows->tape must be NULL, rows->y is [n_out]. */
void network_step(const struct network *, const float *packed, const struct eddy_rows *, float *work);

/* Layers, widths, numbers of parameters and options as text: stored weights are used again only when it is the same. */
eddy_status network_fingerprint(const struct network *, struct eddy_buffer *);

/* The table of `eddy model summary`: layer, output, parameters, state floats, multiply-adds per event. */
void network_summary(const struct network *, FILE *out);

#endif

/* A network: a stack of layers with a head on top, planned once and then read only.
 *
 * Equations   h_0 = x;  h_l = layer_l(h_{l-1}, state_l), plus h_{l-1} itself where the layer is residual;
 *             y = W_y h_L + b_y   (W_y [n_out, width of h_L]), or what the top layer says if it is a head by itself
 * Stride      above a layer that fires every s steps the others step only then; between two firings y stays what it was
 * Layout      params  [n_params]  layer by layer, bottom to top, then the head (weight, bias)
 *             packed  [n_packed]  the same in serving order
 *             state   [n_state]   per row: the layers' states one after another; then one float per layer with a stride,
 *                                 the seconds since it last fired; then, if there is one, the last y [n_out]
 * Memory      network_open allocates the plan; nothing else allocates.
 * Threads     an open network is read only and shared by all threads.
 *
 * network_plan.c     opening, and what cannot be     network_fingerprint.c  what stored weights must agree with
 * network.c          initial weights, packing, serving                      network_summary.c      the table for people
 * stack.h            for those who walk the layers */
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
    int n_dims,
        n_horizons;    /* n_horizons * n_dims labels a step, horizon by horizon; 1 and 1 where it tells classes */
    const char *where; /* the path of its settings, for messages: "forecast.network"; NULL = "network" */
};

struct network {
    int n_in, n_out, n_layers; /* n_out: width of the head; layers without the head */
    int n_targets;             /* labels of a step */
    int lag, stride;           /* y answers the input of `lag` steps ago, and changes every `stride` */
    size_t n_params, n_packed, n_state, n_work; /* floats; n_work for EDDY_LAYER_MAX_ROWS rows */
    size_t at_held;                             /* in the state: the last y; only with a stride */
    struct loss loss;                           /* what the head's outputs mean; levels are the settings' own */
    struct eddy_strings classes;                /* names of the labels, likewise; none where it tells no classes */
    struct network_layer *layers;               /* [n_layers + 1], the head last */
};

/* EDDY_ECONFIG for a stack that cannot be: the message says which layer or option, where it was written, and why.  The
 * settings must outlive the network. */
eddy_status network_open(const struct network_settings *, const struct network_shape *, struct network **out,
                         struct eddy_error *);
void network_close(struct network *);

void network_init(const struct network *, uint64_t seed, float *params); /* the head starts near 0 */
void network_pack(const struct network *, const float *params, float *packed);
/* One step for any number of rows (split into batches inside); rows->tape must be NULL, rows->y is [n_out], or NULL where
 * nobody asks for the outputs of a head that remembers nothing. */
bool network_head_remembers(const struct network *); /* it, or what lies below a stride, has a state of its own */
void network_step(const struct network *, const float *packed, const struct eddy_rows *, float *work);

/* Layers, widths, numbers of parameters, options, loss and classes as text: stored weights are used again only when it is
 * the same. */
eddy_status network_fingerprint(const struct network *, struct eddy_buffer *);

/* The table of `eddy model summary`: layer, shape, parameters, floats of state per key and of tape per training step,
 * multiply-adds per event (a layer above a stride steps less often), options; then what holds for the whole. */
void network_summary(const struct network *, FILE *out);

#endif

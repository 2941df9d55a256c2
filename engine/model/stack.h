/* One layer of a network and its place in the network's arrays.  For those who walk the layers: network*.c and the
 * training code. */
#ifndef ENGINE_MODEL_STACK_H
#define ENGINE_MODEL_STACK_H

#include "engine/model/layers.h"
#include "engine/model/network.h"

struct network_layer {
    const struct eddy_layer *layer;
    struct eddy_layer_plan plan;
    size_t first_param, first_packed, first_state; /* floats from the start of the network's arrays */
    size_t at_elapsed;                             /* in the state: seconds since it last fired; only with a stride */
    int every;     /* it steps at every such event: the product of the strides below */
    bool residual; /* its input is added to its output */
};

/* Floats of `work` for a network's step: network.c knows, network_open() asks. */
size_t network_work(const struct network *);

#endif

/* The built-in layers.  Each file states its equations at the head; all follow eddy_layer.h.
 * A new one is a file beside gru.c, which holds its options and the calls of eddy_layer.h; its settings and a line here;
 * a row in plugin/registry.c; and `make options`, which writes its options into config/OPTIONS.md.  Tests of the lane
 * list the parts that they use in tests/unit/flow/fixture.c.
 * The state's first n_out floats are the layer's output h (an LSTM's are followed by c); a dense layer has none. */
#ifndef ENGINE_MODEL_LAYERS_H
#define ENGINE_MODEL_LAYERS_H

#include "eddy_layer.h"
#include "engine/math/activations.h"

struct layer_dense_settings {
    int64_t units;  /* 1..1024; network_open() plans wider ones for the head */
    int activation; /* enum activation */
};
struct layer_gru_settings {
    int64_t units;
};
struct layer_lstm_settings {
    int64_t units;
    double forget_bias; /* where the forget gate's bias starts */
};

extern const struct eddy_layer layer_dense;
extern const struct eddy_layer layer_gru;
extern const struct eddy_layer layer_lstm;

#endif

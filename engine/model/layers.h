/* The built-in layers.  Each file states its equations at the head; all follow eddy_layer.h.
 * A new one is a file beside gru.c, which holds its settings, its options and the calls of eddy_layer.h; a row in the
 * table below; and a row in tests/unit/model/cases.h, which runs all that must hold for a layer.  `make options` writes
 * its options into config/OPTIONS.md. */
#ifndef ENGINE_MODEL_LAYERS_H
#define ENGINE_MODEL_LAYERS_H

#include "eddy_layer.h"
#include "engine/math/activations.h"

/* The table of the built-in layers: layer_NAME for each row. */
/* clang-format off */
#define LAYERS(row)    \
    row(attention)     \
    row(bidirectional) \
    row(conv1d)        \
    row(decoder)       \
    row(dense)         \
    row(embedding)     \
    row(gru)           \
    row(lags)          \
    row(lstm)          \
    row(masked_encoder) \
    row(rnn)           \
    row(transformer)   \
    row(wavenet)
/* clang-format on */

/* For lists of parts. */
#define LAYERS_PART(name)    &layer_##name.part,
#define LAYERS_DECLARE(name) extern const struct eddy_layer layer_##name;
LAYERS(LAYERS_DECLARE)

extern const struct eddy_part *const layers_built_in[]; /* the same as a list; the last entry is NULL */

/* The head of a network is a dense layer, so its settings are known outside dense.c. */
struct layer_dense_settings {
    int64_t units;  /* 1..1024; network_open() plans wider ones for the head */
    int activation; /* enum activation */
    bool bias;
};

#endif

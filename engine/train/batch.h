/* One batch of windows on its way through a network.  Private to engine/train.
 *
 * T events, B windows.  Layers above one that fires every s steps run on a grid of their own of ceil(T/s) steps: the k-th
 * firing of window b within the window is step k of that grid for row b, whatever its phase was at the window's start.
 * A row that fires less often ends early: its last steps see zeros and get no gradient, so they change nothing. */
#ifndef ENGINE_TRAIN_BATCH_H
#define ENGINE_TRAIN_BATCH_H

#include "engine/model/stack.h"
#include "engine/train/scratch.h"
#include "engine/train/tbptt.h"

/* The steps of a layer; layers without a stride between them share the arrays. */
struct batch_grid {
    int n_steps;
    int *event; /* [n_steps, B] the event of the window at which a step is made, -1 = none; NULL: step t is event t */
    float *elapsed_s; /* [n_steps, B] */
    float *target;    /* [n_steps, B, n_targets] NaN where there is no step; NULL = nobody wants it */
};

/* One layer's way forward. */
struct layer_run {
    struct batch_grid grid;
    float *x;     /* [n_steps, B, n_in] the output of the layer below, or what its firings handed on */
    float *y;     /* [n_steps, B, n_out] as the layer says it */
    float *sum;   /* the same plus x where the layer is residual; else y itself */
    float *tape;  /* [n_steps, B, n_tape] */
    float *start; /* [B, n_state] */
    /* Of a layer with a stride. */
    int *fired;   /* [n_steps of the layer above, B] the step at which it fired for the k-th time, -1 = it did not */
    int *n_fired; /* [B] */
};

struct batch {
    const struct network *net;
    const struct window_shape *shape;
    const float *windows; /* [B, window_floats] */
    int n_steps, n_rows;
    uint64_t draw;             /* seeds the random choices of this batch */
    uint64_t *draws;           /* [B] of the layer in hand */
    float *packed;             /* [n_packed] */
    float *elapsed_s;          /* [T, B] */
    float *x;                  /* [T, B, n_in] */
    float *target;             /* [T, B, n_targets]; only when the top layer wants labels */
    struct layer_run *runs;    /* [n_layers + 1] */
    float *state;              /* [B, widest n_state] of the layer in hand */
    float *d_y, *d_x;          /* [T, B, widest] gradients by the output and the input of the layer in hand */
    float *back, *work, *step; /* scratch; step: [n_out] one step's gradient by the outputs */
};

size_t batch_floats(const struct network *, const struct window_shape *, int n_rows); /* 0: out of memory */
eddy_status batch_open(struct batch *, struct train_scratch *, struct eddy_error *);
float *batch_window(const struct batch *, int row);
void batch_forward(struct batch *, const float *params);
/* The seeds of one layer, into draws: equal layers above one another choose differently. */
void batch_draw(struct batch *, int layer);
/* The step of the top grid whose outputs stand after event t of a row: the last one made; -1 = none in this window.
 * `standing` is the answer for the event before, -1 for the first. */
int batch_standing(const struct batch *, int row, int t, int standing);

#endif

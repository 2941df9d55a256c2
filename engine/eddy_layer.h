/* Layers: pure functions over caller-owned float arrays.
 *
 * A layer streams: step() takes one input per row and updates the row's own state in place.  Training runs the same
 * step() with a tape and then backward() over the window.  All arrays are row-major float32, batch first.
 *
 * Stride   a layer whose plan says stride s > 1 answers every s-th step only: its state[0] counts the steps taken since
 *          it last fired, 0 .. s-1; the step that brings it back to 0 writes y, the others leave y alone.  The layers
 *          above step only then, and see as elapsed time the time since they last did.
 * Lag      y answers the input of `lag` steps ago, and knows what came after it.
 *
 * Layout   B is rows->n.
 *            x       B pointers to [n_in]     scaled inputs, never NaN
 *            state   B pointers to [n_state]  in the keys' own rows, all 0 for a new key; a counter or a flag in it is a
 *                                             small whole number, and n_state = 0 is a layer without a memory
 *            y       B pointers to [n_out]    outputs; never alias x or state
 *            tape    [B, n_tape]              what backward() needs from this step; NULL when serving
 *            work    [n_work]                 scratch for B <= EDDY_LAYER_MAX_ROWS, contents undefined
 *            params  [n_params]               the trained weights, the layout that model files know
 *            packed  [n_packed]               the same weights in serving order
 * Rules    The result for a row does not depend on B, on its place in the batch, or on whether there is a tape, bit for
 *          bit: sums run over k in ascending order, never split.  Random choices (dropout, masks)
 *          are made in training alone, from rows->draws.
 * Memory   never allocates and keeps no pointer after returning.
 * Threads  reentrant: the serving and training threads call a layer at once.
 * Errors   only plan() fails; every size is checked there. */
#ifndef EDDY_LAYER_H
#define EDDY_LAYER_H

#include "eddy_part.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDDY_LAYER_MAX_ROWS    256
#define EDDY_TENSOR_NAME_BYTES 64

/* Where in a network a layer is to stand. */
struct eddy_layer_place {
    int n_in;               /* width of x */
    int n_categories;       /* the last columns of x that hold category numbers 0, 1, ..; > 0 at the bottom only */
    int n_dims, n_horizons; /* what the network forecasts, [n_horizons, n_dims]: for decoders */
    bool above;             /* another layer stands below: x is not the network's own input */
};

struct eddy_layer_plan {
    int n_in, n_out;                                    /* width of x and y */
    size_t n_params, n_packed, n_state, n_tape, n_work; /* floats; n_state per row, n_tape per row and step */
    size_t n_back;      /* floats of scratch that backward() needs per row and step of the window */
    size_t n_back_once; /* and floats that it needs at least, however short the window */
    /* y answers the input of `lag` steps ago; the layer fires every `stride` steps (usually 0 and 1) */
    int lag, stride;
    bool head;            /* its y is the network's forecast: nothing may stand above it */
    size_t multiply_adds; /* of one step of one row, for summaries; 0 = every weight but the biases is used once */
    const void *settings;
    struct eddy_layer_place place; /* as planned for, where step() and backward() need it; else 0 */
    bool state_gradient; /* backward() knows d_end and d_start, and the state begins with y: it can be in a decoder */
};

struct eddy_rows {
    int n;                  /* 1 .. EDDY_LAYER_MAX_ROWS */
    const float *const *x;  /* [n] -> [n_in] */
    float *const *state;    /* [n] -> [n_state] */
    const float *elapsed_s; /* [n] seconds since the row's last step, >= 0 */
    float *const *y;        /* [n] -> [n_out] */
    float *tape;            /* [n, n_tape] or NULL */
    /* For training alone, NULL when serving. */
    const float *const *target; /* [n] -> [n_out] labels of this step, NaN = unknown: for teacher forcing */
    const uint64_t *draws;      /* [n] seeds of the row's random choices, the same for all steps of a window */
    int step;                   /* which step of the window this is, 0 .. T-1 */
};

/* A window of T steps of B rows, as backward() sees it. */
struct eddy_tape {
    int n_steps, n_rows;
    const float *x;         /* [T, B, n_in] */
    const float *y;         /* [T, B, n_out] */
    const float *tape;      /* [T, B, n_tape] */
    const float *d_y;       /* [T, B, n_out]  gradient of the loss by y */
    float *d_x;             /* [T, B, n_in]   written; NULL = not wanted */
    const float *start;     /* [B, n_state]   the rows' states before the window */
    const float *elapsed_s; /* [T, B] */
    const float *target;    /* [T, B, n_out]  as in eddy_rows; NULL = none */
    const uint64_t *draws;  /* [B]            as in eddy_rows; NULL = none */
    /* Inside another layer alone, and only where the plan says state_gradient. */
    const float *d_end; /* [B, n_state]   gradient of the loss by the states after the window; NULL = 0 */
    float *d_start;     /* [B, n_state]   written: the same by `start`; NULL = not wanted */
};

struct eddy_tensor_info {
    /* E.g. "weight_ih".  Weight decay moves the tensors with "weight" but no "norm" in their names. */
    char name[EDDY_TENSOR_NAME_BYTES];
    size_t first;   /* index of its first float in params */
    int rows, cols; /* row-major [rows, cols]; cols 1 for a vector */
};

struct eddy_layer {
    struct eddy_part part; /* kind EDDY_PART_LAYER */
    eddy_status (*plan)(const void *settings, const struct eddy_layer_place *, struct eddy_layer_plan *out,
                        struct eddy_error *);
    /* Initial weights; the i-th draw is eddy_random_*(seed, i), so they depend on `seed` alone. */
    void (*init)(const struct eddy_layer_plan *, uint64_t seed, float *params);
    void (*pack)(const struct eddy_layer_plan *, const float *params, float *packed);
    void (*step)(const struct eddy_layer_plan *, const float *packed, const struct eddy_rows *, float *work);
    /* Adds to d_params the gradient over the whole window, state at the window's start held constant (truncation).
     * `back` is scratch [T, B, n_back], or n_back_once floats where that is more. */
    void (*backward)(const struct eddy_layer_plan *, const float *params, const struct eddy_tape *, float *d_params,
                     float *back);
    /* The i-th weight tensor for summaries and files: its name, place and shape; false when there is no i-th. */
    bool (*tensor)(const struct eddy_layer_plan *, int i, struct eddy_tensor_info *out);
};

/* Counter-based random numbers: a pure function of (seed, counter). */
EDDY_API uint64_t eddy_random_bits(uint64_t seed, uint64_t counter);
EDDY_API float eddy_random_uniform(uint64_t seed, uint64_t counter); /* [0, 1) */
EDDY_API float eddy_random_normal(uint64_t seed, uint64_t counter);  /* mean 0, variance 1 */

#ifdef __cplusplus
}
#endif
#endif

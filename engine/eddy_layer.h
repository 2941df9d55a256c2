/* Layers: pure functions over caller-owned float arrays.
 *
 * A layer streams: step() takes one input per row and updates the row's own state in place.  Training runs the same
 * step() with a tape and then backward() over the window.  All arrays are row-major float32, batch first.
 *
 * Layout   B is rows->n.
 *            x       B pointers to [n_in]     scaled inputs, never NaN
 *            state   B pointers to [n_state]  in the keys' own rows, all 0 for a new key
 *            y       B pointers to [n_out]    outputs; never alias x or state
 *            tape    [B, n_tape]              what backward() needs from this step; NULL when serving
 *            work    [n_work]                 scratch for B <= EDDY_LAYER_MAX_ROWS, contents undefined
 *            params  [n_params]               the trained weights, the layout that model files know
 *            packed  [n_packed]               the same weights in serving order
 * Rules    The result for a row does not depend on B, on its place in the batch, or on whether there is a tape, bit for
 *          bit: sums run over k in ascending order, never split, no fused multiply-add.
 * Memory   never allocates and keeps no pointer after returning.
 * Threads  reentrant: the serving and training threads call a layer at once.
 * Errors   only plan() fails; every size is checked there. */
#ifndef EDDY_LAYER_H
#define EDDY_LAYER_H

#include "eddy_part.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDDY_LAYER_MAX_ROWS 256

struct eddy_layer_plan {
    int n_in, n_out;                                    /* width of x and y */
    size_t n_params, n_packed, n_state, n_tape, n_work; /* floats; n_state per row, n_tape per row and step */
    size_t n_back;   /* floats of scratch that backward() needs per row and step of the window */
    int lag, stride; /* y answers the input of `lag` steps ago; the layer fires every `stride` steps (0 and 1) */
    const void *settings;
};

struct eddy_rows {
    int n;                  /* 1 .. EDDY_LAYER_MAX_ROWS */
    const float *const *x;  /* [n] -> [n_in] */
    float *const *state;    /* [n] -> [n_state] */
    const float *elapsed_s; /* [n] seconds since the row's last step, >= 0 */
    float *const *y;        /* [n] -> [n_out] */
    float *tape;            /* [n, n_tape] or NULL */
};

/* A window of T steps of B rows, as backward() sees it. */
struct eddy_tape {
    int n_steps, n_rows;
    const float *x;    /* [T, B, n_in] */
    const float *y;    /* [T, B, n_out] */
    const float *tape; /* [T, B, n_tape] */
    const float *d_y;  /* [T, B, n_out]  gradient of the loss by y */
    float *d_x;        /* [T, B, n_in]   written; NULL = not wanted */
};

struct eddy_tensor_info {
    const char *name; /* e.g. "weight_ih" */
    size_t first;     /* index of its first float in params */
    int rows, cols;   /* row-major [rows, cols]; cols 1 for a vector */
};

struct eddy_layer {
    struct eddy_part part; /* kind EDDY_PART_LAYER */
    eddy_status (*plan)(const void *settings, int n_in, struct eddy_layer_plan *out, struct eddy_error *);
    /* Initial weights; the i-th draw is eddy_random_*(seed, i), so they depend on `seed` alone. */
    void (*init)(const struct eddy_layer_plan *, uint64_t seed, float *params);
    void (*pack)(const struct eddy_layer_plan *, const float *params, float *packed);
    void (*step)(const struct eddy_layer_plan *, const float *packed, const struct eddy_rows *, float *work);
    /* Adds to d_params the gradient over the whole window, state at the window's start held constant (truncation).
     * `back` is scratch [T, B, n_back]. */
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

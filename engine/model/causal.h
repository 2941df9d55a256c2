/* Causal self-attention over the last W steps, as a stream: what attention.c and transformer.c share.
 *
 *   [q | k | v] = W_in u + b_in      o = attend(q, the k and v of this step and of the W - 1 before)      a = W_out o + b_out
 *   A key's age counts steps or log(1 + seconds); only differences between steps count, so what was kept stays valid.
 *
 * Parameters  in_proj_weight [3U, n_in] | in_proj_bias [3U] | out_proj.weight [U, U] | out_proj.bias [U]
 * State       steps kept so far (at most W - 1) | ring of the last W - 1 steps [k | v | seconds since the step before]
 * Tape        q | k | v [3U] | o [U] | shares [heads, W], per step
 * O(W) per event, nothing is allocated. */
#ifndef ENGINE_MODEL_CAUSAL_H
#define ENGINE_MODEL_CAUSAL_H

#include "eddy_layer.h"

enum causal_positions { POSITIONS_STEPS, POSITIONS_TIME, POSITIONS_NONE };
enum { CAUSAL_MAX_UNITS = 1024 };

struct causal {
    int n_in, units, heads, window, positions;
};

/* Reason why it cannot be, or NULL. */
const char *causal_wrong(const struct causal *);
size_t causal_params(const struct causal *);
size_t causal_packed(const struct causal *);
size_t causal_state(const struct causal *);
size_t causal_tape(const struct causal *);
size_t causal_work(const struct causal *);
size_t causal_back_floats(const struct causal *); /* per row and step */
size_t causal_multiply_adds(const struct causal *);
void causal_init(const struct causal *, uint64_t seed, float *params);
void causal_pack(const struct causal *, const float *params, float *packed);

/* One step of n <= TILE_ROWS rows: u [n] -> [n_in], a [n] -> [U].  tape: the first row's, rows `stride` apart; or NULL. */
void causal_step(const struct causal *, const float *packed, int n, const float *const *u, float *const *state,
                 const float *elapsed_s, float *const *a, float *tape, size_t stride, float *work);

/* A window as causal_backward() sees it: rows of the tape `stride` apart, of the start states `n_state`. */
struct causal_window {
    int n_steps, n_rows;
    const float *u; /* [T, B, u_stride], n_in of each are used */
    size_t u_stride;
    const float *tape; /* [T, B, stride] */
    size_t stride;
    const float *start; /* [B, n_state] */
    size_t n_state;
    const float *elapsed_s; /* [T, B] */
    const float *d_a;       /* [T, B, U] */
    float *d_u;             /* [T, B, n_in] written; NULL = not wanted */
};
void causal_backward(const struct causal *, const float *params, const struct causal_window *, float *d_params,
                     float *back);

/* The four tensors, their names behind `prefix`. */
void causal_tensors(const struct causal *, const char *prefix, struct eddy_tensor_info out[4]);

#endif

/* What the recurrent cells rnn, gru and lstm share: everything but their gates.
 *
 * A cell has G gates of H units and keeps S blocks of H floats per key, h first.  One step of it:
 *
 *   enter     a new key starts from trained states (initial_state: learned), the others fade with the time since the
 *             last event (time_decay, in the manner of GRU-D, Che et al. 2018, whose exp(-max(0, .)) is rounded off here):
 *                 state = gamma state,   gamma = exp(-log(1 + e^(w d + b))) = 1 / (1 + e^(w d + b)),
 *                 d = log(1 + elapsed_s),   w and b per float
 *   drop      in training, the h that meets U is masked, the same way for the whole window (recurrent_dropout, Gal and
 *             Ghahramani 2016):  k = m h / (1 - p)
 *   sums      a = W x + b + U k;  with layer_norm (Ba et al. 2016), each gate by itself:
 *                 a = LN(W x) + b + LN(U k),   LN(s) = gain (s - mean s) / sd s
 *             A gru's last gate keeps the sums of x and of k apart.
 *   gates     the cell's own (rnn.c, gru.c, lstm.c)
 *
 * Parameters  weight_ih W [G H, n_in] | weight_hh U [G H, H] | bias_ih b [G H] | bias_hh c [G H] if the cell has two |
 *             norm_ih, norm_hh [G H] gains with layer_norm | what the cell adds | initial [S H] | decay_weight,
 *             decay_bias [S H]
 * State       [S H], then with initial_state: learned one float: 1 once the key has started
 * Without options the tape is that of the kernels alone. */
#ifndef ENGINE_MODEL_CELL_H
#define ENGINE_MODEL_CELL_H

#include "eddy_layer.h"
#include "engine/math/kernels.h"

/* The first member of each cell's settings. */
struct cell_settings {
    int64_t units;
    int initial; /* 0 zero, 1 learned */
    bool layer_norm, time_decay;
    double dropout;
};

/* The options of struct cell_settings, at the head of a cell's table. */
#define CELL_OPTIONS(units_help)                                                                                     \
    {"units", EDDY_OPT_INT, offsetof(struct cell_settings, units), "32", 1, 1024, "", units_help, NULL, 0, false},   \
        {"initial_state",                                                                                            \
         EDDY_OPT_ENUM,                                                                                              \
         offsetof(struct cell_settings, initial),                                                                    \
         "zero",                                                                                                     \
         0,                                                                                                          \
         0,                                                                                                          \
         "zero|learned",                                                                                             \
         "What a new key starts from: zeros, or trained numbers.",                                                   \
         NULL,                                                                                                       \
         0,                                                                                                          \
         false},                                                                                                     \
        {"layer_norm",                                                                                               \
         EDDY_OPT_BOOL,                                                                                              \
         offsetof(struct cell_settings, layer_norm),                                                                 \
         "false",                                                                                                    \
         0,                                                                                                          \
         0,                                                                                                          \
         "",                                                                                                         \
         "Normalise the sums of each gate over its units, with trained gains (Ba et al. 2016).",                     \
         NULL,                                                                                                       \
         0,                                                                                                          \
         false},                                                                                                     \
        {"time_decay",                                                                                               \
         EDDY_OPT_BOOL,                                                                                              \
         offsetof(struct cell_settings, time_decay),                                                                 \
         "false",                                                                                                    \
         0,                                                                                                          \
         0,                                                                                                          \
         "",                                                                                                         \
         "Let the state fade with the time since the key's last event, each unit at a trained rate: "                \
         "exp(-softplus(w log(1 + seconds) + b)), in the manner of GRU-D (Che et al. 2018), whose max(0, .) it "     \
         "rounds off.",                                                                                              \
         NULL,                                                                                                       \
         0,                                                                                                          \
         false},                                                                                                     \
    {                                                                                                                \
        "recurrent_dropout", EDDY_OPT_REAL, offsetof(struct cell_settings, dropout), "0", 0, 0.9, "probability",     \
            "In training, how much of h is hidden from the gates, the same units for a whole window (Gal and "       \
            "Ghahramani 2016).",                                                                                     \
            NULL, 0, false                                                                                           \
    }

/* Sizes and options of one cell, found again from its plan on every call. */
struct cell {
    const struct cell_kind *kind;
    const struct cell_settings *settings;
    int n_in, units, n_gates, n_sums, n_states; /* n_sums: gates, and one more when the last one's are kept apart */
    bool two_biases;
    size_t n_extra; /* parameters that the cell adds */
};

/* What the cells differ in.  Gate sums `a` [n, n_sums blocks `width` apart]; d_a [n, n_sums, H] in the order of the
 * kernels: a gate whose sums are apart comes first (of x) and last (of h), the others between. */
struct cell_kind {
    const char *name;
    int n_gates, n_states;
    bool apart;      /* the last gate keeps the sums of x and of h apart */
    int tape_blocks; /* [H] blocks of tape that `gates` fills; the last one is the h that entered */
    /* The step in one kernel and its panels, for all options but layer_norm; NULL = product and `gates` do it. */
    void (*step)(const struct cell_step *, const struct cell_rows *);
    size_t (*panels)(int units, int n_in);
    void (*pack)(const struct panels_source *, float *panels);
    size_t (*n_extra)(const struct cell *);    /* NULL = none */
    size_t (*extra_tape)(const struct cell *); /* floats of tape behind the blocks; NULL = none */
    /* A row's tape starts tape_stride after that of the row before.  A cell with extra_tape always has one, in serving one
     * for all rows (tape_stride 0). */
    void (*gates)(const struct cell *, const float *extra, int n, const float *a, size_t stride, float *const *state,
                  float *const *y, float *tape, size_t tape_stride);
    /* d_h in: by h; out: the direct part by the h that entered.  d_c [n, H] (lstm) likewise. */
    void (*back)(const struct cell *, const float *extra, int n, const float *tape, size_t tape_stride, float *d_h,
                 float *d_c, float *d_a, float *d_extra);
};

eddy_status cell_plan(const struct cell_kind *, const struct cell_settings *, bool two_biases, int n_in,
                      struct eddy_layer_plan *out, struct eddy_error *);
struct cell cell_of(const struct cell_kind *, const struct eddy_layer_plan *, bool two_biases);
void cell_init(const struct cell *, uint64_t seed, float *params);
void cell_pack(const struct cell *, const float *params, float *packed);
void cell_step(const struct cell *, const struct eddy_layer_plan *, const float *packed, const struct eddy_rows *,
               float *work);
void cell_backward(const struct cell *, const struct eddy_layer_plan *, const float *params, const struct eddy_tape *,
                   float *d_params, float *back);
/* The tensors of all cells; `extra` and its names are the cell's own [n_extras]. */
bool cell_tensor(const struct cell *, const struct eddy_tensor_info *extras, int n_extras, int i,
                 struct eddy_tensor_info *out);
/* Where the b of gate `gate` lies in params, for what starts elsewhere than at 0. */
size_t cell_bias_at(const struct cell *, int gate);

#endif

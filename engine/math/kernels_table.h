/* The table of one instruction set: included last by each kernels_*.c, which sets KERNELS_NAME and KERNELS_TABLE. */
#include "engine/math/activations_inline.h"
#include "engine/math/gates_inline.h"
#include "engine/math/history_inline.h"
#include "engine/math/loss_inline.h"
#include "engine/math/optimiser_inline.h"
#include "engine/math/product_inline.h"

#include "engine/math/steps_inline.h"

#ifdef KERNELS_MATMUL
#include "engine/math/matmul_inline.h"
#endif

#include "engine/math/attend_inline.h" /* takes its vectors from product_inline.h */

enum { DOTS_PAIRS = 4 };
#define REAL float
#ifdef LANES_FMA
#define ROW_FMA(a, b, c) LANES_FMA(a, b, c)
#else
#define ROW_FMA(a, b, c) ((a) * (b) + (c))
#endif
#define NAMED(name) name##_f32
#include "engine/math/recursive_inline.h"
#define REAL double
#ifdef LANES_FMA_F64
#define ROW_FMA(a, b, c) LANES_FMA_F64(a, b, c)
#else
#define ROW_FMA(a, b, c) ((a) * (b) + (c))
#endif
#define NAMED(name) name##_f64
#include "engine/math/recursive_inline.h"

const struct kernels KERNELS_TABLE = {
    .name = KERNELS_NAME,
    .product = kernel_product,
    .lstm_step = kernel_lstm_step,
    .gru_step = kernel_gru_step,
    .lstm = kernel_lstm,
    .lstm_back = kernel_lstm_back,
    .gru = kernel_gru,
    .gru_back = kernel_gru_back,
    .decay = kernel_decay,
    .decay_back = kernel_decay_back,
    .attend = kernel_attend,
    .attend_back = kernel_attend_back,
    .activate = kernel_activate,
    .activate_back = kernel_activate_back,
#ifdef KERNELS_MATMUL
    .matmul = kernel_matmul,
#endif
    .add = kernel_add,
    .add_rows = kernel_add_rows,
    .finite = kernel_finite,
    .squares = kernel_squares,
    .distance = kernel_distance,
    .known = kernel_known,
    .huber = kernel_huber,
    .clip = kernel_clip,
    .adam = kernel_adam,
    .rmsprop = kernel_rmsprop,
    .sgd = kernel_sgd,
    .dots_f32 = kernel_dots_f32,
    .dots_f64 = kernel_dots_f64,
    .follow_f32 = kernel_follow_f32,
    .follow_f64 = kernel_follow_f64,
    .deflate_f32 = kernel_deflate_f32,
    .deflate_f64 = kernel_deflate_f64,
    .tails = kernel_tails,
    .correlate = kernel_correlate,
};

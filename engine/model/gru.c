/* A gated recurrent unit (Cho et al. 2014), the reset gate applied after the matrix product, with a recurrent bias of
 * its own: the form that common frameworks use.
 *
 *   r = s(W_r x + b_r + U_r h + c_r)     z = s(W_z x + b_z + U_z h + c_z)     n = tanh(W_n x + b_n + r (U_n h + c_n))
 *   h' = (1 - z) n + z h                 y = h'
 *
 *   backward, from the last step to the first (a: sums, d_: gradients, H = units):
 *   d_h = d_y + (d_h z + [d_r | d_z | d_m] U of the step after)
 *   d_n = d_h (1 - z) tanh'    d_r = d_n (U_n h + c_n) s'(a_r)    d_z = d_h (h - n) s'(a_z)    d_m = d_n r
 *   dW += [d_r | d_z | d_n]^T x    dU += [d_r | d_z | d_m]^T h    and the biases likewise, over all steps at once
 *
 * Parameters  weight_ih W [3H, n_in] | weight_hh U [3H, H] | bias_ih b [3H] | bias_hh c [3H], gates in the order r, z, n
 * State       h [H] */
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/math/matmul.h"
#include "engine/model/initial.h"
#include "engine/model/layers.h"

enum { GATES = 3, SUMS = 4 /* r, z, W_n x + b_n, U_n h + c_n */ };

struct gru_settings {
    int64_t units;
};

static const struct eddy_option gru_options[] = {
    {"units", EDDY_OPT_INT, offsetof(struct gru_settings, units), "32", 1, 1024, "",
     "Width of the output h, which is also the state kept per key.", NULL, 0, false},
    {0}};

/* Where the tensors lie in params [n_params]. */
struct gru_params {
    size_t w, u, b, c;
};

static struct gru_params gru_places(const struct eddy_layer_plan *plan)
{
    const size_t gates = (size_t)GATES * (size_t)plan->n_out;
    const size_t u = gates * (size_t)plan->n_in, b = u + gates * (size_t)plan->n_out;
    return (struct gru_params){0, u, b, b + gates};
}

/* Where the panels lie in packed [n_packed]: r and z meet x and h, n's two sums meet one each. */
struct gru_panels {
    size_t z, nx, nh, end;
};

static struct gru_panels gru_packed(int n_in, int units)
{
    const size_t both = panels_floats(units, n_in + units);
    const size_t nh = 2 * both + panels_floats(units, n_in);
    return (struct gru_panels){both, 2 * both, nh, nh + panels_floats(units, units)};
}

static eddy_status gru_plan(const void *settings, const struct eddy_layer_place *place, struct eddy_layer_plan *out,
                            struct eddy_error *err)
{
    const struct gru_settings *s = settings;
    const int n_in = place->n_in;
    if (n_in < 1 || s->units < 1 || s->units > 1024)
        return eddy_fail(err, EDDY_ECONFIG, "gru: %lld units on %d inputs cannot be", (long long)s->units, n_in);
    const size_t units = (size_t)s->units;
    *out = (struct eddy_layer_plan){
        .n_in = n_in,
        .n_out = (int)units,
        .n_params = GATES * units * ((size_t)n_in + units + 2),
        .n_packed = gru_packed(n_in, (int)units).end,
        .n_state = units,
        .n_tape = GRU_TAPE * units,
        .n_work = (size_t)TILE_ROWS * SUMS * (size_t)panels_count((int)units) * PANEL,
        .n_back = (SUMS + 1) * units, /* d_a of every step; d_h of one */
        .stride = 1,
        .settings = settings,
        .state_gradient = true,
    };
    return EDDY_OK;
}

static void gru_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    const struct gru_params at = gru_places(plan);
    initial_weights(seed, 0, at.u, plan->n_in, params);
    initial_weights(seed, at.u, at.b - at.u, plan->n_out, params + at.u);
    initial_constant(plan->n_params - at.b, 0, params + at.b);
}

static void gru_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    const struct gru_params at = gru_places(plan);
    const struct gru_panels to = gru_packed(plan->n_in, plan->n_out);
    const int units = plan->n_out, n_in = plan->n_in;
    const size_t w = (size_t)units * (size_t)n_in, u = (size_t)units * (size_t)units, b = (size_t)units;
    const float *weight = params + at.w, *recurrent = params + at.u, *bias = params + at.b, *bias_h = params + at.c;

    panels_pack(&(struct panels_source){units, n_in, units, bias, bias_h, weight, recurrent}, packed);
    panels_pack(&(struct panels_source){units, n_in, units, bias + b, bias_h + b, weight + w, recurrent + u},
                packed + to.z);
    panels_pack(&(struct panels_source){units, n_in, 0, bias + 2 * b, NULL, weight + 2 * w, recurrent},
                packed + to.nx);
    panels_pack(&(struct panels_source){units, 0, units, NULL, bias_h + 2 * b, weight, recurrent + 2 * u},
                packed + to.nh);
}

static void gru_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                     float *work)
{
    const struct kernels *k = kernels_best();
    const struct gru_panels at = gru_packed(plan->n_in, plan->n_out);
    const int n_in = plan->n_in, units = plan->n_out, panels = panels_count(units);
    const struct product r_and_z = {n_in, units, 2 * panels, packed};
    const struct product n_of_x = {n_in, 0, panels, packed + at.nx}, n_of_h = {0, units, panels, packed + at.nh};
    const size_t width = (size_t)panels * PANEL, stride = SUMS * width;
    float *tape = rows->tape;
    for (int first = 0; first < rows->n; first += TILE_ROWS) {
        const int n = rows->n - first < TILE_ROWS ? rows->n - first : TILE_ROWS;
        float *const *state = rows->state + first;
        const float *const *h = (const float *const *)state;
        k->product(&r_and_z, n, rows->x + first, h, work, stride); /* work [n, r z nx nh] */
        k->product(&n_of_x, n, rows->x + first, NULL, work + 2 * width, stride);
        k->product(&n_of_h, n, NULL, h, work + 3 * width, stride);
        k->gru(n, units, work, stride, state, rows->y + first, tape);
        if (tape) tape += (size_t)n * plan->n_tape;
    }
}

/* d_a [T, B, d_n d_r d_z d_m] of all steps, from the last to the first. */
static void gru_unroll(const struct eddy_layer_plan *plan, struct matrix u, const struct eddy_tape *tape, float *d_a,
                       float *d_h)
{
    const struct kernels *k = kernels_best();
    const int units = plan->n_out, n_rows = tape->n_rows;
    const size_t row_floats = (size_t)n_rows * (size_t)units;
    if (tape->d_end)
        memcpy(d_h, tape->d_end, row_floats * sizeof(float));
    else
        memset(d_h, 0, row_floats * sizeof(float));
    for (int t = tape->n_steps - 1; t >= 0; t--) {
        float *d_step = d_a + (size_t)t * SUMS * row_floats;
        k->add(row_floats, tape->d_y + (size_t)t * row_floats, d_h);
        k->gru_back(n_rows, units, tape->tape + (size_t)t * GRU_TAPE * row_floats, d_h, d_step);
        const struct matrix d_recurrent = {d_step + units, SUMS * units};
        if (t > 0 || tape->d_start) matmul(n_rows, units, GATES * units, d_recurrent, u, 1, d_h, units);
    }
    if (tape->d_start) memcpy(tape->d_start, d_h, row_floats * sizeof(float));
}

static void gru_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *tape,
                         float *d_params, float *back)
{
    const struct kernels *k = kernels_best();
    const struct gru_params at = gru_places(plan);
    const int units = plan->n_out, n_in = plan->n_in, n = tape->n_steps * tape->n_rows;
    const size_t stride = SUMS * (size_t)units, n_rows = (size_t)n;
    const size_t candidate = 2 * (size_t)units * (size_t)n_in;                          /* the rows of n in W */
    const struct matrix d_n = {back, SUMS * units}, d_r = {back + units, SUMS * units}; /* d_r | d_z | d_m follow */
    const struct matrix x = {tape->x, n_in}, h = {tape->tape + (GRU_TAPE - 1) * units, GRU_TAPE * units};
    const struct matrix w = {params + at.w, n_in}, w_n = {params + at.w + candidate, n_in};

    gru_unroll(plan, (struct matrix){params + at.u, units}, tape, back, back + n_rows * stride);
    matmul_tn(2 * units, n_in, n, d_r, x, 1, d_params + at.w, n_in);
    matmul_tn(units, n_in, n, d_n, x, 1, d_params + at.w + candidate, n_in);
    matmul_tn(GATES * units, units, n, d_r, h, 1, d_params + at.u, units);
    k->add_rows(n_rows, 2 * units, d_r.data, stride, d_params + at.b);
    k->add_rows(n_rows, units, d_n.data, stride, d_params + at.b + 2 * units);
    k->add_rows(n_rows, GATES * units, d_r.data, stride, d_params + at.c);
    if (!tape->d_x) return;
    matmul(n, n_in, 2 * units, d_r, w, 0, tape->d_x, n_in);
    matmul(n, n_in, units, d_n, w_n, 1, tape->d_x, n_in);
}

static bool gru_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    const int gates = GATES * plan->n_out;
    const struct eddy_tensor_info tensors[] = {{"weight_ih", 0, gates, plan->n_in},
                                               {"weight_hh", 0, gates, plan->n_out},
                                               {"bias_ih", 0, gates, 1},
                                               {"bias_hh", 0, gates, 1}};
    return tensor_of(tensors, 4, i, out);
}

const struct eddy_layer layer_gru = {
    .part = {.struct_size = sizeof(struct eddy_layer),
             .kind = EDDY_PART_LAYER,
             .name = "gru",
             .summary = "Gated recurrent unit: fewer weights than an LSTM, one state.",
             .options = gru_options,
             .settings_size = sizeof(struct gru_settings)},
    .plan = gru_plan,
    .init = gru_init,
    .pack = gru_pack,
    .step = gru_step,
    .backward = gru_backward,
    .tensor = gru_tensor,
};

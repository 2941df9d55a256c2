/* A recurrent layer in both directions (Schuster and Paliwal 1997), on a stream: a smoother of fixed lag L.
 *
 *   f_t = forward layer of x_t, its state carried along        r_t,s = reverse layer, from x_t back to x_s, from state 0
 *   include   y_t = [f_{t-L} | r_t,t-L]         what stands around x_{t-L} and x_{t-L} itself
 *   exclude   y_t = [f_{t-L-1} | r_t,t-L+1]     what stands around it alone
 *   0 until L steps have passed.  At each event the reverse layer takes R = L + 1 (include) or L (exclude) steps.
 *   elapsed   of a reverse step: the time between its input and the one after; 0 for the newest
 *
 *   backward  the forward layer over the window, its d_y those of the answers that hold them; the reverse layer over
 *   windows of R steps, of which each step of each row is one; inputs before the window are constants
 *
 * Parameters  the layer's tensors | once more with "_reverse" behind their names
 * State       the forward layer's | number of steps so far, at most L | rings: R-1 inputs, the times before them, the
 *             last L or L+1 f
 * Tape        of the forward step, then of each reverse step: the layer's tape | its output */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/model/inner.h"
#include "engine/model/layers.h"
#include "engine/model/ring.h"

enum center { CENTER_INCLUDE, CENTER_EXCLUDE }; /* the order of the option's words */
enum { MAX_LAG = 256, MAX_STATE = 1 << 20, FORWARD = 0, REVERSE = 1 };

struct bidirectional_settings {
    struct eddy_choice layer;
    int64_t lag;
    int center; /* enum center */
};

static const struct eddy_option bidirectional_options[] = {
    {"layer", EDDY_OPT_PART, offsetof(struct bidirectional_settings, layer), NULL, 0, 0, "",
     "The recurrent layer that runs in both directions, with weights for each.", NULL, EDDY_PART_LAYER, false},
    {"lag", EDDY_OPT_INT, offsetof(struct bidirectional_settings, lag), "8", 1, MAX_LAG, "steps",
     "How many inputs after its own an output knows: it comes that much later, and each event costs as many steps "
     "backwards.",
     NULL, 0, false},
    {"center", EDDY_OPT_ENUM, offsetof(struct bidirectional_settings, center), "include", 0, 0, "include|exclude",
     "Whether an output knows the input that it belongs to, or only those before and after: a smoother that saw the "
     "value itself would learn to repeat it.",
     NULL, 0, false},
    {0}};

/* Sizes of a planned layer. */
struct bidirectional {
    struct inner inner;
    int n_in, half, lag;                           /* half: width of f and r */
    int reach, past;                               /* reverse steps; inputs before this one that they see */
    int held;                                      /* outputs f_{t-1} .. f_{t-held} in the state */
    size_t count, inputs, times, outputs, n_state; /* places in the state */
    size_t slot;                                   /* floats of one inner step on the tape */
};

static struct bidirectional bidirectional_sizes(const struct bidirectional_settings *s, const struct inner *inner)
{
    const int lag = (int)s->lag, exclude = s->center == CENTER_EXCLUDE;
    struct bidirectional z = {.inner = *inner, .n_in = inner->plan.n_in, .half = inner->plan.n_out, .lag = lag};
    z.reach = lag + 1 - exclude;
    z.past = z.reach - 1;
    z.held = lag + exclude;
    z.count = inner->plan.n_state;
    z.inputs = z.count + 1;
    z.times = z.inputs + ring_floats(z.past, z.n_in);
    z.outputs = z.times + ring_floats(z.past, 1);
    z.n_state = z.outputs + ring_floats(z.held, z.half);
    z.slot = inner->plan.n_tape + (size_t)z.half;
    return z;
}

static struct bidirectional bidirectional_of(const struct eddy_layer_plan *plan)
{
    const struct bidirectional_settings *s = plan->settings;
    const struct inner inner = inner_of(&s->layer, plan->n_in);
    return bidirectional_sizes(s, &inner);
}

static eddy_status bidirectional_plan(const void *settings, const struct eddy_layer_place *place,
                                      struct eddy_layer_plan *out, struct eddy_error *err)
{
    const struct bidirectional_settings *s = settings;
    struct inner inner;
    if (place->n_in < 1 || s->lag < 1 || s->lag > MAX_LAG)
        return eddy_fail(err, EDDY_ECONFIG, "bidirectional: a lag of %lld steps over %d inputs cannot be",
                         (long long)s->lag, place->n_in);
    eddy_status rc = inner_plan("bidirectional", &s->layer, place->n_in, &inner, err);
    if (rc < 0) return rc;
    const struct bidirectional z = bidirectional_sizes(s, &inner);
    const size_t n_in = (size_t)z.n_in, half = (size_t)z.half, reach = (size_t)z.reach;
    if (z.n_state > MAX_STATE)
        return eddy_fail(err, EDDY_ECONFIG,
                         "bidirectional: a lag of %d steps would hold %zu numbers for each key, at most %d can be",
                         z.lag, z.n_state, MAX_STATE);
    *out = (struct eddy_layer_plan){
        .n_in = z.n_in,
        .n_out = 2 * z.half,
        .n_params = 2 * inner.plan.n_params,
        .n_packed = 2 * inner.plan.n_packed,
        .n_state = z.n_state,
        .n_tape = (1 + reach) * z.slot,
        .n_work = TILE_ROWS * (2 * half + inner.plan.n_state + inner.plan.n_tape) + inner.plan.n_work,
        .n_back = inner.plan.n_state + reach * (2 * n_in + 1 + 2 * half + inner.plan.n_tape + inner.plan.n_back),
        .lag = z.lag,
        .stride = 1,
        .multiply_adds = (1 + reach) * inner_multiply_adds(&inner),
        .settings = settings,
    };
    return EDDY_OK;
}

static void bidirectional_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    const struct bidirectional z = bidirectional_of(plan);
    for (size_t way = FORWARD; way <= REVERSE; way++)
        z.inner.layer->init(&z.inner.plan, eddy_random_bits(seed, way), params + way * z.inner.plan.n_params);
}

static void bidirectional_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    const struct bidirectional z = bidirectional_of(plan);
    for (size_t way = FORWARD; way <= REVERSE; way++)
        z.inner.layer->pack(&z.inner.plan, params + way * z.inner.plan.n_params,
                            packed + way * z.inner.plan.n_packed);
}

/* ---- step ---- */

/* At most TILE_ROWS rows on their way through one step. */
struct bidirectional_tile {
    const struct eddy_rows *rows;
    float *f, *r;       /* [n, half] */
    float *state;       /* [n, n_state of the layer] of the reverse layer */
    float *tape, *work; /* [n, n_tape of the layer] [n_work of the layer] */
};

static struct bidirectional_tile bidirectional_tile(const struct bidirectional *z, const struct eddy_rows *rows,
                                                    float *work)
{
    struct bidirectional_tile t = {.rows = rows, .f = work};
    t.r = t.f + (size_t)TILE_ROWS * (size_t)z->half;
    t.state = t.r + (size_t)TILE_ROWS * (size_t)z->half;
    t.tape = t.state + TILE_ROWS * z->inner.plan.n_state;
    t.work = t.tape + TILE_ROWS * z->inner.plan.n_tape;
    return t;
}

/* One step of the inner layer, y [n, half]; `now` says the rest.  What it tapes goes to that slot of the rows' tape. */
static void bidirectional_inner(const struct bidirectional *z, const float *packed,
                                const struct bidirectional_tile *t, struct eddy_rows now, float *y, int slot)
{
    float *to[TILE_ROWS];
    const size_t half = (size_t)z->half, n_tape = z->inner.plan.n_tape;
    for (int b = 0; b < now.n; b++) to[b] = y + (size_t)b * half;
    now.y = to;
    now.tape = t->rows->tape ? t->tape : NULL;
    z->inner.layer->step(&z->inner.plan, packed, &now, t->work);
    for (int b = 0; b < now.n && now.tape; b++) {
        float *at = t->rows->tape + ((size_t)b * (size_t)(1 + z->reach) + (size_t)slot) * z->slot;
        memcpy(at, t->tape + (size_t)b * n_tape, n_tape * sizeof(float));
        memcpy(at + n_tape, to[b], half * sizeof(float));
    }
}

/* r: from this input back over those in the rings.  Before a key has seen as many it runs over zeros, to no effect. */
static void bidirectional_reverse(const struct bidirectional *z, const float *packed,
                                  const struct bidirectional_tile *t)
{
    const struct eddy_rows *rows = t->rows;
    const float *x[TILE_ROWS];
    float *state[TILE_ROWS], elapsed_s[TILE_ROWS];
    uint64_t draws[TILE_ROWS];
    struct eddy_rows now = {.n = rows->n, .x = x, .state = state, .elapsed_s = elapsed_s};
    now.draws = inner_draws(rows->draws, rows->n, rows->step, draws);
    memset(t->state, 0, (size_t)rows->n * z->inner.plan.n_state * sizeof(float));
    for (int k = 0; k < z->reach; k++) {
        for (int b = 0; b < rows->n; b++) {
            const float *inputs = rows->state[b] + z->inputs, *times = rows->state[b] + z->times;
            state[b] = t->state + (size_t)b * z->inner.plan.n_state;
            x[b] = k == 0 ? rows->x[b] : ring_row(inputs, z->past, z->n_in, k);
            elapsed_s[b] = k == 0 ? 0 : k == 1 ? rows->elapsed_s[b] : *ring_row(times, z->past, 1, k - 1);
        }
        now.step = k;
        bidirectional_inner(z, packed + z->inner.plan.n_packed, t, now, t->r, 1 + k);
    }
}

/* Writes y of a row, then lets the rings move on. */
static void bidirectional_answer(const struct bidirectional *z, const struct bidirectional_tile *t, int b)
{
    const size_t half = (size_t)z->half;
    const float *f = t->f + (size_t)b * half, *r = t->r + (size_t)b * half;
    float *state = t->rows->state[b], *y = t->rows->y[b];
    const int count = ring_counter(state[z->count], z->lag + 1);
    if (count < z->lag) {
        memset(y, 0, 2 * half * sizeof(float));
        state[z->count] = (float)(count + 1);
    } else {
        memcpy(y, ring_row(state + z->outputs, z->held, z->half, z->held), half * sizeof(float));
        memcpy(y + half, r, half * sizeof(float));
    }
    ring_push(state + z->inputs, z->past, z->n_in, t->rows->x[b]);
    ring_push(state + z->times, z->past, 1, &t->rows->elapsed_s[b]);
    ring_push(state + z->outputs, z->held, z->half, f);
}

static void bidirectional_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                               float *work)
{
    const struct bidirectional z = bidirectional_of(plan);
    for (int first = 0; first < rows->n; first += TILE_ROWS) {
        const int n = rows->n - first < TILE_ROWS ? rows->n - first : TILE_ROWS;
        const struct eddy_rows some = {.n = n,
                                       .x = rows->x + first,
                                       .state = rows->state + first,
                                       .elapsed_s = rows->elapsed_s + first,
                                       .y = rows->y + first,
                                       .tape = rows->tape ? rows->tape + (size_t)first * plan->n_tape : NULL,
                                       .draws = rows->draws ? rows->draws + first : NULL,
                                       .step = rows->step};
        const struct bidirectional_tile t = bidirectional_tile(&z, &some, work);
        bidirectional_inner(&z, packed, &t, some, t.f, 0); /* its state comes first in the rows' */
        bidirectional_reverse(&z, packed, &t);
        for (int b = 0; b < n; b++) bidirectional_answer(&z, &t, b);
    }
}

/* ---- backward ---- */

/* Arrays in `back` for n windows of `steps` steps each, as the inner layer's backward() sees them. */
struct bidirectional_runs {
    float *start;               /* [n, n_state] */
    float *x, *d_x, *elapsed_s; /* [steps, n, n_in] [steps, n, n_in] [steps, n] */
    float *y, *d_y, *tape;      /* [steps, n, half] [steps, n, half] [steps, n, n_tape] */
    float *back;                /* [steps, n, n_back] */
};

static struct bidirectional_runs bidirectional_runs(const struct bidirectional *z, int steps, int n, float *back)
{
    const size_t cells = (size_t)steps * (size_t)n;
    struct bidirectional_runs r = {.start = back};
    r.x = r.start + (size_t)n * z->inner.plan.n_state;
    r.d_x = r.x + cells * (size_t)z->n_in;
    r.elapsed_s = r.d_x + cells * (size_t)z->n_in;
    r.y = r.elapsed_s + cells;
    r.d_y = r.y + cells * (size_t)z->half;
    r.tape = r.d_y + cells * (size_t)z->half;
    r.back = r.tape + cells * z->inner.plan.n_tape;
    return r;
}

/* Tape and output of one inner step, from that slot of a cell of the window to cell `to` of the runs. */
static void bidirectional_untape(const struct bidirectional *z, const struct eddy_tape *tape, size_t cell, int slot,
                                 const struct bidirectional_runs *r, size_t to)
{
    const size_t half = (size_t)z->half, n_tape = z->inner.plan.n_tape;
    const float *at = tape->tape + (cell * (size_t)(1 + z->reach) + (size_t)slot) * z->slot;
    memcpy(r->tape + to * n_tape, at, n_tape * sizeof(float));
    memcpy(r->y + to * half, at + n_tape, half * sizeof(float));
}

/* The forward layer over the window: f_t is in the answer of `held` steps later. */
static void bidirectional_back_forward(const struct bidirectional *z, const float *params,
                                       const struct eddy_tape *tape, float *d_params, float *back)
{
    const size_t half = (size_t)z->half, n_rows = (size_t)tape->n_rows, n_state = z->inner.plan.n_state;
    const size_t cells = (size_t)tape->n_steps * n_rows, later = (size_t)z->held * n_rows;
    const struct bidirectional_runs r = bidirectional_runs(z, tape->n_steps, tape->n_rows, back);
    for (size_t b = 0; b < n_rows; b++)
        memcpy(r.start + b * n_state, tape->start + b * z->n_state, n_state * sizeof(float));
    memset(r.d_y, 0, cells * half * sizeof(float));
    for (size_t cell = 0; cell < cells; cell++) {
        bidirectional_untape(z, tape, cell, 0, &r, cell);
        if (cell + later < cells)
            memcpy(r.d_y + cell * half, tape->d_y + (cell + later) * 2 * half, half * sizeof(float));
    }
    struct eddy_tape inner = *tape;
    inner.y = r.y;
    inner.d_y = r.d_y;
    inner.tape = r.tape;
    inner.start = r.start;
    inner.target = NULL;
    z->inner.layer->backward(&z->inner.plan, params, &inner, d_params, r.back);
}

/* Reverse run `i` of n, that of a cell of the window, into the arrays of all. */
static void bidirectional_gather(const struct bidirectional *z, const struct eddy_tape *tape, size_t cell,
                                 const struct bidirectional_runs *r, size_t i, size_t n)
{
    const size_t n_in = (size_t)z->n_in, half = (size_t)z->half, n_rows = (size_t)tape->n_rows;
    const int t = (int)(cell / n_rows);
    const float *start = tape->start + cell % n_rows * z->n_state;
    for (int k = 0; k < z->reach; k++) {
        const size_t to = (size_t)k * n + i, past = cell - (size_t)k * n_rows; /* of step t - k, where it is one */
        const float *x = k <= t ? tape->x + past * n_in : ring_row(start + z->inputs, z->past, z->n_in, k - t);
        memcpy(r->x + to * n_in, x, n_in * sizeof(float));
        r->elapsed_s[to] = k == 0       ? 0
                           : k <= t + 1 ? tape->elapsed_s[past + n_rows]
                                        : *ring_row(start + z->times, z->past, 1, k - 1 - t);
        bidirectional_untape(z, tape, cell, 1 + k, r, to);
    }
    if (ring_counter(start[z->count], z->lag + 1) + t < z->lag) return; /* y was 0 */
    memcpy(r->d_y + ((size_t)z->past * n + i) * half, tape->d_y + (2 * cell + 1) * half, half * sizeof(float));
}

/* Adds a run's gradients to those of the inputs that lie in the window. */
static void bidirectional_scatter(const struct bidirectional *z, const struct eddy_tape *tape, size_t cell,
                                  const struct bidirectional_runs *r, size_t i, size_t n)
{
    const size_t n_in = (size_t)z->n_in, n_rows = (size_t)tape->n_rows, t = cell / n_rows;
    for (size_t k = 0; k < (size_t)z->reach && k <= t; k++)
        kernels_best()->add(n_in, r->d_x + (k * n + i) * n_in, tape->d_x + (cell - k * n_rows) * n_in);
}

/* The reverse layer: the runs of n cells of the window from `first` on, at most EDDY_LAYER_MAX_ROWS. */
static void bidirectional_back_reverse(const struct bidirectional *z, const float *params,
                                       const struct eddy_tape *tape, size_t first, int n, float *d_params,
                                       float *back)
{
    const struct bidirectional_runs r = bidirectional_runs(z, z->reach, n, back);
    const size_t n_rows = (size_t)tape->n_rows;
    uint64_t draws[EDDY_LAYER_MAX_ROWS];
    memset(r.start, 0, (size_t)n * z->inner.plan.n_state * sizeof(float));
    memset(r.d_y, 0, (size_t)z->reach * (size_t)n * (size_t)z->half * sizeof(float));
    for (size_t i = 0; i < (size_t)n; i++) {
        const size_t cell = first + i;
        bidirectional_gather(z, tape, cell, &r, i, (size_t)n);
        if (tape->draws) (void)inner_draws(tape->draws + cell % n_rows, 1, (int)(cell / n_rows), draws + i);
    }
    const struct eddy_tape inner = {.n_steps = z->reach,
                                    .n_rows = n,
                                    .x = r.x,
                                    .y = r.y,
                                    .tape = r.tape,
                                    .d_y = r.d_y,
                                    .d_x = tape->d_x ? r.d_x : NULL,
                                    .start = r.start,
                                    .elapsed_s = r.elapsed_s,
                                    .draws = tape->draws ? draws : NULL};
    z->inner.layer->backward(&z->inner.plan, params, &inner, d_params, r.back);
    for (size_t i = 0; i < (size_t)n && tape->d_x; i++) bidirectional_scatter(z, tape, first + i, &r, i, (size_t)n);
}

static void bidirectional_backward(const struct eddy_layer_plan *plan, const float *params,
                                   const struct eddy_tape *tape, float *d_params, float *back)
{
    const struct bidirectional z = bidirectional_of(plan);
    const size_t cells = (size_t)tape->n_steps * (size_t)tape->n_rows, n_params = z.inner.plan.n_params;
    bidirectional_back_forward(&z, params, tape, d_params, back);
    for (size_t first = 0; first < cells; first += EDDY_LAYER_MAX_ROWS) {
        const int n = cells - first < EDDY_LAYER_MAX_ROWS ? (int)(cells - first) : EDDY_LAYER_MAX_ROWS;
        bidirectional_back_reverse(&z, params + n_params, tape, first, n, d_params + n_params, back);
    }
}

static bool bidirectional_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    static const char reverse[] = "_reverse";
    const struct bidirectional z = bidirectional_of(plan);
    int n = 0;
    if (inner_tensor(&z.inner, i, out)) return true;
    while (inner_tensor(&z.inner, n, out)) n++;
    if (!inner_tensor(&z.inner, i - n, out)) return false;
    const size_t len = strnlen(out->name, sizeof(out->name) - sizeof(reverse));
    memcpy(out->name + len, reverse, sizeof(reverse));
    out->first += z.inner.plan.n_params;
    return true;
}

const struct eddy_layer layer_bidirectional = {
    .part = {.struct_size = sizeof(struct eddy_layer),
             .kind = EDDY_PART_LAYER,
             .name = "bidirectional",
             .summary = "A recurrent layer in both directions: each output comes late and knows what came after.",
             .options = bidirectional_options,
             .settings_size = sizeof(struct bidirectional_settings)},
    .plan = bidirectional_plan,
    .init = bidirectional_init,
    .pack = bidirectional_pack,
    .step = bidirectional_step,
    .backward = bidirectional_backward,
    .tensor = bidirectional_tensor,
};

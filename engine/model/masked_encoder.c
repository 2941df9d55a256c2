/* A Transformer encoder that fills in what is hidden from it, in the manner of BERT (Devlin et al. 2019).
 *
 * Over the last W inputs x_0 (oldest) .. x_{W-1}, run again at every s-th event, two-way, N blocks:
 *
 *   h_p = W_in x_p + b_in + e_p,  or  m + e_p  where p is hidden           e_p: a trained vector for each place
 *   block:  u = LN1(h)    h' = h + attention over all places(u)    h = h' + W_2 relu(W_1 LN2(h') + b_1) + b_2
 *   y_p = LN(h_p)         of the hidden places
 *
 * Hidden are the s steps from the one of `lag` events ago on; the answers for them are handed out one per event, so each
 * event's output answers the event of `lag` steps ago, which the network has not seen.  In training other places are
 * hidden too, each with probability `mask`.
 * Two-way attention looks at all pairs of places: W^2 per firing and block, W^2 / s per event; the last block is asked
 * for the hidden places alone.
 *
 *   backward: the forward pass of each firing in the window is made again, then block by block from the top down
 *
 * Parameters  input.weight [U, n_in], bias | mask m [U] | position e [W, U] | the blocks' (as of transformer.c) |
 *             norm.weight, bias [U]
 * State       events since it last ran | steps kept | answers [s, U] | ring of the last W inputs        Tape  none */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/model/attend.h"
#include "engine/model/initial.h"
#include "engine/model/layers.h"
#include "engine/model/masked_run.h"
#include "engine/model/ring.h"

struct masked_settings {
    int64_t units, heads, blocks, feed_forward, window, stride, lag;
    double mask;
};

static const struct eddy_option masked_options[] = {
    {"units", EDDY_OPT_INT, offsetof(struct masked_settings, units), "32", 1, 1024, "", "Width of the network.", NULL,
     0, false},
    {"heads", EDDY_OPT_INT, offsetof(struct masked_settings, heads), "4", 1, ATTEND_MAX_HEADS, "",
     "How many questions are asked side by side; units must be a multiple of it.", NULL, 0, false},
    {"blocks", EDDY_OPT_INT, offsetof(struct masked_settings, blocks), "2", 1, MASKED_MAX_BLOCKS, "",
     "Transformer blocks, one on top of the other.", NULL, 0, false},
    {"feed_forward", EDDY_OPT_INT, offsetof(struct masked_settings, feed_forward), "64", 1, 4096, "",
     "Width of the layer inside each block.", NULL, 0, false},
    {"window", EDDY_OPT_INT, offsetof(struct masked_settings, window), "32", 2, ATTEND_MAX_WINDOW, "steps",
     "How many steps it looks at; its inputs of all of them are kept per key.", NULL, 0, false},
    {"stride", EDDY_OPT_INT, offsetof(struct masked_settings, stride), "4", 1, ATTEND_MAX_WINDOW, "events",
     "It runs at every so many events, and fills in as many hidden steps at once.", NULL, 0, false},
    {"lag", EDDY_OPT_INT, offsetof(struct masked_settings, lag), "8", 0, ATTEND_MAX_WINDOW, "events",
     "How late it answers: an event's answer is given when so many have followed, at least stride - 1 and less than "
     "window.",
     NULL, 0, false},
    {"mask", EDDY_OPT_REAL, offsetof(struct masked_settings, mask), "0.15", 0, 0.9, "probability",
     "In training, how many of the other steps are hidden as well.", NULL, 0, false},
    {0}};

static struct masked masked_make(const struct masked_settings *s, int n_in)
{
    return (struct masked){.n_in = n_in,
                           .units = (int)s->units,
                           .heads = (int)s->heads,
                           .blocks = (int)s->blocks,
                           .inner = (int)s->feed_forward,
                           .window = (int)s->window,
                           .stride = (int)s->stride,
                           .lag = (int)s->lag,
                           .mask = (float)s->mask};
}

static struct masked masked_of(const struct eddy_layer_plan *plan)
{
    return masked_make(plan->settings, plan->n_in);
}

/* In a state: counters, answers, ring. */
enum { AT_SINCE, AT_KEPT, AT_ANSWERS };

static size_t masked_ring(const struct masked *m)
{
    return AT_ANSWERS + (size_t)m->stride * (size_t)m->units;
}

static eddy_status masked_plan(const void *settings, const struct eddy_layer_place *place,
                               struct eddy_layer_plan *out, struct eddy_error *err)
{
    const struct masked_settings *s = settings;
    const struct masked m = masked_make(s, place->n_in);
    if (place->n_in < 1 || s->units < 1 || s->heads < 1 || s->blocks < 1 || s->feed_forward < 1 || s->window < 2 ||
        s->stride < 1)
        return eddy_fail(err, EDDY_ECONFIG, "masked_encoder: %lld units on %d inputs cannot be", (long long)s->units,
                         place->n_in);
    if (m.units % m.heads != 0)
        return eddy_fail(err, EDDY_ECONFIG, "masked_encoder: %d units cannot be shared out evenly among %d heads",
                         m.units, m.heads);
    if (m.lag < m.stride - 1 || m.lag >= m.window)
        return eddy_fail(
            err, EDDY_ECONFIG,
            "masked_encoder: lag %d: must be at least stride - 1 = %d, so that every step is hidden once, and "
            "less than the window of %d",
            m.lag, m.stride - 1, m.window);
    *out = (struct eddy_layer_plan){.n_in = place->n_in,
                                    .n_out = m.units,
                                    .n_params = masked_places(&m).end,
                                    .n_packed = masked_packed(&m).end,
                                    .n_state = masked_ring(&m) + ring_floats(m.window, m.n_in),
                                    .n_work = masked_run_floats(&m, false),
                                    .n_back_once = masked_packed(&m).end + masked_run_floats(&m, true) +
                                                   masked_back_floats(&m),
                                    .lag = m.lag,
                                    .stride = 1,
                                    .multiply_adds = masked_multiply_adds(&m) / (size_t)m.stride + 1,
                                    .settings = settings};
    return EDDY_OK;
}

static void masked_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    const struct masked m = masked_of(plan);
    masked_weights(&m, seed, params);
}

static void masked_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    const struct masked m = masked_of(plan);
    masked_panels(&m, params, packed);
}

/* Whether a place is hidden: one whose answer is wanted, or in training by chance. */
static bool masked_hides(const struct masked *m, int place, const uint64_t *draw, int step)
{
    const int first = m->window - 1 - m->lag;
    if (place >= first && place < first + m->stride) return true;
    return draw && eddy_random_uniform(*draw, (uint64_t)step * (uint64_t)m->window + (uint64_t)place) < m->mask;
}

/* The answers to the hidden steps; 0 for steps before the key's first. */
static void masked_answers(const struct masked *m, const struct masked_run *run, float *answers /* [s, U] */)
{
    const size_t units = (size_t)m->units;
    for (int k = 0; k < m->stride; k++) {
        const int place = m->window - 1 - m->lag + k;
        if (place >= run->known.first)
            memcpy(answers + (size_t)k * units, run->y + (size_t)place * units, units * sizeof(float));
        else
            memset(answers + (size_t)k * units, 0, units * sizeof(float));
    }
}

static void masked_row(const struct masked *m, const float *packed, const float *x, float *state, float *y,
                       const uint64_t *draw, int step, float *work)
{
    float *ring = state + masked_ring(m), *answers = state + AT_ANSWERS;
    int since = ring_counter(state[AT_SINCE], m->stride), kept = ring_counter(state[AT_KEPT], m->window + 1);
    ring_push(ring, m->window, m->n_in, x);
    if (kept < m->window) kept++;
    if (++since == m->stride) {
        struct masked_run run;
        since = 0;
        masked_run_open(m, &run, kept, false, work);
        for (int place = run.known.first; place < m->window; place++) {
            run.x[place] = ring_row(ring, m->window, m->n_in, m->window - place);
            run.hidden[place] = masked_hides(m, place, draw, step);
        }
        masked_forward(m, packed, &run);
        masked_answers(m, &run, answers);
    }
    state[AT_SINCE] = (float)since;
    state[AT_KEPT] = (float)kept;
    memcpy(y, answers + (size_t)since * (size_t)m->units, (size_t)m->units * sizeof(float));
}

static void masked_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                        float *work)
{
    const struct masked m = masked_of(plan);
    for (int b = 0; b < rows->n; b++)
        masked_row(&m, packed, rows->x[b], rows->state[b], rows->y[b], rows->draws ? &rows->draws[b] : NULL,
                   rows->step, work);
}

/* The firing of row b at step t once more, and back through it. */
static void masked_back_firing(const struct masked *m, const float *params, const float *packed,
                               const struct eddy_tape *tape, size_t n_state, int t, int b, float *d_params,
                               float *scratch)
{
    const float *start = tape->start + (size_t)b * n_state;
    const int kept = ring_counter(start[AT_KEPT], m->window + 1) + t + 1,
              places = kept < m->window ? kept : m->window;
    const size_t rows = (size_t)tape->n_rows, units = (size_t)m->units, n_in = (size_t)m->n_in;
    struct masked_run run;
    masked_run_open(m, &run, places, true, scratch);
    for (int place = run.known.first; place < m->window; place++) {
        const int step = t - (m->window - 1 - place);
        const size_t cell = (size_t)(step < 0 ? 0 : step) * rows + (size_t)b;
        run.x[place] = step >= 0 ? tape->x + cell * n_in
                                 : ring_row(start + masked_ring(m), m->window, m->n_in, -step);
        run.d_x[place] = step >= 0 && tape->d_x ? tape->d_x + cell * n_in : NULL;
        run.hidden[place] = masked_hides(m, place, tape->draws ? &tape->draws[b] : NULL, t);
    }
    masked_forward(m, packed, &run);
    for (int place = 0; place < m->window; place++) run.d_y[place] = NULL;
    for (int k = 0; k < m->stride && t + k < tape->n_steps; k++) {
        const int place = m->window - 1 - m->lag + k;
        if (place >= run.known.first) run.d_y[place] = tape->d_y + ((size_t)(t + k) * rows + (size_t)b) * units;
    }
    masked_descend(m, params, &run, d_params, scratch + masked_run_floats(m, true));
}

static void masked_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *tape,
                            float *d_params, float *back)
{
    const struct masked m = masked_of(plan);
    float *packed = back, *scratch = back + masked_packed(&m).end;
    masked_panels(&m, params, packed);
    if (tape->d_x)
        memset(tape->d_x, 0, (size_t)tape->n_steps * (size_t)tape->n_rows * (size_t)m.n_in * sizeof(float));
    for (int b = 0; b < tape->n_rows; b++) {
        const int since = ring_counter(tape->start[(size_t)b * plan->n_state + AT_SINCE], m.stride);
        for (int t = m.stride - 1 - since; t < tape->n_steps; t += m.stride)
            masked_back_firing(&m, params, packed, tape, plan->n_state, t, b, d_params, scratch);
    }
}

static bool masked_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    const struct masked m = masked_of(plan);
    return masked_tensor_of(&m, i, out);
}

const struct eddy_layer layer_masked_encoder = {
    .part = {.struct_size = sizeof(struct eddy_layer),
             .kind = EDDY_PART_LAYER,
             .name = "masked_encoder",
             .summary = "Two-way Transformer encoder that fills in hidden steps (BERT): for reconstruction errors.",
             .options = masked_options,
             .settings_size = sizeof(struct masked_settings)},
    .plan = masked_plan,
    .init = masked_init,
    .pack = masked_pack,
    .step = masked_step,
    .backward = masked_backward,
    .tensor = masked_tensor,
};

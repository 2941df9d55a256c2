#include "tests/unit/model/probe.h"

#include <criterion/criterion.h>
#include <string.h>

static struct probe *probe_of(const struct eddy_layer_plan *plan)
{
    return (struct probe *)(uintptr_t)plan->settings; /* the record of the test */
}

static eddy_status probe_plan(const void *settings, const struct eddy_layer_place *place, struct eddy_layer_plan *out,
                              struct eddy_error *err)
{
    const struct probe *p = settings;
    (void)err;
    *out = (struct eddy_layer_plan){.n_in = place->n_in,
                                    .n_out = place->n_in,
                                    .n_state = !p->forgets,
                                    .lag = p->lag,
                                    .stride = p->stride > 0 ? p->stride : 1,
                                    .head = p->head,
                                    .settings = settings};
    return EDDY_OK;
}

static void probe_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    (void)plan, (void)seed, (void)params;
}

static void probe_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    (void)plan, (void)params, (void)packed;
}

static void probe_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                       float *work)
{
    struct probe *p = probe_of(plan);
    (void)packed, (void)work;
    for (int b = 0; b < rows->n; b++) {
        float *count = plan->n_state > 0 ? rows->state[b] : NULL;
        if (count) *count = *count + 1 < (float)plan->stride ? *count + 1 : 0;
        if (!count || *count == 0) memcpy(rows->y[b], rows->x[b], (size_t)plan->n_out * sizeof(float));
        cr_assert_lt(p->n_seen, PROBE_MOST);
        p->seen[p->n_seen++] = (struct probe_seen){.step = rows->step,
                                                   .x = rows->x[b][0],
                                                   .elapsed_s = rows->elapsed_s[b],
                                                   .label = rows->target ? rows->target[b][0] : 0,
                                                   .draw = rows->draws ? rows->draws[b] : 0};
    }
}

static void probe_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *tape,
                           float *d_params, float *back)
{
    struct probe *p = probe_of(plan);
    const size_t width = (size_t)plan->n_out;
    const int cells = tape->n_steps * tape->n_rows;
    (void)params, (void)d_params, (void)back;
    cr_assert_leq(cells, PROBE_MOST);
    for (int b = 0; b < tape->n_rows && plan->n_state > 0; b++) p->start[b] = tape->start[b];
    for (int i = 0; i < cells; i++) p->d_y[i] = tape->d_y[(size_t)i * width];
    p->n_slopes = cells;
    if (tape->d_x) memcpy(tape->d_x, tape->d_y, (size_t)cells * width * sizeof(float));
}

static bool probe_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    (void)plan, (void)i, (void)out;
    return false;
}

const struct eddy_layer probe_layer = {.part = {.struct_size = sizeof(probe_layer),
                                                .kind = EDDY_PART_LAYER,
                                                .name = "probe",
                                                .settings_size = sizeof(struct probe)},
                                       .plan = probe_plan,
                                       .init = probe_init,
                                       .pack = probe_pack,
                                       .step = probe_step,
                                       .backward = probe_backward,
                                       .tensor = probe_tensor};

/* The networks' step for all rows of a wave, in place on the keys' states, and the scratch that it needs. */
#include <stdlib.h>

#include "engine/flow/lane_private.h"

static eddy_status step_no_memory(const struct lane *l, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory", l->request.topic, (int)l->request.partition);
}

eddy_status lane_step_open(struct lane *l, struct eddy_error *err)
{
    size_t work = 1, packed = 1, head = 1;
    for (int k = 0; k < l->plan->n_networks; k++) {
        const struct network *net = l->plan->networks[k].net;
        if (net->n_work > work) work = net->n_work;
        if (net->n_packed > packed) packed = net->n_packed;
        if ((size_t)net->n_targets > head) head = (size_t)net->n_targets;
        if (net->classes.n > 0 && (size_t)net->classes.n > head) head = (size_t)net->classes.n;
    }
    l->work = calloc(work, sizeof(*l->work));
    l->packed = calloc(packed, sizeof(*l->packed));
    l->head = calloc(head, sizeof(*l->head));
    return l->work && l->packed && l->head ? EDDY_OK : step_no_memory(l, err);
}

void lane_step_close(struct lane *l)
{
    free(l->work), free(l->packed), free(l->head);
}

void lane_step_free(struct lane *l)
{
    free(l->steps), free(l->elapsed);
    for (int k = 0; k < l->plan->n_networks; k++) {
        struct lane_rows *rows = &l->rows[k];
        free(rows->state), free(rows->y), free(rows->inputs), free(rows->outputs);
    }
    free((void *)l->wave_x), free(l->wave_state), free(l->wave_y), free(l->wave_elapsed);
}

eddy_status lane_step_reserve(struct lane *l, int n_events, struct eddy_error *err)
{
    const size_t rows = (size_t)n_events * (size_t)l->plan->n_channels;
    l->steps = calloc(rows, sizeof(*l->steps));
    l->elapsed = calloc(rows, sizeof(*l->elapsed));
    l->wave_x = (const float **)calloc(rows, sizeof(*l->wave_x));
    l->wave_state = calloc(rows, sizeof(*l->wave_state));
    l->wave_y = calloc(rows, sizeof(*l->wave_y));
    l->wave_elapsed = calloc(rows, sizeof(*l->wave_elapsed));
    bool good = l->steps && l->elapsed && l->wave_x && l->wave_state && l->wave_y && l->wave_elapsed;
    for (int k = 0; k < l->plan->n_networks; k++) {
        const struct network *net = l->plan->networks[k].net;
        struct lane_rows *r = &l->rows[k];
        r->state = calloc(rows, sizeof(*r->state));
        r->y = calloc(rows, sizeof(*r->y));
        r->inputs = calloc(rows * (size_t)net->n_in, sizeof(*r->inputs));
        r->outputs = calloc(rows * (size_t)net->n_out, sizeof(*r->outputs));
        good = good && r->state && r->y && r->inputs && r->outputs;
    }
    return good ? EDDY_OK : step_no_memory(l, err);
}

/* Appends the rows of one event to the wave's. */
static int step_gather(struct lane *l, int network, int event, int n)
{
    const struct lane_rows *from = &l->rows[network];
    const size_t n_in = (size_t)l->plan->networks[network].net->n_in, channels = (size_t)l->plan->n_channels;
    for (size_t row = (size_t)event * channels; row < ((size_t)event + 1) * channels; row++) {
        if (!l->steps[row]) continue;
        l->wave_x[n] = from->inputs + row * n_in;
        l->wave_state[n] = from->state[row];
        l->wave_y[n] = from->y[row];
        l->wave_elapsed[n++] = l->elapsed[row];
    }
    return n;
}

static void step_rows(struct lane *l, const struct plan_network *network, const float *packed, int n)
{
    const struct eddy_rows rows = {.n = n,
                                   .x = l->wave_x,
                                   .state = l->wave_state,
                                   .elapsed_s = l->wave_elapsed,
                                   .y = network->unheard ? NULL : l->wave_y};
    if (n > 0) network_step(network->net, packed, &rows, l->work);
}

void lane_step_wave(struct lane *l, const int *order, int n)
{
    for (int k = 0; k < l->plan->n_networks; k++) {
        const struct plan_network *network = &l->plan->networks[k];
        int gathered = 0;
        for (int i = 0; i < n; i++) {
            if (!l->items[order[i]].stepped) continue;
            gathered = step_gather(l, k, order[i], gathered);
            if (!network->own_weights) continue;
            step_rows(l, network, lane_own_weights(l, network, l->items[order[i]].row), gathered);
            gathered = 0;
        }
        step_rows(l, network, l->weights->packed + l->plan->model->slices[k].first_packed, gathered);
    }
}

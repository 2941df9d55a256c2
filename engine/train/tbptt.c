/* Forward layer by layer over the whole window, rows = windows (batch.c), then back from the head down.  T events, B
 * windows. */
#include "engine/train/tbptt.h"

#include <math.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/train/batch.h"

static int64_t known(const float *target, int n)
{
    return (int64_t)kernels_best()->known((size_t)n, target);
}

/* Labels that an output of this window answers. */
static int64_t count_labels(const struct batch *b)
{
    const int n_targets = b->net->n_targets;
    int64_t n = 0;
    for (int row = 0; row < b->n_rows; row++) {
        const float *target = window_target(b->shape, batch_window(b, row));
        for (int t = 0, k = -1; t < b->n_steps; t++, target += n_targets) {
            k = batch_standing(b, row, t, k);
            if (k >= 0) n += known(target, n_targets);
        }
    }
    return n;
}

static bool any_label(const struct batch *b)
{
    for (int row = 0; row < b->n_rows; row++)
        if (known(window_target(b->shape, batch_window(b, row)), b->n_steps * b->net->n_targets) > 0) return true;
    return false;
}

/* Fills d_y of the head from the labels; returns the sum of the losses.  An output that stands for several events is
 * answered by the labels of all of them. */
static double batch_loss(struct batch *b, float weight)
{
    const struct network *net = b->net;
    const struct layer_run *top = &b->runs[net->n_layers];
    const size_t n_out = (size_t)net->n_out, n_rows = (size_t)b->n_rows;
    double sum = 0;
    memset(b->d_y, 0, (size_t)top->grid.n_steps * n_rows * n_out * sizeof(float));
    for (int row = 0; row < b->n_rows; row++) {
        const float *target = window_target(b->shape, batch_window(b, row));
        for (int t = 0, k = -1; t < b->n_steps; t++, target += net->n_targets) {
            k = batch_standing(b, row, t, k);
            if (k < 0 || known(target, net->n_targets) == 0) continue;
            const size_t at = ((size_t)k * n_rows + (size_t)row) * n_out;
            sum += loss_step(&net->loss, net->n_targets, top->y + at, target, weight, b->step);
            for (size_t i = 0; i < n_out; i++) b->d_y[at + i] += b->step[i];
        }
    }
    return sum;
}

/* Gradients by the inputs of the grid above a layer with a stride become those by its outputs. */
static void batch_scatter(struct batch *b, int layer)
{
    const struct layer_run *run = &b->runs[layer];
    const size_t rows = (size_t)b->n_rows, width = (size_t)b->net->layers[layer].plan.n_out;
    memset(b->d_y, 0, (size_t)run->grid.n_steps * rows * width * sizeof(float));
    for (size_t i = 0; i < (size_t)run[1].grid.n_steps * rows; i++)
        if (run->fired[i] >= 0)
            memcpy(b->d_y + ((size_t)run->fired[i] * rows + i % rows) * width, b->d_x + i * width,
                   width * sizeof(float));
}

/* From the gradient by the output of `layer` to that by the output of the layer below. */
static void batch_descend(struct batch *b, int layer)
{
    const struct network_layer *l = &b->net->layers[layer];
    const size_t n = (size_t)b->runs[layer].grid.n_steps * (size_t)b->n_rows * (size_t)l->plan.n_in;
    for (size_t i = 0; l->residual && i < n; i++) b->d_x[i] += b->d_y[i];
    if (b->net->layers[layer - 1].plan.stride > 1) {
        batch_scatter(b, layer - 1);
        return;
    }
    float *done = b->d_y;
    b->d_y = b->d_x;
    b->d_x = done;
}

static void batch_backward(struct batch *b, const float *params, float *grad)
{
    memset(grad, 0, b->net->n_params * sizeof(float));
    for (int layer = b->net->n_layers; layer >= 0; layer--) {
        const struct network_layer *l = &b->net->layers[layer];
        const struct layer_run *run = &b->runs[layer];
        const struct eddy_tape tape = {
            .n_steps = run->grid.n_steps,
            .n_rows = b->n_rows,
            .x = run->x,
            .y = run->y,
            .tape = run->tape,
            .d_y = b->d_y,
            .d_x = layer > 0 ? b->d_x : NULL,
            .start = run->start,
            .elapsed_s = run->grid.elapsed_s,
            .target = l->plan.head ? run->grid.target : NULL,
            .draws = b->draws,
        };
        batch_draw(b, layer);
        l->layer->backward(&l->plan, params + l->first_param, &tape, grad + l->first_param, b->back);
        if (layer > 0) batch_descend(b, layer);
    }
}

eddy_status tbptt_gradient(const struct network *net, const struct window_shape *shape, const float *params,
                           const float *windows, int n, uint64_t draw, float *grad, double *loss,
                           struct train_scratch *scratch, struct eddy_error *err)
{
    struct batch b = {
        .net = net, .shape = shape, .windows = windows, .n_steps = shape->n_steps, .n_rows = n, .draw = draw};
    *loss = NAN;
    scratch->n_labels = 0;
    memset(grad, 0, net->n_params * sizeof(float));
    if (!any_label(&b)) return EDDY_OK;
    eddy_status rc = batch_open(&b, scratch, err);
    if (rc < 0) return rc;
    batch_forward(&b, params);
    scratch->n_labels = count_labels(&b);
    if (scratch->n_labels == 0) return EDDY_OK;
    const double labels = (double)scratch->n_labels;
    *loss = batch_loss(&b, (float)((double)net->n_targets / labels)) / labels;
    batch_backward(&b, params, grad);
    return EDDY_OK;
}

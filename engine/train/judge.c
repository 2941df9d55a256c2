#include "engine/train/judge.h"

#include <math.h>

#include "engine/math/kernels.h"
#include "engine/train/batch.h"

enum { JUDGE_BATCH = 32 };

/* Means per row, from the outputs of a batch that has gone forward. */
static void judge_rows(struct batch *b, double *each)
{
    const struct network *net = b->net;
    const struct layer_run *top = &b->runs[net->n_layers];
    for (int row = 0; row < b->n_rows; row++) {
        const float *target = window_target(b->shape, batch_window(b, row));
        double sum = 0;
        int64_t labels = 0;
        for (int t = 0, k = -1; t < b->n_steps; t++, target += net->n_targets) {
            k = batch_standing(b, row, t, k);
            const int64_t known = (int64_t)kernels_best()->known((size_t)net->n_targets, target);
            if (k < 0 || known == 0) continue;
            const size_t at = ((size_t)k * (size_t)b->n_rows + (size_t)row) * (size_t)net->n_out;
            sum += loss_step(&net->loss, net->n_targets, top->y + at, target, 1, b->step);
            labels += known;
        }
        each[row] = labels > 0 ? sum / (double)labels : NAN;
    }
}

eddy_status judge_windows(const struct network *net, const struct window_shape *shape, const float *params,
                          const float *windows, int n, double *each, struct train_scratch *scratch,
                          struct eddy_error *err)
{
    const size_t floats = window_floats(shape);
    for (int first = 0; first < n; first += JUDGE_BATCH) {
        const int rows = n - first < JUDGE_BATCH ? n - first : JUDGE_BATCH;
        struct batch b = {.net = net,
                          .shape = shape,
                          .windows = windows + (size_t)first * floats,
                          .n_steps = shape->n_steps,
                          .n_rows = rows};
        eddy_status rc = batch_open(&b, scratch, err);
        if (rc < 0) return rc;
        batch_forward(&b, params);
        judge_rows(&b, each + first);
    }
    return EDDY_OK;
}

eddy_status judge_model(const struct model *model, const float *params, const struct train_windows *all,
                        struct train_scratch *scratch, double *loss, struct eddy_error *err)
{
    const float *windows = all->data;
    double total = 0;
    int networks = 0;
    *loss = NAN;
    for (int k = 0; k < model->n; k++) {
        const struct window_shape *shape = &all->shapes[k];
        if (shape->n_steps == 0) continue;
        const size_t floats = window_floats(shape);
        double sum = 0, each[JUDGE_BATCH];
        int labelled = 0;
        for (int first = 0; first < all->n; first += JUDGE_BATCH) {
            const int n = all->n - first < JUDGE_BATCH ? all->n - first : JUDGE_BATCH;
            eddy_status rc = judge_windows(model->slices[k].net, shape, params + model->slices[k].first_param,
                                           windows + (size_t)first * floats, n, each, scratch, err);
            if (rc < 0) return rc;
            for (int i = 0; i < n; i++) {
                if (isnan(each[i])) continue;
                sum += each[i];
                labelled++;
            }
        }
        windows += (size_t)all->n * floats;
        if (labelled == 0) continue;
        total += sum / labelled;
        networks++;
    }
    if (networks > 0) *loss = total / networks;
    return EDDY_OK;
}

/* Worse by more than `tolerance` spreads of the base's losses, over windows with labels.  A loss that is not finite is
 * worse than any. */
static bool judge_worse(const double *base, const double *candidate, int n, double tolerance)
{
    enum { FEWEST = 8 };
    double mean = 0, squares = 0, moved = 0;
    int labelled = 0;
    for (int i = 0; i < n; i++) {
        if (isnan(base[i])) continue;
        mean += base[i];
        squares += base[i] * base[i];
        moved += candidate[i] - base[i];
        labelled++;
    }
    if (labelled < FEWEST) return false;
    mean /= labelled;
    const double spread = sqrt(fmax(squares / labelled - mean * mean, 1e-6 * mean * mean));
    return !(moved / labelled <= tolerance * spread);
}

eddy_status judge_candidate(const struct model *model, const struct train_windows *all, double tolerance,
                            const float *base, const float *candidate, struct train_scratch *scratch, bool *worse,
                            struct eddy_error *err)
{
    double before[TRAIN_HELD_MOST], after[TRAIN_HELD_MOST];
    const float *windows = all->data;
    *worse = false;
    for (int k = 0; k < model->n && !*worse; k++) {
        const struct window_shape *shape = &all->shapes[k];
        if (shape->n_steps == 0) continue;
        const struct model_slice *slice = &model->slices[k];
        const float *held = windows + (size_t)all->n * window_floats(shape);
        eddy_status rc = judge_windows(slice->net, shape, base + slice->first_param, held, all->n_held, before,
                                       scratch, err);
        if (rc >= 0)
            rc = judge_windows(slice->net, shape, candidate + slice->first_param, held, all->n_held, after, scratch,
                               err);
        if (rc < 0) return rc;
        *worse = judge_worse(before, after, all->n_held, tolerance);
        windows = held + (size_t)all->n_held * window_floats(shape);
    }
    return EDDY_OK;
}

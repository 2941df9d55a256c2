/* How a lane learns: windows are cut from the keys' rows, sampled over an epoch, handed to the trainer at its end, and
 * the candidate is adopted `train.lag` epochs later.  With `scope: key` a key trains its own weights at once instead. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flow/lane_private.h"

static const double TARGET_LIMIT = 20;

static eddy_status train_no_memory(const struct lane *l, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory while training", l->topic, (int)l->request.partition);
}

eddy_status lane_train_open(struct lane *l, struct eddy_error *err)
{
    const struct plan *p = l->plan;
    size_t windows = (size_t)p->settings->train.windows;
    eddy_status rc = weights_initial(p->network, (uint64_t)p->settings->seed, &l->weights, err);
    if (rc < 0 || !p->training) return rc;

    l->windows.item = calloc(windows, sizeof(*l->windows.item));
    l->mark.windows.item = calloc(windows, sizeof(*l->mark.windows.item));
    l->gathered = calloc(windows * window_floats(&p->window), sizeof(*l->gathered));
    l->scratch = train_scratch_open();
    if (!l->windows.item || !l->mark.windows.item || !l->gathered || !l->scratch) return train_no_memory(l, err);
    return EDDY_OK;
}

void lane_train_close(struct lane *l)
{
    if (l->mark.set) lane_train_commit(l);
    trainer_forget(l->trainer, l->plan->network); /* also jobs that an abort has let go of */
    for (int i = 0; i < l->n_jobs; i++) train_job_release(l->jobs[i].job);
    for (int i = 0; i < l->windows.n; i++) free(l->windows.item[i].block);
    for (int i = 0; i < l->n_spare; i++) free(l->spare[i]);
    free(l->jobs), free(l->spare), free(l->gathered);
    free(l->windows.item), free(l->mark.windows.item);
    train_scratch_close(l->scratch);
    weights_unref(l->weights);
}

/* ---- window blocks ---- */

static bool train_holds(const struct lane_windows *w, const float *block)
{
    for (int i = 0; i < w->n; i++)
        if (w->item[i].block == block) return true;
    return false;
}

static void train_spare(struct lane *l, float *block)
{
    if (l->n_spare == l->cap_spare) {
        int cap = l->cap_spare ? 2 * l->cap_spare : 64;
        float **grown = realloc(l->spare, (size_t)cap * sizeof(*grown));
        if (!grown) {
            free(block);
            return;
        }
        l->spare = grown;
        l->cap_spare = cap;
    }
    l->spare[l->n_spare++] = block;
}

/* A block that leaves the sample; lane_abort() may still want it. */
static void train_drop(struct lane *l, float *block)
{
    if (!l->mark.set || !train_holds(&l->mark.windows, block)) train_spare(l, block);
}

eddy_status lane_keep_window(struct lane *l, struct lane_window window, const float *block, struct eddy_error *err)
{
    size_t bytes = window_floats(&l->plan->window) * sizeof(float);
    window.block = l->n_spare > 0 ? l->spare[--l->n_spare] : malloc(bytes);
    if (!window.block) return train_no_memory(l, err);
    memcpy(window.block, block, bytes);

    if (l->windows.n < l->plan->settings->train.windows) {
        l->windows.item[l->windows.n++] = window;
        return EDDY_OK;
    }
    int largest = 0;
    for (int i = 1; i < l->windows.n; i++)
        if (l->windows.item[i].rank > l->windows.item[largest].rank) largest = i;
    train_drop(l, l->windows.item[largest].block);
    l->windows.item[largest] = window;
    return EDDY_OK;
}

static bool train_wants(const struct lane *l, uint64_t rank)
{
    if (l->windows.n < l->plan->settings->train.windows) return true;
    for (int i = 0; i < l->windows.n; i++)
        if (rank < l->windows.item[i].rank) return true;
    return false;
}

/* ---- cutting a window ---- */

void lane_keep_start(const struct lane *l, struct key_row *r, int channel)
{
    const struct plan *p = l->plan;
    int64_t step = lane_steps(l, r)[channel], every = p->settings->train.every;
    if (step % every != 0 || p->at_starts < 0) return;
    size_t place = (size_t)channel * (size_t)p->n_starts + (size_t)(step / every % p->n_starts),
           n = p->network->n_state;
    memcpy((float *)(void *)(r->row + p->at_starts) + place * n, lane_state(l, r, channel), n * sizeof(float));
}

/* Labels of one origin: the scaled differences to the values that have come since. */
static void train_targets(const struct lane *l, const struct key_row *r, int channel, int64_t origin, int64_t end,
                          float *target)
{
    const struct plan *p = l->plan;
    const struct point *from = (const struct point *)(const void *)(lane_point(l, r, channel, origin) + 1);
    for (int j = 0; j < p->outlook.n_horizons; j++) {
        int64_t at = origin + p->outlook.horizons[j];
        const struct point *to = at < end ? (const struct point *)(const void *)(lane_point(l, r, channel, at) + 1)
                                          : NULL;
        for (int d = 0; d < p->n_dims; d++) {
            double y = to && to[d].known > 0 && from[d].sigma > 0 ? (to[d].anchor - from[d].anchor) / from[d].sigma
                                                                  : NAN;
            target[j * p->n_dims + d] = (float)(y > TARGET_LIMIT    ? TARGET_LIMIT
                                                : y < -TARGET_LIMIT ? -TARGET_LIMIT
                                                                    : y);
        }
    }
}

/* The last n_steps steps of a channel; a younger one has its steps first and empty, label-less ones behind them. */
static void train_cut(const struct lane *l, const struct key_row *r, int channel, float *block)
{
    const struct plan *p = l->plan;
    const struct window_shape *w = &p->window;
    int64_t end = lane_steps(l, r)[channel], first = end > w->n_steps ? end - w->n_steps : 0;
    size_t place = (size_t)channel * (size_t)p->n_starts + (size_t)(first / p->settings->train.every % p->n_starts);
    memset(block, 0, window_floats(w) * sizeof(float));
    if (w->n_state > 0)
        memcpy(window_start(w, block), (const float *)(const void *)(r->row + p->at_starts) + place * w->n_state,
               w->n_state * sizeof(float));
    for (int64_t s = first; s < first + w->n_steps; s++) {
        size_t k = (size_t)(s - first);
        float *target = window_target(w, block) + k * (size_t)w->n_out;
        if (s >= end) {
            for (int o = 0; o < w->n_out; o++) target[o] = NAN;
            continue;
        }
        const struct point_head *head = lane_point(l, r, channel, s);
        window_elapsed(w, block)[k] = head->elapsed_s;
        lane_inputs(p, head, (const struct point *)(const void *)(head + 1), channel,
                    window_x(w, block) + k * (size_t)w->n_in);
        train_targets(l, r, channel, s, end, target);
    }
}

/* ---- scope: key ---- */

static struct train_state train_own_state(const struct lane *l, struct key_row *r, int64_t *steps)
{
    size_t n = l->plan->network->n_params;
    float *w = (float *)(void *)(r->row + l->plan->at_weights);
    return (struct train_state){w, w + n, w + 2 * n, w + 3 * n, steps};
}

/* The section counts steps + 1, so that 0 says that the key has no weights of its own yet. */
static int64_t *train_own_count(const struct lane *l, struct key_row *r)
{
    int64_t *count = (int64_t *)(void *)(r->row + l->plan->at_optimiser);
    if (*count == 0) {
        struct train_state own = train_own_state(l, r, NULL);
        memcpy(own.master, l->weights->master, l->plan->network->n_params * sizeof(float));
        memcpy(own.ema, l->weights->ema, l->plan->network->n_params * sizeof(float));
        *count = 1;
    }
    return count;
}

const float *lane_own_weights(struct lane *l, struct key_row *r)
{
    (void)train_own_count(l, r);
    struct train_state own = train_own_state(l, r, NULL);
    network_pack(l->plan->network, l->plan->settings->train.ema > 0 ? own.ema : own.master, l->packed);
    return l->packed;
}

static eddy_status train_own(struct lane *l, struct key_row *r, struct eddy_error *err)
{
    int64_t *count = train_own_count(l, r), steps = *count - 1;
    struct train_state own = train_own_state(l, r, &steps);
    struct train_report report = {0};
    eddy_status rc = train_step(l->plan->network, &l->plan->window, &l->plan->settings->train, &own, l->gathered, 1,
                                &report, l->scratch, err);
    *count = steps + 1;
    l->stats.updates += report.steps;
    l->stats.refused += report.refused;
    if (report.steps > 0) {
        l->stats.loss = report.loss;
        l->stats.grad_norm = report.grad_norm;
    }
    return rc;
}

eddy_status lane_learn(struct lane *l, struct key_row *r, int channel, int64_t offset, struct eddy_error *err)
{
    if (lane_steps(l, r)[channel] % l->plan->settings->train.every != 0) return EDDY_OK;
    if (!l->in_epochs) {
        train_cut(l, r, channel, l->gathered);
        return train_own(l, r, err);
    }
    struct lane_window window = {.offset = offset, .channel = channel};
    window.rank = eddy_random_bits((uint64_t)l->plan->settings->seed ^ 0x77696e646f7773u,
                                   (uint64_t)offset * (uint64_t)l->plan->n_channels + (uint64_t)channel);
    if (!train_wants(l, window.rank)) return EDDY_OK;
    train_cut(l, r, channel, l->gathered);
    return lane_keep_window(l, window, l->gathered, err);
}

/* ---- epochs ---- */

eddy_status lane_submit(struct lane *l, int64_t boundary, const float *windows, int n, struct eddy_error *err)
{
    if (l->n_jobs == l->cap_jobs) {
        int cap = l->cap_jobs ? 2 * l->cap_jobs : 8;
        struct lane_job *grown = realloc(l->jobs, (size_t)cap * sizeof(*grown));
        if (!grown) return train_no_memory(l, err);
        l->jobs = grown;
        l->cap_jobs = cap;
    }
    struct train_job *after = l->n_jobs > l->n_adopted ? l->jobs[l->n_jobs - 1].job : NULL, *job = NULL;
    eddy_status rc = trainer_submit(l->trainer, l->plan->network, &l->plan->window, &l->plan->settings->train,
                                    l->weights, after, windows, n, &job, err);
    if (rc >= 0) l->jobs[l->n_jobs++] = (struct lane_job){boundary, job};
    return rc;
}

static int train_by_offset(const void *a, const void *b)
{
    const struct lane_window *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return (x->channel > y->channel) - (x->channel < y->channel);
}

/* The epoch before `boundary` is complete: its windows become a job, in offset order. */
static eddy_status train_close_epoch(struct lane *l, int64_t boundary, struct eddy_error *err)
{
    size_t floats = window_floats(&l->plan->window);
    if (l->windows.n == 0) return EDDY_OK;
    qsort(l->windows.item, (size_t)l->windows.n, sizeof(*l->windows.item), train_by_offset);
    for (int i = 0; i < l->windows.n; i++)
        memcpy(l->gathered + (size_t)i * floats, l->windows.item[i].block, floats * sizeof(float));
    eddy_status rc = lane_submit(l, boundary, l->gathered, l->windows.n, err);
    if (rc < 0) return rc;
    for (int i = 0; i < l->windows.n; i++) train_drop(l, l->windows.item[i].block);
    l->windows.n = 0;
    return EDDY_OK;
}

/* Adopts the oldest candidate when `boundary` is its time; false: it is not done yet. */
static bool train_adopt(struct lane *l, int64_t boundary)
{
    const struct lane_job *job = &l->jobs[l->n_adopted];
    if (l->n_adopted == l->n_jobs || job->boundary + l->plan->settings->train.lag > boundary) return true;
    if (!train_job_done(job->job)) return false;
    struct weights *candidate = weights_ref(train_job_result(job->job));
    weights_unref(l->weights);
    l->weights = candidate;
    l->n_adopted++;
    return true;
}

bool lane_enter_epoch(struct lane *l, int64_t epoch, eddy_status *rc, struct eddy_error *err)
{
    *rc = EDDY_OK;
    if (l->epoch < 0) l->epoch = epoch;
    while (l->epoch < epoch) {
        /* Boundaries at which nothing can happen are passed in one go: offsets may jump far. */
        int64_t boundary = l->epoch + 1;
        if (l->windows.n == 0) {
            boundary = epoch;
            if (l->n_adopted < l->n_jobs && l->jobs[l->n_adopted].boundary + l->plan->settings->train.lag < epoch)
                boundary = l->jobs[l->n_adopted].boundary + l->plan->settings->train.lag;
            if (boundary <= l->epoch) boundary = l->epoch + 1;
        }
        if (!train_adopt(l, boundary)) return false;
        *rc = train_close_epoch(l, boundary, err);
        if (*rc < 0) return false;
        l->epoch = boundary;
    }
    return true;
}

/* ---- batches ---- */

void lane_train_mark(struct lane *l)
{
    l->mark.n_jobs = l->n_jobs;
    l->mark.weights = weights_ref(l->weights);
    l->mark.windows.n = l->windows.n;
    if (l->windows.n > 0)
        memcpy(l->mark.windows.item, l->windows.item, (size_t)l->windows.n * sizeof(*l->windows.item));
}

/* Blocks that only the mark held are free again; adopted candidates are history. */
void lane_train_commit(struct lane *l)
{
    for (int i = 0; i < l->mark.windows.n; i++)
        if (!train_holds(&l->windows, l->mark.windows.item[i].block)) train_spare(l, l->mark.windows.item[i].block);
    l->mark.windows.n = 0;
    for (int i = 0; i < l->n_adopted; i++) train_job_release(l->jobs[i].job);
    l->n_jobs -= l->n_adopted;
    if (l->n_adopted > 0) memmove(l->jobs, l->jobs + l->n_adopted, (size_t)l->n_jobs * sizeof(*l->jobs));
    l->n_adopted = 0;
    weights_unref(l->mark.weights);
    l->mark.weights = NULL;
}

void lane_train_abort(struct lane *l)
{
    for (int i = 0; i < l->windows.n; i++)
        if (!train_holds(&l->mark.windows, l->windows.item[i].block)) train_spare(l, l->windows.item[i].block);
    struct lane_window *kept = l->mark.windows.item;
    l->mark.windows.item = l->windows.item;
    l->windows = (struct lane_windows){l->mark.windows.n, kept};
    l->mark.windows.n = 0;
    while (l->n_jobs > l->mark.n_jobs) train_job_release(l->jobs[--l->n_jobs].job);
    l->n_adopted = 0;
    weights_unref(l->weights);
    l->weights = l->mark.weights;
    l->mark.weights = NULL;
}

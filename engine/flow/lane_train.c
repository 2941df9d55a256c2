/* How a lane learns: windows are sampled over an epoch (lane_windows.c), handed to the trainer at its end, and the
 * candidate is adopted `train.lag` epochs later.  Networks with weights per key are trained at once instead. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/log.h"
#include "engine/flow/lane_private.h"
#include "engine/forecast/scale.h"

static eddy_status train_no_memory(const struct lane *l, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory while training", l->topic, (int)l->request.partition);
}

/* Windows of a round at most: fresh and replayed ones, and the fresh ones some times more. */
static int lane_round_most(const struct plan *p)
{
    const struct train_settings *t = &p->settings->train;
    return lane_replay_most(p) + (int)(t->windows * t->drift_rounds);
}

/* The scratch of the trainer and that of the lane for weights of keys' own: as large as their largest batch needs. */
static size_t lane_scratch_most(const struct plan *p)
{
    const struct train_settings *t = &p->settings->train;
    const int most = lane_round_most(p), judged = t->champion > 0 ? LANE_HELD_MOST : 1;
    const int trained = t->batch < most ? (int)t->batch : most, batch = trained > judged ? trained : judged;
    size_t shared = 0, own = 0;
    for (int k = 0; k < p->n_networks; k++) {
        const struct plan_network *n = &p->networks[k];
        const size_t bytes = p->shared[k].n_steps > 0 ? train_step_bytes(n->net, &p->shared[k], batch) : 0;
        const size_t bytes_own = n->own_weights ? train_step_bytes(n->net, &n->window, 1) : 0;
        if (bytes > shared) shared = bytes;
        if (bytes_own > own) own = bytes_own;
    }
    return shared + own;
}

/* Windows of the epoch, to replay and held out; a round that is gathered, and one with its candidate per epoch of the lag;
 * a batch on its way through the network. */
size_t lane_training_bytes(const struct plan *p)
{
    const struct train_settings *t = &p->settings->train;
    const size_t window = lane_window_floats(p) * sizeof(float), lag = (size_t)t->lag;
    const size_t candidate = (4 * p->model->n_params + p->model->n_packed) * sizeof(float);
    if (!p->training) return 0;
    if (window == 0) return lane_scratch_most(p); /* keys' own weights alone */
    const size_t held = t->champion > 0 ? LANE_HELD_MOST : 0, round = (size_t)lane_round_most(p) + held;
    const size_t kept = (size_t)t->windows + (t->replay > 0 ? (size_t)t->replay_windows : 0) + held;
    return (kept + (1 + lag) * round) * window + lag * candidate + lane_scratch_most(p);
}

eddy_status lane_train_open(struct lane *l, struct eddy_error *err)
{
    const struct plan *p = l->plan;
    size_t windows = (size_t)p->settings->train.windows;
    eddy_status rc = EDDY_OK;
    l->triggers.trained_at = EDDY_NO_TIME;
    if (l->request.initial)
        l->weights = weights_ref(l->request.initial);
    else
        rc = weights_initial(p->model, (uint64_t)p->settings->seed, &l->weights, err);
    if (rc < 0 || !p->training) return rc;

    l->watched = -1;
    for (int e = p->n_experts - 1; e >= 0 && p->n_experts > 1; e--)
        if (p->experts[e].network >= 0) l->watched = e;
    l->windows.item = calloc(windows, sizeof(*l->windows.item));
    l->mark.windows.item = calloc(windows, sizeof(*l->mark.windows.item));
    size_t most = (size_t)lane_round_most(p) + LANE_HELD_MOST, floats = most * lane_window_floats(p);
    for (int k = 0; k < p->n_networks; k++) {
        size_t own = p->networks[k].own_weights ? window_floats(&p->networks[k].window) : 0;
        if (own > floats) floats = own;
    }
    l->gathered = calloc(floats + 1, sizeof(*l->gathered));
    l->mixed_blocks = calloc(most, sizeof(*l->mixed_blocks));
    l->cut_ahead = calloc((size_t)p->outlook.n_horizons, sizeof(*l->cut_ahead));
    l->cut_known = calloc((size_t)p->n_steps * (size_t)p->n_dims, sizeof(*l->cut_known));
    l->scratch = train_scratch_open();
    if (!l->windows.item || !l->mark.windows.item || !l->gathered || !l->mixed_blocks || !l->cut_known ||
        !l->cut_ahead || !l->scratch)
        return train_no_memory(l, err);
    return lane_young_open(l, err);
}

void lane_train_close(struct lane *l)
{
    if (l->mark.set) lane_train_commit(l);
    trainer_forget(l->trainer, l->plan->model); /* also jobs that an abort has let go of */
    for (int i = 0; i < l->n_jobs; i++) train_job_release(l->jobs[i].job);
    lane_windows_close(l);
    lane_pool_close(&l->replay);
    lane_pool_close(&l->held);
    free(l->jobs), free(l->gathered), free(l->mixed_blocks), free(l->cut_known), free(l->cut_ahead);
    train_scratch_close(l->scratch);
    lane_young_close(l);
    weights_unref(l->weights);
}

/* ---- weights of a key's own ---- */

static struct train_state train_own_state(const struct plan_network *network, struct key_row *r, int64_t *steps)
{
    size_t n = network->net->n_params;
    float *w = (float *)(void *)(r->row + network->at_weights);
    void *pace = network->at_pace >= 0 ? r->row + network->at_pace : NULL;
    return (struct train_state){w, w + n, w + 2 * n, w + 3 * n, steps, pace};
}

/* The section counts steps + 1, so that 0 says that the key has no weights of its own yet. */
static int64_t *train_own_count(const struct lane *l, const struct plan_network *network, struct key_row *r)
{
    int64_t *count = (int64_t *)(void *)(r->row + network->at_optimiser);
    if (*count == 0) {
        const size_t first = l->plan->model->slices[network - l->plan->networks].first_param;
        struct train_state own = train_own_state(network, r, NULL);
        memcpy(own.master, l->weights->master + first, network->net->n_params * sizeof(float));
        memcpy(own.ema, l->weights->ema + first, network->net->n_params * sizeof(float));
        *count = 1;
    }
    return count;
}

const float *lane_own_weights(struct lane *l, const struct plan_network *network, struct key_row *r)
{
    (void)train_own_count(l, network, r);
    struct train_state own = train_own_state(network, r, NULL);
    network_pack(network->net, l->plan->settings->train.ema > 0 ? own.ema : own.master, l->packed);
    return l->packed;
}

static eddy_status train_own(struct lane *l, const struct plan_network *network, struct key_row *r, int channel,
                             struct eddy_error *err)
{
    int64_t *count = train_own_count(l, network, r), steps = *count - 1;
    struct train_state own = train_own_state(network, r, &steps);
    struct train_report report = {0};
    lane_cut(l, network, r, channel, false, l->gathered);
    eddy_status rc = train_step(network->net, &network->window, &l->plan->settings->train, &own, l->gathered, 1,
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

void lane_learn_not(const struct lane *l, struct key_row *r, int channel, int64_t step)
{
    if (l->plan->at_unlearnt < 0) return;
    int64_t *after = (int64_t *)(void *)(r->row + l->plan->at_unlearnt) + channel;
    if (step + 1 > *after) *after = step + 1;
}

/* Whether one of the last n_steps events of the series is to be left out. */
static bool learn_spoiled(const struct lane *l, const struct key_row *r, int channel, int n_steps)
{
    if (l->plan->at_unlearnt < 0) return false;
    const int64_t last = ((const int64_t *)(const void *)(r->row + l->plan->at_unlearnt))[channel];
    return last > 0 && last > lane_steps(l, r)[channel] - n_steps;
}

eddy_status lane_learn(struct lane *l, struct key_row *r, int channel, int64_t offset, struct eddy_error *err)
{
    const struct plan *p = l->plan;
    if (lane_steps(l, r)[channel] % p->settings->train.every != 0) return EDDY_OK;
    for (int k = 0; k < p->n_networks; k++) {
        if (learn_spoiled(l, r, channel, p->networks[k].window.n_steps)) continue;
        eddy_status rc = p->networks[k].own_weights ? train_own(l, &p->networks[k], r, channel, err) : EDDY_OK;
        if (rc < 0) return rc;
    }
    if (!l->in_epochs || learn_spoiled(l, r, channel, p->n_steps)) return EDDY_OK;
    struct lane_window window = {.offset = offset, .channel = channel};
    window.rank = lane_window_draw(l, &window, 0x77696e646f7773u);
    if (!lane_held_draw(l, r, channel, &window.rank) || !lane_wants_window(l, window.rank)) return EDDY_OK;
    lane_cut_windows(l, r, channel, lane_young_wants(l, &window), l->gathered);
    return lane_keep_window(l, window, l->gathered, err);
}

/* Of the networks with shared weights: steps together, loss and norm of the first that forecasts or, without one, of the
 * first. */
void lane_train_stats(const struct lane *l, struct lane_stats *out)
{
    const struct plan *p = l->plan;
    const struct train_progress *shown = NULL;
    for (int k = 0; k < p->n_networks; k++) {
        if (p->shared[k].n_steps == 0) continue;
        const struct train_progress *progress = &l->weights->progress[k];
        out->updates += progress->steps;
        out->refused += progress->refused;
        if (!shown ||
            (p->networks[k].task == TASK_FORECAST && p->networks[shown - l->weights->progress].task != TASK_FORECAST))
            shown = progress;
    }
    out->loss = shown->loss;
    out->grad_norm = shown->grad_norm;
}

/* ---- epochs ---- */

eddy_status lane_submit(struct lane *l, int64_t boundary, const float *windows, int n, int n_held,
                        struct eddy_error *err)
{
    if (l->n_jobs == l->cap_jobs) {
        int cap = l->cap_jobs ? 2 * l->cap_jobs : 8;
        struct lane_job *grown = realloc(l->jobs, (size_t)cap * sizeof(*grown));
        if (!grown) return train_no_memory(l, err);
        l->jobs = grown;
        l->cap_jobs = cap;
    }
    struct train_job *after = l->n_jobs > l->n_adopted ? l->jobs[l->n_jobs - 1].job : NULL, *job = NULL;
    const struct train_windows all = {l->plan->shared, windows, n, n_held};
    eddy_status rc = trainer_submit(l->trainer, l->plan->model, &l->plan->settings->train, l->weights, after, &all,
                                    &job, err);
    if (rc >= 0) l->jobs[l->n_jobs++] = (struct lane_job){boundary, job};
    return rc;
}

static int train_by_offset(const void *a, const void *b)
{
    const struct lane_window *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return (x->channel > y->channel) - (x->channel < y->channel);
}

/* n blocks, network by network. */
static void train_gather(struct lane *l, const float *const *blocks, int n)
{
    const struct plan *p = l->plan;
    float *to = l->gathered;
    size_t first = 0;
    for (int k = 0; k < p->n_networks; k++) {
        if (p->shared[k].n_steps == 0) continue;
        const size_t floats = window_floats(&p->shared[k]);
        for (int i = 0; i < n; i++, to += floats) memcpy(to, blocks[i] + first, floats * sizeof(float));
        first += floats;
    }
}

static eddy_status train_hand_out(const struct lane *l, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; l->gather && i < l->windows.n && rc >= 0; i++) {
        const struct lane_window *w = &l->windows.item[i];
        const struct window_set_item item = {
            .rank = w->rank, .offset = w->offset, .channel = w->channel, .block = w->block};
        rc = window_set_add(l->gather, l->plan, l->topic, l->request.partition, &item, err);
    }
    return rc;
}

void lane_train_error(struct lane *l, const struct key_row *r, int value)
{
    const struct plan *p = l->plan;
    if (!l->in_epochs || p->settings->train.drift_rounds == 0) return;
    const double error = l->watched < 0 ? l->residuals[value] : l->errors[l->watched * p->outlook.n_horizons];
    triggers_error(&l->triggers, error,
                   p->fixed_deviation ? p->fixed_deviation[value] : scale_sigma(lane_scale(l, r, value)));
}

/* The loss of the epoch that ends at `boundary`. */
static void train_watch(struct lane *l, int64_t boundary)
{
    const struct train_settings *s = &l->plan->settings->train;
    if (!triggers_epoch(&l->triggers, s, boundary)) return;
    l->stats.drifts++;
    log_info("train_drift",
             "%s[%d]: the network's error has grown for good by offset %lld: trained harder for %lld epochs",
             l->topic, (int)l->request.partition, (long long)l->next, (long long)s->drift_epochs);
}

/* The epoch before `boundary` is complete: if a round is due, its windows become a job, in offset order, with replayed ones among them. */
static eddy_status train_close_epoch(struct lane *l, int64_t boundary, struct eddy_error *err)
{
    const struct train_settings *s = &l->plan->settings->train;
    if (l->windows.n == 0 || !triggers_due(&l->triggers, s, boundary, l->clock.now)) return EDDY_OK;
    l->triggers.trained_at = l->clock.now;
    lane_windows_part(l);
    qsort(l->windows.item, (size_t)l->windows.n, sizeof(*l->windows.item), train_by_offset);
    eddy_status rc = lane_held_take(l, boundary, err);
    if (rc < 0) return rc;
    const int fresh = l->windows.n, rounds = triggers_rounds(&l->triggers, s, boundary);
    int n = lane_replay_mix(l, boundary, l->mixed_blocks);
    for (int i = fresh; i < rounds * fresh; i++) l->mixed_blocks[n++] = l->windows.item[i % fresh].block;
    int n_held = 0;
    const float *const *held = lane_held_recent(l, boundary, &n_held);
    if (n_held > 0) memcpy((void *)(l->mixed_blocks + n), (const void *)held, (size_t)n_held * sizeof(*held));
    train_gather(l, l->mixed_blocks, n + n_held);
    rc = lane_submit(l, boundary, l->gathered, n, n_held, err);
    if (rc >= 0) rc = lane_replay_admit(l, err);
    if (rc >= 0) rc = train_hand_out(l, err);
    if (rc < 0) return rc;
    for (int i = 0; i < l->windows.n; i++) lane_drop_window(l, l->windows.item[i].block);
    l->windows.n = 0;
    return EDDY_OK;
}

/* Adopts the oldest candidate when `boundary` is its time; false: it is not done yet. */
static bool train_adopt(struct lane *l, int64_t boundary)
{
    if (l->n_adopted == l->n_jobs) return true;
    const struct lane_job *job = &l->jobs[l->n_adopted];
    if (job->boundary + l->plan->settings->train.lag > boundary) return true;
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
    if (l->epoch < epoch) train_watch(l, l->epoch + 1);
    while (l->epoch < epoch) {
        /* Boundaries at which nothing can happen are passed in one go: offsets may jump far. */
        int64_t boundary = l->epoch + 1;
        if (l->windows.n == 0 || !triggers_due(&l->triggers, &l->plan->settings->train, boundary, l->clock.now)) {
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

void lane_gather(struct lane *l, struct window_set *set)
{
    l->gather = set;
}

/* ---- batches ---- */

void lane_train_mark(struct lane *l)
{
    l->mark.n_jobs = l->n_jobs;
    l->mark.n_replay = l->replay.n;
    l->mark.n_held = l->held.n;
    l->mark.replay_seen = l->replay_seen;
    l->mark.weights = weights_ref(l->weights);
    l->mark.triggers = l->triggers;
}

/* Adopted candidates are history. */
void lane_train_commit(struct lane *l)
{
    lane_windows_commit(l);
    lane_pool_commit(l, &l->replay, l->plan->settings->train.replay_windows);
    lane_pool_commit(l, &l->held, LANE_HELD_MOST);
    for (int i = 0; i < l->n_adopted; i++) train_job_release(l->jobs[i].job);
    l->n_jobs -= l->n_adopted;
    if (l->n_adopted > 0) memmove(l->jobs, l->jobs + l->n_adopted, (size_t)l->n_jobs * sizeof(*l->jobs));
    l->n_adopted = 0;
    weights_unref(l->mark.weights);
    l->mark.weights = NULL;
}

void lane_train_abort(struct lane *l)
{
    lane_windows_abort(l);
    lane_pool_abort(l, &l->replay, l->mark.n_replay);
    lane_pool_abort(l, &l->held, l->mark.n_held);
    l->replay_seen = l->mark.replay_seen;
    l->triggers = l->mark.triggers;
    while (l->n_jobs > l->mark.n_jobs) train_job_release(l->jobs[--l->n_jobs].job);
    l->n_adopted = 0;
    weights_unref(l->weights);
    l->weights = l->mark.weights;
    l->mark.weights = NULL;
}

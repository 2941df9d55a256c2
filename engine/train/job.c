#include "engine/train/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/train/judge.h"
#include "engine/train/weights.h"

/* Waits are measured on the monotonic clock: setting the wall clock must not shorten or stretch them. */
static bool job_open_condition(struct train_job *job)
{
    pthread_condattr_t attr;
    if (pthread_mutex_init(&job->lock, NULL) != 0) return false;
    bool good = pthread_condattr_init(&attr) == 0;
    if (good) {
        good = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
               pthread_cond_init(&job->finished, &attr) == 0;
        (void)pthread_condattr_destroy(&attr);
    }
    if (!good) (void)pthread_mutex_destroy(&job->lock);
    return good;
}

size_t train_windows_floats(const struct model *model, const struct window_shape *shapes)
{
    size_t floats = 0;
    for (int k = 0; k < model->n; k++) floats += shapes[k].n_steps > 0 ? window_floats(&shapes[k]) : 0;
    return floats;
}

/* A copy behind one allocation: shapes, then windows.  NULL = out of memory. */
static bool job_copy_windows(struct train_job *job, const struct train_windows *from)
{
    const size_t shapes = (size_t)job->model->n * sizeof(*from->shapes);
    const size_t data = ((size_t)from->n + (size_t)from->n_held) * train_windows_floats(job->model, from->shapes) *
                        sizeof(float);
    job->memory = malloc(shapes + data);
    if (!job->memory) return false;
    memcpy(job->memory, from->shapes, shapes);
    if (data > 0) memcpy((char *)job->memory + shapes, from->data, data);
    job->windows = (struct train_windows){job->memory, (const float *)(void *)((char *)job->memory + shapes), from->n,
                                          from->n_held};
    return true;
}

struct train_job *job_new(const struct model *model, const struct train_settings *settings, struct weights *base,
                          struct train_job *after, const struct train_windows *windows)
{
    struct train_job *job = calloc(1, sizeof(*job));
    if (!job) return NULL;
    job->model = model;
    if (!job_copy_windows(job, windows) || !job_open_condition(job)) {
        free(job->memory);
        free(job);
        return NULL;
    }
    atomic_init(&job->refs, 1);
    atomic_init(&job->done, false);
    atomic_init(&job->unwanted, false);
    job->settings = settings;
    job->base = after ? NULL : weights_ref(base);
    job->after = after ? job_ref(after) : NULL;
    return job;
}

struct train_job *job_ref(struct train_job *job)
{
    (void)atomic_fetch_add_explicit(&job->refs, 1, memory_order_relaxed);
    return job;
}

bool job_forgotten(const struct train_job *job)
{
    return atomic_load_explicit(&job->refs, memory_order_acquire) == 1;
}

void train_job_release(struct train_job *job)
{
    while (job && atomic_fetch_sub_explicit(&job->refs, 1, memory_order_acq_rel) == 1) {
        struct train_job *after = job->after; /* a chain of jobs that never ran goes link by link, not by recursion */
        weights_unref(job->base);
        weights_unref(job->result);
        free(job->memory);
        (void)pthread_cond_destroy(&job->finished);
        (void)pthread_mutex_destroy(&job->lock);
        free(job);
        job = after;
    }
}

static void job_finish(struct train_job *job, struct weights *result)
{
    struct train_job *after = job->after;
    job->after = NULL; /* the chain must not keep every job since the start */
    (void)pthread_mutex_lock(&job->lock);
    job->result = result;
    atomic_store_explicit(&job->done, true, memory_order_release);
    (void)pthread_cond_broadcast(&job->finished);
    (void)pthread_mutex_unlock(&job->lock);
    train_job_release(after);
}

/* Borrowed from the job.  Jobs of one trainer run in the order of submission, so `after` is done. */
static struct weights *job_base(const struct train_job *job)
{
    if (!job->after) return job->base;
    (void)train_job_wait(job->after, -1);
    return job->after->result;
}

void job_skip(struct train_job *job)
{
    job_finish(job, weights_ref(job_base(job)));
}

/* One optimiser step for each group of settings->batch windows of one network, in order. */
static eddy_status job_train_network(struct train_job *job, struct weights *w, int network, const float *windows,
                                     struct train_scratch *scratch)
{
    const struct train_windows *all = &job->windows;
    const struct window_shape *shape = &all->shapes[network];
    const size_t floats = window_floats(shape);
    const int batch = (int)(job->settings->batch < 1        ? 1
                            : job->settings->batch < all->n ? job->settings->batch
                                                            : all->n);
    struct train_progress *progress = weights_progress(w, network);
    struct train_state state = weights_train_state(w, &job->model->slices[network], network);
    struct train_report report = {.loss = progress->loss,
                                  .grad_norm = progress->grad_norm,
                                  .health = weights_health(w) + job->model->slices[network].first_tensor};
    eddy_status rc = EDDY_OK;
    for (int first = 0; first < all->n && rc >= 0; first += batch) {
        const int n = all->n - first < batch ? all->n - first : batch;
        if (atomic_load_explicit(&job->unwanted, memory_order_relaxed)) return EDDY_EAGAIN;
        rc = train_step(job->model->slices[network].net, shape, job->settings, &state,
                        windows + (size_t)first * floats, n, &report, scratch, NULL);
    }
    progress->loss = report.loss;
    progress->grad_norm = report.grad_norm;
    progress->refused += report.refused;
    return rc < 0 ? rc : report.steps > 0;
}

/* Network by network. */
static eddy_status job_train(struct train_job *job, struct weights *w, struct train_scratch *scratch)
{
    const float *windows = job->windows.data;
    for (int k = 0; k < job->model->n; k++) {
        const struct window_shape *shape = &job->windows.shapes[k];
        if (shape->n_steps == 0) continue;
        eddy_status rc = job_train_network(job, w, k, windows, scratch);
        if (rc < 0) return rc;
        if (rc > 0) weights_pack(&job->model->slices[k], w);
        windows += ((size_t)job->windows.n + (size_t)job->windows.n_held) * window_floats(shape);
    }
    return EDDY_OK;
}

/* A candidate that is worse than its base gives way to it: *w is the base again, but for the version and the count of
 * steps refused. */
static eddy_status job_judge(const struct train_job *job, const struct weights *base, struct weights **w,
                             struct train_scratch *scratch)
{
    const struct train_settings *t = job->settings;
    bool worse = false;
    if (!(t->champion > 0) || job->windows.n_held == 0 || job->windows.n == 0) return EDDY_OK;
    eddy_status rc = judge_candidate(job->model, &job->windows, t->champion, t->ema > 0 ? base->ema : base->master,
                                     t->ema > 0 ? (*w)->ema : (*w)->master, scratch, &worse, NULL);
    if (rc < 0 || !worse) return rc;
    struct weights *again = weights_next(job->model, base);
    if (!again) return EDDY_ENOMEM;
    for (int k = 0; k < base->n_networks; k++)
        weights_progress(again, k)->refused = (*w)->progress[k].refused + (*w)->progress[k].steps -
                                              base->progress[k].steps;
    weights_unref(*w);
    *w = again;
    return EDDY_OK;
}

void job_run(struct train_job *job, struct train_scratch *scratch)
{
    struct weights *base = job_base(job), *w = weights_next(job->model, base);
    if (w && (job_train(job, w, scratch) < 0 || job_judge(job, base, &w, scratch) < 0)) {
        weights_unref(w);
        w = NULL;
    }
    job_finish(job, w ? w : weights_ref(base));
}

bool train_job_done(const struct train_job *job)
{
    return atomic_load_explicit(&job->done, memory_order_acquire);
}

eddy_status train_job_wait(struct train_job *job, int timeout_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int failed = 0;
    (void)pthread_mutex_lock(&job->lock);
    while (!train_job_done(job) && failed != ETIMEDOUT)
        failed = timeout_ms < 0 ? pthread_cond_wait(&job->finished, &job->lock)
                                : pthread_cond_timedwait(&job->finished, &job->lock, &until);
    (void)pthread_mutex_unlock(&job->lock);
    return train_job_done(job) ? EDDY_OK : EDDY_EAGAIN;
}

struct weights *train_job_result(struct train_job *job)
{
    return train_job_done(job) ? job->result : NULL;
}

struct train_windows train_job_windows(const struct train_job *job)
{
    return job->windows;
}

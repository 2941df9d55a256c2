#include "engine/train/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

struct train_job *job_new(const struct network *net, const struct window_shape *shape,
                          const struct train_settings *settings, struct weights *base, struct train_job *after,
                          const float *windows, int n)
{
    const size_t floats = (size_t)n * window_floats(shape);
    struct train_job *job = calloc(1, sizeof(*job));
    float *copy = malloc((floats ? floats : 1) * sizeof(*copy));
    if (!job || !copy || !job_open_condition(job)) {
        free(copy);
        free(job);
        return NULL;
    }
    if (floats) memcpy(copy, windows, floats * sizeof(*copy));
    atomic_init(&job->refs, 1);
    atomic_init(&job->done, false);
    atomic_init(&job->unwanted, false);
    job->net = net;
    job->shape = *shape;
    job->settings = settings;
    job->base = after ? NULL : weights_ref(base);
    job->after = after ? job_ref(after) : NULL;
    job->windows = copy;
    job->n = n;
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
        free(job->windows);
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

/* One optimiser step for each group of settings->batch windows, in order. */
static eddy_status job_train(struct train_job *job, struct weights *w, struct train_scratch *scratch)
{
    const size_t floats = window_floats(&job->shape);
    const int batch = (int)(job->settings->batch < 1        ? 1
                            : job->settings->batch < job->n ? job->settings->batch
                                                            : job->n);
    struct train_state state = weights_train_state(w);
    struct train_report report = {.loss = w->loss, .grad_norm = w->grad_norm};
    eddy_status rc = EDDY_OK;
    for (int first = 0; first < job->n && rc >= 0; first += batch) {
        const int n = job->n - first < batch ? job->n - first : batch;
        if (atomic_load_explicit(&job->unwanted, memory_order_relaxed)) return EDDY_EAGAIN;
        rc = train_step(job->net, &job->shape, job->settings, &state, job->windows + (size_t)first * floats, n,
                        &report, scratch, NULL);
    }
    w->loss = report.loss;
    w->grad_norm = report.grad_norm;
    w->refused += report.refused;
    if (report.steps > 0) weights_pack(job->net, w);
    return rc;
}

void job_run(struct train_job *job, struct train_scratch *scratch)
{
    struct weights *base = job_base(job), *w = weights_next(base);
    if (w && job_train(job, w, scratch) < 0) {
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

const float *train_job_windows(const struct train_job *job, int *n)
{
    *n = job->n;
    return job->windows;
}

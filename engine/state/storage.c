#include "engine/state/storage.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct storage {
    pthread_t thread;
    bool running;         /* the thread was started */
    pthread_mutex_t lock; /* guards what follows, and the private part of submitted jobs */
    pthread_cond_t work, done;
    struct storage_job *first, *last;
    bool closing;
};

static struct storage_job *storage_take(struct storage *s)
{
    while (!s->first && !s->closing) (void)pthread_cond_wait(&s->work, &s->lock);
    struct storage_job *job = s->first;
    if (!job) return NULL;
    s->first = job->next;
    if (!s->first) s->last = NULL;
    return job;
}

static void *storage_main(void *arg)
{
    struct storage *s = arg;
    struct storage_job *job;
    (void)pthread_mutex_lock(&s->lock);
    while ((job = storage_take(s))) {
        struct eddy_error error = {0};
        (void)pthread_mutex_unlock(&s->lock);
        eddy_status rc = storage_unwanted(job) ? EDDY_EAGAIN : job->run(job, &error);
        (void)pthread_mutex_lock(&s->lock);
        job->rc = rc;
        job->error = error;
        job->busy = false;
        (void)pthread_cond_broadcast(&s->done);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Signals are for the main thread: the new one starts with all of them blocked. */
static eddy_status storage_start(struct storage *s, struct eddy_error *err)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&s->thread, NULL, storage_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) return eddy_fail(err, EDDY_ENOMEM, "the storage thread cannot be started (error %d)", failed);
    (void)pthread_setname_np(s->thread, "eddy-storage");
    s->running = true;
    return EDDY_OK;
}

eddy_status storage_open(struct storage **out, struct eddy_error *err)
{
    pthread_condattr_t monotonic;
    *out = NULL;
    struct storage *s = calloc(1, sizeof(*s));
    if (!s) return eddy_fail(err, EDDY_ENOMEM, "out of memory for the storage thread");
    (void)pthread_mutex_init(&s->lock, NULL); /* as used here none of these can fail on Linux */
    (void)pthread_cond_init(&s->work, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->done, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    eddy_status rc = storage_start(s, err);
    if (rc < 0) {
        storage_close(s);
        return rc;
    }
    *out = s;
    return EDDY_OK;
}

void storage_close(struct storage *s)
{
    if (!s) return;
    (void)pthread_mutex_lock(&s->lock);
    s->closing = true;
    (void)pthread_cond_signal(&s->work);
    (void)pthread_mutex_unlock(&s->lock);
    if (s->running) (void)pthread_join(s->thread, NULL);
    (void)pthread_cond_destroy(&s->done);
    (void)pthread_cond_destroy(&s->work);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

void storage_submit(struct storage *s, struct storage_job *job)
{
    (void)pthread_mutex_lock(&s->lock);
    job->next = NULL;
    job->busy = true;
    atomic_store_explicit(&job->unwanted, false, memory_order_relaxed);
    if (s->last)
        s->last->next = job;
    else
        s->first = job;
    s->last = job;
    (void)pthread_cond_signal(&s->work);
    (void)pthread_mutex_unlock(&s->lock);
}

static struct timespec storage_deadline(int timeout_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += timeout_ms / 1000;
    t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
    return t;
}

eddy_status storage_wait(struct storage *s, struct storage_job *job, int timeout_ms, struct eddy_error *err)
{
    struct timespec deadline = {0};
    int waited = 0;
    if (timeout_ms > 0) deadline = storage_deadline(timeout_ms);
    (void)pthread_mutex_lock(&s->lock);
    while (job->busy && timeout_ms != 0 && waited != ETIMEDOUT)
        waited = timeout_ms < 0 ? pthread_cond_wait(&s->done, &s->lock)
                                : pthread_cond_timedwait(&s->done, &s->lock, &deadline);
    eddy_status rc = job->busy ? EDDY_EAGAIN : job->rc;
    if (!job->busy && rc < 0 && err) *err = job->error;
    (void)pthread_mutex_unlock(&s->lock);
    return rc;
}

void storage_cancel(struct storage *s, struct storage_job *job)
{
    atomic_store_explicit(&job->unwanted, true, memory_order_relaxed);
    (void)storage_wait(s, job, -1, NULL);
}

bool storage_unwanted(const struct storage_job *job)
{
    return atomic_load_explicit(&job->unwanted, memory_order_relaxed);
}

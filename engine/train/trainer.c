/* The thread that runs training jobs, and the queue in front of it. */
#include "engine/train/trainer.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/train/job.h"

struct trainer {
    int mode; /* enum train_mode */
    pthread_t thread;
    bool running; /* the thread was started */
    struct train_scratch *scratch;
    pthread_mutex_t lock; /* guards what follows, and the scratch of an inline trainer */
    pthread_cond_t work;
    struct train_job *first, *last; /* the queue */
    struct train_job *in_hand;      /* what the thread works on */
    pthread_cond_t put_down;        /* in_hand has changed */
    bool closing;
};

static struct train_job *trainer_take(struct trainer *t)
{
    struct train_job *job = t->first;
    if (!job) return NULL;
    t->first = job->next_in_queue;
    if (!t->first) t->last = NULL;
    job->next_in_queue = NULL;
    return job;
}

/* The next job; NULL when the trainer closes. */
static struct train_job *trainer_next(struct trainer *t)
{
    (void)pthread_mutex_lock(&t->lock);
    while (!t->first && !t->closing) (void)pthread_cond_wait(&t->work, &t->lock);
    struct train_job *job = t->closing ? NULL : trainer_take(t);
    t->in_hand = job;
    (void)pthread_mutex_unlock(&t->lock);
    return job;
}

static void trainer_put_down(struct trainer *t)
{
    (void)pthread_mutex_lock(&t->lock);
    t->in_hand = NULL;
    (void)pthread_cond_broadcast(&t->put_down);
    (void)pthread_mutex_unlock(&t->lock);
}

/* Where cores are short serving goes first: five steps of niceness are a third of its weight, so that training gets on
 * and nobody waits for a candidate for ever.  As good as the system allows; a thread's niceness is its own on Linux. */
static void trainer_give_way(void)
{
    enum { STEPS = 5 };
    const struct sched_param none = {0};
    const id_t self = (id_t)gettid();
    (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
    (void)setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + STEPS);
}

static void *trainer_main(void *arg)
{
    struct trainer *t = arg;
    trainer_give_way();
    struct train_job *job;
    while ((job = trainer_next(t))) {
        if (atomic_load_explicit(&job->unwanted, memory_order_relaxed) || job_forgotten(job))
            job_skip(job);
        else
            job_run(job, t->scratch);
        trainer_put_down(t);
        train_job_release(job);
    }
    return NULL;
}

/* Signals are for the main thread: the new one starts with all of them blocked. */
static eddy_status trainer_start(struct trainer *t, struct eddy_error *err)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&t->thread, NULL, trainer_main, t);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) return eddy_fail(err, EDDY_ENOMEM, "the training thread cannot be started (error %d)", failed);
    (void)pthread_setname_np(t->thread, "eddy-train");
    t->running = true;
    return EDDY_OK;
}

eddy_status trainer_open(int mode, struct trainer **out, struct eddy_error *err)
{
    *out = NULL;
    struct trainer *t = calloc(1, sizeof(*t));
    if (!t) return eddy_fail(err, EDDY_ENOMEM, "out of memory for the trainer");
    t->mode = mode;
    (void)pthread_mutex_init(&t->lock, NULL); /* with no attributes these three cannot fail on Linux */
    (void)pthread_cond_init(&t->work, NULL);
    (void)pthread_cond_init(&t->put_down, NULL);
    eddy_status rc = EDDY_OK;
    t->scratch = train_scratch_open();
    if (!t->scratch) rc = eddy_fail(err, EDDY_ENOMEM, "out of memory for the trainer");
    if (rc >= 0 && mode == TRAIN_BACKGROUND) rc = trainer_start(t, err);
    if (rc < 0) {
        trainer_close(t);
        return rc;
    }
    *out = t;
    return EDDY_OK;
}

void trainer_close(struct trainer *t)
{
    if (!t) return;
    (void)pthread_mutex_lock(&t->lock);
    t->closing = true;
    (void)pthread_cond_signal(&t->work);
    (void)pthread_mutex_unlock(&t->lock);
    if (t->running) (void)pthread_join(t->thread, NULL);
    for (struct train_job *job = trainer_take(t); job; job = trainer_take(t)) {
        job_skip(job); /* whoever holds it must not wait for ever */
        train_job_release(job);
    }
    train_scratch_close(t->scratch);
    (void)pthread_cond_destroy(&t->put_down);
    (void)pthread_cond_destroy(&t->work);
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}

void trainer_forget(struct trainer *t, const struct model *model)
{
    if (!t) return;
    (void)pthread_mutex_lock(&t->lock);
    for (struct train_job *job = t->first; job; job = job->next_in_queue)
        if (job->model == model) atomic_store_explicit(&job->unwanted, true, memory_order_relaxed);
    if (t->in_hand && t->in_hand->model == model)
        atomic_store_explicit(&t->in_hand->unwanted, true, memory_order_relaxed);
    while (t->in_hand && t->in_hand->model == model) (void)pthread_cond_wait(&t->put_down, &t->lock);
    (void)pthread_mutex_unlock(&t->lock);
}

static void trainer_queue(struct trainer *t, struct train_job *job)
{
    (void)pthread_mutex_lock(&t->lock);
    if (t->last)
        t->last->next_in_queue = job_ref(job);
    else
        t->first = job_ref(job);
    t->last = job;
    (void)pthread_cond_signal(&t->work);
    (void)pthread_mutex_unlock(&t->lock);
}

eddy_status trainer_submit(struct trainer *t, const struct model *model, const struct train_settings *settings,
                           struct weights *base, struct train_job *after, const struct train_windows *windows,
                           struct train_job **out, struct eddy_error *err)
{
    *out = NULL;
    if (windows->n < 0 || (!base && !after))
        return eddy_fail(err, EDDY_EINVAL, "a training job needs weights to start from");
    struct train_job *job = job_new(model, settings, base, after, windows);
    if (!job) return eddy_fail(err, EDDY_ENOMEM, "out of memory for a training job of %d windows", windows->n);
    if (t->mode == TRAIN_BACKGROUND) {
        trainer_queue(t, job);
    } else {
        (void)pthread_mutex_lock(&t->lock);
        job_run(job, t->scratch);
        (void)pthread_mutex_unlock(&t->lock);
    }
    *out = job;
    return EDDY_OK;
}

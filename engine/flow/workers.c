#include "engine/flow/workers.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/flow/claims.h"
#include "engine/flow/driver_private.h"

enum { LOOK_MS = 50 };
static const int64_t TICK_NS = 250 * 1000000LL;

struct worker {
    struct workers *all;
    struct driver_request request;
    void *context; /* of on_result and on_bad */
    struct driver *driver;
    pthread_t thread;
    void (*work)(struct worker *); /* what the thread does */
    bool started;
    struct driver_stats stats; /* as of its last tick; under the lock */
};

struct workers {
    struct driver_request request; /* as asked for */
    int n;
    struct worker *item; /* [n] */
    struct claims *claims;
    struct store_lock *state_lock;
    volatile sig_atomic_t stop; /* for all: the caller's stop, or an error of one */
    bool opened, running;
    int64_t started_ns;
    pthread_mutex_t lock; /* guards what follows, and the stats */
    pthread_cond_t changed;
    int n_busy;
    struct eddy_error failed; /* the first error; code 0 = none */
};

/* ---- what is wanted ---- */

static eddy_status workers_sink_fits(const struct driver_request *q, const char *option, const struct eddy_part *part,
                                     struct eddy_error *err)
{
    const struct eddy_sink *sink = (const struct eddy_sink *)(const void *)part;
    if (!sink || sink->shares) return EDDY_OK;
    return eddy_fail(err, EDDY_ECONFIG,
                     "workers: %" PRId64 " of them would write at once into one place, %s: %s; several workers need "
                     "topics there (or workers: 1)",
                     q->settings->workers, option, sink->part.name);
}

eddy_status workers_wanted(const struct driver_request *q, struct eddy_error *err)
{
    if (q->settings->workers <= 1 || !q->source->divides) return 1;
    eddy_status rc = workers_sink_fits(q, "sink", q->sink ? &q->sink->part : NULL, err);
    if (rc >= 0) rc = workers_sink_fits(q, "detect.incidents.sink", q->incidents ? &q->incidents->part : NULL, err);
    if (rc >= 0) rc = workers_sink_fits(q, "errors.dead_letter", q->settings->errors.dead_letter.part, err);
    return rc < 0 ? rc : (eddy_status)q->settings->workers;
}

/* ---- threads ---- */

static void workers_failed(struct workers *w, const struct eddy_error *why)
{
    (void)pthread_mutex_lock(&w->lock);
    if (w->failed.code >= 0) w->failed = *why;
    __atomic_store_n(&w->stop, 1, __ATOMIC_RELAXED);
    (void)pthread_mutex_unlock(&w->lock);
}

static void worker_result(void *context, const struct eddy_result *result)
{
    const struct worker *item = context;
    item->all->request.on_result(item->context, result);
}

static void worker_bad(void *context, const struct eddy_record *record, const struct eddy_error *why)
{
    const struct worker *item = context;
    item->all->request.on_bad(item->context, record, why);
}

static void worker_tick(void *context, const struct driver_stats *stats)
{
    struct worker *item = context;
    struct workers *w = item->all;
    if (w->n == 1) {
        if (w->request.on_tick) w->request.on_tick(w->request.context, stats);
        return;
    }
    (void)pthread_mutex_lock(&w->lock);
    item->stats = *stats;
    (void)pthread_mutex_unlock(&w->lock);
}

static void worker_open(struct worker *item)
{
    struct eddy_error err = {0};
    if (driver_open(&item->request, &item->driver, &err) < 0) workers_failed(item->all, &err);
}

static void worker_run(struct worker *item)
{
    struct eddy_error err = {0};
    if (driver_run(item->driver, &err) < 0) workers_failed(item->all, &err);
}

static void worker_close(struct worker *item)
{
    driver_close(item->driver);
    item->driver = NULL;
}

/* ---- all at once ---- */

static void workers_done(struct workers *w)
{
    (void)pthread_mutex_lock(&w->lock);
    w->n_busy--;
    (void)pthread_cond_signal(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
}

static void *worker_main(void *context)
{
    struct worker *item = context;
    char name[16];
    (void)snprintf(name, sizeof(name), "eddy-work-%d", item->request.worker);
    (void)pthread_setname_np(pthread_self(), name);
    item->work(item);
    workers_done(item->all);
    return NULL;
}

static void worker_start(struct worker *item, void (*work)(struct worker *))
{
    item->work = work;
    item->started = pthread_create(&item->thread, NULL, worker_main, item) == 0;
    if (item->started) return;
    if (work == worker_close) {
        work(item);
    } else {
        struct eddy_error err = {0};
        (void)eddy_fail(&err, EDDY_ENOMEM, "workers: the system gives no thread for worker %d of %d",
                        item->request.worker, item->all->n);
        workers_failed(item->all, &err);
    }
    workers_done(item->all);
}

/* Until a worker is done or a moment has passed; returns how many are busy. */
static int workers_look(struct workers *w)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) until.tv_sec++, until.tv_nsec -= 1000000000L;
    (void)pthread_mutex_lock(&w->lock);
    if (w->n_busy > 0) (void)pthread_cond_timedwait(&w->changed, &w->lock, &until);
    int busy = w->n_busy;
    (void)pthread_mutex_unlock(&w->lock);
    return busy;
}

static void workers_watch(struct workers *w)
{
    int64_t tick_ns = driver_clock_ns() + TICK_NS;
    while (workers_look(w) > 0) {
        if (w->request.stop && __atomic_load_n(w->request.stop, __ATOMIC_RELAXED))
            __atomic_store_n(&w->stop, 1, __ATOMIC_RELAXED);
        if (!w->running || !w->request.on_tick || driver_clock_ns() < tick_ns) continue;
        struct driver_stats stats;
        workers_stats(w, &stats);
        w->request.on_tick(w->request.context, &stats);
        tick_ns = driver_clock_ns() + TICK_NS;
    }
}

/* Each on a thread of its own; signals are for the thread that calls this, so the new ones start with all of them
 * blocked. */
static void workers_each(struct workers *w, void (*work)(struct worker *))
{
    if (w->n == 1) {
        work(&w->item[0]);
        return;
    }
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    w->n_busy = w->n;
    for (int i = 0; i < w->n; i++) worker_start(&w->item[i], work);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    workers_watch(w);
    for (int i = 0; i < w->n; i++)
        if (w->item[i].started) (void)pthread_join(w->item[i].thread, NULL);
}

static eddy_status workers_failure(const struct workers *w, struct eddy_error *err)
{
    if (w->failed.code < 0 && err) *err = w->failed;
    return w->failed.code < 0 ? w->failed.code : EDDY_OK;
}

/* ---- the life of all ---- */

/* What the worker asks of its driver.  It is made whole before it is put in place: gcc 12 at -O3 takes a loop apart that
 * copies requests where they are to be and changes them there, and puts some of the changes before the copy. */
static struct driver_request worker_request(struct workers *w, int number, struct worker *item)
{
    struct driver_request q = w->request;
    q.worker = number;
    q.workers = w->n;
    q.claims = w->claims;
    q.state_lock = w->state_lock;
    q.on_result = q.on_result ? worker_result : NULL;
    q.on_bad = q.on_bad ? worker_bad : NULL;
    q.on_tick = worker_tick;
    q.context = item;
    if (w->n > 1) q.stop = &w->stop;
    return q;
}

static void worker_prepare(struct worker *item, struct workers *w, int number, void *context)
{
    item->all = w;
    item->context = context;
    item->request = worker_request(w, number, item);
    item->stats.loss = item->stats.grad_norm = NAN;
}

static eddy_status workers_no_memory(struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "out of memory while opening the workers");
}

/* What several share and one has by itself. */
static eddy_status workers_open_shared(struct workers *w, struct eddy_error *err)
{
    const struct driver_request *q = &w->request;
    const char *path = q->state_path ? q->state_path : q->settings->state.path;
    if (w->n == 1) return EDDY_OK;
    w->claims = claims_open(w->n);
    if (!w->claims) return workers_no_memory(err);
    if (q->state != DRIVER_STATE_KEPT) return EDDY_OK;
    char digits[STORE_INSTANCE_DIGITS + 1]; /* drawn before many ask for it at once */
    eddy_status rc = store_lock_open(path, q->settings->name, &w->state_lock, err);
    return rc >= 0 && q->commit ? store_instance(path, q->settings->name, digits, err) : rc;
}

eddy_status workers_open(const struct driver_request *request, int n, void *const *contexts, struct workers **out,
                         struct eddy_error *err)
{
    *out = NULL;
    struct workers *w = calloc(1, sizeof(*w));
    if (!w) return workers_no_memory(err);
    w->request = *request;
    w->n = n > 1 ? n : 1;
    (void)pthread_mutex_init(&w->lock, NULL); /* with no attributes these cannot fail on Linux */
    (void)pthread_cond_init(&w->changed, NULL);
    w->item = calloc((size_t)w->n, sizeof(*w->item));
    w->started_ns = driver_clock_ns();
    eddy_status rc = w->item ? workers_open_shared(w, err) : workers_no_memory(err);
    if (rc >= 0) {
        for (int i = 0; i < w->n; i++) worker_prepare(&w->item[i], w, i, contexts ? contexts[i] : request->context);
        w->opened = true;
        workers_each(w, worker_open);
        rc = workers_failure(w, err);
    }
    if (rc < 0) {
        workers_close(w);
        return rc;
    }
    *out = w;
    return EDDY_OK;
}

eddy_status workers_run(struct workers *w, struct eddy_error *err)
{
    w->running = true;
    workers_each(w, worker_run);
    w->running = false;
    if (w->n > 1 && w->request.on_tick) {
        struct driver_stats stats;
        workers_stats(w, &stats);
        w->request.on_tick(w->request.context, &stats);
    }
    return workers_failure(w, err);
}

void workers_close(struct workers *w)
{
    if (!w) return;
    if (w->opened) workers_each(w, worker_close);
    claims_close(w->claims);
    store_lock_close(w->state_lock);
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_mutex_destroy(&w->lock);
    free(w->item);
    free(w);
}

/* ---- figures ---- */

static void stats_add(struct driver_stats *sum, const struct driver_stats *one)
{
    sum->records += one->records, sum->events += one->events, sum->bad += one->bad;
    sum->tombstones += one->tombstones, sum->results += one->results, sum->silent += one->silent;
    sum->alerts += one->alerts, sum->incidents += one->incidents, sum->keys += one->keys;
    sum->checkpoints += one->checkpoints, sum->set_aside += one->set_aside;
    sum->partitions_refused += one->partitions_refused, sum->saves_given_up += one->saves_given_up;
    sum->late += one->late, sum->duplicates += one->duplicates, sum->updates += one->updates;
    sum->transactions += one->transactions, sum->transactions_failed += one->transactions_failed;
    sum->restarts += one->restarts, sum->drifts += one->drifts;
    sum->publications += one->publications, sum->publications_failed += one->publications_failed;
    sum->published_rows += one->published_rows, sum->restores += one->restores;
    sum->restored_rows += one->restored_rows, sum->restore_seconds += one->restore_seconds;
    sum->refused += one->refused, sum->waits += one->waits, sum->partitions += one->partitions;
    sum->cpu_poll += one->cpu_poll, sum->cpu_decode += one->cpu_decode, sum->cpu_lane += one->cpu_lane;
    sum->cpu_encode += one->cpu_encode, sum->cpu_send += one->cpu_send;
    sum->cpu_checkpoint += one->cpu_checkpoint;
    if (one->model > sum->model) sum->model = one->model;
}

void workers_stats(struct workers *w, struct driver_stats *out)
{
    if (w->n == 1) {
        driver_stats(w->item[0].driver, out);
        return;
    }
    int n_loss = 0;
    double loss = 0, grad_norm = 0;
    *out = (struct driver_stats){0};
    for (int i = 0; i < w->n; i++) {
        struct worker *item = &w->item[i];
        struct driver_stats one;
        if (!w->running && item->driver) {
            driver_stats(item->driver, &one);
        } else {
            (void)pthread_mutex_lock(&w->lock);
            one = item->stats;
            (void)pthread_mutex_unlock(&w->lock);
        }
        stats_add(out, &one);
        if (!isfinite(one.loss)) continue;
        n_loss++;
        loss += one.loss;
        grad_norm += one.grad_norm;
    }
    out->loss = n_loss > 0 ? loss / n_loss : NAN;
    out->grad_norm = n_loss > 0 ? grad_norm / n_loss : NAN;
    out->seconds = (double)(driver_clock_ns() - w->started_ns) * 1e-9;
}

static int lanes_order(const void *a, const void *b)
{
    const struct driver_lane *const *l = a, *const *r = b;
    int topics = strcmp((*l)->topic, (*r)->topic);
    return topics ? topics : ((*l)->partition > (*r)->partition) - ((*l)->partition < (*r)->partition);
}

eddy_status workers_hash(struct workers *w, bool positions, char out[33], struct eddy_error *err)
{
    size_t n = 0, at = 0;
    for (int i = 0; i < w->n; i++) n += (size_t)w->item[i].driver->n_lanes;
    struct driver_lane **lanes = calloc(n + 1, sizeof(*lanes));
    struct state_hash *h = state_hash_open();
    eddy_status rc = lanes && h ? EDDY_OK : workers_no_memory(err);
    for (int i = 0; i < w->n && rc >= 0; i++)
        for (int k = 0; k < w->item[i].driver->n_lanes; k++) lanes[at++] = w->item[i].driver->lanes[k];
    if (rc >= 0) qsort(lanes, n, sizeof(struct driver_lane *), lanes_order);
    for (size_t i = 0; i < n && rc >= 0; i++)
        if (lanes[i]->lane) rc = lane_hash(lanes[i]->lane, positions, h, err);
    if (rc >= 0) state_hash_hex(h, out);
    state_hash_close(h);
    free(lanes);
    return rc;
}

#include "engine/flow/driver.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config/failpoint.h"
#include "config/log.h"
#include "engine/flow/driver_private.h"

enum { CHUNK = 1024, MAX_BATCHES = 64, POLL_MS = 100, SAVING_POLL_MS = 2, STALL_MS = 50, STOP_DRAIN_MS = 5000 };
static const int64_t TICK_NS = 250 * 1000000LL, MS_NS = 1000000;

int64_t driver_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void driver_stage(const struct driver *d, double *stage, double *since)
{
    if (!d->stages) return;
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    double now = (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
    if (stage) *stage += now - *since;
    *since = now;
}

bool driver_stopping(const struct driver *d)
{
    return d->request.stop && __atomic_load_n(d->request.stop, __ATOMIC_RELAXED);
}

/* ---- open ---- */

static eddy_status driver_no_memory(struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "out of memory while opening the pipeline");
}

/* Workers of one process are instances of their own. */
static eddy_status driver_instance(struct driver *d, struct eddy_error *err)
{
    char digits[STORE_INSTANCE_DIGITS + 1];
    eddy_status rc = store_instance(d->state_path, d->settings->name, digits, err);
    if (rc >= 0)
        (void)snprintf(d->instance, sizeof(d->instance), d->request.workers > 1 ? "%s-%d" : "%s", digits,
                       d->request.worker);
    return rc;
}

static eddy_status driver_open_state(struct driver *d, struct eddy_error *err)
{
    d->state_path = d->request.state_path ? d->request.state_path : d->settings->state.path;
    if (d->request.state == DRIVER_STATE_SCRATCH) {
        const char *tmp = getenv("TMPDIR");
        if (asprintf(&d->scratch_path, "%s/eddy-XXXXXX", tmp && *tmp ? tmp : "/tmp") < 0) {
            d->scratch_path = NULL;
            return driver_no_memory(err);
        }
        if (!mkdtemp(d->scratch_path)) {
            eddy_status rc = eddy_fail(err, EDDY_EIO, "%s: %s", d->scratch_path, strerror(errno));
            free(d->scratch_path);
            d->scratch_path = NULL;
            return rc;
        }
        d->state_path = d->scratch_path;
    }
    eddy_status rc = EDDY_OK;
    if (d->scratch_path || !d->request.state_lock)
        rc = store_lock_open(d->state_path, d->settings->name, &d->lock, err);
    if (rc >= 0 && d->request.commit && !d->scratch_path) rc = driver_instance(d, err);
    return rc >= 0 && !d->scratch_path ? storage_open(&d->storage, err) : rc;
}

static eddy_status driver_open_codecs(struct driver *d, struct eddy_error *err)
{
    const struct driver_request *q = &d->request;
    const struct eddy_choice *own = &d->settings->codec;
    d->codec_type = (const struct eddy_codec *)(const void *)own->part;
    d->sink_codec_type = q->sink_codec ? q->sink_codec : d->codec_type;
    const void *sink_settings = q->sink_codec ? q->sink_codec_settings : own->settings;

    eddy_status rc = d->codec_type->open(own->settings, &d->limits, &d->codec, err);
    if (rc >= 0) rc = d->sink_codec_type->open(sink_settings, &d->limits, &d->sink_codec, err);
    if (rc >= 0 && q->context_codec)
        rc = q->context_codec->open(q->context_codec_settings, &d->limits, &d->context_codec, err);
    return rc;
}

struct sink_request driver_sink_request(const struct driver *d)
{
    return (struct sink_request){.name = d->settings->name,
                                 .source = d->request.sink_request.source,
                                 .latency = d->settings->latency,
                                 .worker = d->request.worker,
                                 .workers = d->request.workers,
                                 .stop = d->request.stop,
                                 .transaction = d->transaction};
}

static void driver_round(void *context, int round, int patience_ms)
{
    struct driver *d = context;
    d->unsettled = round != SOURCE_SETTLED;
    d->taking = round == SOURCE_TAKES;
    if (d->request.claims) claims_round(d->request.claims, d->request.worker, round, patience_ms);
}

static eddy_status driver_open_ends(struct driver *d, struct eddy_error *err)
{
    const struct driver_request *q = &d->request;
    const struct eddy_choice *dead = &d->settings->errors.dead_letter;
    eddy_status rc = EDDY_OK;
    struct sink_request results = driver_sink_request(d);
    results.columns = q->sink_request.columns;
    results.co_partitioned = 1;
    if (q->sink) rc = q->sink->open(q->sink_settings, &results, &d->sink, err);
    if (rc >= 0 && dead->part) {
        const struct sink_request letters = driver_sink_request(d);
        rc = ((const struct eddy_sink *)(const void *)dead->part)
                 ->open(dead->settings, &letters, &d->dead_letters, err);
    }
    if (rc >= 0) rc = driver_open_incidents(d, err);
    const struct source_request source = {.name = d->settings->name,
                                          .instance = *d->instance ? d->instance : NULL,
                                          .limits = &d->limits,
                                          .latency = d->settings->latency,
                                          .listener = {d, driver_assign, driver_revoke, driver_round},
                                          .traced = !d->scratch_path,
                                          .worker = q->worker,
                                          .workers = q->workers,
                                          .stop = q->stop};
    if (rc >= 0) rc = q->source->open(q->source_settings, &source, &d->source, err);
    return rc;
}

static eddy_status driver_open_scratch(struct driver *d, struct eddy_error *err)
{
    size_t n = (size_t)d->chunk;
    d->batches = calloc(MAX_BATCHES, sizeof(*d->batches));
    d->events = calloc(n, sizeof(*d->events));
    d->results = calloc(n, sizeof(*d->results));
    d->messages = calloc(n, sizeof(*d->messages));
    d->starts = calloc(n + 1, sizeof(*d->starts));
    return d->batches && d->events && d->results && d->messages && d->starts ? EDDY_OK : driver_no_memory(err);
}

eddy_status driver_open(const struct driver_request *request, struct driver **out, struct eddy_error *err)
{
    *out = NULL;
    struct driver *d = calloc(1, sizeof(*d));
    if (!d) return driver_no_memory(err);
    const struct settings *s = request->settings;
    d->request = *request;
    d->settings = s;
    d->limits = (struct eddy_limits){s->limits.record, s->limits.key, s->limits.depth, s->limits.fields};
    d->chunk = request->chunk > 0 ? request->chunk : CHUNK;
    d->stages = getenv("EDDY_STAGES") != NULL;
    d->stats.loss = d->stats.grad_norm = NAN;
    d->started_ns = driver_clock_ns();
    d->checkpoint_due_ns = d->started_ns + s->state.checkpoint;

    eddy_status rc = driver_open_scratch(d, err);
    if (rc >= 0) rc = driver_open_state(d, err);
    if (rc >= 0) rc = driver_open_codecs(d, err);
    if (rc >= 0 && s->train.mode != TRAIN_OFF) rc = trainer_open(s->train.mode, &d->trainer, err);
    if (rc >= 0) rc = driver_transaction_open(d, err);
    if (rc >= 0) rc = driver_topic_open(d, err);
    if (rc >= 0) rc = driver_open_ends(d, err);
    if (rc < 0) {
        driver_close(d);
        return rc;
    }
    *out = d;
    return EDDY_OK;
}

/* ---- waiting for the sink ---- */

static int64_t driver_outstanding(const struct driver *d)
{
    int64_t n = 0;
    const struct eddy_sink *letters = (const struct eddy_sink *)(const void *)d->settings->errors.dead_letter.part;
    if (d->sink) n += d->request.sink->outstanding(d->sink);
    if (d->dead_letters) n += letters->outstanding(d->dead_letters);
    if (d->incidents) n += d->request.incidents->outstanding(d->incidents);
    return n;
}

static eddy_status driver_service(struct driver *d, int timeout_ms, struct eddy_error *err)
{
    const struct eddy_sink *letters = (const struct eddy_sink *)(const void *)d->settings->errors.dead_letter.part;
    eddy_status rc = EDDY_OK;
    if (d->sink) rc = d->request.sink->service(d->sink, timeout_ms, err);
    if (rc >= 0 && d->dead_letters) rc = letters->service(d->dead_letters, d->sink ? 0 : timeout_ms, err);
    if (rc >= 0 && d->incidents) rc = d->request.incidents->service(d->incidents, 0, err);
    return rc;
}

eddy_status driver_drain(struct driver *d, int timeout_ms, struct eddy_error *err)
{
    int64_t deadline = driver_clock_ns() + timeout_ms * MS_NS;
    for (;;) {
        eddy_status rc = driver_service(d, 0, err);
        if (rc < 0) return rc;
        if (driver_outstanding(d) == 0) return EDDY_OK;
        if (driver_clock_ns() >= deadline) return EDDY_EAGAIN;
        rc = driver_service(d, 10, err);
        if (rc < 0) return rc;
    }
}

/* Results before a checkpoint must be confirmed.  The group is served meanwhile; with the broker away this stands still
 * until it is back, or until the program is told to stop. */
static eddy_status driver_drain_serving(struct driver *d, struct eddy_error *err)
{
    int64_t stop_by = 0;
    for (;;) {
        eddy_status rc = driver_drain(d, STALL_MS, err);
        if (rc != EDDY_EAGAIN) return rc;
        if (driver_stopping(d)) {
            if (stop_by == 0) stop_by = driver_clock_ns() + STOP_DRAIN_MS * MS_NS;
            if (driver_clock_ns() >= stop_by) {
                d->given_up = true;
                return EDDY_EAGAIN;
            }
        }
        rc = d->request.source->serve(d->source, err);
        if (rc < 0) return rc;
    }
}

static eddy_status driver_checkpoint_now(struct driver *d, bool wait, struct eddy_error *err)
{
    FAILPOINT("before_drain");
    eddy_status rc = EDDY_OK;
    if (!FAILPOINT_BREAK("checkpoint_ahead"))
        rc = d->transaction ? driver_settle(d, err) : driver_drain_serving(d, err);
    if (rc >= 0) FAILPOINT("after_drain");
    if (rc >= 0) rc = wait ? driver_checkpoint(d, err) : driver_checkpoint_begin(d, err);
    d->checkpoint_due_ns = driver_clock_ns() + d->settings->state.checkpoint;
    return rc;
}

/* ---- the loop ---- */

static void driver_tick(struct driver *d, int64_t now)
{
    if (!d->request.on_tick || now < d->tick_due_ns) return;
    struct driver_stats stats;
    driver_stats(d, &stats);
    d->request.on_tick(d->request.context, &stats);
    d->tick_due_ns = now + TICK_NS;
}

/* Nothing is left to do: what has to be decided is the pipeline's error.  Where other workers read on, or may be given
 * something yet, it waits. */
static bool driver_all_refused(const struct driver *d)
{
    int n = 0;
    for (int i = 0; i < d->n_lanes; i++) n += d->lanes[i]->refused;
    if (n == 0 || n < d->n_lanes || d->unsettled) return false;
    return !d->request.claims || claims_all_refused(d->request.claims);
}

static eddy_status driver_turn(struct driver *d, struct eddy_error *err)
{
    double cpu = 0;
    driver_stage(d, NULL, &cpu);
    const bool busy = driver_saving(d) || d->topic_busy;
    const int patience_ms = driver_patience_ms(d, busy ? SAVING_POLL_MS : POLL_MS);
    eddy_status rc = d->request.source->poll(d->source, patience_ms, d->chunk, d->batches, MAX_BATCHES, err);
    driver_stage(d, &d->stats.cpu_poll, &cpu);
    if (rc < 0) return rc;
    d->n_batches = rc;
    if (rc > 0) FAILPOINT("after_poll");
    for (int i = 0; i < d->n_batches && rc >= 0 && !d->spoilt; i++) rc = driver_feed(d, &d->batches[i], err);
    d->n_batches = 0;
    bool given_up = rc == EDDY_EAGAIN && driver_stopping(d); /* the sink is full and we are to stop */
    if (given_up) rc = EDDY_OK;
    driver_stage(d, NULL, &cpu);
    d->request.source->release(d->source);
    driver_stage(d, &d->stats.cpu_poll, &cpu);
    if (rc >= 0 && !given_up) rc = driver_service(d, 0, err);
    if (rc < 0 || given_up) return rc;

    int64_t now = driver_clock_ns();
    rc = driver_transaction_tick(d, err);
    if (rc >= 0 && driver_saving(d))
        rc = driver_checkpoint_go_on(d, err);
    else if (rc >= 0 && now >= d->checkpoint_due_ns)
        rc = driver_checkpoint_now(d, false, err);
    if (rc >= 0 && !d->spoilt) rc = driver_topic_tick(d, err);
    if (d->spoilt && (rc >= 0 || rc == EDDY_EAGAIN)) rc = driver_restart(d, err);
    if (rc == EDDY_EAGAIN && driver_stopping(d)) rc = EDDY_OK;
    driver_stage(d, &d->stats.cpu_checkpoint, &cpu);
    driver_tick(d, now);
    if (driver_all_refused(d)) {
        if (err) *err = d->refusal;
        return d->refusal.code;
    }
    if (d->revoke_error.code < 0) {
        if (err) *err = d->revoke_error;
        return d->revoke_error.code;
    }
    return rc;
}

eddy_status driver_run(struct driver *d, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    while (rc >= 0 && !driver_stopping(d) && (driver_topic_holding(d) || !d->request.source->ended(d->source)))
        rc = driver_turn(d, err);

    /* Whatever ended the loop: what was folded and confirmed is kept. */
    FAILPOINT("before_last_checkpoint");
    struct eddy_error last = {0};
    eddy_status saved = driver_checkpoint_now(d, true, &last);
    if (saved == EDDY_EAGAIN) {
        (void)driver_checkpoint_end(d, NULL);
        log_warn("stop", "%lld results are not confirmed; they will be written again at the next start",
                 (long long)driver_outstanding(d));
    } else if (saved < 0 && rc >= 0) {
        if (err) *err = last;
        rc = saved;
    } else if (saved >= 0 && rc >= 0 && d->checkpoint_error.code < 0) {
        if (err) *err = d->checkpoint_error; /* a full disk is no reason to stop, but the end must not hide it */
        rc = d->checkpoint_error.code;
    }
    if (saved >= 0 && rc >= 0) rc = driver_topic_finish(d, err);
    if (rc >= 0 && d->refusal.code < 0) { /* the others went on, but the end must not hide it */
        if (err) *err = d->refusal;
        rc = d->refusal.code;
    }
    d->tick_due_ns = 0;
    driver_tick(d, driver_clock_ns());
    return rc < 0 ? rc : EDDY_OK;
}

/* ---- figures ---- */

void driver_add_stats(struct driver_stats *total, const struct driver_lane *dl)
{
    if (!dl->lane) return;
    struct lane_stats s;
    lane_stats(dl->lane, &s);
    total->keys += s.keys_new;
    total->late += s.late;
    total->duplicates += s.duplicates;
    total->alerts += s.alerts;
    total->incidents += s.incidents;
    total->updates += s.updates;
    total->refused += s.refused;
    total->drifts += s.drifts;
    if (s.model > total->model) total->model = s.model;
    if (!isfinite(s.loss)) return;
    total->loss = s.loss;
    total->grad_norm = s.grad_norm;
}

void driver_stats(const struct driver *d, struct driver_stats *out)
{
    *out = d->stats;
    out->partitions = d->n_lanes;
    out->seconds = (double)(driver_clock_ns() - d->started_ns) * 1e-9;
    for (int i = 0; i < d->n_lanes; i++) driver_add_stats(out, d->lanes[i]);
}

eddy_status driver_hash(struct driver *d, bool positions, char out[33], struct eddy_error *err)
{
    struct state_hash *h = state_hash_open();
    eddy_status rc = h ? EDDY_OK : driver_no_memory(err);
    for (int i = 0; i < d->n_lanes && rc >= 0; i++)
        if (d->lanes[i]->lane) rc = lane_hash(d->lanes[i]->lane, positions, h, err);
    if (rc >= 0) state_hash_hex(h, out);
    state_hash_close(h);
    return rc;
}

eddy_status driver_shared(struct driver *d, struct eddy_buffer *out, struct eddy_error *err)
{
    out->len = 0;
    for (int i = 0; i < d->n_lanes && out->len == 0; i++)
        if (d->lanes[i]->lane && d->lanes[i]->plan->shared_bytes > 0 && lane_share_blob(d->lanes[i]->lane, out) < 0)
            return driver_no_memory(err);
    return EDDY_OK;
}

/* ---- close ---- */

/* Removes the private state of a replay: <scratch>/<name>/files. */
static void driver_remove_scratch(const char *path, int depth)
{
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char *inner = NULL;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (asprintf(&inner, "%s/%s", path, e->d_name) < 0) break;
        if (unlink(inner) < 0 && depth > 0) driver_remove_scratch(inner, depth - 1);
        free(inner);
    }
    if (dir) closedir(dir);
    (void)rmdir(path);
}

void driver_close(struct driver *d)
{
    if (!d) return;
    FAILPOINT("before_close");
    const struct eddy_sink *letters = (const struct eddy_sink *)(const void *)d->settings->errors.dead_letter.part;
    if (d->source) d->request.source->close(d->source); /* revokes the lanes */
    FAILPOINT("after_source_close");
    while (d->n_lanes > 0) driver_free_lane(d, d->lanes[0]);
    if (d->sink) d->request.sink->close(d->sink);
    if (d->dead_letters) letters->close(d->dead_letters);
    if (d->incidents) d->request.incidents->close(d->incidents);
    driver_topic_close(d);
    driver_transaction_close(d);
    if (d->codec) d->codec_type->close(d->codec);
    if (d->sink_codec) d->sink_codec_type->close(d->sink_codec);
    if (d->context_codec) d->request.context_codec->close(d->context_codec);
    trainer_close(d->trainer);
    storage_close(d->storage);
    store_lock_close(d->lock);
    if (d->scratch_path) driver_remove_scratch(d->scratch_path, 2);
    eddy_arena_free(&d->arena);
    eddy_buffer_free(&d->encoded);
    eddy_buffer_free(&d->names);
    free(d->lanes), free(d->batches), free(d->events), free(d->results), free(d->messages), free(d->starts);
    free(d->x), free(d->category), free(d->scratch_path);
    free(d);
}

/* The lanes of partitions that are ours: how they are opened, saved and let go.  Where they start: driver_assign.c. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/failpoint.h"
#include "config/log.h"
#include "engine/flow/driver_private.h"
#include "engine/flow/initial_model.h"
#include "engine/flow/lane_store.h"

enum { REVOKE_DRAIN_MS = 5000, REVOKE_AGAIN_MS = 2000, TYPICAL_KEY_BYTES = 16 };
enum { SLICE_ROWS = 512 /* that a checkpoint copies at once: a fraction of a millisecond */ };
static const int64_t MS_NS = 1000000;

int64_t driver_next(const struct driver_lane *dl)
{
    return dl->lane ? lane_next(dl->lane) : dl->next;
}

/* state.memory and max_keys are the process's: every worker gets an equal share, and of it every lane. */
static void driver_share_memory(struct driver *d)
{
    const struct state_settings *s = &d->settings->state;
    const int workers = d->request.workers > 1 ? d->request.workers : 1;
    for (int i = 0; i < d->n_lanes; i++) {
        if (!d->lanes[i]->lane) continue;
        int64_t each = (int64_t)keyspace_bytes_per_key(&d->lanes[i]->plan->layout, TYPICAL_KEY_BYTES);
        int64_t keys = s->memory / each;
        if (s->max_keys > 0 && s->max_keys < keys) keys = s->max_keys;
        keys = keys / workers / d->n_lanes;
        lane_set_max_resident(d->lanes[i]->lane, keys > 0 ? keys : 1);
    }
}

/* What the lane starts from when it has no checkpoint; *out NULL: drawn from the seed. */
static eddy_status driver_initial(const struct driver *d, const struct driver_lane *dl, struct weights **out,
                                  struct eddy_error *err)
{
    *out = NULL;
    if (d->request.model_path && dl->plan->model->n_params == 0) return EDDY_OK;
    if (d->request.model_path) return initial_model_read(dl->plan, d->request.model_path, out, err);
    return d->scratch_path ? EDDY_OK : initial_model_kept(dl->plan, d->state_path, dl->store, out, err);
}

/* A lane without a checkpoint begins with what keys have shared elsewhere, if that is kept beside its model. */
static eddy_status driver_initial_shared(const struct driver *d, const struct driver_lane *dl, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    if (dl->plan->shared_bytes == 0 || lane_checkpointed(dl->lane) >= 0) return EDDY_OK;
    if (!d->request.model_path && d->scratch_path) return EDDY_OK;
    char *kept = d->request.model_path ? NULL : initial_model_path(d->state_path, d->settings->name);
    if (!kept && !d->request.model_path)
        return eddy_fail(err, EDDY_ENOMEM, "state directory %s: out of memory", d->state_path);
    const char *path = kept ? kept : d->request.model_path;
    eddy_status rc = initial_shared_read(path, &b, err);
    if (rc >= 0) rc = initial_shared_sound(path, lane_share_begin(dl->lane, b.data, b.len, err), err);
    eddy_buffer_free(&b);
    free(kept);
    /* Without a network there is nothing else that the model could have been. */
    const bool asked = d->request.model_path && dl->plan->model->n_params == 0;
    return rc == EDDY_ENOTFOUND && !asked ? EDDY_OK : rc;
}

eddy_status driver_open_lane(struct driver *d, struct driver_lane *dl, const struct eddy_schema *schema,
                             struct eddy_error *err)
{
    eddy_status rc = plan_open(d->settings, schema, &dl->plan, err);
    struct weights *initial = NULL;
    if (rc >= 0) rc = driver_initial(d, dl, &initial, err);
    if (rc < 0) return rc;
    const struct lane_request request = {.plan = dl->plan,
                                         .topic = dl->topic,
                                         .partition = dl->partition,
                                         .store = dl->store,
                                         .trainer = d->trainer,
                                         .max_resident = 1,
                                         .initial = initial,
                                         .storage = d->storage};
    rc = lane_open(&request, &dl->lane, err);
    weights_unref(initial);
    if (rc >= 0) rc = driver_initial_shared(d, dl, err);
    if (rc >= 0 && d->request.experts) rc = lane_tell_experts(dl->lane, err);
    if (rc < 0) return rc;
    lane_gather(dl->lane, d->request.gather);
    if (lane_checkpointed(dl->lane) < 0) lane_seek(dl->lane, dl->next);
    driver_share_memory(d);
    return driver_topic_follow(d, dl, err);
}

/* ---- checkpoint ---- */

/* What lies before the position that is about to be saved; "" = the source's offsets say it. */
static void checkpoint_trace(struct driver *d, struct driver_lane *dl, char out[SOURCE_TRACE_BYTES])
{
    *out = '\0';
    if (d->request.source->trace) d->request.source->trace(d->source, dl, driver_next(dl), out);
    if (dl->lane) lane_set_trace(dl->lane, out);
}

/* A partition with nothing but bad records so far has no lane to save, only how far it has come. */
static eddy_status checkpoint_skipped(struct driver_lane *dl, const char *trace, struct eddy_error *err)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRId64, dl->next);
    eddy_status rc = store_put_meta(dl->store, DRIVER_SKIPPED_META, text, (size_t)n, err);
    if (rc >= 0 && *trace) rc = store_put_meta(dl->store, LANE_TRACE, trace, strlen(trace), err);
    if (rc >= 0) rc = store_commit(dl->store, err);
    if (rc >= 0) dl->skipped = dl->next;
    return rc;
}

static int64_t driver_saved(const struct driver_lane *dl)
{
    return dl->lane ? lane_checkpointed(dl->lane) : dl->skipped;
}

static bool checkpoint_is_due(const struct driver_lane *dl)
{
    bool untouched = !dl->lane && dl->skipped < 0 && dl->next == dl->started;
    return !untouched && !dl->condemned && driver_saved(dl) != driver_next(dl);
}

static eddy_status checkpoint_ended(struct driver *d, eddy_status rc, const struct eddy_error *err)
{
    if (rc == EDDY_EFULL) { /* the last checkpoint stands; results go on, and the next try may find room */
        d->checkpoint_error = err ? *err : (struct eddy_error){.code = rc};
        log_error("checkpoint_failed", "%s", d->checkpoint_error.message);
        return EDDY_OK;
    }
    if (rc >= 0) d->stats.checkpoints++;
    return rc;
}

static eddy_status driver_checkpoint_lane(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    char trace[SOURCE_TRACE_BYTES];
    if (!checkpoint_is_due(dl)) return EDDY_OK;
    FAILPOINT("before_checkpoint");
    checkpoint_trace(d, dl, trace);
    eddy_status rc = dl->lane ? lane_checkpoint(dl->lane, err) : checkpoint_skipped(dl, trace, err);
    FAILPOINT("after_checkpoint");
    dl->saving = false;
    return checkpoint_ended(d, rc, err);
}

struct source_position driver_position(struct driver_lane *dl, int64_t next)
{
    const struct position_mark mark = {dl->lane ? lane_start(dl->lane) : dl->started, dl->mark.output};
    position_mark_write(mark, dl->metadata);
    return (struct source_position){dl, dl->topic, dl->partition, next, dl->metadata};
}

static eddy_status driver_commit_positions(struct driver *d, struct driver_lane *only, struct eddy_error *err)
{
    if (!d->request.commit || !d->request.source->commit || !d->source) return EDDY_OK;
    if (d->transaction)
        return d->request.source->commit(d->source, NULL, 0, err); /* what the source itself has due */
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < d->n_lanes && rc >= 0; i++) {
        struct driver_lane *dl = d->lanes[i];
        int64_t next = driver_saved(dl);
        if ((only && dl != only) || next < 0 || next == dl->committed || next < dl->emit_from) continue;
        const struct source_position at = driver_position(dl, next);
        rc = d->request.source->commit(d->source, &at, 1, err);
        if (rc >= 0) dl->committed = next;
    }
    return rc;
}

eddy_status driver_checkpoint(struct driver *d, struct eddy_error *err)
{
    d->checkpoint_error.code = EDDY_OK;
    for (int i = 0; i < d->n_lanes; i++) {
        eddy_status rc = driver_checkpoint_lane(d, d->lanes[i], err);
        if (rc < 0) return rc;
    }
    return driver_commit_positions(d, NULL, err);
}

/* ---- checkpoints that the loop does not wait for ---- */

bool driver_saving(const struct driver *d)
{
    for (int i = 0; i < d->n_lanes; i++)
        if (d->lanes[i]->saving) return true;
    return false;
}

/* A lane's checkpoint begins; one that there is no room for is reported, and the next turn tries again. */
static eddy_status saving_begin(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    if (!dl->lane) return driver_checkpoint_lane(d, dl, err);
    char trace[SOURCE_TRACE_BYTES];
    if (!checkpoint_is_due(dl)) return EDDY_OK;
    FAILPOINT("before_checkpoint");
    checkpoint_trace(d, dl, trace);
    const eddy_status rc = lane_save_begin(dl->lane, err);
    dl->saving = rc >= 0;
    return rc < 0 ? checkpoint_ended(d, rc, err) : EDDY_OK;
}

eddy_status driver_checkpoint_begin(struct driver *d, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    d->checkpoint_error.code = EDDY_OK;
    for (int i = 0; i < d->n_lanes && rc >= 0; i++) rc = saving_begin(d, d->lanes[i], err);
    if (rc >= 0) rc = driver_checkpoint_go_on(d, err);
    return rc < 0 ? rc : driver_commit_positions(d, NULL, err);
}

/* `rc` of a step or a wait: when the checkpoint is durable, its position may be committed. */
static eddy_status saving_ended(struct driver *d, struct driver_lane *dl, eddy_status rc, struct eddy_error *err)
{
    FAILPOINT("after_checkpoint");
    const bool held = rc >= 0;
    dl->saving = false;
    rc = checkpoint_ended(d, rc, err);
    if (rc >= 0 && held) rc = driver_topic_offer(d, dl, err);
    return rc < 0 ? rc : driver_commit_positions(d, dl, err);
}

eddy_status driver_checkpoint_go_on(struct driver *d, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < d->n_lanes && rc >= 0; i++) {
        struct driver_lane *dl = d->lanes[i];
        if (!dl->saving) continue;
        rc = lane_save_step(dl->lane, SLICE_ROWS, err);
        if (rc != 0) rc = saving_ended(d, dl, rc, err);
    }
    return rc < 0 ? rc : EDDY_OK;
}

eddy_status driver_checkpoint_end(struct driver *d, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < d->n_lanes && rc >= 0; i++) {
        struct driver_lane *dl = d->lanes[i];
        if (dl->saving) rc = saving_ended(d, dl, lane_save_wait(dl->lane, err), err);
    }
    return rc < 0 ? rc : EDDY_OK;
}

/* ---- revoke ---- */

void driver_shut_lane(struct driver_lane *dl)
{
    driver_written_free(dl);
    restorer_close(dl->restorer);
    publisher_close(dl->publisher);
    lane_close(dl->lane);
    plan_close(dl->plan);
    store_close(dl->store);
    dl->restorer = NULL;
    dl->publisher = NULL;
    dl->lane = NULL;
    dl->plan = NULL;
    dl->store = NULL;
}

/* Its sums were right, so the next start would come across the same row, here or in the copy: it shall begin anew
 * instead. */
static void lane_bury(struct driver *d, struct driver_lane *dl)
{
    struct eddy_error err = {0};
    if (!d->request.commit || d->scratch_path || d->settings->state.missing == MISSING_STATE_REFUSE) return;
    eddy_status rc = driver_set_aside(d, dl, "a row of it cannot be worked on", &err);
    if (rc >= 0) rc = driver_topic_mistrust(d, dl, &err);
    if (rc < 0) log_error("state_corrupt", "%s", err.message);
}

void driver_free_lane(struct driver *d, struct driver_lane *dl)
{
    int place = 0;
    while (place < d->n_lanes && d->lanes[place] != dl) place++;
    for (d->n_lanes--; place < d->n_lanes; place++) d->lanes[place] = d->lanes[place + 1];
    for (int i = 0; i < d->n_batches; i++) /* its records of this poll are nobody's; the address may be used again */
        if (d->batches[i].tag == dl) d->batches[i].tag = NULL;
    driver_add_stats(&d->stats, dl);
    driver_topic_forget(d, dl);
    if (dl->publisher) dl->known = *publisher_known(dl->publisher);
    driver_shut_lane(dl);
    if (dl->condemned) lane_bury(d, dl);
    if (dl->claimed) claims_give(d->request.claims, dl->topic, dl->partition, dl->taken);
    free(dl->topic), free(dl->path);
    free(dl);
    driver_share_memory(d);
}

/* Partitions that are revoked together wait for the sink together: REVOKE_DRAIN_MS in all, not each. */
static int revoke_patience_ms(struct driver *d)
{
    int64_t now = driver_clock_ns();
    if (d->given_up) return 0;
    if (now > d->revoke_by_ns + REVOKE_AGAIN_MS * MS_NS) d->revoke_by_ns = now + REVOKE_DRAIN_MS * MS_NS;
    return now < d->revoke_by_ns ? (int)((d->revoke_by_ns - now) / MS_NS) : 0;
}

eddy_status driver_revoke(void *context, void *tag, bool lost, struct eddy_error *err)
{
    struct driver *d = context;
    struct driver_lane *dl = tag;
    eddy_status rc = EDDY_OK;
    log_info("revoked", "%s[%d] at offset %" PRId64 "%s", dl->topic, (int)dl->partition, driver_next(dl),
             lost ? ", lost" : "");
    FAILPOINT("before_revoke");
    d->stats.saves_given_up += lost && dl->saving;
    dl->taken = d->taking && !lost;
    if (dl->lane) lane_abort(dl->lane); /* of a batch in hand, what was not sent yet */
    if (lost && d->began && !dl->held) driver_spoil(d, "the group has taken partitions away");
    if (dl == d->in_hand && d->sending) /* also of a lane that stands at its checkpoint */
        driver_spoil(d, "a partition changed hands while its results were being sent");
    if (!lost && !d->spoilt && !dl->refused && !dl->held && driver_saved(dl) != driver_next(dl)) {
        rc = d->transaction ? driver_settle(d, err) : driver_drain(d, revoke_patience_ms(d), err);
        if (rc >= 0) rc = driver_checkpoint_lane(d, dl, err);
        if (rc >= 0) rc = driver_commit_positions(d, dl, err);
        if (rc == EDDY_EAGAIN) {
            log_warn("revoked", "%s[%d]: results are not confirmed; the next owner writes them again", dl->topic,
                     (int)dl->partition);
            rc = EDDY_OK;
        }
    }
    FAILPOINT("after_revoke");
    if (dl == d->in_hand)
        dl->gone = true;
    else
        driver_free_lane(d, dl);
    if (rc < 0 && err && d->revoke_error.code >= 0) d->revoke_error = *err;
    return rc;
}

/* Partitions come and go: where a lane starts, what is silent, and when it is saved. */
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
#define SKIPPED_META "skipped" /* next offset of a partition without a lane, as text */

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
    eddy_status rc = initial_shared_read(kept ? kept : d->request.model_path, &b, err);
    if (rc >= 0) rc = lane_share_begin(dl->lane, b.data, b.len, err);
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
    return EDDY_OK;
}

/* ---- assign ---- */

/* The topic has dropped records that the state needs, from `wanted` on. */
static eddy_status assign_gap(const struct driver *d, const struct driver_lane *dl, const struct source_partition *p,
                              int64_t wanted, struct eddy_error *err)
{
    if (d->settings->state.gap == STATE_GAP_REFUSE)
        return eddy_fail(err, EDDY_EMISMATCH,
                         "%s[%d]: the state in %s needs offset %" PRId64
                         " and later, but the topic keeps only %" PRId64
                         " and later (state.gap: accept goes on without them; or eddy reset, or another state.path)",
                         p->topic, (int)p->partition, dl->path, wanted, p->low);
    log_error("state_gap",
              "%s[%d]: offsets %" PRId64 "..%" PRId64 " are gone from the topic, and the state lacks them", p->topic,
              (int)p->partition, wanted, p->low);
    return EDDY_OK;
}

/* No local state, but the group has been here: fold everything since the first offset again, silently. */
static eddy_status assign_rebuild(struct driver *d, struct driver_lane *dl, const struct source_partition *p,
                                  struct eddy_error *err)
{
    if (p->high >= 0 && p->committed > p->high)
        return eddy_fail(err, EDDY_EMISMATCH,
                         "%s[%d]: the group has committed offset %" PRId64 ", but the topic ends at %" PRId64
                         ": was it created anew? (eddy reset)",
                         p->topic, (int)p->partition, p->committed, p->high);
    if (d->settings->state.missing == MISSING_STATE_REFUSE)
        return eddy_fail(err, EDDY_ENOTFOUND,
                         "%s[%d]: the group has committed offset %" PRId64 ", but there is no state in %s "
                         "(state.missing: rebuild makes it anew from the topic)",
                         p->topic, (int)p->partition, p->committed, dl->path);
    dl->next = p->low;
    if (strncmp(p->metadata, DRIVER_START_MARK, strlen(DRIVER_START_MARK)) == 0) {
        int64_t start = strtoll(p->metadata + strlen(DRIVER_START_MARK), NULL, 10);
        if (start > dl->next) dl->next = start;
        eddy_status rc = start < p->low ? assign_gap(d, dl, p, start, err) : EDDY_OK;
        if (rc < 0) return rc;
    }
    if (dl->next > p->committed || FAILPOINT_BREAK("skip_replay")) dl->next = p->committed;
    dl->emit_from = p->committed;
    log_warn("state_missing", "%s[%d]: no state in %s; folding offsets %" PRId64 "..%" PRId64 " again, silently",
             p->topic, (int)p->partition, dl->path, dl->next, p->committed);
    return EDDY_OK;
}

static eddy_status assign_continue(const struct driver *d, struct driver_lane *dl, const struct source_partition *p,
                                   int64_t next, struct eddy_error *err)
{
    if (p->high >= 0 && next > p->high)
        return eddy_fail(err, EDDY_EMISMATCH,
                         "%s[%d]: the state in %s goes on at offset %" PRId64 ", but the topic ends at %" PRId64
                         ": was it created anew? (eddy reset, or another state.path)",
                         p->topic, (int)p->partition, dl->path, next, p->high);
    eddy_status rc = next < p->low ? assign_gap(d, dl, p, next, err) : EDDY_OK;
    if (rc < 0) return rc;
    if (p->committed >= 0 && p->committed < next)
        log_warn("position",
                 "%s[%d]: the group's offset %" PRId64 " lies before the state's %" PRId64 "; the state's counts",
                 p->topic, (int)p->partition, p->committed, next);
    dl->next = next;
    dl->emit_from = p->committed > next ? p->committed : next;
    return EDDY_OK;
}

/* Where a partition that has had no good record yet goes on. */
static eddy_status assign_skipped(struct driver_lane *dl, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    eddy_status rc = store_get_meta(dl->store, SKIPPED_META, &b, err);
    if (rc >= 0 && eddy_buffer_append(&b, "", 1) >= 0) dl->skipped = strtoll(b.data, NULL, 10);
    eddy_buffer_free(&b);
    return rc;
}

/* Where to start, from what is stored here and what the group has committed. */
static eddy_status assign_start(struct driver *d, struct driver_lane *dl, const struct source_partition *p,
                                struct eddy_error *err)
{
    struct lane_position at;
    eddy_status rc = store_is_new(dl->store) ? EDDY_ENOTFOUND : lane_stored_position(dl->store, &at, err);
    if (rc >= 0) return assign_continue(d, dl, p, at.next, err);
    if (rc != EDDY_ENOTFOUND) return rc;
    if (!store_is_new(dl->store)) {
        rc = assign_skipped(dl, err);
        if (rc < 0 && rc != EDDY_ENOTFOUND) return rc;
        if (rc >= 0) return assign_continue(d, dl, p, dl->skipped, err);
    }
    if (p->committed >= 0 && p->committed > p->low) return assign_rebuild(d, dl, p, err);
    dl->next = dl->emit_from = p->committed >= 0 ? p->low : p->start;
    return EDDY_OK;
}

static eddy_status assign_store(struct driver *d, struct driver_lane *dl, const struct source_partition *p,
                                struct eddy_error *err)
{
    const struct store_identity id = {d->settings->name, p->topic, p->partition};
    int n_values;
    FAILPOINT("assign_before_store");
    eddy_status rc = store_open(dl->path, &id, d->scratch_path ? STORE_SCRATCH : STORE_WRITE, &dl->store, err);
    FAILPOINT("assign_after_store");
    if (rc >= 0) rc = assign_start(d, dl, p, err);
    if (rc < 0) return rc;
    if (d->request.schema) return driver_open_lane(d, dl, d->request.schema, err);
    if (store_is_new(dl->store)) return EDDY_OK;

    rc = lane_stored_schema(dl->store, &d->names, &n_values, err);
    if (rc < 0) return rc == EDDY_ENOTFOUND ? EDDY_OK : rc;
    const char **names = (const char **)calloc((size_t)n_values, sizeof(*names));
    if (!names) return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory", p->topic, (int)p->partition);
    const char *at = d->names.data;
    for (int i = 0; i < n_values; i++, at += strlen(at) + 1) names[i] = at;
    rc = driver_open_lane(d, dl, &(struct eddy_schema){.n_values = n_values, .names = names}, err);
    free((void *)names);
    return rc;
}

/* State is only what the topic was folded into: a file that fails its checks is kept for people to look at, and the state
 * made anew. */
static eddy_status assign_set_aside(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    const struct eddy_error why = err ? *err : (struct eddy_error){.code = EDDY_ECORRUPT};
    char *moved = NULL;
    lane_close(dl->lane);
    plan_close(dl->plan);
    store_close(dl->store);
    dl->lane = NULL;
    dl->plan = NULL;
    dl->store = NULL;
    eddy_status rc = store_set_aside(dl->path, &moved, err);
    if (rc < 0) return rc;
    d->stats.set_aside++;
    log_error("state_corrupt", "%s[%d]: %s; the file is now %s and the state is made anew", dl->topic,
              (int)dl->partition, why.message, moved);
    free(moved);
    return EDDY_OK;
}

static eddy_status assign_open(struct driver *d, struct driver_lane *dl, const struct source_partition *p,
                               struct eddy_error *err)
{
    const struct store_identity id = {d->settings->name, p->topic, p->partition};
    dl->topic = strdup(p->topic);
    dl->path = store_path(d->state_path, &id);
    if (!dl->topic || !dl->path)
        return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory", p->topic, (int)p->partition);

    eddy_status rc = EDDY_OK;
    if (d->request.claims) rc = claims_take(d->request.claims, p->topic, p->partition, d->request.stop, err);
    if (rc < 0) return rc;
    dl->claimed = d->request.claims != NULL;
    rc = assign_store(d, dl, p, err);
    if (rc != EDDY_ECORRUPT) return rc;
    if (d->settings->state.missing == MISSING_STATE_REFUSE) {
        const struct eddy_error why = err ? *err : (struct eddy_error){0};
        return eddy_fail(err, rc, "%.800s (state.missing: rebuild makes it anew from the topic)", why.message);
    }
    rc = assign_set_aside(d, dl, err);
    return rc < 0 ? rc : assign_store(d, dl, p, err);
}

static int assign_order(const struct driver_lane *a, const struct source_partition *b)
{
    int topics = strcmp(a->topic, b->topic);
    return topics ? topics : a->partition - b->partition;
}

int64_t driver_assign(void *context, const struct source_partition *p, void **tag, struct eddy_error *err)
{
    struct driver *d = context;
    struct driver_lane **grown = realloc(d->lanes, (size_t)(d->n_lanes + 1) * sizeof(*grown));
    struct driver_lane *dl = calloc(1, sizeof(*dl));
    if (grown) d->lanes = grown;
    if (!grown || !dl) {
        free(dl);
        return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory", p->topic, (int)p->partition);
    }
    int place = d->n_lanes++;
    for (; place > 0 && assign_order(d->lanes[place - 1], p) > 0; place--) d->lanes[place] = d->lanes[place - 1];
    d->lanes[place] = dl;
    *dl = (struct driver_lane){
        .partition = p->partition, .committed = d->transaction ? p->committed : -1, .skipped = -1};

    eddy_status rc = assign_open(d, dl, p, err);
    if (rc < 0) {
        driver_free_lane(d, dl);
        return rc;
    }
    dl->started = driver_next(dl);
    const int64_t from = dl->started > p->low ? dl->started : p->low; /* not the same where a gap was accepted */
    *tag = dl;
    FAILPOINT("assigned");
    log_info("assigned", "%s[%d] from offset %" PRId64 "%s", p->topic, (int)p->partition, from,
             dl->emit_from > from ? ", silent at first" : "");
    return from;
}

/* ---- checkpoint ---- */

/* A partition with nothing but bad records so far has no lane to save, only how far it has come. */
static eddy_status checkpoint_skipped(struct driver_lane *dl, struct eddy_error *err)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRId64, dl->next);
    eddy_status rc = store_put_meta(dl->store, SKIPPED_META, text, (size_t)n, err);
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
    return !untouched && driver_saved(dl) != driver_next(dl);
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
    if (!checkpoint_is_due(dl)) return EDDY_OK;
    FAILPOINT("before_checkpoint");
    eddy_status rc = dl->lane ? lane_checkpoint(dl->lane, err) : checkpoint_skipped(dl, err);
    FAILPOINT("after_checkpoint");
    dl->saving = false;
    return checkpoint_ended(d, rc, err);
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
        (void)snprintf(dl->metadata, sizeof(dl->metadata), DRIVER_START_MARK "%" PRId64,
                       dl->lane ? lane_start(dl->lane) : dl->started);
        const struct source_position at = {dl, dl->topic, dl->partition, next, dl->metadata};
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
    if (!checkpoint_is_due(dl)) return EDDY_OK;
    FAILPOINT("before_checkpoint");
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
    dl->saving = false;
    rc = checkpoint_ended(d, rc, err);
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

void driver_free_lane(struct driver *d, struct driver_lane *dl)
{
    int place = 0;
    while (place < d->n_lanes && d->lanes[place] != dl) place++;
    for (d->n_lanes--; place < d->n_lanes; place++) d->lanes[place] = d->lanes[place + 1];
    for (int i = 0; i < d->n_batches; i++) /* its records of this poll are nobody's; the address may be used again */
        if (d->batches[i].tag == dl) d->batches[i].tag = NULL;
    driver_add_stats(&d->stats, dl);
    lane_close(dl->lane);
    plan_close(dl->plan);
    store_close(dl->store);
    if (dl->claimed) claims_give(d->request.claims, dl->topic, dl->partition);
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
    if (dl->lane) lane_abort(dl->lane); /* of a batch in hand, what was not sent yet */
    if (lost && d->began) driver_spoil(d, "the group has taken partitions away");
    if (!lost && !d->spoilt && driver_saved(dl) != driver_next(dl)) {
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

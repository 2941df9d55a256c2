/* Checkpoints: what a lane writes into its store, at once or without standing still. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/failpoint.h"
#include "engine/detect/silence.h"
#include "engine/flow/blob.h"
#include "engine/flow/lane_private.h"
#include "engine/flow/lane_versions.h"
#include "engine/math/kernels.h"

enum { SWEEPS_PER_TTL = 64, MOST_BLOBS = 12 };

struct lane_blob {
    const char *name;
    struct eddy_buffer bytes;
};

/* All but the rows, as it was at the cut.  The storage thread reads it; the lane leaves it alone meanwhile. */
struct lane_save {
    struct lane_blob blob[MOST_BLOBS];
    int n_blobs;
    struct eddy_buffer model; /* empty: the store has it */
    struct lane_version version;
    int64_t keep_versions;
    int64_t next, expired; /* INT64_MIN: no sweep */
};

/* ---- what there is to write ---- */

/* Windows in training: those of candidates not adopted yet, and the sample of the current epoch. */
static eddy_status lane_train_blob(const struct lane *l, struct eddy_buffer *b)
{
    size_t floats = lane_window_floats(l->plan);
    eddy_status rc = blob_u32(b, TRAIN_FORMAT, EDDY_OK);
    rc = triggers_blob(&l->triggers, b, rc);
    rc = blob_u64(b, floats, rc);
    rc = blob_u32(b, (uint32_t)l->n_jobs, rc);
    for (int i = 0; i < l->n_jobs; i++) {
        const struct train_windows windows = train_job_windows(l->jobs[i].job);
        rc = blob_i64(b, l->jobs[i].boundary, rc);
        rc = blob_u32(b, (uint32_t)windows.n, rc);
        rc = blob_u32(b, (uint32_t)windows.n_held, rc);
        rc = blob_floats(b, windows.data, ((size_t)windows.n + (size_t)windows.n_held) * floats, rc);
    }
    rc = blob_u32(b, l->plan->settings->train.champion > 0, rc);
    rc = blob_u32(b, (uint32_t)l->windows.n, rc);
    for (int i = 0; i < l->windows.n; i++) {
        const struct lane_window *w = &l->windows.item[i];
        rc = blob_u64(b, w->rank, rc);
        rc = blob_i64(b, w->offset, rc);
        rc = blob_u32(b, (uint32_t)w->channel, rc);
        rc = blob_floats(b, w->block, floats, rc);
    }
    return rc;
}

/* A sweep may read the whole file, so the next one waits until a part of the ttl has gone by.  A key that expired in
 * between counts as unknown all the same: its turn, the hash and this look at its time.  A row whose incident is still to
 * be told of as closed stays. */
static int64_t save_sweeps(const struct lane *l)
{
    const int64_t ttl = l->plan->settings->state.ttl, old = lane_expired_before(&l->clock, ttl);
    const int64_t expired = old < l->told_before ? old : l->told_before;
    const bool now = l->swept == INT64_MIN || expired >= l->swept + ttl / SWEEPS_PER_TTL;
    return expired != INT64_MIN && now ? expired : INT64_MIN;
}

static struct eddy_buffer *save_blob(struct lane_save *s, const char *name)
{
    struct lane_blob *b = &s->blob[s->n_blobs++];
    b->name = name;
    return &b->bytes;
}

static void save_free(struct lane_save *s)
{
    for (int i = 0; i < s->n_blobs; i++) eddy_buffer_free(&s->blob[i].bytes);
    eddy_buffer_free(&s->model);
    *s = (struct lane_save){0};
}

static eddy_status save_take_model(const struct lane *l, struct lane_save *s, struct eddy_error *err)
{
    if (l->model_stored == l->weights->version) return EDDY_OK;
    s->version = (struct lane_version){l->weights->version, l->next, UINT64_MAX};
    s->keep_versions = l->plan->settings->train.keep_versions;
    return weights_encode(l->weights, &s->model, err);
}

static eddy_status save_take(struct lane *l, struct lane_save *s, struct eddy_error *err)
{
    const struct train_settings *train = &l->plan->settings->train;
    const struct lane_position at = lane_position(l);
    *s = (struct lane_save){.next = l->next, .expired = save_sweeps(l), .version.version = l->weights->version};
    eddy_status rc = lane_position_blob(&at, save_blob(s, "lane"));
    if (rc >= 0) rc = lane_schema_blob(l->plan, save_blob(s, "schema"));
    if (rc >= 0) rc = row_layout_encode(&l->plan->layout, save_blob(s, "layout"), err);
    if (rc >= 0) rc = plan_fingerprint(l->plan, save_blob(s, "network"));
    if (rc >= 0) rc = eddy_buffer_append(save_blob(s, "kernel"), kernels_best()->name, strlen(kernels_best()->name));
    if (rc >= 0) rc = lane_train_blob(l, save_blob(s, "train"));
    if (rc >= 0 && l->plan->shared_bytes > 0) rc = lane_share_blob(l, save_blob(s, "shared"));
    if (rc >= 0 && l->silence) rc = silence_encode(l->silence, save_blob(s, "silence"));
    if (rc >= 0 && l->expiry) rc = lane_expiry_blob(l, save_blob(s, LANE_OPEN));
    if (rc >= 0 && train->replay > 0) rc = lane_replay_blob(l, save_blob(s, "replay"));
    if (rc >= 0 && train->champion > 0) rc = lane_held_blob(l, save_blob(s, "held"));
    if (rc >= 0 && *l->trace) rc = eddy_buffer_append(save_blob(s, LANE_TRACE), l->trace, strlen(l->trace));
    if (rc == EDDY_ENOMEM) rc = lane_no_memory_for(l, "a checkpoint", err);
    if (rc >= 0) rc = save_take_model(l, s, err);
    if (rc < 0) save_free(s);
    return rc < 0 ? rc : EDDY_OK;
}

/* ---- writing it ---- */

static eddy_status save_put(void *context, struct store *store, struct eddy_error *err)
{
    const struct lane_save *s = context;
    eddy_status rc = EDDY_OK;
    FAILPOINT("after_flush");
    for (int i = 0; i < s->n_blobs && rc >= 0; i++) {
        rc = store_put_meta(store, s->blob[i].name, s->blob[i].bytes.data, s->blob[i].bytes.len, err);
        FAILPOINT("after_meta");
    }
    if (rc < 0 || s->model.len == 0) return rc;
    rc = store_put_model(store, s->version.version, s->model.data, s->model.len, err);
    if (rc >= 0) rc = store_prune_models(store, (int)s->keep_versions, err);
    return rc >= 0 ? lane_versions_note(store, &s->version, s->keep_versions, err) : rc;
}

static void save_done(struct lane *l)
{
    l->checkpointed = l->save->next;
    l->model_stored = l->save->version.version;
    if (l->save->expired != INT64_MIN) l->swept = l->save->expired;
    save_free(l->save);
}

/* With everything on this thread.  The store has been committed with all rows when it succeeds. */
static eddy_status save_at_once(struct lane *l, struct eddy_error *err)
{
    FAILPOINT("before_flush");
    eddy_status rc = keyspace_flush(l->keys, err);
    if (rc >= 0) rc = save_take(l, l->save, err);
    if (rc < 0) return rc;
    if (l->save->expired != INT64_MIN) {
        const int64_t n = keyspace_sweep(l->keys, l->save->expired, err);
        if (n < 0) rc = (eddy_status)n;
    }
    if (rc >= 0) rc = save_put(l->save, l->store, err);
    FAILPOINT("before_store_commit");
    if (rc >= 0) rc = store_commit(l->store, err);
    FAILPOINT("after_store_commit");
    if (rc < 0) {
        save_free(l->save);
        return rc;
    }
    save_done(l);
    if (l->request.storage && store_can_follow(l->store)) keyspace_go_background(l->keys, l->request.storage);
    return EDDY_OK;
}

static eddy_status save_open(struct lane *l, struct eddy_error *err)
{
    if (l->mark.set)
        return eddy_fail(err, EDDY_EINVAL, "%s[%d]: checkpoint inside a batch", l->topic, (int)l->request.partition);
    if (!l->save) l->save = calloc(1, sizeof(*l->save));
    return l->save ? EDDY_OK : lane_no_memory_for(l, "a checkpoint", err);
}

eddy_status lane_save_begin(struct lane *l, struct eddy_error *err)
{
    if (lane_saving(l)) return EDDY_OK;
    eddy_status rc = save_open(l, err);
    if (rc < 0) return rc;
    if (!keyspace_in_background(l->keys)) return save_at_once(l, err);
    FAILPOINT("before_flush");
    rc = save_take(l, l->save, err);
    if (rc < 0) return rc;
    const struct keyspace_save save = {l->save->expired, save_put, l->save};
    return keyspace_save_begin(l->keys, &save);
}

bool lane_saving(const struct lane *l)
{
    return keyspace_saving(l->keys);
}

eddy_status lane_save_step(struct lane *l, int rows, struct eddy_error *err)
{
    if (!lane_saving(l)) return 1;
    const eddy_status rc = keyspace_save_step(l->keys, rows, err);
    if (rc > 0) save_done(l);
    return rc;
}

eddy_status lane_save_wait(struct lane *l, struct eddy_error *err)
{
    if (!lane_saving(l)) return EDDY_OK;
    const eddy_status rc = keyspace_save_wait(l->keys, err);
    if (rc >= 0) save_done(l);
    return rc;
}

eddy_status lane_checkpoint(struct lane *l, struct eddy_error *err)
{
    eddy_status rc = save_open(l, err);
    if (rc >= 0) rc = lane_save_wait(l, err); /* an older one that has begun */
    if (rc >= 0) rc = lane_save_begin(l, err);
    return rc >= 0 ? lane_save_wait(l, err) : rc;
}

int64_t lane_checkpointed(const struct lane *l)
{
    return l->checkpointed;
}

void lane_save_close(struct lane *l)
{
    if (l->save) save_free(l->save);
    free(l->save);
}

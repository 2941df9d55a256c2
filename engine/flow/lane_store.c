/* Checkpoints: what a lane writes into its store, and how it goes on from there. */
#include "engine/flow/lane_store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/little_endian.h"
#include "engine/flow/lane_private.h"

/* Named blobs are a u32 format and then numbers one after another, all little-endian; directory, names and network have
 * formats of their own. */
enum { MODELS_KEPT = 4, SWEEPS_PER_TTL = 64, LANE_FORMAT = 1, TRAIN_FORMAT = 1 };

/* ---- small blobs ---- */

static eddy_status blob_u32(struct eddy_buffer *b, uint32_t v, eddy_status before)
{
    unsigned char bytes[4];
    le_put_u32(bytes, v);
    return before < 0 ? before : eddy_buffer_append(b, bytes, sizeof(bytes));
}

static eddy_status blob_u64(struct eddy_buffer *b, uint64_t v, eddy_status before)
{
    unsigned char bytes[8];
    le_put_u64(bytes, v);
    return before < 0 ? before : eddy_buffer_append(b, bytes, sizeof(bytes));
}

static eddy_status blob_i64(struct eddy_buffer *b, int64_t v, eddy_status before)
{
    return blob_u64(b, (uint64_t)v, before);
}

static eddy_status blob_floats(struct eddy_buffer *b, const float *v /* [n] */, size_t n, eddy_status before)
{
    eddy_status rc = before < 0 ? before : eddy_buffer_reserve(b, n * sizeof(float));
    if (rc < 0) return rc;
    le_put_floats(b->data + b->len, v, n);
    b->len += n * sizeof(float);
    return EDDY_OK;
}

struct blob_reader {
    const char *at;
    size_t left;
};

static const char *blob_take(struct blob_reader *r, size_t n)
{
    const char *at = r->at;
    if (r->left < n) return NULL;
    r->at += n;
    r->left -= n;
    return at;
}

static bool blob_get_u32(struct blob_reader *r, uint32_t *v)
{
    const char *at = blob_take(r, 4);
    if (at) *v = le_get_u32(at);
    return at;
}

static bool blob_get_u64(struct blob_reader *r, uint64_t *v)
{
    const char *at = blob_take(r, 8);
    if (at) *v = le_get_u64(at);
    return at;
}

static bool blob_get_i64(struct blob_reader *r, int64_t *v)
{
    const char *at = blob_take(r, 8);
    if (at) *v = (int64_t)le_get_u64(at);
    return at;
}

static bool blob_get_floats(struct blob_reader *r, float *v /* [n] */, size_t n)
{
    const char *at = blob_take(r, n * sizeof(float));
    if (at) le_get_floats(v, at, n);
    return at;
}

static eddy_status blob_newer(const char *name, uint32_t format, int known, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_EVERSION,
                     "state: the stored \"%s\" has format %u, written by a newer eddy; this one reads up to %d", name,
                     format, known);
}

/* ---- reading ---- */

static bool position_get(struct blob_reader *r, struct lane_position *at)
{
    return blob_get_i64(r, &at->next) && blob_get_i64(r, &at->start) && blob_get_i64(r, &at->clock.now) &&
           blob_get_i64(r, &at->clock.ahead) && blob_get_i64(r, &at->clock.n_ahead) && blob_get_i64(r, &at->epoch) &&
           blob_get_i64(r, &at->epoch_length) && blob_get_u64(r, &at->model) && r->left == 0;
}

eddy_status lane_stored_position(struct store *store, struct lane_position *out, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    uint32_t format = 0;
    eddy_status rc = store_get_meta(store, "lane", &b, err);
    struct blob_reader r = {b.data, b.len};
    bool good = rc >= 0 && blob_get_u32(&r, &format);
    if (good && format > LANE_FORMAT) rc = blob_newer("lane", format, LANE_FORMAT, err);
    if (rc >= 0 && !(good && format == LANE_FORMAT && position_get(&r, out)))
        rc = eddy_fail(err, EDDY_ECORRUPT, "state: the stored position (%zu bytes, format %u) is damaged", b.len,
                       format);
    eddy_buffer_free(&b);
    return rc < 0 ? rc : EDDY_OK;
}

eddy_status lane_stored_layout(struct store *store, struct row_layout *out, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    eddy_status rc = store_get_meta(store, "layout", &b, err);
    if (rc >= 0) rc = row_layout_decode(b.data, b.len, out, err);
    eddy_buffer_free(&b);
    return rc;
}

eddy_status lane_stored_schema(struct store *store, struct eddy_buffer *names, int *n_values, struct eddy_error *err)
{
    names->len = 0;
    eddy_status rc = store_get_meta(store, "schema", names, err);
    if (rc < 0) return rc;
    if (names->len == 0 || names->data[names->len - 1] != '\0')
        return eddy_fail(err, EDDY_ECORRUPT, "state: the stored names of the values are cut off");
    *n_values = 0;
    for (size_t i = 0; i < names->len; i++) *n_values += names->data[i] == '\0';
    return EDDY_OK;
}

/* The names of the values as they are stored. */
static eddy_status lane_schema_blob(const struct plan *p, struct eddy_buffer *b)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < p->n_values && rc >= 0; i++)
        rc = eddy_buffer_append(b, p->schema.names[i], strlen(p->schema.names[i]) + 1);
    return rc;
}

/* ---- hash ---- */

static eddy_status hash_checkpoint(struct store *store, const struct store_identity *id,
                                   const struct lane_position *at, int64_t ttl, const struct eddy_buffer *model,
                                   bool positions, struct state_hash *h, struct eddy_error *err)
{
    int64_t expired = lane_expired_before(&at->clock, ttl);
    if (positions) {
        unsigned char numbers[12];
        le_put_u32(numbers, (uint32_t)id->partition);
        le_put_u64(numbers + 4, (uint64_t)at->next);
        state_hash_add(h, id->topic, strlen(id->topic) + 1);
        state_hash_add(h, numbers, sizeof(numbers));
    }
    eddy_status rc = state_hash_rows(store, expired, positions, h, err);
    if (rc < 0) return rc;
    state_hash_add(h, model->data, model->len);
    return EDDY_OK;
}

eddy_status lane_stored_hash(struct store *store, const struct store_identity *id, const struct settings *settings,
                             bool positions, struct state_hash *h, struct eddy_error *err)
{
    struct lane_position at;
    struct eddy_buffer model = {0};
    eddy_status rc = lane_stored_position(store, &at, err);
    if (rc >= 0) rc = store_get_model(store, at.model, &model, err);
    if (rc >= 0) rc = hash_checkpoint(store, id, &at, settings->state.ttl, &model, positions, h, err);
    eddy_buffer_free(&model);
    return rc;
}

static struct lane_position lane_position(const struct lane *l)
{
    const struct train_settings *t = &l->plan->settings->train;
    return (struct lane_position){l->next, l->start, l->clock, l->epoch, t->epoch, l->weights->version};
}

eddy_status lane_hash(struct lane *l, bool positions, struct state_hash *h, struct eddy_error *err)
{
    const struct store_identity id = {l->plan->settings->name, l->topic, l->request.partition};
    struct lane_position at = lane_position(l);
    struct eddy_buffer model = {0};
    eddy_status rc = keyspace_flush(l->keys, err);
    if (rc >= 0) rc = weights_encode(l->weights, &model, err);
    if (rc >= 0) rc = hash_checkpoint(l->store, &id, &at, l->plan->settings->state.ttl, &model, positions, h, err);
    eddy_buffer_free(&model);
    return rc;
}

/* ---- writing ---- */

static eddy_status lane_position_blob(const struct lane_position *at, struct eddy_buffer *b)
{
    eddy_status rc = blob_u32(b, LANE_FORMAT, EDDY_OK);
    rc = blob_i64(b, at->next, rc);
    rc = blob_i64(b, at->start, rc);
    rc = blob_i64(b, at->clock.now, rc);
    rc = blob_i64(b, at->clock.ahead, rc);
    rc = blob_i64(b, at->clock.n_ahead, rc);
    rc = blob_i64(b, at->epoch, rc);
    rc = blob_i64(b, at->epoch_length, rc);
    return blob_u64(b, at->model, rc);
}

/* Windows in training: those of candidates not adopted yet, and the sample of the current epoch. */
static eddy_status lane_train_blob(const struct lane *l, struct eddy_buffer *b)
{
    size_t floats = window_floats(&l->plan->window);
    eddy_status rc = blob_u32(b, TRAIN_FORMAT, EDDY_OK);
    rc = blob_u64(b, floats, rc);
    rc = blob_u32(b, (uint32_t)l->n_jobs, rc);
    for (int i = 0; i < l->n_jobs; i++) {
        int n;
        const float *windows = train_job_windows(l->jobs[i].job, &n);
        rc = blob_i64(b, l->jobs[i].boundary, rc);
        rc = blob_u32(b, (uint32_t)n, rc);
        rc = blob_floats(b, windows, (size_t)n * floats, rc);
    }
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

static eddy_status lane_no_memory(const struct lane *l, const char *what, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory for %s", l->topic, (int)l->request.partition, what);
}

/* Stores `b` under `name` when it was `made`, and empties it for the next one. */
static eddy_status lane_put_blob(struct lane *l, const char *name, eddy_status made, struct eddy_buffer *b,
                                 struct eddy_error *err)
{
    eddy_status rc = made;
    if (rc == EDDY_ENOMEM) rc = lane_no_memory(l, "a checkpoint", err);
    if (rc >= 0) rc = store_put_meta(l->store, name, b->data, b->len, err);
    b->len = 0;
    return rc;
}

static eddy_status lane_put_model(struct lane *l, struct eddy_buffer *b, struct eddy_error *err)
{
    if (l->model_stored == l->weights->version) return EDDY_OK;
    eddy_status rc = weights_encode(l->weights, b, err);
    if (rc >= 0) rc = store_put_model(l->store, l->weights->version, b->data, b->len, err);
    if (rc >= 0) rc = store_prune_models(l->store, MODELS_KEPT, err);
    b->len = 0;
    return rc;
}

/* A sweep may read the whole file, so the next one waits until a part of the ttl has gone by.  A key that expired in
 * between counts as unknown all the same: its turn, the hash and this look at its time. */
static eddy_status lane_sweep(struct lane *l, struct eddy_error *err)
{
    int64_t ttl = l->plan->settings->state.ttl, expired = lane_expired_before(&l->clock, ttl);
    if (expired == INT64_MIN || (l->swept != INT64_MIN && expired < l->swept + ttl / SWEEPS_PER_TTL)) return EDDY_OK;
    int64_t n = keyspace_sweep(l->keys, expired, err);
    if (n >= 0) l->swept = expired;
    return n < 0 ? (eddy_status)n : EDDY_OK;
}

eddy_status lane_checkpoint(struct lane *l, struct eddy_error *err)
{
    if (l->mark.set)
        return eddy_fail(err, EDDY_EINVAL, "%s[%d]: checkpoint inside a batch", l->topic, (int)l->request.partition);
    struct eddy_buffer b = {0};
    struct lane_position at = lane_position(l);

    eddy_status rc = keyspace_flush(l->keys, err);
    if (rc >= 0) rc = lane_sweep(l, err);
    if (rc >= 0) rc = lane_put_blob(l, "lane", lane_position_blob(&at, &b), &b, err);
    if (rc >= 0) rc = lane_put_blob(l, "schema", lane_schema_blob(l->plan, &b), &b, err);
    if (rc >= 0) rc = lane_put_blob(l, "layout", row_layout_encode(&l->plan->layout, &b, err), &b, err);
    if (rc >= 0) rc = lane_put_blob(l, "network", plan_fingerprint(l->plan, &b), &b, err);
    if (rc >= 0) rc = lane_put_blob(l, "train", lane_train_blob(l, &b), &b, err);
    if (rc >= 0) rc = lane_put_model(l, &b, err);
    if (rc >= 0) rc = store_commit(l->store, err);
    eddy_buffer_free(&b);
    if (rc < 0) return rc;
    l->checkpointed = l->next;
    l->model_stored = l->weights->version;
    return EDDY_OK;
}

int64_t lane_checkpointed(const struct lane *l)
{
    return l->checkpointed;
}

/* ---- going on ---- */

/* True when the stored blob `name` equals `wanted`. */
static eddy_status lane_same_blob(struct lane *l, const char *name, const struct eddy_buffer *wanted, bool *same,
                                  struct eddy_error *err)
{
    struct eddy_buffer stored = {0};
    eddy_status rc = store_get_meta(l->store, name, &stored, err);
    *same = rc >= 0 && stored.len == wanted->len && memcmp(stored.data, wanted->data, wanted->len) == 0;
    eddy_buffer_free(&stored);
    return rc;
}

/* What the stored state has in common with the configuration. */
struct restore_same {
    bool values, network;
};

static eddy_status restore_compare(struct lane *l, struct restore_same *same, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    eddy_status rc = lane_schema_blob(l->plan, &b);
    if (rc < 0) rc = lane_no_memory(l, "the names of its values", err);
    if (rc >= 0) rc = lane_same_blob(l, "schema", &b, &same->values, err);
    b.len = 0;
    if (rc >= 0 && plan_fingerprint(l->plan, &b) < 0) rc = lane_no_memory(l, "the network's description", err);
    if (rc >= 0) rc = lane_same_blob(l, "network", &b, &same->network, err);
    eddy_buffer_free(&b);
    return rc;
}

static eddy_status restore_refuse(const struct lane *l, const struct eddy_error *why, struct eddy_error *err)
{
    struct eddy_error what = why ? *why : (struct eddy_error){0};
    return eddy_fail(err, EDDY_EMISMATCH,
                     "%s[%d]: the stored state was made by another configuration: %.600s (state.on_change: reset "
                     "resets what changed and keeps the rest)",
                     l->topic, (int)l->request.partition, what.message);
}

/* Rows of another configuration: refused, or what changed is reset and the rest kept. */
static eddy_status restore_rows(struct lane *l, const struct restore_same *same, struct eddy_error *err)
{
    struct row_layout stored = {0};
    eddy_status rc = lane_stored_layout(l->store, &stored, err);
    if (rc >= 0) {
        eddy_status differ = row_layout_compare(&stored, &l->plan->layout, err);
        if (differ >= 0 && !same->values) differ = eddy_fail(err, EDDY_EMISMATCH, "the series has other values");
        if (differ >= 0 && !same->network)
            differ = eddy_fail(err, EDDY_EMISMATCH, "another network of the same size");
        if (differ < 0 && l->plan->settings->state.on_change == ON_CHANGE_REFUSE) {
            rc = restore_refuse(l, err, err);
        } else if (differ < 0) {
            if (!same->values) stored.n = 0; /* other values: no section means the same any more */
            if (!same->network) plan_forget_network(&stored);
            rc = store_migrate(l->store, &stored, &l->plan->layout, plan_prepare_row, (void *)(uintptr_t)l->plan,
                               err);
        }
    }
    row_layout_free(&stored);
    return rc;
}

static eddy_status restore_model(struct lane *l, const struct lane_position *at, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    struct weights *weights = NULL;
    eddy_status rc = store_get_model(l->store, at->model, &b, err);
    if (rc >= 0) rc = weights_decode(l->plan->network, b.data, b.len, &weights, err);
    if (rc >= 0) {
        weights_unref(l->weights);
        l->weights = weights;
        l->model_stored = weights->version;
    }
    eddy_buffer_free(&b);
    return rc;
}

/* Hands the windows of one job to the trainer again. */
static eddy_status restore_job(struct lane *l, struct blob_reader *r, bool *good, struct eddy_error *err)
{
    size_t floats = window_floats(&l->plan->window);
    int64_t boundary;
    uint32_t n;
    *good = blob_get_i64(r, &boundary) && blob_get_u32(r, &n) && n <= INT32_MAX / 2 &&
            r->left / (floats * sizeof(float)) >= n;
    if (!*good) return EDDY_OK;
    float *windows = malloc(n * floats * sizeof(float) + 1); /* train.windows may have been larger then */
    if (!windows) return lane_no_memory(l, "training windows", err);
    (void)blob_get_floats(r, windows, n * floats);
    eddy_status rc = lane_submit(l, boundary, windows, (int)n, err);
    free(windows);
    return rc;
}

/* Candidates in training, and the sample of the current epoch. */
static eddy_status restore_windows(struct lane *l, struct blob_reader *r, bool *good, struct eddy_error *err)
{
    size_t now = window_floats(&l->plan->window);
    uint32_t n_jobs, n;
    uint64_t floats;
    *good = blob_get_u64(r, &floats) && blob_get_u32(r, &n_jobs);
    if (*good && floats != now) return EDDY_OK; /* other windows now: these are of no use */

    eddy_status rc = EDDY_OK;
    for (uint32_t i = 0; *good && rc >= 0 && i < n_jobs; i++) rc = restore_job(l, r, good, err);
    *good = *good && rc >= 0 && blob_get_u32(r, &n);
    for (uint32_t i = 0; *good && rc >= 0 && i < n; i++) {
        struct lane_window w = {0};
        uint32_t channel;
        *good = blob_get_u64(r, &w.rank) && blob_get_i64(r, &w.offset) && blob_get_u32(r, &channel) &&
                channel < (uint32_t)l->plan->n_channels && blob_get_floats(r, l->gathered, now);
        if (!*good) break;
        w.channel = (int)channel;
        rc = lane_keep_window(l, w, l->gathered, err);
    }
    return rc;
}

static eddy_status restore_training(struct lane *l, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    uint32_t format = 0;
    eddy_status rc = store_get_meta(l->store, "train", &b, err);
    struct blob_reader reader = {b.data, b.len};
    bool good = rc >= 0 && blob_get_u32(&reader, &format) && format > 0;
    if (good && format > TRAIN_FORMAT) rc = blob_newer("train", format, TRAIN_FORMAT, err);
    if (rc >= 0 && good) rc = restore_windows(l, &reader, &good, err);
    if (rc >= 0 && !good)
        rc = eddy_fail(err, EDDY_ECORRUPT, "%s[%d]: the stored training windows are damaged", l->topic,
                       (int)l->request.partition);
    eddy_buffer_free(&b);
    return rc;
}

eddy_status lane_restore(struct lane *l, struct eddy_error *err)
{
    struct lane_position at;
    struct restore_same same = {0};
    l->swept = INT64_MIN;
    if (store_is_new(l->store)) return EDDY_OK;
    eddy_status rc = lane_stored_position(l->store, &at, err);
    if (rc == EDDY_ENOTFOUND) return EDDY_OK;
    if (rc >= 0) rc = restore_compare(l, &same, err);
    if (rc >= 0) rc = restore_rows(l, &same, err);
    if (rc >= 0 && same.network) rc = restore_model(l, &at, err);
    if (rc < 0) return rc;

    int64_t epoch = l->plan->settings->train.epoch;
    bool same_epochs = at.epoch_length == epoch;
    l->next = at.next;
    l->start = at.start;
    l->clock = at.clock;
    l->epoch = same_epochs ? at.epoch : at.epoch < 0 ? -1 : at.next / epoch;
    l->checkpointed = at.next;
    return l->in_epochs && same_epochs && same.values && same.network ? restore_training(l, err) : EDDY_OK;
}

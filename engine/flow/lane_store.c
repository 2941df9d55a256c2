/* Checkpoints: what a lane writes into its store, and how it goes on from there. */
#include "engine/flow/lane_store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flow/lane_private.h"

enum { MODELS_KEPT = 4 };
static const uint32_t TRAIN_FORMAT = 1;

/* ---- small blobs: fixed-size little-endian numbers one after another ---- */

static eddy_status blob_put(struct eddy_buffer *b, const void *bytes, size_t n, eddy_status before)
{
    return before < 0 ? before : eddy_buffer_append(b, bytes, n);
}

struct blob_reader {
    const char *at;
    size_t left;
};

static bool blob_get(struct blob_reader *r, void *out, size_t n)
{
    if (r->left < n) return false;
    memcpy(out, r->at, n);
    r->at += n;
    r->left -= n;
    return true;
}

/* ---- reading ---- */

eddy_status lane_stored_position(struct store *store, struct lane_position *out, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    eddy_status rc = store_get_meta(store, "lane", &b, err);
    if (rc >= 0 && b.len != sizeof(*out))
        rc = eddy_fail(err, EDDY_ECORRUPT, "state: the stored position has %zu bytes, not %zu", b.len, sizeof(*out));
    if (rc >= 0) memcpy(out, b.data, sizeof(*out));
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
    for (int i = 0; i < p->n_values; i++) rc = blob_put(b, p->schema.names[i], strlen(p->schema.names[i]) + 1, rc);
    return rc;
}

/* ---- hash ---- */

static eddy_status hash_checkpoint(struct store *store, const struct store_identity *id,
                                   const struct lane_position *at, int64_t ttl, const struct eddy_buffer *model,
                                   bool positions, struct state_hash *h, struct eddy_error *err)
{
    int64_t expired = lane_expired_before(&at->clock, ttl);
    if (positions) {
        state_hash_add(h, id->topic, strlen(id->topic) + 1);
        state_hash_add(h, &id->partition, sizeof(id->partition));
        state_hash_add(h, &at->next, sizeof(at->next));
    }
    eddy_status rc = state_hash_rows(store, expired, positions, h, err);
    if (rc < 0) return rc;
    state_hash_add(h, model->data, model->len);
    return EDDY_OK;
}

eddy_status store_state_hash(struct store *store, const struct store_identity *id, const struct settings *settings,
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

/* Windows in training: those of candidates not adopted yet, and the sample of the current epoch. */
static eddy_status lane_train_blob(const struct lane *l, struct eddy_buffer *b)
{
    uint64_t floats = window_floats(&l->plan->window);
    uint32_t n_jobs = (uint32_t)l->n_jobs, n_windows = (uint32_t)l->windows.n;
    eddy_status rc = blob_put(b, &TRAIN_FORMAT, sizeof(TRAIN_FORMAT), EDDY_OK);
    rc = blob_put(b, &floats, sizeof(floats), rc);
    rc = blob_put(b, &n_jobs, sizeof(n_jobs), rc);
    for (int i = 0; i < l->n_jobs; i++) {
        int n;
        const float *windows = train_job_windows(l->jobs[i].job, &n);
        uint32_t count = (uint32_t)n;
        rc = blob_put(b, &l->jobs[i].boundary, sizeof(l->jobs[i].boundary), rc);
        rc = blob_put(b, &count, sizeof(count), rc);
        rc = blob_put(b, windows, count * floats * sizeof(float), rc);
    }
    rc = blob_put(b, &n_windows, sizeof(n_windows), rc);
    for (int i = 0; i < l->windows.n; i++) {
        const struct lane_window *w = &l->windows.item[i];
        int32_t channel = w->channel;
        rc = blob_put(b, &w->rank, sizeof(w->rank), rc);
        rc = blob_put(b, &w->offset, sizeof(w->offset), rc);
        rc = blob_put(b, &channel, sizeof(channel), rc);
        rc = blob_put(b, w->block, floats * sizeof(float), rc);
    }
    return rc;
}

/* Builds a blob with `make` and stores it under `name`. */
static eddy_status lane_put_blob(struct lane *l, const char *name, eddy_status made, struct eddy_buffer *b,
                                 struct eddy_error *err)
{
    eddy_status rc = made;
    if (rc == EDDY_ENOMEM)
        rc = eddy_fail(err, rc, "%s[%d]: out of memory at a checkpoint", l->topic, (int)l->request.partition);
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

eddy_status lane_checkpoint(struct lane *l, struct eddy_error *err)
{
    if (l->mark.set)
        return eddy_fail(err, EDDY_EINVAL, "%s[%d]: checkpoint inside a batch", l->topic, (int)l->request.partition);
    struct eddy_buffer b = {0};
    struct lane_position at = lane_position(l);
    int64_t expired = lane_expired_before(&l->clock, l->plan->settings->state.ttl);

    eddy_status rc = keyspace_flush(l->keys, err);
    if (rc >= 0 && expired > INT64_MIN) {
        int64_t swept = keyspace_sweep(l->keys, expired, err);
        rc = swept < 0 ? (eddy_status)swept : EDDY_OK;
    }
    if (rc >= 0) rc = lane_put_blob(l, "lane", eddy_buffer_append(&b, &at, sizeof(at)), &b, err);
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

/* Rows of another configuration: refused, or what changed is reset and the rest kept. */
static eddy_status restore_rows(struct lane *l, bool *same_values, struct eddy_error *err)
{
    struct row_layout stored = {0};
    struct eddy_buffer names = {0};
    eddy_status rc = lane_stored_layout(l->store, &stored, err), differ = EDDY_OK;
    if (rc >= 0) rc = lane_schema_blob(l->plan, &names);
    if (rc >= 0) rc = lane_same_blob(l, "schema", &names, same_values, err);
    if (rc >= 0) {
        differ = row_layout_compare(&stored, &l->plan->layout, err);
        if (differ >= 0 && !*same_values) differ = eddy_fail(err, EDDY_EMISMATCH, "the series has other values");
        if (differ < 0 && l->plan->settings->state.on_change == ON_CHANGE_REFUSE) {
            struct eddy_error what = err ? *err : (struct eddy_error){0};
            rc = eddy_fail(
                err, EDDY_EMISMATCH,
                "%s[%d]: the stored state was made by another configuration: %.600s (state.on_change: reset "
                "resets what changed and keeps the rest)",
                l->topic, (int)l->request.partition, what.message);
        } else if (differ < 0) {
            if (!*same_values) stored.n = 0; /* other values: no section means the same any more */
            rc = store_migrate(l->store, &stored, &l->plan->layout, plan_prepare_row, (void *)(uintptr_t)l->plan,
                               err);
        }
    }
    row_layout_free(&stored);
    eddy_buffer_free(&names);
    return rc;
}

static eddy_status restore_model(struct lane *l, const struct lane_position *at, bool *kept, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    struct weights *weights = NULL;
    eddy_status rc = plan_fingerprint(l->plan, &b);
    if (rc >= 0) rc = lane_same_blob(l, "network", &b, kept, err);
    b.len = 0;
    if (rc >= 0 && !*kept && l->plan->settings->state.on_change == ON_CHANGE_REFUSE)
        rc = eddy_fail(
            err, EDDY_EMISMATCH,
            "%s[%d]: the stored weights belong to another network (state.on_change: reset starts new ones)", l->topic,
            (int)l->request.partition);
    if (rc >= 0 && *kept) {
        rc = store_get_model(l->store, at->model, &b, err);
        if (rc >= 0) rc = weights_decode(l->plan->network, b.data, b.len, &weights, err);
    }
    if (rc >= 0 && weights) {
        weights_unref(l->weights);
        l->weights = weights;
        l->model_stored = weights->version;
    }
    eddy_buffer_free(&b);
    return rc;
}

/* Hands the stored windows to the trainer again, and fills the current sample. */
static eddy_status restore_windows(struct lane *l, struct blob_reader *r, bool *good, struct eddy_error *err)
{
    size_t bytes = window_floats(&l->plan->window) * sizeof(float);
    uint32_t format, n_jobs, n;
    uint64_t floats;
    *good = blob_get(r, &format, sizeof(format)) && blob_get(r, &floats, sizeof(floats)) &&
            blob_get(r, &n_jobs, sizeof(n_jobs)) && format == TRAIN_FORMAT;
    if (*good && floats * sizeof(float) != bytes) return EDDY_OK; /* other windows now: these are of no use */

    eddy_status rc = EDDY_OK;
    for (uint32_t i = 0; *good && rc >= 0 && i < n_jobs; i++) {
        int64_t boundary;
        *good = blob_get(r, &boundary, sizeof(boundary)) && blob_get(r, &n, sizeof(n)) && n <= INT32_MAX / 2 &&
                r->left / bytes >= n;
        if (!*good) break;
        float *windows = malloc(n * bytes + 1); /* train.windows may have been larger then */
        if (windows && blob_get(r, windows, n * bytes))
            rc = lane_submit(l, boundary, windows, (int)n, err);
        else
            rc = eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory for training windows", l->topic,
                           (int)l->request.partition);
        free(windows);
    }
    *good = *good && rc >= 0 && blob_get(r, &n, sizeof(n));
    for (uint32_t i = 0; *good && rc >= 0 && i < n; i++) {
        struct lane_window w = {0};
        int32_t channel = 0;
        *good = blob_get(r, &w.rank, sizeof(w.rank)) && blob_get(r, &w.offset, sizeof(w.offset)) &&
                blob_get(r, &channel, sizeof(channel)) && blob_get(r, l->gathered, bytes);
        w.channel = channel;
        if (*good) rc = lane_keep_window(l, w, l->gathered, err);
    }
    return rc;
}

static eddy_status restore_training(struct lane *l, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    bool good = true;
    eddy_status rc = store_get_meta(l->store, "train", &b, err);
    struct blob_reader reader = {b.data, b.len};
    if (rc >= 0) rc = restore_windows(l, &reader, &good, err);
    if (rc >= 0 && !good)
        rc = eddy_fail(err, EDDY_ECORRUPT, "%s[%d]: the stored training windows are damaged", l->topic,
                       (int)l->request.partition);
    eddy_buffer_free(&b);
    return rc;
}

eddy_status lane_restore(struct lane *l, struct eddy_error *err)
{
    struct lane_position at;
    bool same_values, same_network = true;
    if (store_is_new(l->store)) return EDDY_OK;
    eddy_status rc = lane_stored_position(l->store, &at, err);
    if (rc == EDDY_ENOTFOUND) return EDDY_OK;
    if (rc >= 0) rc = restore_rows(l, &same_values, err);
    if (rc >= 0) rc = restore_model(l, &at, &same_network, err);
    if (rc < 0) return rc;

    int64_t epoch = l->plan->settings->train.epoch;
    bool same_epochs = at.epoch_length == epoch;
    l->next = at.next;
    l->start = at.start;
    l->clock = at.clock;
    l->epoch = same_epochs ? at.epoch : at.epoch < 0 ? -1 : at.next / epoch;
    l->checkpointed = at.next;
    return l->in_epochs && same_epochs && same_values && same_network ? restore_training(l, err) : EDDY_OK;
}

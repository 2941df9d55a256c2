/* What a lane finds in its store, and the hash of it; lane_save.c writes it. */
#include "engine/flow/lane_store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/little_endian.h"
#include "engine/detect/silence.h"
#include "engine/flow/blob.h"
#include "engine/flow/lane_private.h"
#include "engine/flow/lane_versions.h"
#include "engine/math/sound.h"

/* ---- reading ---- */

static bool position_get(struct blob_reader *r, struct lane_position *at)
{
    return blob_get_i64(r, &at->next) && blob_get_i64(r, &at->start) && blob_get_i64(r, &at->clock.now) &&
           blob_get_i64(r, &at->clock.ahead) && blob_get_i64(r, &at->clock.n_ahead) && blob_get_i64(r, &at->epoch) &&
           blob_get_i64(r, &at->epoch_length) && blob_get_u64(r, &at->model) && r->left == 0 && at->start >= 0 &&
           at->start <= at->next && at->next <= INT64_MAX / 2 && sound_count(at->clock.n_ahead) && at->epoch >= -1 &&
           at->epoch <= at->next;
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
eddy_status lane_schema_blob(const struct plan *p, struct eddy_buffer *b)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < p->n_values && rc >= 0; i++)
        rc = eddy_buffer_append(b, p->schema.names[i], strlen(p->schema.names[i]) + 1);
    return rc;
}

/* ---- hash ---- */

static eddy_status hash_checkpoint(struct store *store, const struct store_identity *id,
                                   const struct lane_position *at, int64_t ttl, const struct eddy_buffer *model,
                                   const struct eddy_buffer *shared, bool positions, struct state_hash *h,
                                   struct eddy_error *err)
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
    if (shared->len > 0) state_hash_add(h, shared->data, shared->len);
    return EDDY_OK;
}

static eddy_status stored_part(struct store *store, const char *name, struct eddy_buffer *all, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    eddy_status rc = store_get_meta(store, name, &b, err);
    if (rc >= 0 && eddy_buffer_append(all, b.data, b.len) < 0)
        rc = eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", store_file(store));
    eddy_buffer_free(&b);
    return rc == EDDY_ENOTFOUND ? EDDY_OK : rc;
}

/* What keys share, and which of them are silent; empty when there is nothing of the kind. */
static eddy_status stored_shared(struct store *store, struct eddy_buffer *shared, struct eddy_error *err)
{
    const eddy_status rc = stored_part(store, "shared", shared, err);
    return rc >= 0 ? stored_part(store, "silence", shared, err) : rc;
}

eddy_status lane_stored_hash(struct store *store, const struct store_identity *id, const struct settings *settings,
                             bool positions, struct state_hash *h, struct eddy_error *err)
{
    struct lane_position at;
    struct eddy_buffer model = {0}, shared = {0};
    eddy_status rc = lane_stored_position(store, &at, err);
    if (rc >= 0) rc = store_get_model(store, at.model, &model, err);
    if (rc >= 0) rc = stored_shared(store, &shared, err);
    if (rc >= 0) rc = hash_checkpoint(store, id, &at, settings->state.ttl, &model, &shared, positions, h, err);
    eddy_buffer_free(&model);
    eddy_buffer_free(&shared);
    return rc;
}

struct lane_position lane_position(const struct lane *l)
{
    const struct train_settings *t = &l->plan->settings->train;
    return (struct lane_position){l->next, l->start, l->clock, l->epoch, t->epoch, l->weights->version};
}

eddy_status lane_hash(struct lane *l, bool positions, struct state_hash *h, struct eddy_error *err)
{
    const struct store_identity id = {l->plan->settings->name, l->topic, l->request.partition};
    struct lane_position at = lane_position(l);
    struct eddy_buffer model = {0}, shared = {0};
    eddy_status rc = keyspace_flush(l->keys, err);
    if (rc >= 0) rc = weights_encode(l->weights, &model, err);
    if (rc >= 0 && (lane_share_blob(l, &shared) < 0 || (l->silence && silence_encode(l->silence, &shared) < 0)))
        rc = eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory for a hash", l->topic, (int)l->request.partition);
    if (rc >= 0)
        rc = hash_checkpoint(l->store, &id, &at, l->plan->settings->state.ttl, &model, &shared, positions, h, err);
    eddy_buffer_free(&model);
    eddy_buffer_free(&shared);
    return rc;
}

/* ---- writing ---- */

eddy_status lane_position_blob(const struct lane_position *at, struct eddy_buffer *b)
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

eddy_status lane_no_memory_for(const struct lane *l, const char *what, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory for %s", l->topic, (int)l->request.partition, what);
}

eddy_status lane_stored_adopt(struct store *store, int64_t keep, const struct weights *weights, uint64_t origin,
                              struct eddy_error *err)
{
    struct lane_position at;
    struct eddy_buffer model = {0}, position = {0};
    eddy_status rc = lane_stored_position(store, &at, err);
    at.model = weights->version;
    if (rc >= 0) rc = weights_encode(weights, &model, err);
    if (rc >= 0) rc = store_put_model(store, weights->version, model.data, model.len, err);
    const struct lane_version note = {weights->version, at.next, origin};
    if (rc >= 0) rc = store_prune_models(store, (int)keep, err);
    if (rc >= 0) rc = lane_versions_note(store, &note, keep, err);
    if (rc >= 0 && lane_position_blob(&at, &position) < 0)
        rc = eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", store_file(store));
    if (rc >= 0) rc = store_put_meta(store, "lane", position.data, position.len, err);
    eddy_buffer_free(&model);
    eddy_buffer_free(&position);
    return rc;
}

eddy_status lane_stored_edited(struct store *store, struct eddy_error *err)
{
    struct timespec now;
    unsigned char bytes[8];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    le_put_u64(bytes, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
    const eddy_status rc = store_put_meta(store, LANE_EDITED, bytes, sizeof(bytes), err);
    return rc >= 0 ? lane_expiry_edited(store, err) : rc;
}

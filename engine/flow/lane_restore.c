/* Going on from a checkpoint: what fits the configuration is taken over, the rest refused or reset (state.on_change). */
#include <stdlib.h>
#include <string.h>

#include "config/log.h"
#include "engine/flow/blob.h"
#include "engine/flow/lane_private.h"
#include "engine/math/kernels.h"

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
    char difference[PLAN_DIFFERENCE]; /* of the networks */
};

/* Compares what is stored of the networks with the configuration, and says where they differ. */
static eddy_status restore_compare_networks(struct lane *l, struct restore_same *same, struct eddy_error *err)
{
    struct eddy_buffer stored = {0}, planned = {0};
    eddy_status rc = store_get_meta(l->store, "network", &stored, err);
    if (rc >= 0 && plan_fingerprint(l->plan, &planned) < 0)
        rc = lane_no_memory_for(l, "the network's description", err);
    same->network = rc >= 0 && stored.len == planned.len && memcmp(stored.data, planned.data, planned.len) == 0;
    if (rc >= 0 && !same->network)
        plan_difference(stored.data, stored.len, planned.data, planned.len, same->difference);
    eddy_buffer_free(&stored);
    eddy_buffer_free(&planned);
    return rc;
}

/* Networks round differently on another kernel: said, not refused. */
static eddy_status restore_compare_kernel(struct lane *l, struct eddy_error *err)
{
    struct eddy_buffer stored = {0};
    const char *now = kernels_best()->name;
    eddy_status rc = store_get_meta(l->store, "kernel", &stored, err);
    if (rc >= 0 && stored.len > 0 && l->plan->model->n_params > 0 &&
        (stored.len != strlen(now) || memcmp(stored.data, now, stored.len) != 0))
        log_warn("kernel",
                 "%s[%d]: the state was made with kernel %.*s, this process computes with %s: results go on, but may "
                 "differ from an uninterrupted run's in the last digits (option kernel, EDDY_KERNEL)",
                 l->topic, (int)l->request.partition, (int)stored.len, (const char *)stored.data, now);
    eddy_buffer_free(&stored);
    return rc == EDDY_ENOTFOUND ? EDDY_OK : rc; /* older states do not say */
}

static eddy_status restore_compare(struct lane *l, struct restore_same *same, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    eddy_status rc = lane_schema_blob(l->plan, &b);
    if (rc < 0) rc = lane_no_memory_for(l, "the names of its values", err);
    if (rc >= 0) rc = lane_same_blob(l, "schema", &b, &same->values, err);
    eddy_buffer_free(&b);
    if (rc >= 0) rc = restore_compare_networks(l, same, err);
    return rc >= 0 ? restore_compare_kernel(l, err) : rc;
}

/* Whether the first section that differs does because its part was another version of itself; then says so. */
static bool restore_other_version(const struct lane *l, const struct row_layout *stored, struct eddy_error *err)
{
    const struct row_layout *is = &l->plan->layout;
    uint32_t now = 0, then = 0;
    for (int i = 0; i < is->n && then == 0; i++) {
        const struct section *s = &is->sections[i], *was = row_layout_find(stored, s->name);
        if (was && was->version == s->version && was->bytes == s->bytes && was->type == s->type) continue;
        if (was && was->version != s->version) then = plan_part_version(l->plan, s, was->version, &now);
        if (then == 0) return false;
        (void)eddy_fail(err, EDDY_EMISMATCH,
                        "%s[%d]: the stored state was made by another version of a part: section %s by version %u, "
                        "this is version %u (state.on_change: reset resets what changed and keeps the rest)",
                        l->topic, (int)l->request.partition, s->name, then, now);
    }
    return then != 0;
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
        if (!same->network) differ = eddy_fail(err, EDDY_EMISMATCH, "another network: %s", same->difference);
        if (!same->values) differ = eddy_fail(err, EDDY_EMISMATCH, "the series has other values");
        if (differ < 0 && l->plan->settings->state.on_change == ON_CHANGE_REFUSE) {
            rc = same->network && same->values && restore_other_version(l, &stored, err)
                     ? differ
                     : restore_refuse(l, err, err);
        } else if (differ < 0) {
            if (!same->values) stored.n = 0; /* other values: no section means the same any more */
            if (!same->network) plan_forget_networks(&stored);
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
    if (rc >= 0) rc = weights_decode(l->plan->model, b.data, b.len, &weights, err);
    if (rc >= 0) {
        weights_unref(l->weights);
        l->weights = weights;
        l->model_stored = weights->version;
    }
    eddy_buffer_free(&b);
    return rc;
}

/* Hands the windows of one job to the trainer again. */
static eddy_status restore_job(struct lane *l, uint32_t format, struct blob_reader *r, bool *good,
                               struct eddy_error *err)
{
    size_t floats = lane_window_floats(l->plan);
    int64_t boundary;
    uint32_t n = 0, held = 0; /* format 1 knew none that are held out */
    *good = blob_get_i64(r, &boundary) && blob_get_u32(r, &n) && n <= INT32_MAX / 2 &&
            (format < 2 || blob_get_u32(r, &held)) && held <= TRAIN_HELD_MOST &&
            r->left / (floats * sizeof(float)) >= (size_t)n + held;
    if (!*good) return EDDY_OK;
    float *windows = malloc((n + held) * floats * sizeof(float) + 1); /* train.windows may have been larger then */
    if (!windows) return lane_no_memory_for(l, "training windows", err);
    (void)blob_get_floats(r, windows, (n + held) * floats);
    eddy_status rc = lane_submit(l, boundary, windows, (int)n, (int)held, err);
    free(windows);
    return rc;
}

/* When the next round is due (format 3), candidates in training, and the sample of the current epoch: under train.champion
 * only if it was parted into windows held out and others (format 4). */
static eddy_status restore_windows(struct lane *l, uint32_t format, struct blob_reader *r, bool *parted, bool *good,
                                   struct eddy_error *err)
{
    size_t now = lane_window_floats(l->plan);
    uint32_t n_jobs, n, flag = 0;
    uint64_t floats;
    *good = (format < 3 || triggers_get(&l->triggers, r)) && blob_get_u64(r, &floats) && blob_get_u32(r, &n_jobs);
    if (*good && floats != now) return EDDY_OK; /* other windows now: these are of no use */

    eddy_status rc = EDDY_OK;
    for (uint32_t i = 0; *good && rc >= 0 && i < n_jobs; i++) rc = restore_job(l, format, r, good, err);
    *good = *good && rc >= 0 && (format < 4 || blob_get_u32(r, &flag)) && blob_get_u32(r, &n);
    const bool wanted = flag || !(l->plan->settings->train.champion > 0);
    *parted = *good && flag;
    for (uint32_t i = 0; *good && rc >= 0 && i < n; i++) {
        struct lane_window w = {0};
        uint32_t channel;
        *good = blob_get_u64(r, &w.rank) && blob_get_i64(r, &w.offset) && blob_get_u32(r, &channel) &&
                channel < (uint32_t)l->plan->n_channels && blob_get_floats(r, l->gathered, now);
        if (!*good) break;
        w.channel = (int)channel;
        if (wanted) rc = lane_keep_window(l, w, l->gathered, err);
    }
    return rc;
}

/* parted: windows held out were kept from training until the checkpoint. */
static eddy_status restore_training(struct lane *l, bool *parted, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    uint32_t format = 0;
    eddy_status rc = store_get_meta(l->store, "train", &b, err);
    struct blob_reader reader = {b.data, b.len};
    bool good = rc >= 0 && blob_get_u32(&reader, &format) && format > 0;
    if (good && format > TRAIN_FORMAT) rc = blob_newer("train", format, TRAIN_FORMAT, err);
    if (rc >= 0 && good) rc = restore_windows(l, format, &reader, parted, &good, err);
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
    rc = lane_silence_restore(l, err);
    if (rc >= 0) rc = lane_expiry_restore(l, err);
    if (rc >= 0 && same.values) rc = lane_share_restore(l, err);
    if (rc < 0 || !l->in_epochs || !same.values || !same.network) return rc;
    bool parted = false;
    rc = same_epochs ? restore_training(l, &parted, err) : EDDY_OK;
    if (rc >= 0) rc = lane_replay_restore(l, err);
    return rc >= 0 && parted ? lane_held_restore(l, err) : rc;
}

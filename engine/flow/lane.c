#include "engine/flow/lane.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/detect/silence.h"
#include "engine/flow/expiry.h"
#include "engine/flow/lane_private.h"

static eddy_status lane_no_memory(const struct lane *l, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory", l->request.topic, (int)l->request.partition);
}

/* ---- scratch ---- */

static void lane_free_scratch(struct lane *l)
{
    free(l->items), free(l->order), free(l->by_wave), free(l->wave_first);
    free(l->values), free(l->attribution), free(l->points), free(l->incidents), free(l->incident_ids);
    lane_step_free(l);
}

/* Room for a turn of n events; grows only. */
static eddy_status lane_reserve(struct lane *l, int n, struct eddy_error *err)
{
    if (n <= l->cap_events) return EDDY_OK;
    const struct plan *p = l->plan;
    const size_t events = (size_t)n, values = events * (size_t)p->n_values;

    lane_free_scratch(l);
    l->cap_events = 0;
    l->items = calloc(events, sizeof(*l->items));
    l->order = calloc(events, sizeof(*l->order));
    l->by_wave = calloc(events, sizeof(*l->by_wave));
    l->wave_first = calloc(events + 1, sizeof(*l->wave_first));
    l->values = calloc(events * l->values_each, sizeof(*l->values));
    l->attribution = calloc(values, sizeof(*l->attribution));
    l->points = calloc(values, sizeof(*l->points));
    l->incidents = calloc(events * (size_t)p->n_kinds, sizeof(*l->incidents));
    l->incident_ids = calloc(events, sizeof(*l->incident_ids));
    eddy_status rc = lane_step_reserve(l, n, err);
    if (!l->items || !l->order || !l->by_wave || !l->wave_first || !l->values || !l->attribution || !l->points ||
        !l->incidents || !l->incident_ids)
        rc = lane_no_memory(l, err);
    if (rc >= 0) l->cap_events = n;
    return rc;
}

/* Scratch of one event. */
static eddy_status lane_open_scratch(struct lane *l, struct eddy_error *err)
{
    const struct plan *p = l->plan;
    const size_t values = (size_t)p->n_values, forecasts = values * (size_t)p->outlook.n_horizons;
    const size_t experts = (size_t)p->n_experts;
    l->part_scores = calloc(values, sizeof(*l->part_scores));
    l->residuals = calloc(forecasts, sizeof(*l->residuals));
    l->expert_residuals = calloc(experts * forecasts, sizeof(*l->expert_residuals));
    l->opinions = calloc(experts * forecasts, sizeof(*l->opinions));
    l->spreads = calloc((size_t)p->n_dims * (size_t)p->outlook.n_horizons, sizeof(*l->spreads));
    l->mixed = calloc((size_t)p->outlook.n_horizons, sizeof(*l->mixed));
    l->errors = calloc(experts * (size_t)p->outlook.n_horizons, sizeof(*l->errors));
    l->before = calloc(2 * values, sizeof(*l->before));
    l->ahead = calloc((size_t)p->n_dims * ((size_t)p->expert_shape.n_ahead + 1), sizeof(*l->ahead));
    l->transformed = calloc(values, sizeof(*l->transformed));
    l->judged = calloc(values, sizeof(*l->judged));
    l->levels = calloc((size_t)p->n_dims, sizeof(*l->levels));
    l->contributions = (unsigned char **)calloc((size_t)p->n_dims, sizeof(*l->contributions));
    l->courses = calloc((size_t)p->n_dims, sizeof(*l->courses));
    l->season_inputs = calloc((size_t)p->n_dims * SEASON_INPUTS, sizeof(*l->season_inputs));
    l->extras = calloc((size_t)p->n_extras + 1, sizeof(*l->extras));
    bool good = l->part_scores && l->residuals && l->expert_residuals && l->opinions && l->mixed && l->spreads &&
                l->errors && l->before && l->ahead && l->transformed && l->judged && l->levels && l->contributions &&
                l->courses && l->season_inputs && l->extras;
    return good ? lane_step_open(l, err) : lane_no_memory(l, err);
}

static void lane_close_scratch(struct lane *l)
{
    lane_experts_close(l);
    free(l->part_scores), free(l->residuals), free(l->expert_residuals);
    free(l->opinions), free(l->mixed), free(l->spreads), free(l->errors), free(l->before), free(l->extras);
    free(l->ahead), free(l->transformed), free(l->judged), free(l->levels), free(l->courses), free(l->season_inputs),
        free((void *)l->contributions);
    lane_step_close(l);
}

/* Scratch grows with events x channels x inputs, and a one-hot makes inputs grow with channels: a turn is cut so that
 * it stays below SCRATCH_BYTES (results do not depend on the cut). */
int lane_most_events(const struct lane *l)
{
    const struct plan *p = l->plan;
    const size_t SCRATCH_BYTES = (size_t)64 << 20;
    size_t width = 0;
    for (int k = 0; k < p->n_networks; k++)
        width += (size_t)p->networks[k].net->n_in + (size_t)p->networks[k].net->n_out;
    size_t floats = (size_t)p->n_channels * width;
    size_t each = (size_t)p->n_kinds * sizeof(struct eddy_incident) + floats * sizeof(float) +
                  l->values_each * sizeof(double);
    size_t most = SCRATCH_BYTES / each;
    return most < 1 ? 1 : most > INT32_MAX ? INT32_MAX : (int)most;
}

/* ---- open and close ---- */

static eddy_status lane_open_keys(struct lane *l, struct eddy_error *err)
{
    if (!l->store) {
        const struct store_identity nobody = {l->plan->settings->name, l->request.topic, l->request.partition};
        eddy_status rc = store_open(":memory:", &nobody, STORE_MEMORY, &l->own_store, err);
        if (rc < 0) return rc;
        l->store = l->own_store;
    }
    const struct keyspace_request keys = {.layout = &l->plan->layout,
                                          .store = l->store,
                                          .max_resident = l->request.max_resident,
                                          .prepare = plan_prepare_row,
                                          .unsound = plan_row_unsound,
                                          .context = (void *)(uintptr_t)l->plan};
    return keyspace_open(&keys, &l->keys, err);
}

eddy_status lane_open(const struct lane_request *request, struct lane **out, struct eddy_error *err)
{
    *out = NULL;
    const struct plan *p = request->plan;
    struct lane *l = calloc(1, sizeof(*l));
    if (!l) return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory", request->topic, (int)request->partition);

    *l = (struct lane){.plan = p, .request = *request, .store = request->store, .trainer = request->trainer};
    for (int k = 0; k < p->n_networks; k++) l->in_epochs |= p->networks[k].learns && !p->networks[k].own_weights;
    l->clock.now = EDDY_NO_TIME;
    calendar_forget(&l->calendar);
    l->epoch = -1;
    l->checkpointed = -1;
    l->model_stored = UINT64_MAX;
    lane_fold_open(l);
    l->most_events = lane_most_events(l);
    l->topic = strdup(request->topic);

    eddy_status rc = l->topic ? lane_open_scratch(l, err) : lane_no_memory(l, err);
    if (rc >= 0) rc = lane_open_keys(l, err);
    if (rc >= 0) rc = lane_train_open(l, err);
    if (rc >= 0) rc = lane_silence_open(l, err);
    if (rc >= 0) rc = lane_expiry_open(l, err);
    if (rc >= 0) rc = lane_share_open(l, err);
    if (rc >= 0) rc = lane_restore(l, err);
    if (rc < 0) {
        lane_close(l);
        return rc;
    }
    /* Rows that were migrated are not committed yet; the first checkpoint does that at once. */
    if (l->request.storage && store_can_follow(l->store)) keyspace_go_background(l->keys, l->request.storage);
    *out = l;
    return EDDY_OK;
}

void lane_close(struct lane *l)
{
    if (!l) return;
    lane_train_close(l);
    lane_silence_close(l);
    lane_expiry_close(l);
    free(l->told);
    lane_share_close(l);
    keyspace_close(l->keys);
    lane_save_close(l);
    store_close(l->own_store);
    lane_free_scratch(l);
    lane_close_scratch(l);
    free(l->topic);
    free(l);
}

int64_t lane_next(const struct lane *l)
{
    return l->next;
}

int64_t lane_start(const struct lane *l)
{
    return l->start;
}

void lane_seek(struct lane *l, int64_t offset)
{
    l->next = l->start = offset;
}

void lane_set_trace(struct lane *l, const char *trace)
{
    (void)snprintf(l->trace, sizeof(l->trace), "%s", trace);
}

/* ---- a turn ---- */

static int64_t lane_epoch_of(const struct lane *l, int64_t offset)
{
    return l->in_epochs ? offset / l->plan->settings->train.epoch : 0;
}

/* A key that has been idle for too long counts as unknown. */
static eddy_status lane_expire(struct lane *l, const struct lane_item *item, const struct lane_event *events,
                               int taken, struct eddy_error *err)
{
    eddy_status rc = lane_expiry_reset(l, item, events, taken, err);
    if (rc >= 0) rc = keyspace_reset(l->keys, item->row, err);
    l->stats.expired += rc >= 0;
    return rc;
}

/* One wave of a turn of `taken` events: judge, step, forecast, learn.  No key is in it twice. */
static eddy_status lane_wave(struct lane *l, const struct lane_event *events, int taken, const int *order, int n,
                             struct eddy_result *results, struct eddy_error *err)
{
    const bool single = l->plan->single, transformed = l->plan->transform != NULL;
    eddy_status rc = EDDY_OK;
    for (int k = 0; k < n; k++) {
        int i = order[k];
        struct lane_item *item = &l->items[i];
        const bool expired = item->row->count > 0 && item->row->time_ns < item->expired_before;
        if (expired) rc = lane_expire(l, item, events, taken, err);
        if (rc < 0) return rc;
        l->stats.keys_new += item->row->count == 0;
        if (single) /* a job of the commonest kind, of constant size: struct lane_shape */
            lane_fold_single(l, &events[i], item, i, &results[i]);
        else
            lane_fold(l, transformed ? lane_transform_event(l, &events[i]) : &events[i], item, i, &results[i]);
        if (!item->stepped && transformed) lane_transform_result(l, &events[i], &results[i]);
    }
    lane_step_wave(l, order, n);
    for (int k = 0; k < n && rc >= 0; k++) {
        struct lane_item *item = &l->items[order[k]];
        if (!item->stepped) continue;
        if (single)
            lane_foresee_single(l, item, order[k], &results[order[k]]);
        else
            lane_foresee(l, item, order[k], &results[order[k]]);
        if (transformed) lane_transform_result(l, &events[order[k]], &results[order[k]]);
        if (l->expiry) rc = lane_expiry_follow(l, item, &results[order[k]], err);
    }
    return rc;
}

/* Whether nobody is to learn from the event. */
static bool lane_leaves_out(const struct lane *l, const struct eddy_event *event, const struct eddy_result *told)
{
    const bool skip = l->plan->settings->train.incidents == TRAIN_INCIDENTS_SKIP;
    return (skip && (told->anomaly || told->incident)) || lane_label_excluded(l->plan, event);
}

/* Hands windows to training while the rows are as they were at the event.  Which ones are kept does not depend on the
 * order of the waves (lane_train.c). */
static eddy_status lane_learn_wave(struct lane *l, const struct lane_event *events, const int *order, int n,
                                   const struct eddy_result *results, struct eddy_error *err)
{
    for (int k = 0; k < n; k++) {
        struct lane_item *item = &l->items[order[k]];
        for (int c = 0; item->stepped && c < l->plan->n_channels; c++) {
            if (!l->steps[order[k] * l->plan->n_channels + c]) continue;
            if (lane_leaves_out(l, &events[order[k]].event, &results[order[k]]))
                lane_learn_not(l, item->row, c, lane_steps(l, item->row)[c] - 1);
            eddy_status rc = lane_learn(l, item->row, c, events[order[k]].offset, err);
            if (rc < 0) return rc;
        }
    }
    return EDDY_OK;
}

/* The offset where the epoch ends, or what keys share changes, whichever is first. */
static int64_t lane_run_until(const struct lane *l, int64_t epoch)
{
    const int64_t shared = lane_share_until(l), each = l->plan->settings->train.epoch;
    const int64_t end = !l->in_epochs || epoch >= INT64_MAX / each ? INT64_MAX : (epoch + 1) * each;
    return end < shared ? end : shared;
}

/* A run of events up to `until` or a tombstone; returns how many were taken. */
static eddy_status lane_run(struct lane *l, const struct lane_event *events, int n, int64_t until,
                            struct eddy_result *results, struct eddy_error *err)
{
    int n_waves;
    const eddy_status taken = lane_find_rows(l, events, n, until, &n_waves, err);
    if (taken < 0) return taken;
    const size_t n_pieces = (size_t)taken * l->plan->n_pieces, piece_bytes = (size_t)taken * l->plan->piece_bytes;
    eddy_status rc = keyspace_promise_notes(l->keys, n_pieces, piece_bytes, err);
    n_waves = lane_sort_waves(l, taken, n_waves);
    for (int w = 0; w < n_waves && rc >= 0; w++) {
        const int *order = l->order + l->wave_first[w];
        int in_wave = l->wave_first[w + 1] - l->wave_first[w];
        rc = lane_wave(l, events, taken, order, in_wave, results, err);
        if (rc >= 0 && l->plan->training) rc = lane_learn_wave(l, events, order, in_wave, results, err);
    }
    if (rc >= 0) rc = lane_expiry_turn(l, events, taken, err);
    if (rc < 0) return rc;
    lane_news_sort(l);
    l->next = events[taken - 1].offset + 1;
    return taken;
}

/* ---- batches ---- */

static void lane_mark(struct lane *l)
{
    if (l->mark.set) return;
    l->mark.set = true;
    l->mark.next = l->next;
    l->mark.clock = l->clock;
    l->mark.epoch = l->epoch;
    l->mark.stats = l->stats;
    l->mark.told_before = l->told_before;
    lane_train_mark(l);
    lane_share_mark(l);
}

/* A tombstone is a turn of its own: it takes the key away, and leaves no row behind for one that was never seen. */
static eddy_status lane_turn_forget(struct lane *l, const struct lane_event *event, struct eddy_error *err)
{
    eddy_status rc = lane_silence_tombstone(l, event, err);
    if (rc >= 0) rc = lane_expiry_tombstone(l, event, err);
    if (rc >= 0) rc = keyspace_forget(l->keys, event->event.key, event->event.key_len, err);
    if (rc < 0) return rc;
    l->next = event->offset + 1;
    return 1;
}

eddy_status lane_turn(struct lane *l, const struct lane_event *events, int n, struct eddy_result *results,
                      struct eddy_error *err)
{
    if (n > l->most_events) n = l->most_events;
    eddy_status rc = lane_reserve(l, n, err);
    if (rc < 0) return rc;
    lane_mark(l);
    l->n_told = 0;

    if (n == 0) return 0;
    int64_t epoch = lane_epoch_of(l, events[0].offset);
    if (!lane_enter_epoch(l, epoch, &rc, err)) return rc;
    lane_share_enter(l, events[0].offset);
    if (events[0].kind == LANE_FORGET) return lane_turn_forget(l, &events[0], err);
    return lane_run(l, events, n, lane_run_until(l, epoch), results, err);
}

eddy_status lane_forget(struct lane *l, const char *key, size_t key_len, struct eddy_error *err)
{
    lane_mark(l);
    lane_silence_forget(l, key, key_len);
    const eddy_status rc = lane_expiry_forget(l, key, key_len, err);
    return rc >= 0 ? keyspace_forget(l->keys, key, key_len, err) : rc;
}

eddy_status lane_wait(struct lane *l, int timeout_ms)
{
    if (l->n_adopted >= l->n_jobs) return EDDY_OK;
    return train_job_wait(l->jobs[l->n_adopted].job, timeout_ms);
}

void lane_commit(struct lane *l)
{
    if (!l->mark.set) return;
    keyspace_commit(l->keys);
    if (l->silence) silence_commit(l->silence);
    if (l->expiry) expiry_commit(l->expiry);
    lane_train_commit(l);
    l->mark.set = false;
}

void lane_abort(struct lane *l)
{
    if (!l->mark.set) return;
    keyspace_abort(l->keys);
    if (l->silence) silence_abort(l->silence);
    if (l->expiry) expiry_abort(l->expiry);
    lane_train_abort(l);
    lane_share_abort(l);
    l->next = l->mark.next;
    l->clock = l->mark.clock;
    l->epoch = l->mark.epoch;
    l->stats = l->mark.stats;
    l->told_before = l->mark.told_before;
    l->n_told = 0; /* its keys may have come in this batch */
    l->mark.set = false;
}

void lane_set_max_resident(struct lane *l, int64_t keys)
{
    keyspace_set_max_resident(l->keys, keys);
}

void lane_stats(const struct lane *l, struct lane_stats *out)
{
    *out = l->stats;
    struct keyspace_stats keys;
    keyspace_stats(l->keys, &keys);
    out->evicted = keys.evicted;
    out->restored = keys.restored;
    out->keys_resident = keyspace_resident(l->keys);
    out->resident_bytes = keyspace_resident_bytes(l->keys);
    if (l->in_epochs) lane_train_stats(l, out);
    out->model = l->weights->version;
}

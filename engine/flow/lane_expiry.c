/* Keys that are forgotten while an incident of theirs is open: it closes.  For their age (`state.ttl`) at the first event by
 * which the partition's clock has run past their time to live, whether they ever come back or not; by a tombstone, which
 * has no time of its own, at the time of their last event.
 *
 * List     every key with an open incident, by the time of its last event (expiry.h); without `ttl` there is none.
 * Waves    a key's events are folded in their order, but the clock is that of all keys, so what is due is told after the
 *          waves.  Where the key itself came back in the turn, its row is told of before it begins anew.
 * Told     all whose last event lies before `told_before` have been told of; no row of another leaves the store for its age
 *          (lane_save.c).  It is kept while ttl is off or another, so that keys that expire by a new ttl, or by the first one
 *          of a state, are told of as well.
 * Stored   blob "open": u32 format, i64 next offset, i64 told_before (since format 2), the list.  One of another offset (ttl
 *          was off for a while, or a command has changed rows) or none (an older state): the list is made again out of the
 *          rows, all but those that were told of. */
#include <stdlib.h>
#include <string.h>

#include "engine/flow/blob.h"
#include "engine/flow/expiry.h"
#include "engine/flow/lane_private.h"

eddy_status lane_expiry_open(struct lane *l, struct eddy_error *err)
{
    const struct plan *p = l->plan;
    l->open_incidents = calloc((size_t)p->n_kinds, p->incident_bytes);
    l->told_before = INT64_MIN;
    if (!l->open_incidents) return lane_no_memory_for(l, "incidents", err);
    return p->settings->state.ttl > 0 ? expiry_open(&l->expiry, err) : EDDY_OK;
}

void lane_expiry_close(struct lane *l)
{
    expiry_close(l->expiry);
    free(l->open_incidents);
}

eddy_status lane_expiry_follow(struct lane *l, const struct lane_item *item, const struct eddy_result *told,
                               struct eddy_error *err)
{
    const struct key_row *r = item->row;
    if (r->time_ns < item->expired_before) return EDDY_OK; /* late by so much it begins anew each time */
    if (told->incident)
        return expiry_put(l->expiry, &(struct expiry_key){r->key, r->key_len, item->hash, r->time_ns}, err);
    if (told->n_incidents == 0) return EDDY_OK; /* none was open before, or it would have been told of */
    const eddy_status rc = expiry_drop(l->expiry, item->hash, r->key, r->key_len, NULL, err);
    return rc < 0 ? rc : EDDY_OK;
}

/* The first event of the turn by which a key last seen then has expired. */
static int expiry_due(const struct lane *l, int64_t time_ns, int taken)
{
    int first = 0, last = taken - 1;
    while (first < last) {
        const int middle = first + (last - first) / 2;
        if (time_ns < l->items[middle].expired_before)
            last = middle;
        else
            first = middle + 1;
    }
    return first;
}

/* The incidents of a key out of l->open_incidents, all closed. */
static eddy_status expiry_tell(struct lane *l, const struct expiry_key *key, int64_t now_ns, int64_t offset,
                               struct eddy_error *err)
{
    const struct lane_news news = {.key = key->key,
                                   .key_len = key->key_len,
                                   .hash = key->hash,
                                   .since_ns = key->time_ns,
                                   .now_ns = now_ns,
                                   .offset = offset};
    eddy_status rc = EDDY_OK;
    for (int k = 0; k < l->plan->n_kinds && rc >= 0; k++) {
        struct eddy_incident incident;
        if (!lane_stored_incident(l->plan, l->open_incidents, k, &incident) || incident.state == EDDY_INCIDENT_CLOSED)
            continue;
        incident.state = EDDY_INCIDENT_CLOSED;
        rc = lane_news_add(l, &news, &incident, err);
    }
    return rc;
}

static eddy_status expiry_tell_due(struct lane *l, const struct expiry_key *key, const struct lane_event *events,
                                   int taken, struct eddy_error *err)
{
    const int due = expiry_due(l, key->time_ns, taken);
    return expiry_tell(l, key, l->items[due].expired_before + l->plan->settings->state.ttl, events[due].offset, err);
}

/* The incidents of a key's row, as they are, to l->open_incidents, and the time of its last event. */
static eddy_status expiry_look(struct lane *l, struct expiry_key *key, struct eddy_error *err)
{
    const size_t bytes = (size_t)l->plan->n_kinds * l->plan->incident_bytes;
    return keyspace_peek(l->keys, key->hash, key->key, key->key_len, (size_t)l->plan->at_incidents, bytes,
                         l->open_incidents, &key->time_ns, err);
}

eddy_status lane_expiry_reset(struct lane *l, const struct lane_item *item, const struct lane_event *events,
                              int taken, struct eddy_error *err)
{
    const struct key_row *r = item->row;
    struct expiry_key key;
    if (!l->expiry) return EDDY_OK;
    const eddy_status rc = expiry_drop(l->expiry, item->hash, r->key, r->key_len, &key, err);
    if (rc <= 0) return rc;
    memcpy(l->open_incidents, r->row + l->plan->at_incidents, (size_t)l->plan->n_kinds * l->plan->incident_bytes);
    return expiry_tell_due(l, &key, events, taken, err);
}

/* Those that did not come back. */
static eddy_status expiry_next(struct lane *l, struct expiry_key *key, const struct lane_event *events, int taken,
                               struct eddy_error *err)
{
    eddy_status rc = expiry_look(l, key, err);
    if (rc >= 0)
        rc = expiry_tell_due(l, key, events, taken, err);
    else if (rc == EDDY_ENOTFOUND) /* a command has taken it out of the state */
        rc = EDDY_OK;
    return rc >= 0 ? expiry_drop(l->expiry, key->hash, key->key, key->key_len, NULL, err) : rc;
}

eddy_status lane_expiry_turn(struct lane *l, const struct lane_event *events, int taken, struct eddy_error *err)
{
    const int64_t before = lane_expired_before(&l->clock, l->plan->settings->state.ttl);
    struct expiry_key key;
    eddy_status rc = EDDY_OK;
    while (l->expiry && rc >= 0 && expiry_first(l->expiry, before, &key))
        rc = expiry_next(l, &key, events, taken, err);
    if (rc >= 0 && before > l->told_before) l->told_before = before;
    return rc < 0 ? rc : EDDY_OK;
}

eddy_status lane_expiry_tombstone(struct lane *l, const struct lane_event *event, struct eddy_error *err)
{
    const struct eddy_event *e = &event->event;
    struct expiry_key key = {e->key, e->key_len, keyspace_hash(e->key, e->key_len), 0};
    eddy_status rc = expiry_look(l, &key, err);
    if (rc >= 0 && key.time_ns >= l->told_before) rc = expiry_tell(l, &key, key.time_ns, event->offset, err);
    if (rc < 0 && rc != EDDY_ENOTFOUND) return rc;
    return lane_expiry_forget(l, e->key, e->key_len, err);
}

/* ---- from one life to the next ---- */

/* What the blob begins with; next -1: its list is not to be used. */
struct open_head {
    int64_t next, told_before;
};

static eddy_status open_head_put(const struct open_head *head, struct eddy_buffer *b)
{
    eddy_status rc = blob_u32(b, OPEN_FORMAT, EDDY_OK);
    rc = blob_i64(b, head->next, rc);
    return blob_i64(b, head->told_before, rc);
}

/* Of an older state, or one that says nothing: nobody has been told of. */
static eddy_status open_head_get(struct blob_reader *r, struct open_head *head, struct eddy_error *err)
{
    uint32_t format = 0;
    *head = (struct open_head){.next = -1, .told_before = INT64_MIN};
    if (!blob_get_u32(r, &format) || format == 0) return EDDY_OK;
    if (format > OPEN_FORMAT) return blob_newer(LANE_OPEN, format, OPEN_FORMAT, err);
    const bool good = blob_get_i64(r, &head->next) && (format < 2 || blob_get_i64(r, &head->told_before));
    return good ? EDDY_OK : eddy_fail(err, EDDY_ECORRUPT, "state: the list of keys with open incidents is cut off");
}

eddy_status lane_expiry_blob(const struct lane *l, struct eddy_buffer *b)
{
    const eddy_status rc = open_head_put(&(struct open_head){l->next, l->told_before}, b);
    return rc >= 0 ? expiry_encode(l->expiry, b) : rc;
}

eddy_status lane_expiry_edited(struct store *store, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    struct open_head head = {0};
    eddy_status rc = store_get_meta(store, LANE_OPEN, &b, err);
    struct blob_reader r = {b.data, b.len};
    if (rc >= 0) rc = open_head_get(&r, &head, err);
    head.next = -1;
    b.len = 0;
    if (rc >= 0 && open_head_put(&head, &b) < 0)
        rc = eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", store_file(store));
    if (rc >= 0) rc = store_put_meta(store, LANE_OPEN, b.data, b.len, err);
    eddy_buffer_free(&b);
    return rc == EDDY_ENOTFOUND ? EDDY_OK : rc;
}

/* A stored row. */
static eddy_status expiry_take_row(void *context, const struct stored_row *r, struct eddy_error *err)
{
    struct lane *l = context;
    const struct plan *p = l->plan;
    const unsigned char *section = r->row + p->at_incidents;
    bool open = false;
    if (r->time_ns < l->told_before) return EDDY_OK;
    for (int k = 0; k < p->n_kinds && !open; k++) {
        struct eddy_incident incident;
        open = lane_stored_incident(p, section, k, &incident) && incident.state != EDDY_INCIDENT_CLOSED;
    }
    if (!open) return EDDY_OK;
    return expiry_put(l->expiry,
                      &(struct expiry_key){r->key, r->key_len, keyspace_hash(r->key, r->key_len), r->time_ns}, err);
}

static eddy_status expiry_scan(struct lane *l, struct eddy_error *err)
{
    const eddy_status rc = store_scan(l->store, expiry_take_row, l, err);
    if (rc >= 0) expiry_commit(l->expiry);
    return rc;
}

eddy_status lane_expiry_restore(struct lane *l, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    struct open_head head = {.next = -1};
    eddy_status rc = store_get_meta(l->store, LANE_OPEN, &b, err);
    struct blob_reader r = {b.data, b.len};
    if (rc == EDDY_ENOTFOUND) rc = EDDY_OK;
    if (rc >= 0) rc = open_head_get(&r, &head, err);
    l->told_before = head.told_before;
    if (rc >= 0 && l->expiry)
        rc = head.next == l->next ? expiry_decode(l->expiry, r.at, r.left, err) : expiry_scan(l, err);
    eddy_buffer_free(&b);
    return rc;
}

eddy_status lane_expiry_forget(struct lane *l, const char *key, size_t key_len, struct eddy_error *err)
{
    if (!l->expiry) return EDDY_OK;
    const eddy_status rc = expiry_drop(l->expiry, keyspace_hash(key, key_len), key, key_len, NULL, err);
    return rc < 0 ? rc : EDDY_OK;
}

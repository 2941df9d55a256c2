/* Where a partition that has become ours starts: from its checkpoint, what the group has committed, what the topic still
 * keeps and what was written already; and what is silent at first. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/failpoint.h"
#include "config/log.h"
#include "engine/flow/driver_private.h"
#include "engine/flow/lane_store.h"

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
    if (dl->mark.start >= 0) {
        const int64_t start = dl->mark.start;
        if (start > dl->next) dl->next = start;
        eddy_status rc = start < p->low ? assign_gap(d, dl, p, start, err) : EDDY_OK;
        if (rc < 0) return rc;
    }
    if (dl->next > p->committed || FAILPOINT_BREAK("skip_replay")) dl->next = p->committed;
    dl->emit_from = p->committed;
    log_warn("state_missing", "%s[%d]: no state in %s; folding offsets %" PRId64 "..%" PRId64 " again, silently",
             p->topic, (int)p->partition, dl->path, dl->next, p->committed);
    driver_written_look(d, dl, p);
    return EDDY_OK;
}

/* With transactions the state is never ahead of the group, unless somebody moved the group back, it expired, or the topic
 * lost records. */
static eddy_status assign_ahead(struct driver *d, struct driver_lane *dl, const struct source_partition *p,
                                int64_t next, struct eddy_error *err)
{
    char at[64] = "has committed nothing";
    if (p->committed >= 0) (void)snprintf(at, sizeof(at), "has committed offset %" PRId64, p->committed);
    switch (d->settings->state.ahead) {
    case STATE_AHEAD_TRUST:
        log_error("state_ahead",
                  "%s[%d]: the state in %s goes on at offset %" PRId64
                  ", but the group %s: the state counts, results in between are not written again",
                  p->topic, (int)p->partition, dl->path, next, at);
        return EDDY_OK;
    case STATE_AHEAD_REBUILD:
        return eddy_fail(err, EDDY_ECORRUPT, "the state goes on at offset %" PRId64 ", but the group %s", next, at);
    default:
        return eddy_fail(
            err, EDDY_EMISMATCH,
            "%s[%d]: the state in %s goes on at offset %" PRId64 ", but the group %s: was the group moved "
            "back, or has it expired? (state.ahead: rebuild makes the state anew and writes results again "
            "from the group's position; trust goes on from the state; eddy reset)",
            p->topic, (int)p->partition, dl->path, next, at);
    }
}

/* Tells the source what lay before the position when it was saved; an older state does not know. */
static eddy_status assign_expect(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    if (!d->request.source->expect) return EDDY_OK;
    eddy_status rc = store_get_meta(dl->store, LANE_TRACE, &b, err);
    if (rc == EDDY_ENOTFOUND) rc = EDDY_OK;
    if (rc >= 0) rc = eddy_buffer_append(&b, "", 1);
    if (rc >= 0) d->request.source->expect(d->source, dl->next, b.data);
    eddy_buffer_free(&b);
    return rc;
}

static eddy_status assign_continue(struct driver *d, struct driver_lane *dl, const struct source_partition *p,
                                   int64_t next, struct eddy_error *err)
{
    if (p->high >= 0 && next > p->high)
        return eddy_fail(err, EDDY_EMISMATCH,
                         "%s[%d]: the state in %s goes on at offset %" PRId64 ", but the topic ends at %" PRId64
                         ": was it created anew? (eddy reset, or another state.path)",
                         p->topic, (int)p->partition, dl->path, next, p->high);
    eddy_status rc = next < p->low ? assign_gap(d, dl, p, next, err) : EDDY_OK;
    if (rc < 0) return rc;
    if (d->transaction && p->committed < next) {
        rc = assign_ahead(d, dl, p, next, err);
        if (rc < 0) return rc;
    } else if (p->committed >= 0 && p->committed < next)
        log_warn("position",
                 "%s[%d]: the group's offset %" PRId64 " lies before the state's %" PRId64 "; the state's counts",
                 p->topic, (int)p->partition, p->committed, next);
    dl->next = next;
    dl->emit_from = p->committed > next ? p->committed : next;
    driver_written_look(d, dl, p);
    return assign_expect(d, dl, err);
}

/* Where a partition that has had no good record yet goes on. */
static eddy_status assign_skipped(struct driver_lane *dl, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    eddy_status rc = store_get_meta(dl->store, DRIVER_SKIPPED_META, &b, err);
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
    rc = p->committed >= 0 && p->committed < p->low ? assign_gap(d, dl, p, p->committed, err) : EDDY_OK;
    if (rc < 0) return rc;
    dl->next = dl->emit_from = p->committed >= 0 ? p->low : p->start;
    /* A life may have ended before its first checkpoint, here, or wherever since the group was moved. */
    if (store_was_found(dl->store) || p->committed >= 0) driver_written_look(d, dl, p);
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
eddy_status driver_set_aside(struct driver *d, struct driver_lane *dl, const char *why, struct eddy_error *err)
{
    char *moved = NULL;
    eddy_status rc = store_set_aside(dl->path, &moved, err);
    if (rc < 0) return rc;
    d->stats.set_aside++;
    log_error("state_corrupt", "%s[%d]: %s; the file is now %s and the state is made anew", dl->topic,
              (int)dl->partition, why, moved);
    free(moved);
    return EDDY_OK;
}

static eddy_status assign_set_aside(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    const struct eddy_error why = err ? *err : (struct eddy_error){.code = EDDY_ECORRUPT};
    driver_shut_lane(dl);
    return driver_set_aside(d, dl, why.message, err);
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
    if (driver_topic_holds(d, dl, p)) return EDDY_OK;
    rc = assign_store(d, dl, p, err);
    if (rc != EDDY_ECORRUPT) return rc;
    if (d->settings->state.missing == MISSING_STATE_REFUSE && d->settings->state.ahead != STATE_AHEAD_REBUILD) {
        const struct eddy_error why = err ? *err : (struct eddy_error){0};
        return eddy_fail(err, rc, "%.800s (state.missing: rebuild makes it anew from the topic)", why.message);
    }
    rc = assign_set_aside(d, dl, err);
    if (rc >= 0 && dl->restored) { /* the copy is not good */
        rc = driver_topic_mistrust(d, dl, err);
    } else if (rc >= 0 && (dl->look || dl->known.any)) { /* it may be */
        driver_topic_hold(dl, p);
        return EDDY_OK;
    }
    return rc < 0 ? rc : assign_store(d, dl, p, err);
}

static int assign_order(const struct driver_lane *a, const struct source_partition *b)
{
    int topics = strcmp(a->topic, b->topic);
    return topics ? topics : a->partition - b->partition;
}

/* What a person has to decide about one partition is no reason to leave the others alone. */
static bool assign_may_refuse(const struct driver *d, eddy_status rc)
{
    return d->request.commit &&
           (rc == EDDY_EMISMATCH || rc == EDDY_ENOTFOUND || rc == EDDY_ECORRUPT || rc == EDDY_EVERSION);
}

void driver_refuse(struct driver *d, const struct driver_lane *dl, const struct eddy_error *why)
{
    d->refusal = *why;
    if (dl->refused && dl->claimed) claims_refuse(d->request.claims, dl->topic, dl->partition);
    d->stats.partitions_refused++;
    log_error("partition_refused", "%s", why->message);
}

/* The partition stays ours, unread, so that nobody else takes it either; driver_all_refused() ends a pipeline that has no
 * other. */
static int64_t assign_refuse(struct driver *d, struct driver_lane *dl, const struct source_partition *p,
                             const struct eddy_error *why, void **tag, struct eddy_error *err)
{
    char *topic = strdup(p->topic);
    if (!topic) return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory", p->topic, (int)p->partition);
    driver_shut_lane(dl);
    free(dl->topic), free(dl->path);
    *dl = (struct driver_lane){.topic = topic,
                               .partition = p->partition,
                               .next = p->committed >= 0 ? p->committed : p->low,
                               .skipped = -1,
                               .claimed = dl->claimed,
                               .refused = true};
    dl->started = dl->committed = dl->next;
    driver_refuse(d, dl, why);
    *tag = dl;
    /* It stands at the end, where nothing is asked for that the topic no longer has: that would end the others too. */
    return p->high >= 0 ? p->high : dl->next;
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
    *dl = (struct driver_lane){.partition = p->partition,
                               .committed = d->transaction ? p->committed : -1,
                               .skipped = -1,
                               .mark = position_mark_read(p->committed >= 0 ? p->metadata : "")};

    struct eddy_error why = {0};
    eddy_status rc = assign_open(d, dl, p, &why);
    if (assign_may_refuse(d, rc)) return assign_refuse(d, dl, p, &why, tag, err);
    if (rc < 0) {
        if (err) *err = why;
        driver_free_lane(d, dl);
        return rc;
    }
    if (dl->held) {
        *tag = dl;
        return dl->next;
    }
    dl->started = driver_next(dl);
    const int64_t from = dl->started > p->low ? dl->started : p->low; /* not the same where a gap was accepted */
    *tag = dl;
    FAILPOINT("assigned");
    log_info("assigned", "%s[%d] from offset %" PRId64 "%s", p->topic, (int)p->partition, from,
             dl->emit_from > from ? ", silent at first" : "");
    return from;
}

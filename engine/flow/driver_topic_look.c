/* What the state topic has of a partition (driver_topic.c): looked for once it is ours, and restored where it is needed.
 *
 * A partition whose own state is good is folded and written meanwhile; only its next publication waits.  One that has no
 * state, or one that the source cannot bring up to date any more, is held unread.  Where the copy is wanted the whole of
 * it is read into a new state file; then the source is asked to assign the partition once more, and everything goes on as
 * if that state had always been here.  All of it in slices between turns. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/failpoint.h"
#include "config/log.h"
#include "engine/flow/driver_private.h"
#include "engine/flow/lane_store.h"

enum {
    ASK_MS = 500,   /* one question to the brokers */
    READ_SLICE = 64 /* records between two looks at the clock */
};
static const int64_t READ_NS = 20 * 1000000LL, RETRY_NS = 1000 * 1000000LL, LOG_NS = 5000 * 1000000LL;
static const int64_t PATIENCE_NS = 10000 * 1000000LL;
static const int64_t LOST_NS = 30000 * 1000000LL; /* what was committed and is not there by then has gone */

/* ---- a copy that shall not be used again ---- */

/* In a state file without a position: no copy up to that generation is used, as text. */
#define COPY_NOTED_META "copy_noted"

static uint64_t copy_noted(struct store *store)
{
    struct eddy_buffer b = {0};
    uint64_t generation = 0;
    const eddy_status rc = store_get_meta(store, COPY_NOTED_META, &b, NULL);
    if (rc >= 0 && eddy_buffer_append(&b, "", 1) >= 0) generation = strtoull(b.data, NULL, 10);
    eddy_buffer_free(&b);
    return generation;
}

eddy_status driver_topic_mistrust(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    const struct store_identity id = {d->settings->name, dl->topic, dl->partition};
    struct store *store = NULL;
    char text[24];
    dl->known.any = false;
    if (!d->topic || dl->known.manifest.generation == 0) return EDDY_OK;
    const int n = snprintf(text, sizeof(text), "%" PRIu64, dl->known.manifest.generation);
    eddy_status rc = store_open(dl->path, &id, STORE_WRITE, &store, err);
    if (rc >= 0) rc = store_put_meta(store, COPY_NOTED_META, text, (size_t)n, err);
    if (rc >= 0) rc = store_commit(store, err);
    store_close(store);
    return rc;
}

/* ---- beginning and end of a look ---- */

static int64_t topic_patience(const struct driver *d)
{
    return d->request.topic_patience > 0 ? d->request.topic_patience : PATIENCE_NS;
}

/* Where the partition's own state stands: -1 = there is none that could be used; *noted: up to this generation no copy shall
 * be used.  What cannot be read for now, or is not ours, is no reason to put another in its place: INT64_MAX, and
 * driver_assign.c says what it is. */
static int64_t look_position(const struct driver *d, struct driver_lane *dl, uint64_t *noted)
{
    const struct store_identity id = {d->settings->name, dl->topic, dl->partition};
    struct store *store = NULL;
    struct lane_position at = {.next = -1};
    struct eddy_error why = {0};
    *noted = 0;
    eddy_status rc = store_open(dl->path, &id, STORE_READ_ONLY, &store, &why);
    if (rc >= 0) {
        rc = lane_stored_position(store, &at, &why);
        if (rc == EDDY_ENOTFOUND) *noted = copy_noted(store);
    }
    store_close(store);
    dl->damaged = rc == EDDY_ECORRUPT;
    if (rc >= 0) return at.next;
    return rc == EDDY_ENOTFOUND || rc == EDDY_ECORRUPT ? -1 : INT64_MAX;
}

static void look_rest(const struct driver *d, struct driver_lane *dl)
{
    dl->look_due_ns = driver_clock_ns() + d->settings->state.topic_interval;
}

static void look_begin(struct driver_lane *dl, const struct source_partition *p)
{
    dl->look = LOOK_ASK;
    dl->look_since_ns = driver_clock_ns();
    dl->look_due_ns = 0;
    dl->low = p->low;
    dl->asked = p->committed;
    dl->known = (struct topic_known){.group_end = -1};
    dl->group_end = -1;
}

void driver_topic_hold(struct driver_lane *dl, const struct source_partition *p)
{
    look_begin(dl, p);
    dl->held = true;
    dl->next = dl->started = dl->emit_from = p->high >= 0 ? p->high : p->start; /* nothing is read from there */
}

int driver_topic_looked(const struct driver *d, const char *topic, int32_t partition)
{
    for (int i = 0; i < d->n_looked; i++)
        if (d->looked[i].partition == partition && strcmp(d->looked[i].topic, topic) == 0) return i;
    return -1;
}

static void looked_drop(struct driver *d, int i)
{
    free(d->looked[i].topic);
    d->looked[i] = d->looked[--d->n_looked];
}

void driver_topic_expire(struct driver *d)
{
    const int64_t now = driver_clock_ns(), patience = topic_patience(d);
    for (int i = d->n_looked - 1; i >= 0; i--) {
        if (now < d->looked[i].at_ns + patience) continue;
        d->request.state_topic->leave(d->topic, d->looked[i].partition);
        looked_drop(d, i);
    }
}

bool driver_topic_holds(struct driver *d, struct driver_lane *dl, const struct source_partition *p)
{
    uint64_t noted;
    if (!d->topic) return false;
    driver_topic_expire(d);
    const int at = driver_topic_looked(d, p->topic, p->partition);
    if (at >= 0) {
        dl->known = d->looked[at].known;
        dl->restored = d->looked[at].restored;
        look_rest(d, dl);
        looked_drop(d, at);
        return false;
    }
    const int64_t here = look_position(d, dl, &noted);
    if (here >= 0 && here >= p->low)
        look_begin(dl, p);
    else
        driver_topic_hold(dl, p);
    return dl->held;
}

/* Now it is known.  A lane that runs is followed; a partition that is held takes what is known with it into its next
 * assignment. */
static eddy_status look_done(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    restorer_close(dl->restorer);
    dl->restorer = NULL;
    dl->look = LOOK_NONE;
    dl->known.group_end = dl->group_end;
    if (!dl->held && dl->lane && !dl->publisher)
        return driver_topic_follow(d, dl, err); /* not so far, for want of a place */
    if (!dl->held) {
        driver_topic_learn(dl);
        return EDDY_OK;
    }
    struct driver_looked *grown = realloc(d->looked, (size_t)(d->n_looked + 1) * sizeof(*grown));
    if (grown) d->looked = grown;
    char *topic = grown ? strdup(dl->topic) : NULL;
    if (!topic) return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory", dl->topic, (int)dl->partition);
    d->looked[d->n_looked++] = (struct driver_looked){topic, dl->partition, dl->restored, dl->known,
                                                      driver_clock_ns()};
    return d->request.source->again(d->source, dl, err);
}

/* Nothing is written to the topic then, and a partition that is held stays unread. */
static void look_refuse(struct driver *d, struct driver_lane *dl, const struct eddy_error *why)
{
    restorer_close(dl->restorer);
    dl->restorer = NULL;
    publisher_close(dl->publisher);
    dl->publisher = NULL;
    dl->look = LOOK_NONE;
    dl->refused = dl->held;
    dl->held = false;
    driver_refuse(d, dl, why);
}

/* The brokers do not answer for now. */
static void look_wait(struct driver *d, struct driver_lane *dl, const struct eddy_error *why)
{
    const int64_t now = driver_clock_ns();
    restorer_close(dl->restorer);
    dl->restorer = NULL;
    dl->look = LOOK_ASK;
    dl->look_due_ns = now + RETRY_NS;
    if (now < d->topic_log_ns || now < dl->look_since_ns + LOG_NS) return;
    d->topic_log_ns = now + LOG_NS;
    log_warn("state_topic", "%s; asking again", why->message);
}

/* The topic's copy cannot be used. */
static eddy_status look_failed(struct driver *d, struct driver_lane *dl, const struct eddy_error *why,
                               struct eddy_error *err)
{
    const bool rebuild = why->code == EDDY_ECORRUPT &&
                         (!dl->held || d->settings->state.missing == MISSING_STATE_REBUILD);
    if (why->code != EDDY_EMISMATCH && why->code != EDDY_EVERSION && why->code != EDDY_ECORRUPT) {
        if (err) *err = *why;
        return why->code;
    }
    if (!rebuild) {
        look_refuse(d, dl, why);
        return EDDY_OK;
    }
    log_error("state_topic", "%s; it is not used, and written anew", why->message);
    if (dl->restorer) restorer_known(dl->restorer, &dl->known);
    dl->known.any = false;
    return look_done(d, dl, err);
}

/* The topic has no place for this partition.  It is asked again every topic_interval: the topic may grow. */
static eddy_status look_without(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    const struct eddy_error why = err ? *err : (struct eddy_error){0};
    if (!dl->known.nowhere) log_error("state_topic", "%s; it goes on without a copy", why.message);
    if (dl->publisher) store_untrack(dl->store);
    publisher_close(dl->publisher);
    dl->publisher = NULL;
    dl->known.nowhere = true;
    look_rest(d, dl);
    return look_done(d, dl, err);
}

static void look_has_place(const struct driver *d, struct driver_lane *dl)
{
    if (!dl->known.nowhere) return;
    log_info("state_topic", "%s has a place for %s[%d] now", d->settings->state.topic, dl->topic, (int)dl->partition);
    dl->known = (struct topic_known){.group_end = -1};
}

static eddy_status look_read(struct driver *d, struct driver_lane *dl, const char *path, int64_t from, int64_t to,
                             struct eddy_error *err)
{
    const struct restorer_request request = {
        {d->settings->name, dl->topic, dl->partition}, d->settings->state.topic, path, dl->damaged};
    restorer_close(dl->restorer);
    dl->restorer = NULL;
    dl->look = path ? LOOK_READ : LOOK_FIND;
    eddy_status rc = restorer_open(&request, &dl->restorer, err);
    if (rc >= 0) rc = d->request.state_topic->seek(d->topic, dl->partition, from, to, ASK_MS, err);
    dl->heard_ns = driver_clock_ns();
    return rc;
}

static eddy_status look_ask(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    eddy_status rc = d->request.state_topic->end(d->topic, dl->partition, ASK_MS, &dl->group_end, err);
    if (rc == EDDY_ENOTFOUND) return look_without(d, dl, err);
    if (rc < 0) return rc;
    look_has_place(d, dl);
    dl->end = dl->group_end;
    rc = look_read(d, dl, NULL, dl->end > 0 ? dl->end - 1 : -1, dl->end > 0 ? dl->end : -1, err);
    if (rc != EDDY_ENOTFOUND) return rc;
    if (driver_clock_ns() < dl->look_since_ns + LOST_NS) return err->code = EDDY_EAGAIN;
    log_warn("state_topic", "%s; reading all of it", err->message);
    dl->end = -1;
    return look_read(d, dl, NULL, -1, -1, err);
}

/* A copy ahead of the group is no use to a state that shall be made anew from the group's position. */
static bool look_wants_copy(const struct driver *d, struct driver_lane *dl)
{
    uint64_t noted;
    if (!dl->held || !dl->known.any) return false;
    const int64_t here = look_position(d, dl, &noted), there = dl->known.manifest.position;
    if (dl->known.manifest.generation <= noted) {
        dl->known.any = false; /* what comes of the source is published anew */
        return false;
    }
    if (d->transaction && d->settings->state.ahead == STATE_AHEAD_REBUILD && there > dl->asked) return false;
    return here < 0 || (here < there && here < dl->low);
}

/* The manifest was read, or there is none. */
static eddy_status look_found(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    eddy_status rc = restorer_end(dl->restorer, &dl->known, err);
    if (!dl->known.any && dl->end > 0) { /* not where the group says: damaged, or another topic of the same name? */
        log_warn("state_topic", "%s[%d]: no manifest before offset %" PRId64 "; reading all of it",
                 d->settings->state.topic, (int)dl->partition, dl->end);
        dl->end = -1;
        return look_read(d, dl, NULL, -1, -1, err);
    }
    if (rc < 0) return rc;
    if (!look_wants_copy(d, dl)) return look_done(d, dl, err);
    log_info("restoring",
             "%s[%d]: from state topic %s before offset %" PRId64 ": the state at offset %" PRId64 ", %" PRIu64
             " rows and blobs",
             dl->topic, (int)dl->partition, d->settings->state.topic, dl->known.end, dl->known.manifest.position,
             dl->known.manifest.n);
    FAILPOINT("restore_begun");
    d->restore_started_ns = driver_clock_ns();
    d->topic_log_ns = d->restore_started_ns + LOG_NS;
    return look_read(d, dl, dl->path, -1, dl->known.end, err);
}

static eddy_status look_restored(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    const int64_t rows = restorer_rows(dl->restorer);
    const bool more = dl->known.more; /* behind what was read now */
    eddy_status rc = restorer_end(dl->restorer, &dl->known, err);
    dl->known.more |= more;
    if (rc >= 0 && !dl->known.any)
        rc = eddy_fail(err, EDDY_ECORRUPT, "state topic %s[%d]: its last publication has no manifest any more",
                       d->settings->state.topic, (int)dl->partition);
    if (rc < 0) return rc;
    const double seconds = (double)(driver_clock_ns() - d->restore_started_ns) * 1e-9;
    dl->restored = true;
    d->stats.set_aside += dl->damaged;
    d->stats.restores++;
    d->stats.restored_rows += rows;
    d->stats.restore_seconds += seconds;
    log_info("restored", "%s[%d]: the state at offset %" PRId64 " from %" PRId64 " rows in %.3f s", dl->topic,
             (int)dl->partition, dl->known.manifest.position, rows, seconds);
    FAILPOINT("restore_ended");
    return look_done(d, dl, err);
}

/* Brokers that are away for so long have forgotten what was asked of them, or where it was. */
static eddy_status look_silent(const struct driver *d, const struct driver_lane *dl, struct eddy_error *err)
{
    const int64_t silent_ns = driver_clock_ns() - dl->heard_ns;
    if (silent_ns < topic_patience(d)) return 0;
    return eddy_fail(err, EDDY_EAGAIN, "state topic %s[%d]: nothing could be read of it for %.3g s",
                     d->settings->state.topic, (int)dl->partition, (double)silent_ns * 1e-9);
}

/* 1: all has been read. */
static eddy_status look_records(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    const int64_t until_ns = driver_clock_ns() + READ_NS;
    struct state_topic_record record;
    for (int i = 1;; i++) {
        eddy_status rc = d->request.state_topic->read(d->topic, 0, &record, err);
        if (rc == EDDY_ENOTFOUND) return 1;
        if (rc == 0) return look_silent(d, dl, err);
        if (rc > 0) rc = restorer_take(dl->restorer, &record, err) < 0 ? err->code : 1;
        if (rc <= 0) return rc;
        if (i == 1 || i % READ_SLICE == 0) dl->heard_ns = driver_clock_ns();
        if (dl->heard_ns >= until_ns) return 0;
    }
}

static void look_progress(struct driver *d, const struct driver_lane *dl)
{
    const int64_t now = driver_clock_ns();
    if (dl->look != LOOK_READ || now < d->topic_log_ns) return;
    d->topic_log_ns = now + LOG_NS;
    log_info("restoring", "%s[%d]: %" PRId64 " rows so far", dl->topic, (int)dl->partition,
             restorer_rows(dl->restorer));
}

eddy_status driver_topic_look(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    struct eddy_error why = {0};
    eddy_status rc;
    if (dl->saving) return EDDY_OK; /* the store is the saver's */
    if (!dl->look) {
        dl->look = LOOK_ASK;
        dl->look_since_ns = driver_clock_ns();
    }
    if (dl->look == LOOK_ASK) {
        rc = look_ask(d, dl, &why);
    } else {
        rc = look_records(d, dl, &why);
        look_progress(d, dl);
        if (rc > 0) rc = dl->look == LOOK_READ ? look_restored(d, dl, &why) : look_found(d, dl, &why);
    }
    if (rc == EDDY_EAGAIN) {
        look_wait(d, dl, &why);
        return EDDY_OK;
    }
    return rc < 0 ? look_failed(d, dl, &why, err) : EDDY_OK;
}

/* The one that is being read, else one that waits for it, else one that runs meanwhile. */
struct driver_lane *driver_topic_wanted(const struct driver *d, int64_t now_ns)
{
    struct driver_lane *first = NULL;
    for (int i = 0; i < d->n_lanes; i++) {
        struct driver_lane *dl = d->lanes[i];
        const bool looks = dl->look || (dl->known.nowhere && !dl->refused);
        if (dl->look && dl->restorer) return dl;
        if (looks && now_ns >= dl->look_due_ns && (!first || (dl->held && !first->held))) first = dl;
    }
    return first;
}

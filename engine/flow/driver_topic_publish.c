/* What of a partition's state goes into the state topic (driver_topic.c): one publication at a time, in slices between turns,
 * in a transaction of its own that is committed with the group's generation.  What fails is tried again. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "config/failpoint.h"
#include "config/log.h"
#include "engine/flow/driver_private.h"
#include "engine/flow/lane_store.h"

enum {
    ASK_MS = 500,     /* one question to the brokers */
    SLICE_ROWS = 64,  /* between two looks at the clock */
    COMMIT_MS = 3000, /* a publication's end */
    FINISH_MS = 2000  /* for what is left at the end of the process */
};
static const int64_t MS_NS = 1000000, RETRY_NS = 1000 * 1000000LL;
static const int64_t SLICE_NS = 10 * 1000000LL; /* of a turn: brokers end what takes longer than minutes in all */

/* Of what decides whether a publication may build on the one before: schema, networks, layout of the rows, and when a
 * command last changed the state. */
static eddy_status topic_fingerprint(const struct plan *plan, struct store *store, uint64_t *out,
                                     struct eddy_error *err)
{
    struct eddy_buffer b = {0}, edited = {0};
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < plan->n_values && rc >= 0; i++)
        rc = eddy_buffer_append(&b, plan->schema.names[i], strlen(plan->schema.names[i]) + 1);
    if (rc >= 0) rc = plan_fingerprint(plan, &b);
    if (rc < 0) rc = eddy_fail(err, EDDY_ENOMEM, "out of memory for the state topic");
    if (rc >= 0) rc = row_layout_encode(&plan->layout, &b, err);
    if (rc >= 0) rc = store_get_meta(store, LANE_EDITED, &edited, err);
    if (rc >= 0 && eddy_buffer_append(&b, edited.data, edited.len) < 0)
        rc = eddy_fail(err, EDDY_ENOMEM, "out of memory for the state topic");
    if (rc == EDDY_ENOTFOUND) rc = EDDY_OK;
    if (rc >= 0) *out = keyspace_hash(b.data, b.len);
    eddy_buffer_free(&edited);
    eddy_buffer_free(&b);
    return rc;
}

eddy_status driver_topic_follow(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    if (!d->topic || dl->known.nowhere) return EDDY_OK;
    struct publisher_request request = {.id = {d->settings->name, dl->topic, dl->partition},
                                        .store = dl->store,
                                        .row_bytes = dl->plan->layout.row_bytes,
                                        .position = lane_checkpointed(dl->lane),
                                        .forgets = d->request.forget_tombstones,
                                        .sweeps = d->settings->state.ttl > 0,
                                        .piece_bytes = d->request.state_topic->piece_bytes(d->topic)};
    eddy_status rc = topic_fingerprint(dl->plan, dl->store, &request.fingerprint, err);
    if (rc >= 0) rc = publisher_open(&request, &dl->publisher, err);
    dl->publish_due_ns = 0;
    if (rc >= 0 && !dl->look) driver_topic_learn(dl);
    return rc;
}

void driver_topic_learn(struct driver_lane *dl)
{
    if (dl->publisher) publisher_learn(dl->publisher, &dl->known);
    dl->unoffered = dl->publisher != NULL;
}

/* What the topic lacks of a state that was there before. */
static eddy_status prepare_lane(const struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    const int64_t until_ns = driver_clock_ns() + SLICE_NS;
    struct eddy_error why = {0};
    eddy_status rc;
    do rc = publisher_prepare(dl->publisher, SLICE_ROWS, &why);
    while (rc == 0 && driver_clock_ns() < until_ns);
    if (rc == EDDY_EFULL) { /* once there is room all of it is written */
        dl->publish_due_ns = driver_clock_ns() + d->settings->state.topic_interval;
        log_error("state_topic", "%s", why.message);
        return EDDY_OK;
    }
    if (rc < 0 && err) *err = why;
    return rc < 0 ? rc : EDDY_OK;
}

/* A lane that stands at its checkpoint, where no other may come for long, is offered as soon as it is prepared. */
static bool lane_waits(const struct driver_lane *dl)
{
    return dl->unoffered && !dl->saving && lane_checkpointed(dl->lane) == lane_next(dl->lane);
}

eddy_status driver_topic_prepare(struct driver *d, struct eddy_error *err)
{
    for (int i = 0; i < d->n_lanes; i++) {
        struct driver_lane *dl = d->lanes[i];
        eddy_status rc = EDDY_OK;
        if (publisher_prepares(dl->publisher) && !dl->saving) {
            rc = prepare_lane(d, dl, err);
            return rc < 0 ? rc : 1;
        }
        if (dl->publisher && lane_waits(dl)) rc = driver_topic_offer(d, dl, err);
        if (rc < 0) return rc;
    }
    return 0;
}

eddy_status driver_topic_offer(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    const int64_t now = driver_clock_ns();
    if (!dl->publisher || publisher_has(dl->publisher) || now < dl->publish_due_ns) return EDDY_OK;
    struct eddy_error why = {0};
    const eddy_status rc = publisher_take(dl->publisher, &why);
    if (rc > 0) dl->publish_due_ns = now + d->settings->state.topic_interval;
    if (rc > 0) dl->taken_ns = now;
    dl->unoffered = publisher_prepares(dl->publisher);
    if (rc < 0 && err) *err = why;
    return rc < 0 ? rc : EDDY_OK;
}

void driver_topic_forget(struct driver *d, const struct driver_lane *dl)
{
    if (!d->topic) return;
    if (d->publication.lane == dl) d->publication = (struct driver_publication){.stage = PUBLISH_IDLE};
    if (driver_topic_looked(d, dl->topic, dl->partition) < 0) d->request.state_topic->leave(d->topic, dl->partition);
}

static void publish_failed(struct driver *d, const struct eddy_error *why)
{
    const struct driver_lane *dl = d->publication.lane;
    d->stats.publications_failed++;
    log_warn("state_topic", "%s[%d]: not published, it will be tried again: %s", dl->topic, (int)dl->partition,
             why->message);
    d->publication.stage = PUBLISH_RECOVER;
    d->publication.retry_ns = driver_clock_ns() + RETRY_NS;
}

static void publish_done(struct driver *d)
{
    struct driver_lane *dl = d->publication.lane;
    const int64_t rows = publisher_rows(dl->publisher);
    publisher_done(dl->publisher, d->publication.end);
    d->publication.lane = NULL;
    d->publication.stage = PUBLISH_IDLE;
    d->stats.publications++;
    d->stats.published_rows += rows;
    log_debug("published", "%s[%d]: %" PRId64 " rows, the state at offset %" PRId64, dl->topic, (int)dl->partition,
              rows, publisher_known(dl->publisher)->manifest.position);
}

/* What the topic had is gone; the group may know its end all the same, -1 = it does not. */
static void publish_anew(struct driver_lane *dl, int64_t group_end)
{
    publisher_drop(dl->publisher, group_end, group_end >= 0);
    dl->unoffered = true;
}

/* Was it committed after all?  The group's offset says so; one that is neither ours nor the one before is another
 * process's, which has the partition now, or thinks so.  None where there was one: the topic was made anew, or nobody has
 * committed for longer than brokers remember. */
static eddy_status publish_decide(struct driver *d, struct eddy_error *err)
{
    struct driver_publication *now = &d->publication;
    struct driver_lane *dl = now->lane;
    int64_t end = -1;
    eddy_status rc = d->request.state_topic->end(d->topic, dl->partition, ASK_MS, &end, err);
    if (rc < 0) return rc;
    const int64_t before = publisher_known(dl->publisher)->group_end;
    now->stage = PUBLISH_IDLE;
    if (end == before) { /* in a topic that was made anew ours may end there as well: then it is only written twice */
        publisher_again(dl->publisher);
    } else if (now->end > 0 && end == now->end) {
        publish_done(d);
    } else if (end < 0) {
        log_warn("state_topic", "%s[%d]: the group knows no publication any more; all of it is written anew",
                 dl->topic, (int)dl->partition);
        publish_anew(dl, -1);
    } else {
        log_warn("state_topic", "%s[%d]: another process has published it; this one stops doing so", dl->topic,
                 (int)dl->partition);
        publisher_close(dl->publisher);
        dl->publisher = NULL;
    }
    if (!publisher_has(dl->publisher)) now->lane = NULL;
    return EDDY_OK;
}

static eddy_status publish_recover(struct driver *d, struct eddy_error *err)
{
    struct eddy_error why = {0};
    eddy_status rc = d->request.state_topic->recover(d->topic, d->publication.lane->partition, ASK_MS, &why);
    if (rc >= 0) rc = publish_decide(d, &why);
    if (rc == EDDY_EAGAIN || rc == EDDY_ENOTFOUND) { /* a topic that has gone may be made again */
        d->publication.retry_ns = driver_clock_ns() + RETRY_NS;
        return EDDY_OK;
    }
    if (rc < 0 && err) *err = why;
    return rc;
}

/* Whose has waited longest. */
static struct driver_lane *publish_next(const struct driver *d)
{
    struct driver_lane *next = NULL;
    for (int i = 0; i < d->n_lanes; i++) {
        struct driver_lane *dl = d->lanes[i];
        if (publisher_has(dl->publisher) && (!next || dl->taken_ns < next->taken_ns)) next = dl;
    }
    return next;
}

/* For a slice of time, or until the brokers have enough to do. */
static eddy_status publish_send(struct driver *d, struct eddy_error *err)
{
    struct publisher *p = d->publication.lane->publisher;
    const int64_t until_ns = driver_clock_ns() + SLICE_NS;
    int64_t rows;
    eddy_status rc;
    do {
        rows = publisher_rows(p);
        rc = publisher_send(p, d->request.state_topic, d->topic, SLICE_ROWS, err);
    } while (rc == 0 && publisher_rows(p) == rows + SLICE_ROWS && driver_clock_ns() < until_ns);
    if (rc > 0) d->publication.stage = PUBLISH_FLUSHING;
    return rc;
}

/* Offsets only rise, so a publication that begins before the end of the last one lies in another topic of that name: there
 * it has nothing to build on. */
static eddy_status publish_behind(struct driver *d, int64_t from, struct eddy_error *err)
{
    struct driver_lane *dl = d->publication.lane;
    const struct topic_known *known = publisher_known(dl->publisher);
    if (known->outlived || from >= known->group_end) return EDDY_OK;
    publish_anew(dl, known->group_end);
    d->publication.end = -1;
    return eddy_fail(err, EDDY_EAGAIN, "state topic %s was made anew; all of it is written anew",
                     d->settings->state.topic);
}

static eddy_status publish_commit(struct driver *d, struct eddy_error *err)
{
    struct driver_publication *now = &d->publication;
    int64_t from = -1;
    eddy_status rc = d->request.state_topic->flushed(d->topic, now->lane->partition, &from, &now->end, err);
    if (rc <= 0) return rc;
    rc = publish_behind(d, from, err);
    if (rc < 0) return rc;
    FAILPOINT("publication_flushed");
    rc = d->request.state_topic->commit(d->topic, d->source, now->lane->partition, now->end, COMMIT_MS, err);
    FAILPOINT("publication_committed");
    if (rc >= 0) publish_done(d);
    return rc;
}

static eddy_status publish_stage(struct driver *d, struct eddy_error *err)
{
    struct driver_publication *now = &d->publication;
    eddy_status rc = EDDY_OK;
    switch (now->stage) {
    case PUBLISH_IDLE:
        now->end = -1;
        rc = d->request.state_topic->begin(d->topic, now->lane->partition, err);
        if (rc >= 0) now->stage = PUBLISH_SENDING;
        return rc;
    case PUBLISH_SENDING: return publish_send(d, err);
    default: return publish_commit(d, err);
    }
}

eddy_status driver_topic_publish(struct driver *d, struct eddy_error *err)
{
    struct driver_publication *now = &d->publication;
    struct eddy_error why = {0};
    if (driver_clock_ns() < now->retry_ns) return EDDY_OK;
    if (now->stage == PUBLISH_RECOVER) return publish_recover(d, err);
    if (!now->lane) now->lane = publish_next(d);
    if (!now->lane) return EDDY_OK;
    const eddy_status rc = publish_stage(d, &why);
    if (rc == EDDY_ELIMIT) { /* no second try would fare better; the next publication may lack it */
        const struct topic_known *known = publisher_known(now->lane->publisher);
        publisher_drop(now->lane->publisher, known->group_end, known->outlived);
    }
    if (rc == EDDY_EAGAIN || rc == EDDY_ELIMIT) {
        publish_failed(d, &why);
        return EDDY_OK;
    }
    if (rc < 0 && err) *err = why;
    return rc < 0 ? rc : EDDY_OK;
}

bool driver_topic_publishing(const struct driver *d)
{
    return d->publication.stage != PUBLISH_RECOVER && (d->publication.lane || publish_next(d));
}

/* The last checkpoint of every lane, once it is known what the topic has of it. */
static eddy_status finish_step(struct driver *d, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < d->n_lanes && rc >= 0; i++) rc = driver_topic_offer(d, d->lanes[i], err);
    return rc < 0 ? rc : driver_topic_tick(d, err);
}

/* For whoever is next, who without it folds a little more. */
eddy_status driver_topic_finish(struct driver *d, struct eddy_error *err)
{
    const int64_t until_ns = driver_clock_ns() + FINISH_MS * MS_NS;
    const struct timespec pause = {0, 1000000};
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < d->n_lanes; i++) {
        d->lanes[i]->publish_due_ns = 0;
        if (d->lanes[i]->held) d->lanes[i]->look = LOOK_NONE; /* it has nothing that could be published */
    }
    d->topic_busy = d->topic != NULL;
    while (rc >= 0 && d->topic_busy && driver_clock_ns() < until_ns) {
        rc = finish_step(d, err);
        if (d->topic_busy) (void)nanosleep(&pause, NULL);
    }
    return rc;
}

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
    ASK_MS = 500,       /* one question to the brokers */
    PUBLISH_ROWS = 512, /* of a turn */
    COMMIT_MS = 3000,   /* a publication's end */
    FINISH_MS = 2000    /* for what is left at the end of the process */
};
static const int64_t MS_NS = 1000000, RETRY_NS = 1000 * 1000000LL;

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
    if (!d->topic || dl->look) return EDDY_OK;
    struct publisher_request request = {.id = {d->settings->name, dl->topic, dl->partition},
                                        .store = dl->store,
                                        .row_bytes = dl->plan->layout.row_bytes,
                                        .position = lane_checkpointed(dl->lane),
                                        .forgets = d->request.forget_tombstones || d->settings->state.ttl > 0,
                                        .known = dl->known,
                                        .piece_bytes = d->request.state_topic->piece_bytes(d->topic)};
    eddy_status rc = topic_fingerprint(dl->plan, dl->store, &request.fingerprint, err);
    dl->publish_due_ns = 0;
    return rc < 0 ? rc : publisher_open(&request, &dl->publisher, err);
}

eddy_status driver_topic_offer(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    const int64_t now = driver_clock_ns();
    if (!dl->publisher || publisher_has(dl->publisher) || now < dl->publish_due_ns) return EDDY_OK;
    struct eddy_error why = {0};
    const eddy_status rc = publisher_take(dl->publisher, &why);
    if (rc > 0) dl->publish_due_ns = now + d->settings->state.topic_interval;
    if (rc == EDDY_EFULL) { /* the next checkpoint may find room */
        log_error("state_topic", "%s", why.message);
        return EDDY_OK;
    }
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

/* Was it committed after all?  The group's offset says so; one that is neither ours nor the one before is another
 * process's, which has the partition now, or thinks so. */
static eddy_status publish_decide(struct driver *d, struct eddy_error *err)
{
    struct driver_publication *now = &d->publication;
    int64_t end = -1;
    eddy_status rc = d->request.state_topic->end(d->topic, now->lane->partition, ASK_MS, &end, err);
    if (rc < 0) return rc;
    const struct topic_known *known = publisher_known(now->lane->publisher);
    now->stage = PUBLISH_IDLE;
    if (now->end > 0 && end == now->end) {
        publish_done(d);
    } else if (end == (known->any ? known->end : -1) || end < 0) {
        publisher_again(now->lane->publisher);
    } else {
        log_warn("state_topic", "%s[%d]: another process has published it; this one stops doing so", now->lane->topic,
                 (int)now->lane->partition);
        publisher_close(now->lane->publisher);
        now->lane->publisher = NULL;
        now->lane = NULL;
    }
    return EDDY_OK;
}

static eddy_status publish_recover(struct driver *d, struct eddy_error *err)
{
    struct eddy_error why = {0};
    eddy_status rc = d->request.state_topic->recover(d->topic, d->publication.lane->partition, ASK_MS, &why);
    if (rc >= 0) rc = publish_decide(d, &why);
    if (rc == EDDY_EAGAIN) {
        d->publication.retry_ns = driver_clock_ns() + RETRY_NS;
        return EDDY_OK;
    }
    if (rc < 0 && err) *err = why;
    return rc;
}

static struct driver_lane *publish_next(const struct driver *d)
{
    for (int i = 0; i < d->n_lanes; i++)
        if (publisher_has(d->lanes[i]->publisher)) return d->lanes[i];
    return NULL;
}

static eddy_status publish_commit(struct driver *d, struct eddy_error *err)
{
    struct driver_publication *now = &d->publication;
    eddy_status rc = d->request.state_topic->flushed(d->topic, now->lane->partition, &now->end, err);
    if (rc <= 0) return rc;
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
    case PUBLISH_SENDING:
        rc = publisher_send(now->lane->publisher, d->request.state_topic, d->topic, PUBLISH_ROWS, err);
        if (rc > 0) now->stage = PUBLISH_FLUSHING;
        return rc;
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
    if (rc == EDDY_EAGAIN) {
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
static eddy_status finish_step(struct driver *d, bool *busy, struct eddy_error *err)
{
    struct driver_lane *wanted = driver_topic_wanted(d, driver_clock_ns());
    eddy_status rc = wanted ? driver_topic_look(d, wanted, err) : EDDY_OK;
    for (int i = 0; i < d->n_lanes && rc >= 0; i++) rc = driver_topic_offer(d, d->lanes[i], err);
    *busy = wanted || driver_topic_publishing(d);
    return rc < 0 ? rc : driver_topic_publish(d, err);
}

/* For whoever is next, who without it folds a little more. */
eddy_status driver_topic_finish(struct driver *d, struct eddy_error *err)
{
    const int64_t until_ns = driver_clock_ns() + FINISH_MS * MS_NS;
    const struct timespec pause = {0, 1000000};
    eddy_status rc = EDDY_OK;
    bool busy = d->topic != NULL;
    for (int i = 0; i < d->n_lanes; i++) {
        d->lanes[i]->publish_due_ns = 0;
        if (d->lanes[i]->held) d->lanes[i]->look = LOOK_NONE; /* it has nothing that could be published */
    }
    while (rc >= 0 && busy && driver_clock_ns() < until_ns) {
        rc = finish_step(d, &busy, err);
        if (busy) (void)nanosleep(&pause, NULL);
    }
    return rc;
}

/* The group member: records, commits, and what the group gives and takes.  Where partitions start: kafka_settle.c; the end
 * of the membership: kafka_leave.c. */
#include "connectors/kafka/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/failpoint.h"
#include "connectors/kafka/kafka_source_private.h"
#include "connectors/kafka/kafka_transaction.h"

enum {
    FENCED_MOST = 3, /* members of one instance_id that took over from each other .. */
    FENCED_WITHIN_MS = 60000,
    GROUP_EVENTS_MAX = 100 /* error events of the group taken per turn */
};

eddy_status source_failure(struct kafka_source *s, struct eddy_error *err)
{
    if (!s->client->has_failed) return EDDY_OK;
    if (err) *err = s->client->failed;
    return s->client->failed.code;
}

void source_fail(struct kafka_source *s, const struct eddy_error *why)
{
    if (s->client->has_failed) return;
    s->client->has_failed = true;
    s->client->failed = *why;
}

void source_revoke_one(struct kafka_source *s, struct kafka_partition *p, bool lost)
{
    struct eddy_error why = {0};
    if (!p || !p->live) return;
    p->paused = true;
    eddy_status rc = s->listener.revoke(s->listener.context, p->tag, lost, &why);
    log_info("partition_revoked", "%s [%d] at offset %lld%s", p->topic, (int)p->partition, (long long)p->next,
             lost ? " (lost)" : "");
    kafka_partitions_stop(&s->partitions, p);
    if (rc < 0) source_fail(s, &why);
}

void source_log_error(rd_kafka_error_t *error, const char *what)
{
    if (!error) return;
    log_warn("kafka_group", "%s: %s", what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
}

void source_round(const struct kafka_source *s, int round)
{
    if (s->listener.round) s->listener.round(s->listener.context, round, s->session_ms);
}

void source_forget_pending(struct kafka_source *s)
{
    if (s->pending) rd_kafka_topic_partition_list_destroy(s->pending);
    s->pending = NULL;
}

/* What is revoked need not be placed again. */
static void source_forget_again(struct kafka_source *s, const rd_kafka_topic_partition_list_t *revoked)
{
    for (int i = 0; s->again && i < revoked->cnt; i++)
        (void)rd_kafka_topic_partition_list_del(s->again, revoked->elems[i].topic, revoked->elems[i].partition);
    if (!s->again || s->again->cnt > 0) return;
    rd_kafka_topic_partition_list_destroy(s->again);
    s->again = NULL;
}

/* Everything that is due, also what failed before. */
static void source_send_commits(struct kafka_source *s)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(s->partitions.n_live);
    for (int i = 0; i < s->partitions.n; i++) {
        const struct kafka_partition *p = s->partitions.item[i];
        if (!p->live || !p->commit_due) continue;
        kafka_add_position(list, p->topic, p->partition, p->commit_next, p->commit_metadata);
    }
    kafka_labels_due(s->labels, list);
    if (list->cnt > 0) {
        FAILPOINT("before_offset_commit");
        rd_kafka_resp_err_t code = rd_kafka_commit(s->client->rk, list, 1);
        if (code)
            log_warn("commit_failed", "%s; the next commit repeats it", rd_kafka_err2str(code));
        else
            s->n_commits++;
        FAILPOINT("after_offset_commit");
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void source_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                                void *opaque)
{
    struct kafka_source *s = ((struct kafka_client *)opaque)->owner;

    switch (code) {
    case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
        s->was_assigned = true;
        if (s->closing) {
            source_log_error(rd_kafka_incremental_assign(rk, list), "assign while closing");
            return;
        }
        source_forget_pending(s);
        s->pending = rd_kafka_topic_partition_list_copy(list);
        s->settle_at_ms = 0;
        source_round(s, SOURCE_GIVES); /* every member is called in every round, also for nothing */
        return;
    case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS: {
        bool lost = rd_kafka_assignment_lost(rk) != 0;
        kafka_labels_stop(s->labels, list, lost);
        source_round(s, lost ? SOURCE_JOINS : SOURCE_TAKES); /* of lost ones the others have been told already */
        for (int i = 0; i < list->cnt; i++)
            source_revoke_one(
                s, kafka_partitions_find(&s->partitions, list->elems[i].topic, list->elems[i].partition), lost);
        if (s->labels) source_send_commits(s);
        source_forget_pending(s);
        source_forget_again(s, list);
        source_log_error(rd_kafka_incremental_unassign(rk, list), "unassign");
        return;
    }
    default:
        log_warn("kafka_group", "rebalance failed: %s", rd_kafka_err2str(code));
        source_forget_pending(s);
        source_round(s, SOURCE_JOINS);
        (void)rd_kafka_assign(rk, NULL);
    }
}

static void source_on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                             void *opaque)
{
    struct kafka_source *s = ((struct kafka_client *)opaque)->owner;
    int64_t n_held;
    (void)rk;
    if (s->n_commits > 0) s->n_commits--;
    FAILPOINT("offset_confirmed");
    for (int i = 0; list && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *e = &list->elems[i];
        struct kafka_partition *p = kafka_partitions_find(&s->partitions, e->topic, e->partition);
        if (!code && !e->err && p && p->commit_next == e->offset) p->commit_due = false;
        if (!code && !e->err) kafka_labels_confirm(s->labels, e);
        if (!code && e->err) code = e->err;
    }
    if (!code || code == RD_KAFKA_RESP_ERR__NO_OFFSET) return;
    if (log_allowed(&s->client->other, 1000, &n_held))
        log_warn("commit_failed", "%s; the next commit repeats it", rd_kafka_err2str(code));
}

/* Nothing while the membership is lost: a position committed in its name could overwrite the next owner's.  librdkafka
 * joins the group again only after the revoke callback was served, which happens on this thread. */
rd_kafka_consumer_group_metadata_t *kafka_source_group(void *source)
{
    struct kafka_source *s = source;
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(s->client->rk);
    char *member = rd_kafka_memberid(s->client->rk);
    bool in = member && *member && !rd_kafka_assignment_lost(s->client->rk);
    if (member) rd_kafka_mem_free(s->client->rk, member);
    if (in) return group;
    if (group) rd_kafka_consumer_group_metadata_destroy(group);
    return NULL;
}

/* A broker that crashed may have forgotten who this member is: its own second try to join then fences the first, and
 * librdkafka takes that for another process of the same instance_id.  So it becomes a member anew; only when that goes on
 * there is another one.  (A member that has never been assigned anything cannot be destroyed: see source_may_destroy.) */
static bool source_may_rejoin(struct kafka_source *s)
{
    char text[200];
    if (!s->client->has_failed || s->closing || !s->was_assigned || !s->group_queue) return false;
    if (rd_kafka_fatal_error(s->client->rk, text, sizeof(text)) != RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID) return false;
    int64_t now_ms = kafka_now_ms();
    if (now_ms - s->fenced_ms > FENCED_WITHIN_MS) s->n_fenced = 0;
    s->fenced_ms = now_ms;
    return ++s->n_fenced <= FENCED_MOST;
}

static eddy_status source_subscribe(struct kafka_source *s, struct eddy_error *err);

static eddy_status source_rejoin(struct kafka_source *s, struct eddy_error *err)
{
    source_round(s, SOURCE_JOINS); /* before anything is given back: other workers look at what is left */
    log_warn("kafka_group", "%s; joining the group again", s->client->failed.message);
    for (int i = 0; i < s->partitions.n; i++) source_revoke_one(s, s->partitions.item[i], true);
    kafka_labels_stop(s->labels, NULL, true);
    source_forget_pending(s);
    if (s->again) rd_kafka_topic_partition_list_destroy(s->again);
    s->again = NULL;
    kafka_partitions_unwatch(s->group_queue);
    rd_kafka_queue_destroy(s->group_queue);
    s->group_queue = NULL;
    struct kafka_client *fresh = calloc(1, sizeof(*fresh));
    if (!fresh) return eddy_fail(err, EDDY_ENOMEM, "kafka source: out of memory");
    kafka_client_abandon(s->client); /* it may wait for a coordinator that never answers */
    s->client = s->partitions.client = fresh;
    s->n_commits = 0;
    s->was_assigned = false;
    eddy_status rc = kafka_client_open(s->client, &s->request, err);
    return rc < 0 ? rc : source_subscribe(s, err);
}

static eddy_status kafka_source_serve(void *source, struct eddy_error *err)
{
    struct kafka_source *s = source;
    for (int i = 0; i < GROUP_EVENTS_MAX; i++) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(s->client->rk, 0);
        if (!m) break;
        struct eddy_error why = {0};
        struct kafka_partition *p = m->rkt ? kafka_partitions_find(&s->partitions, rd_kafka_topic_name(m->rkt),
                                                                   m->partition)
                                           : NULL;
        if (!m->err)
            (void)eddy_fail(&why, EDDY_EIO, "kafka: %s [%d] offset %lld came through the group's queue",
                            rd_kafka_topic_name(m->rkt), (int)m->partition, (long long)m->offset);
        else if (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
            (void)kafka_event_error(s->client, m, p && p->live ? p : NULL, &why);
        rd_kafka_message_destroy(m);
        if (why.code < 0) source_fail(s, &why);
    }
    eddy_status rc = source_may_rejoin(s) ? source_rejoin(s, err) : source_failure(s, err);
    if (rc == EDDY_OK) rc = source_settle(s, err);
    return rc < 0 || !s->labels ? rc : kafka_labels_serve(s->labels, err);
}

static eddy_status kafka_source_poll(void *source, int timeout_ms, int max_records, struct source_batch *batches,
                                     int max_batches, struct eddy_error *err)
{
    struct kafka_source *s = source;
    int64_t end_ms = kafka_now_ms() + timeout_ms;
    for (;;) {
        eddy_status rc = kafka_source_serve(s, err);
        if (rc < 0) return rc;
        rc = kafka_partitions_drain(&s->partitions, max_records, batches, max_batches, err);
        if (rc != 0) return rc;
        int64_t left_ms = end_ms - kafka_now_ms();
        if (left_ms <= 0) return 0;
        kafka_partitions_wait(&s->partitions, left_ms > WAIT_SLICE_MS ? WAIT_SLICE_MS : (int)left_ms);
    }
}

static void kafka_source_release(void *source)
{
    kafka_partitions_release(&((struct kafka_source *)source)->partitions);
}

static eddy_status source_set_paused(struct kafka_source *s, void *tag, bool paused, struct eddy_error *err)
{
    struct kafka_partition *p = kafka_partitions_by_tag(&s->partitions, tag);
    if (!p)
        return eddy_fail(err, EDDY_EINVAL, "kafka: %s of a partition that is not assigned",
                         paused ? "pause" : "resume");
    p->paused = paused;
    return EDDY_OK;
}

static eddy_status kafka_source_pause(void *source, void *tag, struct eddy_error *err)
{
    return source_set_paused(source, tag, true, err);
}

static eddy_status kafka_source_resume(void *source, void *tag, struct eddy_error *err)
{
    return source_set_paused(source, tag, false, err);
}

static eddy_status source_note_commit(struct kafka_source *s, const struct source_position *position,
                                      struct eddy_error *err)
{
    struct kafka_partition *p = kafka_partitions_find(&s->partitions, position->topic, position->partition);
    if (!p || !p->live) return EDDY_OK; /* no longer ours to commit */
    char *metadata = strdup(position->metadata ? position->metadata : "");
    if (!metadata) return eddy_fail(err, EDDY_ENOMEM, "kafka: out of memory for a commit");
    free(p->commit_metadata);
    p->commit_metadata = metadata;
    p->commit_next = position->next;
    p->commit_due = true;
    return EDDY_OK;
}

static eddy_status kafka_source_commit(void *source, const struct source_position *positions, int n,
                                       struct eddy_error *err)
{
    struct kafka_source *s = source;
    for (int i = 0; i < n; i++) {
        eddy_status rc = source_note_commit(s, &positions[i], err);
        if (rc < 0) return rc;
    }
    source_send_commits(s);
    return EDDY_OK;
}

static bool kafka_source_ended(void *source)
{
    (void)source;
    return false;
}

static void kafka_source_close(void *source)
{
    struct kafka_source *s = source;
    if (!s) return;
    s->closing = true;
    bool lost = s->client->rk && rd_kafka_assignment_lost(s->client->rk);
    kafka_labels_stop(s->labels, NULL, lost);
    for (int i = 0; i < s->partitions.n; i++) source_revoke_one(s, s->partitions.item[i], lost);
    if (s->labels) source_send_commits(s);
    kafka_labels_close(s->labels);
    s->labels = NULL;
    if (s->group_queue) {
        source_end_membership(s);
        return;
    }
    kafka_partitions_free(&s->partitions);
    source_destroy(s);
}

static eddy_status source_subscribe(struct kafka_source *s, struct eddy_error *err)
{
    const struct eddy_strings *topics = &s->settings->topics;
    s->session_ms = (int)kafka_client_setting(s->client, "session.timeout.ms");
    source_round(s, SOURCE_JOINS);
    (void)rd_kafka_poll_set_consumer(s->client->rk);
    s->group_queue = rd_kafka_queue_get_consumer(s->client->rk);
    if (!s->group_queue) return eddy_fail(err, EDDY_EIO, "kafka: librdkafka gives no group queue");
    kafka_partitions_watch(&s->partitions, s->group_queue);

    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(topics->n);
    for (int i = 0; i < topics->n; i++)
        rd_kafka_topic_partition_list_add(list, topics->item[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(s->client->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code) return eddy_fail(err, EDDY_EIO, "kafka: cannot subscribe: %s", rd_kafka_err2str(code));
    return EDDY_OK;
}

static eddy_status kafka_source_open(const void *settings, const struct source_request *r, void **out,
                                     struct eddy_error *err)
{
    const struct kafka_source_settings *set = settings;
    int n_partitions;
    *out = NULL;
    struct kafka_source *s = calloc(1, sizeof(*s));
    if (s) s->client = calloc(1, sizeof(*s->client));
    if (!s || !s->client) {
        free(s);
        return eddy_fail(err, EDDY_ENOMEM, "kafka source: out of memory");
    }
    s->settings = set;
    s->listener = r->listener;
    kafka_properties_warn(&set->properties);

    eddy_status rc = kafka_when_parse(set->start, "start", &s->start, err);
    if (rc == EDDY_OK)
        rc = kafka_count_partitions(
            &set->topics,
            &(struct kafka_question){r->name, &set->properties, (int)(set->connect_timeout / 1000000), r->stop},
            &n_partitions, err);
    if (rc < 0) goto fail;
    const char *own_id = set->instance_id ? set->instance_id : "";
    const bool drawn = kafka_id_is_drawn(set); /* by the driver, for each worker another */
    s->request = (struct kafka_client_request){.role = KAFKA_MEMBER,
                                               .name = r->name,
                                               .instance_id = drawn ? r->instance : own_id,
                                               .id_is_own = drawn,
                                               .properties = &set->properties,
                                               .latency = (enum latency)r->latency,
                                               .n_partitions = n_partitions,
                                               .worker = r->worker,
                                               .workers = r->workers,
                                               .stop = r->stop,
                                               .owner = s,
                                               .on_rebalance = source_on_rebalance,
                                               .on_commit = source_on_commit};
    rc = kafka_client_open(s->client, &s->request, err);
    if (rc == EDDY_OK) rc = kafka_partitions_init(&s->partitions, s->client, err);
    if (rc == EDDY_OK && set->labels && *set->labels)
        rc = kafka_labels_open(set, r, n_partitions, &s->partitions, &s->labels, err);
    if (rc == EDDY_OK) rc = source_subscribe(s, err);
    if (rc < 0) goto fail;
    *out = s;
    return EDDY_OK;
fail:
    kafka_source_close(s);
    return rc;
}

static eddy_status kafka_source_check(const void *settings, struct eddy_error *err)
{
    const struct kafka_source_settings *set = settings;
    struct kafka_when when;
    eddy_status rc = kafka_topics_check(&set->topics, err);
    if (rc == EDDY_OK) rc = kafka_labels_check(set->labels, &set->topics, err);
    if (rc == EDDY_OK) rc = kafka_when_parse(set->start, "start", &when, err);
    if (rc == EDDY_OK) rc = kafka_properties_check(&set->properties, true, err);
    return rc;
}

const struct eddy_source source_kafka = {
    .part = {.struct_size = sizeof(struct eddy_source),
             .kind = EDDY_PART_SOURCE,
             .name = "kafka",
             .summary = "Topics of a Kafka cluster, shared among the processes of one consumer group.",
             .options = kafka_source_options,
             .settings_size = sizeof(struct kafka_source_settings),
             .check = kafka_source_check},
    .divides = true,
    .open = kafka_source_open,
    .poll = kafka_source_poll,
    .release = kafka_source_release,
    .serve = kafka_source_serve,
    .pause = kafka_source_pause,
    .resume = kafka_source_resume,
    .commit = kafka_source_commit,
    .restart = kafka_source_restart,
    .again = kafka_source_again,
    .ended = kafka_source_ended,
    .close = kafka_source_close,
};

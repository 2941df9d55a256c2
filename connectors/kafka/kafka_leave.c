/* The end of a membership: what librdkafka can be trusted with, and what not. */
#include <pthread.h>
#include <stdlib.h>

#include "config/failpoint.h"
#include "connectors/kafka/kafka_source_private.h"

enum {
    CLOSE_COMMIT_MS = 1000, /* for commits on their way */
    CLOSE_JOIN_MS = 4000,   /* see source_may_destroy() */
    CLOSE_LEAVE_MS = 1500,  /* for leaving the group */
};

/* librdkafka 2.0.2 aborts the process (assertion in rkassignor_sticky.c) when a member is destroyed after it has joined
 * and before its first assignment.  So an assignment is waited for; if none comes, the handle is left to the end of the
 * process rather than destroyed. */
static bool source_may_destroy(struct kafka_source *s)
{
    int64_t end_ms = kafka_now_ms() + CLOSE_JOIN_MS;
    for (;;) {
        char *member = rd_kafka_memberid(s->client->rk);
        bool joined = member && *member;
        if (member) rd_kafka_mem_free(s->client->rk, member);
        if (s->was_assigned || !joined) return true;
        if (kafka_now_ms() >= end_ms) return false;
        rd_kafka_message_t *m = rd_kafka_consumer_poll(s->client->rk, WAIT_SLICE_MS);
        if (m) rd_kafka_message_destroy(m);
    }
}

static void source_serve_until(struct kafka_source *s, int64_t end_ms, bool (*done)(struct kafka_source *))
{
    while (!done(s) && kafka_now_ms() < end_ms) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(s->client->rk, 20);
        if (m) rd_kafka_message_destroy(m);
    }
}

static bool source_commits_done(struct kafka_source *s)
{
    return s->n_commits == 0;
}

/* Leaves the group, but not longer than CLOSE_LEAVE_MS: with dead brokers librdkafka would wait for them. */
static void source_leave(struct kafka_source *s)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(s->client->rk);
    int64_t end_ms = kafka_now_ms() + CLOSE_LEAVE_MS;
    source_log_error(rd_kafka_consumer_close_queue(s->client->rk, queue), "leaving the group");
    while (!rd_kafka_consumer_closed(s->client->rk) && kafka_now_ms() < end_ms)
        (void)rd_kafka_queue_poll_callback(queue, 20);
    rd_kafka_queue_destroy(queue);
}

void source_destroy(struct kafka_source *s)
{
    kafka_client_close(s->client);
    free(s->client);
    free(s);
}

static void *client_end(void *client)
{
    kafka_client_close(client);
    free(client);
    return NULL;
}

void kafka_client_abandon(struct kafka_client *c)
{
    pthread_t thread;
    kafka_client_orphan(c);
    if (pthread_create(&thread, NULL, client_end, c) == 0)
        (void)pthread_detach(thread);
    else
        (void)client_end(c);
}

/* Ends the membership; takes s over.  Without a coordinator librdkafka keeps an unsent commit for a whole session timeout
 * and its destroy call waits for that: another thread may wait there. */
void source_end_membership(struct kafka_source *s)
{
    source_serve_until(s, kafka_now_ms() + CLOSE_COMMIT_MS, source_commits_done);
    if (s->pending) source_log_error(rd_kafka_incremental_assign(s->client->rk, s->pending), "assign while closing");
    source_forget_pending(s);
    bool may_destroy = source_may_destroy(s);
    kafka_partitions_unwatch(s->group_queue);
    rd_kafka_queue_destroy(s->group_queue);
    FAILPOINT("before_leave");
    source_leave(s);
    FAILPOINT("after_leave");
    if (s->again) rd_kafka_topic_partition_list_destroy(s->again);
    s->again = NULL;
    bool quick = s->n_commits == 0 && rd_kafka_consumer_closed(s->client->rk);
    kafka_partitions_free(&s->partitions);
    if (quick && may_destroy) {
        source_destroy(s);
        return;
    }
    log_warn("kafka_group", "the group does not answer: left without its consent");
    if (may_destroy) {
        kafka_client_abandon(s->client);
        free(s);
    } else { /* its threads end with the process */
        kafka_client_orphan(s->client);
    }
}

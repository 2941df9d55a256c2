/* Where partitions start.  librdkafka's rebalance callback only takes notes for new partitions: asking the brokers may take
 * a while or fail for now, so source_settle() does it from poll() and serve(), again and again until it works, and only
 * then hands the assignment to librdkafka.  Until then the group waits and partitions that stay are read on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/failpoint.h"
#include "connectors/kafka/kafka_source_private.h"

enum {
    SETTLE_ASK_MS = 4000,  /* one question to the brokers */
    SETTLE_RETRY_MS = 500, /* between two rounds of questions */
    SEEK_MS = 10000,       /* for librdkafka to turn to another offset */
    SEEK_PAUSE_MS = 20,
    METADATA_MAX = 4097, /* brokers take 4096 bytes (offset.metadata.max.bytes) */
};

static eddy_status source_start_one(struct kafka_source *s, const rd_kafka_topic_partition_t *committed,
                                    const struct kafka_place *place, rd_kafka_topic_partition_t *out,
                                    struct eddy_error *err)
{
    char metadata[METADATA_MAX] = ""; /* librdkafka's copy has no end */
    if (committed->metadata)
        (void)snprintf(metadata, sizeof(metadata), "%.*s", (int)committed->metadata_size,
                       (const char *)committed->metadata);
    struct source_partition seen = {.topic = out->topic,
                                    .partition = out->partition,
                                    .committed = committed->offset >= 0 ? committed->offset : -1,
                                    .metadata = metadata,
                                    .low = place->low,
                                    .high = place->high,
                                    .start = place->at};
    /* Nothing committed yet: `latest` must not move on when the partition is begun anew. */
    struct kafka_partition *known = kafka_partitions_find(&s->partitions, out->topic, out->partition);
    if (known && known->was_placed) seen.start = known->placed;
    void *tag = NULL;
    int64_t next = s->listener.assign(s->listener.context, &seen, &tag, err);
    if (next < 0) return (eddy_status)next;
    out->offset = next;
    log_info("partition_assigned", "%s [%d] from offset %lld (committed %lld, kept %lld to %lld)", out->topic,
             (int)out->partition, (long long)next, (long long)seen.committed, (long long)seen.low,
             (long long)seen.high);
    eddy_status rc = kafka_partitions_start(&s->partitions, out->topic, out->partition, tag, next, INT64_MAX, &known,
                                            err);
    if (rc == EDDY_OK) {
        known->was_placed = true;
        known->placed = seen.start;
    }
    return rc == EDDY_OK && s->labels ? kafka_labels_start(s->labels, out->partition, err) : rc;
}

/* Asks and tells the listener; fills the offsets of the list. */
static eddy_status source_place(struct kafka_source *s, rd_kafka_topic_partition_list_t *list, struct eddy_error *err)
{
    int n = list->cnt;
    struct kafka_place *places = calloc((size_t)n + 1, sizeof(*places));
    if (!places) return eddy_fail(err, EDDY_ENOMEM, "kafka: out of memory for %d partitions", n);

    for (int i = 0; i < n; i++)
        places[i] = (struct kafka_place){list->elems[i].topic, list->elems[i].partition, 0, 0, 0};
    rd_kafka_topic_partition_list_t *committed = rd_kafka_topic_partition_list_copy(list);
    eddy_status rc = kafka_committed(s->client, committed, SETTLE_ASK_MS, err);
    FAILPOINT("assign_asked");
    if (rc == EDDY_OK) rc = kafka_places(s->client, places, n, &s->start, SETTLE_ASK_MS, err);
    for (int i = 0; i < n && rc == EDDY_OK; i++)
        rc = source_start_one(s, &committed->elems[i], &places[i], &list->elems[i], err);
    rd_kafka_topic_partition_list_destroy(committed);
    free(places);
    return rc;
}

/* Places a list with the listener; EDDY_EAGAIN when the brokers do not answer for now. */
static eddy_status source_try(struct kafka_source *s, rd_kafka_topic_partition_list_t *list, struct eddy_error *err)
{
    int64_t n_held;
    struct eddy_error why = {0};
    eddy_status rc = source_place(s, list, &why);
    if (rc == EDDY_EAGAIN) {
        if (log_allowed(&s->client->away, 5000, &n_held)) log_warn("broker_away", "%s; asking again", why.message);
        s->settle_at_ms = kafka_now_ms() + SETTLE_RETRY_MS;
        return EDDY_EAGAIN;
    }
    if (rc < 0) {
        source_fail(s, &why);
        return source_failure(s, err);
    }
    return EDDY_OK;
}

/* librdkafka turns to another offset only in partitions that it has begun to read, which it does on a thread of its own
 * after they were assigned: those that it has not are left in the list. */
static eddy_status source_seek_begun(struct kafka_source *s, bool *all, struct eddy_error *err)
{
    rd_kafka_error_t *error = rd_kafka_seek_partitions(s->client->rk, s->again, SEEK_MS);
    const bool late = error && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__TIMED_OUT; /* SEEN after 10 ms, too */
    if (error && !late) {
        eddy_status rc = eddy_fail(err, EDDY_EIO, "kafka: seeking: %s", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        return rc;
    }
    if (error) rd_kafka_error_destroy(error);
    for (int i = s->again->cnt - 1; i >= 0; i--) {
        const rd_kafka_topic_partition_t *e = &s->again->elems[i];
        if (e->err == RD_KAFKA_RESP_ERR__STATE || e->err == RD_KAFKA_RESP_ERR__IN_PROGRESS) continue;
        if (e->err)
            return eddy_fail(err, EDDY_EIO, "kafka: %s [%d]: seeking to offset %lld: %s", e->topic, (int)e->partition,
                             (long long)e->offset, rd_kafka_err2str(e->err));
        (void)rd_kafka_topic_partition_list_del_by_idx(s->again, i);
    }
    *all = s->again->cnt == 0;
    return EDDY_OK;
}

/* Restarted partitions are read on from where the listener wants them. */
static eddy_status source_seek(struct kafka_source *s, struct eddy_error *err)
{
    const int64_t end_ms = kafka_now_ms() + SEEK_MS;
    bool all = false;
    eddy_status rc = EDDY_OK;
    while (rc == EDDY_OK && !all) {
        rc = source_seek_begun(s, &all, err);
        if (rc == EDDY_OK && !all && kafka_now_ms() >= end_ms)
            rc = eddy_fail(err, EDDY_EIO, "kafka: %s [%d]: seeking: it was not begun within %d s",
                           s->again->elems[0].topic, (int)s->again->elems[0].partition, SEEK_MS / 1000);
        if (rc == EDDY_OK && !all) kafka_partitions_wait(&s->partitions, SEEK_PAUSE_MS);
    }
    rd_kafka_topic_partition_list_destroy(s->again);
    s->again = NULL;
    return rc;
}

eddy_status source_settle(struct kafka_source *s, struct eddy_error *err)
{
    if ((!s->pending && !s->again) || kafka_now_ms() < s->settle_at_ms) return EDDY_OK;
    eddy_status rc = EDDY_OK;
    if (s->again) {
        rc = source_try(s, s->again, err);
        if (rc == EDDY_OK) rc = source_seek(s, err);
    }
    if (s->pending && rc == EDDY_OK) {
        rc = source_try(s, s->pending, err);
        if (rc == EDDY_OK) {
            source_log_error(rd_kafka_incremental_assign(s->client->rk, s->pending), "assign");
            source_forget_pending(s);
        }
    }
    if (rc == EDDY_OK) source_round(s, SOURCE_SETTLED);
    return rc == EDDY_EAGAIN ? EDDY_OK : rc;
}

static bool source_begins(const struct kafka_partition *p, const void *tag)
{
    return p->live && (!tag || p->tag == tag);
}

/* Those with this tag, or all (NULL).  The round is told before anything is given back: other workers look at what is
 * left. */
static eddy_status source_begin_again(struct kafka_source *s, const void *tag, struct eddy_error *err)
{
    int n = 0;
    for (int i = 0; i < s->partitions.n; i++) n += source_begins(s->partitions.item[i], tag);
    if (n > 0) source_round(s, SOURCE_REPEATS);
    if (n > 0 && !s->again) s->again = rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < s->partitions.n; i++) {
        struct kafka_partition *p = s->partitions.item[i];
        if (!source_begins(p, tag)) continue;
        rd_kafka_topic_partition_list_add(s->again, p->topic, p->partition);
        source_revoke_one(s, p, true);
    }
    if (s->again) kafka_labels_stop(s->labels, s->again, true);
    s->settle_at_ms = 0;
    return source_failure(s, err);
}

eddy_status kafka_source_restart(void *source, struct eddy_error *err)
{
    return source_begin_again(source, NULL, err);
}

eddy_status kafka_source_again(void *source, void *tag, struct eddy_error *err)
{
    return source_begin_again(source, tag, err);
}

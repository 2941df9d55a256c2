/* The copy of the states in a compacted topic: a reader of its own, and a transactional producer for every partition that is
 * ours.  Its transactional.id is made of the pipeline's name and the partition, so that the next owner, on whichever machine
 * and with whatever directory, ends what a dead one has left open: nobody reads beyond an open transaction.
 *
 * What keeps a process that has lost its partitions from writing: the positions of a transaction carry the member's
 * generation, and brokers refuse those of an old one.  So every publication commits one, in the name of the source's group,
 * for the state topic's own partition: the offset behind the last record.  It moves nothing of the source, and it tells the
 * next owner where to look.  Whoever asks for it waits until a transaction that has sent one is decided. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/kafka/kafka.h"
#include "connectors/kafka/kafka_admin.h"
#include "connectors/kafka/kafka_offsets.h"
#include "connectors/kafka/kafka_partitions.h"
#include "connectors/kafka/kafka_transaction.h"

enum {
    PIECE_BYTES = 512 << 10,    /* of a record's value, where the topic takes as much .. */
    RECORD_OVERHEAD = 70 << 10, /* a key of 64 KiB, and what Kafka needs */
    BATCH_BYTES = 1000000,      /* of records that are sent together, where the topic takes as much */
    FIRST_MS = 10000,           /* for the first record of a partition */
    MADE_MS = 10000,            /* until a topic that was just made is known everywhere */
    PAUSE_MS = 50
};

static void state_topic_pause(void)
{
    const struct timespec pause = {0, PAUSE_MS * 1000000L};
    (void)nanosleep(&pause, NULL);
}

struct kafka_state_topic {
    const struct kafka_source_settings *source;
    const char *topic; /* borrowed */
    const char *name;  /* of the pipeline; borrowed */
    const volatile sig_atomic_t *stop;
    const struct eddy_choice *choice; /* the source's */
    struct kafka_client reader;
    struct kafka_transaction **writer; /* [n_partitions]; NULL where the partition is not ours */
    int n_partitions;
    size_t piece_bytes;
    int batch_bytes;
    int32_t partition;        /* being read; -1 = none */
    int64_t to;               /* .. up to */
    rd_kafka_message_t *lent; /* to the caller until the next call */
};

eddy_status kafka_state_topic_check(const struct kafka_source_settings *source, const char *topic,
                                    struct eddy_error *err)
{
    const struct eddy_strings one = {1, &topic};
    eddy_status rc = kafka_topics_check(&one, err);
    if (rc < 0) return rc;
    if (source->topics.n != 1)
        return eddy_fail(err, EDDY_ECONFIG,
                         "state.topic: %s keeps the states of one topic's partitions, so source.kafka.topics must be "
                         "exactly one, not %d",
                         topic, source->topics.n);
    if (strcmp(topic, source->topics.item[0]) == 0)
        return eddy_fail(err, EDDY_ECONFIG, "state.topic: %s is the topic that is read", topic);
    return EDDY_OK;
}

/* ---- the topic itself ---- */

static eddy_status topic_make(struct kafka_admin *a, const char *topic, int n_partitions, struct eddy_error *err)
{
    const int64_t end_ms = kafka_now_ms() + MADE_MS;
    eddy_status rc = kafka_admin_create_compacted(a, topic, n_partitions, err);
    if (rc >= 0)
        log_info("state_topic", "made %s with %d partitions, compacted", topic, n_partitions);
    else if (rc != EDDY_EBUSY) /* another process was first */
        return rc;
    for (;;) {
        rc = kafka_admin_topic(a, topic, err);
        if (rc != EDDY_ENOTFOUND || kafka_now_ms() >= end_ms) return rc;
        state_topic_pause();
    }
}

eddy_status kafka_state_topic_settings(struct kafka_admin *a, const char *topic, long long *record_bytes,
                                       struct eddy_error *err)
{
    char policy[64] = "", most[32] = "";
    struct eddy_error why = {0};
    *record_bytes = BATCH_BYTES;
    eddy_status rc = kafka_admin_topic_setting(a, topic, "cleanup.policy", policy, sizeof(policy), &why);
    if (rc >= 0) rc = kafka_admin_topic_setting(a, topic, "max.message.bytes", most, sizeof(most), &why);
    if (rc < 0) {
        log_warn("state_topic", "%s; it should have cleanup.policy=compact", why.message);
        return EDDY_OK;
    }
    if (strcmp(policy, "compact") != 0)
        return eddy_fail(err, EDDY_ECONFIG,
                         "state.topic: %s has cleanup.policy=%s, which would remove states that nobody changes: it "
                         "must be compact",
                         topic, policy);
    *record_bytes = strtoll(most, NULL, 10);
    if (*record_bytes < 2 * RECORD_OVERHEAD)
        return eddy_fail(err, EDDY_ECONFIG, "state.topic: %s has max.message.bytes=%s: it must be at least %d", topic,
                         most, 2 * RECORD_OVERHEAD);
    return EDDY_OK;
}

static eddy_status topic_ready(struct kafka_state_topic *s, const char *name, struct eddy_error *err)
{
    struct kafka_admin *a = NULL;
    const char *source = s->source->topics.item[0];
    eddy_status rc = kafka_admin_open(name, &s->source->properties, (int)(s->source->connect_timeout / 1000000), &a,
                                      err);
    if (rc >= 0) rc = kafka_admin_topic(a, source, err);
    const int wanted = rc;
    if (rc >= 0) rc = kafka_admin_topic(a, s->topic, err);
    if (rc == EDDY_ENOTFOUND && wanted > 0) rc = topic_make(a, s->topic, wanted, err);
    if (rc > wanted && wanted >= 0)
        rc = eddy_fail(
            err, EDDY_ECONFIG,
            "state.topic: %s has %d partitions and %s has %d: each keeps the state of the one with the same "
            "number, so there must be as many",
            s->topic, (int)rc, source, wanted);
    s->n_partitions = rc; /* fewer: the others go on without a copy */
    long long record_bytes = 0;
    if (rc >= 0) rc = kafka_state_topic_settings(a, s->topic, &record_bytes, err);
    kafka_admin_close(a);
    if (rc < 0) return rc;
    if (record_bytes < BATCH_BYTES) s->batch_bytes = (int)record_bytes;
    if (record_bytes < PIECE_BYTES + RECORD_OVERHEAD) s->piece_bytes = (size_t)record_bytes - RECORD_OVERHEAD;
    s->writer = calloc((size_t)s->n_partitions, sizeof(struct kafka_transaction *));
    return s->writer ? EDDY_OK : eddy_fail(err, EDDY_ENOMEM, "kafka: out of memory for the state topic");
}

static void kafka_state_topic_leave(void *topic, int32_t partition)
{
    struct kafka_state_topic *s = topic;
    if (partition >= s->n_partitions || !s->writer[partition]) return;
    transactor_kafka.close(s->writer[partition]);
    s->writer[partition] = NULL;
}

static void kafka_state_topic_close(void *topic)
{
    struct kafka_state_topic *s = topic;
    if (!s) return;
    if (s->lent) rd_kafka_message_destroy(s->lent);
    for (int i = 0; s->writer && i < s->n_partitions; i++) kafka_state_topic_leave(s, i);
    free(s->writer);
    if (s->reader.rk) (void)rd_kafka_assign(s->reader.rk, NULL);
    kafka_client_close(&s->reader);
    free(s);
}

static eddy_status state_topic_new(const struct state_topic_request *r, struct kafka_state_topic **out,
                                   struct eddy_error *err)
{
    struct kafka_state_topic *s = calloc(1, sizeof(*s));
    *out = s;
    if (!s) return eddy_fail(err, EDDY_ENOMEM, "kafka: out of memory for the state topic");
    s->source = r->source->settings;
    s->choice = r->source;
    s->name = r->name;
    s->topic = r->topic;
    s->stop = r->stop;
    s->piece_bytes = PIECE_BYTES;
    s->batch_bytes = BATCH_BYTES;
    s->partition = -1;
    return kafka_state_topic_check(s->source, r->topic, err);
}

static eddy_status state_topic_reader(struct kafka_state_topic *s, struct eddy_error *err)
{
    const struct kafka_client_request reader = {
        .role = KAFKA_READER, .name = s->name, .properties = &s->source->properties, .n_partitions = 1};
    const eddy_status rc = kafka_client_open(&s->reader, &reader, err);
    if (rc >= 0) (void)rd_kafka_poll_set_consumer(s->reader.rk);
    return rc;
}

static eddy_status kafka_state_topic_open(const struct state_topic_request *r, void **out, struct eddy_error *err)
{
    struct kafka_state_topic *s;
    *out = NULL;
    eddy_status rc = state_topic_new(r, &s, err);
    if (rc >= 0) rc = topic_ready(s, r->name, err);
    if (rc >= 0) rc = state_topic_reader(s, err);
    if (rc < 0) {
        kafka_state_topic_close(s);
        return rc;
    }
    *out = s;
    return EDDY_OK;
}

static size_t kafka_state_topic_piece_bytes(void *topic)
{
    return ((struct kafka_state_topic *)topic)->piece_bytes;
}

/* ---- reading ---- */

/* The topic may have got more partitions since, or have gone. */
static eddy_status state_topic_count(struct kafka_state_topic *s, int32_t partition, int timeout_ms,
                                     struct eddy_error *err)
{
    int n = 0;
    eddy_status rc = kafka_client_topic(&s->reader, s->topic, timeout_ms, &n, err);
    if (rc == EDDY_EIO && !s->reader.has_failed) return err ? (err->code = EDDY_EAGAIN) : EDDY_EAGAIN;
    if (rc < 0) return rc;
    if (partition >= n)
        return eddy_fail(err, EDDY_ENOTFOUND,
                         "state.topic: %s has %d partitions, none for %s[%d]: give it as many as the source",
                         s->topic, n, s->source->topics.item[0], (int)partition);
    if (n <= s->n_partitions) return EDDY_OK;
    struct kafka_transaction **grown = realloc(s->writer, (size_t)n * sizeof(struct kafka_transaction *));
    if (!grown) return eddy_fail(err, EDDY_ENOMEM, "kafka: out of memory for the state topic");
    s->writer = grown;
    while (s->n_partitions < n) s->writer[s->n_partitions++] = NULL;
    return EDDY_OK;
}

static eddy_status state_topic_claim(struct kafka_state_topic *s, int32_t partition, int timeout_ms,
                                     struct eddy_error *err)
{
    const eddy_status counted = state_topic_count(s, partition, timeout_ms, err);
    if (counted < 0) return counted;
    struct kafka_transaction **writer = &s->writer[partition];
    if (*writer && (*writer)->ready) return EDDY_OK;
    eddy_status rc = EDDY_OK;
    if (!*writer) {
        char id[300];
        (void)snprintf(id, sizeof(id), "%s-%d", s->topic, (int)partition);
        const struct transaction_request request = {.name = s->name, .id = id, .source = s->choice, .stop = s->stop};
        rc = kafka_transaction_new(KAFKA_PUBLISHER, &request, s->batch_bytes, writer, err);
    }
    return rc < 0 ? rc : transactor_kafka.recover(*writer, timeout_ms, err);
}

static eddy_status kafka_state_topic_end(void *topic, int32_t partition, int timeout_ms, int64_t *end,
                                         struct eddy_error *err)
{
    struct kafka_state_topic *s = topic;
    const eddy_status claimed = state_topic_claim(s, partition, timeout_ms, err);
    if (claimed < 0) return claimed;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, s->topic, partition);
    const eddy_status rc = kafka_committed(&s->reader, list, timeout_ms, err);
    if (rc >= 0) *end = list->elems[0].offset >= 0 ? list->elems[0].offset : -1;
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

/* Where the partition begins, and where what is decided ends.  A transaction that the group knows to be committed gets its
 * mark a moment later. */
static eddy_status state_topic_place(struct kafka_state_topic *s, struct kafka_place *place, int64_t to,
                                     int timeout_ms, struct eddy_error *err)
{
    const struct kafka_when earliest = {.kind = KAFKA_EARLIEST};
    const int64_t end_ms = kafka_now_ms() + timeout_ms;
    for (;;) {
        const int64_t left_ms = end_ms - kafka_now_ms();
        const eddy_status rc = kafka_places(&s->reader, place, 1, &earliest, left_ms > 1 ? (int)left_ms / 2 : 1, err);
        if (rc < 0 || to <= place->high) return rc;
        if (kafka_now_ms() + PAUSE_MS >= end_ms)
            return eddy_fail(
                err, EDDY_ENOTFOUND,
                "state topic %s[%d]: the group knows a publication before offset %lld, but it ends at "
                "offset %lld: was it made anew, has it lost records, or does another program write to it?",
                s->topic, (int)place->partition, (long long)to, (long long)place->high);
        state_topic_pause();
    }
}

static eddy_status kafka_state_topic_seek(void *topic, int32_t partition, int64_t from, int64_t to, int timeout_ms,
                                          struct eddy_error *err)
{
    struct kafka_state_topic *s = topic;
    struct kafka_place place = {s->topic, partition, 0, 0, 0};
    const eddy_status rc = state_topic_place(s, &place, to, timeout_ms, err);
    if (rc < 0) return rc;
    if (from < place.low) from = place.low;
    s->partition = partition;
    s->to = to < 0 || to > place.high ? place.high : to;
    if (from > s->to) from = s->to;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, s->topic, partition)->offset = from;
    rd_kafka_resp_err_t code = rd_kafka_assign(s->reader.rk, from < s->to ? list : NULL);
    rd_kafka_topic_partition_list_destroy(list);
    if (from >= s->to) s->partition = -1;
    return code ? eddy_fail(err, EDDY_EIO, "kafka: %s [%d]: %s", s->topic, (int)partition, rd_kafka_err2str(code))
                : EDDY_OK;
}

/* The last records may be marks of transactions, which no reader sees: then the end of the partition tells. */
static eddy_status kafka_state_topic_read(void *topic, int timeout_ms, struct state_topic_record *out,
                                          struct eddy_error *err)
{
    struct kafka_state_topic *s = topic;
    if (s->lent) rd_kafka_message_destroy(s->lent);
    s->lent = NULL;
    if (s->reader.has_failed) {
        if (err) *err = s->reader.failed;
        return s->reader.failed.code;
    }
    if (s->partition < 0) return EDDY_ENOTFOUND;
    rd_kafka_message_t *m = rd_kafka_consumer_poll(s->reader.rk, timeout_ms);
    if (!m) return 0;
    const bool ours = m->rkt && m->partition == s->partition; /* what was fetched before a seek may still come */
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (ours && m->offset >= s->to) s->partition = -1;
        rd_kafka_message_destroy(m);
        return s->partition < 0 ? EDDY_ENOTFOUND : 0;
    }
    if (m->err) {
        const bool gone = kafka_error_is_gone(m->err);
        const eddy_status rc = kafka_event_error(&s->reader, m, NULL, err);
        rd_kafka_message_destroy(m);
        if (gone && err) err->code = EDDY_EAGAIN;
        return gone ? EDDY_EAGAIN : rc < 0 ? rc : 0;
    }
    if (!ours || m->offset >= s->to) {
        if (ours) s->partition = -1;
        rd_kafka_message_destroy(m);
        return s->partition < 0 ? EDDY_ENOTFOUND : 0;
    }
    if (m->offset + 1 >= s->to) s->partition = -1; /* this is the last */
    s->lent = m;
    *out = (struct state_topic_record){m->offset, m->key ? m->key : "", m->payload, m->key_len, m->len};
    return 1;
}

static eddy_status state_topic_first(struct kafka_state_topic *s, int32_t partition, struct state_topic_record *out,
                                     struct eddy_error *err)
{
    const int64_t end_ms = kafka_now_ms() + FIRST_MS;
    eddy_status rc = kafka_state_topic_seek(s, partition, -1, -1, FIRST_MS, err);
    while (rc == EDDY_OK) {
        rc = kafka_state_topic_read(s, PAUSE_MS, out, err);
        if (rc == EDDY_OK && kafka_now_ms() >= end_ms)
            return eddy_fail(err, EDDY_EIO, "kafka %s: nothing could be read of %s [%d] for %d s",
                             kafka_servers(&s->source->properties), s->topic, (int)partition, FIRST_MS / 1000);
    }
    return rc;
}

eddy_status kafka_state_topic_firsts(const struct state_topic_request *r, int n_partitions,
                                     eddy_status (*each)(void *context, int32_t partition,
                                                         const struct state_topic_record *, struct eddy_error *),
                                     void *context, struct eddy_error *err)
{
    struct kafka_state_topic *s;
    struct state_topic_record first;
    eddy_status rc = state_topic_new(r, &s, err);
    if (rc >= 0) rc = state_topic_reader(s, err);
    for (int32_t p = 0; p < n_partitions && rc >= 0; p++) {
        rc = state_topic_first(s, p, &first, err);
        if (rc > 0) rc = each(context, p, &first, err);
        if (rc == EDDY_ENOTFOUND) rc = EDDY_OK; /* it is empty */
    }
    kafka_state_topic_close(s);
    return rc < 0 ? rc : EDDY_OK;
}

/* ---- writing ---- */

static eddy_status kafka_state_topic_begin(void *topic, int32_t partition, struct eddy_error *err)
{
    struct kafka_transaction *w = ((struct kafka_state_topic *)topic)->writer[partition];
    w->first_offset = w->last_offset = -1;
    return transactor_kafka.begin(w, err);
}

static eddy_status kafka_state_topic_send(void *topic, int32_t partition, const struct eddy_buffer *key,
                                          const struct eddy_buffer *value, struct eddy_error *err)
{
    const struct kafka_state_topic *s = topic;
    struct kafka_transaction *w = s->writer[partition];
    if (w->is_broken) return transactor_kafka.check(w, err);
    rd_kafka_topic_t *rkt = kafka_transaction_topic(w, s->topic);
    if (!rkt)
        return eddy_fail(err, EDDY_EIO, "kafka: topic %s: %s", s->topic, rd_kafka_err2str(rd_kafka_last_error()));
    if (rd_kafka_produce(rkt, partition, RD_KAFKA_MSG_F_COPY, value ? value->data : NULL, value ? value->len : 0,
                         key->data, key->len, NULL) == 0)
        return 1;
    const rd_kafka_resp_err_t code = rd_kafka_last_error();
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        (void)rd_kafka_poll(w->client.rk, 0);
        return 0;
    }
    if (kafka_transaction_hopeless(w, code))
        return eddy_fail(err, EDDY_EIO, "kafka: %s [%d]: a record of %zu bytes was refused: %s", s->topic,
                         (int)partition, key->len + (value ? value->len : 0), rd_kafka_err2str(code));
    kafka_transaction_break(w, rd_kafka_err2str(code));
    return transactor_kafka.check(w, err);
}

static eddy_status kafka_state_topic_flushed(void *topic, int32_t partition, int64_t *from, int64_t *end,
                                             struct eddy_error *err)
{
    struct kafka_transaction *w = ((struct kafka_state_topic *)topic)->writer[partition];
    const bool waits = rd_kafka_outq_len(w->client.rk) > 0; /* before check(), which serves what failed */
    eddy_status rc = transactor_kafka.check(w, err);
    if (rc < 0 || waits) return rc;
    *from = w->first_offset;
    *end = w->last_offset + 1;
    return 1;
}

static eddy_status kafka_state_topic_commit(void *topic, void *source, int32_t partition, int64_t end, int timeout_ms,
                                            struct eddy_error *err)
{
    struct kafka_state_topic *s = topic;
    const struct source_position at = {NULL, s->topic, partition, end, ""};
    return transactor_kafka.commit(s->writer[partition], source, &at, 1, timeout_ms, err);
}

static eddy_status kafka_state_topic_recover(void *topic, int32_t partition, int timeout_ms, struct eddy_error *err)
{
    return transactor_kafka.recover(((struct kafka_state_topic *)topic)->writer[partition], timeout_ms, err);
}

const struct eddy_state_topic state_topic_kafka = {
    .open = kafka_state_topic_open,
    .piece_bytes = kafka_state_topic_piece_bytes,
    .end = kafka_state_topic_end,
    .seek = kafka_state_topic_seek,
    .read = kafka_state_topic_read,
    .begin = kafka_state_topic_begin,
    .send = kafka_state_topic_send,
    .flushed = kafka_state_topic_flushed,
    .commit = kafka_state_topic_commit,
    .recover = kafka_state_topic_recover,
    .leave = kafka_state_topic_leave,
    .close = kafka_state_topic_close,
};

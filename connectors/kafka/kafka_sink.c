/* Results, dead letters and incidents on their way to a topic, by a producer of the sink's own or by the one of the
 * transaction that it was opened with (kafka_transaction.h).  Runs of messages for one partition go out by one
 * rd_kafka_produce_batch(); only messages with headers or a time of their own take the dearer rd_kafka_producev().
 *
 * A report of failure ends the pipeline, or breaks the transaction.  A producer of the sink's own makes no other reports:
 * each would bring a message back to the loop's thread, out of whose caches it has gone, only to be counted.  What is
 * outstanding is what librdkafka still holds. */
#include "connectors/kafka/kafka.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/failpoint.h"
#include "connectors/kafka/kafka_transaction.h"
#include "connectors/kafka/kafka_written.h"

enum { BATCH_MAX = 1024, ASK_AGAIN_MS = 5000 };

struct kafka_sink {
    struct kafka_client own;               /* unused within a transaction */
    struct kafka_client *client;           /* `own`, or the transaction's */
    struct kafka_transaction *transaction; /* NULL = none */
    int generation;                        /* of the transaction's producer that `rkt` belongs to */
    const char *topic;                     /* borrowed from the settings */
    const char *name;                      /* of the pipeline, borrowed */
    rd_kafka_topic_t *rkt;
    int n_partitions;
    int64_t n_held;         /* by the own producer, at most: at the last look, and what it has taken since */
    struct kafka_look look; /* what earlier lives have written; of all partitions */
    rd_kafka_message_t batch[BATCH_MAX];
};

static void sink_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct kafka_client *c = opaque;
    struct kafka_sink *s = c->owner;
    (void)rk;
    if (m->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || m->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) return;
    if (c->has_failed) return;
    c->has_failed = true;
    (void)eddy_fail(&c->failed, EDDY_EIO, "kafka: %s [%d]: a message of %zu bytes was not delivered: %s: %s",
                    s->topic, (int)m->partition, m->len, rd_kafka_err2name(m->err), rd_kafka_err2str(m->err));
    kafka_mask(c->properties, c->failed.message);
}

static eddy_status sink_failure(struct kafka_sink *s, struct eddy_error *err)
{
    if (!s->client->has_failed) return EDDY_OK;
    if (err) *err = s->client->failed;
    return s->client->failed.code;
}

/* Within a transaction: the handle of the topic belongs to the producer, which may be another than last time. */
static eddy_status sink_ready(struct kafka_sink *s, struct eddy_error *err)
{
    struct kafka_transaction *t = s->transaction;
    if (!t) return sink_failure(s, err);
    if (s->rkt && s->generation == t->generation) return EDDY_OK;
    s->rkt = kafka_transaction_topic(t, s->topic); /* the old one went with its producer */
    s->generation = t->generation;
    if (s->rkt) return EDDY_OK;
    return eddy_fail(err, EDDY_EIO, "kafka: topic %s: %s", s->topic, rd_kafka_err2str(rd_kafka_last_error()));
}

/* librdkafka refused a message for another reason than a full queue.  In a transaction that is past mending it counts as
 * taken: what was written before it will not be seen either. */
static eddy_status sink_refused(struct kafka_sink *s, const struct sink_message *m, rd_kafka_resp_err_t code,
                                const char *text, int taken, struct eddy_error *err)
{
    if (s->transaction && !kafka_transaction_hopeless(s->transaction, code)) {
        kafka_transaction_break(s->transaction, text);
        return taken;
    }
    return eddy_fail(err, EDDY_EIO, "kafka: %s [%d]: a message of %zu bytes was refused: %s", s->topic,
                     (int)m->partition, m->len, text);
}

/* The output topic needs the input's partition numbers.  It may have grown since the last look. */
static eddy_status sink_has_partition(struct kafka_sink *s, int32_t partition, struct eddy_error *err)
{
    if (partition < s->n_partitions) return EDDY_OK;
    eddy_status rc = kafka_client_topic(s->client, s->topic, ASK_AGAIN_MS, &s->n_partitions, err);
    if (rc < 0) return rc;
    if (partition < s->n_partitions) return EDDY_OK;
    return eddy_fail(err, EDDY_ECONFIG,
                     "kafka: %s has %d partitions, but results keep the partition of their input and there is an "
                     "input partition %d: give it at least %d",
                     s->topic, s->n_partitions, (int)partition, (int)partition + 1);
}

static bool sink_is_plain(const struct sink_message *m)
{
    return m->n_headers == 0 && m->time_ns == EDDY_NO_TIME && m->partition >= 0;
}

/* 1 = taken, 0 = queue full. */
static eddy_status sink_send_one(struct kafka_sink *s, const struct sink_message *m, struct eddy_error *err)
{
    rd_kafka_headers_t *headers = NULL;
    if (m->n_headers > 0) {
        headers = rd_kafka_headers_new((size_t)m->n_headers);
        for (int i = 0; i < m->n_headers; i++)
            (void)rd_kafka_header_add(headers, m->headers[i].name, -1, m->headers[i].value,
                                      (ssize_t)m->headers[i].len);
    }
    rd_kafka_vu_t args[8];
    size_t n = 0;
    args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = s->rkt};
    args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_PARTITION,
                                .u.i32 = m->partition >= 0 ? m->partition : RD_KAFKA_PARTITION_UA};
    args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_KEY,
                                .u.mem = {.ptr = (void *)(uintptr_t)m->key, .size = m->key_len}};
    args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_VALUE,
                                .u.mem = {.ptr = (void *)(uintptr_t)m->payload, .size = m->len}};
    args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY};
    if (m->time_ns != EDDY_NO_TIME)
        args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = m->time_ns / 1000000};
    if (headers) args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers};

    rd_kafka_error_t *error = rd_kafka_produceva(s->client->rk, args, n);
    if (!error) {
        s->n_held++;
        return 1;
    }
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    if (headers) rd_kafka_headers_destroy(headers); /* only a taken message owns them */
    eddy_status rc = 0;
    if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) rc = sink_refused(s, m, code, rd_kafka_error_string(error), 1, err);
    rd_kafka_error_destroy(error);
    return rc;
}

/* n plain messages for one partition.  How many were taken; librdkafka refuses all behind the first that found the queue
 * full, so order holds. */
static eddy_status sink_send_run(struct kafka_sink *s, const struct sink_message *m, int n, struct eddy_error *err)
{
    for (int i = 0; i < n; i++)
        s->batch[i] = (rd_kafka_message_t){.payload = (void *)(uintptr_t)m[i].payload,
                                           .len = m[i].len,
                                           .key = (void *)(uintptr_t)m[i].key,
                                           .key_len = m[i].key_len};
    int taken = rd_kafka_produce_batch(s->rkt, m->partition, RD_KAFKA_MSG_F_COPY, s->batch, n);
    s->n_held += taken;
    if (taken == n) return taken;
    for (int i = 0; i < n; i++) {
        if (!s->batch[i].err) continue;
        if (s->batch[i].err == RD_KAFKA_RESP_ERR__QUEUE_FULL) return i;
        return sink_refused(s, &m[i], s->batch[i].err, rd_kafka_err2str(s->batch[i].err), n, err);
    }
    return taken;
}

static int sink_run_length(const struct sink_message *m, int n)
{
    int run = 0;
    while (run < n && run < BATCH_MAX && m[run].partition == m->partition && sink_is_plain(&m[run])) run++;
    return run;
}

static eddy_status kafka_sink_send(void *sink, const struct sink_message *messages, int n, struct eddy_error *err)
{
    struct kafka_sink *s = sink;
    int sent = 0;
    eddy_status rc = sink_ready(s, err);
    if (rc < 0) return rc;
    while (sent < n) {
        const struct sink_message *m = &messages[sent];
        int run = sink_run_length(m, n - sent);
        rc = sink_has_partition(s, m->partition, err);
        if (rc == EDDY_OK) rc = run > 0 ? sink_send_run(s, m, run, err) : sink_send_one(s, m, err);
        if (rc < 0) return rc;
        sent += rc;
        if (rc < (run > 0 ? run : 1)) break;
    }
    return sent;
}

/* Messages that librdkafka still holds, after a wait for news.  It counts what it has to tell, of brokers and of failures,
 * as well: that is heard first.  A message that failed is never confirmed: whoever waits for the others goes on to
 * service(), which says so. */
static int64_t sink_look(struct kafka_sink *s, int timeout_ms)
{
    (void)rd_kafka_poll(s->own.rk, timeout_ms);
    const int64_t held = rd_kafka_outq_len(s->own.rk);
    if (held < s->n_held) FAILPOINT("delivered");
    s->n_held = held;
    return s->own.has_failed ? held + 1 : held;
}

static int64_t kafka_sink_outstanding(void *sink)
{
    struct kafka_sink *s = sink;
    return s->own.rk ? sink_look(s, 0) : 0;
}

/* Serves callbacks for up to timeout_ms, or until some of what is outstanding has arrived.  Nothing wakes a poll then, so
 * it looks again after 1, 2, 4 and then every 8 ms. */
static void sink_await(struct kafka_sink *s, int timeout_ms)
{
    enum { LONGEST_SLICE_MS = 8 };
    const int64_t end_ms = kafka_now_ms() + timeout_ms, before = s->n_held;
    int slice_ms = before > 0 ? 1 : timeout_ms;
    for (int64_t left_ms = timeout_ms;; slice_ms = slice_ms < LONGEST_SLICE_MS ? 2 * slice_ms : slice_ms) {
        const int64_t held = sink_look(s, left_ms < slice_ms ? (int)left_ms : slice_ms);
        left_ms = end_ms - kafka_now_ms();
        if (held < before || s->own.has_failed || left_ms <= 0) return;
    }
}

static eddy_status kafka_sink_service(void *sink, int timeout_ms, struct eddy_error *err)
{
    struct kafka_sink *s = sink;
    char text[300];
    kafka_look_rest(&s->look);
    if (s->transaction) { /* its failures come to light when it is committed */
        if (s->client->rk) (void)rd_kafka_poll(s->client->rk, timeout_ms);
        return EDDY_OK;
    }
    sink_await(s, timeout_ms);
    eddy_status rc = sink_failure(s, err);
    if (rc < 0) return rc;
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(s->client->rk, text, sizeof(text));
    if (!code) return EDDY_OK;
    return eddy_fail(err, EDDY_EIO, "kafka: %s: %s: %s", s->topic, rd_kafka_err2name(code), text);
}

static void kafka_sink_close(void *sink)
{
    struct kafka_sink *s = sink;
    if (!s) return;
    if (s->transaction) s->rkt = NULL; /* is the transaction's */
    const int64_t n_left = kafka_sink_outstanding(s);
    if (n_left > 0) {
        log_warn("results_given_up", "%lld messages for %s were not confirmed", (long long)n_left, s->topic);
        (void)rd_kafka_purge(s->own.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)rd_kafka_poll(s->own.rk, 0);
    }
    if (s->rkt) rd_kafka_topic_destroy(s->rkt);
    kafka_look_close(&s->look);
    kafka_client_close(&s->own);
    free(s);
}

static eddy_status kafka_sink_written(void *sink, const char *topic, int32_t partition, int64_t from,
                                      struct sink_written *out, struct eddy_error *err)
{
    struct kafka_sink *s = sink;
    return kafka_look_at(&s->look, s->client->properties, s->name, s->topic, topic, partition, from, out, err);
}

static const struct kafka_source_settings *sink_source(const struct sink_request *r)
{
    if (!r->source || r->source->part != &source_kafka.part) return NULL;
    return r->source->settings;
}

/* Co-partitioned output can be judged at once when input and output are on one cluster. */
static eddy_status sink_check_partitions(struct kafka_sink *s, const struct kafka_source_settings *source,
                                         const struct kafka_question *question, struct eddy_error *err)
{
    for (int i = 0; i < source->topics.n; i++) {
        struct eddy_strings one = {1, &source->topics.item[i]};
        int n;
        eddy_status rc = kafka_count_partitions(&one, question, &n, err);
        if (rc < 0) return rc;
        if (n > s->n_partitions)
            return eddy_fail(
                err, EDDY_ECONFIG,
                "kafka: %s has %d partitions and its input %s has %d: results keep the partition of their "
                "input, so give it at least %d",
                s->topic, s->n_partitions, source->topics.item[i], n, n);
    }
    return EDDY_OK;
}

static eddy_status kafka_sink_open(const void *settings, const struct sink_request *r, void **out,
                                   struct eddy_error *err)
{
    const struct kafka_sink_settings *set = settings;
    const struct kafka_source_settings *source = sink_source(r);
    bool shared = set->properties.n == 0 && source;
    const struct eddy_map *properties = shared ? &source->properties : &set->properties;
    const struct kafka_question question = {r->name, properties, (int)(set->connect_timeout / 1000000), r->stop};
    struct eddy_strings topic = {1, &set->topic};

    *out = NULL;
    struct kafka_sink *s = calloc(1, sizeof(*s));
    if (!s) return eddy_fail(err, EDDY_ENOMEM, "kafka sink: out of memory");
    s->topic = set->topic;
    s->name = r->name;
    s->transaction = r->transaction;
    s->client = s->transaction ? &s->transaction->client : &s->own;
    struct kafka_client_request request = {.role = KAFKA_PRODUCER,
                                           .name = r->name,
                                           .properties = properties,
                                           .latency = (enum latency)r->latency,
                                           .worker = r->worker,
                                           .workers = r->workers,
                                           .stop = r->stop,
                                           .owner = s,
                                           .failures_only = true,
                                           .on_delivery = sink_on_delivery};
    kafka_properties_warn(properties);

    /* A consumer asks first: a producer's question would make a missing topic on brokers that allow it. */
    eddy_status rc = kafka_count_partitions(&topic, &question, &s->n_partitions, err);
    if (rc == EDDY_OK && shared && r->co_partitioned) rc = sink_check_partitions(s, source, &question, err);
    if (rc == EDDY_OK && s->transaction) rc = sink_ready(s, err);
    if (rc == EDDY_OK && !s->transaction) rc = kafka_client_open(&s->own, &request, err);
    if (rc < 0) goto fail;
    if (!s->rkt) s->rkt = rd_kafka_topic_new(s->client->rk, s->topic, NULL);
    if (!s->rkt) {
        rc = eddy_fail(err, EDDY_EIO, "kafka: topic %s: %s", s->topic, rd_kafka_err2str(rd_kafka_last_error()));
        goto fail;
    }
    *out = s;
    return EDDY_OK;
fail:
    kafka_sink_close(s);
    return rc;
}

static eddy_status kafka_sink_check(const void *settings, struct eddy_error *err)
{
    const struct kafka_sink_settings *set = settings;
    struct eddy_strings topic = {1, &set->topic};
    eddy_status rc = kafka_topics_check(&topic, err);
    return rc < 0 ? rc : kafka_properties_check(&set->properties, set->properties.n > 0, err);
}

const struct eddy_sink sink_kafka = {
    .part = {.struct_size = sizeof(struct eddy_sink),
             .kind = EDDY_PART_SINK,
             .name = "kafka",
             .summary = "A Kafka topic with at least as many partitions as the input.",
             .options = kafka_sink_options,
             .settings_size = sizeof(struct kafka_sink_settings),
             .check = kafka_sink_check},
    .shares = true,
    .open = kafka_sink_open,
    .send = kafka_sink_send,
    .service = kafka_sink_service,
    .written = kafka_sink_written,
    .outstanding = kafka_sink_outstanding,
    .close = kafka_sink_close,
};

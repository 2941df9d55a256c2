/* One producer with a transactional.id.  Whatever goes wrong inside a transaction, the answer is the same: a new producer
 * with the same id.  Its first call (init_transactions) ends what the old one left open, waits for a commit that is on
 * its way, and raises the epoch, so that nothing of the old one counts any more.  That costs a few round trips in rare
 * cases and spares all cases in between.
 *
 * A commit whose connection was lost on the way is repeated inside librdkafka and may reach the broker twice, the second
 * time inside a later transaction (KIP-890, which librdkafka does not have).  So the producer is replaced after every
 * commit that met trouble or took longer than SLOW_COMMIT_MS, before it begins another. */
#include "connectors/kafka/kafka_transaction.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/kafka_offsets.h"

enum { SLICE_MS = 500, SLOW_COMMIT_MS = 1000, REPLACE_MS = 5000, STOP_MS = 4000 };

bool kafka_transaction_hopeless(const struct kafka_transaction *t, rd_kafka_resp_err_t code)
{
    if (t->role == KAFKA_PUBLISHER && kafka_error_is_gone(code)) return false; /* it may be made again */
    return kafka_error_is_final(code) && code != RD_KAFKA_RESP_ERR__FATAL && code != RD_KAFKA_RESP_ERR__FENCED;
}

void kafka_transaction_break(struct kafka_transaction *t, const char *why)
{
    if (t->is_broken) return;
    t->is_broken = true;
    (void)snprintf(t->why, sizeof(t->why), "%s", why);
    kafka_mask(t->client.properties, t->why);
}

static void transaction_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct kafka_transaction *t = ((struct kafka_client *)opaque)->owner;
    (void)rk;
    if (!m->err) t->last_offset = m->offset;
    if (!m->err && t->first_offset < 0) t->first_offset = m->offset;
    if (!m->err || m->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || m->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) return;
    char text[300];
    (void)snprintf(text, sizeof(text), "%s [%d]: a message of %zu bytes was not delivered: %s: %s",
                   m->rkt ? rd_kafka_topic_name(m->rkt) : "?", (int)m->partition, m->len, rd_kafka_err2name(m->err),
                   rd_kafka_err2str(m->err));
    if (kafka_transaction_hopeless(t, m->err) && t->final.code >= 0)
        (void)eddy_fail(&t->final, EDDY_EIO, "kafka: %s", text);
    kafka_transaction_break(t, text);
}

static eddy_status transaction_producer(struct kafka_transaction *t, struct eddy_error *err)
{
    const struct kafka_client_request request = {.role = t->role,
                                                 .name = t->name,
                                                 .instance_id = t->id,
                                                 .batch_bytes = t->batch_bytes,
                                                 .properties = &t->source->properties,
                                                 .latency = t->latency,
                                                 .owner = t,
                                                 .on_delivery = transaction_on_delivery};
    eddy_status rc = kafka_client_open(&t->client, &request, err);
    if (rc < 0) return rc;
    t->generation++;
    t->ready = t->open = t->is_broken = t->doubtful = false;
    t->why[0] = '\0';
    return EDDY_OK;
}

rd_kafka_topic_t *kafka_transaction_topic(struct kafka_transaction *t, const char *topic)
{
    for (int i = 0; i < KAFKA_TRANSACTION_TOPICS; i++) {
        if (!t->topic[i]) return t->topic[i] = rd_kafka_topic_new(t->client.rk, topic, NULL);
        if (strcmp(rd_kafka_topic_name(t->topic[i]), topic) == 0) return t->topic[i];
    }
    return NULL;
}

static void transaction_drop_producer(struct kafka_transaction *t)
{
    if (!t->client.rk) return;
    for (int i = 0; i < KAFKA_TRANSACTION_TOPICS && t->topic[i]; i++) {
        rd_kafka_topic_destroy(t->topic[i]);
        t->topic[i] = NULL;
    }
    (void)rd_kafka_purge(t->client.rk,
                         RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    (void)rd_kafka_poll(t->client.rk, 0);
    kafka_client_close(&t->client);
    t->open = false;
}

static eddy_status transaction_ended(const struct kafka_transaction *t, struct eddy_error *err)
{
    if (err) *err = t->final;
    return t->final.code;
}

/* What an error of a transactional call means: EDDY_EIO when nothing can help, else EDDY_EAGAIN. */
static eddy_status transaction_fail(struct kafka_transaction *t, rd_kafka_error_t *error, const char *what,
                                    struct eddy_error *err)
{
    char text[400];
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    /* No right comes back by asking again, no timeout and no message gets smaller, whatever librdkafka wants done. */
    const bool denied = kafka_error_is_denied(code) || code == RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT ||
                        code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    bool passing = rd_kafka_error_is_fatal(error) || rd_kafka_error_txn_requires_abort(error) ||
                   rd_kafka_error_is_retriable(error);
    bool final = kafka_transaction_hopeless(t, code) && code != RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
    (void)snprintf(text, sizeof(text), "%s: %s: %s", what, rd_kafka_err2name(code), rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    kafka_transaction_break(t, text);
    (void)rd_kafka_poll(t->client.rk, 0); /* the delivery report of the message behind it says more */
    if (t->final.code < 0) return transaction_ended(t, err);
    kafka_mask(t->client.properties, text);
    return eddy_fail(err, denied || (final && !passing) ? EDDY_EIO : EDDY_EAGAIN, "kafka %s: %s: %s",
                     kafka_servers(&t->source->properties), t->id, text);
}

/* ---- a new producer ---- */

static eddy_status kafka_transaction_recover(void *transaction, int timeout_ms, struct eddy_error *err)
{
    struct kafka_transaction *t = transaction;
    if (t->is_broken || t->open || t->doubtful) transaction_drop_producer(t);
    if (!t->client.rk) {
        eddy_status rc = transaction_producer(t, err);
        if (rc < 0) return rc;
    }
    rd_kafka_error_t *error = rd_kafka_init_transactions(t->client.rk, timeout_ms);
    t->ready = !error;
    if (!error) return EDDY_OK;
    if (rd_kafka_error_is_retriable(error)) { /* may be asked again; the same producer goes on */
        eddy_status rc = eddy_fail(err, EDDY_EAGAIN, "kafka %s: %s: %s", kafka_servers(&t->source->properties), t->id,
                                   rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        (void)rd_kafka_poll(t->client.rk, 0);
        if (t->client.has_failed) {
            if (err) *err = t->client.failed;
            return t->client.failed.code;
        }
        return rc;
    }
    return transaction_fail(t, error, "init_transactions", err);
}

static void kafka_transaction_close(void *transaction)
{
    struct kafka_transaction *t = transaction;
    if (!t) return;
    if (t->client.rk && t->open) {
        rd_kafka_error_t *error = rd_kafka_abort_transaction(t->client.rk, SLICE_MS);
        if (error) rd_kafka_error_destroy(error); /* the broker does it after transaction.timeout.ms */
    }
    transaction_drop_producer(t);
    free(t->name), free(t->id);
    free(t);
}

eddy_status kafka_transaction_new(enum kafka_role role, const struct transaction_request *r, int batch_bytes,
                                  struct kafka_transaction **out, struct eddy_error *err)
{
    *out = NULL;
    struct kafka_transaction *t = calloc(1, sizeof(*t));
    if (!t) return eddy_fail(err, EDDY_ENOMEM, "kafka transactions: out of memory");
    t->role = role;
    t->batch_bytes = batch_bytes;
    t->source = r->source->settings;
    t->latency = (enum latency)r->latency;
    t->stop = r->stop;
    t->name = strdup(r->name);
    if (asprintf(&t->id, "eddy-%s-%s", r->name, r->id) < 0) t->id = NULL;
    if (!t->name || !t->id) {
        kafka_transaction_close(t);
        return eddy_fail(err, EDDY_ENOMEM, "kafka transactions: out of memory");
    }
    *out = t;
    return EDDY_OK;
}

/* With the name that the user gave the process, if there is one: it outlives the state's directory. */
static eddy_status transaction_new_named(const struct transaction_request *r, struct kafka_transaction **out,
                                         struct eddy_error *err)
{
    const struct kafka_source_settings *source = r->source->settings;
    const char *own = source->instance_id;
    char id[300];
    struct transaction_request named = *r;
    if (own && *own && !kafka_id_is_drawn(source)) {
        (void)snprintf(id, sizeof(id), r->workers > 1 ? "%s-%d" : "%s", own, r->worker);
        named.id = id;
    }
    return kafka_transaction_new(KAFKA_TRANSACTOR, &named, 0, out, err);
}

static eddy_status kafka_transaction_open(const struct transaction_request *r, void **out, struct eddy_error *err)
{
    struct kafka_transaction *t = NULL;
    *out = NULL;
    eddy_status rc = transaction_new_named(r, &t, err);
    if (rc < 0) return rc;
    const int64_t end_ms = kafka_now_ms() + t->source->connect_timeout / 1000000;
    do rc = kafka_transaction_recover(t, SLICE_MS, err);
    while (rc == EDDY_EAGAIN && kafka_now_ms() < end_ms && !kafka_told_to_stop(t->stop));
    if (rc < 0) {
        const bool stopped = kafka_told_to_stop(t->stop);
        kafka_transaction_close(t);
        return rc == EDDY_EAGAIN && !stopped && err ? (err->code = EDDY_EIO) : rc;
    }
    *out = t;
    return EDDY_OK;
}

/* ---- begin and commit ---- */

/* Told to stop while the brokers are away: what is waited for then has STOP_MS left. */
static bool transaction_late(const struct kafka_transaction *t, int64_t *end_ms)
{
    const int64_t now_ms = kafka_now_ms();
    if (kafka_told_to_stop(t->stop) && *end_ms > now_ms + STOP_MS) *end_ms = now_ms + STOP_MS;
    return now_ms >= *end_ms;
}

/* After a commit that held, but met trouble on its way. */
static eddy_status transaction_replace(struct kafka_transaction *t, struct eddy_error *err)
{
    int64_t end_ms = kafka_now_ms() + REPLACE_MS;
    eddy_status rc;
    do rc = kafka_transaction_recover(t, SLICE_MS, err);
    while (rc == EDDY_EAGAIN && !transaction_late(t, &end_ms));
    if (rc == EDDY_EAGAIN) kafka_transaction_break(t, "the producer could not be replaced after a slow commit");
    return rc;
}

static eddy_status kafka_transaction_begin(void *transaction, struct eddy_error *err)
{
    struct kafka_transaction *t = transaction;
    if (t->final.code < 0) return transaction_ended(t, err);
    if (t->is_broken) return eddy_fail(err, EDDY_EAGAIN, "kafka: %s", t->why);
    if (t->doubtful) {
        eddy_status rc = transaction_replace(t, err);
        if (rc < 0) return rc;
    }
    rd_kafka_error_t *error = rd_kafka_begin_transaction(t->client.rk);
    if (error) return transaction_fail(t, error, "begin_transaction", err);
    t->open = true;
    return EDDY_OK;
}

static eddy_status kafka_transaction_check(void *transaction, struct eddy_error *err)
{
    struct kafka_transaction *t = transaction;
    char text[300];
    (void)rd_kafka_poll(t->client.rk, 0);
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(t->client.rk, text, sizeof(text));
    if (kafka_error_is_denied(code) && t->final.code >= 0)
        (void)eddy_fail(&t->final, EDDY_EIO, "kafka %s: %s: %s: %s", kafka_servers(&t->source->properties), t->id,
                        rd_kafka_err2name(code), text);
    if (code) kafka_transaction_break(t, text);
    if (!t->is_broken) return EDDY_OK;
    if (t->final.code < 0) return transaction_ended(t, err);
    return eddy_fail(err, EDDY_EAGAIN, "kafka: %s: %s", t->id, t->why);
}

static rd_kafka_topic_partition_list_t *transaction_positions(const struct source_position *at, int n)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < n; i++) kafka_add_position(list, at[i].topic, at[i].partition, at[i].next, at[i].metadata);
    return list;
}

/* Neither call may be given other arguments when it is repeated. */
static eddy_status transaction_send_positions(struct kafka_transaction *t, void *source,
                                              const struct source_position *at, int n, int64_t end_ms,
                                              struct eddy_error *err)
{
    rd_kafka_consumer_group_metadata_t *group = kafka_source_group(source);
    if (!group) {
        kafka_transaction_break(t, "the group has taken the partitions away");
        return eddy_fail(err, EDDY_EAGAIN, "kafka: %s: %s", t->id, t->why);
    }
    rd_kafka_topic_partition_list_t *list = transaction_positions(at, n);
    rd_kafka_error_t *error;
    for (;;) {
        error = rd_kafka_send_offsets_to_transaction(t->client.rk, list, group, SLICE_MS);
        if (!error || !rd_kafka_error_is_retriable(error) || transaction_late(t, &end_ms)) break;
        rd_kafka_error_destroy(error);
        t->doubtful = true;
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_group_metadata_destroy(group);
    return error ? transaction_fail(t, error, "send_offsets_to_transaction", err) : EDDY_OK;
}

static eddy_status transaction_end(struct kafka_transaction *t, int64_t end_ms, struct eddy_error *err)
{
    rd_kafka_error_t *error;
    for (;;) {
        error = rd_kafka_commit_transaction(t->client.rk, SLICE_MS);
        if (!error || !rd_kafka_error_is_retriable(error) || transaction_late(t, &end_ms)) break;
        rd_kafka_error_destroy(error);
        t->doubtful = true;
    }
    return error ? transaction_fail(t, error, "commit_transaction", err) : EDDY_OK;
}

static eddy_status kafka_transaction_commit(void *transaction, void *source, const struct source_position *at, int n,
                                            int timeout_ms, struct eddy_error *err)
{
    struct kafka_transaction *t = transaction;
    const int64_t start_ms = kafka_now_ms();
    eddy_status rc = kafka_transaction_check(t, err);
    if (rc < 0) return rc;
    const int64_t trouble = t->client.n_troubles;
    rc = n > 0 ? transaction_send_positions(t, source, at, n, start_ms + timeout_ms, err) : EDDY_OK;
    if (rc >= 0) rc = transaction_end(t, start_ms + timeout_ms, err);
    if (rc < 0) return rc;
    t->open = false;
    (void)rd_kafka_poll(t->client.rk, 0); /* events of connections that were lost meanwhile */
    if (t->client.n_troubles != trouble || kafka_now_ms() - start_ms > SLOW_COMMIT_MS) t->doubtful = true;
    return EDDY_OK;
}

const struct eddy_transactor transactor_kafka = {
    .open = kafka_transaction_open,
    .begin = kafka_transaction_begin,
    .check = kafka_transaction_check,
    .commit = kafka_transaction_commit,
    .recover = kafka_transaction_recover,
    .close = kafka_transaction_close,
};

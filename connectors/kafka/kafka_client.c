#include "connectors/kafka/kafka_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/kafka/kafka_tuning.h"

enum { AWAY_LOG_MS = 10000, OTHER_LOG_MS = 1000, ASK_SLICE_MS = 1000, ASK_PAUSE_MS = 100 };

int64_t kafka_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool kafka_told_to_stop(const volatile sig_atomic_t *stop)
{
    return stop && __atomic_load_n(stop, __ATOMIC_RELAXED);
}

bool kafka_error_is_denied(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
}

bool kafka_error_is_gone(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

bool kafka_error_is_final(rd_kafka_resp_err_t code)
{
    if (kafka_error_is_denied(code) || kafka_error_is_gone(code)) return true;
    switch (code) {
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__INCONSISTENT:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
    case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
    case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
    case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_GROUP_MAX_SIZE_REACHED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION: return true;
    default: return false;
    }
}

/* Runs on any of librdkafka's threads. */
static void client_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct kafka_client *c = rd_kafka_opaque(rk);
    char line[400];
    int64_t n_held;
    bool away = strcmp(facility, "FAIL") == 0 || strcmp(facility, "ERROR") == 0;

    /* A map shared by source and sink holds properties of both sides: no reason to complain to the user. */
    if (strcmp(facility, "CONFWARN") == 0) return;
    (void)snprintf(line, sizeof(line), "%s", text);
    (void)pthread_mutex_lock(&c->lock);
    bool silent = !c->properties;
    kafka_mask(c->properties, line);
    if (strcmp(facility, "FAIL") == 0) memcpy(c->trouble, line, sizeof(line));
    (void)pthread_mutex_unlock(&c->lock);
    if (silent) return;
    if (level >= 7) {
        log_debug("kafka", "%s: %s", facility, line);
    } else if (log_allowed(away ? &c->away : &c->other, away ? AWAY_LOG_MS : OTHER_LOG_MS, &n_held)) {
        char held[48] = "";
        if (n_held > 0) (void)snprintf(held, sizeof(held), " (%lld more not shown)", (long long)n_held);
        if (level >= 5)
            log_info("kafka", "%s: %s%s", facility, line, held);
        else
            log_warn(away ? "broker_away" : "kafka", "%s: %s%s", facility, line, held);
    }
}

/* Runs inside the polling calls, on the owner's thread. */
static void client_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_client *c = opaque;
    char text[512];
    rd_kafka_resp_err_t kind = (rd_kafka_resp_err_t)code;

    c->n_troubles++;
    const bool replaced = c->role == KAFKA_TRANSACTOR || c->role == KAFKA_PUBLISHER;
    if (replaced && kind == RD_KAFKA_RESP_ERR__FATAL) return; /* kafka_transaction.c replaces it */
    if (kind == RD_KAFKA_RESP_ERR__FATAL) {
        kind = rd_kafka_fatal_error(rk, text, sizeof(text));
    } else {
        (void)snprintf(text, sizeof(text), "%s", reason);
        if (!kafka_error_is_final(kind)) return; /* connection trouble is in the log already */
    }
    if (c->has_failed) return;
    kafka_mask(c->properties, text);
    c->has_failed = true;
    (void)eddy_fail(&c->failed, EDDY_EIO, "kafka %s: %s: %s", kafka_servers(c->properties), rd_kafka_err2name(kind),
                    text);
}

static void client_callbacks(rd_kafka_conf_t *conf, struct kafka_client *c, const struct kafka_client_request *r)
{
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_log_cb(conf, client_log);
    rd_kafka_conf_set_error_cb(conf, client_error);
    if (r->on_rebalance) rd_kafka_conf_set_rebalance_cb(conf, r->on_rebalance);
    if (r->on_commit) rd_kafka_conf_set_offset_commit_cb(conf, r->on_commit);
    if (r->on_delivery) rd_kafka_conf_set_dr_msg_cb(conf, r->on_delivery);
}

eddy_status kafka_client_open(struct kafka_client *c, const struct kafka_client_request *r, struct eddy_error *err)
{
    char text[512];
    rd_kafka_conf_t *conf;
    eddy_status rc = kafka_conf(r->role, r->latency, r->name, r->instance_id, r->properties, r->n_partitions, &conf,
                                err);
    if (rc < 0) return rc;
    if (r->workers > 1) rc = kafka_conf_worker(conf, r->worker, !r->id_is_own, err);
    if (rc >= 0 && r->batch_bytes > 0) rc = kafka_conf_batch(conf, r->batch_bytes, err);
    if (rc >= 0 && r->failures_only) rc = kafka_conf_set(conf, "delivery.report.only.error", "true", err);
    if (rc < 0) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }

    memset(c, 0, sizeof(*c));
    c->properties = r->properties;
    c->role = r->role;
    c->owner = r->owner;
    c->stop = r->stop;
    if (pthread_mutex_init(&c->lock, NULL) != 0) {
        rd_kafka_conf_destroy(conf);
        return eddy_fail(err, EDDY_ENOMEM, "kafka: cannot make a lock");
    }
    client_callbacks(conf, c, r);
    bool writes = r->role == KAFKA_PRODUCER || r->role == KAFKA_TRANSACTOR || r->role == KAFKA_PUBLISHER;
    c->rk = rd_kafka_new(writes ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!c->rk) {
        rd_kafka_conf_destroy(conf);
        (void)pthread_mutex_destroy(&c->lock);
        kafka_mask(r->properties, text);
        return eddy_fail(err, EDDY_ECONFIG, "kafka: librdkafka refuses these properties: %s", text);
    }
    return EDDY_OK;
}

void kafka_client_close(struct kafka_client *c)
{
    if (!c->rk) return;
    rd_kafka_destroy_flags(c->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    c->rk = NULL;
    (void)pthread_mutex_destroy(&c->lock);
}

void kafka_client_orphan(struct kafka_client *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->properties = NULL;
    (void)pthread_mutex_unlock(&c->lock);
}

void kafka_client_where(struct kafka_client *c, char *text, size_t size)
{
    char servers[160];
    (void)snprintf(servers, sizeof(servers), "%s", kafka_servers(c->properties));
    (void)pthread_mutex_lock(&c->lock);
    if (c->trouble[0])
        (void)snprintf(text, size, "%s (last trouble: %s)", servers, c->trouble);
    else
        (void)snprintf(text, size, "%s", servers);
    (void)pthread_mutex_unlock(&c->lock);
}

/* One question; EDDY_EAGAIN when it has to be asked again.  It asks for all topics, because a question about one makes
 * it on brokers that create topics by themselves. */
static eddy_status client_ask_topic(struct kafka_client *c, const char *topic, int timeout_ms, int *n_partitions,
                                    struct eddy_error *err)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_resp_err_t code = rd_kafka_metadata(c->rk, 1, NULL, &md, timeout_ms);
    if (!code) {
        code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        for (int i = 0; i < md->topic_cnt; i++) {
            if (strcmp(md->topics[i].topic, topic) != 0) continue;
            code = md->topics[i].err;
            *n_partitions = md->topics[i].partition_cnt;
        }
        rd_kafka_metadata_destroy(md);
    }
    if (!code) return EDDY_OK;
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return eddy_fail(err, EDDY_ENOTFOUND, "kafka: topic %s does not exist on %s, or this user may not see it",
                         topic, kafka_servers(c->properties));
    return eddy_fail(err, kafka_error_is_final(code) ? EDDY_EIO : EDDY_EAGAIN, "kafka %s: topic %s: %s",
                     kafka_servers(c->properties), topic, rd_kafka_err2str(code));
}

eddy_status kafka_client_topic(struct kafka_client *c, const char *topic, int timeout_ms, int *n_partitions,
                               struct eddy_error *err)
{
    int64_t end_ms = kafka_now_ms() + timeout_ms;
    for (;;) {
        int64_t left_ms = end_ms - kafka_now_ms();
        int slice_ms = left_ms < 10 ? 10 : left_ms > ASK_SLICE_MS ? ASK_SLICE_MS : (int)left_ms;
        eddy_status rc = client_ask_topic(c, topic, slice_ms, n_partitions, err);
        if (rc != EDDY_EAGAIN) return rc;

        (void)rd_kafka_poll(c->rk, ASK_PAUSE_MS); /* serves the error callback, which may know better */
        if (c->has_failed) {
            if (err) *err = c->failed;
            return c->failed.code;
        }
        char where[700];
        if (kafka_told_to_stop(c->stop)) {
            kafka_client_where(c, where, sizeof(where));
            return eddy_fail(err, EDDY_EAGAIN,
                             "kafka: told to stop before bootstrap.servers %s said anything about "
                             "topic %s",
                             where, topic);
        }
        if (kafka_now_ms() < end_ms) continue;
        kafka_client_where(c, where, sizeof(where));
        return eddy_fail(err, EDDY_EIO, "kafka: no answer about topic %s within %.3g s from bootstrap.servers %s",
                         topic, timeout_ms / 1e3, where);
    }
}

eddy_status kafka_count_partitions(const struct eddy_strings *topics, const struct kafka_question *q, int *n,
                                   struct eddy_error *err)
{
    struct kafka_client asker;
    struct kafka_client_request request = {
        .role = KAFKA_ASKER, .name = q->name, .properties = q->properties, .stop = q->stop};
    int64_t end_ms = kafka_now_ms() + q->timeout_ms;
    eddy_status rc = kafka_client_open(&asker, &request, err);
    if (rc < 0) return rc;
    *n = 0;
    for (int i = 0; i < topics->n && rc == EDDY_OK; i++) {
        int n_of_topic = 0;
        int64_t left_ms = end_ms - kafka_now_ms();
        rc = kafka_client_topic(&asker, topics->item[i], left_ms > 0 ? (int)left_ms : 0, &n_of_topic, err);
        *n += n_of_topic;
    }
    kafka_client_close(&asker);
    return rc;
}

int64_t kafka_client_setting(const struct kafka_client *c, const char *name)
{
    char value[32] = "";
    size_t size = sizeof(value);
    (void)rd_kafka_conf_get(rd_kafka_conf(c->rk), name, value, &size);
    return strtoll(value, NULL, 10);
}

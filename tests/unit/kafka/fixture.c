#include "tests/unit/kafka/fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/flow/claims.h"

int64_t fixture_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void cluster_open(struct cluster *c)
{
    char text[200];
    memset(c, 0, sizeof(*c));
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    cr_assert(rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", text, sizeof(text)) == RD_KAFKA_CONF_OK);
    (void)rd_kafka_conf_set(conf, "log_level", "0", text, sizeof(text));
    (void)rd_kafka_conf_set(conf, "linger.ms", "2", text, sizeof(text));
    c->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    cr_assert(c->rk, "%s", text);
    c->mock = rd_kafka_handle_mock_cluster(c->rk);
    cr_assert(c->mock);
    c->servers = rd_kafka_mock_cluster_bootstraps(c->mock);
    c->properties.item = c->pairs;
    cluster_property(c, "bootstrap.servers", c->servers);
    cluster_property(c, "fetch.wait.max.ms", "20");
    cluster_property(c, "session.timeout.ms", "6000");
    cluster_property(c, "heartbeat.interval.ms", "500");
}

void cluster_close(struct cluster *c)
{
    rd_kafka_destroy(c->rk);
}

void cluster_topic(struct cluster *c, const char *topic, int n_partitions)
{
    cr_assert_eq(rd_kafka_mock_topic_create(c->mock, topic, n_partitions, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
}

void cluster_property(struct cluster *c, const char *name, const char *value)
{
    cr_assert_lt(c->properties.n, FIXTURE_PROPERTIES);
    c->pairs[c->properties.n++] = (struct eddy_pair){name, value, 10 + c->properties.n};
}

void cluster_inject(struct cluster *c, const struct trial *t)
{
    rd_kafka_resp_err_t codes[8];
    for (int i = 0; i < t->times; i++) codes[i] = (rd_kafka_resp_err_t)t->code;
    rd_kafka_mock_push_request_errors_array(c->mock, (int16_t)t->request, (size_t)t->times, codes);
}

rd_kafka_t *cluster_consumer(struct cluster *c, const char *group)
{
    char text[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", c->servers, text, sizeof(text));
    (void)rd_kafka_conf_set(conf, "isolation.level", "read_committed", text, sizeof(text));
    (void)rd_kafka_conf_set(conf, "group.id", group, text, sizeof(text));
    (void)rd_kafka_conf_set(conf, "fetch.wait.max.ms", "20", text, sizeof(text));
    (void)rd_kafka_conf_set(conf, "log_level", "0", text, sizeof(text));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    cr_assert(rk, "%s", text);
    return rk;
}

void cluster_produce(struct cluster *c, const char *topic, int partition, int64_t first, int64_t n)
{
    for (int64_t i = first; i < first + n; i++) {
        char key[32], payload[64];
        (void)snprintf(key, sizeof(key), "k%lld", (long long)(i % 7));
        (void)snprintf(payload, sizeof(payload), "%d:%lld", partition, (long long)i);
        rd_kafka_resp_err_t code = rd_kafka_producev(
            c->rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY(key, strlen(key)),
            RD_KAFKA_V_VALUE(payload, strlen(payload)),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK), RD_KAFKA_V_END);
        cr_assert_eq(code, RD_KAFKA_RESP_ERR_NO_ERROR, "%s", rd_kafka_err2str(code));
    }
    cr_assert_eq(rd_kafka_flush(c->rk, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
}

struct kafka_source_settings fixture_source(struct cluster *c, const struct eddy_strings *topics)
{
    return (struct kafka_source_settings){.topics = *topics,
                                          .start = "earliest",
                                          .properties = c->properties,
                                          .instance_id = "",
                                          .connect_timeout = 5000000000};
}

static int64_t reader_assign(void *context, const struct source_partition *p, void **tag, struct eddy_error *err)
{
    struct reader *r = context;
    (void)err;
    cr_assert(p->partition >= 0 && p->partition < FIXTURE_PARTITIONS);
    cr_assert_eq(r->at->owner[p->partition], 0, "[%d] assigned to %d while %d holds it", (int)p->partition, r->number,
                 r->at->owner[p->partition]);
    r->at->owner[p->partition] = r->number;
    r->at->n_assigned++;
    if (r->claims) {
        cr_assert_eq(claims_take(r->claims, "t", p->partition, NULL, &r->err), EDDY_OK, "%s", r->err.message);
        claims_refuse(r->claims, "t", p->partition);
    }
    r->last = *p;
    r->last.topic = r->last.metadata = NULL;
    (void)snprintf(r->last_metadata, sizeof(r->last_metadata), "%s", p->metadata);
    *tag = &r->tags[p->partition];
    if (r->forced >= 0) r->at->next[p->partition] = r->forced;
    if (r->from_start) r->at->next[p->partition] = p->committed >= 0 ? p->committed : p->start;
    return r->at->next[p->partition];
}

static eddy_status reader_revoke(void *context, void *tag, bool lost, struct eddy_error *err)
{
    struct reader *r = context;
    long partition = (int *)tag - r->tags;
    (void)err;
    cr_assert_eq(r->at->owner[partition], r->number);
    r->at->owner[partition] = 0;
    r->at->n_revoked++;
    r->at->n_lost += lost;
    if (!r->claims) return EDDY_OK;
    claims_give(r->claims, "t", (int32_t)partition, r->taking && !lost);
    r->n_ends += claims_all_refused(r->claims);
    return EDDY_OK;
}

static void reader_round(void *context, int round, int patience_ms)
{
    struct reader *r = context;
    r->taking = round == SOURCE_TAKES;
    if (r->claims) claims_round(r->claims, r->number - 1, round, patience_ms);
}

eddy_status reader_open(struct reader *r, const struct eddy_source *part, const void *settings)
{
    struct source_request request = {.name = "fixture",
                                     .listener = {r, reader_assign, reader_revoke, reader_round},
                                     .worker = r->worker,
                                     .workers = r->workers};
    r->part = part;
    r->forced = r->forced ? r->forced : -1;
    return part->open(settings, &request, &r->source, &r->err);
}

static bool reader_is_right(const struct reader *r, const struct eddy_record *e, long partition)
{
    char want[64], key[32];
    (void)snprintf(want, sizeof(want), "%ld:%lld", partition, (long long)e->offset);
    (void)snprintf(key, sizeof(key), "k%lld", (long long)(e->offset % 7));
    return e->partition == partition && e->offset == r->at->next[partition] && e->payload_len == strlen(want) &&
           memcmp(e->payload, want, e->payload_len) == 0 && e->key_len == strlen(key) &&
           memcmp(e->key, key, e->key_len) == 0;
}

int reader_poll(struct reader *r, int timeout_ms, int max_records)
{
    struct source_batch batches[4];
    int n_records = 0;
    eddy_status rc = r->part->poll(r->source, timeout_ms, max_records, batches, 4, &r->err);
    for (int i = 0; i < rc; i++) {
        long partition = (int *)batches[i].tag - r->tags;
        cr_assert_eq(r->at->owner[partition], r->number, "records of [%ld], which is not ours", partition);
        for (int k = 0; k < batches[i].n; k++) {
            const struct eddy_record *e = &batches[i].records[k];
            if (!reader_is_right(r, e, partition)) r->at->n_wrong++;
            r->at->next[partition] = e->offset + 1;
        }
        n_records += batches[i].n;
    }
    cr_assert_leq(n_records, max_records);
    r->at->n_records += n_records;
    r->part->release(r->source);
    return rc < 0 ? rc : n_records;
}

int reader_until(struct reader *r, int64_t n, int limit_ms)
{
    int64_t begin_ms = fixture_now_ms();
    while (r->at->n_records < n) {
        if (reader_poll(r, 50, 1000) < 0 || fixture_now_ms() - begin_ms > limit_ms) return -1;
    }
    return (int)(fixture_now_ms() - begin_ms);
}

void reader_close(struct reader *r)
{
    r->part->close(r->source);
    r->source = NULL;
}

void *reader_tag(struct reader *r, int partition)
{
    return &r->tags[partition];
}

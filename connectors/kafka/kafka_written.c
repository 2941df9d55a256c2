#include "connectors/kafka/kafka_written.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    WRITTEN_FIRST = 4096,
    WRITTEN_MORE = 8,
    WRITTEN_MOST = 1 << 20,
    ASK_MS = 10000,
    READ_MS = 20000,
    SLICE_MS = 100,
    REST_MS = 10000 /* partitions of a rebalance come one after another */
};

struct look {
    rd_kafka_t *rk;
    const char *output, *topic;
    int32_t partition;
    int64_t from, low, high;
    bool complete; /* an older result was met */
    struct sink_written *out;
    int cap;
};

/* The offset in {"src":{"topic":..,"partition":..,"offset":..}} when it is of that partition, else -1. */
static int64_t written_offset(const rd_kafka_message_t *m, const char *topic, int32_t partition)
{
    int64_t offset = -1;
    json_t *root = json_loadb(m->payload, m->len, 0, NULL), *src = json_object_get(root, "src");
    const char *of = json_string_value(json_object_get(src, "topic"));
    const json_t *at = json_object_get(src, "offset"), *number = json_object_get(src, "partition");
    if (of && strcmp(of, topic) == 0 && json_is_integer(at) && json_is_integer(number) &&
        json_integer_value(number) == partition)
        offset = json_integer_value(at);
    json_decref(root);
    return offset;
}

static eddy_status written_add(struct look *l, const rd_kafka_message_t *m, struct eddy_error *err)
{
    struct sink_written *w = l->out;
    const int64_t offset = written_offset(m, l->topic, l->partition);
    if (offset < l->from) {
        l->complete |= offset >= 0;
        return EDDY_OK;
    }
    if (w->n == l->cap) {
        const int cap = l->cap ? 2 * l->cap : 1024;
        void *grown = realloc(w->item, (size_t)cap * sizeof(*w->item));
        if (!grown) return eddy_fail(err, EDDY_ENOMEM, "kafka: out of memory for what %s holds", l->output);
        w->item = grown;
        l->cap = cap;
    }
    w->item[w->n].offset = offset;
    w->item[w->n++].sum = w->sum(m->payload, m->len);
    return EDDY_OK;
}

/* From `at` to the end as it was. */
static eddy_status written_read(struct look *l, int64_t at, struct eddy_error *err)
{
    const int64_t end_ms = kafka_now_ms() + READ_MS;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, l->output, l->partition)->offset = at;
    rd_kafka_resp_err_t code = rd_kafka_assign(l->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    eddy_status rc = EDDY_OK;
    if (code)
        rc = eddy_fail(err, EDDY_EIO, "kafka: %s [%d]: %s", l->output, (int)l->partition, rd_kafka_err2str(code));
    bool ended = false;
    while (rc >= 0 && !ended && kafka_now_ms() < end_ms) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(l->rk, SLICE_MS);
        if (!m) continue;
        if (m->partition != l->partition) { /* left over from the look before */
            rd_kafka_message_destroy(m);
            continue;
        }
        ended = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF || (!m->err && m->offset + 1 >= l->high);
        if (!m->err) rc = written_add(l, m, err);
        rd_kafka_message_destroy(m);
    }
    (void)rd_kafka_assign(l->rk, NULL);
    if (rc < 0 || ended) return rc;
    return eddy_fail(err, EDDY_EIO, "kafka: %s [%d]: its last records could not be read within %d s", l->output,
                     (int)l->partition, READ_MS / 1000);
}

static int written_order(const void *a, const void *b)
{
    const int64_t *x = a, *y = b; /* the offset comes first */
    return *x < *y ? -1 : *x > *y;
}

static eddy_status written_look(struct look *l, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(l->rk, l->output, l->partition, &l->low, &l->high,
                                                                ASK_MS);
    if (code)
        return eddy_fail(err, EDDY_EIO, "kafka: %s [%d]: where does it end? %s", l->output, (int)l->partition,
                         rd_kafka_err2str(code));
    l->out->end = l->high;
    if (l->out->only_end) return EDDY_OK;
    if (l->out->output > l->low && l->out->output <= l->high) l->low = l->out->output;
    for (int64_t n = WRITTEN_FIRST; rc >= 0 && l->high > l->low && !l->complete; n *= WRITTEN_MORE) {
        if (n > WRITTEN_MOST) n = WRITTEN_MOST;
        const int64_t at = l->high - l->low > n ? l->high - n : l->low;
        l->out->n = 0;
        rc = written_read(l, at, err);
        if (at == l->low || n == WRITTEN_MOST) break;
    }
    if (rc >= 0 && l->out->n > 1) qsort(l->out->item, (size_t)l->out->n, sizeof(*l->out->item), written_order);
    return rc;
}

static eddy_status look_open(struct kafka_look *k, const struct eddy_map *properties, const char *name,
                             struct eddy_error *err)
{
    const struct kafka_client_request request = {
        .role = KAFKA_READER, .name = name, .properties = properties, .n_partitions = 1};
    return k->client.rk ? EDDY_OK : kafka_client_open(&k->client, &request, err);
}

eddy_status kafka_look_at(struct kafka_look *k, const struct eddy_map *properties, const char *name,
                          const char *output, const char *topic, int32_t partition, int64_t from,
                          struct sink_written *out, struct eddy_error *err)
{
    struct look l = {.output = output, .topic = topic, .partition = partition, .from = from, .out = out};
    out->n = 0;
    out->item = NULL;
    eddy_status rc = look_open(k, properties, name, err);
    if (rc < 0) return rc;
    l.rk = k->client.rk;
    rc = written_look(&l, err);
    k->looked_ms = kafka_now_ms();
    if (rc < 0) kafka_look_close(k); /* the next one begins anew */
    if (rc >= 0 && out->n > 0) return rc;
    free(out->item);
    out->item = NULL;
    out->n = 0;
    return rc;
}

void kafka_look_rest(struct kafka_look *k)
{
    if (k->client.rk && kafka_now_ms() - k->looked_ms > REST_MS) kafka_look_close(k);
}

void kafka_look_close(struct kafka_look *k)
{
    kafka_client_close(&k->client);
}

#include "connectors/kafka/kafka_written.h"

#include <jansson.h>
#include <string.h>

#include "connectors/kafka/kafka_client.h"

enum { TAIL = 4096, ASK_MS = 10000, READ_MS = 10000, SLICE_MS = 100 };

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

static eddy_status written_read(struct kafka_client *c, const char *output, const char *topic, int32_t partition,
                                int64_t high, int64_t *last, struct eddy_error *err)
{
    const int64_t end_ms = kafka_now_ms() + READ_MS;
    while (kafka_now_ms() < end_ms) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(c->rk, SLICE_MS);
        if (!m) continue;
        bool ended = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF || (!m->err && m->offset + 1 >= high);
        if (!m->err) {
            int64_t offset = written_offset(m, topic, partition);
            if (offset > *last) *last = offset;
        }
        rd_kafka_message_destroy(m);
        if (ended) return EDDY_OK;
    }
    return eddy_fail(err, EDDY_EIO, "kafka: %s [%d]: its last records could not be read within %d s", output,
                     (int)partition, READ_MS / 1000);
}

eddy_status kafka_written(const struct eddy_map *properties, const char *name, const char *output, const char *topic,
                          int32_t partition, int64_t *last, struct eddy_error *err)
{
    struct kafka_client c;
    const struct kafka_client_request request = {
        .role = KAFKA_READER, .name = name, .properties = properties, .n_partitions = 1};
    int64_t low = 0, high = 0;
    *last = -1;
    eddy_status rc = kafka_client_open(&c, &request, err);
    if (rc < 0) return rc;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(c.rk, output, partition, &low, &high, ASK_MS);
    if (code)
        rc = eddy_fail(err, EDDY_EIO, "kafka: %s [%d]: where does it end? %s", output, (int)partition,
                       rd_kafka_err2str(code));
    if (rc >= 0 && high > low) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, output, partition)->offset = high - low > TAIL ? high - TAIL : low;
        code = rd_kafka_assign(c.rk, list);
        rd_kafka_topic_partition_list_destroy(list);
        if (code) rc = eddy_fail(err, EDDY_EIO, "kafka: %s [%d]: %s", output, (int)partition, rd_kafka_err2str(code));
        if (rc >= 0) rc = written_read(&c, output, topic, partition, high, last, err);
        (void)rd_kafka_assign(c.rk, NULL);
    }
    kafka_client_close(&c);
    return rc;
}

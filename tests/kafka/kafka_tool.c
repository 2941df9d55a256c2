/* The few things that suites need of a broker and kcat does not offer, by eddy's own administration calls.
 *   kafka_tool SERVERS create TOPIC PARTITIONS
 *   kafka_tool SERVERS compacted TOPIC PARTITIONS     the same with cleanup.policy=compact
 *   kafka_tool SERVERS delete TOPIC
 *   kafka_tool SERVERS grow TOPIC PARTITIONS          gives it so many
 *   kafka_tool SERVERS members GROUP                  prints the number of live members
 *   kafka_tool SERVERS positions GROUP TOPIC WHEN     prints "partition low high at committed" lines
 *   kafka_tool SERVERS set GROUP TOPIC WHEN           commits where WHEN points, for all partitions
 *   kafka_tool SERVERS setting TOPIC NAME             prints a topic's setting
 *   kafka_tool SERVERS trim TOPIC PARTITION OFFSET    removes the records before OFFSET, as retention does */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#include "connectors/kafka/kafka_admin.h"

static rd_kafka_t *tool_client(const char *servers, struct eddy_error *err)
{
    char text[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", servers, text, sizeof(text));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!rk) (void)eddy_fail(err, EDDY_EIO, "%s", text);
    return rk;
}

static eddy_status tool_trim(const char *servers, const char *topic, int partition, int64_t offset,
                             struct eddy_error *err)
{
    rd_kafka_t *rk = tool_client(servers, err);
    if (!rk) return EDDY_EIO;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteRecords(rk, &request, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 20000);
    rd_kafka_resp_err_t code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (!code) code = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event))->elems[0].err;
    if (event) rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return code ? eddy_fail(err, EDDY_EIO, "trimming %s: %s", topic, rd_kafka_err2str(code)) : EDDY_OK;
}

static eddy_status tool_grow(const char *servers, const char *topic, int n, struct eddy_error *err)
{
    char text[200];
    size_t n_results;
    rd_kafka_NewPartitions_t *request = rd_kafka_NewPartitions_new(topic, (size_t)n, text, sizeof(text));
    if (!request) return eddy_fail(err, EDDY_EINVAL, "%s", text);
    rd_kafka_t *rk = tool_client(servers, err);
    if (!rk) return EDDY_EIO;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_CreatePartitions(rk, &request, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 20000);
    rd_kafka_resp_err_t code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (!code)
        code = rd_kafka_topic_result_error(
            rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &n_results)[0]);
    if (event) rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewPartitions_destroy(request);
    rd_kafka_destroy(rk);
    return code ? eddy_fail(err, EDDY_EIO, "growing %s: %s", topic, rd_kafka_err2str(code)) : EDDY_OK;
}

static eddy_status tool_positions(struct kafka_admin *a, char **argv, bool set, struct eddy_error *err)
{
    const char *const names[] = {argv[4]};
    struct eddy_strings topics = {1, names};
    struct kafka_group_position *list;
    int n;
    eddy_status rc = kafka_admin_positions(a, argv[3], &topics, argv[5], &list, &n, err);
    if (rc < 0) return rc;
    for (int i = 0; i < n; i++) {
        if (set)
            list[i].committed = list[i].at;
        else
            printf("%d %lld %lld %lld %lld\n", (int)list[i].partition, (long long)list[i].low,
                   (long long)list[i].high, (long long)list[i].at, (long long)list[i].committed);
    }
    if (set) rc = kafka_admin_set_positions(a, argv[3], list, n, err);
    free(list);
    return rc;
}

/* A topic that was made is known to every broker a little later; suites begin when it is. */
static eddy_status tool_create(struct kafka_admin *a, const char *topic, int n_partitions, bool compacted,
                               struct eddy_error *err)
{
    eddy_status rc = compacted ? kafka_admin_create_compacted(a, topic, n_partitions, err)
                               : kafka_admin_create(a, topic, n_partitions, err);
    if (rc < 0) return rc;
    for (int i = 0; i < 100; i++) {
        rc = kafka_admin_topic(a, topic, err);
        if (rc != EDDY_ENOTFOUND) break;
        (void)nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
    }
    return rc < 0 ? rc : EDDY_OK;
}

static eddy_status tool_run(struct kafka_admin *a, int argc, char **argv, struct eddy_error *err)
{
    const char *what = argv[2];
    if (argc == 5 && strcmp(what, "create") == 0) return tool_create(a, argv[3], atoi(argv[4]), false, err);
    if (argc == 5 && strcmp(what, "compacted") == 0) return tool_create(a, argv[3], atoi(argv[4]), true, err);
    if (argc == 4 && strcmp(what, "delete") == 0) return kafka_admin_delete(a, argv[3], err);
    if (argc == 5 && strcmp(what, "grow") == 0) return tool_grow(argv[1], argv[3], atoi(argv[4]), err);
    if (argc == 4 && strcmp(what, "members") == 0) {
        eddy_status n = kafka_admin_members(a, argv[3], err);
        if (n >= 0) printf("%d\n", (int)n);
        return n;
    }
    if (argc == 5 && strcmp(what, "setting") == 0) {
        char value[200];
        const eddy_status rc = kafka_admin_topic_setting(a, argv[3], argv[4], value, sizeof(value), err);
        if (rc >= 0) puts(value);
        return rc;
    }
    if (argc == 6 && strcmp(what, "trim") == 0)
        return tool_trim(argv[1], argv[3], atoi(argv[4]), atoll(argv[5]), err);
    if (argc == 6 && strcmp(what, "positions") == 0) return tool_positions(a, argv, false, err);
    if (argc == 6 && strcmp(what, "set") == 0) return tool_positions(a, argv, true, err);
    return eddy_fail(err, EDDY_EINVAL, "usage: see the head of tests/kafka/kafka_tool.c");
}

int main(int argc, char **argv)
{
    struct eddy_error err = {0};
    struct kafka_admin *a = NULL;
    if (argc < 3) return 2;
    struct eddy_pair pairs[] = {{"bootstrap.servers", argv[1], 0}};
    struct eddy_map properties = {1, pairs};
    eddy_status rc = kafka_admin_open("kafka-tool", &properties, 10000, &a, &err);
    if (rc >= 0) rc = tool_run(a, argc, argv, &err);
    kafka_admin_close(a);
    if (rc < 0) fprintf(stderr, "kafka_tool: %s\n", err.message);
    return rc < 0;
}

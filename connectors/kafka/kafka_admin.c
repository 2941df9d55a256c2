#include "connectors/kafka/kafka_admin.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/kafka_offsets.h"

enum { PAUSE_MS = 100 };

struct kafka_admin {
    struct kafka_client client;
    int timeout_ms;
};

eddy_status kafka_admin_open(const char *name, const struct eddy_map *properties, int timeout_ms,
                             struct kafka_admin **out, struct eddy_error *err)
{
    *out = NULL;
    struct kafka_admin *a = calloc(1, sizeof(*a));
    if (!a) return eddy_fail(err, EDDY_ENOMEM, "kafka: out of memory");
    struct kafka_client_request request = {.role = KAFKA_ASKER, .name = name, .properties = properties};
    a->timeout_ms = timeout_ms;
    kafka_properties_warn(properties);
    eddy_status rc = kafka_client_open(&a->client, &request, err);
    if (rc < 0) {
        free(a);
        return rc;
    }
    *out = a;
    return EDDY_OK;
}

void kafka_admin_close(struct kafka_admin *a)
{
    if (!a) return;
    kafka_client_close(&a->client);
    free(a);
}

eddy_status kafka_admin_topic(struct kafka_admin *a, const char *topic, struct eddy_error *err)
{
    int n = 0;
    eddy_status rc = kafka_client_topic(&a->client, topic, a->timeout_ms, &n, err);
    return rc < 0 ? rc : n;
}

static eddy_status admin_fail(struct kafka_admin *a, const char *what, rd_kafka_resp_err_t code, const char *text,
                              struct eddy_error *err)
{
    eddy_status status = EDDY_EIO;
    if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS || code == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP ||
        code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID)
        status = EDDY_EBUSY; /* brokers answer "unknown member" to a commit from outside while the group lives */
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) status = EDDY_ENOTFOUND;
    if (code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS ||
        code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE || code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR)
        status = EDDY_EAGAIN;
    (void)eddy_fail(err, status, "kafka %s: %s: %s", kafka_servers(a->client.properties), what,
                    text && *text ? text : rd_kafka_err2str(code));
    if (err) kafka_mask(a->client.properties, err->message);
    return status;
}

/* One request: admin_begin(), the call with its options and queue, admin_wait(), admin_end(). */
struct admin_request {
    const char *what;
    rd_kafka_AdminOptions_t *options;
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *event; /* the answer; NULL = it failed as a whole */
};

static struct admin_request admin_begin(struct kafka_admin *a, rd_kafka_admin_op_t op, const char *what)
{
    char text[200];
    struct admin_request q = {what, rd_kafka_AdminOptions_new(a->client.rk, op), rd_kafka_queue_new(a->client.rk),
                              NULL};
    (void)rd_kafka_AdminOptions_set_request_timeout(q.options, a->timeout_ms, text, sizeof(text));
    return q;
}

static eddy_status admin_wait(struct kafka_admin *a, struct admin_request *q, struct eddy_error *err)
{
    q->event = rd_kafka_queue_poll(q->queue, a->timeout_ms + 1000);
    if (!q->event) return admin_fail(a, q->what, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, err);
    const rd_kafka_resp_err_t code = rd_kafka_event_error(q->event);
    return code ? admin_fail(a, q->what, code, rd_kafka_event_error_string(q->event), err) : EDDY_OK;
}

static void admin_end(struct admin_request *q)
{
    if (q->event) rd_kafka_event_destroy(q->event);
    rd_kafka_queue_destroy(q->queue);
    rd_kafka_AdminOptions_destroy(q->options);
}

static const rd_kafka_topic_result_t **admin_created(rd_kafka_event_t *event, size_t *n)
{
    return rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), n);
}

static const rd_kafka_topic_result_t **admin_deleted(rd_kafka_event_t *event, size_t *n)
{
    return rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), n);
}

/* Waits for the answer to a change of one topic, which `topics` takes out of the event, and ends the request. */
static eddy_status admin_topic_end(struct kafka_admin *a, struct admin_request *q,
                                   const rd_kafka_topic_result_t **(*topics)(rd_kafka_event_t *, size_t *n),
                                   struct eddy_error *err)
{
    eddy_status rc = admin_wait(a, q, err);
    if (rc >= 0) {
        size_t n = 0;
        const rd_kafka_topic_result_t **done = topics(q->event, &n);
        const rd_kafka_resp_err_t code = n == 1 ? rd_kafka_topic_result_error(done[0]) : RD_KAFKA_RESP_ERR__FAIL;
        if (code) rc = admin_fail(a, q->what, code, n == 1 ? rd_kafka_topic_result_error_string(done[0]) : "", err);
    }
    admin_end(q);
    return rc;
}

static eddy_status admin_create(struct kafka_admin *a, const char *topic, int n_partitions, const char *policy,
                                struct eddy_error *err)
{
    char text[200];
    rd_kafka_NewTopic_t *made = rd_kafka_NewTopic_new(topic, n_partitions, -1, text, sizeof(text));
    if (!made) return eddy_fail(err, EDDY_EINVAL, "kafka: topic %s: %s", topic, text);
    if (policy) (void)rd_kafka_NewTopic_set_config(made, "cleanup.policy", policy);

    struct admin_request q = admin_begin(a, RD_KAFKA_ADMIN_OP_CREATETOPICS, "creating a topic");
    rd_kafka_CreateTopics(a->client.rk, &made, 1, q.options, q.queue);
    const eddy_status rc = admin_topic_end(a, &q, admin_created, err);
    rd_kafka_NewTopic_destroy(made);
    return rc;
}

eddy_status kafka_admin_create(struct kafka_admin *a, const char *topic, int n_partitions, struct eddy_error *err)
{
    return admin_create(a, topic, n_partitions, NULL, err);
}

eddy_status kafka_admin_create_compacted(struct kafka_admin *a, const char *topic, int n_partitions,
                                         struct eddy_error *err)
{
    return admin_create(a, topic, n_partitions, "compact", err);
}

eddy_status kafka_admin_delete(struct kafka_admin *a, const char *topic, struct eddy_error *err)
{
    rd_kafka_DeleteTopic_t *gone = rd_kafka_DeleteTopic_new(topic);
    struct admin_request q = admin_begin(a, RD_KAFKA_ADMIN_OP_DELETETOPICS, "deleting a topic");
    rd_kafka_DeleteTopics(a->client.rk, &gone, 1, q.options, q.queue);
    const eddy_status rc = admin_topic_end(a, &q, admin_deleted, err);
    rd_kafka_DeleteTopic_destroy(gone);
    return rc;
}

static eddy_status admin_find_setting(const rd_kafka_ConfigResource_t *resource, const char *setting, char *out,
                                      size_t size)
{
    size_t n = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &n);
    for (size_t i = 0; i < n; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (!value || strcmp(rd_kafka_ConfigEntry_name(entries[i]), setting) != 0) continue;
        (void)snprintf(out, size, "%s", value);
        return EDDY_OK;
    }
    return EDDY_ENOTFOUND;
}

/* What an answer about one topic's settings says of one of them. */
static eddy_status admin_setting(struct kafka_admin *a, const struct admin_request *q, const char *topic,
                                 const char *setting, char *out, size_t size, struct eddy_error *err)
{
    size_t n = 0;
    const rd_kafka_ConfigResource_t **found = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(q->event), &n);
    const rd_kafka_resp_err_t code = n == 1 ? rd_kafka_ConfigResource_error(found[0]) : RD_KAFKA_RESP_ERR__FAIL;
    if (code) return admin_fail(a, q->what, code, n == 1 ? rd_kafka_ConfigResource_error_string(found[0]) : "", err);
    const eddy_status rc = admin_find_setting(found[0], setting, out, size);
    return rc >= 0 ? rc
                   : eddy_fail(err, rc, "kafka %s: topic %s has no setting %s", kafka_servers(a->client.properties),
                               topic, setting);
}

eddy_status kafka_admin_topic_setting(struct kafka_admin *a, const char *topic, const char *setting, char *out,
                                      size_t size, struct eddy_error *err)
{
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    struct admin_request q = admin_begin(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, "asking for a topic's settings");
    rd_kafka_DescribeConfigs(a->client.rk, &asked, 1, q.options, q.queue);
    eddy_status rc = admin_wait(a, &q, err);
    if (rc >= 0) rc = admin_setting(a, &q, topic, setting, out, size, err);
    admin_end(&q);
    rd_kafka_ConfigResource_destroy(asked);
    return rc;
}

/* A group's coordinator is not there for a moment on a broker that is new to the group: true after a pause. */
static bool admin_ask_again(struct kafka_admin *a, eddy_status rc, int64_t end_ms)
{
    if (rc != EDDY_EAGAIN || kafka_now_ms() >= end_ms) return false;
    (void)rd_kafka_poll(a->client.rk, PAUSE_MS);
    return true;
}

static eddy_status admin_members(struct kafka_admin *a, const struct admin_request *q, struct eddy_error *err)
{
    size_t n = 0;
    const rd_kafka_ConsumerGroupDescription_t **groups = rd_kafka_DescribeConsumerGroups_result_groups(
        rd_kafka_event_DescribeConsumerGroups_result(q->event), &n);
    const rd_kafka_error_t *error = n == 1 ? rd_kafka_ConsumerGroupDescription_error(groups[0]) : NULL;
    const rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (code && code != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
        return admin_fail(a, q->what, code, rd_kafka_error_string(error), err);
    return !code && n == 1 ? (eddy_status)rd_kafka_ConsumerGroupDescription_member_count(groups[0]) : 0;
}

static eddy_status admin_ask_members(struct kafka_admin *a, const char *group, struct eddy_error *err)
{
    struct admin_request q = admin_begin(a, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, "asking for a group's members");
    rd_kafka_DescribeConsumerGroups(a->client.rk, &group, 1, q.options, q.queue);
    eddy_status rc = admin_wait(a, &q, err);
    if (rc >= 0) rc = admin_members(a, &q, err);
    admin_end(&q);
    return rc;
}

eddy_status kafka_admin_members(struct kafka_admin *a, const char *group, struct eddy_error *err)
{
    int64_t end_ms = kafka_now_ms() + a->timeout_ms;
    eddy_status rc;
    do rc = admin_ask_members(a, group, err);
    while (admin_ask_again(a, rc, end_ms));
    return rc == EDDY_EAGAIN ? EDDY_EIO : rc;
}

/* Fills `committed`; offsets that were never committed stay -1. */
static eddy_status admin_take_committed(struct kafka_admin *a, const struct admin_request *q,
                                        struct kafka_group_position *positions, int n, struct eddy_error *err)
{
    size_t n_groups = 0;
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(q->event), &n_groups);
    if (n_groups != 1) return EDDY_OK;
    const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[0]);
    if (error) return admin_fail(a, q->what, rd_kafka_error_code(error), rd_kafka_error_string(error), err);
    rd_kafka_topic_partition_list_t *found = (rd_kafka_topic_partition_list_t *)(uintptr_t)
        rd_kafka_group_result_partitions(groups[0]);
    for (int i = 0; i < n; i++) {
        const rd_kafka_topic_partition_t *e = rd_kafka_topic_partition_list_find(found, positions[i].topic,
                                                                                 positions[i].partition);
        positions[i].committed = e && !e->err && e->offset >= 0 ? e->offset : -1;
    }
    return EDDY_OK;
}

static eddy_status admin_ask_committed(struct kafka_admin *a, const char *group,
                                       struct kafka_group_position *positions, int n, struct eddy_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < n; i++) rd_kafka_topic_partition_list_add(list, positions[i].topic, positions[i].partition);
    rd_kafka_ListConsumerGroupOffsets_t *request = rd_kafka_ListConsumerGroupOffsets_new(group, list);
    struct admin_request q = admin_begin(a, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
                                         "asking for committed offsets");
    rd_kafka_ListConsumerGroupOffsets(a->client.rk, &request, 1, q.options, q.queue);
    eddy_status rc = admin_wait(a, &q, err);
    if (rc >= 0) rc = admin_take_committed(a, &q, positions, n, err);
    admin_end(&q);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

static eddy_status admin_committed(struct kafka_admin *a, const char *group, struct kafka_group_position *positions,
                                   int n, struct eddy_error *err)
{
    int64_t end_ms = kafka_now_ms() + a->timeout_ms;
    eddy_status rc;
    do rc = admin_ask_committed(a, group, positions, n, err);
    while (admin_ask_again(a, rc, end_ms));
    return rc == EDDY_EAGAIN ? EDDY_EIO : rc;
}

static eddy_status admin_places(struct kafka_admin *a, const struct eddy_strings *topics, struct kafka_place **out,
                                int *n_out, struct eddy_error *err)
{
    struct kafka_place *places = NULL;
    int n = 0;
    for (int t = 0; t < topics->n; t++) {
        int n_partitions = 0;
        eddy_status rc = kafka_client_topic(&a->client, topics->item[t], a->timeout_ms, &n_partitions, err);
        struct kafka_place *grown = rc < 0 ? NULL
                                           : realloc(places,
                                                     (size_t)(n + n_partitions + 1) * sizeof(struct kafka_place));
        if (!grown) {
            free(places);
            return rc < 0 ? rc : eddy_fail(err, EDDY_ENOMEM, "kafka: out of memory for %d partitions", n_partitions);
        }
        places = grown;
        for (int i = 0; i < n_partitions; i++) places[n++] = (struct kafka_place){topics->item[t], i, 0, 0, 0};
    }
    *out = places;
    *n_out = n;
    return EDDY_OK;
}

eddy_status kafka_admin_positions(struct kafka_admin *a, const char *group, const struct eddy_strings *topics,
                                  const char *when_text, struct kafka_group_position **out, int *n_out,
                                  struct eddy_error *err)
{
    struct kafka_when when;
    struct kafka_place *places = NULL;
    struct kafka_group_position *positions = NULL;
    int n = 0;
    *out = NULL;
    eddy_status rc = kafka_when_parse(when_text, "time", &when, err);
    if (rc == EDDY_OK) rc = admin_places(a, topics, &places, &n, err);
    if (rc == EDDY_OK) rc = kafka_places(&a->client, places, n, &when, a->timeout_ms, err);
    if (rc < 0) goto end;
    positions = calloc((size_t)n + 1, sizeof(*positions));
    if (!positions) {
        rc = eddy_fail(err, EDDY_ENOMEM, "kafka: out of memory for %d partitions", n);
        goto end;
    }
    for (int i = 0; i < n; i++)
        positions[i] = (struct kafka_group_position){
            places[i].topic, places[i].partition, places[i].low, places[i].high, places[i].at, -1, ""};
    rc = admin_committed(a, group, positions, n, err);
    if (rc < 0) goto end;
    *out = positions;
    *n_out = n;
    positions = NULL;
end:
    free(positions);
    free(places);
    return rc == EDDY_EAGAIN ? EDDY_EIO : rc;
}

/* The first error of an answer that has one per partition. */
static rd_kafka_resp_err_t admin_first_error(const rd_kafka_group_result_t *group)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(group);
    for (int i = 0; list && i < list->cnt; i++)
        if (list->elems[i].err) return list->elems[i].err;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static eddy_status admin_was_set(struct kafka_admin *a, const struct admin_request *q, struct eddy_error *err)
{
    size_t n = 0;
    const rd_kafka_group_result_t **groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(q->event), &n);
    const rd_kafka_error_t *error = n == 1 ? rd_kafka_group_result_error(groups[0]) : NULL;
    rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!code && n == 1) code = admin_first_error(groups[0]);
    return code ? admin_fail(a, q->what, code, error ? rd_kafka_error_string(error) : NULL, err) : EDDY_OK;
}

eddy_status kafka_admin_set_positions(struct kafka_admin *a, const char *group,
                                      const struct kafka_group_position *positions, int n, struct eddy_error *err)
{
    eddy_status rc = kafka_admin_members(a, group, err);
    if (rc < 0) return rc;
    if (rc > 0)
        return eddy_fail(err, EDDY_EBUSY, "kafka: group %s has %d live members: stop them first", group, (int)rc);

    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < n; i++)
        kafka_add_position(list, positions[i].topic, positions[i].partition, positions[i].committed,
                           positions[i].metadata);
    rd_kafka_AlterConsumerGroupOffsets_t *request = rd_kafka_AlterConsumerGroupOffsets_new(group, list);
    struct admin_request q = admin_begin(a, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, "setting a group's offsets");
    rd_kafka_AlterConsumerGroupOffsets(a->client.rk, &request, 1, q.options, q.queue);
    rc = admin_wait(a, &q, err);
    if (rc >= 0) rc = admin_was_set(a, &q, err);
    admin_end(&q);
    rd_kafka_AlterConsumerGroupOffsets_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

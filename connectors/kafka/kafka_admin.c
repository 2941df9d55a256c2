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

/* Waits for the answer to an admin request; NULL and an error when it failed as a whole. */
static rd_kafka_event_t *admin_answer(struct kafka_admin *a, rd_kafka_queue_t *queue, const char *what,
                                      eddy_status *rc, struct eddy_error *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, a->timeout_ms + 1000);
    *rc = EDDY_OK;
    if (!event) {
        *rc = admin_fail(a, what, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, err);
    } else if (rd_kafka_event_error(event)) {
        *rc = admin_fail(a, what, rd_kafka_event_error(event), rd_kafka_event_error_string(event), err);
        rd_kafka_event_destroy(event);
        event = NULL;
    }
    return event;
}

static rd_kafka_AdminOptions_t *admin_options(struct kafka_admin *a, rd_kafka_admin_op_t op)
{
    char text[200];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(a->client.rk, op);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, a->timeout_ms, text, sizeof(text));
    return options;
}

/* The answer to a change of one topic. */
static eddy_status admin_topic_done(struct kafka_admin *a, const rd_kafka_topic_result_t **results, size_t n,
                                    const char *what, struct eddy_error *err)
{
    rd_kafka_resp_err_t code = n == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__FAIL;
    if (!code) return EDDY_OK;
    return admin_fail(a, what, code, n == 1 ? rd_kafka_topic_result_error_string(results[0]) : "", err);
}

static eddy_status admin_create(struct kafka_admin *a, const char *topic, int n_partitions, const char *policy,
                                struct eddy_error *err)
{
    static const char what[] = "creating a topic";
    char text[200];
    eddy_status rc;
    size_t n = 0;
    rd_kafka_NewTopic_t *made = rd_kafka_NewTopic_new(topic, n_partitions, -1, text, sizeof(text));
    if (!made) return eddy_fail(err, EDDY_EINVAL, "kafka: topic %s: %s", topic, text);
    if (policy) (void)rd_kafka_NewTopic_set_config(made, "cleanup.policy", policy);
    rd_kafka_AdminOptions_t *options = admin_options(a, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(a->client.rk);

    rd_kafka_CreateTopics(a->client.rk, &made, 1, options, queue);
    rd_kafka_event_t *event = admin_answer(a, queue, what, &rc, err);
    if (event) {
        const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
            rd_kafka_event_CreateTopics_result(event), &n);
        rc = admin_topic_done(a, results, n, what, err);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
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
    static const char what[] = "deleting a topic";
    eddy_status rc;
    size_t n = 0;
    rd_kafka_DeleteTopic_t *gone = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_AdminOptions_t *options = admin_options(a, RD_KAFKA_ADMIN_OP_DELETETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(a->client.rk);

    rd_kafka_DeleteTopics(a->client.rk, &gone, 1, options, queue);
    rd_kafka_event_t *event = admin_answer(a, queue, what, &rc, err);
    if (event) {
        const rd_kafka_topic_result_t **results = rd_kafka_DeleteTopics_result_topics(
            rd_kafka_event_DeleteTopics_result(event), &n);
        rc = admin_topic_done(a, results, n, what, err);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
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

eddy_status kafka_admin_topic_setting(struct kafka_admin *a, const char *topic, const char *setting, char *out,
                                      size_t size, struct eddy_error *err)
{
    static const char what[] = "asking for a topic's settings";
    eddy_status rc;
    size_t n = 0;
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_AdminOptions_t *options = admin_options(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(a->client.rk);

    rd_kafka_DescribeConfigs(a->client.rk, &asked, 1, options, queue);
    rd_kafka_event_t *event = admin_answer(a, queue, what, &rc, err);
    if (event) {
        const rd_kafka_ConfigResource_t **found = rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(event), &n);
        rd_kafka_resp_err_t code = n == 1 ? rd_kafka_ConfigResource_error(found[0]) : RD_KAFKA_RESP_ERR__FAIL;
        if (code)
            rc = admin_fail(a, what, code, n == 1 ? rd_kafka_ConfigResource_error_string(found[0]) : "", err);
        else if ((rc = admin_find_setting(found[0], setting, out, size)) < 0)
            rc = eddy_fail(err, rc, "kafka %s: topic %s has no setting %s", kafka_servers(a->client.properties),
                           topic, setting);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
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

static eddy_status admin_ask_members(struct kafka_admin *a, const char *group, struct eddy_error *err)
{
    eddy_status rc;
    size_t n = 0;
    rd_kafka_AdminOptions_t *options = admin_options(a, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(a->client.rk);

    rd_kafka_DescribeConsumerGroups(a->client.rk, &group, 1, options, queue);
    rd_kafka_event_t *event = admin_answer(a, queue, "asking for a group's members", &rc, err);
    if (event) {
        const rd_kafka_ConsumerGroupDescription_t **groups = rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(event), &n);
        const rd_kafka_error_t *error = n == 1 ? rd_kafka_ConsumerGroupDescription_error(groups[0]) : NULL;
        rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
        if (code && code != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
            rc = admin_fail(a, "asking for a group's members", code, rd_kafka_error_string(error), err);
        else if (!code && n == 1)
            rc = (eddy_status)rd_kafka_ConsumerGroupDescription_member_count(groups[0]);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
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
static eddy_status admin_ask_committed(struct kafka_admin *a, const char *group,
                                       struct kafka_group_position *positions, int n, struct eddy_error *err)
{
    eddy_status rc;
    size_t n_groups = 0;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < n; i++) rd_kafka_topic_partition_list_add(list, positions[i].topic, positions[i].partition);
    rd_kafka_ListConsumerGroupOffsets_t *request = rd_kafka_ListConsumerGroupOffsets_new(group, list);
    rd_kafka_AdminOptions_t *options = admin_options(a, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(a->client.rk);

    rd_kafka_ListConsumerGroupOffsets(a->client.rk, &request, 1, options, queue);
    rd_kafka_event_t *event = admin_answer(a, queue, "asking for committed offsets", &rc, err);
    if (event) {
        const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
            rd_kafka_event_ListConsumerGroupOffsets_result(event), &n_groups);
        const rd_kafka_error_t *error = n_groups == 1 ? rd_kafka_group_result_error(groups[0]) : NULL;
        if (error)
            rc = admin_fail(a, "asking for committed offsets", rd_kafka_error_code(error),
                            rd_kafka_error_string(error), err);
        for (int i = 0; i < n && rc == EDDY_OK && n_groups == 1; i++) {
            rd_kafka_topic_partition_list_t *found = (rd_kafka_topic_partition_list_t *)(uintptr_t)
                rd_kafka_group_result_partitions(groups[0]);
            const rd_kafka_topic_partition_t *e = rd_kafka_topic_partition_list_find(found, positions[i].topic,
                                                                                     positions[i].partition);
            positions[i].committed = e && !e->err && e->offset >= 0 ? e->offset : -1;
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
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
        positions[i] = (struct kafka_group_position){places[i].topic, places[i].partition, places[i].low,
                                                     places[i].high,  places[i].at,        -1};
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

eddy_status kafka_admin_set_positions(struct kafka_admin *a, const char *group,
                                      const struct kafka_group_position *positions, int n, struct eddy_error *err)
{
    static const char what[] = "setting a group's offsets";
    size_t n_groups = 0;
    eddy_status rc = kafka_admin_members(a, group, err);
    if (rc < 0) return rc;
    if (rc > 0)
        return eddy_fail(err, EDDY_EBUSY, "kafka: group %s has %d live members: stop them first", group, (int)rc);

    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, positions[i].topic, positions[i].partition)->offset =
            positions[i].committed;
    rd_kafka_AlterConsumerGroupOffsets_t *request = rd_kafka_AlterConsumerGroupOffsets_new(group, list);
    rd_kafka_AdminOptions_t *options = admin_options(a, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(a->client.rk);

    rd_kafka_AlterConsumerGroupOffsets(a->client.rk, &request, 1, options, queue);
    rd_kafka_event_t *event = admin_answer(a, queue, what, &rc, err);
    if (event) {
        const rd_kafka_group_result_t **groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
            rd_kafka_event_AlterConsumerGroupOffsets_result(event), &n_groups);
        const rd_kafka_error_t *error = n_groups == 1 ? rd_kafka_group_result_error(groups[0]) : NULL;
        rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
        if (!code && n_groups == 1) code = admin_first_error(groups[0]);
        if (code) rc = admin_fail(a, what, code, error ? rd_kafka_error_string(error) : NULL, err);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_AlterConsumerGroupOffsets_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

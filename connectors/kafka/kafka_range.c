/* Reads fixed ranges of partitions: assign() instead of subscribe(), so no group ever hears of it.
 *
 * A partition is done when its position reaches the end of the range, not when a certain message was seen: the last
 * offsets may be control records or compacted away.  The end-of-partition event carries the position then. */
#include "connectors/kafka/kafka.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/kafka_offsets.h"
#include "connectors/kafka/kafka_partitions.h"

enum { RANGE_ASK_MS = 4000, RANGE_WAIT_SLICE_MS = 100, RANGE_CONNECT_MS = 30000 };

struct kafka_range {
    struct kafka_client client;
    struct kafka_partitions partitions;
    struct source_listener listener;
    struct kafka_when from, to;
    struct kafka_place *places; /* ascending by topic, then partition */
    int64_t *ends;              /* [n_places] first offset not wanted */
    int n_places, connect_timeout_ms;
    int worker, workers; /* of `n_listed` partitions every workers-th is ours */
    int n_listed;
    bool asked, started;
};

static int range_compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static eddy_status range_add_topic(struct kafka_range *s, const char *topic, struct eddy_error *err)
{
    int n;
    eddy_status rc = kafka_client_topic(&s->client, topic, s->connect_timeout_ms, &n, err);
    if (rc < 0) return rc;
    struct kafka_place *places = realloc(s->places, (size_t)(s->n_places + n) * sizeof(*places));
    if (!places) return eddy_fail(err, EDDY_ENOMEM, "kafka: out of memory for %d partitions", n);
    s->places = places;
    for (int i = 0; i < n; i++)
        if (s->n_listed++ % s->workers == s->worker) places[s->n_places++] = (struct kafka_place){topic, i, 0, 0, 0};
    return EDDY_OK;
}

static eddy_status range_list(struct kafka_range *s, const struct eddy_strings *topics, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    const char **names = malloc((size_t)(topics->n + 1) * sizeof(*names));
    if (!names) return eddy_fail(err, EDDY_ENOMEM, "kafka: out of memory");
    for (int i = 0; i < topics->n; i++) names[i] = topics->item[i];
    qsort(names, (size_t)topics->n, sizeof(*names), range_compare_names);
    for (int i = 0; i < topics->n && rc == EDDY_OK; i++) rc = range_add_topic(s, names[i], err);
    free(names);
    if (rc < 0) return rc;
    s->ends = calloc((size_t)s->n_places + 1, sizeof(*s->ends));
    return s->ends ? EDDY_OK : eddy_fail(err, EDDY_ENOMEM, "kafka: out of memory for %d partitions", s->n_places);
}

/* Begin and end of every partition, as they are now. */
static eddy_status range_ask(struct kafka_range *s, struct eddy_error *err)
{
    if (s->asked) return EDDY_OK;
    if (s->n_places == 0) { /* more workers than partitions */
        s->asked = true;
        return EDDY_OK;
    }
    eddy_status rc = kafka_places(&s->client, s->places, s->n_places, &s->to, RANGE_ASK_MS, err);
    if (rc < 0) return rc;
    for (int i = 0; i < s->n_places; i++) {
        const struct kafka_place *p = &s->places[i];
        s->ends[i] = s->to.kind == KAFKA_TIME && p->at < p->high ? p->at : p->high;
    }
    rc = kafka_places(&s->client, s->places, s->n_places, &s->from, RANGE_ASK_MS, err);
    if (rc == EDDY_OK) s->asked = true;
    return rc;
}

static eddy_status range_start_one(struct kafka_range *s, int i, rd_kafka_topic_partition_list_t *list,
                                   struct eddy_error *err)
{
    const struct kafka_place *p = &s->places[i];
    struct kafka_partition *started;
    struct source_partition seen = {.topic = p->topic,
                                    .partition = p->partition,
                                    .committed = -1,
                                    .metadata = "",
                                    .low = p->low,
                                    .high = s->ends[i],
                                    .start = p->at};
    void *tag = NULL;
    int64_t next = s->listener.assign(s->listener.context, &seen, &tag, err);
    if (next < 0) return (eddy_status)next;
    eddy_status rc = kafka_partitions_start(&s->partitions, p->topic, p->partition, tag, next, s->ends[i], &started,
                                            err);
    if (rc < 0 || started->ended) return rc;
    rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset = next;
    return EDDY_OK;
}

static eddy_status range_start(struct kafka_range *s, struct eddy_error *err)
{
    eddy_status rc = range_ask(s, err);
    if (rc < 0) return rc;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(s->n_places);
    for (int i = 0; i < s->n_places && rc == EDDY_OK; i++) rc = range_start_one(s, i, list, err);
    if (rc == EDDY_OK && list->cnt > 0) {
        rd_kafka_resp_err_t code = rd_kafka_assign(s->client.rk, list);
        if (code) rc = eddy_fail(err, EDDY_EIO, "kafka: cannot assign: %s", rd_kafka_err2str(code));
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (rc == EDDY_OK) s->started = true;
    return rc == EDDY_EAGAIN ? EDDY_EIO : rc;
}

static eddy_status kafka_range_serve(void *source, struct eddy_error *err)
{
    struct kafka_range *s = source;
    int64_t n_held;
    for (rd_kafka_message_t *m; (m = rd_kafka_consumer_poll(s->client.rk, 0));) {
        struct eddy_error why = {0};
        if (m->err) (void)kafka_event_error(&s->client, m, NULL, &why);
        rd_kafka_message_destroy(m);
        if (why.code < 0 && !s->client.has_failed) {
            s->client.has_failed = true;
            s->client.failed = why;
        }
    }
    if (s->client.has_failed) {
        if (err) *err = s->client.failed;
        return s->client.failed.code;
    }
    if (s->started) return EDDY_OK;
    struct eddy_error why = {0};
    eddy_status rc = s->asked ? EDDY_OK : range_ask(s, &why);
    if (rc == EDDY_EAGAIN) {
        if (log_allowed(&s->client.away, 5000, &n_held)) log_warn("broker_away", "%s; asking again", why.message);
        return EDDY_OK;
    }
    if (rc == EDDY_OK) rc = range_start(s, &why);
    if (rc < 0 && err) *err = why;
    return rc;
}

static eddy_status kafka_range_poll(void *source, int timeout_ms, int max_records, struct source_batch *batches,
                                    int max_batches, struct eddy_error *err)
{
    struct kafka_range *s = source;
    int64_t end_ms = kafka_now_ms() + timeout_ms;
    for (;;) {
        eddy_status rc = kafka_range_serve(s, err);
        if (rc < 0) return rc;
        rc = kafka_partitions_drain(&s->partitions, max_records, batches, max_batches, err);
        if (rc != 0) return rc;
        int64_t left_ms = end_ms - kafka_now_ms();
        if (left_ms <= 0 || source_kafka_range.ended(s)) return 0;
        kafka_partitions_wait(&s->partitions, left_ms > RANGE_WAIT_SLICE_MS ? RANGE_WAIT_SLICE_MS : (int)left_ms);
    }
}

static void kafka_range_release(void *source)
{
    kafka_partitions_release(&((struct kafka_range *)source)->partitions);
}

static eddy_status range_set_paused(struct kafka_range *s, void *tag, bool paused, struct eddy_error *err)
{
    struct kafka_partition *p = kafka_partitions_by_tag(&s->partitions, tag);
    if (!p) return eddy_fail(err, EDDY_EINVAL, "kafka: pause or resume of an unknown partition");
    p->paused = paused;
    return EDDY_OK;
}

static eddy_status kafka_range_pause(void *source, void *tag, struct eddy_error *err)
{
    return range_set_paused(source, tag, true, err);
}

static eddy_status kafka_range_resume(void *source, void *tag, struct eddy_error *err)
{
    return range_set_paused(source, tag, false, err);
}

static bool kafka_range_ended(void *source)
{
    const struct kafka_range *s = source;
    if (!s->started) return false;
    for (int i = 0; i < s->partitions.n; i++)
        if (!s->partitions.item[i]->ended) return false;
    return true;
}

static void kafka_range_close(void *source)
{
    struct kafka_range *s = source;
    if (!s) return;
    for (int i = 0; i < s->partitions.n; i++) {
        struct eddy_error why = {0};
        struct kafka_partition *p = s->partitions.item[i];
        if (p->live && s->listener.revoke(s->listener.context, p->tag, false, &why) < 0)
            log_error("partition_revoked", "%s", why.message);
        kafka_partitions_stop(&s->partitions, p);
    }
    if (s->client.rk) (void)rd_kafka_assign(s->client.rk, NULL);
    kafka_partitions_free(&s->partitions);
    kafka_client_close(&s->client);
    free(s->places);
    free(s->ends);
    free(s);
}

static eddy_status kafka_range_open(const void *settings, const struct source_request *r, void **out,
                                    struct eddy_error *err)
{
    const struct kafka_range_settings *set = settings;
    *out = NULL;
    struct kafka_range *s = calloc(1, sizeof(*s));
    if (!s) return eddy_fail(err, EDDY_ENOMEM, "kafka range: out of memory");
    s->listener = r->listener;
    s->worker = r->worker;
    s->workers = r->workers > 1 ? r->workers : 1;
    s->connect_timeout_ms = set->connect_timeout ? (int)(set->connect_timeout / 1000000) : RANGE_CONNECT_MS;
    kafka_properties_warn(&set->properties);

    eddy_status rc = kafka_topics_check(&set->topics, err);
    if (rc == EDDY_OK) rc = kafka_when_parse(set->from, "--from", &s->from, err);
    if (rc == EDDY_OK) rc = kafka_when_parse(set->to ? set->to : "latest", "--to", &s->to, err);
    if (rc == EDDY_OK && s->to.kind == KAFKA_EARLIEST)
        rc = eddy_fail(err, EDDY_EINVAL, "--to: earliest leaves nothing to read");
    if (rc < 0) goto fail;
    struct kafka_client_request request = {.role = KAFKA_READER,
                                           .name = r->name,
                                           .properties = &set->properties,
                                           .worker = r->worker,
                                           .workers = r->workers,
                                           .stop = r->stop,
                                           .owner = s};
    rc = kafka_client_open(&s->client, &request, err);
    if (rc == EDDY_OK) rc = kafka_partitions_init(&s->partitions, &s->client, err);
    if (rc == EDDY_OK) rc = range_list(s, &set->topics, err);
    if (rc < 0) goto fail;
    (void)rd_kafka_poll_set_consumer(s->client.rk);
    *out = s;
    return EDDY_OK;
fail:
    kafka_range_close(s);
    return rc;
}

const struct eddy_source source_kafka_range = {
    .part = {.struct_size = sizeof(struct eddy_source),
             .kind = EDDY_PART_SOURCE,
             .name = "kafka_range",
             .summary = "A fixed range of Kafka topics, read outside of any group.",
             .settings_size = sizeof(struct kafka_range_settings)},
    .divides = true,
    .open = kafka_range_open,
    .poll = kafka_range_poll,
    .release = kafka_range_release,
    .serve = kafka_range_serve,
    .pause = kafka_range_pause,
    .resume = kafka_range_resume,
    .ended = kafka_range_ended,
    .close = kafka_range_close,
};

/* A record is on its way from labels_send() to its delivery report, which carries the record's offset in the label topic.
 * Reports of one partition come in the order of its offsets, because the producer is idempotent: what lies before an
 * acknowledged offset was acknowledged too.
 *
 * What cannot be written in time while a partition is given away must not be written later, behind what its next owner
 * writes.  librdkafka can only throw away everything at once: so the producer is replaced, and the partitions that stay
 * read again what it held. */
#include "connectors/kafka/kafka_labels.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/kafka_offsets.h"

enum {
    LABELS_ON_THEIR_WAY = 1000, /* records; also the most that one turn reads */
    LABELS_ASK_MS = 2000,       /* one question to the brokers */
    LABELS_RETRY_MS = 500,      /* between two rounds of questions */
    LABELS_FLUSH_MS = 2000,     /* for acknowledgements when partitions are given away */
    LABELS_SLICE_MS = 20
};

struct labels_partition {
    int32_t partition;
    bool live;           /* its events are ours */
    bool reading;        /* assigned to the reader */
    bool due;            /* acked is not yet confirmed by the group */
    bool stopping;       /* inside kafka_labels_stop() */
    int64_t next, acked; /* next offset to copy; what lies before `acked` is written for good */
    int n_on_the_way;
    int64_t n_relayed; /* acknowledged since it became ours */
};

struct kafka_labels {
    struct kafka_client reader, writer;
    struct kafka_client_request writing; /* to open the writer again */
    const char *topic, *events;          /* borrowed from the settings */
    struct kafka_when start;
    struct kafka_partitions *wake;
    rd_kafka_queue_t *reader_queue, *writer_queue; /* only to be woken by */
    struct labels_partition *item;                 /* [n] ascending, one per partition of the events */
    int n, n_on_the_way;
    rd_kafka_message_t *held; /* read, but the producer was full */
    int64_t settle_at_ms;     /* < 0 = nothing to ask */
    struct eddy_error failed;
};

static void labels_fail(struct kafka_labels *l, const struct eddy_error *why)
{
    if (l->failed.code == EDDY_OK) l->failed = *why;
}

static eddy_status labels_failure(struct kafka_labels *l, struct eddy_error *err)
{
    if (l->reader.has_failed) labels_fail(l, &l->reader.failed);
    if (l->writer.has_failed) labels_fail(l, &l->writer.failed);
    if (l->failed.code < 0 && err) *err = l->failed;
    return l->failed.code;
}

static void labels_log_error(rd_kafka_error_t *error, const char *what)
{
    if (!error) return;
    log_warn("kafka_labels", "%s: %s", what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
}

/* ---- writing ---- */

static void labels_refused(struct kafka_labels *l, int32_t partition, int64_t offset, const char *why)
{
    struct eddy_error text = {0};
    (void)eddy_fail(&text, EDDY_EIO,
                    "kafka: label %s [%d] offset %lld was not copied into %s, which needs write permission there: %s",
                    l->topic, (int)partition, (long long)offset, l->events, why);
    kafka_mask(l->reader.properties, text.message);
    labels_fail(l, &text);
}

static void labels_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct kafka_labels *l = ((struct kafka_client *)opaque)->owner;
    struct labels_partition *p = &l->item[m->partition];
    int64_t offset = (int64_t)(intptr_t)m->_private;
    (void)rk;
    p->n_on_the_way--;
    l->n_on_the_way--;
    if (m->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || m->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) return;
    if (m->err) {
        labels_refused(l, m->partition, offset, rd_kafka_err2str(m->err));
        return;
    }
    p->acked = offset + 1;
    p->due = true;
    p->n_relayed++;
}

static size_t labels_arguments(const struct kafka_labels *l, const rd_kafka_message_t *m, rd_kafka_vu_t args[8])
{
    rd_kafka_timestamp_type_t kind;
    int64_t time_ms = rd_kafka_message_timestamp(m, &kind);
    size_t n = 0;
    args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = l->events};
    args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = m->partition};
    args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = m->key, .size = m->key_len}};
    args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = m->payload, .size = m->len}};
    args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY};
    args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(intptr_t)m->offset};
    if (kind != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && time_ms > 0) /* 0 would mean now */
        args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = time_ms};
    return n;
}

/* False: the producer is full. */
static bool labels_send(struct kafka_labels *l, const rd_kafka_message_t *m)
{
    rd_kafka_vu_t args[8];
    rd_kafka_headers_t *found, *headers = NULL;
    size_t n = labels_arguments(l, m, args);
    if (rd_kafka_message_headers(m, &found) == RD_KAFKA_RESP_ERR_NO_ERROR) headers = rd_kafka_headers_copy(found);
    if (headers) args[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers};

    rd_kafka_error_t *error = rd_kafka_produceva(l->writer.rk, args, n);
    if (error && headers) rd_kafka_headers_destroy(headers); /* only a taken record owns them */
    if (error && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        rd_kafka_error_destroy(error);
        return false;
    }
    if (error) {
        labels_refused(l, m->partition, m->offset, rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        return true;
    }
    l->item[m->partition].next = m->offset + 1;
    l->item[m->partition].n_on_the_way++;
    l->n_on_the_way++;
    return true;
}

static eddy_status labels_open_writer(struct kafka_labels *l, struct eddy_error *err)
{
    eddy_status rc = kafka_client_open(&l->writer, &l->writing, err);
    if (rc < 0) return rc;
    l->writer_queue = rd_kafka_queue_get_main(l->writer.rk);
    kafka_partitions_watch(l->wake, l->writer_queue);
    return EDDY_OK;
}

static void labels_close_writer(struct kafka_labels *l)
{
    if (!l->writer.rk) return;
    if (l->writer_queue) {
        kafka_partitions_unwatch(l->writer_queue);
        rd_kafka_queue_destroy(l->writer_queue);
    }
    l->writer_queue = NULL;
    (void)rd_kafka_purge(l->writer.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_poll(l->writer.rk, 0);
    kafka_client_close(&l->writer);
}

/* ---- reading ---- */

static void labels_drop_held(struct kafka_labels *l)
{
    if (l->held) rd_kafka_message_destroy(l->held);
    l->held = NULL;
}

static void labels_assign(struct kafka_labels *l, struct labels_partition *p, bool on)
{
    if (p->reading == on) return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, l->topic, p->partition)->offset = p->next;
    labels_log_error(on ? rd_kafka_incremental_assign(l->reader.rk, list)
                        : rd_kafka_incremental_unassign(l->reader.rk, list),
                     on ? "assign" : "unassign");
    rd_kafka_topic_partition_list_destroy(list);
    p->reading = on;
    if (!on && l->held && l->held->partition == p->partition) labels_drop_held(l);
}

static void labels_begin(struct kafka_labels *l, const struct kafka_place *place, int64_t committed)
{
    struct labels_partition *p = &l->item[place->partition];
    p->next = committed >= 0 ? committed : place->at;
    if (p->next < place->low || p->next > place->high) {
        log_warn("labels_gone",
                 "%s [%d] keeps offsets %lld to %lld, but the group was at %lld: labels were deleted unread",
                 l->topic, (int)p->partition, (long long)place->low, (long long)place->high, (long long)committed);
        p->next = place->low;
    }
    p->acked = p->next;
    p->due = p->next != committed; /* so that a start at the end stays where it was */
    log_info("labels_assigned", "%s [%d] from offset %lld (committed %lld, kept %lld to %lld)", l->topic,
             (int)p->partition, (long long)p->next, (long long)committed, (long long)place->low,
             (long long)place->high);
    labels_assign(l, p, true);
}

static eddy_status labels_place(struct kafka_labels *l, struct kafka_place *places, struct eddy_error *err)
{
    rd_kafka_topic_partition_list_t *committed = rd_kafka_topic_partition_list_new(l->n);
    for (int i = 0; i < l->n; i++) {
        if (!l->item[i].live || l->item[i].reading) continue;
        places[committed->cnt] = (struct kafka_place){l->topic, i, 0, 0, 0};
        rd_kafka_topic_partition_list_add(committed, l->topic, i);
    }
    int n = committed->cnt;
    eddy_status rc = kafka_committed(&l->reader, committed, LABELS_ASK_MS, err);
    if (rc == EDDY_OK) rc = kafka_places(&l->reader, places, n, &l->start, LABELS_ASK_MS, err);
    for (int i = 0; i < n && rc == EDDY_OK; i++) {
        int64_t offset = committed->elems[i].offset;
        labels_begin(l, &places[i], offset >= 0 ? offset : -1);
    }
    rd_kafka_topic_partition_list_destroy(committed);
    return rc;
}

static void labels_settle(struct kafka_labels *l)
{
    int64_t n_held;
    struct eddy_error why = {0};
    if (l->settle_at_ms < 0 || kafka_now_ms() < l->settle_at_ms) return;
    struct kafka_place *places = calloc((size_t)l->n + 1, sizeof(*places));
    eddy_status rc = places ? labels_place(l, places, &why)
                            : eddy_fail(&why, EDDY_ENOMEM, "kafka: out of memory for %d partitions", l->n);
    free(places);
    l->settle_at_ms = rc == EDDY_EAGAIN ? kafka_now_ms() + LABELS_RETRY_MS : -1;
    if (rc == EDDY_EAGAIN && log_allowed(&l->reader.away, 5000, &n_held))
        log_warn("broker_away", "%s; asking again", why.message);
    if (rc < 0 && rc != EDDY_EAGAIN) labels_fail(l, &why);
}

/* True when the record is done with. */
static bool labels_take(struct kafka_labels *l, const rd_kafka_message_t *m)
{
    struct eddy_error why = {0};
    if (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF && kafka_event_error(&l->reader, m, NULL, &why) < 0)
        labels_fail(l, &why);
    if (m->err || m->partition < 0 || m->partition >= l->n) return true;
    const struct labels_partition *p = &l->item[m->partition];
    return !p->reading || m->offset < p->next || labels_send(l, m);
}

eddy_status kafka_labels_serve(struct kafka_labels *l, struct eddy_error *err)
{
    labels_settle(l);
    (void)rd_kafka_poll(l->writer.rk, 0);
    for (int i = 0; i < LABELS_ON_THEIR_WAY && l->n_on_the_way < LABELS_ON_THEIR_WAY; i++) {
        rd_kafka_message_t *m = l->held ? l->held : rd_kafka_consumer_poll(l->reader.rk, 0);
        l->held = NULL;
        if (!m) break;
        if (!labels_take(l, m)) {
            l->held = m;
            break;
        }
        rd_kafka_message_destroy(m);
        if (labels_failure(l, NULL) < 0) break;
    }
    return labels_failure(l, err);
}

/* ---- partitions come and go ---- */

eddy_status kafka_labels_start(struct kafka_labels *l, int32_t partition, struct eddy_error *err)
{
    if (partition >= l->n)
        return eddy_fail(err, EDDY_ECONFIG,
                         "kafka: %s has a partition %d by now, and the label topic %s %d partitions: give it as many",
                         l->events, (int)partition, l->topic, l->n);
    l->item[partition] = (struct labels_partition){.partition = partition, .live = true};
    l->settle_at_ms = 0;
    return EDDY_OK;
}

static bool labels_is_listed(const struct kafka_labels *l, const rd_kafka_topic_partition_list_t *list, int partition)
{
    for (int i = 0; list && i < list->cnt; i++)
        if (list->elems[i].partition == partition && strcmp(list->elems[i].topic, l->events) == 0) return true;
    return !list;
}

/* What the stopped partitions still have on its way. */
static int labels_unwritten(const struct kafka_labels *l)
{
    int n = 0;
    for (int i = 0; i < l->n; i++) n += l->item[i].live ? 0 : l->item[i].n_on_the_way;
    return n;
}

static void labels_replace_writer(struct kafka_labels *l)
{
    struct eddy_error why = {0};
    log_warn("labels_given_up", "%d labels for %s were not acknowledged: they will be copied again",
             labels_unwritten(l), l->events);
    labels_close_writer(l);
    for (int i = 0; i < l->n; i++) {
        struct labels_partition *p = &l->item[i];
        bool again = p->reading && p->next != p->acked;
        p->n_on_the_way = 0;
        if (!again) continue;
        labels_assign(l, p, false);
        p->next = p->acked;
        labels_assign(l, p, true);
    }
    l->n_on_the_way = 0;
    if (labels_open_writer(l, &why) < 0) labels_fail(l, &why);
}

/* Waits for acknowledgements of what the stopped partitions wrote; gives the rest up. */
static void labels_flush(struct kafka_labels *l, bool lost)
{
    int64_t end_ms = kafka_now_ms() + (lost ? 0 : LABELS_FLUSH_MS);
    (void)rd_kafka_poll(l->writer.rk, 0);
    while (labels_unwritten(l) > 0 && labels_failure(l, NULL) == EDDY_OK && kafka_now_ms() < end_ms)
        (void)rd_kafka_poll(l->writer.rk, LABELS_SLICE_MS);
    if (labels_unwritten(l) > 0) labels_replace_writer(l);
}

void kafka_labels_stop(struct kafka_labels *l, const rd_kafka_topic_partition_list_t *events, bool lost)
{
    if (!l) return;
    for (int i = 0; i < l->n; i++) {
        struct labels_partition *p = &l->item[i];
        if (!p->live || !labels_is_listed(l, events, i)) continue;
        p->stopping = true;
        p->live = false;
        labels_assign(l, p, false);
    }
    labels_flush(l, lost);
    for (int i = 0; i < l->n; i++) {
        struct labels_partition *p = &l->item[i];
        if (!p->stopping) continue;
        p->stopping = false;
        if (lost) p->due = false;
        log_info("labels_revoked", "%s [%d] at offset %lld: %lld labels were copied into %s%s", l->topic, i,
                 (long long)p->acked, (long long)p->n_relayed, l->events, lost ? " (lost)" : "");
    }
}

void kafka_labels_due(struct kafka_labels *l, rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; l && i < l->n; i++) {
        struct labels_partition *p = &l->item[i];
        if (!p->due) continue;
        rd_kafka_topic_partition_list_add(list, l->topic, i)->offset = p->acked;
        if (!p->live) p->due = false;
    }
}

void kafka_labels_confirm(struct kafka_labels *l, const rd_kafka_topic_partition_t *e)
{
    if (!l || strcmp(e->topic, l->topic) != 0 || e->partition < 0 || e->partition >= l->n) return;
    struct labels_partition *p = &l->item[e->partition];
    if (p->acked == e->offset) p->due = false;
}

/* ---- open and close ---- */

eddy_status kafka_labels_match(const char *labels, int n_labels, const char *events, int n_events,
                               struct eddy_error *err)
{
    if (n_labels == n_events) return EDDY_OK;
    return eddy_fail(err, EDDY_ECONFIG,
                     "kafka: the label topic %s has %d partitions and the events' topic %s has %d: a label is looked "
                     "for in the partition of its event, so both need the same number",
                     labels, n_labels, events, n_events);
}

static eddy_status labels_check_count(const struct kafka_labels *l, const struct kafka_source_settings *set,
                                      const struct source_request *r, struct eddy_error *err)
{
    const struct eddy_strings topic = {1, &set->labels};
    const struct kafka_question question = {r->name, &set->properties, (int)(set->connect_timeout / 1000000),
                                            r->stop};
    int n;
    eddy_status rc = kafka_count_partitions(&topic, &question, &n, err);
    return rc < 0 ? rc : kafka_labels_match(l->topic, n, l->events, l->n, err);
}

static eddy_status labels_open_reader(struct kafka_labels *l, const struct kafka_source_settings *set,
                                      const char *name, struct eddy_error *err)
{
    struct kafka_client_request reading = {
        .role = KAFKA_READER, .name = name, .properties = &set->properties, .n_partitions = l->n, .owner = l};
    eddy_status rc = kafka_client_open(&l->reader, &reading, err);
    if (rc < 0) return rc;
    (void)rd_kafka_poll_set_consumer(l->reader.rk);
    l->reader_queue = rd_kafka_queue_get_consumer(l->reader.rk);
    kafka_partitions_watch(l->wake, l->reader_queue);
    return EDDY_OK;
}

eddy_status kafka_labels_open(const struct kafka_source_settings *set, const struct source_request *r,
                              int n_partitions, struct kafka_partitions *wake, struct kafka_labels **out,
                              struct eddy_error *err)
{
    *out = NULL;
    struct kafka_labels *l = calloc(1, sizeof(*l));
    if (!l) return eddy_fail(err, EDDY_ENOMEM, "kafka labels: out of memory");
    l->topic = set->labels;
    l->events = set->topics.item[0];
    l->wake = wake;
    l->settle_at_ms = -1;
    l->n = n_partitions;
    l->writing = (struct kafka_client_request){.role = KAFKA_PRODUCER,
                                               .name = r->name,
                                               .properties = &set->properties,
                                               .owner = l,
                                               .on_delivery = labels_on_delivery};
    l->item = calloc((size_t)n_partitions + 1, sizeof(*l->item));
    eddy_status rc = l->item ? EDDY_OK : eddy_fail(err, EDDY_ENOMEM, "kafka labels: out of memory");
    if (rc == EDDY_OK) rc = kafka_when_parse(set->start, "start", &l->start, err);
    if (rc == EDDY_OK) rc = labels_check_count(l, set, r, err);
    if (rc == EDDY_OK) rc = labels_open_reader(l, set, r->name, err);
    if (rc == EDDY_OK) rc = labels_open_writer(l, err);
    if (rc < 0) {
        kafka_labels_close(l);
        return rc;
    }
    *out = l;
    return EDDY_OK;
}

void kafka_labels_close(struct kafka_labels *l)
{
    if (!l) return;
    labels_drop_held(l);
    if (l->reader_queue) {
        kafka_partitions_unwatch(l->reader_queue);
        rd_kafka_queue_destroy(l->reader_queue);
    }
    if (l->reader.rk) (void)rd_kafka_assign(l->reader.rk, NULL);
    kafka_client_close(&l->reader);
    labels_close_writer(l);
    free(l->item);
    free(l);
}

#include "connectors/kafka/kafka_partitions.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A drain stops here even if more records were asked for, so that large records cannot fill the memory. */
enum { DRAIN_MAX_BYTES = 8 * 1024 * 1024, NUDGE_MS = 20, BEHIND_MS = 200 };

struct drain {
    struct kafka_partitions *partitions;
    struct kafka_partition *partition;
    int n, max;
    size_t n_bytes;
    eddy_status rc;
    struct eddy_error *err;
};

eddy_status kafka_partitions_init(struct kafka_partitions *ps, struct kafka_client *client, struct eddy_error *err)
{
    *ps = (struct kafka_partitions){.client = client};
    ps->queue_messages = kafka_client_setting(client, "queued.min.messages");
    ps->queue_bytes = 1024 * kafka_client_setting(client, "queued.max.messages.kbytes");
    ps->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (ps->wake_fd < 0) return eddy_fail(err, EDDY_EIO, "kafka: cannot make an eventfd: %s", strerror(errno));
    return EDDY_OK;
}

void kafka_partitions_free(struct kafka_partitions *ps)
{
    if (!ps->client) return;
    for (int i = 0; i < ps->n; i++) {
        kafka_partitions_stop(ps, ps->item[i]);
        free(ps->item[i]->topic);
        free(ps->item[i]->commit_metadata);
        free(ps->item[i]);
    }
    free(ps->item);
    free(ps->records);
    eddy_arena_free(&ps->bytes);
    if (ps->wake_fd >= 0) (void)close(ps->wake_fd);
    *ps = (struct kafka_partitions){0};
}

struct kafka_partition *kafka_partitions_find(const struct kafka_partitions *ps, const char *topic, int32_t partition)
{
    for (int i = 0; i < ps->n; i++)
        if (ps->item[i]->partition == partition && strcmp(ps->item[i]->topic, topic) == 0) return ps->item[i];
    return NULL;
}

struct kafka_partition *kafka_partitions_by_tag(const struct kafka_partitions *ps, const void *tag)
{
    for (int i = 0; i < ps->n; i++)
        if (ps->item[i]->live && ps->item[i]->tag == tag) return ps->item[i];
    return NULL;
}

static struct kafka_partition *partitions_add(struct kafka_partitions *ps, const char *topic, int32_t partition)
{
    if (ps->n == ps->cap) {
        int cap = ps->cap ? 2 * ps->cap : 16;
        struct kafka_partition **item = realloc(ps->item, (size_t)cap * sizeof(struct kafka_partition *));
        if (!item) return NULL;
        ps->item = item;
        ps->cap = cap;
    }
    struct kafka_partition *p = calloc(1, sizeof(*p));
    if (!p) return NULL;
    p->topic = strdup(topic);
    if (!p->topic) {
        free(p);
        return NULL;
    }
    p->partition = partition;
    ps->item[ps->n++] = p;
    return p;
}

eddy_status kafka_partitions_start(struct kafka_partitions *ps, const char *topic, int32_t partition, void *tag,
                                   int64_t next, int64_t end, struct kafka_partition **out, struct eddy_error *err)
{
    struct kafka_partition *p = kafka_partitions_find(ps, topic, partition);
    if (!p) p = partitions_add(ps, topic, partition);
    if (!p) return eddy_fail(err, EDDY_ENOMEM, "kafka: out of memory for %s [%d]", topic, (int)partition);
    kafka_partitions_stop(ps, p);

    p->queue = rd_kafka_queue_get_partition(ps->client->rk, topic, partition);
    if (!p->queue) return eddy_fail(err, EDDY_EIO, "kafka: no queue for %s [%d]", topic, (int)partition);
    rd_kafka_queue_forward(p->queue, NULL); /* or librdkafka would lead it into the group's queue */
    kafka_partitions_watch(ps, p->queue);
    p->tag = tag;
    p->live = true;
    p->paused = p->commit_due = false;
    p->next = next;
    p->end = end;
    p->ended = next >= end;
    ps->n_live++;
    if (out) *out = p;
    return EDDY_OK;
}

static void partitions_drop(rd_kafka_message_t *message, void *context)
{
    (void)message;
    (void)context;
}

void kafka_partitions_stop(struct kafka_partitions *ps, struct kafka_partition *p)
{
    if (!p->live) return;
    kafka_partitions_unwatch(p->queue);
    (void)rd_kafka_consume_callback_queue(p->queue, 0, partitions_drop, NULL);
    rd_kafka_queue_destroy(p->queue);
    p->queue = NULL;
    p->tag = NULL;
    p->live = false;
    ps->n_live--;
}

static eddy_status partitions_bad_offset(struct kafka_client *c, const char *why, const struct kafka_partition *p,
                                         struct eddy_error *err)
{
    int64_t low = -1, high = -1;
    char range[80] = "";
    if (rd_kafka_get_watermark_offsets(c->rk, p->topic, p->partition, &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        low >= 0)
        (void)snprintf(range, sizeof(range), "; it begins at offset %lld", (long long)low);
    return eddy_fail(err, EDDY_EIO,
                     "kafka: %s [%d]: offset %lld is not there%s (%s): records were deleted, or the topic was made "
                     "anew",
                     p->topic, (int)p->partition, (long long)p->next, range, why);
}

eddy_status kafka_event_error(struct kafka_client *c, const rd_kafka_message_t *m, const struct kafka_partition *p,
                              struct eddy_error *err)
{
    char why[400];
    int64_t n_held;
    const char *topic = p ? p->topic : m->rkt ? rd_kafka_topic_name(m->rkt) : "";

    (void)snprintf(why, sizeof(why), "%s", rd_kafka_message_errstr(m));
    kafka_mask(c->properties, why);
    if (p && (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE))
        return partitions_bad_offset(c, why, p, err);
    if (kafka_error_is_final(m->err)) {
        if (!*topic)
            return eddy_fail(err, EDDY_EIO, "kafka %s: %s: %s", kafka_servers(c->properties),
                             rd_kafka_err2name(m->err), why);
        return eddy_fail(err, EDDY_EIO, "kafka: %s [%d] at offset %lld: %s: %s", topic, (int)m->partition,
                         (long long)(p ? p->next : m->offset), rd_kafka_err2name(m->err), why);
    }
    if (log_allowed(&c->other, 1000, &n_held))
        log_warn("kafka", "%s%s%s (%lld more not shown)", topic, *topic ? ": " : "", why, (long long)n_held);
    return EDDY_OK;
}

static eddy_status drain_copy(struct drain *d, const rd_kafka_message_t *m)
{
    struct kafka_partitions *ps = d->partitions;
    rd_kafka_timestamp_type_t kind;
    int64_t time_ms = rd_kafka_message_timestamp(m, &kind);
    bool timed = kind != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && time_ms > -9000000000000 && time_ms < 9000000000000;
    size_t key_len = m->key ? m->key_len : 0, len = m->payload ? m->len : 0;
    char *bytes = eddy_arena_take(&ps->bytes, key_len + len);

    if (!bytes)
        return eddy_fail(d->err, EDDY_ENOMEM, "kafka: out of memory for a record of %zu bytes at %s [%d] offset %lld",
                         key_len + len, d->partition->topic, (int)m->partition, (long long)m->offset);
    if (key_len) memcpy(bytes, m->key, key_len);
    if (len) memcpy(bytes + key_len, m->payload, len);
    ps->records[d->n++] = (struct eddy_record){.topic = d->partition->topic,
                                               .partition = m->partition,
                                               .offset = m->offset,
                                               .time_ns = timed ? time_ms * 1000000 : EDDY_NO_TIME,
                                               .key = m->key ? bytes : NULL,
                                               .key_len = key_len,
                                               .payload = m->payload ? bytes + key_len : NULL,
                                               .payload_len = len};
    d->n_bytes += key_len + len;
    return EDDY_OK;
}

/* Called by librdkafka for each message of a queue.  After an rd_kafka_yield() what is left stays in the queue. */
static void drain_message(rd_kafka_message_t *m, void *context)
{
    struct drain *d = context;
    struct kafka_partition *p = d->partition;

    if (d->rc < 0) {
        rd_kafka_yield(d->partitions->client->rk);
        return;
    }
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        /* Also behind control records and compacted-away ones, where no message would tell. */
        if (m->offset >= p->end) p->ended = true;
    } else if (m->err) {
        d->rc = kafka_event_error(d->partitions->client, m, p, d->err);
    } else if (m->offset >= p->end) {
        p->ended = true;
    } else if (m->offset >= p->next) {
        d->rc = drain_copy(d, m);
        p->next = m->offset + 1;
        if (p->next >= p->end) p->ended = true;
    }
    if (d->rc < 0 || d->n >= d->max || d->n_bytes >= DRAIN_MAX_BYTES || p->ended)
        rd_kafka_yield(d->partitions->client->rk);
}

static eddy_status partitions_reserve(struct kafka_partitions *ps, int n, struct eddy_error *err)
{
    if (n <= ps->records_cap) return EDDY_OK;
    struct eddy_record *records = realloc(ps->records, (size_t)n * sizeof(*records));
    if (!records) return eddy_fail(err, EDDY_ENOMEM, "kafka: out of memory for %d records", n);
    ps->records = records;
    ps->records_cap = n;
    return EDDY_OK;
}

/* librdkafka before 2.2 lets its broker threads sleep for up to a second once all queues were full, however fast they are
 * emptied then.  A question that nobody waits for wakes the threads of the partitions' leaders, so that queues may be
 * small and reading never stands still.  They are asked only around the time when a queue may have been full: with few
 * records they would cost more than these. */
static void partitions_nudge(struct kafka_partitions *ps, bool behind)
{
    int64_t now_ms = kafka_now_ms();
    if (behind) ps->behind_ms = now_ms;
    if (now_ms < ps->nudge_at_ms || now_ms > ps->behind_ms + BEHIND_MS || rd_kafka_version() >= 0x02020000) return;
    ps->nudge_at_ms = now_ms + NUDGE_MS;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(ps->n_live);
    for (int i = 0; i < ps->n; i++)
        if (ps->item[i]->live && !ps->item[i]->paused)
            rd_kafka_topic_partition_list_add(list, ps->item[i]->topic, ps->item[i]->partition)->offset =
                RD_KAFKA_OFFSET_END;
    if (list->cnt > 0) (void)rd_kafka_offsets_for_times(ps->client->rk, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
}

eddy_status kafka_partitions_drain(struct kafka_partitions *ps, int max_records, struct source_batch *batches,
                                   int max_batches, struct eddy_error *err)
{
    int n_batches = 0;
    kafka_partitions_release(ps);
    eddy_status rc = partitions_reserve(ps, max_records, err);
    if (rc < 0) return rc;

    struct drain d = {.partitions = ps, .max = max_records, .err = err};
    bool full = false, behind = false;
    for (int i = 0; i < ps->n && !full; i++) {
        int turn = (ps->cursor + i) % ps->n;
        struct kafka_partition *p = ps->item[turn];
        if (!p->live || p->paused || p->ended) continue;
        int first = d.n;
        size_t first_byte = d.n_bytes;
        d.partition = p;
        (void)rd_kafka_consume_callback_queue(p->queue, 0, drain_message, &d);
        if (d.rc < 0) return d.rc;
        if (d.n == first) continue;
        batches[n_batches++] = (struct source_batch){p->tag, d.n - first, ps->records + first};
        behind = behind || 2 * (d.n - first) >= ps->queue_messages ||
                 2 * (int64_t)(d.n_bytes - first_byte) >= ps->queue_bytes;
        full = d.n >= d.max || d.n_bytes >= DRAIN_MAX_BYTES || n_batches >= max_batches;
        if (full) ps->cursor = (turn + 1) % ps->n; /* it had its share: the next one comes first */
    }
    partitions_nudge(ps, full || behind);
    return n_batches;
}

void kafka_partitions_release(struct kafka_partitions *ps)
{
    eddy_arena_reset(&ps->bytes);
}

void kafka_partitions_watch(struct kafka_partitions *ps, rd_kafka_queue_t *queue)
{
    static const uint64_t one = 1;
    rd_kafka_queue_io_event_enable(queue, ps->wake_fd, &one, sizeof(one));
}

void kafka_partitions_unwatch(rd_kafka_queue_t *queue)
{
    rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
}

void kafka_partitions_wait(struct kafka_partitions *ps, int timeout_ms)
{
    struct pollfd fd = {.fd = ps->wake_fd, .events = POLLIN};
    uint64_t count;
    if (poll(&fd, 1, timeout_ms) > 0) {
        ssize_t n = read(ps->wake_fd, &count, sizeof(count));
        (void)n; /* nonblocking; only the waking counts */
    }
}

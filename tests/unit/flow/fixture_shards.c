#include "fixture_shards.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 64, TEXT = 64 };

struct shards_reader {
    struct shards *topic;
    struct source_listener listener;
    int worker, workers;
    void *tag[SHARDS];
    int64_t position[SHARDS];
    bool assigned, paused[SHARDS];
    int late_polls;
    int turn;
    struct eddy_record records[BATCH];
    char payload[BATCH][TEXT], key[BATCH][8];
};

static bool reader_has(const struct shards_reader *r, int partition)
{
    return partition % r->workers == r->worker;
}

static eddy_status shards_source_open(const void *settings, const struct source_request *request, void **out,
                                      struct eddy_error *err)
{
    struct shards_reader *r = calloc(1, sizeof(*r));
    if (!r) return eddy_fail(err, EDDY_ENOMEM, "shards: out of memory");
    r->topic = (struct shards *)(uintptr_t)settings;
    r->listener = request->listener;
    r->worker = request->worker;
    r->workers = request->workers > 1 ? request->workers : 1;
    r->listener.round(r->listener.context, SOURCE_JOINS, 0);
    (void)atomic_fetch_add(&r->topic->n_open, 1);
    *out = r;
    return EDDY_OK;
}

static int64_t shards_end(const struct shards *s, int p)
{
    return s->emptied[p] ? 0 : s->n_records;
}

static eddy_status reader_give(struct shards_reader *r, int p, struct eddy_error *err)
{
    const struct source_partition seen = {.topic = "t",
                                          .partition = p,
                                          .committed = r->topic->committed[p],
                                          .metadata = "",
                                          .high = shards_end(r->topic, p)};
    const int64_t from = r->listener.assign(r->listener.context, &seen, &r->tag[p], err);
    if (from >= 0) r->position[p] = from;
    return from < 0 ? (eddy_status)from : EDDY_OK;
}

static eddy_status reader_assign(struct shards_reader *r, struct eddy_error *err)
{
    if (r->worker > 0 && r->late_polls++ < r->topic->late_ms) return 0; /* a poll takes a millisecond and more */
    r->listener.round(r->listener.context, SOURCE_GIVES, 0);
    for (int p = 0; p < SHARDS; p++) {
        const eddy_status rc = reader_has(r, p) ? reader_give(r, p, err) : EDDY_OK;
        if (rc < 0) return rc;
    }
    r->assigned = true;
    r->listener.round(r->listener.context, SOURCE_SETTLED, 0);
    return EDDY_OK;
}

static void reader_record(struct shards_reader *r, int p, int64_t at, int i)
{
    (void)snprintf(r->key[i], sizeof(r->key[i]), "k%d", (int)(at % 5));
    (void)snprintf(r->payload[i], sizeof(r->payload[i]), "{\"ts\":%lld,\"v\":%.4f}",
                   (long long)(1700000000 + 60 * at),
                   (10 + p) * sin((double)at * (.05 + .01 * p)) + (double)(at % 7));
    r->records[i] = (struct eddy_record){.topic = "t",
                                         .partition = p,
                                         .offset = at,
                                         .time_ns = at,
                                         .key = r->key[i],
                                         .key_len = strlen(r->key[i]),
                                         .payload = r->payload[i],
                                         .payload_len = strlen(r->payload[i])};
}

static eddy_status shards_poll(void *source, int timeout_ms, int max_records, struct source_batch *batches,
                               int max_batches, struct eddy_error *err)
{
    struct shards_reader *r = source;
    (void)timeout_ms, (void)max_batches;
    (void)usleep(1200); /* so that a checkpoint every millisecond is due at every turn */
    if (!r->assigned) return reader_assign(r, err);
    for (int tries = 0; tries < SHARDS; tries++) {
        int p = r->turn++ % SHARDS;
        if (!reader_has(r, p) || r->paused[p] || r->position[p] >= shards_end(r->topic, p)) continue;
        if (r->topic->die_at >= 0 && r->position[p] >= r->topic->die_at) _exit(9);
        int64_t n = r->topic->n_records - r->position[p];
        if (n > BATCH) n = BATCH;
        if (n > max_records) n = max_records;
        for (int i = 0; i < n; i++) reader_record(r, p, r->position[p] + i, i);
        r->position[p] += n;
        batches[0] = (struct source_batch){r->tag[p], (int)n, r->records};
        return 1;
    }
    (void)usleep(1000);
    if (r->worker > 0 && r->topic->stop_when_read) __atomic_store_n(r->topic->stop_when_read, 1, __ATOMIC_RELAXED);
    return 0;
}

static void shards_release(void *source)
{
    (void)source;
}

static eddy_status shards_serve(void *source, struct eddy_error *err)
{
    (void)source, (void)err;
    return EDDY_OK;
}

static eddy_status reader_pause(struct shards_reader *r, const void *tag, bool paused)
{
    for (int p = 0; p < SHARDS; p++)
        if (r->tag[p] == tag) r->paused[p] = paused;
    return EDDY_OK;
}

static eddy_status shards_pause(void *source, void *tag, struct eddy_error *err)
{
    (void)err;
    return reader_pause(source, tag, true);
}

static eddy_status shards_resume(void *source, void *tag, struct eddy_error *err)
{
    (void)err;
    return reader_pause(source, tag, false);
}

static eddy_status shards_again(void *source, void *tag, struct eddy_error *err)
{
    struct shards_reader *r = source;
    int p = 0;
    while (r->tag[p] != tag) p++;
    const eddy_status rc = r->listener.revoke(r->listener.context, tag, true, err);
    r->paused[p] = false;
    return rc < 0 ? rc : reader_give(r, p, err);
}

static eddy_status shards_commit(void *source, const struct source_position *at, int n, struct eddy_error *err)
{
    struct shards_reader *r = source;
    (void)err;
    for (int i = 0; i < n; i++) r->topic->committed[at[i].partition] = at[i].next;
    return EDDY_OK;
}

static bool shards_ended(void *source)
{
    const struct shards_reader *r = source;
    if (!r->assigned || r->topic->endless) return false;
    for (int p = 0; p < SHARDS; p++)
        if (reader_has(r, p) && r->position[p] < shards_end(r->topic, p)) return false;
    return true;
}

static void shards_source_close(void *source)
{
    struct shards_reader *r = source;
    struct eddy_error err = {0};
    if (!r) return;
    for (int p = 0; p < SHARDS; p++)
        if (r->assigned && reader_has(r, p)) (void)r->listener.revoke(r->listener.context, r->tag[p], false, &err);
    (void)atomic_fetch_sub(&r->topic->n_open, 1);
    free(r);
}

const struct eddy_source shards_source = {
    .part = {sizeof(struct eddy_source), EDDY_PART_SOURCE, "shards", "for tests", NULL, 0, NULL},
    .divides = true,
    .open = shards_source_open,
    .poll = shards_poll,
    .release = shards_release,
    .serve = shards_serve,
    .pause = shards_pause,
    .resume = shards_resume,
    .commit = shards_commit,
    .again = shards_again,
    .ended = shards_ended,
    .close = shards_source_close};

static eddy_status shards_sink_open(const void *settings, const struct sink_request *request, void **out,
                                    struct eddy_error *err)
{
    (void)request, (void)err;
    *out = (void *)(uintptr_t)settings;
    return EDDY_OK;
}

/* Each partition is one worker's, so nothing here is written from two threads. */
static eddy_status shards_send(void *sink, const struct sink_message *m, int n, struct eddy_error *err)
{
    struct shards *s = sink;
    for (int i = 0; i < n; i++) {
        int p = m[i].partition;
        if (p == s->broken) return eddy_fail(err, EDDY_EIO, "t.out[%d]: message too large", p);
        if (eddy_buffer_append(&s->out[p], m[i].payload, m[i].len) < 0 || eddy_buffer_append(&s->out[p], "\n", 1) < 0)
            return eddy_fail(err, EDDY_ENOMEM, "shards: out of memory");
        s->n_out[p]++;
    }
    return n;
}

static eddy_status shards_service(void *sink, int timeout_ms, struct eddy_error *err)
{
    (void)sink, (void)timeout_ms, (void)err;
    return EDDY_OK;
}

static int64_t shards_outstanding(void *sink)
{
    (void)sink;
    return 0;
}

static void shards_sink_close(void *sink)
{
    (void)sink;
}

const struct eddy_sink shards_sink = {
    .part = {sizeof(struct eddy_sink), EDDY_PART_SINK, "shards", "for tests", NULL, 0, NULL},
    .shares = true,
    .open = shards_sink_open,
    .send = shards_send,
    .service = shards_service,
    .outstanding = shards_outstanding,
    .close = shards_sink_close};

void shards_open(struct shards *s, int n_records)
{
    memset(s, 0, sizeof(*s));
    s->n_records = n_records;
    s->die_at = s->broken = -1;
    for (int p = 0; p < SHARDS; p++) s->committed[p] = -1;
}

void shards_free(struct shards *s)
{
    for (int p = 0; p < SHARDS; p++) eddy_buffer_free(&s->out[p]);
}

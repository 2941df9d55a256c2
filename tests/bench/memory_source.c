#include "tests/bench/memory_source.h"

#include <stdlib.h>

struct memory_source {
    const struct records *records;
    struct source_listener listener;
    int partition;
    void *tag;
    int next;
    bool assigned, paused;
};

static eddy_status memory_open(const void *settings, const struct source_request *request, void **out,
                               struct eddy_error *err)
{
    struct memory_source *s = calloc(1, sizeof(*s));
    if (!s) return eddy_fail(err, EDDY_ENOMEM, "bench source: out of memory");
    s->records = settings;
    s->listener = request->listener;
    s->partition = request->worker;
    *out = s;
    return EDDY_OK;
}

static eddy_status memory_assign(struct memory_source *s, struct eddy_error *err)
{
    struct source_partition p = {
        .topic = "bench", .partition = s->partition, .committed = -1, .metadata = "", .high = s->records->n};
    int64_t from = s->listener.assign(s->listener.context, &p, &s->tag, err);
    if (from < 0) return (eddy_status)from;
    s->next = (int)from;
    s->assigned = true;
    return EDDY_OK;
}

static eddy_status memory_poll(void *source, int timeout_ms, int max_records, struct source_batch *batches,
                               int max_batches, struct eddy_error *err)
{
    struct memory_source *s = source;
    (void)timeout_ms;
    if (!s->assigned) {
        eddy_status rc = memory_assign(s, err);
        if (rc < 0) return rc;
    }
    int left = s->records->n - s->next;
    if (s->paused || left == 0 || max_batches < 1) return 0;
    int n = left < max_records ? left : max_records;
    batches[0] = (struct source_batch){.tag = s->tag, .n = n, .records = s->records->record + s->next};
    s->next += n;
    return 1;
}

static void memory_release(void *source)
{
    (void)source;
}

static eddy_status memory_serve(void *source, struct eddy_error *err)
{
    (void)source;
    (void)err;
    return EDDY_OK;
}

static eddy_status memory_pause(void *source, void *tag, struct eddy_error *err)
{
    (void)tag;
    (void)err;
    ((struct memory_source *)source)->paused = true;
    return EDDY_OK;
}

static eddy_status memory_resume(void *source, void *tag, struct eddy_error *err)
{
    (void)tag;
    (void)err;
    ((struct memory_source *)source)->paused = false;
    return EDDY_OK;
}

static bool memory_ended(void *source)
{
    const struct memory_source *s = source;
    return s->assigned && s->next == s->records->n;
}

static void memory_close(void *source)
{
    struct memory_source *s = source;
    if (!s) return;
    if (s->assigned) s->listener.revoke(s->listener.context, s->tag, false, NULL);
    free(s);
}

const struct eddy_source source_memory = {
    .part = {sizeof(source_memory), EDDY_PART_SOURCE, "memory", "Prepared records.", NULL, 0, NULL},
    .divides = true,
    .open = memory_open,
    .poll = memory_poll,
    .release = memory_release,
    .serve = memory_serve,
    .pause = memory_pause,
    .resume = memory_resume,
    .ended = memory_ended,
    .close = memory_close,
};

static eddy_status nowhere_open(const void *settings, const struct sink_request *request, void **sink,
                                struct eddy_error *err)
{
    (void)settings;
    (void)request;
    (void)err;
    *sink = (void *)(uintptr_t)&sink_nowhere; /* not NULL, or the driver would take it for no sink at all */
    return EDDY_OK;
}

static eddy_status nowhere_send(void *sink, const struct sink_message *messages, int n, struct eddy_error *err)
{
    (void)sink;
    (void)messages;
    (void)err;
    return n;
}

static eddy_status nowhere_service(void *sink, int timeout_ms, struct eddy_error *err)
{
    (void)sink;
    (void)timeout_ms;
    (void)err;
    return EDDY_OK;
}

static int64_t nowhere_outstanding(void *sink)
{
    (void)sink;
    return 0;
}

static void nowhere_close(void *sink)
{
    (void)sink;
}

const struct eddy_sink sink_nowhere = {
    .part = {sizeof(sink_nowhere), EDDY_PART_SINK, "nowhere", "Drops what it gets.", NULL, 0, NULL},
    .shares = true,
    .open = nowhere_open,
    .send = nowhere_send,
    .service = nowhere_service,
    .outstanding = nowhere_outstanding,
    .close = nowhere_close,
};

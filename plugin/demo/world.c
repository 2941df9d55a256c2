#include "plugin/demo/world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/config.h"
#include "engine/flow/sink.h"
#include "engine/flow/source.h"

enum { SEND_MAX = 512, READ_MAX = 4096, BATCHES_MAX = 16, RECORD_BYTES = 160, READ_WAIT_MS = 20 };

struct feed {
    const struct world_stream *stream;
    struct config *config;
    const struct eddy_sink *type;
    void *sink;
    int64_t n_sent;
};

struct world {
    struct feed feeds[WORLD_STREAMS];
    struct config *config; /* of the reader */
    const struct eddy_source *type;
    void *source;
    struct sink_message messages[SEND_MAX];
    char records[SEND_MAX][RECORD_BYTES];
    struct source_batch batches[BATCHES_MAX];
};

static eddy_status world_config(const struct eddy_parts *parts, const char *text, struct config **out,
                                struct eddy_error *err)
{
    const struct config_request request = {
        .text = text, .parts = parts, .source_optional = true, .sink_optional = true};
    return config_open(&request, out, err);
}

static eddy_status feed_open(struct feed *f, const char *servers, const struct world_stream *stream,
                             const struct eddy_parts *parts, struct eddy_error *err)
{
    char text[400];
    f->stream = stream;
    snprintf(text, sizeof(text),
             "name: demo-world\n"
             "sink: {kafka: {topic: %s, properties: {bootstrap.servers: \"%s\"}}}\n",
             stream->topic, servers);
    eddy_status rc = world_config(parts, text, &f->config, err);
    if (rc < 0) return rc;
    const struct settings *s = config_settings(f->config);
    const struct sink_request request = {.name = s->name};
    f->type = (const struct eddy_sink *)(const void *)s->sink.part;
    return f->type->open(s->sink.settings, &request, &f->sink, err);
}

/* The reader wants every score from the start on. */
static int64_t world_assign(void *context, const struct source_partition *p, void **tag, struct eddy_error *err)
{
    (void)context;
    (void)err;
    *tag = NULL;
    return p->low;
}
static eddy_status world_revoke(void *context, void *tag, bool lost, struct eddy_error *err)
{
    (void)context;
    (void)tag;
    (void)lost;
    (void)err;
    return EDDY_OK;
}

static eddy_status reader_open(struct world *w, const char *servers, const struct world_stream *streams,
                               const struct eddy_parts *parts, struct eddy_error *err)
{
    char text[400];
    snprintf(text, sizeof(text),
             "name: demo-world\n"
             "source: {kafka: {topics: [%s.scored, %s.scored], properties: {bootstrap.servers: \"%s\","
             " fetch.wait.max.ms: 20}}}\n",
             streams[0].topic, streams[1].topic, servers);
    eddy_status rc = world_config(parts, text, &w->config, err);
    if (rc < 0) return rc;
    const struct settings *s = config_settings(w->config);
    const struct eddy_limits limits = {s->limits.record, s->limits.key, s->limits.depth, s->limits.fields};
    const struct source_request request = {
        .name = s->name, .limits = &limits, .listener = {w, world_assign, world_revoke, NULL}};
    w->type = (const struct eddy_source *)(const void *)s->source.part;
    return w->type->open(s->source.settings, &request, &w->source, err);
}

eddy_status world_open(const char *servers, const struct world_stream streams[WORLD_STREAMS],
                       const struct eddy_parts *parts, struct world **out, struct eddy_error *err)
{
    *out = NULL;
    struct world *w = calloc(1, sizeof(*w));
    if (!w) return eddy_fail(err, EDDY_ENOMEM, "demo: out of memory");
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < WORLD_STREAMS && rc >= 0; i++) rc = feed_open(&w->feeds[i], servers, &streams[i], parts, err);
    if (rc >= 0) rc = reader_open(w, servers, streams, parts, err);
    if (rc < 0) {
        world_close(w);
        return rc;
    }
    *out = w;
    return EDDY_OK;
}

/* {"machine":"press-1","ts":"2026-03-02T00:05:00Z","temperature":61.22} */
static int world_record(const struct feed *f, int series, int step, char out[RECORD_BYTES])
{
    const struct simulation *s = f->stream->simulation;
    time_t seconds = (time_t)(simulation_time_ns(s, step) / 1000000000);
    struct tm tm;
    char when[32], value[32] = "null";
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
    double x = simulation_value(s, step, series);
    if (!isnan(x)) snprintf(value, sizeof(value), "%.*f", s->decimals, x);
    return snprintf(out, RECORD_BYTES, "{\"%s\":\"%s\",\"ts\":\"%s\",\"%s\":%s}", f->stream->key_field,
                    s->names[series], when, s->field, value);
}

/* The next events in order of time; the sink may take fewer, the rest is made again next time. */
static eddy_status feed_send(struct world *w, struct feed *f, struct eddy_error *err)
{
    const struct simulation *s = f->stream->simulation;
    int64_t until = f->stream->tally->n_scored + WORLD_IN_FLIGHT, all = tally_events(f->stream->tally);
    if (until > all) until = all;
    int n = 0;
    for (; n < SEND_MAX && f->n_sent + n < until; n++) {
        int series = (int)((f->n_sent + n) % s->n_series), step = (int)((f->n_sent + n) / s->n_series);
        int len = world_record(f, series, step, w->records[n]);
        w->messages[n] = (struct sink_message){.partition = 0,
                                               .key = s->names[series],
                                               .key_len = strlen(s->names[series]),
                                               .payload = w->records[n],
                                               .len = (size_t)len,
                                               .time_ns = EDDY_NO_TIME};
    }
    eddy_status rc = n ? f->type->send(f->sink, w->messages, n, err) : EDDY_OK;
    if (rc < 0 && rc != EDDY_EAGAIN) return rc;
    for (int i = 0; i < rc && f->stream->sent; i++) fprintf(f->stream->sent, "%s\n", w->records[i]);
    if (rc > 0) f->n_sent += rc;
    return f->type->service(f->sink, 0, err);
}

static eddy_status world_read(struct world *w, const struct eddy_record *r, struct eddy_error *err)
{
    struct scored scored;
    size_t topic = strlen(r->topic);
    if (!r->payload) return eddy_fail(err, EDDY_EDATA, "topic %s: an output record without content", r->topic);
    eddy_status rc = scored_read(r->payload, r->payload_len, &scored, err);
    if (rc < 0) return rc;
    for (int i = 0; i < WORLD_STREAMS; i++) {
        const struct world_stream *stream = w->feeds[i].stream;
        size_t n = strlen(stream->topic);
        if (topic <= n || strncmp(r->topic, stream->topic, n) != 0 || r->topic[n] != '.') continue;
        if (stream->scored) fprintf(stream->scored, "%.*s\n", (int)r->payload_len, r->payload);
        tally_add(stream->tally, &scored);
    }
    return EDDY_OK;
}

eddy_status world_turn(struct world *w, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    int n_records = 0;
    for (int i = 0; i < WORLD_STREAMS && rc >= 0; i++) rc = feed_send(w, &w->feeds[i], err);
    if (rc < 0) return rc;
    int n = w->type->poll(w->source, READ_WAIT_MS, READ_MAX, w->batches, BATCHES_MAX, err);
    if (n < 0) return n;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < w->batches[i].n && rc >= 0; k++, n_records++)
            rc = world_read(w, &w->batches[i].records[k], err);
    w->type->release(w->source);
    return rc < 0 ? rc : n_records;
}

void world_close(struct world *w)
{
    if (!w) return;
    if (w->source) w->type->close(w->source);
    config_close(w->config);
    for (int i = 0; i < WORLD_STREAMS; i++) {
        if (w->feeds[i].sink) w->feeds[i].type->close(w->feeds[i].sink);
        config_close(w->feeds[i].config);
    }
    free(w);
}

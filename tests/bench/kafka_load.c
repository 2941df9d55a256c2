#include "tests/bench/kafka_load.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/eddy_buffer.h"
#include "connectors/kafka/kafka_tuning.h"

enum { MOST_PARTITIONS = 16 };
static const double FLOOR_WAKE_S = .02;

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) bench_die(text, NULL);
}

/* What eddy owns stands in kafka_settings.c, what it tunes in kafka_tuning.c; this is the part that costs or saves time. */
static rd_kafka_t *load_client(const struct kafka_load *w, enum kafka_role role)
{
    char text[256];
    struct eddy_error err;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (kafka_tune(conf, role, w->latency, w->n_partitions, &err) < 0) bench_die("the floor's client", &err);
    set(conf, "bootstrap.servers", w->servers);
    if (role == KAFKA_MEMBER) {
        set(conf, "group.id", "floor");
        set(conf, "enable.auto.commit", "false");
        set(conf, "enable.auto.offset.store", "false");
    } else {
        set(conf, "enable.idempotence", "true");
        if (w->linger) set(conf, "linger.ms", w->linger);
    }
    rd_kafka_t *rk = rd_kafka_new(role == KAFKA_MEMBER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, text,
                                  sizeof(text));
    if (!rk) bench_die(text, NULL);
    return rk;
}

rd_kafka_t *load_writer(const struct kafka_load *w)
{
    return load_client(w, KAFKA_PRODUCER);
}

void load_produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, int32_t partition, const void *key, size_t key_len,
                  const void *payload, size_t len)
{
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)payload, len, key, key_len,
                            NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            bench_die(rd_kafka_err2str(rd_kafka_last_error()), NULL);
        rd_kafka_poll(rk, 5);
    }
}

void load_finish(rd_kafka_t *rk)
{
    if (rd_kafka_flush(rk, 60000) != RD_KAFKA_RESP_ERR_NO_ERROR) bench_die("flush timed out", NULL);
}

struct bench_run load_topics(const void *argument)
{
    const struct kafka_load *w = argument;
    char text[256];
    rd_kafka_t *rk = load_writer(w);
    rd_kafka_NewTopic_t *topics[] = {rd_kafka_NewTopic_new(w->input, w->n_partitions, 1, text, sizeof(text)),
                                     rd_kafka_NewTopic_new(w->output, w->n_partitions, 1, text, sizeof(text))};
    (void)rd_kafka_NewTopic_set_config(topics[1], "retention.bytes", "67108864");
    (void)rd_kafka_NewTopic_set_config(topics[1], "segment.bytes", "33554432");
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_CreateTopics(rk, topics, 2, NULL, queue);
    rd_kafka_event_t *answer = rd_kafka_queue_poll(queue, 30000);
    if (!answer || rd_kafka_event_error(answer)) bench_die("the topics could not be made", NULL);
    size_t n;
    const rd_kafka_topic_result_t **result = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(answer), &n);
    for (size_t i = 0; i < n; i++)
        if (rd_kafka_topic_result_error(result[i])) bench_die(rd_kafka_topic_result_error_string(result[i]), NULL);
    rd_kafka_event_destroy(answer);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy_array(topics, 2);
    rd_kafka_destroy(rk);
    return (struct bench_run){0};
}

struct bench_run load_fill(const void *argument)
{
    const struct kafka_load *w = argument;
    rd_kafka_t *rk = load_writer(w);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, w->input, NULL);
    for (int i = 0; i < w->records->n; i++) {
        const struct eddy_record *r = &w->records->record[i];
        int32_t partition = atoi(r->key + sizeof("sensor-") - 1) % w->n_partitions;
        load_produce(rk, topic, partition, r->key, r->key_len, r->payload, r->payload_len);
        if (i % LOAD_CHUNK == 0) rd_kafka_poll(rk, 0);
    }
    load_finish(rk);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    return (struct bench_run){.events = w->records->n};
}

rd_kafka_t *load_reader(const struct kafka_load *w, const char *topic, int64_t offset)
{
    rd_kafka_t *rk = load_client(w, KAFKA_MEMBER);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(w->n_partitions);
    for (int p = 0; p < w->n_partitions; p++) rd_kafka_topic_partition_list_add(list, topic, p)->offset = offset;
    if (rd_kafka_assign(rk, list) != RD_KAFKA_RESP_ERR_NO_ERROR) bench_die("assign failed", NULL);
    rd_kafka_topic_partition_list_destroy(list);
    return rk;
}

struct bench_run load_output_size(const void *argument)
{
    const struct kafka_load *w = argument;
    struct bench_run run = {0};
    const struct kafka_load first = {.servers = w->servers, .n_partitions = 1};
    rd_kafka_t *rk = load_reader(&first, w->output, RD_KAFKA_OFFSET_TAIL(LOAD_CHUNK));
    while (run.events < LOAD_CHUNK) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 10000);
        if (!m || m->err) bench_die("cannot read the outputs back", NULL);
        run.output_bytes += (double)m->len / LOAD_CHUNK;
        run.events++;
        rd_kafka_message_destroy(m);
    }
    rd_kafka_destroy(rk);
    return run;
}

/* ---- the floor ---- */

/* Messages in hand, by partition; keys are copied, as a callback's message is gone when it returns. */
struct floor_batch {
    rd_kafka_message_t message[LOAD_CHUNK];
    struct eddy_arena keys;
    int n;
};

struct floor_run {
    rd_kafka_t *in;
    size_t output_bytes;
    int n;
    struct floor_batch of[MOST_PARTITIONS];
};

static void floor_message(rd_kafka_message_t *m, void *context)
{
    static char payload[4096];
    struct floor_run *f = context;
    struct floor_batch *b = &f->of[m->partition];
    if (m->err) bench_die(rd_kafka_message_errstr(m), NULL);
    char *key = eddy_arena_take(&b->keys, m->key_len);
    if (!key) bench_die("out of memory", NULL);
    memcpy(key, m->key, m->key_len);
    b->message[b->n++] = (rd_kafka_message_t){
        .payload = payload, .len = f->output_bytes, .key = key, .key_len = m->key_len};
    if (++f->n >= LOAD_CHUNK) rd_kafka_yield(f->in);
}

/* All of a batch, however often the queue is full. */
static void floor_send(rd_kafka_t *out, rd_kafka_topic_t *topic, int32_t partition, struct floor_batch *b)
{
    int first = 0;
    while (first < b->n) {
        (void)rd_kafka_produce_batch(topic, partition, RD_KAFKA_MSG_F_COPY, b->message + first, b->n - first);
        while (first < b->n && !b->message[first].err) first++;
        if (first == b->n) break;
        if (b->message[first].err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            bench_die(rd_kafka_err2str(b->message[first].err), NULL);
        rd_kafka_poll(out, 5);
    }
    b->n = 0;
    eddy_arena_reset(&b->keys);
}

/* librdkafka before 2.2 sleeps for a second whenever its queues were full; eddy wakes it, and so does the floor, which would
 * else measure the sleep: the clients' idling, and records that fall out of the caches meanwhile. */
static void floor_wake(rd_kafka_t *in, const struct kafka_load *w, double *due)
{
    const double now = bench_clock(CLOCK_MONOTONIC);
    if (now < *due || rd_kafka_version() >= 0x02020000) return;
    *due = now + FLOOR_WAKE_S;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(w->n_partitions);
    for (int p = 0; p < w->n_partitions; p++)
        rd_kafka_topic_partition_list_add(list, w->input, p)->offset = RD_KAFKA_OFFSET_END;
    (void)rd_kafka_offsets_for_times(in, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
}

static void floor_pause(const struct kafka_load *w, double first, double n)
{
    const double ahead = first + n / w->rate - bench_clock(CLOCK_MONOTONIC);
    const struct timespec pause = {0, (long)(ahead * 1e9)};
    if (ahead > 0 && ahead < 1) nanosleep(&pause, NULL);
}

struct bench_run load_floor_free(const void *argument)
{
    struct kafka_load free = *(const struct kafka_load *)argument;
    free.rate = 0;
    return load_floor(&free);
}

struct bench_run load_floor(const void *argument)
{
    const struct kafka_load *w = argument;
    static struct floor_run f;
    f.in = load_reader(w, w->input, 0);
    f.output_bytes = w->output_bytes;
    rd_kafka_t *out = load_writer(w);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(out, w->output, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(f.in);
    struct bench_run run = {.cpu_process = -bench_clock(CLOCK_PROCESS_CPUTIME_ID),
                            .cpu_loop = -bench_clock(CLOCK_THREAD_CPUTIME_ID)};
    double first = 0, wake = 0;
    bool warm = w->n_warm == 0;
    while (run.events < w->records->n) {
        f.n = 0;
        (void)rd_kafka_consume_callback_queue(queue, LOAD_POLL_MS, floor_message, &f);
        if (f.n > 0 && first == 0) first = bench_clock(CLOCK_MONOTONIC);
        for (int p = 0; p < w->n_partitions; p++)
            if (f.of[p].n > 0) floor_send(out, topic, p, &f.of[p]);
        run.events += f.n;
        rd_kafka_poll(out, 0);
        if (w->rate > 0 && f.n > 0) floor_pause(w, first, run.events);
        if (f.n >= LOAD_CHUNK) floor_wake(f.in, w, &wake); /* only with many records */
        if (warm || run.events < w->n_warm) continue;
        warm = true;
        run.cpu_process = -bench_clock(CLOCK_PROCESS_CPUTIME_ID);
        run.cpu_loop = -bench_clock(CLOCK_THREAD_CPUTIME_ID);
    }
    load_finish(out);
    run.events -= w->n_warm;
    run.seconds = bench_clock(CLOCK_MONOTONIC) - first;
    run.cpu_process += bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    run.cpu_loop += bench_clock(CLOCK_THREAD_CPUTIME_ID);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(out);
    rd_kafka_destroy(f.in);
    return run;
}

/* The whole pipeline through Kafka: JSON records out of the mock cluster (a process of its own), scored, and back into
 * it, beside the floor: librdkafka alone, consuming the same records and producing as many of the same size.
 * EDDY_BENCH_EVENTS (default 400,000), 16 partitions; the mock keeps 5 MiB of each. */
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/kafka/kafka_mock.h"
#include "tests/bench/bench.h"
#include "tests/bench/records.h"

enum { N_PARTITIONS = 16, CHUNK = 1000, POLL_MS = 100 };

struct kafka_case {
    const char *name, *network, *mode; /* network NULL = the floor */
};
static const struct kafka_case cases[] = {
    {"lstm-32, training off", "lstm", "off"},
    {"lstm-32, training in the background", "lstm", "background"},
    {"gru-32, training in the background", "gru", "background"},
    {"librdkafka alone (the floor)", NULL, NULL},
};
enum { N_CASES = sizeof(cases) / sizeof(cases[0]) };

struct work {
    const struct kafka_case *which;
    const char *servers;
    const struct records *records;
    int round;
    size_t output_bytes; /* payload of one output, for the floor */
};

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) bench_die(text, NULL);
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *servers)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", servers);
    if (type == RD_KAFKA_PRODUCER) {
        set(conf, "linger.ms", "5");
        set(conf, "enable.idempotence", "true");
        set(conf, "queue.buffering.max.messages", "20000");
    } else {
        set(conf, "group.id", "floor");
        set(conf, "enable.auto.commit", "false");
        set(conf, "check.crcs", "true");
    }
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof(text));
    if (!rk) bench_die(text, NULL);
    return rk;
}

/* Queues one message, waiting while the queue is full. */
static void produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, int32_t partition, const struct eddy_record *r,
                    const void *payload, size_t len)
{
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)payload, len, r->key,
                            r->key_len, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            bench_die(rd_kafka_err2str(rd_kafka_last_error()), NULL);
        rd_kafka_poll(rk, 5);
    }
}

static void finish(rd_kafka_t *rk)
{
    if (rd_kafka_flush(rk, 60000) != RD_KAFKA_RESP_ERR_NO_ERROR) bench_die("flush timed out", NULL);
}

/* Fills the input topic; a key stays in one partition. */
static struct bench_run fill(const void *argument)
{
    const struct work *w = argument;
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, w->servers);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, "bench", NULL);
    for (int i = 0; i < w->records->n; i++) {
        const struct eddy_record *r = &w->records->record[i];
        int32_t partition = atoi(r->key + sizeof("sensor-") - 1) % N_PARTITIONS;
        produce(rk, topic, partition, r, r->payload, r->payload_len);
        if (i % CHUNK == 0) rd_kafka_poll(rk, 0);
    }
    finish(rk);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    return (struct bench_run){.events = w->records->n};
}

static rd_kafka_t *reader(const char *servers, const char *topic, int64_t offset, int n_partitions)
{
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, servers);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n_partitions);
    for (int p = 0; p < n_partitions; p++) rd_kafka_topic_partition_list_add(list, topic, p)->offset = offset;
    if (rd_kafka_assign(rk, list) != RD_KAFKA_RESP_ERR_NO_ERROR) bench_die("assign failed", NULL);
    rd_kafka_topic_partition_list_destroy(list);
    return rk;
}

/* The mean payload of the newest outputs. */
static struct bench_run output_size(const void *argument)
{
    const struct work *w = argument;
    struct bench_run run = {0};
    rd_kafka_t *rk = reader(w->servers, "bench.scored", RD_KAFKA_OFFSET_TAIL(CHUNK), 1);
    while (run.events < CHUNK) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 10000);
        if (!m || m->err) bench_die("cannot read the outputs back", NULL);
        run.output_bytes += (double)m->len / CHUNK;
        run.events++;
        rd_kafka_message_destroy(m);
    }
    rd_kafka_destroy(rk);
    return run;
}

static struct bench_run floor_run(const void *argument)
{
    const struct work *w = argument;
    static const char payload[4096];
    rd_kafka_message_t *batch[CHUNK];
    rd_kafka_t *in = reader(w->servers, "bench", 0, N_PARTITIONS), *out = client(RD_KAFKA_PRODUCER, w->servers);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(out, "bench.scored", NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(in);
    struct bench_run run = {.cpu_process = -bench_clock(CLOCK_PROCESS_CPUTIME_ID)};
    double first = 0;
    while (run.events < w->records->n) {
        ssize_t n = rd_kafka_consume_batch_queue(queue, POLL_MS, batch, CHUNK);
        if (n > 0 && first == 0) first = bench_clock(CLOCK_MONOTONIC);
        for (ssize_t i = 0; i < n; i++) {
            const rd_kafka_message_t *m = batch[i];
            struct eddy_record r = {.key = m->key, .key_len = m->key_len};
            if (m->err) bench_die(rd_kafka_message_errstr(m), NULL);
            produce(out, topic, m->partition, &r, payload, w->output_bytes);
            rd_kafka_message_destroy(batch[i]);
        }
        run.events += (double)n;
        rd_kafka_poll(out, 0);
    }
    finish(out);
    run.seconds = bench_clock(CLOCK_MONOTONIC) - first;
    run.cpu_process += bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(out);
    rd_kafka_destroy(in);
    return run;
}

/* Counts results, and stops the pipeline after the last one. */
struct progress {
    int n, want;
    volatile sig_atomic_t stop;
    double first, last; /* when the first and the last result came: joining the group takes seconds */
};

static void on_result(void *context, const struct eddy_result *result)
{
    struct progress *p = context;
    (void)result;
    if (p->n == 0) p->first = bench_clock(CLOCK_MONOTONIC);
    if (++p->n < p->want) return;
    p->last = bench_clock(CLOCK_MONOTONIC);
    p->stop = 1;
}

static struct bench_run pipeline_run(const void *argument)
{
    const struct work *w = argument;
    struct progress progress = {.want = w->records->n};
    char yaml[1024];
    snprintf(yaml, sizeof(yaml),
             "name: bench-%s-%s-%d\n"
             "source: {kafka: {topics: [bench], properties: {bootstrap.servers: \"%s\"}}}\n"
             "sink: {kafka: {topic: bench.scored}}\n"
             "codec: {json: {key: $key, time: ts, values: [temperature]}}\n"
             "forecast: {network: {layers: [{%s: {units: 32}}]}}\n"
             "detect: {warmup: 10}\n"
             "train: {mode: %s}\n",
             w->which->network, w->which->mode, w->round, w->servers, w->which->network, w->which->mode);
    struct driver_request request = {
        .commit = true, .stop = &progress.stop, .on_result = on_result, .context = &progress};
    struct bench_run run = bench_pipeline(yaml, request);
    if (progress.n != progress.want) bench_die("not every record was scored", NULL);
    run.seconds = progress.last - progress.first;
    return run;
}

int main(void)
{
    const char *events = getenv("EDDY_BENCH_EVENTS");
    const struct kafka_mock_topic topics[] = {{"bench", N_PARTITIONS}, {"bench.scored", N_PARTITIONS}};
    struct kafka_mock *mock;
    struct eddy_error err;
    struct records records;
    struct bench_run run[N_CASES][BENCH_ROUNDS];
    records_open(&records, events ? atoi(events) : 400000, 10000);
    if (kafka_mock_open(topics, 2, &mock, &err) < 0) bench_die("mock cluster", &err);
    struct work work = {.servers = kafka_mock_servers(mock), .records = &records};
    bench_in_child(fill, &work);
    for (work.round = 0; work.round < BENCH_ROUNDS; work.round++) {
        for (int c = 0; c < N_CASES; c++) {
            work.which = &cases[c];
            run[c][work.round] = bench_in_child(work.which->network ? pipeline_run : floor_run, &work);
            if (!work.output_bytes) work.output_bytes = (size_t)bench_in_child(output_size, &work).output_bytes;
        }
    }
    for (int c = 0; c < N_CASES; c++) {
        char extra[64];
        struct bench_run median = bench_median(run[c], BENCH_ROUNDS);
        snprintf(extra, sizeof(extra), ",\"output_bytes\":%zu", work.output_bytes);
        bench_print("kafka", cases[c].name, &median, extra);
    }
    kafka_mock_close(mock);
    records_close(&records);
    return 0;
}

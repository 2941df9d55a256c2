/* A lost machine: what it costs to write the state of so many keys into the state topic, and to get it back from there on
 * a machine that has nothing (state.topic), through a real broker.
 *
 * Three lives, each a process of its own: one event of every key is folded; all of it is published; the state directory is
 * removed, and everything restored.  An LSTM of 64 units per key, as in bench_kafka.
 *   seconds      of publishing, from the first transaction's begin to the last one's end; of restoring, the metric that a
 *                running pipeline tells (event=restored, and event=progress)
 *   mib, bytes_per_key   keys and values of the records, before Kafka compresses them
 *   cpu_s        of the whole life
 * BROKERS names the cluster (bench.sh starts an Apache Kafka); the mock cluster keeps 5 MiB of a partition and no positions
 * of transactions, so without a real one there is only a row that says so.
 * EDDY_BENCH_KEYS: how many keys (default 1,000,000). */
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "connectors/kafka/kafka.h"
#include "tests/bench/kafka_load.h"

enum { N_PARTITIONS = 4, DIRECTORIES = 16 };
#define INPUT "restore"
#define STATE "restore.state"

struct life {
    struct kafka_load load;
    const char *directory;
    bool with_topic;
    bool (*done)(const struct life *, const struct driver_stats *);
};

/* ---- the state topic, counted ---- */

static struct {
    double bytes, began, ended;
} counted; /* of this process, which is one life */

static eddy_status counted_begin(void *topic, int32_t partition, struct eddy_error *err)
{
    if (counted.began == 0) counted.began = bench_clock(CLOCK_MONOTONIC);
    return state_topic_kafka.begin(topic, partition, err);
}

static eddy_status counted_send(void *topic, int32_t partition, const struct eddy_buffer *key,
                                const struct eddy_buffer *value, struct eddy_error *err)
{
    const eddy_status rc = state_topic_kafka.send(topic, partition, key, value, err);
    if (rc > 0) counted.bytes += (double)(key->len + (value ? value->len : 0));
    return rc;
}

static eddy_status counted_commit(void *topic, void *source, int32_t partition, int64_t end, int timeout_ms,
                                  struct eddy_error *err)
{
    const eddy_status rc = state_topic_kafka.commit(topic, source, partition, end, timeout_ms, err);
    counted.ended = bench_clock(CLOCK_MONOTONIC);
    return rc;
}

static eddy_status counted_read(void *topic, int timeout_ms, struct state_topic_record *record,
                                struct eddy_error *err)
{
    const eddy_status rc = state_topic_kafka.read(topic, timeout_ms, record, err);
    if (rc > 0) counted.bytes += (double)(record->key_len + record->len);
    return rc;
}

/* ---- lives ---- */

struct progress {
    const struct life *life;
    struct driver_stats stats;
    volatile sig_atomic_t stop;
};

static void on_tick(void *context, const struct driver_stats *stats)
{
    struct progress *p = context;
    p->stats = *stats;
    if (p->life->done(p->life, stats)) p->stop = 1;
}

static bool folded(const struct life *l, const struct driver_stats *s)
{
    return s->events >= l->load.records->n;
}

static bool published(const struct life *l, const struct driver_stats *s)
{
    return s->publications >= N_PARTITIONS && s->published_rows >= l->load.records->n_keys;
}

static bool restored(const struct life *l, const struct driver_stats *s)
{
    (void)l;
    return s->restores >= N_PARTITIONS && s->partitions >= N_PARTITIONS;
}

/* events: the keys; seconds: of the copy; output_bytes: its bytes. */
static struct bench_run life_run(const void *argument)
{
    const struct life *l = argument;
    char yaml[1000];
    struct eddy_state_topic topic = state_topic_kafka;
    topic.begin = counted_begin;
    topic.send = counted_send;
    topic.commit = counted_commit;
    topic.read = counted_read;
    snprintf(yaml, sizeof(yaml),
             "name: restore\n"
             "source: {kafka: {topics: [" INPUT "], instance_id: \"\", properties: {bootstrap.servers: \"%s\"}}}\n"
             "codec: {json: {key: $key, time: ts, values: [temperature]}}\n"
             "forecast: {horizons: [1], network: {layers: [{lstm: {units: 64}}]}}\n"
             "detect: {warmup: 10}\n"
             "train: {mode: off}\n"
             "state: {memory: 16GiB%s}\n",
             l->load.servers, l->with_topic ? ", topic: " STATE : "");
    struct progress progress = {.life = l};
    struct bench_run run = bench_pipeline(yaml, (struct driver_request){.commit = true,
                                                                        .state_path = l->directory,
                                                                        .state_topic = l->with_topic ? &topic : NULL,
                                                                        .stop = &progress.stop,
                                                                        .on_tick = on_tick,
                                                                        .context = &progress});
    const struct driver_stats *s = &progress.stats;
    run.output_bytes = counted.bytes;
    run.events = l->with_topic ? (double)(s->restores ? s->restored_rows : s->published_rows) : (double)s->events;
    run.seconds = s->restores ? s->restore_seconds : counted.ended - counted.began;
    return run;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)st, (void)kind, (void)place;
    return remove(path);
}

static void remove_all(const char *directory)
{
    if (nftw(directory, remove_one, DIRECTORIES, FTW_DEPTH | FTW_PHYS) != 0) bench_die("removing the state", NULL);
}

static void report(const char *name, const struct life *l, const struct bench_run *r)
{
    if ((int)r->events != l->load.records->n_keys) bench_die("not every key was in the copy", NULL);
    printf(
        "{\"bench\":\"state topic\",\"case\":\"%s\",\"keys\":%.0f,\"seconds\":%.1f,\"keys_per_s\":%.0f,\"mib\":%.0f,"
        "\"bytes_per_key\":%.0f,\"mib_per_s\":%.1f,\"cpu_s\":%.1f}\n",
        name, r->events, r->seconds, r->events / r->seconds, r->output_bytes / (1 << 20), r->output_bytes / r->events,
        r->output_bytes / r->seconds / (1 << 20), r->cpu_process);
    fflush(stdout);
}

int main(void)
{
    const char *keys = getenv("EDDY_BENCH_KEYS"), *servers = getenv("BROKERS"), *tmp = getenv("TMPDIR");
    const int n = keys ? atoi(keys) : 1000000;
    char directory[256];
    struct records records;
    if (n < 1 || n > 1000000) bench_die("EDDY_BENCH_KEYS is 1 to 1000000", NULL);
    if (!servers) {
        printf("{\"bench\":\"state topic\",\"case\":\"absent\",\"needs\":\"a real broker\"}\n");
        return 0;
    }
    snprintf(directory, sizeof(directory), "%s/eddy-restore-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(directory)) bench_die("a directory for the state", NULL);
    records_open(&records, n, n);
    struct life life = {.load = {.servers = servers,
                                 .input = INPUT,
                                 .output = INPUT ".scored",
                                 .records = &records,
                                 .n_partitions = N_PARTITIONS},
                        .directory = directory,
                        .done = folded};
    bench_in_child(load_topics, &life.load);
    bench_in_child(load_fill, &life.load);
    bench_in_child(life_run, &life);
    life.with_topic = true;
    life.done = published;
    const struct bench_run out = bench_in_child(life_run, &life);
    report("publish", &life, &out);
    remove_all(directory);
    life.done = restored;
    const struct bench_run back = bench_in_child(life_run, &life);
    report("restore", &life, &back);
    remove_all(directory);
    records_close(&records);
    return 0;
}

#include "tests/bench/kafka_pace.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { MOST_PARTITIONS = 16, PATIENCE_S = 20 };

/* What the writing thread leaves for the reading one: the times are there before the records are. */
struct pace {
    const struct kafka_pace *how;
    double *sent[MOST_PARTITIONS]; /* seconds, by the record's number within its partition */
    double *delay;                 /* of the measured results, in the order in which they came */
    int *index[MOST_PARTITIONS];   /* of the record among all */
    int n_sent[MOST_PARTITIONS], n_back[MOST_PARTITIONS];
    int n_delays, n_arrived; /* n_arrived is read by the writing thread */
    double bytes;
};

static int pace_partition(const struct pace *p, const struct eddy_record *r)
{
    return atoi(r->key + sizeof("sensor-") - 1) % p->how->load.n_partitions;
}

static void pace_open(struct pace *p)
{
    const int n = p->how->load.records->n;
    p->delay = calloc((size_t)n, sizeof(*p->delay));
    if (!p->delay) bench_die("out of memory", NULL);
    for (int k = 0; k < p->how->load.n_partitions; k++) {
        p->sent[k] = calloc((size_t)n, sizeof(double));
        p->index[k] = calloc((size_t)n, sizeof(int));
        if (!p->sent[k] || !p->index[k]) bench_die("out of memory", NULL);
    }
}

static void pace_close(struct pace *p)
{
    free(p->delay);
    for (int k = 0; k < p->how->load.n_partitions; k++) free(p->sent[k]), free(p->index[k]);
}

static void pace_result(rd_kafka_message_t *m, void *context)
{
    struct pace *p = context;
    if (m->err) bench_die(rd_kafka_message_errstr(m), NULL);
    const int i = p->n_back[m->partition]++;
    if (p->index[m->partition][i] >= p->how->load.n_warm)
        p->delay[p->n_delays++] = bench_clock(CLOCK_MONOTONIC) - p->sent[m->partition][i];
    p->bytes += (double)m->len;
    __atomic_add_fetch(&p->n_arrived, 1, __ATOMIC_RELEASE);
}

static void *pace_read(void *context)
{
    struct pace *p = context;
    const struct kafka_load *w = &p->how->load;
    rd_kafka_t *rk = load_reader(w, w->output, 0);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    double patience = bench_clock(CLOCK_MONOTONIC) + PATIENCE_S;
    while (p->n_arrived < w->records->n) {
        if (rd_kafka_consume_callback_queue(queue, LOAD_POLL_MS, pace_result, p) > 0)
            patience = bench_clock(CLOCK_MONOTONIC) + PATIENCE_S;
        else if (bench_clock(CLOCK_MONOTONIC) > patience)
            bench_die("results are missing", NULL);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
    return NULL;
}

static void pace_send(struct pace *p, rd_kafka_t *rk, rd_kafka_topic_t *topic, int i)
{
    const struct eddy_record *r = &p->how->load.records->record[i];
    const int k = pace_partition(p, r), at = p->n_sent[k]++;
    p->index[k][at] = i;
    p->sent[k][at] = bench_clock(CLOCK_MONOTONIC);
    load_produce(rk, topic, k, r->key, r->key_len, r->payload, r->payload_len);
}

/* Whatever is due goes out; a writer that overslept does not lose its rate. */
static void pace_write(struct pace *p, rd_kafka_t *rk, rd_kafka_topic_t *topic)
{
    const int n = p->how->load.records->n;
    int i = 0;
    while (i < PACE_PRELUDE) pace_send(p, rk, topic, i++);
    while (__atomic_load_n(&p->n_arrived, __ATOMIC_ACQUIRE) < PACE_PRELUDE) rd_kafka_poll(rk, 10);
    const double start = bench_clock(CLOCK_MONOTONIC);
    while (i < n) {
        const double due = start + (i - PACE_PRELUDE) / p->how->rate, now = bench_clock(CLOCK_MONOTONIC);
        if (due > now) {
            const struct timespec pause = {0, (long)((due - now) * 1e9)};
            nanosleep(&pause, NULL);
        }
        pace_send(p, rk, topic, i++);
        rd_kafka_poll(rk, 0);
    }
    load_finish(rk);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct bench_run kafka_pace(const void *argument)
{
    struct pace p = {.how = argument};
    pthread_t reader;
    pace_open(&p);
    rd_kafka_t *rk = load_writer(&p.how->load);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, p.how->load.input, NULL);
    if (pthread_create(&reader, NULL, pace_read, &p) != 0) bench_die("no thread", NULL);
    pace_write(&p, rk, topic);
    (void)pthread_join(reader, NULL);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    if (p.n_delays == 0) bench_die("no result was measured", NULL);
    qsort(p.delay, (size_t)p.n_delays, sizeof(double), ascending);
    const struct bench_run run = {.events = p.n_delays,
                                  .p50 = p.delay[p.n_delays / 2],
                                  .p99 = p.delay[p.n_delays * 99 / 100],
                                  .output_bytes = p.bytes / p.how->load.records->n};
    pace_close(&p);
    return run;
}

/* The naive pipeline: what a good programmer writes in an afternoon, and what eddy is compared with.
 *
 * Per key: running mean and variance of the value, the state of an LSTM, the last forecast.  Per event: parse, score the
 * last forecast's error, step the LSTM on the normalised value, forecast, print.  Weights are random: what is measured is
 * the work, not the forecasts. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/kafka_load.h"

enum { UNITS = 64, BUCKETS = 1 << 15 };

struct naive_key {
    struct naive_key *next; /* in the bucket */
    char name[32];
    double mean, variance, forecast;
    long count;
    float h[UNITS], c[UNITS];
};

struct naive {
    float w_in[4 * UNITS], w_h[4 * UNITS][UNITS], bias[4 * UNITS], w_out[UNITS];
    struct naive_key *bucket[BUCKETS];
};

static void naive_open(struct naive *n)
{
    uint64_t seed = 1;
    float *w = n->w_in;
    const size_t count = 4 * UNITS + 4 * UNITS * UNITS + 4 * UNITS + UNITS;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        w[i] = ((float)(seed >> 40) / 16777216.0f - .5f) * .25f;
    }
}

static struct naive_key *naive_find(struct naive *n, const char *name, size_t len)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < len; i++) hash = (hash ^ (unsigned char)name[i]) * 1099511628211u;
    struct naive_key **at = &n->bucket[hash % BUCKETS];
    for (; *at; at = &(*at)->next)
        if (strncmp((*at)->name, name, len) == 0 && !(*at)->name[len]) return *at;
    *at = calloc(1, sizeof(**at));
    if (!*at || len >= sizeof((*at)->name)) bench_die("a key of the naive pipeline", NULL);
    memcpy((*at)->name, name, len);
    return *at;
}

static float naive_sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

static float naive_step(const struct naive *n, struct naive_key *k, float x)
{
    float gates[4 * UNITS], y = 0;
    for (int g = 0; g < 4 * UNITS; g++) {
        gates[g] = n->bias[g] + n->w_in[g] * x;
        for (int j = 0; j < UNITS; j++) gates[g] += n->w_h[g][j] * k->h[j];
    }
    for (int u = 0; u < UNITS; u++) {
        k->c[u] = naive_sigmoid(gates[UNITS + u]) * k->c[u] + naive_sigmoid(gates[u]) * tanhf(gates[2 * UNITS + u]);
        k->h[u] = naive_sigmoid(gates[3 * UNITS + u]) * tanhf(k->c[u]);
        y += n->w_out[u] * k->h[u];
    }
    return y;
}

/* One record to one line of output; returns its length. */
static int naive_event(struct naive *n, const rd_kafka_message_t *m, char *line, size_t size)
{
    struct tm tm;
    json_error_t why;
    json_t *record = json_loadb(m->payload, m->len, 0, &why);
    if (!record) bench_die(why.text, NULL);
    const char *when = json_string_value(json_object_get(record, "ts"));
    if (!when || !strptime(when, "%Y-%m-%dT%H:%M:%SZ", &tm) || timegm(&tm) < 0) bench_die("a record's time", NULL);
    struct naive_key *k = naive_find(n, m->key, m->key_len);
    const json_t *number = json_object_get(record, "temperature");
    double x = json_is_number(number) ? json_number_value(number) : k->mean;

    double deviation = sqrt(k->variance) + 1e-9, score = fabs(x - k->forecast) / deviation;
    k->count++;
    double delta = x - k->mean, rate = k->count < 100 ? 1.0 / (double)k->count : .01;
    k->mean += rate * delta;
    k->variance = (1 - rate) * (k->variance + rate * delta * delta);
    deviation = sqrt(k->variance) + 1e-9;
    k->forecast = x + deviation * (double)naive_step(n, k, (float)((x - k->mean) / deviation));
    int len = snprintf(line, size,
                       "{\"key\":\"%s\",\"ts\":\"%s\",\"y\":%.9g,\"forecast\":%.9g,\"score\":%.9g,\"anomaly\":%s}",
                       k->name, when, x, k->forecast, score, score > 6 ? "true" : "false");
    json_decref(record);
    return len;
}

static void naive_send(rd_kafka_t *rk, const char *topic, const rd_kafka_message_t *m, char *line, int len)
{
    rd_kafka_resp_err_t code;
    while ((code = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(m->partition),
                                     RD_KAFKA_V_KEY(m->key, m->key_len), RD_KAFKA_V_VALUE(line, (size_t)len),
                                     RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END)) != 0) {
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) bench_die(rd_kafka_err2str(code), NULL);
        rd_kafka_poll(rk, 5);
    }
}

struct bench_run load_naive(const void *argument)
{
    const struct kafka_load *w = argument;
    static struct naive naive;
    char line[512];
    naive_open(&naive);
    rd_kafka_t *in = load_reader(w, w->input, 0);
    rd_kafka_t *out = load_writer(w);
    (void)rd_kafka_poll_set_consumer(in);
    struct bench_run run = {.cpu_process = -bench_clock(CLOCK_PROCESS_CPUTIME_ID),
                            .cpu_loop = -bench_clock(CLOCK_THREAD_CPUTIME_ID)};
    double first = 0;
    while (run.events < w->records->n / 5) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(in, LOAD_POLL_MS);
        if (!m) continue;
        if (m->err) bench_die(rd_kafka_message_errstr(m), NULL);
        if (first == 0) first = bench_clock(CLOCK_MONOTONIC);
        naive_send(out, w->output, m, line, naive_event(&naive, m, line, sizeof(line)));
        rd_kafka_message_destroy(m);
        rd_kafka_poll(out, 0);
        run.events++;
    }
    load_finish(out);
    run.seconds = bench_clock(CLOCK_MONOTONIC) - first;
    run.cpu_process += bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    run.cpu_loop += bench_clock(CLOCK_THREAD_CPUTIME_ID);
    rd_kafka_destroy(out);
    rd_kafka_destroy(in);
    return run;
}

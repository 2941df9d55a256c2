/* The whole pipeline through Kafka: JSON records in, an LSTM or GRU, JSON results out, beside the floor (librdkafka
 * alone, at the pace of eddy's LSTM) and beside what people would write instead; and how CPU time per event compares.
 *
 * BROKERS names the cluster, whose topics `bench` and `bench.scored` must not exist yet (bench.sh starts an Apache
 * Kafka); without it the built-in mock cluster serves, in a process of its own, which keeps 5 MiB of a partition.
 * EDDY_BENCH_EVENTS: how many records (default 1,000,000, with the mock 400,000); EDDY_BENCH_CASES: only cases in whose
 * name this text is; EDDY_BENCH_ROUNDS. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/kafka/kafka.h"
#include "connectors/kafka/kafka_mock.h"
#include "tests/bench/kafka_load.h"

enum { N_KEYS = 10000, MOST_ROUNDS = 15 };

#define LSTM  "lstm: {units: 64}"
#define OFF   "{mode: off}"
#define LEARN "{mode: background, window: 32, every: 32, epoch: 16384, windows: 512, replay: 0}"

struct kafka_case {
    const char *name;
    const char *layer, *train; /* NULL: not eddy */
    const char *fields;        /* codec.json.fields */
    struct bench_run (*work)(const void *load);
    const char *against; /* the case whose CPU per event its own is divided by; NULL = none */
    const char *commit;  /* exactly_once with this commit_interval; NULL = at_least_once */
};
static const struct kafka_case cases[] = {
    {"floor", NULL, NULL, NULL, load_floor, NULL, NULL},
    {"floor, at full speed", NULL, NULL, NULL, load_floor_free, "floor", NULL},
    {"lstm-64", LSTM, OFF, NULL, NULL, "floor", NULL},
    {"gru-32", "gru: {units: 32}", OFF, NULL, NULL, "floor", NULL},
    {"lstm-64, exactly_once 1s", LSTM, OFF, NULL, NULL, "lstm-64", "1s"},
    {"lstm-64, exactly_once 100ms", LSTM, OFF, NULL, NULL, "lstm-64", "100ms"},
    {"lstm-64, learning", LSTM, LEARN, NULL, NULL, "lstm-64", NULL},
    {"lstm-64, lean output", LSTM, OFF, "[key, ts, forecast, score, anomaly]", NULL, "lstm-64", NULL},
    {"naive C, lstm-64", NULL, NULL, NULL, load_naive, "lstm-64", NULL},
    {"Python + ONNX Runtime, batched", NULL, NULL, NULL, load_python, "lstm-64", NULL},
    {"Python + ONNX Runtime, one by one", NULL, NULL, NULL, load_python_alone, "lstm-64", NULL},
};
enum { PACE_CASE = 2 /* whose pace the floor has */, N_CASES = sizeof(cases) / sizeof(cases[0]) };

struct work {
    struct kafka_load load;
    const struct kafka_case *which;
    int round;
};

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
    const struct kafka_case *c = w->which;
    struct progress progress = {.want = w->load.records->n};
    char yaml[1500];
    snprintf(yaml, sizeof(yaml),
             "name: bench-%d-%d\n"
             "source: {kafka: {topics: [" LOAD_INPUT "], properties: {bootstrap.servers: \"%s\"}}}\n"
             "sink: {kafka: {topic: " LOAD_OUTPUT "}}\n"
             "codec: {json: {key: $key, time: ts, values: [temperature]%s%s}}\n"
             "forecast: {horizons: [1], network: {layers: [{%s}]}}\n"
             "detect: {warmup: 10}\n"
             "train: %s\n"
             "commit_interval: %s\n",
             (int)(c - cases), w->round, w->load.servers, c->fields ? ", fields: " : "", c->fields ? c->fields : "",
             c->layer, c->train, c->commit ? c->commit : "1s");
    struct driver_request request = {.commit = true,
                                     .stop = &progress.stop,
                                     .on_result = on_result,
                                     .context = &progress,
                                     .transactor = c->commit ? &transactor_kafka : NULL};
    struct bench_run run = bench_pipeline(yaml, request);
    if (progress.n != progress.want) bench_die("not every record was scored", NULL);
    run.seconds = progress.last - progress.first;
    return run;
}

static struct bench_run case_run(struct work *w, const struct kafka_case *c)
{
    w->which = c;
    return c->work ? bench_in_child(c->work, &w->load) : bench_in_child(pipeline_run, w);
}

static bool is_absent(const struct kafka_case *c)
{
    return (c->work == load_python || c->work == load_python_alone) && !getenv("EDDY_BENCH_PYTHON");
}

static bool wanted(const struct kafka_case *c)
{
    const char *only = getenv("EDDY_BENCH_CASES");
    if (c->commit && !getenv("BROKERS")) return false; /* the mock cluster keeps no positions of transactions */
    if (is_absent(c)) return false;
    return !only || strstr(c->name, only) || strcmp(c->name, "floor") == 0;
}

/* The median over rounds of the ratio within one round. */
static double ratio(const struct bench_run *a, const struct bench_run *b, int n)
{
    double of[MOST_ROUNDS];
    for (int r = 0; r < n; r++) {
        of[r] = (a[r].cpu_process / a[r].events) / (b[r].cpu_process / b[r].events);
        for (int k = r; k > 0 && of[k] < of[k - 1]; k--) {
            double swap = of[k];
            of[k] = of[k - 1];
            of[k - 1] = swap;
        }
    }
    return of[n / 2];
}

static void report(struct bench_run run[N_CASES][MOST_ROUNDS], int n_rounds, size_t output_bytes)
{
    for (int c = 0; c < N_CASES; c++) {
        char extra[160] = "";
        if (is_absent(&cases[c]))
            printf("{\"bench\":\"kafka\",\"case\":\"%s\",\"absent\":\"PEERS=1 installs it\"}\n", cases[c].name);
        if (!wanted(&cases[c])) continue;
        for (int b = 0; b < c && cases[c].against; b++)
            if (strcmp(cases[b].name, cases[c].against) == 0 && wanted(&cases[b]))
                snprintf(extra, sizeof(extra), ",\"output_bytes\":%zu,\"of\":\"%s\",\"ratio\":%.3f", output_bytes,
                         cases[b].name, ratio(run[c], run[b], n_rounds));
        struct bench_run sorted[MOST_ROUNDS];
        memcpy(sorted, run[c], sizeof(sorted));
        const struct bench_run median = bench_median(sorted, n_rounds);
        bench_print("kafka", cases[c].name, &median, extra);
    }
}

int main(void)
{
    const char *events = getenv("EDDY_BENCH_EVENTS"), *rounds = getenv("EDDY_BENCH_ROUNDS"),
               *servers = getenv("BROKERS");
    const int n_partitions = servers ? 4 : 16, n_rounds = rounds ? atoi(rounds) : BENCH_ROUNDS;
    const struct kafka_mock_topic topics[] = {{LOAD_INPUT, n_partitions}, {LOAD_OUTPUT, n_partitions}};
    struct kafka_mock *mock = NULL;
    struct eddy_error err;
    struct records records;
    static struct bench_run run[N_CASES][MOST_ROUNDS];
    if (n_rounds < 1 || n_rounds > MOST_ROUNDS) bench_die("EDDY_BENCH_ROUNDS is 1 to 15", NULL);
    records_open(&records, events ? atoi(events) : servers ? 1000000 : 400000, N_KEYS);
    if (!servers && kafka_mock_open(topics, 2, &mock, &err) < 0) bench_die("mock cluster", &err);
    struct work work = {.load = {.servers = servers ? servers : kafka_mock_servers(mock),
                                 .input = LOAD_INPUT,
                                 .output = LOAD_OUTPUT,
                                 .records = &records,
                                 .n_partitions = n_partitions}};
    if (servers) bench_in_child(load_topics, &work.load);
    bench_in_child(load_fill, &work.load);
    /* Warms the machine, and tells eddy's pace and how long results are. */
    const struct bench_run first = case_run(&work, &cases[PACE_CASE]);
    work.load.rate = first.events / first.seconds;
    work.load.output_bytes = (size_t)bench_in_child(load_output_size, &work.load).output_bytes;
    for (work.round = 1; work.round <= n_rounds; work.round++)
        for (int c = 0; c < N_CASES; c++)
            if (wanted(&cases[c])) run[c][work.round - 1] = case_run(&work, &cases[c]);
    report(run, n_rounds, work.load.output_bytes);
    kafka_mock_close(mock);
    records_close(&records);
    return 0;
}

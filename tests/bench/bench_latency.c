/* From a record's produce to its result's arrival, through a real broker: eddy beside the floor, librdkafka alone set as
 * eddy sets it, which consumes and produces as many bytes; and the CPU time per event of both at that rate, which for few
 * events is mostly that of waking up.
 *
 * Every run has topics of its own.  The rounds of the cases are interleaved, and differences are those within a round.
 * p50_ms, p99_ms   the median round's
 * p50_more_ms, p99_more_ms, ratio   against the case named by `of`: medians of the differences, and of the ratios of CPU
 *                  time per event
 * BROKERS names the cluster (bench.sh starts an Apache Kafka); the mock cluster answers a fetch only when its waiting time
 * is over, so without a real one there is only a row that says so.
 * EDDY_BENCH_CASES: only cases in whose name this text is, and the floors; EDDY_BENCH_ROUNDS; EDDY_BENCH_SECONDS: of a
 * measured run (2). */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/kafka/kafka.h"
#include "tests/bench/kafka_pace.h"

enum { N_KEYS = 1000, N_PARTITIONS = 4, MOST_ROUNDS = 15, WARM_DIVISOR = 2 /* warm for this part of a second */ };

struct latency_case {
    const char *name;
    bool floor;
    double rate; /* records per second */
    enum latency latency;
    bool exactly_once;
    const char *against; /* NULL = none */
};
static const struct latency_case cases[] = {
    {"floor, 2000/s", true, 2000, LATENCY_BALANCED, false, NULL},
    {"eddy, 2000/s", false, 2000, LATENCY_BALANCED, false, "floor, 2000/s"},
    {"low floor, 2000/s", true, 2000, LATENCY_LOW, false, NULL},
    {"low, 2000/s", false, 2000, LATENCY_LOW, false, "low floor, 2000/s"},
    {"low, exactly_once, 2000/s", false, 2000, LATENCY_LOW, true, "low floor, 2000/s"},
    {"floor, 20000/s", true, 20000, LATENCY_BALANCED, false, NULL},
    {"eddy, 20000/s", false, 20000, LATENCY_BALANCED, false, "floor, 20000/s"},
};
enum { N_CASES = sizeof(cases) / sizeof(cases[0]) };
static const char *const words[] = {"balanced", "low", "throughput"}; /* by enum latency */

struct work {
    struct kafka_pace pace; /* the writer and the reader are set for low latency */
    struct kafka_load load; /* of the floor */
    const struct latency_case *which;
    char name[32], output[48];
    struct records records;
};

/* Counts results; CPU time counts between the last one of the warm-up and the last of all. */
struct progress {
    int n, n_warm, want;
    double cpu;
    volatile sig_atomic_t stop;
};

static void on_result(void *context, const struct eddy_result *result)
{
    struct progress *p = context;
    (void)result;
    p->n++;
    if (p->n == p->n_warm) p->cpu = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    if (p->n < p->want) return;
    p->cpu = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - p->cpu;
    p->stop = 1;
}

static struct bench_run eddy_run(const void *argument)
{
    const struct work *w = argument;
    char yaml[1000];
    snprintf(yaml, sizeof(yaml),
             "name: %s\n"
             "source: {kafka: {topics: [%s], properties: {bootstrap.servers: \"%s\"}}}\n"
             "sink: {kafka: {topic: %s}}\n"
             "codec: {json: {key: $key, time: ts, values: [temperature]}}\n"
             "forecast: {horizons: [1], network: {layers: [{lstm: {units: 64}}]}}\n"
             "detect: {warmup: 10}\n"
             "train: {mode: off}\n"
             "latency: %s\n",
             w->name, w->name, w->load.servers, w->output, words[w->which->latency]);
    struct progress progress = {.n_warm = w->load.n_warm, .want = w->records.n};
    const struct driver_request request = {.commit = true,
                                           .stop = &progress.stop,
                                           .on_result = on_result,
                                           .context = &progress,
                                           .transactor = w->which->exactly_once ? &transactor_kafka : NULL};
    struct bench_run run = bench_pipeline(yaml, request);
    if (progress.n != progress.want) bench_die("not every record was scored", NULL);
    run.cpu_process = progress.cpu;
    run.events = progress.want - progress.n_warm;
    return run;
}

static struct bench_run case_run(const struct latency_case *c, int round, double seconds, const char *servers,
                                 size_t output_bytes)
{
    static struct work w;
    w = (struct work){.which = c};
    const int n_warm = PACE_PRELUDE + (int)c->rate / WARM_DIVISOR;
    records_open(&w.records, n_warm + (int)(c->rate * seconds), N_KEYS);
    snprintf(w.name, sizeof(w.name), "latency-%d-%d", (int)(c - cases), round);
    snprintf(w.output, sizeof(w.output), "%s.scored", w.name);
    w.load = (struct kafka_load){.servers = servers,
                                 .input = w.name,
                                 .output = w.output,
                                 .records = &w.records,
                                 .n_partitions = N_PARTITIONS,
                                 .latency = c->latency,
                                 .n_warm = n_warm,
                                 .output_bytes = output_bytes};
    w.pace = (struct kafka_pace){w.load, c->rate};
    w.pace.load.latency = LATENCY_LOW;
    w.pace.load.linger = "1"; /* without it 20,000 requests a second would be what is measured */
    bench_in_child(load_topics, &w.load);
    const struct bench_child worker = c->floor ? bench_child_start(load_floor, &w.load)
                                               : bench_child_start(eddy_run, &w);
    const struct bench_run seen = bench_in_child(kafka_pace, &w.pace);
    struct bench_run run = bench_child_wait(worker);
    run.p50 = seen.p50;
    run.p99 = seen.p99;
    run.output_bytes = seen.output_bytes;
    records_close(&w.records);
    return run;
}

static int wanted(const struct latency_case *c)
{
    const char *only = getenv("EDDY_BENCH_CASES");
    return !only || strstr(c->name, only) || c->floor;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum figure { P50_MS, P99_MS, CPU_US };

static double figure(const struct bench_run *r, enum figure what)
{
    return what == P50_MS ? r->p50 * 1e3 : what == P99_MS ? r->p99 * 1e3 : r->cpu_process / r->events * 1e6;
}

/* The median over rounds of a figure, of the difference to `b`'s, or of the ratio to it. */
static double median(enum figure what, const struct bench_run *a, const struct bench_run *b, bool ratio, int n)
{
    double of[MOST_ROUNDS];
    for (int r = 0; r < n; r++) {
        const double base = b ? figure(&b[r], what) : 0;
        of[r] = ratio ? figure(&a[r], what) / base : figure(&a[r], what) - base;
    }
    qsort(of, (size_t)n, sizeof(double), ascending);
    return of[n / 2];
}

static void report(struct bench_run run[N_CASES][MOST_ROUNDS], int c, int n)
{
    printf("{\"bench\":\"latency\",\"case\":\"%s\",\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"cpu_us\":%.2f", cases[c].name,
           median(P50_MS, run[c], NULL, false, n), median(P99_MS, run[c], NULL, false, n),
           median(CPU_US, run[c], NULL, false, n));
    for (int b = 0; b < c && cases[c].against; b++)
        if (strcmp(cases[b].name, cases[c].against) == 0)
            printf(",\"of\":\"%s\",\"p50_more_ms\":%.2f,\"p99_more_ms\":%.2f,\"ratio\":%.3f", cases[b].name,
                   median(P50_MS, run[c], run[b], false, n), median(P99_MS, run[c], run[b], false, n),
                   median(CPU_US, run[c], run[b], true, n));
    printf("}\n");
}

int main(void)
{
    const char *rounds = getenv("EDDY_BENCH_ROUNDS"), *seconds = getenv("EDDY_BENCH_SECONDS"),
               *servers = getenv("BROKERS");
    const int n_rounds = rounds ? atoi(rounds) : BENCH_ROUNDS;
    static struct bench_run run[N_CASES][MOST_ROUNDS];
    if (n_rounds < 1 || n_rounds > MOST_ROUNDS) bench_die("EDDY_BENCH_ROUNDS is 1 to 15", NULL);
    if (!servers) {
        printf("{\"bench\":\"latency\",\"case\":\"absent\",\"needs\":\"a real broker\"}\n");
        return 0;
    }
    const double s = seconds ? atof(seconds) : 2;
    /* Warms the machine, and tells how long results are. */
    const size_t output_bytes = (size_t)case_run(&cases[1], 0, .5, servers, 0).output_bytes;
    for (int round = 1; round <= n_rounds; round++)
        for (int c = 0; c < N_CASES; c++)
            if (wanted(&cases[c])) run[c][round - 1] = case_run(&cases[c], round, s, servers, output_bytes);
    for (int c = 0; c < N_CASES; c++)
        if (cases[c].floor) report(run, c, n_rounds);
    for (int c = 0; c < N_CASES; c++)
        if (!cases[c].floor && wanted(&cases[c])) report(run, c, n_rounds);
    return 0;
}

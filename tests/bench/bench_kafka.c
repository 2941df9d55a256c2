/* The whole pipeline through Kafka: JSON records in, an LSTM or GRU, JSON results out, beside the floor (librdkafka
 * alone, at the pace of eddy's LSTM) and beside what people would write instead; and how CPU time per event compares.
 *
 * BROKERS names the cluster, whose topics `bench` and `bench.scored` must not exist yet (bench.sh starts an Apache
 * Kafka); without it the built-in mock cluster serves, in a process of its own, which keeps 5 MiB of a partition.
 * "ratio_like" holds a peer against the eddy that writes the peers' fields, and no more; "ratio_free" and "share_free"
 * hold what is compared with the floor against librdkafka at full speed instead, which costs more of an event.
 * EDDY_BENCH_EVENTS: how many records (default 2,000,000, so that a start and the last checkpoint weigh little; with the
 * mock, which cannot keep as many, 400,000); EDDY_BENCH_CASES: only the case of this
 * name, or cases in whose name this text is; EDDY_BENCH_ROUNDS. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/kafka/kafka.h"
#include "connectors/kafka/kafka_mock.h"
#include "tests/bench/kafka_load.h"

enum { N_KEYS = 10000, MOST_ROUNDS = 15 };

#define LSTM      "lstm: {units: 64}"
#define OFF       "{mode: off}"
#define PEERS_JOB "lstm-64, the peers' fields, no season"
/* Each of a key's events lies in one TBPTT window: 32 steps, every 32 events. */
#define LEARN "{mode: background, window: 32, every: 32, epoch: 16384, windows: 512, replay: 0}"

struct kafka_case {
    const char *name;
    const char *layer, *train; /* NULL: not eddy */
    const char *fields;        /* codec.json.fields */
    const char *season;        /* forecast.season; NULL = as eddy comes */
    struct bench_run (*work)(const void *load);
    const char *against; /* the case whose CPU per event its own is divided by; NULL = none */
    const char *commit;  /* exactly_once with this commit_interval; NULL = at_least_once */
    int workers;         /* 0 = one */
    const char *peer;    /* the variable that says where the peer was installed; NULL = nothing to install */
};
static const struct kafka_case cases[] = {
    {.name = "floor", .work = load_floor},
    {.name = "floor, at full speed", .work = load_floor_free, .against = "floor"},
    {.name = "lstm-64", LSTM, OFF, .against = "floor"},
    {.name = "gru-32", "gru: {units: 32}", OFF, .against = "floor"},
    {.name = "lstm-64, exactly_once 1s", LSTM, OFF, .against = "lstm-64", .commit = "1s"},
    {.name = "lstm-64, exactly_once 100ms", LSTM, OFF, .against = "lstm-64", .commit = "100ms"},
    {.name = "lstm-64, every event in one window", LSTM, LEARN, .against = "lstm-64"},
    {.name = "lstm-64, lean output",
     LSTM,
     OFF,
     .fields = "[key, ts, forecast, score, anomaly]",
     .against = "lstm-64"},
    {.name = "lstm-64, two workers", LSTM, OFF, .against = "lstm-64", .workers = 2},
    /* What the peers below write, and no search for a season, which they do not make either. */
    {.name = PEERS_JOB,
     LSTM,
     OFF,
     .fields = "[key, ts, y, yhat, score, anomaly]",
     .season = "none",
     .against = "floor"},
    {.name = "naive C, lstm-64", .work = load_naive, .against = "lstm-64"},
    {.name = "Python + ONNX Runtime, batched",
     .work = load_python,
     .against = "lstm-64",
     .peer = "EDDY_BENCH_PYTHON"},
    {.name = "Python + ONNX Runtime, one by one",
     .work = load_python_alone,
     .against = "lstm-64",
     .peer = "EDDY_BENCH_PYTHON"},
    {.name = "Kafka Streams, LSTM in Java", .work = load_streams, .against = "lstm-64", .peer = "EDDY_BENCH_STREAMS"},
};
enum {
    FLOOR_CASE = 0,
    FREE_CASE = 1,
    PACE_CASE = 2,  /* whose pace the floor has */
    PEERS_CASE = 9, /* PEERS_JOB; the peers come after it */
    N_CASES = sizeof(cases) / sizeof(cases[0])
};

struct work {
    struct kafka_load load;
    const struct kafka_case *which;
    int round;
};

/* Counts results, and stops the pipeline after the last one; workers' threads share it. */
struct progress {
    int n, want;
    volatile sig_atomic_t stop;
    double first, last; /* when the first and the last result came: joining the group takes seconds */
};

static void on_result(void *context, const struct eddy_result *result)
{
    struct progress *p = context;
    (void)result;
    const int n = __atomic_add_fetch(&p->n, 1, __ATOMIC_RELAXED);
    if (n == 1) p->first = bench_clock(CLOCK_MONOTONIC);
    if (n < p->want) return;
    p->last = bench_clock(CLOCK_MONOTONIC);
    p->stop = 1;
}

enum { YAML_BYTES = 1500 };

static void write_yaml(const struct work *w, char yaml[YAML_BYTES])
{
    const struct kafka_case *c = w->which;
    snprintf(yaml, YAML_BYTES,
             "name: bench-%d-%d\n"
             "source: {kafka: {topics: [" LOAD_INPUT "], properties: {bootstrap.servers: \"%s\"}}}\n"
             "sink: {kafka: {topic: " LOAD_OUTPUT "}}\n"
             "codec: {json: {key: $key, time: ts, values: [temperature]%s%s}}\n"
             "forecast: {horizons: [1], network: {layers: [{%s}]}%s%s}\n"
             "detect: {warmup: 10}\n"
             "train: %s\n"
             "commit_interval: %s\n"
             "workers: %d\n",
             (int)(c - cases), w->round, w->load.servers, c->fields ? ", fields: " : "", c->fields ? c->fields : "",
             c->layer, c->season ? ", season: " : "", c->season ? c->season : "", c->train,
             c->commit ? c->commit : "1s", c->workers ? c->workers : 1);
}

static struct bench_run pipeline_run(const void *argument)
{
    const struct work *w = argument;
    const struct kafka_case *c = w->which;
    struct progress progress = {.want = w->load.records->n};
    char yaml[YAML_BYTES];
    write_yaml(w, yaml);
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

/* Only `lookup` is filled in: seconds of finding the rows of all records. */
static struct bench_run lookup_run(const void *argument)
{
    const struct work *w = argument;
    char yaml[YAML_BYTES];
    write_yaml(w, yaml);
    return (struct bench_run){.lookup = bench_lookup(yaml, w->load.records) * w->load.records->n};
}

static struct bench_run case_run(struct work *w, const struct kafka_case *c)
{
    w->which = c;
    return c->work ? bench_in_child(c->work, &w->load) : bench_in_child(pipeline_run, w);
}

static bool is_absent(const struct kafka_case *c)
{
    return c->peer && !getenv(c->peer);
}

static bool wanted(const struct kafka_case *c)
{
    const char *only = getenv("EDDY_BENCH_CASES");
    if (c->commit && !getenv("BROKERS")) return false; /* the mock cluster keeps no positions of transactions */
    if (c->work == load_streams && !getenv("BROKERS")) return false; /* .. and makes no topics */
    if (is_absent(c)) return false;
    if (!only || c->work == load_floor || c->work == load_floor_free) return true;
    for (int k = 0; k < N_CASES; k++)
        if (strcmp(cases[k].name, only) == 0) return c == &cases[k];
    return strstr(c->name, only) != NULL;
}

/* Sorts them. */
static double median_of(double *x, int n)
{
    for (int r = 0; r < n; r++)
        for (int k = r; k > 0 && x[k] < x[k - 1]; k--) {
            double swap = x[k];
            x[k] = x[k - 1];
            x[k - 1] = swap;
        }
    return x[n / 2];
}

/* The median over rounds of the ratio within one round. */
static double ratio(const struct bench_run *a, const struct bench_run *b, int n)
{
    double of[MOST_ROUNDS];
    for (int r = 0; r < n; r++) of[r] = (a[r].cpu_process / a[r].events) / (b[r].cpu_process / b[r].events);
    return median_of(of, n);
}

/* Appends what the case costs an event beside another case, where both ran. */
static void append_ratio(char *text, size_t size, const char *name, struct bench_run run[N_CASES][MOST_ROUNDS],
                         int n_rounds, int c, int beside)
{
    const size_t at = strlen(text);
    if (wanted(&cases[beside]))
        snprintf(text + at, size - at, ",\"%s\":%.3f", name, ratio(run[c], run[beside], n_rounds));
}

static int case_named(const char *name)
{
    int c = 0;
    while (strcmp(cases[c].name, name) != 0) c++;
    return c;
}

static void report(struct bench_run run[N_CASES][MOST_ROUNDS], int n_rounds, size_t output_bytes)
{
    for (int c = 0; c < N_CASES; c++) {
        char extra[200] = "";
        if (is_absent(&cases[c]))
            printf("{\"bench\":\"kafka\",\"case\":\"%s\",\"absent\":\"PEERS=1 installs it\"}\n", cases[c].name);
        if (!wanted(&cases[c])) continue;
        if (cases[c].against) {
            const int of = case_named(cases[c].against);
            snprintf(extra, sizeof(extra), ",\"output_bytes\":%zu,\"of\":\"%s\"", output_bytes, cases[of].name);
            append_ratio(extra, sizeof(extra), "ratio", run, n_rounds, c, of);
            if (of == FLOOR_CASE && c != FREE_CASE)
                append_ratio(extra, sizeof(extra), "ratio_free", run, n_rounds, c, FREE_CASE);
        }
        if (c > PEERS_CASE) append_ratio(extra, sizeof(extra), "ratio_like", run, n_rounds, c, PEERS_CASE);
        struct bench_run sorted[MOST_ROUNDS];
        memcpy(sorted, run[c], sizeof(sorted));
        const struct bench_run median = bench_median(sorted, n_rounds);
        bench_print("kafka", cases[c].name, &median, extra);
    }
}

/* The work on an event's text and key, beside what the floor takes for it in all, at eddy's pace and at full speed;
 * medians over rounds. */
static void report_text(struct bench_run run[N_CASES][MOST_ROUNDS], const double *lookup, int n)
{
    const struct bench_run *eddy = run[PACE_CASE], *floor = run[FLOOR_CASE], *free_floor = run[FREE_CASE];
    double parse[MOST_ROUNDS], format[MOST_ROUNDS], find[MOST_ROUNDS], whole[MOST_ROUNDS], share[MOST_ROUNDS],
        share_free[MOST_ROUNDS];
    for (int r = 0; r < n; r++) {
        parse[r] = 1e6 * eddy[r].decode / eddy[r].events;
        format[r] = 1e6 * eddy[r].encode / eddy[r].events;
        find[r] = 1e6 * lookup[r] / eddy[r].events;
        whole[r] = 1e6 * floor[r].cpu_process / floor[r].events;
        const double text = parse[r] + find[r] + format[r];
        share[r] = text / whole[r];
        share_free[r] = text / (1e6 * free_floor[r].cpu_process / free_floor[r].events);
    }
    printf("{\"bench\":\"kafka, text and keys\",\"case\":\"parse + lookup + format share of floor\","
           "\"parse_us\":%.3f,\"lookup_us\":%.3f,\"format_us\":%.3f,\"floor_us\":%.3f,\"share\":%.3f,"
           "\"share_free\":%.3f}\n",
           median_of(parse, n), median_of(find, n), median_of(format, n), median_of(whole, n), median_of(share, n),
           median_of(share_free, n));
    fflush(stdout);
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
    double lookup[MOST_ROUNDS];
    if (n_rounds < 1 || n_rounds > MOST_ROUNDS) bench_die("EDDY_BENCH_ROUNDS is 1 to 15", NULL);
    records_open(&records, events ? atoi(events) : servers ? 2000000 : 400000, N_KEYS);
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
    for (work.round = 1; work.round <= n_rounds; work.round++) {
        for (int c = 0; c < N_CASES; c++)
            if (wanted(&cases[c])) run[c][work.round - 1] = case_run(&work, &cases[c]);
        work.which = &cases[PACE_CASE];
        lookup[work.round - 1] = bench_in_child(lookup_run, &work).lookup;
    }
    report(run, n_rounds, work.load.output_bytes);
    if (wanted(&cases[PACE_CASE])) report_text(run, lookup, n_rounds);
    kafka_mock_close(mock);
    records_close(&records);
    return 0;
}

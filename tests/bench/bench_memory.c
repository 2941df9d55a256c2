/* The whole pipeline without Kafka: prepared JSON records through codec, lane and codec to nowhere, from memory.
 * Cases: the job that bench_kafka measures; LSTM-32 and GRU-32, training off and in the background; two workers, of which
 * each gets all events, so that twice the events a second are to be had from two cores.
 * EDDY_BENCH_EVENTS (default 400,000) over 10,000 keys; EDDY_BENCH_CASES: only cases in whose name this text is. */
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"
#include "tests/bench/memory_source.h"

struct memory_case {
    const char *name, *yaml;
    const char *against; /* the case that it is held against; NULL = none */
};

#define YAML(network, mode)                                                                                          \
    "name: bench\n"                                                                                                  \
    "codec: {json: {key: $key, time: ts, values: [temperature]}}\n"                                                  \
    "forecast: {network: {layers: [{" network ": {units: 32}}]}}\n"                                                  \
    "detect: {warmup: 10}\n"                                                                                         \
    "train: {mode: " mode "}\n"

/* What the pipeline through Kafka is measured with: bench_kafka.c. */
#define LEAN(network, train)                                                                                         \
    "name: bench\n"                                                                                                  \
    "codec: {json: {key: $key, time: ts, values: [temperature]}}\n"                                                  \
    "forecast: {horizons: [1], network: {layers: [{" network "}]}}\n"                                                \
    "detect: {warmup: 10}\n"                                                                                         \
    "train: {" train "}\n"
/* Each of a key's events lies in one TBPTT window: 32 steps, every 32 events. */
#define OFF     "mode: off"
#define WINDOWS "mode: background, window: 32, every: 32, epoch: 16384, windows: 512, replay: 0"

static const struct memory_case cases[] = {
    {"the job of bench_kafka, lstm-64", LEAN("lstm: {units: 64}", OFF), NULL},
    {"the job of bench_kafka, gru-32", LEAN("gru: {units: 32}", OFF), NULL},
    {"lstm-64, every event in one window", LEAN("lstm: {units: 64}", WINDOWS), "the job of bench_kafka, lstm-64"},
    {"gru-32, every event in one window", LEAN("gru: {units: 32}", WINDOWS), "the job of bench_kafka, gru-32"},
    {"lstm-32, training off", YAML("lstm", "off"), NULL},
    {"gru-32, training off", YAML("gru", "off"), NULL},
    {"lstm-32, training in the background", YAML("lstm", "background"), NULL},
    {"gru-32, training in the background", YAML("gru", "background"), NULL},
    {"lstm-32, training off, 2 workers", YAML("lstm", "off") "workers: 2\n", "lstm-32, training off"},
    {"lstm-32, training in the background, 2 workers", YAML("lstm", "background") "workers: 2\n",
     "lstm-32, training in the background"},
};
enum { N_CASES = sizeof(cases) / sizeof(cases[0]) };

struct work {
    const struct memory_case *which;
    const struct records *records;
};

static struct bench_run measure(const void *argument)
{
    const struct work *w = argument;
    struct driver_request request = {.source = &source_memory, .source_settings = w->records, .sink = &sink_nowhere};
    return bench_pipeline(w->which->yaml, request);
}

/* "ratio" is CPU per event, "speedup" events per second of wall time, both over those of the case that this one is held
 * against, when that was run too; all are medians. */
static void report(int c, struct bench_run median[])
{
    char extra[160] = "";
    for (int b = 0; b < c && cases[c].against; b++)
        if (strcmp(cases[b].name, cases[c].against) == 0 && median[b].events > 0)
            (void)snprintf(extra, sizeof(extra), ",\"of\":\"%s\",\"ratio\":%.3f,\"speedup\":%.2f", cases[b].name,
                           (median[c].cpu_process / median[c].events) / (median[b].cpu_process / median[b].events),
                           (median[c].events / median[c].seconds) / (median[b].events / median[b].seconds));
    bench_print("memory", cases[c].name, &median[c], extra);
}

static bool wanted(const struct memory_case *c)
{
    const char *only = getenv("EDDY_BENCH_CASES");
    return !only || strstr(c->name, only);
}

int main(void)
{
    const char *events = getenv("EDDY_BENCH_EVENTS");
    struct records records;
    struct bench_run run[N_CASES][BENCH_ROUNDS], median[N_CASES] = {{0}};
    records_open(&records, events ? atoi(events) : 400000, 10000);
    for (int round = 0; round < BENCH_ROUNDS; round++)
        for (int c = 0; c < N_CASES; c++)
            if (wanted(&cases[c])) run[c][round] = bench_in_child(measure, &(struct work){&cases[c], &records});
    for (int c = 0; c < N_CASES; c++) {
        if (!wanted(&cases[c])) continue;
        median[c] = bench_median(run[c], BENCH_ROUNDS);
        report(c, median);
    }
    records_close(&records);
    return 0;
}

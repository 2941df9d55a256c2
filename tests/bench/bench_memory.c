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
};

#define YAML(network, mode)                                                                                          \
    "name: bench\n"                                                                                                  \
    "codec: {json: {key: $key, time: ts, values: [temperature]}}\n"                                                  \
    "forecast: {network: {layers: [{" network ": {units: 32}}]}}\n"                                                  \
    "detect: {warmup: 10}\n"                                                                                         \
    "train: {mode: " mode "}\n"

/* What the pipeline through Kafka is measured with: bench_kafka.c. */
#define LEAN(network)                                                                                                \
    "name: bench\n"                                                                                                  \
    "codec: {json: {key: $key, time: ts, values: [temperature]}}\n"                                                  \
    "forecast: {horizons: [1], network: {layers: [{" network "}]}}\n"                                                \
    "detect: {warmup: 10}\n"                                                                                         \
    "train: {mode: off}\n"

static const struct memory_case cases[] = {
    {"the job of bench_kafka, lstm-64", LEAN("lstm: {units: 64}")},
    {"the job of bench_kafka, gru-32", LEAN("gru: {units: 32}")},
    {"lstm-32, training off", YAML("lstm", "off")},
    {"gru-32, training off", YAML("gru", "off")},
    {"lstm-32, training in the background", YAML("lstm", "background")},
    {"gru-32, training in the background", YAML("gru", "background")},
    {"lstm-32, training off, 2 workers", YAML("lstm", "off") "workers: 2\n"},
    {"lstm-32, training in the background, 2 workers", YAML("lstm", "background") "workers: 2\n"},
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

static bool wanted(const struct memory_case *c)
{
    const char *only = getenv("EDDY_BENCH_CASES");
    return !only || strstr(c->name, only);
}

int main(void)
{
    const char *events = getenv("EDDY_BENCH_EVENTS");
    struct records records;
    struct bench_run run[N_CASES][BENCH_ROUNDS];
    records_open(&records, events ? atoi(events) : 400000, 10000);
    for (int round = 0; round < BENCH_ROUNDS; round++)
        for (int c = 0; c < N_CASES; c++)
            if (wanted(&cases[c])) run[c][round] = bench_in_child(measure, &(struct work){&cases[c], &records});
    for (int c = 0; c < N_CASES; c++) {
        if (!wanted(&cases[c])) continue;
        struct bench_run median = bench_median(run[c], BENCH_ROUNDS);
        bench_print("memory", cases[c].name, &median, "");
    }
    records_close(&records);
    return 0;
}

/* The sample configurations as they are, learning included, over records from memory: CPU microseconds per event, and
 * memory per key beside what `eddy estimate` says.  Run from the root of the repository. */
#include <stdlib.h>

#include "tests/bench/bench.h"
#include "tests/bench/memory_source.h"

struct sample {
    const char *name;
    int events, keys, few_keys; /* few_keys > 0: memory per key is measured against so many */
};

static const struct sample samples[] = {{"sensors", 150000, 30, 0},
                                        {"forecast", 30000, 7, 0},
                                        {"fleet", 600000, 15000, 0},
                                        {"fleet", 600000, 60000, 1000}};
enum { N_SAMPLES = sizeof(samples) / sizeof(samples[0]), ROUNDS = 3 };

struct work {
    const struct sample *which;
    int events, keys;
};

static struct bench_run measure(const void *argument)
{
    const struct work *w = argument;
    struct records records;
    records_open(&records, w->events, w->keys);
    const struct driver_request request = {
        .source = &source_memory, .source_settings = &records, .sink = &sink_nowhere};
    const struct bench_run run = bench_sample(w->which->name, request);
    records_close(&records);
    return run;
}

static void report(const struct sample *s, struct bench_run *run)
{
    char extra[160] = "";
    const struct bench_run median = bench_median(run, ROUNDS);
    if (s->few_keys > 0) {
        const int each = s->events / s->keys;
        const struct bench_run few = bench_in_child(measure, &(struct work){s, s->few_keys * each, s->few_keys});
        (void)snprintf(extra, sizeof(extra), ",\"bytes_per_key\":%.0f,\"estimated_bytes\":%zu",
                       (median.rss_bytes - few.rss_bytes) / (s->keys - s->few_keys), bench_sample_estimate(s->name));
    }
    bench_print(s->few_keys > 0 ? "samples, many keys" : "samples", s->name, &median, extra);
}

int main(void)
{
    static struct bench_run run[N_SAMPLES][ROUNDS];
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < N_SAMPLES; i++)
            run[i][round] = bench_in_child(measure, &(struct work){&samples[i], samples[i].events, samples[i].keys});
    for (int i = 0; i < N_SAMPLES; i++) report(&samples[i], run[i]);
    return 0;
}

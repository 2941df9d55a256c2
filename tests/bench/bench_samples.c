/* The sample configurations as they are, learning included, over records from memory: CPU microseconds per event, and
 * memory per key beside what `eddy estimate` says.  Run from the root of the repository.
 * EDDY_BENCH_CASES: only samples in whose name this text is; EDDY_BENCH_ROUNDS (3); EDDY_BENCH_EVENTS: so many of each. */
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"
#include "tests/bench/memory_source.h"

/* few_keys > 0: memory per key is measured against so many, which is more than a turn's events where a row is large: what
 * undoes a turn is no matter of a key. */
struct sample {
    const char *name;
    int events, keys, few_keys;
};

static const struct sample samples[] = {{"sensors", 150000, 30, 0},      {"forecast", 30000, 7, 0},
                                        {"fleet", 600000, 15000, 0},     {"sensors", 200000, 20000, 2000},
                                        {"forecast", 20000, 2000, 1100}, {"fleet", 600000, 60000, 1000}};
enum { N_SAMPLES = sizeof(samples) / sizeof(samples[0]), MOST_ROUNDS = 15 };

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

static bool wanted(const struct sample *s)
{
    const char *only = getenv("EDDY_BENCH_CASES");
    return !only || strstr(s->name, only);
}

static int events_of(const struct sample *s)
{
    const char *events = getenv("EDDY_BENCH_EVENTS");
    return events ? atoi(events) : s->events;
}

static void report(const struct sample *s, struct bench_run *run, int n_rounds)
{
    char extra[160] = "";
    const struct bench_run median = bench_median(run, n_rounds);
    if (s->few_keys > 0) {
        const int each = events_of(s) / s->keys;
        const struct bench_run few = bench_in_child(measure, &(struct work){s, s->few_keys * each, s->few_keys});
        (void)snprintf(extra, sizeof(extra), ",\"bytes_per_key\":%.0f,\"estimated_bytes\":%zu",
                       (median.rss_bytes - few.rss_bytes) / (s->keys - s->few_keys), bench_sample_estimate(s->name));
    }
    bench_print(s->few_keys > 0 ? "samples, many keys" : "samples", s->name, &median, extra);
}

int main(void)
{
    static struct bench_run run[N_SAMPLES][MOST_ROUNDS];
    const char *rounds = getenv("EDDY_BENCH_ROUNDS");
    const int n_rounds = rounds ? atoi(rounds) : BENCH_ROUNDS;
    if (n_rounds < 1 || n_rounds > MOST_ROUNDS) bench_die("EDDY_BENCH_ROUNDS is 1 to 15", NULL);
    for (int round = 0; round < n_rounds; round++)
        for (int i = 0; i < N_SAMPLES; i++)
            if (wanted(&samples[i]))
                run[i][round] = bench_in_child(measure,
                                               &(struct work){&samples[i], events_of(&samples[i]), samples[i].keys});
    for (int i = 0; i < N_SAMPLES; i++)
        if (wanted(&samples[i])) report(&samples[i], run[i], n_rounds);
    return 0;
}

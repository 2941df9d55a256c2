/* State at scale, with the state file of a real pipeline and its checkpoints every ten seconds:
 *   keys         events per second over 10,000, 100,000 and 1,000,000 keys, all of them in memory
 *   memory       resident bytes per key less those of few keys, beside what `eddy estimate` says
 *   checkpoints  the longest time between two turns of the loop while a tenth of the keys is dirty
 *   evicted      EDDY_BENCH_EVICTED=10000000: so many keys with state.memory 2GiB, Zipf 1.1 and uniform (minutes, and
 *                about three times the size of the state on the disk below TMPDIR); only one of them with
 *                EDDY_BENCH_DRAW=zipf or uniform
 * Scoring alone; a row with the network and next to nothing else but where it says otherwise.
 * EDDY_BENCH_KEYS sets the most keys of the first three (default 1,000,000); EDDY_BENCH_TIMELINE=FILE keeps a line of CSV
 * per second and case of the last (tests/bench/plot_keys.py draws it). */
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/flow/plan.h"
#include "plugin/registry.h"
#include "tests/bench/bench.h"
#include "tests/bench/keys_source.h"
#include "tests/bench/memory_source.h"

enum { FEW_KEYS = 10000, MOST_KEYS = 1000000, EVENTS = 1500000, ROUNDS = 3 };

#define YAML(forecast, train, memory, checkpoint)                                                                    \
    "name: bench\n"                                                                                                  \
    "codec: {json: {key: $key, time: ts, values: [temperature]}}\n"                                                  \
    "errors: {tolerance: none}\n"                                                                                    \
    "forecast: {network: {layers: [{gru: {units: 32}}]}" forecast "\n"                                               \
    "train: {" train "}\n"                                                                                           \
    "state: {memory: " memory ", checkpoint: " checkpoint "}\n"
#define LEAN ", season: none}\ndetect: {detectors: [drift]}" /* the network and next to nothing else */
static const char all_in_memory[] = YAML(LEAN, "mode: off", "16GiB", "10s");
static const char often_saved[] = YAML(LEAN, "mode: off", "16GiB", "1s");
static const char large_rows[] = YAML("}", "mode: off", "16GiB", "1s");
static const char two_gib[] = YAML(LEAN, "mode: off", "2GiB", "10s");

struct work {
    const char *yaml; /* NULL: config/fleet.yml */
    struct keys_plan plan;
    const char *timeline;
};

static struct keys_watch *watch; /* shared with the child */

static void remove_state(const char *dir)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/bench", dir);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        char file[PATH_MAX + 300];
        (void)snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
        (void)unlink(file);
    }
    if (d) closedir(d);
    (void)rmdir(path);
    (void)rmdir(dir);
}

static struct bench_run measure(const void *argument)
{
    struct work w = *(const struct work *)argument;
    const char *tmp = getenv("TMPDIR");
    char dir[256], file[300];
    (void)snprintf(dir, sizeof(dir), "%s/eddy-bench-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) bench_die("cannot make a directory", NULL);
    (void)snprintf(file, sizeof(file), "%s/bench/bench-0.db", dir);
    *watch = (struct keys_watch){0};
    w.plan.watch = watch;
    w.plan.state_file = file;
    w.plan.timeline = w.timeline ? fopen(w.timeline, "w") : NULL;
    const struct driver_request request = {
        .source = &source_keys, .source_settings = &w.plan, .sink = &sink_nowhere, .state_path = dir};
    const struct bench_run run = w.yaml ? bench_pipeline(w.yaml, request) : bench_sample("fleet", request);
    if (w.plan.timeline) fclose(w.plan.timeline);
    remove_state(dir);
    return run;
}

static size_t estimate(const char *yaml)
{
    const char *const names[] = {"temperature"};
    const struct eddy_schema schema = {.n_values = 1, .names = names};
    struct registry *registry;
    struct config *config;
    struct plan *plan;
    struct plan_estimate estimate;
    struct eddy_error err;
    if (registry_open(&registry, &err) < 0) bench_die("registry", &err);
    struct config_request request = {
        .text = yaml, .parts = registry_parts(registry), .source_optional = true, .sink_optional = true};
    if (config_open(&request, &config, &err) < 0) bench_die("configuration", &err);
    if (plan_open(config_settings(config), &schema, &plan, &err) < 0) bench_die("plan", &err);
    plan_estimate(plan, sizeof("meter-00000000") - 1, &estimate);
    plan_close(plan);
    config_close(config);
    registry_close(registry);
    return estimate.resident_bytes;
}

static int by_number(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- events per second ---- */

static void bench_rates(int most)
{
    int keys[8], n = 0;
    double rate[8][ROUNDS], fill[8][ROUNDS];
    for (int k = FEW_KEYS; k <= most && n < 8; k *= 10) keys[n++] = k;
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < n; i++) {
            const struct work w = {all_in_memory, {.keys = keys[i], .events = EVENTS, .draw = KEYS_UNIFORM}, NULL};
            (void)bench_in_child(measure, &w);
            rate[i][round] = EVENTS / watch->run_s;
            fill[i][round] = keys[i] / watch->fill_s;
        }
    for (int i = 0; i < n; i++) {
        qsort(rate[i], ROUNDS, sizeof(double), by_number);
        qsort(fill[i], ROUNDS, sizeof(double), by_number);
        printf("{\"bench\":\"keys\",\"case\":\"gru-32 alone, %d keys in memory\",\"keys\":%d,\"new_keys_per_s\":%.0f,"
               "\"events_per_s\":%.0f,\"against_%d\":%.3f}\n",
               keys[i], keys[i], fill[i][ROUNDS / 2], rate[i][ROUNDS / 2], FEW_KEYS,
               rate[i][ROUNDS / 2] / rate[0][ROUNDS / 2]);
    }
}

/* ---- memory ---- */

static void bench_memory(const char *name, const char *yaml, int keys)
{
    struct work w = {yaml, {.keys = FEW_KEYS, .events = 2 * FEW_KEYS, .draw = KEYS_IN_TURN}, NULL};
    const struct bench_run low = bench_in_child(measure, &w);
    w.plan.keys = keys, w.plan.events = 2 * keys;
    const struct bench_run high = bench_in_child(measure, &w);
    const double each = (high.rss_bytes - low.rss_bytes) / (keys - FEW_KEYS);
    const size_t formula = yaml ? estimate(yaml) : bench_sample_estimate("fleet");
    printf("{\"bench\":\"keys, memory\",\"case\":\"%s\",\"keys\":%d,\"resident_bytes_per_key\":%.0f,"
           "\"estimated_bytes_per_key\":%zu,\"against_estimate\":%.3f}\n",
           name, keys, each, formula, each / (double)formula);
}

static void bench_memories(int keys)
{
    bench_memory("gru-32 alone", all_in_memory, keys);
    bench_memory("the fleet's sample", NULL, keys);
}

/* ---- checkpoints ---- */

static void bench_pauses(const char *name, const char *yaml, int keys)
{
    double longest[ROUNDS], second[ROUNDS], wall[ROUNDS];
    double checkpoints = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const struct work w = {yaml, {.keys = keys, .events = 2 * EVENTS, .draw = KEYS_TENTH}, NULL};
        const struct bench_run run = bench_in_child(measure, &w);
        longest[round] = watch->longest_s * 1e3;
        wall[round] = watch->longest_wall_s * 1e3;
        second[round] = watch->second_s * 1e3;
        checkpoints = run.checkpoints;
    }
    qsort(longest, ROUNDS, sizeof(double), by_number);
    qsort(wall, ROUNDS, sizeof(double), by_number);
    qsort(second, ROUNDS, sizeof(double), by_number);
    printf("{\"bench\":\"keys, checkpoints\",\"case\":\"%s\",\"keys\":%d,\"checkpoints\":%.0f,"
           "\"longest_pause_ms\":%.1f,\"next_longest_ms\":%.1f,\"longest_wall_ms\":%.1f}\n",
           name, keys, checkpoints, longest[ROUNDS / 2], second[ROUNDS / 2], wall[ROUNDS / 2]);
    fflush(stdout);
}

/* ---- more keys than memory ---- */

static void bench_evicted(int keys)
{
    static const struct {
        const char *name;
        int draw, events;
    } cases[] = {{"zipf", KEYS_ZIPF, 10000000}, {"uniform", KEYS_UNIFORM, 2000000}};
    const char *timeline = getenv("EDDY_BENCH_TIMELINE"), *only = getenv("EDDY_BENCH_DRAW");
    for (int i = 0; i < 2; i++) {
        char path[PATH_MAX];
        if (only && strcmp(only, cases[i].name) != 0) continue;
        (void)snprintf(path, sizeof(path), "%s.%s.csv", timeline ? timeline : "", cases[i].name);
        struct work w = {all_in_memory, {.keys = FEW_KEYS, .events = EVENTS, .draw = cases[i].draw}, NULL};
        (void)bench_in_child(measure, &w);
        const double few = EVENTS / watch->run_s;
        w = (struct work){
            two_gib, {.keys = keys, .events = cases[i].events, .draw = cases[i].draw}, timeline ? path : NULL};
        const struct bench_run run = bench_in_child(measure, &w);
        const double rate = cases[i].events / watch->run_s;
        printf("{\"bench\":\"keys, evicted\",\"case\":\"%d keys, %s, 2 GiB\",\"keys\":%d,\"new_keys_per_s\":%.0f,"
               "\"events_per_s\":%.0f,\"against_%d\":%.3f,\"longest_pause_ms\":%.1f,\"rss_mib\":%.0f}\n",
               keys, cases[i].name, keys, keys / watch->fill_s, rate, FEW_KEYS, rate / few, watch->longest_s * 1e3,
               run.rss_bytes / 1048576);
        fflush(stdout);
    }
}

int main(void)
{
    const char *most = getenv("EDDY_BENCH_KEYS"), *evicted = getenv("EDDY_BENCH_EVICTED");
    const int keys = most ? atoi(most) : MOST_KEYS;
    if (keys < 10 * FEW_KEYS) bench_die("EDDY_BENCH_KEYS must be at least 100000", NULL);
    watch = mmap(NULL, sizeof(*watch), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (watch == MAP_FAILED) bench_die("out of memory", NULL);
    if (evicted) {
        bench_evicted(atoi(evicted));
        return 0;
    }
    const char *part = getenv("EDDY_BENCH_PART"); /* rates, memory or pauses alone */
    if (!part || !strcmp(part, "rates")) bench_rates(keys);
    if (!part || !strcmp(part, "memory")) bench_memories(keys);
    if (part && strcmp(part, "pauses")) return 0;
    bench_pauses("gru-32 alone, a tenth dirty", often_saved, keys);
    bench_pauses("season and detector of the default, a tenth dirty", large_rows, keys);
    return 0;
}

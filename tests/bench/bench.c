#include "tests/bench/bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config/log.h"
#include "engine/flow/lane.h"
#include "engine/flow/plan.h"
#include "engine/flow/workers.h"
#include "engine/state/keyspace.h"
#include "plugin/registry.h"

double bench_clock(int clock_id)
{
    struct timespec t;
    clock_gettime((clockid_t)clock_id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void bench_die(const char *what, const struct eddy_error *err)
{
    fprintf(stderr, "bench: %s%s%s\n", what, err ? ": " : "", err ? err->message : "");
    exit(1);
}

static double resident_bytes(void)
{
    long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &size, &resident) != 2) bench_die("cannot read /proc/self/statm", NULL);
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

struct bench_child bench_child_start(struct bench_run (*work)(const void *argument), const void *argument)
{
    int ends[2];
    fflush(stdout);
    if (pipe(ends) != 0) bench_die("pipe failed", NULL);
    pid_t child = fork();
    if (child < 0) bench_die("fork failed", NULL);
    if (child == 0) {
        struct bench_run run = work(argument);
        if (write(ends[1], &run, sizeof(run)) != (ssize_t)sizeof(run)) _exit(1);
        _exit(0);
    }
    close(ends[1]);
    return (struct bench_child){child, ends[0]};
}

struct bench_run bench_child_wait(struct bench_child child)
{
    struct bench_run run;
    int status = 0;
    ssize_t got = read(child.end, &run, sizeof(run));
    close(child.end);
    if (waitpid(child.pid, &status, 0) != child.pid || status != 0 || got != (ssize_t)sizeof(run))
        bench_die("a measured run failed", NULL);
    return run;
}

struct bench_run bench_in_child(struct bench_run (*work)(const void *argument), const void *argument)
{
    return bench_child_wait(bench_child_start(work, argument));
}

static struct config *open_config(const char *yaml, const char *const *overrides, struct registry *registry)
{
    struct config *config;
    struct eddy_error err;
    struct config_request request = {.text = overrides ? NULL : yaml,
                                     .path = overrides ? yaml : NULL,
                                     .overrides = overrides,
                                     .parts = registry_parts(registry),
                                     .load_plugins = registry_load,
                                     .context = registry,
                                     .source_optional = true,
                                     .sink_optional = true};
    if (config_open(&request, &config, &err) < 0) bench_die("configuration", &err);
    return config;
}

static struct bench_run run_config(const char *yaml, const char *const *overrides, struct driver_request request)
{
    struct registry *registry;
    struct workers *workers;
    struct driver_stats stats;
    struct eddy_error err;
    (void)prctl(PR_SET_NAME, "eddy-loop"); /* by which profile.sh knows the process */
    setenv("EDDY_STAGES", "1", 1);
    log_set_level(LOG_LEVEL_WARN);
    double rss = resident_bytes();
    if (registry_open(&registry, &err) < 0) bench_die("registry", &err);
    struct config *config = open_config(yaml, overrides, registry);
    request.settings = config_settings(config);
    if (!request.source) {
        request.source = (const struct eddy_source *)request.settings->source.part;
        request.source_settings = request.settings->source.settings;
    }
    if (!request.sink) {
        request.sink = (const struct eddy_sink *)request.settings->sink.part;
        request.sink_settings = request.settings->sink.settings;
    }
    request.sink_request.name = request.settings->name;
    request.sink_request.source = &request.settings->source;
    if (!request.state_path) request.state = DRIVER_STATE_SCRATCH;
    const eddy_status n_workers = workers_wanted(&request, &err);
    if (n_workers < 0 || workers_open(&request, n_workers, NULL, &workers, &err) < 0) bench_die("workers_open", &err);

    double wall = bench_clock(CLOCK_MONOTONIC), process = bench_clock(CLOCK_PROCESS_CPUTIME_ID),
           loop = bench_clock(CLOCK_THREAD_CPUTIME_ID);
    if (workers_run(workers, &err) < 0) bench_die("workers_run", &err);
    struct bench_run run = {.seconds = bench_clock(CLOCK_MONOTONIC) - wall,
                            .cpu_process = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - process,
                            .cpu_loop = bench_clock(CLOCK_THREAD_CPUTIME_ID) - loop,
                            .rss_bytes = resident_bytes() - rss};
    workers_stats(workers, &stats);
    run.events = (double)stats.events;
    run.updates = (double)stats.updates;
    run.checkpoints = (double)stats.checkpoints;
    run.poll = stats.cpu_poll;
    run.decode = stats.cpu_decode;
    run.lane = stats.cpu_lane;
    run.encode = stats.cpu_encode;
    run.send = stats.cpu_send;
    run.checkpoint = stats.cpu_checkpoint;
    if (n_workers > 1) /* their loops are not this thread's */
        run.cpu_loop = run.poll + run.decode + run.lane + run.encode + run.send + run.checkpoint;
    workers_close(workers);
    config_close(config);
    registry_close(registry);
    return run;
}

struct bench_run bench_pipeline(const char *yaml, struct driver_request request)
{
    return run_config(yaml, NULL, request);
}

/* The records' only value, and room for all keys. */
static const char *const sample_overrides[] = {"codec.json.values=[temperature]", "state.memory=16GiB",
                                               "state.checkpoint=10m", "errors={tolerance: all}", NULL};

static const char *sample_path(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof(path), "config/%s.yml", name);
    return path;
}

struct bench_run bench_sample(const char *name, struct driver_request request)
{
    return run_config(sample_path(name), sample_overrides, request);
}

size_t bench_sample_estimate(const char *name)
{
    const char *const names[] = {"temperature"};
    const struct eddy_schema schema = {.n_values = 1, .names = names};
    struct registry *registry;
    struct plan *plan;
    struct plan_estimate estimate;
    struct eddy_error err;
    if (registry_open(&registry, &err) < 0) bench_die("registry", &err);
    struct config *config = open_config(sample_path(name), sample_overrides, registry);
    if (plan_open(config_settings(config), &schema, &plan, &err) < 0) bench_die("plan", &err);
    plan_estimate(plan, sizeof("sensor-000000") - 1, &estimate);
    plan_close(plan);
    config_close(config);
    registry_close(registry);
    return estimate.resident_bytes;
}

double bench_lookup(const char *yaml, const struct records *records)
{
    enum { AHEAD = 24, ROWS_AHEAD = 8, MOST_ROWS = 1024 };
    const char *const names[] = {"temperature"};
    const struct eddy_schema schema = {.n_values = 1, .names = names};
    const struct eddy_record *r = records->record;
    uint64_t hash[MOST_ROWS];
    struct registry *registry;
    struct plan *plan;
    struct keyspace *keys;
    struct key_row *row;
    struct eddy_error err;
    if (registry_open(&registry, &err) < 0) bench_die("registry", &err);
    struct config *config = open_config(yaml, NULL, registry);
    if (plan_open(config_settings(config), &schema, &plan, &err) < 0) bench_die("plan", &err);
    const struct keyspace_request request = {
        .layout = &plan->layout, .max_resident = INT64_MAX, .prepare = plan_prepare_row, .context = plan};
    if (keyspace_open(&request, &keys, &err) < 0) bench_die("keys", &err);
    const int batch = lane_most_rows(plan) < MOST_ROWS ? lane_most_rows(plan) : MOST_ROWS; /* as a turn has it */
    double start = 0;
    for (int i = 0; i < records->n; i += batch) {
        const int n = records->n - i < batch ? records->n - i : batch;
        if (i / batch == records->n_keys / batch + 1)
            start = bench_clock(CLOCK_THREAD_CPUTIME_ID); /* all keys are there */
        for (int k = 0; k < n; k++) hash[k] = keyspace_hash(r[i + k].key, r[i + k].key_len);
        for (int k = 0; k < n; k++) {
            if (k + AHEAD < n) keyspace_prefetch(keys, hash[k + AHEAD]);
            if (k + ROWS_AHEAD < n) keyspace_prefetch_row(keys, hash[k + ROWS_AHEAD]);
            if (keyspace_get(keys, hash[k], r[i + k].key, r[i + k].key_len, &row, &err) < 0) bench_die("get", &err);
        }
        keyspace_commit(keys);
    }
    const double each = (bench_clock(CLOCK_THREAD_CPUTIME_ID) - start) /
                        (records->n - (records->n_keys / batch + 1) * batch);
    keyspace_close(keys);
    plan_close(plan);
    config_close(config);
    registry_close(registry);
    return each;
}

static int by_cpu(const void *a, const void *b)
{
    const struct bench_run *x = a, *y = b;
    double d = x->cpu_process / x->events - y->cpu_process / y->events;
    return (d > 0) - (d < 0);
}

struct bench_run bench_median(struct bench_run *run, int n)
{
    qsort(run, (size_t)n, sizeof(*run), by_cpu);
    return run[n / 2];
}

void bench_print(const char *bench, const char *name, const struct bench_run *r, const char *extra)
{
    double us = r->events > 0 ? 1e6 / r->events : 0;
    double stages = r->poll + r->decode + r->lane + r->encode + r->send + r->checkpoint;
    printf("{\"bench\":\"%s\",\"case\":\"%s\",\"events\":%.0f,\"events_per_s\":%.0f,\"events_per_core_s\":%.0f,"
           "\"cpu_us\":%.3f,\"loop_us\":%.3f,\"poll_us\":%.3f,\"decode_us\":%.3f,\"lane_us\":%.3f,\"encode_us\":%.3f,"
           "\"send_us\":%.3f,\"checkpoint_us\":%.3f,\"other_us\":%.3f,\"updates\":%.0f%s}\n",
           bench, name, r->events, r->events / r->seconds, r->events / r->cpu_process, r->cpu_process * us,
           r->cpu_loop * us, r->poll * us, r->decode * us, r->lane * us, r->encode * us, r->send * us,
           r->checkpoint * us, (r->cpu_loop - stages) * us, r->updates, extra);
    fflush(stdout);
}

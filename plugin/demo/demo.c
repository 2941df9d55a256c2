#include "plugin/demo/demo.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config/log.h"
#include "connectors/kafka/kafka_mock.h"
#include "plugin/commands.h"
#include "plugin/demo/outcome.h"
#include "plugin/demo/runner.h"
#include "plugin/demo/workspace.h"
#include "plugin/demo/world.h"
#include "plugin/file_uses.h"
#include "plugin/registry.h"
#include "plugin/stop.h"

enum { SENSORS, PRICES, CONFIG_BYTES = 2048, SILENCE_S = 60, SAY_EVERY_S = 5 };

static const int horizons[] = {1, 12, 48};
enum { N_HORIZONS = sizeof(horizons) / sizeof(horizons[0]) };

/* Both are what a user would write; where they differ from the defaults, a comment says why. */
static const char *const configs[WORLD_STREAMS] = {
    "# Temperatures of a plant: forecasts and anomaly scores.\n"
    "name: demo-sensors\n"
    "seed: %llu\n"
    "source: {kafka: {topics: [sensors], properties: {bootstrap.servers: \"%s\", fetch.wait.max.ms: 50}}}\n"
    "codec: {json: {key: machine, time: ts, values: [temperature]}}\n"
    "forecast: {horizons: [1, 12, 48]}       # 5 minutes, 1 hour, 4 hours\n"
    "detect: {warmup: 576}                   # a machine is scored after two days\n"
    "train: {window: 144, every: 4, batch: 8, epoch: 128, learning_rate: 3e-3}  # half a day at a time, and eagerly\n"
    "state: {path: \"%s/state\", checkpoint: 2s}\n"
    "sink: {kafka: {topic: sensors.scored}}\n",
    "# Prices: forecasts with bands.\n"
    "name: demo-prices\n"
    "seed: %llu\n"
    "source: {kafka: {topics: [prices], properties: {bootstrap.servers: \"%s\", fetch.wait.max.ms: 50}}}\n"
    "codec: {json: {key: symbol, time: ts, values: [price]}}\n"
    "forecast: {horizons: [1, 12, 48]}\n"
    "detect: {detectors: [exceedance: {novelty: 10}]}   # a price that was never seen before is nothing unusual\n"
    "state: {path: \"%s/state\", checkpoint: 2s}\n"
    "sink: {kafka: {topic: prices.scored}}\n",
};
static const char *const names[WORLD_STREAMS] = {"sensors", "prices"};
static const char *const key_fields[WORLD_STREAMS] = {"machine", "symbol"};

struct args {
    const char *report, *keep;
    int64_t seed;
};

static const struct command_option options[] = {
    {"report", COMMAND_TEXT, offsetof(struct args, report), "PATH",
     "the page to write; default build/demo.html, or demo.html where there is no build/"},
    {"seed", COMMAND_COUNT, offsetof(struct args, seed), "N", "of the simulation and the networks; default 1"},
    {"keep", COMMAND_TEXT, offsetof(struct args, keep), "DIR",
     "keep events, scores, configurations and state in this new directory"},
    {0},
};

struct demo {
    struct args args;
    const struct eddy_parts *parts;
    const volatile sig_atomic_t *stop;
    struct workspace workspace;
    struct kafka_mock *mock;
    struct simulation simulations[WORLD_STREAMS];
    struct tally tallies[WORLD_STREAMS];
    struct world_stream streams[WORLD_STREAMS];
    struct runner *pipelines[WORLD_STREAMS];
    struct world *world;
    struct tally_fault *faults;
    struct outcome outcome;
    /* Progress. */
    bool terminal;
    int64_t n_said;
    double said_s;
};

static double demo_clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int64_t demo_scored(const struct demo *d)
{
    return d->tallies[SENSORS].n_scored + d->tallies[PRICES].n_scored;
}

/* A bar on a terminal, else a line every few seconds. */
static void demo_progress(struct demo *d, double started_s)
{
    double now_s = demo_clock_s(), since_s = now_s - d->said_s;
    if (since_s < (d->terminal ? .2 : SAY_EVERY_S)) return;
    int64_t n = demo_scored(d), all = tally_events(&d->tallies[SENSORS]) + tally_events(&d->tallies[PRICES]);
    int64_t alerts = d->tallies[SENSORS].n_alerts + d->tallies[PRICES].n_alerts;
    double rate = (double)(n - d->n_said) / since_s;
    if (d->terminal) {
        static const char full[] = "##############################", none[] = "..............................";
        int done = (int)(30 * n / all);
        fprintf(stderr, "\r[%.*s%.*s] %3d %%  %lld scored  %.0f/s  %lld alerts  %.0f s \033[K", done, full, 30 - done,
                none, (int)(100 * n / all), (long long)n, rate, (long long)alerts, now_s - started_s);
    } else {
        fprintf(stderr, "demo: %lld of %lld events scored, %.0f/s, %lld alerts\n", (long long)n, (long long)all, rate,
                (long long)alerts);
    }
    d->n_said = n;
    d->said_s = now_s;
}

static eddy_status demo_simulate(struct demo *d, struct eddy_error *err)
{
    uint64_t seed = (uint64_t)d->args.seed;
    eddy_status rc = plant_open(seed, &d->simulations[SENSORS], err);
    if (rc >= 0) rc = prices_open(seed, &d->simulations[PRICES], err);
    for (int i = 0; i < WORLD_STREAMS && rc >= 0; i++)
        rc = tally_open(&d->simulations[i], horizons, N_HORIZONS, i == PRICES, &d->tallies[i], err);
    if (rc < 0) return rc;
    d->faults = calloc((size_t)d->simulations[SENSORS].n_faults + 1, sizeof(*d->faults));
    return d->faults ? EDDY_OK : eddy_fail(err, EDDY_ENOMEM, "demo: out of memory");
}

/* The directory, and what goes into it when it is kept. */
static eddy_status demo_files(struct demo *d, struct eddy_error *err)
{
    eddy_status rc = workspace_open(&d->workspace, d->args.keep, err);
    for (int i = 0; i < WORLD_STREAMS && rc >= 0; i++) {
        char sent[32], scored[32];
        snprintf(sent, sizeof(sent), "%s.jsonl", names[i]);
        snprintf(scored, sizeof(scored), "%s.scored.jsonl", names[i]);
        d->streams[i] = (struct world_stream){names[i],       key_fields[i], &d->simulations[i],
                                              &d->tallies[i], NULL,          NULL};
        rc = workspace_file(&d->workspace, sent, &d->streams[i].sent, err);
        if (rc >= 0) rc = workspace_file(&d->workspace, scored, &d->streams[i].scored, err);
    }
    return rc;
}

static eddy_status demo_mock(struct demo *d, struct eddy_error *err)
{
    const struct kafka_mock_topic topics[] = {
        {"sensors", 1}, {"sensors.scored", 1}, {"prices", 1}, {"prices.scored", 1}};
    return kafka_mock_open(topics, sizeof(topics) / sizeof(topics[0]), &d->mock, err);
}

static eddy_status demo_start(struct demo *d, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < WORLD_STREAMS && rc >= 0; i++) {
        char text[CONFIG_BYTES], file[32];
        snprintf(text, sizeof(text), configs[i], (unsigned long long)d->args.seed, kafka_mock_servers(d->mock),
                 d->workspace.path);
        snprintf(file, sizeof(file), "%s.yml", names[i]);
        rc = workspace_write(&d->workspace, file, text, err);
        if (rc >= 0) rc = runner_start(names[i], text, d->parts, &d->pipelines[i], err);
    }
    if (rc >= 0) rc = world_open(kafka_mock_servers(d->mock), d->streams, d->parts, &d->world, err);
    return rc;
}

/* Sends, reads and waits until every event has its score. */
static eddy_status demo_run(struct demo *d, struct eddy_error *err)
{
    int64_t all = tally_events(&d->tallies[SENSORS]) + tally_events(&d->tallies[PRICES]);
    double started_s = demo_clock_s(), heard_s = started_s, first_s = 0;
    eddy_status rc = EDDY_OK;
    d->said_s = started_s;
    while (rc >= 0 && demo_scored(d) < all) {
        rc = world_turn(d->world, err);
        if (rc > 0) heard_s = demo_clock_s();
        if (rc > 0 && first_s == 0) first_s = heard_s;
        demo_progress(d, started_s);
        if (*d->stop) return eddy_fail(err, EDDY_EAGAIN, "stopped");
        for (int i = 0; i < WORLD_STREAMS; i++)
            if (runner_ended(d->pipelines[i])) return EDDY_OK; /* its own error tells why */
        if (rc >= 0 && demo_clock_s() - heard_s > SILENCE_S)
            rc = eddy_fail(err, EDDY_EIO, "no score has come for %d s; %lld of %lld events have one", SILENCE_S,
                           (long long)demo_scored(d), (long long)all);
    }
    d->outcome.seconds = demo_clock_s() - first_s;
    return rc < 0 ? rc : EDDY_OK;
}

/* Stops the pipelines; the first error there is wins over `rc`, because it is the cause. */
static eddy_status demo_stop(struct demo *d, eddy_status rc, struct eddy_error *err)
{
    for (int i = 0; i < WORLD_STREAMS; i++) {
        struct driver_stats stats;
        if (!d->pipelines[i]) continue;
        eddy_status ended = runner_stop(d->pipelines[i], &stats, err);
        if (ended < 0) rc = ended;
        d->outcome.updates += stats.updates;
        d->outcome.refused += stats.refused;
    }
    return rc;
}

static const char *demo_report_path(const struct demo *d)
{
    struct stat info;
    if (d->args.report) return d->args.report;
    return stat("build", &info) == 0 && S_ISDIR(info.st_mode) ? "build/demo.html" : "demo.html";
}

static eddy_status demo_finish(struct demo *d, struct eddy_error *err)
{
    const char *path = demo_report_path(d);
    struct outcome *o = &d->outcome;
    o->seed = (uint64_t)d->args.seed;
    o->sensors = &d->tallies[SENSORS];
    o->prices = &d->tallies[PRICES];
    o->false_alarms = tally_judge(o->sensors, d->faults);
    o->faults = d->faults;
    outcome_print(o, stdout);

    eddy_status rc = outcome_report(o, path, err);
    if (rc < 0) return rc;
    printf("\nreport        %s\n", path);
    if (d->args.keep) printf("kept          %s\n", d->args.keep);
    fflush(stdout);
    return outcome_check(o, err);
}

static void demo_close(struct demo *d)
{
    world_close(d->world);
    for (int i = 0; i < WORLD_STREAMS; i++) {
        runner_close(d->pipelines[i]);
        tally_close(&d->tallies[i]);
        simulation_close(&d->simulations[i]);
        if (d->streams[i].sent) (void)fclose(d->streams[i].sent);
        if (d->streams[i].scored) (void)fclose(d->streams[i].scored);
    }
    kafka_mock_close(d->mock);
    workspace_close(&d->workspace);
    free(d->faults);
}

int cmd_demo(struct command_context *c, int argc, char **argv)
{
    struct demo d = {.args = {.seed = 1}, .terminal = isatty(STDERR_FILENO) != 0};
    int parsed = command_parse(c, argc, argv, &d.args);
    if (parsed != COMMAND_GO) return parsed;
    if (d.args.seed < 0) return command_usage(c, "--seed: 0 or more");

    struct eddy_error err = {0};
    d.parts = registry_parts(c->registry);
    log_set_level(LOG_LEVEL_WARN);
    fprintf(stderr, "demo: a plant and a market, simulated; Kafka's mock cluster on loopback; two pipelines\n");
    eddy_status rc = file_can_write("--report", demo_report_path(&d), &err);
    if (rc >= 0) rc = demo_mock(&d, &err); /* before anything else is open: it forks */
    d.stop = stop_on_signals();
    if (rc >= 0) rc = demo_simulate(&d, &err);
    if (rc >= 0) rc = demo_files(&d, &err);
    if (rc >= 0) rc = demo_start(&d, &err);
    if (rc >= 0) rc = demo_run(&d, &err);
    rc = demo_stop(&d, rc, &err);
    if (d.terminal) fprintf(stderr, "\r\033[K");
    if (rc >= 0) rc = demo_finish(&d, &err);
    int code = rc < 0 ? command_fail(c, &err) : COMMAND_DONE;
    demo_close(&d);
    return code;
}

const struct command command_demo = {
    "demo",
    "",
    0,
    0,
    "shows the main job without a broker: a simulated plant and market, scored over the Kafka protocol",
    "Starts librdkafka's mock cluster in a child process on 127.0.0.1, feeds it simulated events whose truth is "
    "known,\n"
    "runs the same pipelines as `eddy run`, and reads the scores back.  Ends with a table on stdout and a page with\n"
    "charts.  Exit code 1 when an event has no score, when forecasts of the sensors are no better than persistence, "
    "or\n"
    "when fewer than half of the faults were found.",
    options,
    cmd_demo,
};

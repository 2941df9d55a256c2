/* eddy replay CONFIG: the same engine over files or a topic's past. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/log.h"
#include "eddy.h"
#include "engine/flow/workers.h"
#include "plugin/backtest.h"
#include "plugin/commands.h"
#include "plugin/history.h"
#include "plugin/metrics.h"
#include "plugin/pipeline.h"
#include "plugin/progress.h"
#include "plugin/stop.h"
#include "plugin/windows.h"

struct args {
    struct command_list sets;
    struct history history;
    const char *output, *metrics, *state, *model, *dead_letter, *incidents;
    const char *score_rows, *scale_rows, *labels, *report;
    bool json;
    const volatile sig_atomic_t *stop;
};

static const struct command_option options[] = {
    HISTORY_SOURCE(struct args, history),
    {"output", COMMAND_TEXT, offsetof(struct args, output), "PATH",
     "results: JSON lines, columns for .csv, - for stdout"},
    {"metrics", COMMAND_TEXT, offsetof(struct args, metrics), "PATH", "the figures as JSON, - for stdout"},
    {"report", COMMAND_TEXT, offsetof(struct args, report), "R.html", "a page with the series and the figures"},
    {"labels", COMMAND_TEXT, offsetof(struct args, labels), "PATH",
     "known anomalies: {\"series\": [[start, end], ..]}; alarms are judged by them"},
    {"score-rows", COMMAND_TEXT, offsetof(struct args, score_rows), "A:B",
     "figures of the forecasts made in rows A..B-1 of each series"},
    {"scale-rows", COMMAND_TEXT, offsetof(struct args, scale_rows), "A:B",
     "errors over the standard deviation of these rows of their series"},
    {"dead-letter", COMMAND_TEXT, offsetof(struct args, dead_letter), "PATH", "bad records as JSON lines"},
    {"incidents", COMMAND_TEXT, offsetof(struct args, incidents), "PATH",
     "incidents as JSON lines, and not in the results"},
    {"state", COMMAND_TEXT, offsetof(struct args, state), "DIR", "keep the state here; default: thrown away"},
    {"model", COMMAND_TEXT, offsetof(struct args, model), "FILE", "start from the weights of this safetensors file"},
    {"json", COMMAND_FLAG, offsetof(struct args, json), NULL, "the figures on stdout as JSON"},
    HISTORY_CSV(struct args, history),
    COMMAND_SETS(struct args, sets),
    {0},
};

/* What one worker's results go into. */
struct replay_part {
    const struct replay *replay;
    struct metrics *metrics;
};

struct replay {
    struct command_context *command;
    const struct args *args;
    const struct config *config;
    struct pipeline pipeline;
    struct progress progress;
    int n_workers;
    struct replay_part *parts; /* [n_workers] */
    void **contexts;           /* [n_workers] the parts */
    struct metrics *metrics;   /* of the first part, and of all after the run */
    struct windows *labels;
    struct backtest *report; /* NULL = none wanted; else there is one worker */
    struct workers *workers;
    struct metrics_request wanted;
    struct history_names names;
    bool misused; /* the error is one of the command line */
};

static void replay_result(void *context, const struct eddy_result *result)
{
    const struct replay_part *part = context;
    const struct replay *r = part->replay;
    int64_t number = metrics_add(part->metrics, result);
    if (!r->report) return;
    backtest_add(r->report, number, result);
    if (!backtest_wants_train(r->report)) return;
    struct driver_stats stats;
    workers_stats(r->workers, &stats);
    backtest_train(r->report, &stats);
}

static void replay_tick(void *context, const struct driver_stats *stats)
{
    progress_tick(&((struct replay *)context)->progress, stats);
}

/* A bad line is always named; with a dead-letter file its bytes are kept as well. */
static void replay_bad(void *context, const struct eddy_record *record, const struct eddy_error *why)
{
    const struct replay *r = ((const struct replay_part *)context)->replay;
    if (!r->pipeline.settings.errors.dead_letter.part) return; /* then the driver has logged it */
    log_warn("bad_record", "%s:%lld: %s", record->topic, (long long)(record->line ? record->line : record->offset),
             why->message);
}

/* ---- the command line ---- */

/* Lines of two kinds, or lines and a document, would be one text that nobody can read. */
static const char *replay_stdout(const struct args *a)
{
    const char *const paths[] = {a->output, a->metrics, a->dead_letter, a->incidents};
    int n = a->json;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) n += paths[i] && strcmp(paths[i], "-") == 0;
    if (a->report && strcmp(a->report, "-") == 0) return "--report takes a file's name, not -";
    return n > 1 ? "only one of --json, --output -, --metrics -, --dead-letter - and --incidents - can have stdout"
                 : NULL;
}

/* Has a program's reader got stdout? */
static bool replay_took_stdout(const struct args *a)
{
    struct args bare = *a;
    bare.json = true;
    return a->json || replay_stdout(&bare) != NULL;
}

/* NULL = fine, else the complaint. */
static const char *replay_scoring(const struct args *a, struct metrics_request *wanted)
{
    if (a->score_rows && !metrics_rows_parse(a->score_rows, &wanted->score))
        return "--score-rows takes A:B, the rows A to B-1 of every series, or A: for all from A on";
    if (a->scale_rows && !metrics_rows_parse(a->scale_rows, &wanted->scale))
        return "--scale-rows takes A:B, the rows A to B-1 of every series, or A: for all from A on";
    return NULL;
}

/* ---- the run ---- */

/* Whatever is one file, in one order, takes one worker: it says so and goes on with that. */
static void replay_count_workers(struct replay *r)
{
    struct eddy_error why = {0};
    eddy_status n = workers_wanted(&r->pipeline.request, &why);
    if (n > 1 && r->args->report) n = eddy_fail(&why, EDDY_ECONFIG, "workers: --report is drawn by one");
    if (n < 0) log_info("workers", "one worker for this replay: %s", why.message);
    r->n_workers = n > 0 ? n : 1;
}

static eddy_status replay_open_metrics(struct replay *r, struct eddy_error *err)
{
    r->parts = calloc((size_t)r->n_workers, sizeof(*r->parts));
    r->contexts = calloc((size_t)r->n_workers, sizeof(*r->contexts));
    if (!r->parts || !r->contexts) return eddy_fail(err, EDDY_ENOMEM, "out of memory for the figures");
    r->wanted.max_bytes = METRICS_BYTES / r->n_workers;
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < r->n_workers && rc >= 0; i++) {
        r->parts[i].replay = r;
        r->contexts[i] = &r->parts[i];
        rc = metrics_open(&r->wanted, &r->parts[i].metrics, err);
    }
    r->metrics = r->parts[0].metrics;
    return rc;
}

/* Nothing that is written spoils another file, and what comes at the end can be written. */
static eddy_status replay_spare(struct replay *r, struct eddy_error *err)
{
    const struct args *a = r->args;
    struct file_uses uses = {0};
    char shared[4096];
    file_uses_read(&uses, "CONFIG", r->command->positional[0]);
    file_uses_read(&uses, "--labels", a->labels);
    file_uses_read(&uses, "--model", a->model);
    if (a->model && snprintf(shared, sizeof(shared), "%s.shared", a->model) < (int)sizeof(shared))
        file_uses_read(&uses, "--model", shared);
    pipeline_uses(&r->pipeline, &uses);
    file_uses_write(&uses, "--metrics", a->metrics);
    file_uses_write(&uses, "--report", a->report);
    eddy_status rc = file_uses_differ(&uses, &r->misused, err);
    if (rc >= 0) rc = file_can_write("--metrics", a->metrics, err);
    return rc >= 0 ? file_can_write("--report", a->report, err) : rc;
}

static eddy_status replay_open(struct replay *r, struct eddy_error *err)
{
    const struct args *a = r->args;
    struct pipeline *p = &r->pipeline;
    eddy_status rc = pipeline_bare(p, config_settings(r->config), err);
    if (rc < 0) return rc;
    /* A backtest writes nothing into the topics of the live pipeline: its dead letters go to a file or to the log. */
    if (a->dead_letter || p->settings.errors.dead_letter.part == &sink_kafka.part)
        pipeline_dead_letters(p, a->dead_letter);
    rc = history_open(&a->history, p, &r->names, &r->misused, err);
    if (rc >= 0 && a->output) pipeline_write(p, a->output);
    if (rc >= 0 && a->incidents) pipeline_incidents(p, a->incidents);
    if (rc < 0) return rc;
    p->request.state = a->state ? DRIVER_STATE_KEPT : DRIVER_STATE_SCRATCH;
    p->request.state_path = a->state;
    p->request.model_path = a->model;
    rc = replay_spare(r, err);
    if (rc < 0) return rc;
    p->request.stop = a->stop;
    p->request.on_result = replay_result;
    p->request.on_bad = replay_bad;
    p->request.on_tick = replay_tick;
    p->request.context = r;
    p->request.experts = a->metrics || a->report || a->json;
    if (a->labels && (rc = windows_open(a->labels, &r->labels, err)) < 0) return rc;
    if (a->report && (rc = backtest_open(0, r->labels, &r->report, err)) < 0) return rc;
    r->wanted.labels = r->labels;
    r->wanted.settings = &p->settings;
    r->wanted.by_partition = !a->history.inputs.n;
    replay_count_workers(r);
    return replay_open_metrics(r, err);
}

/* A replay starts at its first row; on top of an older state it would leave out the rows that the state knows. */
static eddy_status replay_fresh_state(const struct replay *r, struct eddy_error *err)
{
    char path[4096];
    if (!r->args->state) return EDDY_OK;
    (void)snprintf(path, sizeof(path), "%s/%s", r->args->state, r->pipeline.settings.name);
    if (access(path, F_OK) != 0) return EDDY_OK;
    return eddy_fail(err, EDDY_EBUSY,
                     "%s: there is state already; a replay starts anew, so give --state another directory", path);
}

static eddy_status replay_metrics_file(const struct replay *r, const struct metrics_run *run, struct eddy_error *err)
{
    if (!r->args->metrics) return EDDY_OK;
    const bool to_stdout = strcmp(r->args->metrics, "-") == 0;
    FILE *out = to_stdout ? stdout : fopen(r->args->metrics, "we");
    if (!out) return eddy_fail(err, EDDY_EIO, "%s: %s", r->args->metrics, strerror(errno));
    struct json_out j = json_begin(out);
    eddy_status rc = metrics_write(r->metrics, run, &j, err);
    json_end(&j);
    bool failed = ferror(out) != 0;
    if (to_stdout) return rc; /* command_main() looks whether it arrived */
    if ((fclose(out) != 0 || failed) && rc >= 0)
        rc = eddy_fail(err, EDDY_EIO, "%s: %s", r->args->metrics, strerror(errno));
    return rc;
}

static eddy_status replay_page(const struct replay *r, const struct metrics_run *run, struct eddy_error *err)
{
    if (!r->report) return EDDY_OK;
    char title[256], version[32];
    (void)snprintf(title, sizeof(title), "%s: backtest", r->pipeline.settings.name);
    (void)snprintf(version, sizeof(version), "eddy %d.%d.%d", EDDY_VERSION_MAJOR, EDDY_VERSION_MINOR,
                   EDDY_VERSION_PATCH);
    const struct backtest_about about = {.title = title,
                                         .version = version,
                                         .metrics = r->metrics,
                                         .run = run,
                                         .threshold = r->pipeline.settings.detect.threshold};
    return backtest_write(r->report, &about, r->args->report, err);
}

static eddy_status replay_report(const struct replay *r, struct eddy_error *err)
{
    char hash[33], sha[65];
    struct driver_stats stats;
    workers_stats(r->workers, &stats);
    eddy_status rc = workers_hash(r->workers, false, hash, err);
    if (rc < 0) return rc;
    metrics_labels_warn(r->metrics, r->args->labels);
    config_sha256(r->config, sha);
    const struct metrics_run run = {&stats, hash, sha};
    rc = replay_metrics_file(r, &run, err);
    if (rc >= 0) rc = replay_page(r, &run, err);
    if (rc < 0) return rc;

    struct json_out j = json_begin(stdout);
    if (r->args->json) {
        rc = metrics_write(r->metrics, &run, &j, err);
        json_end(&j);
    } else if (!replay_took_stdout(r->args)) {
        rc = metrics_print(r->metrics, &run, stdout, err);
    }
    return rc;
}

static eddy_status replay_run(struct replay *r, struct eddy_error *err)
{
    eddy_status rc = replay_fresh_state(r, err);
    if (rc >= 0) rc = workers_open(&r->pipeline.request, r->n_workers, r->contexts, &r->workers, err);
    progress_begin(&r->progress, "replay", 0);
    if (rc >= 0) rc = workers_run(r->workers, err);
    progress_end(&r->progress);
    for (int i = 1; i < r->n_workers; i++) metrics_merge(r->metrics, r->parts[i].metrics);
    if (rc >= 0) rc = replay_report(r, err);
    if (rc >= 0 && *r->pipeline.request.stop) rc = eddy_fail(err, EDDY_EAGAIN, "stopped before the end of the input");
    workers_close(r->workers);
    return rc;
}

static int cmd_replay(struct command_context *c, int argc, char **argv)
{
    struct args args = {.stop = stop_on_signals()}; /* from the first moment on */
    int rc = command_parse(c, argc, argv, &args);
    if (rc != COMMAND_GO) return rc;
    struct metrics_request wanted = {0};
    const char *wrong = history_complaint(&args.history);
    if (!wrong) wrong = replay_stdout(&args);
    if (!wrong) wrong = replay_scoring(&args, &wanted);
    if (wrong) return command_usage(c, "%s", wrong);
    struct config *config;
    int brings = COMMAND_BRINGS_SINK | (args.history.inputs.n ? COMMAND_BRINGS_SOURCE : 0);
    rc = command_config(c, c->positional[0], &args.sets, brings, &config);
    if (rc != COMMAND_GO) return rc;

    struct eddy_error err = {0};
    struct replay replay = {.command = c, .args = &args, .config = config, .wanted = wanted};
    eddy_status done = replay_open(&replay, &err);
    if (done >= 0) done = replay_run(&replay, &err);
    if (replay.misused)
        rc = command_usage(c, "%s", err.message);
    else
        rc = done < 0 ? command_fail(c, &err) : COMMAND_DONE;
    pipeline_free(&replay.pipeline);
    for (int i = 0; replay.parts && i < replay.n_workers; i++) metrics_close(replay.parts[i].metrics);
    free(replay.parts), free((void *)replay.contexts);
    backtest_close(replay.report);
    windows_close(replay.labels);
    history_close(&replay.names);
    config_close(config);
    return rc;
}

const struct command command_replay = {
    "replay",
    "CONFIG (--input PATH | --from T)",
    1,
    1,
    "backtest: the same engine over files or a topic's past",
    "`workers: N` divides a topic's partitions among N threads; --output, --incidents, --dead-letter and --report "
    "are\n"
    "one file each, in one order, and take one.\n"
    "With its own state, which is thrown away unless --state says otherwise; it joins no group, commits nothing and\n"
    "writes into no topic.  Without --output only the figures are printed.  CSV columns are found by their names: "
    "the\n"
    "time is ts, time, timestamp, date, datetime or ds, the key is key, id, unique_id, symbol, sensor or item, "
    "every\n"
    "other column that holds numbers is a value.",
    options,
    cmd_replay,
};

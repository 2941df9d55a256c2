/* eddy run CONFIG: the daemon. */
#include <string.h>
#include <sys/stat.h>

#include "config/log.h"
#include "engine/flow/workers.h"
#include "plugin/commands.h"
#include "plugin/pipeline.h"
#include "plugin/progress.h"
#include "plugin/stop.h"

struct args {
    struct command_list sets;
};

static const struct command_option options[] = {
    COMMAND_SETS(struct args, sets),
    {0},
};

enum { LOG_EVERY_S = 60 };

static void run_tick(void *context, const struct driver_stats *stats)
{
    progress_tick(context, stats);
}

/* Told to stop before it had begun, it has ended as it should. */
static int run_failed(const struct command_context *c, const struct pipeline *p, bool opened,
                      const struct eddy_error *err)
{
    if (err->code == EDDY_EAGAIN && !opened && *p->request.stop) {
        log_info("end", "stopped while opening: %s", err->message);
        return COMMAND_DONE;
    }
    return command_fail(c, err);
}

static int run_pipeline(struct command_context *c, const struct config *config, const volatile sig_atomic_t *stop)
{
    struct eddy_error err = {0};
    struct pipeline pipeline = {0};
    struct progress progress;
    struct workers *workers = NULL;
    progress_begin(&progress, "run", LOG_EVERY_S);

    eddy_status rc = pipeline_configured(&pipeline, config_settings(config), &err);
    pipeline.request.commit = true;
    pipeline.request.stop = stop;
    pipeline.request.on_tick = run_tick;
    pipeline.request.context = &progress;
    if (rc >= 0) rc = pipeline_spares(&pipeline, c->positional[0], &err);
    if (rc >= 0) rc = pipeline_guarantee(&pipeline, &err);
    if (rc >= 0) rc = workers_wanted(&pipeline.request, &err);
    const int n_workers = rc;
    if (rc >= 0) rc = workers_open(&pipeline.request, n_workers, NULL, &workers, &err);
    if (rc >= 0) {
        log_info("start", "%s: source %s, sink %s, state %s, workers %d", config_settings(config)->name,
                 pipeline.request.source->part.name, pipeline.request.sink->part.name,
                 config_settings(config)->state.path, n_workers);
        rc = workers_run(workers, &err);
    }
    progress_end(&progress);
    struct driver_stats s = {0};
    if (workers) workers_stats(workers, &s);
    const int failed = rc < 0 ? run_failed(c, &pipeline, workers != NULL, &err) : COMMAND_DONE;
    workers_close(workers);
    pipeline_free(&pipeline);
    if (rc < 0) return failed;
    log_info("end", "%lld events, %lld bad, %lld keys, %lld alerts, %lld incidents, %lld updates, %.1f s",
             (long long)s.events, (long long)s.bad, (long long)s.keys, (long long)s.alerts, (long long)s.incidents,
             (long long)s.updates, s.seconds);
    if (s.set_aside > 0)
        log_warn("state_corrupt",
                 "%lld state files failed their checks and were made anew; they are kept as "
                 "*.corrupt-<time>",
                 (long long)s.set_aside);
    return COMMAND_DONE;
}

static int cmd_run(struct command_context *c, int argc, char **argv)
{
    struct args args = {0};
    const volatile sig_atomic_t *stop = stop_on_signals(); /* from the first moment on, a stop is an orderly end */
    (void)umask(umask(0) | 027);                           /* what it writes is not everybody's */
    int rc = command_parse(c, argc, argv, &args);
    if (rc != COMMAND_GO) return rc;
    struct config *config;
    rc = command_config(c, c->positional[0], &args.sets, COMMAND_BRINGS_NOTHING, &config);
    if (rc != COMMAND_GO) return rc;
    rc = run_pipeline(c, config, stop);
    config_close(config);
    return rc;
}

const struct command command_run = {
    "run",
    "CONFIG",
    1,
    1,
    "the daemon: Kafka (or file, or stdin) in, scores out",
    "SIGTERM or SIGINT drains, saves and exits 0 within 10 seconds; a second signal ends at once.  After a crash it\n"
    "goes on exactly at the last checkpoint.",
    options,
    cmd_run,
};

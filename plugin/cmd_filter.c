/* eddy filter CONFIG: stdin to stdout, one record in, one record out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/commands.h"
#include "plugin/json_out.h"
#include "plugin/pipeline.h"
#include "plugin/stop.h"

struct args {
    struct command_list sets;
};

static const struct command_option options[] = {
    COMMAND_SETS(struct args, sets),
    {0},
};

/* A record that cannot be used has an answer too, in its place. */
static void filter_bad(void *context, const struct eddy_record *record, const struct eddy_error *why)
{
    (void)context;
    struct json_out j = json_begin(stdout);
    json_open(&j, NULL, '{');
    json_open(&j, "error", '{');
    json_text(&j, "code", why->reason && *why->reason ? why->reason : "bad_record");
    json_text(&j, "message", why->message);
    json_close(&j, '}');
    json_open(&j, "src", '{');
    json_text(&j, "topic", record->topic);
    json_int(&j, "partition", record->partition);
    json_int(&j, "offset", record->offset);
    json_close(&j, '}');
    json_close(&j, '}');
    json_end(&j);
    (void)fflush(stdout);
}

static int filter_pipeline(struct command_context *c, const struct config *config, const volatile sig_atomic_t *stop)
{
    struct eddy_error err = {0};
    struct pipeline pipeline = {0};
    struct driver *driver = NULL;
    struct file_uses uses = {0};
    bool misused;
    eddy_status rc = pipeline_bare(&pipeline, config_settings(config), &err);
    if (rc >= 0) {
        struct driver_request *q = &pipeline.request;
        if (pipeline.settings.errors.dead_letter.part == &sink_kafka.part) pipeline_dead_letters(&pipeline, NULL);
        pipeline_write(&pipeline, "-");
        q->source = &source_stdin;
        q->state = DRIVER_STATE_SCRATCH;
        q->chunk = 1; /* an answer before the next record is read, and answers in the order of the records */
        q->flush_each = true;
        q->stop = stop;
        q->on_bad = filter_bad;
        file_uses_read(&uses, "CONFIG", c->positional[0]);
        pipeline_uses(&pipeline, &uses);
        rc = file_uses_differ(&uses, &misused, &err);
        if (rc >= 0) rc = driver_open(q, &driver, &err);
    }
    if (rc >= 0) rc = driver_run(driver, &err);
    driver_close(driver);
    pipeline_free(&pipeline);
    return rc < 0 ? command_fail(c, &err) : COMMAND_DONE;
}

static int cmd_filter(struct command_context *c, int argc, char **argv)
{
    struct args args = {0};
    const volatile sig_atomic_t *stop = stop_on_signals(); /* from the first moment on, a stop is an orderly end */
    int rc = command_parse(c, argc, argv, &args);
    if (rc != COMMAND_GO) return rc;
    struct config *config;
    rc = command_config(c, c->positional[0], &args.sets, COMMAND_BRINGS_SOURCE | COMMAND_BRINGS_SINK, &config);
    if (rc != COMMAND_GO) return rc;
    rc = filter_pipeline(c, config, stop);
    config_close(config);
    return rc;
}

const struct command command_filter = {
    "filter",
    "CONFIG",
    1,
    1,
    "stdin to stdout, one record in, one record out",
    "Every line is answered before the next one is read.  A line that is no good record is answered by\n"
    "{\"error\":{\"code\",\"message\"},\"src\":{..}}.  State lives as long as the pipe.",
    options,
    cmd_filter,
};

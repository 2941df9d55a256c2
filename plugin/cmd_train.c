/* eddy train CONFIG: a model from the past, for new partitions to start from or as a file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/log.h"
#include "engine/flow/initial_model.h"
#include "engine/flow/pretrain.h"
#include "plugin/cmd_model_files.h"
#include "plugin/commands.h"
#include "plugin/history.h"
#include "plugin/json_out.h"
#include "plugin/progress.h"
#include "plugin/stop.h"
#include "plugin/stored_files.h"

struct args {
    struct command_list sets;
    struct history history;
    const char *output, *model;
    int64_t epochs;
    bool adopt, json;
    const volatile sig_atomic_t *stop;
};

static const struct command_option options[] = {
    HISTORY_SOURCE(struct args, history),
    {"epochs", COMMAND_COUNT, offsetof(struct args, epochs), "N", "times over the history; default: 10"},
    {"output", COMMAND_TEXT, offsetof(struct args, output), "F.safetensors",
     "the model as a file, instead of into the pipeline's state"},
    {"adopt", COMMAND_FLAG, offsetof(struct args, adopt), NULL,
     "partitions that have state take the model over as their next version"},
    {"model", COMMAND_TEXT, offsetof(struct args, model), "FILE", "start from the weights of this safetensors file"},
    {"json", COMMAND_FLAG, offsetof(struct args, json), NULL, "the losses on stdout as JSON"},
    HISTORY_CSV(struct args, history),
    COMMAND_SETS(struct args, sets),
    {0},
};

enum { PATIENCE = 3 };
static const size_t MOST_BYTES = (size_t)1 << 30;

struct training {
    const struct args *args;
    struct pipeline pipeline;
    struct history_names names;
    struct schema_names values;
    struct window_set windows;
    struct eddy_buffer shared; /* what keys shared at the end of the history */
    struct plan *plan;
    struct progress progress;
    struct json_out json;
    int64_t best; /* epoch */
    bool misused;
};

static void train_tick(void *context, const struct driver_stats *stats)
{
    progress_tick(&((struct training *)context)->progress, stats);
}

static eddy_status train_spare_output(const char *path, struct eddy_error *err)
{
    char shared[4096];
    if (snprintf(shared, sizeof(shared), "%s.shared", path) >= (int)sizeof(shared))
        return eddy_fail(err, EDDY_EIO, "--output: %.100s..: %s", path, strerror(ENAMETOOLONG));
    if (access(path, F_OK) == 0) return eddy_fail(err, EDDY_EBUSY, "%s: there is a file already", path);
    if (access(shared, F_OK) == 0) return eddy_fail(err, EDDY_EBUSY, "%s: there is a file already", shared);
    return file_can_write("--output", path, err);
}

/* Nothing that exists is written over by chance, and the model of hours finds a place. */
static eddy_status train_spare(const struct training *t, struct eddy_error *err)
{
    const struct args *a = t->args;
    struct stored_files files;
    if (a->output) return train_spare_output(a->output, err);
    if (a->adopt) return EDDY_OK;
    eddy_status rc = stored_files_find(&t->pipeline.settings, &files, err);
    if (rc == EDDY_ENOTFOUND) return EDDY_OK;
    if (rc < 0) return rc;
    rc = eddy_fail(err, EDDY_EBUSY,
                   "%s: there is state already; --adopt gives it the new model, --output writes a file instead",
                   files.item[0].path);
    stored_files_free(&files);
    return rc;
}

/* One pass in stream order, which brings states and windows. */
static eddy_status train_gather(struct training *t, struct eddy_error *err)
{
    struct driver *driver = NULL;
    struct driver_request *q = &t->pipeline.request;
    t->windows.most_bytes = MOST_BYTES;
    t->pipeline.settings.train.mode = TRAIN_INLINE;
    q->state = DRIVER_STATE_SCRATCH;
    q->model_path = t->args->model;
    q->stop = t->args->stop;
    q->gather = &t->windows;
    q->on_tick = train_tick;
    q->context = t;
    eddy_status rc = driver_open(q, &driver, err);
    progress_begin(&t->progress, "train", 0);
    if (rc >= 0) rc = driver_run(driver, err);
    progress_end(&t->progress);
    if (rc >= 0) rc = driver_shared(driver, &t->shared, err);
    driver_close(driver);
    if (rc >= 0 && *q->stop) rc = eddy_fail(err, EDDY_EAGAIN, "stopped before the end of the input");
    if (rc >= 0 && t->windows.n == 0 && t->shared.len == 0)
        rc = eddy_fail(err, EDDY_EINVAL,
                       "no training windows: the history is shorter than train.epoch (%lld offsets), or neither a "
                       "network nor an expert has anything that keys share",
                       (long long)t->pipeline.settings.train.epoch);
    window_set_sort(&t->windows);
    return rc;
}

static void train_epoch(void *context, const struct pretrain_epoch *e)
{
    struct training *t = context;
    if (e->best) t->best = e->epoch;
    if (!t->args->json) {
        if (e->epoch == 0)
            printf("start     held out %.6g\n", e->held_out);
        else
            printf("epoch %-3lld held out %.6g   trained on %.6g   %lld steps%s\n", (long long)e->epoch, e->held_out,
                   e->loss, (long long)e->steps, e->best ? "   best so far" : "");
        (void)fflush(stdout);
        return;
    }
    json_open(&t->json, NULL, '{');
    json_int(&t->json, "epoch", e->epoch);
    json_real(&t->json, "loss", e->loss);
    json_real(&t->json, "held_out", e->held_out);
    json_int(&t->json, "steps", e->steps);
    json_close(&t->json, '}');
}

/* Through a file, as `eddy model CONFIG import` takes it. */
static eddy_status train_into_state(const struct training *t, const float *params, struct eddy_error *err)
{
    const char *tmp = getenv("TMPDIR");
    char dir[512], path[600];
    (void)snprintf(dir, sizeof(dir), "%s/eddy-train-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) return eddy_fail(err, EDDY_EIO, "%s: no directory can be made for the model", dir);
    (void)snprintf(path, sizeof(path), "%s/model.safetensors", dir);
    const struct model_files files = {.settings = &t->pipeline.settings,
                                      .path = path,
                                      .values = t->windows.values.data,
                                      .partition = -1,
                                      .quiet = t->args->json};
    eddy_status rc = model_write(path, t->plan, params, err);
    if (rc >= 0) rc = model_import(&files, err);
    (void)unlink(path);
    (void)rmdir(dir);
    return rc;
}

static eddy_status train_store_weights(const struct training *t, const struct weights *best, struct eddy_error *err)
{
    const float *params = t->pipeline.settings.train.ema > 0 ? best->ema : best->master;
    if (!t->args->output) return train_into_state(t, params, err);
    eddy_status rc = model_write(t->args->output, t->plan, params, err);
    if (rc >= 0 && !t->args->json) printf("%s: the model of epoch %lld\n", t->args->output, (long long)t->best);
    return rc;
}

/* Beside the model: what new partitions begin with. */
static eddy_status train_store_shared(const struct training *t, struct eddy_error *err)
{
    const struct settings *s = &t->pipeline.settings;
    struct store_lock *lock = NULL;
    if (t->shared.len == 0) return EDDY_OK;
    if (t->args->output) {
        const eddy_status rc = initial_shared_write(t->args->output, &t->shared, err);
        if (rc >= 0 && !t->args->json) printf("%s.shared: what keys share\n", t->args->output);
        return rc;
    }
    char *path = initial_model_path(s->state.path, s->name);
    eddy_status rc = path ? store_lock_open(s->state.path, s->name, &lock, err)
                          : eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", s->state.path);
    if (rc >= 0) rc = initial_shared_write(path, &t->shared, err);
    if (rc >= 0 && !t->args->json) printf("%s.shared: what partitions without state begin with\n", path);
    store_lock_close(lock);
    free(path);
    return rc;
}

static eddy_status train_store(const struct training *t, const struct weights *best, struct eddy_error *err)
{
    const eddy_status rc = best ? train_store_weights(t, best, err) : EDDY_OK;
    return rc >= 0 ? train_store_shared(t, err) : rc;
}

static eddy_status train_plan(struct training *t, struct weights **base, struct eddy_error *err)
{
    const struct settings *s = &t->pipeline.settings;
    const struct eddy_schema *schema = t->pipeline.request.schema;
    eddy_status rc = EDDY_OK;
    if (!schema) {
        rc = schema_from_text(&t->values, t->windows.values.data, err);
        schema = &t->values.schema;
    }
    if (rc >= 0) rc = plan_open(s, schema, &t->plan, err);
    if (rc < 0) return rc;
    return t->args->model ? initial_model_read(t->plan, t->args->model, base, err)
                          : weights_initial(t->plan->model, (uint64_t)s->seed, base, err);
}

static eddy_status train_run(struct training *t, struct eddy_error *err)
{
    struct weights *base = NULL, *best = NULL;
    eddy_status rc = train_gather(t, err);
    if (rc >= 0 && t->windows.n > 0) rc = train_plan(t, &base, err);
    if (rc >= 0 && t->windows.n > 0) {
        const struct pretrain request = {.plan = t->plan,
                                         .windows = &t->windows,
                                         .base = base,
                                         .epochs = t->args->epochs,
                                         .patience = PATIENCE,
                                         .stop = t->pipeline.request.stop,
                                         .on_epoch = train_epoch,
                                         .context = t};
        t->json = json_begin(stdout);
        if (t->args->json) json_open(&t->json, NULL, '{');
        if (t->args->json) json_int(&t->json, "windows", t->windows.n);
        if (t->args->json) json_open(&t->json, "epochs", '[');
        rc = pretrain_run(&request, &best, err);
        if (t->args->json) json_close(&t->json, ']');
        if (t->args->json) json_int(&t->json, "best", t->best);
        if (t->args->json) json_close(&t->json, '}');
        if (t->args->json) json_end(&t->json);
    }
    if (rc >= 0 && t->windows.n == 0 && t->args->json) printf("{\"windows\":0}\n");
    if (rc >= 0) rc = train_store(t, best, err);
    weights_unref(best);
    weights_unref(base);
    return rc;
}

static eddy_status train_open(struct training *t, const struct config *config, struct eddy_error *err)
{
    eddy_status rc = pipeline_bare(&t->pipeline, config_settings(config), err);
    if (rc < 0) return rc;
    pipeline_dead_letters(&t->pipeline, NULL); /* bad records are logged and counted */
    rc = train_spare(t, err);
    if (rc >= 0) rc = history_open(&t->args->history, &t->pipeline, &t->names, &t->misused, err);
    return rc;
}

static int cmd_train(struct command_context *c, int argc, char **argv)
{
    struct args args = {.epochs = 10, .stop = stop_on_signals()}; /* from the first moment on */
    int rc = command_parse(c, argc, argv, &args);
    if (rc != COMMAND_GO) return rc;
    const char *wrong = history_complaint(&args.history);
    if (!wrong && args.epochs < 1) wrong = "--epochs takes a number above 0";
    if (!wrong && args.adopt && args.output)
        wrong = "--adopt is for the pipeline's state, --output for a file: one of both";
    if (!wrong && args.output && strcmp(args.output, "-") == 0) wrong = "--output takes a file's name, not -";
    if (wrong) return command_usage(c, "%s", wrong);
    struct config *config;
    int brings = COMMAND_BRINGS_SINK | (args.history.inputs.n ? COMMAND_BRINGS_SOURCE : 0);
    rc = command_config(c, c->positional[0], &args.sets, brings, &config);
    if (rc != COMMAND_GO) return rc;

    struct eddy_error err = {0};
    struct training t = {.args = &args};
    eddy_status done = train_open(&t, config, &err);
    if (done >= 0) done = train_run(&t, &err);
    if (t.misused)
        rc = command_usage(c, "%s", err.message);
    else
        rc = done < 0 ? command_fail(c, &err) : COMMAND_DONE;
    plan_close(t.plan);
    window_set_free(&t.windows);
    eddy_buffer_free(&t.shared);
    pipeline_free(&t.pipeline);
    history_close(&t.names);
    schema_free(&t.values);
    config_close(config);
    return rc;
}

const struct command command_train = {
    "train",
    "CONFIG (--input PATH | --from T)",
    1,
    1,
    "a model from the past, for new partitions to start from",
    "Reads the history once in its order, gathers the windows that networks learn from, and goes over them N\n"
    "times: first in their order, then shuffled, in the last third in steps that get smaller, to a fiftieth of\n"
    "train.learning_rate at the end.  With a train.schedule other than constant it is this that sets the steps,\n"
    "and three epochs without a better version are the last.  The last tenth of every partition's windows is\n"
    "held out; the version that does best there is kept.  It becomes what partitions without state start from,\n"
    "or with --output a file for `replay --model` and `eddy model CONFIG import`.\n"
    "Only what keys share is learned: weights of networks, and what experts such as fleet share, which goes into a "
    "file\n"
    "beside the model, FILE.shared, and is for partitions without state alone.",
    options,
    cmd_train,
};

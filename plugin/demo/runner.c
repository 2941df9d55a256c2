#include "plugin/demo/runner.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "plugin/pipeline.h"

struct runner {
    struct config *config;
    pthread_t thread;
    bool started;
    volatile sig_atomic_t stop;
    atomic_bool ended;
    /* Written by the thread before `ended`. */
    eddy_status rc;
    struct eddy_error err;
    struct driver_stats stats;
};

static void *runner_main(void *context)
{
    struct runner *r = context;
    struct pipeline pipeline = {0};
    struct driver *driver = NULL;
    r->rc = pipeline_configured(&pipeline, config_settings(r->config), &r->err);
    pipeline.request.commit = true;
    pipeline.request.stop = &r->stop;
    if (r->rc >= 0) r->rc = driver_open(&pipeline.request, &driver, &r->err);
    if (r->rc >= 0) r->rc = driver_run(driver, &r->err);
    if (driver) driver_stats(driver, &r->stats);
    driver_close(driver);
    pipeline_free(&pipeline);
    atomic_store(&r->ended, true);
    return NULL;
}

eddy_status runner_start(const char *name, const char *yaml, const struct eddy_parts *parts, struct runner **out,
                         struct eddy_error *err)
{
    *out = NULL;
    struct runner *r = calloc(1, sizeof(*r));
    if (!r) return eddy_fail(err, EDDY_ENOMEM, "demo: out of memory for a pipeline");

    const struct config_request request = {.path = NULL, .text = yaml, .parts = parts};
    eddy_status rc = config_open(&request, &r->config, err);
    if (rc >= 0 && pthread_create(&r->thread, NULL, runner_main, r) != 0)
        rc = eddy_fail(err, EDDY_EIO, "demo: no thread for the pipeline %s", name);
    if (rc < 0) {
        runner_close(r);
        return rc;
    }
    r->started = true;
    *out = r;
    return EDDY_OK;
}

bool runner_ended(const struct runner *r)
{
    return atomic_load(&r->ended);
}

static void runner_join(struct runner *r)
{
    if (!r->started) return;
    r->stop = 1;
    (void)pthread_join(r->thread, NULL);
    r->started = false;
}

eddy_status runner_stop(struct runner *r, struct driver_stats *stats, struct eddy_error *err)
{
    runner_join(r);
    *stats = r->stats;
    if (r->rc < 0 && err) *err = r->err;
    return r->rc < 0 ? r->rc : EDDY_OK;
}

void runner_close(struct runner *r)
{
    if (!r) return;
    runner_join(r);
    config_close(r->config);
    free(r);
}

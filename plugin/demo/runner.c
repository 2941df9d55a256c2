#include "plugin/demo/runner.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

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
    struct runner *p = context;
    const struct settings *s = config_settings(p->config);
    const struct driver_request request = {
        .settings = s,
        .source = (const struct eddy_source *)(const void *)s->source.part,
        .source_settings = s->source.settings,
        .sink = (const struct eddy_sink *)(const void *)s->sink.part,
        .sink_settings = s->sink.settings,
        .sink_request = {.name = s->name, .source = &s->source},
        .state = DRIVER_STATE_KEPT,
        .commit = true,
        .stop = &p->stop,
    };
    struct driver *driver;
    p->rc = driver_open(&request, &driver, &p->err);
    if (p->rc >= 0) p->rc = driver_run(driver, &p->err);
    if (driver) driver_stats(driver, &p->stats);
    driver_close(driver);
    atomic_store(&p->ended, true);
    return NULL;
}

eddy_status runner_start(const char *name, const char *yaml, const struct eddy_parts *parts, struct runner **out,
                         struct eddy_error *err)
{
    *out = NULL;
    struct runner *p = calloc(1, sizeof(*p));
    if (!p) return eddy_fail(err, EDDY_ENOMEM, "demo: out of memory for a pipeline");

    const struct config_request request = {.path = NULL, .text = yaml, .parts = parts};
    eddy_status rc = config_open(&request, &p->config, err);
    if (rc >= 0 && pthread_create(&p->thread, NULL, runner_main, p) != 0)
        rc = eddy_fail(err, EDDY_EIO, "demo: no thread for the pipeline %s", name);
    if (rc < 0) {
        runner_close(p);
        return rc;
    }
    p->started = true;
    *out = p;
    return EDDY_OK;
}

bool runner_ended(const struct runner *p)
{
    return atomic_load(&p->ended);
}

static void runner_join(struct runner *p)
{
    if (!p->started) return;
    p->stop = 1;
    (void)pthread_join(p->thread, NULL);
    p->started = false;
}

eddy_status runner_stop(struct runner *p, struct driver_stats *stats, struct eddy_error *err)
{
    runner_join(p);
    *stats = p->stats;
    if (p->rc < 0 && err) *err = p->err;
    return p->rc < 0 ? p->rc : EDDY_OK;
}

void runner_close(struct runner *p)
{
    if (!p) return;
    runner_join(p);
    config_close(p->config);
    free(p);
}

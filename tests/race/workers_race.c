/* Two workers of one process, each with a trainer and a storage thread behind it, over a topic of four partitions and a
 * sink that they share: run under TSan, where Criterion does not start.  Outputs and state are those of one worker. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/log.h"
#include "plugin/registry.h"
#include "tests/unit/flow/fixture_shards.h"

enum { RECORDS = 1000 };

static const char yaml[] = "name: race\n"
                           "codec: {json: {time_unit: s}}\n"
                           "forecast: {horizons: [1, 3], network: {layers: [{gru: {units: 8}}]}}\n"
                           "train: {mode: background, every: 8, window: 16, epoch: 64}\n"
                           "state: {checkpoint: 5ms, max_keys: 16}\n";

static void must(bool good, const char *what, const struct eddy_error *err)
{
    if (good) return;
    fprintf(stderr, "not ok - %s: %s\n", what, err->message);
    exit(1);
}

static void on_result(void *context, const struct eddy_result *result)
{
    *(int64_t *)context += result->n_horizons > 0;
}

static void on_tick(void *context, const struct driver_stats *stats)
{
    *(int64_t *)context = stats->events;
}

static void live(const struct settings *settings, int n, const char *state, struct shards *topic, char hash[33])
{
    struct eddy_error err = {0};
    struct workers *workers;
    int64_t seen[2] = {0}, told = 0;
    void *contexts[2] = {&seen[0], &seen[1]};
    const struct driver_request q = {.settings = settings,
                                     .source = &shards_source,
                                     .source_settings = topic,
                                     .sink = &shards_sink,
                                     .sink_settings = topic,
                                     .sink_request = {.name = settings->name},
                                     .state = DRIVER_STATE_KEPT,
                                     .state_path = state,
                                     .commit = true,
                                     .on_result = on_result,
                                     .on_tick = on_tick,
                                     .context = &told};
    shards_open(topic, RECORDS);
    must(workers_open(&q, n, contexts, &workers, &err) >= 0, "workers_open", &err);
    must(workers_run(workers, &err) >= 0, "workers_run", &err);
    must(workers_hash(workers, false, hash, &err) >= 0, "workers_hash", &err);
    workers_close(workers);
    must(seen[0] + seen[1] == (int64_t)SHARDS * RECORDS && told == (int64_t)SHARDS * RECORDS,
         "every event is told of", &err);
}

int main(void)
{
    struct eddy_error err = {0};
    struct registry *registry;
    struct config *config = NULL;
    struct shards one, two;
    char dir[] = "/tmp/eddy-race-XXXXXX", alone[64], both[64], hash[2][33], command[128];
    log_set_level(LOG_LEVEL_WARN);
    must(registry_open(&registry, &err) >= 0, "registry", &err);
    const struct config_request request = {
        .text = yaml, .parts = registry_parts(registry), .source_optional = true, .sink_optional = true};
    must(config_open(&request, &config, &err) >= 0, "configuration", &err);
    must(mkdtemp(dir) != NULL, "a directory", &err);
    (void)snprintf(alone, sizeof(alone), "%s/alone", dir);
    (void)snprintf(both, sizeof(both), "%s/both", dir);

    live(config_settings(config), 2, both, &two, hash[1]);
    live(config_settings(config), 1, alone, &one, hash[0]);
    bool same = strcmp(hash[0], hash[1]) == 0;
    for (int p = 0; p < SHARDS && same; p++)
        same = one.out[p].len == two.out[p].len && memcmp(one.out[p].data, two.out[p].data, one.out[p].len) == 0;
    printf("%s - two workers side by side, outputs and state of one\n", same ? "ok" : "not ok");

    shards_free(&one), shards_free(&two);
    config_close(config);
    registry_close(registry);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command) != 0 || !same;
}

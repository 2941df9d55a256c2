/* Memory per key: resident bytes of 200,000 keys (GRU-32, window 16, one value) less those of 1,000, beside what
 * plan_estimate() says.  EDDY_BENCH_KEYS sets another number of keys. */
#include <stdlib.h>

#include "engine/flow/plan.h"
#include "plugin/registry.h"
#include "tests/bench/bench.h"
#include "tests/bench/memory_source.h"

enum { FEW_KEYS = 1000, EVENTS_PER_KEY = 3 };

static const char yaml[] = "name: bench\n"
                           "codec: {json: {key: $key, time: ts, values: [temperature]}}\n"
                           "forecast: {network: {layers: [{gru: {units: 32}}]}}\n"
                           "train: {mode: background, window: 16, every: 8}\n"
                           "state: {memory: 16GiB, checkpoint: 10m}\n";

static struct bench_run measure(const void *argument)
{
    struct records records;
    int n_keys = *(const int *)argument;
    records_open(&records, n_keys * EVENTS_PER_KEY, n_keys);
    struct driver_request request = {.source = &source_memory, .source_settings = &records, .sink = &sink_nowhere};
    struct bench_run run = bench_pipeline(yaml, request);
    records_close(&records);
    return run;
}

static struct plan_estimate estimate(void)
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
    plan_estimate(plan, sizeof("sensor-000000") - 1, &estimate);
    plan_close(plan);
    config_close(config);
    registry_close(registry);
    return estimate;
}

int main(void)
{
    const char *keys = getenv("EDDY_BENCH_KEYS");
    int many = keys ? atoi(keys) : 200000, few = FEW_KEYS;
    if (many <= few) bench_die("EDDY_BENCH_KEYS must be above 1000", NULL);
    struct bench_run low = bench_in_child(measure, &few);
    struct bench_run high = bench_in_child(measure, &many);
    double per_key = (high.rss_bytes - low.rss_bytes) / (many - few);
    struct plan_estimate formula = estimate();
    printf(
        "{\"bench\":\"keys\",\"case\":\"gru-32, window 16, one value\",\"keys\":%d,\"resident_bytes_per_key\":%.0f,"
        "\"estimated_bytes_per_key\":%zu,\"disk_bytes_per_key\":%zu}\n",
        many, per_key, formula.resident_bytes, formula.disk_bytes);
    return 0;
}

/* eddy estimate CONFIG --keys N: memory and disk for N keys, and how that comes about. */
#include <inttypes.h>

#include "engine/detect/silence.h"
#include "engine/flow/lane.h"
#include "engine/flow/plan.h"
#include "plugin/commands.h"
#include "plugin/json_out.h"
#include "plugin/schema.h"

struct args {
    struct command_list sets;
    int64_t keys, key_bytes;
    const char *values;
    bool json;
};

static const struct command_option options[] = {
    {"keys", COMMAND_COUNT, offsetof(struct args, keys), "N", "how many keys (required)"},
    {"key-bytes", COMMAND_COUNT, offsetof(struct args, key_bytes), "N", "length of a key; default 16"},
    {"values", COMMAND_TEXT, offsetof(struct args, values), "a,b",
     "values of an event; default: as the codec lists them"},
    {"json", COMMAND_FLAG, offsetof(struct args, json), NULL, "as JSON, for programs"},
    COMMAND_SETS(struct args, sets),
    {0},
};

/* Known before the first record. */
static bool estimate_knows_values(const struct plan *plan)
{
    return *plan->schema.names[0] != 0;
}

static size_t estimate_silence(const struct plan *plan, const struct args *args)
{
    return silence_bytes(&plan->settings->detect.silence, args->keys, (size_t)args->key_bytes);
}

static void estimate_partition(const struct plan *p, const struct plan_estimate *e, const struct args *args)
{
    const size_t training = lane_training_bytes(p), silence = estimate_silence(p, args);
    printf("model:             %zu bytes per partition (weights, optimiser, average, serving copy)\n",
           e->model_bytes);
    if (training > 0)
        printf("training:          up to %zu bytes per partition (windows of an epoch, to replay, held out and in "
               "training; candidates; a batch on its way through the network)\n",
               training);
    if (p->shared_bytes > 0)
        printf("shared by keys:    %zu bytes per partition (experts' models), and as much for an abort\n",
               p->shared_bytes);
    if (silence > 0)
        printf("silence:           %zu bytes per partition, had it all these keys (detect.silence.keys: %" PRId64
               ")\n",
               silence, p->settings->detect.silence.keys);
}

static void estimate_text(const struct plan *p, const struct args *args)
{
    const double mib = 1024.0 * 1024.0, keys = (double)args->keys;
    struct plan_estimate e;
    plan_estimate(p, (size_t)args->key_bytes, &e);
    if (p->settings->workers > 1)
        printf("workers    %lld in one process, whose memory this is: each takes an equal share of state.memory\n",
               (long long)p->settings->workers);
    if (!estimate_knows_values(p))
        printf("values:            taken for 1, as only the first record tells: --values a,b says otherwise\n");
    printf("per key, resident: %zu bytes = row + header, hash entry and key of %" PRId64 " bytes\n", e.resident_bytes,
           args->key_bytes);
    printf("  row = %zu bytes, sections rounded up to a multiple of 64:\n", p->layout.row_bytes);
    for (int i = 0; i < p->layout.n; i++)
        printf("    %-24s %8" PRIu64 "\n", p->layout.sections[i].name, p->layout.sections[i].bytes);
    printf("per key, on disk:  about %zu bytes\n", e.disk_bytes);
    estimate_partition(p, &e, args);
    printf("%" PRId64 " keys:          %.1f MiB resident, %.1f MiB on disk\n", args->keys,
           keys * (double)e.resident_bytes / mib, keys * (double)e.disk_bytes / mib);
}

static void estimate_json(const struct plan *plan, const struct args *args)
{
    struct plan_estimate e;
    plan_estimate(plan, (size_t)args->key_bytes, &e);
    const struct settings *s = plan->settings;
    double resident = (double)args->keys;
    if (s->state.max_keys && resident > (double)s->state.max_keys) resident = (double)s->state.max_keys;
    double most = (double)s->state.memory / (double)(e.resident_bytes ? e.resident_bytes : 1);
    if (resident > most) resident = most;

    struct json_out j = json_begin(stdout);
    json_open(&j, NULL, '{');
    json_int(&j, "keys", args->keys);
    json_int(&j, "key_bytes", args->key_bytes);
    json_int(&j, "values", plan->n_values);
    json_bool(&j, "values_known", estimate_knows_values(plan));
    json_int(&j, "workers", s->workers);
    json_int(&j, "resident_bytes_per_key", (int64_t)e.resident_bytes);
    json_int(&j, "disk_bytes_per_key", (int64_t)e.disk_bytes);
    json_int(&j, "model_bytes", (int64_t)e.model_bytes);
    json_int(&j, "training_bytes", (int64_t)lane_training_bytes(plan));
    json_int(&j, "silence_bytes", (int64_t)estimate_silence(plan, args));
    json_real(&j, "memory_bytes_all_resident", (double)args->keys * (double)e.resident_bytes);
    json_int(&j, "resident_keys", (int64_t)resident);
    json_real(&j, "memory_bytes", (double)(int64_t)resident * (double)e.resident_bytes);
    json_real(&j, "disk_bytes", (double)args->keys * (double)e.disk_bytes);
    json_open(&j, "sections", '[');
    for (int i = 0; i < plan->layout.n; i++) {
        json_open(&j, NULL, '{');
        json_text(&j, "name", plan->layout.sections[i].name);
        json_int(&j, "bytes", (int64_t)plan->layout.sections[i].bytes);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
}

static int cmd_estimate(struct command_context *c, int argc, char **argv)
{
    struct args args = {.keys = -1, .key_bytes = 16};
    int rc = command_parse(c, argc, argv, &args);
    if (rc != COMMAND_GO) return rc;
    if (args.keys < 0) return command_usage(c, "--keys N is needed, N at least 0");
    if (args.key_bytes < 1 || args.key_bytes > 1 << 20) return command_usage(c, "--key-bytes: 1 .. 1048576");

    struct config *config;
    rc = command_config(c, c->positional[0], &args.sets, COMMAND_BRINGS_SOURCE | COMMAND_BRINGS_SINK, &config);
    if (rc != COMMAND_GO) return rc;
    struct eddy_error err = {0};
    struct schema_names names = {0};
    struct plan *plan = NULL;
    eddy_status done = schema_for_plan(&names, args.values, config_settings(config), &err);
    if (done >= 0) done = plan_open(config_settings(config), &names.schema, &plan, &err);
    if (done >= 0 && args.json) estimate_json(plan, &args);
    if (done >= 0 && !args.json) estimate_text(plan, &args);
    rc = done < 0 ? command_fail(c, &err) : COMMAND_DONE;
    plan_close(plan);
    schema_free(&names);
    config_close(config);
    return rc;
}

const struct command command_estimate = {
    "estimate", "CONFIG", 1, 1, "memory and disk for N keys, with the formula", NULL, options, cmd_estimate,
};

/* eddy estimate CONFIG --keys N: memory and disk for N keys, and how that comes about. */
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
    json_int(&j, "workers", s->workers);
    json_int(&j, "resident_bytes_per_key", (int64_t)e.resident_bytes);
    json_int(&j, "disk_bytes_per_key", (int64_t)e.disk_bytes);
    json_int(&j, "model_bytes", (int64_t)e.model_bytes);
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
    if (done >= 0 && !args.json && config_settings(config)->workers > 1)
        printf("workers    %lld in one process, whose memory this is: each takes an equal share of state.memory\n",
               (long long)config_settings(config)->workers);
    if (done >= 0 && !args.json) plan_print_estimate(plan, (size_t)args.key_bytes, args.keys, stdout);
    rc = done < 0 ? command_fail(c, &err) : COMMAND_DONE;
    plan_close(plan);
    schema_free(&names);
    config_close(config);
    return rc;
}

const struct command command_estimate = {
    "estimate", "CONFIG", 1, 1, "memory and disk for N keys, with the formula", NULL, options, cmd_estimate,
};

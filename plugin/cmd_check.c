/* eddy check CONFIG: is it right, and what will it do? */
#include "config/unit.h"
#include "connectors/kafka/kafka.h"
#include "connectors/kafka/kafka_admin.h"
#include "engine/flow/plan.h"
#include "plugin/commands.h"
#include "plugin/schema.h"

struct args {
    struct command_list sets;
    const char *values;
    bool connect, print;
};

static const struct command_option options[] = {
    {"connect", COMMAND_FLAG, offsetof(struct args, connect), NULL, "also ask the broker about topics and rights"},
    {"values", COMMAND_TEXT, offsetof(struct args, values), "a,b",
     "values of an event; default: as the codec lists them"},
    {"print", COMMAND_FLAG, offsetof(struct args, print), NULL,
     "the effective configuration as YAML, secrets masked"},
    COMMAND_SETS(struct args, sets),
    {0},
};

static void check_strings(const struct eddy_strings *list)
{
    for (int i = 0; i < list->n; i++) printf("%s%s", i ? ", " : " ", list->item[i]);
}

static void check_topology(const struct settings *s)
{
    printf("pipeline   %s\n", s->name);
    printf("source     %s", s->source.part->name);
    if (s->source.part == &source_kafka.part)
        check_strings(&((const struct kafka_source_settings *)s->source.settings)->topics);
    printf("\ncodec      %s\n", s->codec.part->name);
    printf("sink       %s", s->sink.part->name);
    if (s->sink.part == &sink_kafka.part)
        printf(" %s", ((const struct kafka_sink_settings *)s->sink.settings)->topic);
    printf("\nbad        %s", s->errors.dead_letter.part ? s->errors.dead_letter.part->name : "logged and counted");
    if (s->errors.dead_letter.part == &sink_kafka.part)
        printf(" %s", ((const struct kafka_sink_settings *)s->errors.dead_letter.settings)->topic);
    printf("%s\n", s->errors.tolerance == TOLERANCE_NONE ? ", and the first one stops the pipeline" : "");
}

static void check_work(const struct settings *s)
{
    static const char *const modes[] = {"background", "inline", "off"};
    char text[UNIT_TEXT_BYTES];
    printf("forecast   %d horizon%s", s->forecast.horizons.n, s->forecast.horizons.n == 1 ? "" : "s");
    for (int i = 0; i < s->forecast.horizons.n && i < 8; i++)
        printf("%s%d", i ? ", " : ": ", s->forecast.horizons.item[i]);
    printf("%s; weights %s\n", s->forecast.horizons.n > 8 ? ", .." : "",
           s->forecast.scope == SCOPE_KEY ? "of each key's own" : "shared by all keys");
    printf("detect     threshold %g, after %lld events of a key, by", s->detect.threshold,
           (long long)s->detect.warmup);
    for (int i = 0; i < s->detect.detectors.n; i++)
        printf("%s%s", i ? ", " : " ", s->detect.detectors.item[i].part->name);
    printf("\ntrain      %s", modes[s->train.mode]);
    if (s->train.mode != TRAIN_OFF)
        printf(", a window of %lld steps every %lld events of a key", (long long)s->train.window,
               (long long)s->train.every);
    format_duration(s->state.checkpoint, text);
    printf("\nstate      %s/%s, a checkpoint every %s", s->state.path, s->name, text);
    format_size(s->state.memory, text);
    printf(", up to %s of keys in memory\n", text);
}

static eddy_status check_sizes(const struct settings *s, const char *values, struct eddy_error *err)
{
    struct schema_names names = {0};
    struct plan *plan = NULL;
    bool known = values != NULL;
    eddy_status rc = known ? schema_from_text(&names, values, err) : schema_from_codec(&names, s, err);
    if (rc == EDDY_ENOTFOUND)
        rc = schema_from_text(&names, "value", err);
    else
        known = true;
    if (rc >= 0) rc = plan_open(s, &names.schema, &plan, err);
    if (rc >= 0) {
        struct plan_estimate e;
        plan_estimate(plan, 16, &e);
        printf("values     ");
        for (int i = 0; i < plan->n_values; i++) printf("%s%s", i ? ", " : "", known ? plan->schema.names[i] : "");
        if (!known) printf("those of the first record; sizes below are for one");
        printf("\nper key    %zu bytes in memory, %zu on disk; the model %zu\n\n", e.resident_bytes, e.disk_bytes,
               e.model_bytes);
        network_summary(plan->network, stdout);
    }
    plan_close(plan);
    schema_free(&names);
    return rc;
}

/* One topic's line; its partitions are added up. */
static eddy_status check_topic(struct kafka_admin *admin, const char *topic, const char *role, int *n_most,
                               struct eddy_error *err)
{
    eddy_status n = kafka_admin_topic(admin, topic, err);
    if (n < 0) return n;
    printf("topic      %s (%s): %d partitions\n", topic, role, n);
    if (n_most && n > *n_most) *n_most = n;
    return n;
}

/* The sink writes to the number of the input's partition, so it needs as many. */
static eddy_status check_sink_topic(struct kafka_admin *admin, const char *topic, int n_needed,
                                    struct eddy_error *err)
{
    eddy_status n = check_topic(admin, topic, "sink", NULL, err);
    if (n < 0 || n >= n_needed) return n;
    return eddy_fail(err, EDDY_ECONFIG,
                     "topic %s has %d partitions and the source %d: a result goes to its input's partition", topic, n,
                     n_needed);
}

enum { ASK_MS = 15000 };

static eddy_status check_source(const struct settings *s, int *n_partitions, struct eddy_error *err)
{
    const struct kafka_source_settings *source = s->source.settings;
    struct kafka_admin *admin = NULL;
    eddy_status rc = kafka_admin_open(s->name, &source->properties, ASK_MS, &admin, err);
    for (int i = 0; rc >= 0 && i < source->topics.n; i++)
        rc = check_topic(admin, source->topics.item[i], "source", n_partitions, err);
    if (rc >= 0) {
        rc = kafka_admin_members(admin, s->name, err);
        if (rc >= 0) printf("group      %s: %d member%s now\n", s->name, rc, rc == 1 ? "" : "s");
    }
    kafka_admin_close(admin);
    return rc;
}

static eddy_status check_sink(const struct settings *s, const struct eddy_choice *sink, int n_needed,
                              struct eddy_error *err)
{
    const struct kafka_sink_settings *to = sink->settings;
    const struct eddy_map *properties = &to->properties;
    struct kafka_admin *admin = NULL;
    if (properties->n == 0 && s->source.part == &source_kafka.part)
        properties = &((const struct kafka_source_settings *)s->source.settings)->properties;
    eddy_status rc = kafka_admin_open(s->name, properties, ASK_MS, &admin, err);
    if (rc >= 0 && sink == &s->sink) rc = check_sink_topic(admin, to->topic, n_needed, err);
    if (rc >= 0 && sink != &s->sink) rc = check_topic(admin, to->topic, "dead letters", NULL, err);
    kafka_admin_close(admin);
    return rc;
}

static eddy_status check_brokers(const struct settings *s, struct eddy_error *err)
{
    int n_partitions = 0;
    eddy_status rc = EDDY_OK;
    if (s->source.part == &source_kafka.part) rc = check_source(s, &n_partitions, err);
    if (rc >= 0 && s->sink.part == &sink_kafka.part) rc = check_sink(s, &s->sink, n_partitions, err);
    if (rc >= 0 && s->errors.dead_letter.part == &sink_kafka.part)
        rc = check_sink(s, &s->errors.dead_letter, n_partitions, err);
    return rc < 0 ? rc : EDDY_OK;
}

static int cmd_check(struct command_context *c, int argc, char **argv)
{
    struct args args = {0};
    int rc = command_parse(c, argc, argv, &args);
    if (rc != COMMAND_GO) return rc;
    struct config *config;
    rc = command_config(c, c->positional[0], &args.sets, COMMAND_BRINGS_NOTHING, &config);
    if (rc != COMMAND_GO) return rc;

    struct eddy_error err = {0};
    const struct settings *s = config_settings(config);
    eddy_status done = EDDY_OK;
    if (args.print) {
        config_print(config, stdout);
    } else {
        check_topology(s);
        check_work(s);
        done = check_sizes(s, args.values, &err);
    }
    if (done >= 0 && args.connect) done = check_brokers(s, &err);
    rc = done < 0 ? command_fail(c, &err) : COMMAND_DONE;
    config_close(config);
    return rc;
}

const struct command command_check = {
    "check", "CONFIG", 1, 1, "reads, validates and explains: topology, parts, sizes", NULL, options, cmd_check,
};

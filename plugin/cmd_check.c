/* eddy check CONFIG: is it right, and what will it do? */
#include <stdlib.h>
#include <string.h>

#include "config/option.h"
#include "config/unit.h"
#include "connectors/kafka/kafka.h"
#include "connectors/kafka/kafka_admin.h"
#include "engine/flow/plan.h"
#include "plugin/commands.h"
#include "plugin/json_out.h"
#include "plugin/pipeline.h"
#include "plugin/schema.h"

struct args {
    struct command_list sets;
    const char *values;
    bool connect, print, json;
};

static const struct command_option options[] = {
    {"connect", COMMAND_FLAG, offsetof(struct args, connect), NULL, "also ask the broker about topics and rights"},
    {"values", COMMAND_TEXT, offsetof(struct args, values), "a,b",
     "values of an event; default: as the codec lists them"},
    {"print", COMMAND_FLAG, offsetof(struct args, print), NULL,
     "the effective configuration as YAML, secrets masked"},
    {"json", COMMAND_FLAG, offsetof(struct args, json), NULL, "as JSON, for programs"},
    COMMAND_SETS(struct args, sets),
    {0},
};

/* What is looked at, and how it is told. */
struct check {
    const char *config; /* its file */
    const struct settings *settings;
    const char *values;    /* --values; NULL = as the codec lists them */
    struct json_out *json; /* NULL = for people, on stdout */
    struct plan *plan;
    bool values_known; /* else the plan is one for a single value */
};

/* The word behind an enum option of a group, as the option table has it. */
static const char *option_word(const char *group, const char *name, int index, char out[32])
{
    const struct eddy_option *o = option_find(option_find(settings_options, group)->sub, name);
    const char *word = o->unit;
    for (; index > 0; index--) word += strcspn(word, "|") + 1;
    (void)snprintf(out, 32, "%.*s", (int)strcspn(word, "|"), word);
    return out;
}

static const char *sink_topic(const struct eddy_choice *sink)
{
    return sink->part == &sink_kafka.part ? ((const struct kafka_sink_settings *)sink->settings)->topic : NULL;
}

static const struct eddy_strings *source_topics(const struct settings *s)
{
    static const struct eddy_strings none = {0};
    if (s->source.part != &source_kafka.part) return &none;
    return &((const struct kafka_source_settings *)s->source.settings)->topics;
}

/* ---- for people ---- */

static void print_sink(const char *title, const struct eddy_choice *sink)
{
    const char *topic = sink_topic(sink);
    printf("%s%s%s%s", title, sink->part ? sink->part->name : "logged and counted", topic ? " " : "",
           topic ? topic : "");
}

static void print_topology(const struct settings *s)
{
    const struct eddy_strings *topics = source_topics(s);
    printf("pipeline   %s\n", s->name);
    printf("source     %s", s->source.part->name);
    for (int i = 0; i < topics->n; i++) printf("%s%s", i ? ", " : " ", topics->item[i]);
    printf("\ncodec      %s\n", s->codec.part->name);
    print_sink("sink       ", &s->sink);
    if (s->detect.incidents.sink.part) print_sink("\nincidents  ", &s->detect.incidents.sink);
    print_sink("\nbad        ", &s->errors.dead_letter);
    printf("%s\n", s->errors.tolerance == TOLERANCE_NONE ? ", and the first one stops the pipeline" : "");
    if (s->workers > 1)
        printf("workers    %lld%s\n", (long long)s->workers,
               source_topics(s)->n ? ", each with a share of the partitions, of state.memory and of state.max_keys"
                                   : " wanted, but this source comes in one piece, for one");
}

/* Who forecasts, where that was not left to the one network. */
static void print_experts(const struct forecast_settings *f)
{
    char word[32];
    if (f->profile > 0)
        printf("profile    %s; --print shows what it sets\n", option_word("forecast", "profile", f->profile, word));
    for (int i = 0; i < f->experts.n; i++) printf("%s%s", i ? ", " : "experts    ", f->experts.item[i].part->name);
    if (f->experts.n > 1) {
        static const char *const kinds[] = {[MIX_HEDGE] = "by their losses",
                                            [MIX_STACK] = "by fitted weights",
                                            [MIX_BOTH] = "by their losses and by fitted weights"};
        printf("; mixed %s%s", kinds[f->mix.kind], f->mix.shrink > 0 ? ", shrunk to the last value" : "");
    }
    if (f->experts.n > 0) printf("\n");
}

static void print_work(const struct settings *s)
{
    char text[UNIT_TEXT_BYTES], word[32];
    printf("forecast   %d horizon%s", s->forecast.horizons.n, s->forecast.horizons.n == 1 ? "" : "s");
    for (int i = 0; i < s->forecast.horizons.n && i < 8; i++)
        printf("%s%d", i ? ", " : ": ", s->forecast.horizons.item[i]);
    printf("%s; weights %s\n", s->forecast.horizons.n > 8 ? ", .." : "",
           s->forecast.scope == SCOPE_KEY ? "of each key's own" : "shared by all keys");
    print_experts(&s->forecast);
    printf("detect     threshold %g, after %lld events of a key, by", s->detect.threshold,
           (long long)s->detect.warmup);
    for (int i = 0; i < s->detect.detectors.n; i++)
        printf("%s%s", i ? ", " : " ", s->detect.detectors.item[i].part->name);
    printf("\ntrain      %s", option_word("train", "mode", s->train.mode, word));
    if (s->train.mode != TRAIN_OFF)
        printf(", a window of %lld steps every %lld events of a key", (long long)s->train.window,
               (long long)s->train.every);
    format_duration(s->state.checkpoint, text);
    printf("\nstate      %s/%s, a checkpoint every %s", s->state.path, s->name, text);
    format_size(s->state.memory, text);
    printf(", up to %s of keys in memory\n", text);
}

static void print_sizes(const struct check *c)
{
    const struct plan *plan = c->plan;
    struct plan_estimate e;
    plan_estimate(plan, 16, &e);
    printf("values     ");
    for (int i = 0; c->values_known && i < plan->n_values; i++) printf("%s%s", i ? ", " : "", plan->schema.names[i]);
    if (!c->values_known) printf("those of the first record; sizes below are for one");
    printf("\nper key    %zu bytes in memory, %zu on disk; the model %zu\n\n", e.resident_bytes, e.disk_bytes,
           e.model_bytes);
    model_summary(plan->model, stdout);
}

/* ---- for programs ---- */

static void write_sink(struct json_out *j, const char *name, const struct eddy_choice *sink)
{
    if (!sink->part) {
        json_text(j, name, NULL);
        return;
    }
    json_open(j, name, '{');
    json_text(j, "part", sink->part->name);
    if (sink_topic(sink)) json_text(j, "topic", sink_topic(sink));
    json_close(j, '}');
}

static void write_topology(struct json_out *j, const struct settings *s)
{
    char word[32];
    const struct eddy_strings *topics = source_topics(s);
    json_text(j, "pipeline", s->name);
    json_open(j, "source", '{');
    json_text(j, "part", s->source.part->name);
    if (topics->n) json_open(j, "topics", '[');
    for (int i = 0; i < topics->n; i++) json_text(j, NULL, topics->item[i]);
    if (topics->n) json_close(j, ']');
    json_close(j, '}');
    json_int(j, "workers", source_topics(s)->n ? s->workers : 1);
    json_text(j, "codec", s->codec.part->name);
    write_sink(j, "sink", &s->sink);
    if (s->detect.incidents.sink.part) write_sink(j, "incidents", &s->detect.incidents.sink);
    write_sink(j, "dead_letter", &s->errors.dead_letter);
    json_text(j, "tolerance", option_word("errors", "tolerance", s->errors.tolerance, word));
}

static void write_work(struct json_out *j, const struct settings *s)
{
    char word[32];
    json_open(j, "horizons", '[');
    for (int i = 0; i < s->forecast.horizons.n; i++) json_int(j, NULL, s->forecast.horizons.item[i]);
    json_close(j, ']');
    json_text(j, "scope", option_word("forecast", "scope", s->forecast.scope, word));
    json_open(j, "detect", '{');
    json_real(j, "threshold", s->detect.threshold);
    json_int(j, "warmup", s->detect.warmup);
    json_open(j, "detectors", '[');
    for (int i = 0; i < s->detect.detectors.n; i++) json_text(j, NULL, s->detect.detectors.item[i].part->name);
    json_close(j, ']');
    json_close(j, '}');
    json_open(j, "train", '{');
    json_text(j, "mode", option_word("train", "mode", s->train.mode, word));
    json_int(j, "window", s->train.window);
    json_int(j, "every", s->train.every);
    json_close(j, '}');
    json_open(j, "state", '{');
    json_text(j, "path", s->state.path);
    json_real(j, "checkpoint_seconds", (double)s->state.checkpoint / 1e9);
    json_int(j, "memory_bytes", s->state.memory);
    json_close(j, '}');
}

static void write_sizes(const struct check *c)
{
    struct json_out *j = c->json;
    struct plan_estimate e;
    plan_estimate(c->plan, 16, &e);
    if (!c->values_known) json_text(j, "values", NULL);
    if (c->values_known) json_open(j, "values", '[');
    for (int i = 0; c->values_known && i < c->plan->n_values; i++) json_text(j, NULL, c->plan->schema.names[i]);
    if (c->values_known) json_close(j, ']');
    json_int(j, "resident_bytes_per_key", (int64_t)e.resident_bytes);
    json_int(j, "disk_bytes_per_key", (int64_t)e.disk_bytes);
    json_int(j, "model_bytes", (int64_t)e.model_bytes);
    json_int(j, "parameters", (int64_t)c->plan->model->n_params);
}

/* ---- the configuration ---- */

static eddy_status check_files(const struct check *c, struct eddy_error *err)
{
    struct pipeline pipeline;
    eddy_status rc = pipeline_ends(&pipeline, c->settings, err);
    if (rc >= 0) rc = pipeline_spares(&pipeline, c->config, err);
    pipeline_free(&pipeline);
    return rc;
}

static eddy_status check_explain(struct check *c, struct eddy_error *err)
{
    struct schema_names names = {0};
    eddy_status rc = pipeline_workers(c->settings, err);
    if (rc < 0) return rc;
    rc = c->values ? schema_from_text(&names, c->values, err) : schema_from_codec(&names, c->settings, err);
    c->values_known = rc >= 0;
    if (rc == EDDY_ENOTFOUND) rc = schema_unknown(&names, err);
    if (!c->json) print_topology(c->settings), print_work(c->settings);
    if (rc >= 0) rc = check_files(c, err);
    if (rc >= 0) rc = pipeline_can_run(c->settings, err);
    if (rc >= 0) rc = plan_open(c->settings, &names.schema, &c->plan, err);
    if (rc >= 0 && c->json) write_topology(c->json, c->settings), write_work(c->json, c->settings), write_sizes(c);
    if (rc >= 0 && !c->json) print_sizes(c);
    plan_close(c->plan);
    c->plan = NULL;
    schema_free(&names);
    return rc;
}

/* ---- the brokers ---- */

static void write_topic(struct json_out *j, const char *topic, const char *role, int n_partitions)
{
    json_open(j, NULL, '{');
    json_text(j, "topic", topic);
    json_text(j, "role", role);
    if (n_partitions > 0)
        json_int(j, "partitions", n_partitions);
    else
        json_text(j, "partitions", NULL); /* it is not there yet */
    json_close(j, '}');
}

/* One topic's line, with the number of its partitions, which it returns. */
static eddy_status check_topic(const struct check *c, struct kafka_admin *admin, const char *topic, const char *role,
                               struct eddy_error *err)
{
    eddy_status n = kafka_admin_topic(admin, topic, err);
    if (n < 0) return n;
    if (c->json)
        write_topic(c->json, topic, role, n);
    else
        printf("topic      %s (%s): %d partitions\n", topic, role, n);
    return n;
}

enum { ASK_MS = 15000 };

/* Labels are copied into the events' topic, partition by partition; whether that may be written shows only then. */
static eddy_status check_labels(const struct check *c, struct kafka_admin *admin,
                                const struct kafka_source_settings *source, int n_events, struct eddy_error *err)
{
    eddy_status n = check_topic(c, admin, source->labels, "labels", err);
    if (n < 0) return n;
    if (!c->json)
        printf("           copied into %s while the pipeline runs; the right to write there was not checked\n",
               source->topics.item[0]);
    return kafka_labels_match(source->labels, n, source->topics.item[0], n_events, err);
}

/* Where it is missing, `run` makes it. */
static eddy_status check_state_topic(const struct check *c, struct kafka_admin *admin, const char *topic,
                                     struct eddy_error *err)
{
    long long record_bytes;
    eddy_status rc = check_topic(c, admin, topic, "state", err);
    if (rc != EDDY_ENOTFOUND) return rc < 0 ? rc : kafka_state_topic_settings(admin, topic, &record_bytes, err);
    if (c->json)
        write_topic(c->json, topic, "state", 0);
    else
        printf("topic      %s (state): not there, it is made at the start\n", topic);
    return EDDY_OK;
}

static eddy_status check_source(const struct check *c, int *n_partitions, int *n_members, struct eddy_error *err)
{
    const struct settings *s = c->settings;
    const struct kafka_source_settings *source = s->source.settings;
    const char *state_topic = pipeline_state_topic(s);
    struct kafka_admin *admin = NULL;
    int64_t n_all = 0;
    eddy_status rc = kafka_admin_open(s->name, &source->properties, ASK_MS, &admin, err);
    for (int i = 0; rc >= 0 && i < source->topics.n; i++) {
        rc = check_topic(c, admin, source->topics.item[i], "source", err);
        if (rc > *n_partitions) *n_partitions = rc;
        if (rc > 0) n_all += rc;
    }
    if (rc >= 0 && s->workers > n_all && !c->json)
        printf("workers    %lld for %lld partitions: some stand idle\n", (long long)s->workers, (long long)n_all);
    if (rc >= 0 && source->labels && *source->labels) rc = check_labels(c, admin, source, rc, err);
    if (rc >= 0 && state_topic) rc = check_state_topic(c, admin, state_topic, err);
    if (rc >= 0) rc = *n_members = kafka_admin_members(admin, s->name, err);
    kafka_admin_close(admin);
    return rc;
}

/* A result is written to its input's partition, so the sink's topic needs as many; dead letters may go anywhere. */
static eddy_status check_sink(const struct check *c, const struct eddy_choice *sink, int n_needed,
                              struct eddy_error *err)
{
    const struct settings *s = c->settings;
    const struct kafka_sink_settings *to = sink->settings;
    const struct eddy_map *properties = &to->properties;
    struct kafka_admin *admin = NULL;
    if (properties->n == 0 && s->source.part == &source_kafka.part)
        properties = &((const struct kafka_source_settings *)s->source.settings)->properties;
    eddy_status rc = kafka_admin_open(s->name, properties, ASK_MS, &admin, err);
    if (rc >= 0) rc = check_topic(c, admin, to->topic, sink == &s->sink ? "sink" : "dead letters", err);
    if (rc >= 0 && sink == &s->sink && rc < n_needed)
        rc = eddy_fail(err, EDDY_ECONFIG,
                       "topic %s has %d partitions and the source %d: a result goes to its input's partition",
                       to->topic, rc, n_needed);
    kafka_admin_close(admin);
    return rc;
}

static eddy_status check_brokers(const struct check *c, struct eddy_error *err)
{
    const struct settings *s = c->settings;
    int n_partitions = 0, n_members = -1;
    eddy_status rc = EDDY_OK;
    if (c->json) json_open(c->json, "topics", '[');
    if (s->source.part == &source_kafka.part) rc = check_source(c, &n_partitions, &n_members, err);
    if (rc >= 0 && s->sink.part == &sink_kafka.part) rc = check_sink(c, &s->sink, n_partitions, err);
    if (rc >= 0 && s->errors.dead_letter.part == &sink_kafka.part) rc = check_sink(c, &s->errors.dead_letter, 0, err);
    if (rc >= 0 && s->detect.incidents.sink.part == &sink_kafka.part)
        rc = check_sink(c, &s->detect.incidents.sink, 0, err);
    if (rc < 0) return rc;
    if (c->json) json_close(c->json, ']');
    if (n_members >= 0 && c->json) json_int(c->json, "group_members", n_members);
    if (n_members >= 0 && !c->json)
        printf("group      %s: %d member%s now\n", s->name, n_members, n_members == 1 ? "" : "s");
    return EDDY_OK;
}

/* The whole document at once, so that a program never gets half of one. */
static eddy_status check_json(struct check *c, bool connect, struct eddy_error *err)
{
    char *text = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&text, &len);
    if (!memory) return eddy_fail(err, EDDY_ENOMEM, "out of memory");
    struct json_out j = json_begin(memory);
    c->json = &j;
    json_open(&j, NULL, '{');
    eddy_status rc = check_explain(c, err);
    if (rc >= 0 && connect) rc = check_brokers(c, err);
    json_close(&j, '}');
    json_end(&j);
    bool whole = fclose(memory) == 0;
    if (rc >= 0 && !whole) rc = eddy_fail(err, EDDY_ENOMEM, "out of memory");
    if (rc >= 0) (void)fwrite(text, 1, len, stdout); /* command_main() looks whether it arrived */
    free(text);
    return rc;
}

static int cmd_check(struct command_context *c, int argc, char **argv)
{
    struct args args = {0};
    int rc = command_parse(c, argc, argv, &args);
    if (rc != COMMAND_GO) return rc;
    if (args.print && args.json) return command_usage(c, "--print or --json, not both");
    struct config *config;
    rc = command_config(c, c->positional[0], &args.sets, COMMAND_BRINGS_NOTHING, &config);
    if (rc != COMMAND_GO) return rc;

    struct eddy_error err = {0};
    struct check check = {.config = c->positional[0], .settings = config_settings(config), .values = args.values};
    eddy_status done = EDDY_OK;
    if (args.json) {
        done = check_json(&check, args.connect, &err);
    } else {
        if (args.print)
            config_print(config, stdout);
        else
            done = check_explain(&check, &err);
        if (done >= 0 && args.connect) done = check_brokers(&check, &err);
    }
    rc = done < 0 ? command_fail(c, &err) : COMMAND_DONE;
    config_close(config);
    return rc;
}

const struct command command_check = {
    "check", "CONFIG", 1, 1, "reads, validates and explains: topology, parts, sizes", NULL, options, cmd_check,
};

#include "plugin/pipeline.h"

#include <string.h>

#include "config/config.h"
#include "connectors/codec/codecs.h"
#include "engine/flow/workers.h"

eddy_status pipeline_bare(struct pipeline *p, const struct settings *settings, struct eddy_error *err)
{
    *p = (struct pipeline){.settings = *settings};
    p->request.settings = &p->settings;
    p->request.incidents_apart = settings->detect.incidents.sink.part != NULL;
    p->request.sink_request = (struct sink_request){.name = settings->name, .source = &p->settings.source};
    eddy_status rc = config_part_defaults(&codec_csv.part, &p->csv_in, err);
    if (rc >= 0) rc = config_part_defaults(&codec_csv.part, &p->csv_out, err);
    return rc;
}

eddy_status pipeline_read_files(struct pipeline *p, const struct file_source_settings *files, struct eddy_error *err)
{
    const struct settings *s = &p->settings;
    const struct eddy_limits limits = {s->limits.record, s->limits.key, s->limits.depth, s->limits.fields};
    p->files = *files;
    eddy_status rc = file_inputs_open(files, &limits, &p->inputs, err);
    if (rc < 0) return rc;
    p->files.inputs = p->inputs;
    p->request.source = &source_file;
    p->request.source_settings = &p->files;
    p->request.schema = file_inputs_schema(p->inputs);
    p->request.context_codec = &codec_csv;
    p->request.context_codec_settings = &p->csv_in;
    return EDDY_OK;
}

static void pipeline_tombstones(struct pipeline *p)
{
    const struct kafka_source_settings *kafka = p->settings.source.settings;
    p->request.forget_tombstones = kafka->tombstones == TOMBSTONES_FORGET;
}

eddy_status pipeline_read_past(struct pipeline *p, const char *from, const char *to, struct eddy_error *err)
{
    if (p->settings.source.part != &source_kafka.part)
        return eddy_fail(err, EDDY_EINVAL, "--from and --to read a topic's past, but the configured source is %s",
                         p->settings.source.part ? p->settings.source.part->name : "none");
    const struct kafka_source_settings *kafka = p->settings.source.settings;
    p->range = (struct kafka_range_settings){.topics = kafka->topics,
                                             .properties = kafka->properties,
                                             .from = from,
                                             .to = to,
                                             .connect_timeout = kafka->connect_timeout};
    p->request.source = &source_kafka_range;
    p->request.source_settings = &p->range;
    pipeline_tombstones(p);
    return EDDY_OK;
}

eddy_status pipeline_ends(struct pipeline *p, const struct settings *settings, struct eddy_error *err)
{
    eddy_status rc = pipeline_bare(p, settings, err);
    if (rc < 0) return rc;
    p->request.sink = (const struct eddy_sink *)(const void *)settings->sink.part;
    p->request.sink_settings = settings->sink.settings;
    p->request.incidents = (const struct eddy_sink *)(const void *)settings->detect.incidents.sink.part;
    p->request.incidents_settings = settings->detect.incidents.sink.settings;
    p->request.source = (const struct eddy_source *)(const void *)settings->source.part;
    p->request.source_settings = settings->source.settings;
    p->request.state = DRIVER_STATE_KEPT;
    if (settings->source.part == &source_file.part)
        p->files = *(const struct file_source_settings *)settings->source.settings;
    if (settings->source.part == &source_kafka.part) pipeline_tombstones(p);
    return EDDY_OK;
}

eddy_status pipeline_configured(struct pipeline *p, const struct settings *settings, struct eddy_error *err)
{
    eddy_status rc = pipeline_ends(p, settings, err);
    if (rc < 0 || settings->source.part != &source_file.part) return rc;
    return pipeline_read_files(p, settings->source.settings, err);
}

static eddy_status guarantee_sink(const struct eddy_choice *sink, const char *option, struct eddy_error *err)
{
    if (!sink->part) return EDDY_OK;
    if (sink->part != &sink_kafka.part)
        return eddy_fail(err, EDDY_ECONFIG,
                         "%s: guarantee: exactly_once needs a Kafka topic here, %s knows no transactions", option,
                         sink->part->name);
    if (((const struct kafka_sink_settings *)sink->settings)->properties.n > 0)
        return eddy_fail(err, EDDY_ECONFIG,
                         "%s.kafka.properties: guarantee: exactly_once has one producer for all "
                         "sinks, on the source's cluster: say what it needs in source.kafka.properties",
                         option);
    return EDDY_OK;
}

static eddy_status pipeline_can_guarantee(const struct settings *s, struct eddy_error *err)
{
    if (s->guarantee != GUARANTEE_EXACTLY_ONCE) return EDDY_OK;
    if (s->source.part != &source_kafka.part)
        return eddy_fail(err, EDDY_ECONFIG,
                         "guarantee: exactly_once needs source.kafka: %s has no positions that a "
                         "transaction could carry",
                         s->source.part ? s->source.part->name : "nothing");
    eddy_status rc = guarantee_sink(&s->sink, "sink", err);
    if (rc >= 0) rc = guarantee_sink(&s->errors.dead_letter, "errors.dead_letter", err);
    return rc >= 0 ? guarantee_sink(&s->detect.incidents.sink, "detect.incidents.sink", err) : rc;
}

static eddy_status pipeline_can_copy_state(const struct settings *s, struct eddy_error *err)
{
    const char *topic = pipeline_state_topic(s);
    if (!topic) return EDDY_OK;
    if (s->source.part != &source_kafka.part)
        return eddy_fail(err, EDDY_ECONFIG,
                         "state.topic: the source is %s, only states of source.kafka can be copied",
                         s->source.part ? s->source.part->name : "nothing");
    return kafka_state_topic_check(s->source.settings, topic, err);
}

eddy_status pipeline_can_run(const struct settings *s, struct eddy_error *err)
{
    eddy_status rc = pipeline_can_guarantee(s, err);
    if (rc >= 0) rc = pipeline_can_copy_state(s, err);
    return rc >= 0 ? pipeline_topics_apart(s, err) : rc;
}

eddy_status pipeline_guarantee(struct pipeline *p, struct eddy_error *err)
{
    eddy_status rc = pipeline_can_run(&p->settings, err);
    if (rc >= 0 && pipeline_state_topic(&p->settings)) p->request.state_topic = &state_topic_kafka;
    if (rc >= 0 && p->settings.guarantee == GUARANTEE_EXACTLY_ONCE) p->request.transactor = &transactor_kafka;
    return rc;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

void pipeline_write(struct pipeline *p, const char *path)
{
    p->output = (struct file_sink_settings){.path = path};
    bool to_stdout = strcmp(path, "-") == 0;
    p->request.sink = to_stdout ? &sink_stdout : &sink_file;
    p->request.sink_settings = to_stdout ? NULL : &p->output;
    if (ends_in(path, ".csv")) {
        p->csv_out.header = true;
        p->request.sink_codec = &codec_csv;
        p->request.sink_codec_settings = &p->csv_out;
        p->request.sink_request.columns = 1;
    }
}

void pipeline_dead_letters(struct pipeline *p, const char *path)
{
    p->settings.errors.dead_letter = (struct eddy_choice){0};
    if (!path) return;
    if (strcmp(path, "-") == 0) {
        p->settings.errors.dead_letter = (struct eddy_choice){&sink_stdout.part, NULL, "--dead-letter"};
        return;
    }
    p->dead_letter = (struct file_sink_settings){.path = path};
    p->settings.errors.dead_letter = (struct eddy_choice){&sink_file.part, &p->dead_letter, "--dead-letter"};
}

void pipeline_incidents(struct pipeline *p, const char *path)
{
    const bool to_stdout = strcmp(path, "-") == 0;
    p->incidents = (struct file_sink_settings){.path = path};
    p->request.incidents = to_stdout ? &sink_stdout : &sink_file;
    p->request.incidents_settings = to_stdout ? NULL : &p->incidents;
    p->request.incidents_apart = true;
}

/* ---- the files that it uses ---- */

static void pipeline_written(struct file_uses *uses, const char *option, const struct eddy_part *sink,
                             const void *settings)
{
    if (sink == &sink_stdout.part) file_uses_write(uses, option, "-");
    if (sink == &sink_file.part) file_uses_write(uses, option, ((const struct file_sink_settings *)settings)->path);
}

/* The option that names a sink: the configured one's place, or the command's. */
static const char *pipeline_option(const struct eddy_choice *configured, const struct eddy_sink *sink,
                                   const void *settings, const char *command_option)
{
    const bool same = configured->part == &sink->part && configured->settings == settings;
    return same ? configured->where : command_option;
}

static void pipeline_inputs(const struct pipeline *p, struct file_uses *uses)
{
    static const char *const standard[] = {"-"};
    const struct eddy_choice *source = &p->settings.source;
    uses->inputs = (struct file_source_settings){.paths = {1, standard}};
    if (p->request.source == &source_stdin) uses->inputs_option = "the source";
    if (p->request.source != &source_file) return;
    uses->inputs = p->files;
    uses->inputs_option = p->inputs_option ? p->inputs_option : source->where;
}

void pipeline_uses(const struct pipeline *p, struct file_uses *uses)
{
    const struct driver_request *q = &p->request;
    const struct settings *s = &p->settings;
    const struct eddy_choice *dead = &s->errors.dead_letter, *apart = &s->detect.incidents.sink;
    const char *state = q->state_path ? q->state_path : s->state.path;
    pipeline_inputs(p, uses);
    if (q->state == DRIVER_STATE_KEPT) (void)snprintf(uses->state, sizeof(uses->state), "%s/%s", state, s->name);
    if (q->sink)
        pipeline_written(
            uses,
            pipeline_option(&s->sink, q->sink, q->sink_settings, q->sink == &sink_stdout ? "results" : "--output"),
            &q->sink->part, q->sink_settings);
    if (q->incidents)
        pipeline_written(uses, pipeline_option(apart, q->incidents, q->incidents_settings, "--incidents"),
                         &q->incidents->part, q->incidents_settings);
    if (dead->part) pipeline_written(uses, dead->where, dead->part, dead->settings);
}

eddy_status pipeline_spares(const struct pipeline *p, const char *config, struct eddy_error *err)
{
    bool misused;
    struct file_uses uses = {0};
    file_uses_read(&uses, "CONFIG", config);
    pipeline_uses(p, &uses);
    return file_uses_differ(&uses, &misused, err);
}

eddy_status pipeline_workers(const struct settings *settings, struct eddy_error *err)
{
    const struct driver_request ends = {
        .settings = settings,
        .source = (const struct eddy_source *)(const void *)settings->source.part,
        .sink = (const struct eddy_sink *)(const void *)settings->sink.part,
        .incidents = (const struct eddy_sink *)(const void *)settings->detect.incidents.sink.part};
    return workers_wanted(&ends, err);
}

void pipeline_free(struct pipeline *p)
{
    file_inputs_close(p->inputs);
    p->inputs = NULL;
}

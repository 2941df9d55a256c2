#include "plugin/pipeline.h"

#include <string.h>

#include "config/config.h"
#include "connectors/codec/codecs.h"

eddy_status pipeline_bare(struct pipeline *p, const struct settings *settings, struct eddy_error *err)
{
    *p = (struct pipeline){.settings = *settings};
    p->request.settings = &p->settings;
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

eddy_status pipeline_configured(struct pipeline *p, const struct settings *settings, struct eddy_error *err)
{
    eddy_status rc = pipeline_bare(p, settings, err);
    if (rc < 0) return rc;
    p->request.sink = (const struct eddy_sink *)(const void *)settings->sink.part;
    p->request.sink_settings = settings->sink.settings;
    if (settings->source.part == &source_file.part) return pipeline_read_files(p, settings->source.settings, err);
    p->request.source = (const struct eddy_source *)(const void *)settings->source.part;
    p->request.source_settings = settings->source.settings;
    if (settings->source.part == &source_kafka.part) pipeline_tombstones(p);
    return EDDY_OK;
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
    p->dead_letter = (struct file_sink_settings){.path = path};
    p->settings.errors.dead_letter = (struct eddy_choice){&sink_file.part, &p->dead_letter, "--dead-letter"};
}

void pipeline_free(struct pipeline *p)
{
    file_inputs_close(p->inputs);
    p->inputs = NULL;
}

#include <string.h>

#include "connectors/kafka/kafka.h"
#include "connectors/kafka/kafka_settings.h"
#include "plugin/pipeline.h"

const char *pipeline_state_topic(const struct settings *s)
{
    return s->state.topic && *s->state.topic ? s->state.topic : NULL;
}

/* Topics of one name on two clusters are two topics. */
static bool is_elsewhere(const struct kafka_sink_settings *to, const struct kafka_source_settings *source)
{
    return to->properties.n > 0 && strcmp(kafka_servers(&to->properties), kafka_servers(&source->properties)) != 0;
}

static eddy_status topic_apart(const struct eddy_choice *sink, const char *other, const char *option, const char *why,
                               struct eddy_error *err)
{
    const char *topic = ((const struct kafka_sink_settings *)sink->settings)->topic;
    if (!other || strcmp(topic, other) != 0) return EDDY_OK;
    return eddy_fail(err, EDDY_ECONFIG, "%s: %s is the topic of %s too: %s", sink->where, topic, option, why);
}

/* What is written must not come back as an event, and the state's topic belongs to the state alone. */
static eddy_status sink_apart(const struct settings *s, const struct eddy_choice *sink, struct eddy_error *err)
{
    if (sink->part != &sink_kafka.part) return EDDY_OK;
    const struct kafka_source_settings *source = s->source.settings;
    if (is_elsewhere(sink->settings, source)) return EDDY_OK;
    eddy_status rc = EDDY_OK;
    for (int i = 0; rc >= 0 && i < source->topics.n; i++)
        rc = topic_apart(sink, source->topics.item[i], "source.kafka.topics",
                         "what is written there would be read as events again, without end", err);
    if (rc >= 0)
        rc = topic_apart(sink, source->labels, "source.kafka.labels", "what is written there would be read as labels",
                         err);
    if (rc < 0) return rc;
    return topic_apart(sink, pipeline_state_topic(s), "state.topic",
                       "it holds the copy of the state and nothing else", err);
}

eddy_status pipeline_topics_apart(const struct settings *s, struct eddy_error *err)
{
    if (s->source.part != &source_kafka.part) return EDDY_OK;
    eddy_status rc = sink_apart(s, &s->sink, err);
    if (rc >= 0) rc = sink_apart(s, &s->errors.dead_letter, err);
    return rc >= 0 ? sink_apart(s, &s->detect.incidents.sink, err) : rc;
}

#include "connectors/kafka/kafka_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/log.h"
#include "connectors/kafka/kafka_tuning.h"

#define SECONDS 1e9 /* options of type duration are ranged in ns */

const struct eddy_option kafka_source_options[] = {
    {"topics", EDDY_OPT_STRINGS, offsetof(struct kafka_source_settings, topics), NULL, 0, 0, "",
     "Topics to read, by their full names.", NULL, 0, false},
    {"labels", EDDY_OPT_STRING, offsetof(struct kafka_source_settings, labels), "", 0, 0, "",
     "A topic with labels that come later than their events: the key, time and label of an event, without its "
     "values. "
     "They are copied into the events' topic, which needs write permission there, and other readers of it will see "
     "them. Both topics need as many partitions, and there may be only one in `topics`; empty is none.",
     NULL, 0, false},
    {"start", EDDY_OPT_STRING, offsetof(struct kafka_source_settings, start), "earliest", 0, 0, "",
     "Where a partition starts that has neither state nor a committed offset: earliest, latest or an RFC 3339 time.",
     NULL, 0, false},
    {"properties", EDDY_OPT_MAP, offsetof(struct kafka_source_settings, properties), NULL, 0, 0, "",
     "Handed to librdkafka as they are; bootstrap.servers is required. What eddy owns and what loads code is "
     "refused.",
     NULL, 0, false},
    {"instance_id", EDDY_OPT_STRING, offsetof(struct kafka_source_settings, instance_id), "auto", 0, 0, "",
     "Static membership: a name that stays the same over restarts, one per process of the group, so that a process "
     "that "
     "comes back within session.timeout.ms has its partitions at once; with exactly_once also the name of its "
     "transactions. auto: made once and kept beside the state, and lost with it: where the state's directory does "
     "not "
     "outlive the machine, write a name of the place, such as ${HOSTNAME}. Empty is off: a process that ends leaves "
     "the "
     "group at once.",
     NULL, EDDY_EMPTY_UNSETS, false},
    {"tombstones", EDDY_OPT_ENUM, offsetof(struct kafka_source_settings, tombstones), "skip", 0, 0, "skip|forget",
     "A record without a value: skip it, or forget its key.", NULL, 0, false},
    {"connect_timeout", EDDY_OPT_DURATION, offsetof(struct kafka_source_settings, connect_timeout), "30s",
     0.1 * SECONDS, 3600 * SECONDS, "", "How long to wait for the first answer of a broker before giving up.", NULL,
     0, false},
    {0}};

const struct eddy_option kafka_sink_options[] = {
    {"topic", EDDY_OPT_STRING, offsetof(struct kafka_sink_settings, topic), NULL, 0, 0, "",
     "Topic to write; results keep the partition number of their input.", NULL, 0, false},
    {"properties", EDDY_OPT_MAP, offsetof(struct kafka_sink_settings, properties), "", 0, 0, "",
     "Handed to librdkafka as they are; none given: those of the Kafka source.", NULL, 0, false},
    {"connect_timeout", EDDY_OPT_DURATION, offsetof(struct kafka_sink_settings, connect_timeout), "30s",
     0.1 * SECONDS, 3600 * SECONDS, "", "How long to wait for the first answer of a broker before giving up.", NULL,
     0, false},
    {0}};

enum match { MATCH_NAME, MATCH_PREFIX, MATCH_SUFFIX };

struct refusal {
    const char *name;
    enum match match;
    const char *allowed; /* values that pass, separated by |; NULL = none */
    const char *why;
};

static const char owned[] = "is set by eddy";
static const char by_name[] = "is set by eddy from `name`";
static const char by_start[] = "is set by eddy; use `start`";
static const char lossless[] = "is set by eddy, so that no result is lost";
static const char runs_code[] = "is refused because it loads or runs code";

static const struct refusal refusals[] = {
    {"group.id", MATCH_NAME, NULL, by_name},
    {"group.instance.id", MATCH_NAME, NULL, "is set by eddy; use `instance_id`"},
    {"group.protocol", MATCH_PREFIX, NULL, owned},
    {"group.remote.assignor", MATCH_NAME, NULL, owned},
    {"partition.assignment.strategy", MATCH_NAME, NULL, owned},
    {"auto.offset.reset", MATCH_NAME, NULL, by_start},
    {"topic.auto.offset.reset", MATCH_NAME, NULL, by_start},
    {"auto.commit.", MATCH_PREFIX, NULL, owned},
    {"enable.auto.commit", MATCH_NAME, NULL, owned},
    {"auto.commit.enable", MATCH_NAME, NULL, owned},
    {"enable.auto.offset.store", MATCH_NAME, NULL, owned},
    {"enable.partition.eof", MATCH_NAME, NULL, owned},
    {"offset.store.", MATCH_PREFIX, NULL, owned},
    {"consume.callback.max.messages", MATCH_NAME, NULL, owned},
    {"allow.auto.create.topics", MATCH_NAME, "false", "must stay false, so that a misspelt topic is an error"},
    {"isolation.level", MATCH_NAME, "read_committed", "must be read_committed: aborted records are not events"},
    {"transactional.id", MATCH_NAME, NULL, by_name},
    {"transaction.timeout.ms", MATCH_NAME, NULL, owned},
    {"enable.idempotence", MATCH_NAME, "true", lossless},
    {"enable.gapless.guarantee", MATCH_NAME, NULL, owned},
    {"acks", MATCH_NAME, "all|-1", lossless},
    {"request.required.acks", MATCH_NAME, "all|-1", lossless},
    {"message.timeout.ms", MATCH_NAME, NULL, lossless},
    {"delivery.timeout.ms", MATCH_NAME, NULL, lossless},
    {"delivery.report.only.error", MATCH_NAME, NULL, owned},
    {"log.queue", MATCH_NAME, NULL, owned},
    {"enabled_events", MATCH_NAME, NULL, owned},
    {"opaque", MATCH_NAME, NULL, owned},
    {"default_topic_conf", MATCH_NAME, NULL, owned},
    {"msg_order_cmp", MATCH_NAME, NULL, owned},
    {"partitioner_cb", MATCH_NAME, NULL, owned},
    {"_cb", MATCH_SUFFIX, NULL, owned},
    {"test.mock.", MATCH_PREFIX, NULL, "is for tests"},
    {"plugin.library.paths", MATCH_NAME, NULL, runs_code},
    {"interceptors", MATCH_NAME, NULL, runs_code},
    {"ssl.engine.", MATCH_PREFIX, NULL, runs_code},
    {"ssl_engine_callback_data", MATCH_NAME, NULL, runs_code},
    {"ssl.providers", MATCH_NAME, NULL, runs_code},
    {"sasl.kerberos.kinit.cmd", MATCH_NAME, NULL, runs_code},
};

/* Properties whose values are never shown. */
static const char *const secret_words[] = {"password", "secret",   "passphrase",  "ssl.key",
                                           ".pem",     "keystore", "oauthbearer", "jaas"};

struct fixed {
    enum kafka_role role;
    const char *name, *value;
};

/* Above the user's properties. */
static const struct fixed fixed[] = {
    {KAFKA_MEMBER, "partition.assignment.strategy", "cooperative-sticky"},
    {KAFKA_MEMBER, "enable.auto.commit", "false"},
    {KAFKA_MEMBER, "enable.auto.offset.store", "false"},
    {KAFKA_MEMBER, "auto.offset.reset", "error"},
    {KAFKA_MEMBER, "isolation.level", "read_committed"},
    {KAFKA_READER, "enable.auto.commit", "false"},
    {KAFKA_READER, "enable.auto.offset.store", "false"},
    {KAFKA_READER, "auto.offset.reset", "error"},
    {KAFKA_READER, "isolation.level", "read_committed"},
    {KAFKA_READER, "enable.partition.eof", "true"},
    {KAFKA_ASKER, "isolation.level", "read_committed"},
    {KAFKA_PRODUCER, "enable.idempotence", "true"},
    {KAFKA_PRODUCER, "acks", "all"},
    {KAFKA_PRODUCER, "message.timeout.ms", "0"},
    /* A dead process blocks its partitions' readers no longer than this; a transaction that waits longer is begun anew. */
    {KAFKA_TRANSACTOR, "transaction.timeout.ms", "15000"},
    {KAFKA_TRANSACTOR, "message.timeout.ms", "15000"},
    /* Nobody waits for these but who restores the same partition while its last owner is dead in the midst of a commit. */
    {KAFKA_PUBLISHER, "transaction.timeout.ms", "300000"},
    {KAFKA_PUBLISHER, "message.timeout.ms", "60000"},
};

/* librdkafka 2.6.1; before, the client's nonce went into the proof twice. */
enum { SCRAM_MENDED = 0x020601ff };

static bool settings_is_secret(const char *name)
{
    const char *ending = strrchr(name, '.');
    if (ending && strcmp(ending, ".location") == 0) return false; /* a path helps whoever reads the message */
    for (size_t i = 0; i < sizeof(secret_words) / sizeof(*secret_words); i++)
        if (strcasestr(name, secret_words[i])) return true;
    return false;
}

static bool settings_matches(const struct refusal *r, const char *name)
{
    size_t n = strlen(name), k = strlen(r->name);
    switch (r->match) {
    case MATCH_NAME: return strcmp(name, r->name) == 0;
    case MATCH_PREFIX: return strncmp(name, r->name, k) == 0;
    case MATCH_SUFFIX: return n >= k && strcmp(name + n - k, r->name) == 0;
    }
    return false;
}

/* Is `word` one of `list`, whose words are separated by `separator`? */
static bool settings_has_word(const char *list, char separator, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; p && *p;) {
        const char *end = strchrnul(p, separator);
        while (*p == ' ') p++;
        const char *last = end;
        while (last > p && last[-1] == ' ') last--;
        if ((size_t)(last - p) == n && strncasecmp(p, word, n) == 0) return true;
        p = *end ? end + 1 : end;
    }
    return false;
}

static eddy_status settings_refuse(const struct eddy_pair *pair, const char *why, struct eddy_error *err)
{
    if (pair->line > 0)
        return eddy_fail(err, EDDY_ECONFIG, "line %d: properties.%s: %s", pair->line, pair->name, why);
    return eddy_fail(err, EDDY_ECONFIG, "properties.%s: %s", pair->name, why);
}

static eddy_status settings_allowed(const struct eddy_pair *pair, struct eddy_error *err)
{
    if (!pair->value) return settings_refuse(pair, "has no value", err);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        const struct refusal *r = &refusals[i];
        if (settings_matches(r, pair->name) && !settings_has_word(r->allowed, '|', pair->value))
            return settings_refuse(pair, r->why, err);
    }
    if (strcmp(pair->name, "debug") == 0 &&
        (settings_has_word(pair->value, ',', "all") || settings_has_word(pair->value, ',', "security")))
        return settings_refuse(pair, "security (and all) would print credentials", err);
    return EDDY_OK;
}

static eddy_status settings_set_pair(rd_kafka_conf_t *conf, const struct eddy_pair *pair, struct eddy_error *err)
{
    char text[512];
    eddy_status rc = settings_allowed(pair, err);
    if (rc < 0) return rc;
    if (rd_kafka_conf_set(conf, pair->name, pair->value, text, sizeof(text)) == RD_KAFKA_CONF_OK) return EDDY_OK;
    return settings_refuse(pair, settings_is_secret(pair->name) ? "librdkafka refuses the value (not shown)" : text,
                           err);
}

static bool settings_given(const struct eddy_map *map, const char *name)
{
    for (int i = 0; i < map->n; i++)
        if (strcmp(map->item[i].name, name) == 0 && map->item[i].value && *map->item[i].value) return true;
    return false;
}

/* All mistakes at once, as far as there is room. */
static void settings_complain(struct eddy_error *all, const struct eddy_error *one)
{
    const size_t used = strlen(all->message);
    (void)snprintf(all->message + used, sizeof(all->message) - used, "%s%s", used ? "; " : "", one->message);
    all->code = one->code;
}

eddy_status kafka_properties_check(const struct eddy_map *map, bool need_servers, struct eddy_error *err)
{
    struct eddy_error all = {0}, one = {0};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (int i = 0; i < map->n; i++)
        if (settings_set_pair(conf, &map->item[i], &one) < 0) settings_complain(&all, &one);
    rd_kafka_conf_destroy(conf);
    if (need_servers && !settings_given(map, "bootstrap.servers") && !settings_given(map, "metadata.broker.list")) {
        (void)eddy_fail(&one, EDDY_ECONFIG, "properties.bootstrap.servers is missing: no broker to connect to");
        settings_complain(&all, &one);
    }
    if (all.code >= 0) return EDDY_OK;
    return eddy_fail(err, all.code, "%s", all.message);
}

static eddy_status settings_owned(rd_kafka_conf_t *conf, enum kafka_role role, const char *name,
                                  const char *instance_id, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed) && rc == EDDY_OK; i++)
        if (fixed[i].role == role) rc = kafka_conf_set(conf, fixed[i].name, fixed[i].value, err);
    if (rc == EDDY_OK && (role == KAFKA_MEMBER || role == KAFKA_READER))
        rc = kafka_conf_set(conf, "group.id", name, err);
    if (rc == EDDY_OK && role == KAFKA_MEMBER && instance_id && *instance_id)
        rc = kafka_conf_set(conf, "group.instance.id", instance_id, err);
    if (rc == EDDY_OK && (role == KAFKA_TRANSACTOR || role == KAFKA_PUBLISHER))
        rc = kafka_conf_set(conf, "transactional.id", instance_id, err);
    return rc;
}

eddy_status kafka_conf(enum kafka_role role, enum latency latency, const char *name, const char *instance_id,
                       const struct eddy_map *map, int n_partitions, rd_kafka_conf_t **out, struct eddy_error *err)
{
    *out = NULL;
    eddy_status rc = kafka_properties_check(map, true, err);
    if (rc < 0) return rc;

    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rc = kafka_conf_set(conf, "client.id", name, err);
    if (rc == EDDY_OK) rc = kafka_tune(conf, role, latency, n_partitions, err);
    for (int i = 0; i < map->n && rc == EDDY_OK; i++) rc = settings_set_pair(conf, &map->item[i], err);
    if (rc == EDDY_OK) rc = settings_owned(conf, role, name, instance_id, err);
    if (rc < 0) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    *out = conf;
    return EDDY_OK;
}

eddy_status kafka_conf_batch(rd_kafka_conf_t *conf, int bytes, struct eddy_error *err)
{
    char number[24];
    (void)snprintf(number, sizeof(number), "%d", bytes);
    const eddy_status rc = kafka_conf_set(conf, "message.max.bytes", number, err);
    return rc < 0 ? rc : kafka_conf_set(conf, "batch.size", number, err);
}

bool kafka_id_is_drawn(const struct kafka_source_settings *s)
{
    return s->instance_id && strcmp(s->instance_id, "auto") == 0;
}

eddy_status kafka_conf_worker(rd_kafka_conf_t *conf, int worker, bool ids_too, struct eddy_error *err)
{
    static const char *const names[] = {"client.id", "group.instance.id", "transactional.id"};
    for (size_t i = 0; i < (ids_too ? sizeof(names) / sizeof(*names) : 1); i++) {
        char value[512], text[540];
        size_t size = sizeof(value);
        if (rd_kafka_conf_get(conf, names[i], value, &size) != RD_KAFKA_CONF_OK || !*value) continue;
        (void)snprintf(text, sizeof(text), "%s-%d", value, worker);
        eddy_status rc = kafka_conf_set(conf, names[i], text, err);
        if (rc < 0) return rc;
    }
    return EDDY_OK;
}

static eddy_status settings_topic(const char *topic, struct eddy_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strlen(topic);
    if (n == 0 || n > 249 || strspn(topic, allowed) != n || strcmp(topic, ".") == 0 || strcmp(topic, "..") == 0)
        return eddy_fail(err, EDDY_ECONFIG, "topic \"%.260s\": a name is 1 to 249 of a-z A-Z 0-9 . _ -", topic);
    return EDDY_OK;
}

eddy_status kafka_topics_check(const struct eddy_strings *topics, struct eddy_error *err)
{
    if (topics->n == 0) return eddy_fail(err, EDDY_ECONFIG, "topics: the list is empty");
    for (int i = 0; i < topics->n; i++) {
        eddy_status rc = settings_topic(topics->item[i], err);
        if (rc < 0) return rc;
        for (int k = 0; k < i; k++)
            if (strcmp(topics->item[i], topics->item[k]) == 0)
                return eddy_fail(err, EDDY_ECONFIG, "topics: %s is listed twice", topics->item[i]);
    }
    return EDDY_OK;
}

eddy_status kafka_labels_check(const char *labels, const struct eddy_strings *topics, struct eddy_error *err)
{
    if (!labels || !*labels) return EDDY_OK;
    eddy_status rc = settings_topic(labels, err);
    if (rc < 0) return rc;
    if (topics->n != 1)
        return eddy_fail(err, EDDY_ECONFIG,
                         "labels: %s is copied into the events' topic, so topics must be exactly one, not %d", labels,
                         topics->n);
    if (strcmp(labels, topics->item[0]) == 0)
        return eddy_fail(err, EDDY_ECONFIG,
                         "labels: %s is the events' own topic, where labels are found without this option", labels);
    return EDDY_OK;
}

void kafka_properties_warn(const struct eddy_map *map)
{
    for (int i = 0; i < map->n; i++) {
        const struct eddy_pair *p = &map->item[i];
        bool off = strcmp(p->name, "enable.ssl.certificate.verification") == 0 && strcasecmp(p->value, "true") != 0;
        bool anybody = strcmp(p->name, "ssl.endpoint.identification.algorithm") == 0 &&
                       strcasecmp(p->value, "none") == 0;
        if (off || anybody)
            log_warn("insecure",
                     "%s=%s: the broker's identity is not checked; anybody in between can read and change", p->name,
                     p->value);
        if (strncmp(p->name, "sasl.mechanism", 14) == 0 && strncasecmp(p->value, "SCRAM-", 6) == 0 &&
            rd_kafka_version() < SCRAM_MENDED)
            log_warn("scram",
                     "%s=%s: librdkafka %s sends a SCRAM proof that Kafka 4 refuses as invalid "
                     "credentials; librdkafka 2.6.1 mends it, PLAIN over TLS works with this one",
                     p->name, p->value, rd_kafka_version_str());
    }
}

const char *kafka_servers(const struct eddy_map *map)
{
    for (int i = 0; i < map->n; i++)
        if (strcmp(map->item[i].name, "bootstrap.servers") == 0 ||
            strcmp(map->item[i].name, "metadata.broker.list") == 0)
            return map->item[i].value;
    return "(no bootstrap.servers)";
}

void kafka_mask(const struct eddy_map *map, char *text)
{
    for (int i = 0; map && i < map->n; i++) {
        const char *value = map->item[i].value;
        size_t n = value ? strlen(value) : 0;
        if (n < 3 || !settings_is_secret(map->item[i].name)) continue;
        for (char *at = text; (at = strstr(at, value)); at += n) memset(at, '*', n);
    }
}

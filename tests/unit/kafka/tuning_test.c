/* What `latency` sets of librdkafka, and that a user's property wins. */
#include <criterion/criterion.h>
#include <string.h>

#include "connectors/kafka/kafka_settings.h"

static struct eddy_error err;

static rd_kafka_conf_t *conf_of(enum kafka_role role, enum latency latency, struct eddy_pair *said)
{
    struct eddy_pair pairs[] = {{"bootstrap.servers", "localhost:1", 3}, said ? *said : (struct eddy_pair){0}};
    struct eddy_map map = {said ? 2 : 1, pairs};
    rd_kafka_conf_t *conf;
    cr_assert_eq(kafka_conf(role, latency, "plant-7", "id", &map, 4, &conf, &err), EDDY_OK, "%s", err.message);
    return conf;
}

static void expect(const rd_kafka_conf_t *conf, const char *name, const char *want)
{
    char value[64] = "";
    size_t size = sizeof(value);
    cr_expect(rd_kafka_conf_get(conf, name, value, &size) == RD_KAFKA_CONF_OK && strcmp(value, want) == 0,
              "%s is %s, not %s", name, value, want);
}

struct row {
    enum kafka_role role;
    const char *name, *balanced, *low, *throughput;
};

static const struct row rows[] = {
    {KAFKA_PRODUCER, "linger.ms", "5", "0", "50"},
    {KAFKA_TRANSACTOR, "linger.ms", "5", "0", "50"},
    {KAFKA_PRODUCER, "queue.buffering.max.messages", "20000", "20000", "50000"},
    {KAFKA_PRODUCER, "socket.nagle.disable", "true", "true", "true"},
    {KAFKA_MEMBER, "socket.nagle.disable", "true", "true", "true"},
    {KAFKA_MEMBER, "fetch.min.bytes", "1", "1", "262144"},
    {KAFKA_MEMBER, "fetch.wait.max.ms", "500", "500", "100"},
    {KAFKA_MEMBER, "fetch.error.backoff.ms", "500", "50", "500"},
    {KAFKA_READER, "fetch.min.bytes", "1", "1", "262144"},
    {KAFKA_MEMBER, "queued.min.messages", "16000", "16000", "16000"},
    {KAFKA_MEMBER, "queued.max.messages.kbytes", "4096", "4096", "4096"},
};

Test(kafka_tuning, one_word_sets_the_knobs_together)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *r = &rows[i];
        const char *const want[] = {r->balanced, r->low, r->throughput};
        for (int latency = LATENCY_BALANCED; latency <= LATENCY_THROUGHPUT; latency++) {
            rd_kafka_conf_t *conf = conf_of(r->role, (enum latency)latency, NULL);
            expect(conf, r->name, want[latency]);
            rd_kafka_conf_destroy(conf);
        }
    }
}

Test(kafka_tuning, what_the_user_says_wins_and_the_others_stay)
{
    struct eddy_pair linger = {"linger.ms", "3", 4}, wait = {"fetch.wait.max.ms", "33", 4};
    rd_kafka_conf_t *conf = conf_of(KAFKA_PRODUCER, LATENCY_THROUGHPUT, &linger);
    expect(conf, "linger.ms", "3");
    expect(conf, "queue.buffering.max.messages", "50000");
    rd_kafka_conf_destroy(conf);
    conf = conf_of(KAFKA_MEMBER, LATENCY_THROUGHPUT, &wait);
    expect(conf, "fetch.wait.max.ms", "33");
    expect(conf, "fetch.min.bytes", "262144");
    rd_kafka_conf_destroy(conf);
}

Test(kafka_tuning, what_keeps_results_safe_is_the_same_for_all)
{
    for (int latency = LATENCY_BALANCED; latency <= LATENCY_THROUGHPUT; latency++) {
        rd_kafka_conf_t *conf = conf_of(KAFKA_PRODUCER, (enum latency)latency, NULL);
        expect(conf, "enable.idempotence", "true");
        expect(conf, "request.required.acks", "-1");
        rd_kafka_conf_destroy(conf);
        conf = conf_of(KAFKA_MEMBER, (enum latency)latency, NULL);
        expect(conf, "check.crcs", "true");
        expect(conf, "isolation.level", "read_committed");
        rd_kafka_conf_destroy(conf);
    }
}

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/kafka/fixture.h"

static struct sink_message text_message(int32_t partition, const char *text)
{
    return (struct sink_message){.partition = partition,
                                 .key = "k",
                                 .key_len = 1,
                                 .payload = text,
                                 .len = strlen(text),
                                 .time_ns = EDDY_NO_TIME};
}

static void *open_sink(struct cluster *c, const struct kafka_sink_settings *set)
{
    void *sink;
    struct eddy_error err = {0};
    struct sink_request request = {.name = "fixture"};
    cr_assert_eq(sink_kafka.open(set, &request, &sink, &err), EDDY_OK, "%s", err.message);
    (void)c;
    return sink;
}

static struct kafka_sink_settings settings(struct cluster *c)
{
    return (struct kafka_sink_settings){
        .topic = "scored", .properties = c->properties, .connect_timeout = 3000000000};
}

static eddy_status drain(void *sink, int limit_ms, struct eddy_error *err)
{
    for (int64_t end_ms = fixture_now_ms() + limit_ms;
         sink_kafka.outstanding(sink) > 0 && fixture_now_ms() < end_ms;) {
        eddy_status rc = sink_kafka.service(sink, 50, err);
        if (rc < 0) return rc;
    }
    return EDDY_OK;
}

/* Reads one partition from its begin; calls check(i, message) for n messages. */
static void read_back(struct cluster *c, int partition, int n, void (*check)(int, const rd_kafka_message_t *))
{
    char text[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", c->servers, text, sizeof(text));
    (void)rd_kafka_conf_set(conf, "group.id", "back", text, sizeof(text));
    (void)rd_kafka_conf_set(conf, "fetch.wait.max.ms", "20", text, sizeof(text));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "scored", partition)->offset = 0;
    rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    int64_t end_ms = fixture_now_ms() + 10000;
    for (int i = 0; i < n;) {
        cr_assert_lt(fixture_now_ms(), end_ms, "%d of %d messages in [%d]", i, n, partition);
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 100);
        if (!m) continue;
        if (!m->err) check(i++, m);
        rd_kafka_message_destroy(m);
    }
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

static void check_number(int i, const rd_kafka_message_t *m)
{
    char want[32];
    (void)snprintf(want, sizeof(want), "%d:%d", (int)m->partition, i);
    cr_assert(m->len == strlen(want) && memcmp(m->payload, want, m->len) == 0, "%.*s instead of %s", (int)m->len,
              (const char *)m->payload, want);
}

Test(kafka_sink, a_tiny_queue_makes_it_slow_but_loses_nothing_and_keeps_order, .timeout = 60)
{
    static char texts[4 * 500][32];
    static struct sink_message all[4 * 500];
    struct cluster c;
    struct eddy_error err = {0};
    cluster_open(&c);
    cluster_topic(&c, "scored", 4);
    cluster_property(&c, "queue.buffering.max.messages", "50");
    struct kafka_sink_settings set = settings(&c);
    void *sink = open_sink(&c, &set);
    for (int i = 0; i < 2000; i++) {
        int run = i / 10, partition = run % 4, n = (run / 4) * 10 + i % 10; /* runs of ten per partition */
        (void)snprintf(texts[i], sizeof(texts[i]), "%d:%d", partition, n);
        all[i] = text_message(partition, texts[i]);
    }
    int sent = 0, partial = 0;
    for (int64_t end_ms = fixture_now_ms() + 30000; sent < 2000;) {
        cr_assert_lt(fixture_now_ms(), end_ms);
        eddy_status rc = sink_kafka.send(sink, all + sent, 2000 - sent, &err);
        cr_assert_geq(rc, 0, "%s", err.message);
        sent += rc;
        partial += sent < 2000;
        cr_assert_leq(sink_kafka.outstanding(sink), 50);
        cr_assert_eq(sink_kafka.service(sink, 10, &err), EDDY_OK);
    }
    cr_assert_gt(partial, 10, "the queue was never full");
    cr_assert_eq(drain(sink, 10000, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(sink_kafka.outstanding(sink), 0);
    sink_kafka.close(sink);
    for (int p = 0; p < 4; p++) read_back(&c, p, 500, check_number);
    cluster_close(&c);
}

static void check_letter(int i, const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t len;
    rd_kafka_timestamp_type_t kind;
    (void)i;
    cr_assert_eq(m->len, 6);
    cr_assert_eq(memcmp(m->payload, "\xff raw\0", 6), 0);
    cr_assert_eq(rd_kafka_message_headers(m, &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert_eq(rd_kafka_header_cnt(headers), 2);
    cr_assert_eq(rd_kafka_header_get_last(headers, "__eddy.errors.code", &value, &len), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert(len == 8 && memcmp(value, "not_json", 8) == 0);
    cr_assert_eq(rd_kafka_message_timestamp(m, &kind), 1700000000123);
}

Test(kafka_sink, dead_letters_keep_bytes_headers_and_time, .timeout = 30)
{
    struct cluster c;
    struct eddy_error err = {0};
    cluster_open(&c);
    cluster_topic(&c, "scored", 1);
    struct kafka_sink_settings set = settings(&c);
    void *sink = open_sink(&c, &set);
    struct sink_header headers[] = {{"__eddy.errors.code", "not_json", 8}, {"__eddy.errors.offset", "7", 1}};
    struct sink_message m = {.partition = -1,
                             .payload = "\xff raw\0",
                             .len = 6,
                             .time_ns = 1700000000123456789,
                             .headers = headers,
                             .n_headers = 2};
    cr_assert_eq(sink_kafka.send(sink, &m, 1, &err), 1, "%s", err.message);
    cr_assert_eq(drain(sink, 5000, &err), EDDY_OK);
    sink_kafka.close(sink);
    read_back(&c, 0, 1, check_letter);
    cluster_close(&c);
}

/* A sink with one message on its way to a partition of "scored", whose delivery the broker refuses. */
static void *open_refused(struct cluster *c, const struct kafka_sink_settings *set, const struct sink_message *m)
{
    struct eddy_error err = {0};
    void *sink = open_sink(c, set);
    rd_kafka_mock_push_request_errors(c->mock, 0 /* Produce */, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    cr_assert_eq(sink_kafka.send(sink, m, 1, &err), 1);
    return sink;
}

Test(kafka_sink, a_refused_delivery_is_an_error_that_names_topic_partition_and_reason, .timeout = 30)
{
    struct cluster c;
    struct eddy_error err = {0};
    cluster_open(&c);
    cluster_topic(&c, "scored", 3);
    struct kafka_sink_settings set = settings(&c);
    struct sink_message m = text_message(2, "x");
    void *sink = open_refused(&c, &set, &m);
    cr_assert_eq(drain(sink, 10000, &err), EDDY_EIO, "the loss went unnoticed");
    cr_assert(strstr(err.message, "scored [2]") && strstr(err.message, "TOPIC_AUTHORIZATION_FAILED"), "%s",
              err.message);
    cr_assert_eq(sink_kafka.send(sink, &m, 1, &err), EDDY_EIO, "the pipeline must not go on");
    sink_kafka.close(sink);
    cluster_close(&c);
}

/* A checkpoint looks whether anything is outstanding: a failure that came to light since the last service() must be. */
Test(kafka_sink, a_failure_that_nobody_was_told_of_is_outstanding, .timeout = 30)
{
    struct cluster c;
    struct eddy_error err = {0};
    cluster_open(&c);
    cluster_topic(&c, "scored", 1);
    struct kafka_sink_settings set = settings(&c);
    struct sink_message m = text_message(0, "x");
    void *sink = open_refused(&c, &set, &m);
    for (int64_t end_ms = fixture_now_ms() + 1500; fixture_now_ms() < end_ms; usleep(50000))
        cr_assert_gt(sink_kafka.outstanding(sink), 0);
    cr_assert_eq(sink_kafka.service(sink, 0, &err), EDDY_EIO);
    cr_assert_gt(sink_kafka.outstanding(sink), 0);
    sink_kafka.close(sink);
    cluster_close(&c);
}

Test(kafka_sink, passing_errors_are_retried_without_a_word, .timeout = 30)
{
    struct cluster c;
    struct eddy_error err = {0};
    cluster_open(&c);
    cluster_topic(&c, "scored", 1);
    struct kafka_sink_settings set = settings(&c);
    void *sink = open_sink(&c, &set);
    struct sink_message m = text_message(0, "0:0");
    rd_kafka_mock_push_request_errors(c.mock, 0, 2, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    cr_assert_eq(sink_kafka.send(sink, &m, 1, &err), 1);
    cr_assert_eq(drain(sink, 10000, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(sink_kafka.outstanding(sink), 0);
    sink_kafka.close(sink);
    read_back(&c, 0, 1, check_number);
    cluster_close(&c);
}

Test(kafka_sink, a_broker_that_is_away_loses_nothing, .timeout = 40)
{
    struct cluster c;
    struct eddy_error err = {0};
    cluster_open(&c);
    cluster_topic(&c, "scored", 1);
    cluster_property(&c, "reconnect.backoff.max.ms", "500");
    struct kafka_sink_settings set = settings(&c);
    void *sink = open_sink(&c, &set);
    struct sink_message m = text_message(0, "0:0");
    cr_assert_eq(sink_kafka.send(sink, &m, 1, &err), 1);
    cr_assert_eq(drain(sink, 5000, &err), EDDY_OK);
    rd_kafka_mock_broker_set_down(c.mock, 1);
    m = text_message(0, "0:1");
    cr_assert_eq(sink_kafka.send(sink, &m, 1, &err), 1);
    cr_assert_eq(drain(sink, 3000, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(sink_kafka.outstanding(sink), 1);
    rd_kafka_mock_broker_set_up(c.mock, 1);
    cr_assert_eq(drain(sink, 15000, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(sink_kafka.outstanding(sink), 0);
    sink_kafka.close(sink);
    read_back(&c, 0, 2, check_number);
    cluster_close(&c);
}

Test(kafka_sink, close_gives_up_at_once_with_a_dead_broker, .timeout = 30)
{
    struct cluster c;
    struct eddy_error err = {0};
    cluster_open(&c);
    cluster_topic(&c, "scored", 1);
    struct kafka_sink_settings set = settings(&c);
    void *sink = open_sink(&c, &set);
    rd_kafka_mock_broker_set_down(c.mock, 1);
    struct sink_message m = text_message(0, "0:0");
    cr_assert_eq(sink_kafka.send(sink, &m, 1, &err), 1);
    int64_t begin_ms = fixture_now_ms();
    sink_kafka.close(sink);
    cr_assert_lt(fixture_now_ms() - begin_ms, 5000);
    cluster_close(&c);
}

Test(kafka_sink, a_missing_topic_is_an_error_and_is_not_made, .timeout = 30)
{
    struct cluster c;
    struct eddy_error err = {0};
    void *sink;
    cluster_open(&c);
    cluster_topic(&c, "other", 1);
    struct kafka_sink_settings set = settings(&c);
    struct sink_request request = {.name = "fixture"};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(sink_kafka.open(&set, &request, &sink, &err), EDDY_ENOTFOUND, "%s", err.message);
        cr_assert(strstr(err.message, "scored"), "%s", err.message);
        cr_assert_null(sink);
    }
    cluster_close(&c);
}

Test(kafka_sink, too_few_partitions_are_an_error_with_the_numbers, .timeout = 30)
{
    struct cluster c;
    struct eddy_error err = {0};
    static const char *const names[] = {"events"};
    struct eddy_strings topics = {1, names};
    cluster_open(&c);
    cluster_topic(&c, "scored", 2);
    cluster_topic(&c, "events", 4);
    struct kafka_sink_settings set = settings(&c);
    void *sink = open_sink(&c, &set);
    struct sink_message m = text_message(2, "x");
    cr_assert_eq(sink_kafka.send(sink, &m, 1, &err), EDDY_ECONFIG);
    cr_assert(strstr(err.message, "scored has 2") && strstr(err.message, "at least 3"), "%s", err.message);
    sink_kafka.close(sink);

    struct kafka_source_settings source = fixture_source(&c, &topics);
    struct eddy_choice choice = {&source_kafka.part, &source, "x.yml:3: source.kafka"};
    struct sink_request request = {.name = "fixture", .source = &choice, .co_partitioned = 1};
    set.properties = (struct eddy_map){0}; /* the source's are taken */
    cr_assert_eq(sink_kafka.open(&set, &request, &sink, &err), EDDY_ECONFIG, "%s", err.message);
    cr_assert(strstr(err.message, "events has 4"), "%s", err.message);
    request.co_partitioned = 0;
    cr_assert_eq(sink_kafka.open(&set, &request, &sink, &err), EDDY_OK, "%s", err.message);
    sink_kafka.close(sink);
    cluster_close(&c);
}

Test(kafka_sink, a_message_over_the_producers_limit_is_named, .timeout = 30)
{
    static char large[2000];
    struct cluster c;
    struct eddy_error err = {0};
    cluster_open(&c);
    cluster_topic(&c, "scored", 1);
    cluster_property(&c, "message.max.bytes", "1000");
    struct kafka_sink_settings set = settings(&c);
    void *sink = open_sink(&c, &set);
    struct sink_message m = {.payload = large, .len = sizeof(large), .time_ns = EDDY_NO_TIME};
    cr_assert_eq(sink_kafka.send(sink, &m, 1, &err), EDDY_EIO);
    cr_assert(strstr(err.message, "scored [0]") && strstr(err.message, "2000 bytes"), "%s", err.message);
    sink_kafka.close(sink);
    cluster_close(&c);
}

Test(kafka_sink, close_of_nothing_is_fine)
{
    sink_kafka.close(NULL);
    source_kafka.close(NULL);
    source_kafka_range.close(NULL);
}

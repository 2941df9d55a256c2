/* The events' topic holds nothing but copied labels here, so that the fixture's reader sees whether each came once, in
 * order and into its own partition. */
#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#include "tests/unit/kafka/fixture.h"

static const char *const topic_names[] = {"events"};
static const struct eddy_strings topics = {1, topic_names};

static struct kafka_source_settings labelled(struct cluster *c, int n_events, int n_labels)
{
    cluster_open(c);
    cluster_property(c, "reconnect.backoff.max.ms", "500");
    cluster_topic(c, "events", n_events);
    cluster_topic(c, "labels", n_labels);
    struct kafka_source_settings set = fixture_source(c, &topics);
    set.labels = "labels";
    return set;
}

static rd_kafka_t *consumer(struct cluster *c)
{
    char text[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", c->servers, text, sizeof(text));
    (void)rd_kafka_conf_set(conf, "group.id", "fixture", text, sizeof(text));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    cr_assert(rk, "%s", text);
    return rk;
}

/* What the group has committed of the label topic. */
static int64_t committed(struct cluster *c, int partition)
{
    rd_kafka_t *rk = consumer(c);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *e = rd_kafka_topic_partition_list_add(list, "labels", partition);
    cr_assert_eq(rd_kafka_committed(rk, list, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    int64_t offset = e->offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return offset;
}

static void poll_for(struct reader *r, int ms)
{
    for (int64_t end_ms = fixture_now_ms() + ms; fixture_now_ms() < end_ms;)
        cr_assert_geq(reader_poll(r, 50, 100), 0, "%s", r->err.message);
}

static int held(const struct positions *at, int number)
{
    int n = 0;
    for (int p = 0; p < FIXTURE_PARTITIONS; p++) n += at->owner[p] == number;
    return n;
}

Test(kafka_labels, arrive_once_in_order_in_their_own_partition, .timeout = 60)
{
    struct cluster c;
    struct kafka_source_settings set = labelled(&c, 3, 3);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    for (int p = 0; p < 3; p++) cluster_produce(&c, "labels", p, 0, 1500 + 10 * p);
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(reader_until(&r, 4530, 30000), 0, "%lld labels: %s", (long long)at.n_records, r.err.message);
    cluster_produce(&c, "labels", 1, 1510, 5);
    cr_assert_geq(reader_until(&r, 4535, 10000), 0, "%lld labels: %s", (long long)at.n_records, r.err.message);
    poll_for(&r, 300);
    cr_assert_eq(at.n_records, 4535);
    cr_assert_eq(at.n_wrong, 0);
    reader_close(&r);
    cluster_close(&c);
}

Test(kafka_labels, go_on_behind_the_committed_ones_after_a_restart, .timeout = 60)
{
    struct cluster c;
    struct kafka_source_settings set = labelled(&c, 2, 2);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cluster_produce(&c, "labels", 1, 0, 40);
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(reader_until(&r, 40, 20000), 0, "%s", r.err.message);
    cr_assert_eq(r.part->commit(r.source, NULL, 0, &r.err), EDDY_OK);
    poll_for(&r, 500);
    cr_assert_eq(committed(&c, 1), 40, "committed while it runs");
    cluster_produce(&c, "labels", 1, 40, 2);
    cr_assert_geq(reader_until(&r, 42, 20000), 0, "%s", r.err.message);
    reader_close(&r);
    cr_assert_eq(committed(&c, 1), 42, "committed when it ends");

    cluster_produce(&c, "labels", 1, 42, 8);
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(reader_until(&r, 50, 20000), 0, "%s", r.err.message);
    poll_for(&r, 300);
    cr_assert_eq(at.n_records, 50);
    cr_assert_eq(at.n_wrong, 0);
    reader_close(&r);
    cluster_close(&c);
}

Test(kafka_labels, a_start_at_the_end_holds_over_a_restart, .timeout = 60)
{
    struct cluster c;
    struct kafka_source_settings set = labelled(&c, 1, 1);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    set.start = "latest";
    cluster_produce(&c, "labels", 0, 0, 30);
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    while (held(&at, 1) < 1) cr_assert_geq(reader_poll(&r, 20, 100), 0);
    poll_for(&r, 500);
    cr_assert_eq(at.n_records, 0, "labels from before the start were copied");
    reader_close(&r);
    cr_assert_eq(committed(&c, 0), 30);

    cluster_produce(&c, "labels", 0, 30, 7);
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(reader_until(&r, 7, 20000), 0, "%s", r.err.message);
    reader_close(&r);
    cluster_close(&c);
}

static void produce_one(struct cluster *c, const char *key, const char *value, const char *header, int64_t time_ms)
{
    rd_kafka_resp_err_t code = rd_kafka_producev(
        c->rk, RD_KAFKA_V_TOPIC("labels"), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY(key, key ? strlen(key) : 0),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value ? strlen(value) : 0), RD_KAFKA_V_TIMESTAMP(time_ms),
        RD_KAFKA_V_HEADER("from", header, -1), RD_KAFKA_V_END);
    cr_assert_eq(code, RD_KAFKA_RESP_ERR_NO_ERROR, "%s", rd_kafka_err2str(code));
}

static void expect_one(rd_kafka_t *rk, const char *key, const char *value, const char *header, int64_t time_ms)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 10000);
    rd_kafka_headers_t *headers;
    const void *found;
    size_t len;
    cr_assert(m && !m->err);
    cr_assert(!m->key == !key && (!key || (m->key_len == strlen(key) && memcmp(m->key, key, m->key_len) == 0)));
    cr_assert(!m->payload == !value &&
              (!value || (m->len == strlen(value) && memcmp(m->payload, value, m->len) == 0)));
    cr_assert_eq(rd_kafka_message_timestamp(m, NULL), time_ms);
    cr_assert_eq(rd_kafka_message_headers(m, &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert_eq(rd_kafka_header_cnt(headers), 1);
    cr_assert_eq(rd_kafka_header_get_last(headers, "from", &found, &len), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert(len == strlen(header) && memcmp(found, header, len) == 0);
    rd_kafka_message_destroy(m);
}

Test(kafka_labels, keep_key_value_headers_and_time, .timeout = 40)
{
    struct cluster c;
    struct kafka_source_settings set = labelled(&c, 1, 1);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    produce_one(&c, "pump", "{}", "lab", 1700000000123);
    produce_one(&c, NULL, "text", "", 1600000000000);
    produce_one(&c, "gone", NULL, "x", 1500000000000);
    cr_assert_eq(rd_kafka_flush(c.rk, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(reader_until(&r, 3, 20000), 0, "%s", r.err.message);
    reader_close(&r);

    rd_kafka_t *rk = consumer(&c);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "events", 0)->offset = 0;
    cr_assert_eq(rd_kafka_assign(rk, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_one(rk, "pump", "{}", "lab", 1700000000123);
    expect_one(rk, NULL, "text", "", 1600000000000);
    expect_one(rk, "gone", NULL, "x", 1500000000000);
    rd_kafka_topic_partition_list_destroy(list);
    (void)rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    cluster_close(&c);
}

/* Labels 0 .. n - 1 of every partition are in the events, in order, while `r` goes on copying; runs of them may be there
 * twice, as brokers refuse commits in the middle of a rebalance. */
static void expect_all(struct cluster *c, struct reader *r, int n_partitions, int64_t n)
{
    int64_t next[FIXTURE_PARTITIONS] = {0}, done = 0;
    rd_kafka_t *rk = consumer(c);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n_partitions);
    for (int p = 0; p < n_partitions; p++) rd_kafka_topic_partition_list_add(list, "events", p)->offset = 0;
    cr_assert_eq(rd_kafka_assign(rk, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    for (int64_t end_ms = fixture_now_ms() + 40000; done < n_partitions * n;) {
        cr_assert_lt(fixture_now_ms(), end_ms, "%lld of %lld", (long long)done, (long long)(n_partitions * n));
        cr_assert_geq(reader_poll(r, 0, 1000), 0, "%s", r->err.message);
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 1);
        if (m && !m->err) {
            long long number = -1;
            char text[64];
            (void)snprintf(text, sizeof(text), "%.*s", (int)m->len, (const char *)m->payload);
            cr_assert_eq(sscanf(text, "%*d:%lld", &number), 1);
            cr_assert_leq(number, next[m->partition], "[%d] lacks some before %lld", (int)m->partition, number);
            if (number == next[m->partition]) next[m->partition]++, done++;
        }
        if (m) rd_kafka_message_destroy(m);
    }
    (void)rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

Test(kafka_labels, move_with_their_partitions, .timeout = 100)
{
    struct cluster c;
    struct kafka_source_settings set = labelled(&c, 4, 4);
    struct positions at = {0};
    struct reader one = {.at = &at, .number = 1}, two = {.at = &at, .number = 2};
    int64_t produced = 0;
    cr_assert_eq(reader_open(&one, &source_kafka, &set), EDDY_OK, "%s", one.err.message);
    while (held(&at, 1) < 4) cr_assert_geq(reader_poll(&one, 20, 100), 0);

    cr_assert_eq(reader_open(&two, &source_kafka, &set), EDDY_OK, "%s", two.err.message);
    for (int64_t end_ms = fixture_now_ms() + 30000; held(&at, 2) < 2 || held(&at, 1) < 2; produced += 20) {
        for (int p = 0; p < 4; p++) cluster_produce(&c, "labels", p, produced, 20);
        cr_assert_geq(reader_poll(&one, 10, 100), 0, "%s", one.err.message);
        cr_assert_geq(reader_poll(&two, 10, 100), 0, "%s", two.err.message);
        cr_assert_lt(fixture_now_ms(), end_ms, "the second member got nothing");
    }
    reader_close(&one);
    for (int p = 0; p < 4; p++) cluster_produce(&c, "labels", p, produced, 20);
    produced += 20;
    expect_all(&c, &two, 4, produced);
    reader_close(&two);
    cluster_close(&c);
}

Test(kafka_labels, what_cannot_be_written_before_a_move_is_left_to_the_next_owner, .timeout = 100)
{
    enum { N_REFUSALS = 4000, N_LABELS = 300 };
    static rd_kafka_resp_err_t refusals[N_REFUSALS];
    struct cluster c;
    struct kafka_source_settings set = labelled(&c, 4, 4);
    struct positions at = {0};
    struct reader one = {.at = &at, .number = 1}, two = {.at = &at, .number = 2};
    cr_assert_eq(reader_open(&one, &source_kafka, &set), EDDY_OK, "%s", one.err.message);
    while (held(&at, 1) < 4) cr_assert_geq(reader_poll(&one, 20, 100), 0);

    for (int p = 0; p < 4; p++) cluster_produce(&c, "labels", p, 0, N_LABELS);
    for (int i = 0; i < N_REFUSALS; i++) refusals[i] = RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS;
    rd_kafka_mock_push_request_errors_array(c.mock, 0 /* Produce */, N_REFUSALS, refusals);
    cr_assert_eq(reader_open(&two, &source_kafka, &set), EDDY_OK, "%s", two.err.message);
    for (int64_t end_ms = fixture_now_ms() + 40000; held(&at, 2) < 2 || held(&at, 1) < 2;) {
        cr_assert_geq(reader_poll(&one, 10, 100), 0, "%s", one.err.message);
        cr_assert_geq(reader_poll(&two, 10, 100), 0, "%s", two.err.message);
        cr_assert_lt(fixture_now_ms(), end_ms, "the second member got nothing");
    }
    cr_assert_eq(at.n_records, 0, "nothing can have been written");
    rd_kafka_mock_clear_request_errors(c.mock, 0);
    for (int64_t end_ms = fixture_now_ms() + 30000; at.n_records < 4 * N_LABELS;) {
        cr_assert_geq(reader_poll(&one, 10, 100), 0, "%s", one.err.message);
        cr_assert_geq(reader_poll(&two, 10, 100), 0, "%s", two.err.message);
        cr_assert_lt(fixture_now_ms(), end_ms, "%lld labels", (long long)at.n_records);
    }
    poll_for(&one, 300);
    cr_assert_eq(at.n_wrong, 0);
    reader_close(&one);
    reader_close(&two);
    cluster_close(&c);
}

Test(kafka_labels, wait_for_a_broker_that_is_away, .timeout = 80)
{
    struct cluster c;
    struct kafka_source_settings set = labelled(&c, 2, 2);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cluster_produce(&c, "labels", 0, 0, 3000);
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(reader_until(&r, 1, 20000), 0, "%s", r.err.message);
    rd_kafka_mock_broker_set_down(c.mock, 1);
    clock_t before = clock();
    poll_for(&r, 4000);
    double seconds = (double)(clock() - before) / CLOCKS_PER_SEC;
    cr_assert_lt(seconds, 2, "%.1f s of work while there is nothing to do", seconds);
    rd_kafka_mock_broker_set_up(c.mock, 1);
    cluster_produce(&c, "labels", 0, 3000, 100);
    cluster_produce(&c, "labels", 1, 0, 100);
    cr_assert_geq(reader_until(&r, 3200, 40000), 0, "%lld labels: %s", (long long)at.n_records, r.err.message);
    cr_assert_eq(at.n_wrong, 0);
    reader_close(&r);
    cluster_close(&c);
}

Test(kafka_labels, a_dead_broker_delays_the_end_by_seconds_only, .timeout = 60)
{
    struct cluster c;
    struct kafka_source_settings set = labelled(&c, 2, 2);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cluster_produce(&c, "labels", 0, 0, 20000);
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(reader_until(&r, 1, 20000), 0, "%s", r.err.message);
    rd_kafka_mock_broker_set_down(c.mock, 1);
    poll_for(&r, 300);
    int64_t begin_ms = fixture_now_ms();
    reader_close(&r);
    int64_t took_ms = fixture_now_ms() - begin_ms;
    cr_assert_lt(took_ms, 7000, "%lld ms", (long long)took_ms);
    cr_assert_eq(at.n_revoked, 2);
    cluster_close(&c);
}

Test(kafka_labels, need_as_many_partitions_as_the_events, .timeout = 40)
{
    struct cluster c;
    struct kafka_source_settings set = labelled(&c, 3, 2);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_ECONFIG);
    cr_assert(strstr(r.err.message, "labels has 2 partitions") && strstr(r.err.message, "events has 3"), "%s",
              r.err.message);
    set.labels = "lables";
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_ENOTFOUND);
    cr_assert(strstr(r.err.message, "lables"), "%s", r.err.message);
    cluster_close(&c);
}

Test(kafka_labels, a_topic_that_may_not_be_written_ends_the_pipeline, .timeout = 40)
{
    struct cluster c;
    struct kafka_source_settings set = labelled(&c, 1, 1);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    poll_for(&r, 500);
    cluster_produce(&c, "labels", 0, 0, 1); /* nobody looks for labels before the next poll */
    rd_kafka_mock_push_request_errors(c.mock, 0 /* Produce */, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    int rc = 0;
    for (int64_t end_ms = fixture_now_ms() + 20000; rc >= 0 && fixture_now_ms() < end_ms;)
        rc = reader_poll(&r, 50, 10);
    cr_assert_eq(rc, EDDY_EIO, "rc %d", rc);
    cr_assert(strstr(r.err.message, "labels [0] offset 0") && strstr(r.err.message, "write permission"), "%s",
              r.err.message);
    reader_close(&r);
    cluster_close(&c);
}

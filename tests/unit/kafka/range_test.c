#include <criterion/criterion.h>
#include <string.h>

#include "connectors/kafka/kafka_mock.h"
#include "tests/unit/kafka/fixture.h"

static const char *const topic_names[] = {"events"};
static const struct eddy_strings topics = {1, topic_names};

static void read_all(struct reader *r, int limit_ms)
{
    for (int64_t end_ms = fixture_now_ms() + limit_ms; !r->part->ended(r->source);) {
        cr_assert_lt(fixture_now_ms(), end_ms, "not ended after %lld records", (long long)r->at->n_records);
        cr_assert_geq(reader_poll(r, 50, 500), 0, "%s", r->err.message);
    }
}

Test(kafka_range, reads_what_is_there_at_the_start_and_ends, .timeout = 30)
{
    struct cluster c;
    cluster_open(&c);
    cluster_topic(&c, "events", 3);
    cluster_produce(&c, "events", 0, 0, 2000);
    cluster_produce(&c, "events", 2, 0, 1000);
    struct kafka_range_settings set = {.topics = topics, .properties = c.properties};
    struct positions at = {0};
    struct reader r = {.part = &source_kafka_range, .at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka_range, &set), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(reader_poll(&r, 10, 1), 0);
    cluster_produce(&c, "events", 0, 2000, 300); /* too late for this reader */
    read_all(&r, 10000);
    cr_assert_eq(at.next[0], 2000);
    cr_assert_eq(at.next[1], 0);
    cr_assert_eq(at.next[2], 1000);
    cr_assert_eq(at.n_wrong, 0);
    cr_assert_eq(at.n_assigned, 3, "an empty partition has a lane, too");
    reader_close(&r);
    cr_assert_eq(at.n_revoked, 3);
    cluster_close(&c);
}

Test(kafka_range, an_empty_topic_ends_at_once, .timeout = 30)
{
    struct cluster c;
    cluster_open(&c);
    cluster_topic(&c, "events", 2);
    struct kafka_range_settings set = {
        .topics = topics, .properties = c.properties, .from = "earliest", .to = "latest"};
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka_range, &set), EDDY_OK, "%s", r.err.message);
    read_all(&r, 5000);
    cr_assert_eq(at.n_records, 0);
    reader_close(&r);
    cluster_close(&c);
}

Test(kafka_range, pauses_without_loss, .timeout = 30)
{
    struct cluster c;
    cluster_open(&c);
    cluster_topic(&c, "events", 2);
    cluster_produce(&c, "events", 0, 0, 500);
    cluster_produce(&c, "events", 1, 0, 500);
    struct kafka_range_settings set = {.topics = topics, .properties = c.properties};
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka_range, &set), EDDY_OK, "%s", r.err.message);
    while (at.n_records == 0) cr_assert_geq(reader_poll(&r, 50, 100), 0, "%s", r.err.message);
    cr_assert_eq(r.part->pause(r.source, reader_tag(&r, 1), &r.err), EDDY_OK);
    int64_t stood = at.next[1];
    cr_assert_geq(reader_until(&r, 500 + stood, 5000), 0);
    cr_assert_eq(at.next[1], stood);
    cr_assert_not(r.part->ended(r.source));
    cr_assert_eq(r.part->resume(r.source, reader_tag(&r, 1), &r.err), EDDY_OK);
    read_all(&r, 5000);
    cr_assert_eq(at.n_records, 1000);
    cr_assert_eq(at.n_wrong, 0);
    reader_close(&r);
    cluster_close(&c);
}

Test(kafka_range, workers_divide_the_partitions_in_turn, .timeout = 30)
{
    struct cluster c;
    cluster_open(&c);
    cluster_topic(&c, "events", 3);
    for (int i = 0; i < 3; i++) cluster_produce(&c, "events", i, 0, 100 + i);
    struct kafka_range_settings set = {.topics = topics, .properties = c.properties};
    for (int i = 0; i < 4; i++) {
        struct positions at = {0};
        struct reader r = {.at = &at, .number = 1, .worker = i, .workers = 4};
        cr_assert_eq(reader_open(&r, &source_kafka_range, &set), EDDY_OK, "%s", r.err.message);
        read_all(&r, 10000);
        for (int k = 0; k < 3; k++) cr_expect_eq(at.next[k], k == i ? 100 + k : 0, "worker %d, partition %d", i, k);
        cr_expect_eq(at.n_assigned, i < 3, "the fourth has none and ends at once");
        reader_close(&r);
    }
    cluster_close(&c);
}

Test(kafka_range, bad_ranges_and_topics_are_named, .timeout = 30)
{
    struct cluster c;
    static const char *const wrong[] = {"evnts"};
    cluster_open(&c);
    cluster_topic(&c, "events", 1);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    struct kafka_range_settings set = {.topics = topics, .properties = c.properties, .from = "yesterday"};
    cr_assert_eq(reader_open(&r, &source_kafka_range, &set), EDDY_ECONFIG);
    cr_assert(strstr(r.err.message, "--from") && strstr(r.err.message, "yesterday"), "%s", r.err.message);
    set = (struct kafka_range_settings){.topics = topics, .properties = c.properties, .to = "earliest"};
    cr_assert_eq(reader_open(&r, &source_kafka_range, &set), EDDY_EINVAL);
    set = (struct kafka_range_settings){.topics = {1, wrong}, .properties = c.properties};
    cr_assert_eq(reader_open(&r, &source_kafka_range, &set), EDDY_ENOTFOUND);
    cr_assert(strstr(r.err.message, "evnts"), "%s", r.err.message);
    cluster_close(&c);
}

Test(kafka_mock, serves_from_a_child_that_ends_on_close, .timeout = 30)
{
    struct kafka_mock *mock;
    struct eddy_error err = {0};
    struct kafka_mock_topic list[] = {{"events", 3}, {"scored", 3}};
    cr_assert_eq(kafka_mock_open(list, 2, &mock, &err), EDDY_OK, "%s", err.message);
    struct eddy_pair pairs[] = {{"bootstrap.servers", kafka_mock_servers(mock), 1}};
    struct kafka_range_settings set = {.topics = topics, .properties = {1, pairs}, .connect_timeout = 5000000000};
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka_range, &set), EDDY_OK, "%s", r.err.message);
    read_all(&r, 5000);
    cr_assert_eq(at.n_assigned, 3);
    reader_close(&r);
    kafka_mock_close(mock);
    kafka_mock_close(NULL);
}

Test(kafka_mock, a_topic_it_cannot_make_is_an_error, .timeout = 30)
{
    struct kafka_mock *mock;
    struct eddy_error err = {0};
    struct kafka_mock_topic list[] = {{"events", 3}, {"events", 3}};
    cr_assert_eq(kafka_mock_open(list, 2, &mock, &err), EDDY_EIO);
    cr_assert_null(mock);
    cr_assert(strstr(err.message, "mock cluster"), "%s", err.message);
}

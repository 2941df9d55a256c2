#include <criterion/criterion.h>
#include <string.h>

#include "engine/flow/claims.h"
#include "tests/unit/kafka/fixture.h"

static const char *const topic_names[] = {"events"};
static const struct eddy_strings topics = {1, topic_names};

static int held(const struct positions *at, int number)
{
    int n = 0;
    for (int p = 0; p < FIXTURE_PARTITIONS; p++) n += at->owner[p] == number;
    return n;
}

Test(kafka_group, a_joining_and_a_leaving_member_lose_and_repeat_nothing, .timeout = 80)
{
    struct cluster c;
    int64_t produced = 0;
    cluster_open(&c);
    cluster_topic(&c, "events", 4);
    struct kafka_source_settings set = fixture_source(&c, &topics);
    struct positions at = {0};
    struct claims *claims = claims_open(2);
    struct reader one = {.at = &at, .number = 1, .claims = claims}, two = {.at = &at, .number = 2, .claims = claims};
    cr_assert_eq(reader_open(&one, &source_kafka, &set), EDDY_OK, "%s", one.err.message);
    cr_assert(!claims_all_refused(claims), "it has joined, and waits");
    while (held(&at, 1) < 4) cr_assert_geq(reader_poll(&one, 20, 100), 0);
    cr_assert(claims_all_refused(claims), "it has all");

    cr_assert_eq(reader_open(&two, &source_kafka, &set), EDDY_OK, "%s", two.err.message);
    for (int64_t end_ms = fixture_now_ms() + 30000; held(&at, 2) < 2 || held(&at, 1) < 2;) {
        for (int p = 0; p < 4; p++) cluster_produce(&c, "events", p, produced, 20);
        produced += 20;
        cr_assert_geq(reader_poll(&one, 10, 30), 0, "%s", one.err.message);
        cr_assert_geq(reader_poll(&two, 10, 30), 0, "%s", two.err.message);
        cr_assert_lt(fixture_now_ms(), end_ms, "the second member got nothing");
        if (at.n_revoked > 0 && held(&at, 2) < 2)
            cr_assert(!claims_all_refused(claims), "partitions are on their way from one to the other");
    }
    for (int64_t end_ms = fixture_now_ms() + 30000; !claims_all_refused(claims);) {
        cr_assert_geq(reader_poll(&one, 10, 30), 0, "%s", one.err.message);
        cr_assert_geq(reader_poll(&two, 10, 30), 0, "%s", two.err.message);
        cr_assert_lt(fixture_now_ms(), end_ms, "one that is given nothing new is told so");
    }
    cr_assert_eq(held(&at, 1), 2);
    cr_assert_eq(at.n_revoked, 2, "the partitions that stay are not revoked");
    reader_close(&one);

    for (int64_t end_ms = fixture_now_ms() + 30000; held(&at, 2) < 4;) {
        cr_assert_geq(reader_poll(&two, 20, 100), 0, "%s", two.err.message);
        cr_assert_lt(fixture_now_ms(), end_ms, "the remaining member did not get everything back");
    }
    cr_assert_geq(reader_until(&two, 4 * produced, 15000), 0, "%lld of %lld", (long long)at.n_records,
                  (long long)(4 * produced));
    cr_assert_eq(reader_poll(&two, 200, 100), 0);
    cr_assert_eq(at.n_wrong, 0);
    cr_assert_eq(at.n_lost, 0);
    reader_close(&two);
    claims_close(claims);
    cluster_close(&c);
}

/* The only member of a group that has 4 partitions and all of them refused. */
struct alone {
    struct cluster c;
    struct positions at;
    struct reader reader;
    struct kafka_source_settings settings;
};

static void alone_open(struct alone *a)
{
    *a = (struct alone){.reader = {.at = &a->at, .number = 1, .claims = claims_open(1)}};
    cluster_open(&a->c);
    cluster_topic(&a->c, "events", 4);
    a->settings = fixture_source(&a->c, &topics);
    cr_assert_eq(reader_open(&a->reader, &source_kafka, &a->settings), EDDY_OK, "%s", a->reader.err.message);
}

/* Until it has all of its partitions and they are refused. */
static void alone_settle(struct alone *a, int n_lost)
{
    for (int64_t end_ms = fixture_now_ms() + 30000;
         a->at.n_lost < n_lost || held(&a->at, 1) < 4 || !claims_all_refused(a->reader.claims);) {
        cr_assert_geq(reader_poll(&a->reader, 20, 100), 0, "%s", a->reader.err.message);
        cr_assert_lt(fixture_now_ms(), end_ms, "%d of 4, %d lost", held(&a->at, 1), a->at.n_lost);
    }
}

static void alone_close(struct alone *a)
{
    cr_expect_eq(a->reader.n_ends, 0, "%d times it might have been ended", a->reader.n_ends);
    reader_close(&a->reader);
    claims_close(a->reader.claims);
    cluster_close(&a->c);
}

Test(kafka_group, partitions_that_begin_again_do_not_look_finished, .timeout = 60)
{
    struct alone a;
    alone_open(&a);
    alone_settle(&a, 0);
    cr_assert_eq(source_kafka.again(a.reader.source, reader_tag(&a.reader, 2), &a.reader.err), EDDY_OK);
    cr_expect(!claims_all_refused(a.reader.claims), "one is to come");
    alone_settle(&a, 1);
    cr_assert_eq(source_kafka.again(a.reader.source, &a, &a.reader.err), EDDY_OK);
    cr_expect(claims_all_refused(a.reader.claims), "of nobody's partition nothing is to come");
    cr_assert_eq(source_kafka.restart(a.reader.source, &a.reader.err), EDDY_OK);
    cr_expect(!claims_all_refused(a.reader.claims), "all are to come");
    alone_settle(&a, 1 + 4);
    alone_close(&a);
}

Test(kafka_group, a_member_that_was_fenced_joins_again_and_does_not_look_finished, .timeout = 60)
{
    enum { JOIN = 11, HEARTBEAT = 12 };
    struct alone a;
    alone_open(&a);
    alone_settle(&a, 0);
    const struct trial round = {HEARTBEAT, 1, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, 0, "REBALANCE_IN_PROGRESS"};
    const struct trial fenced = {JOIN, 1, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, 0, "FENCED_INSTANCE_ID"};
    cluster_inject(&a.c, &fenced);
    cluster_inject(&a.c, &round);
    alone_settle(&a, 4);
    alone_close(&a);
}

Test(kafka_group, goes_on_when_the_broker_comes_back, .timeout = 60)
{
    struct cluster c;
    cluster_open(&c);
    cluster_topic(&c, "events", 2);
    cluster_property(&c, "reconnect.backoff.max.ms", "500");
    cluster_produce(&c, "events", 0, 0, 500);
    struct kafka_source_settings set = fixture_source(&c, &topics);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(reader_until(&r, 500, 15000), 0);

    rd_kafka_mock_broker_set_down(c.mock, 1);
    for (int64_t end_ms = fixture_now_ms() + 4000; fixture_now_ms() < end_ms;)
        cr_assert_geq(reader_poll(&r, 100, 100), 0, "a broker that is away ended the pipeline: %s", r.err.message);
    rd_kafka_mock_broker_set_up(c.mock, 1);
    cluster_produce(&c, "events", 0, 500, 100);
    cluster_produce(&c, "events", 1, 0, 100);
    cr_assert_geq(reader_until(&r, 700, 25000), 0, "%lld records: %s", (long long)at.n_records, r.err.message);
    cr_assert_eq(at.n_wrong, 0);
    reader_close(&r);
    cluster_close(&c);
}

Test(kafka_group, closes_within_seconds_while_the_broker_is_dead, .timeout = 60)
{
    struct cluster c;
    cluster_open(&c);
    cluster_topic(&c, "events", 2);
    cluster_produce(&c, "events", 0, 0, 10);
    struct kafka_source_settings set = fixture_source(&c, &topics);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(reader_until(&r, 10, 15000), 0);
    rd_kafka_mock_broker_set_down(c.mock, 1);
    struct source_position position = {reader_tag(&r, 0), "events", 0, 10, ""};
    cr_assert_eq(r.part->commit(r.source, &position, 1, &r.err), EDDY_OK);
    int64_t begin_ms = fixture_now_ms();
    reader_close(&r);
    int64_t took_ms = fixture_now_ms() - begin_ms;
    cr_assert_lt(took_ms, 4000, "%lld ms", (long long)took_ms);
    cr_assert_eq(at.n_revoked, 2);
    cluster_close(&c);
}

Test(kafka_group, closes_cleanly_at_any_moment_of_joining, .timeout = 80)
{
    struct cluster c;
    cluster_open(&c);
    cluster_topic(&c, "events", 2);
    struct kafka_source_settings set = fixture_source(&c, &topics);
    static const int after_ms[] = {0, 30, 200, 1500};
    for (size_t i = 0; i < sizeof(after_ms) / sizeof(*after_ms); i++) {
        struct positions at = {0};
        struct reader r = {.at = &at, .number = 1};
        cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
        for (int64_t end_ms = fixture_now_ms() + after_ms[i]; fixture_now_ms() < end_ms;)
            cr_assert_geq(reader_poll(&r, 10, 10), 0);
        reader_close(&r);
        cr_assert_eq(at.n_assigned, at.n_revoked);
    }
    cluster_close(&c);
}

Test(kafka_group, a_missing_topic_is_named, .timeout = 40)
{
    struct cluster c;
    static const char *const names[] = {"events", "evnts"};
    struct eddy_strings both = {2, names};
    cluster_open(&c);
    cluster_topic(&c, "events", 2);
    struct kafka_source_settings set = fixture_source(&c, &both);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_ENOTFOUND, "%s", r.err.message);
    cr_assert(strstr(r.err.message, "evnts") && strstr(r.err.message, c.servers), "%s", r.err.message);
    cluster_close(&c);
}

Test(kafka_group, a_refused_connection_names_the_servers_and_the_reason, .timeout = 40)
{
    struct eddy_pair pairs[] = {{"bootstrap.servers", "127.0.0.1:1", 4}};
    struct kafka_source_settings set = {
        .topics = topics, .start = "earliest", .properties = {1, pairs}, .connect_timeout = 1000000000};
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    int64_t begin_ms = fixture_now_ms();
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_EIO);
    cr_assert(strstr(r.err.message, "bootstrap.servers 127.0.0.1:1"), "%s", r.err.message);
    cr_assert(strstr(r.err.message, "refused"), "%s", r.err.message);
    cr_assert_lt(fixture_now_ms() - begin_ms, 5000);
}

Test(kafka_group, a_topic_without_rights_ends_the_pipeline, .timeout = 40)
{
    struct cluster c;
    cluster_open(&c);
    cluster_topic(&c, "events", 1);
    cluster_property(&c, "topic.metadata.refresh.interval.ms", "300");
    cluster_produce(&c, "events", 0, 0, 10);
    struct kafka_source_settings set = fixture_source(&c, &topics);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(reader_until(&r, 10, 15000), 0);
    rd_kafka_mock_topic_set_error(c.mock, "events", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    int rc = 0;
    for (int64_t end_ms = fixture_now_ms() + 20000; rc >= 0 && fixture_now_ms() < end_ms;)
        rc = reader_poll(&r, 50, 10);
    cr_assert_eq(rc, EDDY_EIO, "rc %d", rc);
    cr_assert(strstr(r.err.message, "events"), "%s", r.err.message);
    reader_close(&r);
    cluster_close(&c);
}

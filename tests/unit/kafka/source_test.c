#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/kafka/fixture.h"

static const char *const topic_names[] = {"events"};
static const struct eddy_strings topics = {1, topic_names};

static void fill(struct cluster *c, int n_partitions, int64_t n)
{
    cluster_open(c);
    cluster_topic(c, "events", n_partitions);
    for (int p = 0; p < n_partitions; p++) cluster_produce(c, "events", p, 0, n);
}

Test(kafka_source, gives_every_record_once_in_order_per_partition, .timeout = 40)
{
    struct cluster c;
    fill(&c, 4, 3000);
    struct kafka_source_settings set = fixture_source(&c, &topics);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(reader_until(&r, 12000, 20000), 0, "%lld records: %s", (long long)at.n_records, r.err.message);
    for (int p = 4; p < 8; p++) cr_assert_eq(at.next[p], 0);
    cluster_produce(&c, "events", 2, 3000, 10);
    int ms = reader_until(&r, 12010, 5000);
    cr_assert(ms >= 0 && ms < 1500, "new records took %d ms", ms);
    cr_assert_eq(at.n_wrong, 0);
    cr_assert_eq(reader_poll(&r, 200, 1000), 0, "nothing more may come");
    reader_close(&r);
    cr_assert_eq(at.n_revoked, 4, "close() revokes what it holds");
    cluster_close(&c);
}

Test(kafka_source, pausing_loses_and_repeats_nothing_even_with_full_queues, .timeout = 40)
{
    struct cluster c;
    fill(&c, 3, 4000);
    cluster_property(&c, "queued.min.messages", "100");
    cluster_property(&c, "queued.max.messages.kbytes", "4");
    struct kafka_source_settings set = fixture_source(&c, &topics);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    while (at.n_assigned < 3) cr_assert_geq(reader_poll(&r, 50, 7), 0);

    for (int round = 0; round < 400; round++) {
        int p = round % 3;
        int64_t before = at.next[p];
        cr_assert_eq(r.part->pause(r.source, reader_tag(&r, p), &r.err), EDDY_OK);
        cr_assert_geq(reader_poll(&r, 1, 7), 0);
        cr_assert_eq(at.next[p], before, "a paused partition gave records");
        cr_assert_eq(r.part->resume(r.source, reader_tag(&r, p), &r.err), EDDY_OK);
        cr_assert_geq(reader_poll(&r, 1, 11), 0);
    }
    cr_assert_geq(reader_until(&r, 12000, 30000), 0, "%lld records", (long long)at.n_records);
    cr_assert_eq(at.n_wrong, 0);
    reader_close(&r);
    cluster_close(&c);
}

Test(kafka_source, other_partitions_go_on_while_one_is_paused, .timeout = 40)
{
    struct cluster c;
    fill(&c, 2, 2000);
    struct kafka_source_settings set = fixture_source(&c, &topics);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    while (at.n_assigned < 2) cr_assert_geq(reader_poll(&r, 50, 1), 0);
    cr_assert_eq(r.part->pause(r.source, reader_tag(&r, 0), &r.err), EDDY_OK);
    int64_t stood = at.next[0];
    cr_assert_geq(reader_until(&r, stood + 2000, 10000), 0);
    cr_assert_eq(at.next[0], stood);
    cr_assert_eq(at.next[1], 2000);
    cr_assert_eq(r.part->resume(r.source, reader_tag(&r, 0), &r.err), EDDY_OK);
    cr_assert_geq(reader_until(&r, 4000, 10000), 0);
    cr_assert_eq(at.n_wrong, 0);
    cr_assert_eq(r.part->pause(r.source, &r, &r.err), EDDY_EINVAL, "an unknown tag");
    reader_close(&r);
    cluster_close(&c);
}

Test(kafka_source, starts_where_assign_says, .timeout = 40)
{
    struct cluster c;
    fill(&c, 1, 500);
    struct kafka_source_settings set = fixture_source(&c, &topics);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1, .forced = 321};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(reader_until(&r, 179, 10000), 0);
    cr_assert_eq(at.next[0], 500);
    cr_assert_eq(at.n_wrong, 0);
    cr_assert_eq(r.last.low, 0);
    cr_assert_eq(r.last.high, 500);
    cr_assert_eq(r.last.start, 0);
    cr_assert_eq(r.last.committed, -1);
    reader_close(&r);
    cluster_close(&c);
}

Test(kafka_source, start_latest_is_the_end, .timeout = 40)
{
    struct cluster c;
    fill(&c, 1, 50);
    struct kafka_source_settings set = fixture_source(&c, &topics);
    set.start = "latest";
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1, .from_start = true};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    while (at.n_assigned < 1) cr_assert_geq(reader_poll(&r, 50, 10), 0);
    cluster_produce(&c, "events", 0, 50, 5);
    cr_assert_geq(reader_until(&r, 5, 10000), 0);
    cr_assert_eq(at.n_wrong, 0);
    cr_assert_eq(at.next[0], 55);
    reader_close(&r);
    cluster_close(&c);
}

Test(kafka_source, start_by_time_is_an_error_where_the_broker_cannot_look_it_up, .timeout = 40)
{
    struct cluster c;
    fill(&c, 1, 50);
    struct kafka_source_settings set = fixture_source(&c, &topics);
    set.start = "2026-01-01T00:00:00Z";
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1, .from_start = true};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    int rc = 0;
    for (int64_t end_ms = fixture_now_ms() + 15000; rc >= 0 && fixture_now_ms() < end_ms;)
        rc = reader_poll(&r, 50, 10);
    cr_assert_eq(rc, EDDY_EUNSUPPORTED, "%s", r.err.message);
    cr_assert(strstr(r.err.message, "events [0]"), "%s", r.err.message);
    reader_close(&r);
    cluster_close(&c);
}

Test(kafka_source, an_offset_that_is_gone_is_an_error_with_names_and_numbers, .timeout = 40)
{
    struct cluster c;
    fill(&c, 1, 50);
    struct kafka_source_settings set = fixture_source(&c, &topics);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1, .forced = 1000};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    int rc = 0;
    for (int64_t end_ms = fixture_now_ms() + 15000; rc >= 0 && fixture_now_ms() < end_ms;)
        rc = reader_poll(&r, 50, 10);
    cr_assert_eq(rc, EDDY_EIO, "rc %d: %s", rc, r.err.message);
    cr_assert(strstr(r.err.message, "events [0]") && strstr(r.err.message, "1000"), "%s", r.err.message);
    reader_close(&r);
    cluster_close(&c);
}

Test(kafka_source, commits_come_back_with_their_metadata, .timeout = 60)
{
    struct cluster c;
    fill(&c, 1, 100);
    struct kafka_source_settings set = fixture_source(&c, &topics);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(reader_until(&r, 100, 15000), 0);
    struct source_position position = {reader_tag(&r, 0), "events", 0, 70, "since=12"};
    cr_assert_eq(r.part->commit(r.source, &position, 1, &r.err), EDDY_OK);
    reader_close(&r); /* waits for it */

    struct positions again = {0};
    struct reader second = {.at = &again, .number = 1, .from_start = true};
    cr_assert_eq(reader_open(&second, &source_kafka, &set), EDDY_OK, "%s", second.err.message);
    cr_assert_geq(reader_until(&second, 30, 20000), 0);
    cr_assert_eq(second.last.committed, 70);
    cr_assert_str_eq(second.last_metadata, "since=12");
    cr_assert_eq(again.n_wrong, 0);
    reader_close(&second);
    cluster_close(&c);
}

Test(kafka_source, keeps_empty_apart_from_absent_and_large_records_whole, .timeout = 40)
{
    static char large[900000];
    struct cluster c;
    cluster_open(&c);
    cluster_topic(&c, "events", 1);
    memset(large, 'x', sizeof(large));
    rd_kafka_producev(c.rk, RD_KAFKA_V_TOPIC("events"), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY("a", 1),
                      RD_KAFKA_V_END);
    rd_kafka_producev(c.rk, RD_KAFKA_V_TOPIC("events"), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_VALUE("", 0),
                      RD_KAFKA_V_KEY("", 0), RD_KAFKA_V_END);
    rd_kafka_producev(c.rk, RD_KAFKA_V_TOPIC("events"), RD_KAFKA_V_PARTITION(0),
                      RD_KAFKA_V_VALUE(large, sizeof(large)), RD_KAFKA_V_TIMESTAMP(1234567), RD_KAFKA_V_END);
    rd_kafka_flush(c.rk, 5000);

    struct kafka_source_settings set = fixture_source(&c, &topics);
    struct positions at = {0};
    struct reader r = {.at = &at, .number = 1};
    cr_assert_eq(reader_open(&r, &source_kafka, &set), EDDY_OK, "%s", r.err.message);
    struct source_batch batch[2];
    for (int n = 0; n < 3;) {
        int rc = r.part->poll(r.source, 100, 10, batch, 2, &r.err);
        cr_assert(rc >= 0 && rc <= 1);
        for (int i = 0; rc && i < batch[0].n; i++, n++) {
            const struct eddy_record *e = &batch[0].records[i];
            cr_assert_eq(e->offset, n);
            if (n == 0) cr_assert(!e->payload && e->key_len == 1 && e->key[0] == 'a');
            if (n == 1) cr_assert(e->payload && e->payload_len == 0 && e->key && e->key_len == 0);
            if (n == 2) cr_assert(!e->key && e->payload_len == sizeof(large) && e->payload[899999] == 'x');
            if (n == 2) cr_assert_eq(e->time_ns, 1234567000000);
        }
        r.part->release(r.source);
    }
    reader_close(&r);
    cluster_close(&c);
}

/* What becomes of a group's member when a broker answers with an error: it reads on, no record lost or twice, and what it
 * commits is there for the next one; or it ends by name. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/kafka/fixture.h"

/* Numbers of the Kafka protocol. */
enum request { FETCH = 1, COMMIT = 8, FIND_COORDINATOR = 10, JOIN = 11, HEARTBEAT = 12, SYNC = 14 };
enum outcome { GOES_ON, ENDS };
enum { N_RECORDS = 5 };

static const struct trial joining[] = {
    {FIND_COORDINATOR, 3, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, GOES_ON, "COORDINATOR_NOT_AVAILABLE"},
    {FIND_COORDINATOR, 1, RD_KAFKA_RESP_ERR__TRANSPORT, GOES_ON, "_TRANSPORT"},
    {FIND_COORDINATOR, 1, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ENDS, "GROUP_AUTHORIZATION_FAILED"},
    {JOIN, 2, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, GOES_ON, "NOT_COORDINATOR"},
    {JOIN, 2, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, GOES_ON, "COORDINATOR_LOAD_IN_PROGRESS"},
    {JOIN, 1, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, GOES_ON, "UNKNOWN_MEMBER_ID"},
    {JOIN, 1, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ENDS, "GROUP_AUTHORIZATION_FAILED"},
    {JOIN, 1, RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL, ENDS, "INCONSISTENT_GROUP_PROTOCOL"},
    {JOIN, 1, RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT, ENDS, "INVALID_SESSION_TIMEOUT"},
    {JOIN, 1, RD_KAFKA_RESP_ERR_GROUP_MAX_SIZE_REACHED, ENDS, "GROUP_MAX_SIZE_REACHED"},
};

static const struct trial agreeing[] = {
    {SYNC, 1, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, GOES_ON, "REBALANCE_IN_PROGRESS"},
    {SYNC, 1, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, GOES_ON, "UNKNOWN_MEMBER_ID"},
    {SYNC, 1, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, GOES_ON, "ILLEGAL_GENERATION"},
    {SYNC, 1, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, GOES_ON, "NOT_COORDINATOR"},
    /* librdkafka joins again, where a right that is really lacking is said. */
    {SYNC, 1, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, GOES_ON, "GROUP_AUTHORIZATION_FAILED"},
};

static const struct trial staying[] = {
    {HEARTBEAT, 2, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, GOES_ON, "NOT_COORDINATOR"},
    {HEARTBEAT, 1, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, GOES_ON, "REBALANCE_IN_PROGRESS"},
    {HEARTBEAT, 1, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, GOES_ON, "UNKNOWN_MEMBER_ID"},
    {HEARTBEAT, 1, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, GOES_ON, "ILLEGAL_GENERATION"},
    {HEARTBEAT, 1, RD_KAFKA_RESP_ERR__TRANSPORT, GOES_ON, "_TRANSPORT"},
};

static const struct trial reading[] = {
    {FETCH, 2, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, GOES_ON, "NOT_LEADER_FOR_PARTITION"},
    {FETCH, 2, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, GOES_ON, "LEADER_NOT_AVAILABLE"},
    {FETCH, 2, RD_KAFKA_RESP_ERR_UNKNOWN, GOES_ON, "UNKNOWN"},
    {FETCH, 2, RD_KAFKA_RESP_ERR__TRANSPORT, GOES_ON, "_TRANSPORT"},
    {FETCH, 2, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, GOES_ON, "REQUEST_TIMED_OUT"},
    {COMMIT, 2, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, GOES_ON, "NOT_COORDINATOR"},
    {COMMIT, 2, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, GOES_ON, "COORDINATOR_LOAD_IN_PROGRESS"},
    {COMMIT, 1, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, GOES_ON, "REBALANCE_IN_PROGRESS"},
    {COMMIT, 1, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, GOES_ON, "ILLEGAL_GENERATION"},
    {COMMIT, 1, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, GOES_ON, "UNKNOWN_MEMBER_ID"},
    {COMMIT, 1, RD_KAFKA_RESP_ERR__TRANSPORT, GOES_ON, "_TRANSPORT"},
};

struct bench {
    struct cluster c;
    struct positions at;
    struct kafka_source_settings settings;
    int64_t produced;
    rd_kafka_t *asker; /* a consumer that asks what the group has committed */
};

static const char *const topic_names[] = {"events"};
static const struct eddy_strings topics = {1, topic_names};

static void bench_open(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    cluster_open(&b->c);
    cluster_topic(&b->c, "events", 1);
    b->settings = fixture_source(&b->c, &topics);
    b->asker = cluster_consumer(&b->c, "fixture");
}

static void bench_close(struct bench *b)
{
    rd_kafka_destroy(b->asker);
    cluster_close(&b->c);
}

static int64_t bench_committed(struct bench *b)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "events", 0);
    const rd_kafka_resp_err_t code = rd_kafka_committed(b->asker, list, 5000);
    const int64_t at = code || list->elems[0].err ? -1 : list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return at;
}

/* N_RECORDS more, which the reader must get. */
static int bench_read(struct bench *b, struct reader *r)
{
    cluster_produce(&b->c, "events", 0, b->produced, N_RECORDS);
    b->produced += N_RECORDS;
    return reader_until(r, b->produced, 40000);
}

/* The position of all that was read is committed again and again, as a pipeline does, until the group knows it. */
static void bench_commit(struct bench *b, struct reader *r, const char *name)
{
    const struct source_position at = {reader_tag(r, 0), "events", 0, b->produced, ""};
    for (int64_t end_ms = fixture_now_ms() + 30000; bench_committed(b) != b->produced;) {
        cr_assert_lt(fixture_now_ms(), end_ms, "%s: %lld is not committed", name, (long long)b->produced);
        cr_assert_eq(r->part->commit(r->source, &at, 1, &r->err), EDDY_OK, "%s: %s", name, r->err.message);
        for (int i = 0; i < 10; i++) cr_assert_geq(reader_poll(r, 20, 10), 0, "%s: %s", name, r->err.message);
    }
}

/* What came of the error, after so many records were read or not. */
static int trial_ends(struct bench *b, struct reader *r, const struct trial *t, bool got)
{
    const int seen = got ? GOES_ON : ENDS;
    cr_expect_eq(seen, t->outcome, "request %d, %s: outcome %d instead of %d: %s", t->request, t->name, seen,
                 t->outcome, r->err.message);
    if (seen == ENDS) cr_expect(strstr(r->err.message, t->name), "it ends by name, %s: %s", t->name, r->err.message);
    if (seen == GOES_ON) bench_commit(b, r, t->name);
    cr_expect_eq(b->at.n_wrong, 0, "%s: %lld records are out of order", t->name, (long long)b->at.n_wrong);
    rd_kafka_mock_clear_request_errors(b->c.mock, (int16_t)t->request);
    return seen;
}

/* A new member for each error, which it meets before it has got anything. */
static void joining_trials(const struct trial *trials, size_t n)
{
    struct bench b;
    bench_open(&b);
    for (size_t i = 0; i < n; i++) {
        struct reader r = {.at = &b.at, .number = 1};
        cluster_inject(&b.c, &trials[i]);
        cr_assert_eq(reader_open(&r, &source_kafka, &b.settings), EDDY_OK, "%s: %s", trials[i].name, r.err.message);
        (void)trial_ends(&b, &r, &trials[i], bench_read(&b, &r) >= 0);
        reader_close(&r);
    }
    bench_close(&b);
}

/* One member that meets them all. */
static void member_trials(const struct trial *trials, size_t n)
{
    struct bench b;
    struct reader r = {.at = &b.at, .number = 1};
    bench_open(&b);
    cr_assert_eq(reader_open(&r, &source_kafka, &b.settings), EDDY_OK, "%s", r.err.message);
    cr_assert_geq(bench_read(&b, &r), 0, "%s", r.err.message);
    for (size_t i = 0; i < n; i++) {
        cluster_inject(&b.c, &trials[i]);
        if (trial_ends(&b, &r, &trials[i], bench_read(&b, &r) >= 0) == ENDS) break;
    }
    reader_close(&r);
    bench_close(&b);
}

#define TRIALS(list) list, sizeof(list) / sizeof((list)[0])

Test(kafka_group_errors, while_a_member_finds_and_joins_its_group, .timeout = 120)
{
    joining_trials(TRIALS(joining));
}

Test(kafka_group_errors, while_members_agree, .timeout = 120)
{
    joining_trials(TRIALS(agreeing));
}

Test(kafka_group_errors, in_heartbeats, .timeout = 120)
{
    member_trials(TRIALS(staying));
}

Test(kafka_group_errors, in_reading_and_committing, .timeout = 120)
{
    member_trials(TRIALS(reading));
}

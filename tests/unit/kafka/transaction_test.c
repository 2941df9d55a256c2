/* What becomes of a transaction when a broker answers with an error: nothing is lost without a word.  Either the commit
 * holds all the same, or it is said not to have happened and a new producer commits, or the pipeline ends by name. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "connectors/kafka/kafka_transaction.h"
#include "engine/flow/transaction.h"
#include "tests/unit/kafka/fixture.h"

/* Numbers of the Kafka protocol. */
enum request {
    PRODUCE = 0,
    FIND_COORDINATOR = 10,
    INIT = 22,
    ADD_PARTITIONS = 24,
    ADD_OFFSETS = 25,
    END = 26,
    COMMIT_OFFSETS = 28
};
enum outcome { HOLDS, AGAIN, ENDS };

static const struct trial trials[] = {
    {PRODUCE, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, HOLDS, "NOT_LEADER_FOR_PARTITION"},
    {PRODUCE, 2, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, HOLDS, "NOT_ENOUGH_REPLICAS"},
    {PRODUCE, 2, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, HOLDS, "LEADER_NOT_AVAILABLE"},
    {PRODUCE, 2, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, HOLDS, "REQUEST_TIMED_OUT"},
    {PRODUCE, 2, RD_KAFKA_RESP_ERR__TRANSPORT, HOLDS, "_TRANSPORT"},
    {PRODUCE, 1, RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, AGAIN, "UNKNOWN_PRODUCER_ID"},
    {PRODUCE, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, AGAIN, "INVALID_PRODUCER_EPOCH"},
    {PRODUCE, 1, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, AGAIN, "OUT_OF_ORDER_SEQUENCE_NUMBER"},
    {PRODUCE, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ENDS, "MSG_SIZE_TOO_LARGE"},
    {PRODUCE, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ENDS, "TOPIC_AUTHORIZATION_FAILED"},
    {ADD_PARTITIONS, 2, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, HOLDS, "COORDINATOR_NOT_AVAILABLE"},
    {ADD_PARTITIONS, 2, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, HOLDS, "CONCURRENT_TRANSACTIONS"},
    {ADD_PARTITIONS, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, AGAIN, "INVALID_PRODUCER_EPOCH"},
    {ADD_PARTITIONS, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ENDS, "TOPIC_AUTHORIZATION_FAILED"},
    {ADD_PARTITIONS, 1, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ENDS,
     "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"},
    {ADD_OFFSETS, 2, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, HOLDS, "COORDINATOR_LOAD_IN_PROGRESS"},
    {ADD_OFFSETS, 2, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, HOLDS, "NOT_COORDINATOR"},
    {ADD_OFFSETS, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, AGAIN, "INVALID_PRODUCER_EPOCH"},
    {ADD_OFFSETS, 1, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ENDS, "GROUP_AUTHORIZATION_FAILED"},
    /* librdkafka tries for as long as the call may take, which eddy keeps short. */
    {COMMIT_OFFSETS, 2, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, AGAIN, "COORDINATOR_NOT_AVAILABLE"},
    {COMMIT_OFFSETS, 1, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, AGAIN, "ILLEGAL_GENERATION"},
    {COMMIT_OFFSETS, 1, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, AGAIN, "UNKNOWN_MEMBER_ID"},
    {COMMIT_OFFSETS, 1, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, AGAIN, "FENCED_INSTANCE_ID"},
    {COMMIT_OFFSETS, 1, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, AGAIN, "REBALANCE_IN_PROGRESS"},
    {COMMIT_OFFSETS, 1, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ENDS, "GROUP_AUTHORIZATION_FAILED"},
    {END, 2, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, HOLDS, "COORDINATOR_LOAD_IN_PROGRESS"},
    {END, 2, RD_KAFKA_RESP_ERR__TRANSPORT, HOLDS, "_TRANSPORT"},
    {END, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, AGAIN, "INVALID_PRODUCER_EPOCH"},
    {END, 1, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, AGAIN, "PRODUCER_FENCED"},
    {END, 1, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, AGAIN, "INVALID_TXN_STATE"},
};
enum { N_TRIALS = sizeof(trials) / sizeof(trials[0]), N_RESULTS = 5 };

/* While a transactional id is taken into use. */
static const struct trial openings[] = {
    {FIND_COORDINATOR, 3, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, HOLDS, "COORDINATOR_NOT_AVAILABLE"},
    {FIND_COORDINATOR, 1, RD_KAFKA_RESP_ERR__TRANSPORT, HOLDS, "_TRANSPORT"},
    {FIND_COORDINATOR, 1, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ENDS,
     "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"},
    {INIT, 3, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, HOLDS, "COORDINATOR_LOAD_IN_PROGRESS"},
    {INIT, 2, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, HOLDS, "NOT_COORDINATOR"},
    {INIT, 2, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, HOLDS, "CONCURRENT_TRANSACTIONS"},
    {INIT, 2, RD_KAFKA_RESP_ERR__TRANSPORT, HOLDS, "_TRANSPORT"},
    {INIT, 1, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ENDS, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"},
    {INIT, 1, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, ENDS, "CLUSTER_AUTHORIZATION_FAILED"},
    {INIT, 1, RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, ENDS, "INVALID_TRANSACTION_TIMEOUT"},
};
enum { N_OPENINGS = sizeof(openings) / sizeof(openings[0]) };

struct bench {
    struct cluster c;
    struct positions at;
    struct reader reader;
    struct kafka_source_settings source;
    struct kafka_sink_settings out;
    struct eddy_choice choice;
    void *transaction, *sink;
    rd_kafka_t *readback; /* reads what the transactions leave in the output */
    int64_t read;
    int commit_ms; /* 0: long enough */
};

static const char *const topic_names[] = {"events"};
static const struct eddy_strings topics = {1, topic_names};

static void readback_open(struct bench *b)
{
    b->readback = cluster_consumer(&b->c, "readback");
    (void)rd_kafka_poll_set_consumer(b->readback);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "scored", 0)->offset = 0;
    cr_assert_eq(rd_kafka_assign(b->readback, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Reads to the end of the output, in which whole batches "result 0" .. "result 4" must stand in order, the last of them at
 * its very end; returns how many.  What the mock shows of transactions that came to nothing may break off in between. */
static int readback(struct bench *b, const char *name)
{
    int64_t low, high = 0;
    int whole = 0, next = 0;
    cr_assert_eq(rd_kafka_query_watermark_offsets(b->readback, "scored", 0, &low, &high, 10000), 0, "%s", name);
    for (int64_t end_ms = fixture_now_ms() + 10000; b->read < high;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(b->readback, 100);
        cr_assert_lt(fixture_now_ms(), end_ms, "%s: the output cannot be read back", name);
        if (!m) continue;
        if (!m->err) {
            char want[24], text[24];
            (void)snprintf(text, sizeof(text), "%.*s", (int)m->len, (const char *)m->payload);
            (void)snprintf(want, sizeof(want), "result %d", next);
            next = strcmp(text, want) == 0 ? next + 1 : strcmp(text, "result 0") == 0 ? 1 : 0;
            if (next == N_RESULTS) whole++, next = 0;
            b->read = m->offset + 1;
        }
        rd_kafka_message_destroy(m);
    }
    cr_expect_eq(next, 0, "%s: the last batch is cut off after %d results", name, next);
    return whole;
}

/* Nobody but the transaction talks to the cluster, so errors are its own. */
static void bench_open_alone(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    cluster_open(&b->c);
    cluster_topic(&b->c, "events", 1);
    cluster_topic(&b->c, "scored", 1);
    b->source = fixture_source(&b->c, &topics);
    b->choice = (struct eddy_choice){.part = &source_kafka.part, .settings = &b->source, .where = "test"};
}

static void bench_join(struct bench *b)
{
    cluster_produce(&b->c, "events", 0, 0, N_RESULTS);
    b->reader = (struct reader){.at = &b->at, .number = 1};
    cr_assert_eq(reader_open(&b->reader, &source_kafka, &b->source), EDDY_OK, "%s", b->reader.err.message);
    cr_assert_geq(reader_until(&b->reader, N_RESULTS, 20000), 0, "%s", b->reader.err.message);
    readback_open(b);
}

static void bench_open(struct bench *b)
{
    bench_open_alone(b);
    bench_join(b);
}

static void bench_close(struct bench *b)
{
    rd_kafka_destroy(b->readback);
    reader_close(&b->reader);
    cluster_close(&b->c);
}

static void bench_begin(struct bench *b)
{
    struct eddy_error err = {0};
    const struct transaction_request request = {.name = "matrix", .id = "one", .source = &b->choice};
    cr_assert_eq(transactor_kafka.open(&request, &b->transaction, &err), EDDY_OK, "%s", err.message);
    b->out = (struct kafka_sink_settings){
        .topic = "scored", .properties = b->c.properties, .connect_timeout = 5000000000};
    const struct sink_request sink = {.name = "matrix", .source = &b->choice, .transaction = b->transaction};
    cr_assert_eq(sink_kafka.open(&b->out, &sink, &b->sink, &err), EDDY_OK, "%s", err.message);
}

static void bench_end(struct bench *b)
{
    sink_kafka.close(b->sink);
    transactor_kafka.close(b->transaction);
}

/* One transaction with results and a position; the first call that fails decides. */
static eddy_status bench_commit(struct bench *b, struct eddy_error *err)
{
    const struct source_position at = {.topic = "events", .partition = 0, .next = N_RESULTS};
    eddy_status rc = transactor_kafka.begin(b->transaction, err);
    for (int i = 0; i < N_RESULTS && rc >= 0; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "result %d", i);
        const struct sink_message m = {.payload = text, .len = strlen(text), .time_ns = EDDY_NO_TIME};
        rc = sink_kafka.send(b->sink, &m, 1, err);
    }
    if (rc >= 0) rc = sink_kafka.service(b->sink, 50, err);
    return rc < 0 ? rc
                  : transactor_kafka.commit(b->transaction, b->reader.source, &at, 1,
                                            b->commit_ms ? b->commit_ms : 20000, err);
}

static eddy_status bench_recover(struct bench *b, struct eddy_error *err)
{
    eddy_status rc = EDDY_EAGAIN;
    for (int64_t end_ms = fixture_now_ms() + 20000; rc == EDDY_EAGAIN && fixture_now_ms() < end_ms;)
        rc = transactor_kafka.recover(b->transaction, 500, err);
    return rc;
}

static void trial_run(struct bench *b, const struct trial *t)
{
    struct eddy_error err = {0};
    bench_begin(b);
    cr_assert_eq(bench_commit(b, &err), EDDY_OK, "before %s: %s", t->name, err.message);
    cluster_inject(&b->c, t);
    const eddy_status rc = bench_commit(b, &err);
    const int seen = rc >= 0 ? HOLDS : rc == EDDY_EAGAIN ? AGAIN : ENDS;
    cr_expect_eq(seen, t->outcome, "request %d, %s: outcome %d instead of %d: %s", t->request, t->name, seen,
                 t->outcome, rc < 0 ? err.message : "");
    if (rc < 0) cr_expect_gt(strlen(err.message), 10, "an error says what it is");
    if (seen == ENDS) cr_expect(strstr(err.message, t->name), "it ends by name: %s", err.message);
    if (seen == AGAIN) cr_expect_eq(bench_recover(b, &err), EDDY_OK, "%s: %s", t->name, err.message);
    if (seen != ENDS) cr_expect_eq(bench_commit(b, &err), EDDY_OK, "after %s: %s", t->name, err.message);
    bench_end(b);
    /* One before, one after, and the one that met the error when it is said to have held. */
    const int whole = readback(b, t->name);
    if (seen == HOLDS) cr_expect_eq(whole, 3, "%s: %d batches of 3 committed ones are there", t->name, whole);
    if (seen == AGAIN) cr_expect(whole == 2 || whole == 3, "%s: %d batches, 2 of them committed", t->name, whole);
}

static void trials_run(bool results)
{
    struct bench b;
    int n = 0;
    bench_open(&b);
    for (int i = 0; i < N_TRIALS; i++) {
        const bool of_results = trials[i].request == PRODUCE || trials[i].request == ADD_PARTITIONS;
        if (of_results == results) trial_run(&b, &trials[i]), n++;
    }
    cr_expect_gt(n, 12);
    bench_close(&b);
}

Test(kafka_transaction, errors_of_results_end_as_they_must, .timeout = 120)
{
    trials_run(true);
}

Test(kafka_transaction, errors_of_positions_and_of_the_end_end_as_they_must, .timeout = 120)
{
    trials_run(false);
}

Test(kafka_transaction, errors_while_an_id_is_taken_into_use_end_as_they_must, .timeout = 120)
{
    struct bench b;
    bench_open_alone(&b);
    for (int i = 0; i < N_OPENINGS; i++) {
        const struct trial *t = &openings[i];
        struct eddy_error err = {0};
        const struct transaction_request request = {.name = "matrix", .id = "one", .source = &b.choice};
        cluster_inject(&b.c, t);
        const eddy_status rc = transactor_kafka.open(&request, &b.transaction, &err);
        cr_expect_eq(rc >= 0 ? HOLDS : ENDS, t->outcome, "request %d, %s: %s", t->request, t->name, err.message);
        if (rc < 0) cr_expect(strstr(err.message, t->name), "it ends by name, %s: %s", t->name, err.message);
        if (rc >= 0) transactor_kafka.close(b.transaction);
        rd_kafka_mock_clear_request_errors(b.c.mock, (int16_t)t->request);
    }
    struct eddy_error err = {0};
    bench_join(&b);
    bench_begin(&b);
    cr_expect_eq(bench_commit(&b, &err), EDDY_OK, "after all of them: %s", err.message);
    bench_end(&b);
    cr_expect_eq(readback(&b, "openings"), 1);
    bench_close(&b);
}

/* The id of worker 1 of so many, when the process is called so and the state's directory says "drawn". */
static void has_id(struct bench *b, const char *instance_id, int workers, const char *id)
{
    struct eddy_error err = {0};
    const struct transaction_request request = {
        .name = "plant", .id = "drawn", .source = &b->choice, .worker = 1, .workers = workers};
    b->source.instance_id = instance_id;
    cr_assert_eq(transactor_kafka.open(&request, &b->transaction, &err), EDDY_OK, "%s", err.message);
    cr_expect_str_eq(((const struct kafka_transaction *)b->transaction)->id, id);
    transactor_kafka.close(b->transaction);
}

Test(kafka_transaction, a_process_that_the_user_named_keeps_its_id_without_its_directory, .timeout = 60)
{
    struct bench b;
    bench_open_alone(&b);
    has_id(&b, "auto", 1, "eddy-plant-drawn");
    has_id(&b, "", 1, "eddy-plant-drawn");
    has_id(&b, NULL, 1, "eddy-plant-drawn");
    has_id(&b, "pod-7", 1, "eddy-plant-pod-7");
    has_id(&b, "pod-7", 3, "eddy-plant-pod-7-1");
    cluster_close(&b.c);
}

static void delay_end(struct bench *b, int ms)
{
    rd_kafka_mock_broker_push_request_error_rtts(b->c.mock, 1, END, 1, RD_KAFKA_RESP_ERR_NO_ERROR, ms);
}

/* The end of a transaction whose answer is late may be sent twice, and arrive in the middle of a later one (KIP-890): the
 * producer must not begin another. */
Test(kafka_transaction, a_producer_whose_commit_was_late_begins_no_other_transaction, .timeout = 60)
{
    struct bench b;
    struct eddy_error err = {0};
    bench_open(&b);
    bench_begin(&b);
    const struct kafka_transaction *t = b.transaction;
    cr_assert_eq(bench_commit(&b, &err), EDDY_OK, "%s", err.message);
    const int generation = t->generation;
    cr_assert_eq(bench_commit(&b, &err), EDDY_OK, "%s", err.message);
    cr_expect_eq(t->generation, generation, "a quick commit costs no new producer");

    delay_end(&b, 2000);
    cr_assert_eq(bench_commit(&b, &err), EDDY_OK, "%s", err.message);
    cr_expect_eq(t->generation, generation);
    cr_assert_eq(bench_commit(&b, &err), EDDY_OK, "%s", err.message);
    cr_expect_eq(t->generation, generation + 1, "the next transaction is another producer's");
    bench_end(&b);
    cr_expect_eq(readback(&b, "late end"), 4);
    bench_close(&b);
}

Test(kafka_transaction, a_commit_whose_answer_comes_after_the_time_for_it_is_not_said_to_hold, .timeout = 60)
{
    struct bench b;
    struct eddy_error err = {0};
    bench_open(&b);
    bench_begin(&b);
    const struct kafka_transaction *t = b.transaction;
    cr_assert_eq(bench_commit(&b, &err), EDDY_OK, "%s", err.message);
    const int generation = t->generation;

    delay_end(&b, 6000);
    b.commit_ms = 2000;
    const int64_t begin_ms = fixture_now_ms();
    cr_expect_eq(bench_commit(&b, &err), EDDY_EAGAIN, "%s", err.message);
    cr_expect_lt(fixture_now_ms() - begin_ms, 5000);
    cr_expect_eq(transactor_kafka.begin(b.transaction, &err), EDDY_EAGAIN, "nothing begins before it is known");
    b.commit_ms = 0;
    cr_assert_eq(bench_recover(&b, &err), EDDY_OK, "%s", err.message);
    cr_expect_gt(t->generation, generation);
    cr_assert_eq(bench_commit(&b, &err), EDDY_OK, "%s", err.message);
    bench_end(&b);
    const int whole = readback(&b, "too late end");
    cr_expect(whole == 2 || whole == 3, "%d", whole);
    bench_close(&b);
}

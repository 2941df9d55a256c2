/* The Kafka source, sink and bounded reader against a real broker: connector_check SERVERS [RECORDS]
 * Counts every record.  Prints "ok - .." and "not ok - .." lines; the exit status is 1 when a check failed. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/log.h"
#include "connectors/kafka/kafka.h"
#include "connectors/kafka/kafka_admin.h"

enum { PARTITIONS = 4, CHUNK = 1024, TIMEOUT_S = 90 };

/* What a driver would keep; shared by two members, so that it tells what the two of them read together. */
struct progress {
    int64_t next[PARTITIONS];
    int owner[PARTITIONS]; /* number of the member that holds it; 0 = none */
    int64_t n_records, n_wrong, n_lost;
};

struct member {
    const struct eddy_source *part;
    void *source;
    struct progress *at;
    int number, n_paused;
    bool from_start;
    int tags[PARTITIONS];
    bool paused[PARTITIONS];
    double cpu_s;
};

struct check {
    const char *servers;
    struct eddy_pair pairs[3];
    struct eddy_map properties;
    int64_t n; /* records per partition */
    int n_failed;
    unsigned random;
    struct eddy_error err;
};

static bool expect(struct check *c, bool ok, const char *what)
{
    printf("%s - %s\n", ok ? "ok" : "not ok", what);
    if (!ok && c->err.message[0]) printf("# %s\n", c->err.message);
    (void)fflush(stdout);
    c->n_failed += !ok;
    return ok;
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int64_t on_assign(void *context, const struct source_partition *p, void **tag, struct eddy_error *err)
{
    struct member *m = context;
    (void)err;
    if (m->at->owner[p->partition] != 0) m->at->n_wrong++;
    m->at->owner[p->partition] = m->number;
    m->paused[p->partition] = false;
    *tag = &m->tags[p->partition];
    if (m->from_start) m->at->next[p->partition] = p->start;
    return m->at->next[p->partition];
}

static eddy_status on_revoke(void *context, void *tag, bool lost, struct eddy_error *err)
{
    struct member *m = context;
    long partition = (int *)tag - m->tags;
    (void)err;
    if (m->at->owner[partition] != m->number) m->at->n_wrong++;
    m->at->owner[partition] = 0;
    m->at->n_lost += lost;
    return EDDY_OK;
}

static eddy_status member_open(struct member *m, const struct eddy_source *part, const void *settings,
                               struct eddy_error *err)
{
    struct source_request request = {.name = "connector-check", .listener = {m, on_assign, on_revoke, NULL}};
    m->part = part;
    return part->open(settings, &request, &m->source, err);
}

static void member_take(struct member *m, const struct source_batch *batch)
{
    long partition = (int *)batch->tag - m->tags;
    char want[40];
    if (m->at->owner[partition] != m->number || m->paused[partition]) m->at->n_wrong++;
    for (int i = 0; i < batch->n; i++) {
        const struct eddy_record *r = &batch->records[i];
        int len = snprintf(want, sizeof(want), "{\"p\":%ld,\"i\":%lld}", partition, (long long)r->offset);
        if (r->offset != m->at->next[partition] || r->payload_len != (size_t)len ||
            memcmp(r->payload, want, (size_t)len))
            m->at->n_wrong++;
        m->at->next[partition] = r->offset + 1;
    }
    m->at->n_records += batch->n;
}

static eddy_status member_poll(struct member *m, int timeout_ms, int max, struct eddy_error *err)
{
    struct source_batch batches[PARTITIONS];
    eddy_status rc = m->part->poll(m->source, timeout_ms, max, batches, PARTITIONS, err);
    for (int i = 0; i < rc; i++) member_take(m, &batches[i]);
    m->part->release(m->source);
    return rc;
}

/* Pauses or resumes one of its partitions now and then. */
static void member_shuffle(struct check *c, struct member *m)
{
    c->random = c->random * 1103515245u + 12345u;
    int p = (int)(c->random >> 16) % PARTITIONS;
    if (m->at->owner[p] != m->number) return;
    if (m->paused[p])
        (void)m->part->resume(m->source, &m->tags[p], &c->err);
    else
        (void)m->part->pause(m->source, &m->tags[p], &c->err);
    m->paused[p] = !m->paused[p];
    m->n_paused++;
}

static void produce(struct check *c, const char *topic)
{
    static char texts[CHUNK][40];
    static struct sink_message messages[CHUNK];
    struct kafka_sink_settings set = {.topic = topic, .properties = c->properties, .connect_timeout = 10000000000};
    struct sink_request request = {.name = "connector-check"};
    void *sink;
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    int64_t n_partial = 0;
    eddy_status rc = sink_kafka.open(&set, &request, &sink, &c->err);
    if (!expect(c, rc == EDDY_OK, "the sink opens")) return;
    for (int64_t first = 0; first < c->n && rc >= 0; first += CHUNK / PARTITIONS) {
        int n = 0, sent = 0;
        for (int p = 0; p < PARTITIONS; p++)
            for (int64_t i = first; i < first + CHUNK / PARTITIONS && i < c->n; i++, n++) {
                int len = snprintf(texts[n], sizeof(texts[n]), "{\"p\":%d,\"i\":%lld}", p, (long long)i);
                messages[n] = (struct sink_message){.partition = p,
                                                    .key = "key",
                                                    .key_len = 3,
                                                    .payload = texts[n],
                                                    .len = (size_t)len,
                                                    .time_ns = EDDY_NO_TIME};
            }
        while (sent < n && rc >= 0) {
            rc = sink_kafka.send(sink, messages + sent, n - sent, &c->err);
            if (rc >= 0) sent += rc;
            n_partial += sent < n;
            if (rc >= 0) rc = sink_kafka.service(sink, sent < n ? 5 : 0, &c->err);
        }
    }
    while (rc >= 0 && sink_kafka.outstanding(sink) > 0) rc = sink_kafka.service(sink, 20, &c->err);
    expect(c, rc >= 0 && sink_kafka.outstanding(sink) == 0, "every message is confirmed");
    sink_kafka.close(sink);
    printf("# produced %lld in %.2f s, %.0f ns CPU each, queue full %lld times\n", (long long)c->n * PARTITIONS,
           seconds(CLOCK_MONOTONIC) - wall,
           (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)(c->n * PARTITIONS) * 1e9, (long long)n_partial);
}

static struct kafka_source_settings source_settings(struct check *c, const struct eddy_strings *topics)
{
    return (struct kafka_source_settings){.topics = *topics,
                                          .start = "earliest",
                                          .properties = c->properties,
                                          .instance_id = "",
                                          .connect_timeout = 10000000000};
}

static int held(const struct progress *at, int number)
{
    int n = 0;
    for (int p = 0; p < PARTITIONS; p++) n += at->owner[p] == number;
    return n;
}

/* Two members; the second joins after a quarter and the first leaves after half, with pauses all along. */
static void consume_with_two(struct check *c, const struct eddy_strings *topics)
{
    struct kafka_source_settings set = source_settings(c, topics);
    struct progress at = {0};
    struct member one = {.at = &at, .number = 1}, two = {.at = &at, .number = 2};
    int64_t all = c->n * PARTITIONS;
    bool shared = false;
    double end = seconds(CLOCK_MONOTONIC) + TIMEOUT_S;
    eddy_status rc = member_open(&one, &source_kafka, &set, &c->err);
    if (!expect(c, rc == EDDY_OK, "the source opens")) return;
    while (rc >= 0 && at.n_records < all && seconds(CLOCK_MONOTONIC) < end) {
        bool wait_for_two = two.source && !shared; /* else it would all be read before the group has settled */
        if (one.source && !(wait_for_two && at.n_records > all / 2))
            rc = member_poll(&one, 5, 257, &c->err);
        else if (one.source)
            rc = one.part->serve(one.source, &c->err);
        if (one.source && rc >= 0) member_shuffle(c, &one);
        if (rc >= 0 && !two.source && at.n_records > all / 4) rc = member_open(&two, &source_kafka, &set, &c->err);
        if (rc >= 0 && two.source) rc = member_poll(&two, 5, 300, &c->err);
        if (two.source && rc >= 0) member_shuffle(c, &two);
        if (held(&at, 1) == 2 && held(&at, 2) == 2) shared = true;
        if (shared && one.source && at.n_records > all * 3 / 4) {
            one.part->close(one.source);
            one.source = NULL;
        }
    }
    expect(c, rc >= 0, "two members read without an error");
    expect(c, shared, "the second member got its share");
    expect(c, at.n_records == all && at.n_wrong == 0, "joining, leaving and pausing lose and repeat nothing");
    printf("# %lld of %lld records, %lld wrong, %d + %d pauses\n", (long long)at.n_records, (long long)all,
           (long long)at.n_wrong, one.n_paused, two.n_paused);
    source_kafka.close(one.source);
    source_kafka.close(two.source);
    expect(c, held(&at, 0) == PARTITIONS && at.n_lost == 0, "everything was given back, nothing was lost");
}

static void consume_fast(struct check *c, const struct eddy_strings *topics)
{
    struct kafka_source_settings set = source_settings(c, topics);
    struct progress at = {0};
    struct member m = {.at = &at, .number = 1};
    int64_t all = c->n * PARTITIONS;
    eddy_status rc = member_open(&m, &source_kafka, &set, &c->err);
    while (rc >= 0 && held(&at, 1) < PARTITIONS) rc = member_poll(&m, 5, 1, &c->err);
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC), end = wall + TIMEOUT_S;
    while (rc >= 0 && at.n_records < all && seconds(CLOCK_MONOTONIC) < end) rc = member_poll(&m, 100, CHUNK, &c->err);
    printf("# consumed %lld in %.2f s, %.0f ns CPU each\n", (long long)at.n_records, seconds(CLOCK_MONOTONIC) - wall,
           (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)all * 1e9);
    expect(c, rc >= 0 && at.n_records == all && at.n_wrong == 0, "one member reads everything once");

    struct source_position position = {&m.tags[1], topics->item[0], 1, 77, "mark=1"};
    (void)m.part->commit(m.source, &position, 1, &c->err);
    source_kafka.close(m.source);
}

/* Position by time, and an offset that is not there. */
static void consume_from(struct check *c, const struct eddy_strings *topics, const char *start, int64_t want,
                         const char *what)
{
    struct kafka_source_settings set = source_settings(c, topics);
    struct progress at = {0};
    struct member m = {.at = &at, .number = 1, .from_start = true};
    set.start = start;
    double end = seconds(CLOCK_MONOTONIC) + 20;
    eddy_status rc = member_open(&m, &source_kafka, &set, &c->err);
    while (rc >= 0 && held(&at, 1) < PARTITIONS && seconds(CLOCK_MONOTONIC) < end)
        rc = member_poll(&m, 5, 1, &c->err);
    int64_t sum = 0;
    for (int p = 0; p < PARTITIONS; p++) sum += at.next[p];
    expect(c, rc >= 0 && held(&at, 1) == PARTITIONS && sum - at.n_records <= want && sum >= want, what);
    source_kafka.close(m.source);
}

static void consume_gone(struct check *c, const struct eddy_strings *topics)
{
    struct kafka_source_settings set = source_settings(c, topics);
    struct progress at = {0};
    struct member m = {.at = &at, .number = 1};
    for (int p = 0; p < PARTITIONS; p++) at.next[p] = 1000000000;
    double end = seconds(CLOCK_MONOTONIC) + 20;
    eddy_status rc = member_open(&m, &source_kafka, &set, &c->err);
    while (rc >= 0 && seconds(CLOCK_MONOTONIC) < end) rc = member_poll(&m, 20, 10, &c->err);
    expect(c, rc == EDDY_EIO && strstr(c->err.message, "1000000000") && strstr(c->err.message, topics->item[0]),
           "an offset that is not there is named");
    source_kafka.close(m.source);
}

static void read_range(struct check *c, const struct eddy_strings *topics, const char *to, int64_t want,
                       const char *what)
{
    struct kafka_range_settings set = {.topics = *topics, .properties = c->properties, .to = to};
    struct progress at = {0};
    struct member m = {.at = &at, .number = 1};
    double end = seconds(CLOCK_MONOTONIC) + 30;
    eddy_status rc = member_open(&m, &source_kafka_range, &set, &c->err);
    while (rc >= 0 && !m.part->ended(m.source) && seconds(CLOCK_MONOTONIC) < end)
        rc = member_poll(&m, 100, CHUNK, &c->err);
    bool ended = rc >= 0 && m.part->ended(m.source);
    expect(c, ended && at.n_records == want && at.n_wrong == 0, what);
    source_kafka_range.close(m.source);
}

/* Leaves a committed and an aborted transaction at the end of partition 0: control records and hidden records. */
static void add_transactions(struct check *c, const char *topic)
{
    char text[300];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", c->servers, text, sizeof(text));
    (void)rd_kafka_conf_set(conf, "transactional.id", "connector-check", text, sizeof(text));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    bool ok = rk && !rd_kafka_init_transactions(rk, 20000);
    for (int i = 0; ok && i < 2; i++) {
        int len = snprintf(text, sizeof(text), "{\"p\":0,\"i\":%lld}", (long long)c->n);
        ok = !rd_kafka_begin_transaction(rk) &&
             !rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                                RD_KAFKA_V_VALUE(text, (size_t)len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                RD_KAFKA_V_END) &&
             !rd_kafka_flush(rk, 10000) &&
             !(i == 0 ? rd_kafka_commit_transaction(rk, 10000) : rd_kafka_abort_transaction(rk, 10000));
    }
    expect(c, ok, "transactions are written");
    if (rk) rd_kafka_destroy(rk);
}

static void check_admin(struct check *c, const struct eddy_strings *topics)
{
    struct kafka_admin *admin;
    struct kafka_source_settings set = source_settings(c, topics);
    struct kafka_group_position *list = NULL;
    struct progress at = {0};
    struct member m = {.at = &at, .number = 1};
    int n = 0;
    if (!expect(c, kafka_admin_open("connector-check", &c->properties, 10000, &admin, &c->err) == EDDY_OK,
                "administration opens"))
        return;
    expect(c, kafka_admin_members(admin, "connector-check", &c->err) == 0, "a group that was left has no members");
    eddy_status rc = kafka_admin_positions(admin, "connector-check", topics, "earliest", &list, &n, &c->err);
    expect(c, rc == EDDY_OK && n == PARTITIONS && list[1].committed == 77 && list[0].committed == -1,
           "a commit at close is kept");
    rc = member_open(&m, &source_kafka, &set, &c->err);
    while (rc >= 0 && held(&at, 1) < PARTITIONS) rc = member_poll(&m, 5, 1, &c->err);
    expect(c, kafka_admin_members(admin, "connector-check", &c->err) == 1, "a live member is counted");
    expect(c, list && kafka_admin_set_positions(admin, "connector-check", list, n, &c->err) == EDDY_EBUSY,
           "offsets of a live group are refused");
    source_kafka.close(m.source);
    for (int i = 0; i < n; i++) list[i].committed = 5 + i;
    expect(c, list && kafka_admin_set_positions(admin, "connector-check", list, n, &c->err) == EDDY_OK,
           "offsets of a left group are set");
    free(list);
    rc = kafka_admin_positions(admin, "connector-check", topics, "latest", &list, &n, &c->err);
    expect(c, rc == EDDY_OK && list[3].committed == 8 && list[3].at == list[3].high, "and read back");
    free(list);
    kafka_admin_close(admin);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"connector-check"};
    struct eddy_strings topics = {1, names};
    struct kafka_admin *admin;
    if (argc < 2) return 2;
    struct check c = {.servers = argv[1], .n = (argc > 2 ? atoll(argv[2]) : 200000) / PARTITIONS, .random = 1};
    c.pairs[0] = (struct eddy_pair){"bootstrap.servers", c.servers, 0};
    c.pairs[1] = (struct eddy_pair){"session.timeout.ms", "6000", 0};
    c.properties = (struct eddy_map){2, c.pairs};
    log_set_level(LOG_LEVEL_WARN);

    eddy_status rc = kafka_admin_open("connector-check", &c.properties, 10000, &admin, &c.err);
    if (rc == EDDY_OK) rc = kafka_admin_create(admin, names[0], PARTITIONS, &c.err);
    kafka_admin_close(admin);
    if (!expect(&c, rc == EDDY_OK, "a topic is made")) return 1;
    produce(&c, names[0]);
    consume_fast(&c, &topics);
    check_admin(&c, &topics);
    consume_with_two(&c, &topics);
    consume_from(&c, &topics, "2020-01-01T00:00:00Z", 0, "a start before the first record is the first record");
    consume_from(&c, &topics, "2199-01-01T00:00:00Z", c.n * PARTITIONS, "a start behind the last record is the end");
    consume_gone(&c, &topics);
    read_range(&c, &topics, "latest", c.n * PARTITIONS, "a range gives every record and ends");
    read_range(&c, &topics, "2020-01-01T00:00:00Z", 0, "a range that ends before the first record is empty");
    add_transactions(&c, names[0]);
    read_range(&c, &topics, "latest", c.n * PARTITIONS + 1, "a range ends behind control and aborted records");
    return c.n_failed > 0;
}

/* What earlier lives have written, looked up in the output. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/kafka_written.h"
#include "engine/flow/sink.h"
#include "tests/unit/kafka/fixture.h"

static uint64_t sum(const char *bytes, size_t n)
{
    uint64_t s = n;
    for (size_t i = 0; i < n; i++) s = s * 31 + (unsigned char)bytes[i];
    return s;
}

/* Results of source offsets 0 .. n-1 of "events"[partition]. */
static void results(struct cluster *c, int partition, int n)
{
    for (int i = 0; i < n; i++) {
        char text[100];
        (void)snprintf(text, sizeof(text), "{\"src\":{\"topic\":\"events\",\"partition\":%d,\"offset\":%d}}",
                       partition, i);
        cr_assert_eq(rd_kafka_producev(c->rk, RD_KAFKA_V_TOPIC("scored"), RD_KAFKA_V_PARTITION(partition),
                                       RD_KAFKA_V_VALUE(text, strlen(text)), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                       RD_KAFKA_V_END),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    cr_assert_eq(rd_kafka_flush(c->rk, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void look_behind(struct kafka_look *k, struct cluster *c, int partition, int64_t output, int64_t from, int n)
{
    struct eddy_error err = {0};
    struct sink_written w = {.sum = sum, .output = output};
    cr_assert_eq(kafka_look_at(k, &c->properties, "plant", "scored", "events", partition, from, &w, &err), EDDY_OK,
                 "%s", err.message);
    cr_assert_eq(w.n, n, "[%d] %d results, not %d", partition, w.n, n);
    for (int i = 0; i < n; i++) {
        char text[100];
        (void)snprintf(text, sizeof(text), "{\"src\":{\"topic\":\"events\",\"partition\":%d,\"offset\":%d}}",
                       partition, (int)from + i);
        cr_assert_eq(w.item[i].offset, from + i);
        cr_assert_eq(w.item[i].sum, sum(text, strlen(text)));
    }
    free(w.item);
}

static void look(struct kafka_look *k, struct cluster *c, int partition, int64_t from, int n)
{
    look_behind(k, c, partition, -1, from, n);
}

Test(kafka_written, results_before_a_place_in_the_output_do_not_count, .timeout = 60)
{
    struct cluster c;
    struct kafka_look k = {0};
    struct eddy_error err = {0};
    struct sink_written end = {.sum = sum, .output = -1, .only_end = true};
    cluster_open(&c);
    cluster_topic(&c, "scored", 1);
    results(&c, 0, 40);
    cr_assert_eq(kafka_look_at(&k, &c.properties, "plant", "scored", "events", 0, 0, &end, &err), EDDY_OK, "%s",
                 err.message);
    cr_assert_eq(end.end, 40);
    cr_assert_eq(end.n, 0, "nothing but the end was asked");
    look_behind(&k, &c, 0, 40, 0, 0);
    results(&c, 0, 20);
    look_behind(&k, &c, 0, 40, 0, 20);
    look_behind(&k, &c, 0, 40, 5, 15);
    look_behind(&k, &c, 0, 60, 0, 0);
    look_behind(&k, &c, 0, 30, 30, 10);
    look_behind(&k, &c, 0, 61, 20, 20); /* it ends before: made anew, and all of it is of later */
    kafka_look_close(&k);
    cluster_close(&c);
}

Test(kafka_written, one_consumer_looks_for_all_partitions_and_mixes_nothing_up, .timeout = 60)
{
    struct cluster c;
    struct kafka_look k = {0};
    cluster_open(&c);
    cluster_topic(&c, "scored", 3);
    for (int p = 0; p < 3; p++) results(&c, p, 50 + 10 * p);
    look(&k, &c, 0, 40, 10);
    const rd_kafka_t *first = k.client.rk;
    cr_assert(first);
    look(&k, &c, 2, 60, 10);
    look(&k, &c, 1, 0, 60);
    look(&k, &c, 1, 60, 0);
    look(&k, &c, 0, 49, 1);
    cr_assert_eq(k.client.rk, first, "the same consumer looked at all of them");
    kafka_look_rest(&k);
    cr_assert(k.client.rk, "it may be needed again at once");
    k.looked_ms -= 60000;
    kafka_look_rest(&k);
    cr_assert(!k.client.rk, "but not for ever");
    look(&k, &c, 0, 45, 5);
    kafka_look_close(&k);
    cluster_close(&c);
}

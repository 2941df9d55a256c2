/* Waits for what a suite needs to know of topics, without starting a process per look.
 *   fault_wait SERVERS input=T group=G [seconds=60]     until the group's offset is the end of every partition
 *   fault_wait SERVERS output=T since=MS [seconds=60]   until a reader with read_committed sees a record that was not
 *                                                       there at the start; prints the time since MS (of the epoch)
 * Exit status 1 when it did not come to pass in time. */
#include <stdio.h>
#include <time.h>

#include "tests/fault/lab.h"

enum { ASK_MS = 5000, PAUSE_MS = 50 };

static int64_t now_ms(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static rd_kafka_t *wait_open(const char *servers, const char *group)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    lab_set(conf, "group.id", group);
    lab_set(conf, "enable.auto.commit", "false");
    lab_set(conf, "isolation.level", "read_committed");
    lab_set(conf, "fetch.wait.max.ms", "10");
    return lab_open(RD_KAFKA_CONSUMER, conf, servers);
}

/* Brokers that do not answer just now are asked again. */
static bool is_drained(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list)
{
    if (rd_kafka_committed(rk, list, ASK_MS)) return false;
    for (int i = 0; i < list->cnt; i++) {
        int64_t low, high;
        if (rd_kafka_query_watermark_offsets(rk, list->elems[i].topic, list->elems[i].partition, &low, &high, ASK_MS))
            return false;
        if (list->elems[i].err || (high > low && list->elems[i].offset < high)) return false;
    }
    return true;
}

static bool wait_drained(rd_kafka_t *rk, const char *topic, int64_t until)
{
    const int n = lab_partitions(rk, topic);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < n; i++) rd_kafka_topic_partition_list_add(list, topic, i);
    bool drained = false;
    while (!drained && now_ms(CLOCK_MONOTONIC) < until) {
        drained = is_drained(rk, list);
        if (!drained) (void)rd_kafka_poll(rk, PAUSE_MS);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return drained;
}

static bool wait_output(rd_kafka_t *rk, const char *topic, int64_t since, int64_t until)
{
    const int n = lab_partitions(rk, topic);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < n; i++) {
        int64_t low, high;
        if (rd_kafka_query_watermark_offsets(rk, topic, i, &low, &high, ASK_MS))
            lab_die("%s [%d]: no answer", topic, i);
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = high;
    }
    (void)rd_kafka_poll_set_consumer(rk);
    (void)rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    bool seen = false;
    while (!seen && now_ms(CLOCK_MONOTONIC) < until) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, PAUSE_MS);
        seen = m && !m->err;
        if (m) rd_kafka_message_destroy(m);
    }
    if (seen) printf("%lld\n", (long long)(now_ms(CLOCK_REALTIME) - since));
    return seen;
}

int main(int argc, char **argv)
{
    if (argc < 2) lab_die("usage: see the head of tests/fault/fault_wait.c");
    const char *output = lab_text(argc, argv, "output", "");
    const int64_t until = now_ms(CLOCK_MONOTONIC) + 1000 * lab_number(argc, argv, "seconds", 60);
    rd_kafka_t *rk = wait_open(argv[1], *output ? "fault-wait" : lab_text(argc, argv, "group", NULL));
    const bool good = *output ? wait_output(rk, output, lab_number(argc, argv, "since", 0), until)
                              : wait_drained(rk, lab_text(argc, argv, "input", NULL), until);
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return !good;
}

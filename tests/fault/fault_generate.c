/* Seeded events for the fault tests; event i is the same on every run with the same seed.
 *   fault_generate SERVERS topic=T seed=S from=A to=B [keys=60] [bad=50] [rate=0]
 * `bad`: one in so many is not readable, tombstones included; 0 = none.  `rate`: events per second; 0 = at once.
 * Partition = key modulo the topic's partitions; the producer is idempotent, so an offset always holds the same event.
 * A readable event begins with {"seq": and no other does: the verifier tells them apart by that. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/fault/lab.h"

static uint64_t mix(uint64_t x) /* splitmix64's output function */
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The payload's length; -1 = a tombstone. */
static int event_text(uint64_t seed, long i, long keys, long bad, char text[300])
{
    static const char *const unreadable[] = {"not json",
                                             "{\"ts\":1767225600,\"load\":1e400}",
                                             "{\"ts\":1767225600,\"load\":NaN}",
                                             "{\"ts\":\"yesterday\",\"load\":1}",
                                             "{\"ts\":1767225600,\"load\":1,\"x\":\"\xff\"}",
                                             "",
                                             "{\"ts\":1767225600,\"load\":"};
    enum { N_UNREADABLE = sizeof(unreadable) / sizeof(unreadable[0]) };
    const uint64_t h = mix(seed ^ mix((uint64_t)i));
    if (bad > 0 && h % (uint64_t)bad == 0) {
        const uint64_t kind = mix(h) % (N_UNREADABLE + 1);
        if (kind == N_UNREADABLE) return -1;
        return snprintf(text, 300, "%s", unreadable[kind]);
    }
    const long k = i % keys, turn = i / keys;
    const double noise = (double)(mix(h) >> 11) / 9007199254740992.0 - 0.5;
    double x = 20 + (double)(k % 17) + 5 * sin(6.283185307179586 * (double)(turn + k) / 48) + noise;
    if (mix(h + 1) % 400 == 0) x += 30;
    if (turn % 150 > 120 && k % 5 == 0) x = 3; /* some stand still for a while */
    return snprintf(text, 300, "{\"seq\":%ld,\"ts\":%ld,\"load\":%.4f}", i, 1767225600 + 60 * turn, x);
}

static void generate_one(rd_kafka_t *rk, rd_kafka_topic_t *rkt, int n_partitions, long k, const char *text, int n)
{
    char key[32];
    const int key_len = snprintf(key, sizeof(key), "m%ld", k);
    while (rd_kafka_produce(rkt, (int32_t)(k % n_partitions), RD_KAFKA_MSG_F_COPY,
                            n < 0 ? NULL : (void *)(uintptr_t)text, n < 0 ? 0 : (size_t)n, key, (size_t)key_len,
                            NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            lab_die("generate: %s", rd_kafka_err2str(rd_kafka_last_error()));
        (void)rd_kafka_poll(rk, 10);
    }
    (void)rd_kafka_poll(rk, 0);
}

static int64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (m->err) lab_die("generate: not delivered: %s", rd_kafka_err2str(m->err));
}

int main(int argc, char **argv)
{
    if (argc < 2) lab_die("usage: see the head of tests/fault/fault_generate.c");
    const char *topic = lab_text(argc, argv, "topic", NULL);
    const long from = lab_number(argc, argv, "from", 0), to = lab_number(argc, argv, "to", 0);
    const long keys = lab_number(argc, argv, "keys", 60), bad = lab_number(argc, argv, "bad", 50);
    const long rate = lab_number(argc, argv, "rate", 0), seed = lab_number(argc, argv, "seed", 1);

    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    lab_set(conf, "enable.idempotence", "true");
    lab_set(conf, "linger.ms", "5");
    lab_set(conf, "message.timeout.ms", "300000"); /* brokers go and come back */
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = lab_open(RD_KAFKA_PRODUCER, conf, argv[1]);
    const int n_partitions = lab_partitions(rk, topic);
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);

    const int64_t began = now_us();
    char text[300];
    for (long i = from; i < to; i++) {
        while (rate > 0 && now_us() - began < (i - from) * 1000000 / rate) (void)rd_kafka_poll(rk, 1);
        const int n = event_text((uint64_t)seed, i, keys, bad, text);
        generate_one(rk, rkt, n_partitions, i % keys, text, n);
    }
    if (rd_kafka_flush(rk, 300000) != RD_KAFKA_RESP_ERR_NO_ERROR) lab_die("generate: not everything was delivered");
    rd_kafka_topic_destroy(rkt);
    rd_kafka_destroy(rk);
    return 0;
}

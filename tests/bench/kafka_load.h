/* What the Kafka benchmarks share: topics, the records in them, and the floor.
 *
 * The floor is what librdkafka alone costs: it consumes the same records (callback queue) and produces as many of eddy's
 * output size (batches by partition), with the settings that eddy gives librdkafka, and does nothing else.  Its pace
 * matters: a producer that has more to send than the broker takes spends most of its time in polls, clocks and locks
 * (perf; librdkafka 2.0.2).  A floor that runs into the broker measures this waiting, and flatters whoever is compared with
 * it; so what others are compared with runs at their pace.
 *
 * Errors   a failure is told on stderr and ends the program. */
#ifndef TESTS_BENCH_KAFKA_LOAD_H
#define TESTS_BENCH_KAFKA_LOAD_H

#include <librdkafka/rdkafka.h>

#include "config/settings.h"
#include "tests/bench/bench.h"
#include "tests/bench/records.h"

#define LOAD_INPUT  "bench"
#define LOAD_OUTPUT "bench.scored"

struct kafka_load {
    const char *servers;
    const char *input, *output; /* topics */
    const struct records *records;
    int n_partitions;
    enum latency latency; /* what clients are set to */
    const char *linger;   /* linger.ms of writers; NULL = what `latency` says */
    double rate;          /* records per second of the floor; 0 = as fast as it goes */
    int n_warm;           /* records before the floor's CPU time counts */
    size_t output_bytes;  /* payload of one output of the floor */
};

enum { LOAD_CHUNK = 1000, LOAD_POLL_MS = 100 };

rd_kafka_t *load_writer(const struct kafka_load *);
/* A consumer with all partitions of `topic` from `offset` on. */
rd_kafka_t *load_reader(const struct kafka_load *, const char *topic, int64_t offset);
void load_produce(rd_kafka_t *, rd_kafka_topic_t *, int32_t partition, const void *key, size_t key_len,
                  const void *payload, size_t len); /* waits while the queue is full */
void load_finish(rd_kafka_t *);

/* For bench_in_child(); the argument is a struct kafka_load. */
struct bench_run load_topics(const void *load);      /* makes both; the output keeps its newest 64 MiB a partition */
struct bench_run load_fill(const void *load);        /* the records into the input; a key stays in one partition */
struct bench_run load_output_size(const void *load); /* output_bytes: the mean payload of the newest outputs */
struct bench_run load_floor(const void *load);       /* at `rate` */
struct bench_run load_floor_free(const void *load);

/* The naive pipeline, as most would write it first: one event at a time, a document tree for JSON, printf for the
 * output, the C library's expf and tanhf, weights in plain loops; an LSTM of 64 units for each key.  A fifth of all. */
struct bench_run load_naive(const void *load);

/* peer_kafka.py by the Python that EDDY_BENCH_PYTHON names: 500 records at once; or each alone, a tenth of all. */
struct bench_run load_python(const void *load);
struct bench_run load_python_alone(const void *load);
/* PeerStreams.java by the class path EDDY_BENCH_STREAMS; the last three quarters of the records count. */
struct bench_run load_streams(const void *load);

#endif

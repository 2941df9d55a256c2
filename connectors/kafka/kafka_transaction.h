/* The transactional producer that all Kafka sinks of an exactly-once pipeline share; the state topic has another. */
#ifndef CONNECTORS_KAFKA_KAFKA_TRANSACTION_H
#define CONNECTORS_KAFKA_KAFKA_TRANSACTION_H

#include "connectors/kafka/kafka_client.h"

enum { KAFKA_TRANSACTION_TOPICS = 8 }; /* results, incidents, dead letters, state */

struct kafka_transaction {
    struct kafka_client client; /* the producer in use; client.rk NULL = none at the moment */
    enum kafka_role role;       /* KAFKA_TRANSACTOR or KAFKA_PUBLISHER */
    int batch_bytes;            /* 0 = as configured */
    int generation;             /* of the producer: topic handles belong to one */
    const struct kafka_source_settings *source;
    enum latency latency;
    const volatile sig_atomic_t *stop;
    char *name, *id;
    bool ready;     /* the producer owns its id */
    bool open;      /* begun, and neither committed nor given up */
    bool is_broken; /* cannot be committed any more */
    bool doubtful;  /* the connection was lost while a commit was on its way: see kafka_transaction.c */
    int64_t first_offset, last_offset;                 /* of the messages that were confirmed; -1 = none */
    struct eddy_error final;                           /* a message that will never be delivered; code 0 = none */
    char why[400];                                     /* it is broken */
    rd_kafka_topic_t *topic[KAFKA_TRANSACTION_TOPICS]; /* handles of this producer; filled from the front */
};

/* For transactor_kafka's other calls, the first of which is recover(): it makes the producer.  `role` says what it is for,
 * batch_bytes how much goes into a batch at most (0 = as configured). */
eddy_status kafka_transaction_new(enum kafka_role role, const struct transaction_request *, int batch_bytes,
                                  struct kafka_transaction **, struct eddy_error *);

/* The producer's handle of a topic, which ends with the producer; NULL = librdkafka gives none. */
rd_kafka_topic_t *kafka_transaction_topic(struct kafka_transaction *, const char *topic);

/* A message or call that failed so would fail again with any producer. */
bool kafka_transaction_hopeless(const struct kafka_transaction *, rd_kafka_resp_err_t);

/* Notes that the transaction cannot be committed; the first reason is kept. */
void kafka_transaction_break(struct kafka_transaction *, const char *why);

/* The group membership that a transaction's positions belong to; NULL when this member holds none.  The caller destroys
 * it. */
rd_kafka_consumer_group_metadata_t *kafka_source_group(void *source);

#endif

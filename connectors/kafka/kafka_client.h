/* One librdkafka handle with its logs, errors and questions about topics; source, sink, range and admin stand on it.
 *
 * Memory   the client lives inside its owner and must not move between open and close.
 * Threads  one thread calls; librdkafka's own threads only write logs through it.
 * Errors   EDDY_EAGAIN from the asking calls means "the broker did not answer in time"; all else is final. */
#ifndef CONNECTORS_KAFKA_KAFKA_CLIENT_H
#define CONNECTORS_KAFKA_KAFKA_CLIENT_H

#include <pthread.h>
#include <signal.h>

#include "config/log.h"
#include "connectors/kafka/kafka_settings.h"

struct kafka_client {
    rd_kafka_t *rk;
    enum kafka_role role;
    const struct eddy_map *properties; /* borrowed: secrets in texts are masked by it; logs look under `lock` */
    void *owner;                       /* for the callbacks below */
    struct log_limit away, other;      /* logs that repeat */
    const volatile sig_atomic_t *stop; /* of the request */
    int64_t n_troubles;                /* error events so far: connections lost, questions timed out */
    bool has_failed;
    struct eddy_error failed; /* what an error callback found to be final */
    pthread_mutex_t lock;
    char trouble[400]; /* the last connection trouble, under `lock` */
};

struct kafka_client_request {
    enum kafka_role role;
    const char *name, *instance_id; /* instance_id: of a member, may be NULL; of a transactor its transactional.id */
    const struct eddy_map *properties;
    enum latency latency;
    int n_partitions;    /* 0 = unknown */
    int batch_bytes;     /* of a producer: most that goes together, and of one message; 0 = as configured */
    int worker, workers; /* several in one process: their names end in -0, -1, .. */
    bool id_is_own;      /* instance_id names the worker already */
    bool failures_only;  /* on_delivery hears of messages that were not delivered, and of no others */
    const volatile sig_atomic_t *stop; /* not 0: told to stop, so that nobody waits for brokers; NULL = never */
    void *owner;
    void (*on_rebalance)(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *client);
    void (*on_commit)(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *client);
    void (*on_delivery)(rd_kafka_t *, const rd_kafka_message_t *, void *client);
};

/* Does not wait for a broker.  A client that failed to open needs no close. */
eddy_status kafka_client_open(struct kafka_client *, const struct kafka_client_request *, struct eddy_error *);
int64_t kafka_client_setting(const struct kafka_client *, const char *name); /* a number of its configuration */
/* Frees the handle; a consumer must have been closed before.  A zeroed or closed client is fine. */
void kafka_client_close(struct kafka_client *);

/* What the client borrowed is about to go while librdkafka still runs: it stays silent from now on. */
void kafka_client_orphan(struct kafka_client *);

/* How many partitions `topic` has.  Waits up to timeout_ms for brokers and for a leader; EDDY_EIO naming
 * bootstrap.servers and the last trouble when none answers, EDDY_EAGAIN when told to stop before, EDDY_ENOTFOUND when there
 * is no such topic. */
eddy_status kafka_client_topic(struct kafka_client *, const char *topic, int timeout_ms, int *n_partitions,
                               struct eddy_error *);

/* Partitions of all `topics` together, asked by a handle of its own; errors as above. */
struct kafka_question {
    const char *name; /* of who asks */
    const struct eddy_map *properties;
    int timeout_ms;
    const volatile sig_atomic_t *stop;
};
eddy_status kafka_count_partitions(const struct eddy_strings *topics, const struct kafka_question *, int *n,
                                   struct eddy_error *);

bool kafka_told_to_stop(const volatile sig_atomic_t *stop);

/* Ends the pipeline rather than waiting: credentials, rights, topics that do not exist, broken data. */
bool kafka_error_is_final(rd_kafka_resp_err_t);
/* A right that the user lacks. */
bool kafka_error_is_denied(rd_kafka_resp_err_t);
bool kafka_error_is_gone(rd_kafka_resp_err_t); /* there is no such topic or partition */

/* "host:port, host:port (last trouble: ..)" for messages. */
void kafka_client_where(struct kafka_client *, char *text, size_t size);

int64_t kafka_now_ms(void); /* monotonic */

#endif

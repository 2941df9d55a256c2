/* Where results go.  The driver owns this interface; connectors implement it.
 *
 * Threads  one thread calls everything.
 * Errors   a returned error ends the pipeline, except EDDY_EAGAIN: the sink is full, call service() and try again. */
#ifndef ENGINE_FLOW_SINK_H
#define ENGINE_FLOW_SINK_H

#include <signal.h>

#include "eddy_codec.h"

struct sink_header {
    const char *name;
    const void *value;
    size_t len;
};

struct sink_message {
    int32_t partition; /* the input's partition: outputs are co-partitioned; -1 = any (dead letters) */
    const void *key;   /* NULL = none */
    size_t key_len;
    const void *payload; /* NULL = none */
    size_t len;
    int64_t time_ns; /* EDDY_NO_TIME = now */
    const struct sink_header *headers;
    int n_headers;
};

/* Results in a sink, by their source's offset, ascending. */
struct sink_written {
    uint64_t (*sum)(const char *bytes, size_t n); /* the caller's */
    int64_t output; /* the caller's: results before this place of the output do not count; -1 = all do */
    bool only_end;  /* the caller's: nothing but `end` is asked */
    int64_t end;    /* where the output ends: a later `output` */
    int n;
    struct {
        int64_t offset;
        uint64_t sum; /* of the payload */
    } * item;         /* malloc'ed; the caller frees it */
};

struct sink_request {
    const char *name;                 /* settings.name */
    const struct eddy_choice *source; /* a Kafka sink without properties of its own takes the source's */
    int latency;                      /* enum latency (config/settings.h) */
    int co_partitioned;               /* results keep their input's partition (dead letters do not): checked early */
    int worker, workers;              /* which of how many side by side in this process; workers 0 or 1: one alone */
    void *transaction; /* what eddy_transactor.open() gave (transaction.h): write inside it; NULL = none */
    const volatile sig_atomic_t
        *stop;   /* not 0: told to stop, so open() waits no longer (EDDY_EAGAIN); NULL = never */
    int columns; /* a file that ends in .csv is written as columns by the CSV codec */
};

struct eddy_sink {
    struct eddy_part part; /* kind EDDY_PART_SINK */
    bool shares;           /* several may write to one place side by side */
    eddy_status (*open)(const void *settings, const struct sink_request *, void **sink, struct eddy_error *);
    /* Copies and queues messages in order; returns how many it took (fewer than n = full now: service() and repeat). */
    eddy_status (*send)(void *sink, const struct sink_message *, int n, struct eddy_error *);
    /* Moves things along for up to timeout_ms; an undeliverable message is an error here, never a silent loss. */
    eddy_status (*service)(void *sink, int timeout_ms, struct eddy_error *);
    /* What is there already of the results of (topic, partition) from source offset `from` on, as far as it is found; asked
     * when a partition begins, so that results are not repeated after a crash.  NULL = cannot say. */
    eddy_status (*written)(void *sink, const char *topic, int32_t partition, int64_t from, struct sink_written *,
                           struct eddy_error *);
    int64_t (*outstanding)(void *sink); /* queued and not yet confirmed (acknowledged, or written and synced) */
    void (*close)(void *sink); /* gives up what is outstanding; call service() until 0 before; NULL is fine */
};

#endif

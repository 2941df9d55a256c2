/* Where records come from.  The driver (engine/flow/driver.c) owns this interface; connectors implement it.
 *
 * A source delivers chunks of borrowed records.  Within one (topic, partition) offsets ascend.  A partition is started
 * by the listener's assign call and ends with its revoke call; both come only from inside poll(), serve() and close().
 *
 * Threads  one thread calls everything.
 * Errors   a returned error ends the pipeline; passing trouble (broker away) is logged and retried inside. */
#ifndef ENGINE_FLOW_SOURCE_H
#define ENGINE_FLOW_SOURCE_H

#include <signal.h>

#include "eddy_codec.h"

/* One assigned partition as the source sees it. */
struct source_partition {
    const char *topic;
    int32_t partition;
    int64_t committed;    /* next offset committed in the group; -1 = none */
    const char *metadata; /* metadata of that commit; "" when there is none */
    int64_t low, high;    /* first offset kept, and the end, when it was assigned */
    int64_t start;        /* where `start:` (earliest | latest | time) points */
};

/* What a source that shares its partitions with others tells of the sharing. */
enum source_round {
    SOURCE_JOINS,   /* it is not known yet, or no more, what it will get */
    SOURCE_TAKES,   /* revoke() comes for partitions that somebody else will be given; then it is given anew itself */
    SOURCE_GIVES,   /* it is known what it gets, which may be nothing; assign() comes for it */
    SOURCE_REPEATS, /* assign() will come once more for partitions that it had */
    SOURCE_SETTLED  /* assign() has come for all of it */
};

struct source_listener {
    void *context;
    /* A partition is ours.  Returns the offset to read from (>= 0), or an error that ends the pipeline.
     * *tag comes back in every record's batch, pause, resume and revoke of this partition. */
    int64_t (*assign)(void *context, const struct source_partition *, void **tag, struct eddy_error *);
    /* It is ours no longer.  lost = another member may already own it: write nothing. */
    eddy_status (*revoke)(void *context, void *tag, bool lost, struct eddy_error *);
    /* enum source_round; a source that never calls it is settled.  patience_ms: a member that has not heard by then what
     * it was given is none any more.  NULL = nobody asks. */
    void (*round)(void *context, int round, int patience_ms);
};

/* A run of records of one partition, offsets ascending. */
struct source_batch {
    void *tag; /* from assign() */
    int n;
    const struct eddy_record *records; /* [n] borrowed until release() */
};

struct source_position {
    void *tag;
    const char *topic;
    int32_t partition;
    int64_t next;         /* next offset to read */
    const char *metadata; /* kept with a commit; may be "" */
};

/* What the records before a position were, for sources whose offsets are numbers without a name to them: text that is
 * kept with the position; "" = not known. */
enum { SOURCE_TRACE_BYTES = 32 };

struct source_request {
    const char *name;     /* settings.name: group.id and client.id derive from it */
    const char *instance; /* a name of this process and worker that outlives restarts; NULL = none */
    const struct eddy_limits *limits;
    int latency; /* enum latency (config/settings.h) */
    struct source_listener listener;
    bool traced;         /* positions are kept, and trace() will be asked for them */
    int worker, workers; /* which of how many sources side by side in this process; workers 0 or 1: one alone */
    const volatile sig_atomic_t
        *stop; /* not 0: told to stop, so open() waits no longer (EDDY_EAGAIN); NULL = never */
};

struct eddy_source {
    struct eddy_part part; /* kind EDDY_PART_SOURCE */
    bool divides;          /* several may be open side by side: each delivers other partitions */
    eddy_status (*open)(const void *settings, const struct source_request *, void **source, struct eddy_error *);
    /* Waits up to timeout_ms for records, serves the group, and gives at most max_batches runs with at most
     * max_records records in all.  Returns the number of runs (0 = nothing now). */
    eddy_status (*poll)(void *source, int timeout_ms, int max_records, struct source_batch *batches, int max_batches,
                        struct eddy_error *);
    void (*release)(void *source);                           /* gives the last poll's records back */
    eddy_status (*serve)(void *source, struct eddy_error *); /* serves the group only; records may be outstanding */
    /* While paused a partition delivers nothing, and what was fetched is not lost. */
    eddy_status (*pause)(void *source, void *tag, struct eddy_error *);
    eddy_status (*resume)(void *source, void *tag, struct eddy_error *);
    /* Asynchronous; failures are logged and repeated with the next commit.  NULL = positions are not kept outside. */
    eddy_status (*commit)(void *source, const struct source_position *, int n, struct eddy_error *);
    /* Revokes all partitions through the listener as lost and assigns them again, now or from a later poll() or serve(),
     * with the position that the group knows by then.  NULL = cannot. */
    eddy_status (*restart)(void *source, struct eddy_error *);
    /* The same for one partition, between two polls; the transaction of the others goes on. */
    eddy_status (*again)(void *source, void *tag, struct eddy_error *);
    /* Both or none; NULL = its positions name what they belong to.  trace() is of the records before `next`, which lies in
     * the last poll's batch or behind it.  expect() is called from within assign(), with what was kept for the offset that it
     * will return: poll() fails with EDDY_EMISMATCH, before it gives any record, when others lie before it now. */
    void (*trace)(void *source, void *tag, int64_t next, char out[SOURCE_TRACE_BYTES]);
    void (*expect)(void *source, int64_t next, const char *trace);
    bool (*ended)(void *source); /* files and bounded replays: everything has been delivered */
    /* Revokes everything through the listener, then frees.  NULL is fine. */
    void (*close)(void *source);
};

#endif

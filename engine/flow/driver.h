/* The driver: records of a source through codec and lanes to a sink, with checkpoints.  One thread, one loop; `run`,
 * `replay`, `filter` and the demo are this with other sources and sinks.
 *
 * Guarantee at_least_once: a checkpoint is written when all results before it have been confirmed by the sink, and the
 * group's offset is committed after the checkpoint.  After a crash it goes on exactly at the checkpoint; results written
 * since then are written again, byte-equal.
 *
 * Guarantee exactly_once (a transactor is given): driver_transaction.c. */
#ifndef ENGINE_FLOW_DRIVER_H
#define ENGINE_FLOW_DRIVER_H

#include <signal.h>

#include "config/settings.h"
#include "eddy_codec.h"
#include "engine/flow/claims.h"
#include "engine/flow/lane.h"
#include "engine/flow/sink.h"
#include "engine/flow/source.h"
#include "engine/flow/state_topic.h"
#include "engine/flow/transaction.h"

enum driver_state {
    DRIVER_STATE_KEPT,   /* the pipeline's own state directory, locked */
    DRIVER_STATE_SCRATCH /* a private directory below TMPDIR, removed at the end: replays */
};

struct driver_stats {
    int64_t records, events, bad, tombstones, results, silent, alerts, incidents, keys, checkpoints;
    int64_t set_aside; /* state files that failed their checks when they were opened */
    int64_t partitions_refused,
        saves_given_up; /* a person has to decide about them; checkpoints of lost partitions */
    int64_t drifts;     /* times that a partition's network was trained harder */
    int64_t late, duplicates, updates, refused, waits; /* waits: turns that stood still for a candidate */
    int64_t partitions;
    int64_t transactions, transactions_failed,
        restarts; /* exactly_once: committed; given up; partitions begun anew */
    int64_t publications, publications_failed, published_rows; /* to the state topic */
    int64_t restores, restored_rows;                           /* partitions restored from it */
    double restore_seconds;
    double seconds, grad_norm, loss;
    uint64_t model;
    /* CPU seconds of this thread by stage, when EDDY_STAGES is set in the environment; else 0 */
    double cpu_poll, cpu_decode, cpu_lane, cpu_encode, cpu_send, cpu_checkpoint;
};

struct driver_request {
    const struct settings *settings;
    int worker, workers;              /* which of how many drivers of this process; 0 of 0 is one alone (workers.h) */
    struct claims *claims;            /* partitions that drivers of this process have open; NULL = alone */
    struct store_lock *state_lock;    /* the state directory's, held by the caller; NULL = the driver takes it */
    const struct eddy_source *source; /* settings->source's part, or what the command brings */
    const void *source_settings;
    const struct eddy_sink *sink; /* NULL: results go to `on_result` only */
    const void *sink_settings;
    struct sink_request sink_request;
    const struct eddy_codec *sink_codec; /* how results are written; NULL = settings->codec */
    const void *sink_codec_settings;
    const struct eddy_codec *context_codec; /* for records that bring a context (CSV files); NULL = none */
    const void *context_codec_settings;
    const struct eddy_schema *schema; /* values fixed by the command (CSV headers); NULL = by the codec */
    int state;                        /* enum driver_state */
    const char *state_path;           /* instead of settings->state.path; NULL = that */
    const char *model_path;           /* a model file that new lanes start from; NULL = the one kept with the state */
    struct window_set *gather;        /* training windows are copied there (lane.h); NULL = no */
    const struct eddy_sink *incidents; /* where incidents go as records of their own; NULL = nowhere */
    const void *incidents_settings;
    bool incidents_apart; /* results do not tell of incidents in full */
    bool commit;          /* commit positions to the source */
    const struct eddy_transactor
        *transactor; /* exactly_once: sinks and positions go through it; NULL = at_least_once */
    const struct eddy_state_topic *state_topic; /* keeps a copy of kept states; NULL = none */
    int64_t topic_patience;   /* ns that it may say nothing, and that what was found in it counts; 0 = 10 s */
    int64_t transaction_most; /* ns that one may stay open while a turn goes on; 0 = 10 s */
    bool forget_tombstones;   /* payload NULL: forget the key; else skip and count */
    int chunk;                /* most records per poll; 0 = 1024 */
    bool experts;             /* results tell of every expert (lane.h) */
    bool flush_each;          /* filter: service the sink after every turn */
    const volatile sig_atomic_t *stop;                            /* set: drain, checkpoint, end; may be NULL */
    void (*on_result)(void *context, const struct eddy_result *); /* may be NULL */
    /* A record that could not be used, after it went to the dead letters; may be NULL. */
    void (*on_bad)(void *context, const struct eddy_record *, const struct eddy_error *);
    void (*on_tick)(void *context, const struct driver_stats *); /* about 4 times a second; may be NULL */
    void *context;
};

struct driver;
eddy_status driver_open(const struct driver_request *, struct driver **, struct eddy_error *);
/* Runs until the source has ended, `stop` is set, or something fails; leaves a checkpoint in every case it can.  When
 * nothing failed but partitions had been refused, the error is that of the last of them. */
eddy_status driver_run(struct driver *, struct eddy_error *);
void driver_stats(const struct driver *, struct driver_stats *);
/* After driver_run: the hash over all lanes it held at the end, in order of topic and partition (32 digits). */
/* What the keys of the first partition that has any share through their experts (lane.h); empty = nothing. */
eddy_status driver_shared(struct driver *, struct eddy_buffer *, struct eddy_error *);
eddy_status driver_hash(struct driver *, bool positions, char out[33], struct eddy_error *);
void driver_close(struct driver *); /* NULL is fine */

#endif

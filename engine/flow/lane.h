/* A lane: everything eddy knows about one partition, and the functional core that folds events into it.
 *
 * The lane does no input and output of its own but through its store (rows that are not resident).  Given the same
 * events at the same offsets it gives the same results and the same state, bit for bit, however the events are cut into
 * turns, whether training runs inline or in the background, and whether a turn was aborted and repeated.
 *
 * Order    lane_turn() any number of times; then lane_commit() or lane_abort() for all turns since the last one;
 *          lane_checkpoint() only right after a commit.
 * Memory   results are borrowed until the lane's next call.
 * Threads  one thread per lane; trainer and storage have threads of their own. */
#ifndef ENGINE_FLOW_LANE_H
#define ENGINE_FLOW_LANE_H

#include "engine/flow/plan.h"
#include "engine/flow/window_set.h"
#include "engine/state/keyspace.h"
#include "engine/train/trainer.h"

enum lane_event_kind {
    LANE_EVENT,
    LANE_FORGET, /* tombstone with `tombstones: forget`: the key starts anew */
    LANE_SKIP    /* a bad or skipped record: only the position moves on */
};

struct lane_event {
    int kind;       /* enum lane_event_kind */
    int64_t offset; /* ascending */
    struct eddy_event event;
    const char *topic; /* what results name as their source; NULL = the lane's topic */
};

struct lane_request {
    const struct plan *plan; /* outlives the lane */
    const char *topic;
    int32_t partition;
    struct store *store;     /* NULL: all in memory, no checkpoints; the lane does not own it */
    struct trainer *trainer; /* NULL when training is off */
    int64_t max_resident;    /* keys */
    struct weights *initial; /* what a lane without a checkpoint starts from; NULL: drawn from the seed */
    struct storage *storage; /* writes checkpoints (lane_save_begin); NULL: that is done on this thread */
};

struct lane;

/* Opens on the store's checkpoint if it has one, else empty at offset 0 (lane_seek sets another start). */
eddy_status lane_open(const struct lane_request *, struct lane **, struct eddy_error *);
/* From now on a copy of every window of a finished epoch goes there; turns must not be aborted then. */
void lane_gather(struct lane *, struct window_set *);
void lane_close(struct lane *); /* drops what was not checkpointed; NULL is fine */

/* The schema stored in a checkpoint, as consecutive NUL-terminated names; ENOTFOUND when the store is new. */
eddy_status lane_stored_schema(struct store *, struct eddy_buffer *names, int *n_values, struct eddy_error *);

int64_t lane_next(const struct lane *);        /* the next offset it wants */
int64_t lane_start(const struct lane *);       /* the first offset it ever folded from */
void lane_seek(struct lane *, int64_t offset); /* a new lane's first offset; only before the first turn */
/* The source's trace() of lane_next(), to be stored with the next checkpoint. */
void lane_set_trace(struct lane *, const char *trace);
/* Only before the first turn: results tell of every expert, at 16 bytes per expert, horizon and value of an event. */
eddy_status lane_tell_experts(struct lane *, struct eddy_error *);

/* Folds events in, at most up to the end of the current epoch and of so many keys as the cache holds; results[i] answers
 * events[i] (kind LANE_EVENT only; others are left alone).  Returns how many events it took: call again for the rest.  0 = it must wait for a training
 * candidate: lane_wait(). */
eddy_status lane_turn(struct lane *, const struct lane_event *events, int n, struct eddy_result *results,
                      struct eddy_error *);
int lane_most_rows(const struct plan *);         /* how many keys a turn takes at most */
size_t lane_training_bytes(const struct plan *); /* a partition's windows, candidates and scratch, at most */
/* What the last turn has to tell of keys that sent nothing in it, those that have stopped sending and those that are
 * forgotten for their age: results that hold nothing but one incident, in the order of offsets, borrowed until the lane's
 * next call.  Each comes before what the event of its offset has to tell. */
int lane_n_news(const struct lane *);
const struct eddy_result *lane_news(const struct lane *, int i);
eddy_status lane_wait(struct lane *, int timeout_ms); /* EDDY_OK when it can go on, EDDY_EAGAIN when not yet */
/* Forgets a key as if it had never been; takes no offset, and is committed or aborted like a turn.  Returns 1 when the key
 * was known, else 0. */
eddy_status lane_forget(struct lane *, const char *key, size_t key_len, struct eddy_error *);
/* Cannot fail: a key that should be evicted and cannot be written stays resident, and the next checkpoint says why. */
void lane_commit(struct lane *);
void lane_abort(struct lane *);

/* Writes rows, position, model and windows in training to the store and commits it.  EDDY_EFULL: nothing changed on
 * disk, go on and try again later. */
eddy_status lane_checkpoint(struct lane *, struct eddy_error *);
/* The same without standing still, when the request names a storage thread (else begin does all of it): begin notes what
 * there is to write, right after a commit; step copies at most `rows` rows for the storage thread, which writes and commits
 * them.  A checkpoint that has begun and not ended goes on instead of a new one.
 * step: 1 it is durable, 0 call again, EDDY_EFULL nothing is lost and the next call tries again, other errors are final. */
eddy_status lane_save_begin(struct lane *, struct eddy_error *);
eddy_status lane_save_step(struct lane *, int rows, struct eddy_error *);
bool lane_saving(const struct lane *);
eddy_status lane_save_wait(struct lane *, struct eddy_error *); /* until it is durable, or fails */
int64_t lane_checkpointed(const struct lane *);                 /* next offset of the last checkpoint; -1 = none */

/* Adds rows and model to a state hash; flushes rows to the store first (memory lanes keep a private one). */
eddy_status lane_hash(struct lane *, bool positions, struct state_hash *, struct eddy_error *);
void lane_set_max_resident(struct lane *, int64_t keys);

/* What keys share through their experts and the mix, as bytes that another lane can begin with, before its first turn; empty when
 * nobody shares anything.  The meta blob "shared": u32 format | u32 n models | per model what it must
 * fit (u64 of name, state version, horizons and sizes), u64 bytes, the model | i64 from, until | u64 contribution_bytes |
 * u32 n | per contribution, in order, i64 offset, i64 value, its bytes.  EDDY_ENOMEM; EDDY_EMISMATCH when it was learnt by
 * other experts or for other horizons. */
eddy_status lane_share_blob(struct lane *, struct eddy_buffer *);
eddy_status lane_share_begin(struct lane *, const void *blob, size_t n, struct eddy_error *);

struct lane_stats {
    int64_t events, late, duplicates, keys_new, keys_resident, evicted, restored, expired;
    int64_t alerts, incidents; /* incidents: opened, repeats not counted */
    int64_t updates, refused;  /* training steps made and refused */
    int64_t drifts;            /* times that the live loss has grown for good (train.drift_rounds) */
    uint64_t model;            /* version in use */
    double loss, grad_norm;    /* of the last accepted step; NaN before */
    int64_t resident_bytes;
};
void lane_stats(const struct lane *, struct lane_stats *);

#endif

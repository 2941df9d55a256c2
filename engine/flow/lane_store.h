/* What a lane leaves in its store, for commands that look at state without folding anything.
 *
 * Meta blobs   lane    position, clock, epoch, model version        schema  names of the values
 *              layout  directory of the rows                        network layers and their sizes, as text
 *              train   windows waiting for the trainer        shared  what keys share besides weights (lane_share.h)
 *              replay  windows to draw from again             versions, rolled  of the weights (lane_versions.h)
 *              held    windows that are never trained on     open    keys with open incidents (lane_expiry.c)
 *              edited  i64 wall time in ns, when a command last changed rows
 *              input   text of the source about the records before the position (source.h: trace); of files alone */
#ifndef ENGINE_FLOW_LANE_STORE_H
#define ENGINE_FLOW_LANE_STORE_H

#include "config/settings.h"
#include "engine/state/keyspace.h"

#define LANE_OPEN   "open"
#define LANE_TRACE  "input"
#define LANE_EDITED "edited"
/* A command has changed rows: what copies the state must not build on what it has, and what the lane knows of rows must be
 * read from them again.  The caller commits. */
eddy_status lane_stored_edited(struct store *, struct eddy_error *);

/* Event time of a partition. */
struct lane_clock {
    int64_t now;            /* newest event time that counts; EDDY_NO_TIME = none yet */
    int64_t ahead, n_ahead; /* the earliest of the last n_ahead events, all of which lie far ahead of it */
};
/* Keys last seen before this have been idle for longer than `ttl`; INT64_MIN = none has. */
int64_t lane_expired_before(const struct lane_clock *, int64_t ttl);

struct lane_position {
    int64_t next, start; /* offsets: the next one wanted, the first one ever folded */
    struct lane_clock clock;
    int64_t epoch, epoch_length;
    uint64_t model; /* version of the weights in use */
};

/* ENOTFOUND when the store has no checkpoint yet. */
eddy_status lane_stored_position(struct store *, struct lane_position *, struct eddy_error *);
eddy_status lane_stored_layout(struct store *, struct row_layout *, struct eddy_error *);
/* Makes these weights, a new version, the ones in use, and forgets all but the last `keep`; the caller commits.  `origin`:
 * the version they are a copy of, UINT64_MAX = none. */
struct weights;
eddy_status lane_stored_adopt(struct store *, int64_t keep, const struct weights *, uint64_t origin,
                              struct eddy_error *);
/* The incident of a kind out of the section "incidents" of a stored row, which must be that of the plan: its version and
 * bytes; false when there has been none yet.  The last one stays there after it has closed. */
struct plan;
struct eddy_incident;
bool lane_stored_incident(const struct plan *, const unsigned char *section, int kind, struct eddy_incident *out);
/* Adds the checkpoint to a hash: rows, then the model's bytes; with `positions` topic, partition and offsets. */
eddy_status lane_stored_hash(struct store *, const struct store_identity *, const struct settings *, bool positions,
                             struct state_hash *, struct eddy_error *);

#endif

/* Where the kept versions of the weights come from: the meta blob "versions" beside the models themselves.
 *
 *   u32 format | u32 n | per version, ascending: u64 version, i64 offset, u64 origin
 *
 * Which of them a rollback made is in "rolled", which only states have that were rolled back:
 *
 *   u32 format | u32 n | u64 version.. ascending */
#ifndef ENGINE_FLOW_LANE_VERSIONS_H
#define ENGINE_FLOW_LANE_VERSIONS_H

#include "engine/state/store.h"

enum { LANE_VERSIONS_MOST = 1024 };

struct lane_version {
    uint64_t version;
    int64_t offset;  /* the next offset when it was stored */
    uint64_t origin; /* the older version that it is a copy of (eddy model promote); UINT64_MAX = it was learned */
};

/* Ascending; n = 0 in files from before they were noted. */
eddy_status lane_versions_read(struct store *, struct lane_version out[LANE_VERSIONS_MOST], int *n,
                               struct eddy_error *);
/* Adds one, the newest, and forgets all but the last `keep`; the caller commits. */
eddy_status lane_versions_note(struct store *, const struct lane_version *, int64_t keep, struct eddy_error *);

/* Those that a rollback made, ascending. */
eddy_status lane_versions_rolled(struct store *, uint64_t out[LANE_VERSIONS_MOST], int *n, struct eddy_error *);
/* Adds one, the newest, and forgets those that are noted no longer; the caller commits. */
eddy_status lane_versions_note_rolled(struct store *, uint64_t version, struct eddy_error *);

#endif

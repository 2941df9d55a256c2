/* What the keys of a lane share besides the networks' weights: the models of experts that have one (eddy_expert.h), and what
 * the mix of experts has learnt of keys of each age (engine/forecast/prior.h).
 *
 * A model changes only at boundaries, which depend on offsets alone; what the events in between had to say about it waits
 * until then, and is learnt in the order of offsets and values.  So nobody can tell in which turns events came.
 *
 * Boundaries  counted from the lane's first offset: every 4 offsets up to 64, every 16 up to 1024, every 64 up to 8192,
 *             then every `forecast.share_every`; that option is also the most that any of them may be.
 * Sample      at most SHARE_MOST contributions between two boundaries: of each run of k events times values one, drawn by
 *             the place of the run alone; k the least that suffices.
 * Layout      shared [plan.shared_bytes], the experts' models and the mix's, one after another; a contribution likewise. */
#ifndef ENGINE_FLOW_LANE_SHARE_H
#define ENGINE_FLOW_LANE_SHARE_H

#include "engine/flow/plan.h"

enum { SHARE_MOST = 256 };

struct lane_share {
    unsigned char *model;   /* [shared_bytes] */
    int64_t from, until;    /* the boundaries that the next event lies between; until < 0 = none has come yet */
    int n;                  /* contributions that wait, in the order they came */
    unsigned char *waiting; /* [SHARE_MOST]: struct lane_share_head, then contribution_bytes */
    const void **ordered;   /* [SHARE_MOST] scratch */
    struct lane_share_mark {
        int64_t from, until;
        int n;
        bool apart; /* a boundary was passed since: what was learnt and waited before it is in the two below */
        unsigned char *model;
        unsigned char *waiting;
    } mark; /* what an abort goes back to */
};
struct lane_share_head {
    int64_t offset;
    int64_t value;
};

struct lane;
eddy_status lane_share_open(struct lane *, struct eddy_error *);
void lane_share_close(struct lane *);
/* An event at `offset` comes next: learns when that lies behind the boundary. */
void lane_share_enter(struct lane *, int64_t offset);
/* Events at offsets from here on wait for the next boundary; INT64_MAX when nobody shares anything. */
int64_t lane_share_until(const struct lane *);
/* Room for what an event says, zeroed; NULL when it is not asked.  Once per event and value, where anything is shared. */
unsigned char *lane_share_contribution(struct lane *, int64_t offset, int value);
/* The mix's model, for blend_forecast(); NULL when it has none. */
const void *lane_share_prior(const struct lane *);
void lane_share_mark(struct lane *);
void lane_share_abort(struct lane *);

/* Takes over what fits these experts and horizons; other models stay as they were opened, and learn anew. */
eddy_status lane_share_restore(struct lane *, struct eddy_error *);

#endif

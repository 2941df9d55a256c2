/* The inside of a lane, shared by lane.c (turns), lane_fold.c (one event), lane_train.c (epochs and windows) and
 * lane_store.c (checkpoints). */
#ifndef ENGINE_FLOW_LANE_PRIVATE_H
#define ENGINE_FLOW_LANE_PRIVATE_H

#include "engine/flow/lane.h"
#include "engine/flow/lane_store.h"

/* A candidate in the making: trained on the windows before `boundary`, adopted `train.lag` epochs later. */
struct lane_job {
    int64_t boundary; /* epoch */
    struct train_job *job;
};

/* The windows of the current epoch: an even sample of all that came by, the `train.windows` with the smallest random
 * rank.  Ranks depend on seed and offset alone, so the sample does not depend on the order of the waves. */
struct lane_window {
    uint64_t rank;
    int64_t offset;
    int channel;
    float *block;
};
struct lane_windows {
    int n;
    struct lane_window *item; /* [train.windows] */
};

/* What lane_abort() goes back to. */
struct lane_mark {
    bool set;
    int64_t next, epoch;
    struct lane_clock clock;
    int n_jobs;
    struct weights *weights;
    struct lane_windows windows;
    struct lane_stats stats;
};

/* One event of a turn on its way through the waves. */
struct lane_item {
    struct key_row *row;
    uint64_t hash;
    int64_t expired_before; /* event time; a key idle since before this is forgotten */
    int wave;
    bool stepped; /* it was folded in, so forecasts follow */
};

struct lane {
    const struct plan *plan;
    struct lane_request request;
    char *topic;
    struct store *store, *own_store;
    struct keyspace *keys;
    struct trainer *trainer;
    struct weights *weights;
    bool in_epochs; /* shared weights that learn: turns are cut at epoch boundaries */

    int64_t next, start, epoch, checkpointed;
    struct lane_clock clock;
    int64_t swept;         /* keys idle since before this event time have left the store; INT64_MIN = not yet */
    uint64_t model_stored; /* version that the store holds; UINT64_MAX = none */
    struct lane_job *jobs; /* [cap_jobs] the first n_adopted were adopted in this batch */
    int n_jobs, n_adopted, cap_jobs;
    struct lane_windows windows;
    float **spare; /* blocks for reuse */
    int n_spare, cap_spare;
    struct train_scratch *scratch;
    float *gathered; /* a job's windows one after another; or the window in hand */
    struct lane_mark mark;
    struct lane_stats stats;

    /* Scratch of a turn, for cap_events events. */
    int cap_events, most_events;
    struct lane_item *items;
    int *order, *wave_first;
    double *values;     /* results, see lane_fold.c */
    size_t values_each; /* doubles per event */
    float *attribution; /* [events, n_values] */
    float *part_scores; /* [n_values] one detector's attribution */
    double *residuals;  /* [n_horizons, n_values] of the event in hand */
    /* Network rows of a turn: [events, channels]; x is NULL where a channel does not step. */
    const float **x;
    float **state, **y;
    float *elapsed, *inputs, *outputs, *work, *packed;
    /* The rows of one wave, close together. */
    const float **wave_x;
    float **wave_state, **wave_y;
    float *wave_elapsed;
    struct point *points; /* [events, n_values] */
};

/* lane_fold.c: one event, before and after the network's step. */
void lane_fold(struct lane *, const struct lane_event *, struct lane_item *, int i, struct eddy_result *);
void lane_foresee(struct lane *, const struct lane_item *, int i, struct eddy_result *);
size_t lane_values_each(const struct plan *);
void lane_inputs(const struct plan *, const struct point_head *, const struct point *, int channel, float *u);
struct point_head *lane_point(const struct lane *, const struct key_row *, int channel, int64_t step);

/* lane_train.c */
bool lane_enter_epoch(struct lane *, int64_t epoch, eddy_status *rc,
                      struct eddy_error *); /* false: waiting, or rc < 0 */
eddy_status lane_learn(struct lane *, struct key_row *, int channel, int64_t offset, struct eddy_error *);
void lane_keep_start(const struct lane *, struct key_row *, int channel);
const float *lane_own_weights(struct lane *, struct key_row *); /* scope key: packed for the next step */
void lane_train_mark(struct lane *);
void lane_train_commit(struct lane *);
void lane_train_abort(struct lane *);
void lane_train_close(struct lane *);
eddy_status lane_train_open(struct lane *, struct eddy_error *);
eddy_status lane_submit(struct lane *, int64_t boundary, const float *windows, int n, struct eddy_error *);
eddy_status lane_keep_window(struct lane *, struct lane_window, const float *block, struct eddy_error *);

/* lane_store.c */
eddy_status lane_restore(struct lane *, struct eddy_error *);

/* Sections of a row. */
static inline int64_t *lane_steps(const struct lane *l, const struct key_row *r)
{
    return (int64_t *)(void *)(r->row + l->plan->at_steps);
}
static inline float *lane_state(const struct lane *l, const struct key_row *r, int channel)
{
    return (float *)(void *)(r->row + l->plan->at_state) + (size_t)channel * l->plan->network->n_state;
}

#endif

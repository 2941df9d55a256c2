/* The inside of a lane:
 *     lane.c           turns, batches                    lane_inputs.c    an event as the networks see it
 *     lane_rows.c      a turn's events, rows and waves
 *     lane_fold.c      one event before the networks     lane_step.c      the networks' step for a wave
 *     lane_foresee.c   one event after it                lane_look_back.c what comes `lag` steps later
 *     lane_classes.c   labels and probabilities          lane_judge.c     residuals to scores
 *     lane_windows.c   cutting windows                   lane_train.c     epochs, candidates
 *     lane_triggers.c  when a round is due
 *     lane_replay.c    past windows once more            lane_share.c     what keys share besides weights
 *     lane_held.c      windows held out                  lane_pool.c      windows that outlive their epoch
 *     lane_young.c     windows as a new key sees them
 *     lane_silence.c   keys that stop sending            lane_expiry.c    keys that are forgotten with one open
 *     lane_incident.c  spans of trouble                  lane_news.c      what is told of keys that sent nothing
 *     lane_store.c     checkpoints                       lane_restore.c   going on from one */
#ifndef ENGINE_FLOW_LANE_PRIVATE_H
#define ENGINE_FLOW_LANE_PRIVATE_H

#include "engine/detect/incident.h"
#include "engine/flow/lane.h"
#include "engine/flow/lane_share.h"
#include "engine/flow/lane_store.h"
#include "engine/flow/lane_triggers.h"
#include "engine/flow/source.h"
#include "engine/forecast/calendar.h"
#include "engine/forecast/scale.h"
#include "engine/forecast/volatility.h"

/* A candidate in the making: trained on the windows before `boundary`, adopted `train.lag` epochs later. */
struct lane_job {
    int64_t boundary; /* epoch */
    struct train_job *job;
};

/* The windows of the current epoch: an even sample of all that came by, the `train.windows` with the smallest random
 * rank.  Ranks depend on seed and offset alone, so the sample does not depend on the order of the waves. */
struct lane_window {
    uint64_t rank; /* under train.champion the lowest bit says that it is held out: lane_held.c */
    int64_t offset;
    int channel;
    float *block; /* of every network that learns with shared weights, one after another */
};
struct lane_windows {
    int n;
    struct lane_window *item; /* [train.windows] */
};

/* Blocks of windows in no order. */
struct lane_blocks {
    int n, cap;
    float **item; /* [cap] */
};

/* A stretch of a key's past as a key would see it that began with it: lane_young.c. */
struct lane_young {
    struct point *points; /* [n_steps, n_dims] */
    float *away;          /* [n_steps, n_dims] distance from the mean, as windows keep it */
};

/* Windows that outlive their epoch, oldest first: lane_pool.c. */
struct lane_pool {
    int n, cap;
    float **item;   /* [cap] blocks */
    int64_t *epoch; /* [cap] at whose end each came in; 0 where nobody asks */
};
enum { LANE_HELD_MOST = TRAIN_HELD_MOST };

/* What lane_abort() goes back to. */
struct lane_mark {
    bool set;
    int64_t next, epoch;
    struct lane_clock clock;
    int n_jobs, n_replay, n_held;
    int64_t replay_seen;
    struct weights *weights;
    struct lane_triggers triggers;
    bool windows_apart; /* the sample has changed since: `windows` is what it was */
    struct lane_windows windows;
    struct lane_stats stats;
    int64_t told_before;
};

/* What the detectors say of which no kind of their own holds: the incident that the score opens is made of it. */
struct lane_unclaimed {
    double score, evidence;
    const char *fault;
};

/* One event of a turn on its way through the waves. */
struct lane_item {
    struct key_row *row;
    uint64_t hash;
    int64_t expired_before; /* event time; a key idle since before this is forgotten */
    int wave, block;
    bool stepped; /* it was folded in, so forecasts follow */
    struct eddy_season season;
    struct lane_unclaimed unclaimed;
};

/* Where the parts of a result's block begin (lane_fold.c). */
struct lane_places {
    size_t forecast, band_lower, band_upper, widest; /* widest: of all bands, from the first on */
    size_t smoothed, classes, moves, experts;
    bool has_moves;
};

/* The rows of one network in a turn: [events, channels]. */
struct lane_rows {
    float **state, **y;
    float *inputs, *outputs; /* [events, channels, n_in], [events, channels, n_out] */
};

struct lane {
    const struct plan *plan;
    struct lane_request request;
    char *topic;
    struct store *store, *own_store;
    struct keyspace *keys;
    struct trainer *trainer;
    struct window_set *gather; /* NULL = nobody wants copies */
    struct weights *weights;
    bool in_epochs; /* shared weights that learn: turns are cut at epoch boundaries */

    int64_t next, start, epoch, checkpointed;
    struct lane_clock clock;
    int64_t swept;          /* keys idle since before this event time have left the store; INT64_MIN = not yet */
    struct lane_save *save; /* lane_save.c: a checkpoint in the making; NULL until the first one */
    char trace[SOURCE_TRACE_BYTES]; /* of the next checkpoint's position; "" = none is stored */
    uint64_t model_stored;          /* version that the store holds; UINT64_MAX = none */
    struct lane_job *jobs;          /* [cap_jobs] the first n_adopted were adopted in this batch */
    int n_jobs, n_adopted, cap_jobs;
    struct lane_triggers triggers;
    int watched; /* expert whose error is the live loss; -1 = what is written out */
    struct lane_windows windows;
    struct lane_pool replay, held; /* to draw from again; never trained on */
    int64_t replay_seen;           /* fresh windows so far */
    const float **mixed_blocks;    /* [lane_replay_most] a job's windows in the order of training */
    struct lane_blocks spare;      /* for reuse */
    struct lane_blocks dropped;    /* out of the sample in this batch; the mark may hold them */
    struct train_scratch *scratch;
    struct lane_young young;
    float *gathered;   /* a job's windows one after another; or the window in hand */
    double *cut_ahead; /* [n_horizons] */
    double *cut_known; /* [n_steps, n_dims] values of the series that a window is cut from; NaN = not known */
    struct lane_share share;
    struct lane_mark mark;
    struct lane_stats stats;

    /* Scratch of a turn, for cap_events events. */
    int cap_events, most_events;
    struct lane_item *items;
    int *order, *by_wave, *wave_first;
    struct lane_places places;
    double *values;                         /* results, see lane_fold.c */
    size_t values_each;                     /* doubles per event */
    char **expert_names;                    /* [n_experts]; NULL: nobody asks */
    float *attribution;                     /* [events, n_values] */
    struct eddy_incident *incidents;        /* [events, n_kinds] what there is to tell */
    char (*incident_ids)[EDDY_INCIDENT_ID]; /* [events] */
    bool *steps;                            /* [events, channels] the series steps */
    float *elapsed;                         /* [events, channels] */
    struct point *points;                   /* [events, n_values] */
    struct lane_rows rows[EDDY_MAX_NETWORKS];

    struct silence *silence; /* NULL: nobody is watched */
    struct expiry *expiry;   /* keys with open incidents; NULL: no key is forgotten for its age */
    int64_t told_before;     /* event time: incidents of keys last seen before are told of; INT64_MIN = of none */
    unsigned char *open_incidents; /* [n_kinds, incident_bytes] of a key that is */
    struct lane_told *told;        /* [cap_told] the turn's news */
    int n_told, cap_told;

    /* Scratch of one event. */
    float *part_scores;            /* [n_values] one detector's attribution */
    double *residuals;             /* [n_horizons, n_values] of what was written out */
    double *expert_residuals;      /* [n_experts, n_horizons, n_values]; several experts only */
    double *opinions;              /* [n_dims, n_experts, n_horizons] of one series */
    double *mixed;                 /* [n_horizons] */
    double *spreads;               /* [n_dims, n_horizons] of one series, as parts expect it of other keys */
    double *errors;                /* [n_experts, n_horizons] of one value */
    double *before;                /* [2, n_values] last value and scale before the event */
    double *ahead;                 /* [n_dims, n_ahead + 1] of one series; seasonal only */
    double *levels;                /* [n_dims] */
    unsigned char **contributions; /* [n_dims] of one series; lane_share.h; NULL where nothing is shared */
    struct season_course *courses; /* [n_dims] */
    struct calendar_memory calendar;
    float *season_inputs;         /* [n_dims, SEASON_INPUTS] */
    float *extras;                /* [n_extras] of the event, then n_season_extras of the series in hand */
    float *head;                  /* [widest n_targets] */
    double *transformed, *judged; /* [n_values] the event as it is worked on, and as detectors see it */
    struct lane_event transformed_event;

    /* Scratch of a wave, for the rows of one network, close together. */
    const float **wave_x;
    float **wave_state, **wave_y;
    float *wave_elapsed;
    float *work, *packed; /* for the largest network */
};

/* How many there are of everything.  What runs at every event takes it as an argument and is inlined into two functions:
 * one of the plan's numbers, and one for jobs that are plan->single, with constants.  In the second the compiler leaves out
 * loops, products and options, which would be half of what such an event costs around its network. */
struct lane_shape {
    int n_values, n_channels, n_dims, n_networks, n_experts;
    bool general; /* not plan->single: there may be transforms, fixed scales, volatility, bands of a head, parts that
                     forecast, categories, networks that look back or classify, and models that keys share */
    struct outlook_shape outlook;
};
static inline struct lane_shape lane_shape_of(const struct plan *p)
{
    return (struct lane_shape){.n_values = p->n_values,
                               .n_channels = p->n_channels,
                               .n_dims = p->n_dims,
                               .n_networks = p->n_networks,
                               .n_experts = p->n_experts,
                               .general = true,
                               .outlook = p->outlook};
}
static inline struct lane_shape lane_shape_single(const struct plan *p)
{
    static const int HORIZONS[] = {1};
    static const size_t FIRST[] = {0, 1};
    /* By name: within the literal below gcc 12 keeps it in memory, and no member counts as a constant. */
    const struct outlook_shape outlook = {
        .n_horizons = 1, .n_dims = 1, .horizons = HORIZONS, .first = FIRST, .n_edges = 2 * p->n_bands};
    return (struct lane_shape){.n_values = 1,
                               .n_channels = 1,
                               .n_dims = 1,
                               .n_networks = 1,
                               .n_experts = 1,
                               .general = false,
                               .outlook = outlook};
}

/* lane_fold.c */
void lane_fold(struct lane *, const struct lane_event *, struct lane_item *, int i, struct eddy_result *);
void lane_fold_single(struct lane *, const struct lane_event *, struct lane_item *, int i, struct eddy_result *);
void lane_fold_open(struct lane *); /* finds the places of a result's block, and how long it is, once */

int lane_most_events(const struct lane *); /* of one turn */

/* lane_rows.c */
/* Finds the rows of the first event and of those that follow it up to the offset `until` or a tombstone, as many as the cache
 * holds, and returns of how many; the k-th event of a key among them goes to wave k, so that order per key holds. */
eddy_status lane_find_rows(struct lane *, const struct lane_event *, int n, int64_t until, int *n_waves,
                           struct eddy_error *);
/* order[wave_first[w] .. wave_first[w + 1]) are the events of the w-th wave to take, in arrival order; returns how many
 * waves there are. */
int lane_sort_waves(struct lane *, int n, int n_waves);

/* lane_experts.c: what results tell of every expert, when somebody asks (l->expert_names). */
void lane_experts_close(struct lane *);
struct eddy_experts lane_experts_at(const struct lane *, double *block);
void lane_experts_errors(const struct lane *, const struct eddy_result *);
void lane_experts_weights(const struct lane *, const void *mix, int64_t step, int value, const struct eddy_result *);

/* lane_inputs.c */
/* The value as the networks see it; a missing one by its policy. */
void lane_point_of(const struct lane *, const struct key_row *, int value, double x, double xhat,
                   const struct eddy_season *, struct point *);
void lane_point_single(const struct lane *, const struct key_row *, double x, double xhat, const struct eddy_season *,
                       struct point *);
/* x against a scale that has just learnt it; `last` came before it. */
struct point lane_point_against(const struct plan *, const struct scale *, int value, double x, double last,
                                bool known);
float lane_clock_of(const struct lane *, const struct key_row *, double elapsed_s);
void lane_inputs(struct lane *, const struct plan_network *, const struct point_head *, const struct point *,
                 const float *categories, const float *season, int channel, float *u);
/* Writes the inputs of one channel for every network, and queues its rows for the wave's step. */
void lane_queue(struct lane *, struct lane_item *, int i, int channel, const struct point_head *);
void lane_queue_single(struct lane *, struct lane_item *, int i, const struct point_head *);
struct point_head *lane_point(const struct lane *, const struct key_row *, int channel, int64_t step);

/* lane_season.c */
/* Where in the season the key's next event lies, when it comes at time_ns. */
struct eddy_season lane_season(const struct lane *, const struct key_row *, int64_t time_ns);
/* Looks for a cycle in the key's own past; with another one the profiles begin anew. */
void lane_season_find(const struct lane *, struct key_row *, const struct point *points /* [n_values] */);
/* What networks read of the season into season_inputs, and what windows keep of it behind the extras; where they do. */
void lane_season_inputs(struct lane *, const struct lane_item *, int channel, const struct point *points);
/* The same out of a window's step: its phase, and [n_dims] distances from the mean. */
struct lane_courses {
    const struct season_course *item; /* [n_dims] */
    double steps;
};
struct lane_courses lane_courses(struct lane *, const struct key_row *, int channel, double steps);
void lane_season_inputs_kept(struct lane *, const struct lane_courses *, const struct point *points, float phase,
                             const float *away);

/* lane_step.c */
eddy_status lane_step_open(struct lane *, struct eddy_error *);
void lane_step_close(struct lane *);
eddy_status lane_step_reserve(struct lane *, int n_events, struct eddy_error *);
void lane_step_free(struct lane *);
void lane_step_wave(struct lane *, const int *order, int n);

/* lane_foresee.c */
void lane_residuals(struct lane *, const struct key_row *, int value, double x, const struct eddy_result *);
void lane_foresee(struct lane *, struct lane_item *, int i, struct eddy_result *);
void lane_residuals_single(struct lane *, const struct key_row *, double x, const struct eddy_result *);
void lane_foresee_single(struct lane *, struct lane_item *, int i, struct eddy_result *);

/* lane_look_back.c, where a network looks back: after the networks' step, before the series' count moves on. */
void lane_look_back(struct lane *, struct lane_item *, int i, struct eddy_result *);
void lane_look_back_keep(struct lane *, const struct key_row *, int channel, const struct eddy_event *,
                         const double *base, const double *sigma);

/* lane_moves.c, where the result has room for them: when the bands are known, before it leaves the domain in which it was
 * made. */
void lane_moves(const struct lane *, const struct key_row *, const struct eddy_result *);

/* lane_transform.c, where values are transformed (plan->transform). */
/* The event as the lane works on it (valid until the next call). */
const struct lane_event *lane_transform_event(struct lane *, const struct lane_event *);
/* A finished result back in the values' own domain; `in` is the event as it came. */
void lane_transform_result(const struct lane *, const struct lane_event *in, const struct eddy_result *);
/* [n_values] what detectors see of transformed values, before anything has learned from them: log_return, the change. */
const double *lane_transform_judged(struct lane *, const struct key_row *, const double *x);

/* lane_judge.c */
void lane_judge(struct lane *, struct lane_item *, int64_t elapsed_ns, struct eddy_result *);
void lane_judge_single(struct lane *, struct lane_item *, int64_t elapsed_ns, struct eddy_result *);
/* The detectors of the network that looks back; their verdicts count for `out` too, unless it is NULL. */
double lane_judge_look_back(struct lane *, struct lane_item *, struct eddy_evidence *, struct eddy_result *out);

/* lane_silence.c */
eddy_status lane_silence_open(struct lane *, struct eddy_error *);
void lane_silence_close(struct lane *);
/* Where they are watched for: l->silence. */
eddy_status lane_silence_event(struct lane *, const struct lane_event *, uint64_t hash, struct eddy_error *);
eddy_status lane_silence_tombstone(struct lane *, const struct lane_event *, struct eddy_error *);
void lane_silence_forget(struct lane *, const char *key, size_t key_len);
eddy_status lane_silence_restore(struct lane *, struct eddy_error *);

/* lane_news.c */
struct lane_news {
    const char *key; /* borrowed until the batch ends */
    size_t key_len;
    uint64_t hash;
    int64_t since_ns,
        now_ns; /* news of one offset come in the order of `since`, then of hash, then as they were added */
    int64_t offset;
};
eddy_status lane_news_add(struct lane *, const struct lane_news *, const struct eddy_incident *, struct eddy_error *);
void lane_news_sort(struct lane *); /* when the turn has ended */

/* lane_expiry.c */
eddy_status lane_expiry_open(struct lane *, struct eddy_error *);
void lane_expiry_close(struct lane *);
/* After an event that was folded in, where keys expire (l->expiry): whether an incident of its key is open now. */
eddy_status lane_expiry_follow(struct lane *, const struct lane_item *, const struct eddy_result *,
                               struct eddy_error *);
/* Before the row of a key that has expired begins anew, in a turn of `taken` events. */
eddy_status lane_expiry_reset(struct lane *, const struct lane_item *, const struct lane_event *, int taken,
                              struct eddy_error *);
/* After the waves of such a turn. */
eddy_status lane_expiry_turn(struct lane *, const struct lane_event *, int taken, struct eddy_error *);
/* Before the tombstone takes the row away. */
eddy_status lane_expiry_tombstone(struct lane *, const struct lane_event *, struct eddy_error *);
eddy_status lane_expiry_forget(struct lane *, const char *key, size_t key_len, struct eddy_error *);
eddy_status lane_expiry_blob(const struct lane *, struct eddy_buffer *);
eddy_status lane_expiry_restore(struct lane *, struct eddy_error *);
eddy_status lane_expiry_edited(struct store *, struct eddy_error *); /* the stored list is of no use any more */

/* lane_incident.c */
void lane_incident_id(uint64_t id, char out[EDDY_INCIDENT_ID]);
/* The incidents of a detector's own kinds, from its verdict. */
void lane_incident_kinds(struct lane *, const struct plan_judge *, const struct key_row *, bool warmup,
                         const struct eddy_verdict *, struct eddy_result *);
/* The score's, when the result is complete. */
void lane_incident(struct lane *, const struct lane_item *, struct eddy_result *);
/* Which one is open after event i. */
void lane_incident_show(struct lane *, const struct key_row *, int i, struct eddy_result *);

/* lane_classes.c */
float lane_class(const struct plan *, const char *label, size_t len); /* NaN: none of the network's classes */
void lane_classify(struct lane *, const struct lane_item *, int i, struct eddy_result *);
void lane_label(struct lane *, struct key_row *, const struct eddy_event *);

/* lane_windows.c */
size_t lane_window_floats(const struct plan *); /* of all networks that learn with shared weights */
eddy_status lane_keep_window(struct lane *, struct lane_window, const float *block, struct eddy_error *);
bool lane_wants_window(const struct lane *, uint64_t rank);
/* Random bits of a window for one purpose: they depend on seed, offset and channel alone. */
uint64_t lane_window_draw(const struct lane *, const struct lane_window *, uint64_t purpose);
void lane_cut_windows(struct lane *, const struct key_row *, int channel, bool young, float *block);
void lane_cut(struct lane *, const struct plan_network *, const struct key_row *, int channel, bool young,
              float *block);
void lane_keep_start(const struct lane *, struct key_row *, int channel);
void lane_drop_window(struct lane *, float *block);  /* out of the sample */
void lane_spare_window(struct lane *, float *block); /* a block that nobody holds */
void lane_windows_part(struct lane *);               /* before the sample changes */
void lane_windows_commit(struct lane *);
void lane_windows_abort(struct lane *);
void lane_windows_close(struct lane *);

/* lane_young.c */
eddy_status lane_young_open(struct lane *, struct eddy_error *);
void lane_young_close(struct lane *);
bool lane_young_wants(const struct lane *, const struct lane_window *);
/* Makes l->young what a new key would keep of the steps first .. end - 1. */
void lane_young_view(struct lane *, const struct key_row *, int channel, int64_t first, int64_t end);

/* lane_pool.c */
struct blob_reader;
eddy_status lane_pool_push(struct lane *, struct lane_pool *, const float *block, int64_t epoch,
                           struct eddy_error *);                                    /* a copy */
const float *const *lane_pool_last(const struct lane_pool *, int64_t most, int *n); /* borrowed, the newest of them */
void lane_pool_commit(struct lane *, struct lane_pool *, int64_t most);
void lane_pool_abort(struct lane *, struct lane_pool *, int n);
void lane_pool_close(struct lane_pool *);
eddy_status lane_pool_put(const struct lane *, const struct lane_pool *, struct eddy_buffer *, eddy_status before);
eddy_status lane_pool_get(struct lane *, struct lane_pool *, struct blob_reader *, bool *good, struct eddy_error *);

/* lane_held.c */
/* Whether the series' latest window is held out, which its rank says then, or trained on; false: neither. */
bool lane_held_draw(const struct lane *, const struct key_row *, int channel, uint64_t *rank);
eddy_status lane_held_take(struct lane *, int64_t boundary, struct eddy_error *);    /* out of the epoch's windows */
const float *const *lane_held_recent(const struct lane *, int64_t boundary, int *n); /* borrowed */
eddy_status lane_held_blob(const struct lane *, struct eddy_buffer *);
eddy_status lane_held_restore(struct lane *, struct eddy_error *);

/* lane_replay.c */
int lane_replay_most(const struct plan *); /* windows of a job at most */
/* The windows of the epoch with replayed ones among them, in the order of training; returns how many. */
int lane_replay_mix(const struct lane *, int64_t boundary, const float **blocks /* [lane_replay_most] */);
eddy_status lane_replay_admit(struct lane *, struct eddy_error *); /* the windows of the epoch, after the mix */
eddy_status lane_replay_blob(const struct lane *, struct eddy_buffer *);
eddy_status lane_replay_restore(struct lane *, struct eddy_error *);

/* lane_train.c */
bool lane_enter_epoch(struct lane *, int64_t epoch, eddy_status *rc,
                      struct eddy_error *); /* false: waiting, or rc < 0 */
eddy_status lane_learn(struct lane *, struct key_row *, int channel, int64_t offset, struct eddy_error *);
/* Step `step` of the series is one that train.incidents or train.exclude leaves out. */
void lane_learn_not(const struct lane *, struct key_row *, int channel, int64_t step);
bool lane_label_excluded(const struct plan *, const struct eddy_event *);
const float *lane_own_weights(struct lane *, const struct plan_network *, struct key_row *); /* packed for a step */
void lane_train_mark(struct lane *);
void lane_train_commit(struct lane *);
void lane_train_abort(struct lane *);
void lane_train_close(struct lane *);
eddy_status lane_train_open(struct lane *, struct eddy_error *);
void lane_train_stats(const struct lane *, struct lane_stats *);
/* The error of a value that has just come, for the live loss; right after lane_residuals(). */
void lane_train_error(struct lane *, const struct key_row *, int value);
/* `windows` are n windows, then n_held that are held out, of every network with shared weights, network by network. */
eddy_status lane_submit(struct lane *, int64_t boundary, const float *windows, int n, int n_held,
                        struct eddy_error *);

/* lane_store.c */
eddy_status lane_no_memory_for(const struct lane *, const char *what, struct eddy_error *);
/* The names of the values as they are stored. */
eddy_status lane_schema_blob(const struct plan *, struct eddy_buffer *);

struct lane_position lane_position(const struct lane *);
eddy_status lane_position_blob(const struct lane_position *, struct eddy_buffer *);

/* lane_save.c */
void lane_save_close(struct lane *); /* after the keyspace, which ends what the storage thread does with it */

/* lane_restore.c */
eddy_status lane_restore(struct lane *, struct eddy_error *);

/* v within +-limit; 0 when it is not a number. */
static inline double lane_clip(double v, double limit)
{
    return v > limit ? limit : v < -limit ? -limit : v == v ? v : 0;
}

/* Sections of a row. */
static inline int64_t *lane_steps(const struct lane *l, const struct key_row *r)
{
    return (int64_t *)(void *)(r->row + l->plan->at_steps);
}
static inline struct scale *lane_scale(const struct lane *l, const struct key_row *r, int value)
{
    return (struct scale *)(void *)(r->row + l->plan->at_scale) + value;
}
static inline struct volatility *lane_volatility(const struct lane *l, const struct key_row *r,
                                                 int value) /* NULL = bands do not follow it */
{
    if (l->plan->at_changes < 0) return NULL;
    return (struct volatility *)(void *)(r->row + l->plan->at_changes) + value;
}
static inline struct season_profile *lane_profile(const struct lane *l, const struct key_row *r,
                                                  int value) /* seasonal only */
{
    const size_t each = season_profile_bytes(l->plan->n_season_bins);
    return (struct season_profile *)(void *)(r->row + l->plan->at_season + (size_t)value * each);
}
static inline float *lane_state(const struct plan_network *n, const struct key_row *r, int channel)
{
    return (float *)(void *)(r->row + n->at_state) + (size_t)channel * n->net->n_state;
}

#endif

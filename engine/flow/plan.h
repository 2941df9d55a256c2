/* What a configuration makes of a series: the networks and experts, their training windows and the directory of a key's
 * row.  Planned once per lane from settings and schema, read only afterwards; `eddy check` and `eddy estimate` print it.
 *
 * A key has n_channels series of n_dims values each: with `channels: independent` one per value (they share the weights,
 * a one-hot of the channel is an input), with `joint` a single one for all values.
 *
 * plan.c            the whole, its directory, estimates        plan_networks.c   networks, their tasks and inputs
 * plan_experts.c    who forecasts, and who judges   plan_text.c     what stored weights must agree with
 * plan_sound.c      what may be believed of a stored row */
#ifndef ENGINE_FLOW_PLAN_H
#define ENGINE_FLOW_PLAN_H

#include "config/settings.h"
#include "eddy_codec.h"
#include "eddy_detector.h"
#include "eddy_expert.h"
#include "engine/forecast/blend.h"
#include "engine/forecast/outlook.h"
#include "engine/forecast/season.h"
#include "engine/forecast/season_choice.h"
#include "engine/forecast/season_search.h"
#include "engine/model/model.h"
#include "engine/state/store.h"
#include "engine/train/tbptt.h"

/* One step of the past, kept for training windows: struct point_head, then per value of the channel a struct point, then
 * n_extras floats: the label (a class, NaN = none) where a network classifies, the categories, and where networks read the
 * season or forecast from it the phase and the distance from the mean per value of the channel (lane_season.c). */
struct point_head {
    int64_t time_ns;
    float elapsed_s, elapsed; /* seconds; squashed to -1..1 around the key's usual interval */
};
struct point {
    double value;       /* as it came, or what stands in for it */
    float sigma, z, dz; /* scale; level and difference in units of it */
    float known;        /* 1, or 0 for a missing value */
};

/* What a network is for. */
enum { SEASON_INPUTS = 7 }; /* that a network reads of it, per value */
enum plan_task {
    TASK_FORECAST,  /* the values `horizons` steps ahead */
    TASK_LOOK_BACK, /* the values `lag` steps ago, from what came before and after them */
    TASK_CLASSIFY   /* the label of the event */
};

struct plan_network {
    const char *name;
    const char *where; /* "file:line: path", for messages; "" when unknown */
    const struct network_settings *settings;
    struct network *net;
    int task;         /* enum plan_task */
    bool own_weights; /* per key */
    bool learns;
    bool unheard; /* only its hidden outputs are read: its head need not be stepped */
    bool reads[N_NETWORK_INPUTS];
    int n_horizons;  /* 1 unless it forecasts */
    int *at_horizon; /* [n_horizons] index in the plan's horizons; forecasting networks only */
    struct window_shape
        window;   /* n_steps is `train.window` stretched past the largest horizon, a multiple of `every` */
    int n_starts; /* states kept for window starts: n_steps / every */
    /* Offsets of its sections in a row; -1 = absent. */
    int64_t at_state;     /* [n_channels, n_state] float */
    int64_t at_starts;    /* [n_channels, n_starts, n_state] float  training only */
    int64_t at_weights;   /* master | moment | variance | ema, each [n_params] float; own weights only */
    int64_t at_optimiser; /* int64_t: optimiser steps + 1, 0 = weights not yet made; own weights only */
    int64_t at_pace;      /* struct train_pace; own weights under train.schedule plateau only */
    int64_t at_look_back; /* [n_channels, lag + 1, look_back_bytes] look_back.h */
};

/* What the keys share of something: where it lies in the lane's model, and an event's part in its contribution. */
struct plan_share {
    size_t model_bytes, at_model, at_contribution; /* model_bytes 0 = nothing */
};

struct plan_expert {
    const struct eddy_expert *part;
    const void *settings;
    int network;      /* index of the network that it is; -1 = the part forecasts by itself */
    int reads;        /* index of the network whose hidden outputs it reads; -1 = none */
    size_t at_hidden; /* where in that network's state they begin */
    struct eddy_expert_shape shape;
    size_t bytes;     /* of its state per value */
    int64_t at_state; /* [n_values, bytes] */
    size_t kept_each; /* bytes that it keeps of a step; 0 = nothing */
    int n_kept;       /* of so many steps */
    size_t kept;      /* bytes of them all, per value */
    int64_t at_kept;  /* [n_values, kept] */
    struct plan_share share;
};

/* A detector and whose residuals it looks at. */
struct plan_judge {
    const struct eddy_detector *part;
    const void *settings;
    int expert;  /* index of the expert; -1 = the forecast as it is written out */
    int network; /* index of the network that looks back; -1 = none */
    int64_t at_state;
    int first_kind, n_kinds; /* of its own incidents, in the plan's kinds */
};

struct plan {
    const struct settings *settings;
    struct eddy_schema schema; /* owned; categories are the codec's, unless the caller's schema has some */
    int n_values, n_channels, n_dims, n_bands;
    struct outlook_shape outlook;         /* horizons */
    int *missing;                         /* [n_values] enum missing_policy */
    int *transform;                       /* [n_values] enum transform; NULL when all are none */
    double *band_z;                       /* [n_bands] normal quantiles of the upper edges */
    double *fixed_mean, *fixed_deviation; /* [n_values] of scaling fixed; NULL when it is robust */

    int n_networks, n_experts, n_judges;
    struct plan_network *networks;                 /* [n_networks] */
    struct plan_expert *experts;                   /* [n_experts]; with one expert alone nothing is mixed */
    struct plan_judge *judges;                     /* [n_judges] */
    const char **kinds;                            /* [n_kinds] of incidents; the first is the score's, "anomaly" */
    const char **faults;                           /* [n_faults] that the score can speak of; the first is unknown */
    int n_kinds, n_faults, n_drivers;              /* n_drivers: values that an incident names at most */
    size_t incident_bytes;                         /* of one in a row: lane_incident.c */
    struct model *model;                           /* all networks */
    struct window_shape shared[EDDY_MAX_NETWORKS]; /* windows of those that learn with shared weights; the others have
                                                      n_steps 0 */
    struct eddy_expert_shape expert_shape;
    struct season_rule season;
    bool seasonal;          /* somebody reads the season's profile */
    bool networks_seasonal; /* networks do, or forecast from it */
    bool looks_ahead;       /* somebody asks how the season goes on: what networks forecast from, or an expert */
    int n_ahead;            /* how far it is looked ahead; expert_shape.n_ahead if an expert reads it */
    int n_season_bins;      /* of the profile */
    struct blend blend;     /* several experts only */
    struct mix_groups mix_groups;
    struct plan_share prior; /* of the blend: engine/forecast/prior.h */
    uint32_t prior_version;  /* what its model must fit */
    int classifier, looker;  /* index of the network that classifies, and of the one that looks back; -1 = none */
    size_t shared_bytes, contribution_bytes; /* of all that keys share; lane_share.c */
    bool single; /* one value, the next step, one network alone, and nothing that few ask for (lane_shape_single()) */
    bool training;
    bool parts_forecast;           /* some expert is a part that forecasts by itself */
    bool head_bands;               /* the bands are those that the only expert's head says */
    struct loss_tail *tails;       /* [2 * n_bands] lower and upper edge of each; head_bands only */
    int n_steps;                   /* steps kept for windows: the longest window */
    int n_extras, n_season_extras; /* the latter are the last of the former */
    size_t n_pieces, piece_bytes;  /* what an event changes at most in the sections that are undone piece by piece */
    size_t point_bytes, outlook_bytes, tracker_floats, mix_bytes; /* per channel and step; per channel; per value and
                                                                     horizon; per value */
    struct row_layout layout;
    /* Offsets of the sections in a row; -1 = absent.  The shapes are per key. */
    int64_t at_clock;     /* double: usual seconds between events */
    int64_t at_scale;     /* [n_values] struct scale */
    int64_t at_changes;   /* [n_values] struct volatility; forecast.volatility only */
    int64_t at_season;    /* [n_values] struct season_profile; seasonal only */
    int64_t at_search;    /* struct season_search; seasonal and season auto only */
    int64_t at_choice;    /* struct season_choice; with it */
    int64_t at_past;      /* struct season_past; with it */
    int64_t at_steps;     /* [n_channels] int64_t: steps of the series */
    int64_t at_outlook;   /* [n_channels, outlook_bytes] */
    int64_t at_mix;       /* [n_values, mix_bytes]; several experts only */
    int64_t at_trackers;  /* [n_values, n_horizons, tracker_floats] float */
    int64_t at_edges;     /* [n_values, 2] float: the widest band of the last forecast for h = 1; head_bands only */
    int64_t at_incidents; /* [n_kinds, incident_bytes] */
    int64_t
        at_unlearnt; /* [n_channels] step after the last one that nobody learns from; train.incidents: skip or train.exclude only */
    int64_t at_points; /* [n_channels, n_steps, point_bytes]   training only */
};

eddy_status plan_open(const struct settings *, const struct eddy_schema *, struct plan **, struct eddy_error *);
void plan_close(struct plan *); /* NULL is fine */
/* What stored weights must agree with to be used again: the networks, and the horizons that their outputs mean. */
eddy_status plan_fingerprint(const struct plan *, struct eddy_buffer *);
/* The first lines in which two of them differ, for messages: it says "..", the configuration "..". */
enum { PLAN_DIFFERENCE = 400 };
void plan_difference(const char *stored, size_t n_stored, const char *configured, size_t n_configured,
                     char out[PLAN_DIFFERENCE]);
/* Takes what only the networks that made it can read out of a stored directory: states, and weights of a key's own. */
void plan_forget_networks(struct row_layout *stored);
/* Makes a zeroed row that of a new key; `plan` is a struct plan *, as keyspaces and stores hand it on. */
void plan_prepare_row(void *plan, unsigned char *row);
/* What of a stored row cannot be, by name (of a section or a part), NULL when it may be worked on; `row` is aligned as in a
 * keyspace.  Likewise `plan`. */
const char *plan_row_unsound(void *plan, const struct stored_row *);
/* The network of that name, or -1. */
int plan_network_named(const struct plan *, const char *name);
/* Which residuals a judge is shown. */
int plan_judge_horizons(const struct plan *, const struct plan_judge *, const int **horizons);
/* Which state_version the part of a section had when it wrote a directory that says `meaning` for its version, all else
 * being as it is planned, and the one that it has now; 0 = none that is near, or no part's section. */
uint32_t plan_part_version(const struct plan *, const struct section *, uint32_t meaning, uint32_t *now);

/* The expert that says which network forecasts; for the list of built-in parts. */
extern const struct eddy_expert expert_network;

/* Bytes per key for keys of `key_len` bytes, resident and on disk, and of a partition's weights. */
struct plan_estimate {
    size_t resident_bytes, disk_bytes, model_bytes;
};
void plan_estimate(const struct plan *, size_t key_len, struct plan_estimate *);

#endif

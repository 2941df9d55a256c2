/* The settings of one pipeline: what the configuration says, as plain data.
 * The root option table (config/settings.c) is the one place where these options are declared, with their defaults. */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include "eddy_part.h"

enum channels { CHANNELS_INDEPENDENT, CHANNELS_JOINT };
enum scope { SCOPE_SHARED, SCOPE_KEY };
enum network_scope {
    NETWORK_SCOPE_FORECAST,
    NETWORK_SCOPE_SHARED,
    NETWORK_SCOPE_KEY
}; /* the first: forecast.scope */
enum scaling { SCALING_ROBUST, SCALING_FIXED };
enum anchor { ANCHOR_LAST, ANCHOR_SEASON, ANCHOR_NONE };
enum mix_horizons { MIX_GROUPED, MIX_TOGETHER };
enum mix_kind { MIX_HEDGE, MIX_STACK, MIX_BOTH };
enum smoothed_score { SMOOTHED_SCORE_APART, SMOOTHED_SCORE_RECONSTRUCTION };
/* What a network can read, as users write it; the order is that of the inputs. */
enum network_input {
    INPUT_LEVEL,      /* value minus its mean, in scales */
    INPUT_DIFFERENCE, /* value minus the one before, in scales */
    INPUT_KNOWN,      /* 1, or 0 for a missing value */
    INPUT_ELAPSED,    /* time since the last event against the usual one */
    INPUT_CALENDAR,   /* hour of day and day of week */
    INPUT_CHANNEL,    /* which value of the record it is, one-hot */
    INPUT_SEASON,     /* where it stands against its season's mean, and what the season will bring */
    INPUT_CATEGORIES, /* the record's categories */
    N_NETWORK_INPUTS
};
extern const char *const network_input_words[]; /* by enum network_input; NULL-terminated */
enum optimiser { OPTIMISER_ADAM, OPTIMISER_RMSPROP, OPTIMISER_SGD };
enum schedule { SCHEDULE_CONSTANT, SCHEDULE_WARMUP, SCHEDULE_INVERSE_SQRT, SCHEDULE_COSINE, SCHEDULE_PLATEAU };
enum train_mode { TRAIN_BACKGROUND, TRAIN_INLINE, TRAIN_OFF };
enum train_incidents { TRAIN_INCIDENTS_LEARN, TRAIN_INCIDENTS_SKIP };
enum on_change { ON_CHANGE_REFUSE, ON_CHANGE_RESET };
enum missing_state { MISSING_STATE_REBUILD, MISSING_STATE_REFUSE };
enum state_ahead { STATE_AHEAD_REFUSE, STATE_AHEAD_REBUILD, STATE_AHEAD_TRUST };
enum state_gap { STATE_GAP_REFUSE, STATE_GAP_ACCEPT };
enum tolerance { TOLERANCE_ALL, TOLERANCE_NONE };
enum late_policy { LATE_FOLD, LATE_DROP };
enum guarantee { GUARANTEE_AT_LEAST_ONCE, GUARANTEE_EXACTLY_ONCE };
enum latency { LATENCY_BALANCED, LATENCY_LOW, LATENCY_THROUGHPUT };
/* What stands in for a missing value. */
enum missing_policy {
    MISSING_LAST,     /* the last known value stands in, its difference is 0 */
    MISSING_FORECAST, /* what was forecast for it stands in */
    MISSING_SKIP      /* the network does not step (joint: when all values are missing) */
};
extern const char *const missing_policy_words[]; /* as users write them, by enum missing_policy; NULL-terminated */

/* The domain in which a value is forecast and judged: engine/forecast/transform.h. */
enum transform { TRANSFORM_NONE, TRANSFORM_LOG, TRANSFORM_LOG_RETURN };
extern const char *const transform_words[]; /* by enum transform; NULL-terminated */
enum volatility_kind { VOLATILITY_NONE, VOLATILITY_EWMA };

enum { EDDY_MAX_NETWORKS = 8 }; /* of one pipeline */

struct network_settings {
    struct eddy_choices layers;  /* of kind EDDY_PART_LAYER, bottom to top */
    bool residual;               /* a layer's input is added to its output where both are equally wide */
    bool bias;                   /* the head has one */
    int loss;                    /* enum loss_kind (engine/model/loss.h) */
    double delta;                /* of loss huber */
    double freedom;              /* of loss student_t */
    struct eddy_reals quantiles; /* of loss quantiles: levels, ascending */
    struct eddy_strings classes; /* of losses sigmoid and softmax: the names of the labels */
    struct eddy_ints horizons;   /* none = those of `forecast` */
    struct eddy_strings inputs;  /* some of network_input_words; none = all that make sense */
    int scope;                   /* enum network_scope */
    int score;                   /* enum smoothed_score; of networks with a lag */
    bool learns;                 /* else its first weights stay */
};

/* How values become inputs and outputs become values. */
struct scaling_settings {
    int kind;                        /* enum scaling */
    struct eddy_map mean, deviation; /* fixed: per value, and `default` */
};

/* How several experts become one forecast: engine/forecast/blend.h, mix.h. */
struct mix_settings {
    double discount;                        /* of past losses, per step */
    double rate;                            /* how sharply weights follow losses */
    double floor;                           /* share that is spread evenly */
    int64_t start;                          /* labels before weights differ */
    double prior;                           /* labels that what other keys showed counts for; 0 = it does not */
    int horizons;                           /* enum mix_horizons */
    int kind;                               /* enum mix_kind */
    double stack_discount, shrink, extreme; /* engine/forecast/blend.h */
    double loss_limit;                      /* of squared errors, in units of the usual one */
    double ridge;                           /* steps that the even weights count for in the stack */
    double jump;                            /* root mean squares beyond which a label counts less */
    int64_t stack_start, shrink_start;      /* steps */
    double shrink_discount;                 /* per step */
    double extreme_prior;                   /* steps that the usual rows' proof counts for in extreme ones */
    double prior_ridge, prior_rate;         /* engine/forecast/prior.h */
};

struct moves_settings {
    double flat; /* how far a value may move and still count as flat; 0 = no probabilities of moves */
};

struct forecast_settings {
    struct eddy_ints horizons;       /* steps ahead, ascending */
    int channels;                    /* enum channels */
    int profile;                     /* none, or a word of config/profiles.c */
    int scope;                       /* enum scope */
    struct network_settings network; /* the only one, named "network", unless `networks` names others */
    struct eddy_groups networks;     /* of struct network_settings */
    struct eddy_choices experts;     /* of kind EDDY_PART_EXPERT; none = the networks that forecast */
    struct mix_settings mix;
    int64_t share_every; /* offsets between two boundaries of what keys share */
    struct scaling_settings scaling;
    int anchor;              /* enum anchor */
    const char *season;      /* config/season.h */
    struct eddy_reals bands; /* central coverages in (0, 1), ascending */
    double band_rate;        /* how fast the bands' quantiles follow; 0 = as fits */
    double band_scale_rate;  /* how fast their scale does */
    int volatility;          /* enum volatility_kind */
    struct moves_settings moves;
    struct eddy_map transform; /* per value, and `default`: a word of enum transform */
    bool calendar;             /* hour of day and day of week as inputs */
    struct eddy_map missing;   /* per value, and `default`: one of missing_policy_words */
};

struct incident_settings {   /* engine/detect/incident.h */
    int64_t min_count;       /* events */
    double hysteresis;       /* share of the threshold */
    int64_t quiet;           /* events */
    int64_t hold;            /* ns */
    int64_t repeat;          /* events after the closing */
    int64_t accept;          /* events; 0 = never */
    int64_t ongoing;         /* ns between two records of an open one; 0 = none */
    struct eddy_choice sink; /* part NULL = in the results */
};

struct silence_settings { /* engine/detect/silence.h */
    int64_t keys;         /* watched per partition; 0 = none */
    double factor;        /* usual intervals */
    int64_t events;       /* of a key before it is watched */
};

struct detect_settings {
    int sensitivity;               /* a word of config/profiles.c */
    double threshold;              /* alarm when score >= threshold */
    int64_t warmup;                /* events of a key before it is scored */
    struct eddy_choices detectors; /* of kind EDDY_PART_DETECTOR */
    struct incident_settings incidents;
    struct silence_settings silence;
};

struct train_settings {
    int mode;       /* enum train_mode */
    int64_t every;  /* events of a key between two of its training windows */
    int64_t window; /* steps of a window; stretched to reach the largest horizon */
    int optimiser;  /* enum optimiser */
    double learning_rate;
    int schedule;                /* enum schedule: engine/train/schedule.h */
    int64_t schedule_steps;      /* optimiser steps: warmup, first period, or what counts as standing still */
    double schedule_floor;       /* least share of learning_rate */
    double beta1, beta2;         /* adam */
    double alpha;                /* rmsprop: decay of the mean of squared gradients */
    double momentum;             /* sgd */
    double weight_decay;         /* decoupled; biases and the like are spared */
    double clip_value;           /* each number of the gradient, before clip_norm; 0 = off */
    double clip_norm;            /* global gradient norm */
    double ema;                  /* decay of the averaged weights that serve; 0 = serve the live weights */
    int64_t batch;               /* windows per optimiser step */
    int64_t windows;             /* windows kept per epoch, chosen evenly by reservoir */
    double replay;               /* past windows trained on again per fresh one */
    int64_t replay_windows;      /* past windows kept to draw from */
    int64_t replay_span;         /* fresh windows over which these are spread evenly */
    double young;                /* share of windows cut as of a new key */
    int incidents;               /* enum train_incidents */
    struct eddy_strings exclude; /* labels of events that networks do not learn from */
    double champion;       /* how much worse a candidate may be on windows held out, in spreads; 0 = not judged */
    int64_t keep_versions; /* of the shared weights, at checkpoints */
    int64_t epoch;         /* offsets between two boundaries at which shared weights may change */
    int64_t every_time;    /* ns of event time between two rounds of training; 0 = every epoch has one */
    int64_t drift_rounds;  /* more passes over fresh windows after the live loss has drifted; 0 = not watched */
    int64_t drift_epochs;  /* for how long, and before the next time */
    int64_t lag;           /* epochs between the end of a candidate's data and its adoption */
};

struct state_settings {
    const char *path;       /* directory */
    int64_t checkpoint;     /* ns between checkpoints */
    int64_t memory;         /* bytes for resident keys of one process, over all partitions */
    int64_t max_keys;       /* resident keys per process; 0 = by `memory` alone */
    int64_t ttl;            /* ns of event time after which an idle key is forgotten; 0 = never */
    int on_change;          /* enum on_change */
    int missing;            /* enum missing_state */
    int gap;                /* enum state_gap */
    int ahead;              /* enum state_ahead */
    const char *topic;      /* Kafka topic that keeps a copy; "" = none */
    int64_t topic_interval; /* ns between two publications of a partition */
};

struct errors_settings {
    int tolerance;                  /* enum tolerance */
    struct eddy_choice dead_letter; /* a sink (kafka | file); part NULL = log and count only */
};

struct limits_settings {
    int64_t record; /* bytes of one record's payload */
    int64_t key;    /* bytes of a key */
    int64_t depth;  /* nesting of a JSON document */
    int64_t fields; /* fields of one record */
};

struct settings {
    const char *name; /* required: group.id and state files derive from it; [A-Za-z0-9._-]{1,100} */
    int64_t seed;
    int64_t workers; /* drivers side by side in one process, each with a share of the partitions */
    struct eddy_choice source, codec, sink;
    struct forecast_settings forecast;
    struct detect_settings detect;
    struct train_settings train;
    struct state_settings state;
    struct errors_settings errors;
    struct limits_settings limits;
    int late;                    /* enum late_policy */
    int guarantee;               /* enum guarantee */
    int64_t commit_interval;     /* ns between two transactions of exactly_once */
    int latency;                 /* enum latency */
    int kernel;                  /* of settings_kernels */
    struct eddy_strings plugins; /* paths of shared libraries to load; read before anything else is validated */
};

extern const char *const settings_kernels[];        /* the names of struct settings.kernel */
extern const struct eddy_option settings_options[]; /* the root table */

#endif

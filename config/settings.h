/* The settings of one pipeline: what the configuration says, as plain data.
 * The root option table (config/settings.c) is the one place where these options are declared. */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include "eddy_part.h"

enum channels { CHANNELS_INDEPENDENT, CHANNELS_JOINT };
enum scope { SCOPE_SHARED, SCOPE_KEY };
enum train_mode { TRAIN_BACKGROUND, TRAIN_INLINE, TRAIN_OFF };
enum on_change { ON_CHANGE_REFUSE, ON_CHANGE_RESET };
enum missing_state { MISSING_STATE_REBUILD, MISSING_STATE_REFUSE };
enum tolerance { TOLERANCE_ALL, TOLERANCE_NONE };
enum late_policy { LATE_FOLD, LATE_DROP };
enum guarantee { GUARANTEE_AT_LEAST_ONCE };

struct network_settings {
    struct eddy_choices layers; /* of kind EDDY_PART_LAYER, bottom to top; default [gru: {units: 32}] */
};

struct forecast_settings {
    struct eddy_ints horizons; /* steps ahead, ascending; default [1] */
    int channels;              /* enum channels: independent | joint */
    int scope;                 /* enum scope: shared | key */
    struct network_settings network;
    struct eddy_reals bands; /* central coverages in (0, 1), ascending; default [0.5, 0.9] */
    bool calendar;           /* hour of day and day of week as inputs; default true */
    struct eddy_map missing; /* per value, and `default`: last | forecast | skip */
};

struct detect_settings {
    double threshold;              /* alarm when score >= threshold; default 0.4 */
    int64_t warmup;                /* events of a key before it is scored; default 50 */
    struct eddy_choices detectors; /* of kind EDDY_PART_DETECTOR; default [exceedance] */
};

struct train_settings {
    int mode;             /* enum train_mode: background | inline | off */
    int64_t every;        /* events of a key between two of its training windows; default 8 */
    int64_t window;       /* steps of a window; stretched to reach the largest horizon; default 48 */
    double learning_rate; /* Adam; default 2e-3 */
    double clip_norm;     /* global gradient norm; default 1 */
    double ema;           /* decay of the averaged weights that serve; default 0.99; 0 = serve the live weights */
    int64_t batch;        /* windows per optimiser step; default 4 */
    int64_t windows;      /* windows kept per epoch, chosen evenly by reservoir; default 64 */
    int64_t epoch;        /* offsets between two boundaries at which shared weights may change; default 256 */
    int64_t lag;          /* epochs between the end of a candidate's data and its adoption; default 1 */
};

struct state_settings {
    const char *path;   /* directory; default eddy-state */
    int64_t checkpoint; /* ns between checkpoints; default 10s */
    int64_t memory;     /* bytes for resident keys of one process, over all partitions; default 1GiB */
    int64_t max_keys;   /* resident keys per process; 0 = by `memory` alone */
    int64_t ttl;        /* ns of event time after which an idle key is forgotten; 0 = never */
    int on_change;      /* enum on_change: refuse | reset */
    int missing;        /* enum missing_state: rebuild | refuse */
};

struct errors_settings {
    int tolerance;                  /* enum tolerance: all | none */
    struct eddy_choice dead_letter; /* a sink (kafka | file); part NULL = log and count only */
};

struct limits_settings {
    int64_t record; /* bytes of one record's payload; default 1MiB */
    int64_t key;    /* bytes of a key; default 1KiB */
    int64_t depth;  /* nesting of a JSON document; default 32 */
    int64_t fields; /* fields of one record; default 1024 */
};

struct settings {
    const char *name; /* required: group.id and state files derive from it; [A-Za-z0-9._-]{1,100} */
    int64_t seed;
    struct eddy_choice source, codec, sink; /* codec defaults to json */
    struct forecast_settings forecast;
    struct detect_settings detect;
    struct train_settings train;
    struct state_settings state;
    struct errors_settings errors;
    struct limits_settings limits;
    int late;                    /* enum late_policy: fold | drop */
    int guarantee;               /* enum guarantee: at_least_once */
    struct eddy_strings plugins; /* paths of shared libraries to load; read before anything else is validated */
};

extern const struct eddy_option settings_options[]; /* the root table */

#endif

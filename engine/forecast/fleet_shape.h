/* The numbers of expert `fleet` (fleet.c) and how its state, model and contributions are laid out.
 *
 * Features p [FLEET_FEATURES], at event n of a key (x value, sigma its scale, m_r exponential means, level and f_j the
 * season's, f_j = level j steps on - level; a = 2.5, everything clipped to +-a but the first and the last)
 *     0         1
 *     1..5      (x - x_{n-l}) / sigma          l = 1, 2, 8, 22, 25
 *     6..9      (x - m_r) / sigma              r = 12, 25, 97, 673, rate max(2 / r, 1 / (n + 1))
 *     10        (x - m_97 - level) / sigma
 *     11..16    f_j / sigma                    j = 1, 4, 8, 16, 20, 23
 *     17        clip(z, 40) - clip(z, a)       z = (x - m_25) / sigma before clipping
 * Clips, lags, anchors and ages are no options: kept features are bytes of these scales, and state and model have their
 * places for them.
 * A young key (n < 26) has no season yet and no long means: f_j counts as 0, and more lags take the places of what it
 * lacks:  1..5  l = 1, 2, 3, 4, 6    8..16  l = 8, 10, 12, .. 24    (x_0 stands for what came before it)
 * Lags and offsets are those of a season of 24 steps; of another that the configuration counts in steps, 8 to 46, they
 * keep their place in it: S/3, S-2, S+1 and S/6, S/3, 2S/3, 5S/6, S-1.  With a season of less than 24 a key is young for n < 8 only.
 *
 * Anchors    h = 1, 4, 8, 16, 20, 24, 32, 40, 48, then half as many again, up to the last horizon: what is learnt; between
 *            them it is interpolated.
 * Groups     anchors that share a stack: h < 4, h < 8, h <= 20, the others. */
#ifndef ENGINE_FORECAST_FLEET_SHAPE_H
#define ENGINE_FORECAST_FLEET_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "eddy_expert.h"

enum {
    FLEET_FEATURES = 18,
    FLEET_WIDTH = 20,  /* of a row of the gain: features and zeroes */
    FLEET_STORED = 17, /* features but the constant */
    FLEET_LAGS = 5,
    FLEET_MEANS = 4,
    FLEET_OFFSETS = 6,
    FLEET_FIRST_LAG = 1, /* features */
    FLEET_FIRST_MEAN = 6,
    FLEET_DEVIATION = 10,
    FLEET_FIRST_OFFSET = 11,
    FLEET_LAST = 17,
    FLEET_ANCHORS = 18, /* at most */
    FLEET_GROUPS = 4,
    FLEET_CLASSES = 4, /* ages of a key: n < 8, < 26, < 60, the others */
    FLEET_AGES = 5,    /* ages of a key's own part: n < 60, < 150, < 400, < 1200, the others */
    FLEET_START = 3,   /* steps before anything is learnt */
    FLEET_GROWN = 26   /* steps before a key has all features, and learns weights of its own */
};
#define FLEET_CLIP   2.5f /* of features */
#define FLEET_COURSE 8.f  /* of f_j / sigma where it is the base of a forecast */
#define FLEET_EXCESS 40.f

/* What follows from horizons and season. */
struct fleet_shape {
    int n_anchors, last;        /* the last one's horizon */
    int horizon[FLEET_ANCHORS]; /* of each anchor */
    int group[FLEET_ANCHORS], n_groups, in_group[FLEET_GROUPS];
    int base[FLEET_ANCHORS]; /* place of its f among what an origin keeps */
    int lags[FLEET_LAGS], offsets[FLEET_OFFSETS], n_ahead;
    int64_t young;         /* keys with fewer steps have the features of young ones */
    int n_values;          /* ring of values: the last anchor and the last lag reach back into it */
    int every, n_origins;  /* of every so many events the features are kept for anchors beyond the first; how many */
    int n_kept;            /* bytes kept of an origin: features, then f of anchors that no feature has */
    size_t origin_bytes;   /* sigma as bfloat16, then what is kept */
    int stride, n_pending; /* of every so many events the forecasts are kept for the stack; places for them */
    int first[FLEET_ANCHORS], places[FLEET_ANCHORS]; /* an anchor's */
    int n_scales;
    /* Offsets in the state, and its size. */
    size_t at_values, at_own, at_errors, at_stack, at_pending, at_scales, at_origins, bytes;
};

void fleet_shape_of(const struct eddy_expert_shape *, struct fleet_shape *);

int fleet_class(int64_t n); /* of a key that has seen n values */
int fleet_age(int64_t n);

/* ---- state: struct fleet_state, then what the shape says ---- */

/* Values are kept as (x - origin) / unit; unit is a power of two about as large as sigma. */
struct fleet_state {
    double origin, unit, last; /* last: the last known value */
    int64_t n;                 /* steps since the first value */
    float means[FLEET_MEANS];
    float count;   /* what the own weights rest on, discounted */
    float level;   /* the season's at the last known value, in units */
    float said[2]; /* what was forecast at it, as in struct fleet_pending */
};
/* What the stack is judged by: the deviation that model and mean return had forecast, in sigmas of then. */
struct fleet_pending {
    uint16_t by[2]; /* bfloat16 */
};

/* ---- model ---- */

struct fleet_class {
    double covariance[FLEET_FEATURES][FLEET_FEATURES];
    double n; /* records that it rests on, discounted */
    double n_stack[FLEET_GROUPS];
    int64_t records;
    float gain[FLEET_FEATURES][FLEET_WIDTH]; /* (n + 1) covariance */
    float weights[FLEET_ANCHORS][FLEET_FEATURES];
    float errors[FLEET_ANCHORS]; /* mean |error| in sigmas */
    float stack[FLEET_GROUPS][5];
};
struct fleet_model {
    struct fleet_class classes[FLEET_CLASSES];
    float with[FLEET_AGES][FLEET_GROUPS], self[FLEET_AGES][FLEET_GROUPS]; /* evidence for the keys' own parts */
};

/* ---- contribution ---- */

struct fleet_label {
    float target;     /* (x - x_s) / sigma_s - f */
    float limit;      /* of its error */
    float with, self; /* evidence for the key's own part */
    float stack[5];   /* of a forecast that was written out; all 0 = none */
    int8_t kept[FLEET_STORED];
    uint8_t learns;  /* 1: there is a target */
    uint8_t of, age; /* ages of the origin */
};
struct fleet_contribution {
    int8_t kept[FLEET_STORED];   /* the event's own features */
    uint8_t learns;              /* 1: they count */
    uint8_t stacks;              /* 1: the stack's sums grow older */
    uint8_t of;                  /* age */
    struct fleet_label labels[]; /* [n_anchors] */
};
size_t fleet_contribution_bytes(const struct fleet_shape *);

/* ---- options ---- */

struct fleet_settings {
    double garrote, class_records, own_start, own_prior; /* fleet_stack.c, fleet_weights.c */
    double forgetting, class_forgetting, stack_forgetting, class_stack_forgetting; /* kept per event */
    double error_rate, limit, beyond;
    int64_t start; /* steps before a key's own stack counts */
};

/* ---- an event at work ---- */

struct fleet_run {
    const struct fleet_settings *settings;
    const struct fleet_shape *shape;
    struct fleet_state *state;
    float *values;                 /* [n_values] */
    float *own;                    /* [n_anchors, FLEET_FEATURES] key's weights minus the fleet's */
    float *errors;                 /* [n_anchors] mean |error| in sigmas */
    float *stack;                  /* [n_groups, 5] */
    struct fleet_pending *pending; /* [n_pending] */
    uint16_t *scales;              /* [n_scales] bfloat16 */
    unsigned char *origins;        /* [n_origins + 1, origin_bytes]; the last: of the last step */
    const struct fleet_model *model;
    struct fleet_contribution *contribution; /* or NULL */
    float x, sigma;                          /* in units */
    bool known;
};

static inline bool fleet_is_young(const struct fleet_shape *s, int64_t n)
{
    return n < s->young;
}

/* ---- small numbers ---- */

static inline float fleet_clip(float v, float limit)
{
    return v > limit ? limit : v < -limit ? -limit : v == v ? v : 0;
}

/* Four sums side by side: quick, and the same everywhere. */
static inline float fleet_dot(const float *a /* [FLEET_FEATURES] */, const float *b /* [FLEET_FEATURES] */)
{
    float s[4] = {0};
    for (int i = 0; i < 16; i += 4)
        for (int k = 0; k < 4; k++) s[k] += a[i + k] * b[i + k];
    return (s[0] + s[1]) + (s[2] + s[3]) + (a[16] * b[16] + a[17] * b[17]);
}

static inline uint16_t fleet_bf16(float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof(u));
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float fleet_float(uint16_t b)
{
    const uint32_t u = (uint32_t)b << 16;
    float v;
    memcpy(&v, &u, sizeof(v));
    return v;
}

#endif

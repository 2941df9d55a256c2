/* The committee of members that each know one kind of fault: what they share.  DETECTION, section 11.
 *
 * An event of one value goes through these files, in this order:
 *   committee_track.c     which season it lies in, gaps, ring; at the end scales, means and profiles learn from it
 *   committee_foresee.c   what the value's own past said it would be: the one-step error
 *   committee_windows.c   sums of the last errors and moves
 *   committee_members.c   one statistic for each kind of fault, against the key's own history
 *   committee.c           options; limits; who speaks, and when all keep quiet
 *
 * Units    x, d, un, s, sd, w and the means are in the value's units; z, profiles of |e| and evidence have none.
 * Memory   struct committee_value lies in the key's row, all 0 when new; struct committee_event lives for one event.
 * Numbers  |x| is limited to COMMITTEE_LARGEST, so that squares stay finite. */
#ifndef ENGINE_DETECT_COMMITTEE_H
#define ENGINE_DETECT_COMMITTEE_H

#include "eddy_detector.h"
#include "engine/detect/calibration.h"

enum {
    COMMITTEE_RING = 64,     /* values kept */
    COMMITTEE_BINS = 24,     /* most bins of a season */
    COMMITTEE_FEATURES = 12, /* of the one-step forecast */
    COMMITTEE_SHIFTS = 7,    /* of the rhythm */
    COMMITTEE_YOUNG = 300,   /* rows in which runs and gaps of any length are usual */
    COMMITTEE_MEMBERS = 14,
    COMMITTEE_CALIBRATED = 11
};
#define COMMITTEE_LARGEST 1e150
#define COMMITTEE_LEAST   1e-150 /* keeps what is divided by above 0 */

/* The one-step forecast's weights, and their covariance's lower triangle row by row. */
struct committee_forecast {
    float w[COMMITTEE_FEATURES], p[COMMITTEE_FEATURES * (COMMITTEE_FEATURES + 1) / 2];
    float error; /* mean |error|, in shares of un */
    int32_t n;
};

/* What is kept of the season: `bins` differs in length from key to key. */
struct committee_season {
    double move[COMMITTEE_BINS];       /* mean move per event */
    float error[COMMITTEE_BINS];       /* mean |e| / s */
    uint8_t n[COMMITTEE_BINS];         /* events seen, up to 255 */
    float log_ratio[COMMITTEE_SHIFTS]; /* CUSUM of each shift */
    float steps;                       /* of the season that this was learned for; 0 = none known */
    int32_t n_bins;
};

struct committee_value {
    double x[COMMITTEE_RING];    /* [row % 64]; a missing value repeats the last one */
    float z[COMMITTEE_RING];     /* [row % 64] |e| / s, at most 6; 0 where unknown */
    uint64_t missing;            /* the last 64 rows, newest in bit 0 */
    uint64_t exceeded;           /* the same: z was above its usual 92 % point */
    int64_t n;                   /* rows since the first value, missing ones among them */
    double sd, error, w, spread; /* mean |d|, |e|, |x - m97|, |d - move of the bin| */
    double m12, m25, m97, fast;  /* means over about so many rows; of x less its profile over 8 */
    double low, high;            /* of all values */
    struct committee_season season;
    struct committee_forecast forecast;
    struct calibration calibration[COMMITTEE_CALIBRATED];
    float bump[COMMITTEE_MEMBERS]; /* how much higher its own alarms have put a member's limit */
    float last_error;              /* e / s of the row before, within +-6 */
    float usual_high, roughness, rising, falling;
    float missing_rate, most_missing;
    int32_t gap, longest_gap, run, longest_run, since_gap, quiet_for;
    int32_t episode; /* 1: the frozen or too quiet value has been spoken of */
};

/* How fast its means follow, and what its members forgive: options of the committee. */
struct committee_rates {
    double drift;                      /* error scales an event */
    double level_events, rough_events; /* means of these lengths */
    double exceeding;                  /* usual share of errors that exceed */
    double move, error;                /* per event, of the usual sizes of moves and errors */
    double season_move, season_error;  /* per event of a bin */
    double forgetting;                 /* of the one-step forecast, per event */
};

struct committee_event {
    const struct committee_rates *rates;
    double x, d;                    /* the value; its move since the last one */
    double un, s;                   /* usual size of moves and of errors */
    double e, z;                    /* one-step error; |e| / s, at most 6 */
    bool missing, follows, settled; /* follows: the row before had a value; settled: so had the last 8 */
    bool foreseen;                  /* e is an error of the forecast */
    int bin, lag;
    double profile, last_profile; /* the season's level here and one row ago, about 0 */
    double per_bin;               /* rows in a bin, >= 1 */
    double low_mean, high_move; /* of min(|d|, 4 un): mean over 48 rows, maximum of 24; NaN where too few are known */
    double mean24, mean60, exceeding; /* of z; share of the last 20 rows */
};

static inline double committee_clip(double x, double limit)
{
    return x > limit ? limit : x < -limit ? -limit : x;
}

/* x of `back` rows ago, 1 = the row before this one. */
static inline double committee_past(const struct committee_value *v, int back)
{
    return v->x[(v->n - back) & (COMMITTEE_RING - 1)];
}

/* Fills the event from the value and the season; false before the first value, when there is nothing to do. */
bool committee_begin(struct committee_value *, const struct committee_rates *, double x, const struct eddy_season *,
                     struct committee_event *);
void committee_foresee(struct committee_value *, struct committee_event *);
void committee_windows(struct committee_value *, struct committee_event *);
void committee_learn(struct committee_value *, const struct committee_event *);

/* What a member may tell in a mute: a fault that lasts is told when the mute ends, one that is over by then never. */
enum committee_manners {
    COMMITTEE_WAITS, /* nothing */
    COMMITTEE_OTHER, /* what is of another kind than the alarm that began the mute */
    COMMITTEE_SINGLE /* that, and single rows of the same kind that are far louder */
};

struct committee_member {
    const char *name;
    const char *kind; /* of fault */
    double limit;
    bool scalable; /* its limit follows the option `limits` */
    bool once;     /* speaks once in an episode, which it shares with the others of this sort */
    enum committee_manners manners;
    int calibration; /* place in committee_value.calibration; -1: the statistic is the evidence */
    double (*statistic)(struct committee_value *, const struct committee_event *); /* NaN: nothing to say */
};
extern const struct committee_member committee_members[COMMITTEE_MEMBERS];

/* The member's evidence of this event; CALIBRATION_UNKNOWN when it has nothing to say.  To be asked once an event. */
double committee_evidence(const struct committee_member *, struct committee_value *, const struct committee_event *,
                          int64_t block, double memory);

#endif

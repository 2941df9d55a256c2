/* Several sensors of one machine: finds the fault that stays, and says while it stays.
 *
 * Channels c: the D values, and D residuals of each value on the others (moments.h).  Per event (DETECTION, section 10):
 *   1. fast mean   E_c += max(rate, 1/n) (x_c - E_c)         up to spike_events values beyond spike x tol: skipped
 *   2. score       S = max over c of |q_c|,  q_c = weight_c (E_c - R_c) / max(tol_c, floor x range of E_c)
 *                  weight 1 for values, residual_weight for residuals
 *   3. fault.h     opens and closes on S, its limit times threshold / .4: the score's hysteresis,
 *                  the alarm budget, the new normal
 *   4. learning    R_c += g (E_c - R_c), g = max(1/n, (1 - f) level_rate + f drift_rate) while no fault is open, else
 *                  f drift_rate: the reference of a level is frozen, or a fault would become its own excuse
 *                  tol_c and how far it drifts, f: haar.h, every `refresh` events; learns only while no fault is open
 *                  a channel that stood still at first begins with its first move, which is its first step, and is
 *                  judged when it has learned from as many events as half the warm-up has
 * Evidence: r = S / limit; threshold x r up to the limit, 1 - (1 - threshold) / r beyond.  Its score is the evidence
 * until a fault opens, in whose first row it reaches the threshold, and 0 while it is open: one row per alert.
 * While it is open the kind "fault" holds.  Attribution: |q_c| of the value or of its residual, whichever is larger:
 * attributions are shares of the evidence, and have no sign (DETECTION keeps it).  A missing value moves nothing. */
#include <math.h>
#include <string.h>

#include "engine/detect/detectors.h"
#include "engine/detect/fault.h"
#include "engine/detect/haar.h"
#include "engine/detect/moments.h"
#include "engine/math/sound.h"

/* No options: the warm-up for which limits were found; a fast mean has left its first value behind by RANGE_FROM; and after a new
 * normal means follow as those of a young key, once more. */
enum { FULL_WARMUP = 400, RANGE_FROM = 30, ADMITTED = 32 };
/* Least tolerance: of the reference; of a value itself, for rounding; of residuals, which are in standard deviations. */
static const double RELATIVE = 1e-6, ROUNDING = 1e-14, LEAST_RESIDUAL = 1e-9, MOST = 1e18;

struct machine_settings {
    struct haar_settings haar;
    struct fault_settings fault;
    int64_t warmup, refresh, residuals_from, spike_events;
    double level_rate, drift_rate, residual_weight, ridge, floor, range_memory, spike;
};

#define AT(member) offsetof(struct machine_settings, member)
static const struct eddy_option options[] = {
    {"rate", EDDY_OPT_REAL, AT(haar.rate), "0.08", 1e-4, 1, "per event",
     "Weight of the newest event in the fast means.", NULL, 0, false},
    {"limit", EDDY_OPT_REAL, AT(fault.limit), "3.15", .1, 1e6, "tolerances",
     "A fault opens when a fast mean is this far from its reference.", NULL, 0, false},
    {"open_events", EDDY_OPT_INT, AT(fault.open_rows), "1", 1, 1e6, "events",
     "So many events in a row must be beyond the limit.", NULL, 0, false},
    {"close_ratio", EDDY_OPT_REAL, AT(fault.close_ratio), "0.65", 0, 1, "share of the limit",
     "A fault closes below this share of the limit that opened it ..", NULL, 0, false},
    {"close_share", EDDY_OPT_REAL, AT(fault.close_share), "0.3", 0, 1, "share of the plateau",
     ".. or below this share of its usual height.", NULL, 0, false},
    {"close_events", EDDY_OPT_INT, AT(fault.close_rows), "8", 1, 1e6, "events",
     "So many events in a row must be that low.", NULL, 0, false},
    {"plateau_rate", EDDY_OPT_REAL, AT(fault.plateau_rate), "0.02", 1e-6, 1, "per event",
     "Weight of the newest event in a fault's usual height.", NULL, 0, false},
    {"reopen_decay", EDDY_OPT_REAL, AT(fault.reopen_decay), "0.005", 0, 1, "per event",
     "After a fault the limit starts from where it closed and falls back at this rate.", NULL, 0, false},
    {"budget", EDDY_OPT_REAL, AT(fault.budget), "1.5", 0, 1e6, "faults",
     "So many recent faults are free; more of them raise the limit.", NULL, 0, false},
    {"budget_weight", EDDY_OPT_REAL, AT(fault.budget_weight), "0.3", 0, 10, "per fault",
     "The limit grows by e to this power with each fault beyond the budget; 0 = no budget.", NULL, 0, false},
    {"budget_memory", EDDY_OPT_REAL, AT(fault.budget_memory), "1500", 1, 1e9, "events",
     "One fault is forgotten in so many events.", NULL, 0, false},
    {"accept", EDDY_OPT_INT, AT(fault.accept_rows), "800", 1, 1e9, "events",
     "A fault that is open longer becomes the new normal.", NULL, 0, false},
    {"settle", EDDY_OPT_INT, AT(fault.settle_rows), "128", 0, 1e6, "events",
     "No fault opens for so long after a new normal.", NULL, 0, false},
    {"warmup", EDDY_OPT_INT, AT(warmup), "400", 1, 1e6, "events",
     "What a key's first events teach before a fault can open; detect.warmup where that is longer.", NULL, 0, false},
    {"level_rate", EDDY_OPT_REAL, AT(level_rate), "0.001", 0, 1, "per event",
     "How fast references follow, of values that keep a level.", NULL, 0, false},
    {"drift_rate", EDDY_OPT_REAL, AT(drift_rate), "0.0025", 0, 1, "per event",
     "How fast references follow, of values that drift.", NULL, 0, false},
    {"slope_level", EDDY_OPT_REAL, AT(haar.slope_level), "-0.3", -2, 3, "log2 per octave",
     "A value drifts in part when the variance of its block means grows faster with their length than this ..", NULL,
     0, false},
    {"slope_drift", EDDY_OPT_REAL, AT(haar.slope_drift), "0.5", -2, 3, "log2 per octave",
     ".. and altogether from here on.", NULL, 0, false},
    {"residual_weight", EDDY_OPT_REAL, AT(residual_weight), "0.7", 0, 100, "",
     "Weight of what a value is beyond the other values, against the value itself; 0 = values alone.", NULL, 0,
     false},
    {"residuals_from", EDDY_OPT_INT, AT(residuals_from), "100", 2, 1e6, "events",
     "From which event on the values are compared with each other.", NULL, 0, false},
    {"ridge", EDDY_OPT_REAL, AT(ridge), "0.02", 1e-6, 10, "", "Added to the diagonal of the correlations.", NULL, 0,
     false},
    {"refresh", EDDY_OPT_INT, AT(refresh), "64", 1, 1e6, "events",
     "How often tolerances and the comparison of values are computed anew.", NULL, 0, false},
    {"trust", EDDY_OPT_REAL, AT(haar.trust), "8", 0, 1e6, "degrees of freedom",
     "So many make the observed variance of an octave count as much as the straight line through all.", NULL, 0,
     false},
    {"memory", EDDY_OPT_REAL, AT(haar.memory), "4000", 16, 1e9, "events",
     "How long variances and correlations are remembered.", NULL, 0, false},
    {"clip", EDDY_OPT_REAL, AT(haar.clip), "25", 1, 1e9, "variances",
     "A squared difference counts at most as so many times its mean.", NULL, 0, false},
    {"floor", EDDY_OPT_REAL, AT(floor), "0.01", 0, 1, "share of the range",
     "The tolerance is at least this share of the range of the fast mean.", NULL, 0, false},
    {"range_memory", EDDY_OPT_REAL, AT(range_memory), "8000", 1, 1e9, "events", "How slowly that range shrinks.",
     NULL, 0, false},
    {"spike", EDDY_OPT_REAL, AT(spike), "200", 1, 1e9, "tolerances",
     "Up to spike_events values in a row that are further off are skipped: an outlier is no sustained fault.", NULL,
     0, false},
    {"spike_events", EDDY_OPT_INT, AT(spike_events), "2", 0, 1000, "events",
     "So many in a row may be an outlier: more where a sensor's glitches last longer; 0 skips none.", NULL, 0, false},
    {0}};

static const char *const kinds[] = {"fault", NULL};

struct machine_key {
    int64_t n; /* events, with this one */
    struct fault fault;
    /* then the moments, and 2 D channels */
};

struct machine_channel {
    struct haar haar;
    float fast, reference, tolerance, drift, low, high; /* low, high: range of `fast` */
    uint32_t n;                                         /* what was learned; few again after a new normal */
    uint32_t wild;                                      /* values in a row beyond `spike` */
};

/* One event's view of the state. */
struct machine {
    const struct machine_settings *s;
    struct machine_key *key;
    struct moments moments;
    struct machine_channel *channels; /* [2 D] values, residuals */
    int n_values;
    int64_t warmup;
    double centred[MOMENTS_MAX];
    double x[2 * MOMENTS_MAX]; /* what channels see; NaN = nothing */
    double q[2 * MOMENTS_MAX]; /* signed terms of the score */
};

static size_t machine_state_bytes(const void *settings, int n_values, int n_horizons)
{
    (void)settings, (void)n_horizons;
    return sizeof(struct machine_key) + moments_bytes(n_values) +
           2 * (size_t)n_values * sizeof(struct machine_channel);
}

static void machine_view(struct machine *m, const struct machine_settings *s, void *state,
                         const struct eddy_evidence *in)
{
    unsigned char *after = (unsigned char *)state + sizeof(struct machine_key);
    m->s = s;
    m->key = state;
    m->n_values = in->n_values;
    m->moments = moments_at(after, in->n_values);
    m->channels = (struct machine_channel *)(void *)(after + moments_bytes(in->n_values));
    m->warmup = s->warmup > in->warmup_events ? s->warmup : in->warmup_events;
}

/* What every channel sees of this event. */
static void machine_see(struct machine *m, const double *x)
{
    double z[MOMENTS_MAX];
    moments_centre(&m->moments, x, m->centred);
    moments_standardise(&m->moments, m->centred, z);
    moments_residuals(&m->moments, z, m->x + m->n_values);
    for (int i = 0; i < m->n_values; i++) {
        m->x[i] = m->centred[i];
        if (isnan(m->x[i]) || m->key->n < m->s->residuals_from) m->x[m->n_values + i] = NAN;
    }
}

static double channel_tolerance(const struct machine_channel *c, const struct machine_settings *s)
{
    return fmax((double)c->tolerance, s->floor * ((double)c->high - (double)c->low));
}

/* Step 1: whether a value is an outlier that is left to others. */
static bool channel_skips(struct machine_channel *c, const struct machine_settings *s, double x)
{
    if (c->tolerance <= 0) return false;
    if (fabs(x - (double)c->reference) <= s->spike * channel_tolerance(c, s)) {
        c->wild = 0;
        return false;
    }
    if (c->wild <= (uint32_t)s->spike_events) c->wild++;
    return c->wild <= (uint32_t)s->spike_events;
}

/* A channel that stood still begins anew with its first move, the rest says nothing of how it moves: once, for that
 * move is the first of its steps. */
static void channel_begin(struct machine_channel *c, double x)
{
    const bool still = c->haar.step <= 0 && c->n > 1;
    const double d = x - (double)c->fast;
    if (still && fabs(d) > 0) *c = (struct machine_channel){.haar.step = (float)(d * d), .wild = c->wild};
    if (c->n == 0) c->fast = c->reference = (float)x;
}

static void channel_move_range(struct machine_channel *c, const struct machine_settings *s, bool open)
{
    if (c->n < RANGE_FROM && !open) {
        c->low = c->high = c->fast;
        return;
    }
    const float shrink = (float)(((double)c->high - (double)c->low) / s->range_memory);
    c->low = fminf(c->low + shrink, c->fast);
    c->high = fmaxf(c->high - shrink, c->fast);
}

/* Steps 1 and 2 of one channel: its term, before any weight. */
static double channel_follow(struct machine_channel *c, const struct machine_settings *s, double x, bool open)
{
    channel_begin(c, x);
    c->fast += (float)(fmax(1 / ((double)c->n + 1), s->haar.rate) * (x - (double)c->fast));
    channel_move_range(c, s, open);
    if (c->tolerance <= 0) return 0;
    return ((double)c->fast - (double)c->reference) / channel_tolerance(c, s);
}

/* S; NaN when no value is there. */
static double machine_follow(struct machine *m)
{
    double score = NAN;
    for (int i = 0; i < 2 * m->n_values; i++) {
        struct machine_channel *c = &m->channels[i];
        m->q[i] = 0;
        if (!isnan(m->x[i])) score = fmax(score, 0);
        if (!isnan(m->x[i]) && channel_skips(c, m->s, m->x[i])) m->x[i] = NAN;
        if (isnan(m->x[i])) continue;
        m->q[i] = channel_follow(c, m->s, m->x[i], m->key->fault.open);
        if (i >= m->n_values) m->q[i] *= m->s->residual_weight;
        score = fmax(score, fabs(m->q[i]));
    }
    return score;
}

/* The level of now becomes the reference of all channels. */
static void machine_accept(struct machine *m)
{
    for (int i = 0; i < 2 * m->n_values; i++) {
        struct machine_channel *c = &m->channels[i];
        if (c->n == 0) continue;
        haar_admit(&c->haar, (double)c->fast - (double)c->reference);
        c->reference = c->fast;
        c->n = c->n < ADMITTED ? c->n : ADMITTED;
        if (i < m->n_values) m->moments.mean[i] = c->reference;
    }
}

static void machine_restart(struct machine *m)
{
    for (int i = 0; i < 2 * m->n_values; i++) haar_restart(&m->channels[i].haar);
}

/* Step 4 of one channel.  In the warm-up the reference is the running mean of what comes in. */
static void channel_learn(const struct machine *m, struct machine_channel *c, double x)
{
    const struct machine_settings *s = m->s;
    const double drift = (double)c->drift, towards = m->key->n <= m->warmup ? x : (double)c->fast;
    double g = drift * s->drift_rate;
    if (!m->key->fault.open) g = fmax(g + (1 - drift) * s->level_rate, 1 / ((double)c->n + 1));
    c->reference += (float)(g * (towards - (double)c->reference));
    if (m->key->fault.open) return;
    if (c->n < UINT32_MAX) c->n++;
    haar_add(&c->haar, x, c->n, &s->haar);
}

static void channel_refresh(const struct machine *m, int channel)
{
    struct machine_channel *c = &m->channels[channel];
    const struct machine_settings *s = m->s;
    if (c->tolerance <= 0 && 2 * (int64_t)c->n < m->warmup) return;
    double drift = (double)c->drift;
    const double tolerance = haar_tolerance(&c->haar, &s->haar, &drift);
    c->drift = (float)drift;
    const double least = channel < m->n_values ? fmin(ROUNDING * fabs(m->moments.first[channel]), MOST)
                                               : LEAST_RESIDUAL;
    c->tolerance = (float)(tolerance > 0 ? tolerance + RELATIVE * fabs((double)c->reference) + least : 0);
}

static void machine_learn(struct machine *m)
{
    const struct machine_settings *s = m->s;
    const int64_t n = m->key->n;
    const bool due = n % s->refresh == 0;
    for (int i = 0; i < 2 * m->n_values; i++)
        if (!isnan(m->x[i])) channel_learn(m, &m->channels[i], m->x[i]);
    if (m->key->fault.open) return;

    for (int i = 0; i < m->n_values; i++)
        if (isnan(m->x[i])) m->centred[i] = NAN; /* skipped as an outlier */
    moments_learn(&m->moments, m->centred, n, s->haar.memory);
    if (n == s->residuals_from - 1 || (n > s->residuals_from && due)) moments_invert(&m->moments, s->ridge);
    const bool settled = m->key->fault.settling == 1;
    if (n == m->warmup || (n > m->warmup && (due || settled)))
        for (int i = 0; i < 2 * m->n_values; i++) channel_refresh(m, i);
}

/* S / limit as 0..1, the threshold at the limit. */
static double machine_evidence(double ratio, double threshold)
{
    return ratio <= 1 ? threshold * ratio : 1 - (1 - threshold) / ratio;
}

static void machine_conclude(const struct machine *m, double score, struct fault_step step,
                             const struct eddy_evidence *in, struct eddy_verdict *out)
{
    for (int i = 0; i < m->n_values; i++)
        out->attribution[i] = (float)fmax(fabs(m->q[i]), fabs(m->q[m->n_values + i]));
    out->evidence = machine_evidence(score / step.limit, in->threshold);
    out->score = 0;
    if (step.change == FAULT_OPENED)
        out->score = out->evidence = fmax(out->evidence, in->threshold);
    else if (step.change == FAULT_SAME && !m->key->fault.open)
        out->score = fmin(out->evidence, in->threshold * (1 - 1e-9)); /* beyond the limit, but not for long enough */
}

static void machine_judge(const void *settings, void *state, const struct eddy_evidence *in, struct eddy_verdict *out)
{
    struct machine m;
    machine_view(&m, settings, state, in);
    m.key->n++;
    machine_see(&m, in->x);
    const double score = machine_follow(&m);

    struct fault *fault = &m.key->fault;
    out->score = out->evidence = 0;
    if (fault->settling > 0)
        fault->settling--;
    else if (m.key->n > m.warmup) {
        struct fault_settings limits = m.s->fault;
        limits.limit *= detectors_strictness(in->threshold);
        const double young = fmax(1, FULL_WARMUP / (double)m.key->n);
        const struct fault_step step = fault_judge(fault, &limits, score, young);
        if (step.change == FAULT_CLOSED) machine_restart(&m);
        if (step.change == FAULT_ACCEPTED) machine_accept(&m);
        out->accepted = step.change == FAULT_ACCEPTED;
        if (!isnan(score)) machine_conclude(&m, score, step, in, out);
    }
    out->holds = fault->open ? 1 : 0;
    machine_learn(&m);
}

static eddy_status machine_check(const void *settings, struct eddy_error *err)
{
    const struct haar_settings *s = &((const struct machine_settings *)settings)->haar;
    if (s->slope_level >= s->slope_drift)
        return eddy_fail(err, EDDY_ECONFIG, "slope_level (%g) must be below slope_drift (%g)", s->slope_level,
                         s->slope_drift);
    return EDDY_OK;
}

static bool machine_sound(const void *settings, int n_values, int n_horizons, const void *state)
{
    const struct machine_key *key = state;
    const struct fault *f = &key->fault;
    const unsigned char *channels = (const unsigned char *)(key + 1) + moments_bytes(n_values);
    (void)settings, (void)n_horizons;
    bool sound = sound_count(key->n) && sound_span(f->in_a_row, 0, INT32_MAX / 2) &&
                 sound_span(f->age, 0, INT32_MAX / 2);
    for (int i = 0; i < 2 * n_values && sound; i++)
        sound = haar_sound(&((const struct machine_channel *)(const void *)channels)[i].haar);
    return sound;
}

const struct eddy_detector detector_machine = {
    .part = {sizeof(struct eddy_detector), EDDY_PART_DETECTOR, "machine",
             "finds sustained faults of a machine with several sensors: values and their relations against a frozen "
             "reference (about 650 D + 4 D^2 bytes for D values)",
             options, sizeof(struct machine_settings), machine_check},
    .state_version = 2,
    .state_bytes = machine_state_bytes,
    .judge = machine_judge,
    .sound = machine_sound,
    .max_values = MOMENTS_MAX,
    .kinds = kinds,
};

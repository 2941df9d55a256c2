/* The standard detector: rank, saturate, average, judge the average's tail; novelty; mute.
 *
 * Per value and event, from residuals e in value units (DETECTION, sections 4 and 9):
 *   1. p_j   conformal rank of |e_j| against all earlier ones of the same horizon j (at most three horizons)
 *   2. I_j   = [p_j < level] and [|e_j| > material x range so far > 0]          saturated: a huge residual counts once
 *   3. L     = mean over k in {16, 20, 26} of T_k, or T_60 if larger            T_k: tail.h, of the mean of I_j
 *   4. L     = max(L, .8 T_60 of the marginal channel: rank of |x - slow mean|)
 *   5. novelty: x beyond everything seen by more than `novelty` of the range: evidence 1, else .999 L
 *   6. gate: evidence counts only if detectors before this one in the list support it (DETECTION, section 11): in the last
 *      gate_rows events their support has reached gate (1 + gate_rise max(0, load - 1)), load = own alarms, fading by a
 *      factor e in 1,500 events.  Without such a detector, or with gate 0, all evidence counts.
 *   7. mute: after an alarm the score stays 0 for R = clamp(mute x events, mute_min, mute_max) events
 * The key's evidence is that of its most conspicuous value; the values' own evidence is the attribution.
 *
 * A missing value gives no evidence and moves nothing but the count. */
#include <math.h>
#include <string.h>

#include "engine/detect/detectors.h"
#include "engine/detect/rank.h"
#include "engine/detect/tail.h"
#include "engine/math/scalar.h"
#include "engine/math/sound.h"

enum { MAX_NETS = 3, N_WINDOWS = 4, LONG_WINDOW = 60 };
static const int windows[N_WINDOWS] = {16, 20, 26, LONG_WINDOW};
static const double MARGINAL_GAIN = .001, MARGINAL_WEIGHT = .8, LOAD_EVENTS = 1500;

struct exceedance_settings {
    double level, material, novelty, memory, mute;
    int64_t mute_min, mute_max;
    double gate, gate_rise;
    int64_t gate_rows;
    const char *network;
};

static const struct eddy_option options[] = {
    {"level", EDDY_OPT_REAL, offsetof(struct exceedance_settings, level), "0.079", 1e-4, .5, "probability",
     "A residual exceeds when its rank among the key's earlier ones is below this.", NULL, 0, false},
    {"material", EDDY_OPT_REAL, offsetof(struct exceedance_settings, material), "0.02", 0, 1, "share of the range",
     "Residuals smaller than this share of the range seen so far never count.", NULL, 0, false},
    {"novelty", EDDY_OPT_REAL, offsetof(struct exceedance_settings, novelty), "0.02", 0, 10, "share of the range",
     "A value further outside the range seen so far than this is evidence 1 by itself.", NULL, 0, false},
    {"memory", EDDY_OPT_REAL, offsetof(struct exceedance_settings, memory), "8000", 100, 1e9, "events",
     "How long the usual share of exceedances is remembered.", NULL, 0, false},
    {"mute", EDDY_OPT_REAL, offsetof(struct exceedance_settings, mute), "0.05", 0, 1, "share of the events seen",
     "After an alarm the score stays 0 for this share of the key's events, within mute_min and mute_max.", NULL, 0,
     false},
    {"mute_min", EDDY_OPT_INT, offsetof(struct exceedance_settings, mute_min), "30", 0, 1e6, "events",
     "Shortest mute.", NULL, 0, false},
    {"mute_max", EDDY_OPT_INT, offsetof(struct exceedance_settings, mute_max), "150", 0, 1e6, "events",
     "Longest mute.", NULL, 0, false},
    {"gate", EDDY_OPT_REAL, offsetof(struct exceedance_settings, gate), "0", 0, 100, "of an alarm",
     "Evidence counts only when a detector listed before this one, such as committee, came so near an alarm of its "
     "own. "
     "0: always.",
     NULL, 0, false},
    {"gate_rise", EDDY_OPT_REAL, offsetof(struct exceedance_settings, gate_rise), "0.15", 0, 100, "per alarm",
     "How much more support every alarm of late demands.", NULL, 0, false},
    {"gate_rows", EDDY_OPT_INT, offsetof(struct exceedance_settings, gate_rows), "16", 0, 1e6, "events",
     "How long support lasts.", NULL, 0, false},
    {"network", EDDY_OPT_STRING, offsetof(struct exceedance_settings, network), "", 0, 0, "",
     "Whose residuals: one of forecast.networks. Unset: those of the forecast as it is written out, and for a "
     "network with "
     "a lag its own.",
     NULL, 0, false},
    {0}};

struct exceedance_key {
    int64_t muted_until, supported_until; /* events */
    double load;                          /* alarms of late */
};
struct exceedance_value {
    int64_t n; /* events with a value */
    double low, high, slow;
    struct tail tails[N_WINDOWS], marginal_tail;
    uint64_t marginal_hits; /* the last 64 events, newest in bit 0 */
    struct rank marginal;
    /* then n_nets times struct net */
};
struct net {
    uint64_t hits; /* the last 64 events, newest in bit 0 */
    struct rank rank;
};

static int exceedance_nets(int n_horizons)
{
    return n_horizons < MAX_NETS ? n_horizons : MAX_NETS;
}

/* Which horizon the i-th net looks at: all of up to three, else the first, one at a quarter and the last, which are about
 * the 1, 12 and 48 of DETECTION where all of 1 .. 48 are forecast. */
static int exceedance_horizon(int i, int n_horizons)
{
    if (n_horizons <= MAX_NETS) return i;
    return i == 0 ? 0 : i == 1 ? n_horizons / 4 : n_horizons - 1;
}

static size_t exceedance_value_bytes(int n_horizons)
{
    return sizeof(struct exceedance_value) + (size_t)exceedance_nets(n_horizons) * sizeof(struct net);
}

static size_t exceedance_state_bytes(const void *settings, int n_values, int n_horizons)
{
    (void)settings;
    return sizeof(struct exceedance_key) + (size_t)n_values * exceedance_value_bytes(n_horizons);
}

static double exceedance_share(uint64_t hits, int k)
{
    return scalar_bits(hits & ((1ull << k) - 1)) / (double)k;
}

/* Steps 1 and 2 for all nets of a value. */
static void exceedance_rank_nets(const struct exceedance_settings *s, struct net *nets,
                                 const struct eddy_evidence *in, int value, double range)
{
    for (int i = 0; i < exceedance_nets(in->n_horizons); i++) {
        double e = in->residual[exceedance_horizon(i, in->n_horizons) * in->n_values + value];
        uint64_t hit = 0;
        if (isfinite(e)) {
            hit = range > 0 && rank_p(&nets[i].rank, e) < s->level && fabs(e) > s->material * range;
            rank_add(&nets[i].rank, e);
        }
        nets[i].hits = nets[i].hits << 1 | hit;
    }
}

/* Step 3: the mean over the short windows, or the long one if it says more. */
static double exceedance_windows(const struct exceedance_settings *s, struct exceedance_value *v,
                                 const struct net *nets, int n_nets)
{
    const double gain = tail_gain(v->n, s->memory);
    double mean = 0, longest = 0;
    for (int w = 0; w < N_WINDOWS; w++) {
        double share = 0;
        for (int i = 0; i < n_nets; i++) share += exceedance_share(nets[i].hits, windows[w]);
        double evidence = tail_judge(&v->tails[w], share / n_nets, v->n, gain);
        if (windows[w] == LONG_WINDOW)
            longest = evidence;
        else
            mean += evidence / (N_WINDOWS - 1);
    }
    return scalar_most(mean, longest);
}

/* Step 4. */
static double exceedance_marginal(const struct exceedance_settings *s, struct exceedance_value *v, double x)
{
    double distance = fabs(x - v->slow);
    uint64_t hit = rank_p(&v->marginal, distance) < .1;
    rank_add(&v->marginal, distance);
    v->marginal_hits = v->marginal_hits << 1 | hit;
    v->slow += scalar_most(1 / ((double)v->n + 1), MARGINAL_GAIN) * (x - v->slow);
    return MARGINAL_WEIGHT * tail_judge(&v->marginal_tail, exceedance_share(v->marginal_hits, LONG_WINDOW), v->n,
                                        tail_gain(v->n, s->memory));
}

/* Step 5; moves the range on. */
static bool exceedance_novel(const struct exceedance_settings *s, struct exceedance_value *v, double x)
{
    double margin = s->novelty * (v->high - v->low);
    bool novel = v->high > v->low && (x > v->high + margin || x < v->low - margin);
    v->low = scalar_least(v->low, x);
    v->high = scalar_most(v->high, x);
    return novel;
}

static double exceedance_value(const struct exceedance_settings *s, struct exceedance_value *v,
                               const struct eddy_evidence *in, int value)
{
    double x = in->x[value];
    if (!isfinite(x)) return 0;
    if (fabs(x) > 1e150) x = copysign(1e150, x); /* so that ranges and distances stay finite */
    if (v->n == 0) v->low = v->high = v->slow = x;

    struct net *nets = (struct net *)(void *)(v + 1);
    exceedance_rank_nets(s, nets, in, value, v->high - v->low);
    double evidence = exceedance_windows(s, v, nets, exceedance_nets(in->n_horizons));
    evidence = scalar_most(evidence, exceedance_marginal(s, v, x));
    bool novel = exceedance_novel(s, v, x);
    if (v->n++ < in->warmup_events) return 0;
    return novel ? 1 : .999 * evidence;
}

/* Step 6. */
static bool exceedance_counts(const struct exceedance_settings *s, struct exceedance_key *key,
                              const struct eddy_evidence *in)
{
    key->load -= key->load / LOAD_EVENTS;
    if (s->gate <= 0 || isnan(in->support)) return true;
    if (in->support >= s->gate * (1 + s->gate_rise * scalar_most(0, key->load - 1)))
        key->supported_until = in->count + 1 + s->gate_rows;
    return in->count < key->supported_until;
}

static void exceedance_judge(const void *settings, void *state, const struct eddy_evidence *in,
                             struct eddy_verdict *out)
{
    const struct exceedance_settings *s = settings;
    struct exceedance_key *key = state;
    unsigned char *values = (unsigned char *)(key + 1);

    out->evidence = 0;
    for (int i = 0; i < in->n_values; i++) {
        struct exceedance_value *v = (struct exceedance_value *)(void *)(values + (size_t)i * exceedance_value_bytes(
                                                                                                  in->n_horizons));
        double evidence = exceedance_value(s, v, in, i);
        out->attribution[i] = (float)evidence;
        out->evidence = scalar_most(out->evidence, evidence);
    }
    const bool counts = exceedance_counts(s, key, in);
    out->score = !counts || in->count < key->muted_until ? 0 : out->evidence;
    /* Not in the warm-up, where DETECTION mutes as well: an alarm that nobody is told of must not hide the first that is. */
    if (!in->warmup && out->score >= in->threshold) {
        double mute = floor(s->mute * (double)in->count);
        mute = scalar_least(scalar_most(mute, (double)s->mute_min), (double)s->mute_max);
        key->muted_until = in->count + 1 + (int64_t)mute;
        key->load += 1;
    }
}

static eddy_status exceedance_check(const void *settings, struct eddy_error *err)
{
    const struct exceedance_settings *s = settings;
    if (s->mute_min > s->mute_max)
        return eddy_fail(err, EDDY_ECONFIG, "mute_min (%lld) is above mute_max (%lld)", (long long)s->mute_min,
                         (long long)s->mute_max);
    return EDDY_OK;
}

static bool exceedance_sound(const void *settings, int n_values, int n_horizons, const void *state)
{
    const struct exceedance_key *key = state;
    const unsigned char *values = (const unsigned char *)(key + 1);
    bool sound = true;
    (void)settings;
    for (int i = 0; i < n_values; i++, values += exceedance_value_bytes(n_horizons))
        sound &= sound_count(((const struct exceedance_value *)(const void *)values)->n);
    return sound;
}

const struct eddy_detector detector_exceedance = {
    .part = {sizeof(struct eddy_detector), EDDY_PART_DETECTOR, "exceedance",
             "ranks residuals of several horizons against the key's own history and judges their short averages (384 "
             "bytes a "
             "value and 272 for each of up to three horizons)",
             options, sizeof(struct exceedance_settings), exceedance_check},
    .state_version = 2,
    .state_bytes = exceedance_state_bytes,
    .judge = exceedance_judge,
    .sound = exceedance_sound,
};

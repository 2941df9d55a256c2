/* The standard detector: rank, saturate, average, judge the average's tail; novelty; mute.
 *
 * Per value and event, from residuals e in value units (DETECTION, sections 4 and 9):
 *   1. p_j   conformal rank of |e_j| against all earlier ones of the same horizon j (at most `horizons` of them)
 *   2. I_j   = [p_j < level] and [|e_j| > material x range so far > 0]          saturated: a huge residual counts once
 *   3. L     = mean over k in `windows` of T_k, or T_K if larger, K = long_window      T_k: tail.h, of the mean of I_j
 *   4. L     = max(L, marginal_weight T_K of the marginal channel: rank of |x - slow mean|)
 *   5. novelty: x beyond everything seen by more than `novelty` of the range: evidence 1, else .999 L
 *   6. gate: evidence counts only if detectors before this one in the list support it (DETECTION, section 11): in the last
 *      gate_rows events their support has reached gate (1 + gate_rise max(0, load - 1)), load = own alarms, fading by a
 *      factor e in gate_memory events.  Without such a detector, or with gate 0, all evidence counts.
 *   7. mute: after an alarm the score stays 0 for R = clamp(mute x events, mute_min, mute_max) events
 * The key's evidence is that of its most conspicuous value; the values' own evidence is the attribution.
 *
 * A missing value gives no evidence and moves nothing but the count. */
#include <math.h>

#include "engine/detect/detectors.h"
#include "engine/detect/rank.h"
#include "engine/math/kernels.h"
#include "engine/math/scalar.h"
#include "engine/math/sound.h"
#include "engine/math/tail.h"

enum { MAX_WINDOWS = 8 };
static const int usual_windows[] = {16, 20, 26};
/* Of what is not novel: no option, for only what is novel may be certain. */
static const double UNCERTAIN = .999;

struct exceedance_settings {
    double level, material, novelty, memory, mute;
    int64_t mute_min, mute_max;
    double gate, gate_rise;
    int64_t gate_rows;
    const char *network;
    int64_t horizons, long_window;
    struct eddy_ints windows;
    double marginal_gain, marginal_weight, marginal_level, decades, gate_memory;
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
    {"gate_memory", EDDY_OPT_REAL, offsetof(struct exceedance_settings, gate_memory), "1500", 1, 1e9, "events",
     "How long an alarm counts as one of late, for gate_rise.", NULL, 0, false},
    {"network", EDDY_OPT_STRING, offsetof(struct exceedance_settings, network), "", 0, 0, "",
     "Whose residuals: one of forecast.networks. Unset: those of the forecast as it is written out, and for a "
     "network with "
     "a lag its own.",
     NULL, 0, false},
    {"horizons", EDDY_OPT_INT, offsetof(struct exceedance_settings, horizons), "3", 1, 16, "horizons",
     "How many horizons' residuals are ranked: all, where no more are forecast, else from the first to the last, "
     "closer together near the first (3: the first, one at a quarter, the last). More see slower faults, for 272 "
     "bytes a value each.",
     NULL, 0, false},
    {"windows", EDDY_OPT_RANGES, offsetof(struct exceedance_settings, windows), "", 1, 64, "events",
     "Windows, eight at most, whose shares of exceedances are judged; the mean of their evidence counts. Longer ones "
     "find weaker faults later. Unset: 16, 20 and 26.",
     NULL, 0, false},
    {"long_window", EDDY_OPT_INT, offsetof(struct exceedance_settings, long_window), "60", 1, 64, "events",
     "A window whose evidence counts alone where it is larger, for faults that are weak and last; it is the marginal "
     "channel's as well.",
     NULL, 0, false},
    {"decades", EDDY_OPT_REAL, offsetof(struct exceedance_settings, decades), "10", .5, 18, "powers of ten",
     "A window's evidence is 1 when one in 10 to this power is as full by chance, and in proportion below: more is "
     "quieter.",
     NULL, 0, false},
    {"marginal_weight", EDDY_OPT_REAL, offsetof(struct exceedance_settings, marginal_weight), "0.8", 0, 1, "times",
     "What the marginal channel's evidence counts: values that stay far from their slow mean, whatever was forecast. "
     "0: nothing.",
     NULL, 0, false},
    {"marginal_level", EDDY_OPT_REAL, offsetof(struct exceedance_settings, marginal_level), "0.1", 1e-4, .5,
     "probability", "A distance from the slow mean exceeds when its rank among the earlier ones is below this.", NULL,
     0, false},
    {"marginal_gain", EDDY_OPT_REAL, offsetof(struct exceedance_settings, marginal_gain), "0.001", 1e-7, 1,
     "per event", "Weight of the newest value in the slow mean: less keeps changes of level conspicuous for longer.",
     NULL, 0, false},
    {0}};

struct exceedance_key {
    int64_t muted_until, supported_until; /* events */
    double load;                          /* alarms of late */
};
struct exceedance_value {
    int64_t n; /* events with a value */
    double low, high, slow;
    /* then tails, struct marginal and nets: struct view */
};
struct marginal {
    struct tail tail;
    uint64_t hits; /* the last 64 events, newest in bit 0 */
    struct rank rank;
};
struct net {
    uint64_t hits; /* the last 64 events, newest in bit 0 */
    struct rank rank;
};

/* A value's state, piece by piece. */
struct view {
    struct exceedance_value *value;
    struct tail *tails; /* [lengths.n + 1], the last of the long one */
    struct marginal *marginal;
    struct net *nets; /* [exceedance_nets()] */
};

static struct eddy_ints exceedance_lengths(const struct exceedance_settings *s)
{
    return s->windows.n > 0 ? s->windows : (struct eddy_ints){sizeof(usual_windows) / sizeof(int), usual_windows};
}

static int exceedance_nets(const struct exceedance_settings *s, int n_horizons)
{
    return n_horizons < s->horizons ? n_horizons : (int)s->horizons;
}

/* Which horizon the i-th net looks at.  With three of 1 .. 48 about the 1, 12 and 48 of DETECTION. */
static int exceedance_horizon(const struct exceedance_settings *s, int i, int n_horizons)
{
    const int last = (int)s->horizons - 1;
    if (n_horizons <= s->horizons || i == 0) return i;
    return i < last ? n_horizons * i * i / (last * last) : n_horizons - 1;
}

static size_t exceedance_value_bytes(const struct exceedance_settings *s, int n_horizons)
{
    return sizeof(struct exceedance_value) + (size_t)(exceedance_lengths(s).n + 1) * sizeof(struct tail) +
           sizeof(struct marginal) + (size_t)exceedance_nets(s, n_horizons) * sizeof(struct net);
}

static struct view exceedance_view(const struct exceedance_settings *s, void *value)
{
    struct view v = {.value = value};
    v.tails = (struct tail *)(void *)(v.value + 1);
    v.marginal = (struct marginal *)(void *)(v.tails + exceedance_lengths(s).n + 1);
    v.nets = (struct net *)(void *)(v.marginal + 1);
    return v;
}

static size_t exceedance_state_bytes(const void *settings, int n_values, int n_horizons)
{
    return sizeof(struct exceedance_key) + (size_t)n_values * exceedance_value_bytes(settings, n_horizons);
}

/* Steps 1 and 2 for all nets of a value. */
static void exceedance_rank_nets(const struct exceedance_settings *s, struct net *nets,
                                 const struct eddy_evidence *in, int value, double range)
{
    for (int i = 0; i < exceedance_nets(s, in->n_horizons); i++) {
        double e = in->residual[exceedance_horizon(s, i, in->n_horizons) * in->n_values + value];
        uint64_t hit = 0;
        if (isfinite(e)) {
            const bool rare = rank_take_below(&nets[i].rank, e, s->level);
            hit = rare && range > 0 && fabs(e) > s->material * range;
        }
        nets[i].hits = nets[i].hits << 1 | hit;
    }
}

/* Step 3: the mean over the short windows, or the long one if it says more. */
static double exceedance_windows(const struct exceedance_settings *s, const struct view *v, int n_nets, double gain)
{
    const struct eddy_ints lengths = exceedance_lengths(s);
    const int n = lengths.n;
    int length[MAX_WINDOWS + 1];
    double evidence[MAX_WINDOWS + 1], mean = 0;
    for (int w = 0; w < n; w++) length[w] = lengths.item[w];
    length[n] = (int)s->long_window;
    kernels_best()->tails(&(struct tail_windows){.n = n + 1,
                                                 .length = length,
                                                 .n_lists = n_nets,
                                                 .hit = &v->nets[0].hits, /* and in the nets behind it */
                                                 .stride = sizeof(struct net) / sizeof(uint64_t),
                                                 .n_events = v->value->n,
                                                 .gain = gain,
                                                 .decades = s->decades},
                          v->tails, evidence);
    for (int w = 0; w < n; w++) mean += evidence[w] / n;
    return scalar_most(mean, evidence[n]);
}

/* Step 4; `part` of all events so far is this one. */
static double exceedance_marginal(const struct exceedance_settings *s, const struct view *v, double x, double part,
                                  double gain)
{
    struct exceedance_value *own = v->value;
    struct marginal *m = v->marginal;
    double distance = fabs(x - own->slow);
    const uint64_t hit = rank_take_below(&m->rank, distance, s->marginal_level);
    m->hits = m->hits << 1 | hit;
    own->slow += scalar_most(part, s->marginal_gain) * (x - own->slow);
    const double share = tail_share(m->hits, (int)s->long_window);
    double evidence;
    tail_judge(1, &m->tail, &share, own->n, gain, s->decades, &evidence);
    return s->marginal_weight * evidence;
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

static double exceedance_value(const struct exceedance_settings *s, const struct view *view,
                               const struct eddy_evidence *in, int value)
{
    struct exceedance_value *v = view->value;
    double x = in->x[value];
    if (!isfinite(x)) return 0;
    if (fabs(x) > 1e150) x = copysign(1e150, x); /* so that ranges and distances stay finite */
    if (v->n == 0) v->low = v->high = v->slow = x;

    const double part = 1 / ((double)v->n + 1), gain = tail_gain(part, s->memory);
    exceedance_rank_nets(s, view->nets, in, value, v->high - v->low);
    double evidence = exceedance_windows(s, view, exceedance_nets(s, in->n_horizons), gain);
    evidence = scalar_most(evidence, exceedance_marginal(s, view, x, part, gain));
    bool novel = exceedance_novel(s, v, x);
    if (v->n++ < in->warmup_events) return 0;
    return novel ? 1 : UNCERTAIN * evidence;
}

/* Step 6. */
static bool exceedance_counts(const struct exceedance_settings *s, struct exceedance_key *key,
                              const struct eddy_evidence *in)
{
    key->load -= key->load / s->gate_memory;
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
    const size_t bytes = exceedance_value_bytes(s, in->n_horizons);
    unsigned char *values = (unsigned char *)(key + 1);

    out->evidence = 0;
    for (int i = 0; i < in->n_values; i++) {
        const struct view v = exceedance_view(s, values + (size_t)i * bytes);
        double evidence = exceedance_value(s, &v, in, i);
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
    if (s->windows.n > MAX_WINDOWS)
        return eddy_fail(err, EDDY_ECONFIG, "windows: there may be %d at most, not %d", MAX_WINDOWS, s->windows.n);
    return EDDY_OK;
}

static bool exceedance_sound(const void *settings, int n_values, int n_horizons, const void *state)
{
    const struct exceedance_key *key = state;
    const unsigned char *values = (const unsigned char *)(key + 1);
    const size_t bytes = exceedance_value_bytes(settings, n_horizons);
    bool sound = true;
    for (int i = 0; i < n_values; i++, values += bytes)
        sound &= sound_count(((const struct exceedance_value *)(const void *)values)->n);
    return sound;
}

const struct eddy_detector detector_exceedance = {
    .part = {sizeof(struct eddy_detector), EDDY_PART_DETECTOR, "exceedance",
             "ranks residuals of several horizons against the key's own history and judges their short averages (384 "
             "bytes a value, and 272 for each of three horizons)",
             options, sizeof(struct exceedance_settings), exceedance_check},
    .state_version = 2,
    .state_bytes = exceedance_state_bytes,
    .judge = exceedance_judge,
    .sound = exceedance_sound,
};

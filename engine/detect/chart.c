/* The textbook control chart, to compare with: a moving average of the values and Hotelling's T-squared of it.
 *
 *     E_i += rate (x_i - E_i)                                 a missing value leaves E_i as it is
 *     T^2  = e . P e,  e = (E - mean) / sd                    mean, sd, P: moments.h over E, from event 30 to `warmup`
 *     alarm while T^2 > limit x D (1 - a + 2.326 sqrt a)^3,   a = 2 / (9 D): the 99 % point of chi-squared with D
 *                                                             degrees of freedom (Wilson and Hilferty)
 *                                                             limit: the option times (threshold / .4)^2
 * With one value it is the EWMA chart: an alarm while the average is more than sqrt(6.63 limit) of its own deviations
 * from its mean.  After the warm-up mean and covariance stay, or follow with `memory`, also during alarms.
 *
 * Evidence as in machine.c of r = T^2 / its limit; score in the first row of an alarm alone; while it lasts the kind
 * "level_shift" holds, as in drift.c.  Attribution: e_i^2. */
#include <math.h>

#include "engine/detect/detectors.h"
#include "engine/detect/moments.h"
#include "engine/math/sound.h"

/* No options: the average has forgotten where it began; and a value known for less than a quarter of the time is not judged. */
enum { SETTLED_FROM = 30, LEAST_KNOWN = 4 };

struct chart_settings {
    double rate, limit, ridge, memory;
    int64_t warmup, refresh;
};

#define AT(member) offsetof(struct chart_settings, member)
static const struct eddy_option options[] = {
    {"rate", EDDY_OPT_REAL, AT(rate), "0.1", 1e-4, 1, "per event", "Weight of the newest event in the averages.",
     NULL, 0, false},
    {"limit", EDDY_OPT_REAL, AT(limit), "5", .1, 1e9, "99 % points of chi-squared",
     "An alarm lasts while T-squared is above so many.", NULL, 0, false},
    {"ridge", EDDY_OPT_REAL, AT(ridge), "0.01", 1e-6, 10, "", "Added to the diagonal of the correlations.", NULL, 0,
     false},
    {"warmup", EDDY_OPT_INT, AT(warmup), "400", 50, 1e6, "events",
     "The events that say what is usual; detect.warmup where that is longer.", NULL, 0, false},
    {"memory", EDDY_OPT_REAL, AT(memory), "0", 0, 1e9, "events",
     "How fast the chart follows after its warm-up; 0 = not at all, as in the textbook.", NULL, 0, false},
    {"refresh", EDDY_OPT_INT, AT(refresh), "64", 1, 1e6, "events",
     "With memory: how often the comparison of values is computed anew.", NULL, 0, false},
    {0}};

static const char *const kinds[] = {"level_shift", NULL};

struct chart_key {
    int64_t n, learned;
    int32_t open, spare;
    /* then the moments of the averages, and the averages, D floats */
};

static size_t chart_state_bytes(const void *settings, int n_values, int n_horizons)
{
    (void)settings, (void)n_horizons;
    const size_t averages = ((size_t)n_values * sizeof(float) + 7) & ~(size_t)7;
    return sizeof(struct chart_key) + moments_bytes(n_values) + averages;
}

static double chart_limit(const struct chart_settings *s, int n_values, double threshold)
{
    const double strictness = detectors_strictness(threshold);
    const double a = 2 / (9. * n_values), root = 1 - a + 2.3263478740 * sqrt(a);
    return s->limit * strictness * strictness * n_values * root * root * root;
}

/* Moves the averages into `at`; what is missing keeps its place, and is left out of what is learned, x. */
static void chart_average(const struct chart_settings *s, const struct chart_key *key, double *x, float *averages,
                          double *at, int n)
{
    for (int i = 0; i < n; i++) {
        if (!isnan(x[i])) {
            averages[i] += (float)(fmax(s->rate, 1 / (double)key->n) * (x[i] - (double)averages[i]));
            x[i] = (double)averages[i];
        }
        at[i] = (double)averages[i];
    }
}

static void chart_learn(const struct chart_settings *s, struct chart_key *key, const struct moments *m,
                        const double *averages, int64_t warmup)
{
    if (key->n <= SETTLED_FROM || (key->n > warmup && s->memory <= 0)) return;
    key->learned++;
    moments_learn(m, averages, key->learned, s->memory > 0 ? fmax(s->memory, (double)warmup) : 1e300);
    if (key->n == warmup || (key->n > warmup && key->n % s->refresh == 0)) moments_invert(m, s->ridge);
}

/* e; a value of which less than a quarter of what was learned is known since it first moved is not judged. */
static void chart_standardise(const struct moments *m, int64_t learned, const double *at, double *e)
{
    moments_standardise(m, at, e);
    for (int i = 0; i < m->n_values; i++)
        if (LEAST_KNOWN * (int64_t)m->count[i] < learned) e[i] = 0;
}

static void chart_conclude(struct chart_key *key, double ratio, double threshold, struct eddy_verdict *out)
{
    const int32_t was_open = key->open;
    out->evidence = ratio <= 1 ? threshold * ratio : 1 - (1 - threshold) / ratio;
    key->open = ratio > 1;
    out->score = key->open && was_open ? 0 : out->evidence;
    if (!key->open) out->score = fmin(out->score, threshold * (1 - 1e-9)); /* at the limit is not beyond it */
}

static void chart_judge(const void *settings, void *state, const struct eddy_evidence *in, struct eddy_verdict *out)
{
    const struct chart_settings *s = settings;
    struct chart_key *key = state;
    const int64_t warmup = s->warmup > in->warmup_events ? s->warmup : in->warmup_events;
    const struct moments m = moments_at(key + 1, in->n_values);
    float *averages = (float *)(void *)((unsigned char *)(key + 1) + moments_bytes(in->n_values));
    double x[MOMENTS_MAX], at[MOMENTS_MAX], e[MOMENTS_MAX];

    key->n++;
    moments_centre(&m, in->x, x);
    chart_average(s, key, x, averages, at, in->n_values);
    out->score = out->evidence = 0;
    if (key->n > warmup) {
        chart_standardise(&m, key->learned, at, e);
        for (int i = 0; i < in->n_values; i++) out->attribution[i] = (float)(e[i] * e[i]);
        chart_conclude(key, moments_distance(&m, e) / chart_limit(s, in->n_values, in->threshold), in->threshold,
                       out);
    }
    out->holds = key->open ? 1 : 0;
    chart_learn(s, key, &m, x, warmup);
}

static bool chart_sound(const void *settings, int n_values, int n_horizons, const void *state)
{
    const struct chart_key *key = state;
    (void)settings, (void)n_values, (void)n_horizons;
    return sound_count(key->n) && sound_span(key->learned, 0, key->n);
}

const struct eddy_detector detector_chart = {
    .part = {sizeof(struct eddy_detector), EDDY_PART_DETECTOR, "chart",
             "the textbook chart: moving averages of the values and Hotelling's T-squared, or the EWMA chart of one "
             "(about 30 D + 4 D^2 bytes for D values)",
             options, sizeof(struct chart_settings), NULL},
    .state_version = 2,
    .state_bytes = chart_state_bytes,
    .judge = chart_judge,
    .sound = chart_sound,
    .max_values = MOMENTS_MAX,
    .kinds = kinds,
};

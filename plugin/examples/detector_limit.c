/* A detector from outside: static limits.  The score is 1 while a value lies outside low..high for `patience` events in
 * a row, and 0 otherwise.  Build and use:
 *
 *     cc -shared -fPIC $(pkg-config --cflags eddy) -o detector_limit.so detector_limit.c
 *     plugins: [./detector_limit.so]        detect: {detectors: [exceedance, {limit: {low: 0, high: 90}}]} */
#include <math.h>

#include "eddy_plugin.h"

struct limit_settings {
    double low, high;
    int64_t patience;
};
static const struct eddy_option options[] = {
    {"low", EDDY_OPT_REAL, offsetof(struct limit_settings, low), "-1e300", 0, 0, "", "Lowest good value.", NULL, 0,
     0},
    {"high", EDDY_OPT_REAL, offsetof(struct limit_settings, high), "1e300", 0, 0, "", "Highest good value.", NULL, 0,
     0},
    {"patience", EDDY_OPT_INT, offsetof(struct limit_settings, patience), "1", 1, 1000000, "events",
     "Events in a row outside before it counts.", NULL, 0, 0},
    {0},
};

static eddy_status limit_check(const void *settings, struct eddy_error *err)
{
    const struct limit_settings *s = settings;
    if (s->low <= s->high) return EDDY_OK;
    return eddy_fail(err, EDDY_ECONFIG, "low %g lies above high %g", s->low, s->high);
}

/* state  int64 [n_values]: events in a row outside. */
static size_t limit_state_bytes(const void *settings, int n_values, int n_horizons)
{
    (void)settings, (void)n_horizons;
    return (size_t)n_values * sizeof(int64_t);
}

static void limit_judge(const void *settings, void *state, const struct eddy_evidence *e, struct eddy_verdict *out)
{
    const struct limit_settings *s = settings;
    int64_t *outside = state;
    out->score = out->evidence = 0;
    for (int v = 0; v < e->n_values; v++) {
        if (isnan(e->x[v])) continue; /* a missing value is no evidence for either side */
        outside[v] = e->x[v] < s->low || e->x[v] > s->high ? outside[v] + 1 : 0;
        if (outside[v] < s->patience) continue;
        out->score = out->evidence = 1;
        out->attribution[v] = 1;
    }
}

static const struct eddy_detector detector_limit = {
    .part = {sizeof(detector_limit), EDDY_PART_DETECTOR, "limit", "Static limits.", options,
             sizeof(struct limit_settings), limit_check},
    .state_version = 1,
    .state_bytes = limit_state_bytes,
    .judge = limit_judge,
};
static const struct eddy_part *const parts[] = {&detector_limit.part, NULL};
static const struct eddy_module module = {EDDY_PART_ABI, sizeof(module), "detector_limit",
                                          "1.0",         "Apache-2.0",   parts};

EDDY_MODULE const struct eddy_module *eddy_module(void);
const struct eddy_module *eddy_module(void)
{
    return &module;
}

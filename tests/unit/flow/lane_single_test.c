/* Jobs of one value, one horizon and one network have code of their own in the lane (plan->single): it must do what the
 * general code does, and no other job may come to it. */
#include <criterion/criterion.h>

#include "engine/flow/plan.h"
#include "fixture.h"

#define LAYERS "network: {layers: [{lstm: {units: 8}}]}"

struct job {
    const char *yaml;
    int n_values;
    bool single;
};

static const struct job jobs[] = {
    {"forecast: {horizons: [1], " LAYERS "}\n", 1, true},
    {"forecast: {horizons: [1], season: none, " LAYERS "}\n", 1, true},
    {"forecast: {horizons: [1], season: 24h, anchor: season, " LAYERS "}\n", 1, true},
    {"forecast: {horizons: [1], " LAYERS "}\ntrain: {mode: inline, every: 4, window: 8, epoch: 64}\n", 1, true},
    {"forecast: {horizons: [1], missing: {default: skip}, " LAYERS "}\ndetect: {threshold: 0.1}\n", 1, true},
    {"forecast: {horizons: [1], " LAYERS "}\n", 2, false},
    {"forecast: {horizons: [2], " LAYERS "}\n", 1, false},
    {"forecast: {horizons: [1, 2], " LAYERS "}\n", 1, false},
    {"forecast: {horizons: [1], experts: [network, persistence], " LAYERS "}\n", 1, false},
    {"forecast: {horizons: [1], experts: [persistence]}\n", 1, false},
    {"forecast: {horizons: [1], scaling: {kind: fixed, mean: {default: 1}, deviation: {default: 2}}, " LAYERS "}\n",
     1, false},
    {"forecast: {horizons: [1], transform: {default: log}, " LAYERS "}\n", 1, false},
    {"forecast: {horizons: [1], volatility: ewma, " LAYERS "}\n", 1, false},
    {"forecast: {horizons: [1], network: {loss: gaussian, layers: [{lstm: {units: 8}}]}}\n", 1, false},
};
enum { N_JOBS = sizeof(jobs) / sizeof(jobs[0]), EVENTS = 2000 };

Test(lane, only_one_value_one_step_ahead_and_one_plain_network_take_the_short_way)
{
    for (int k = 0; k < N_JOBS; k++) {
        struct fixture_lane f;
        fixture_open(&f, jobs[k].yaml, jobs[k].n_values, NULL, 1000);
        cr_expect_eq(f.plan->single, jobs[k].single, "%s", jobs[k].yaml);
        fixture_close(&f);
    }
}

static uint64_t outcome(const struct job *job, bool single, char hash[33])
{
    struct fixture_lane f;
    const struct fixture_stream stream = {.n_keys = 20, .n_values = job->n_values, .gaps = true};
    fixture_open(&f, job->yaml, job->n_values, NULL, 1000);
    f.plan->single = single;
    fixture_run(&f, &stream, 0, EVENTS, 100);
    fixture_hash(&f, hash);
    const uint64_t digest = f.digest;
    fixture_close(&f);
    return digest;
}

Test(lane, the_short_way_gives_what_the_general_one_gives)
{
    for (int k = 0; k < N_JOBS; k++) {
        char single[33], general[33];
        if (!jobs[k].single) continue;
        cr_expect_eq(outcome(&jobs[k], true, single), outcome(&jobs[k], false, general), "%s", jobs[k].yaml);
        cr_expect_str_eq(single, general, "%s", jobs[k].yaml);
    }
}

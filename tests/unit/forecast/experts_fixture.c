#include "tests/unit/forecast/experts_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eddy_layer.h"

enum { N_AHEAD = 24 };
static const double no_season[N_AHEAD + 1];

/* What every configuration must name, without anything in it. */
static const struct eddy_part json = {.struct_size = sizeof(json), .kind = EDDY_PART_CODEC, .name = "json"};
static const struct eddy_part gru = {.struct_size = sizeof(gru), .kind = EDDY_PART_LAYER, .name = "gru"};
static const struct eddy_part exceedance = {
    .struct_size = sizeof(exceedance), .kind = EDDY_PART_DETECTOR, .name = "exceedance"};
static const struct eddy_part *const list[] = {&json, &gru, &exceedance, EXPERTS(EXPERTS_PART) NULL};
static const struct eddy_parts parts = {list};

static eddy_status fixture_config(const char *yaml, struct config **config, struct eddy_error *err)
{
    char text[1000];
    (void)snprintf(text, sizeof(text), "name: test\nforecast: {network: {layers: [gru]}, experts: [{%s%s}]}\n", yaml,
                   strchr(yaml, ':') ? "" : ": {}");
    const struct config_request request = {
        .text = text, .parts = &parts, .source_optional = true, .sink_optional = true};
    return config_open(&request, config, err);
}

static const struct eddy_choice *fixture_choice(const struct config *config)
{
    return &config_settings(config)->forecast.experts.item[0];
}

void test_expert_open_at(struct test_expert *t, const char *yaml, int season, int n_horizons, const int *horizons)
{
    struct eddy_error err = {0};
    *t = (struct test_expert){.shape = {n_horizons, horizons, season, N_AHEAD, 0}};
    cr_assert_leq(n_horizons, TEST_HORIZONS);
    cr_assert_eq(fixture_config(yaml, &t->config, &err), EDDY_OK, "%s: %s", yaml, err.message);
    t->expert = (const struct eddy_expert *)(const void *)fixture_choice(t->config)->part;
    t->settings = fixture_choice(t->config)->settings;
    if (t->expert->plan)
        cr_assert_eq(t->expert->plan(t->settings, &t->shape, &err), EDDY_OK, "%s: %s", yaml, err.message);
    if (t->expert->kept_bytes) t->kept_each = t->expert->kept_bytes(t->settings, &t->shape, &t->n_kept);
    const size_t own = (t->expert->state_bytes(t->settings, &t->shape) + 7) & ~(size_t)7;
    t->bytes = own + (size_t)t->n_kept * t->kept_each;
    t->state = calloc(1, t->bytes);
    cr_assert(t->state);
    if (t->n_kept > 0) t->kept = (unsigned char *)t->state + own;
    if (t->expert->init) t->expert->init(t->settings, &t->shape, t->state);
    if (!t->expert->model_bytes) return;
    t->model_bytes = t->expert->model_bytes(t->settings, &t->shape);
    t->contribution_bytes = t->expert->contribution_bytes(t->settings, &t->shape);
    t->model = calloc(1, t->model_bytes);
    t->contributions = calloc(TEST_SHARE_EVERY, t->contribution_bytes);
    cr_assert(t->model && t->contributions);
    if (t->expert->model_init) t->expert->model_init(t->settings, &t->shape, t->model);
}

void test_expert_join(struct test_expert *t, const struct test_expert *other)
{
    memcpy(t->model, other->model, t->model_bytes);
}

void test_expert_open(struct test_expert *t, const char *yaml, int season)
{
    static const int horizons[TEST_HORIZONS] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                                                13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24};
    test_expert_open_at(t, yaml, season, TEST_HORIZONS, horizons);
}

void test_expert_close(struct test_expert *t)
{
    config_close(t->config);
    free(t->state);
    free(t->model);
    free(t->contributions);
}

/* What this step says about the shared model; at a boundary the model learns. */
static void *fixture_contribution(struct test_expert *t)
{
    if (!t->contributions) return NULL;
    const void *all[TEST_SHARE_EVERY];
    const int64_t place = t->count % TEST_SHARE_EVERY;
    for (int i = 0; i < TEST_SHARE_EVERY; i++) all[i] = t->contributions + (size_t)i * t->contribution_bytes;
    if (place == 0 && t->count > 0) t->expert->learn(t->settings, &t->shape, t->model, all, TEST_SHARE_EVERY);
    return memset(t->contributions + (size_t)place * t->contribution_bytes, 0, t->contribution_bytes);
}

void test_expert_fold(struct test_expert *t, double x)
{
    void *contribution = fixture_contribution(t);
    if (!isnan(x)) (void)scale_update(&t->scale, x);
    const struct eddy_expert_event event = {.x = x,
                                            .sigma = t->scale.n ? scale_sigma(&t->scale) : 1,
                                            .elapsed_s = 1,
                                            .count = t->count++,
                                            .ahead = no_season,
                                            .model = t->model,
                                            .contribution = contribution,
                                            .kept = t->kept};
    t->expert->fold(t->settings, &t->shape, t->state, &event, t->forecast);
}

const char *test_expert_refusal(const char *yaml, int season)
{
    static struct eddy_error err;
    const struct eddy_expert_shape shape = {.season = season};
    struct config *config = NULL;
    err = (struct eddy_error){0};
    if (fixture_config(yaml, &config, &err) >= 0) {
        const struct eddy_choice *choice = fixture_choice(config);
        const struct eddy_expert *expert = (const struct eddy_expert *)(const void *)choice->part;
        if (expert->plan) (void)expert->plan(choice->settings, &shape, &err);
    }
    config_close(config);
    return err.message;
}

double test_expert_error(const char *yaml, int season, const double *x, int first, int n, int h)
{
    struct test_expert t;
    double own = 0, persistence = 0, *forecasts = calloc((size_t)n, sizeof(*forecasts));
    cr_assert(forecasts);
    test_expert_open_at(&t, yaml, season, 1, &h);
    for (int i = 0; i < n; i++) {
        if (i >= first && i >= h) {
            own += (x[i] - forecasts[i - h]) * (x[i] - forecasts[i - h]);
            persistence += (x[i] - x[i - h]) * (x[i] - x[i - h]);
        }
        test_expert_fold(&t, x[i]);
        forecasts[i] = t.forecast[0];
    }
    free(forecasts);
    test_expert_close(&t);
    return own / persistence;
}

double test_noise(uint64_t seed, int i)
{
    return (double)eddy_random_normal(seed, (uint64_t)i);
}

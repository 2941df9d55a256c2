#include "fixture.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "connectors/codec/codecs.h"
#include "engine/detect/detectors.h"
#include "engine/flow/plan.h"
#include "engine/flow/sink.h"
#include "engine/flow/source.h"
#include "engine/forecast/experts.h"
#include "engine/model/layers.h"

static const struct eddy_source no_source = {
    .part = {sizeof(struct eddy_source), EDDY_PART_SOURCE, "nothing", "for tests", NULL, 0, NULL}};
static const struct eddy_sink no_sink = {
    .part = {sizeof(struct eddy_sink), EDDY_PART_SINK, "nothing", "for tests", NULL, 0, NULL}};
/* A detector whose state is not all 0 at first: its evidence is 1/4 while nobody has touched what init() wrote. */
static size_t primed_bytes(const void *settings, int n_values, int n_horizons)
{
    (void)settings, (void)n_values, (void)n_horizons;
    return sizeof(int64_t);
}

static void primed_init(const void *settings, int n_values, int n_horizons, void *state)
{
    (void)settings, (void)n_values, (void)n_horizons;
    *(int64_t *)state = 41;
}

static void primed_judge(const void *settings, void *state, const struct eddy_evidence *in, struct eddy_verdict *out)
{
    (void)settings;
    int64_t *n = state;
    out->evidence = out->score = *n == 41 + in->count ? .25 : 0;
    ++*n;
}

static const struct eddy_detector primed = {
    .part = {sizeof(struct eddy_detector), EDDY_PART_DETECTOR, "primed", "for tests", NULL, 0, NULL},
    .state_version = 1,
    .state_bytes = primed_bytes,
    .init = primed_init,
    .judge = primed_judge};

/* Two detectors of the first two values, each in a scale of its own: evidence .2, all of it the first value's, and .3 of the
 * second's. */
static void loud_judge(const void *settings, void *state, const struct eddy_evidence *in, struct eddy_verdict *out)
{
    (void)settings, (void)state, (void)in;
    out->evidence = out->score = .2;
    out->attribution[0] = 1000;
}

static void soft_judge(const void *settings, void *state, const struct eddy_evidence *in, struct eddy_verdict *out)
{
    (void)settings, (void)state, (void)in;
    out->evidence = out->score = .3;
    out->attribution[1] = .01f;
}

static size_t stateless_bytes(const void *settings, int n_values, int n_horizons)
{
    (void)settings, (void)n_values, (void)n_horizons;
    return 0;
}

static const struct eddy_detector loud = {
    .part = {sizeof(struct eddy_detector), EDDY_PART_DETECTOR, "loud", "for tests", NULL, 0, NULL},
    .state_version = 1,
    .state_bytes = stateless_bytes,
    .judge = loud_judge};
static const struct eddy_detector soft = {
    .part = {sizeof(struct eddy_detector), EDDY_PART_DETECTOR, "soft", "for tests", NULL, 0, NULL},
    .state_version = 1,
    .state_bytes = stateless_bytes,
    .judge = soft_judge};

/* A detector that alarms above 60, and holds a kind that it has not named. */
static void nameless_judge(const void *settings, void *state, const struct eddy_evidence *in,
                           struct eddy_verdict *out)
{
    (void)settings, (void)state;
    const bool high = in->x[0] > 60;
    out->evidence = out->score = high ? .9 : 0;
    out->holds = high ? 1u << 1 : 0;
}

static const char *const nameless_kinds[] = {"named", NULL};
static const struct eddy_detector nameless = {
    .part = {sizeof(struct eddy_detector), EDDY_PART_DETECTOR, "nameless", "for tests", NULL, 0, NULL},
    .state_version = 1,
    .state_bytes = stateless_bytes,
    .judge = nameless_judge,
    .kinds = nameless_kinds};

/* An expert whose keys share the mean of their moves: model {sum, n}, contribution {difference, 1}. */
struct pooled_state {
    double last, known;
};

static size_t pooled_bytes(const void *settings, const struct eddy_expert_shape *shape)
{
    (void)settings, (void)shape;
    return 2 * sizeof(double);
}

static void pooled_fold(const void *settings, const struct eddy_expert_shape *shape, void *state,
                        const struct eddy_expert_event *in, double *forecast)
{
    (void)settings;
    struct pooled_state *s = state;
    const double *model = in->model;
    double *contribution = in->contribution;
    if (contribution && s->known > 0 && !isnan(in->x)) {
        contribution[0] = in->x - s->last;
        contribution[1] = 1;
    }
    if (!isnan(in->x)) *s = (struct pooled_state){in->x, 1};
    for (int j = 0; j < shape->n_horizons; j++)
        forecast[j] = s->known > 0 ? s->last + shape->horizons[j] * (model[1] > 0 ? model[0] / model[1] : 0) : NAN;
}

/* Not the same in another order: a mean with a memory of about 20. */
static void pooled_learn(const void *settings, const struct eddy_expert_shape *shape, void *model,
                         const void *const *contributions, int n)
{
    (void)settings, (void)shape;
    double *m = model;
    for (int i = 0; i < n; i++) {
        const double *c = contributions[i];
        if (c[1] == 0) continue;
        m[0] = .95 * m[0] + c[0];
        m[1] = .95 * m[1] + 1;
    }
}

static const struct eddy_expert pooled = {
    .part = {sizeof(struct eddy_expert), EDDY_PART_EXPERT, "pooled", "for tests", NULL, 0, NULL},
    .state_version = 1,
    .state_bytes = pooled_bytes,
    .fold = pooled_fold,
    .model_bytes = pooled_bytes,
    .contribution_bytes = pooled_bytes,
    .learn = pooled_learn};

static const struct eddy_part *const parts[] = {&primed.part,
                                                &loud.part,
                                                &soft.part,
                                                &nameless.part,
                                                &pooled.part,
                                                &no_source.part,
                                                &no_sink.part,
                                                &codec_json.part,
                                                &detector_exceedance.part,
                                                &detector_committee.part,
                                                &detector_machine.part,
                                                &detector_chart.part,
                                                &detector_level_shift.part,
                                                LAYERS(LAYERS_PART) EXPERTS(EXPERTS_PART) & expert_network.part,
                                                NULL};
const struct eddy_parts fixture_parts = {parts};

struct config *fixture_config(const char *yaml)
{
    char text[4096];
    struct config *config = NULL;
    struct eddy_error err = {0};
    (void)snprintf(text, sizeof(text), "name: test\nsource: {nothing: {}}\nsink: {nothing: {}}\n%s", yaml);
    const struct config_request request = {.text = text, .parts = &fixture_parts};
    if (config_open(&request, &config, &err) < 0)
        for (int i = 0; i < config_error_count(config); i++) cr_log_error("%s", config_error(config, i));
    cr_assert_eq(err.code, EDDY_OK, "%s", err.message);
    return config;
}

void fixture_event(const struct fixture_stream *s, int64_t i, char key[16], double *x, struct lane_event *out)
{
    int k = (int)(eddy_random_bits(7, (uint64_t)i) % (uint64_t)s->n_keys);
    if (eddy_random_uniform(8, (uint64_t)i) < .3f) k /= 3;
    (void)snprintf(key, 16, "key-%d", k);
    int64_t time_ns = 1700000000000000000 + i * 300000000000;
    for (int v = 0; v < s->n_values; v++) {
        double day = 6.283185307179586 * (double)(i % 288) / 288;
        uint64_t draw = (uint64_t)i * 64 + (uint64_t)v;
        x[v] = 10 * k + (1 + v) * sin(day + k) + .2 * (double)eddy_random_normal(9, draw);
        if (s->gaps && (i + v) % 17 == 0) x[v] = NAN;
    }
    *out = (struct lane_event){LANE_EVENT, i, {.key = key, .key_len = strlen(key), .time_ns = time_ns, .x = x}, NULL};
}

void fixture_open(struct fixture_lane *f, const char *yaml, int n_values, const char *store_path,
                  int64_t max_resident)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    const struct eddy_schema schema = {.n_values = n_values, .names = names};
    const struct store_identity id = {"test", "topic", 0};
    struct eddy_error err = {0};
    *f = (struct fixture_lane){.config = fixture_config(yaml)};
    const struct settings *s = config_settings(f->config);
    cr_assert_geq(plan_open(s, &schema, &f->plan, &err), 0, "%s", err.message);
    if (s->train.mode != TRAIN_OFF)
        cr_assert_geq(trainer_open(s->train.mode, &f->trainer, &err), 0, "%s", err.message);
    if (store_path) cr_assert_geq(store_open(store_path, &id, STORE_WRITE, &f->store, &err), 0, "%s", err.message);
    const struct lane_request request = {f->plan, "topic", 0, f->store, f->trainer, max_resident, NULL, NULL};
    cr_assert_geq(lane_open(&request, &f->lane, &err), 0, "%s", err.message);
    for (int k = 0; k < 64; k++) f->last[k] = NAN;
}

void fixture_close(struct fixture_lane *f)
{
    lane_close(f->lane);
    store_close(f->store);
    trainer_close(f->trainer);
    plan_close(f->plan);
    config_close(f->config);
}

static void fixture_digest(struct fixture_lane *f, const struct eddy_result *r)
{
    size_t values = (size_t)r->schema->n_values, plane = (size_t)r->n_horizons * values;
    uint64_t h = f->digest;
    h = XXH3_64bits_withSeed(r->y, values * 4 * sizeof(double), h);
    h = XXH3_64bits_withSeed(r->forecast, plane * sizeof(double), h);
    h = XXH3_64bits_withSeed(r->band_lower, plane * (size_t)r->n_bands * 2 * sizeof(double), h);
    h = XXH3_64bits_withSeed(r->attribution, values * sizeof(float), h);
    const double scores[] = {r->score, r->evidence, r->score_ratio, (double)r->model, (double)r->state};
    f->digest = XXH3_64bits_withSeed(scores, sizeof(scores), h);
    f->results++;

    int k = atoi(r->key + 4);
    if (r->offset >= f->errors_from && isfinite(r->y[0]) && isfinite(r->yhat[0]) && isfinite(f->last[k])) {
        f->squared_error += (r->y[0] - r->yhat[0]) * (r->y[0] - r->yhat[0]);
        f->persistence_error += (r->y[0] - f->last[k]) * (r->y[0] - f->last[k]);
        f->errors++;
    }
    if (isfinite(r->y[0])) f->last[k] = r->y[0];
}

void fixture_run(struct fixture_lane *f, const struct fixture_stream *s, int64_t from, int64_t to, int chunk)
{
    size_t n = (size_t)chunk, values = (size_t)s->n_values;
    char(*keys)[16] = calloc(n, sizeof(*keys));
    double *x = calloc(n * values, sizeof(*x));
    struct lane_event *events = calloc(n, sizeof(*events));
    struct eddy_result *results = calloc(n, sizeof(*results));
    struct eddy_error err = {0};
    for (int64_t at = from; at < to; at += chunk) {
        int count = to - at < chunk ? (int)(to - at) : chunk, done = 0;
        for (int i = 0; i < count; i++) fixture_event(s, at + i, keys[i], x + (size_t)i * values, &events[i]);
        while (done < count) {
            eddy_status taken = lane_turn(f->lane, events + done, count - done, results, &err);
            cr_assert_geq(taken, 0, "%s", err.message);
            if (taken == 0) cr_assert_eq(lane_wait(f->lane, 20000), EDDY_OK, "the candidate never came");
            for (int i = 0; i < taken; i++) fixture_digest(f, &results[i]);
            lane_commit(f->lane);
            done += taken;
        }
    }
    free(keys), free(x), free(events), free(results);
}

void fixture_hash(struct fixture_lane *f, char out[33])
{
    struct eddy_error err = {0};
    struct state_hash *h = state_hash_open();
    cr_assert_geq(lane_hash(f->lane, true, h, &err), 0, "%s", err.message);
    state_hash_hex(h, out);
    state_hash_close(h);
}

const struct eddy_result *fixture_feed(struct fixture_lane *f, int64_t offset, const char *key, int64_t time_ns,
                                       const double *x)
{
    return fixture_feed_label(f, offset, key, time_ns, x, NULL, false);
}

const struct eddy_result *fixture_feed_label(struct fixture_lane *f, int64_t offset, const char *key, int64_t time_ns,
                                             const double *x, const char *label, bool late)
{
    static struct eddy_result result; /* a test runs in a process of its own */
    struct eddy_error err = {0};
    double copy[4];
    memcpy(copy, x, (size_t)f->plan->n_values * sizeof(double));
    const struct lane_event event = {LANE_EVENT,
                                     offset,
                                     {.key = key,
                                      .key_len = strlen(key),
                                      .time_ns = time_ns,
                                      .x = copy,
                                      .label = label,
                                      .label_len = label ? strlen(label) : 0,
                                      .label_only = late},
                                     NULL};
    eddy_status taken;
    while ((taken = lane_turn(f->lane, &event, 1, &result, &err)) == 0) (void)lane_wait(f->lane, 1000);
    cr_assert_eq(taken, 1, "%s", err.message);
    lane_commit(f->lane);
    return &result;
}

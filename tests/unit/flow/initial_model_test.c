/* Weights from outside: a lane without a checkpoint starts from them, one with a checkpoint takes them as a version. */
#include "engine/flow/initial_model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/flow/lane_store.h"
#include "engine/model/model_file.h"
#include "tests/unit/flow/fixture.h"

#define SMALL    "forecast: {network: {layers: [{gru: {units: 3}}]}}\n"
#define LEARNING SMALL "train: {mode: inline, every: 1, window: 8, epoch: 64, lag: 2, windows: 8}\n"

static const struct fixture_stream stream = {.n_keys = 5, .n_values = 1};

struct world {
    char dir[32], path[64];
    struct fixture_lane f;
    float *params; /* [n_params] all 1/8 */
};

static void world_open(struct world *w, int64_t n_events)
{
    struct eddy_error err = {0};
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/eddy-test-XXXXXX");
    cr_assert(mkdtemp(w->dir));
    (void)snprintf(w->path, sizeof(w->path), "%s/s.db", w->dir);
    fixture_open(&w->f, LEARNING, 1, w->path, 100);
    fixture_run(&w->f, &stream, 0, n_events, 16);
    cr_assert_geq(lane_checkpoint(w->f.lane, &err), 0, "%s", err.message);
    const size_t n = w->f.plan->model->n_params;
    w->params = malloc(n * sizeof(*w->params));
    cr_assert(w->params);
    for (size_t i = 0; i < n; i++) w->params[i] = 0.125f;
}

static void world_close(struct world *w)
{
    fixture_close(&w->f);
    free(w->params);
    unlink(w->path);
    rmdir(w->dir);
}

/* The weights in use, as the store of `lane` gets them with a checkpoint. */
static struct weights *stored_weights(const struct world *w, struct store *store)
{
    struct lane_position at;
    struct eddy_buffer bytes = {0};
    struct weights *weights = NULL;
    struct eddy_error err = {0};
    cr_assert_geq(lane_stored_position(store, &at, &err), 0, "%s", err.message);
    cr_assert_geq(store_get_model(store, at.model, &bytes, &err), 0, "%s", err.message);
    cr_assert_geq(weights_decode(w->f.plan->model, bytes.data, bytes.len, &weights, &err), 0, "%s", err.message);
    eddy_buffer_free(&bytes);
    return weights;
}

Test(initial_model, a_lane_without_a_checkpoint_starts_from_it_and_one_with_a_checkpoint_does_not)
{
    struct world w;
    struct weights *given, *there;
    struct store *store;
    struct lane *lane;
    struct eddy_error err = {0};
    const struct store_identity id = {"test", "topic", 0};
    world_open(&w, 300);
    const size_t bytes = w.f.plan->model->n_params * sizeof(float);
    cr_assert_geq(weights_given(w.f.plan->model, w.params, 0, &given, &err), 0, "%s", err.message);

    cr_assert_geq(store_open(":memory:", &id, STORE_MEMORY, &store, &err), 0, "%s", err.message);
    struct lane_request request = {w.f.plan, "topic", 0, store, w.f.trainer, 100, given, NULL};
    cr_assert_geq(lane_open(&request, &lane, &err), 0, "%s", err.message);
    cr_assert_geq(lane_checkpoint(lane, &err), 0, "%s", err.message);
    there = stored_weights(&w, store);
    cr_assert(there->version == 0 && memcmp(there->ema, w.params, bytes) == 0);
    weights_unref(there);
    lane_close(lane);
    store_close(store);

    request.store = w.f.store;
    cr_assert_geq(lane_open(&request, &lane, &err), 0, "%s", err.message);
    cr_assert_geq(lane_checkpoint(lane, &err), 0, "%s", err.message);
    there = stored_weights(&w, w.f.store);
    cr_assert(there->version > 0 && memcmp(there->ema, w.params, bytes) != 0);
    weights_unref(there);
    lane_close(lane);
    weights_unref(given);
    world_close(&w);
}

Test(initial_model, adopted_it_is_the_next_version_from_which_the_lane_goes_on)
{
    struct world w;
    struct lane_stats before, after;
    struct eddy_error err = {0};
    uint64_t version = 0;
    world_open(&w, 300);
    lane_stats(w.f.lane, &before);
    cr_assert_gt(before.model, 0);
    cr_assert_geq(initial_model_adopt(w.f.plan, w.f.store, w.params, &version, &err), 0, "%s", err.message);
    cr_assert_geq(store_commit(w.f.store, &err), 0, "%s", err.message);
    cr_assert_eq(version, before.model + 1);

    const struct lane_request request = {w.f.plan, "topic", 0, w.f.store, w.f.trainer, 100, NULL, NULL};
    lane_close(w.f.lane);
    cr_assert_geq(lane_open(&request, &w.f.lane, &err), 0, "%s", err.message);
    lane_stats(w.f.lane, &after);
    cr_assert_eq(after.model, version);
    cr_assert_eq(lane_next(w.f.lane), 300);
    cr_assert_eq(after.updates, 0, "nothing learned yet");
    fixture_run(&w.f, &stream, 300, 700, 16);
    lane_stats(w.f.lane, &after);
    cr_assert_gt(after.model, version);
    world_close(&w);
}

Test(initial_model, a_store_of_another_network_or_without_a_checkpoint_does_not_take_it)
{
    struct world w;
    struct store *store;
    struct eddy_error err = {0};
    uint64_t version;
    const struct store_identity id = {"test", "topic", 0};
    world_open(&w, 100);
    cr_assert_geq(store_open(":memory:", &id, STORE_MEMORY, &store, &err), 0, "%s", err.message);
    cr_assert_eq(initial_model_adopt(w.f.plan, store, w.params, &version, &err), EDDY_ENOTFOUND);
    store_close(store);
    cr_assert_geq(store_put_meta(w.f.store, "network", "another", 7, &err), 0, "%s", err.message);
    cr_assert_eq(initial_model_adopt(w.f.plan, w.f.store, w.params, &version, &err), EDDY_EMISMATCH);
    cr_assert(strstr(err.message, w.path), "%s", err.message);
    world_close(&w);
}

Test(initial_model, lies_with_the_state_and_counts_only_without_a_checkpoint)
{
    struct world w;
    struct store *store;
    struct weights *kept;
    struct eddy_error err = {0};
    struct eddy_buffer bytes = {0};
    const struct store_identity id = {"test", "topic", 0};
    char directory[64];
    world_open(&w, 100);
    (void)snprintf(directory, sizeof(directory), "%s/test", w.dir);
    char *path = initial_model_path(w.dir, "test");
    cr_assert_geq(store_open(":memory:", &id, STORE_MEMORY, &store, &err), 0, "%s", err.message);
    cr_assert_geq(initial_model_kept(w.f.plan, w.dir, store, &kept, &err), 0, "%s", err.message);
    cr_assert_null(kept);

    cr_assert_eq(mkdir(directory, 0700), 0);
    cr_assert_geq(model_file_encode(w.f.plan->model, w.params, NULL, 0, &bytes, &err), 0, "%s", err.message);
    cr_assert_geq(model_file_save(path, &bytes, &err), 0, "%s", err.message);
    cr_assert_geq(initial_model_kept(w.f.plan, w.dir, store, &kept, &err), 0, "%s", err.message);
    cr_assert(kept && kept->ema[3] == 0.125f && kept->version == 0);
    weights_unref(kept);
    cr_assert_geq(initial_model_kept(w.f.plan, w.dir, w.f.store, &kept, &err), 0, "%s", err.message);
    cr_assert_null(kept);
    bytes.len -= 5;
    cr_assert_geq(model_file_save(path, &bytes, &err), 0, "%s", err.message);
    cr_assert_eq(initial_model_kept(w.f.plan, w.dir, store, &kept, &err), EDDY_EMISMATCH,
                 "a damaged file is not the state's fault");
    cr_assert(strstr(err.message, path), "%s", err.message);
    cr_assert_null(kept);
    unlink(path);
    free(path);
    eddy_buffer_free(&bytes);
    store_close(store);
    rmdir(directory);
    world_close(&w);
}

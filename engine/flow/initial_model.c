#include "engine/flow/initial_model.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/flow/lane_store.h"
#include "engine/model/model_file.h"

char *initial_model_path(const char *state_path, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s/initial.safetensors", state_path, name) < 0 ? NULL : path;
}

static eddy_status model_damaged(struct eddy_error *err, const char *path, const char *end)
{
    const struct eddy_error why = err ? *err : (struct eddy_error){0};
    return eddy_fail(err, EDDY_EMISMATCH, "the model file %.300s%s is damaged or none: %.600s", path, end,
                     why.message);
}

eddy_status initial_model_read(const struct plan *plan, const char *path, struct weights **out,
                               struct eddy_error *err)
{
    *out = NULL;
    struct eddy_buffer bytes = {0};
    float *params = malloc((plan->model->n_params + 1) * sizeof(*params));
    eddy_status rc = params ? model_file_load(path, &bytes, err)
                            : eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", path);
    if (rc >= 0) rc = model_file_decode(plan->model, path, bytes.data, bytes.len, params, err);
    if (rc >= 0) rc = weights_given(plan->model, params, 0, out, err);
    eddy_buffer_free(&bytes);
    free(params);
    return rc == EDDY_ECORRUPT ? model_damaged(err, path, "") : rc;
}

eddy_status initial_model_kept(const struct plan *plan, const char *state_path, struct store *store,
                               struct weights **out, struct eddy_error *err)
{
    struct lane_position at;
    *out = NULL;
    eddy_status rc = store_is_new(store) ? EDDY_ENOTFOUND : lane_stored_position(store, &at, err);
    if (rc != EDDY_ENOTFOUND) return rc;
    char *path = initial_model_path(state_path, plan->settings->name);
    if (!path) return eddy_fail(err, EDDY_ENOMEM, "state directory %s: out of memory", state_path);
    rc = access(path, F_OK) == 0 ? initial_model_read(plan, path, out, err) : EDDY_OK;
    free(path);
    return rc;
}

static char *shared_path(const char *model_path, struct eddy_error *err)
{
    char *path = NULL;
    if (asprintf(&path, "%s.shared", model_path) >= 0) return path;
    (void)eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", model_path);
    return NULL;
}

eddy_status initial_shared_read(const char *model_path, struct eddy_buffer *out, struct eddy_error *err)
{
    char *path = shared_path(model_path, err);
    eddy_status rc = !path                     ? EDDY_ENOMEM
                     : access(path, F_OK) != 0 ? eddy_fail(err, EDDY_ENOTFOUND, "%s: there is no such file", path)
                                               : model_file_load(path, out, err);
    free(path);
    return rc;
}

eddy_status initial_shared_sound(const char *model_path, eddy_status rc, struct eddy_error *err)
{
    return rc == EDDY_ECORRUPT ? model_damaged(err, model_path, ".shared") : rc;
}

eddy_status initial_shared_write(const char *model_path, const struct eddy_buffer *bytes, struct eddy_error *err)
{
    char *path = shared_path(model_path, err);
    const eddy_status rc = path ? model_file_save(path, bytes, err) : EDDY_ENOMEM;
    free(path);
    return rc;
}

eddy_status initial_model_fits(const struct plan *plan, struct store *store, struct eddy_error *err)
{
    struct eddy_buffer stored = {0}, planned = {0};
    eddy_status rc = store_get_meta(store, "network", &stored, err);
    if (rc >= 0 && plan_fingerprint(plan, &planned) < 0)
        rc = eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", store_file(store));
    if (rc >= 0 && (stored.len != planned.len || memcmp(stored.data, planned.data, planned.len) != 0))
        rc = eddy_fail(err, EDDY_EMISMATCH, "%s: its weights belong to another network than the configured one",
                       store_file(store));
    eddy_buffer_free(&stored);
    eddy_buffer_free(&planned);
    return rc;
}

static eddy_status newest(void *context, uint64_t version, size_t bytes, int64_t wall_time_s, struct eddy_error *err)
{
    uint64_t *most = context;
    (void)bytes, (void)wall_time_s, (void)err;
    if (version > *most) *most = version;
    return EDDY_OK;
}

eddy_status initial_model_adopt(const struct plan *plan, struct store *store, const float *params, uint64_t *version,
                                struct eddy_error *err)
{
    struct lane_position at;
    struct weights *weights = NULL;
    eddy_status rc = store_is_new(store) ? eddy_fail(err, EDDY_ENOTFOUND, "%s: no checkpoint", store_file(store))
                                         : lane_stored_position(store, &at, err);
    if (rc >= 0) rc = initial_model_fits(plan, store, err);
    if (rc < 0) return rc;
    *version = at.model;
    rc = store_list_models(store, newest, version, err);
    if (rc < 0) return rc;
    *version += 1;
    rc = weights_given(plan->model, params, *version, &weights, err);
    if (rc >= 0) rc = lane_stored_adopt(store, plan->settings->train.keep_versions, weights, UINT64_MAX, err);
    weights_unref(weights);
    return rc;
}

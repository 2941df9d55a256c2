#include "plugin/cmd_model_files.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/log.h"
#include "engine/flow/initial_model.h"
#include "engine/flow/lane_store.h"
#include "engine/model/model_file.h"
#include "plugin/schema.h"
#include "plugin/stored_files.h"

static eddy_status files_no_memory(const struct model_files *m, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", m->path);
}

/* The pipeline's partitions; none is fine. */
static eddy_status files_find(const struct model_files *m, struct stored_files *files, struct eddy_error *err)
{
    eddy_status rc = stored_files_find(m->settings, files, err);
    return rc == EDDY_ENOTFOUND ? EDDY_OK : rc;
}

/* ---- metadata ---- */

enum { METADATA = 3 };

/* What the weights belong to, as text. */
struct labels {
    struct eddy_buffer fingerprint, values;
    struct safetensors_text texts[METADATA];
};

static eddy_status labels_fill(struct labels *l, const struct plan *plan)
{
    eddy_status rc = plan_fingerprint(plan, &l->fingerprint);
    for (int i = 0; i < plan->n_values && rc >= 0; i++) {
        if (i > 0) rc = eddy_buffer_append(&l->values, ",", 1);
        if (rc >= 0) rc = eddy_buffer_append(&l->values, plan->schema.names[i], strlen(plan->schema.names[i]));
    }
    if (rc >= 0) rc = eddy_buffer_append(&l->fingerprint, "", 1);
    if (rc >= 0) rc = eddy_buffer_append(&l->values, "", 1);
    l->texts[0] = (struct safetensors_text){"format", "eddy"};
    l->texts[1] = (struct safetensors_text){"fingerprint", l->fingerprint.data};
    l->texts[2] = (struct safetensors_text){"values", l->values.data};
    return rc;
}

static void labels_free(struct labels *l)
{
    eddy_buffer_free(&l->fingerprint);
    eddy_buffer_free(&l->values);
}

eddy_status model_write(const char *path, const struct plan *plan, const float *params, struct eddy_error *err)
{
    struct labels labels = {0};
    struct eddy_buffer bytes = {0};
    eddy_status rc = labels_fill(&labels, plan) < 0 ? eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", path)
                                                    : EDDY_OK;
    if (rc >= 0) rc = model_file_encode(plan->model, params, labels.texts, METADATA, &bytes, err);
    if (rc >= 0 && strcmp(path, "-") == 0)
        (void)fwrite(bytes.data, 1, bytes.len, stdout); /* command_main() looks whether it arrived */
    else if (rc >= 0)
        rc = model_file_save(path, &bytes, err);
    eddy_buffer_free(&bytes);
    labels_free(&labels);
    return rc;
}

/* ---- export ---- */

static const struct stored_file *export_file(const struct model_files *m, const struct stored_files *files,
                                             struct eddy_error *err)
{
    for (int i = 0; i < files->n; i++) {
        const struct store_identity *id = &files->item[i].identity;
        if ((!m->topic || strcmp(m->topic, id->topic) == 0) && (m->partition < 0 || m->partition == id->partition))
            return &files->item[i];
    }
    const char *topic = m->topic ? m->topic : "any topic";
    if (m->partition < 0)
        (void)eddy_fail(err, EDDY_ENOTFOUND, "model: no state of %s", topic);
    else
        (void)eddy_fail(err, EDDY_ENOTFOUND, "model: no state of %s, partition %lld", topic, (long long)m->partition);
    return NULL;
}

static eddy_status export_stored(const struct model_files *m, const struct plan *plan, struct store *store,
                                 struct weights **out, struct eddy_error *err)
{
    struct eddy_buffer bytes = {0};
    struct lane_position at;
    eddy_status rc = initial_model_fits(plan, store, err);
    if (rc >= 0) rc = lane_stored_position(store, &at, err);
    if (rc >= 0) rc = store_get_model(store, m->word ? m->version : at.model, &bytes, err);
    if (rc == EDDY_ENOTFOUND && m->word)
        rc = eddy_fail(err, rc, "%s: no version %s is kept", store_file(store), m->word);
    if (rc >= 0) rc = weights_decode(plan->model, bytes.data, bytes.len, out, err);
    eddy_buffer_free(&bytes);
    return rc;
}

/* A state file without a checkpoint has nothing to say yet. */
static eddy_status export_from(const struct model_files *m, struct store *store, struct eddy_error *err)
{
    struct schema_names names = {0};
    struct plan *plan = NULL;
    struct weights *weights = NULL;
    eddy_status rc = schema_from_store(&names, store, err);
    if (rc >= 0) rc = plan_open(m->settings, &names.schema, &plan, err);
    if (rc >= 0) rc = export_stored(m, plan, store, &weights, err);
    if (rc >= 0) rc = model_write(m->path, plan, weights->ema, err);
    if (rc >= 0 && strcmp(m->path, "-") != 0)
        printf("%s: version %llu of %s\n", m->path, (unsigned long long)weights->version, store_file(store));
    weights_unref(weights);
    plan_close(plan);
    schema_free(&names);
    return rc;
}

static eddy_status export_initial(const struct model_files *m, struct eddy_error *err)
{
    struct schema_names names = {0};
    struct plan *plan = NULL;
    struct weights *weights = NULL;
    if (m->word && m->version > 0)
        return eddy_fail(err, EDDY_ENOTFOUND, "model: there is no state yet, so no version %s", m->word);
    char *kept = initial_model_path(m->settings->state.path, m->settings->name);
    eddy_status rc = kept ? schema_for_plan(&names, m->values, m->settings, err) : files_no_memory(m, err);
    if (rc >= 0) rc = plan_open(m->settings, &names.schema, &plan, err);
    if (rc >= 0)
        rc = access(kept, F_OK) == 0 ? initial_model_read(plan, kept, &weights, err)
                                     : weights_initial(plan->model, (uint64_t)m->settings->seed, &weights, err);
    if (rc >= 0) rc = model_write(m->path, plan, weights->ema, err);
    if (rc >= 0 && strcmp(m->path, "-") != 0)
        printf("%s: what a run would start from; there is no state yet\n", m->path);
    weights_unref(weights);
    plan_close(plan);
    schema_free(&names);
    free(kept);
    return rc;
}

eddy_status model_export(const struct model_files *m, struct eddy_error *err)
{
    struct stored_files files = {0};
    struct store *store = NULL;
    if (strcmp(m->path, "-") != 0 && access(m->path, F_OK) == 0)
        return eddy_fail(err, EDDY_EIO, "%s: there is a file already", m->path);
    eddy_status rc = files_find(m, &files, err);
    if (rc >= 0 && files.n == 0 && !m->topic && m->partition < 0) {
        rc = export_initial(m, err);
    } else if (rc >= 0) {
        const struct stored_file *file = export_file(m, &files, err);
        rc = file ? store_open(file->path, &file->identity, STORE_READ_ONLY, &store, err) : EDDY_ENOTFOUND;
        if (rc >= 0) rc = export_from(m, store, err);
    }
    store_close(store);
    stored_files_free(&files);
    return rc;
}

/* ---- import ---- */

struct importing {
    const struct model_files *m;
    struct eddy_buffer bytes; /* of the file */
    struct safetensors *file; /* the same, for its metadata */
    struct stored_files files;
    struct store **stores;     /* [files.n] */
    uint64_t *versions;        /* [files.n] 0 = no checkpoint there */
    struct schema_names names; /* of the plan in hand */
    struct plan *plan;
    float *params;
};

static void import_plan_close(struct importing *w)
{
    free(w->params);
    w->params = NULL;
    plan_close(w->plan);
    w->plan = NULL;
    schema_free(&w->names);
}

/* Same shapes, but perhaps not the same meaning: what eddy wrote says of which networks, PyTorch's files do not. */
static eddy_status import_same(const struct importing *w, const struct labels *here, struct eddy_error *err)
{
    for (int i = 1; i < METADATA; i++) {
        const char *name = here->texts[i].name, *text = here->texts[i].text;
        const char *there = safetensors_metadata(w->file, name);
        if (!there || strcmp(there, text) == 0) continue;
        if (strcmp(name, "fingerprint") == 0) {
            char difference[PLAN_DIFFERENCE];
            plan_difference(there, strlen(there), text, strlen(text), difference);
            return eddy_fail(err, EDDY_EMISMATCH, "%.300s belongs to another network: %s", w->m->path, difference);
        }
        log_warn("model_file",
                 "%s: its %s are not those configured, though all shapes fit: \"%.300s\" is \"%.300s\" here",
                 w->m->path, name, there, text);
    }
    return EDDY_OK;
}

/* The plan for `names`, and the file's numbers in its order. */
static eddy_status import_plan(struct importing *w, struct eddy_error *err)
{
    const struct model_files *m = w->m;
    struct labels labels = {0};
    eddy_status rc = plan_open(m->settings, &w->names.schema, &w->plan, err);
    if (rc < 0) return rc;
    w->params = malloc((w->plan->model->n_params + 1) * sizeof(*w->params));
    if (!w->params || labels_fill(&labels, w->plan) < 0) rc = files_no_memory(m, err);
    if (rc >= 0) rc = model_file_decode(w->plan->model, m->path, w->bytes.data, w->bytes.len, w->params, err);
    if (rc == EDDY_EMISMATCH && w->names.names[0][0] == '\0') {
        const struct eddy_error why = *err;
        rc = eddy_fail(err, rc, "%.850s (the values of an event are not known yet: --values names them)",
                       why.message);
    }
    if (rc >= 0) rc = import_same(w, &labels, err);
    labels_free(&labels);
    return rc;
}

/* Everything but the commit; a store without a checkpoint is left alone. */
static eddy_status import_store(struct importing *w, int i, struct eddy_error *err)
{
    const struct stored_file *file = &w->files.item[i];
    eddy_status rc = store_open(file->path, &file->identity, STORE_WRITE, &w->stores[i], err);
    if (rc < 0) return rc;
    rc = store_is_new(w->stores[i]) ? EDDY_ENOTFOUND : schema_from_store(&w->names, w->stores[i], err);
    if (rc == EDDY_ENOTFOUND) return EDDY_OK;
    if (rc >= 0) rc = import_plan(w, err);
    if (rc >= 0) rc = initial_model_adopt(w->plan, w->stores[i], w->params, &w->versions[i], err);
    return rc;
}

static eddy_status import_states(struct importing *w, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    const size_t n = (size_t)w->files.n;
    w->stores = calloc(n + 1, sizeof(*w->stores));
    w->versions = calloc(n + 1, sizeof(*w->versions));
    if (!w->stores || !w->versions) return files_no_memory(w->m, err);
    for (int i = 0; i < w->files.n && rc >= 0; i++) {
        import_plan_close(w);
        rc = import_store(w, i, err);
    }
    return rc;
}

static eddy_status import_commit(struct importing *w, struct eddy_error *err)
{
    for (int i = 0; i < w->files.n; i++) {
        if (w->versions[i] == 0) continue;
        eddy_status rc = store_commit(w->stores[i], err);
        if (rc < 0) return rc;
        const struct store_identity *id = &w->files.item[i].identity;
        if (!w->m->quiet)
            printf("%s-%d: version %llu is in use now\n", id->topic, (int)id->partition,
                   (unsigned long long)w->versions[i]);
    }
    return EDDY_OK;
}

/* Without a state file the values are those that are listed somewhere: here, by the codec, or in the file. */
static eddy_status import_schema(struct importing *w, struct eddy_error *err)
{
    const char *values = w->m->values, *there = safetensors_metadata(w->file, "values");
    if (values) return schema_from_text(&w->names, values, err);
    eddy_status rc = schema_from_codec(&w->names, w->m->settings, err);
    if (rc == EDDY_ENOTFOUND && there && *there) rc = schema_from_text(&w->names, there, err);
    return rc == EDDY_ENOTFOUND ? schema_unknown(&w->names, err) : rc;
}

/* What partitions without a checkpoint start from. */
static eddy_status import_initial(struct importing *w, struct eddy_error *err)
{
    const struct settings *s = w->m->settings;
    char *path = initial_model_path(s->state.path, s->name);
    eddy_status rc = path ? EDDY_OK : files_no_memory(w->m, err);
    if (rc >= 0) rc = model_write(path, w->plan, w->params, err);
    if (rc >= 0 && !w->m->quiet) printf("%s: what partitions without state start from\n", path);
    free(path);
    return rc;
}

static eddy_status import_all(struct importing *w, struct eddy_error *err)
{
    eddy_status rc = model_file_load(w->m->path, &w->bytes, err);
    if (rc >= 0) rc = safetensors_open(w->m->path, w->bytes.data, w->bytes.len, &w->file, err);
    if (rc >= 0) rc = files_find(w->m, &w->files, err);
    if (rc >= 0) rc = import_states(w, err);
    if (rc >= 0 && !w->plan) {
        rc = import_schema(w, err);
        if (rc >= 0) rc = import_plan(w, err);
    }
    if (rc >= 0) rc = import_commit(w, err);
    return rc < 0 ? rc : import_initial(w, err);
}

eddy_status model_import(const struct model_files *m, struct eddy_error *err)
{
    struct importing w = {.m = m};
    struct store_lock *lock = NULL;
    eddy_status rc = store_lock_open(m->settings->state.path, m->settings->name, &lock, err);
    if (rc >= 0) rc = import_all(&w, err);
    for (int i = 0; w.stores && i < w.files.n; i++) store_close(w.stores[i]);
    free(w.stores);
    free(w.versions);
    import_plan_close(&w);
    stored_files_free(&w.files);
    safetensors_close(w.file);
    eddy_buffer_free(&w.bytes);
    store_lock_close(lock);
    return rc;
}

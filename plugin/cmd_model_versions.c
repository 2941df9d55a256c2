#include "plugin/cmd_model_versions.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/flow/initial_model.h"
#include "engine/flow/lane_store.h"
#include "engine/flow/lane_versions.h"
#include "engine/model/stack.h"
#include "engine/model/tensors.h"
#include "plugin/json_out.h"
#include "plugin/schema.h"
#include "plugin/stored_files.h"

/* One partition's file at a time. */
struct work {
    const struct model_versions *m;
    const struct stored_file *file;
    struct store *store;
    struct schema_names names;
    struct plan *plan;
    bool fits; /* the stored weights belong to the configured networks */
    struct lane_position at;
    struct lane_version notes[LANE_VERSIONS_MOST];
    int n_notes;
    struct json_out json;
    int64_t found; /* partitions in which something was done */
    bool rolling;  /* promote: the version before the one in use */
};

static void work_close(struct work *w)
{
    plan_close(w->plan);
    w->plan = NULL;
    schema_free(&w->names);
    store_close(w->store);
    w->store = NULL;
}

static eddy_status work_open(struct work *w, enum store_mode mode, struct eddy_error *err)
{
    eddy_status rc = store_open(w->file->path, &w->file->identity, mode, &w->store, err);
    if (rc >= 0) rc = store_is_new(w->store) ? EDDY_ENOTFOUND : lane_stored_position(w->store, &w->at, err);
    if (rc >= 0) rc = schema_from_store(&w->names, w->store, err);
    if (rc >= 0) rc = plan_open(w->m->settings, &w->names.schema, &w->plan, err);
    if (rc >= 0) rc = lane_versions_read(w->store, w->notes, &w->n_notes, err);
    if (rc >= 0) w->fits = initial_model_fits(w->plan, w->store, NULL) >= 0;
    return rc;
}

/* Partitions without a checkpoint are passed over. */
static eddy_status work_each(struct work *w, enum store_mode mode,
                             eddy_status (*each)(struct work *, struct eddy_error *), struct eddy_error *err)
{
    struct stored_files files;
    eddy_status rc = stored_files_find(w->m->settings, &files, err);
    for (int i = 0; rc >= 0 && i < files.n; i++) {
        w->file = &files.item[i];
        const struct store_identity *id = &w->file->identity;
        if (w->m->topic && strcmp(w->m->topic, id->topic) != 0) continue;
        if (w->m->partition >= 0 && w->m->partition != id->partition) continue;
        rc = work_open(w, mode, err);
        if (rc >= 0) rc = each(w, err);
        if (rc == EDDY_ENOTFOUND) rc = EDDY_OK;
        work_close(w);
    }
    stored_files_free(&files);
    return rc;
}

static eddy_status work_weights(const struct work *w, uint64_t version, struct weights **out, struct eddy_error *err)
{
    struct eddy_buffer bytes = {0};
    *out = NULL;
    eddy_status rc = store_get_model(w->store, version, &bytes, err);
    if (rc >= 0) rc = weights_decode(w->plan->model, bytes.data, bytes.len, out, err);
    eddy_buffer_free(&bytes);
    return rc;
}

/* ---- list ---- */

static const struct lane_version *list_note(const struct work *w, uint64_t version)
{
    for (int i = 0; i < w->n_notes; i++)
        if (w->notes[i].version == version) return &w->notes[i];
    return NULL;
}

/* Of all networks together; the loss is the first one's that has any. */
struct list_figures {
    int64_t steps, refused;
    double loss;
    const char *health;
};

static struct list_figures list_figures(const struct work *w, uint64_t version)
{
    struct list_figures f = {.loss = NAN, .health = "other networks"};
    struct weights *weights = NULL;
    if (!w->fits || work_weights(w, version, &weights, NULL) < 0) return f;
    for (int k = 0; k < weights->n_networks; k++) {
        f.steps += weights->progress[k].steps;
        f.refused += weights->progress[k].refused;
        if (isnan(f.loss)) f.loss = weights->progress[k].loss;
    }
    f.health = f.refused * 10 > f.steps + f.refused ? "refusing" : f.steps == 0 ? "untrained" : "ok";
    weights_unref(weights);
    return f;
}

static void list_json(struct work *w, uint64_t version, size_t bytes, const char *written,
                      const struct lane_version *note, const struct list_figures *f)
{
    json_open(&w->json, NULL, '{');
    json_text(&w->json, "topic", w->file->identity.topic);
    json_int(&w->json, "partition", w->file->identity.partition);
    json_int(&w->json, "version", (int64_t)version);
    json_int(&w->json, "bytes", (int64_t)bytes);
    json_text(&w->json, "written", written);
    if (note) json_int(&w->json, "offset", note->offset);
    if (note && note->origin != UINT64_MAX) json_int(&w->json, "copy_of", (int64_t)note->origin);
    json_real(&w->json, "loss", f->loss);
    json_int(&w->json, "steps", f->steps);
    json_int(&w->json, "refused", f->refused);
    json_text(&w->json, "health", f->health);
    json_bool(&w->json, "in_use", version == w->at.model);
    json_close(&w->json, '}');
    json_end(&w->json);
}

static eddy_status list_model(void *context, uint64_t version, size_t bytes, int64_t wall_time_s,
                              struct eddy_error *err)
{
    struct work *w = context;
    char written[32] = "-", offset[24] = "-", copy[32] = "", loss[24] = "-";
    struct tm tm;
    time_t at = (time_t)wall_time_s;
    (void)err;
    if (gmtime_r(&at, &tm)) (void)strftime(written, sizeof(written), "%Y-%m-%dT%H:%M:%SZ", &tm);
    const struct lane_version *note = list_note(w, version);
    const struct list_figures f = list_figures(w, version);
    w->found++;
    if (w->m->json) {
        list_json(w, version, bytes, written, note, &f);
        return EDDY_OK;
    }
    if (note) (void)snprintf(offset, sizeof(offset), "%" PRId64, note->offset);
    if (note && note->origin != UINT64_MAX) (void)snprintf(copy, sizeof(copy), "v%" PRIu64 " again", note->origin);
    if (isfinite(f.loss)) (void)snprintf(loss, sizeof(loss), "%.5g", f.loss);
    printf("%s\t%d\tv%" PRIu64 "\t%zu\t%s\t%s\t%" PRId64 "\t%" PRId64 "\t%s\t%s\t%s%s%s\n", w->file->identity.topic,
           (int)w->file->identity.partition, version, bytes, written, offset, f.steps, f.refused, loss, f.health,
           version == w->at.model ? "in use" : "", version == w->at.model && *copy ? ", " : "", copy);
    return EDDY_OK;
}

static eddy_status do_list(struct work *w, struct eddy_error *err)
{
    return store_list_models(w->store, list_model, w, err);
}

eddy_status model_list(const struct model_versions *m, struct eddy_error *err)
{
    struct work w = {.m = m, .json = json_begin(stdout)};
    if (!m->json) puts("topic\tpartition\tversion\tbytes\twritten\toffset\tsteps\trefused\tloss\thealth\tuse");
    eddy_status rc = work_each(&w, STORE_READ_ONLY, do_list, err);
    if (rc < 0 || w.found > 0 || (!m->topic && m->partition < 0)) return rc;
    if (m->partition < 0) return eddy_fail(err, EDDY_ENOTFOUND, "model: no state of %s", m->topic);
    return eddy_fail(err, EDDY_ENOTFOUND, "model: no state of %s, partition %" PRId64,
                     m->topic ? m->topic : "any topic", m->partition);
}

/* ---- diff ---- */

struct change {
    double moved, share, cosine;
};

static struct change change_of(const float *a, const float *b, size_t n)
{
    double aa = 0, bb = 0, ab = 0, dd = 0;
    for (size_t i = 0; i < n; i++) {
        const double x = (double)a[i], y = (double)b[i];
        aa += x * x, bb += y * y, ab += x * y, dd += (y - x) * (y - x);
    }
    return (struct change){sqrt(dd), aa > 0 ? sqrt(dd / aa) : NAN, aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : NAN};
}

static void diff_row(struct work *w, const char *network, const struct tensors *t, const struct change *c)
{
    const char *part = t->layer < t->net->n_layers ? t->net->layers[t->layer].layer->part.name : "head";
    if (!w->m->json) {
        printf("  %-14s %5d %-14s %-24s %10.3g", network, t->layer, part, t->info.name, c->moved);
        if (isfinite(c->share)) printf(" %10.3g", c->share);
        if (isfinite(c->cosine)) printf(" %10.6f", c->cosine);
        puts("");
        return;
    }
    json_open(&w->json, NULL, '{');
    json_text(&w->json, "network", network);
    json_int(&w->json, "layer", t->layer);
    json_text(&w->json, "part", part);
    json_text(&w->json, "name", t->info.name);
    json_real(&w->json, "change", c->moved);
    json_real(&w->json, "share", c->share);
    json_real(&w->json, "cosine", c->cosine);
    json_close(&w->json, '}');
}

static void diff_weights(struct work *w, const struct weights *a, const struct weights *b)
{
    const struct model *model = w->plan->model;
    if (w->m->json) {
        json_open(&w->json, NULL, '{');
        json_text(&w->json, "topic", w->file->identity.topic);
        json_int(&w->json, "partition", w->file->identity.partition);
        json_int(&w->json, "from", (int64_t)a->version);
        json_int(&w->json, "to", (int64_t)b->version);
        json_open(&w->json, "tensors", '[');
    } else {
        printf("%s-%d v%" PRIu64 " to v%" PRIu64 "\n", w->file->identity.topic, (int)w->file->identity.partition,
               a->version, b->version);
        printf("  %-14s %5s %-14s %-24s %10s %10s %10s\n", "network", "layer", "part", "tensor", "change", "share",
               "cosine");
    }
    for (int k = 0; k < model->n; k++) {
        for (struct tensors t = {.net = model->slices[k].net}; tensors_next(&t);) {
            const size_t first = model->slices[k].first_param + t.info.first;
            const struct change c = change_of(a->ema + first, b->ema + first, tensors_floats(&t));
            diff_row(w, model->slices[k].name, &t, &c);
        }
    }
    if (!w->m->json) return;
    json_close(&w->json, ']');
    json_close(&w->json, '}');
    json_end(&w->json);
}

static eddy_status do_diff(struct work *w, struct eddy_error *err)
{
    struct weights *a = NULL, *b = NULL;
    eddy_status rc = work_weights(w, w->m->a, &a, err);
    if (rc >= 0) rc = work_weights(w, w->m->b, &b, err);
    if (rc >= 0) {
        w->found++;
        diff_weights(w, a, b);
    }
    weights_unref(a);
    weights_unref(b);
    return rc;
}

eddy_status model_diff(const struct model_versions *m, struct eddy_error *err)
{
    struct work w = {.m = m, .json = json_begin(stdout)};
    eddy_status rc = work_each(&w, STORE_READ_ONLY, do_diff, err);
    if (rc >= 0 && w.found == 0)
        rc = eddy_fail(err, EDDY_ENOTFOUND, "model: no partition keeps both v%" PRIu64 " and v%" PRIu64, m->a, m->b);
    return rc;
}

/* ---- promote ---- */

struct newest {
    uint64_t most, below, before;
    bool any;
};

static eddy_status promote_newest(void *context, uint64_t version, size_t bytes, int64_t wall_time_s,
                                  struct eddy_error *err)
{
    struct newest *n = context;
    (void)bytes, (void)wall_time_s, (void)err;
    if (version > n->most) n->most = version;
    if (version < n->below && (!n->any || version > n->before)) {
        n->before = version;
        n->any = true;
    }
    return EDDY_OK;
}

static bool rolled_back(const uint64_t *rolled, int n, uint64_t version)
{
    while (n > 0 && rolled[n - 1] != version) n--;
    return n > 0;
}

/* The version whose predecessor a rollback goes to: the one in use, or, where rollbacks made that, what they had gone back
 * to, so that one after the other leads further back. */
static eddy_status rollback_from(const struct work *w, uint64_t *out, struct eddy_error *err)
{
    uint64_t rolled[LANE_VERSIONS_MOST];
    int n;
    eddy_status rc = lane_versions_rolled(w->store, rolled, &n, err);
    if (rc < 0) return rc;
    *out = w->at.model;
    while (rolled_back(rolled, n, *out)) {
        const struct lane_version *note = list_note(w, *out);
        if (!note || note->origin >= *out) return EDDY_OK;
        *out = note->origin;
    }
    return EDDY_OK;
}

static eddy_status do_promote(struct work *w, struct eddy_error *err)
{
    struct newest n = {.most = w->at.model};
    struct weights *weights = NULL;
    eddy_status rc = initial_model_fits(w->plan, w->store, err);
    if (rc >= 0) rc = rollback_from(w, &n.below, err);
    if (rc >= 0) rc = store_list_models(w->store, promote_newest, &n, err);
    if (rc >= 0 && w->rolling && !n.any) return EDDY_ENOTFOUND;
    const uint64_t from = w->rolling ? n.before : w->m->a;
    if (rc >= 0) rc = work_weights(w, from, &weights, err);
    if (rc < 0) return rc;
    weights->version = n.most + 1;
    rc = lane_stored_adopt(w->store, w->m->settings->train.keep_versions, weights, from, err);
    if (rc >= 0 && w->rolling) rc = lane_versions_note_rolled(w->store, weights->version, err);
    if (rc >= 0) rc = store_commit(w->store, err);
    weights_unref(weights);
    if (rc < 0) return rc;
    w->found++;
    printf("%s-%d: version %" PRIu64 ", a copy of %" PRIu64 ", is in use now\n", w->file->identity.topic,
           (int)w->file->identity.partition, n.most + 1, from);
    return EDDY_OK;
}

static eddy_status promote(struct work *w, struct eddy_error *err)
{
    struct store_lock *lock = NULL;
    const struct settings *s = w->m->settings;
    eddy_status rc = store_lock_open(s->state.path, s->name, &lock, err);
    if (rc >= 0) rc = work_each(w, STORE_WRITE, do_promote, err);
    store_lock_close(lock);
    return rc;
}

eddy_status model_promote(const struct model_versions *m, struct eddy_error *err)
{
    struct work w = {.m = m};
    eddy_status rc = promote(&w, err);
    if (rc >= 0 && w.found == 0) rc = eddy_fail(err, EDDY_ENOTFOUND, "model: no version v%" PRIu64 " is kept", m->a);
    return rc;
}

eddy_status model_rollback(const struct model_versions *m, struct eddy_error *err)
{
    struct work w = {.m = m, .rolling = true};
    eddy_status rc = promote(&w, err);
    if (rc >= 0 && w.found == 0)
        rc = eddy_fail(err, EDDY_ENOTFOUND, "model: no version before the one in use is kept");
    return rc;
}

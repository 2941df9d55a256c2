/* eddy.h: a plan and a lane in the hands of another program.  Opening and feeding are here, saving is embed_save.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flow/initial_model.h"
#include "plugin/embed_private.h"

enum { TURN_EVENTS = 1024, WAIT_SLICE_MS = 1000 };

const char *eddy_version(void)
{
#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
    return TEXT(EDDY_VERSION_MAJOR) "." TEXT(EDDY_VERSION_MINOR) "." TEXT(EDDY_VERSION_PATCH);
}

/* ---- open and close ---- */

/* Keys that stay in memory: all of them, unless there is a file that the others can go to. */
static int64_t embed_max_resident(const struct eddy *e)
{
    if (!e->keep_state) return INT64_MAX;
    struct plan_estimate size;
    plan_estimate(e->plan, 16, &size);
    const struct state_settings *state = &config_settings(e->config)->state;
    int64_t keys = state->memory / (int64_t)(size.resident_bytes ? size.resident_bytes : 1);
    if (state->max_keys > 0 && keys > state->max_keys) keys = state->max_keys;
    return keys > 0 ? keys : 1;
}

eddy_status embed_open_lane(struct eddy *e, struct store *store, struct lane **out, struct eddy_error *err)
{
    struct weights *initial = NULL;
    const char *state_path = config_settings(e->config)->state.path;
    eddy_status rc = e->keep_state ? initial_model_kept(e->plan, state_path, store, &initial, err) : EDDY_OK;
    if (rc < 0) return rc;
    const struct lane_request request = {.plan = e->plan,
                                         .topic = EMBED_TOPIC,
                                         .store = store,
                                         .trainer = e->trainer,
                                         .max_resident = embed_max_resident(e),
                                         .initial = initial};
    rc = lane_open(&request, out, err);
    weights_unref(initial);
    return rc;
}

static eddy_status embed_open_store(struct eddy *e, struct eddy_error *err)
{
    const struct settings *s = config_settings(e->config);
    const struct store_identity identity = {s->name, EMBED_TOPIC, 0};
    if (!e->keep_state) return store_open(":memory:", &identity, STORE_MEMORY, &e->store, err);

    eddy_status rc = store_lock_open(s->state.path, s->name, &e->lock, err);
    if (rc < 0) return rc;
    e->store_path = store_path(s->state.path, &identity);
    if (!e->store_path) return eddy_fail(err, EDDY_ENOMEM, "eddy: out of memory");
    return store_open(e->store_path, &identity, STORE_WRITE, &e->store, err);
}

/* What the caller says, else what the state was written for, else what the codec lists. */
static eddy_status embed_find_schema(struct eddy *e, const char *const *values, struct eddy_error *err)
{
    if (values) return schema_from_array(&e->names, values, err);
    if (!store_is_new(e->store)) return schema_from_store(&e->names, e->store, err);
    eddy_status rc = schema_from_codec(&e->names, config_settings(e->config), err);
    if (rc == EDDY_ENOTFOUND)
        return eddy_fail(err, EDDY_EINVAL,
                         "eddy_open: name the values of an event (options.values, or the codec's values)");
    return rc;
}

static eddy_status embed_no_categories(struct eddy *e, struct eddy_error *err)
{
    int n = e->plan->schema.n_categories;
    e->no_categories = calloc((size_t)n + 1, sizeof(*e->no_categories));
    if (!e->no_categories) return eddy_fail(err, EDDY_ENOMEM, "eddy: out of memory");
    for (int i = 0; i < n; i++) e->no_categories[i] = EDDY_NO_CATEGORY;
    return EDDY_OK;
}

static eddy_status embed_open_engine(struct eddy *e, const char *const *values, struct eddy_error *err)
{
    const struct settings *s = config_settings(e->config);
    const struct eddy_limits limits = {s->limits.record, s->limits.key, s->limits.depth, s->limits.fields};
    e->codec = (const struct eddy_codec *)s->codec.part;
    eddy_status rc = e->codec->open(s->codec.settings, &limits, &e->open_codec, err);
    if (rc >= 0) rc = embed_open_store(e, err);
    if (rc >= 0) rc = embed_find_schema(e, values, err);
    if (rc >= 0) rc = plan_open(s, &e->names.schema, &e->plan, err);
    if (rc >= 0) rc = embed_no_categories(e, err);
    if (rc >= 0 && s->train.mode != TRAIN_OFF) rc = trainer_open(s->train.mode, &e->trainer, err);
    if (rc >= 0) rc = embed_open_lane(e, e->store, &e->lane, err);
    return rc;
}

static eddy_status embed_open(struct config_request *request, const struct eddy_open_options *given,
                              struct eddy **out, struct eddy_error *err)
{
    struct eddy_error unwanted;
    if (!err) err = &unwanted;
    if (!out || (!request->path && !request->text))
        return eddy_fail(err, EDDY_EINVAL, "eddy_open: an argument is NULL");
    *out = NULL;
    /* Options of an older, shorter struct end in zeroes. */
    struct eddy_open_options options = {0};
    if (given && given->struct_size < sizeof(given->struct_size))
        return eddy_fail(err, EDDY_EINVAL, "eddy_open: options.struct_size is not set");
    if (given) memcpy(&options, given, given->struct_size < sizeof(options) ? given->struct_size : sizeof(options));

    struct eddy *e = calloc(1, sizeof(*e));
    if (!e) return eddy_fail(err, EDDY_ENOMEM, "eddy: out of memory");
    e->keep_state = options.keep_state;
    eddy_status rc = registry_open(&e->registry, err);
    if (rc >= 0) {
        request->overrides = options.overrides;
        request->parts = registry_parts(e->registry);
        request->load_plugins = registry_load;
        request->context = e->registry;
        request->source_optional = request->sink_optional = true;
        rc = config_open(request, &e->config, err);
    }
    if (rc >= 0) rc = embed_open_engine(e, options.values, err);
    if (rc < 0) {
        eddy_close(e);
        return rc;
    }
    *out = e;
    return EDDY_OK;
}

eddy_status eddy_open_file(const char *path, const struct eddy_open_options *options, struct eddy **out,
                           struct eddy_error *err)
{
    struct config_request request = {.path = path};
    return embed_open(&request, options, out, err);
}

eddy_status eddy_open_string(const char *yaml, const struct eddy_open_options *options, struct eddy **out,
                             struct eddy_error *err)
{
    struct config_request request = {.text = yaml};
    return embed_open(&request, options, out, err);
}

void eddy_close(struct eddy *e)
{
    if (!e) return;
    lane_close(e->lane);
    trainer_close(e->trainer);
    plan_close(e->plan);
    store_close(e->store);
    store_lock_close(e->lock);
    free(e->store_path);
    if (e->codec) e->codec->close(e->open_codec);
    schema_free(&e->names);
    config_close(e->config);
    registry_close(e->registry);
    eddy_arena_free(&e->arena);
    eddy_buffer_free(&e->text);
    free(e->no_categories);
    free(e->events);
    free(e->results);
    free(e);
}

int eddy_value_count(const struct eddy *e)
{
    return e ? e->plan->n_values : 0;
}

const char *eddy_value_name(const struct eddy *e, int i)
{
    return e && i >= 0 && i < e->plan->n_values ? e->plan->schema.names[i] : NULL;
}

/* ---- feed ---- */

static eddy_status embed_no_memory(struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "eddy: out of memory");
}

static eddy_status embed_check_key(const struct eddy *e, const char *key, size_t key_len, struct eddy_error *err)
{
    int64_t most = config_settings(e->config)->limits.key;
    if (!key || key_len == 0) return eddy_fail_record(err, "missing_key", "the key is empty");
    if (key_len > (size_t)most)
        return eddy_fail_record(err, "key_too_long", "the key has %zu bytes, limits.key is %lld", key_len,
                                (long long)most);
    return EDDY_OK;
}

static eddy_status embed_check(const struct eddy *e, const struct eddy_input *inputs, int n, struct eddy_error *err)
{
    for (int i = 0; i < n; i++) {
        if (!inputs[i].values) return eddy_fail(err, EDDY_EINVAL, "eddy_feed: input %d has no values", i);
        if (inputs[i].time_ns == EDDY_NO_TIME)
            return eddy_fail_record(err, "missing_time", "input %d has no time", i);
        eddy_status rc = embed_check_key(e, inputs[i].key, inputs[i].key_len, err);
        if (rc < 0) return rc;
        for (int v = 0; v < e->plan->n_values; v++)
            if (isinf(inputs[i].values[v]))
                return eddy_fail_record(err, "not_finite", "input %d: %s is infinite", i, e->plan->schema.names[v]);
    }
    return EDDY_OK;
}

/* Room for one turn; grows to the largest. */
static eddy_status embed_reserve(struct eddy *e, int n, struct eddy_error *err)
{
    if (n <= e->cap) return EDDY_OK;
    struct lane_event *events = realloc(e->events, (size_t)n * sizeof(*events));
    if (!events) return embed_no_memory(err);
    e->events = events;
    struct eddy_result *results = realloc(e->results, (size_t)n * sizeof(*results));
    if (!results) return embed_no_memory(err);
    e->results = results;
    e->cap = n;
    return EDDY_OK;
}

static const void *embed_keep(struct eddy *e, const void *bytes, size_t n, bool *full)
{
    void *copy = eddy_arena_take(&e->arena, n ? n : 1);
    if (!copy) *full = true;
    if (copy && n) memcpy(copy, bytes, n);
    return copy;
}

static void embed_copy_labels(struct eddy *e, const struct eddy_result *from, struct eddy_output *to, bool *full)
{
    size_t values = (size_t)e->plan->n_values, classes = (size_t)from->classes.n_classes;
    if (from->smoothed.y) {
        to->smoothed.y = embed_keep(e, from->smoothed.y, values * sizeof(double), full);
        to->smoothed.actual = embed_keep(e, from->smoothed.actual, values * sizeof(double), full);
    }
    if (classes > 0) to->classes.p = embed_keep(e, from->classes.p, classes * sizeof(double), full);
    if (from->label) to->label = embed_keep(e, from->label, from->label_len, full);
}

/* The lane's results end with its next turn; the caller's live until the eddy's next call.  What is not copied here
 * (schema, horizons, coverages, names of classes) belongs to the plan. */
static eddy_status embed_copy(struct eddy *e, const struct eddy_result *from, struct eddy_output *to,
                              struct eddy_error *err)
{
    bool full = false;
    size_t values = (size_t)e->plan->n_values, ahead = values * (size_t)from->n_horizons;
    size_t bands = ahead * (size_t)from->n_bands;
    *to = *from;
    to->topic = embed_keep(e, from->topic, strlen(from->topic) + 1, &full);
    to->key = embed_keep(e, from->key, from->key_len, &full);
    to->y = embed_keep(e, from->y, values * sizeof(double), &full);
    to->yhat = embed_keep(e, from->yhat, values * sizeof(double), &full);
    to->yhat_lower = embed_keep(e, from->yhat_lower, values * sizeof(double), &full);
    to->yhat_upper = embed_keep(e, from->yhat_upper, values * sizeof(double), &full);
    to->attribution = embed_keep(e, from->attribution, values * sizeof(float), &full);
    to->forecast = embed_keep(e, from->forecast, ahead * sizeof(double), &full);
    to->lower = embed_keep(e, from->lower, ahead * sizeof(double), &full);
    to->upper = embed_keep(e, from->upper, ahead * sizeof(double), &full);
    to->band_lower = embed_keep(e, from->band_lower, bands * sizeof(double), &full);
    to->band_upper = embed_keep(e, from->band_upper, bands * sizeof(double), &full);
    embed_copy_labels(e, from, to, &full);
    return full ? embed_no_memory(err) : EDDY_OK;
}

static eddy_status embed_turns(struct eddy *e, const struct eddy_input *inputs, int n, struct eddy_output *outputs,
                               struct eddy_error *err)
{
    int64_t offset = lane_next(e->lane);
    for (int i = 0; i < n; i++) {
        bool full = false;
        /* The lane takes a plain pointer and does not write; the copy keeps the caller's array out of its hands. */
        const double *x = embed_keep(e, inputs[i].values, (size_t)e->plan->n_values * sizeof(double), &full);
        if (full) return embed_no_memory(err);
        e->events[i] = (struct lane_event){
            .kind = LANE_EVENT,
            .offset = offset + i,
            .event = {.key = inputs[i].key,
                      .key_len = inputs[i].key_len,
                      .time_ns = inputs[i].time_ns,
                      .x = (double *)(uintptr_t)x,
                      .category = e->no_categories},
        };
    }
    for (int done = 0; done < n;) {
        eddy_status took = lane_turn(e->lane, e->events + done, n - done, e->results + done, err);
        if (took == 0) (void)lane_wait(e->lane, WAIT_SLICE_MS); /* a candidate in training; it always ends */
        for (int i = done; outputs && took > 0 && i < done + took; i++) {
            eddy_status rc = embed_copy(e, &e->results[i], &outputs[i], err);
            if (rc < 0) return rc;
        }
        if (took < 0) return took;
        done += took;
    }
    return EDDY_OK;
}

eddy_status eddy_feed(struct eddy *e, const struct eddy_input *inputs, int n, struct eddy_output *outputs,
                      struct eddy_error *err)
{
    if (!e || n < 0 || (n > 0 && !inputs))
        return eddy_fail(err, EDDY_EINVAL, "eddy_feed: an argument is NULL or negative");
    eddy_status rc = embed_check(e, inputs, n, err);
    eddy_arena_reset(&e->arena);
    int most = n < TURN_EVENTS ? n : TURN_EVENTS;
    if (rc >= 0) rc = embed_reserve(e, most, err);
    for (int done = 0; rc >= 0 && done < n; done += most) {
        int now = n - done < most ? n - done : most;
        rc = embed_turns(e, inputs + done, now, outputs ? outputs + done : NULL, err);
    }
    /* All or nothing: every turn since the last commit is taken back together. */
    if (rc < 0)
        lane_abort(e->lane);
    else
        lane_commit(e->lane);
    return rc < 0 ? rc : EDDY_OK;
}

eddy_status eddy_format(struct eddy *e, const struct eddy_output *output, const char **text, size_t *len,
                        struct eddy_error *err)
{
    if (!e || !output || !text || !len) return eddy_fail(err, EDDY_EINVAL, "eddy_format: an argument is NULL");
    e->text.len = 0;
    eddy_status rc = e->codec->encode(e->open_codec, output, &e->text, err);
    if (rc >= 0 && eddy_buffer_append(&e->text, "", 1) < 0) rc = embed_no_memory(err);
    if (rc < 0) return rc;
    *text = e->text.data;
    *len = e->text.len - 1;
    return EDDY_OK;
}

eddy_status eddy_forget(struct eddy *e, const char *key, size_t key_len, struct eddy_error *err)
{
    if (!e || !e->lane) return eddy_fail(err, EDDY_EINVAL, "eddy_forget: an argument is NULL");
    eddy_status rc = embed_check_key(e, key, key_len, err);
    if (rc >= 0) rc = lane_forget(e->lane, key, key_len, err);
    if (rc < 0)
        lane_abort(e->lane);
    else
        lane_commit(e->lane);
    return rc;
}

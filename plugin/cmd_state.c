/* eddy state CONFIG ACTION: looking at what is stored, and the few things one may do to it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/flow/lane_store.h"
#include "engine/flow/plan.h"
#include "engine/state/export.h"
#include "plugin/commands.h"
#include "plugin/schema.h"
#include "plugin/state_view.h"
#include "plugin/stored_files.h"

struct args {
    struct command_list sets;
    bool json, positions;
    int64_t limit;
};

static const int64_t NO_LIMIT = INT64_MAX;

static const struct command_option options[] = {
    {"positions", COMMAND_FLAG, offsetof(struct args, positions), NULL,
     "hash: topic, partition and offsets count too"},
    {"limit", COMMAND_COUNT, offsetof(struct args, limit), "N", "list: at most N keys; default all"},
    {"json", COMMAND_FLAG, offsetof(struct args, json), NULL, "as JSON (list: one line per key), for programs"},
    COMMAND_SETS(struct args, sets),
    {0},
};

/* What an action works with; `file` and `store` are set while it looks at one partition. */
struct state_work {
    struct command_context *command;
    const struct args *args;
    const struct settings *settings;
    const char *word; /* KEY or FILE; NULL when the action takes none */
    const struct stored_file *file;
    struct store *store;
    struct json_out json;
    FILE *stream;
    struct state_hash *hash;
    int64_t found;
};

static eddy_status list_row(void *context, const struct stored_row *row, struct eddy_error *err)
{
    struct state_work *w = context;
    (void)err;
    if (w->found >= w->args->limit) return EDDY_EAGAIN; /* enough: ends the scan */
    if (w->args->json)
        state_view_line_json(&w->file->identity, row, &w->json);
    else
        state_view_line(&w->file->identity, row, stdout);
    w->found++;
    return EDDY_OK;
}

static eddy_status do_list(struct state_work *w, struct eddy_error *err)
{
    eddy_status rc = store_scan(w->store, list_row, w, err);
    return rc == EDDY_EAGAIN && w->found >= w->args->limit ? EDDY_OK : rc;
}

/* What the configuration makes of this partition's values; NULL when it does not fit them: state can be shown all the same. */
static struct plan *show_plan(struct state_work *w)
{
    struct schema_names names = {0};
    struct plan *plan = NULL;
    struct eddy_error why;
    eddy_status rc = schema_from_store(&names, w->store, &why);
    if (rc >= 0) rc = plan_open(w->settings, &names.schema, &plan, &why);
    schema_free(&names);
    return rc >= 0 ? plan : NULL;
}

static eddy_status do_show(struct state_work *w, struct eddy_error *err)
{
    struct stored_row row;
    struct row_layout layout = {0};
    eddy_status rc = store_get_row(w->store, w->word, strlen(w->word), &row, err);
    if (rc == EDDY_ENOTFOUND) return EDDY_OK;
    if (rc < 0) return rc;
    w->found++;
    struct plan *plan = show_plan(w);
    rc = lane_stored_layout(w->store, &layout, err);
    /* The layout was read with a call of its own, so the row is fetched again. */
    if (rc >= 0) rc = store_get_row(w->store, w->word, strlen(w->word), &row, err);
    if (rc >= 0 && row.row_bytes != layout.row_bytes)
        rc = eddy_fail(err, EDDY_ECORRUPT, "state %s: key %s has %zu bytes, the directory says %zu", w->file->path,
                       w->word, row.row_bytes, layout.row_bytes);
    if (rc >= 0 && w->args->json) state_view_row_json(&w->file->identity, plan, &layout, &row, &w->json);
    if (rc >= 0 && !w->args->json) state_view_row(&w->file->identity, plan, &layout, &row, stdout);
    row_layout_free(&layout);
    plan_close(plan);
    return rc;
}

static eddy_status do_hash(struct state_work *w, struct eddy_error *err)
{
    w->found++;
    return lane_stored_hash(w->store, &w->file->identity, w->settings, w->args->positions, w->hash, err);
}

static eddy_status do_verify(struct state_work *w, struct eddy_error *err)
{
    struct row_layout layout = {0};
    eddy_status rc = lane_stored_layout(w->store, &layout, err);
    int64_t n = rc < 0 ? rc : store_verify(w->store, &layout, err);
    row_layout_free(&layout);
    if (n < 0) return (eddy_status)n;
    w->found += n;
    if (w->args->json) {
        json_open(&w->json, NULL, '{');
        json_text(&w->json, "path", w->file->path);
        json_int(&w->json, "keys", n);
        json_close(&w->json, '}');
        json_end(&w->json);
    } else {
        printf("%s: %lld keys, all sound\n", w->file->path, (long long)n);
    }
    return EDDY_OK;
}

static eddy_status do_export(struct state_work *w, struct eddy_error *err)
{
    return store_export(w->store, w->stream, err);
}

static eddy_status do_forget(struct state_work *w, struct eddy_error *err)
{
    struct stored_row row;
    eddy_status rc = store_get_row(w->store, w->word, strlen(w->word), &row, err);
    if (rc == EDDY_ENOTFOUND) return EDDY_OK;
    if (rc >= 0) rc = store_delete_row(w->store, w->word, strlen(w->word), err);
    if (rc >= 0) rc = lane_stored_edited(w->store, err);
    if (rc >= 0) rc = store_commit(w->store, err);
    if (rc < 0) return rc;
    w->found++;
    printf("%s-%d: forgot %s after %lld events\n", w->file->identity.topic, w->file->identity.partition, w->word,
           (long long)row.count);
    return EDDY_OK;
}

static eddy_status begin_hash(struct state_work *w, struct eddy_error *err)
{
    w->hash = state_hash_open();
    return w->hash ? EDDY_OK : eddy_fail(err, EDDY_ENOMEM, "state hash: out of memory");
}

static eddy_status end_hash(struct state_work *w, struct eddy_error *err)
{
    char digits[33];
    (void)err;
    state_hash_hex(w->hash, digits);
    if (!w->args->json) {
        puts(digits);
        return EDDY_OK;
    }
    json_open(&w->json, NULL, '{');
    json_text(&w->json, "state_hash", digits);
    json_bool(&w->json, "positions", w->args->positions);
    json_int(&w->json, "partitions", w->found);
    json_close(&w->json, '}');
    json_end(&w->json);
    return EDDY_OK;
}

static eddy_status begin_list(struct state_work *w, struct eddy_error *err)
{
    (void)err;
    if (!w->args->json) puts("topic\tpartition\tkey\tevents\tlast event\tnext offset");
    return EDDY_OK;
}

static eddy_status begin_export(struct state_work *w, struct eddy_error *err)
{
    w->stream = strcmp(w->word, "-") == 0 ? stdout : fopen(w->word, "wxe");
    return w->stream ? EDDY_OK : eddy_fail(err, EDDY_EIO, "%s: %s", w->word, strerror(errno));
}

static eddy_status end_export(struct state_work *w, struct eddy_error *err)
{
    if (fflush(w->stream) != 0 || ferror(w->stream))
        return eddy_fail(err, EDDY_EIO, "%s: %s", w->word, strerror(errno));
    return EDDY_OK;
}

static eddy_status end_key(struct state_work *w, struct eddy_error *err)
{
    return w->found ? EDDY_OK : eddy_fail(err, EDDY_ENOTFOUND, "state: no key \"%s\"", w->word);
}

/* An action is a row: what it takes, whether it writes, and what it does before, for and after the partitions. */
static const struct state_action {
    const char *name;
    const char *takes; /* name of its word; NULL = none */
    enum store_mode mode;
    eddy_status (*begin)(struct state_work *, struct eddy_error *);
    eddy_status (*each)(struct state_work *, struct eddy_error *);
    eddy_status (*end)(struct state_work *, struct eddy_error *);
} actions[] = {
    {"list", NULL, STORE_READ_ONLY, begin_list, do_list, NULL},
    {"show", "KEY", STORE_READ_ONLY, NULL, do_show, end_key},
    {"hash", NULL, STORE_READ_ONLY, begin_hash, do_hash, end_hash},
    {"export", "FILE", STORE_READ_ONLY, begin_export, do_export, end_export},
    {"import", "FILE", STORE_WRITE, NULL, NULL, NULL},
    {"forget", "KEY", STORE_WRITE, NULL, do_forget, end_key},
    {"verify", NULL, STORE_READ_ONLY, NULL, do_verify, NULL},
    {0},
};

static eddy_status state_each(struct state_work *w, const struct state_action *action, struct eddy_error *err)
{
    struct stored_files files;
    eddy_status rc = stored_files_find(w->settings, &files, err);
    if (rc >= 0 && action->begin) rc = action->begin(w, err);
    eddy_status first = EDDY_OK; /* `verify` goes on, so that every damaged file is named */
    struct eddy_error why = {0};
    for (int i = 0; rc >= 0 && i < files.n; i++) {
        w->file = &files.item[i];
        rc = store_open(w->file->path, &w->file->identity, action->mode, &w->store, err);
        if (rc >= 0) rc = action->each(w, err);
        store_close(w->store);
        w->store = NULL;
        if (rc < 0 && action->each == do_verify && rc != EDDY_ENOMEM) {
            if (first < 0) command_fail(w->command, &why);
            first = rc;
            why = *err;
            rc = EDDY_OK;
        }
    }
    if (rc >= 0 && action->end) rc = action->end(w, err);
    stored_files_free(&files);
    if (rc >= 0 && first < 0) {
        *err = why;
        return first;
    }
    return rc;
}

/* One partition of the stream; *path is malloc'ed.  EDDY_ENOTFOUND at the end of the stream. */
static eddy_status import_one(struct state_work *w, FILE *in, char **path, struct eddy_error *err)
{
    struct eddy_buffer text = {0};
    struct store_identity identity;
    *path = NULL;
    eddy_status rc = store_import_identity(in, &text, &identity, err);
    if (rc >= 0) {
        identity.name = w->settings->name; /* the state goes to the pipeline that asks for it */
        *path = store_path(w->settings->state.path, &identity);
        rc = *path ? store_import(in, *path, &identity, err)
                   : eddy_fail(err, EDDY_ENOMEM, "state import: out of memory");
    }
    if (rc >= 0) printf("%s[%d]: %s\n", identity.topic, (int)identity.partition, *path);
    eddy_buffer_free(&text);
    return rc;
}

/* All partitions of the stream or none. */
static eddy_status import_all(struct state_work *w, FILE *in, struct eddy_error *err)
{
    char **paths = NULL;
    int n = 0;
    eddy_status rc = EDDY_OK;
    while (rc >= 0) {
        char **grown = realloc(paths, (size_t)(n + 1) * sizeof(*paths));
        if (!grown) {
            rc = eddy_fail(err, EDDY_ENOMEM, "state import: out of memory");
            break;
        }
        paths = grown;
        rc = import_one(w, in, &paths[n], err);
        if (rc >= 0)
            n++;
        else
            free(paths[n]);
    }
    if (rc == EDDY_ENOTFOUND && n > 0) rc = EDDY_OK;
    for (int i = 0; i < n; i++) {
        if (rc < 0) (void)unlink(paths[i]);
        free(paths[i]);
    }
    free(paths);
    return rc;
}

static eddy_status state_import(struct state_work *w, struct eddy_error *err)
{
    FILE *in = strcmp(w->word, "-") == 0 ? stdin : fopen(w->word, "re");
    if (!in) return eddy_fail(err, EDDY_EIO, "%s: %s", w->word, strerror(errno));
    eddy_status rc = import_all(w, in, err);
    if (in != stdin) fclose(in);
    if (rc < 0) {
        struct eddy_error why = *err;
        (void)eddy_fail(err, rc, "%s: %.900s", w->word, why.message);
    }
    return rc;
}

static eddy_status state_act(struct state_work *w, const struct state_action *action, struct eddy_error *err)
{
    struct store_lock *lock = NULL;
    eddy_status rc = EDDY_OK;
    /* Whoever writes must be alone; whoever reads sees the last checkpoint of a running pipeline. */
    if (action->mode == STORE_WRITE) rc = store_lock_open(w->settings->state.path, w->settings->name, &lock, err);
    if (rc >= 0) rc = action->each ? state_each(w, action, err) : state_import(w, err);
    state_hash_close(w->hash);
    if (w->stream && w->stream != stdout && fclose(w->stream) != 0 && rc >= 0)
        rc = eddy_fail(err, EDDY_EIO, "%s: %s", w->word, strerror(errno));
    store_lock_close(lock);
    return rc;
}

static const struct state_action *action_find(const char *name)
{
    for (const struct state_action *a = actions; a->name; a++)
        if (strcmp(a->name, name) == 0) return a;
    return NULL;
}

static int cmd_state(struct command_context *c, int argc, char **argv)
{
    struct args args = {.limit = NO_LIMIT};
    int rc = command_parse(c, argc, argv, &args);
    if (rc != COMMAND_GO) return rc;
    if (args.limit < 0) return command_usage(c, "--limit takes a number from 0 on");
    const struct state_action *action = action_find(c->positional[1]);
    if (!action)
        return command_usage(c, "unknown action \"%s\" (list, show, hash, export, import, forget, verify)",
                             c->positional[1]);
    if (action->takes && c->n_positional < 3) return command_usage(c, "%s expects %s", action->name, action->takes);
    if (!action->takes && c->n_positional > 2)
        return command_usage(c, "%s takes no \"%s\"", action->name, c->positional[2]);

    struct config *config;
    rc = command_config(c, c->positional[0], &args.sets, COMMAND_BRINGS_SOURCE | COMMAND_BRINGS_SINK, &config);
    if (rc != COMMAND_GO) return rc;
    struct state_work work = {.command = c,
                              .args = &args,
                              .settings = config_settings(config),
                              .word = action->takes ? c->positional[2] : NULL,
                              .json = json_begin(stdout)};
    struct eddy_error err = {0};
    rc = state_act(&work, action, &err) < 0 ? command_fail(c, &err) : COMMAND_DONE;
    config_close(config);
    return rc;
}

const struct command command_state = {
    "state",
    "CONFIG ACTION [KEY|FILE]",
    2,
    3,
    "the stored state: list, show KEY, hash, export FILE, import FILE, forget KEY, verify",
    "  list         every stored key: topic, partition, key, events, last event, next offset\n"
    "  show KEY     one key with all sections of its row\n"
    "  hash         32 digits over all keys in order and the model; equal states give equal digits\n"
    "  export FILE  everything as one portable file (- for stdout)\n"
    "  import FILE  into a pipeline that has no state yet (- for stdin)\n"
    "  forget KEY   makes a key as new, in every partition that has it\n"
    "  verify       checks every sum and every number\n\n"
    "list, show, hash, export and verify also work while eddy runs, and see its last checkpoint; import and forget\n"
    "need it stopped.",
    options,
    cmd_state,
};

/* eddy.h: saving to and restoring from one file, and the hash.
 *
 * The file is an export (engine/state/export.h).  It is restored beside what is there, opened and checked, and only then
 * takes its place: a file that cannot be used changes nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/state/export.h"
#include "plugin/embed_private.h"

/* ---- save ---- */

static eddy_status save_failed(const char *path, struct eddy_error *err)
{
    int code = errno;
    return eddy_fail(err, code == ENOSPC || code == EDQUOT ? EDDY_EFULL : EDDY_EIO, "%s: %s", path, strerror(code));
}

/* Writes all of the store to `path` and sees it onto the disk. */
static eddy_status save_write(struct eddy *e, const char *path, struct eddy_error *err)
{
    FILE *to = fopen(path, "we");
    if (!to) return save_failed(path, err);
    eddy_status rc = store_export(e->store, to, err);
    if (rc >= 0 && (fflush(to) != 0 || fsync(fileno(to)) != 0)) rc = save_failed(path, err);
    if (fclose(to) != 0 && rc >= 0) rc = save_failed(path, err);
    return rc;
}

static eddy_status save_file(struct eddy *e, const char *path, struct eddy_error *err)
{
    char *beside = NULL;
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) /* rename() would put a file in the place of a device */
        return eddy_fail(err, EDDY_EIO, "%s: is there and no regular file", path);
    if (asprintf(&beside, "%s.new", path) < 0) return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", path);
    eddy_status rc = save_write(e, beside, err);
    if (rc >= 0 && rename(beside, path) != 0) rc = save_failed(path, err);
    if (rc < 0) (void)unlink(beside);
    free(beside);
    return rc < 0 ? rc : EDDY_OK;
}

eddy_status eddy_save(struct eddy *e, const char *path, struct eddy_error *err)
{
    if (!e || !e->lane) return eddy_fail(err, EDDY_EINVAL, "eddy_save: an argument is NULL");
    if (!path && !e->keep_state)
        return eddy_fail(err, EDDY_EINVAL, "eddy_save: without a path it needs keep_state, which was not asked for");
    eddy_status rc = lane_checkpoint(e->lane, err);
    if (rc >= 0 && path) rc = save_file(e, path, err);
    return rc < 0 ? rc : EDDY_OK;
}

/* ---- restore ---- */

static eddy_status copy_meta(void *to, const char *name, const void *bytes, size_t n, struct eddy_error *err)
{
    return store_put_meta(to, name, bytes, n, err);
}

static eddy_status copy_row(void *to, const struct stored_row *row, struct eddy_error *err)
{
    return store_put_row(to, row, err);
}

struct copy_models {
    struct store *from, *to;
};
static eddy_status copy_model(void *context, uint64_t version, size_t bytes, int64_t wall_time_s,
                              struct eddy_error *err)
{
    const struct copy_models *stores = context;
    struct eddy_buffer blob = {0};
    (void)bytes, (void)wall_time_s;
    eddy_status rc = store_get_model(stores->from, version, &blob, err);
    if (rc >= 0) rc = store_put_model(stores->to, version, blob.data, blob.len, err);
    eddy_buffer_free(&blob);
    return rc;
}

static eddy_status copy_store(struct store *from, struct store *to, struct eddy_error *err)
{
    struct copy_models stores = {from, to};
    eddy_status rc = store_list_meta(from, copy_meta, to, err);
    if (rc >= 0) rc = store_list_models(from, copy_model, &stores, err);
    if (rc >= 0) rc = store_scan(from, copy_row, to, err);
    if (rc >= 0) rc = store_commit(to, err);
    return rc;
}

static void restore_identity(const struct eddy *e, struct store_identity *out)
{
    *out = (struct store_identity){config_settings(e->config)->name, EMBED_TOPIC, 0};
}

/* The saved file as a store of its own at `beside`. */
static eddy_status restore_import(const struct eddy *e, const char *path, const char *beside, struct eddy_error *err)
{
    struct eddy_buffer text = {0};
    struct store_identity saved, ours;
    struct eddy_error why = {0};
    FILE *from = fopen(path, "re");
    if (!from) return save_failed(path, err);
    eddy_status rc = store_import_identity(from, &text, &saved, &why);
    if (rc >= 0) {
        restore_identity(e, &ours);
        rc = store_import(from, beside, &ours, &why);
    }
    eddy_buffer_free(&text);
    fclose(from);
    return rc < 0 ? eddy_fail(err, rc, "%s: %.900s", path, why.message) : EDDY_OK;
}

/* The store that a lane can run on: the imported file itself, or a copy of it in memory. */
static eddy_status restore_open(const struct eddy *e, const char *beside, struct store **out, struct eddy_error *err)
{
    struct store_identity ours;
    struct store *imported = NULL;
    restore_identity(e, &ours);
    *out = NULL;
    eddy_status rc = store_open(beside, &ours, STORE_WRITE, &imported, err);
    if (rc < 0) return rc;
    if (e->keep_state) {
        *out = imported;
        return EDDY_OK;
    }
    rc = store_open(":memory:", &ours, STORE_MEMORY, out, err);
    if (rc >= 0) rc = copy_store(imported, *out, err);
    store_close(imported);
    return rc;
}

/* Puts the imported file in the place of the old one, which nobody has open any more. */
static eddy_status restore_replace(struct eddy *e, const char *beside, struct eddy_error *err)
{
    struct store_identity ours;
    restore_identity(e, &ours);
    store_remove(e->store_path);
    if (rename(beside, e->store_path) != 0) return save_failed(e->store_path, err);
    eddy_status rc = store_open(e->store_path, &ours, STORE_WRITE, &e->store, err);
    if (rc >= 0) rc = embed_open_lane(e, e->store, &e->lane, err);
    return rc;
}

static eddy_status restore_from(struct eddy *e, const char *path, const char *beside, struct eddy_error *err)
{
    struct store *store = NULL;
    struct lane *lane = NULL;
    eddy_status rc = restore_import(e, path, beside, err);
    if (rc >= 0) rc = restore_open(e, beside, &store, err);
    if (rc >= 0) rc = embed_open_lane(e, store, &lane, err); /* it fits this configuration, or nothing changes */
    if (rc < 0) {
        store_close(store);
        return rc;
    }
    lane_close(e->lane);
    store_close(e->store);
    e->lane = lane;
    e->store = store;
    if (!e->keep_state) return EDDY_OK;
    lane_close(e->lane);
    store_close(e->store);
    e->lane = NULL;
    e->store = NULL;
    return restore_replace(e, beside, err);
}

eddy_status eddy_restore(struct eddy *e, const char *path, struct eddy_error *err)
{
    if (!e || !path) return eddy_fail(err, EDDY_EINVAL, "eddy_restore: an argument is NULL");
    if (!e->lane) return eddy_fail(err, EDDY_EINVAL, "eddy_restore: an earlier restore broke off; close this eddy");
    char *beside = NULL, *directory = NULL;
    const char *tmp = getenv("TMPDIR");
    int n = e->keep_state ? asprintf(&beside, "%s.restore", e->store_path)
                          : asprintf(&directory, "%s/eddy-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (n < 0) return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", path);
    eddy_status rc = EDDY_OK;
    if (directory && !mkdtemp(directory)) rc = save_failed(directory, err);
    if (rc >= 0 && directory && asprintf(&beside, "%s/restored", directory) < 0)
        rc = eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", path);
    if (rc >= 0) {
        store_remove(beside); /* of a restore that was killed */
        rc = restore_from(e, path, beside, err);
        store_remove(beside);
    }
    if (directory) (void)rmdir(directory);
    free(directory);
    free(beside);
    return rc < 0 ? rc : EDDY_OK;
}

/* ---- hash ---- */

eddy_status eddy_state_hash(struct eddy *e, char out[33], struct eddy_error *err)
{
    if (!e || !e->lane || !out) return eddy_fail(err, EDDY_EINVAL, "eddy_state_hash: an argument is NULL");
    struct state_hash *h = state_hash_open();
    if (!h) return eddy_fail(err, EDDY_ENOMEM, "eddy: out of memory");
    eddy_status rc = lane_hash(e->lane, false, h, err);
    if (rc >= 0) state_hash_hex(h, out);
    state_hash_close(h);
    return rc < 0 ? rc : EDDY_OK;
}

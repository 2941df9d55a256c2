#include "engine/flow/topic_restore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/failpoint.h"
#include "config/log.h"
#include "engine/flow/lane_store.h"

enum { COMMIT_THINGS = 4096 }; /* so that no more of them waits in SQLite's log */

struct restorer {
    struct restorer_request request;
    struct topic_reader reader;
    struct topic_known known;
    struct eddy_error damage; /* the first record that is damaged */
    char *path;               /* of the file in the making; NULL = none */
    struct store *store;
    int64_t n, rows;
};

static eddy_status restorer_no_memory(const struct restorer *r, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory for its state", r->request.id.topic,
                     (int)r->request.id.partition);
}

static eddy_status restorer_file(struct restorer *r, struct eddy_error *err)
{
    store_close(r->store);
    r->store = NULL;
    r->n = r->rows = 0;
    store_remove(r->path);
    return store_open(r->path, &r->request.id, STORE_WRITE, &r->store, err);
}

eddy_status restorer_open(const struct restorer_request *request, struct restorer **out, struct eddy_error *err)
{
    *out = NULL;
    struct restorer *r = calloc(1, sizeof(*r));
    if (!r)
        return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory for its state", request->id.topic,
                         (int)request->id.partition);
    r->request = *request;
    r->reader = (struct topic_reader){.id = request->id, .topic = request->topic};
    eddy_status rc = EDDY_OK;
    if (request->path && asprintf(&r->path, "%s.restoring", request->path) < 0) {
        r->path = NULL;
        rc = restorer_no_memory(r, err);
    }
    if (rc >= 0 && r->path) rc = restorer_file(r, err);
    if (rc < 0) {
        restorer_close(r);
        return rc;
    }
    *out = r;
    return EDDY_OK;
}

void restorer_close(struct restorer *r)
{
    if (!r) return;
    store_close(r->store);
    if (r->path) store_remove(r->path);
    free(r->path);
    topic_reader_free(&r->reader);
    free(r);
}

/* A blob, once there, stays; a name that the store would not take is damage. */
static eddy_status restore_blob(struct restorer *r, const struct topic_thing *t, struct eddy_error *err)
{
    if (memchr(t->name, '\0', t->name_len))
        return eddy_fail(err, EDDY_ECORRUPT, "state topic %s[%d]: a blob's name has a NUL in it", r->request.topic,
                         (int)r->request.id.partition);
    char *name = strndup(t->name, t->name_len);
    if (!name) return restorer_no_memory(r, err);
    const eddy_status rc = t->gone ? EDDY_OK : store_put_meta(r->store, name, t->bytes, t->n, err);
    free(name);
    return rc;
}

static eddy_status restore_thing(struct restorer *r, const struct topic_thing *t, struct eddy_error *err)
{
    switch (t->kind) {
    case TOPIC_ROW:
        r->rows++;
        return t->gone ? store_delete_row(r->store, t->row.key, t->row.key_len, err)
                       : store_put_row(r->store, &t->row, err);
    case TOPIC_BLOB: return restore_blob(r, t, err);
    case TOPIC_MODEL: /* versions that have gone are older than those that count: see restorer_end() */
        return t->gone ? EDDY_OK : store_put_dated_model(r->store, t->version, t->wall_time_s, t->bytes, t->n, err);
    default: return EDDY_OK;
    }
}

/* What there is of whole publications, and what does not belong to one. */
static void restorer_note(struct restorer *r, const struct topic_thing *t, int64_t offset)
{
    if (!t || t->kind != TOPIC_MANIFEST || t->gone)
        r->known.more = true;
    else
        r->known = (struct topic_known){
            .any = true, .more = r->damage.code < 0, .end = offset + 1, .manifest = t->manifest};
}

/* What came before counts no more. */
static void restorer_generation(struct restorer *r)
{
    struct topic_manifest *m = &r->known.manifest;
    if (r->reader.generation <= m->generation) return;
    if (m->generation > 0) r->damage.code = EDDY_OK;
    m->generation = r->reader.generation;
    r->known.any = false;
}

eddy_status restorer_take(struct restorer *r, const struct state_topic_record *record, struct eddy_error *err)
{
    struct topic_thing t;
    struct eddy_error why = {0};
    eddy_status rc = topic_take(&r->reader, record->offset, record->key, record->key_len, record->value, record->len,
                                &t, &why);
    restorer_generation(r);
    restorer_note(r, rc > 0 ? &t : NULL, record->offset);
    if (rc == EDDY_ECORRUPT) { /* a newer one of its key may come; the sum over all tells */
        if (r->damage.code == EDDY_OK) r->damage = why;
        return EDDY_OK;
    }
    if (rc < 0 && err) *err = why;
    if (rc <= 0) return rc;
    if (!r->store) return EDDY_OK;
    if (t.anew && r->n > 0) {
        rc = restorer_file(r, err);
        if (rc < 0) return rc;
    }
    rc = restore_thing(r, &t, err);
    FAILPOINT("restore_record");
    return rc >= 0 && ++r->n % COMMIT_THINGS == 0 ? store_commit(r->store, err) : rc;
}

/* Is it what was published? */
static eddy_status restorer_check(struct restorer *r, struct eddy_error *err)
{
    const struct topic_manifest *m = &r->known.manifest;
    struct lane_position at;
    uint64_t n, sum;
    store_sum(r->store, &n, &sum);
    if (n != m->n || sum != m->sum)
        return eddy_fail(err, EDDY_ECORRUPT,
                         "state topic %s[%d]: it holds %" PRIu64 " things (sum %016" PRIx64
                         "), but what was published before offset %" PRId64 " were %" PRIu64 " (%016" PRIx64 ")",
                         r->request.topic, (int)r->request.id.partition, n, sum, r->known.end, m->n, m->sum);
    eddy_status rc = lane_stored_position(r->store, &at, err);
    if (rc == EDDY_ENOTFOUND || (rc >= 0 && at.next != m->position))
        rc = eddy_fail(err, EDDY_ECORRUPT,
                       "state topic %s[%d]: the manifest before offset %" PRId64 " names position %" PRId64
                       ", the state beside it another",
                       r->request.topic, (int)r->request.id.partition, r->known.end, m->position);
    return rc;
}

/* An older state goes: its log must not meet the new file.  A damaged one is kept for people to look at. */
static eddy_status restorer_clear(struct restorer *r, struct eddy_error *err)
{
    char *moved = NULL;
    if (!r->request.damaged) {
        store_remove(r->request.path);
        return EDDY_OK;
    }
    const eddy_status rc = store_set_aside(r->request.path, &moved, err);
    if (rc >= 0)
        log_error("state_corrupt",
                  "%s[%d]: the state fails its checks; the file is now %s, and the copy takes its place",
                  r->request.id.topic, (int)r->request.id.partition, moved);
    free(moved);
    return rc;
}

static eddy_status restorer_place(struct restorer *r, struct eddy_error *err)
{
    store_close(r->store);
    r->store = NULL;
    FAILPOINT("restore_before_rename");
    const eddy_status rc = restorer_clear(r, err);
    if (rc < 0) return rc;
    if (rename(r->path, r->request.path) != 0)
        return eddy_fail(err, EDDY_EIO, "%s: cannot be renamed to %s: %s", r->path, r->request.path, strerror(errno));
    store_sync_directory(r->request.path);
    return EDDY_OK;
}

eddy_status restorer_end(struct restorer *r, struct topic_known *out, struct eddy_error *err)
{
    eddy_status rc = r->known.any ? EDDY_OK : r->damage.code;
    if (rc >= 0 && r->known.any && r->store) {
        rc = store_prune_models(r->store, (int)r->known.manifest.n_models, err);
        if (rc >= 0) rc = store_commit(r->store, err);
        if (rc >= 0) rc = restorer_check(r, err);
        if (rc >= 0) rc = restorer_place(r, err);
    }
    if (rc == EDDY_ECORRUPT && r->damage.code < 0 && err) *err = r->damage;
    *out = r->known;
    return rc < 0 ? rc : EDDY_OK;
}

void restorer_known(const struct restorer *r, struct topic_known *out)
{
    *out = r->known;
}

int64_t restorer_rows(const struct restorer *r)
{
    return r->rows;
}

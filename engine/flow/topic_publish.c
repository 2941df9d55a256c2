#include "engine/flow/topic_publish.h"

#include <stdlib.h>
#include <string.h>

#include "config/failpoint.h"
#include "engine/flow/lane_store.h"
#include "engine/state/side_log.h"

enum { FORGET_VERSIONS = 64 };

/* A named blob or a version of the weights, as the topic has it or shall have it. */
struct topic_thing_said {
    char *name; /* NULL: weights */
    uint64_t version, sum;
    size_t n; /* bytes in all */
    int64_t wall_time_s;
    struct eddy_buffer bytes; /* of what is still to be sent */
    bool changed, there;
};

struct publisher {
    struct publisher_request request;
    struct topic_known known;
    struct topic_writer writer;
    uint64_t n_opened, sum_opened; /* store_sum() at the beginning */
    bool learnt;                   /* `known` holds */
    bool preparing;                /* rows are still to be noted .. */
    bool begins;                   /* .. and none has been: a saver may be writing to the store just now */
    int64_t since;                 /* .. those that have changed behind this offset; -1: all */
    uint64_t generation;           /* of the next publication */
    bool took;                     /* one has been taken */
    int64_t not_before;            /* an older state than the topic's is not published in the same generation */

    bool has;
    struct side_log log;
    struct side_cursor cursor;
    int64_t rows;
    struct topic_thing_said *said;
    int n_said, at_said;
    struct topic_manifest manifest;
    const struct eddy_state_topic *type; /* while sending */
    void *topic;
};

static eddy_status publisher_no_memory(const struct publisher *p, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory for the state topic", p->request.id.topic,
                     (int)p->request.id.partition);
}

static eddy_status publisher_emit(void *context, const struct eddy_buffer *key, const struct eddy_buffer *value,
                                  struct eddy_error *err)
{
    const struct publisher *p = context;
    const eddy_status rc = p->type->send(p->topic, p->request.id.partition, key, value, err);
    return rc == 0 ? EDDY_EFULL : rc;
}

static void publisher_note_since(struct publisher *p, int64_t since)
{
    p->preparing = p->begins = true;
    p->since = since;
}

/* Everything goes out again, and what the topic has counts no more. */
static void publisher_anew(struct publisher *p)
{
    p->generation = p->known.manifest.generation + 1;
    p->not_before = -1;
    for (int i = 0; i < p->n_said; i++) p->said[i].sum = 0, p->said[i].there = false;
    publisher_note_since(p, -1);
}

/* May the next publication build on the last one?  Keys that were forgotten are in no row.  One that a tombstone forgot is
 * known from the topic's position on, for that is folded again, or was followed.  One that was too old is not: when a sweep
 * takes it depends on the checkpoints of whoever had the partition, so then only the very same state will do. */
static bool publisher_goes_on(const struct publisher *p)
{
    const struct publisher_request *q = &p->request;
    const struct topic_manifest *m = &p->known.manifest;
    if (!p->known.any || p->known.more || m->fingerprint != q->fingerprint || q->position < 0) return false;
    if (q->position == m->position) return p->n_opened == m->n && p->sum_opened == m->sum;
    return !q->sweeps && (q->position < m->position || !q->forgets);
}

void publisher_learn(struct publisher *p, const struct topic_known *known)
{
    const struct topic_manifest *m = &p->known.manifest;
    p->known = *known;
    p->learnt = true;
    if (!publisher_goes_on(p)) {
        publisher_anew(p);
        return;
    }
    p->generation = m->generation;
    p->not_before = m->position;
    if (p->request.position <= m->position) return;
    publisher_note_since(p, m->position);
}

bool publisher_prepares(const struct publisher *p)
{
    return p && p->preparing;
}

eddy_status publisher_prepare(struct publisher *p, int rows, struct eddy_error *err)
{
    if (p->begins) store_note_since(p->request.store, p->since);
    p->begins = false;
    const eddy_status rc = store_note_more(p->request.store, rows, err);
    p->preparing = rc == 0;
    return rc;
}

eddy_status publisher_open(const struct publisher_request *request, struct publisher **out, struct eddy_error *err)
{
    *out = NULL;
    struct publisher *p = calloc(1, sizeof(*p));
    if (!p)
        return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory for the state topic", request->id.topic,
                         (int)request->id.partition);
    p->request = *request;
    p->writer = (struct topic_writer){
        .id = request->id, .piece_bytes = request->piece_bytes, .emit = publisher_emit, .context = p};
    store_sum(request->store, &p->n_opened, &p->sum_opened);
    eddy_status rc = store_track(request->store, request->row_bytes, err);
    if (rc < 0) {
        publisher_close(p);
        return rc;
    }
    *out = p;
    return EDDY_OK;
}

static void publisher_clear(struct publisher *p)
{
    if (p->has) side_log_close(&p->log);
    side_cursor_close(&p->cursor);
    p->has = false;
    for (int i = 0; i < p->n_said; i++) eddy_buffer_free(&p->said[i].bytes);
}

void publisher_close(struct publisher *p)
{
    if (!p) return;
    publisher_clear(p);
    for (int i = 0; i < p->n_said; i++) free(p->said[i].name);
    free(p->said);
    topic_writer_free(&p->writer);
    free(p);
}

/* ---- taking ---- */

static struct topic_thing_said *said_find(struct publisher *p, const char *name, uint64_t version)
{
    for (int i = 0; i < p->n_said; i++) {
        struct topic_thing_said *s = &p->said[i];
        if (name ? s->name && strcmp(s->name, name) == 0 : !s->name && s->version == version) return s;
    }
    return NULL;
}

/* The place of a thing that there is now; its bytes are kept when they differ from what was said last. */
static eddy_status said_note(struct publisher *p, const char *name, uint64_t version, int64_t wall_time_s,
                             const void *bytes, size_t n, struct eddy_error *err)
{
    struct topic_thing_said *s = said_find(p, name, version);
    if (!s) {
        struct topic_thing_said *grown = realloc(p->said, (size_t)(p->n_said + 1) * sizeof(*grown));
        if (!grown) return publisher_no_memory(p, err);
        p->said = grown;
        s = &p->said[p->n_said];
        *s = (struct topic_thing_said){.name = name ? strdup(name) : NULL, .version = version};
        if (name && !s->name) return publisher_no_memory(p, err);
        p->n_said++;
    }
    const uint64_t sum = keyspace_hash(bytes, n) | 1; /* 0: never said */
    s->there = true;
    s->wall_time_s = wall_time_s;
    s->changed = s->sum != sum;
    s->sum = sum;
    s->n = n;
    s->bytes.len = 0;
    return s->changed && n > 0 && eddy_buffer_append(&s->bytes, bytes, n) < 0 ? publisher_no_memory(p, err) : EDDY_OK;
}

static eddy_status take_blob(void *context, const char *name, const void *bytes, size_t n, struct eddy_error *err)
{
    return said_note(context, name, 0, 0, bytes, n, err);
}

static eddy_status take_model(void *context, uint64_t version, size_t bytes, int64_t wall_time_s,
                              struct eddy_error *err)
{
    struct publisher *p = context;
    struct topic_thing_said *said = said_find(p, NULL, version);
    struct eddy_buffer b = {0};
    (void)bytes;
    if (said && said->sum != 0) { /* a version never changes */
        said->there = true;
        return EDDY_OK;
    }
    eddy_status rc = store_get_model(p->request.store, version, &b, err);
    if (rc >= 0) rc = said_note(p, NULL, version, wall_time_s, b.data, b.len, err);
    eddy_buffer_free(&b);
    return rc;
}

/* Weights that an earlier life has published and that went before this one published anything. */
static eddy_status take_older_models(struct publisher *p, struct eddy_error *err)
{
    const struct topic_thing_said *oldest = NULL;
    for (int i = 0; i < p->n_said; i++)
        if (!p->said[i].name && (!oldest || p->said[i].version < oldest->version)) oldest = &p->said[i];
    const uint64_t to = oldest ? oldest->version : 0, from = to > FORGET_VERSIONS ? to - FORGET_VERSIONS : 0;
    const size_t n = oldest ? oldest->n : 0;
    for (uint64_t version = from; version < to; version++) {
        eddy_status rc = said_note(p, NULL, version, 0, NULL, 0, err);
        if (rc < 0) return rc;
        struct topic_thing_said *s = said_find(p, NULL, version);
        s->there = false;
        s->n = n;
    }
    return EDDY_OK;
}

static eddy_status take_all(struct publisher *p, struct eddy_error *err)
{
    for (int i = 0; i < p->n_said; i++) p->said[i].there = p->said[i].changed = false;
    eddy_status rc = store_list_meta(p->request.store, take_blob, p, err);
    if (rc >= 0) rc = store_list_models(p->request.store, take_model, p, err);
    for (int i = 0; i < p->n_said; i++) p->manifest.n_models += !p->said[i].name && p->said[i].there;
    if (rc >= 0 && !p->took && p->known.any) rc = take_older_models(p, err);
    p->took = true;
    for (int i = 0; i < p->n_said; i++) /* weights that have gone since; blobs stay */
        if (!p->said[i].there && !p->said[i].name) p->said[i].changed = p->said[i].sum != 0;
    store_sum(p->request.store, &p->manifest.n, &p->manifest.sum);
    return rc;
}

eddy_status publisher_take(struct publisher *p, struct eddy_error *err)
{
    struct lane_position at;
    if (!p->learnt || p->preparing) return 0;
    eddy_status rc = lane_stored_position(p->request.store, &at, err);
    if (rc < 0) return rc;
    const bool same = p->known.any && p->generation == p->known.manifest.generation &&
                      at.next == p->known.manifest.position;
    if (at.next < p->not_before || same) return 0;
    if (!store_take_changes(p->request.store, &p->log)) { /* some of them were lost */
        publisher_anew(p);
        return 0;
    }
    p->has = true;
    p->manifest = (struct topic_manifest){.position = at.next, .fingerprint = p->request.fingerprint};
    rc = take_all(p, err);
    if (rc < 0) return rc;
    p->manifest.generation = p->writer.generation = p->generation;
    p->manifest.number = p->writer.number = p->known.manifest.number + 1;
    publisher_again(p);
    return 1;
}

bool publisher_has(const struct publisher *p)
{
    return p && p->has;
}

/* ---- sending ---- */

void publisher_again(struct publisher *p)
{
    side_cursor_close(&p->cursor);
    p->writer.n_taken = 0;
    p->at_said = 0;
    p->rows = 0;
}

void publisher_drop(struct publisher *p, int64_t group_end, bool outlived)
{
    publisher_clear(p);
    p->known.group_end = group_end;
    p->known.outlived = outlived;
    publisher_anew(p);
}

/* 1: all rows are sent. */
static eddy_status send_rows(struct publisher *p, int most, struct eddy_error *err)
{
    for (int i = 0; i < most; i++) {
        struct stored_row r;
        bool gone;
        eddy_status rc = side_log_at(&p->log, &p->cursor, &r, &gone, err);
        if (rc <= 0) return rc < 0 ? rc : 1;
        rc = topic_put_row(&p->writer, &r, gone, err);
        if (rc < 0) return rc == EDDY_EFULL ? 0 : rc;
        side_cursor_on(&p->cursor);
        p->rows++;
    }
    return 0;
}

static eddy_status send_said(struct publisher *p, const struct topic_thing_said *s, struct eddy_error *err)
{
    struct topic_writer *w = &p->writer;
    if (!s->changed) return EDDY_OK;
    if (!s->there && !s->name) return topic_drop_model(w, s->version, s->n, err);
    if (s->name) return topic_put_blob(w, s->name, s->bytes.data, s->bytes.len, err);
    return topic_put_model(w, s->version, s->wall_time_s, s->bytes.data, s->bytes.len, err);
}

eddy_status publisher_send(struct publisher *p, const struct eddy_state_topic *type, void *topic, int rows,
                           struct eddy_error *err)
{
    p->type = type;
    p->topic = topic;
    eddy_status rc = send_rows(p, rows, err);
    if (rc <= 0) return rc;
    FAILPOINT("publication_rows");
    while (p->at_said < p->n_said) {
        rc = send_said(p, &p->said[p->at_said], err);
        if (rc < 0) return rc == EDDY_EFULL ? 0 : rc;
        p->at_said++;
    }
    rc = topic_put_manifest(&p->writer, &p->manifest, err);
    return rc < 0 ? rc == EDDY_EFULL ? 0 : rc : 1;
}

void publisher_done(struct publisher *p, int64_t end)
{
    p->known = (struct topic_known){.any = true, .end = end, .group_end = end, .manifest = p->manifest};
    p->not_before = p->manifest.position;
    publisher_clear(p);
    int kept = 0;
    for (int i = 0; i < p->n_said; i++) {
        if (p->said[i].there)
            p->said[kept++] = p->said[i];
        else
            free(p->said[i].name);
    }
    p->n_said = kept;
}

const struct topic_known *publisher_known(const struct publisher *p)
{
    return &p->known;
}

int64_t publisher_rows(const struct publisher *p)
{
    return p->rows;
}

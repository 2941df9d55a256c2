#include "engine/state/topic_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "config/little_endian.h"

enum { ROW_BYTES = 32, MODEL_BYTES = 8, MANIFEST_BYTES = 40, THING_MOST = 512 << 20 };

static void put_u16(unsigned char *to, uint32_t v)
{
    to[0] = (unsigned char)v;
    to[1] = (unsigned char)(v >> 8);
}

static uint64_t whose(const struct store_identity *id)
{
    const uint64_t name = XXH3_64bits(id->name, strlen(id->name) + 1);
    return XXH3_64bits_withSeed(id->topic, strlen(id->topic), name);
}

static uint64_t record_sum(const void *key, size_t key_len, const void *rest, size_t n)
{
    return XXH3_64bits_withSeed(rest, n, XXH3_64bits(key, key_len));
}

/* ---- writing ---- */

static eddy_status no_memory(const struct store_identity *id, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory for the state topic", id->topic, (int)id->partition);
}

static eddy_status writer_key(struct topic_writer *w, int kind, const void *name, size_t name_len,
                              struct eddy_error *err)
{
    unsigned char head[TOPIC_KEY_BYTES] = {TOPIC_FORMAT, (unsigned char)kind};
    le_put_u32(head + 4, (uint32_t)w->id.partition);
    le_put_u64(head + 8, whose(&w->id));
    w->key.len = 0;
    return eddy_buffer_append(&w->key, head, sizeof(head)) < 0 ||
                   (name_len > 0 && eddy_buffer_append(&w->key, name, name_len) < 0)
               ? no_memory(&w->id, err)
               : EDDY_OK;
}

static eddy_status writer_piece(struct topic_writer *w, uint32_t piece, uint32_t pieces, const char *bytes, size_t n,
                                struct eddy_error *err)
{
    unsigned char head[TOPIC_HEAD_BYTES] = {0};
    put_u16((unsigned char *)w->key.data + 2, piece);
    le_put_u64(head + 8, w->generation);
    le_put_u64(head + 16, w->number);
    le_put_u32(head + 24, pieces);
    w->value.len = 0;
    if (eddy_buffer_append(&w->value, head, sizeof(head)) < 0 ||
        (n > 0 && eddy_buffer_append(&w->value, bytes, n) < 0))
        return no_memory(&w->id, err);
    le_put_u64(w->value.data, record_sum(w->key.data, w->key.len, w->value.data + 8, w->value.len - 8));
    return w->emit(w->context, &w->key, &w->value, err);
}

static uint32_t pieces_of(const struct topic_writer *w, size_t n)
{
    return n == 0 ? 1 : (uint32_t)((n - 1) / w->piece_bytes + 1);
}

/* The key is in w->key, the thing in w->thing. */
static eddy_status writer_put(struct topic_writer *w, struct eddy_error *err)
{
    const size_t n = w->thing.len;
    eddy_status rc = EDDY_OK;
    if (n > THING_MOST || (n > 0 && (n - 1) / w->piece_bytes >= TOPIC_PIECES_MOST))
        return eddy_fail(err, EDDY_ELIMIT, "%s[%d]: something of %zu bytes is too long for the state topic",
                         w->id.topic, (int)w->id.partition, n);
    const uint32_t pieces = pieces_of(w, n);
    while (w->n_taken < pieces && rc >= 0) {
        const size_t at = w->n_taken * w->piece_bytes, left = n - at;
        rc = writer_piece(w, w->n_taken, pieces, w->thing.data + at, left < w->piece_bytes ? left : w->piece_bytes,
                          err);
        if (rc >= 0) w->n_taken++;
    }
    if (rc >= 0) w->n_taken = 0;
    return rc;
}

/* Tombstones of all pieces that n bytes had; the key is in w->key. */
static eddy_status writer_drop(struct topic_writer *w, size_t n, struct eddy_error *err)
{
    const uint32_t pieces = pieces_of(w, n);
    eddy_status rc = EDDY_OK;
    while (w->n_taken < pieces && rc >= 0) {
        put_u16((unsigned char *)w->key.data + 2, w->n_taken);
        rc = w->emit(w->context, &w->key, NULL, err);
        if (rc >= 0) w->n_taken++;
    }
    if (rc >= 0) w->n_taken = 0;
    return rc;
}

static eddy_status writer_thing(struct topic_writer *w, const void *head, size_t n_head, const void *bytes, size_t n,
                                struct eddy_error *err)
{
    w->thing.len = 0;
    return (n_head > 0 && eddy_buffer_append(&w->thing, head, n_head) < 0) ||
                   (n > 0 && eddy_buffer_append(&w->thing, bytes, n) < 0)
               ? no_memory(&w->id, err)
               : EDDY_OK;
}

eddy_status topic_put_row(struct topic_writer *w, const struct stored_row *r, bool gone, struct eddy_error *err)
{
    unsigned char head[ROW_BYTES] = {0};
    eddy_status rc = writer_key(w, TOPIC_ROW, r->key, r->key_len, err);
    if (rc < 0) return rc;
    if (gone) return writer_drop(w, ROW_BYTES + r->row_bytes, err);
    le_put_u32(head, r->flags);
    le_put_u64(head + 8, (uint64_t)r->next_off);
    le_put_u64(head + 16, (uint64_t)r->time_ns);
    le_put_u64(head + 24, (uint64_t)r->count);
    rc = writer_thing(w, head, sizeof(head), r->row, r->row_bytes, err);
    return rc < 0 ? rc : writer_put(w, err);
}

eddy_status topic_put_blob(struct topic_writer *w, const char *name, const void *bytes, size_t n,
                           struct eddy_error *err)
{
    eddy_status rc = writer_key(w, TOPIC_BLOB, name, strlen(name), err);
    if (rc >= 0) rc = writer_thing(w, NULL, 0, bytes, n, err);
    return rc < 0 ? rc : writer_put(w, err);
}

eddy_status topic_put_model(struct topic_writer *w, uint64_t version, int64_t wall_time_s, const void *bytes,
                            size_t n, struct eddy_error *err)
{
    unsigned char number[8], head[MODEL_BYTES];
    le_put_u64(number, version);
    le_put_u64(head, (uint64_t)wall_time_s);
    eddy_status rc = writer_key(w, TOPIC_MODEL, number, sizeof(number), err);
    if (rc >= 0) rc = writer_thing(w, head, sizeof(head), bytes, n, err);
    return rc < 0 ? rc : writer_put(w, err);
}

eddy_status topic_drop_model(struct topic_writer *w, uint64_t version, size_t n, struct eddy_error *err)
{
    unsigned char number[8];
    le_put_u64(number, version);
    const eddy_status rc = writer_key(w, TOPIC_MODEL, number, sizeof(number), err);
    return rc < 0 ? rc : writer_drop(w, MODEL_BYTES + n, err);
}

eddy_status topic_put_manifest(struct topic_writer *w, const struct topic_manifest *m, struct eddy_error *err)
{
    unsigned char head[MANIFEST_BYTES];
    const size_t name_len = strlen(w->id.name);
    le_put_u64(head, (uint64_t)m->position);
    le_put_u64(head + 8, m->n);
    le_put_u64(head + 16, m->sum);
    le_put_u64(head + 24, m->fingerprint);
    le_put_u32(head + 32, (uint32_t)name_len);
    le_put_u32(head + 36, m->n_models);
    eddy_status rc = writer_key(w, TOPIC_MANIFEST, NULL, 0, err);
    if (rc >= 0) rc = writer_thing(w, head, sizeof(head), w->id.name, name_len, err);
    if (rc >= 0 && eddy_buffer_append(&w->thing, w->id.topic, strlen(w->id.topic)) < 0) rc = no_memory(&w->id, err);
    return rc < 0 ? rc : writer_put(w, err);
}

void topic_writer_free(struct topic_writer *w)
{
    eddy_buffer_free(&w->key);
    eddy_buffer_free(&w->value);
    eddy_buffer_free(&w->thing);
}

/* ---- reading ---- */

/* A record taken apart; nothing of it has been believed yet. */
struct record {
    int64_t offset;
    const unsigned char *key, *bytes;
    size_t key_len, n;
    int kind;
    uint32_t piece, pieces;
    uint64_t generation, number;
};

static eddy_status damaged(const struct topic_reader *t, const struct record *r, const char *how,
                           struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ECORRUPT, "state topic %s[%d]: the record at offset %" PRId64 " %s", t->topic,
                     (int)t->id.partition, r->offset, how);
}

/* A manifest says by name whose it is. */
static eddy_status reader_other(const struct topic_reader *t, const struct record *r, struct eddy_error *err)
{
    char of[300] = "another pipeline, or of another source topic";
    const uint32_t name_len = r->kind == TOPIC_MANIFEST && r->n >= MANIFEST_BYTES ? le_get_u32(r->bytes + 32) : 0;
    if (name_len > 0 && name_len <= r->n - MANIFEST_BYTES)
        (void)snprintf(of, sizeof(of), "pipeline %.*s over topic %.*s", (int)(name_len < 100 ? name_len : 100),
                       (const char *)r->bytes + MANIFEST_BYTES,
                       (int)(r->n - MANIFEST_BYTES - name_len < 150 ? r->n - MANIFEST_BYTES - name_len : 150),
                       (const char *)r->bytes + MANIFEST_BYTES + name_len);
    return eddy_fail(err, EDDY_EMISMATCH,
                     "state topic %s[%d]: holds the state of %s (offset %" PRId64
                     "), not of pipeline %s over topic %s: each needs a state topic of its own (state.topic)",
                     t->topic, (int)t->id.partition, of, r->offset, t->id.name, t->id.topic);
}

static eddy_status reader_key(const struct topic_reader *t, struct record *r, struct eddy_error *err)
{
    if (r->key_len < TOPIC_KEY_BYTES || r->key[0] == 0) return damaged(t, r, "is none of eddy's state", err);
    if (r->key[0] > TOPIC_FORMAT)
        return eddy_fail(err, EDDY_EVERSION,
                         "state topic %s[%d]: the record at offset %" PRId64
                         " has format %d, written by a newer eddy or by another program; this one reads format %d",
                         t->topic, (int)t->id.partition, r->offset, r->key[0], TOPIC_FORMAT);
    r->kind = r->key[1];
    r->piece = (uint32_t)r->key[2] | (uint32_t)r->key[3] << 8;
    const size_t name_len = r->key_len - TOPIC_KEY_BYTES;
    const bool known = r->kind == TOPIC_ROW || (r->kind == TOPIC_BLOB && name_len > 0) ||
                       (r->kind == TOPIC_MODEL && name_len == 8) || (r->kind == TOPIC_MANIFEST && name_len == 0);
    return known ? EDDY_OK : damaged(t, r, "is of no known kind", err);
}

static eddy_status reader_value(const struct topic_reader *t, struct record *r, const unsigned char *value, size_t n,
                                struct eddy_error *err)
{
    if (n < TOPIC_HEAD_BYTES) return damaged(t, r, "is cut off", err);
    if (le_get_u64(value) != record_sum(r->key, r->key_len, value + 8, n - 8))
        return damaged(t, r, "fails its checksum", err);
    r->generation = le_get_u64(value + 8);
    r->number = le_get_u64(value + 16);
    r->pieces = le_get_u32(value + 24);
    r->bytes = value + TOPIC_HEAD_BYTES;
    r->n = n - TOPIC_HEAD_BYTES;
    if (r->pieces == 0 || r->pieces > TOPIC_PIECES_MOST || r->piece >= r->pieces)
        return damaged(t, r, "counts its pieces wrongly", err);
    return EDDY_OK;
}

static eddy_status reader_whose(const struct topic_reader *t, const struct record *r, struct eddy_error *err)
{
    if (le_get_u64(r->key + 8) != whose(&t->id)) return reader_other(t, r, err);
    const int32_t partition = (int32_t)le_get_u32(r->key + 4);
    if (partition == t->id.partition) return EDDY_OK;
    return eddy_fail(err, EDDY_EMISMATCH,
                     "state topic %s[%d]: the record at offset %" PRId64 " is of partition %d's state", t->topic,
                     (int)t->id.partition, r->offset, (int)partition);
}

/* The same thing as the one that is being joined: all of the key but the number of the piece. */
static bool joins(const struct topic_reader *t, const struct record *r)
{
    return t->n_joined > 0 && r->piece == t->n_joined && r->pieces == t->n_pieces && r->number == t->number &&
           r->key_len == t->key.len && memcmp(r->key, t->key.data, 2) == 0 &&
           memcmp(r->key + 4, t->key.data + 4, r->key_len - 4) == 0;
}

/* 1 when all of it is there.  Pieces without those before them are left over from something longer. */
static eddy_status reader_join(struct topic_reader *t, const struct record *r, struct eddy_error *err)
{
    if (r->piece > 0 && !joins(t, r)) {
        t->n_joined = t->n_pieces = 0;
        return 0;
    }
    if (r->piece == 0) {
        t->joined.len = t->key.len = 0;
        t->n_joined = 0;
        t->n_pieces = r->pieces;
        t->number = r->number;
        if (eddy_buffer_append(&t->key, r->key, r->key_len) < 0) return no_memory(&t->id, err);
    }
    if (r->n > THING_MOST - t->joined.len) return damaged(t, r, "is longer than any can be", err);
    if (r->n > 0 && eddy_buffer_append(&t->joined, r->bytes, r->n) < 0) return no_memory(&t->id, err);
    if (++t->n_joined < t->n_pieces) return 0;
    t->n_joined = t->n_pieces = 0;
    return 1;
}

static eddy_status thing_row(const struct topic_reader *t, const struct record *r, struct topic_thing *out,
                             struct eddy_error *err)
{
    const unsigned char *p = (const unsigned char *)t->joined.data;
    out->row = (struct stored_row){.key = (const char *)r->key + TOPIC_KEY_BYTES,
                                   .key_len = r->key_len - TOPIC_KEY_BYTES};
    if (out->gone) return 1;
    if (t->joined.len < ROW_BYTES) return damaged(t, r, "is too short for a row", err);
    out->row.flags = le_get_u32(p);
    out->row.next_off = (int64_t)le_get_u64(p + 8);
    out->row.time_ns = (int64_t)le_get_u64(p + 16);
    out->row.count = (int64_t)le_get_u64(p + 24);
    out->row.row = p + ROW_BYTES;
    out->row.row_bytes = t->joined.len - ROW_BYTES;
    return 1;
}

static eddy_status thing_manifest(const struct topic_reader *t, const struct record *r, struct topic_thing *out,
                                  struct eddy_error *err)
{
    const char *p = t->joined.data;
    const size_t name_len = strlen(t->id.name), topic_len = strlen(t->id.topic);
    if (out->gone) return 1;
    if (t->joined.len != MANIFEST_BYTES + name_len + topic_len || le_get_u32(p + 32) != name_len ||
        memcmp(p + MANIFEST_BYTES, t->id.name, name_len) != 0 ||
        memcmp(p + MANIFEST_BYTES + name_len, t->id.topic, topic_len) != 0)
        return damaged(t, r, "is no manifest of this state", err);
    out->manifest = (struct topic_manifest){.position = (int64_t)le_get_u64(p),
                                            .n = le_get_u64(p + 8),
                                            .sum = le_get_u64(p + 16),
                                            .fingerprint = le_get_u64(p + 24),
                                            .n_models = le_get_u32(p + 36),
                                            .generation = r->generation,
                                            .number = r->number};
    return out->manifest.position >= 0 ? 1 : damaged(t, r, "names a position below 0", err);
}

static eddy_status thing_of(const struct topic_reader *t, const struct record *r, struct topic_thing *out,
                            struct eddy_error *err)
{
    const size_t head = r->kind == TOPIC_MODEL ? MODEL_BYTES : 0;
    out->kind = r->kind;
    switch (r->kind) {
    case TOPIC_ROW: return thing_row(t, r, out, err);
    case TOPIC_MANIFEST: return thing_manifest(t, r, out, err);
    case TOPIC_MODEL: out->version = le_get_u64(r->key + TOPIC_KEY_BYTES); break;
    default: break;
    }
    out->name = (const char *)r->key + TOPIC_KEY_BYTES;
    out->name_len = r->key_len - TOPIC_KEY_BYTES;
    if (out->gone) return 1;
    if (t->joined.len < head) return damaged(t, r, "is too short for weights", err);
    if (head) out->wall_time_s = (int64_t)le_get_u64(t->joined.data);
    out->bytes = t->joined.len > head ? t->joined.data + head : "";
    out->n = t->joined.len - head;
    return 1;
}

eddy_status topic_take(struct topic_reader *t, int64_t offset, const void *key, size_t key_len, const void *value,
                       size_t n, struct topic_thing *out, struct eddy_error *err)
{
    struct record r = {.offset = offset, .key = key, .key_len = key_len};
    *out = (struct topic_thing){.gone = !value};
    eddy_status rc = reader_key(t, &r, err);
    if (rc >= 0 && value) rc = reader_value(t, &r, value, n, err);
    if (rc >= 0) rc = reader_whose(t, &r, err);
    if (rc < 0) return rc;
    if (!value) {
        t->n_joined = t->n_pieces = 0;
        return r.piece > 0 ? 0 : thing_of(t, &r, out, err);
    }
    if (t->any && r.generation < t->generation) return 0;
    const bool anew = !t->any || r.generation > t->generation;
    if (anew) t->n_joined = t->n_pieces = 0;
    t->any = true;
    t->generation = r.generation;
    t->anew |= anew;
    rc = reader_join(t, &r, err);
    if (rc <= 0) return rc;
    out->anew = t->anew;
    t->anew = false;
    return thing_of(t, &r, out, err);
}

void topic_reader_free(struct topic_reader *t)
{
    eddy_buffer_free(&t->key);
    eddy_buffer_free(&t->joined);
}

#include "engine/flow/expiry.h"

#include <stdlib.h>
#include <string.h>

#include "engine/flow/blob.h"
#include "engine/state/keyspace.h"

enum { FIRST_CAP = 16, NOWHERE = -1 };

struct entry {
    struct entry *next; /* in its chain of the table */
    uint64_t hash;
    int64_t time_ns;
    size_t key_len;
    int at; /* in the heap; NOWHERE = dropped in this batch */
    bool noted;
    char key[];
};

/* What an abort goes back to. */
struct note {
    struct entry *entry;
    bool was_there;
    int64_t time_ns;
};

struct expiry {
    struct entry **chains; /* [mask + 1] */
    uint32_t mask;
    struct entry **heap; /* [cap]; no entry is less than its parent */
    int n, cap;
    struct note *notes; /* [cap_notes] one per entry that the batch has changed */
    int n_notes, cap_notes;
};

static eddy_status expiry_no_memory(struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "out of memory for keys with open incidents");
}

eddy_status expiry_open(struct expiry **out, struct eddy_error *err)
{
    struct expiry *x = calloc(1, sizeof(*x));
    *out = x;
    if (x) {
        x->mask = FIRST_CAP - 1;
        x->chains = calloc(FIRST_CAP, sizeof(struct entry *));
    }
    if (x && x->chains) return EDDY_OK;
    expiry_close(x);
    *out = NULL;
    return expiry_no_memory(err);
}

void expiry_close(struct expiry *x)
{
    if (!x) return;
    if (x->chains) expiry_abort(x);
    for (int i = 0; i < x->n; i++) free(x->heap[i]);
    free((void *)x->chains), free((void *)x->heap), free(x->notes);
    free(x);
}

/* ---- the heap ---- */

static int entry_compare(const struct entry *a, const struct entry *b)
{
    if (a->time_ns != b->time_ns) return a->time_ns < b->time_ns ? -1 : 1;
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    const size_t least = a->key_len < b->key_len ? a->key_len : b->key_len;
    const int order = memcmp(a->key, b->key, least);
    return order ? order : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static void heap_set(struct expiry *x, int at, struct entry *e)
{
    x->heap[at] = e;
    e->at = at;
}

static void heap_up(struct expiry *x, struct entry *e)
{
    int at = e->at;
    for (; at > 0 && entry_compare(e, x->heap[(at - 1) / 2]) < 0; at = (at - 1) / 2)
        heap_set(x, at, x->heap[(at - 1) / 2]);
    heap_set(x, at, e);
}

static void heap_down(struct expiry *x, struct entry *e)
{
    int at = e->at;
    for (int child; (child = 2 * at + 1) < x->n; at = child) {
        if (child + 1 < x->n && entry_compare(x->heap[child + 1], x->heap[child]) < 0) child++;
        if (entry_compare(e, x->heap[child]) <= 0) break;
        heap_set(x, at, x->heap[child]);
    }
    heap_set(x, at, e);
}

/* To its place, when its time is another. */
static void heap_move(struct expiry *x, struct entry *e)
{
    heap_up(x, e);
    heap_down(x, e);
}

/* ---- the table ---- */

static struct entry *table_find(const struct expiry *x, uint64_t hash, const char *key, size_t len)
{
    struct entry *e = x->chains[hash & x->mask];
    while (e && (e->hash != hash || e->key_len != len || (len && memcmp(e->key, key, len) != 0))) e = e->next;
    return e;
}

/* Puts an entry that is in neither into both; there is room. */
static void entry_enter(struct expiry *x, struct entry *e)
{
    struct entry **chain = &x->chains[e->hash & x->mask];
    e->next = *chain;
    *chain = e;
    e->at = x->n++;
    heap_up(x, e);
}

static void entry_leave(struct expiry *x, struct entry *e)
{
    struct entry **link = &x->chains[e->hash & x->mask];
    while (*link != e) link = &(*link)->next;
    *link = e->next;
    struct entry *last = x->heap[--x->n];
    if (last != e) {
        heap_set(x, e->at, last);
        heap_move(x, last);
    }
    e->at = NOWHERE;
}

/* Room for one more.  It never shrinks, so what an abort brings back has its room. */
static bool expiry_reserve(struct expiry *x)
{
    if (x->n < x->cap) return true;
    const int cap = x->cap ? 2 * x->cap : FIRST_CAP;
    struct entry **heap = (struct entry **)realloc((void *)x->heap, (size_t)cap * sizeof(*heap));
    if (!heap) return false;
    x->heap = heap;
    struct entry **chains = (struct entry **)calloc((size_t)cap, sizeof(*chains));
    if (!chains) return false;
    free((void *)x->chains);
    x->chains = chains;
    x->mask = (uint32_t)cap - 1;
    x->cap = cap;
    for (int i = 0; i < x->n; i++) {
        struct entry **chain = &chains[heap[i]->hash & x->mask];
        heap[i]->next = *chain;
        *chain = heap[i];
    }
    return true;
}

/* To be called before an entry is changed. */
static bool expiry_note(struct expiry *x, struct entry *e, bool was_there)
{
    if (e->noted) return true;
    if (x->n_notes == x->cap_notes) {
        const int cap = x->cap_notes ? 2 * x->cap_notes : FIRST_CAP;
        struct note *grown = realloc(x->notes, (size_t)cap * sizeof(*grown));
        if (!grown) return false;
        x->notes = grown;
        x->cap_notes = cap;
    }
    x->notes[x->n_notes++] = (struct note){e, was_there, e->time_ns};
    e->noted = true;
    return true;
}

/* ---- calls ---- */

eddy_status expiry_put(struct expiry *x, const struct expiry_key *key, struct eddy_error *err)
{
    struct entry *e = table_find(x, key->hash, key->key, key->key_len);
    if (e) {
        if (e->time_ns == key->time_ns) return EDDY_OK;
        if (!expiry_note(x, e, true)) return expiry_no_memory(err);
        e->time_ns = key->time_ns;
        heap_move(x, e);
        return EDDY_OK;
    }
    e = expiry_reserve(x) ? malloc(sizeof(*e) + key->key_len) : NULL;
    if (!e) return expiry_no_memory(err);
    *e = (struct entry){.hash = key->hash, .time_ns = key->time_ns, .key_len = key->key_len, .at = NOWHERE};
    if (key->key_len) memcpy(e->key, key->key, key->key_len);
    if (!expiry_note(x, e, false)) {
        free(e);
        return expiry_no_memory(err);
    }
    entry_enter(x, e);
    return EDDY_OK;
}

static struct expiry_key expiry_key_of(const struct entry *e)
{
    return (struct expiry_key){e->key, e->key_len, e->hash, e->time_ns};
}

eddy_status expiry_drop(struct expiry *x, uint64_t hash, const char *key, size_t key_len, struct expiry_key *out,
                        struct eddy_error *err)
{
    struct entry *e = x->n > 0 ? table_find(x, hash, key, key_len) : NULL;
    if (!e) return 0;
    if (!expiry_note(x, e, true)) return expiry_no_memory(err);
    entry_leave(x, e);
    if (out) *out = expiry_key_of(e);
    return 1;
}

bool expiry_first(const struct expiry *x, int64_t before, struct expiry_key *out)
{
    if (x->n == 0 || x->heap[0]->time_ns >= before) return false;
    *out = expiry_key_of(x->heap[0]);
    return true;
}

void expiry_commit(struct expiry *x)
{
    for (int i = 0; i < x->n_notes; i++) {
        struct entry *e = x->notes[i].entry;
        e->noted = false;
        if (e->at == NOWHERE) free(e);
    }
    x->n_notes = 0;
}

void expiry_abort(struct expiry *x)
{
    for (int i = 0; i < x->n_notes; i++) {
        struct entry *e = x->notes[i].entry;
        if (!x->notes[i].was_there && e->at != NOWHERE) entry_leave(x, e);
    }
    for (int i = 0; i < x->n_notes; i++) {
        const struct note *note = &x->notes[i];
        struct entry *e = note->entry;
        e->noted = false;
        e->time_ns = note->time_ns;
        if (!note->was_there)
            free(e);
        else if (e->at == NOWHERE)
            entry_enter(x, e);
        else
            heap_move(x, e);
    }
    x->n_notes = 0;
}

/* ---- bytes ---- */

static int entry_order(const void *a, const void *b)
{
    return entry_compare(*(struct entry *const *)a, *(struct entry *const *)b);
}

eddy_status expiry_encode(const struct expiry *x, struct eddy_buffer *b)
{
    struct entry **sorted = (struct entry **)malloc(((size_t)x->n + 1) * sizeof(*sorted));
    if (!sorted) return EDDY_ENOMEM;
    if (x->n > 0) memcpy((void *)sorted, (const void *)x->heap, (size_t)x->n * sizeof(*sorted));
    qsort((void *)sorted, (size_t)x->n, sizeof(struct entry *), entry_order);
    eddy_status rc = blob_u32(b, (uint32_t)x->n, EDDY_OK);
    for (int i = 0; i < x->n && rc >= 0; i++) {
        rc = blob_i64(b, sorted[i]->time_ns, rc);
        rc = blob_u32(b, (uint32_t)sorted[i]->key_len, rc);
        if (rc >= 0) rc = eddy_buffer_append(b, sorted[i]->key, sorted[i]->key_len);
    }
    free((void *)sorted);
    return rc;
}

eddy_status expiry_decode(struct expiry *x, const void *bytes, size_t n, struct eddy_error *err)
{
    struct blob_reader r = {bytes, n};
    uint32_t count = 0, key_len = 0;
    eddy_status rc = EDDY_OK;
    bool good = blob_get_u32(&r, &count);
    for (uint32_t i = 0; i < count && good && rc >= 0; i++) {
        struct expiry_key key;
        good = blob_get_i64(&r, &key.time_ns) && blob_get_u32(&r, &key_len) && key_len <= r.left;
        if (!good) break;
        key.key = r.at;
        key.key_len = key_len;
        key.hash = keyspace_hash(key.key, key.key_len);
        r.at += key_len;
        r.left -= key_len;
        rc = expiry_put(x, &key, err);
    }
    if (rc < 0) return rc;
    if (!good || r.left > 0)
        return eddy_fail(err, EDDY_ECORRUPT, "state: the list of keys with open incidents (%zu bytes) is damaged", n);
    expiry_commit(x);
    return EDDY_OK;
}

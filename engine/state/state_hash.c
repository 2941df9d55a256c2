#include <stdio.h>
#include <stdlib.h>

#include <xxhash.h>

#include "config/little_endian.h"
#include "engine/state/keyspace.h"

struct state_hash {
    XXH3_state_t *xxh;
};

struct state_hash *state_hash_open(void)
{
    struct state_hash *h = malloc(sizeof(*h));
    if (!h) return NULL;
    h->xxh = XXH3_createState();
    if (!h->xxh || XXH3_128bits_reset(h->xxh) == XXH_ERROR) {
        state_hash_close(h);
        return NULL;
    }
    return h;
}

void state_hash_close(struct state_hash *h)
{
    if (!h) return;
    XXH3_freeState(h->xxh);
    free(h);
}

void state_hash_add(struct state_hash *h, const void *bytes, size_t n)
{
    if (n) XXH3_128bits_update(h->xxh, bytes, n); /* fails only without bytes */
}

void state_hash_hex(struct state_hash *h, char out[33])
{
    XXH128_hash_t digest = XXH3_128bits_digest(h->xxh);
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)digest.high64, (unsigned long long)digest.low64);
}

struct hashing {
    struct state_hash *hash;
    int64_t expired_before;
    bool positions;
};

/* Lengths go in first, so that no two states can give the same stream of bytes. */
static eddy_status hash_row(void *context, const struct stored_row *r, struct eddy_error *err)
{
    const struct hashing *h = context;
    unsigned char number[8];
    (void)err;

    if (r->time_ns < h->expired_before) return EDDY_OK;
    const uint64_t numbers[] = {r->key_len, r->row_bytes, (uint64_t)r->count, (uint64_t)r->time_ns,
                                (uint64_t)r->next_off};
    int n = h->positions ? 5 : 4;
    for (int i = 0; i < n; i++) {
        le_put_u64(number, numbers[i]);
        state_hash_add(h->hash, number, sizeof(number));
    }
    state_hash_add(h->hash, r->key, r->key_len);
    state_hash_add(h->hash, r->row, r->row_bytes);
    return EDDY_OK;
}

eddy_status state_hash_rows(struct store *store, int64_t expired_before, bool positions, struct state_hash *hash,
                            struct eddy_error *err)
{
    struct hashing h = {.hash = hash, .expired_before = expired_before, .positions = positions};
    return store_scan(store, hash_row, &h, err);
}

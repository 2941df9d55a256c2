/* Keys of which something is to be told when their time to live has run out, by the time of their last event.
 *
 * Entries  in a hash table by key, and in a binary heap by (time, hash, key): an order that depends on the keys alone.
 * Batches  expiry_commit() and expiry_abort() end what has been going on since the last one.
 * Memory   an entry has the key's text and 64 bytes; nothing is allocated for a key that is there already.
 * Errors   EDDY_ENOMEM; a call that fails has changed nothing.
 * Threads  one. */
#ifndef ENGINE_FLOW_EXPIRY_H
#define ENGINE_FLOW_EXPIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eddy_buffer.h"
#include "eddy_error.h"

struct expiry;

struct expiry_key {
    const char *key; /* out of here: borrowed until the batch ends */
    size_t key_len;
    uint64_t hash;
    int64_t time_ns; /* of its last event */
};

eddy_status expiry_open(struct expiry **, struct eddy_error *);
void expiry_close(struct expiry *); /* NULL is fine */

eddy_status expiry_put(struct expiry *, const struct expiry_key *,
                       struct eddy_error *); /* or moves it to this time */
/* 1: it was there; *out (unless NULL) is what it was.  0: it was not. */
eddy_status expiry_drop(struct expiry *, uint64_t hash, const char *key, size_t key_len, struct expiry_key *out,
                        struct eddy_error *);
/* The first one, if its time lies before this. */
bool expiry_first(const struct expiry *, int64_t before, struct expiry_key *);

void expiry_commit(struct expiry *);
void expiry_abort(struct expiry *);

/* Between batches: appends, and takes what was appended.  Decode: EDDY_ECORRUPT. */
eddy_status expiry_encode(const struct expiry *, struct eddy_buffer *);
eddy_status expiry_decode(struct expiry *, const void *bytes, size_t n, struct eddy_error *);

#endif

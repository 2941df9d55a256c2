/* Keys that stop sending: an anomaly without a record of its own, told by the event time of the others.
 *
 * Time runs as long as others send (A, the active time of the partition): an event of a key moves A on by what has gone by
 * since the newest event, but by no more than that key's usual interval u.  So nothing is silent while everything pauses,
 * and after a pause nothing is late by more than an event.  Per key, e = A less A at its last event:
 * A leap of 1,000 intervals counts when 16 events in a row confirm it.
 *     u       += (min(e, 4 u) - u) / min(n, 50)        n events seen
 *     longest  = max(.999 longest, e)
 *     silent     n >= events, e > factor u and e > 2 longest
 *     accepted   silent for 50 times as long as it took to say so: the key has gone for good, and is forgotten here
 * At each event two keys are looked at, in turns: with K keys, a silence is found at most K / 2 events late.
 *
 * Up to `keys` keys are watched, the first ones that come; a place is free again when its key is forgotten.
 *
 * Memory   80 bytes and the key's text for each; nothing is allocated per event but for new keys.
 * Batches  silence_commit() and silence_abort() end what has been going on since the last one.
 * Threads  one. */
#ifndef ENGINE_DETECT_SILENCE_H
#define ENGINE_DETECT_SILENCE_H

#include "config/settings.h"
#include "eddy_buffer.h"
#include "eddy_error.h"

struct silence;

enum silence_change { SILENCE_BEGINS, SILENCE_ENDS, SILENCE_ACCEPTED };
struct silence_news {
    enum silence_change change;
    const char *key; /* borrowed until the key is forgotten */
    size_t key_len;
    uint64_t id;
    int64_t start_ns, now_ns; /* the key's last event; now */
};
enum { SILENCE_NEWS = 3 }; /* that one event can bring */

/* Memory of a watch, where n_keys of key_len bytes have come; 0 when nobody is watched. */
size_t silence_bytes(const struct silence_settings *, int64_t n_keys, size_t key_len);
/* EDDY_ENOMEM. */
eddy_status silence_open(const struct silence_settings *, struct silence **, struct eddy_error *);
void silence_close(struct silence *); /* NULL is fine */

/* An event; `hash` of its key.  Returns how much news there is, or
 * EDDY_ENOMEM. */
eddy_status silence_event(struct silence *, uint64_t hash, const char *key, size_t key_len, int64_t time_ns,
                          struct silence_news news[SILENCE_NEWS], struct eddy_error *);
/* 1: the key was silent, and `news` says that this ends; else 0. */
int silence_forget(struct silence *, uint64_t hash, const char *key, size_t key_len, struct silence_news *news);

void silence_commit(struct silence *);
void silence_abort(struct silence *);

/* Between batches.  Decode: EDDY_ECORRUPT; keys beyond `keys` are dropped. */
eddy_status silence_encode(const struct silence *, struct eddy_buffer *);
eddy_status silence_decode(struct silence *, const void *bytes, size_t n, struct eddy_error *);

#endif

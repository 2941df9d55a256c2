#include "engine/detect/silence.h"

#include <stdlib.h>
#include <string.h>

#include "config/little_endian.h"
#include "engine/math/sound.h"

enum { LOOKS = 2, MEMORY = 50, FEW = 3, CONFIRM = 16 };
static const int64_t LONGEST_NS = 4000000000000000000;     /* of active time: sums stay numbers */
static const int64_t MOST_ACTIVE_NS = 4100000000000000000; /* the last addition included */
static const double LIMIT = 4, DECAY = .999, TIMES_LONGEST = 2, TIMES_ACCEPTED = 50, LEAP = 1000;

struct watched {
    uint64_t hash, id; /* id of the open silence; 0 = none */
    char *key;
    uint32_t key_len;
    uint32_t batch;    /* in which it was noted for an abort */
    int64_t n;         /* events; 0 = the place is free */
    int64_t last_ns;   /* event time of the last event */
    int64_t active_ns; /* A then */
    double usual_ns, longest_ns;
};

struct clock {
    int64_t now_ns, active_ns; /* EDDY_NO_TIME before the first event */
    int n, n_free, cursor;     /* places in use, of which free; the next one to look at */
    int n_ahead;               /* events in a row that are far ahead of now */
};

/* What an abort goes back to: a place as it was. */
struct note {
    int place;
    struct watched was;
};

struct silence {
    struct silence_settings settings;
    struct watched *item; /* [settings.keys] */
    int32_t *index;       /* [mask + 1] place + 1, by hash; 0 = empty */
    uint32_t mask, batch;
    struct clock clock, clock_before;
    struct note *notes; /* [cap_notes] */
    int n_notes, cap_notes;
};

static uint32_t silence_mask(const struct silence_settings *settings)
{
    uint32_t mask = 1;
    while (mask < 2 * (uint64_t)settings->keys) mask = 2 * mask + 1;
    return mask;
}

size_t silence_bytes(const struct silence_settings *settings, int64_t n_keys, size_t key_len)
{
    if (settings->keys <= 0) return 0;
    const size_t watched = (size_t)(n_keys < settings->keys ? n_keys : settings->keys);
    return (size_t)settings->keys * sizeof(struct watched) + ((size_t)silence_mask(settings) + 1) * sizeof(int32_t) +
           watched * key_len;
}

eddy_status silence_open(const struct silence_settings *settings, struct silence **out, struct eddy_error *err)
{
    struct silence *s = calloc(1, sizeof(*s));
    *out = s;
    if (s) {
        s->settings = *settings;
        s->mask = silence_mask(settings);
        s->item = calloc((size_t)settings->keys, sizeof(*s->item));
        s->index = calloc((size_t)s->mask + 1, sizeof(*s->index));
        s->clock.now_ns = s->clock_before.now_ns = INT64_MIN;
        s->batch = 1;
    }
    if (s && s->item && s->index) return EDDY_OK;
    silence_close(s);
    *out = NULL;
    return eddy_fail(err, EDDY_ENOMEM, "detect.silence.keys: out of memory for %lld keys", (long long)settings->keys);
}

void silence_close(struct silence *s)
{
    if (!s) return;
    if (s->item) silence_abort(s);
    for (int64_t i = 0; s->item && i < s->settings.keys; i++) free(s->item[i].key); /* also those of a damaged blob */
    free(s->item), free(s->index), free(s->notes);
    free(s);
}

/* ---- places ---- */

static uint32_t silence_slot(const struct silence *s, uint64_t hash, const char *key, size_t len)
{
    uint32_t i = (uint32_t)hash & s->mask;
    for (; s->index[i]; i = (i + 1) & s->mask) {
        const struct watched *w = &s->item[s->index[i] - 1];
        if (w->hash == hash && w->key_len == len && memcmp(w->key, key, len) == 0) break;
    }
    return i;
}

static void silence_index(struct silence *s)
{
    memset(s->index, 0, ((size_t)s->mask + 1) * sizeof(*s->index));
    for (int i = 0; i < s->clock.n; i++) {
        const struct watched *w = &s->item[i];
        s->index[silence_slot(s, w->hash, w->key, w->key_len)] = i + 1;
    }
}

/* To be called before a place is changed. */
static bool silence_note(struct silence *s, int place)
{
    struct watched *w = &s->item[place];
    if (w->batch == s->batch) return true;
    if (s->n_notes == s->cap_notes) {
        const int cap = s->cap_notes ? 2 * s->cap_notes : 64;
        struct note *grown = realloc(s->notes, (size_t)cap * sizeof(*grown));
        if (!grown) return false;
        s->notes = grown;
        s->cap_notes = cap;
    }
    s->notes[s->n_notes++] = (struct note){place, *w};
    w->batch = s->batch;
    return true;
}

/* Whether an abort would want this key back. */
static bool silence_noted(const struct silence *s, int place, const char *key)
{
    for (int i = 0; i < s->n_notes; i++)
        if (s->notes[i].place == place) return s->notes[i].was.key == key;
    return false;
}

/* A place for a new key, or -1: all are taken; -2: out of memory. */
static int silence_place(struct silence *s)
{
    if (s->clock.n < s->settings.keys) return silence_note(s, s->clock.n) ? s->clock.n++ : -2;
    for (int i = 0; s->clock.n_free > 0 && i < s->clock.n; i++) {
        if (s->item[i].n > 0) continue;
        s->clock.n_free--;
        return silence_note(s, i) ? i : -2;
    }
    return -1;
}

static bool silence_add(struct silence *s, uint64_t hash, const char *key, size_t len, int64_t time_ns)
{
    char *copy = malloc(len + 1);
    const int place = copy ? silence_place(s) : -2;
    if (place < 0) {
        free(copy);
        return place == -1;
    }
    struct watched *w = &s->item[place];
    const bool reused = w->key != NULL;
    if (reused && !silence_noted(s, place, w->key)) free(w->key);
    memcpy(copy, key, len);
    *w = (struct watched){.hash = hash,
                          .key = copy,
                          .key_len = (uint32_t)len,
                          .batch = s->batch,
                          .n = 1,
                          .last_ns = time_ns,
                          .active_ns = s->clock.active_ns};
    /* The key that was here before stays in memory until the batch has ended: an abort may want it back. */
    if (reused)
        silence_index(s);
    else
        s->index[silence_slot(s, hash, key, len)] = place + 1;
    return true;
}

void silence_commit(struct silence *s)
{
    for (int i = 0; i < s->n_notes; i++)
        if (s->notes[i].was.key && s->notes[i].was.key != s->item[s->notes[i].place].key) free(s->notes[i].was.key);
    s->n_notes = 0;
    s->clock_before = s->clock;
    s->batch++;
}

void silence_abort(struct silence *s)
{
    bool moved = false;
    for (int i = s->n_notes - 1; i >= 0; i--) {
        struct watched *w = &s->item[s->notes[i].place];
        if (w->key != s->notes[i].was.key) free(w->key), moved = true;
        *w = s->notes[i].was;
    }
    s->n_notes = 0;
    s->clock = s->clock_before;
    s->batch++;
    if (moved) silence_index(s);
}

/* ---- events ---- */

static struct silence_news silence_tell(const struct silence *s, const struct watched *w, enum silence_change change)
{
    const int64_t now = s->clock.now_ns; /* a clock that went wrong may have been the key's last word */
    return (struct silence_news){change, w->key, w->key_len, w->id, w->last_ns < now ? w->last_ns : now, now};
}

/* A leap beyond everything usual counts when several events in a row confirm it: one broken clock must not stop time. */
static void silence_tick(struct silence *s, const struct watched *w, int64_t time_ns)
{
    struct clock *c = &s->clock;
    if (c->now_ns == INT64_MIN) c->now_ns = time_ns;
    if (time_ns <= c->now_ns) {
        c->n_ahead = 0;
        return;
    }
    const double gone = (double)((uint64_t)time_ns - (uint64_t)c->now_ns);
    const bool known = w && w->n >= FEW;
    if ((!known || gone > LEAP * w->usual_ns) && ++c->n_ahead < CONFIRM) return;
    c->n_ahead = 0;
    c->now_ns = time_ns;
    if (!known || c->active_ns > LONGEST_NS) return;
    const double counts = gone < w->usual_ns ? gone : w->usual_ns;
    c->active_ns += (int64_t)(counts < 1e17 ? counts : 1e17);
}

/* The key sends again, at its last event's distance in active time.  With few events everything is usual. */
static void silence_hear(struct silence *s, struct watched *w, int64_t time_ns)
{
    const double apart = time_ns > w->last_ns ? (double)((uint64_t)time_ns - (uint64_t)w->last_ns) : 0;
    const double active = (double)(s->clock.active_ns - w->active_ns), elapsed = w->n < FEW ? apart : active;
    if (time_ns > w->last_ns) {
        const double e = w->usual_ns > 0 && elapsed > LIMIT * w->usual_ns ? LIMIT * w->usual_ns : elapsed;
        w->usual_ns += (e - w->usual_ns) / (double)(w->n < MEMORY ? w->n : MEMORY);
        w->longest_ns *= DECAY;
        if (w->n >= FEW && elapsed > w->longest_ns) w->longest_ns = elapsed;
        w->last_ns = time_ns;
    }
    w->active_ns = s->clock.active_ns;
    w->n++;
    w->id = 0;
}

/* Looks at one key; true: there is news. */
static bool silence_look(struct silence *s, int place, struct silence_news *news, bool *good)
{
    struct watched *w = &s->item[place];
    if (w->n < s->settings.events || !(w->usual_ns > 0)) return false;
    const double e = (double)(s->clock.active_ns - w->active_ns);
    double limit = s->settings.factor * w->usual_ns;
    if (TIMES_LONGEST * w->longest_ns > limit) limit = TIMES_LONGEST * w->longest_ns;
    const bool begins = w->id == 0 && e > limit, gone = w->id != 0 && e > TIMES_ACCEPTED * limit;
    if (!begins && !gone) return false;
    *good = silence_note(s, place);
    if (!*good) return false;
    if (begins) {
        const uint64_t id = (w->hash ^ (uint64_t)w->n * 0x9e3779b97f4a7c15u) ^ (uint64_t)w->last_ns;
        w->id = id ? id : 1;
    }
    *news = silence_tell(s, w, begins ? SILENCE_BEGINS : SILENCE_ACCEPTED);
    if (gone) w->n = 0, s->clock.n_free++;
    return true;
}

eddy_status silence_event(struct silence *s, uint64_t hash, const char *key, size_t key_len, int64_t time_ns,
                          struct silence_news news[SILENCE_NEWS], struct eddy_error *err)
{
    const int32_t found = s->index[silence_slot(s, hash, key, key_len)];
    struct watched *w = found ? &s->item[found - 1] : NULL;
    int n = 0;
    bool good = !w || silence_note(s, found - 1);
    silence_tick(s, w, time_ns);
    if (good && w && w->n > 0) {
        if (w->id) {
            news[n] = silence_tell(s, w, SILENCE_ENDS);
            news[n++].now_ns = time_ns;
        }
        silence_hear(s, w, time_ns);
    } else if (good && w) { /* it had gone for good */
        s->clock.n_free--;
        w->n = 1;
        w->id = 0;
        w->usual_ns = w->longest_ns = 0;
        w->last_ns = time_ns;
        w->active_ns = s->clock.active_ns;
    } else if (good) {
        good = silence_add(s, hash, key, key_len, time_ns);
    }
    for (int k = 0; good && k < LOOKS && s->clock.n > 0; k++) {
        s->clock.cursor = s->clock.cursor + 1 < s->clock.n ? s->clock.cursor + 1 : 0;
        n += silence_look(s, s->clock.cursor, &news[n], &good);
    }
    return good ? n : eddy_fail(err, EDDY_ENOMEM, "out of memory while watching for silent keys");
}

int silence_forget(struct silence *s, uint64_t hash, const char *key, size_t key_len, struct silence_news *news)
{
    const int32_t found = s->index[silence_slot(s, hash, key, key_len)];
    if (!found || s->item[found - 1].n == 0 || !silence_note(s, found - 1)) return 0;
    struct watched *w = &s->item[found - 1];
    const bool silent = w->id != 0;
    if (silent) *news = silence_tell(s, w, SILENCE_ENDS);
    w->n = 0;
    s->clock.n_free++;
    return silent;
}

/* ---- bytes ---- */

enum { FORMAT = 1, HEAD_BYTES = 4 + 8 + 8 + 4 + 4 + 4, ITEM_BYTES = 8 * 7 + 4 };

eddy_status silence_encode(const struct silence *s, struct eddy_buffer *b)
{
    unsigned char head[HEAD_BYTES], item[ITEM_BYTES];
    le_put_u32(head, FORMAT);
    le_put_u64(head + 4, (uint64_t)s->clock.now_ns);
    le_put_u64(head + 12, (uint64_t)s->clock.active_ns);
    le_put_u32(head + 20, (uint32_t)s->clock.n);
    le_put_u32(head + 24, (uint32_t)s->clock.cursor);
    le_put_u32(head + 28, (uint32_t)s->clock.n_ahead);
    eddy_status rc = eddy_buffer_append(b, head, sizeof(head));
    for (int i = 0; i < s->clock.n && rc >= 0; i++) {
        const struct watched *w = &s->item[i];
        const uint64_t numbers[] = {w->hash, w->id, (uint64_t)w->n, (uint64_t)w->last_ns, (uint64_t)w->active_ns};
        for (int k = 0; k < 5; k++) le_put_u64(item + 8 * k, numbers[k]);
        memcpy(item + 40, &w->usual_ns, 8);
        memcpy(item + 48, &w->longest_ns, 8);
        le_put_u32(item + 56, w->key_len);
        rc = eddy_buffer_append(b, item, sizeof(item));
        if (rc >= 0) rc = eddy_buffer_append(b, w->key, w->key_len);
    }
    return rc;
}

static bool silence_decode_item(struct silence *s, const unsigned char **at, const unsigned char *end)
{
    const unsigned char *p = *at;
    if (end - p < ITEM_BYTES) return false;
    struct watched w = {.hash = le_get_u64(p),
                        .id = le_get_u64(p + 8),
                        .n = (int64_t)le_get_u64(p + 16),
                        .last_ns = (int64_t)le_get_u64(p + 24),
                        .active_ns = (int64_t)le_get_u64(p + 32),
                        .key_len = le_get_u32(p + 56)};
    memcpy(&w.usual_ns, p + 40, 8);
    memcpy(&w.longest_ns, p + 48, 8);
    p += ITEM_BYTES;
    const bool sane = sound_count(w.n) && sound_span(w.active_ns, 0, s->clock.active_ns) && w.usual_ns >= 0 &&
                      w.usual_ns < 1e19 && w.longest_ns >= 0 && w.longest_ns < 1e19;
    if (!sane || (uint64_t)(end - p) < w.key_len) return false;
    *at = p + w.key_len;
    if (s->clock.n == s->settings.keys) return true;
    w.key = malloc((size_t)w.key_len + 1);
    if (!w.key) return false;
    memcpy(w.key, p, w.key_len);
    s->clock.n_free += w.n == 0;
    s->item[s->clock.n++] = w;
    return true;
}

eddy_status silence_decode(struct silence *s, const void *bytes, size_t n, struct eddy_error *err)
{
    const unsigned char *at = bytes, *end = n > 0 ? at + n : at;
    bool good = n >= HEAD_BYTES && le_get_u32(at) == FORMAT;
    const uint32_t count = good ? le_get_u32(at + 20) : 0, cursor = good ? le_get_u32(at + 24) : 0;
    if (good) {
        s->clock.now_ns = (int64_t)le_get_u64(at + 4);
        s->clock.active_ns = (int64_t)le_get_u64(at + 12);
        s->clock.n_ahead = (int)(le_get_u32(at + 28) % CONFIRM);
        good = sound_span(s->clock.active_ns, 0, MOST_ACTIVE_NS);
        at += HEAD_BYTES;
    }
    for (uint32_t i = 0; i < count && good; i++) good = silence_decode_item(s, &at, end);
    if (!good || at != end)
        return eddy_fail(err, EDDY_ECORRUPT, "state: what is known of silent keys (%zu bytes) is damaged", n);
    s->clock.cursor = cursor < (uint32_t)s->clock.n ? (int)cursor : 0;
    silence_index(s);
    silence_commit(s);
    return EDDY_OK;
}

/* Incidents of keys that are forgotten for their age: closed once, at the same offset however events come in. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/flow/lane_store.h"
#include "engine/state/store.h"
#include "fixture.h"

#define CHEAP "forecast: {horizons: [1], experts: [persistence]}\ndetect: {warmup: 50}\n"
#define AGED  CHEAP "state: {ttl: 30m}\n"
enum { EVENTS = 2000, KEYS = 5, JUMP = 300, BACK = 360 };
static const int64_t MINUTE = 60000000000, START = 1700000000000000000;
static const char *const keys[KEYS] = {"goes", "comes", "late", "steady", "other"};

/* Of every key one event a minute, a level with a little movement; the first three jump.  Then "goes" is never heard of
 * again, "comes" only after its time, "late" just before it. */
static bool event_at(int64_t i, double *x, struct lane_event *out)
{
    const int key = (int)(i % KEYS);
    const int64_t row = i / KEYS;
    *x = 10 + (double)(i * 7919 % 101) / 101 + (row == JUMP && key < 3 ? 100 : 0);
    *out = (struct lane_event){
        LANE_EVENT,
        i,
        {.key = keys[key], .key_len = strlen(keys[key]), .time_ns = START + row * MINUTE, .x = x},
        NULL};
    const int64_t silent_until[] = {EVENTS, BACK, JUMP + 29, 0, 0};
    if (row > JUMP && row < silent_until[key]) out->kind = LANE_SKIP;
    return out->kind == LANE_EVENT;
}

struct story {
    char text[8192];
    size_t len;
};

static void tell(struct story *s, const struct eddy_result *r)
{
    for (int k = 0; k < r->n_incidents && s->len + 300 < sizeof(s->text); k++) {
        const struct eddy_incident *in = &r->incidents[k];
        s->len += (size_t)snprintf(s->text + s->len, 300, "%d %.*s %s %s %d %d %lld %lld %.3f\n", (int)r->offset,
                                   (int)r->key_len, r->key, in->id, in->kind, in->state, (int)in->events,
                                   (long long)(r->time_ns - START) / MINUTE, (long long)(in->end_ns - START) / MINUTE,
                                   in->n_drivers ? in->drivers[0].y : 0);
    }
}

/* Folds [from, to) in turns of `chunk`; one in `aborts` is folded, thrown away and folded again. */
static void feed(struct fixture_lane *f, int64_t from, int64_t to, int chunk, int aborts, struct story *s)
{
    enum { MOST = 512 };
    static struct lane_event events[MOST];
    static double x[MOST];
    static struct eddy_result results[MOST];
    struct eddy_error err = {0};
    for (int64_t turn = 1; from < to; turn++) {
        const int n = (int)(to - from < chunk ? to - from : chunk);
        for (int i = 0; i < n; i++) (void)event_at(from + i, &x[i], &events[i]);
        eddy_status taken = lane_turn(f->lane, events, n, results, &err);
        if (aborts && turn % aborts == 0) {
            lane_abort(f->lane);
            taken = lane_turn(f->lane, events, n, results, &err);
        }
        cr_assert_gt(taken, 0, "%s", err.message);
        int told = 0;
        for (int i = 0; i < taken; i++) {
            for (; told < lane_n_news(f->lane) && lane_news(f->lane, told)->offset <= events[i].offset; told++)
                tell(s, lane_news(f->lane, told));
            if (events[i].kind == LANE_EVENT) tell(s, &results[i]);
        }
        cr_expect_eq(told, lane_n_news(f->lane));
        lane_commit(f->lane);
        from += taken;
    }
}

static void whole(struct story *s)
{
    struct fixture_lane f;
    fixture_open(&f, AGED, 1, NULL, 100);
    feed(&f, 0, EVENTS * KEYS / 2, 1, 0, s);
    fixture_close(&f);
}

/* The line of a key's n-th incident record from row JUMP on, NULL when there are fewer. */
static const char *record_of(const struct story *s, const char *key, int n)
{
    for (const char *line = s->text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        char name[16];
        int offset;
        cr_assert_eq(sscanf(line, "%d %15s", &offset, name), 2);
        if (offset >= JUMP * KEYS && strcmp(name, key) == 0 && n-- == 0) return line;
    }
    return NULL;
}

static void expect_closing(const struct story *s, const char *key)
{
    char id[2][32];
    int offset, state[2], events, minute, end;
    const char *opened = record_of(s, key, 0), *closed = record_of(s, key, 1);
    cr_assert(opened && closed, "%s: %s", key, s->text);
    cr_assert_eq(sscanf(opened, "%*d %*s %31s %*s %d", id[0], &state[0]), 2);
    cr_assert_eq(sscanf(closed, "%d %*s %31s %*s %d %d %d %d", &offset, id[1], &state[1], &events, &minute, &end), 6);
    cr_expect_str_eq(id[0], id[1]);
    cr_expect_eq(state[0], EDDY_INCIDENT_OPEN);
    cr_expect_eq(state[1], EDDY_INCIDENT_CLOSED);
    cr_expect_eq(end, JUMP, "it ends with the last event that belonged to it");
    cr_expect_eq(minute, JUMP + 31, "told when the others' clock is more than 30 minutes on");
    cr_expect_eq(offset, (JUMP + 31) * KEYS + 2, "the first event of that minute: \"late\"");
}

Test(lane_expiry, an_incident_closes_when_its_key_is_forgotten)
{
    static struct story s;
    whole(&s);
    expect_closing(&s, "goes");
    expect_closing(&s, "comes");
    cr_expect_null(record_of(&s, "goes", 2), "and once");
    int offset = 0;
    const char *late = record_of(&s, "late", 1);
    if (late) cr_assert_eq(sscanf(late, "%d", &offset), 1);
    cr_expect(!late || keys[offset % KEYS] == keys[2], "a key that comes back in time closes its own: %s", s.text);
}

Test(lane_expiry, turns_aborts_and_memory_make_no_difference)
{
    static struct story one;
    whole(&one);
    const int chunks[] = {2, 7, 64, 512};
    for (int i = 0; i < 8; i++) {
        static struct story other;
        other = (struct story){0};
        struct fixture_lane f;
        char path[] = "/tmp/eddy-expiry-XXXXXX";
        const int fd = mkstemp(path);
        cr_assert_geq(fd, 0);
        close(fd);
        unlink(path);
        fixture_open(&f, AGED, 1, path, i % 2 ? 1 : 100); /* one key in memory: the row is read from the store */
        feed(&f, 0, EVENTS * KEYS / 2, chunks[i / 2], i % 3 ? 2 : 0, &other);
        fixture_close(&f);
        unlink(path);
        cr_expect_str_eq(other.text, one.text, "turns of %d", chunks[i / 2]);
    }
}

/* `edited`: a command has changed rows meanwhile, so that what is known of them is read from them again. */
static void live_in_parts(bool edited, struct story *s)
{
    char path[] = "/tmp/eddy-expiry-XXXXXX";
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    unlink(path);
    for (int64_t from = 0; from < EVENTS * KEYS / 2; from += 83) {
        struct fixture_lane f;
        struct eddy_error err = {0};
        fixture_open(&f, AGED, 1, path, 100);
        const int64_t to = from + 83 < EVENTS * KEYS / 2 ? from + 83 : EVENTS * KEYS / 2;
        feed(&f, from, to, 20, 0, s);
        cr_assert_eq(lane_checkpoint(f.lane, &err), EDDY_OK, "%s", err.message);
        if (edited) {
            cr_assert_geq(lane_stored_edited(f.store, &err), 0, "%s", err.message);
            cr_assert_geq(store_commit(f.store, &err), 0, "%s", err.message);
        }
        fixture_close(&f);
    }
    unlink(path);
}

Test(lane_expiry, a_new_life_knows_what_is_open)
{
    static struct story one, parts, edited;
    whole(&one);
    live_in_parts(false, &parts);
    cr_expect_str_eq(parts.text, one.text);
    live_in_parts(true, &edited);
    cr_expect_str_eq(edited.text, one.text);
}

Test(lane_expiry, an_aborted_turn_has_nothing_to_tell)
{
    /* The keys begin, jump and expire in one batch, so that nothing of them is left when it is aborted. */
    enum { MOST = 512, ALL = (JUMP + 40) * KEYS };
    static struct lane_event events[MOST];
    static double x[MOST];
    static struct eddy_result results[MOST];
    struct fixture_lane f;
    struct eddy_error err = {0};
    int told = 0;
    fixture_open(&f, AGED, 1, NULL, 100);
    for (int64_t at = 0; at < ALL && told == 0;) {
        const int n = (int)(ALL - at < MOST ? ALL - at : MOST);
        for (int i = 0; i < n; i++) (void)event_at(at + i, &x[i], &events[i]);
        const eddy_status taken = lane_turn(f.lane, events, n, results, &err);
        cr_assert_gt(taken, 0, "%s", err.message);
        at += taken;
        told = lane_n_news(f.lane);
    }
    cr_assert_gt(told, 0, "two keys have expired with an incident open");
    lane_abort(f.lane);
    cr_expect_eq(lane_n_news(f.lane), 0);
    fixture_close(&f);
}

Test(lane_expiry, a_tombstone_closes_what_is_open)
{
    static struct story s;
    struct fixture_lane f;
    struct eddy_error err = {0};
    fixture_open(&f, CHEAP, 1, NULL, 100);
    feed(&f, 0, JUMP * KEYS + 3, 1, 0, &s);
    const struct lane_event gone[] = {
        {LANE_FORGET, JUMP * KEYS + 3, {.key = keys[0], .key_len = strlen(keys[0])}, NULL},
        {LANE_FORGET, JUMP * KEYS + 4, {.key = keys[0], .key_len = strlen(keys[0])}, NULL},
        {LANE_FORGET, JUMP * KEYS + 5, {.key = keys[4], .key_len = strlen(keys[4])}, NULL}};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(lane_turn(f.lane, &gone[i], 1, NULL, &err), 1, "%s", err.message);
        for (int k = 0; k < lane_n_news(f.lane); k++) tell(&s, lane_news(f.lane, k));
        lane_commit(f.lane);
    }
    char id[2][32];
    int offset, state, minute;
    const char *opened = record_of(&s, keys[0], 0), *closed = record_of(&s, keys[0], 1);
    cr_assert(opened && closed, "%s", s.text);
    cr_assert_eq(sscanf(opened, "%*d %*s %31s", id[0]), 1);
    cr_assert_eq(sscanf(closed, "%d %*s %31s %*s %d %*d %d", &offset, id[1], &state, &minute), 4);
    cr_expect_str_eq(id[0], id[1]);
    cr_expect_eq(state, EDDY_INCIDENT_CLOSED);
    cr_expect_eq(offset, JUMP * KEYS + 3);
    cr_expect_eq(minute, JUMP, "the time of its last event");
    cr_expect_null(record_of(&s, keys[0], 2), "a key that is gone already has nothing to close");
    cr_expect_null(record_of(&s, keys[4], 0), "nor has one with nothing open");
    fixture_close(&f);
}

/* ---- another time to live ---- */

#define LONG CHEAP "state: {ttl: 2h}\n"

/* One state, and what its lives with one `state` after another have told. */
struct lives {
    char path[32];
    int64_t at; /* the next offset */
    struct story told;
};

static void lives_open(struct lives *s)
{
    *s = (struct lives){.path = "/tmp/eddy-expiry-XXXXXX"};
    const int fd = mkstemp(s->path);
    cr_assert_geq(fd, 0);
    close(fd);
    unlink(s->path);
}

static void lives_tombstone(struct lives *s, struct fixture_lane *f, const char *key)
{
    struct eddy_error err = {0};
    const struct lane_event gone = {LANE_FORGET, s->at++, {.key = key, .key_len = strlen(key)}, NULL};
    cr_assert_eq(lane_turn(f->lane, &gone, 1, NULL, &err), 1, "%s", err.message);
    for (int k = 0; k < lane_n_news(f->lane); k++) tell(&s->told, lane_news(f->lane, k));
    lane_commit(f->lane);
}

static void lives_checkpoint(struct fixture_lane *f, bool edited)
{
    struct eddy_error err = {0};
    cr_assert_eq(lane_checkpoint(f->lane, &err), EDDY_OK, "%s", err.message);
    if (!edited) return;
    cr_assert_geq(lane_stored_edited(f->store, &err), 0, "%s", err.message);
    cr_assert_geq(store_commit(f->store, &err), 0, "%s", err.message);
}

/* One life: a tombstone (unless NULL), and all events up to the end of a minute; `edited`: a command has changed rows after
 * it. */
static void live(struct lives *s, const char *yaml, const char *tombstone, int minute, bool edited)
{
    struct fixture_lane f;
    fixture_open(&f, yaml, 1, s->path, 100);
    if (tombstone) {
        lives_tombstone(s, &f, tombstone);
        lives_checkpoint(&f, false);
    }
    const int64_t to = (int64_t)(minute + 1) * KEYS;
    if (to > s->at) feed(&f, s->at, to, 20, 0, &s->told);
    s->at = to > s->at ? to : s->at;
    lives_checkpoint(&f, edited);
    fixture_close(&f);
}

static void expect_closed_at(struct lives *s, int64_t offset)
{
    const char *opened = record_of(&s->told, keys[0], 0), *closed = record_of(&s->told, keys[0], 1);
    char id[2][32];
    int at, state;
    cr_assert(opened && closed, "%s", s->told.text);
    cr_assert_eq(sscanf(opened, "%*d %*s %31s", id[0]), 1);
    cr_assert_eq(sscanf(closed, "%d %*s %31s %*s %d", &at, id[1], &state), 3);
    cr_expect_str_eq(id[0], id[1]);
    cr_expect_eq(state, EDDY_INCIDENT_CLOSED);
    cr_expect_eq(at, offset, "%d instead of %d", at, (int)offset);
    cr_expect_null(record_of(&s->told, keys[0], 2), "and once: %s", s->told.text);
    unlink(s->path);
}

Test(lane_expiry, a_first_time_to_live_closes_what_has_expired_by_it_already)
{
    struct lives s; /* as of a state that knew no list of keys, too */
    lives_open(&s);
    live(&s, CHEAP, NULL, JUMP + 50, false);
    live(&s, AGED, NULL, JUMP + 55, false);
    expect_closed_at(&s, (JUMP + 51) * KEYS);
}

Test(lane_expiry, a_shorter_time_to_live_closes_what_has_expired_by_it_though_the_list_is_gone)
{
    struct lives s;
    lives_open(&s);
    live(&s, LONG, NULL, JUMP + 50, true);
    live(&s, AGED, NULL, JUMP + 55, false);
    expect_closed_at(&s, (JUMP + 51) * KEYS);
}

Test(lane_expiry, a_tombstone_closes_what_has_expired_by_a_shorter_time_to_live)
{
    struct lives s;
    lives_open(&s);
    live(&s, LONG, NULL, JUMP + 50, false);
    live(&s, AGED, keys[0], JUMP + 55, false);
    expect_closed_at(&s, (JUMP + 51) * KEYS);
}

Test(lane_expiry, a_checkpoint_after_a_tombstone_alone_keeps_what_is_still_to_be_told)
{
    struct lives s;
    lives_open(&s);
    live(&s, LONG, NULL, JUMP + 50, false);
    live(&s, AGED, keys[4], JUMP + 55, false);
    expect_closed_at(&s, (JUMP + 51) * KEYS + 1);
}

Test(lane_expiry, what_was_told_is_not_told_again_by_another_time_to_live)
{
    /* A checkpoint sweeps and is soon followed by another, which does not: the row of "goes" is still there. */
    const char *const later[] = {LONG, CHEAP, AGED};
    for (int i = 0; i < 6; i++) {
        struct lives s;
        struct fixture_lane f;
        lives_open(&s);
        live(&s, LONG, NULL, JUMP + 119, false);
        fixture_open(&f, LONG, 1, s.path, 100);
        s.at += KEYS;
        feed(&f, s.at - KEYS, s.at, 20, 0, &s.told); /* minute 120: none has expired */
        lives_checkpoint(&f, false);
        feed(&f, s.at, s.at + KEYS, 20, 0, &s.told); /* minute 121: it is told */
        s.at += KEYS;
        lives_checkpoint(&f, i % 2);
        fixture_close(&f);
        live(&s, later[i / 2], i % 2 ? NULL : keys[0], JUMP + 130, true);
        live(&s, AGED, NULL, JUMP + 135, false);
        expect_closed_at(&s, (JUMP + 121) * KEYS + 1);
    }
}

#include "world.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "engine/flow/lane_store.h"
#include "engine/state/store_private.h"

#define YAML                                                                                                         \
    "forecast: {network: {layers: [{gru: {units: 4}}]}}\n"                                                           \
    "train: {mode: inline, every: 4, window: 8, epoch: 64, windows: 8, batch: 4}\n"
enum { ROWS_A_TURN = 3 };
static const struct fixture_stream stream = {16, 1, true};

/* ---- one life ---- */

struct life {
    struct store *store;
    struct storage *storage;
    struct trainer *trainer;
    struct lane *lane;
};

static eddy_status life_open(struct world *w, const char *path, int64_t resident, struct life *l,
                             struct eddy_error *err)
{
    const struct store_identity identity = {"test", "topic", w->partition};
    *l = (struct life){0};
    eddy_status rc = path ? store_open(path, &identity, STORE_WRITE, &l->store, err) : EDDY_OK;
    if (rc >= 0 && path && w->background) rc = storage_open(&l->storage, err);
    if (rc >= 0) rc = trainer_open(config_settings(w->config)->train.mode, &l->trainer, err);
    const struct lane_request request = {.plan = w->plan,
                                         .topic = "topic",
                                         .store = l->store,
                                         .storage = l->storage,
                                         .trainer = l->trainer,
                                         .max_resident = resident};
    return rc >= 0 ? lane_open(&request, &l->lane, err) : rc;
}

static void life_close(struct life *l)
{
    lane_close(l->lane);
    store_close(l->store);
    storage_close(l->storage);
    trainer_close(l->trainer);
}

static uint64_t digest(const struct eddy_result *r)
{
    size_t values = (size_t)r->schema->n_values, plane = (size_t)r->n_horizons * values;
    const double numbers[] = {r->score, r->evidence, r->score_ratio, (double)r->model, (double)r->state};
    uint64_t h = XXH3_64bits_withSeed(numbers, sizeof(numbers), (uint64_t)r->offset);
    h = XXH3_64bits_withSeed(r->y, values * 4 * sizeof(double), h);
    h = XXH3_64bits_withSeed(r->forecast, plane * sizeof(double), h);
    return XXH3_64bits_withSeed(r->band_lower, plane * (size_t)r->n_bands * 2 * sizeof(double), h);
}

/* Events [at, to), a turn or more; every result goes to `each`. */
static eddy_status life_fold(struct world *w, struct life *l, int64_t at, int64_t to,
                             void (*each)(struct world *, int64_t offset, uint64_t digest), struct eddy_error *err)
{
    char keys[WORLD_CHUNK][16];
    double x[WORLD_CHUNK];
    struct lane_event events[WORLD_CHUNK];
    struct eddy_result results[WORLD_CHUNK];
    int n = (int)(to - at), done = 0;
    for (int i = 0; i < n; i++) fixture_event(&stream, at + i, keys[i], x + i, &events[i]);
    while (done < n) {
        memset(results, 0, sizeof(results));
        eddy_status taken = lane_turn(l->lane, events + done, n - done, results, err);
        if (taken < 0) {
            lane_abort(l->lane);
            return taken;
        }
        if (taken == 0) (void)lane_wait(l->lane, 1000);
        for (int i = 0; i < taken; i++) each(w, at + done + i, digest(&results[i]));
        lane_commit(l->lane);
        done += taken;
    }
    return EDDY_OK;
}

static void expect_result(struct world *w, int64_t offset, uint64_t is)
{
    if (is != w->result[offset]) world_violation(w, "result %" PRId64 " is not the reference's", offset);
}

/* A full disk is no reason to stop: as in the driver, the next try may find room. */
static eddy_status life_saved(struct world *w, struct life *l, eddy_status rc)
{
    if (lane_checkpointed(l->lane) > w->acknowledged) w->acknowledged = lane_checkpointed(l->lane);
    return rc == EDDY_EFULL || rc >= 0 ? EDDY_OK : rc;
}

/* Begins a checkpoint, after the one before has ended; without a storage thread it has ended, too, when this returns. */
static eddy_status life_checkpoint(struct world *w, struct life *l, int64_t at, int log_every, struct eddy_error *err)
{
    eddy_status rc = life_saved(w, l, lane_save_wait(l->lane, err));
    if (rc < 0) return rc;
    if (at > w->attempted) w->attempted = at;
    if (lane_saving(l->lane)) return EDDY_OK; /* there was no room for the one before, which is tried again */
    rc = life_saved(w, l, lane_save_begin(l->lane, err));
    if (rc >= 0 && log_every > 0 && at / WORLD_STEP % log_every == 0 && !lane_saving(l->lane))
        store_checkpoint_log(l->store);
    return rc;
}

eddy_status world_life(struct world *w, int64_t until, int log_every, struct eddy_error *err)
{
    struct life l;
    *err = (struct eddy_error){0};
    eddy_status rc = life_open(w, w->path, WORLD_RESIDENT, &l, err);
    int64_t at = rc >= 0 ? lane_next(l.lane) : 0;
    while (rc >= 0 && at < until) {
        int64_t to = at + WORLD_CHUNK;
        rc = life_fold(w, &l, at, to, expect_result, err);
        at = to;
        if (rc >= 0) rc = life_saved(w, &l, lane_save_step(l.lane, ROWS_A_TURN, err));
        if (rc >= 0 && at % WORLD_STEP == 0) rc = life_checkpoint(w, &l, at, log_every, err);
    }
    if (rc >= 0) rc = life_saved(w, &l, lane_save_wait(l.lane, err));
    w->steps_folded = shim_power_steps();
    life_close(&l);
    return rc < 0 ? rc : EDDY_OK;
}

/* ---- the reference ---- */

static void keep_result(struct world *w, int64_t offset, uint64_t is)
{
    w->result[offset] = is;
}

static void reference(struct world *w)
{
    struct eddy_error err = {0};
    struct life l;
    cr_assert_geq(life_open(w, NULL, 1000, &l, &err), 0, "%s", err.message);
    for (int64_t at = 0; at < WORLD_EVENTS; at += WORLD_CHUNK) {
        cr_assert_geq(life_fold(w, &l, at, at + WORLD_CHUNK, keep_result, &err), 0, "%s", err.message);
        if ((at + WORLD_CHUNK) % WORLD_STEP) continue;
        struct state_hash *h = state_hash_open();
        cr_assert_geq(lane_hash(l.lane, true, h, &err), 0, "%s", err.message);
        state_hash_hex(h, w->hash[(at + WORLD_CHUNK) / WORLD_STEP]);
        state_hash_close(h);
    }
    struct lane_stats stats;
    lane_stats(l.lane, &stats);
    cr_assert_gt(stats.updates, 0, "the model should have learnt something");
    life_close(&l);
}

void world_open(struct world *w)
{
    static const char *const names[] = {"a"};
    const struct eddy_schema schema = {.n_values = 1, .names = names};
    const char *tmp = getenv("TMPDIR");
    struct eddy_error err = {0};
    *w = (struct world){.config = fixture_config(YAML)};
    cr_assert_gt(asprintf(&w->dir, "%s/eddy-fault-XXXXXX", tmp && *tmp ? tmp : "/tmp"), 0);
    cr_assert(mkdtemp(w->dir));
    cr_assert_gt(asprintf(&w->path, "%s/topic-0.db", w->dir), 0);
    cr_assert_geq(plan_open(config_settings(w->config), &schema, &w->plan, &err), 0, "%s", err.message);
    shim_install();
    reference(w);
}

void world_remove_files(const struct world *w)
{
    DIR *d = opendir(w->dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[600];
        (void)snprintf(path, sizeof(path), "%s/%s", w->dir, e->d_name);
        if (e->d_name[0] != '.') (void)unlink(path);
    }
    if (d) (void)closedir(d);
}

void world_close(struct world *w)
{
    shim_arm(NULL);
    shim_power_forget();
    world_remove_files(w);
    (void)rmdir(w->dir);
    plan_close(w->plan);
    config_close(w->config);
    free(w->dir);
    free(w->path);
}

void world_begin(struct world *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(w->what, sizeof(w->what), format, args);
    va_end(args);
    shim_arm(NULL);
    shim_budget(-1);
    shim_power_forget();
    world_remove_files(w);
    w->acknowledged = w->attempted = w->set_aside = 0;
}

void world_violation(struct world *w, const char *format, ...)
{
    char text[1200];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    w->violations++;
    if (w->violations <= 20) (void)fprintf(stderr, "violation: %s: %s\n", w->what, text);
}

/* ---- looking ---- */

void world_named(struct world *w, eddy_status rc, const struct eddy_error *err)
{
    if (rc < 0 && (err->code != rc || !strstr(err->message, w->path)))
        world_violation(w, "error %d does not name the file: \"%s\"", rc, err->message);
}

static void inspect_hash(struct world *w, struct store *s, int64_t at)
{
    const struct store_identity identity = {"test", "topic", w->partition};
    struct eddy_error err = {0};
    struct state_hash *h = state_hash_open();
    char hex[33];
    eddy_status rc = lane_stored_hash(s, &identity, config_settings(w->config), true, h, &err);
    state_hash_hex(h, hex);
    state_hash_close(h);
    if (rc < 0)
        world_violation(w, "the state at %" PRId64 " cannot be read: %s", at, err.message);
    else if (strcmp(hex, w->hash[at / WORLD_STEP]) != 0)
        world_violation(w, "the state at %" PRId64 " is not the reference's", at);
}

static void inspect(struct world *w, struct store *s, int64_t oldest)
{
    struct eddy_error err = {0};
    struct lane_position at = {0};
    eddy_status rc = store_is_new(s) ? EDDY_ENOTFOUND : lane_stored_position(s, &at, &err);
    if (rc < 0 && rc != EDDY_ENOTFOUND)
        world_violation(w, "no position in a file that opened: %s", err.message);
    else if (at.next < oldest || at.next > w->attempted || at.next % WORLD_STEP)
        world_violation(w, "position %" PRId64 ", though checkpoints up to %" PRId64 " stand and none after %" PRId64,
                        at.next, oldest, w->attempted);
    else if (at.next > 0)
        inspect_hash(w, s, at.next);
}

eddy_status world_inspect(struct world *w, int64_t oldest, struct eddy_error *err)
{
    const struct store_identity identity = {"test", "topic", w->partition};
    *err = (struct eddy_error){0};
    struct store *s = NULL;
    char *moved = NULL;
    eddy_status rc = store_open(w->path, &identity, STORE_WRITE, &s, err);
    world_named(w, rc, err);
    if (rc >= 0) {
        inspect(w, s, oldest);
    } else if (rc == EDDY_ECORRUPT) {
        struct eddy_error again = {0};
        if (store_set_aside(w->path, &moved, &again) < 0) world_violation(w, "%s", again.message);
        w->set_aside++;
        w->acknowledged = 0;
    }
    store_close(s);
    free(moved);
    return rc < 0 ? rc : EDDY_OK;
}

void world_finish(struct world *w)
{
    struct eddy_error err = {0};
    w->attempted = WORLD_EVENTS;
    eddy_status rc = world_life(w, WORLD_EVENTS, 0, &err);
    if (rc < 0) {
        world_violation(w, "does not go on with a whole disk: %s", err.message);
        return;
    }
    int64_t before = w->set_aside;
    (void)world_inspect(w, WORLD_EVENTS, &err);
    if (w->set_aside != before) world_violation(w, "damaged by a life on a whole disk");
}

/* ---- the table ---- */

bool world_full(void)
{
    const char *full = getenv("FAULT_FULL");
    return full && strcmp(full, "1") == 0;
}

void world_row(const char *fault, int trials, int violations, const char *format, ...)
{
    char note[300];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(note, sizeof(note), format, args);
    va_end(args);
    const char *path = getenv("FAULT_TABLE");
    FILE *f = path ? fopen(path, "a") : NULL;
    if (f) {
        (void)fprintf(f, "| %s | %d | %d | %s |\n", fault, trials, violations, note);
        (void)fclose(f);
    }
}

static char own_table[] = "/tmp/eddy-fault-table-XXXXXX";
static bool has_own_table;

/* Without somebody who asks for a table this program prints its own. */
ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    if (getenv("FAULT_TABLE")) return;
    int fd = mkstemp(own_table);
    if (fd < 0) return;
    (void)close(fd);
    has_own_table = true;
    (void)setenv("FAULT_TABLE", own_table, 1);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    char line[600];
    (void)stats;
    FILE *f = has_own_table ? fopen(own_table, "r") : NULL;
    if (!f) return;
    (void)printf("| fault | trials | violations | note |\n|---|---|---|---|\n");
    while (fgets(line, sizeof(line), f)) (void)fputs(line, stdout);
    (void)fclose(f);
    (void)unlink(own_table);
}

/* Checkpoints that the driver does not wait for: what comes after what. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flow/lane_store.h"
#include "fixture_script.h"

#define LEARNING "train: {mode: inline, every: 4, window: 8, epoch: 64, windows: 8, batch: 4}\n"
#define OFTEN    "state: {checkpoint: 1ms}\n"
#define EVICTING "state: {checkpoint: 1ms, max_keys: 2}\n"

enum { RECORDS = 6000 };
static char *state_file;
static int looked;

/* The group's offset moves only when the file that a restart would find is as far, and its results are confirmed. */
static void look_at_commit(const struct script *s, int64_t next)
{
    struct eddy_error err = {0};
    struct lane_position at;
    struct store *store;
    cr_assert_geq(store_open(state_file, NULL, STORE_READ_ONLY, &store, &err), 0, "%s", err.message);
    cr_assert_geq(lane_stored_position(store, &at, &err), 0, "%s", err.message);
    store_close(store);
    cr_assert_geq(at.next, next);
    cr_assert_geq(s->sent - s->outstanding, next);
    looked++;
}

static struct script *watched(char *dir)
{
    struct script *s = script_open(RECORDS);
    cr_assert_gt(asprintf(&state_file, "%s/test/t-0.db", dir), 0);
    s->on_commit = look_at_commit;
    s->batch = 16;
    return s;
}

Test(driver_saving, the_position_is_committed_when_the_checkpoint_is_in_the_file, .fini = script_close_all)
{
    char *dir = script_dir();
    struct script *s = watched(dir);
    s->capacity = 100;
    s->confirm = 5;
    const struct script_run run = script_live(LEARNING OFTEN, dir);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_gt(looked, 3, "checkpoints were made on the way");
    cr_assert_eq(s->committed, RECORDS, "the last one was waited for");
    script_remove(dir);
    free(dir);
    free(state_file);
}

Test(driver_saving, memory_and_moments_of_checkpoints_change_no_byte, .fini = script_close_all)
{
    char *dir = script_dir();
    struct script *whole = script_open(RECORDS);
    const struct script_run never = script_live(LEARNING, NULL);
    struct script *s = watched(dir);
    const struct script_run often = script_live(LEARNING EVICTING, dir);
    cr_assert_eq(often.ran, EDDY_OK, "%s", often.err.message);
    cr_assert_gt(often.stats.checkpoints, 3);
    cr_assert_str_eq(often.hash, never.hash);
    for (int i = 0; i < RECORDS; i++) cr_assert_str_eq(s->out[i], whole->out[i]);
    script_remove(dir);
    free(dir);
    free(state_file);
}

Test(driver_saving, a_revoke_in_the_middle_leaves_a_checkpoint_of_all_that_was_folded, .fini = script_close_all)
{
    char *dir = script_dir();
    struct script *s = watched(dir);
    s->capacity = 20;
    s->confirm = 2;
    s->revoke_in_serve = 40;
    const struct script_run run = script_live(LEARNING EVICTING, dir);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    struct lane_position at;
    struct eddy_error err = {0};
    struct store *store;
    cr_assert_geq(store_open(state_file, NULL, STORE_READ_ONLY, &store, &err), 0, "%s", err.message);
    cr_assert_geq(lane_stored_position(store, &at, &err), 0, "%s", err.message);
    store_close(store);
    cr_assert_eq(at.next, s->committed);
    cr_assert_gt(at.next, 0);
    script_remove(dir);
    free(dir);
    free(state_file);
}

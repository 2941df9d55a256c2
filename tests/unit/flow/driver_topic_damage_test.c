/* state.topic: copies that are of no use, own states that must not be lost for them, and brokers that say nothing. */
#include <criterion/criterion.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/flow/lane_store.h"
#include "engine/flow/topic_publish.h"
#include "fixture_topic.h"

TestSuite(driver_topic_damage, .init = topic_setup, .fini = topic_teardown);

static char *state_file(const char *dir)
{
    char *path = NULL;
    cr_assert_gt(asprintf(&path, "%s/test/t-0.db", dir), 0);
    return path;
}

static size_t set_aside_files(const char *path)
{
    char pattern[200];
    glob_t found;
    (void)snprintf(pattern, sizeof(pattern), "%s.corrupt-*", path);
    const size_t n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return n;
}

/* All that is in a state file goes into the topic, whatever it is. */
static void publish(const char *path)
{
    struct eddy_error err = {0};
    struct store *store = NULL;
    struct publisher *p = NULL;
    struct row_layout layout;
    const struct topic_known known = {.group_end = copy.end, .manifest = {.generation = 1, .number = 1}};
    int64_t from = -1, end = -1;
    const struct store_identity id = {"test", "t", 0};
    cr_assert_geq(store_open(path, &id, STORE_WRITE, &store, &err), 0, "%s", err.message);
    cr_assert_geq(lane_stored_layout(store, &layout, &err), 0, "%s", err.message);
    const struct publisher_request request = {
        .id = id, .store = store, .row_bytes = layout.row_bytes, .position = CUT, .piece_bytes = copy.piece_bytes};
    cr_assert_geq(publisher_open(&request, &p, &err), 0, "%s", err.message);
    publisher_learn(p, &known);
    cr_assert_eq(publisher_prepare(p, 1000, &err), 1, "%s", err.message);
    cr_assert_eq(publisher_take(p, &err), 1, "%s", err.message);
    copy.claimed = true;
    cr_assert_geq(script_topic.begin(&copy, 0, &err), 0);
    cr_assert_eq(publisher_send(p, &script_topic, &copy, 1000, &err), 1, "%s", err.message);
    cr_assert_eq(script_topic.flushed(&copy, 0, &from, &end, &err), 1);
    cr_assert_geq(script_topic.commit(&copy, NULL, 0, end, 0, &err), 0);
    copy.claimed = false;
    publisher_close(p);
    row_layout_free(&layout);
    store_close(store);
}

/* The directory is gone, and the copy is restored with what `spoil` has done to it: the first life ends or goes on, the next
 * one makes the state anew from the source. */
static void a_bad_copy(void (*spoil)(const char *path), eddy_status first)
{
    const int64_t until[] = {CUT};
    char *dir = script_dir(), *path = state_file(dir);
    struct script *s = lived(dir, COPIED, until, 1);
    spoil(path);
    publish(path);
    wipe(dir);
    struct script_run run = script_live(COPIED, dir);
    cr_assert_eq(run.ran, first, "%d %s", run.ran, run.err.message);
    cr_assert_eq(run.stats.restores, 1);
    run = goes_on(s, COPIED, dir);
    cr_assert_eq(run.stats.restores, 0);
    wipe(dir);
    cr_assert_eq(goes_on(s, COPIED, dir).stats.restores, 1, "what was made anew is published");
    script_remove(dir);
    free(path);
    free(dir);
}

Test(driver_topic_damage, a_copy_with_a_row_that_cannot_be_is_restored_once_and_then_left_alone)
{
    a_bad_copy(script_spoil_row, EDDY_ECORRUPT);
}

static void spoil_training(const char *path)
{
    struct eddy_error err = {0};
    struct store *store = NULL;
    cr_assert_geq(store_open(path, NULL, STORE_WRITE, &store, &err), 0, "%s", err.message);
    cr_assert_geq(store_put_meta(store, "train", "\3\0\0\0", 4, &err), 0);
    cr_assert_geq(store_commit(store, &err), 0);
    store_close(store);
}

Test(driver_topic_damage, a_copy_that_cannot_be_opened_is_restored_once_and_then_left_alone, .timeout = 20)
{
    a_bad_copy(spoil_training, EDDY_OK);
}

/* ---- the own state ---- */

Test(driver_topic_damage, a_damaged_state_is_kept_when_the_copy_takes_its_place)
{
    const int64_t until[] = {CUT};
    char *dir = script_dir(), *path = state_file(dir);
    struct script *s = lived(dir, COPIED, until, 1);
    FILE *f = fopen(path, "r+b");
    cr_assert(f && fseek(f, 100, SEEK_SET) == 0);
    for (int i = 0; i < 4000; i++) (void)fputc(0x5a, f); /* the first page, in which all begins */
    cr_assert_eq(fclose(f), 0);
    const struct script_run run = goes_on(s, COPIED, dir);
    cr_assert_eq(run.stats.restores, 1);
    cr_assert_eq(run.stats.set_aside, 1);
    cr_assert_geq(set_aside_files(path), 1);
    script_remove(dir);
    free(path);
    free(dir);
}

Test(driver_topic_damage, a_state_that_cannot_be_read_for_now_is_not_replaced)
{
    const int64_t until[] = {CUT};
    char *dir = script_dir(), *path = state_file(dir), *elsewhere = NULL;
    struct script *s = lived(dir, COPIED, until, 1);
    cr_assert_gt(asprintf(&elsewhere, "%s.elsewhere", path), 0);
    cr_assert_eq(rename(path, elsewhere), 0);
    cr_assert_eq(symlink("t-0.db", path), 0); /* to itself: opening it fails, and it is there */
    const struct script_run run = script_live(COPIED, dir);
    cr_assert_lt(run.ran, 0);
    cr_assert_not_null(strstr(run.err.message, path), "%s", run.err.message);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rename(elsewhere, path), 0);
    cr_assert_eq(goes_on(s, COPIED, dir).stats.restores, 0);
    script_remove(dir);
    free(path), free(elsewhere);
    free(dir);
}

/* ---- looking ---- */

Test(driver_topic_damage, a_reader_that_hears_nothing_asks_again, .timeout = 20)
{
    const int64_t until[] = {CUT};
    char *dir = script_dir();
    struct script *s = lived(dir, COPIED, until, 1);
    s->topic_patience = 20 * 1000000LL;
    copy.silent_seeks = 1;
    is_restored(s, dir);
}

Test(driver_topic_damage, what_was_found_long_ago_counts_no_more_and_the_partition_is_claimed_anew)
{
    const int64_t until[] = {CUT};
    char *dir = script_dir();
    struct script *s = lived(dir, COPIED, until, 1);
    s->topic_patience = 40 * 1000000LL;
    s->late_us = 60000; /* once, until it is assigned again */
    copy.leaves = 0;
    wipe(dir);
    const struct script_run run = goes_on(s, COPIED, dir);
    cr_assert_eq(run.stats.restores, 1);
    cr_assert_eq(copy.leaves, 2, "when it was too old, and at the end: %d", copy.leaves);
    script_remove(dir);
    free(dir);
}

static void grows_later(const struct script *s)
{
    if (s->polls == 300) copy.nowhere = false;
}

Test(driver_topic_damage, a_partition_that_gets_a_place_in_the_topic_is_published_without_another_start,
     .timeout = 20)
{
    static volatile sig_atomic_t stop;
    const int64_t until[] = {200};
    char *dir = script_dir();
    copy.nowhere = true;
    struct script *s = lived(dir, COPIED, until, 1);
    s->polls = 0;
    s->on_poll = grows_later;
    s->stop = &stop; /* by the first commit */
    s->batch = 10;
    const struct script_run run = lives_to(s, dir, COPIED, CUT);
    cr_assert_eq(copy.commits, 1);
    cr_assert_eq(run.stats.partitions_refused, 0);
    s->on_poll = NULL;
    s->stop = NULL;
    wipe(dir);
    const struct script_run back = goes_on(s, COPIED, dir);
    cr_assert_eq(back.stats.restores, 1);
    script_remove(dir);
    free(dir);
}

Test(driver_topic_damage, a_partition_that_the_topic_has_no_place_for_goes_on_without)
{
    const int64_t until[] = {CUT};
    char *dir = script_dir();
    copy.nowhere = true;
    struct script *s = lived(dir, COPIED, until, 1);
    const struct script_run run = goes_on(s, COPIED, dir);
    cr_assert_eq(run.stats.partitions_refused, 0);
    cr_assert_eq(copy.commits, 0);
    script_remove(dir);
    free(dir);
}

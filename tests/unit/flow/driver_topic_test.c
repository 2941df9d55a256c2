/* state.topic: a partition goes on from the copy when its own state is gone, whatever happened while it was written; results
 * and state are those of a pipeline that lost nothing. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flow/lane_store.h"
#include "fixture_script.h"
#include "fixture_topic.h"

#define COPIED_OR_REFUSED "state: {topic: copy, missing: refuse}\n" LEARNING

TestSuite(driver_topic, .init = topic_setup, .fini = topic_teardown);

Test(driver_topic, a_lost_directory_is_restored)
{
    const int64_t until[] = {100, 350, CUT};
    char *dir = script_dir();
    struct script *s = lived(dir, COPIED, until, 3);
    cr_assert_eq(copy.commits, 3);
    wipe(dir);
    const struct script_run run = goes_on(s, COPIED, dir);
    cr_assert_eq(run.stats.restores, 1);
    cr_assert_geq(run.stats.restored_rows, 5);
    cr_assert_eq(run.stats.records, RECORDS - CUT);
    script_remove(dir);
    free(dir);
}

Test(driver_topic, a_state_that_is_there_is_used_as_it_is_and_only_changes_are_written)
{
    const int64_t until[] = {CUT};
    char *dir = script_dir();
    struct script *s = lived(dir, COPIED, until, 1);
    script_replace(s, CUT, NULL); /* forgets key "a", whose row is the only one that changes then */
    const int n = copy.n;
    s->end_at = CUT + 1;
    const struct script_run run = script_live(COPIED, dir);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_eq(run.stats.restores, 0);
    cr_assert_eq(run.stats.published_rows, 1);
    int gone = 0;
    for (int i = n; i < copy.n; i++) gone += !copy.record[i].value;
    cr_assert_geq(gone, 1);

    wipe(dir);
    s->end_at = CUT + 1;
    const struct script_run again = script_live(COPIED, dir);
    cr_assert_eq(again.stats.restores, 1);
    cr_assert_str_eq(again.hash, run.hash, "a key that was forgotten stays forgotten");
    script_remove(dir);
    free(dir);
}

Test(driver_topic, a_key_that_a_command_has_forgotten_stays_forgotten)
{
    const int64_t until[] = {CUT};
    const struct store_identity id = {"test", "t", 0};
    struct eddy_error err = {0};
    struct store *store = NULL;
    char *dir = script_dir(), *path = store_path(dir, &id);
    struct script *s = lived(dir, COPIED, until, 1);
    cr_assert_geq(store_open(path, &id, STORE_WRITE, &store, &err), 0, "%s", err.message);
    cr_assert_geq(store_delete_row(store, "a", 1, &err), 0);
    cr_assert_geq(lane_stored_edited(store, &err), 0);
    cr_assert_geq(store_commit(store, &err), 0);
    store_close(store);
    s->end_at = CUT + 2;
    const struct script_run run = script_live(COPIED, dir);
    cr_assert_eq(copy.commits, 2);
    wipe(dir);
    const struct script_run again = script_live(COPIED, dir);
    cr_assert_eq(again.stats.restores, 1);
    cr_assert_str_eq(again.hash, run.hash);
    cr_assert_str_neq(again.hash, topic_reference.hash);
    script_remove(dir);
    free(path);
    free(dir);
}

Test(driver_topic, rows_in_many_pieces_and_a_queue_that_is_often_full_change_nothing)
{
    static const struct {
        size_t piece;
        int full_every;
    } cases[] = {{128, 0}, {1 << 20, 2}, {500, 3}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const int64_t until[] = {300, CUT};
        char *dir = script_dir();
        copy_close();
        copy.piece_bytes = cases[i].piece;
        copy.full_every = cases[i].full_every;
        struct script *s = lived(dir, COPIED, until, 2);
        wipe(dir);
        cr_assert_eq(goes_on(s, COPIED, dir).stats.restores, 1);
        script_remove(dir);
        free(dir);
    }
}

Test(driver_topic, compaction_at_any_place_changes_nothing)
{
    for (int keep = 0; keep < 60; keep += 7) {
        const int64_t until[] = {100, 200, 300, CUT};
        char *dir = script_dir();
        copy_close();
        copy.piece_bytes = 600;
        struct script *s = lived(dir, COPIED, until, 4);
        const int n = copy.n;
        copy_compact(keep);
        cr_assert_lt(copy.n, n);
        wipe(dir);
        cr_assert_eq(goes_on(s, COPIED, dir).stats.restores, 1, "keep %d", keep);
        script_remove(dir);
        free(dir);
    }
}

/* Whichever call it is: when it was tried again the copy is right, and when it was not there is an older one. */
static void a_call_fails(int at, bool answer_lost)
{
    const int64_t until[] = {200, CUT};
    char *dir = script_dir();
    copy_close();
    struct script *s = script_open(RECORDS);
    s->end_at = until[0];
    cr_assert_eq(script_live(COPIED, dir).ran, EDDY_OK);
    copy.calls = 0;
    copy.fail_at = at;
    copy.answer_lost = answer_lost;
    s->end_at = until[1];
    const struct script_run second = script_live(COPIED, dir);
    cr_assert_eq(second.ran, EDDY_OK, "call %d: %s", at, second.err.message);
    cr_assert_eq(copy.failures, 1);
    copy.fail_at = 0;
    wipe(dir);
    s->end_at = 0;
    cr_assert_eq(goes_on(s, COPIED, dir).stats.restores, 1, "call %d", at);
    script_remove(dir);
    free(dir);
}

Test(driver_topic, a_broker_that_is_away_at_any_call_costs_nothing_but_time)
{
    const int64_t until[] = {200, CUT};
    char *dir = script_dir();
    copy_close();
    (void)lived(dir, COPIED, until, 1);
    copy.calls = 0;
    (void)lived(dir, COPIED, until + 1, 1);
    const int n = copy.calls;
    script_remove(dir);
    free(dir);
    cr_assert_gt(n, 10);
    for (int at = 1; at <= n; at += at < 8 || at > n - 6 ? 1 : 5) a_call_fails(at, false);
    a_call_fails(n, true); /* the commit, whose answer alone is lost */
}

Test(driver_topic, a_publication_that_a_dead_process_has_left_open_is_never_read)
{
    const int64_t until[] = {CUT};
    char *dir = script_dir();
    struct script *s = lived(dir, COPIED, until, 1);
    const int n = copy.n;
    copy.open = true; /* it had begun another and sent half of it */
    for (int i = 0; i < n / 2; i++) {
        struct copy_record *r = &copy.record[copy.n++];
        *r = copy.record[i];
        r->offset = copy.next++;
        r->key = malloc(r->key_len);
        memcpy(r->key, copy.record[i].key, r->key_len);
        r->value = strdup("half");
        r->n = 4;
    }
    is_restored(s, dir);
}

Test(driver_topic, another_process_that_publishes_ends_our_publications)
{
    const int64_t until[] = {200};
    char *dir = script_dir();
    struct script *s = lived(dir, COPIED, until, 1);
    copy.stolen_end = copy.next + 1000;
    copy.calls = 0;
    copy.fail_at = 8; /* behind end, seek and read, while it is being written */
    s->end_at = CUT;
    const struct script_run run = script_live(COPIED, dir);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_eq(copy.failures, 1);
    cr_assert_eq(copy.commits, 1);
    script_remove(dir);
    free(dir);
}

static void flip(int i)
{
    struct copy_record *r = &copy.record[i];
    char *at = r->value ? &r->value[r->n / 2] : &r->key[r->key_len - 1];
    *at = (char)(*at ^ 4);
}

/* The directory is gone, and something happened to record i of the copy, counted from its end: it is refused by name or,
 * where that is asked for, made anew from the source, and then with everything that is right. */
static bool damaged(void (*how)(int i), int i, const char *says)
{
    const int64_t until[] = {300, CUT};
    char *dir = script_dir();
    copy_close();
    struct script *s = lived(dir, COPIED, until, 2);
    wipe(dir);
    how(copy.n + i);
    const struct script_run refused = script_live(COPIED_OR_REFUSED, dir);
    if (refused.ran < 0) cr_assert_not_null(strstr(refused.err.message, says), "%s", refused.err.message);
    if (refused.ran < 0) (void)goes_on(s, COPIED, dir);
    cr_assert_eq(s->sent, RECORDS);
    for (int k = 0; k < RECORDS; k++) cr_assert_str_eq(s->out[k], topic_whole->out[k]);
    wipe(dir);
    const struct script_run again = script_live(COPIED, dir);
    cr_assert_eq(again.stats.restores, 1);
    cr_assert_str_eq(again.hash, topic_reference.hash);
    script_remove(dir);
    free(dir);
    return refused.ran < 0;
}

Test(driver_topic, a_damaged_copy_is_refused_by_name_or_made_anew)
{
    int refused = 0;
    for (int i = -26; i < -1; i++) refused += damaged(flip, i, "fails its checksum");
    cr_assert_gt(refused, 5);
}

Test(driver_topic, a_copy_that_lacks_a_record_is_refused_by_name_or_made_anew)
{
    int refused = 0;
    for (int i = -26; i < -1; i++) refused += damaged(copy_lose, i, "but what was published before");
    cr_assert_gt(refused, 5);
}

Test(driver_topic, without_its_manifest_a_publication_does_not_count_and_the_one_before_is_used)
{
    cr_assert_not(damaged(flip, -1, ""));
    cr_assert_not(damaged(copy_lose, -1, ""));
}

Test(driver_topic, a_damaged_record_that_a_newer_one_replaces_does_not_matter)
{
    const int64_t until[] = {300, CUT};
    char *dir = script_dir();
    struct script *s = lived(dir, COPIED, until, 2);
    wipe(dir);
    flip(0); /* a row, which all change */
    cr_assert_eq(goes_on(s, COPIED, dir).stats.restores, 1);
    script_remove(dir);
    free(dir);
}

Test(driver_topic, a_topic_that_was_made_anew_is_written_anew)
{
    const int64_t until[] = {300};
    char *dir = script_dir();
    struct script *s = lived(dir, COPIED, until, 1);
    copy_close(); /* and the brokers have forgotten the group's offset with it */
    s->end_at = CUT;
    cr_assert_eq(script_live(COPIED, dir).ran, EDDY_OK);
    cr_assert_eq(copy.commits, 1);
    s->end_at = 0;
    is_restored(s, dir);
}

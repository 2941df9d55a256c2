/* The driver against a scripted source and sink: nothing is lost, nothing is folded twice, whatever they do. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fixture_script.h"

#define LEARNING "train: {mode: inline, every: 4, window: 8, epoch: 64, windows: 8, batch: 4}\n"
#define OFTEN    "state: {checkpoint: 1ms}\n"
#define LETTERS  "errors: {dead_letter: {letters: {}}}\n"

static int64_t offset_of(const char *line)
{
    const char *at = strstr(line, "\"offset\":");
    cr_assert(at, "%s", line);
    return atoll(at + strlen("\"offset\":"));
}

Test(driver, every_record_has_its_result_in_order, .fini = script_close_all)
{
    struct script *s = script_open(1000);
    struct script_run run = script_live(LEARNING, NULL);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_eq(s->sent, 1000);
    for (int64_t i = 0; i < 1000; i++) cr_assert_eq(offset_of(s->out[i]), i);
    cr_assert_eq(s->out_partition_errors, 0);
    cr_assert_eq(run.stats.events, 1000);
    cr_assert_eq(run.stats.keys, 5);
    cr_assert_gt(run.stats.updates, 0);
    cr_assert_eq(s->committed, 1000);
}

Test(driver, batches_of_any_size_give_the_same_bytes, .fini = script_close_all)
{
    struct script *a = script_open(700);
    struct script_run first = script_live(LEARNING, NULL);
    struct script *b = script_open(700);
    b->batch = 7;
    struct script_run second = script_live(LEARNING, NULL);
    for (int i = 0; i < 700; i++) cr_assert_str_eq(a->out[i], b->out[i]);
    cr_assert_str_eq(first.hash, second.hash);
}

Test(driver, commits_only_what_the_sink_has_confirmed, .fini = script_close_all)
{
    struct script *s = script_open(1000);
    s->capacity = 60;
    s->confirm = 3;
    struct script_run run = script_live(LEARNING OFTEN, NULL);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_eq(s->sent, 1000);
    cr_assert_gt(s->commits, 1);
    cr_assert_eq(s->n_confirmed_at_commit, 1000);
}

Test(driver, pauses_while_the_broker_is_away_and_goes_on_when_it_returns, .fini = script_close_all)
{
    struct script *s = script_open(600);
    s->capacity = 50;
    s->deaf_services = 100;
    struct script_run run = script_live(LEARNING, NULL);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_eq(s->sent, 600);
    cr_assert_gt(s->serves, 50, "the group was served meanwhile");
    cr_assert_eq(s->pauses, 1);
    cr_assert_eq(s->resumes, 1);
}

Test(driver, an_undeliverable_result_ends_the_pipeline_and_is_not_committed, .fini = script_close_all)
{
    struct script *s = script_open(600);
    s->broken = true;
    struct script_run run = script_live(LEARNING OFTEN, NULL);
    cr_assert_eq(run.ran, EDDY_EIO);
    cr_assert(strstr(run.err.message, "too large"), "%s", run.err.message);
    cr_assert_eq(s->commits, 0);
}

/* ---- crashes ---- */

Test(driver, after_kill_9_nothing_is_missing_and_repeats_are_byte_equal, .fini = script_close_all)
{
    char *dir = script_dir();
    struct script *whole = script_open(900);
    struct script_run reference = script_live(LEARNING, NULL);
    cr_assert_eq(reference.ran, EDDY_OK);

    struct script *s = script_open(900);
    for (int64_t at = 130; at < 800; at += 170) script_die(LEARNING OFTEN, dir, at);
    struct script_run run = script_live(LEARNING OFTEN, dir);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_str_eq(run.hash, reference.hash);
    cr_assert_gt(s->sent, 0);
    for (int64_t i = 0; i < s->sent; i++) cr_assert_str_eq(s->out[i], whole->out[offset_of(s->out[i])]);
    cr_assert_leq(offset_of(s->out[0]), 810, "it went on at a checkpoint, not at the end");
    script_remove(dir);
    free(dir);
}

Test(driver, goes_on_exactly_after_an_orderly_stop, .fini = script_close_all)
{
    char *dir = script_dir();
    struct script *whole = script_open(500);
    (void)script_live(LEARNING, NULL);
    struct script *s = script_open(500);
    s->end_at = 333;
    cr_assert_eq(script_live(LEARNING, dir).ran, EDDY_OK);
    s->end_at = 0;
    cr_assert_eq(script_live(LEARNING, dir).ran, EDDY_OK);
    cr_assert_eq(s->sent, 500, "no result twice");
    for (int i = 0; i < 500; i++) cr_assert_str_eq(s->out[i], whole->out[i]);
    script_remove(dir);
    free(dir);
}

Test(driver, missing_state_is_rebuilt_silently, .fini = script_close_all)
{
    char *dir = script_dir(), *other = script_dir();
    struct script *whole = script_open(500);
    struct script_run reference = script_live(LEARNING, NULL);
    struct script *s = script_open(500);
    s->end_at = 300;
    cr_assert_eq(script_live(LEARNING, dir).ran, EDDY_OK);
    s->end_at = 0;
    struct script_run run = script_live(LEARNING, other);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_eq(run.stats.silent, 300);
    cr_assert_eq(s->sent, 500);
    for (int i = 0; i < 500; i++) cr_assert_str_eq(s->out[i], whole->out[i]);
    cr_assert_str_eq(run.hash, reference.hash);
    script_remove(dir), script_remove(other);
    free(dir), free(other);
}

Test(driver, missing_state_is_refused_when_told_to, .fini = script_close_all)
{
    char *dir = script_dir();
    struct script *s = script_open(500);
    s->committed = 300;
    struct script_run run = script_live("state: {missing: refuse}\n", dir);
    cr_assert_eq(run.ran, EDDY_ENOTFOUND);
    cr_assert(strstr(run.err.message, "t[0]") && strstr(run.err.message, "300"), "%s", run.err.message);
    cr_assert_eq(s->sent, 0);
    script_remove(dir);
    free(dir);
}

Test(driver, state_behind_another_members_commit_catches_up_silently, .fini = script_close_all)
{
    char *dir = script_dir();
    struct script *whole = script_open(500);
    (void)script_live(LEARNING, NULL);
    struct script *s = script_open(500);
    s->end_at = 200;
    cr_assert_eq(script_live(LEARNING, dir).ran, EDDY_OK);
    s->end_at = 0;
    s->committed = 350;
    struct script_run run = script_live(LEARNING, dir);
    cr_assert_eq(run.stats.silent, 150);
    cr_assert_eq(s->sent, 350);
    cr_assert_str_eq(s->out[200], whole->out[350]);
    script_remove(dir);
    free(dir);
}

Test(driver, a_topic_that_ends_before_the_state_is_refused, .fini = script_close_all)
{
    char *dir = script_dir();
    script_open(500);
    cr_assert_eq(script_live(LEARNING, dir).ran, EDDY_OK);
    struct script *fresh = script_open(100);
    struct script_run run = script_live(LEARNING, dir);
    cr_assert_eq(run.ran, EDDY_EMISMATCH);
    cr_assert(strstr(run.err.message, "created anew"), "%s", run.err.message);
    cr_assert_eq(fresh->sent, 0);
    script_remove(dir);
    free(dir);
}

Test(driver, state_older_than_what_the_topic_keeps_is_refused, .fini = script_close_all)
{
    char *dir = script_dir();
    struct script *s = script_open(500);
    s->end_at = 100;
    cr_assert_eq(script_live(LEARNING, dir).ran, EDDY_OK);
    s->end_at = 0;
    s->low = 200;
    struct script_run run = script_live(LEARNING, dir);
    cr_assert_eq(run.ran, EDDY_EMISMATCH);
    cr_assert(strstr(run.err.message, "keeps only 200"), "%s", run.err.message);
    cr_assert_eq(run.stats.partitions_refused, 1);
    cr_assert_eq(s->sent, 100);
    cr_assert_eq(s->position, 500, "it waits where nothing is asked for that the topic no longer has");

    run = script_live(LEARNING "state: {gap: accept}\n", dir);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_eq(s->sent, 400);
    cr_assert_eq(offset_of(s->out[100]), 200);
    script_remove(dir);
    free(dir);
}

/* One life up to `end`, then the topic keeps only 200 and later, and the state directory is gone. */
static struct script *topic_cut_after(int64_t end, const char *dir)
{
    struct script *s = script_open(500);
    s->end_at = end;
    cr_assert_eq(script_live(LEARNING, dir).ran, EDDY_OK);
    s->end_at = 0;
    s->low = 200;
    return s;
}

static void cut_topic_is_refused(const struct script *s, int64_t wanted, const char *dir)
{
    char text[100];
    const int64_t sent = s->sent;
    struct script_run run = script_live(LEARNING, dir);
    cr_assert_eq(run.ran, EDDY_EMISMATCH);
    (void)snprintf(text, sizeof(text), "needs offset %lld and later, but the topic keeps only 200",
                   (long long)wanted);
    cr_assert(strstr(run.err.message, text), "%s", run.err.message);
    cr_assert_eq(s->sent, sent);
}

Test(driver, state_that_would_be_made_anew_from_less_than_it_was_made_of_is_refused, .fini = script_close_all)
{
    char *dir = script_dir(), *other = script_dir();
    struct script *s = topic_cut_after(300, dir);
    cr_assert_eq(s->sent, 300);
    cut_topic_is_refused(s, 0, other);

    struct script_run run = script_live(LEARNING "state: {gap: accept}\n", other);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_eq(run.stats.silent, 100);
    cr_assert_eq(offset_of(s->out[300]), 300);
    script_remove(dir), script_remove(other);
    free(dir), free(other);
}

Test(driver, a_group_whose_next_record_is_gone_is_refused_without_state_too, .fini = script_close_all)
{
    char *dir = script_dir(), *other = script_dir(), *third = script_dir();
    struct script *s = topic_cut_after(100, dir);
    cr_assert_eq(s->sent, 100);
    cut_topic_is_refused(s, 100, other);

    struct script_run run = script_live(LEARNING "state: {gap: accept}\n", third);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_eq(s->sent, 400);
    cr_assert_eq(offset_of(s->out[100]), 200);
    script_remove(dir), script_remove(other), script_remove(third);
    free(dir), free(other), free(third);
}

Test(driver, two_of_them_on_one_state_directory_are_refused, .fini = script_close_all)
{
    char *dir = script_dir();
    script_open(100);
    struct config *config = script_config("");
    struct driver_request q = {
        .settings = config_settings(config), .source = &script_source, .state = DRIVER_STATE_KEPT, .state_path = dir};
    struct driver *first, *second;
    struct eddy_error err = {0};
    cr_assert_eq(driver_open(&q, &first, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(driver_open(&q, &second, &err), EDDY_EBUSY);
    cr_assert(strstr(err.message, dir), "%s", err.message);
    driver_close(first);
    config_close(config);
    script_remove(dir);
    free(dir);
}

Test(driver, a_topic_that_ends_before_the_groups_offset_is_refused, .fini = script_close_all)
{
    char *dir = script_dir();
    struct script *s = script_open(100);
    s->committed = 300;
    struct script_run run = script_live(LEARNING, dir);
    cr_assert_eq(run.ran, EDDY_EMISMATCH);
    cr_assert(strstr(run.err.message, "300"), "%s", run.err.message);
    script_remove(dir);
    free(dir);
}

Test(driver, a_partition_of_bad_records_alone_keeps_its_place, .fini = script_close_all)
{
    char *dir = script_dir();
    struct script *s = script_open(40);
    for (int i = 0; i < 30; i++) script_replace(s, i, "no");
    s->end_at = 20;
    for (int life = 0; life < 3; life++) cr_assert_eq(script_live(LETTERS, dir).ran, EDDY_OK);
    cr_assert_eq(s->n_letters, 20, "each bad record once, not once per start");
    cr_assert_eq(s->committed, 20);
    s->end_at = 0;
    cr_assert_eq(script_live(LETTERS, dir).ran, EDDY_OK);
    cr_assert_eq(s->n_letters, 30);
    cr_assert_eq(s->sent, 10);
    script_remove(dir);
    free(dir);
}

/* ---- rebalances ---- */

Test(driver, a_partition_revoked_while_the_sink_is_full_stops_there, .fini = script_close_all)
{
    char *dir = script_dir();
    struct script *s = script_open(600);
    s->capacity = 50;
    s->deaf_services = 20;
    s->revoke_in_serve = 5;
    struct script_run run = script_live(LEARNING, dir);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_lt(s->sent, 600);

    /* The next owner of the same files goes on without a gap. */
    int64_t before = s->sent;
    s->revoke_in_serve = 0;
    s->revokes = 0;
    s->capacity = 0;
    run = script_live(LEARNING, dir);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    bool seen[600] = {0};
    for (int64_t i = 0; i < s->sent; i++) seen[offset_of(s->out[i])] = true;
    for (int i = 0; i < 600; i++) cr_assert(seen[i], "offset %d has no result", i);
    cr_assert_leq(offset_of(s->out[before]), before);
    script_remove(dir);
    free(dir);
}

Test(driver, a_lost_partition_writes_nothing, .fini = script_close_all)
{
    char *dir = script_dir();
    struct script *s = script_open(600);
    s->capacity = 50;
    s->deaf_services = 20;
    s->revoke_in_serve = 5;
    s->lost = true;
    cr_assert_eq(script_live(LEARNING, dir).ran, EDDY_OK);
    cr_assert_eq(s->commits, 0);
    script_remove(dir);
    free(dir);
}

/* ---- bad records ---- */

Test(driver, a_poison_record_at_any_place_of_a_batch_leaves_its_neighbours_alone, .fini = script_close_all)
{
    enum { N = 64 };
    struct script *clean = script_open(N);
    clean->batch = 16;
    (void)script_live(LEARNING, NULL);
    for (int poison = 0; poison < N; poison++) {
        struct script *s = script_open(N);
        s->batch = 16;
        script_replace(s, poison, "{\"ts\":");
        struct script_run run = script_live(LEARNING LETTERS, NULL);
        cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
        cr_assert_eq(s->n_letters, 1);
        cr_assert_eq(s->letter_offsets[0], poison);
        cr_assert_str_eq(s->letters[0], "{\"ts\":");
        cr_assert_str_eq(s->codes[0], "not_json");
        cr_assert_eq(s->sent, N - 1);
        for (int i = 0; i < N - 1; i++) {
            int64_t offset = offset_of(s->out[i]);
            cr_assert_eq(offset, i + (i >= poison));
            if (offset % 5 != poison % 5)
                cr_assert_str_eq(s->out[i], clean->out[offset], "another key's result changed");
        }
    }
}

Test(driver, the_first_bad_record_ends_it_when_none_are_tolerated, .fini = script_close_all)
{
    struct script *s = script_open(100);
    script_replace(s, 42, "no");
    s->batch = 10;
    struct script_run run = script_live("errors: {tolerance: none}\n", NULL);
    cr_assert_eq(run.ran, EDDY_EDATA);
    cr_assert(strstr(run.err.message, "t[0] offset 42"), "%s", run.err.message);
    cr_assert_eq(s->committed, 42, "everything before it is kept");
}

Test(driver, tombstones_forget_a_key, .fini = script_close_all)
{
    struct script *s = script_open(200);
    script_replace(s, 100, NULL); /* key a */
    struct script_run run = script_live("", NULL);
    cr_assert_eq(run.stats.tombstones, 1);
    cr_assert_eq(s->sent, 199);
    cr_assert(strstr(s->out[104], "\"yhat\":null"), "offset 105 is the first of its key again: %s", s->out[104]);
    cr_assert_not(strstr(s->out[105], "\"yhat\":null"));
}

Test(driver, records_before_the_first_good_one_do_not_matter, .fini = script_close_all)
{
    struct script *s = script_open(50);
    for (int i = 0; i < 20; i++) script_replace(s, i, "[]");
    struct script_run run = script_live(LETTERS, NULL);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_eq(s->n_letters, 20);
    cr_assert_eq(s->sent, 30);
}

/* state.topic: what a publication may build on, when partitions come and go and brokers are away at the wrong moment. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/flow/driver_private.h"
#include "fixture_topic.h"

TestSuite(driver_topic_moves, .init = topic_setup, .fini = topic_teardown);

/* ---- keys that go by their age, which nobody finds in the rows ---- */

#define AGED   "state: {ttl: 12000s}\n" LEARNING
#define SWEPT  "state: {topic: copy, topic_interval: 100ms, ttl: 12000s}\n" LEARNING
#define SWEEPS "state: {topic: copy, topic_interval: 100ms, ttl: 12000s, checkpoint: 1ms}\n" LEARNING

/* Of key z there is record 100 alone, which is too old from offset 302 on.  Machine a publishes at 299 and has swept z when it
 * stands at `a_stands`; machine b sweeps before 302 and again from 304 on, and publishes at 303: with z.  Then a has the
 * partition again. */
static void comes_back(int64_t a_stands)
{
    char *a = script_dir(), *b = script_dir();
    struct script *s = script_open(RECORDS);
    s->key[100] = "z";
    (void)lives_to(s, a, SWEPT, 299);
    (void)lives_to(s, a, AGED, a_stands);
    s->batch = 1;
    cr_assert_eq(lives_to(s, b, SWEEPS, 303).stats.restores, 1);
    s->batch = 100;
    const struct script_run last = lives_to(s, a, SWEPT, 400);
    wipe(a);
    const struct script_run again = lives_to(s, a, SWEPT, 400);
    cr_assert_eq(again.stats.restores, 1);
    cr_assert_str_eq(again.hash, last.hash);
    script_remove(a), script_remove(b);
    free(a), free(b);
}

Test(driver_topic_moves, a_state_older_than_the_topic_s_builds_on_nothing_where_keys_are_swept)
{
    comes_back(302);
}

Test(driver_topic_moves, a_state_of_the_same_offset_that_is_not_the_topic_s_builds_on_nothing)
{
    comes_back(303);
}

/* ---- what the topic lacks ---- */

/* Each record its own key. */
static struct script *of_many_keys(int n)
{
    static char names[SCRIPT_RECORDS][16];
    struct script *s = script_open(n);
    for (int i = 0; i < n; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "k%d", i);
        s->key[i] = names[i];
    }
    return s;
}

static struct rlimit roomy;

static void disk_fills(void)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &roomy), 0);
    struct rlimit full = roomy;
    full.rlim_cur = 100000;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &full), 0);
}

static void disk_has_room(void)
{
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &roomy), 0);
}

/* The copy gives, where nothing is left, the state of that life; nobody needs the directory any more. */
static void gives_back(struct script *s, char *dir, const struct script_run *life)
{
    wipe(dir);
    const struct script_run again = lives_to(s, dir, COPIED, 0);
    cr_assert_eq(again.stats.restores, 1);
    cr_assert_str_eq(again.hash, life->hash);
    script_remove(dir);
    free(dir);
}

Test(driver_topic_moves, a_disk_without_room_for_what_the_topic_lacks_ends_nothing)
{
    char *dir = script_dir();
    struct script *s = of_many_keys(RECORDS);
    const struct script_run run = lives_to(s, dir, LEARNING, 0);
    disk_fills();
    (void)lives_to(s, dir, COPIED, 0);
    disk_has_room();
    cr_assert_eq(copy.commits, 0);
    (void)lives_to(s, dir, COPIED, 0);
    cr_assert_eq(copy.commits, 1);
    gives_back(s, dir, &run);
}

static void disk_has_room_later(const struct script *s)
{
    if (s->polls == 300) disk_has_room();
}

/* Lines that a life writes to the log. */
static int lines_of(struct script *s, const char *dir, const char *yaml)
{
    FILE *log = tmpfile();
    const int saved = dup(STDERR_FILENO);
    int lines = 0;
    cr_assert(log && saved >= 0);
    (void)fflush(stderr);
    cr_assert_geq(dup2(fileno(log), STDERR_FILENO), 0);
    (void)lives_to(s, dir, yaml, 0);
    (void)fflush(stderr);
    cr_assert_geq(dup2(saved, STDERR_FILENO), 0);
    (void)close(saved);
    rewind(log);
    for (int c; (c = fgetc(log)) != EOF;) lines += c == '\n';
    (void)fclose(log);
    return lines;
}

Test(driver_topic_moves, a_full_disk_is_tried_again_every_interval_though_nothing_comes_any_more, .timeout = 20)
{
    static volatile sig_atomic_t stop;
    char *dir = script_dir();
    struct script *s = of_many_keys(RECORDS);
    (void)lives_to(s, dir, LEARNING, 0);
    disk_fills();
    s->polls = 0;
    s->on_poll = disk_has_room_later;
    s->stop = &stop; /* by the first commit */
    const int64_t began_ns = driver_clock_ns();
    const int lines = lines_of(s, dir, COPIED);
    const int64_t intervals = (driver_clock_ns() - began_ns) / 100000000;
    cr_assert_gt(s->polls, 300);
    cr_assert_eq(copy.commits, 1);
    cr_assert_geq(lines, 1);
    cr_assert_leq(lines, intervals + 10, "%d lines in %d intervals", lines, (int)intervals);
    script_remove(dir);
    free(dir);
}

Test(driver_topic_moves, a_slice_of_a_publication_is_as_long_as_its_time_however_many_rows_that_are)
{
    enum { KEYS = 12000, AT_ONCE = 64 }; /* rows between two looks at the clock */
    char *dir = script_dir();
    struct script *s = of_many_keys(KEYS + 500);
    copy.piece_bytes = 1 << 20;
    (void)lives_to(s, dir, "", KEYS);
    s->batch = 1;
    (void)lives_to(s, dir, "state: {topic: copy, topic_interval: 100ms, checkpoint: 1ms}\n", 0);
    cr_assert_gt(copy.n_committed, KEYS);
    cr_assert_lt(copy.most_turns, KEYS / AT_ONCE / 4, "%d rows in %d turns", KEYS, copy.most_turns);
    script_remove(dir);
    free(dir);
}

Test(driver_topic_moves, a_state_to_which_nothing_comes_any_more_is_published_all_the_same, .timeout = 20)
{
    static volatile sig_atomic_t stop;
    const int64_t until[] = {CUT};
    char *dir = script_dir();
    struct script *s = lived(dir, LEARNING, until, 1);
    s->stop = &stop; /* by the first commit */
    (void)lives_to(s, dir, COPIED, CUT);
    cr_assert_eq(copy.commits, 1);
    script_remove(dir);
    free(dir);
}

/* ---- a publication that fails ---- */

/* A life in which call `at` fails, 0 = none, and that lasts until it was tried again. */
static void fails_and_goes_on(struct script *s, const char *dir, int at)
{
    s->batch = 1;
    s->slow_us = 3000;
    copy.calls = 0;
    copy.fail_at = at;
    (void)lives_to(s, dir, "state: {topic: copy, topic_interval: 100ms, checkpoint: 1ms}\n" LEARNING, CUT);
    cr_assert_eq(copy.failures, at > 0);
    s->batch = 100;
    s->slow_us = 0;
}

Test(driver_topic_moves, a_failure_does_not_end_publications_where_the_group_knows_one_that_cannot_be_found)
{
    const int64_t until[] = {200};
    char *dir = script_dir();
    struct script *s = lived(dir, COPIED, until, 1);
    copy_lose(copy.n - 1); /* the manifest */
    fails_and_goes_on(s, dir, copy.n + 8);
    cr_assert_gt(copy.commits, 2);
    is_restored(s, dir);
}

/* A life in which the topic is made anew leaves a copy that the next one restores, although key "once" has not changed. */
static void made_anew(int fail_at, int vanish_at)
{
    char *dir = script_dir();
    struct script *s = script_open(RECORDS);
    s->key[10] = "once";
    (void)lives_to(s, dir, COPIED, 200);
    copy.vanishes = fail_at > 0;
    copy.vanish_at = vanish_at;
    fails_and_goes_on(s, dir, fail_at);
    const struct script_run last = lives_to(s, dir, COPIED, 0);
    gives_back(s, dir, &last);
}

Test(driver_topic_moves, a_topic_that_is_made_anew_while_we_run_is_written_anew)
{
    made_anew(60, 0);
}

Test(driver_topic_moves, a_topic_that_is_made_anew_unnoticed_is_written_anew)
{
    made_anew(0, 3);
}

Test(driver_topic_moves, a_topic_that_is_made_anew_unnoticed_is_written_anew_though_the_group_knows_the_old_one)
{
    copy.remembers = true;
    made_anew(0, 3);
}

Test(driver_topic_moves, a_state_to_which_nothing_comes_is_written_anew_too, .timeout = 20)
{
    static volatile sig_atomic_t stop;
    const int64_t until[] = {200};
    char *dir = script_dir();
    struct script *s = lived(dir, COPIED, until, 1);
    copy.vanish_at = 2;
    s->stop = &stop; /* by the first commit */
    (void)lives_to(s, dir, "state: {topic: copy, topic_interval: 100ms, checkpoint: 1ms}\n" LEARNING, CUT);
    cr_assert_geq(copy.commits, 2);
    s->stop = NULL;
    is_restored(s, dir);
}

Test(driver_topic_moves, a_thing_too_long_for_the_topic_ends_nothing)
{
    const int64_t until[] = {200};
    char *dir = script_dir();
    copy.piece_bytes = 4096;
    struct script *s = lived(dir, COPIED, until, 1);
    const int n = copy.commits;
    copy.too_long = true;
    (void)lives_to(s, dir, COPIED, 400);
    cr_assert_eq(copy.commits, n);
    copy.too_long = false;
    (void)lives_to(s, dir, COPIED, CUT);
    cr_assert_eq(copy.commits, n + 1);
    is_restored(s, dir);
}

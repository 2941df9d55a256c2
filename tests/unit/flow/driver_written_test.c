/* Where the group was moved by hand: results from there on are written again, and only once, whatever ends a life. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flow/position_mark.h"
#include "fixture_script.h"

enum { ALL = 1000, SOME = 400 };

static void gone(char *dir)
{
    script_remove(dir);
    free(dir);
}

/* Everything was written, then the group was moved to the beginning, and the state put away. */
static struct script *moved(const char *metadata)
{
    struct script *s = script_open(ALL);
    s->remembers = true;
    char *dir = script_dir();
    const struct script_run run = script_live("", dir);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_eq(s->sent, ALL);
    gone(dir);
    s->committed = 0;
    (void)snprintf(s->metadata, sizeof(s->metadata), "%s", metadata);
    return s;
}

/* Another life, up to an offset. */
static void live_to(struct script *s, const char *dir, int64_t end)
{
    s->end_at = end;
    const struct script_run run = script_live("", dir);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
}

Test(driver_written, before_the_first_commit_after_a_reset_a_life_repeats_nothing, .fini = script_close_all)
{
    struct script *s = moved("eddy output=1000");
    char *dir = script_dir();
    live_to(s, dir, SOME);
    cr_assert_eq(s->sent, ALL + SOME, "results are written again");
    script_remove(dir); /* its machine has gone, and the commit with it */
    s->committed = 0;
    (void)snprintf(s->metadata, sizeof(s->metadata), "eddy output=1000");
    live_to(s, dir, 0);
    cr_assert_eq(s->sent, ALL + ALL, "%ld results", (long)s->sent);
    for (int i = 0; i < ALL; i++) cr_assert_str_eq(s->out[ALL + i], s->out[i]);
    gone(dir);
}

Test(driver_written, after_it_results_of_before_the_reset_hide_nothing, .fini = script_close_all)
{
    struct script *s = moved("eddy output=1000");
    char *dir = script_dir();
    live_to(s, dir, SOME);
    cr_assert_eq(s->committed, SOME);
    cr_assert_str_eq(s->metadata, "eddy start=0 output=1000");
    live_to(s, dir, 0);
    cr_assert_eq(s->sent, ALL + ALL, "%ld results", (long)s->sent);
    cr_assert_str_eq(s->metadata, "eddy start=0 output=1000", "it is handed on");
    gone(dir);
}

Test(driver_written, a_group_that_others_have_moved_gets_its_mark_with_the_first_commit, .fini = script_close_all)
{
    struct script *s = moved("");
    char *dir = script_dir();
    live_to(s, dir, SOME);
    cr_assert_eq(s->sent, ALL + SOME);
    cr_assert_str_eq(s->metadata, "eddy start=0 output=1000");
    live_to(s, dir, 0);
    cr_assert_eq(s->sent, ALL + ALL, "%ld results", (long)s->sent);
    gone(dir);
}

Test(driver_written, a_group_that_nobody_has_moved_needs_no_mark, .fini = script_close_all)
{
    struct script *s = script_open(ALL);
    s->remembers = true;
    char *dir = script_dir();
    live_to(s, dir, SOME);
    cr_assert_str_eq(s->metadata, "eddy start=0");
    live_to(s, dir, 0);
    cr_assert_eq(s->sent, ALL);
    gone(dir);
}

Test(position_mark, says_what_was_written_and_nothing_of_others_text)
{
    char text[POSITION_MARK_BYTES];
    position_mark_write((struct position_mark){INT64_MAX, INT64_MAX}, text);
    struct position_mark mark = position_mark_read(text);
    cr_assert_eq(mark.start, INT64_MAX);
    cr_assert_eq(mark.output, INT64_MAX);
    position_mark_write((struct position_mark){-1, 7}, text);
    cr_assert_str_eq(text, "eddy output=7");
    mark = position_mark_read(text);
    cr_assert_eq(mark.start, -1);
    cr_assert_eq(mark.output, 7);
    mark = position_mark_read("eddy start=12");
    cr_assert_eq(mark.start, 12);
    cr_assert_eq(mark.output, -1);
    const char *others[] = {"", "eddy", "start=3", "freddy start=3", "eddy start=-3 output="};
    for (int i = 0; i < 5; i++) {
        mark = position_mark_read(others[i]);
        cr_assert_eq(mark.start, -1, "%s", others[i]);
        cr_assert_eq(mark.output, -1, "%s", others[i]);
    }
}

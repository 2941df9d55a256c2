/* A damaged state file: set aside and made anew from the topic, or refused; results are the same in any case. */
#include <criterion/criterion.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture_script.h"

#define LEARNING "train: {mode: inline, every: 4, window: 8, epoch: 64, windows: 8, batch: 4}\n"

static char *state_file(const char *dir)
{
    char *path = NULL;
    cr_assert_gt(asprintf(&path, "%s/test/t-0.db", dir), 0);
    return path;
}

/* Every 97th byte of the second half is another: rows, or what leads to them. */
static void damage(const char *path)
{
    FILE *f = fopen(path, "r+b");
    cr_assert(f && fseek(f, 0, SEEK_END) == 0);
    long n = ftell(f);
    for (long at = n / 2; at < n; at += 97) {
        (void)fseek(f, at, SEEK_SET);
        int c = fgetc(f);
        (void)fseek(f, at, SEEK_SET);
        (void)fputc(c ^ 0x10, f);
    }
    cr_assert_eq(fclose(f), 0);
}

static size_t set_aside_files(const char *path)
{
    char pattern[200];
    glob_t found;
    (void)snprintf(pattern, sizeof(pattern), "%s.corrupt-*", path);
    size_t n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return n;
}

/* One life has left its state at 600 of 1,000 records; the next one goes to the end. */
static struct script *lived_to_600(const char *dir)
{
    struct script *s = script_open(1000);
    s->end_at = 600;
    cr_assert_eq(script_live(LEARNING, dir).ran, EDDY_OK);
    s->end_at = 0;
    return s;
}

Test(driver_damage, a_damaged_file_is_set_aside_and_its_state_made_anew_in_silence, .fini = script_close_all)
{
    struct script *whole = script_open(1000);
    struct script_run reference = script_live(LEARNING, NULL);
    char *dir = script_dir(), *path = state_file(dir);

    struct script *s = lived_to_600(dir);
    damage(path);
    struct script_run run = script_live(LEARNING, dir);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_eq(run.stats.set_aside, 1);
    cr_assert_eq(run.stats.silent, 600);
    cr_assert_eq(s->sent, 1000);
    for (int i = 0; i < 1000; i++) cr_assert_str_eq(s->out[i], whole->out[i]);
    cr_assert_str_eq(run.hash, reference.hash);
    cr_assert_eq(set_aside_files(path), 1);

    run = script_live(LEARNING, dir); /* and what was made anew is good */
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    cr_assert_eq(run.stats.set_aside, 0);
    cr_assert_eq(s->sent, 1000);
    free(path);
    script_remove(dir);
    free(dir);
}

Test(driver_damage, a_row_that_cannot_be_is_named_and_the_next_start_makes_the_state_anew, .fini = script_close_all)
{
    struct script *whole = script_open(1000);
    struct script_run reference = script_live(LEARNING, NULL);
    char *dir = script_dir(), *path = state_file(dir);

    struct script *s = lived_to_600(dir);
    script_spoil_row(path);
    struct script_run run = script_live(LEARNING, dir);
    cr_assert_eq(run.ran, EDDY_ECORRUPT, "%d %s", run.ran, run.err.message);
    cr_assert(strstr(run.err.message, path) && strstr(run.err.message, "\"a\"") && strstr(run.err.message, "scale"),
              "%s", run.err.message);
    cr_assert_eq(set_aside_files(path), 1);

    run = script_live(LEARNING, dir);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    for (int i = 0; i < 1000; i++) cr_assert_str_eq(s->out[i], whole->out[i]);
    cr_assert_str_eq(run.hash, reference.hash);
    free(path);
    script_remove(dir);
    free(dir);
}

Test(driver_damage, state_missing_refuse_leaves_a_damaged_file_alone_and_names_it, .fini = script_close_all)
{
    char *dir = script_dir(), *path = state_file(dir);
    struct script *s = lived_to_600(dir);
    damage(path);
    struct script_run run = script_live(LEARNING "state: {missing: refuse}\n", dir);
    cr_assert_eq(run.ran, EDDY_ECORRUPT, "%d %s", run.ran, run.err.message);
    cr_assert(strstr(run.err.message, path) && strstr(run.err.message, "state.missing: rebuild"), "%s",
              run.err.message);
    cr_assert_eq(set_aside_files(path), 0);
    cr_assert_eq(access(path, F_OK), 0);
    cr_assert_eq(s->sent, 600);
    free(path);
    script_remove(dir);
    free(dir);
}

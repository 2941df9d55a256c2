/* The command line: rows fill structs, mistakes are usage errors that help. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <signal.h>
#include <string.h>

#include "plugin/commands.h"

struct args {
    bool flag;
    const char *text;
    struct command_list list;
    int64_t count;
};
static const struct command_option options[] = {
    {"flag", COMMAND_FLAG, offsetof(struct args, flag), NULL, "a flag"},
    {"text", COMMAND_TEXT, offsetof(struct args, text), "T", "a text"},
    {"list", COMMAND_LIST, offsetof(struct args, list), "L", "a list"},
    {"count", COMMAND_COUNT, offsetof(struct args, count), "N", "a number"},
    {0},
};
static const struct command command = {"probe", "CONFIG [X]", 1, 2, "a probe", NULL, options, NULL};

static int parse(struct args *args, struct command_context *c, char **argv)
{
    int argc = 0;
    while (argv[argc]) argc++;
    *args = (struct args){0};
    *c = (struct command_context){.command = &command};
    return command_parse(c, argc, argv, args);
}
#define ARGV(...) ((char *[]){"probe", __VA_ARGS__, NULL})

Test(command, options_may_stand_anywhere_and_fill_the_struct)
{
    struct args a;
    struct command_context c;
    char **argv = ARGV("--list=x", "c.yml", "--flag", "--list", "y", "--count", "-3", "--text", "t");
    cr_assert_eq(parse(&a, &c, argv), COMMAND_GO);
    cr_assert(a.flag);
    cr_assert_str_eq(a.text, "t");
    cr_assert_eq(a.list.n, 2);
    cr_assert_str_eq(a.list.item[0], "x");
    cr_assert_str_eq(a.list.item[1], "y");
    cr_assert_null(a.list.item[2]);
    cr_assert_eq(a.count, -3);
    cr_assert_eq(c.n_positional, 1);
    cr_assert_str_eq(c.positional[0], "c.yml");
}

Test(command, a_misspelt_option_is_a_usage_error_with_a_proposal, .init = cr_redirect_stderr)
{
    struct args a;
    struct command_context c;
    cr_assert_eq(parse(&a, &c, ARGV("c.yml", "--conut", "3")), COMMAND_USAGE);
    fflush(stderr);
    cr_assert_stderr_eq_str("eddy probe: unknown option --conut (did you mean --count?)\nTry `eddy help probe`.\n");
}

Test(command, wrong_numbers_missing_values_and_extra_words_are_usage_errors, .init = cr_redirect_stderr)
{
    struct args a;
    struct command_context c;
    cr_assert_eq(parse(&a, &c, ARGV("c.yml", "--count", "3x")), COMMAND_USAGE);
    cr_assert_eq(parse(&a, &c, ARGV("c.yml", "--count", "99999999999999999999")), COMMAND_USAGE);
    cr_assert_eq(parse(&a, &c, ARGV("c.yml", "--text")), COMMAND_USAGE);
    cr_assert_eq(parse(&a, &c, ARGV("c.yml", "--text", "")), COMMAND_USAGE);
    cr_assert_eq(parse(&a, &c, ARGV("c.yml", "--flag=yes")), COMMAND_USAGE);
    cr_assert_eq(parse(&a, &c, ARGV("c.yml", "-x")), COMMAND_USAGE);
    cr_assert_eq(parse(&a, &c, ARGV("a", "b", "c")), COMMAND_USAGE);
    cr_assert_eq(parse(&a, &c, (char *[]){"probe", NULL}), COMMAND_USAGE);
}

Test(command, a_list_has_an_end, .init = cr_redirect_stderr)
{
    static char *argv[COMMAND_LIST_MAX + 4];
    struct args a;
    struct command_context c;
    argv[0] = "probe";
    argv[1] = "c.yml";
    for (int i = 0; i <= COMMAND_LIST_MAX; i++) argv[2 + i] = "--list=x";
    cr_assert_eq(parse(&a, &c, argv), COMMAND_USAGE);
    argv[2 + COMMAND_LIST_MAX] = NULL;
    cr_assert_eq(parse(&a, &c, argv), COMMAND_GO);
}

Test(command, every_row_of_the_table_parses_and_knows_its_options, .init = cr_redirect_stderr)
{
    int n_commands = 0;
    for (const struct command *const *c = command_table; *c; c++, n_commands++) {
        struct command_context context = {.command = *c};
        int n = 0;
        while ((*c)->options && (*c)->options[n].name) n++;
        cr_assert_leq(n, COMMAND_ROWS_MAX, "%s has %d options", (*c)->name, n);
        cr_assert_eq(command_parse(&context, 2, (char *[]){"probe", "--no-such-option", NULL}, NULL), COMMAND_USAGE);
    }
    cr_assert_leq(n_commands, COMMAND_ROWS_MAX);
}

static struct command_option long_table[COMMAND_ROWS_MAX + 2];
static int parse_long_table(int n)
{
    static const struct command wide = {"wide", "", 0, 0, "many options", NULL, long_table, NULL};
    struct command_context c = {.command = &wide};
    bool flag;
    for (int i = 0; i < n; i++) long_table[i] = (struct command_option){"x", COMMAND_FLAG, 0, NULL, "x"};
    return command_parse(&c, 1, (char *[]){"wide", NULL}, &flag);
}

Test(command, a_table_may_be_full)
{
    cr_assert_eq(parse_long_table(COMMAND_ROWS_MAX), COMMAND_GO);
}

Test(command, a_table_that_is_too_long_is_a_bug, .signal = SIGABRT, .init = cr_redirect_stderr)
{
    parse_long_table(COMMAND_ROWS_MAX + 1);
}

Test(command, every_row_of_the_table_can_explain_itself, .init = cr_redirect_stdout)
{
    for (const struct command *const *c = command_table; *c; c++) {
        cr_assert_not_null((*c)->run, "%s", (*c)->name);
        cr_assert_not_null((*c)->summary, "%s", (*c)->name);
        cr_assert_eq(command_find((*c)->name), *c);
        cr_assert_leq((*c)->min_positional, (*c)->max_positional);
        for (const struct command_option *o = (*c)->options; o && o->name; o++) {
            cr_assert_not_null(o->help, "%s --%s", (*c)->name, o->name);
            cr_assert_eq(o->argument == NULL, o->type == COMMAND_FLAG, "%s --%s", (*c)->name, o->name);
        }
        command_help(*c, stdout);
    }
}

Test(command, commands_with_a_configuration_take_set)
{
    for (const struct command *const *c = command_table; *c; c++) {
        bool found = strncmp((*c)->arguments, "CONFIG", 6) != 0;
        for (const struct command_option *o = (*c)->options; o && o->name; o++) found |= strcmp(o->name, "set") == 0;
        cr_assert(found, "%s lacks --set", (*c)->name);
    }
}

static void redirect_both(void)
{
    cr_redirect_stdout();
    cr_redirect_stderr();
}

Test(command, main_tells_usage_from_help, .init = redirect_both)
{
    cr_assert_eq(command_main(1, (char *[]){"eddy", NULL}), COMMAND_USAGE);
    cr_assert_eq(command_main(2, (char *[]){"eddy", "rnu", NULL}), COMMAND_USAGE);
    cr_assert_eq(command_main(2, (char *[]){"eddy", "help", NULL}), COMMAND_DONE);
    cr_assert_eq(command_main(3, (char *[]){"eddy", "help", "run", NULL}), COMMAND_DONE);
    cr_assert_eq(command_main(3, (char *[]){"eddy", "run", "--help", NULL}), COMMAND_DONE);
    cr_assert_eq(command_main(3, (char *[]){"eddy", "help", "nonsense", NULL}), COMMAND_USAGE);
    cr_assert_eq(command_main(2, (char *[]){"eddy", "--version", NULL}), COMMAND_DONE);
}

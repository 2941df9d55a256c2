/* Subcommands of the `eddy` program: a row and a function each.
 *
 * A command's file (cmd_NAME.c) holds its option rows, the struct that they fill, and its function; it ends with the
 * row `command_NAME` that command_table.c lists.  Results go to stdout, everything else to stderr.
 *
 *     struct args { struct command_list sets; const char *output; bool json; };
 *     static const struct command_option options[] = {
 *         COMMAND_SETS(struct args, sets),
 *         {"output", COMMAND_TEXT, offsetof(struct args, output), "PATH", "where results go"},
 *         {"json", COMMAND_FLAG, offsetof(struct args, json), NULL, "for programs"},
 *         {0}};
 *     int cmd_x(struct command_context *c, int argc, char **argv)
 *     {
 *         struct args args = {0};
 *         int rc = command_parse(c, argc, argv, &args);
 *         if (rc != COMMAND_GO) return rc;
 *         ... c->positional[0 .. c->n_positional - 1] ...
 *     }
 *     const struct command command_x = {"x", "CONFIG", 1, 1, "does x", NULL, options, cmd_x};
 *
 * Memory   option values point into argv.
 * Threads  one thread. */
#ifndef PLUGIN_COMMAND_H
#define PLUGIN_COMMAND_H

#include <stddef.h>
#include <stdio.h>

#include "config/config.h"

enum command_exit {
    COMMAND_DONE = 0,
    COMMAND_FAILED = 1,
    COMMAND_USAGE = 2,
    COMMAND_BAD_CONFIG = 78,
    COMMAND_GO = -1
};

enum command_option_type {
    COMMAND_END = 0,
    COMMAND_FLAG, /* bool */
    COMMAND_TEXT, /* const char *              NULL when not given */
    COMMAND_LIST, /* struct command_list       repeatable */
    COMMAND_COUNT /* int64_t                   a whole number, may be negative */
};

/* Options of a command and commands of the program: a longer table is a bug, which command_parse() asserts. */
enum { COMMAND_ROWS_MAX = 40 };

enum { COMMAND_LIST_MAX = 255 };
struct command_list {
    int n;
    const char *item[COMMAND_LIST_MAX + 1]; /* NULL-terminated */
};

struct command_option {
    const char *name; /* without the dashes; NULL ends the rows */
    enum command_option_type type;
    size_t offset;        /* offsetof() into the command's struct */
    const char *argument; /* "PATH"; NULL for a flag */
    const char *help;     /* one line */
};

struct command_context;

struct command {
    const char *name;
    const char *arguments; /* "CONFIG [KEY]"; "" = none */
    int min_positional, max_positional;
    const char *summary; /* one line for `eddy help` */
    const char *details; /* paragraphs for `eddy help NAME`; may be NULL */
    const struct command_option *options;
    int (*run)(struct command_context *, int argc,
               char **argv); /* argv[0] is the command's name; returns the exit code */
};

struct registry;

struct command_context {
    const struct command *command;
    struct registry *registry; /* the parts, see plugin/registry.h */
    int n_positional;          /* after command_parse() */
    char **positional;
};

/* The --set row that every command with CONFIG has; `member` is a struct command_list. */
#define COMMAND_SETS(type, member)                                                                                   \
    {                                                                                                                \
        "set", COMMAND_LIST, offsetof(type, member), "a.b.c=VALUE",                                                  \
            "override one option of CONFIG (repeatable; YAML value)"                                                 \
    }

/* All commands, NULL-terminated (command_table.c). */
extern const struct command *const command_table[];
const struct command *command_find(const char *name);

/* The whole program: dispatches argv to a command; returns the exit code. */
int command_main(int argc, char **argv);

/* Fills `args` by the command's rows and checks the number of positional arguments.  COMMAND_GO, or the exit code after
 * --help (0) or a usage error (2), which it has explained on stderr. */
int command_parse(struct command_context *, int argc, char **argv, void *args);
/* "eddy NAME: text" on stderr and COMMAND_USAGE. */
int command_usage(const struct command_context *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Logs the error; 78 for EDDY_ECONFIG, else 1. */
int command_fail(const struct command_context *, const struct eddy_error *);
void command_help(const struct command *, FILE *out);

/* What a command brings by itself, so that CONFIG may leave it out. */
enum command_brings { COMMAND_BRINGS_NOTHING = 0, COMMAND_BRINGS_SOURCE = 1, COMMAND_BRINGS_SINK = 2 };
/* Opens CONFIG with its plugins and overrides; on failure every error is on stderr and *out is NULL. */
int command_config(struct command_context *, const char *path, const struct command_list *sets, int brings,
                   struct config **out);

#endif

#include "plugin/command.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/log.h"
#include "plugin/registry.h"

enum { NAME_WIDTH = 10 };

const struct command *command_find(const char *name)
{
    for (const struct command *const *c = command_table; *c; c++)
        if (strcmp((*c)->name, name) == 0) return *c;
    return NULL;
}

/* More rows than COMMAND_ROWS_MAX are a bug of the table; the count stays within the arrays in any case. */
static int command_rows(const struct command *c)
{
    int n = 0;
    while (n < COMMAND_ROWS_MAX && c->options && c->options[n].name) n++;
    assert(!c->options || !c->options[n].name);
    return n;
}

static int command_count(void)
{
    int n = 0;
    while (n < COMMAND_ROWS_MAX && command_table[n]) n++;
    assert(!command_table[n]);
    return n;
}

void command_help(const struct command *c, FILE *out)
{
    fprintf(out, "%s - %s\n\nUsage: eddy %s%s%s%s\n", c->name, c->summary, c->name, *c->arguments ? " " : "",
            c->arguments, c->options && c->options[0].name ? " [OPTIONS]" : "");
    if (c->details) fprintf(out, "\n%s\n", c->details);
    fprintf(out, "\nOptions:\n");
    for (const struct command_option *o = c->options; o && o->name; o++) {
        char left[64];
        (void)snprintf(left, sizeof(left), "--%s%s%s", o->name, o->argument ? " " : "",
                       o->argument ? o->argument : "");
        fprintf(out, "  %-26s %s\n", left, o->help);
    }
    fprintf(out, "  %-26s %s\n", "--help", "this text");
}

static void command_overview(FILE *out)
{
    fprintf(out, "eddy - forecasts and anomaly scores for keyed time series while they stream\n\n"
                 "Usage: eddy COMMAND [CONFIG] [OPTIONS]\n\nCommands:\n");
    for (const struct command *const *c = command_table; *c; c++)
        fprintf(out, "  %-*s %s\n", NAME_WIDTH, (*c)->name, (*c)->summary);
    fprintf(out, "  %-*s %s\n\n", NAME_WIDTH, "help", "this text; `eddy help COMMAND` explains one command");
    fprintf(out, "Results go to stdout, logs to stderr.  Exit: 0 done, 1 failed, 2 usage, 78 bad configuration.\n");
}

static int usage_print(const char *command, const char *format, va_list args)
{
    fprintf(stderr, "eddy%s%s: ", command ? " " : "", command ? command : "");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nTry `eddy %s%s`.\n", command ? "help " : "help", command ? command : "");
    return COMMAND_USAGE;
}

int command_usage(const struct command_context *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = usage_print(c->command->name, format, args);
    va_end(args);
    return rc;
}

static int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int usage_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = usage_print(NULL, format, args);
    va_end(args);
    return rc;
}

/* Stores one option value; NULL = fine, else what is wrong with it. */
static const char *option_store(const struct command_option *o, char *value, void *args)
{
    void *at = (char *)args + o->offset;
    switch (o->type) {
    case COMMAND_FLAG: *(bool *)at = true; return NULL;
    case COMMAND_TEXT: *(const char **)at = value; return *value ? NULL : "needs a value that is not empty";
    case COMMAND_LIST: {
        struct command_list *list = at;
        if (list->n == COMMAND_LIST_MAX) return "was given too often (255 times at most)";
        list->item[list->n++] = value;
        list->item[list->n] = NULL;
        return NULL;
    }
    case COMMAND_COUNT: {
        char *end;
        errno = 0;
        long long number = strtoll(value, &end, 10);
        if (errno || end == value || *end) return "needs a whole number";
        *(int64_t *)at = number;
        return NULL;
    }
    default: return "is not an option";
    }
}

/* What getopt_long refused, said with the option's name. */
static int option_refuse(const struct command_context *c, int what, const char *word)
{
    if (what == ':') return command_usage(c, "option %s needs a value", word);
    const char *known[COMMAND_ROWS_MAX + 2];
    int n = command_rows(c->command);
    for (int i = 0; i < n; i++) known[i] = c->command->options[i].name;
    known[n] = "help";
    known[n + 1] = NULL;
    if (strncmp(word, "--", 2) != 0) return command_usage(c, "unknown option %s", word);

    char name[64];
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
    for (int i = 0; known[i]; i++)
        if (strcmp(known[i], name) == 0) return command_usage(c, "option --%s takes no value", name);
    const char *near = suggest(name, known);
    if (near) return command_usage(c, "unknown option --%s (did you mean --%s?)", name, near);
    return command_usage(c, "unknown option --%s", name);
}

int command_parse(struct command_context *c, int argc, char **argv, void *args)
{
    enum { FIRST = 256, HELP = FIRST - 1 };
    const struct command_option *rows = c->command->options;
    struct option longs[COMMAND_ROWS_MAX + 2] = {{0}};
    int n = command_rows(c->command);
    for (int i = 0; i < n; i++)
        longs[i] = (struct option){rows[i].name, rows[i].type == COMMAND_FLAG ? no_argument : required_argument, NULL,
                                   FIRST + i};
    longs[n] = (struct option){"help", no_argument, NULL, HELP};

    optind = 0; /* start anew: the program parses one command, tests parse many */
    opterr = 0;
    int what;
    while ((what = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
        if (what == HELP || what == 'h') {
            command_help(c->command, stdout);
            return COMMAND_DONE;
        }
        if (what < FIRST) return option_refuse(c, what, argv[optind - 1]);
        const char *wrong = option_store(&rows[what - FIRST], optarg, args);
        if (wrong) return command_usage(c, "option --%s %s", rows[what - FIRST].name, wrong);
    }
    c->n_positional = argc - optind;
    c->positional = argv + optind;
    if (c->n_positional < c->command->min_positional) return command_usage(c, "expects %s", c->command->arguments);
    if (c->n_positional > c->command->max_positional)
        return command_usage(c, "does not know what to do with \"%s\"", c->positional[c->command->max_positional]);
    return COMMAND_GO;
}

int command_fail(const struct command_context *c, const struct eddy_error *err)
{
    log_error(c->command->name, "%s", err->message);
    return err->code == EDDY_ECONFIG ? COMMAND_BAD_CONFIG : COMMAND_FAILED;
}

int command_config(struct command_context *c, const char *path, const struct command_list *sets, int brings,
                   struct config **out)
{
    struct eddy_error err = {0};
    struct config_request request = {.path = path,
                                     .overrides = sets->n ? sets->item : NULL,
                                     .parts = registry_parts(c->registry),
                                     .load_plugins = registry_load,
                                     .context = c->registry,
                                     .source_optional = brings & COMMAND_BRINGS_SOURCE,
                                     .sink_optional = brings & COMMAND_BRINGS_SINK};
    *out = NULL;
    eddy_status rc = config_open(&request, out, &err);
    if (rc >= 0) return COMMAND_GO;

    int n = *out ? config_error_count(*out) : 0;
    for (int i = 0; i < n; i++) log_error("config", "%s", config_error(*out, i));
    if (n == 0) log_error("config", "%s", err.message);
    config_close(*out);
    *out = NULL;
    /* A file that cannot be read is a bad configuration too: a supervisor should not start the same again and again. */
    return rc == EDDY_ENOMEM ? COMMAND_FAILED : COMMAND_BAD_CONFIG;
}

static int command_unknown(const char *word)
{
    const char *known[COMMAND_ROWS_MAX + 2];
    int n = command_count();
    for (int i = 0; i < n; i++) known[i] = command_table[i]->name;
    known[n] = "help";
    known[n + 1] = NULL;
    const char *near = suggest(word, known);
    if (near) return usage_error("unknown command \"%s\" (did you mean \"%s\"?)", word, near);
    return usage_error("unknown command \"%s\"", word);
}

static int command_explain(int argc, char **argv)
{
    if (argc < 3) {
        command_overview(stdout);
        return COMMAND_DONE;
    }
    const struct command *found = command_find(argv[2]);
    if (!found) return command_unknown(argv[2]);
    command_help(found, stdout);
    return COMMAND_DONE;
}

/* A full disk behind `> file` must not look like success. */
static int command_flush(const char *name, int rc)
{
    const bool flushed = fflush(stdout) == 0;
    const int failed = errno; /* the reason of a write before this one is no longer known */
    if ((flushed && !ferror(stdout)) || rc != COMMAND_DONE) return rc;
    log_error(name, "stdout: %s", flushed ? "not all could be written" : strerror(failed));
    return COMMAND_FAILED;
}

int command_main(int argc, char **argv)
{
    if (argc < 2) {
        command_overview(stderr);
        return COMMAND_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return command_flush("help", command_explain(argc, argv));
    if (strcmp(word, "--version") == 0) word = "version";
    const struct command *found = command_find(word);
    if (!found) return command_unknown(word);

    struct eddy_error err = {0};
    struct command_context context = {.command = found};
    if (registry_open(&context.registry, &err) < 0) return command_fail(&context, &err);
    int rc = found->run(&context, argc - 1, argv + 1);
    registry_close(context.registry);
    return command_flush(found->name, rc);
}

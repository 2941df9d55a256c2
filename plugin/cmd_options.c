/* eddy options [PART]: the reference of every option, from the option tables. */
#include "plugin/commands.h"
#include "plugin/registry.h"

struct args {
    bool markdown, json;
    struct command_list plugins;
};

static const struct command_option options[] = {
    {"markdown", COMMAND_FLAG, offsetof(struct args, markdown), NULL, "as Markdown (config/OPTIONS.md)"},
    {"json", COMMAND_FLAG, offsetof(struct args, json), NULL, "as JSON, for programs"},
    {"plugin", COMMAND_LIST, offsetof(struct args, plugins), "PATH", "a library whose parts count too (repeatable)"},
    {0},
};

static int cmd_options(struct command_context *c, int argc, char **argv)
{
    struct args args = {0};
    int rc = command_parse(c, argc, argv, &args);
    if (rc != COMMAND_GO) return rc;
    if (args.markdown && args.json) return command_usage(c, "--markdown or --json, not both");

    struct eddy_error err = {0};
    const struct eddy_strings plugins = {args.plugins.n, args.plugins.item};
    const struct eddy_parts *parts = registry_load(c->registry, &plugins, &err);
    if (!parts) return command_fail(c, &err);
    enum options_format format = args.json ? OPTIONS_JSON : args.markdown ? OPTIONS_MARKDOWN : OPTIONS_TEXT;
    eddy_status printed = options_print(parts, c->n_positional ? c->positional[0] : NULL, format, stdout, &err);
    if (printed == EDDY_ENOTFOUND) return command_usage(c, "%s", err.message);
    return printed < 0 ? command_fail(c, &err) : COMMAND_DONE;
}

const struct command command_options = {
    "options",
    "[PART]",
    0,
    1,
    "every option with type, default, range, unit and meaning",
    "PART is one of the parts (kafka, json, gru, ..); without it the whole configuration and all parts are listed.",
    options,
    cmd_options,
};

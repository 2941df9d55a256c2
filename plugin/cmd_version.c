/* eddy version: eddy, the libraries it runs with, and the kernel that does the maths. */
#include <dlfcn.h>
#include <string.h>

#include "eddy.h"
#include "engine/math/kernels.h"
#include "plugin/commands.h"
#include "plugin/json_out.h"

struct args {
    bool json;
};

static const struct command_option options[] = {
    {"json", COMMAND_FLAG, offsetof(struct args, json), NULL, "as JSON, for programs"},
    {0},
};

/* Libraries by the call that names their version.  They are looked up by name so that each library's header stays in
 * the one part that uses it. */
static const struct library_version {
    const char *name, *symbol;
} libraries[] = {
    {"librdkafka", "rd_kafka_version_str"}, {"sqlite", "sqlite3_libversion"},   {"openblas", "openblas_get_config"},
    {"libyaml", "yaml_get_version_string"}, {"jansson", "jansson_version_str"}, {"zlib", "zlibVersion"},
};

static const char *version_of(const char *symbol)
{
    const char *(*call)(void) = NULL;
    void *found = dlsym(RTLD_DEFAULT, symbol);
    if (!found) return "unknown";
    memcpy(&call, &found, sizeof(call));
    const char *text = call();
    return text ? text : "unknown";
}

static int cmd_version(struct command_context *c, int argc, char **argv)
{
    struct args args = {0};
    int rc = command_parse(c, argc, argv, &args);
    if (rc != COMMAND_GO) return rc;

    struct json_out j = json_begin(stdout);
    if (args.json) {
        json_open(&j, NULL, '{');
        json_text(&j, "eddy", eddy_version());
        json_text(&j, "kernel", kernels_best()->name);
    } else {
        printf("eddy %s\n", eddy_version());
        printf("  %-11s %s\n", "kernel", kernels_best()->name);
    }
    for (size_t i = 0; i < sizeof(libraries) / sizeof(*libraries); i++) {
        if (args.json)
            json_text(&j, libraries[i].name, version_of(libraries[i].symbol));
        else
            printf("  %-11s %s\n", libraries[i].name, version_of(libraries[i].symbol));
    }
    if (args.json) {
        json_close(&j, '}');
        json_end(&j);
    }
    return COMMAND_DONE;
}

const struct command command_version = {
    "version", "", 0, 0, "versions of eddy and of its libraries, and the kernel in use", NULL, options, cmd_version,
};

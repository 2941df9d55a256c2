/* Fuzzes configurations: any text is refused with messages or gives settings, whose printed form is a configuration
 * again, with the same hash. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "plugin/registry.h"
#include "tests/fuzz/fuzz.h"

static const struct eddy_parts *parts(void)
{
    static struct registry *registry;
    struct eddy_error err = {0};
    if (!registry && registry_open(&registry, &err) < 0) abort();
    return registry_parts(registry);
}

static struct config *read_text(const char *text)
{
    struct config *config = NULL;
    struct eddy_error err = {0};
    const struct config_request request = {.text = text, .parts = parts()};
    const eddy_status rc = config_open(&request, &config, &err);
    if (rc >= 0) return config;
    if (!err.message[0] || (config && config_error_count(config) == 0)) abort();
    config_close(config);
    return NULL;
}

/* Secrets are masked in the printed form and left out of the hash. */
static void print_and_read(const struct config *config)
{
    char *text = NULL, was[65], is[65];
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (!out) abort();
    config_print(config, out);
    (void)fclose(out);
    struct config *again = strstr(text, "*****") ? NULL : read_text(text);
    if (!again && !strstr(text, "*****")) abort();
    if (again) {
        config_sha256(config, was);
        config_sha256(again, is);
        if (strcmp(was, is) != 0) abort();
    }
    config_close(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char *text = strndup((const char *)bytes, n);
    if (!text) abort();
    /* Files and variables of this machine would make a finding that another one does not show. */
    struct config *config = strstr(text, "${") ? NULL : read_text(text);
    if (config) print_and_read(config);
    config_close(config);
    free(text);
    return 0;
}

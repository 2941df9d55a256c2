/* The effective settings as YAML: what `eddy check` shows, and what config_sha256() hashes. */
#ifndef CONFIG_PRINT_H
#define CONFIG_PRINT_H

#include <stdio.h>

#include "config/reading.h"

struct print_request {
    const struct reading *reading; /* knows the secrets */
    const char *const *leave_out;  /* paths that are not printed; NULL-terminated or NULL */
    bool without_secrets;          /* leave them out instead of writing "*****" */
};

/* Every option with its value, in the order of the table; reads back as the same settings where nothing is masked. */
void settings_print(const struct print_request *, const struct eddy_option *table, const void *settings, FILE *out);

#endif

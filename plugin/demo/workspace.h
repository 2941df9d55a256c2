/* The demo's directory: configurations, state, and with --keep all records.
 *
 * Without --keep it lies below $TMPDIR (or /tmp) and is removed at the end. */
#ifndef PLUGIN_DEMO_WORKSPACE_H
#define PLUGIN_DEMO_WORKSPACE_H

#include <stdbool.h>
#include <stdio.h>

#include "eddy_error.h"

struct workspace {
    char path[512];
    bool keep;
};

/* `keep` names a directory that must not exist yet; NULL = a temporary one. */
eddy_status workspace_open(struct workspace *, const char *keep, struct eddy_error *);
/* A new file in it; *out stays NULL when the workspace is not kept. */
eddy_status workspace_file(const struct workspace *, const char *name, FILE **out, struct eddy_error *);
eddy_status workspace_write(const struct workspace *, const char *name, const char *text, struct eddy_error *);
void workspace_close(struct workspace *); /* {0} is fine */

#endif

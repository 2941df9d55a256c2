/* The state files of a pipeline, one per source partition, in the order of topic and partition number.
 * Memory   stored_files_free({0}) is fine. */
#ifndef PLUGIN_STORED_FILES_H
#define PLUGIN_STORED_FILES_H

#include "config/settings.h"
#include "engine/state/store.h"

struct stored_file {
    char *path;
    struct store_identity identity; /* topic is owned here, name is the settings' */
};
struct stored_files {
    int n;
    struct stored_file *item;
};

/* EDDY_ENOTFOUND when the pipeline has no state at all. */
eddy_status stored_files_find(const struct settings *, struct stored_files *, struct eddy_error *);
void stored_files_free(struct stored_files *);

#endif

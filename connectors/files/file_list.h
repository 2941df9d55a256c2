/* The files that a list of paths means: itself, or all *.csv and *.jsonl (also .gz) below a directory in byte order of
 * their paths.  Names that begin with a dot are left out; links are followed, 32 levels deep at most.
 * Errors   EDDY_ENOTFOUND, EDDY_EIO, EDDY_EINVAL (a directory without data), naming the path. */
#ifndef CONNECTORS_FILES_FILE_LIST_H
#define CONNECTORS_FILES_FILE_LIST_H

#include "connectors/files/file_inputs.h"

enum file_kind { FILE_KIND_OTHER, FILE_KIND_CSV, FILE_KIND_JSONL };
int file_kind(const char *path); /* by its name, .gz apart */

/* Appends to inputs->item: path, key and one_series. */
eddy_status file_list_add(struct file_inputs *, const char *path, struct eddy_error *);

#endif

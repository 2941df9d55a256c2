/* Would writing a file spoil what is read?  Asked before either is opened.
 * Errors   none: what cannot be looked at does not clash, opening it will say what is wrong. */
#ifndef CONNECTORS_FILES_FILE_CLASH_H
#define CONNECTORS_FILES_FILE_CLASH_H

#include <stdbool.h>

#include "connectors/files/file_source.h"

/* The input that `target` is a part of, borrowed from the settings; NULL = none.  "-" means standard input among the
 * inputs and standard output as the target.  A target is part of
 *  - a regular file that is the same by device and inode number, so that no link or other spelling hides it;
 *  - a directory when it is one of its data files, or would be one as soon as it exists: the next start reads it. */
const char *file_clash(const struct file_source_settings *, const char *target);
/* Two names of one regular file, by device and inode number, or of one that is yet to be made, by its resolved place.
 * "-" is standard output; pipes and devices are no files. */
bool file_same(const char *a, const char *b);
/* Does `target` lie below the directory, or would it once both are made? */
bool file_below(const char *directory, const char *target);

#endif

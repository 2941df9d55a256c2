/* Opening the shared library of a plugin, and nothing but a plugin.
 *
 * What is refused: a name without a slash, anything that is not a regular file, a file that group or others may write,
 * or that neither root nor we own.  The checks are made on an open descriptor and the library is loaded through that
 * same descriptor, so that the file cannot be exchanged in between.
 * Errors   EDDY_ECONFIG naming the path; EDDY_ENOMEM. */
#ifndef PLUGIN_LOADER_H
#define PLUGIN_LOADER_H

#include "eddy_part.h"

struct library;

eddy_status library_open(const char *path, struct library **, struct eddy_error *);
void library_close(struct library *);                              /* NULL is fine */
const struct eddy_module *library_module(const struct library *);  /* what its eddy_module() returned; may be NULL */
bool library_same(const struct library *, const struct library *); /* the same file */

#endif

/* Where state lies: <state.path>/<name>/<topic>-<partition>.db, directories 0700, files 0600.
 *
 * A topic's bytes outside [A-Za-z0-9._-], and a leading '.', are written %XX.  A topic too long for a file name (paths of
 * input files may be) is cut, and a hash of the whole stands behind '~'; the file itself then tells the topic. */
#ifndef ENGINE_STATE_PATHS_H
#define ENGINE_STATE_PATHS_H

#include "engine/state/store.h"

/* Creates `directory` and all above it that are missing, with mode 0700. */
eddy_status make_directories(const char *directory, struct eddy_error *);
eddy_status make_directory_of(const char *path, struct eddy_error *); /* the directory that holds `path` */
/* file:<path><query> with the bytes that mean something in a URI escaped; malloc'ed. */
eddy_status path_to_uri(const char *path, const char *query, char **out, struct eddy_error *);

/* Appends the text with %XX as described above, and the way back; false when `text` was not escaped so. */
eddy_status text_escape(const char *text, struct eddy_buffer *out);
bool text_unescape(const char *text, size_t n, struct eddy_buffer *out);

#endif

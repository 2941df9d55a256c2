/* Label windows: spans of time in which a series is known to have been abnormal (`--labels`).
 *
 *     {"pumps/p1.csv": [["2026-03-01 07:15:00", "2026-03-01T09:00:00Z"]], "pumps/p2": []}
 *
 * A span holds both its ends.  Times are texts as a CSV file has them, or numbers: seconds since 1970.  A series that
 * the file names is judged, with an empty list as well; one that it does not name is not: nobody knows the truth there.
 * A name stands for the key that equals it, with or without its extension (.gz and one more); a key without a slash is
 * also found by the last part of one name alone.
 *
 * Memory   windows_close() frees everything.
 * Errors   EDDY_EIO, EDDY_EINVAL naming file and series, EDDY_ENOMEM. */
#ifndef PLUGIN_WINDOWS_H
#define PLUGIN_WINDOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eddy_error.h"

struct windows_span {
    int64_t start_ns, end_ns;
};

struct windows_series {
    char *name;
    size_t key_len; /* of the name without its extension */
    size_t base_at; /* where its last part begins */
    int n;
    struct windows_span *span; /* [n] by start */
};

struct windows {
    int n;
    struct windows_series *series; /* [n] */
};

eddy_status windows_open(const char *path, struct windows **, struct eddy_error *);
void windows_close(struct windows *); /* NULL is fine */
const struct windows_series *windows_find(const struct windows *, const char *key,
                                          size_t key_len); /* NULL = not named */

#endif

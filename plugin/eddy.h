/* eddy inside another program: open a pipeline from YAML, feed events, take results, save, restore.
 *
 *     struct eddy *e;
 *     struct eddy_error err;
 *     if (eddy_open_file("sensors.yml", NULL, &e, &err) < 0) fputs(err.message, stderr);
 *     double x[] = {21.5};
 *     struct eddy_output out;
 *     eddy_feed(e, &(struct eddy_input){.key = "m1", .key_len = 2, .time_ns = now, .values = x}, 1, &out, &err);
 *     printf("score %g\n", out.score);
 *     eddy_close(e);
 *
 * Threads  one eddy belongs to one thread at a time; several eddies run side by side.
 * Memory   the library copies what it is given; outputs point into memory of the eddy, good until its next call.
 * Errors   every call returns EDDY_OK, a count, or a negative status; `err` (may be NULL) gets one line of text.
 *          ENOMEM   any call                 ECONFIG    open: the YAML is wrong; the text names file, line, option
 *          EINVAL   a NULL or bad argument   EDATA      feed: an infinite value, a key that is empty or too long
 *          EIO EFULL ECORRUPT EVERSION EMISMATCH EBUSY  open, save: the state directory; the text names the file */
#ifndef EDDY_H
#define EDDY_H

#include "eddy_codec.h"
#include "eddy_error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDDY_VERSION_MAJOR 0
#define EDDY_VERSION_MINOR 1
#define EDDY_VERSION_PATCH 0

struct eddy;

/* YAML as for the program; `source` and `sink` may be absent and are not used.  `values` names the values of every
 * event (NULL-terminated); NULL takes codec.json.values.  State is kept in memory unless eddy_save/eddy_restore or
 * `keep_state` say otherwise. */
struct eddy_open_options {
    uint32_t struct_size; /* sizeof(struct eddy_open_options) */
    const char *const *values;
    const char *const *overrides; /* "a.b=VALUE", NULL-terminated; may be NULL */
    bool keep_state;              /* use state.path like the daemon: restored at open, written by eddy_save */
};
EDDY_API eddy_status eddy_open_file(const char *path, const struct eddy_open_options *, struct eddy **,
                                    struct eddy_error *);
EDDY_API eddy_status eddy_open_string(const char *yaml, const struct eddy_open_options *, struct eddy **,
                                      struct eddy_error *);
EDDY_API void eddy_close(struct eddy *); /* saves nothing; NULL is fine */

struct eddy_input {
    const char *key; /* bytes */
    size_t key_len;
    int64_t time_ns;      /* event time, ns since 1970 UTC */
    const double *values; /* [n_values] NaN = missing */
};
/* See struct eddy_result in eddy_codec.h for the meaning and shape of every member. */
#define eddy_output eddy_result

EDDY_API int eddy_value_count(const struct eddy *);
EDDY_API const char *eddy_value_name(const struct eddy *, int i); /* NULL when there is no i-th */

/* Folds n events in, in order; outputs [n] (may be NULL: learn only).  All or nothing: on error no event was folded. */
EDDY_API eddy_status eddy_feed(struct eddy *, const struct eddy_input *, int n, struct eddy_output *outputs,
                               struct eddy_error *);
/* A result as the JSON line that the program would write (no line end), into a buffer of the eddy's. */
EDDY_API eddy_status eddy_format(struct eddy *, const struct eddy_output *, const char **text, size_t *len,
                                 struct eddy_error *);
/* Makes a key as new.  Returns 1 when it was known, else 0. */
EDDY_API eddy_status eddy_forget(struct eddy *, const char *key, size_t key_len, struct eddy_error *);

/* All keys and the model as one file, written beside `path` and renamed; restore replaces what is there.
 * A path that is there and no regular file is EDDY_EIO.  With path NULL: a checkpoint in the state directory (keep_state only). */
EDDY_API eddy_status eddy_save(struct eddy *, const char *path, struct eddy_error *);
EDDY_API eddy_status eddy_restore(struct eddy *, const char *path, struct eddy_error *);
EDDY_API eddy_status eddy_state_hash(struct eddy *, char out[33], struct eddy_error *);

EDDY_API const char *eddy_version(void); /* "0.1.0" */

#ifdef __cplusplus
}
#endif
#endif

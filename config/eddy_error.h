/* Status codes and error texts, shared by every part of eddy.
 *
 * A call that can fail returns an `eddy_status`: EDDY_OK (0), a useful count above 0, or one of the negative
 * codes below.  The lowest level that knows the name of the thing at fault (file, line, option, topic, offset)
 * writes the text; upper levels hand it on unchanged.
 *
 * Memory   an `eddy_error` is plain data that the caller owns; a NULL pointer is allowed everywhere.
 * Threads  reentrant. */
#ifndef EDDY_ERROR_H
#define EDDY_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define EDDY_API __attribute__((visibility("default")))

typedef int eddy_status;

enum {
    EDDY_OK = 0,
    EDDY_ENOMEM = -1,       /* out of memory */
    EDDY_EINVAL = -2,       /* an argument of a call makes no sense */
    EDDY_ECONFIG = -3,      /* the configuration is wrong; programs exit with 78 */
    EDDY_EIO = -4,          /* a file, socket or database failed */
    EDDY_EFULL = -5,        /* no room: disk or queue full; may pass */
    EDDY_EAGAIN = -6,       /* not now; call again later */
    EDDY_EDATA = -7,        /* a record is wrong; it goes to the dead letters */
    EDDY_ECORRUPT = -8,     /* stored state fails its checks */
    EDDY_EVERSION = -9,     /* stored state was written by a newer eddy, or is not eddy's */
    EDDY_EMISMATCH = -10,   /* stored state belongs to another configuration */
    EDDY_ENOTFOUND = -11,   /* no such key, topic, file, part, .. */
    EDDY_EBUSY = -12,       /* in use by another process */
    EDDY_ELIMIT = -13,      /* over a configured limit */
    EDDY_EUNSUPPORTED = -14 /* a valid request that this part does not offer */
};

struct eddy_error {
    eddy_status code;
    const char *reason; /* static token for programs, e.g. "not_json"; "" when there is none */
    char message[1000]; /* one line for people, never with a secret in it */
};

/* Writes the text and returns `code`, so that `return eddy_fail(err, ..)` reads well. */
EDDY_API eddy_status eddy_fail(struct eddy_error *err, eddy_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a bad record: code EDDY_EDATA and a reason token that goes into the dead letter's headers. */
EDDY_API eddy_status eddy_fail_record(struct eddy_error *err, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A few words for a code, e.g. "corrupt state"; never NULL. */
EDDY_API const char *eddy_status_text(eddy_status code);

#ifdef __cplusplus
}
#endif
#endif

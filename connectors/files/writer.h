/* A queue of lines in front of a descriptor: a file or standard output.
 *
 * What could not be written stays queued, so that a full disk or a slow reader loses nothing.
 * Errors   EDDY_EFULL (disk or quota full), EDDY_EIO (also: the reader has gone), EDDY_ENOMEM, naming the path.
 * Threads  one writer belongs to one thread; a reader that has gone raises no SIGPIPE. */
#ifndef CONNECTORS_FILES_WRITER_H
#define CONNECTORS_FILES_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "eddy_buffer.h"

struct writer {
    const char *path; /* borrowed, for messages */
    int fd;           /* borrowed */
    bool durable;     /* a regular file: lines count as written when they have been synced */
    struct eddy_buffer queue;
    size_t written;     /* bytes of the queue that are out already */
    int64_t n_queued;   /* lines in the queue */
    int64_t n_unsynced; /* lines written but not synced */
};

enum { WRITER_QUEUE_BYTES = 4 << 20 };

/* Room for another line of len bytes?  An empty queue takes a line of any length. */
bool writer_has_room(const struct writer *, size_t len);
/* Writes the queue; when it was empty before, syncs what has been written.  Waits up to timeout_ms for a reader. */
eddy_status writer_service(struct writer *, int timeout_ms, struct eddy_error *);
int64_t writer_outstanding(const struct writer *);
void writer_free(struct writer *); /* gives up what is queued */

#endif

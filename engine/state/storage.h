/* The storage thread: work on files that must not stall the loop, one job after another in the order of submitting.
 *
 * Memory   a job belongs to whoever submits it and must live until storage_wait() has returned something else than
 *          EDDY_EAGAIN.
 * Threads  one loop submits and waits; run() is called on the storage thread.  What the loop wrote before submitting is
 *          seen by run(), and what run() wrote is seen by the loop after storage_wait().
 * Errors   those of the job come back from storage_wait(). */
#ifndef ENGINE_STATE_STORAGE_H
#define ENGINE_STATE_STORAGE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "eddy_error.h"

struct storage;

struct storage_job {
    eddy_status (*run)(struct storage_job *, struct eddy_error *);
    /* private */
    struct storage_job *next;
    atomic_bool unwanted;
    bool busy; /* submitted, and not yet done */
    eddy_status rc;
    struct eddy_error error;
};

eddy_status storage_open(struct storage **, struct eddy_error *);
void storage_close(struct storage *); /* after all jobs; NULL is fine */

void storage_submit(struct storage *, struct storage_job *); /* one that is not busy */
/* Waits up to timeout_ms (-1 = without end); EDDY_EAGAIN while the job is busy, then what run() returned. */
eddy_status storage_wait(struct storage *, struct storage_job *, int timeout_ms, struct eddy_error *);
/* Tells the job that nobody wants it any more, and waits for it to end; one that has not begun is not run. */
void storage_cancel(struct storage *, struct storage_job *);
bool storage_unwanted(const struct storage_job *); /* for run(): end early? */

#endif

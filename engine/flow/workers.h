/* Several drivers in one process (`workers: N`), each with a thread, a source, sinks, lanes, stores and a trainer of its
 * own: nothing of an event is shared or locked.  The source divides the partitions among them: a Kafka group by its
 * protocol, a range of topics in turn.  A partition's state is a file of its own, so any worker can take any partition,
 * and results and states are those of one worker.
 *
 * Shared   the lock of the state directory, taken once; the process's memory and keys, of which each gets an equal share;
 *          which partitions are open (claims.h).
 * Errors   the first one stops all workers and is the one that workers_run() returns; what the others folded is saved.
 * Threads  one thread calls everything.  With one worker the driver runs in that thread, and there is no other. */
#ifndef ENGINE_FLOW_WORKERS_H
#define ENGINE_FLOW_WORKERS_H

#include "engine/flow/driver.h"

struct workers;

/* How many workers these settings mean for this request's source: 1 when it delivers all in one piece (files, stdin).
 * EDDY_ECONFIG, naming it, when there are to be several and a sink is one that only one can write to. */
eddy_status workers_wanted(const struct driver_request *, struct eddy_error *);

/* n drivers for the request, whose `worker`, `workers` and `claims` are ignored.  on_result and on_bad are called by the
 * workers' threads, with contexts[worker] where contexts is not NULL; it is borrowed until workers_close().  on_tick is
 * called by the thread of workers_run(), with the sums over all and the request's context. */
eddy_status workers_open(const struct driver_request *, int n, void *const *contexts, struct workers **,
                         struct eddy_error *);
/* As driver_run(), of all of them together. */
eddy_status workers_run(struct workers *, struct eddy_error *);
/* Sums; of the last training losses the mean over the workers that have one.  During workers_run() as of the last ticks. */
void workers_stats(struct workers *, struct driver_stats *);
/* After workers_run(): as driver_hash(), over the lanes of all of them. */
eddy_status workers_hash(struct workers *, bool positions, char out[33], struct eddy_error *);
void workers_close(struct workers *); /* NULL is fine */

#endif

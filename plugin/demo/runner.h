/* One pipeline in a thread of its own: what `eddy run CONFIG` does, from the YAML text to the last checkpoint.
 *
 * Threads  the calls below come from one thread; the pipeline's own thread only reads its request.
 * Memory   the name and parts outlive the pipeline; the text is copied. */
#ifndef PLUGIN_DEMO_RUNNER_H
#define PLUGIN_DEMO_RUNNER_H

#include "engine/flow/driver.h"

struct runner;

eddy_status runner_start(const char *name, const char *yaml, const struct eddy_parts *, struct runner **,
                         struct eddy_error *);
bool runner_ended(const struct runner *); /* by itself: something has failed */
/* Asks it to drain and waits for its end; the pipeline's own error, if it had one. */
eddy_status runner_stop(struct runner *, struct driver_stats *, struct eddy_error *);
void runner_close(struct runner *); /* stops it first; NULL is fine */

#endif

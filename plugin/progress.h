/* How far a pipeline is: a line that rewrites itself on a terminal, else a log line now and then.
 * Threads  one thread. */
#ifndef PLUGIN_PROGRESS_H
#define PLUGIN_PROGRESS_H

#include <stdbool.h>

#include "engine/flow/driver.h"

struct progress {
    const char *command;
    bool terminal;   /* stderr is one */
    bool shown;      /* a line is on the terminal */
    int64_t log_s;   /* seconds between two log lines elsewhere; 0 = none */
    double logged_s; /* when the last one was written, in seconds of the run */
    int64_t last_events;
    double last_s, rate; /* events per second, smoothed */
};

void progress_begin(struct progress *, const char *command, int64_t log_s);
void progress_tick(struct progress *, const struct driver_stats *);
void progress_end(struct progress *); /* wipes the line */

#endif

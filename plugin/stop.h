/* SIGTERM and SIGINT as a request to drain and end: the first one sets the flag, a second one ends the process at once.
 * A drain that takes longer than 10 seconds (a broker that does not answer) ends the process as well, with exit code 1:
 * the last checkpoint stands, and what came after it is done again at the next start.
 * SIGPIPE is ignored: a closed pipe is an error of write().
 * Signals are the process's own, so the flag is the one mutable thing at file level here. */
#ifndef PLUGIN_STOP_H
#define PLUGIN_STOP_H

#include <signal.h>

enum { STOP_DRAIN_S = 10 };

const volatile sig_atomic_t *stop_on_signals(void); /* installs the handlers; 0 until one was caught */

#endif

/* eddy demo: the main job with nothing but this program.
 *
 * A mock Kafka cluster in a child process, a simulated plant and market that send events to it, two pipelines as `eddy
 * run` would run them, and a reader that sets what comes back against the truth.  Exit code 0 only if they did their
 * job; see outcome_check(). */
#ifndef PLUGIN_DEMO_DEMO_H
#define PLUGIN_DEMO_DEMO_H

#include "plugin/command.h"

int cmd_demo(struct command_context *, int argc, char **argv);

#endif

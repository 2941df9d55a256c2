/* Named places where a test makes the program die or fail: the steps of the recovery protocol.  In normal builds they
 * are nothing; `make FAILPOINTS=1` (build/fault) compiles them in, and the environment arms one of them:
 *
 *   EDDY_FAILPOINT=NAME:N[,ACTION]    at the N-th pass of this process through the place (from 1):
 *     kill        SIGKILL to itself; the default
 *     kill:MS     the same after MS milliseconds, in which the Kafka threads may send what is queued
 *     stop        SIGSTOP to itself, until somebody sends SIGCONT
 *     sleep:MS    stands still
 *     error       a place that can simulate a failure (FAILPOINT_ERROR) does, once
 *     errors      the same at the N-th and every later pass
 *   EDDY_FAILPOINT=list               every place says its name when it is passed for the first time (event=failpoint)
 *   EDDY_BREAK=NAME                   a deliberate defect, for the tests of the verifier (tests/fault)
 *
 * `tests/fault/failpoints.sh` lists the names in the sources.
 * Threads  any. */
#ifndef CONFIG_FAILPOINT_H
#define CONFIG_FAILPOINT_H

#include <stdbool.h>

#ifdef EDDY_FAILPOINTS

/* One pass; true when a failure is to be simulated. */
bool failpoint_pass(const char *name);
bool failpoint_armed(const char *name);
bool failpoint_break(const char *name);

#define FAILPOINT(name)       ((void)failpoint_pass(name))
#define FAILPOINT_ERROR(name) failpoint_pass(name)
#define FAILPOINT_ARMED(name) failpoint_armed(name)
#define FAILPOINT_BREAK(name) failpoint_break(name)

#else

#define FAILPOINT(name)       ((void)0)
#define FAILPOINT_ERROR(name) false
#define FAILPOINT_ARMED(name) false
#define FAILPOINT_BREAK(name) false

#endif

#endif

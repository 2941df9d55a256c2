/* Passwords of brokers and states of keys stay in the process: no core dumps, and no debugger of the same user's other
 * programs.  EDDY_ALLOW_CORE=1 in the environment leaves both as they were.  The program does this, never the library. */
#ifndef PLUGIN_PROTECT_H
#define PLUGIN_PROTECT_H

void protect_process(void);

/* Call it first: standard streams that are closed become /dev/null, so that no file of eddy's takes their numbers: reading
 * from standard input ends at once, writing results to standard output fails. */
void protect_streams(void);

#endif

#include "plugin/protect.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

void protect_process(void)
{
    const char *allowed = getenv("EDDY_ALLOW_CORE");
    if (allowed && strcmp(allowed, "1") == 0) return;
    const struct rlimit none = {0, 0};
    /* Neither can fail for a process's own limits; a system that refuses is no reason not to serve. */
    (void)setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* whose search for leaks looks into the process as a debugger does */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

void protect_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        /* The lowest number that is free is this one.  What only can be read refuses results: none is lost in silence. */
        (void)open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
    }
}

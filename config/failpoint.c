#include "config/failpoint.h"

#ifdef EDDY_FAILPOINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/log.h"

enum { SEEN_MAX = 128 };

static void failpoint_sleep(long ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0) continue;
}

/* Points do not change while the process lives, so the environment is all there is to know of them. */
static const char *failpoint_setting(const char *name)
{
    const char *set = getenv("EDDY_FAILPOINT");
    const size_t n = strlen(name);
    return set && strncmp(set, name, n) == 0 && (set[n] == ':' || set[n] == '\0') ? set + n : NULL;
}

bool failpoint_armed(const char *name)
{
    return failpoint_setting(name) != NULL;
}

bool failpoint_break(const char *name)
{
    const char *set = getenv("EDDY_BREAK");
    return set && strcmp(set, name) == 0;
}

/* Two threads that pass a place for the first time at once may both say so. */
static void failpoint_list(const char *name)
{
    static _Atomic(const char *) seen[SEEN_MAX];
    for (int i = 0; i < SEEN_MAX; i++) {
        const char *at = atomic_load(&seen[i]);
        if (at && strcmp(at, name) == 0) return;
        if (at) continue;
        atomic_store(&seen[i], name);
        log_info("failpoint", "%s", name);
        return;
    }
}

bool failpoint_pass(const char *name)
{
    static _Atomic long passes; /* of the one that is armed */
    const char *set = getenv("EDDY_FAILPOINT");
    if (!set) return false;
    if (strcmp(set, "list") == 0) {
        failpoint_list(name);
        return false;
    }
    const char *at = failpoint_setting(name);
    if (!at) return false;
    char *end = NULL;
    const long wanted = *at == ':' ? strtol(at + 1, &end, 10) : 1;
    const char *action = end && *end == ',' ? end + 1 : "kill";
    const long pass = atomic_fetch_add(&passes, 1) + 1;
    if (strcmp(action, "errors") == 0) return pass >= wanted;
    if (pass != wanted) return false;

    log_warn("failpoint", "%s, pass %ld: %s", name, pass, action);
    if (strncmp(action, "sleep:", 6) == 0) failpoint_sleep(strtol(action + 6, NULL, 10));
    if (strcmp(action, "stop") == 0) (void)raise(SIGSTOP);
    if (strncmp(action, "kill", 4) == 0) {
        if (action[4] == ':') failpoint_sleep(strtol(action + 5, NULL, 10));
        (void)kill(getpid(), SIGKILL);
        for (;;) (void)pause();
    }
    return strcmp(action, "error") == 0;
}

#endif

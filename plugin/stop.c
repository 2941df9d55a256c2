#include "plugin/stop.h"

#include <unistd.h>

static volatile sig_atomic_t stop_flag;

static void stop_say(const char *text, size_t n)
{
    ssize_t written = write(STDERR_FILENO, text, n);
    (void)written;
}

static void stop_caught(int number)
{
    static const char late[] = "level=error event=stop msg=\"not drained in time; the last checkpoint stands\"\n";
    if (number == SIGALRM) stop_say(late, sizeof(late) - 1);
    if (number == SIGALRM || stop_flag) _exit(1);
    stop_flag = 1;
    (void)alarm(STOP_DRAIN_S);
}

const volatile sig_atomic_t *stop_on_signals(void)
{
    struct sigaction action = {.sa_handler = stop_caught};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
    return &stop_flag;
}

#include "config/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINE_BYTES = 2048 };

static _Atomic int log_level_now = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&log_level_now, (int)level);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

/* Quotes for logfmt; stops in time to leave room for what closes the line. */
static size_t log_quote(char *line, size_t at, const char *text)
{
    for (const char *t = text; *t && at + 8 < LOG_LINE_BYTES; t++) {
        unsigned char c = (unsigned char)*t;
        if (c == '"' || c == '\\') {
            line[at++] = '\\';
            line[at++] = (char)c;
        } else if (c == '\n') {
            line[at++] = '\\';
            line[at++] = 'n';
        } else {
            line[at++] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
        }
    }
    return at;
}

static void log_write(enum log_level level, const char *event, const char *format, va_list args)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    int kept_errno = errno;
    char text[LOG_LINE_BYTES / 2], line[LOG_LINE_BYTES];
    struct timespec now;
    struct tm utc;

    (void)vsnprintf(text, sizeof(text), format, args);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    size_t at = strftime(line, sizeof(line), "ts=%Y-%m-%dT%H:%M:%S", &utc);
    int n = snprintf(line + at, 256, ".%03dZ level=%s event=%.64s msg=\"", (int)(now.tv_nsec / 1000000), names[level],
                     event);
    at = log_quote(line, at + (size_t)n, text);
    line[at++] = '"';
    line[at++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, at);
    (void)written; /* there is nowhere left to complain to */
    errno = kept_errno;
}

void log_error(const char *event, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_write(LOG_LEVEL_ERROR, event, format, args);
    va_end(args);
}

void log_warn(const char *event, const char *format, ...)
{
    if (!log_enabled(LOG_LEVEL_WARN)) return;
    va_list args;
    va_start(args, format);
    log_write(LOG_LEVEL_WARN, event, format, args);
    va_end(args);
}

void log_info(const char *event, const char *format, ...)
{
    if (!log_enabled(LOG_LEVEL_INFO)) return;
    va_list args;
    va_start(args, format);
    log_write(LOG_LEVEL_INFO, event, format, args);
    va_end(args);
}

void log_debug(const char *event, const char *format, ...)
{
    if (!log_enabled(LOG_LEVEL_DEBUG)) return;
    va_list args;
    va_start(args, format);
    log_write(LOG_LEVEL_DEBUG, event, format, args);
    va_end(args);
}

bool log_allowed(struct log_limit *limit, int64_t period_ms, int64_t *n_held)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t now_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    int64_t next_ms = atomic_load(&limit->next_ms);

    if (now_ms < next_ms || !atomic_compare_exchange_strong(&limit->next_ms, &next_ms, now_ms + period_ms)) {
        atomic_fetch_add(&limit->n_held, 1);
        return false;
    }
    *n_held = atomic_exchange(&limit->n_held, 0);
    return true;
}

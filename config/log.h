/* Logs: one logfmt line per event on stderr, e.g.
 *   ts=2026-11-21T05:33:05.123Z level=warn event=broker_away msg="127.0.0.1:9092: connection refused"
 *
 * `event` is a fixed token for programs, the text is for people; never put a secret into either.
 * Threads  every call may come from any thread; a line is one write(), so lines do not mix.
 * The level is the process's: the one setting here that all parts share on purpose. */
#ifndef CONFIG_LOG_H
#define CONFIG_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level); /* lines above it are dropped; default LOG_LEVEL_INFO */
bool log_enabled(enum log_level);

void log_error(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_warn(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_info(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_debug(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Holds back what would repeat: {0} is ready and lives with whoever logs. */
struct log_limit {
    _Atomic int64_t next_ms;
    _Atomic int64_t n_held;
};
/* True when a line may be written now, at most once per period; *n_held is how many were held back since the last. */
bool log_allowed(struct log_limit *, int64_t period_ms, int64_t *n_held);

#endif

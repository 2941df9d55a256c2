#include "plugin/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "config/log.h"

void progress_begin(struct progress *p, const char *command, int64_t log_s)
{
    *p = (struct progress){.command = command, .terminal = isatty(STDERR_FILENO), .log_s = log_s};
}

static void progress_rate(struct progress *p, const struct driver_stats *s)
{
    double passed = s->seconds - p->last_s;
    if (passed < 0.2) return;
    double now = (double)(s->events - p->last_events) / passed;
    p->rate = p->last_s > 0 ? 0.7 * p->rate + 0.3 * now : now;
    p->last_events = s->events;
    p->last_s = s->seconds;
}

void progress_tick(struct progress *p, const struct driver_stats *s)
{
    progress_rate(p, s);
    if (p->terminal) {
        p->shown = true;
        fprintf(stderr, "\r\033[Keddy %s  %lld events  %.0f/s  %lld keys  %lld alerts  %lld bad  model v%llu",
                p->command, (long long)s->events, p->rate, (long long)s->keys, (long long)s->alerts,
                (long long)s->bad, (unsigned long long)s->model);
        fflush(stderr);
        return;
    }
    if (p->log_s == 0 || s->seconds - p->logged_s < (double)p->log_s) return;
    p->logged_s = s->seconds;
    log_info(
        "progress",
        "events %lld, per second %.0f, keys %lld, alerts %lld, bad %lld, partitions %lld, updates %lld, model v%llu, "
        "refused %lld, set aside %lld, transactions failed %lld, published %lld, restored %lld in %.1f s",
        (long long)s->events, p->rate, (long long)s->keys, (long long)s->alerts, (long long)s->bad,
        (long long)s->partitions, (long long)s->updates, (unsigned long long)s->model,
        (long long)s->partitions_refused, (long long)s->set_aside, (long long)s->transactions_failed,
        (long long)s->publications, (long long)s->restores, s->restore_seconds);
}

void progress_end(struct progress *p)
{
    if (p->shown) fputs("\r\033[K", stderr);
    p->shown = false;
}

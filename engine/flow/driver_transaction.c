/* Guarantee exactly_once: results, dead letters, incidents and positions of all partitions go through one transaction
 * (transaction.h), which is committed every `commit_interval`.
 *
 * The lanes run ahead of it in memory; what is on disk never does, for a checkpoint is written only right after a commit,
 * when every lane stands exactly at its committed position.  So a crash, a fenced producer, an aborted or doubtful
 * commit and a lost partition all have the same answer: forget the lanes, open them at their checkpoints, fold what lies
 * between checkpoint and committed position again, silently, and go on.  Folding is deterministic (lane.h), so nothing
 * else has to be remembered.  README.md beside this file says it at length. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/failpoint.h"
#include "config/log.h"
#include "engine/flow/driver_private.h"

enum { COMMIT_MS = 10000, STOP_COMMIT_MS = 4000, RECOVER_MS = 500, SURRENDER_AFTER = 5 };
static const int64_t MS_NS = 1000000, OPEN_MOST_NS = 10 * 1000000000LL;
static const int64_t CALM_NS = 60 *
                               1000000000LL; /* a commit that held for so long makes earlier failures forgotten */

eddy_status driver_transaction_open(struct driver *d, struct eddy_error *err)
{
    const struct driver_request *q = &d->request;
    if (!q->transactor) return EDDY_OK;
    const struct transaction_request request = {
        d->settings->name, d->instance, q->sink_request.source, d->settings->latency, q->stop, q->worker, q->workers};
    d->commit_due_ns = driver_clock_ns() + d->settings->commit_interval;
    return q->transactor->open(&request, &d->transaction, err);
}

void driver_transaction_close(struct driver *d)
{
    if (d->transaction) d->request.transactor->close(d->transaction);
    d->transaction = NULL;
}

void driver_spoil(struct driver *d, const char *why)
{
    if (!d->transaction || d->spoilt) return;
    d->spoilt = true;
    log_warn("transaction", "given up: %s; partitions go on from their checkpoints", why);
}

eddy_status driver_begin(struct driver *d, struct eddy_error *err)
{
    if (!d->transaction || d->began || d->spoilt) return EDDY_OK;
    struct eddy_error why = {0};
    eddy_status rc = d->request.transactor->begin(d->transaction, &why);
    if (rc == EDDY_EAGAIN) {
        driver_spoil(d, why.message);
        return EDDY_OK;
    }
    if (rc < 0 && err) *err = why;
    d->began = rc >= 0;
    d->began_ns = driver_clock_ns();
    FAILPOINT("transaction_begun");
    return rc;
}

/* Positions that the group does not know yet. */
static int transaction_positions(struct driver *d, struct source_position *at)
{
    int n = 0;
    for (int i = 0; i < d->n_lanes; i++) {
        struct driver_lane *dl = d->lanes[i];
        int64_t next = driver_next(dl);
        if (dl->gone || next == dl->committed || next <= dl->emit_from || next == dl->started) continue;
        at[n++] = driver_position(dl, next);
    }
    return n;
}

static void transaction_failed(struct driver *d, const char *why)
{
    int64_t now = driver_clock_ns();
    if (now - d->failed_ns > CALM_NS) d->failures = 0;
    d->failed_ns = now;
    d->failures++;
    d->stats.transactions_failed++;
    driver_spoil(d, why);
}

static eddy_status transaction_send(struct driver *d, const struct source_position *at, int n, int timeout_ms,
                                    struct eddy_error *err)
{
    struct eddy_error why = {0};
    eddy_status rc = driver_begin(d, err);
    if (rc < 0 || d->spoilt) return rc < 0 ? rc : EDDY_EAGAIN;

    FAILPOINT("before_commit");
    if (FAILPOINT_BREAK("uncommitted_positions")) n = 0;
    rc = d->request.transactor->commit(d->transaction, d->source, at, n, timeout_ms, &why);
    FAILPOINT("after_commit");
    d->began = false;
    if (rc == EDDY_EAGAIN) {
        transaction_failed(d, why.message);
        return rc;
    }
    if (rc < 0) {
        if (err) *err = why;
        return rc;
    }
    d->stats.transactions++;
    return EDDY_OK;
}

/* However many partitions there are, their positions go with their results.  A transaction without results moves positions
 * all the same (records that were skipped). */
static eddy_status transaction_commit(struct driver *d, int timeout_ms, struct eddy_error *err)
{
    struct source_position *at = calloc((size_t)d->n_lanes + 1, sizeof(*at));
    if (!at) return eddy_fail(err, EDDY_ENOMEM, "out of memory for the positions of %d partitions", d->n_lanes);
    const int n = transaction_positions(d, at);
    d->commit_due_ns = driver_clock_ns() + d->settings->commit_interval;
    eddy_status rc = d->began || n > 0 ? transaction_send(d, at, n, timeout_ms, err) : EDDY_OK;
    for (int i = 0; i < n && rc >= 0; i++) ((struct driver_lane *)at[i].tag)->committed = at[i].next;
    free(at);
    return rc;
}

eddy_status driver_settle(struct driver *d, struct eddy_error *err)
{
    if (d->spoilt) return EDDY_EAGAIN;
    if (d->sending) { /* some results of a turn that is not over are written already: their position is not known */
        driver_spoil(d, "partitions changed hands while a batch was being sent");
        return EDDY_EAGAIN;
    }
    return transaction_commit(d, driver_stopping(d) ? STOP_COMMIT_MS : COMMIT_MS, err);
}

/* Between turns: commits when it is time. */
eddy_status driver_transaction_tick(struct driver *d, struct eddy_error *err)
{
    if (!d->transaction || d->spoilt) return EDDY_OK;
    struct eddy_error why = {0};
    eddy_status rc = d->request.transactor->check(d->transaction, &why);
    if (rc < 0) {
        transaction_failed(d, why.message);
        d->began = false;
        if (rc != EDDY_EAGAIN && err) *err = why;
        return rc == EDDY_EAGAIN ? EDDY_OK : rc;
    }
    if (driver_clock_ns() < d->commit_due_ns) return EDDY_OK;
    rc = driver_settle(d, err);
    return rc == EDDY_EAGAIN ? EDDY_OK : rc;
}

/* Before a turn: a transaction that would be too old after one as long as the longest so far is committed first, for the
 * brokers give up what is open for longer than transaction.timeout.ms.  The first long turn may be lost to that; it is
 * done again, and from then on every one begins with nothing open. */
eddy_status driver_transaction_room(struct driver *d, struct eddy_error *err)
{
    const int64_t most = d->request.transaction_most ? d->request.transaction_most : OPEN_MOST_NS;
    if (!d->transaction || !d->began || d->spoilt || d->sending) return EDDY_OK;
    if (driver_clock_ns() - d->began_ns + d->longest_turn_ns < most) return EDDY_OK;
    eddy_status rc = driver_settle(d, err);
    return rc == EDDY_EAGAIN ? EDDY_OK : rc;
}

/* The group is served while the brokers are away; partitions that leave meanwhile are not saved (driver_revoke). */
eddy_status driver_restart(struct driver *d, struct eddy_error *err)
{
    d->began = false;
    if (d->failures >= SURRENDER_AFTER && d->failures % SURRENDER_AFTER == 0)
        log_error("transaction",
                  "%d transactions came to nothing within a minute: does another process use the same "
                  "instance_id, or a copy of this state directory with its name, %s?",
                  d->failures, d->instance);
    for (;;) {
        eddy_status rc = d->request.transactor->recover(d->transaction, RECOVER_MS, err);
        if (rc == EDDY_OK) break;
        if (rc != EDDY_EAGAIN) return rc;
        if (driver_stopping(d)) return EDDY_EAGAIN;
        rc = d->request.source->serve(d->source, err);
        if (rc < 0) return rc;
    }
    FAILPOINT("recovered");
    eddy_status rc = d->request.source->restart(d->source, err);
    d->spoilt = d->sending = false;
    d->stats.restarts++;
    d->commit_due_ns = driver_clock_ns() + d->settings->commit_interval;
    return rc;
}

/* How long a poll may wait so that the commit is not late. */
int driver_patience_ms(const struct driver *d, int most_ms)
{
    if (!d->transaction || !d->began) return most_ms;
    int64_t left = (d->commit_due_ns - driver_clock_ns()) / MS_NS;
    return left < 1 ? 1 : left < most_ms ? (int)left : most_ms;
}

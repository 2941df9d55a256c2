/* Results, dead letters, incidents and positions that become visible together or not at all.  The driver
 * (engine/flow/driver_transaction.c) owns this interface; connectors/kafka/kafka_transaction.c implements it.
 *
 * Sinks opened with `sink_request.transaction` write inside the transaction that is open; the driver begins it before the
 * first of their messages.  A message that the transaction can no longer carry is taken and dropped: check() says so then,
 * and commit() fails.
 *
 * Threads  one thread calls everything. */
#ifndef ENGINE_FLOW_TRANSACTION_H
#define ENGINE_FLOW_TRANSACTION_H

#include <signal.h>

#include "engine/flow/source.h"

struct transaction_request {
    const char *name; /* settings.name */
    const char *id;   /* of this process and worker, the same after every restart, unless the user named it */
    const struct eddy_choice *source;  /* whose brokers and credentials it uses */
    int latency;                       /* enum latency (config/settings.h) */
    const volatile sig_atomic_t *stop; /* not 0: told to stop, so that waiting gets short; NULL = never */
    int worker, workers;               /* which of how many of this process; workers 0 or 1: one alone */
};

struct eddy_transactor {
    /* Fences whoever used the same id before, and ends what it left open. */
    eddy_status (*open)(const struct transaction_request *, void **transaction, struct eddy_error *);
    eddy_status (*begin)(void *transaction, struct eddy_error *);
    /* EDDY_EAGAIN: what is open can no longer be committed, and why; other errors are final. */
    eddy_status (*check)(void *transaction, struct eddy_error *);
    /* Makes everything since begin() visible, and with it the positions of the group that `source` is a member of.
     * EDDY_EAGAIN: it did not happen, or nobody knows whether it did: recover(), then ask the group.  Other errors are
     * final. */
    eddy_status (*commit)(void *transaction, void *source, const struct source_position *, int n, int timeout_ms,
                          struct eddy_error *);
    /* Gives up what is open and goes on under a new epoch.  EDDY_EAGAIN: the brokers do not answer, call again. */
    eddy_status (*recover)(void *transaction, int timeout_ms, struct eddy_error *);
    void (*close)(void *transaction); /* aborts what is open; after the sinks; NULL is fine */
};

#endif

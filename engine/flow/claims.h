/* Which partitions are open in this process, when several drivers share it.  A partition that moves from one driver to
 * another is opened by the new one only after the old one has closed its state file: the group may hand it over while the
 * old owner still has a batch of it in hand, or does not know yet that it has lost it.
 *
 * Threads  all calls from any thread; only partitions that come and go are counted here, nothing of an event. */
#ifndef ENGINE_FLOW_CLAIMS_H
#define ENGINE_FLOW_CLAIMS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "eddy_error.h"

struct claims;

struct claims *claims_open(int n_drivers); /* NULL: out of memory */
void claims_close(struct claims *);        /* NULL is fine */

/* Waits while another driver has the partition, for CLAIMS_WAIT_MS or until *stop (may be NULL): EDDY_EBUSY then. */
enum { CLAIMS_WAIT_MS = 60000 };
eddy_status claims_take(struct claims *, const char *topic, int32_t partition, const volatile sig_atomic_t *stop,
                        struct eddy_error *);
/* taken: by the group, for another member, who may be of this process: it is on its way until it is claimed again. */
void claims_give(struct claims *, const char *topic, int32_t partition, bool taken);

/* A partition that is claimed is not read: a person has to decide about it.  It is so until it is given back. */
void claims_refuse(struct claims *, const char *topic, int32_t partition);
/* What a driver's source tells: enum source_round (source.h). */
void claims_round(struct claims *, int driver, int round, int patience_ms);
/* All that are claimed are refused, and no driver is about to get another: each has what it was given, and what was taken
 * from one has come to another, or has not come for so long that it is somebody else's. */
bool claims_all_refused(struct claims *);

#endif

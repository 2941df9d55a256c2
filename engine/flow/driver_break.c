/* Deliberate defects of the driver (EDDY_BREAK, config/failpoint.h): the tests of the verifier switch on one at a time
 * and must see it caught.  Called in builds with failpoints alone. */
#include "config/failpoint.h"
#include "engine/flow/driver_private.h"

int driver_break_outputs(struct driver *d, int n)
{
    struct sink_message *m = d->messages;
    if (n < 2) return n;
    if (FAILPOINT_BREAK("drop_output")) return n - 1;
    if (FAILPOINT_BREAK("swap_outputs")) {
        const struct sink_message first = m[0];
        m[0] = m[1];
        m[1] = first;
    }
    if (FAILPOINT_BREAK("repeat_output") && n < d->chunk) {
        m[n] = m[n - 1];
        return n + 1;
    }
    return n;
}

void driver_break_commit(struct driver *d, struct driver_lane *dl, int64_t next)
{
    const struct source_position at = {dl, dl->topic, dl->partition, next, ""};
    struct eddy_error ignored = {0};
    if (d->request.commit && d->request.source->commit) (void)d->request.source->commit(d->source, &at, 1, &ignored);
}

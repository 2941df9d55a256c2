/* Results that an earlier life wrote after its last checkpoint: the output is asked once, when a partition begins, and a
 * result is left out when the very same bytes are there already.  So nothing is lost, whoever else writes there. */
#include <inttypes.h>
#include <stdlib.h>

#include "config/failpoint.h"
#include "config/log.h"
#include "engine/flow/driver_private.h"

/* Results from a position on that was set by hand are wanted again.  `eddy reset` says where the output ended then; whoever
 * else moves a group says nothing, and the end as it is now has to do. */
static bool moved_unmarked(const struct driver_lane *dl, const struct source_partition *p)
{
    return p->committed >= 0 && dl->mark.start < 0 && dl->mark.output < 0;
}

void driver_written_look(struct driver *d, struct driver_lane *dl, const struct source_partition *p)
{
    const struct eddy_sink *sink = d->request.sink;
    struct eddy_error why = {0};
    if (d->transaction || !d->sink || !d->request.commit || !sink->written) return;
    dl->written = (struct sink_written){
        .sum = keyspace_hash, .output = dl->mark.output, .only_end = moved_unmarked(dl, p)};
    if (sink->written(d->sink, dl->topic, dl->partition, dl->emit_from, &dl->written, &why) >= 0) {
        if (dl->written.only_end) dl->mark.output = dl->written.end;
    } else
        log_warn("position", "%s[%d]: %s; results since the checkpoint may be written again", dl->topic,
                 (int)dl->partition, why.message);
}

bool driver_written_has(struct driver_lane *dl, int64_t offset, const void *payload, size_t n)
{
    struct sink_written *w = &dl->written;
    while (dl->written_at < w->n && w->item[dl->written_at].offset < offset) dl->written_at++;
    if (dl->written_at == w->n) {
        driver_written_free(dl); /* the rest is new */
        return false;
    }
    const uint64_t sum = w->sum(payload, n);
    for (int i = dl->written_at; i < w->n && w->item[i].offset == offset; i++)
        if (w->item[i].sum == sum) return true;
    return false;
}

void driver_written_free(struct driver_lane *dl)
{
    free(dl->written.item);
    dl->written = (struct sink_written){0};
    dl->written_at = 0;
}

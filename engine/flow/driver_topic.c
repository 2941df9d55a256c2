/* The copy of the state in a topic (state.topic): where a partition goes on whose own state is gone, or lies so far behind
 * that the source no longer keeps what is between.
 *
 * driver_topic_look.c     what there is of a partition that has become ours; restoring it
 * driver_topic_publish.c  writing what changed
 *
 * Both in slices between turns: the group is served and the other partitions go on. */
#include <stdlib.h>

#include "engine/flow/driver_private.h"

eddy_status driver_topic_open(struct driver *d, struct eddy_error *err)
{
    const struct driver_request *q = &d->request;
    if (!q->state_topic || d->scratch_path) return EDDY_OK;
    const struct state_topic_request request = {d->settings->name, d->settings->state.topic, q->sink_request.source,
                                                q->stop};
    return q->state_topic->open(&request, &d->topic, err);
}

void driver_topic_close(struct driver *d)
{
    if (d->topic) d->request.state_topic->close(d->topic);
    d->topic = NULL;
    for (int i = 0; i < d->n_looked; i++) free(d->looked[i].topic);
    free(d->looked);
    d->looked = NULL;
    d->n_looked = 0;
}

bool driver_topic_holding(const struct driver *d)
{
    for (int i = 0; i < d->n_lanes; i++)
        if (d->lanes[i]->held) return true;
    return false;
}

eddy_status driver_topic_tick(struct driver *d, struct eddy_error *err)
{
    if (!d->topic) return EDDY_OK;
    driver_topic_expire(d);
    struct driver_lane *wanted = driver_topic_wanted(d, driver_clock_ns());
    eddy_status rc = wanted ? driver_topic_look(d, wanted, err) : EDDY_OK;
    if (rc >= 0) rc = driver_topic_prepare(d, err);
    const bool prepared = rc > 0;
    if (rc >= 0) rc = driver_topic_publish(d, err);
    d->topic_busy = wanted || prepared || driver_topic_publishing(d);
    return rc;
}

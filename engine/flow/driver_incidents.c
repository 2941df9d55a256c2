/* Incidents as records of their own: sent after the results of the same turn and before it is committed, so that they
 * are delivered as surely as results are.  Sending may serve the group, which may take the partition away: the turn is
 * aborted then, and what it had to tell is gone. */
#include <string.h>

#include "engine/flow/driver_private.h"

static eddy_status incidents_flush(struct driver *d, int n, struct eddy_error *err)
{
    for (int i = 0; i < n; i++) {
        d->messages[i].payload = d->encoded.data + d->starts[i];
        d->messages[i].len = d->starts[i + 1] - d->starts[i];
    }
    d->encoded.len = 0;
    return n > 0 ? driver_send(d, d->request.incidents, d->incidents, d->messages, n, err) : EDDY_OK;
}

static eddy_status incidents_add(struct driver *d, const struct eddy_result *r, int k, int n, struct eddy_error *err)
{
    eddy_status rc = d->sink_codec_type->encode_incident(d->sink_codec, r, k, &d->encoded, err);
    d->messages[n] = (struct sink_message){
        .partition = -1, .key = r->key, .key_len = r->key_len, .time_ns = EDDY_NO_TIME};
    d->starts[n + 1] = d->encoded.len;
    return rc;
}

/* All incidents of a result; *waiting of them are in hand. */
static eddy_status incidents_of(struct driver *d, const struct driver_lane *dl, const struct eddy_result *r,
                                int *waiting, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    for (int k = 0; rc >= 0 && !dl->gone && !d->spoilt && k < r->n_incidents; k++) {
        rc = incidents_add(d, r, k, (*waiting)++, err);
        if (rc < 0 || *waiting < d->chunk) continue;
        rc = incidents_flush(d, *waiting, err);
        *waiting = 0;
    }
    return rc;
}

/* What is due up to an offset of keys that sent nothing; *told of them are done. */
static eddy_status incidents_of_others(struct driver *d, const struct driver_lane *dl, int64_t offset, int *told,
                                       int *waiting, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    for (; *told < lane_n_news(dl->lane) && lane_news(dl->lane, *told)->offset <= offset && rc >= 0; ++*told)
        if (lane_news(dl->lane, *told)->offset >= dl->emit_from)
            rc = incidents_of(d, dl, lane_news(dl->lane, *told), waiting, err);
    return rc;
}

eddy_status driver_send_incidents(struct driver *d, const struct driver_lane *dl, const struct lane_event *events,
                                  int n, struct eddy_error *err)
{
    int waiting = 0, told = 0;
    eddy_status rc = EDDY_OK;
    if (!d->incidents) return EDDY_OK;
    d->encoded.len = d->starts[0] = 0;
    for (int i = 0; i < n && rc >= 0; i++) {
        rc = incidents_of_others(d, dl, events[i].offset, &told, &waiting, err);
        if (rc >= 0 && events[i].kind == LANE_EVENT && events[i].offset >= dl->emit_from)
            rc = incidents_of(d, dl, &d->results[i], &waiting, err);
    }
    return rc >= 0 ? incidents_flush(d, waiting, err) : rc;
}

eddy_status driver_open_incidents(struct driver *d, struct eddy_error *err)
{
    const struct driver_request *q = &d->request;
    if (!q->incidents) return EDDY_OK;
    if (!d->sink_codec_type->encode_incident)
        return eddy_fail(err, EDDY_ECONFIG, "detect.incidents.sink: the codec %s writes no incidents",
                         d->sink_codec_type->part.name);
    const struct sink_request request = driver_sink_request(d);
    return q->incidents->open(q->incidents_settings, &request, &d->incidents, err);
}

/* Incidents as records of their own: sent after the results of the same turn and before it is committed, so that they
 * are delivered as surely as results are. */
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

eddy_status driver_send_incidents(struct driver *d, const struct driver_lane *dl, const struct lane_event *events,
                                  int n, struct eddy_error *err)
{
    int waiting = 0;
    if (!d->incidents) return EDDY_OK;
    d->encoded.len = d->starts[0] = 0;
    for (int i = 0; i < n; i++) {
        const struct eddy_result *r = &d->results[i];
        if (events[i].kind != LANE_EVENT || events[i].offset < dl->emit_from) continue;
        for (int k = 0; k < r->n_incidents; k++) {
            eddy_status rc = incidents_add(d, r, k, waiting++, err);
            if (rc >= 0 && waiting == d->chunk) {
                rc = incidents_flush(d, waiting, err);
                waiting = 0;
            }
            if (rc < 0) return rc;
        }
    }
    return incidents_flush(d, waiting, err);
}

eddy_status driver_open_incidents(struct driver *d, struct eddy_error *err)
{
    const struct driver_request *q = &d->request;
    if (!q->incidents) return EDDY_OK;
    if (!d->sink_codec_type->encode_incident)
        return eddy_fail(err, EDDY_ECONFIG, "detect.incidents.sink: the codec %s writes no incidents",
                         d->sink_codec_type->part.name);
    const struct sink_request request = {.name = d->settings->name, .source = q->sink_request.source};
    return q->incidents->open(q->incidents_settings, &request, &d->incidents, err);
}

/* Keys that have stopped sending (engine/detect/silence.h): in the order of offsets, before the waves, and told as
 * incidents without a record of their own. */
#include <math.h>

#include "engine/detect/silence.h"
#include "engine/flow/lane_private.h"

eddy_status lane_silence_open(struct lane *l, struct eddy_error *err)
{
    const struct silence_settings *s = &l->plan->settings->detect.silence;
    return s->keys > 0 ? silence_open(s, &l->silence, err) : EDDY_OK;
}

void lane_silence_close(struct lane *l)
{
    silence_close(l->silence);
}

static eddy_status silence_keep(struct lane *l, const struct silence_news *news, int64_t offset,
                                struct eddy_error *err)
{
    const bool begins = news->change == SILENCE_BEGINS;
    const struct lane_news about = {
        .key = news->key, .key_len = news->key_len, .since_ns = INT64_MIN, .now_ns = news->now_ns, .offset = offset};
    struct eddy_incident incident = {.kind = "silence",
                                     .state = begins ? EDDY_INCIDENT_OPEN : EDDY_INCIDENT_CLOSED,
                                     .new_normal = news->change == SILENCE_ACCEPTED,
                                     .start_ns = news->start_ns,
                                     .end_ns = news->now_ns,
                                     .peak_ns = news->now_ns,
                                     .peak = NAN};
    lane_incident_id(news->id, incident.id);
    l->stats.incidents += begins;
    return lane_news_add(l, &about, &incident, err);
}

eddy_status lane_silence_event(struct lane *l, const struct lane_event *in, uint64_t hash, struct eddy_error *err)
{
    struct silence_news news[SILENCE_NEWS];
    const struct eddy_event *e = &in->event;
    if (e->label_only) return EDDY_OK;
    eddy_status rc = silence_event(l->silence, hash, e->key, e->key_len, e->time_ns, news, err);
    const int n = rc;
    for (int i = 0; i < n && rc >= 0; i++) rc = silence_keep(l, &news[i], in->offset, err);
    return rc;
}

eddy_status lane_silence_tombstone(struct lane *l, const struct lane_event *in, struct eddy_error *err)
{
    struct silence_news news;
    const struct eddy_event *e = &in->event;
    if (!l->silence || !silence_forget(l->silence, keyspace_hash(e->key, e->key_len), e->key, e->key_len, &news))
        return EDDY_OK;
    return silence_keep(l, &news, in->offset, err);
}

void lane_silence_forget(struct lane *l, const char *key, size_t key_len)
{
    struct silence_news news;
    if (l->silence) (void)silence_forget(l->silence, keyspace_hash(key, key_len), key, key_len, &news);
}

eddy_status lane_silence_restore(struct lane *l, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    if (!l->silence) return EDDY_OK;
    eddy_status rc = store_get_meta(l->store, "silence", &b, err);
    if (rc >= 0) rc = silence_decode(l->silence, b.data, b.len, err);
    eddy_buffer_free(&b);
    return rc == EDDY_ENOTFOUND ? EDDY_OK : rc;
}

#include "connectors/codec/json_kept.h"

#include "connectors/codec/json_write.h"
#include "connectors/codec/number.h"

static const char *const state_text[] = {[EDDY_STATE_WARMUP] = "warmup",
                                         [EDDY_STATE_OK] = "ok",
                                         [EDDY_STATE_FROZEN] = "frozen",
                                         [EDDY_STATE_STALE] = "stale"};

const char *json_state_text(int state)
{
    return state_text[state];
}

void json_standing_see(struct json_standing *s, const struct eddy_result *r, unsigned bits)
{
    char *p = s->text;
    if (bits >> JSON_RESULT_ANOMALY & 1) p = json_put(p, r->anomaly ? ",\"anomaly\":true" : ",\"anomaly\":false");
    if (bits >> JSON_RESULT_STATE & 1)
        p = json_put(json_put(json_put(p, ",\"state\":\""), json_state_text(r->state)), "\"");
    if (bits >> JSON_RESULT_MODEL & 1) {
        p = json_put(p, ",\"model\":\"v");
        p += number_write_int((int64_t)r->model, p);
        p = json_put(p, "\"");
    }
    s->len = (size_t)(p - s->text);
    s->anomaly = r->anomaly;
    s->state = r->state;
    s->model = r->model;
    s->known = true;
}

char *json_origin_begin(char *p, const struct eddy_result *r)
{
    p = json_put(p, ",\"src\":{\"topic\":");
    p += json_text_quote(p, r->topic, strlen(r->topic));
    p = json_put(p, ",\"partition\":");
    p += number_write_int(r->partition, p);
    return json_put(p, ",\"offset\":");
}

void json_origin_see(struct json_origin *o, const struct eddy_result *r)
{
    const size_t len = strlen(r->topic);
    o->len = 0;
    if (len >= sizeof(o->topic)) return;
    memcpy(o->topic, r->topic, len + 1);
    o->partition = r->partition;
    o->len = (size_t)(json_origin_begin(o->text, r) - o->text);
}

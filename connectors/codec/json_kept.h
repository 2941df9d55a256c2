/* What results have in common with the one before, kept as text: how it stands with a key, and where records come from.
 * Memory   nothing is allocated; texts are told apart by what is in them, and nothing that is borrowed is kept.
 * Threads  each belongs to one codec. */
#ifndef CONNECTORS_CODEC_JSON_KEPT_H
#define CONNECTORS_CODEC_JSON_KEPT_H

#include <stdbool.h>
#include <string.h>

#include "connectors/codec/json_text.h"
#include "eddy_codec.h"

enum { JSON_KEPT_BLOCK = 64 };  /* what is copied at least */
enum { JSON_KEPT_TOPIC = 256 }; /* Kafka's topics have fewer bytes; paths may have more */
enum { JSON_KEPT_ORIGIN = 6 * JSON_KEPT_TOPIC + JSON_KEPT_BLOCK };

/* ,"anomaly":false,"state":"ok","model":"v1", or what is wanted of it.  {0} at first. */
struct json_standing {
    bool known, anomaly;
    int state;
    uint64_t model;
    size_t len;
    char text[2 * JSON_KEPT_BLOCK];
};

/* ,"src":{"topic":"..","partition":0,"offset":  {0} at first. */
struct json_origin {
    char topic[JSON_KEPT_TOPIC];
    int32_t partition;
    size_t len; /* 0: no origin is kept */
    char text[JSON_KEPT_ORIGIN];
};

/* Copies one of these texts; what is written too much lies within JSON_KEPT_BLOCK. */
static inline char *json_kept_write(char *p, const char *text, size_t len)
{
    memcpy(p, text, JSON_KEPT_BLOCK);
    if (len > JSON_KEPT_BLOCK) memcpy(p + JSON_KEPT_BLOCK, text + JSON_KEPT_BLOCK, len - JSON_KEPT_BLOCK);
    return p + len;
}

static inline bool json_standing_is(const struct json_standing *s, const struct eddy_result *r)
{
    return s->known && s->model == r->model && s->state == r->state && s->anomaly == r->anomaly;
}
/* From here on the result's; `bits` (enum json_result_field) must be the same ones each time. */
void json_standing_see(struct json_standing *, const struct eddy_result *, unsigned bits);

/* False also for a topic that is not kept because its name is too long. */
static inline bool json_origin_is(const struct json_origin *o, const struct eddy_result *r)
{
    return o->len > 0 && o->partition == r->partition && strcmp(o->topic, r->topic) == 0;
}
void json_origin_see(struct json_origin *, const struct eddy_result *);

/* The same text, of any topic. */
char *json_origin_begin(char *p, const struct eddy_result *);
/* "ok", "warmup", .. */
const char *json_state_text(int state);

#endif

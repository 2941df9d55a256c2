/* A result as one line of JSON: the output record of eddy.
 *   {"key","ts","y","yhat","yhat_lower","yhat_upper","score","evidence","score_ratio","anomaly","state","model",
 *    "incident","attribution","forecast":[{"h","yhat","lower","upper"}],"smoothed":{"ts","y","score"},
 *    "classes":{"NAME":p},"class","incidents":[..],"src":{"topic","partition","offset"}}
 * With several values y, yhat, yhat_lower, yhat_upper, the forecast's numbers and the smoothed y are objects by value
 * name, and there is an attribution.  NaN is null.  `smoothed` is there when there is a smoothed event (whose time is
 * RFC 3339 also where times come back as they came in), `classes` and `class` when a network classifies,
 * `incident` while one is open for the key, and `incidents` (json_incident.h) when there is something to tell of them.
 * Memory   grows the buffer once per result. */
#ifndef CONNECTORS_CODEC_JSON_WRITE_H
#define CONNECTORS_CODEC_JSON_WRITE_H

#include "connectors/codec/json_fields.h"

/* `fields` may be NULL when there is one value only. */
eddy_status json_write(const struct eddy_result *, const struct json_fields *, int time_format,
                       struct eddy_buffer *out, struct eddy_error *);

/* A time, in quotes unless it is epoch_ms; and what closes a record: ,"src":{..}}. */
char *json_write_instant(char *p, int64_t time_ns, int time_format);
char *json_write_origin(char *p, const struct eddy_result *);

/* "ok", "warmup", .. */
const char *json_state_text(int state);

#endif

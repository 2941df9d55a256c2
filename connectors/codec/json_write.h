/* A result as one line of JSON: the output record of eddy.
 *   {"key","ts","y","yhat","yhat_lower","yhat_upper","score","evidence","score_ratio","anomaly","state","model",
 *    "attribution","forecast":[{"h","yhat","lower","upper"}],"smoothed":{"ts","y","score"},
 *    "classes":{"NAME":p},"class","src":{"topic","partition","offset"}}
 * With several values y, yhat, yhat_lower, yhat_upper, the forecast's numbers and the smoothed y are objects by value
 * name, and there is an attribution.  NaN is null.  `smoothed` is there when there is a smoothed event (whose time is
 * RFC 3339 also where times come back as they came in), `classes` and `class` when a network classifies.
 * Memory   grows the buffer once per result. */
#ifndef CONNECTORS_CODEC_JSON_WRITE_H
#define CONNECTORS_CODEC_JSON_WRITE_H

#include "connectors/codec/json_fields.h"

/* `fields` may be NULL when there is one value only. */
eddy_status json_write(const struct eddy_result *, const struct json_fields *, int time_format,
                       struct eddy_buffer *out, struct eddy_error *);

/* "ok", "warmup", .. */
const char *json_state_text(int state);

#endif

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
#include "connectors/codec/json_kept.h"
#include "connectors/codec/number_lanes.h"

/* The fields of a result at its top, as bits, in the order in which they are written. */
enum json_result_field {
    JSON_RESULT_KEY,
    JSON_RESULT_TS,
    JSON_RESULT_Y,
    JSON_RESULT_YHAT,
    JSON_RESULT_YHAT_LOWER,
    JSON_RESULT_YHAT_UPPER,
    JSON_RESULT_SCORE,
    JSON_RESULT_EVIDENCE,
    JSON_RESULT_SCORE_RATIO,
    JSON_RESULT_ANOMALY,
    JSON_RESULT_STATE,
    JSON_RESULT_MODEL,
    JSON_RESULT_INCIDENT,
    JSON_RESULT_ATTRIBUTION,
    JSON_RESULT_FORECAST,
    JSON_RESULT_SMOOTHED,
    JSON_RESULT_CLASSES, /* and class */
    JSON_RESULT_INCIDENTS,
    JSON_RESULT_SRC,
    N_JSON_RESULT_FIELDS
};
extern const char *const json_result_words[]; /* as users write them, by enum json_result_field; NULL-terminated */

/* The bits of some of the words, all for an empty list; an unknown or repeated word is refused by name. */
eddy_status json_result_bits(const struct eddy_strings *words, unsigned *bits, struct eddy_error *);

/* How results are written, and what is kept of the last one, {0} at first. */
struct json_manner {
    unsigned bits;   /* which fields */
    int time_format; /* enum time_format */
    struct timestamp_last time;
    struct json_standing standing;
    struct json_origin origin;
    struct number_batch numbers; /* of the result in hand */
};
/* `fields` may be NULL when there is one value only. */
eddy_status json_write(const struct eddy_result *, const struct json_fields *, struct json_manner *,
                       struct eddy_buffer *out, struct eddy_error *);

/* A time, in quotes unless it is epoch_ms; and where a record comes from: ,"src":{..}. */
char *json_write_instant(char *p, int64_t time_ns, int time_format);
char *json_write_origin(char *p, const struct eddy_result *);

#endif

/* Wanted fields anywhere in a JSON document, through jansson's DOM: for records that the scanner cannot read alone.
 *
 * A number that is no value comes as text too: integers of 64 bits as they are, others in the shortest form that reads
 * back as the same double.
 * Errors   as json_scan(), but for limits, which the scanner checks; any name given twice in an object is refused.
 * Threads  reentrant. */
#ifndef CONNECTORS_CODEC_JSON_GENERAL_H
#define CONNECTORS_CODEC_JSON_GENERAL_H

#include "connectors/codec/json_scan.h"

/* Fills values[fields->n]; texts are in the arena. */
eddy_status json_general(const struct json_fields *, const char *text, size_t len, struct eddy_arena *,
                         struct json_value *values, struct eddy_error *);

#endif

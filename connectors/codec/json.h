/* The JSON codec: records that are one JSON object each.
 *
 * A record is read by the scanner (json_scan.h) as long as every wanted field lies at the top of the object, and through
 * a DOM (json_general.h) when one is a path such as payload.temp or readings.0.  Both refuse the same documents.
 * Field     a name at the top, else a path of names and list indices separated by dots; a name with dots in it goes
 *           before a path.
 * Values    a number; null or absent = missing.
 * Key       a string, or a number, which counts as its text.
 * Label     a string; a number, true and false count as their text; null, absent and the empty string = none.
 * Category  the same; null and absent count as the empty text.
 * Refused   what RFC 8259 does not allow, wanted fields given twice (with paths: any name given twice in one object),
 *           numbers that no double can hold (anywhere), NUL in a name. */
#ifndef CONNECTORS_CODEC_JSON_H
#define CONNECTORS_CODEC_JSON_H

#include "connectors/codec/timestamp.h"
#include "eddy_codec.h"

#define JSON_RECORD_KEY  "$key"       /* as `key`: the record's own key, e.g. of Kafka */
#define JSON_RECORD_TIME "$timestamp" /* as `time`: the record's own time, e.g. of the broker */

struct json_settings {
    const char *key, *time;
    int time_unit, time_format; /* enum time_unit, enum time_format */
    struct eddy_strings values; /* empty: every numeric field of the first good record that is nothing else */
    const char *label;          /* NULL = none */
    struct eddy_strings categories;
    struct eddy_strings fields; /* of results; empty: all */
};

#endif

/* Incidents as JSON: in the record of the event that they are told with, or as records of their own.
 *   {"id","kind","state","start","end","events","repeats","peak":{"ts","score","values":
 *    {"NAME":{"share","y","yhat","lower","upper"}}}}
 * `end` is null until the incident is closed, `new_normal` is there (true) when it closed because it has lasted too
 * long to be a fault, and `repeats` when there were any.  In a record it stands in the array `incidents`, which is
 * left out when there is nothing to tell; a record of its own begins with `key` and ends with `src`. */
#ifndef CONNECTORS_CODEC_JSON_INCIDENT_H
#define CONNECTORS_CODEC_JSON_INCIDENT_H

#include "eddy_codec.h"

/* The most that json_incidents_write() writes. */
size_t json_incidents_bound(const struct eddy_result *);
/* There must be some. */
char *json_incidents_write(char *p, const struct eddy_result *, int time_format);
/* Appends the i-th incident of a result as a line of its own, without a line end. */
eddy_status json_incident_record(const struct eddy_result *, int i, int time_format, struct eddy_buffer *out,
                                 struct eddy_error *);

#endif

/* The incidents of a stored key for people and programs: those that are open, and the last of each kind.
 *
 * They are read with the plan of the configuration.  Where it keeps incidents in another way than the stored row (another
 * version, other detectors), there is nothing to show: false, and the section remains one of raw numbers. */
#ifndef PLUGIN_STATE_INCIDENTS_H
#define PLUGIN_STATE_INCIDENTS_H

#include <stdbool.h>

#include "engine/flow/plan.h"
#include "engine/state/store.h"
#include "plugin/json_out.h"

bool state_incidents(const struct plan *, const struct row_layout *, const struct stored_row *, FILE *out);
/* The member "incidents", an array of what json_incident.h says, but of states only "ongoing" and "closed". */
bool state_incidents_json(const struct plan *, const struct row_layout *, const struct stored_row *,
                          struct json_out *);

#endif

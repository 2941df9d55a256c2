/* A stored key for people and programs: its place, its counters, and every section of its row as numbers. */
#ifndef PLUGIN_STATE_VIEW_H
#define PLUGIN_STATE_VIEW_H

#include "eddy_codec.h"
#include "engine/state/store.h"
#include "plugin/json_out.h"

/* One line of `state list`. */
void state_view_line(const struct store_identity *, const struct stored_row *, FILE *out);
void state_view_line_json(const struct store_identity *, const struct stored_row *, struct json_out *);

/* All of one row.  The text shows incidents, and the first numbers of each other section; the JSON incidents and all
 * numbers.  `plan`: of the configuration, says what incidents mean; NULL = not known. */
struct plan;
void state_view_row(const struct store_identity *, const struct plan *, const struct row_layout *,
                    const struct stored_row *, FILE *out);
void state_view_row_json(const struct store_identity *, const struct plan *, const struct row_layout *,
                         const struct stored_row *, struct json_out *);

#endif

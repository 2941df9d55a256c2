/* Where the columns of a file go in a schema, found once for as long as both stay the same.
 *
 * Schemas are told apart by their names, not by their address: they come and go with partitions.
 * Memory   a map owns its lists; csv_map_free({0}) is fine.
 * Errors   EDDY_ENOMEM. */
#ifndef CONNECTORS_CODEC_CSV_MAP_H
#define CONNECTORS_CODEC_CSV_MAP_H

#include "connectors/codec/csv.h"

struct csv_map {
    int *value;    /* [columns->n_values] index in the schema, or -1 */
    int *category; /* [columns->n_categories] the same */

    const struct csv_columns *columns; /* what the lists were made for; NULL = nothing yet */
    struct eddy_buffer names;          /* of the schema: values, then categories */
    int n_values, n_categories;
};

eddy_status csv_map(struct csv_map *, const struct csv_columns *, const struct eddy_schema *, struct eddy_error *);
void csv_map_free(struct csv_map *);

#endif

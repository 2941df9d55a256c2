/* The values of a series, found before the first event: from a list, from what the codec's settings say, or from a
 * state file.
 * Memory   a schema_names owns its text; schema_free({0}) is fine. */
#ifndef PLUGIN_SCHEMA_H
#define PLUGIN_SCHEMA_H

#include "config/settings.h"
#include "eddy_codec.h"

struct store;

struct schema_names {
    struct eddy_schema schema; /* points into the members below */
    struct eddy_buffer text;   /* consecutive NUL-terminated names */
    const char **names;        /* [schema.n_values] */
};

void schema_free(struct schema_names *);
/* "a,b,c": EDDY_EINVAL for an empty or repeated name. */
eddy_status schema_from_text(struct schema_names *, const char *list, struct eddy_error *);
eddy_status schema_from_array(struct schema_names *, const char *const *names, struct eddy_error *);
/* What the configured codec lists; EDDY_ENOTFOUND when it takes the values from the first record. */
eddy_status schema_from_codec(struct schema_names *, const struct settings *, struct eddy_error *);
/* What a state file was written for; EDDY_ENOTFOUND when it is new. */
eddy_status schema_from_store(struct schema_names *, struct store *, struct eddy_error *);
/* One value whose name only the first record will tell (""): nothing in the configuration can be wrong for it. */
eddy_status schema_unknown(struct schema_names *, struct eddy_error *);
/* The list if given, else the codec's, else one unknown value: for sizes and plans without data. */
eddy_status schema_for_plan(struct schema_names *, const char *list, const struct settings *, struct eddy_error *);

#endif

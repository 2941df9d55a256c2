/* --set a.b.c=VALUE: changes the tree before it is read by the option tables.
 *
 * The path follows the tables, so that the names inside an open map may hold dots
 * ("source.kafka.properties.bootstrap.servers=.."), a number picks an item of a list (one more than the last appends),
 * and a path into a default list works on that default.  VALUE is YAML. */
#ifndef CONFIG_OVERRIDE_H
#define CONFIG_OVERRIDE_H

#include "config/node.h"

/* Applies "path=VALUE" to the root map; what is wrong is reported under the name "--set path=...".  A path that the
 * tables do not know is entered all the same: reading the tree reports it as unknown. */
void override_apply(struct reading *, struct node *root, const struct eddy_option *table, const char *override);
/* True when the override changes the root option `name`. */
bool override_is_of(const char *override, const char *name);

#endif

/* Profiles: one word sets many options.  `forecast.profile: best` merges a piece of YAML beneath what the user wrote, so
 * that whatever is said in the file or by --set still wins; the pieces stand in one table at the end of profiles.c.
 *
 * What is merged   groups and named groups (networks) option by option; everything else, lists among it, as a whole.
 * Messages         name the profile and its line: "profile best:3: forecast.experts: ..".
 * Order            overrides that choose a profile, the profiles, then all other overrides: a path such as
 *                  forecast.experts.0 reaches into what the profile says. */
#ifndef CONFIG_PROFILES_H
#define CONFIG_PROFILES_H

#include "config/node.h"

struct profile {
    const char *option; /* "forecast.profile", whose words name the profiles; NULL ends a table */
    const char *word;
    const char *source; /* name in messages */
    const char *yaml;   /* a map of root options */
};

extern const struct profile profiles_built_in[];

/* Merges those that the root map chooses; false when it is not clear which (reported). */
bool profiles_apply(struct reading *, const struct profile *, const struct eddy_option *table, struct node *root);
/* True when the override may choose a profile. */
bool profiles_chosen_by(const struct profile *, const char *override);

#endif

/* Fills a settings struct from a node by an option table.
 *
 * option.c walks the tables (names, defaults, groups); value.c turns scalars and lists into numbers and texts;
 * choice.c does the parts.  All of them report problems to the reading and go on; what was wrong stays 0.
 * Memory   strings and lists are taken from the reading. */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include "config/node.h"

/* What users and messages are told about an option type; one row each in option.c. */
struct option_type {
    const char *name;     /* in the reference: "list of parts" */
    const char *expected; /* in messages: "a list of names or {name: {options}}" */
    bool is_scalar;       /* one word or number: a default of this type is its own YAML */
};
const struct option_type *option_type(enum eddy_option_type);

/* One option while it is being filled. */
struct slot {
    const struct eddy_option *option;
    const char *path; /* "forecast.bands" */
    void *at;         /* where in the settings struct the value goes, zeroed */
};

/* Fills `settings` (zeroed) from the map `node` by `table` (NULL = no options); `path` is "" for the root. */
void options_fill(struct reading *, const struct eddy_option *table, const struct node *map, const char *path,
                  void *settings);
/* One option by itself: from the node, or from its default when `node` is NULL; `near` is where the option would have
 * been written. */
void option_fill(struct reading *, const struct slot *, const struct node *node, struct place near);

/* Scalars and lists: everything but groups and parts. */
void value_fill(struct reading *, const struct slot *, const struct node *);
/* The expanded text of a scalar; NULL when it is none, or empty, or cannot be expanded: reported. */
const char *value_text(struct reading *, const struct slot *, const struct node *);

/* EDDY_OPT_PART and EDDY_OPT_PARTS. */
void choice_fill(struct reading *, const struct slot *, const struct node *);
void choices_fill(struct reading *, const struct slot *, const struct node *);

const struct eddy_option *option_find(const struct eddy_option *table, const char *name);
/* "a.b", or "b" when `path` is "". */
const char *path_join(struct reading *, const char *path, const char *name);

/* Reports what the option expects: "path: expected a list of numbers, got a map". */
void option_expected(struct reading *, const struct slot *, const struct node *);
/* Reports a word that is none of `words` (NULL-terminated); `shown` is the word as messages may show it. */
void option_not_one_of(struct reading *, const char *path, const struct node *, const char *shown,
                       const char *const *words);

#endif

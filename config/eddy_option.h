/* Option tables: the only place where an option is declared.
 *
 * One row gives the name, type, place in the settings struct, default, range, unit and meaning.  Defaults,
 * validation, `eddy options`, config/OPTIONS.md and did-you-mean all come from these rows.  A table ends with {0}.
 * Settings structs are plain data; strings and lists inside them are owned by the `struct config` that filled them
 * and live as long as it does. */
#ifndef EDDY_OPTION_H
#define EDDY_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eddy_error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum eddy_option_type {
    EDDY_OPT_END = 0,
    EDDY_OPT_BOOL,     /* bool                       true | false */
    EDDY_OPT_INT,      /* int64_t */
    EDDY_OPT_REAL,     /* double                     finite */
    EDDY_OPT_STRING,   /* const char *               NULL when unset */
    EDDY_OPT_ENUM,     /* int                        index into the words of `unit`, separated by | */
    EDDY_OPT_DURATION, /* int64_t, nanoseconds       250ms 10s 5m 24h 30d; the unit is required, 0 needs none */
    EDDY_OPT_SIZE,     /* int64_t, bytes             512MiB 1GiB 64kB 4096 */
    EDDY_OPT_STRINGS,  /* struct eddy_strings        a list of scalars; a single scalar is a list of one */
    EDDY_OPT_REALS,    /* struct eddy_reals          a list of numbers */
    EDDY_OPT_RANGES,   /* struct eddy_ints           numbers and "a-b" ranges; expanded, sorted, without repeats */
    EDDY_OPT_MAP,   /* struct eddy_map            an open map from name to scalar, in file order; with words in `unit`
                          its values are one of them, and a word alone stands for {default: word} */
    EDDY_OPT_GROUP, /* a struct at `offset`       filled by the table `sub` */
    EDDY_OPT_PART,  /* struct eddy_choice         {name: {options}} or just name; a part of kind `kind` */
    EDDY_OPT_PARTS, /* struct eddy_choices        a list of those */
    EDDY_OPT_GROUPS /* struct eddy_groups         a map from names of the user's own to groups filled by `sub` */
};

enum { EDDY_EMPTY_UNSETS = 1 };

struct eddy_part;

struct eddy_option {
    const char *name;           /* as in the YAML file, e.g. "learning_rate"; NULL ends the table */
    enum eddy_option_type type; /* see above */
    size_t offset;              /* offsetof() into the settings struct */
    const char *default_text;   /* as one would write it in YAML; NULL = required, "" = unset (NULL, 0 or empty) */
    double min, max;  /* inclusive range of numbers, durations (ns), sizes (bytes), list items; both 0 = any */
    const char *unit; /* for people ("steps", "per event"); for EDDY_OPT_ENUM and _MAP the allowed words "a|b|c" */
    const char *help; /* one or two sentences */
    const struct eddy_option *sub; /* EDDY_OPT_GROUP(S): the group's own table */
    int kind;    /* EDDY_OPT_PART(S): enum eddy_part_kind; EDDY_OPT_GROUPS: bytes of a group's struct;
                    EDDY_OPT_STRING: EDDY_EMPTY_UNSETS where "" may be written in spite of a default */
    bool secret; /* never printed: `eddy check` shows ***** instead */
};

struct eddy_strings {
    int n;
    const char *const *item;
};
struct eddy_reals {
    int n;
    const double *item;
};
struct eddy_ints {
    int n;
    const int *item;
};
struct eddy_pair {
    const char *name, *value;
    int line; /* line of the file, for messages; 0 when it came from --set */
};
struct eddy_map {
    int n;
    const struct eddy_pair *item;
};
struct eddy_choice {
    const struct eddy_part *part; /* NULL = not given */
    const void *settings;         /* part->settings_size bytes, filled from part->options */
    const char *where;            /* "file:line: path.to.option", for messages of open() calls */
};
struct eddy_choices {
    int n;
    const struct eddy_choice *item;
};
struct eddy_group {
    const char *name;     /* letters, digits, dash and underscore, at most 32 */
    const void *settings; /* option->kind bytes, filled from option->sub */
    const char *where;    /* "file:line: path.to.option" */
};
struct eddy_groups {
    int n;
    const struct eddy_group *item;
};

#ifdef __cplusplus
}
#endif
#endif

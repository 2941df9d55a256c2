/* What the YAML text says, before the option tables give it a meaning: a tree of scalars, maps and lists, every node
 * with the place it came from.
 * Memory   nodes, names and texts live in the arena of the `struct reading` that made them.
 * Threads  one tree belongs to one thread. */
#ifndef CONFIG_NODE_H
#define CONFIG_NODE_H

#include "config/reading.h"

enum node_kind {
    NODE_SCALAR,
    NODE_MAP,
    NODE_LIST,
    NODE_BAD /* already reported; stands for a value so that nothing is called missing */
};

struct node {
    enum node_kind kind;
    struct place place;
    const char *text;  /* scalar as written */
    const char *value; /* scalar after expansion; NULL until it is first read */
    bool quoted;       /* "" is a value, an empty plain scalar is none */
    bool secret;       /* the value came from a file, or from a variable whose name says so */
    int n, cap;
    const char **name;  /* [n] names of a map's entries */
    struct node **item; /* [n] entries of a map or list */
};

struct node *node_new(struct reading *, enum node_kind, struct place); /* NULL = out of memory */
/* A scalar whose value is `text` as it stands, without expansion. */
struct node *node_literal(struct reading *, const char *text, struct place);
/* Appends an entry; `name` is NULL for lists.  False when out of memory. */
bool node_add(struct reading *, struct node *parent, const char *name, struct node *child);
/* The entry of a map, or NULL; the last of several with one name (all but the first are reported by the parser). */
struct node *node_get(const struct node *, const char *name);
/* Replaces the entry of that name, or appends one. */
bool node_set(struct reading *, struct node *map, const char *name, struct node *child);
/* The node at "a.b.c", or the nearest one above it that exists. */
const struct node *node_at(const struct node *root, const char *path);
/* A scalar without any content: nothing, ~ or null. */
bool node_is_empty(const struct node *);
/* Neither the node nor anything below it was reported as unreadable. */
bool node_is_whole(const struct node *);
const char *node_kind_text(const struct node *); /* "a map", "a list", "a single value" */

#endif

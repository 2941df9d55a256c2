/* YAML text -> nodes, by libyaml's events.
 *
 * What eddy takes is plain YAML: maps, lists and scalars.  Anchors, aliases and tags, several documents, names given
 * twice, nesting deeper than 64, more than 1 MiB and anything that is not UTF-8 are reported as problems. */
#ifndef CONFIG_YAML_NODES_H
#define CONFIG_YAML_NODES_H

#include "config/node.h"

enum { YAML_MAX_BYTES = 1 << 20, YAML_MAX_DEPTH = 64 };

struct yaml_text {
    const char *bytes; /* borrowed for the call */
    size_t len;
    const char *source; /* name in messages; must live as long as the reading */
    int line;           /* 0 = count the lines; else every node gets this line, or none when it is negative */
};

/* The root node; an empty scalar when the text is empty.  NULL when the text cannot be read at all: reported. */
struct node *yaml_nodes(struct reading *, const struct yaml_text *);

#endif

#include "config/node.h"

#include <string.h>

struct node *node_new(struct reading *r, enum node_kind kind, struct place place)
{
    struct node *node = reading_take(r, sizeof(*node));
    if (!node) return NULL;
    node->kind = kind;
    node->place = place;
    return node;
}

struct node *node_literal(struct reading *r, const char *text, struct place place)
{
    struct node *node = node_new(r, NODE_SCALAR, place);
    if (!node) return NULL;
    node->text = node->value = text;
    node->quoted = true;
    return node;
}

bool node_add(struct reading *r, struct node *parent, const char *name, struct node *child)
{
    int cap = parent->cap;
    if (name && !reading_grow(r, &parent->name, parent->n, &cap, sizeof(*parent->name))) return false;
    cap = parent->cap;
    if (!reading_grow(r, &parent->item, parent->n, &cap, sizeof(*parent->item))) return false;
    parent->cap = cap;
    if (name) parent->name[parent->n] = name;
    parent->item[parent->n++] = child;
    return true;
}

struct node *node_get(const struct node *map, const char *name)
{
    if (map->kind != NODE_MAP) return NULL;
    for (int i = map->n - 1; i >= 0; i--)
        if (strcmp(map->name[i], name) == 0) return map->item[i];
    return NULL;
}

bool node_set(struct reading *r, struct node *map, const char *name, struct node *child)
{
    for (int i = map->n - 1; i >= 0; i--)
        if (strcmp(map->name[i], name) == 0) {
            map->item[i] = child;
            return true;
        }
    return node_add(r, map, name, child);
}

const struct node *node_at(const struct node *root, const char *path)
{
    const struct node *at = root;
    while (*path) {
        const char *dot = strchrnul(path, '.');
        const struct node *child = NULL;
        for (int i = 0; at->kind == NODE_MAP && i < at->n; i++)
            if (strncmp(at->name[i], path, (size_t)(dot - path)) == 0 && !at->name[i][dot - path])
                child = at->item[i];
        if (!child) break;
        at = child;
        path = *dot ? dot + 1 : dot;
    }
    return at;
}

bool node_is_empty(const struct node *node)
{
    return node->kind == NODE_SCALAR && !node->quoted &&
           (!*node->text || strcmp(node->text, "~") == 0 || strcasecmp(node->text, "null") == 0);
}

bool node_is_whole(const struct node *node)
{
    if (node->kind == NODE_BAD) return false;
    for (int i = 0; i < node->n; i++)
        if (!node_is_whole(node->item[i])) return false;
    return true;
}

const char *node_kind_text(const struct node *node)
{
    switch (node->kind) {
    case NODE_MAP: return "a map";
    case NODE_LIST: return "a list";
    default: return "a single value";
    }
}

#include "config/override.h"

#include <stdlib.h>
#include <string.h>

#include "config/option.h"
#include "config/yaml_nodes.h"

/* One override on its way down the tree. */
struct descent {
    struct reading *reading;
    struct place place; /* "--set a.b=..." */
    struct node *value;
    const char *path; /* all of it */
    const char *rest; /* what is still to go; "" at the end */
};

static void into_table(struct descent *, struct node *map, const struct eddy_option *table);

static void refuse(struct descent *d, const char *what)
{
    size_t done = (size_t)(d->rest - d->path);
    while (done && d->path[done - 1] == '.') done--;
    const char *path = reading_copy(d->reading, d->path, done);
    if (path) reading_problem(d->reading, d->place, path, "%s", what);
}

/* Takes the next name off the path; NULL when it is empty or memory is out. */
static const char *next_name(struct descent *d)
{
    size_t len = strcspn(d->rest, ".");
    if (len == 0) {
        refuse(d, "a name is missing in the path");
        return NULL;
    }
    const char *name = reading_copy(d->reading, d->rest, len);
    d->rest += len + (d->rest[len] == '.');
    return name;
}

/* The entry to go into, made a map when there is none yet or it is empty; NULL when it is something else. */
static struct node *map_in(struct descent *d, struct node *map, const char *name)
{
    struct node *child = node_get(map, name);
    if (child && child->kind == NODE_MAP) return child;
    if (child && !node_is_empty(child) && child->kind != NODE_BAD) {
        refuse(d, "is no map in the file, so there is nothing inside it to set");
        return NULL;
    }
    child = node_new(d->reading, NODE_MAP, child ? child->place : d->place);
    return child && node_set(d->reading, map, name, child) ? child : NULL;
}

/* `{name: {options}}` or just the name: goes on inside the options of the part. */
static void into_choice(struct descent *d, struct node *choice, int kind)
{
    const char *name = next_name(d);
    if (!name) return;
    if (!*d->rest) {
        (void)node_set(d->reading, choice, name, d->value);
        return;
    }
    const struct eddy_part *part = eddy_part_find(d->reading->parts, kind, name);
    struct node *options = map_in(d, choice, name);
    if (options) into_table(d, options, part ? part->options : NULL);
}

/* `codec: json` becomes `codec: {json: {}}`, so that the path can go on. */
static struct node *as_choice(struct descent *d, struct node *child)
{
    if (child && child->kind == NODE_MAP) return child;
    struct node *map = node_new(d->reading, NODE_MAP, child ? child->place : d->place);
    if (!map || !child || child->kind != NODE_SCALAR || node_is_empty(child)) return map;
    size_t len = strcspn(d->rest, ".");
    if (strncmp(child->text, d->rest, len) != 0 || child->text[len]) return map; /* another part takes its place */
    struct node *options = node_new(d->reading, NODE_MAP, child->place);
    return options && node_add(d->reading, map, child->text, options) ? map : NULL;
}

/* The list to change: what the file says, else the default; a single value is a list of one. */
static struct node *as_list(struct descent *d, struct node *child, const struct eddy_option *option)
{
    struct reading *r = d->reading;
    if (!child && option->default_text && *option->default_text) {
        struct yaml_text text = {option->default_text, strlen(option->default_text), d->place.source, -1};
        child = yaml_nodes(r, &text);
    }
    if (child && child->kind == NODE_LIST) return child;
    struct node *list = node_new(r, NODE_LIST, child ? child->place : d->place);
    if (list && child && child->kind != NODE_BAD && !node_is_empty(child) && !node_add(r, list, NULL, child))
        return NULL;
    return list;
}

static void into_list(struct descent *d, struct node *list, const struct eddy_option *option)
{
    const char *name = next_name(d);
    if (!name) return;
    char *end;
    unsigned long index = strtoul(name, &end, 10);
    if (*name < '0' || *name > '9' || *end) {
        refuse(d, "is no item of a list: expected its number, 0 for the first");
        return;
    }
    if (index > (unsigned long)list->n) {
        const char *what = reading_format(d->reading, "there is no such item: the list has %d", list->n);
        if (what) refuse(d, what);
        return;
    }
    if (index == (unsigned long)list->n && !node_add(d->reading, list, NULL, d->value)) return;
    struct node **item = &list->item[index];
    if (!*d->rest) {
        *item = d->value;
    } else if (option->type != EDDY_OPT_PARTS) {
        refuse(d, "is a single value, so there is nothing inside it to set");
    } else {
        struct node *choice = as_choice(d, *item == d->value ? NULL : *item);
        if (!choice) return;
        *item = choice;
        into_choice(d, choice, option->kind);
    }
}

static void into_groups(struct descent *d, struct node *map, const struct eddy_option *table)
{
    const char *name = next_name(d);
    if (!name) return;
    if (!*d->rest) {
        (void)node_set(d->reading, map, name, d->value);
        return;
    }
    struct node *group = map_in(d, map, name);
    if (group) into_table(d, group, table);
}

static void into_option(struct descent *d, struct node *map, const struct eddy_option *option)
{
    struct node *child;
    switch (option->type) {
    case EDDY_OPT_GROUP:
        child = map_in(d, map, option->name);
        if (child) into_table(d, child, option->sub);
        break;
    case EDDY_OPT_MAP:
        child = map_in(d, map, option->name);
        if (child) (void)node_set(d->reading, child, d->rest, d->value); /* its names may hold dots */
        break;
    case EDDY_OPT_PART:
        child = as_choice(d, node_get(map, option->name));
        if (child && node_set(d->reading, map, option->name, child)) into_choice(d, child, option->kind);
        break;
    case EDDY_OPT_STRINGS:
    case EDDY_OPT_REALS:
    case EDDY_OPT_RANGES:
    case EDDY_OPT_PARTS:
        child = as_list(d, node_get(map, option->name), option);
        if (child && node_set(d->reading, map, option->name, child)) into_list(d, child, option);
        break;
    case EDDY_OPT_GROUPS:
        child = map_in(d, map, option->name);
        if (child) into_groups(d, child, option->sub);
        break;
    default: refuse(d, "is a single value, so there is nothing inside it to set"); break;
    }
}

static void into_table(struct descent *d, struct node *map, const struct eddy_option *table)
{
    const char *name = next_name(d);
    if (!name) return;
    const struct eddy_option *option = option_find(table, name);
    if (*d->rest && option)
        into_option(d, map, option);
    else
        (void)node_set(d->reading, map, name, d->value);
}

static size_t path_length(const char *override)
{
    return strcspn(override, "=");
}

bool override_is_of(const char *override, const char *name)
{
    size_t len = strlen(name);
    return strncmp(override, name, len) == 0 && (override[len] == '=' || override[len] == '.');
}

void override_apply(struct reading *r, struct node *root, const struct eddy_option *table, const char *override)
{
    size_t len = path_length(override);
    struct descent d = {.reading = r};
    if (!override[len]) { /* what stands there may be meant as a value, so it is not shown */
        reading_problem(r, (struct place){"--set", 0}, "", "expected a.b.c=VALUE, got a text without =");
        return;
    }
    d.path = d.rest = reading_copy(r, override, len);
    d.place.source = reading_format(r, "--set %s=...", d.path ? d.path : "");
    if (!d.path || !d.place.source) return;
    if (len == 0 || d.path[len - 1] == '.') {
        reading_problem(r, d.place, "", "a name is missing in the path");
        return;
    }
    struct yaml_text text = {override + len + 1, strlen(override + len + 1), d.place.source, -1};
    d.value = yaml_nodes(r, &text);
    if (d.value) into_table(&d, root, table);
}

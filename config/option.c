#include "config/option.h"

#include <string.h>

#include "config/config.h"
#include "config/yaml_nodes.h"

const struct eddy_option *option_find(const struct eddy_option *table, const char *name)
{
    for (; table && table->name; table++)
        if (strcmp(table->name, name) == 0) return table;
    return NULL;
}

const char *path_join(struct reading *r, const char *path, const char *name)
{
    const char *joined = *path ? reading_format(r, "%s.%s", path, name) : name;
    return joined ? joined : "";
}

const struct option_type *option_type(enum eddy_option_type type)
{
    static const struct option_type types[] = {
        [EDDY_OPT_END] = {"", "nothing", false},
        [EDDY_OPT_BOOL] = {"bool", "true or false", true},
        [EDDY_OPT_INT] = {"integer", "a whole number", true},
        [EDDY_OPT_REAL] = {"real", "a number", true},
        [EDDY_OPT_STRING] = {"text", "a text", true},
        [EDDY_OPT_ENUM] = {"one of", "a word", true},
        [EDDY_OPT_DURATION] = {"duration", "a duration such as 250ms, 10s, 5m, 24h or 30d", true},
        [EDDY_OPT_SIZE] = {"size", "a size such as 64KiB, 512MiB or 1GiB", true},
        [EDDY_OPT_STRINGS] = {"texts", "a list of texts", false},
        [EDDY_OPT_REALS] = {"numbers", "a list of numbers", false},
        [EDDY_OPT_RANGES] = {"ranges", "a list of numbers and ranges such as [1, 12, 24-48]", false},
        [EDDY_OPT_MAP] = {"map", "a map of names and values", false},
        [EDDY_OPT_GROUP] = {"group", "a map of options", false},
        [EDDY_OPT_PART] = {"part", "a name, or {name: {options}}", false},
        [EDDY_OPT_PARTS] = {"list of parts", "a list of names or {name: {options}}", false},
        [EDDY_OPT_GROUPS] = {"named groups", "a map of names and groups of options", false},
    };
    bool known = (size_t)type < sizeof(types) / sizeof(types[0]);
    return &types[known ? type : EDDY_OPT_END];
}

void option_expected(struct reading *r, const struct slot *slot, const struct node *node)
{
    if (node->kind == NODE_BAD) return; /* reported where it was found */
    const char *expected = option_type(slot->option->type)->expected;
    if (node_is_empty(node))
        reading_problem(r, node->place, slot->path, "is empty: expected %s; leave the line out for the default",
                        expected);
    else
        reading_problem(r, node->place, slot->path, "expected %s, got %s", expected, node_kind_text(node));
}

void option_not_one_of(struct reading *r, const char *path, const struct node *node, const char *shown,
                       const char *const *words)
{
    const char *list = words[0];
    for (int i = 1; list && words[i]; i++) list = reading_format(r, "%s, %s", list, words[i]);
    const char *advice = suggest(node->text, words) ? reading_advice(r, node->text, words) : "";
    reading_problem(r, node->place, path, "%s is not one of: %s%s", shown, list ? list : "", advice);
}

static void group_fill(struct reading *r, const struct slot *slot, const struct node *node)
{
    if (node->kind == NODE_MAP)
        options_fill(r, slot->option->sub, node, slot->path, slot->at);
    else
        option_expected(r, slot, node);
}

static bool name_is_good(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    enum { MAX_NAME = 32 };
    size_t len = strlen(name);
    return len > 0 && len <= MAX_NAME && strspn(name, allowed) == len;
}

static void one_group(struct reading *r, const struct slot *slot, const char *name, const struct node *node,
                      struct eddy_group *out)
{
    const char *path = path_join(r, slot->path, name);
    if (!name_is_good(name)) {
        reading_problem(r, node->place, slot->path,
                        "%s is no name: expected letters, digits, dash and underscore, at most 32",
                        reading_quote(r, name));
        return;
    }
    void *settings = reading_take(r, (size_t)slot->option->kind);
    out->name = name;
    out->settings = settings;
    out->where = node->place.line ? reading_format(r, "%s:%d: %s", node->place.source, node->place.line, path)
                                  : reading_format(r, "%s: %s", node->place.source, path);
    const struct node *options = node_is_empty(node) ? node_new(r, NODE_MAP, node->place) : node;
    if (!settings || !out->where || !options || options->kind == NODE_BAD) return;
    if (options->kind == NODE_MAP)
        options_fill(r, slot->option->sub, options, path, settings);
    else
        reading_problem(r, node->place, path, "expected a map of options, got %s", node_kind_text(options));
}

static void groups_fill(struct reading *r, const struct slot *slot, const struct node *node)
{
    if (node->kind != NODE_MAP) {
        option_expected(r, slot, node);
        return;
    }
    struct eddy_group *list = reading_take(r, (size_t)(node->n + 1) * sizeof(*list));
    for (int i = 0; list && i < node->n && !r->oom; i++) one_group(r, slot, node->name[i], node->item[i], &list[i]);
    if (list) *(struct eddy_groups *)slot->at = (struct eddy_groups){node->n, list};
}

static bool is_optional(const struct reading *r, const char *path)
{
    for (int i = 0; r->optional && r->optional[i]; i++)
        if (strcmp(r->optional[i], path) == 0) return true;
    return false;
}

/* The default as a node, as if it were written at `near`; NULL when there is none, which is reported where needed. */
static const struct node *default_node(struct reading *r, const struct slot *slot, struct place near)
{
    const struct eddy_option *option = slot->option;
    if (option->type == EDDY_OPT_GROUP) return node_new(r, NODE_MAP, near);
    if (!option->default_text) {
        if (!r->defaults_only && !is_optional(r, slot->path))
            reading_problem(r, near, slot->path, "is required: %s", option->help ? option->help : "");
        return NULL;
    }
    if (!*option->default_text) return NULL;
    bool name_alone = option->type == EDDY_OPT_PART && *option->default_text != '{' && !r->defaults_only;
    if (name_alone || option_type(option->type)->is_scalar) return node_literal(r, option->default_text, near);
    if (r->defaults_only) {
        reading_problem(r, near, slot->path, "the default is a list, which needs a configuration to own it");
        return NULL;
    }
    struct yaml_text text = {option->default_text, strlen(option->default_text), near.source,
                             near.line ? near.line : -1};
    return yaml_nodes(r, &text);
}

void option_fill(struct reading *r, const struct slot *slot, const struct node *node, struct place near)
{
    if (!node) node = default_node(r, slot, near);
    if (!node || node->kind == NODE_BAD) return;
    switch (slot->option->type) {
    case EDDY_OPT_GROUP: group_fill(r, slot, node); break;
    case EDDY_OPT_PART: choice_fill(r, slot, node); break;
    case EDDY_OPT_PARTS: choices_fill(r, slot, node); break;
    case EDDY_OPT_GROUPS: groups_fill(r, slot, node); break;
    default: value_fill(r, slot, node); break;
    }
}

static const char *const *known_names(struct reading *r, const struct eddy_option *table)
{
    size_t n = 0;
    while (table && table[n].name) n++;
    const char **names = reading_take(r, (n + 1) * sizeof(*names));
    for (size_t i = 0; names && i < n; i++) names[i] = table[i].name;
    return names;
}

static void report_unknown(struct reading *r, const struct eddy_option *table, const struct node *map,
                           const char *path)
{
    for (int i = 0; i < map->n && !r->oom && !r->n_more; i++) {
        if (option_find(table, map->name[i])) continue;
        const char *const *known = known_names(r, table);
        const char *advice = known ? reading_advice(r, map->name[i], known) : "";
        reading_problem(r, map->item[i]->place, path_join(r, path, map->name[i]), "unknown option%s", advice);
    }
}

void options_fill(struct reading *r, const struct eddy_option *table, const struct node *map, const char *path,
                  void *settings)
{
    report_unknown(r, table, map, path);
    for (const struct eddy_option *option = table; option && option->name && !r->oom; option++) {
        struct slot slot = {option, path_join(r, path, option->name), (char *)settings + option->offset};
        option_fill(r, &slot, node_get(map, option->name), map->place);
    }
}

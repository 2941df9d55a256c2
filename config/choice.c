/* Parts in the configuration: `codec: json`, `codec: {json: {key: id}}`, `layers: [{gru: {units: 32}}, dense]`. */
#include <string.h>

#include "config/config.h"
#include "config/option.h"

static const char *const *known_parts(struct reading *r, int kind)
{
    size_t n = 0, all = 0;
    while (r->parts && r->parts->item[all]) all++;
    const char **names = reading_take(r, (all + 1) * sizeof(*names));
    for (size_t i = 0; names && i < all; i++)
        if ((int)r->parts->item[i]->kind == kind) names[n++] = r->parts->item[i]->name;
    return names;
}

static const struct eddy_part *find_part(struct reading *r, const struct slot *slot, const struct node *node,
                                         const char *name, const char *shown)
{
    int kind = slot->option->kind;
    const struct eddy_part *part = eddy_part_find(r->parts, kind, name);
    if (part) return part;

    const struct eddy_part *other = eddy_part_find(r->parts, 0, name);
    const char *const *known = known_parts(r, kind);
    const char *list = NULL;
    for (int i = 0; known && known[i]; i++)
        list = reading_format(r, "%s%s%s", list ? list : "", i ? ", " : "", known[i]);
    const char *advice = known && suggest(shown, known) ? reading_advice(r, shown, known) : "";
    reading_problem(r, node->place, slot->path, "unknown %s %s; known: %s%s%s%s", eddy_part_kind_text(kind),
                    reading_quote(r, shown), list ? list : "none", advice, other ? "; that name is a " : "",
                    other ? eddy_part_kind_text((int)other->kind) : "");
    return NULL;
}

/* Fills the options of the part and asks the part what its table cannot say, unless one of them stayed unset. */
static void fill_part(struct reading *r, const struct slot *slot, const struct eddy_part *part,
                      const struct node *options, struct eddy_choice *out)
{
    int before = r->n_problems + r->n_more;
    struct place place = options->place;
    const char *path = path_join(r, slot->path, part->name);
    void *settings = reading_take(r, part->settings_size);
    const char *where = place.line ? reading_format(r, "%s:%d: %s", place.source, place.line, path)
                                   : reading_format(r, "%s: %s", place.source, path);
    if (!settings || !where) return;
    options_fill(r, part->options, options, path, settings);
    *out = (struct eddy_choice){part, settings, where};
    if (r->oom || r->n_problems + r->n_more != before || !node_is_whole(options) || !part->check) return;

    struct eddy_error err = {0};
    if (part->check(settings, &err) < 0)
        reading_problem(r, place, path, "%s", *err.message ? err.message : eddy_status_text(err.code));
}

static void one_choice(struct reading *r, const struct slot *slot, const struct node *node, struct eddy_choice *out)
{
    if (node->kind == NODE_MAP && node->n == 1) {
        const struct eddy_part *part = find_part(r, slot, node->item[0], node->name[0], node->name[0]);
        const struct node *options = node->item[0];
        if (!part || options->kind == NODE_BAD) return;
        if (node_is_empty(options)) options = node_new(r, NODE_MAP, options->place); /* `- dense:` has no options */
        if (!options) return;
        if (options->kind == NODE_MAP)
            fill_part(r, slot, part, options, out);
        else
            reading_problem(r, options->place, path_join(r, slot->path, part->name),
                            "expected a map of options, got %s", node_kind_text(options));
    } else if (node->kind == NODE_MAP && node->n > 1) {
        reading_problem(r, node->place, slot->path, "takes one %s, got %d: %s, %s%s",
                        eddy_part_kind_text(slot->option->kind), node->n, reading_quote(r, node->name[0]),
                        reading_quote(r, node->name[1]), node->n > 2 ? ", .." : "");
    } else if (node->kind == NODE_SCALAR && !node_is_empty(node)) {
        const char *name = value_text(r, slot, node);
        const struct eddy_part *part = name ? find_part(r, slot, node, name, node->text) : NULL;
        const struct node *options = part ? node_new(r, NODE_MAP, node->place) : NULL;
        if (options) fill_part(r, slot, part, options, out);
    } else if (node->kind == NODE_MAP) {
        reading_problem(r, node->place, slot->path, "is empty: expected the name of a %s",
                        eddy_part_kind_text(slot->option->kind));
    } else {
        option_expected(r, slot, node);
    }
}

void choice_fill(struct reading *r, const struct slot *slot, const struct node *node)
{
    one_choice(r, slot, node, slot->at);
}

void choices_fill(struct reading *r, const struct slot *slot, const struct node *node)
{
    int n = node->kind == NODE_LIST ? node->n : 1;
    if (n == 0) {
        reading_problem(r, node->place, slot->path, "is empty: expected at least one %s",
                        eddy_part_kind_text(slot->option->kind));
        return;
    }
    struct eddy_choice *list = reading_take(r, (size_t)n * sizeof(*list));
    if (!list) return;
    if (node_is_empty(node)) {
        option_expected(r, slot, node);
        return;
    }
    for (int i = 0; i < n && !r->oom; i++) {
        const char *path = node->kind == NODE_LIST ? reading_format(r, "%s.%d", slot->path, i) : slot->path;
        struct slot one = {slot->option, path ? path : "", &list[i]};
        one_choice(r, &one, node->kind == NODE_LIST ? node->item[i] : node, &list[i]);
    }
    *(struct eddy_choices *)slot->at = (struct eddy_choices){n, list};
}

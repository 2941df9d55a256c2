#include "config/yaml_nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct parse {
    yaml_parser_t yaml;
    struct reading *reading;
    const struct yaml_text *text;
    bool failed; /* the text cannot be read any further */
};

static struct place place_at(const struct parse *p, size_t line_from_0)
{
    int line = p->text->line ? p->text->line : (int)line_from_0 + 1;
    return (struct place){p->text->source, line > 0 ? line : 0};
}

static int line_of_offset(const struct yaml_text *text, size_t offset)
{
    int line = 0;
    for (size_t i = 0; i < offset && i < text->len; i++) line += text->bytes[i] == '\n';
    return line;
}

static bool line_is_indented_by_tab(const struct yaml_text *text, size_t line)
{
    size_t at = 0;
    for (; line > 0 && at < text->len; at++) line -= text->bytes[at] == '\n';
    while (at < text->len && text->bytes[at] == ' ') at++;
    return at < text->len && text->bytes[at] == '\t';
}

/* libyaml speaks of characters and tokens; people want to know which line to look at. */
static void report_syntax(struct parse *p)
{
    const yaml_parser_t *y = &p->yaml;
    const char *problem = y->problem ? y->problem : "cannot be read";
    p->failed = true;
    if (y->error == YAML_MEMORY_ERROR) {
        p->reading->oom = true;
        return;
    }
    if (y->error == YAML_READER_ERROR) {
        reading_problem(p->reading, place_at(p, (size_t)line_of_offset(p->text, y->problem_offset)), "",
                        "not YAML: %s at byte %zu", problem, y->problem_offset);
        return;
    }
    struct place place = place_at(p, y->problem_mark.line);
    if (line_is_indented_by_tab(p->text, y->problem_mark.line))
        reading_problem(p->reading, place, "", "not YAML: a tab where only spaces may indent");
    else if (p->text->line)
        reading_problem(p->reading, place, "", "not YAML: %s", problem);
    else if (y->context)
        reading_problem(p->reading, place, "", "not YAML: %s (column %zu), %s that begins on line %zu", problem,
                        y->problem_mark.column + 1, y->context, y->context_mark.line + 1);
    else
        reading_problem(p->reading, place, "", "not YAML: %s (column %zu)", problem, y->problem_mark.column + 1);
}

static bool next_event(struct parse *p, yaml_event_t *event)
{
    if (p->failed || p->reading->oom) return false;
    if (yaml_parser_parse(&p->yaml, event)) return true;
    report_syntax(p);
    return false;
}

static void fail_at(struct parse *p, struct place place, const char *what)
{
    reading_problem(p->reading, place, "", "%s", what);
    p->failed = true;
}

/* Their names are not shown: a password that begins with &, * or ! and lacks its quotes looks just like one. */
static void refuse_extras(struct parse *p, struct node *node, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (!anchor && !tag) return;
    reading_problem(p->reading, node->place, "", "%s are not used here; a text that begins with %s needs quotes",
                    anchor ? "anchors (&)" : "tags (!)", anchor ? "&" : "!");
    node->kind = NODE_BAD;
}

static struct node *scalar_node(struct parse *p, const yaml_event_t *event, struct place place)
{
    const char *bytes = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    struct node *node = node_new(p->reading, NODE_SCALAR, place);
    if (!node) return NULL;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = reading_copy(p->reading, bytes, len);
    if (memchr(bytes, 0, len)) {
        reading_problem(p->reading, place, "", "a value holds a NUL character");
        node->kind = NODE_BAD;
    }
    refuse_extras(p, node, event->data.scalar.anchor, event->data.scalar.tag);
    return node;
}

struct entry {
    const char *name;
    int index, line;
};

static int entry_order(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->index - y->index;
}

/* Sorted, so that a hostile file of a hundred thousand names costs no quadratic time. */
static void report_duplicates(struct parse *p, const struct node *map)
{
    if (map->n < 2) return;
    struct entry *entries = calloc((size_t)map->n, sizeof(*entries));
    if (!entries) {
        p->reading->oom = true;
        return;
    }
    for (int i = 0; i < map->n; i++) entries[i] = (struct entry){map->name[i], i, map->item[i]->place.line};
    qsort(entries, (size_t)map->n, sizeof(*entries), entry_order);
    for (int i = 1; i < map->n; i++) {
        if (strcmp(entries[i].name, entries[i - 1].name) != 0) continue;
        struct place place = map->item[entries[i].index]->place;
        const char *name = reading_quote(p->reading, entries[i].name);
        if (entries[i - 1].line)
            reading_problem(p->reading, place, "", "%s is given twice in one map; the other is on line %d", name,
                            entries[i - 1].line);
        else
            reading_problem(p->reading, place, "", "%s is given twice in one map", name);
    }
    free(entries);
}

static struct node *node_of_event(struct parse *p, const yaml_event_t *event, int depth);

/* The next node; NULL at the end of the list or map that `end` names, and after a failure. */
static struct node *next_node(struct parse *p, yaml_event_type_t end, int depth)
{
    yaml_event_t event;
    if (!next_event(p, &event)) return NULL;
    struct node *node = event.type == end ? NULL : node_of_event(p, &event, depth);
    yaml_event_delete(&event);
    return node;
}

static void fill_list(struct parse *p, struct node *list, int depth)
{
    for (struct node *item; (item = next_node(p, YAML_SEQUENCE_END_EVENT, depth));)
        if (!node_add(p->reading, list, NULL, item)) return;
}

static void fill_map(struct parse *p, struct node *map, int depth)
{
    for (struct node *name; (name = next_node(p, YAML_MAPPING_END_EVENT, depth));) {
        struct node *value = next_node(p, YAML_NO_EVENT, depth);
        if (!value) return;
        if (name->kind != NODE_SCALAR || !name->text || !*name->text) {
            if (name->kind != NODE_BAD)
                reading_problem(p->reading, name->place, "", "the name of an option is a word, here it is %s",
                                name->kind == NODE_SCALAR ? "empty" : node_kind_text(name));
            continue;
        }
        value->place = name->place; /* where people look for it, also when the value begins on the next line */
        if (!node_add(p->reading, map, name->text, value)) return;
    }
    report_duplicates(p, map);
}

static struct node *node_of_event(struct parse *p, const yaml_event_t *event, int depth)
{
    struct place place = place_at(p, event->start_mark.line);
    struct node *node;
    if (depth > YAML_MAX_DEPTH) {
        fail_at(p, place, "nested deeper than 64 levels");
        return NULL;
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT: return scalar_node(p, event, place);
    case YAML_ALIAS_EVENT:
        reading_problem(p->reading, place, "",
                        "aliases (*) are not used here; a text that begins with * needs quotes");
        return node_new(p->reading, NODE_BAD, place);
    case YAML_SEQUENCE_START_EVENT:
        node = node_new(p->reading, NODE_LIST, place);
        if (!node) return NULL;
        fill_list(p, node, depth + 1);
        refuse_extras(p, node, event->data.sequence_start.anchor, event->data.sequence_start.tag);
        return node;
    case YAML_MAPPING_START_EVENT:
        node = node_new(p->reading, NODE_MAP, place);
        if (!node) return NULL;
        fill_map(p, node, depth + 1);
        refuse_extras(p, node, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        return node;
    default: fail_at(p, place, "not YAML: a value is missing"); return NULL;
    }
}

/* Passes the events that open the stream and the document; false when there is no document. */
static bool open_document(struct parse *p)
{
    yaml_event_t event;
    yaml_event_type_t type = YAML_STREAM_START_EVENT;
    while (type == YAML_STREAM_START_EVENT) {
        if (!next_event(p, &event)) return false;
        type = event.type;
        yaml_event_delete(&event);
    }
    return type == YAML_DOCUMENT_START_EVENT;
}

static void close_document(struct parse *p)
{
    yaml_event_t event;
    for (bool more = true; more && next_event(p, &event);) {
        more = event.type != YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT)
            fail_at(p, place_at(p, event.start_mark.line), "a second document begins here; a configuration is one");
        yaml_event_delete(&event);
    }
}

static struct node *parse_document(struct parse *p)
{
    struct node *root = open_document(p) ? next_node(p, YAML_NO_EVENT, 0) : NULL;
    if (root) close_document(p);
    if (p->failed || p->reading->oom) return NULL;
    if (root) return root;
    root = node_new(p->reading, NODE_SCALAR, place_at(p, 0));
    if (root) root->text = "";
    return root;
}

struct node *yaml_nodes(struct reading *r, const struct yaml_text *text)
{
    struct parse p = {.reading = r, .text = text};
    if (text->len > YAML_MAX_BYTES) {
        fail_at(&p, place_at(&p, 0), "larger than 1 MiB");
        return NULL;
    }
    if (!yaml_parser_initialize(&p.yaml)) {
        r->oom = true;
        return NULL;
    }
    yaml_parser_set_encoding(&p.yaml, YAML_UTF8_ENCODING);
    size_t mark = text->len >= 3 && memcmp(text->bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* byte order mark */
    yaml_parser_set_input_string(&p.yaml, (const unsigned char *)text->bytes + mark, text->len - mark);
    struct node *root = parse_document(&p);
    yaml_parser_delete(&p.yaml);
    return root;
}

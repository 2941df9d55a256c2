#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/expand.h"
#include "config/option.h"
#include "config/unit.h"

/* Without a range of its own a list of whole numbers is bounded by this, so that "1-999999999" costs nothing. */
enum { MAX_RANGE = 65535, MAX_RANGE_BYTES = 1 << 20 };

/* What the user wrote, for messages: never what a variable or a file held. */
static const char *written(struct reading *r, const struct slot *slot, const struct node *node)
{
    return slot->option->secret ? "the value" : reading_quote(r, node->text);
}

static bool expand_node(struct reading *r, const struct slot *slot, struct node *node)
{
    struct eddy_buffer text = {0};
    struct eddy_error err = {0};
    eddy_status rc = expand_text(node->text, &text, &node->secret, &err);
    if (rc == EDDY_ENOMEM)
        r->oom = true;
    else if (rc < 0)
        reading_problem(r, node->place, slot->path, "%s", err.message);
    else
        node->value = reading_copy(r, text.data, text.len - 1);
    if (node->secret && text.data) explicit_bzero(text.data, text.cap);
    eddy_buffer_free(&text);
    if (!node->value) node->kind = NODE_BAD;
    return node->value;
}

/* As value_text(), but "" is a value where the user wrote quotes or a ${..} that came out empty. */
static const char *text_or_empty(struct reading *r, const struct slot *slot, const struct node *node)
{
    if (node->kind != NODE_SCALAR || node_is_empty(node)) {
        option_expected(r, slot, node);
        return NULL;
    }
    /* Expansion is a cache on the node: reading a value twice gives the same text. */
    if (!node->value && !expand_node(r, slot, (struct node *)node)) return NULL;
    return node->value;
}

const char *value_text(struct reading *r, const struct slot *slot, const struct node *node)
{
    const char *text = text_or_empty(r, slot, node);
    if (!text || *text) return text;
    reading_problem(r, node->place, slot->path, "is empty%s%s", *node->text ? ": it was written as " : "",
                    *node->text ? written(r, slot, node) : "");
    return NULL;
}

static const char *keep_text(struct reading *r, const struct slot *slot, const struct node *node, const char *text)
{
    if (text && (node->secret || slot->option->secret)) reading_keep_secret(r, text);
    return text;
}

static void format_bound(const struct eddy_option *option, double bound, char out[UNIT_TEXT_BYTES])
{
    if (option->type == EDDY_OPT_DURATION)
        format_duration((int64_t)bound, out);
    else if (option->type == EDDY_OPT_SIZE)
        format_size((int64_t)bound, out);
    else
        format_real(bound, out);
}

static bool in_range(struct reading *r, const struct slot *slot, const struct node *node, double value)
{
    const struct eddy_option *o = slot->option;
    if ((o->min == 0 && o->max == 0) || (value >= o->min && value <= o->max)) return true;
    char min[UNIT_TEXT_BYTES], max[UNIT_TEXT_BYTES];
    format_bound(o, o->min, min);
    format_bound(o, o->max, max);
    reading_problem(r, node->place, slot->path, "%s is outside %s .. %s", written(r, slot, node), min, max);
    return false;
}

static void report_wrong(struct reading *r, const struct slot *slot, const struct node *node, const char *wrong)
{
    bool has_unit = slot->option->type == EDDY_OPT_DURATION || slot->option->type == EDDY_OPT_SIZE;
    reading_problem(r, node->place, slot->path, "%s %s%s%s", written(r, slot, node), wrong,
                    has_unit ? "; expected " : "", has_unit ? option_type(slot->option->type)->expected : "");
}

static void integer_fill(struct reading *r, const struct slot *slot, const struct node *node)
{
    const char *text = value_text(r, slot, node);
    if (!text) return;
    int64_t value = 0;
    const char *wrong = slot->option->type == EDDY_OPT_DURATION ? parse_duration(text, &value)
                        : slot->option->type == EDDY_OPT_SIZE   ? parse_size(text, &value)
                                                                : parse_int(text, &value);
    if (wrong)
        report_wrong(r, slot, node, wrong);
    else if (in_range(r, slot, node, (double)value))
        *(int64_t *)slot->at = value;
}

static void real_fill(struct reading *r, const struct slot *slot, const struct node *node)
{
    const char *text = value_text(r, slot, node);
    double value = 0;
    const char *wrong = text ? parse_real(text, &value) : NULL;
    if (wrong)
        report_wrong(r, slot, node, wrong);
    else if (text && in_range(r, slot, node, value))
        *(double *)slot->at = value;
}

static void bool_fill(struct reading *r, const struct slot *slot, const struct node *node)
{
    const char *text = value_text(r, slot, node);
    const char *wrong = text ? parse_bool(text, slot->at) : NULL;
    if (wrong) report_wrong(r, slot, node, wrong);
}

/* The words of an enum option, as a NULL-terminated array. */
static const char *const *enum_words(struct reading *r, const char *unit)
{
    char *words = reading_copy(r, unit, strlen(unit));
    size_t n = 2;
    for (const char *c = unit; *c; c++) n += *c == '|';
    const char **list = reading_take(r, n * sizeof(*list));
    char *rest = words;
    for (size_t i = 0; words && list && rest; i++) list[i] = strsep(&rest, "|");
    return words ? list : NULL;
}

static void enum_fill(struct reading *r, const struct slot *slot, const struct node *node)
{
    const char *text = value_text(r, slot, node);
    const char *const *words = text ? enum_words(r, slot->option->unit ? slot->option->unit : "") : NULL;
    if (!words) return;
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], text) != 0) continue;
        *(int *)slot->at = i;
        return;
    }
    option_not_one_of(r, slot->path, node, written(r, slot, node), words);
}

static void string_fill(struct reading *r, const struct slot *slot, const struct node *node)
{
    const char *text = text_or_empty(r, slot, node);
    if (!text) return;
    const char *by_default = slot->option->default_text;
    if (!*text && !by_default)
        reading_problem(r, node->place, slot->path, "is empty, but required");
    else if (!*text && *by_default && slot->option->kind != EDDY_EMPTY_UNSETS)
        reading_problem(r, node->place, slot->path, "is empty; leave the line out for the default, %s", by_default);
    else if (*text)
        *(const char **)slot->at = keep_text(r, slot, node, text);
}

/* The items of a list; a single value is a list of one.  False when there are none: reported where that is wrong. */
static bool list_items(struct reading *r, const struct slot *slot, const struct node *node,
                       const struct node *const **item, int *n)
{
    if (node->kind == NODE_MAP || node->kind == NODE_BAD || node_is_empty(node)) {
        option_expected(r, slot, node);
        return false;
    }
    *n = node->n;
    if (node->kind == NODE_SCALAR) {
        const struct node **one = reading_take(r, sizeof(*one));
        if (!one) return false;
        *one = node;
        *item = one;
        *n = 1;
    } else {
        *item = (const struct node *const *)node->item;
    }
    if (*n == 0 && !slot->option->default_text) reading_problem(r, node->place, slot->path, "is empty, but required");
    return *n > 0;
}

static void strings_fill(struct reading *r, const struct slot *slot, const struct node *node)
{
    const struct node *const *item;
    int n;
    if (!list_items(r, slot, node, &item, &n)) return;
    const char **list = reading_take(r, (size_t)n * sizeof(*list));
    if (!list) return;
    bool good = true;
    for (int i = 0; i < n; i++) {
        list[i] = keep_text(r, slot, item[i], value_text(r, slot, item[i]));
        good = good && list[i];
    }
    if (good) *(struct eddy_strings *)slot->at = (struct eddy_strings){n, list};
}

static void reals_fill(struct reading *r, const struct slot *slot, const struct node *node)
{
    const struct node *const *item;
    int n;
    if (!list_items(r, slot, node, &item, &n)) return;
    double *list = reading_take(r, (size_t)n * sizeof(*list));
    if (!list) return;
    int before = r->n_problems + r->n_more;
    for (int i = 0; i < n; i++) {
        struct slot one = *slot;
        one.at = &list[i];
        real_fill(r, &one, item[i]);
    }
    if (r->n_problems + r->n_more == before) *(struct eddy_reals *)slot->at = (struct eddy_reals){n, list};
}

/* Marks the numbers of one item in the table of wanted[max - min + 1]. */
static void range_mark(struct reading *r, const struct slot *slot, const struct node *node, int min, int max,
                       bool *wanted)
{
    int64_t first, last;
    const char *text = value_text(r, slot, node);
    const char *wrong = text ? parse_range(text, &first, &last) : NULL;
    if (wrong)
        report_wrong(r, slot, node, wrong);
    else if (text && (first < min || last > max))
        reading_problem(r, node->place, slot->path, "%s is outside %d .. %d", written(r, slot, node), min, max);
    else if (text)
        memset(wanted + (first - min), true, (size_t)(last - first + 1));
}

static void ranges_fill(struct reading *r, const struct slot *slot, const struct node *node)
{
    const struct eddy_option *o = slot->option;
    int min = (int)o->min, max = o->min == 0 && o->max == 0 ? MAX_RANGE : (int)o->max;
    if (max - min > MAX_RANGE_BYTES) max = min + MAX_RANGE_BYTES;
    const struct node *const *item;
    int n, before = r->n_problems + r->n_more;
    if (!list_items(r, slot, node, &item, &n)) return;
    bool *wanted = reading_take(r, (size_t)(max - min + 1) * sizeof(*wanted));
    for (int i = 0; wanted && i < n; i++) range_mark(r, slot, item[i], min, max, wanted);
    if (!wanted || r->n_problems + r->n_more != before) return;

    int count = 0;
    for (int i = 0; i <= max - min; i++) count += wanted[i];
    int *list = reading_take(r, (size_t)count * sizeof(*list));
    if (!list) return;
    for (int i = 0, at = 0; i <= max - min; i++)
        if (wanted[i]) list[at++] = min + i;
    *(struct eddy_ints *)slot->at = (struct eddy_ints){count, list};
}

/* A map of words may be one word: that of `default`. */
static const struct node *map_of_words(struct reading *r, const struct slot *slot, const struct node *node)
{
    if (!strchr(slot->option->unit ? slot->option->unit : "", '|')) return node;
    if (node->kind == NODE_SCALAR && !node_is_empty(node)) {
        struct node *map = node_new(r, NODE_MAP, node->place);
        if (!map || !node_add(r, map, "default", (struct node *)(uintptr_t)node)) return node;
        node = map;
    }
    const struct eddy_option word = {"", EDDY_OPT_ENUM, 0, NULL, 0, 0, slot->option->unit, NULL, NULL, 0, false};
    int place;
    for (int i = 0; node->kind == NODE_MAP && i < node->n; i++)
        if (node->item[i]->kind == NODE_SCALAR && !node_is_empty(node->item[i]))
            enum_fill(r, &(struct slot){&word, path_join(r, slot->path, node->name[i]), &place}, node->item[i]);
    return node;
}

/* Names and values verbatim.  Values may be secrets: no message shows one. */
static void map_fill(struct reading *r, const struct slot *slot, const struct node *node)
{
    node = map_of_words(r, slot, node);
    if (node->kind != NODE_MAP) {
        option_expected(r, slot, node);
        return;
    }
    if (node->n == 0 && !slot->option->default_text)
        reading_problem(r, node->place, slot->path, "is empty, but required");
    static const struct eddy_option entry = {"", EDDY_OPT_STRING, 0, "", 0, 0, NULL, NULL, NULL, 0, true};
    struct eddy_pair *list = reading_take(r, (size_t)node->n * sizeof(*list));
    int n = 0;
    for (int i = 0; list && i < node->n; i++) {
        const struct node *value = node->item[i];
        struct slot one = {&entry, path_join(r, slot->path, node->name[i]), NULL};
        const char *text = text_or_empty(r, &one, value);
        if (!text) continue;
        if (value->secret || slot->option->secret || name_looks_secret(node->name[i])) reading_keep_secret(r, text);
        list[n++] = (struct eddy_pair){node->name[i], text, value->place.line};
    }
    if (n) *(struct eddy_map *)slot->at = (struct eddy_map){n, list};
}

void value_fill(struct reading *r, const struct slot *slot, const struct node *node)
{
    switch (slot->option->type) {
    case EDDY_OPT_BOOL: bool_fill(r, slot, node); break;
    case EDDY_OPT_INT:
    case EDDY_OPT_DURATION:
    case EDDY_OPT_SIZE: integer_fill(r, slot, node); break;
    case EDDY_OPT_REAL: real_fill(r, slot, node); break;
    case EDDY_OPT_STRING: string_fill(r, slot, node); break;
    case EDDY_OPT_ENUM: enum_fill(r, slot, node); break;
    case EDDY_OPT_STRINGS: strings_fill(r, slot, node); break;
    case EDDY_OPT_REALS: reals_fill(r, slot, node); break;
    case EDDY_OPT_RANGES: ranges_fill(r, slot, node); break;
    case EDDY_OPT_MAP: map_fill(r, slot, node); break;
    default: break;
    }
}

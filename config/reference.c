/* `eddy options`: the option tables as text, Markdown or JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/option.h"
#include "config/unit.h"

struct reference {
    enum options_format format;
    FILE *out;
    bool first; /* no JSON object was written yet */
};

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

static bool has_range(const struct eddy_option *o)
{
    return o->type != EDDY_OPT_ENUM && (o->min != 0 || o->max != 0);
}

static void bound_text(const struct eddy_option *o, double bound, char out[UNIT_TEXT_BYTES])
{
    if (o->type == EDDY_OPT_DURATION)
        format_duration((int64_t)bound, out);
    else if (o->type == EDDY_OPT_SIZE)
        format_size((int64_t)bound, out);
    else
        format_real(bound, out);
}

static void range_text(const struct eddy_option *o, char out[2 * UNIT_TEXT_BYTES + 8])
{
    char min[UNIT_TEXT_BYTES], max[UNIT_TEXT_BYTES];
    bound_text(o, o->min, min);
    bound_text(o, o->max, max);
    (void)snprintf(out, 2 * UNIT_TEXT_BYTES + 8, "%s .. %s", min, max);
}

/* "one of background, inline, off"; "real, 0 .. 1, steps"; "part of kind codec". */
static void print_kind(const struct reference *ref, const struct eddy_option *o)
{
    char range[2 * UNIT_TEXT_BYTES + 8];
    (void)fputs(option_type(o->type)->name, ref->out);
    if (o->type == EDDY_OPT_ENUM) (void)fputc(' ', ref->out);
    if (o->type == EDDY_OPT_ENUM)
        for (const char *c = text_or_empty(o->unit); *c; c++)
            (void)fputs(*c == '|' ? ", " : (char[]){*c, 0}, ref->out);
    if (o->type == EDDY_OPT_PART || o->type == EDDY_OPT_PARTS)
        (void)fprintf(ref->out, " (%s)", eddy_part_kind_text(o->kind));
    if (has_range(o)) {
        range_text(o, range);
        (void)fprintf(ref->out, ", %s", range);
    }
    if (o->type != EDDY_OPT_ENUM && *text_or_empty(o->unit)) (void)fprintf(ref->out, ", %s", o->unit);
}

static void print_default(const struct reference *ref, const struct eddy_option *o, const char *quote)
{
    if (!o->default_text)
        (void)fputs("required", ref->out);
    else if (*o->default_text)
        (void)fprintf(ref->out, "%s%s%s", quote, o->default_text, quote);
    else
        (void)fputs("unset", ref->out);
}

static void print_json_text(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            (void)fprintf(out, "\\%c", c);
        else if (c < 0x20)
            (void)fprintf(out, "\\u%04x", c);
        else
            (void)fputc(c, out);
    }
    (void)fputc('"', out);
}

static void print_json_member(FILE *out, const char *name, const char *text)
{
    (void)fprintf(out, ", \"%s\": ", name);
    print_json_text(out, text_or_empty(text));
}

static void print_json(struct reference *ref, const struct eddy_part *part, const char *path,
                       const struct eddy_option *o)
{
    FILE *out = ref->out;
    (void)fputs(ref->first ? "[\n  {\"path\": " : ",\n  {\"path\": ", out);
    ref->first = false;
    print_json_text(out, path);
    if (part) {
        print_json_member(out, "kind", eddy_part_kind_text((int)part->kind));
        print_json_member(out, "part", part->name);
    }
    print_json_member(out, "type", option_type(o->type)->name);
    (void)fprintf(out, ", \"required\": %s", o->default_text ? "false" : "true");
    if (o->default_text) print_json_member(out, "default", o->default_text);
    if (has_range(o)) {
        char min[UNIT_TEXT_BYTES], max[UNIT_TEXT_BYTES];
        format_real(o->min, min);
        format_real(o->max, max);
        (void)fprintf(out, ", \"min\": %s, \"max\": %s", min, max);
    }
    if (o->type == EDDY_OPT_PART || o->type == EDDY_OPT_PARTS)
        print_json_member(out, "takes", eddy_part_kind_text(o->kind));
    if (*text_or_empty(o->unit)) print_json_member(out, o->type == EDDY_OPT_ENUM ? "words" : "unit", o->unit);
    print_json_member(out, "help", o->help);
    (void)fprintf(out, ", \"secret\": %s}", o->secret ? "true" : "false");
}

static void print_markdown_row(const struct reference *ref, const char *path, const struct eddy_option *o)
{
    (void)fprintf(ref->out, "| `%s` | ", path);
    print_kind(ref, o);
    (void)fputs(" | ", ref->out);
    print_default(ref, o, "`");
    (void)fprintf(ref->out, " | %s%s |\n", text_or_empty(o->help), o->secret ? " Never printed." : "");
}

static void print_text_row(const struct reference *ref, const char *path, const struct eddy_option *o)
{
    (void)fprintf(ref->out, "  %s\n      ", path);
    print_kind(ref, o);
    (void)fputs(o->default_text && *o->default_text ? "; default " : "; ", ref->out);
    print_default(ref, o, "");
    (void)fprintf(ref->out, "\n      %s%s\n", text_or_empty(o->help), o->secret ? " Never printed." : "");
}

static void print_options(struct reference *ref, const struct eddy_part *part, const struct eddy_option *table,
                          const char *path)
{
    for (; table && table->name; table++) {
        char inside[256];
        int len = snprintf(inside, sizeof(inside), "%s%s%s", path, *path ? "." : "", table->name);
        if (len < 0 || (size_t)len >= sizeof(inside)) continue;
        if (table->type == EDDY_OPT_GROUP)
            print_options(ref, part, table->sub, inside);
        else if (ref->format == OPTIONS_JSON)
            print_json(ref, part, inside, table);
        else if (ref->format == OPTIONS_MARKDOWN)
            print_markdown_row(ref, inside, table);
        else
            print_text_row(ref, inside, table);
    }
}

static void print_section(struct reference *ref, const char *title, const char *summary, bool has_rows)
{
    static const char head[] = "| option | type | default | meaning |\n|---|---|---|---|\n";
    if (ref->format == OPTIONS_MARKDOWN)
        (void)fprintf(ref->out, "\n## %s\n%s\n\n%s", title, summary, has_rows ? head : "No options.\n");
    else if (ref->format == OPTIONS_TEXT)
        (void)fprintf(ref->out, "%s: %s\n%s", title, summary, has_rows ? "" : "  no options\n");
}

static void print_part(struct reference *ref, const struct eddy_part *part)
{
    char title[128];
    (void)snprintf(title, sizeof(title), "%s %s", eddy_part_kind_text((int)part->kind), part->name);
    print_section(ref, title, text_or_empty(part->summary), part->options && part->options->name);
    print_options(ref, part, part->options, "");
    if (ref->format == OPTIONS_TEXT) (void)fputc('\n', ref->out);
}

static void print_root(struct reference *ref)
{
    print_section(ref, "configuration", "the options of every pipeline.", true);
    print_options(ref, NULL, settings_options, "");
    if (ref->format == OPTIONS_TEXT) (void)fputc('\n', ref->out);
}

/* forecast.season: the option by the name under which it is listed, and the groups that it lies in; NULL = none. */
static const struct eddy_option *find_path(const char *path, char group[256])
{
    const struct eddy_option *table = settings_options, *option = NULL;
    size_t at = 0;
    if (strlen(path) >= 256) return NULL;
    for (*group = '\0'; table;) {
        const size_t n = strcspn(path + at, ".");
        char name[256];
        (void)snprintf(name, sizeof(name), "%.*s", (int)n, path + at);
        option = option_find(table, name);
        if (!option || !path[at + n]) return option;
        (void)snprintf(group, 256, "%.*s", (int)(at + n), path);
        table = option->type == EDDY_OPT_GROUP ? option->sub : NULL;
        at += n + 1;
    }
    return NULL;
}

/* What the reader asks for: the name of a part, a kind of parts, or one option or group of the root table. */
static bool print_wanted(struct reference *ref, const struct eddy_parts *parts, const char *wanted)
{
    bool found = false;
    for (const struct eddy_part *const *p = parts->item; *p; p++)
        if (strcmp((*p)->name, wanted) == 0 || strcmp(eddy_part_kind_text((int)(*p)->kind), wanted) == 0) {
            print_part(ref, *p);
            found = true;
        }
    char group[256];
    const struct eddy_option *option = find_path(wanted, group);
    if (found || !option) return found;
    struct eddy_option one[] = {*option, {0}};
    print_section(ref, wanted, text_or_empty(option->help), true);
    print_options(ref, NULL, one, group);
    return true;
}

static eddy_status fail_unknown(const struct eddy_parts *parts, const char *wanted, struct eddy_error *err)
{
    const char *known[256];
    size_t n = 0;
    for (const struct eddy_part *const *p = parts->item; *p && n < 200; p++) known[n++] = (*p)->name;
    for (const struct eddy_option *o = settings_options; o->name; o++) known[n++] = o->name;
    known[n] = NULL;
    const char *near = suggest(wanted, known);
    return eddy_fail(err, EDDY_ENOTFOUND, "no part or option is called \"%s\"%s%s%s", wanted,
                     near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
}

eddy_status options_print(const struct eddy_parts *parts, const char *part, enum options_format format, FILE *out,
                          struct eddy_error *err)
{
    static const struct eddy_part *const none[] = {NULL};
    static const struct eddy_parts no_parts = {none};
    struct reference ref = {format, out, true};
    if (!parts || !parts->item) parts = &no_parts;
    if (part) {
        if (!print_wanted(&ref, parts, part)) return fail_unknown(parts, part, err);
    } else {
        if (format == OPTIONS_MARKDOWN)
            (void)fputs("# Options\n\nWritten by `eddy options --markdown` from the option tables.\n", out);
        print_root(&ref);
        for (const struct eddy_part *const *p = parts->item; *p; p++) print_part(&ref, *p);
    }
    if (format == OPTIONS_JSON) (void)fputs(ref.first ? "[]\n" : "\n]\n", out);
    return ferror(out) ? eddy_fail(err, EDDY_EIO, "the options cannot be written") : EDDY_OK;
}

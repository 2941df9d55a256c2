#include "config/print.h"

#include <inttypes.h>
#include <string.h>

#include "config/unit.h"

/* Paths are only compared with the short ones of `leave_out`: what does not fit may be cut. */
enum { PATH_BYTES = 256 };

struct printer {
    const struct print_request *request;
    FILE *out;
};

static void print_table(const struct printer *, const struct eddy_option *, const void *settings, const char *path,
                        int indent);

static void path_write(char out[PATH_BYTES], const char *path, const char *name)
{
    size_t len = 0;
    for (; *path && len < PATH_BYTES - 1; path++) out[len++] = *path;
    if (len && len < PATH_BYTES - 1) out[len++] = '.';
    for (; *name && len < PATH_BYTES - 1; name++) out[len++] = *name;
    out[len] = 0;
}

static void print_indent(const struct printer *p, int indent)
{
    (void)fprintf(p->out, "%*s", indent, "");
}

/* Words that read back as themselves stand bare; everything else goes between quotes. */
static bool is_bare(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const char others[] = "0123456789._/-";
    if (!*text || !(strchr(letters, *text) || *text == '/' || *text == '.') || strcasecmp(text, "null") == 0)
        return false;
    for (; *text; text++)
        if (!strchr(letters, *text) && !strchr(others, *text)) return false;
    return true;
}

static void print_text(const struct printer *p, const char *text)
{
    if (is_bare(text)) {
        (void)fputs(text, p->out);
        return;
    }
    (void)fputc('"', p->out);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            (void)fprintf(p->out, "\\%c", c);
        else if (c < 0x20 || c == 0x7F)
            (void)fprintf(p->out, "\\x%02X", c);
        else if (c == '$' && (text[1] == '{' || text[1] == '$'))
            (void)fputs("$$", p->out); /* or it would be expanded when read back */
        else
            (void)fputc(c, p->out);
    }
    (void)fputc('"', p->out);
}

static bool has_password_in_url(const char *text)
{
    const char *scheme = strstr(text, "://");
    return scheme && strchr(scheme, '@');
}

static bool is_secret(const struct printer *p, const char *name, const char *value)
{
    return name_looks_secret(name) || reading_is_secret(p->request->reading, value) || has_password_in_url(value);
}

static void print_value(const struct printer *p, const char *text, bool secret)
{
    if (secret)
        (void)fputs("\"*****\"", p->out);
    else
        print_text(p, text);
}

static void print_map(const struct printer *p, const struct eddy_option *o, const struct eddy_map *map, int indent)
{
    (void)fputs(map->n ? "\n" : " {}\n", p->out);
    for (int i = 0; i < map->n; i++) {
        bool secret = o->secret || is_secret(p, map->item[i].name, map->item[i].value);
        if (secret && p->request->without_secrets) continue;
        print_indent(p, indent + 2);
        print_text(p, map->item[i].name);
        (void)fputs(": ", p->out);
        print_value(p, map->item[i].value, secret);
        (void)fputc('\n', p->out);
    }
}

static void print_strings(const struct printer *p, const struct eddy_option *o, const struct eddy_strings *list)
{
    (void)fputs(" [", p->out);
    for (int i = 0; i < list->n; i++) {
        if (i) (void)fputs(", ", p->out);
        print_value(p, list->item[i], o->secret || is_secret(p, o->name, list->item[i]));
    }
    (void)fputs("]\n", p->out);
}

static void print_reals(const struct printer *p, const struct eddy_reals *list)
{
    (void)fputs(" [", p->out);
    for (int i = 0; i < list->n; i++) {
        char text[UNIT_TEXT_BYTES];
        format_real(list->item[i], text);
        (void)fprintf(p->out, "%s%s", i ? ", " : "", text);
    }
    (void)fputs("]\n", p->out);
}

/* Three and more in a row become a range again. */
static void print_ranges(const struct printer *p, const struct eddy_ints *list)
{
    (void)fputs(" [", p->out);
    for (int i = 0, last; i < list->n; i = last + 1) {
        for (last = i; last + 1 < list->n && list->item[last + 1] == list->item[last] + 1;) last++;
        if (last - i < 2) last = i;
        (void)fprintf(p->out, "%s%d", i ? ", " : "", list->item[i]);
        if (last > i) (void)fprintf(p->out, "-%d", list->item[last]);
    }
    (void)fputs("]\n", p->out);
}

/* A part behind "name:" or "-"; its options stand two columns further in. */
static void print_choice(const struct printer *p, const struct eddy_choice *choice, const char *path, int indent)
{
    const struct eddy_part *part = choice->part;
    char inside[PATH_BYTES];
    if (!part->options || !part->options->name) {
        (void)fprintf(p->out, "%s: {}\n", part->name);
        return;
    }
    (void)fprintf(p->out, "%s:\n", part->name);
    path_write(inside, path, part->name);
    print_table(p, part->options, choice->settings, inside, indent + 2);
}

static void print_choices(const struct printer *p, const struct eddy_choices *list, const char *path, int indent)
{
    (void)fputs(list->n ? "\n" : " []\n", p->out);
    for (int i = 0; i < list->n; i++) {
        print_indent(p, indent + 2);
        (void)fputs("- ", p->out);
        print_choice(p, &list->item[i], path, indent + 4);
    }
}

static void print_groups(const struct printer *p, const struct eddy_option *o, const struct eddy_groups *list,
                         const char *path, int indent)
{
    (void)fputs(list->n ? "\n" : " {}\n", p->out);
    for (int i = 0; i < list->n; i++) {
        char inside[PATH_BYTES];
        path_write(inside, path, list->item[i].name);
        print_indent(p, indent + 2);
        (void)fprintf(p->out, "%s:\n", list->item[i].name);
        print_table(p, o->sub, list->item[i].settings, inside, indent + 4);
    }
}

static void print_number(const struct printer *p, const struct eddy_option *o, const void *at)
{
    char text[UNIT_TEXT_BYTES];
    int64_t number = 0;
    if (o->type == EDDY_OPT_REAL)
        format_real(*(const double *)at, text);
    else
        memcpy(&number, at, sizeof(number));
    if (o->type == EDDY_OPT_INT) (void)snprintf(text, sizeof(text), "%" PRId64, number);
    if (o->type == EDDY_OPT_DURATION) format_duration(number, text);
    if (o->type == EDDY_OPT_SIZE) format_size(number, text);
    (void)fprintf(p->out, " %s\n", text);
}

static void print_enum(const struct printer *p, const struct eddy_option *o, int index)
{
    const char *word = o->unit ? o->unit : "";
    for (; index > 0; index--) word = strchrnul(word, '|') + (*strchrnul(word, '|') == '|');
    (void)fprintf(p->out, " %.*s\n", (int)strcspn(word, "|"), word);
}

/* Unset: there is no YAML for it, so it stands as a comment. */
static bool is_unset(const struct eddy_option *o, const void *at)
{
    static const char zero[sizeof(int64_t)] = {0};
    bool no_default = !o->default_text || !*o->default_text;
    switch (o->type) {
    case EDDY_OPT_INT:
    case EDDY_OPT_REAL:
    case EDDY_OPT_DURATION:
    case EDDY_OPT_SIZE: return no_default && memcmp(at, zero, sizeof(zero)) == 0;
    case EDDY_OPT_PART: return !((const struct eddy_choice *)at)->part;
    case EDDY_OPT_PARTS: return no_default && ((const struct eddy_choices *)at)->n == 0;
    default: return false;
    }
}

static void print_string(const struct printer *p, const struct eddy_option *o, const char *text)
{
    (void)fputc(' ', p->out);
    print_value(p, text ? text : "", text && (o->secret || is_secret(p, o->name, text)));
    (void)fputc('\n', p->out);
}

static void print_option(const struct printer *p, const struct eddy_option *o, const void *at, const char *path,
                         int indent)
{
    print_indent(p, indent);
    if (is_unset(o, at)) {
        (void)fprintf(p->out, "# %s: not set\n", o->name);
        return;
    }
    (void)fprintf(p->out, "%s:", o->name);
    switch (o->type) {
    case EDDY_OPT_BOOL: (void)fprintf(p->out, " %s\n", *(const bool *)at ? "true" : "false"); break;
    case EDDY_OPT_STRING: print_string(p, o, *(const char *const *)at); break;
    case EDDY_OPT_ENUM: print_enum(p, o, *(const int *)at); break;
    case EDDY_OPT_STRINGS: print_strings(p, o, at); break;
    case EDDY_OPT_REALS: print_reals(p, at); break;
    case EDDY_OPT_RANGES: print_ranges(p, at); break;
    case EDDY_OPT_MAP: print_map(p, o, at, indent); break;
    case EDDY_OPT_GROUP:
        (void)fputc('\n', p->out);
        print_table(p, o->sub, at, path, indent + 2);
        break;
    case EDDY_OPT_PART:
        (void)fputc('\n', p->out);
        print_indent(p, indent + 2);
        print_choice(p, at, path, indent + 2);
        break;
    case EDDY_OPT_PARTS: print_choices(p, at, path, indent); break;
    case EDDY_OPT_GROUPS: print_groups(p, o, at, path, indent); break;
    default: print_number(p, o, at); break;
    }
}

static bool is_left_out(const struct printer *p, const struct eddy_option *o, const char *path, const void *at)
{
    const struct print_request *request = p->request;
    for (int i = 0; request->leave_out && request->leave_out[i]; i++)
        if (strcmp(request->leave_out[i], path) == 0) return true;
    if (!request->without_secrets || o->type != EDDY_OPT_STRING) return false;
    const char *text = *(const char *const *)at;
    return text && (o->secret || is_secret(p, o->name, text));
}

static void print_table(const struct printer *p, const struct eddy_option *table, const void *settings,
                        const char *path, int indent)
{
    for (; table && table->name; table++) {
        const void *at = (const char *)settings + table->offset;
        char inside[PATH_BYTES];
        path_write(inside, path, table->name);
        if (!is_left_out(p, table, inside, at)) print_option(p, table, at, inside, indent);
    }
}

void settings_print(const struct print_request *request, const struct eddy_option *table, const void *settings,
                    FILE *out)
{
    struct printer p = {request, out};
    print_table(&p, table, settings, "", 0);
}

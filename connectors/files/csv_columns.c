#include "connectors/files/csv_columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "connectors/codec/number.h"

enum { MAX_COLUMNS = 65536 };

static const char *const time_names[] = {"ts", "time", "timestamp", "date", "datetime", "ds", NULL};
static const char *const key_names[] = {"key", "id", "unique_id", "symbol", "sensor", "item", NULL};

/* The columns under construction: names, roles, and which of them may still be a value or not. */
struct guess {
    const struct csv_guess *request;
    struct line_reader *reader;
    struct eddy_arena arena; /* unquoted cells of the line at hand */
    struct csv_cell *cells;  /* [n] */
    char **names;            /* [n] */
    int *role;               /* [n] */
    int n, n_open, n_categories;
};

/* While guessing, beside enum csv_role and below all categories. */
enum { ROLE_OPEN = CSV_CATEGORY - MAX_COLUMNS, ROLE_VALUE = ROLE_OPEN - 1 };

static eddy_status no_memory(const struct guess *g, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", g->request->path);
}

/* The next line that is not blank; 0 at the end of what may be read. */
static eddy_status next_line(struct guess *g, struct line *line, struct eddy_error *err)
{
    size_t most = g->request->look_bytes;
    for (;;) {
        while (line_reader_next(g->reader, line))
            if (line->len > 0) return 1;
        if (line_reader_ended(g->reader) || (most && line_reader_looked(g->reader) > most)) return 0;
        eddy_status rc = line_reader_fill(g->reader, -1, err);
        if (rc < 0) return rc;
    }
}

/* ---- names ---- */

static int find_column(const struct guess *g, const char *name)
{
    for (int i = 0; i < g->n; i++)
        if (strcmp(g->names[i], name) == 0) return i;
    return -1;
}

static char *cell_name(const struct csv_cell *cell, bool header, int i)
{
    const char *p = cell->text, *end = p + cell->len;
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t')) end--;
    if (header && p < end && !memchr(p, '\0', (size_t)(end - p))) return strndup(p, (size_t)(end - p));
    char *name = NULL;
    return asprintf(&name, "c%d", i) < 0 ? NULL : name;
}

/* Names from the first line. */
static eddy_status read_names(struct guess *g, const struct line *line, struct eddy_error *err)
{
    struct eddy_error what = {0};
    struct csv_cell one;
    const char *path = g->request->path;
    int n = csv_split(line->text, line->len, &g->arena, &one, 1, &what);
    if (n == EDDY_ENOMEM) return no_memory(g, err);
    if (n < 0) return eddy_fail(err, EDDY_EINVAL, "%s:%lld: %s", path, (long long)line->number, what.message);
    if (n > MAX_COLUMNS)
        return eddy_fail(err, EDDY_EINVAL, "%s:%lld: %d columns are too many", path, (long long)line->number, n);
    g->cells = calloc((size_t)n, sizeof(*g->cells));
    g->names = calloc((size_t)n, sizeof(*g->names));
    g->role = calloc((size_t)n, sizeof(*g->role));
    if (!g->cells || !g->names || !g->role) return no_memory(g, err);

    if (csv_split(line->text, line->len, &g->arena, g->cells, n, err) < 0) return no_memory(g, err);
    for (int i = 0; i < n; i++) {
        char *name = cell_name(&g->cells[i], g->request->settings->header, i);
        if (!name) return no_memory(g, err);
        int twin = find_column(g, name);
        g->names[g->n++] = name;
        if (twin >= 0)
            return eddy_fail(err, EDDY_EINVAL, "%s:%lld: columns %d and %d are both called \"%s\"", path,
                             (long long)line->number, twin + 1, i + 1, name);
    }
    return EDDY_OK;
}

/* "a, b, c" for messages. */
static const char *list_names(const struct guess *g, char *out, size_t room)
{
    size_t len = 0;
    *out = '\0';
    for (int i = 0; i < g->n && len + 8 < room; i++) {
        int n = snprintf(out + len, room - len, "%s%s", i ? ", " : "", g->names[i]);
        len += n > 0 ? (size_t)n : 0;
    }
    if (len >= room - 1) memcpy(out + room - 4, "...", 4);
    return out;
}

static eddy_status no_column(const struct guess *g, const char *option, const char *name, struct eddy_error *err)
{
    char list[400];
    return eddy_fail(err, EDDY_EINVAL, "%s: there is no column \"%s\" (%s); its columns are %s", g->request->path,
                     name, option, list_names(g, list, sizeof(list)));
}

/* ---- roles ---- */

static const char *role_text(int role)
{
    switch (role) {
    case CSV_TIME: return "the time";
    case CSV_KEY: return "the key";
    case CSV_LABEL: return "the label";
    default: return "a category";
    }
}

static eddy_status give_role(struct guess *g, int i, int role, const char *option, struct eddy_error *err)
{
    if (g->role[i] != ROLE_OPEN)
        return eddy_fail(err, EDDY_EINVAL, "%s: %s \"%s\" is %s already", g->request->path, option, g->names[i],
                         role_text(g->role[i]));
    g->role[i] = role;
    return EDDY_OK;
}

/* The column called by one of the usual names, in their order, that is nothing else; -1 when there is none. */
static int usual_column(const struct guess *g, const char *const *usual)
{
    for (; *usual; usual++)
        for (int i = 0; i < g->n; i++)
            if (g->role[i] == ROLE_OPEN && strcasecmp(g->names[i], *usual) == 0) return i;
    return -1;
}

static bool rows_are_numbered(const struct guess *g)
{
    const char *name = g->request->settings->time_column;
    return name && strcmp(name, "none") == 0;
}

static eddy_status find_time(const struct guess *g, int *at, struct eddy_error *err)
{
    const char *name = g->request->settings->time_column;
    char list[400];
    *at = -1;
    if (rows_are_numbered(g)) return EDDY_OK;
    *at = name ? find_column(g, name) : usual_column(g, time_names);
    if (*at >= 0) return EDDY_OK;
    if (name) return no_column(g, "time column", name, err);
    return eddy_fail(err, EDDY_EINVAL,
                     "%s: no time column among %s: name it with --time-column, or number the rows with "
                     "--time none --start T --interval D",
                     g->request->path, list_names(g, list, sizeof(list)));
}

static eddy_status find_key(const struct guess *g, int *at, struct eddy_error *err)
{
    const char *name = g->request->settings->key_column;
    *at = name ? find_column(g, name) : usual_column(g, key_names);
    return name && *at < 0 ? no_column(g, "key column", name, err) : EDDY_OK;
}

/* What the settings name goes first, so that a usual name does not take it.  Not every file needs to have it. */
static eddy_status give_labels(struct guess *g, struct eddy_error *err)
{
    const struct file_csv_settings *s = g->request->settings;
    int i = s->label_column ? find_column(g, s->label_column) : -1;
    eddy_status rc = i >= 0 ? give_role(g, i, CSV_LABEL, "label column", err) : EDDY_OK;
    for (int k = 0; k < s->category_columns.n && rc >= 0; k++) {
        i = find_column(g, s->category_columns.item[k]);
        if (i >= 0) rc = give_role(g, i, CSV_CATEGORY - g->n_categories++, "category column", err);
    }
    return rc;
}

/* Where the settings list the values, they are these and no others. */
static eddy_status give_values(struct guess *g, struct eddy_error *err)
{
    const struct eddy_strings *values = &g->request->settings->values;
    for (int i = 0; i < g->n; i++) {
        bool wanted = false;
        for (int k = 0; k < values->n && !wanted; k++) wanted = strcmp(values->item[k], g->names[i]) == 0;
        if (wanted && g->role[i] == CSV_IGNORE) g->role[i] = ROLE_OPEN; /* would be the key, but for its directory */
        eddy_status rc = wanted ? give_role(g, i, ROLE_VALUE, "column", err) : EDDY_OK;
        if (rc < 0) return rc;
        if (values->n > 0 && g->role[i] == ROLE_OPEN) g->role[i] = CSV_IGNORE;
        g->n_open += g->role[i] == ROLE_OPEN;
    }
    return EDDY_OK;
}

static eddy_status give_roles(struct guess *g, struct eddy_error *err)
{
    int time = -1, key = -1;
    bool key_counts = g->request->settings->key_column || !g->request->one_series;
    for (int i = 0; i < g->n; i++) g->role[i] = ROLE_OPEN;
    eddy_status rc = give_labels(g, err);
    if (rc >= 0) rc = find_time(g, &time, err);
    if (rc >= 0 && time >= 0) rc = give_role(g, time, CSV_TIME, "time column", err);
    if (rc >= 0) rc = find_key(g, &key, err);
    if (rc >= 0 && key >= 0) rc = give_role(g, key, key_counts ? CSV_KEY : CSV_IGNORE, "key column", err);
    return rc < 0 ? rc : give_values(g, err);
}

/* Decides the columns that have a cell in this line; a line that is broken decides nothing. */
static eddy_status look_at_row(struct guess *g, const struct line *line, struct eddy_error *err)
{
    struct eddy_error what = {0};
    double x;
    int n = csv_split(line->text, line->len, &g->arena, g->cells, g->n, &what);
    if (n == EDDY_ENOMEM) return no_memory(g, err);
    for (int i = 0; i < g->n && n == g->n; i++) {
        if (g->role[i] != ROLE_OPEN || csv_is_missing(&g->cells[i])) continue;
        g->role[i] = number_parse_text(g->cells[i].text, g->cells[i].len, &x) ? ROLE_VALUE : CSV_IGNORE;
        g->n_open--;
    }
    eddy_arena_reset(&g->arena);
    return EDDY_OK;
}

/* ---- the result ---- */

static eddy_status set_clock(const struct guess *g, struct csv_columns *c, struct eddy_error *err)
{
    const struct file_csv_settings *s = g->request->settings;
    c->clock = rows_are_numbered(g) ? CSV_CLOCK_ROWS : CSV_CLOCK_COLUMN;
    c->interval_ns = s->interval;
    if (c->clock == CSV_CLOCK_ROWS && s->interval <= 0)
        return eddy_fail(err, EDDY_EINVAL, "%s: rows that are numbered need an interval above 0", g->request->path);
    if (s->start && !timestamp_parse(s->start, strlen(s->start), &c->start_ns))
        return eddy_fail(err, EDDY_EINVAL, "start: \"%s\" is no time", s->start);
    return EDDY_OK;
}

/* Hands the names of values and categories over to the columns. */
static void take_columns(struct guess *g, struct csv_columns *c, int *role, char **values, char **categories)
{
    for (int i = 0; i < g->n; i++) {
        bool value = g->role[i] == ROLE_VALUE || g->role[i] == ROLE_OPEN; /* still open: missing throughout */
        bool category = !value && g->role[i] <= CSV_CATEGORY;
        c->has_key |= g->role[i] == CSV_KEY;
        c->has_label |= g->role[i] == CSV_LABEL;
        role[i] = value ? c->n_values : g->role[i];
        if (value) values[c->n_values++] = g->names[i];
        if (category) categories[CSV_CATEGORY - role[i]] = g->names[i];
        if (value || category) g->names[i] = NULL;
    }
    c->n_categories = g->n_categories;
}

static eddy_status make_columns(struct guess *g, struct csv_columns **out, struct eddy_error *err)
{
    struct csv_columns *c = calloc(1, sizeof(*c));
    int *role = calloc((size_t)g->n, sizeof(*role));
    char **values = calloc((size_t)g->n + 1, sizeof(*values));
    char **categories = calloc((size_t)g->n_categories + 1, sizeof(*categories));
    if (!c || !role || !values || !categories) {
        free(c);
        free(role);
        free(values);
        free(categories);
        return no_memory(g, err);
    }
    c->role = role;
    c->values = (const char *const *)values;
    c->categories = (const char *const *)categories;
    c->n_columns = g->n;
    c->time_unit = g->request->settings->time_unit;
    take_columns(g, c, role, values, categories);
    eddy_status rc = set_clock(g, c, err);
    if (rc < 0) {
        csv_columns_free(c);
        return rc;
    }
    *out = c;
    return EDDY_OK;
}

void csv_columns_free(struct csv_columns *c)
{
    if (!c) return;
    for (int i = 0; i < c->n_values; i++) free((void *)c->values[i]);
    for (int i = 0; i < c->n_categories; i++) free((void *)c->categories[i]);
    free((void *)c->values);
    free((void *)c->categories);
    free((void *)c->role);
    free(c);
}

static void guess_free(struct guess *g)
{
    for (int i = 0; i < g->n && g->names; i++) free(g->names[i]);
    free(g->names);
    free(g->cells);
    free(g->role);
    eddy_arena_free(&g->arena);
}

eddy_status csv_columns_guess(const struct csv_guess *request, struct line_reader *reader, struct csv_columns **out,
                              struct eddy_error *err)
{
    *out = NULL;
    struct guess g = {.request = request, .reader = reader};
    struct line line;
    eddy_status rc = next_line(&g, &line, err);
    if (rc <= 0) return rc;

    rc = read_names(&g, &line, err);
    if (rc >= 0) rc = give_roles(&g, err);
    if (rc >= 0 && !request->settings->header) rc = look_at_row(&g, &line, err);
    while (rc >= 0 && g.n_open > 0) {
        rc = next_line(&g, &line, err);
        if (rc <= 0) break;
        rc = look_at_row(&g, &line, err);
    }
    if (rc >= 0) rc = make_columns(&g, out, err);
    guess_free(&g);
    return rc;
}

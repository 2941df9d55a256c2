#include <string.h>
#include <strings.h>

#include "connectors/codec/csv.h"

/* A quoted cell whose opening quote is at p.  Returns the closing quote, or NULL. */
static const char *quoted_end(const char *p, const char *end, size_t *n_doubled)
{
    for (p++; p < end; p++) {
        if (*p != '"') continue;
        if (p + 1 == end || p[1] != '"') return p;
        ++*n_doubled;
        p++;
    }
    return NULL;
}

static eddy_status take_quoted(const char *open, const char *close, size_t n_doubled, struct eddy_arena *arena,
                               struct csv_cell *cell, struct eddy_error *err)
{
    *cell = (struct csv_cell){.text = open + 1, .len = (size_t)(close - open) - 1, .quoted = true};
    if (n_doubled == 0) return EDDY_OK;
    char *text = eddy_arena_take(arena, cell->len), *out = text;
    if (!text) return eddy_fail(err, EDDY_ENOMEM, "csv: out of memory");
    for (const char *p = open + 1; p < close; p++) {
        *out++ = *p;
        if (*p == '"') p++;
    }
    cell->text = text;
    cell->len = (size_t)(out - text);
    return EDDY_OK;
}

eddy_status csv_split(const char *line, size_t len, struct eddy_arena *arena, struct csv_cell *cells, int max,
                      struct eddy_error *err)
{
    const char *p = line, *end = line + len;
    for (int n = 0;; n++) {
        struct csv_cell cell;
        const char *stop;
        if (p < end && *p == '"') {
            size_t n_doubled = 0;
            const char *close = quoted_end(p, end, &n_doubled);
            if (!close)
                return eddy_fail_record(err, "not_csv", "column %d: the quote is not closed on this line", n + 1);
            stop = close + 1;
            if (stop < end && *stop != ',')
                return eddy_fail_record(err, "not_csv", "column %d: text follows the closing quote", n + 1);
            eddy_status rc = take_quoted(p, close, n_doubled, arena, &cell, err);
            if (rc < 0) return rc;
        } else {
            stop = memchr(p, ',', (size_t)(end - p));
            if (!stop) stop = end;
            cell = (struct csv_cell){.text = p, .len = (size_t)(stop - p)};
        }
        if (n < max) cells[n] = cell;
        if (stop == end) return n + 1;
        p = stop + 1;
    }
}

/* The text of a cell without blanks around it. */
static size_t trim(const struct csv_cell *cell, const char **text)
{
    const char *p = cell->text, *end = p + cell->len;
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t')) end--;
    *text = p;
    return (size_t)(end - p);
}

bool csv_is_empty(const struct csv_cell *cell)
{
    const char *text;
    return trim(cell, &text) == 0;
}

bool csv_is_missing(const struct csv_cell *cell)
{
    const char *text;
    switch (trim(cell, &text)) {
    case 0: return true;
    case 2: return strncasecmp(text, "na", 2) == 0;
    case 3: return strncasecmp(text, "nan", 3) == 0;
    case 4: return strncasecmp(text, "null", 4) == 0;
    default: return false;
    }
}

size_t csv_text(const struct csv_cell *cell, const char **text)
{
    if (csv_is_missing(cell)) return 0;
    if (!cell->quoted) return trim(cell, text);
    *text = cell->text;
    return cell->len;
}

#include "connectors/codec/csv_map.h"

#include <stdlib.h>
#include <string.h>

/* Compares names that follow one another in a buffer; returns where the next ones begin, NULL when they differ. */
static const char *same_names(const char *text, const char *const *names, int n)
{
    for (int i = 0; i < n; i++, text += strlen(text) + 1)
        if (strcmp(text, names[i]) != 0) return NULL;
    return text;
}

static bool map_is_for(const struct csv_map *m, const struct csv_columns *columns, const struct eddy_schema *schema)
{
    if (m->columns != columns || m->n_values != schema->n_values || m->n_categories != schema->n_categories)
        return false;
    const char *rest = same_names(m->names.data, schema->names, schema->n_values);
    return rest && same_names(rest, schema->categories, schema->n_categories);
}

static bool keep_names(struct eddy_buffer *kept, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (eddy_buffer_append(kept, names[i], strlen(names[i]) + 1) < 0) return false;
    return true;
}

/* Makes index[i] the place of from[i] among `to`, or -1. */
static bool find_names(const char *const *from, int n, const char *const *to, int n_to, int **index /* [n] */)
{
    int *more = realloc(*index, ((size_t)n + 1) * sizeof(*more));
    if (!more) return false;
    *index = more;
    for (int i = 0; i < n; i++) {
        more[i] = -1;
        for (int k = 0; k < n_to && more[i] < 0; k++)
            if (strcmp(from[i], to[k]) == 0) more[i] = k;
    }
    return true;
}

eddy_status csv_map(struct csv_map *m, const struct csv_columns *columns, const struct eddy_schema *schema,
                    struct eddy_error *err)
{
    if (map_is_for(m, columns, schema)) return EDDY_OK;
    m->columns = NULL;
    m->names.len = 0;
    m->n_values = schema->n_values;
    m->n_categories = schema->n_categories;
    if (!keep_names(&m->names, schema->names, schema->n_values) ||
        !keep_names(&m->names, schema->categories, schema->n_categories) ||
        !find_names(columns->values, columns->n_values, schema->names, schema->n_values, &m->value) ||
        !find_names(columns->categories, columns->n_categories, schema->categories, schema->n_categories,
                    &m->category))
        return eddy_fail(err, EDDY_ENOMEM, "csv: out of memory");
    m->columns = columns;
    return EDDY_OK;
}

void csv_map_free(struct csv_map *m)
{
    free(m->value);
    free(m->category);
    eddy_buffer_free(&m->names);
    *m = (struct csv_map){0};
}

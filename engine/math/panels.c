/* Weights in serving order: see kernels.h for the layout. */
#include "engine/math/kernels.h"

#include <string.h>

int panels_count(int n_out)
{
    return (n_out + PANEL - 1) / PANEL;
}

size_t panels_floats(int n_out, int n_rows)
{
    return (size_t)panels_count(n_out) * (size_t)(1 + n_rows) * PANEL;
}

/* Column `j` of a panel: the weights [n] of one output. */
static float *panels_column(float *column, const float *weights, int n)
{
    for (int k = 0; k < n; k++, column += PANEL) *column = weights[k];
    return column;
}

void panels_pack(const struct panels_source *s, float *panels)
{
    const size_t panel_floats = (size_t)(1 + s->n_x + s->n_h) * PANEL;
    memset(panels, 0, panels_floats(s->n_out, s->n_x + s->n_h) * sizeof(float));
    for (int j = 0; j < s->n_out; j++) {
        float *column = panels + (size_t)(j / PANEL) * panel_floats + j % PANEL;
        *column = (s->bias ? s->bias[j] : 0) + (s->bias_h ? s->bias_h[j] : 0);
        column = panels_column(column + PANEL, s->w + (size_t)j * (size_t)s->n_x, s->n_x);
        if (s->n_h > 0) (void)panels_column(column, s->u + (size_t)j * (size_t)s->n_h, s->n_h);
    }
}

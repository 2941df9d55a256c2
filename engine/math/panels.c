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
static float *panels_column(float *column, size_t row_floats, const float *weights, int n)
{
    for (int k = 0; k < n; k++, column += row_floats) *column = weights[k];
    return column;
}

void panels_pack_apart(const struct panels_source *s, size_t row_floats, size_t panel_floats, float *panels)
{
    for (int j = 0; j < s->n_out; j++) {
        float *column = panels + (size_t)(j / PANEL) * panel_floats + j % PANEL;
        *column = (s->bias ? s->bias[j] : 0) + (s->bias_h ? s->bias_h[j] : 0);
        column = panels_column(column + row_floats, row_floats, s->w + (size_t)j * (size_t)s->n_x, s->n_x);
        if (s->n_h > 0) (void)panels_column(column, row_floats, s->u + (size_t)j * (size_t)s->n_h, s->n_h);
    }
}

void panels_pack(const struct panels_source *s, float *panels)
{
    memset(panels, 0, panels_floats(s->n_out, s->n_x + s->n_h) * sizeof(float));
    panels_pack_apart(s, PANEL, (size_t)(1 + s->n_x + s->n_h) * PANEL, panels);
}

/* ---- the gates of a cell side by side ---- */

enum { LSTM_GATES = 4, GRU_GATES = 3 };

size_t lstm_panels_floats(int units, int n_in)
{
    return LSTM_GATES * panels_floats(units, n_in + units);
}

size_t gru_panels_floats(int units, int n_in)
{
    return GRU_GATES * (panels_floats(units, n_in) + panels_floats(units, units));
}

/* What belongs to one gate. */
static struct panels_source panels_gate(const struct panels_source *all, int gate)
{
    const size_t g = (size_t)gate * (size_t)all->n_out;
    struct panels_source s = *all;
    s.bias = all->bias ? all->bias + g : NULL;
    s.bias_h = all->bias_h ? all->bias_h + g : NULL;
    s.w = all->w + g * (size_t)all->n_x;
    s.u = all->u + g * (size_t)all->n_h;
    return s;
}

void lstm_panels_pack(const struct panels_source *all, float *panels)
{
    const size_t row = LSTM_GATES * PANEL;
    memset(panels, 0, lstm_panels_floats(all->n_out, all->n_x) * sizeof(float));
    for (int g = 0; g < LSTM_GATES; g++) {
        const struct panels_source gate = panels_gate(all, g);
        panels_pack_apart(&gate, row, (size_t)(1 + all->n_x + all->n_h) * row, panels + g * PANEL);
    }
}

void gru_panels_pack(const struct panels_source *all, float *panels)
{
    const size_t row = GRU_GATES * PANEL, of_x = (size_t)(1 + all->n_x) * row;
    memset(panels, 0, gru_panels_floats(all->n_out, all->n_x) * sizeof(float));
    for (int g = 0; g < GRU_GATES; g++) {
        struct panels_source x = panels_gate(all, g), h = x;
        x.n_h = h.n_x = 0;
        h.bias = NULL;
        if (g < GRU_GATES - 1)
            h.bias_h = NULL;
        else
            x.bias_h = NULL;
        panels_pack_apart(&x, row, of_x + (size_t)(1 + all->n_h) * row, panels + g * PANEL);
        panels_pack_apart(&h, row, of_x + (size_t)(1 + all->n_h) * row, panels + of_x + g * PANEL);
    }
}

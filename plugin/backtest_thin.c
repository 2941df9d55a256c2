/* Thinning: a long series keeps its shape in fewer rows.  Of each bucket stay, per value, the rows with the least and the
 * greatest one, the row with the greatest score, and everything near alerts, incidents and label windows. */
#include <math.h>
#include <string.h>

#include "plugin/backtest_private.h"

static const unsigned char ROW_CHOSEN = 128;

int backtest_bucket(const struct backtest *b)
{
    return 4 * b->n_values + 2;
}

static const float *row_column(const struct backtest *b, const struct backtest_series *s, int row, int column)
{
    return s->column + ((size_t)row * COLUMNS + (size_t)column) * (size_t)b->n_values;
}

static void choose_extremes(const struct backtest *b, struct backtest_series *s, int first, int end, int v)
{
    int low = -1, high = -1;
    for (int i = first; i < end; i++) {
        float y = row_column(b, s, i, COLUMN_Y)[v];
        if (isnan(y)) continue;
        if (low < 0 || y < row_column(b, s, low, COLUMN_Y)[v]) low = i;
        if (high < 0 || y > row_column(b, s, high, COLUMN_Y)[v]) high = i;
    }
    if (low < 0) low = high = first; /* a gap is to be seen as well */
    s->flags[low] |= ROW_CHOSEN;
    s->flags[high] |= ROW_CHOSEN;
}

static void choose(const struct backtest *b, struct backtest_series *s, int first, int end)
{
    int score = first;
    for (int v = 0; v < b->n_values; v++) choose_extremes(b, s, first, end, v);
    for (int i = first; i < end; i++)
        if (s->score[i] > s->score[score]) score = i;
    if (s->score[score] > 0) s->flags[score] |= ROW_CHOSEN;
}

static void row_move(const struct backtest *b, struct backtest_series *s, int from, int to)
{
    size_t wide = COLUMNS * (size_t)b->n_values;
    s->time_ns[to] = s->time_ns[from];
    s->score[to] = s->score[from];
    s->flags[to] = (unsigned char)(s->flags[from] & ~ROW_CHOSEN);
    memmove(s->column + (size_t)to * wide, s->column + (size_t)from * wide, wide * sizeof(float));
}

void backtest_thin(const struct backtest *b, struct backtest_series *s, int bucket)
{
    if (s->n < 2 * bucket) return;
    for (int first = 0; first < s->n; first += bucket)
        choose(b, s, first, first + bucket < s->n ? first + bucket : s->n);
    s->flags[0] |= ROW_CHOSEN;
    s->flags[s->n - 1] |= ROW_CHOSEN;
    int n = 0;
    for (int i = 0; i < s->n; i++)
        if (s->flags[i] & (ROW_CHOSEN | ROW_KEEP)) row_move(b, s, i, n++);
    s->n = n;
}

#include "plugin/backtest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/backtest_private.h"
#include "plugin/windows.h"

static const int64_t MAX_BYTES = 256LL << 20;
enum { AROUND = 32 }; /* rows before and after what matters that are never thinned */

eddy_status backtest_open(int64_t max_bytes, const struct windows *labels, struct backtest **out,
                          struct eddy_error *err)
{
    *out = calloc(1, sizeof(**out));
    if (!*out) return eddy_fail(err, EDDY_ENOMEM, "report: out of memory");
    (*out)->max_bytes = max_bytes ? max_bytes : MAX_BYTES;
    (*out)->labels = labels;
    (*out)->train_stride = 1;
    return EDDY_OK;
}

static void fan_free(struct backtest_fan *f)
{
    free(f->y);
    free(f->part);
}

static void series_free(struct backtest_series *s)
{
    if (!s) return;
    for (int i = 0; i < FANS; i++) fan_free(&s->fan[i]);
    fan_free(&s->last);
    free(s->time_ns);
    free(s->column);
    free(s->score);
    free(s->flags);
    free(s);
}

void backtest_close(struct backtest *b)
{
    if (!b) return;
    for (int i = 0; i < b->n_series; i++) series_free(b->series[i]);
    for (int v = 0; v < b->n_values && b->names; v++) free(b->names[v]);
    backtest_experts_free(&b->weights);
    free(b->series);
    free(b->slot);
    free(b->names);
    free(b->horizons);
    free(b);
}

int64_t backtest_row_bytes(const struct backtest *b)
{
    return (int64_t)(sizeof(int64_t) + sizeof(float) + 1 + COLUMNS * (size_t)b->n_values * sizeof(float));
}

static bool backtest_shape(struct backtest *b, const struct eddy_result *r)
{
    b->names = calloc((size_t)r->schema->n_values + 1, sizeof(*b->names));
    b->horizons = calloc((size_t)r->n_horizons + 1, sizeof(*b->horizons));
    if (!b->names || !b->horizons) return false;
    b->n_horizons = r->n_horizons;
    if (r->n_horizons) memcpy(b->horizons, r->horizons, (size_t)r->n_horizons * sizeof(*b->horizons));
    b->n_values = r->schema->n_values;
    for (int v = 0; v < b->n_values; v++)
        if (!(b->names[v] = strdup(r->schema->names[v]))) return false;
    return true;
}

/* ---- room ---- */

static bool series_resize(const struct backtest *b, struct backtest_series *s, int cap)
{
    size_t rows = (size_t)cap;
    int64_t *time_ns = realloc(s->time_ns, rows * sizeof(*time_ns));
    if (time_ns) s->time_ns = time_ns;
    float *column = realloc(s->column, rows * COLUMNS * (size_t)b->n_values * sizeof(*column));
    if (column) s->column = column;
    float *score = realloc(s->score, rows * sizeof(*score));
    if (score) s->score = score;
    unsigned char *flags = realloc(s->flags, rows);
    if (flags) s->flags = flags;
    if (!time_ns || !column || !score || !flags) return false;
    s->cap = cap;
    return true;
}

/* Thins all series and gives back what that frees. */
static bool backtest_thin_all(struct backtest *b)
{
    for (int i = 0; i < b->n_series; i++) {
        struct backtest_series *s = b->series[i];
        int cap = s->cap;
        backtest_thin(b, s, backtest_bucket(b));
        if (s->n >= cap - cap / 4) continue;
        if (!series_resize(b, s, s->n + s->n / 8 + 16)) return false;
        b->bytes -= (cap - s->cap) * backtest_row_bytes(b);
    }
    return true;
}

/* EDDY_ELIMIT: there is no room for another row. */
static eddy_status series_room(struct backtest *b, struct backtest_series *s)
{
    if (s->n < s->cap) return EDDY_OK;
    int64_t more = s->cap ? s->cap / 2 + 16 : 256, bytes = more * backtest_row_bytes(b);
    if (s->cap + more > INT32_MAX / 64) return EDDY_ELIMIT;
    if (b->bytes + bytes > b->max_bytes && !backtest_thin_all(b)) return EDDY_ENOMEM;
    if (s->n < s->cap) return EDDY_OK;
    if (b->bytes + bytes > b->max_bytes) return EDDY_ELIMIT;
    if (!series_resize(b, s, s->cap + (int)more)) return EDDY_ENOMEM;
    b->bytes += bytes;
    return EDDY_OK;
}

static bool slots_grow(struct backtest *b, int64_t number)
{
    int64_t cap = b->cap_slots ? b->cap_slots : 256;
    while (cap <= number) cap *= 2;
    int64_t *slot = realloc(b->slot, (size_t)cap * sizeof(*slot));
    if (!slot) return false;
    for (int64_t i = b->cap_slots; i < cap; i++) slot[i] = -1;
    b->slot = slot;
    b->cap_slots = cap;
    return true;
}

static struct backtest_series *series_new(struct backtest *b, int64_t number, const struct eddy_result *r)
{
    if (b->n_series == b->cap_series) {
        int cap = b->cap_series ? 2 * b->cap_series : 64;
        struct backtest_series **list = realloc(b->series, (size_t)cap * sizeof(*list));
        if (!list) return NULL;
        b->series = list;
        b->cap_series = cap;
    }
    struct backtest_series *s = calloc(1, sizeof(*s));
    if (!s) return NULL;
    s->number = number;
    s->fan_stride = 64;
    s->truth = b->labels ? windows_find(b->labels, r->key, r->key_len) : NULL;
    b->slot[number] = b->n_series;
    b->series[b->n_series++] = s;
    return s;
}

static int64_t series_bytes(const struct backtest *b)
{
    int64_t fan = (FAN_PARTS * (int64_t)b->n_horizons + 1) * b->n_values * (int64_t)sizeof(float);
    return (int64_t)sizeof(struct backtest_series) + (FANS + 1) * fan;
}

/* EDDY_ELIMIT: this key has no series, or no room for its row. */
static eddy_status backtest_find(struct backtest *b, int64_t number, const struct eddy_result *r,
                                 struct backtest_series **out)
{
    if (number >= b->cap_slots && !slots_grow(b, number)) return EDDY_ENOMEM;
    if (b->slot[number] < 0) {
        int64_t least = 256 * backtest_row_bytes(b) + series_bytes(b);
        if (b->bytes + least > b->max_bytes) return EDDY_ELIMIT;
        b->bytes += series_bytes(b);
        if (!series_new(b, number, r)) return EDDY_ENOMEM;
    }
    *out = b->series[b->slot[number]];
    return series_room(b, *out);
}

/* ---- rows ---- */

static bool near_window(const struct backtest_series *s, int64_t time_ns)
{
    for (int w = 0; s->truth && w < s->truth->n; w++)
        if (time_ns >= s->truth->span[w].start_ns && time_ns <= s->truth->span[w].end_ns) return true;
    return false;
}

/* What matters keeps its neighbours, those that came before it as far as they are still there. */
static void series_protect(struct backtest_series *s, int at)
{
    bool matters = (s->flags[at] & (ROW_ALERT | ROW_INCIDENT)) || near_window(s, s->time_ns[at]);
    if (matters) {
        for (int i = at; i >= 0 && i > at - AROUND && !(i < at && s->rows < s->keep_until); i--)
            s->flags[i] |= ROW_KEEP;
        s->keep_until = s->rows + AROUND;
    }
    if (s->rows < s->keep_until) s->flags[at] |= ROW_KEEP;
}

static bool fan_fill(const struct backtest *b, const struct backtest_series *s, const struct eddy_result *r,
                     struct backtest_fan *f)
{
    size_t values = (size_t)b->n_values, plane = (size_t)b->n_horizons * values;
    if (!f->y && !(f->y = malloc(values * sizeof(*f->y)))) return false;
    if (!f->part && !(f->part = malloc(FAN_PARTS * plane * sizeof(*f->part)))) return false;
    f->row = s->rows;
    f->time_ns = r->time_ns;
    for (size_t v = 0; v < values; v++) f->y[v] = (float)r->y[v];
    for (size_t i = 0; i < plane; i++) {
        f->part[FAN_YHAT * plane + i] = (float)r->forecast[i];
        f->part[FAN_LOWER * plane + i] = (float)r->lower[i];
        f->part[FAN_UPPER * plane + i] = (float)r->upper[i];
    }
    return true;
}

/* Every stride-th forecast; when there are too many, every other one of them and twice the stride. */
static bool series_fans(const struct backtest *b, struct backtest_series *s, const struct eddy_result *r)
{
    if (!b->n_horizons) return true;
    if (!fan_fill(b, s, r, &s->last)) return false;
    if (b->horizons[b->n_horizons - 1] < 2 || s->rows % s->fan_stride) return true;
    if (s->n_fans == FANS) {
        for (int i = 0; i < FANS / 2; i++) {
            struct backtest_fan even = s->fan[2 * i];
            s->fan[2 * i] = s->fan[i];
            s->fan[i] = even;
        }
        s->n_fans = FANS / 2;
        s->fan_stride *= 2;
        if (s->rows % s->fan_stride) return true;
    }
    return fan_fill(b, s, r, &s->fan[s->n_fans++]);
}

static void series_put(const struct backtest *b, struct backtest_series *s, const struct eddy_result *r)
{
    const double *from[COLUMNS] = {r->y, r->yhat, r->yhat_lower, r->yhat_upper};
    float *to = s->column + (size_t)s->n * COLUMNS * (size_t)b->n_values;
    for (int c = 0; c < COLUMNS; c++)
        for (int v = 0; v < b->n_values; v++) *to++ = from[c] ? (float)from[c][v] : NAN;
    s->time_ns[s->n] = r->time_ns;
    s->score[s->n] = isfinite(r->score) ? (float)r->score : 0;
    s->flags[s->n] = (unsigned char)((r->anomaly ? ROW_ALERT : 0) | (r->incident ? ROW_INCIDENT : 0));
    series_protect(s, s->n++);
}

void backtest_add(struct backtest *b, int64_t number, const struct eddy_result *r)
{
    struct backtest_series *s;
    if (b->failed || r->label_only) return;
    b->events++;
    if (!b->names && (!backtest_shape(b, r) || !backtest_experts_shape(b, r))) goto fail;
    backtest_experts_add(b, r);
    eddy_status rc = number < 0 ? EDDY_ELIMIT : backtest_find(b, number, r, &s);
    b->omitted += rc == EDDY_ELIMIT;
    if (rc == EDDY_ELIMIT) return;
    if (rc < 0) goto fail;
    series_put(b, s, r);
    if (!series_fans(b, s, r)) goto fail;
    s->rows++;
    return;
fail:
    b->failed = true;
}

bool backtest_wants_train(const struct backtest *b)
{
    return b->events % b->train_stride == 0;
}

void backtest_train(struct backtest *b, const struct driver_stats *stats)
{
    if (b->n_training == TRAINING) {
        for (int i = 0; i < TRAINING / 2; i++) b->training[i] = b->training[2 * i];
        b->n_training = TRAINING / 2;
        b->train_stride *= 2;
    }
    b->training[b->n_training++] = (struct backtest_training){b->events, stats->loss, stats->grad_norm};
}

#include "engine/forecast/prior.h"

#include <math.h>

#include "engine/forecast/stack.h"
#include "engine/math/scalar.h"
#include "engine/math/sound.h"

static const double LEAST_RATE = .002, LARGEST = 1e6, LEAST_SQUARE = 1e-12;

/* Where the sums of an age and a group of horizons lie: n labels that they rest on, G [E, E], p [E]. */
struct prior_cell {
    double *n, *G;
    float *p;
};

static size_t prior_cell_bytes(const struct prior_shape *s)
{
    const size_t E = (size_t)s->n_experts;
    return (1 + E * E) * sizeof(double) + ((E * sizeof(float) + 7) & ~(size_t)7);
}

static size_t prior_cells(const struct prior_shape *s)
{
    return (size_t)PRIOR_AGES * (size_t)s->groups->n;
}

static struct prior_cell prior_cell(const struct prior_shape *s, const void *model, size_t cell)
{
    double *at = (double *)(void *)((unsigned char *)(uintptr_t)model + cell * prior_cell_bytes(s));
    return (struct prior_cell){at, at + 1, (float *)(void *)(at + 1 + (size_t)s->n_experts * (size_t)s->n_experts)};
}

/* [PRIOR_AGES, n_horizons] */
static double *prior_scales(const struct prior_shape *s, const void *model)
{
    return (double *)(void *)((unsigned char *)(uintptr_t)model + prior_cells(s) * prior_cell_bytes(s));
}

static int prior_age(int64_t t)
{
    const int64_t last = (1 << (PRIOR_AGES - 1)) - 1;
    return t >= last ? PRIOR_AGES - 1 : 31 - __builtin_clz((unsigned)t + 1);
}

static size_t prior_place(const struct prior_shape *s, int64_t t, int j)
{
    return (size_t)prior_age(t) * (size_t)s->groups->n + s->groups->of[j];
}

size_t prior_bytes(const struct prior_shape *s)
{
    return prior_cells(s) * prior_cell_bytes(s) + (size_t)PRIOR_AGES * (size_t)s->n_horizons * sizeof(double);
}

void prior_init(const struct prior_shape *s, void *model)
{
    for (size_t c = 0; c < prior_cells(s); c++)
        for (int i = 0; i < s->n_experts; i++) prior_cell(s, model, c).p[i] = 1 / (float)s->n_experts;
}

bool prior_sound(const struct prior_shape *s, const void *model)
{
    const size_t E = (size_t)s->n_experts;
    bool sound = sound_reals(prior_scales(s, model), (size_t)PRIOR_AGES * (size_t)s->n_horizons);
    for (size_t c = 0; c < prior_cells(s); c++) {
        const struct prior_cell cell = prior_cell(s, model, c);
        sound &= sound_reals(cell.n, 1 + E * E) && sound_floats(cell.p, E);
    }
    return sound;
}

/* ---- contributions ---- */

struct prior_contribution {
    int64_t t;
    float errors[]; /* [n_horizons, n_experts] */
};

size_t prior_contribution_bytes(const struct prior_shape *s)
{
    const size_t floats = (size_t)s->n_horizons * (size_t)s->n_experts;
    return (sizeof(struct prior_contribution) + floats * sizeof(float) + 7) & ~(size_t)7;
}

void prior_begin(const struct prior_shape *s, int64_t t, void *contribution)
{
    struct prior_contribution *out = contribution;
    out->t = t;
    for (int j = 0; j < s->n_horizons; j++) out->errors[j * s->n_experts] = NAN;
}

void prior_contribute(const struct prior_shape *s, int j, const double *errors, void *contribution)
{
    float *to = ((struct prior_contribution *)contribution)->errors + (size_t)j * (size_t)s->n_experts;
    bool all = true;
    for (int i = 0; i < s->n_experts; i++) all &= isfinite(errors[i]) != 0;
    for (int i = 0; i < s->n_experts && all; i++)
        to[i] = (float)(errors[i] > LARGEST ? LARGEST : errors[i] < -LARGEST ? -LARGEST : errors[i]);
}

/* ---- learning ---- */

/* How much a label counts; 0 when nobody erred. */
static double prior_weight(const struct prior_shape *s, double *scale, double n, double m)
{
    const double jump = s->settings->jump * s->settings->jump;
    if (!(m > LEAST_SQUARE)) return 0;
    if (*scale > 0)
        *scale += scalar_most(LEAST_RATE, 1 / (n + 1)) * (scalar_least(m, jump * *scale) - *scale);
    else
        *scale = m;
    return m > jump * *scale ? jump / m : 1 / *scale;
}

static void prior_label(const struct prior_shape *s, void *model, int64_t origin, int j, const float *u)
{
    const int E = s->n_experts;
    const struct prior_cell cell = prior_cell(s, model, prior_place(s, origin, j));
    double m = 0;
    for (int i = 0; i < E; i++) m += (double)u[i] * (double)u[i] / E;
    const double v = prior_weight(s, prior_scales(s, model) + prior_age(origin) * s->n_horizons + j, *cell.n, m);
    const double keep = 1 - s->settings->prior_rate / s->groups->members[s->groups->of[j]];
    if (v == 0) return;
    *cell.n = keep * *cell.n + 1;
    for (int i = 0; i < E; i++)
        for (int k = 0; k < E; k++) cell.G[i * E + k] = keep * cell.G[i * E + k] + v * (double)u[i] * (double)u[k];
}

static void prior_solve(const struct prior_shape *s, const struct prior_cell *cell)
{
    const int E = s->n_experts;
    double M[MIX_MAX_EXPERTS * MIX_MAX_EXPERTS], p[MIX_MAX_EXPERTS], trace = 0;
    for (int i = 0; i < E; i++) trace += cell->G[i * E + i];
    if (!(trace > 0)) return;
    for (int i = 0; i < E; i++) {
        for (int k = 0; k < E; k++) M[i * E + k] = cell->G[i * E + k];
        M[i * E + i] += s->settings->prior_ridge * trace / (*cell->n * E);
        p[i] = (double)cell->p[i];
    }
    stack_divide(E, M, p);
    for (int i = 0; i < E; i++) cell->p[i] = (float)p[i];
}

void prior_learn(const struct prior_shape *s, void *model, const void *const *contributions, int n)
{
    bool taught[PRIOR_AGES * MIX_MAX_GROUPS] = {false};
    for (int c = 0; c < n; c++) {
        const struct prior_contribution *in = contributions[c];
        for (int j = 0; j < s->n_horizons; j++) {
            const float *u = in->errors + (size_t)j * (size_t)s->n_experts;
            const int64_t origin = sound_count(in->t) ? in->t - s->horizons[j] : -1;
            if (origin < 0 || !sound_floats(u, (size_t)s->n_experts)) continue;
            prior_label(s, model, origin, j, u);
            taught[prior_place(s, origin, j)] = true;
        }
    }
    for (size_t i = 0; i < prior_cells(s); i++) {
        const struct prior_cell cell = prior_cell(s, model, i);
        if (taught[i]) prior_solve(s, &cell);
    }
}

const float *prior_weights(const struct prior_shape *s, const void *model, int64_t t, int j)
{
    return prior_cell(s, model, prior_place(s, t, j)).p;
}

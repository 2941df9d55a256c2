#include "engine/forecast/blend.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "engine/forecast/ring.h"
#include "engine/forecast/stack.h"
#include "engine/math/scalar.h"
#include "engine/math/sound.h"

/* Scales only divide, and the usual place is one for all rows that `extreme` is counted from: no options. */
static const double LEAST_SCALE = 1e-100, SCALE_GAIN = .005, SCALE_LIMIT = 20;
static const double FAR_SLOW = 1.5, LARGEST = 1e100;
static const double MEAN_STEPS[] = {97, 673};
enum { EXTREME_AFTER = 60, SOLVE_EVERY = 4, MAX_TABLES = 2 };

struct blend_state {
    int64_t steps;
    double mean[2];
    int64_t seen[MAX_TABLES]; /* steps that taught a table */
    int64_t table;            /* of the last forecast */
};

/* Sums of one horizon group under one table. */
struct blend_proof {
    double g, h;
};

/* ---- where things lie ---- */

static bool blend_stacks(const struct blend *b)
{
    return b->settings->kind != MIX_HEDGE;
}

static bool blend_shrinks(const struct blend *b)
{
    return b->settings->shrink > 0;
}

static int blend_tables(const struct blend *b)
{
    return blend_stacks(b) && b->settings->extreme > 0 ? 2 : 1;
}

/* Hedge's experts: with a stack the last value is one of them. */
static int blend_hedged(const struct blend *b)
{
    return b->n_experts + (blend_stacks(b) ? 1 : 0);
}

static size_t blend_ring(const struct blend *b)
{
    return (size_t)b->horizons[b->n_horizons - 1];
}

/* Floats kept of a forecast: what each expert said, and the mix before it was shrunk, as distances from the last value. */
static size_t blend_kept(const struct blend *b)
{
    return (size_t)b->n_experts + (blend_shrinks(b) ? 1 : 0);
}

struct blend_arrays {
    double *origin;            /* [ring] the last value at a step; NaN = unknown */
    double *scale, *scale_mix; /* [H] S and G; stack, shrink only */
    double *A, *b, *a;         /* [tables, groups, E, E] lower triangle, [tables, groups, E] twice; stack only */
    struct blend_proof *proof; /* [tables, groups] shrink only */
    unsigned char *hedge;      /* [tables] of mix_bytes() */
    float *said;               /* [sum of horizons, kept] */
    unsigned char *extreme;    /* [ring] which table a step used */
    size_t bytes;              /* of it all */
};

static struct blend_arrays blend_of(const struct blend *b, void *state)
{
    const size_t E = (size_t)b->n_experts, H = (size_t)b->n_horizons, tables = (size_t)blend_tables(b);
    const size_t cells = tables * (size_t)b->groups->n;
    const size_t stacked = blend_stacks(b) ? cells * E : 0, waiting = b->first[b->n_horizons];
    struct blend_arrays s;
    s.origin = (double *)(void *)((struct blend_state *)state + 1);
    s.scale = s.origin + blend_ring(b);
    s.scale_mix = s.scale + (blend_stacks(b) ? H : 0);
    s.A = s.scale_mix + (blend_shrinks(b) ? H : 0);
    s.b = s.A + stacked * E;
    s.a = s.b + stacked;
    s.proof = (struct blend_proof *)(void *)(s.a + stacked);
    s.hedge = (unsigned char *)(s.proof + (blend_shrinks(b) ? cells : 0));
    s.said = (float *)(void *)(s.hedge + tables * mix_bytes(blend_hedged(b), b->groups));
    s.extreme = (unsigned char *)(s.said + waiting * blend_kept(b));
    s.bytes = (size_t)(s.extreme + blend_ring(b) - (unsigned char *)state);
    return s;
}

size_t blend_bytes(const struct blend *b)
{
    _Alignas(8) unsigned char nothing[8] = {0}; /* offsets from it are all that is asked */
    return (blend_of(b, nothing).bytes + 7) & ~(size_t)7;
}

static unsigned char *blend_hedge(const struct blend *b, const struct blend_arrays *s, int table)
{
    return s->hedge + (size_t)table * mix_bytes(blend_hedged(b), b->groups);
}

/* Which cell of [tables, groups] a horizon belongs to. */
static size_t blend_cell(const struct blend *b, int table, int j)
{
    return (size_t)(table * b->groups->n + b->groups->of[j]);
}

static float *blend_said(const struct blend *b, const struct blend_arrays *s, int j, int64_t t)
{
    return s->said + (b->first[j] + ring_place(t, b->horizons[j])) * blend_kept(b);
}

static double blend_limit(double v)
{
    return v > LARGEST ? LARGEST : v < -LARGEST ? -LARGEST : v;
}

bool blend_sound(const struct blend *b, const void *state)
{
    const struct blend_state *own = state;
    const struct blend_arrays s = blend_of(b, (void *)(uintptr_t)state);
    bool sound = sound_count(own->steps) && sound_span(own->table, 0, blend_tables(b) - 1);
    for (int i = 0; i < MAX_TABLES; i++) sound &= sound_count(own->seen[i]);
    for (size_t i = 0; i < blend_ring(b); i++) sound &= s.extreme[i] < blend_tables(b);
    return sound;
}

/* ---- labels ---- */

/* The scale moved on; the weight of a row whose squared error is m. */
static double blend_weight(const struct blend *b, double *scale, double m)
{
    const double jump = b->settings->jump * b->settings->jump;
    if (*scale == 0)
        *scale = m;
    else
        *scale += SCALE_GAIN * (scalar_least(m, SCALE_LIMIT * *scale) - *scale);
    if (*scale < LEAST_SCALE)
        *scale = LEAST_SCALE; /* nobody errs: their weights must stay numbers when somebody does */
    return m > jump * *scale ? jump / m : 1 / *scale;
}

static void blend_learn_stack(const struct blend *b, const struct blend_arrays *s, int table, int j, double y,
                              const double *d)
{
    const int E = b->n_experts;
    const size_t cell = blend_cell(b, table, j);
    double *A = s->A + cell * (size_t)(E * E), *right = s->b + cell * (size_t)E, m = 0;
    for (int i = 0; i < E; i++) m += (y - d[i]) * (y - d[i]) / E;
    const double v = blend_weight(b, &s->scale[j], m);
    for (int i = 0; i < E; i++) {
        right[i] += v * y * d[i];
        for (int k = 0; k <= i; k++) A[i * E + k] += v * d[i] * d[k];
    }
}

static void blend_learn_shrink(const struct blend *b, const struct blend_arrays *s, int table, int j, double y,
                               double D)
{
    const double v = blend_weight(b, &s->scale_mix[j], (y - D) * (y - D));
    struct blend_proof *proof = &s->proof[blend_cell(b, table, j)];
    proof->g += v * D * y;
    proof->h += v * D * D;
}

/* One label: the experts' errors, and what the tables learn of them. */
static void blend_label(const struct blend *b, const struct blend_arrays *s, int64_t t, int j, size_t place, double x,
                        double *errors)
{
    const double y = blend_limit(x - s->origin[place]);
    const float *said = blend_said(b, s, j, t);
    double d[BLEND_MAX_EXPERTS], hedged[MIX_MAX_EXPERTS];
    for (int i = 0; i < b->n_experts; i++) {
        const bool spoke = isfinite(said[i]);
        hedged[i] = errors[i * b->n_horizons + j] = spoke ? x - s->origin[place] - (double)said[i] : NAN;
        d[i] = spoke ? (double)said[i] : 0;
    }
    hedged[b->n_experts] = y;
    const int table = s->extreme[place];
    mix_learn(b->settings, blend_hedged(b), b->groups, blend_hedge(b, s, table), j, hedged);
    if (blend_stacks(b)) blend_learn_stack(b, s, table, j, y, d);
    if (blend_shrinks(b) && isfinite(said[b->n_experts]))
        blend_learn_shrink(b, s, table, j, y, (double)said[b->n_experts]);
}

/* A step is about to teach the table. */
static void blend_fade(const struct blend *b, const struct blend_arrays *s, int table)
{
    const size_t E = (size_t)b->n_experts, groups = (size_t)b->groups->n;
    const size_t first = (size_t)table * groups;
    const double keep = b->settings->stack_discount, keep_proof = b->settings->shrink_discount;
    for (size_t i = 0; blend_stacks(b) && i < groups * E * E; i++) s->A[first * E * E + i] *= keep;
    for (size_t i = 0; blend_stacks(b) && i < groups * E; i++) s->b[first * E + i] *= keep;
    for (size_t i = 0; blend_shrinks(b) && i < groups; i++) {
        s->proof[first + i].g *= keep_proof;
        s->proof[first + i].h *= keep_proof;
    }
}

/* Where the step lies whose forecast j steps on is due, `now` being the place of this one; -1: there is none. */
static int64_t blend_waiting(const struct blend *b, const struct blend_arrays *s, int64_t t, size_t now, int j)
{
    if (t < b->horizons[j]) return -1;
    const size_t place = ring_back(now, b->horizons[j], (int)blend_ring(b));
    return isfinite(s->origin[place]) ? (int64_t)place : -1;
}

/* The horizons in an order that keeps those of one group apart, whose sums wait for each other: the first of every group,
 * then the second ones.  Groups do not touch each other's numbers. */
static void blend_order(const struct blend *b, int *order)
{
    int first[MIX_MAX_GROUPS + 1], n_groups = 0, n = 0;
    for (int j = 0; j < b->n_horizons; j++)
        if (j == 0 || b->groups->of[j] != b->groups->of[j - 1]) first[n_groups++] = j;
    first[n_groups] = b->n_horizons;
    for (int within = 0; n < b->n_horizons; within++)
        for (int group = 0; group < n_groups; group++)
            if (first[group] + within < first[group + 1]) order[n++] = first[group] + within;
}

void blend_learn(const struct blend *b, void *state, int64_t t, double x, double *errors)
{
    const struct blend_arrays s = blend_of(b, state);
    const size_t now = ring_place(t, (int)blend_ring(b));
    struct blend_state *own = state;
    bool taught[MAX_TABLES] = {false};
    for (int i = 0; i < b->n_experts * b->n_horizons; i++) errors[i] = NAN;
    if (!isfinite(x)) return;
    for (int j = 0; j < b->n_horizons; j++) {
        const int64_t place = blend_waiting(b, &s, t, now, j);
        if (place >= 0) taught[s.extreme[place]] = true;
    }
    for (int table = 0; table < blend_tables(b); table++) {
        if (!taught[table]) continue;
        blend_fade(b, &s, table);
        own->seen[table]++;
    }
    int order[MIX_MAX_HORIZONS];
    blend_order(b, order);
    for (int i = 0; i < b->n_horizons; i++) {
        const int64_t place = blend_waiting(b, &s, t, now, order[i]);
        if (place >= 0) blend_label(b, &s, t, order[i], (size_t)place, x, errors);
    }
}

struct prior_shape blend_prior(const struct blend *b)
{
    return (struct prior_shape){b->settings, blend_hedged(b), b->n_horizons, b->horizons, b->groups};
}

void blend_contribute(const struct blend *b, const void *state, int64_t t, double x, double sigma, void *contribution)
{
    const struct blend_arrays s = blend_of(b, (void *)(uintptr_t)state);
    const struct prior_shape shape = blend_prior(b);
    const size_t now = ring_place(t, (int)blend_ring(b));
    double errors[MIX_MAX_EXPERTS];
    if (!isfinite(x)) return;
    prior_begin(&shape, t, contribution);
    for (int j = 0; j < b->n_horizons; j++) {
        const int64_t place = blend_waiting(b, &s, t, now, j);
        if (place < 0) continue;
        const float *said = blend_said(b, &s, j, t);
        const double y = blend_limit(x - s.origin[place]);
        for (int i = 0; i < b->n_experts; i++) errors[i] = (y - (double)said[i]) / sigma;
        if (blend_stacks(b)) errors[b->n_experts] = y / sigma;
        prior_contribute(&shape, j, errors, contribution);
    }
}

/* ---- forecasts ---- */

static void blend_solve(const struct blend *b, const struct blend_arrays *s, size_t cell)
{
    const int E = b->n_experts;
    const double *A = s->A + cell * (size_t)(E * E), *right = s->b + cell * (size_t)E;
    double M[BLEND_MAX_EXPERTS * BLEND_MAX_EXPERTS], r[BLEND_MAX_EXPERTS], trace = 0;
    for (int i = 0; i < E; i++) trace += A[i * E + i] / E;
    if (!(trace > 0)) return;
    const double ridge = b->settings->ridge * (1 - b->settings->stack_discount) * trace;
    for (int i = 0; i < E; i++) {
        for (int k = 0; k <= i; k++) M[i * E + k] = M[k * E + i] = A[i * E + k] + (i == k ? ridge : 0);
        r[i] = right[i] + ridge / E;
    }
    stack_descend(E, M, r, s->a + cell * (size_t)E);
}

/* The usual rows' weights change slowly: the groups take turns. */
static bool blend_solves(const struct blend *b, const struct blend_state *own, int table, int j)
{
    if (!blend_stacks(b) || own->steps < b->settings->stack_start) return false;
    return table > 0 || own->steps == b->settings->stack_start || (own->steps + b->groups->of[j]) % SOLVE_EVERY == 0;
}

/* Which table the step uses. */
static int blend_table(const struct blend *b, struct blend_state *own, double x, double sigma)
{
    bool far = false;
    for (int i = 0; i < 2; i++) {
        const double gain = scalar_most(2 / MEAN_STEPS[i], 1 / ((double)own->steps + 1));
        own->mean[i] = own->steps > 0 ? own->mean[i] + gain * blend_limit(x - own->mean[i]) : blend_limit(x);
        far |= fabs(x - own->mean[i]) > b->settings->extreme * sigma * (i > 0 ? FAR_SLOW : 1);
    }
    own->steps++;
    return blend_tables(b) > 1 && own->steps > EXTREME_AFTER && far;
}

static double blend_overlap(const struct blend *b, int j)
{
    double sum = 0;
    const uint8_t *of = b->groups->of;
    for (int k = j; k < b->n_horizons && of[k] == of[j]; k++) sum += b->horizons[k];
    for (int k = j - 1; k >= 0 && of[k] == of[j]; k--) sum += b->horizons[k];
    return scalar_most(1, sum * 2 / 3);
}

/* How much of the mix is left of it. */
static double blend_share(const struct blend *b, const void *state, const struct blend_arrays *s, int table, int j)
{
    const struct blend_state *own = state;
    if (!blend_shrinks(b) || (table == 0 && own->steps <= b->settings->shrink_start)) return 1;
    struct blend_proof p = s->proof[blend_cell(b, table, j)];
    double variance = p.h;
    if (table > 0) {
        const struct blend_proof usual = s->proof[blend_cell(b, 0, j)];
        const double prior = b->settings->extreme_prior / ((double)own->seen[0] + 1);
        p.g += prior * usual.g;
        p.h += prior * usual.h;
        variance += prior * prior * usual.h;
    }
    if (!(p.g > 0) || !(p.h > 0)) return 0;
    const double doubt = b->settings->shrink * b->settings->shrink * blend_overlap(b, j) * variance / (p.g * p.g);
    return scalar_least(1, p.g / p.h * scalar_most(0, 1 - doubt));
}

/* Weights before silence and shrinkage: hedge [E + 1] and stack [E] for the mean of both, `part` the stack's share. */
struct blend_shares {
    double hedge[MIX_MAX_EXPERTS], stack[BLEND_MAX_EXPERTS], part;
};

/* Hedge's weights, times what is known of all keys. */
static void blend_begin_with(const struct blend *b, const struct blend_state *own, const float *prior, double *hedge)
{
    const double A = b->settings->prior, n = (double)own->steps, even = n / blend_hedged(b);
    double whole = 0;
    for (int i = 0; i < blend_hedged(b); i++) whole += hedge[i] *= (A * (double)prior[i] + even) / (A + n);
    for (int i = 0; i < blend_hedged(b); i++) hedge[i] /= whole;
}

static void blend_shares(const struct blend *b, const void *state, const struct blend_arrays *s, int table, int j,
                         const float *prior, struct blend_shares *out)
{
    const struct blend_state *own = state;
    const int known = own->seen[table] > 0 ? table
                                           : 0; /* extreme rows that have had no label go by the usual weights */
    const double *a = s->a + blend_cell(b, known, j) * (size_t)b->n_experts;
    mix_weights(b->settings, blend_hedged(b), blend_hedge(b, s, known), b->groups->of[j], out->hedge);
    if (prior) blend_begin_with(b, own, prior, out->hedge);
    if (!blend_stacks(b)) out->hedge[b->n_experts] = 0;
    out->part = !blend_stacks(b) || own->steps <= b->settings->stack_start ? 0
                : b->settings->kind == MIX_STACK                           ? 1
                                                                           : .5;
    for (int i = 0; i < b->n_experts; i++)
        out->stack[i] = out->part == 0 ? 0 : own->seen[known] == 0 ? 1. / b->n_experts : a[i];
}

/* D_j; NaN when nobody knows. */
static double blend_mixed(const struct blend *b, const struct blend_shares *w, const double *d)
{
    double whole = w->hedge[b->n_experts], hedge = 0, stack = 0;
    bool any = false;
    for (int i = 0; i < b->n_experts; i++) {
        if (!isfinite(d[i])) continue;
        any = true;
        whole += w->hedge[i];
        stack += w->stack[i] * d[i];
    }
    if (!any) return NAN;
    for (int i = 0; i < b->n_experts; i++)
        if (isfinite(d[i])) hedge += w->hedge[i] / whole * d[i];
    return hedge + w->part * (stack - hedge);
}

/* p of the j-th horizon, or NULL. */
static const float *blend_prior_of(const struct blend *b, const void *prior, int64_t t, int j)
{
    const struct prior_shape shape = blend_prior(b);
    return prior ? prior_weights(&shape, prior, t, j) : NULL;
}

void blend_forecast(const struct blend *b, void *state, const void *prior, int64_t t, double x, double sigma,
                    const double *forecasts, double *mixed)
{
    const struct blend_arrays s = blend_of(b, state);
    struct blend_state *own = state;
    const bool known = isfinite(x);
    const int table = known ? blend_table(b, own, x, sigma) : 0;
    const size_t place = ring_place(t, (int)blend_ring(b));
    double d[BLEND_MAX_EXPERTS], share = 1;
    struct blend_shares w;
    s.origin[place] = known ? x : NAN;
    s.extreme[place] = (unsigned char)table;
    own->table = table;
    for (int j = 0; j < b->n_horizons; j++) {
        if (j == 0 || blend_cell(b, table, j) != blend_cell(b, table, j - 1)) {
            if (blend_solves(b, own, table, j)) blend_solve(b, &s, blend_cell(b, table, j));
            blend_shares(b, state, &s, table, j, blend_prior_of(b, prior, t, j), &w);
            share = blend_share(b, state, &s, table, j);
        }
        float *said = blend_said(b, &s, j, t);
        for (int i = 0; i < b->n_experts; i++) {
            d[i] = forecasts[i * b->n_horizons + j] - (known ? x : 0);
            said[i] = (float)d[i];
        }
        const double D = blend_mixed(b, &w, d);
        if (blend_shrinks(b)) said[b->n_experts] = (float)D;
        mixed[j] = (known ? x : 0) + share * D;
        if (isinf(mixed[j])) mixed[j] = x;
    }
}

void blend_weights(const struct blend *b, const void *state, const void *prior, int64_t t, int j, double *weights)
{
    const struct blend_arrays s = blend_of(b, (void *)(uintptr_t)state);
    const struct blend_state *own = state;
    struct blend_shares w;
    blend_shares(b, state, &s, (int)own->table, j, blend_prior_of(b, prior, t, j), &w);
    const double share = blend_share(b, state, &s, (int)own->table, j);
    for (int i = 0; i < b->n_experts; i++) weights[i] = share * (w.hedge[i] + w.part * (w.stack[i] - w.hedge[i]));
}

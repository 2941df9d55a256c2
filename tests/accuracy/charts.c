// Simple charts to compare with, over the series of standard input.
//
//   # season 24     a series begins; its season in rows, 0 for none
//   1.25            a value, or nan where it is missing
//
// prints for every value: EWMA z-score, seasonal z-score, Hampel, half-space trees; larger is stranger. Each is judged
// before the charts learn from it.
//
//   EWMA       |x - m| / s;           m += .05 (x - m), s += .02 (|x - m| - s), both by at most 5 s
//   seasonal   the same of x - p[phase];  p[phase] += .1 (x - m - p[phase])
//   Hampel     |x - median| / (MAD of the 48 values before + .1 s)
//   trees      Tan, Ting, Liu (2011): 25 trees of depth 8 over x and its last 3 changes, windows of 250 rows
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEASONS = 1024, HAMPEL = 48, TREES = 25, DEPTH = 8, NODES = 1 << (DEPTH + 1), WINDOW = 250, DIMENSIONS = 4 };

typedef struct {
    double mean, spread;
    long n;
} ewma_chart;

typedef struct {
    unsigned char dimension[TREES][NODES];
    double split[TREES][NODES]; // in 0..1 of the dimension's range
    int mass[TREES][NODES], latest[TREES][NODES];
    double low[DIMENSIONS], high[DIMENSIONS]; // range of the first window
} trees;

typedef struct {
    int season;
    long n;
    ewma_chart plain, deseasoned;
    double profile[SEASONS];
    double last[HAMPEL]; // a ring
    trees forest;
} series;

static uint64_t hash(uint64_t x)
{ // splitmix64
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static double clip(double x, double limit)
{
    return fmin(fmax(x, -limit), limit);
}

static double chart_score(const ewma_chart *c, double x)
{
    return c->n < 2 ? 0 : fabs(x - c->mean) / (c->spread + 1e-12);
}

static void chart_learn(ewma_chart *c, double x)
{
    double gain = 1.0 / (double)++c->n, d = x - c->mean;
    if (c->n > 48) d = clip(d, 5 * c->spread);
    c->mean += fmax(.05, gain) * d;
    if (c->n > 1) c->spread += fmax(.02, 1.0 / (double)(c->n - 1)) * (fabs(d) - c->spread);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, ascending);
    return .5 * (v[n / 2] + v[(n - 1) / 2]);
}

static double hampel_score(const series *s, double x)
{
    if (s->n < HAMPEL) return 0;
    double v[HAMPEL];
    memcpy(v, s->last, sizeof v);
    double middle = median(v, HAMPEL);
    for (int i = 0; i < HAMPEL; i++) v[i] = fabs(v[i] - middle);
    return fabs(x - middle) / (1.4826 * median(v, HAMPEL) + .1 * s->plain.spread + 1e-12);
}

// The range of each tree's dimension is drawn around the seen one; halves are taken down to DEPTH.
static void plant(trees *f, int tree, int node, int depth, const double low[DIMENSIONS],
                  const double high[DIMENSIONS])
{
    double below[DIMENSIONS], above[DIMENSIONS];
    int d = (int)(hash((uint64_t)tree * NODES + (uint64_t)node) % DIMENSIONS);
    memcpy(below, high, sizeof below);
    memcpy(above, low, sizeof above);
    f->dimension[tree][node] = (unsigned char)d;
    below[d] = above[d] = f->split[tree][node] = .5 * (low[d] + high[d]);
    if (depth + 1 >= DEPTH) return;
    plant(f, tree, 2 * node, depth + 1, low, below);
    plant(f, tree, 2 * node + 1, depth + 1, above, high);
}

static void plant_all(trees *f)
{
    for (int t = 0; t < TREES; t++) {
        double low[DIMENSIONS], high[DIMENSIONS];
        for (int d = 0; d < DIMENSIONS; d++) {
            double at = (double)(hash(((uint64_t)t << 32) + (uint64_t)d) >> 11) * 0x1p-53;
            double reach = 2 * fmax(at, 1 - at);
            low[d] = at - reach;
            high[d] = at + reach;
        }
        plant(f, t, 1, 0, low, high);
    }
}

// Walks every tree; the sum of mass x 2^depth at the first node with few rows, or at the leaf.
static double visit(trees *f, const double *x, int learn)
{
    double sum = 0;
    for (int t = 0; t < TREES; t++) {
        int node = 1, counted = 0;
        for (int depth = 0; depth <= DEPTH; depth++) {
            if (learn) f->latest[t][node]++;
            if (!counted && (f->mass[t][node] <= WINDOW / 10 || depth == DEPTH)) {
                sum += ldexp(f->mass[t][node], depth);
                counted = 1;
            }
            if (depth < DEPTH) node = 2 * node + (x[f->dimension[t][node]] >= f->split[t][node]);
        }
    }
    return sum;
}

static double trees_score(series *s, double x)
{
    trees *f = &s->forest;
    double v[DIMENSIONS] = {x, 0, 0, 0}, newer = x;
    if (s->n < DIMENSIONS) return 0;
    for (int d = 1; d < DIMENSIONS; d++) {
        double older = s->last[(s->n - d) % HAMPEL];
        v[d] = newer - older;
        newer = older;
    }
    for (int d = 0; d < DIMENSIONS; d++) {
        if (s->n < WINDOW) {
            f->low[d] = s->n == DIMENSIONS ? v[d] : fmin(f->low[d], v[d]);
            f->high[d] = s->n == DIMENSIONS ? v[d] : fmax(f->high[d], v[d]);
        }
        v[d] = clip((v[d] - f->low[d]) / (f->high[d] - f->low[d] + 1e-12), 10);
    }
    if (s->n < WINDOW) return 0;
    if (s->n % WINDOW == 0) {
        memcpy(f->mass, f->latest, sizeof f->mass);
        memset(f->latest, 0, sizeof f->latest);
    }
    double mass = visit(f, v, 1);
    return s->n < 2 * WINDOW ? 0 : 20 - log2(mass + 1);
}

static void step(series *s, double x)
{
    if (isnan(x)) { // a chart knows nothing of missing values
        puts("0 0 0 0");
        s->n += s->season > 0; // the phase goes on
        if (s->season > 0) s->last[(s->n - 1) % HAMPEL] = s->last[(s->n + HAMPEL - 2) % HAMPEL];
        return;
    }
    double *p = &s->profile[s->season > 0 ? s->n % s->season : 0];
    double rest = s->season > 0 ? x - *p : x;
    printf("%.5g %.5g %.5g %.5g\n", chart_score(&s->plain, x), chart_score(&s->deseasoned, rest), hampel_score(s, x),
           trees_score(s, x));
    if (s->season > 0) *p += fmax(.1, 1.0 / (double)(s->n / s->season + 1)) * (x - s->deseasoned.mean - *p);
    chart_learn(&s->plain, x);
    chart_learn(&s->deseasoned, rest);
    s->last[s->n++ % HAMPEL] = x;
}

int main(void)
{
    static series s;
    char line[128];
    while (fgets(line, sizeof line, stdin) != NULL) {
        int season;
        if (sscanf(line, "# season %d", &season) == 1) {
            memset(&s, 0, sizeof s);
            s.season = season < SEASONS ? season : 0;
            plant_all(&s.forest);
        } else {
            step(&s, strtod(line, NULL));
        }
    }
    return ferror(stdin) || fflush(stdout) != 0;
}

/* The head in one precision: included twice by head.c, which sets REAL and NAMED(name). */

struct NAMED(head_arrays) {
    REAL *P, *w, *k, *p; /* [width, width] [H, width] [ring, width] [ring, width] */
};

static struct NAMED(head_arrays) NAMED(head_of)(const struct head_rule *rule, void *state)
{
    const size_t width = (size_t)head_width(rule), ring = (size_t)head_ring(rule);
    struct NAMED(head_arrays) h;
    h.P = (REAL *)(void *)(head_scales(rule, state) + rule->n_horizons);
    h.w = h.P + width * width;
    h.k = h.w + (size_t)rule->n_horizons * width;
    h.p = h.k + ring * width;
    return h;
}

static void NAMED(head_begin)(const struct head_rule *rule, void *state)
{
    const size_t width = (size_t)head_width(rule);
    const struct NAMED(head_arrays) h = NAMED(head_of)(rule, state);
    for (size_t i = 0; i < width * width; i++) h.P[i] = 0;
    for (int i = 0; i < rule->n; i++) h.P[(size_t)i * width + (size_t)i] = (REAL)FIRST_COVARIANCE;
}

/* The labels that have come: what each weight row said of them, then each learns, a few rows at a time, while they are in
 * the first cache.  Rows do not touch each other's numbers. */
static void NAMED(head_labels)(const struct head_rule *rule, void *state, int64_t t, double x)
{
    enum { AT_ONCE = 8 };
    const struct kernels *kernels = kernels_best();
    const struct NAMED(head_arrays) h = NAMED(head_of)(rule, state);
    const int width = head_width(rule), ring = head_ring(rule);
    const size_t now = ring_place(t, ring);
    const double *origin = head_origins(state), *unit = head_units(rule, state);
    double *scale = head_scales(rule, state);
    for (int j = 0; j < rule->n_horizons && rule->horizons[j] <= t;) {
        const REAL *w[AT_ONCE], *p[AT_ONCE];
        REAL known[AT_ONCE];
        int due[AT_ONCE], n = 0;
        size_t place[AT_ONCE];
        for (; n < AT_ONCE && j < rule->n_horizons && rule->horizons[j] <= t; j++) {
            const size_t s = ring_back(now, rule->horizons[j], ring);
            if (!(unit[s] > 0)) continue;
            w[n] = h.w + (size_t)j * (size_t)width;
            p[n] = h.p + s * (size_t)width;
            place[n] = s;
            due[n++] = j;
        }
        kernels->NAMED(dots)(n, width, w, p, known);
        for (int i = 0; i < n; i++) {
            const size_t s = place[i];
            const double e = head_error(rule, (x - origin[s]) / unit[s], (double)known[i], &scale[due[i]]);
            kernels->NAMED(follow)(width, h.k + s * (size_t)width, (REAL)e, h.w + (size_t)due[i] * (size_t)width);
        }
    }
}

/* Brings diagonals that have grown without news down again. */
static void NAMED(head_confine)(const struct head_rule *rule, REAL *P)
{
    const size_t width = (size_t)head_width(rule);
    for (size_t i = 0; i < (size_t)rule->n; i++) {
        const double own = (double)P[i * width + i];
        if (own <= MOST_COVARIANCE) continue;
        const REAL by = (REAL)sqrt(MOST_COVARIANCE / own);
        for (size_t j = 0; j < width; j++) P[i * width + j] *= by;
        for (size_t j = 0; j < width; j++) P[j * width + i] *= by;
    }
}

static void NAMED(head_gain)(const struct head_rule *rule, void *state, size_t s)
{
    const struct kernels *kernels = kernels_best();
    const struct NAMED(head_arrays) h = NAMED(head_of)(rule, state);
    const int width = head_width(rule);
    REAL a[HEAD_MAX_WIDTH], far;
    const REAL *p = h.p + s * (size_t)width, *const gain = a;
    kernels->NAMED(times)(width, h.P, p, a); /* P is symmetric */
    kernels->NAMED(dots)(1, width, &gain, &p, &far);
    if (!(far >= 0 && (double)far <= MOST_LEVERAGE)) {
        NAMED(head_begin)(rule, state);
        kernels->NAMED(times)(width, h.P, p, a);
        kernels->NAMED(dots)(1, width, &gain, &p, &far);
    }
    const double whole = head_weighed(rule, state, (double)far) + (double)far;
    const REAL per_root = (REAL)(1 / sqrt(whole)), per_whole = (REAL)(1 / whole);
    for (int i = 0; i < width; i++) h.k[s * (size_t)width + (size_t)i] = a[i] * per_whole;
    for (int i = 0; i < width; i++) a[i] *= per_root;
    kernels->NAMED(deflate)(width, a, (REAL)(1 / rule->forgetting), h.P);
    NAMED(head_confine)(rule, h.P);
}

static void NAMED(head_outputs)(const struct head_rule *rule, void *state, size_t s, const double *row, double *y)
{
    const struct NAMED(head_arrays) h = NAMED(head_of)(rule, state);
    const int width = head_width(rule);
    REAL *p = h.p + s * (size_t)width, out[HEAD_MAX_HORIZONS];
    const REAL *w[HEAD_MAX_HORIZONS], *same[HEAD_MAX_HORIZONS];
    for (int i = 0; i < width; i++) p[i] = i < rule->n ? (REAL)row[i] : 0;
    for (int j = 0; j < rule->n_horizons; j++) {
        w[j] = h.w + (size_t)j * (size_t)width;
        same[j] = p;
    }
    bool finite = true;
    kernels_best()->NAMED(dots)(rule->n_horizons, width, w, same, out);
    for (int j = 0; j < rule->n_horizons; j++) {
        y[j] = (double)out[j];
        finite = finite && isfinite(y[j]);
    }
    if (finite) return;
    NAMED(head_begin)(rule, state);
    for (size_t i = 0; i < (size_t)rule->n_horizons * (size_t)width; i++) h.w[i] = 0;
    for (int j = 0; j < rule->n_horizons; j++) y[j] = 0;
}

#undef REAL
#undef NAMED

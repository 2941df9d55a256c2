/* The head in one precision: included twice by head.c, which sets REAL and NAMED(name). */

struct NAMED(head_arrays) {
    REAL *P, *s, *w, *kept; /* triangle of [width, width] | [width] | [H, width]; [ring, 2, width] gain and row */
};

static struct NAMED(head_arrays) NAMED(head_of)(const struct head *head)
{
    const struct head_rule *rule = head->rule;
    const int width = head_width(rule);
    struct NAMED(head_arrays) h;
    h.P = (REAL *)(void *)((unsigned char *)head->state + head_at_numbers(rule));
    h.s = h.P + recursive_row(width);
    h.w = h.s + width;
    h.kept = head->kept;
    return h;
}

static void NAMED(head_begin)(const struct head *head)
{
    const struct head_rule *rule = head->rule;
    const struct NAMED(head_arrays) h = NAMED(head_of)(head);
    memset(h.P, 0, (recursive_row(head_width(rule)) + (size_t)head_width(rule)) * sizeof(REAL)); /* s too */
    for (int i = 0; i < rule->n; i++) h.P[recursive_row(i) + (size_t)i] = (REAL)(FIRST_COVARIANCE * rule->forgetting);
}

/* Labels that come at step t, of the horizons first .. first + n - 1: what each weight row said of them, then each learns.
 * Rows do not touch each other's numbers. */
static void NAMED(head_labels)(const struct head *head, int64_t t, double x, int first, int n)
{
    const struct head_rule *rule = head->rule;
    const struct kernels *kernels = kernels_best();
    const struct NAMED(head_arrays) h = NAMED(head_of)(head);
    const int width = head_width(rule), ring = head_ring(rule);
    const size_t now = ring_place(t, ring), pair = 2 * (size_t)width;
    const double *origin = head_origins(head->state), *unit = head_units(rule, head->state);
    double *scale = head_scales(rule, head->state);
    REAL *w[HEAD_AT_ONCE], known[HEAD_AT_ONCE];
    const REAL *p[HEAD_AT_ONCE];
    int due[HEAD_AT_ONCE], n_due = 0;
    size_t place[HEAD_AT_ONCE];
    for (int j = first; j < first + n && rule->horizons[j] <= t; j++) {
        const size_t s = ring_back(now, rule->horizons[j], ring);
        if (!(unit[s] > 0)) continue;
        w[n_due] = h.w + (size_t)j * (size_t)width;
        p[n_due] = h.kept + s * pair + width;
        place[n_due] = s;
        due[n_due++] = j;
    }
    kernels->NAMED(dots)(n_due, width, (const REAL *const *)w, p, known);
    for (int i = 0; i < n_due; i++) {
        const size_t s = place[i];
        const double e = head_error(rule, (x - origin[s]) / unit[s], (double)known[i], &scale[due[i]]);
        kernels->NAMED(follow)(width, h.kept + s * pair, (REAL)e, w[i]);
    }
}

/* What the same horizons' weights say of a row. */
static void NAMED(head_say)(const struct head *head, const REAL *p, int first, int n, double *y)
{
    const struct head_rule *rule = head->rule;
    const struct NAMED(head_arrays) h = NAMED(head_of)(head);
    const REAL *w[HEAD_AT_ONCE], *same[HEAD_AT_ONCE];
    REAL out[HEAD_AT_ONCE];
    for (int i = 0; i < n; i++) {
        w[i] = h.w + (size_t)(first + i) * (size_t)head_width(rule);
        same[i] = p;
    }
    kernels_best()->NAMED(dots)(n, head_width(rule), w, same, out);
    for (int i = 0; i < n; i++) y[first + i] = (double)out[i];
}

/* Brings diagonals that have grown without news down again: those of one tile at a time, for they grow slowly. */
static void NAMED(head_confine)(const struct head_rule *rule, const struct NAMED(head_arrays) * h, int64_t rows)
{
    const int width = head_width(rule), n_tiles = width / RECURSIVE_WIDTH;
    const int first = (int)(rows % n_tiles) * RECURSIVE_WIDTH, end = first + RECURSIVE_WIDTH;
    for (int i = first; i < end && i < rule->n; i++) {
        REAL *row = h->P + recursive_row(i);
        const double own = (double)row[i];
        if (own <= MOST_COVARIANCE) continue;
        const REAL by = (REAL)sqrt(MOST_COVARIANCE / own);
        for (int j = 0; j < end; j++) row[j] *= by;
        for (int j = first; j < width; j++) h->P[recursive_row(j) + (size_t)i] *= by;
        h->s[i] *= by;
    }
}

static void NAMED(head_gain)(const struct head *head, size_t step)
{
    const struct head_rule *rule = head->rule;
    const struct kernels *kernels = kernels_best();
    const struct NAMED(head_arrays) h = NAMED(head_of)(head);
    const int width = head_width(rule);
    const REAL per_lambda = (REAL)(1 / rule->forgetting);
    REAL a[HEAD_MAX_WIDTH], far, *k = h.kept + step * 2 * (size_t)width;
    const REAL *p = k + width, *const gain = a;
    kernels->NAMED(deflate)(width, h.s, per_lambda, p, h.P, a);
    kernels->NAMED(dots)(1, width, &gain, &p, &far);
    if (!(far >= 0 && (double)far <= MOST_LEVERAGE)) {
        NAMED(head_begin)(head);
        kernels->NAMED(deflate)(width, h.s, per_lambda, p, h.P, a);
        kernels->NAMED(dots)(1, width, &gain, &p, &far);
    }
    const double whole = head_weighed(rule, head->state, (double)far) + (double)far;
    const REAL per_root = (REAL)(1 / sqrt(whole)), per_whole = (REAL)(1 / whole);
    for (int i = 0; i < width; i++) k[i] = a[i] * per_whole;
    for (int i = 0; i < width; i++) h.s[i] = a[i] * per_root;
    NAMED(head_confine)(rule, &h, ((const struct head_state *)head->state)->n);
}

/* The labels, and the outputs of the row, a few horizons at a time, while their weights are in the first cache. */
static void NAMED(head_pass)(const struct head *head, int64_t t, const double *label, const double *row, double *y)
{
    const struct head_rule *rule = head->rule;
    const int width = head_width(rule), H = rule->n_horizons;
    const struct NAMED(head_arrays) h = NAMED(head_of)(head);
    const size_t step = ring_place(t, head_ring(rule));
    REAL *p = h.kept + (2 * step + 1) * (size_t)width;
    for (int i = 0; i < width && row; i++) p[i] = i < rule->n ? (REAL)row[i] : 0;
    for (int j = 0; j < H; j += HEAD_AT_ONCE) {
        const int n = H - j < HEAD_AT_ONCE ? H - j : HEAD_AT_ONCE;
        if (label) NAMED(head_labels)(head, t, *label, j, n);
        if (row) NAMED(head_say)(head, p, j, n, y);
    }
    if (!row) return;
    bool finite = true;
    for (int j = 0; j < H; j++) finite = finite && isfinite(y[j]);
    if (!finite) {
        NAMED(head_begin)(head);
        memset(h.w, 0, (size_t)H * (size_t)width * sizeof(REAL));
        memset(y, 0, (size_t)H * sizeof(*y));
    }
    NAMED(head_gain)(head, step);
}

#undef REAL
#undef NAMED

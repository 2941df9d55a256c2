/* ARIMA(p, d, q): the d-th differences of a value from their last p values and the last q errors, learnt online.
 *
 * Equations (Box and Jenkins 1970; recursive maximum likelihood: Ljung and Soederstrom 1983; sigma: scale.h)
 *     z_t     = the d-th difference of x,  y_t = z_t - mu
 *     y_t     = sum_i a_i y_{t-i} + sum_j b_j e_{t-j} + e_t
 *     (a, b)    by least squares (least_squares.h, forgetting min(forgetting, 1 - 1/(n + 40))): the error e_t /
 *               sigma, limited to `limit`, on the inputs (y'_{t-i}, e'_{t-j}) / sigma;  an observation whose inputs
 *               are larger than usual (mean square M) weighs min(1, 25 M / their mean square), so that a jump is not
 *               learnt;  e_t is what is left after learning
 *     y'_t    = y_t - sum_j b_j y'_{t-j},  e'_t = e_t - sum_j b_j e'_{t-j}      how errors answer to coefficients
 *     mu     += max(.002, 1/(n+1)) (z - mu), the step limited to 30 sigma;  mu = 0 without a mean
 *     ahead   y_{t+h} by the same equation with e = 0 to come, integrated d times from x_t, and kept within
 *             (1 + h/3) sigma of where x was lately: two envelopes, which follow x at once outwards and with 1/48
 *             inwards.  (A straight line rises by less than sigma / 3 per step, see scale.h.)
 * A polynomial with a root on the wrong side is drawn in, a_i = a_i r^i, until it has none: forecasts do not explode,
 * and old errors die away.
 * Missing   what was expected stands in, with e = 0.
 *
 * Layout    per value, all 0 for a new key, doubles:
 *           struct arima_head | z [p] | e [q] | y' [max(p, q)] | e' [q], newest first | (a, b) [p + q] with P */
#include <string.h>

#include "engine/forecast/experts.h"
#include "engine/forecast/least_squares.h"
#include "engine/math/sound.h"

enum { MAX_P = 48, MAX_D = 2, MAX_Q = 16 };
enum arima_mean { ARIMA_MEAN_AUTO, ARIMA_MEAN_NONE, ARIMA_MEAN_RUNNING };

struct arima_settings {
    int64_t p, d, q;
    double forgetting, limit;
    int mean;                 /* enum arima_mean */
    struct eddy_reals ar, ma; /* coefficients that are known */
};

static const struct eddy_option options[] = {
    {"p", EDDY_OPT_INT, offsetof(struct arima_settings, p), "12", 0, MAX_P, "lags",
     "Past values that matter; as many as a season has steps do well. The state grows with the square: per value of "
     "a key 192 bytes for (2, 1, 1), 1.1 kB for (12, 0, 1), 3.3 kB for (24, 0, 1).",
     NULL, 0, false},
    {"d", EDDY_OPT_INT, offsetof(struct arima_settings, d), "0", 0, MAX_D, "times",
     "Differences taken before: 0 for values that keep returning to a level, 1 for levels that wander, 2 for slopes "
     "that do.",
     NULL, 0, false},
    {"q", EDDY_OPT_INT, offsetof(struct arima_settings, q), "1", 0, MAX_Q, "lags", "Past errors that matter.", NULL,
     0, false},
    {"forgetting", EDDY_OPT_REAL, offsetof(struct arima_settings, forgetting), "0.9995", 0.9, 1, "per step",
     "How much an observation counts one step later: 0.9995 remembers some 2000 steps.", NULL, 0, false},
    {"limit", EDDY_OPT_REAL, offsetof(struct arima_settings, limit), "3", 1e-3, 1e6, "sigma",
     "The largest error that is learnt from; one sigma is 3 usual differences.", NULL, 0, false},
    {"mean", EDDY_OPT_ENUM, offsetof(struct arima_settings, mean), "auto", 0, 0, "auto|none|running",
     "Whether the (differenced) values return to a running mean or to 0; auto: to a mean when d is 0.", NULL, 0,
     false},
    {"ar", EDDY_OPT_REALS, offsetof(struct arima_settings, ar), "", -1e6, 1e6, "p numbers",
     "Coefficients of past values that are known: then nothing is learnt.", NULL, 0, false},
    {"ma", EDDY_OPT_REALS, offsetof(struct arima_settings, ma), "", -1e6, 1e6, "q numbers",
     "Coefficients of past errors that are known.", NULL, 0, false},
    {0}};

struct arima_head {
    int64_t n;              /* steps since the first known value */
    double last[MAX_D + 1]; /* x, its first and its second difference, as of the last step */
    double mu;
    double low, high; /* envelopes of x */
    double usual;     /* M */
    double sigma;     /* of the step before: the one in hand must not weigh itself */
};
enum { SETTLED = 10 }; /* steps until sigma can be trusted */
static const double RIDGE = .1, USUAL_GAIN = .01, USUAL_LIMIT = 25, MEAN_GAIN = .002, MEAN_LIMIT = 30;
static const double ENVELOPE_GAIN = 1.0 / 48, LARGEST_INPUT = 1e6, YOUNG = 40;

/* The places in a value's state. */
struct arima {
    const struct arima_settings *s;
    int p, d, q, n_filtered; /* max(p, q) */
    bool mean, known;        /* known: the coefficients are given */
    struct arima_head *head;
    double *z, *e;   /* [p] [q] */
    double *yf, *ef; /* y' [n_filtered], e' [q] */
    double *a;       /* [p + q] coefficients, followed by P: state of least_squares.h */
};

static bool arima_is_known(const struct arima_settings *s)
{
    return s->ar.n + s->ma.n > 0;
}

static struct arima arima_at(const struct arima_settings *s, void *state)
{
    struct arima a = {.s = s, .p = (int)s->p, .d = (int)s->d, .q = (int)s->q, .head = state};
    a.n_filtered = a.p > a.q ? a.p : a.q;
    a.mean = s->mean == ARIMA_MEAN_RUNNING || (s->mean == ARIMA_MEAN_AUTO && a.d == 0);
    a.known = arima_is_known(s);
    a.z = (double *)(void *)(a.head + 1);
    a.e = a.z + a.p;
    a.yf = a.e + a.q;
    a.ef = a.yf + a.n_filtered;
    a.a = a.ef + a.q;
    return a;
}

static size_t arima_state_bytes(const void *settings, const struct eddy_expert_shape *shape)
{
    (void)shape;
    const struct arima_settings *s = settings;
    const int p = (int)s->p, q = (int)s->q, lags = p + 2 * q + (p > q ? p : q);
    return sizeof(struct arima_head) + ((size_t)lags + least_squares_doubles(p + q)) * sizeof(double);
}

static eddy_status arima_check(const void *settings, struct eddy_error *err)
{
    const struct arima_settings *s = settings;
    if (!arima_is_known(s) || (s->ar.n == s->p && s->ma.n == s->q)) return EDDY_OK;
    return eddy_fail(err, EDDY_ECONFIG, "ar has %d coefficients for p = %d, ma %d for q = %d: give all or none",
                     s->ar.n, (int)s->p, s->ma.n, (int)s->q);
}

/* The first z: everything before it is taken to have been at the mean. */
static void arima_begin(const struct arima *a, double z)
{
    if (a->mean) a->head->mu = z;
    for (int i = 0; i < a->p; i++) a->z[i] = a->head->mu;
    least_squares_init(a->p + a->q, RIDGE, a->a);
    for (int i = 0; a->known && i < a->p; i++) a->a[i] = a->s->ar.item[i];
    for (int j = 0; a->known && j < a->q; j++) a->a[a->p + j] = a->s->ma.item[j];
}

/* What is expected of y from lags, newest first: y [p], e [q]. */
static double arima_expect(const struct arima *a, const double *y, const double *e)
{
    double sum = 0;
    for (int i = 0; i < a->p; i++) sum += a->a[i] * y[i];
    for (int j = 0; j < a->q; j++) sum += a->a[a->p + j] * e[j];
    return expert_limit(sum, EXPERT_LARGEST);
}

/* Steps 1 - sum c_i B^i down to its reflection coefficients: all of them lie within (-1, 1) exactly when no root is
 * on the wrong side.  Spoils c [n]. */
static bool arima_is_stable(double *c, int n)
{
    double next[MAX_P];
    for (; n > 0; n--) {
        const double reflection = c[n - 1], left = 1 - reflection * reflection;
        if (!(left > 0)) return false;
        for (int i = 0; i < n - 1; i++) next[i] = (c[i] + reflection * c[n - 2 - i]) / left;
        memcpy(c, next, (size_t)(n - 1) * sizeof(*c));
    }
    return true;
}

/* sign: 1 for 1 - sum c_i B^i, -1 for 1 + sum c_i B^i.  r = 1, .999, .998, .996, ..; coefficients that are beyond all
 * help are given up. */
static void arima_draw_in(double *c, int n, double sign)
{
    double tried[MAX_P], shrunk = .999;
    for (int tries = 0; tries < 16; tries++) {
        const double r = tries == 0 ? 1 : shrunk;
        double power = 1, drawn[MAX_P];
        for (int i = 0; i < n; i++) power *= r, drawn[i] = c[i] * power, tried[i] = sign * drawn[i];
        if (arima_is_stable(tried, n)) {
            memcpy(c, drawn, (size_t)n * sizeof(*c));
            return;
        }
        if (tries > 0) shrunk *= shrunk;
    }
    memset(c, 0, (size_t)n * sizeof(*c));
}

static void arima_learn(const struct arima *a, double error, double sigma)
{
    const int n = a->p + a->q;
    double x[LEAST_SQUARES_MAX], square = 0, *usual = &a->head->usual;
    for (int i = 0; i < n; i++) {
        x[i] = expert_limit((i < a->p ? a->yf[i] : a->ef[i - a->p]) / sigma, LARGEST_INPUT);
        square += x[i] * x[i] / n;
    }
    const double most = *usual > 0 ? USUAL_LIMIT * *usual : square;
    const struct least_squares_step step = {.x = x,
                                            .error = expert_limit(error / sigma, a->s->limit),
                                            .lambda = fmin(a->s->forgetting, 1 - 1 / ((double)a->head->n + YOUNG)),
                                            .weight = square > most ? most / square : 1,
                                            .ridge = RIDGE};
    *usual += fmax(USUAL_GAIN, 1 / (double)(a->head->n + 1)) * (fmin(square, most) - *usual);
    least_squares_learn(n, a->a, &step);
    arima_draw_in(a->a, a->p, 1);
    arima_draw_in(a->a + a->p, a->q, -1);
}

static void arima_push(double *lags, int n, double newest)
{
    if (n == 0) return;
    memmove(lags + 1, lags, (size_t)(n - 1) * sizeof(*lags));
    lags[0] = newest;
}

/* y [p]: the lags as deviations from the mean. */
static void arima_deviations(const struct arima *a, double *y)
{
    for (int i = 0; i < a->p; i++) y[i] = a->z[i] - a->head->mu;
}

/* One more y and its error, as the equations of the gradient see them. */
static void arima_filter(const struct arima *a, double y, double e)
{
    for (int j = 0; j < a->q; j++) {
        y -= a->a[a->p + j] * a->yf[j];
        e -= a->a[a->p + j] * a->ef[j];
    }
    arima_push(a->yf, a->n_filtered, expert_limit(y, EXPERT_LARGEST));
    arima_push(a->ef, a->q, expert_limit(e, EXPERT_LARGEST));
}

/* One more z. */
static void arima_take(const struct arima *a, double z, bool known, double sigma)
{
    double y[MAX_P];
    const double now = z - a->head->mu;
    arima_deviations(a, y);
    double e = known ? now - arima_expect(a, y, a->e) : 0;
    if (known && !a->known && a->p + a->q && a->head->n >= a->d + a->n_filtered + SETTLED) {
        arima_learn(a, e, sigma);
        e = now - arima_expect(a, y, a->e);
    }
    arima_filter(a, now, e);
    arima_push(a->z, a->p, z);
    arima_push(a->e, a->q, expert_limit(e, EXPERT_LARGEST));
    if (a->mean && known) {
        const double gain = fmax(MEAN_GAIN, 1 / (double)(a->head->n - a->d + 1));
        a->head->mu += gain * expert_limit(now, MEAN_LIMIT * sigma);
    }
}

static void arima_ahead(const struct arima *a, const struct eddy_expert_shape *shape, double sigma, double *forecast)
{
    const struct arima_head *h = a->head;
    double y[MAX_P], e[MAX_Q] = {0}, chain[MAX_D + 1];
    arima_deviations(a, y);
    memcpy(e, a->e, (size_t)a->q * sizeof(*e));
    memcpy(chain, h->last, sizeof(chain));
    for (int j = 0, ahead = 0; j < shape->n_horizons; j++) {
        for (; ahead < shape->horizons[j]; ahead++) {
            const double next = h->n > a->d ? arima_expect(a, y, e) : 0;
            arima_push(y, a->p, next);
            arima_push(e, a->q, 0);
            chain[a->d] = next + h->mu;
            for (int i = a->d; i > 0; i--) chain[i - 1] = expert_limit(chain[i - 1] + chain[i], EXPERT_LARGEST);
        }
        const double room = (1 + ahead / 3.0) * sigma;
        forecast[j] = expert_limit(fmin(fmax(chain[0], h->low - room), h->high + room), EXPERT_LARGEST);
    }
}

/* x with its differences as the newest; false while there are not enough values for the d-th. */
static bool arima_differences(const struct arima *a, double x)
{
    struct arima_head *h = a->head;
    double now = x;
    for (int i = 0; i <= a->d && i <= h->n; i++) {
        const double before = h->last[i];
        h->last[i] = now;
        now -= before;
    }
    if (h->n == 0) h->low = h->high = x;
    h->low = fmin(x, h->low + ENVELOPE_GAIN * (x - h->low));
    h->high = fmax(x, h->high + ENVELOPE_GAIN * (x - h->high));
    return h->n >= a->d;
}

static void arima_fold(const void *settings, const struct eddy_expert_shape *shape, void *state,
                       const struct eddy_expert_event *in, double *forecast)
{
    static const int next_step[] = {1};
    static const struct eddy_expert_shape next = {.n_horizons = 1, .horizons = next_step};
    const struct arima a = arima_at(settings, state);
    const bool known = !isnan(in->x);
    double x = expert_limit(in->x, EXPERT_LARGEST);
    if (!known && a.head->n == 0) {
        for (int j = 0; j < shape->n_horizons; j++) forecast[j] = NAN;
        return;
    }
    if (!known) arima_ahead(&a, &next, in->sigma, &x);

    if (a.head->n == 0) a.head->sigma = in->sigma;
    if (arima_differences(&a, x)) {
        if (a.head->n == a.d) arima_begin(&a, a.head->last[a.d]);
        arima_take(&a, a.head->last[a.d], known, a.head->sigma);
    }
    a.head->sigma = in->sigma;
    a.head->n++;
    arima_ahead(&a, shape, in->sigma, forecast);
}

static bool arima_sound(const void *settings, const struct eddy_expert_shape *shape, const void *state)
{
    (void)settings, (void)shape;
    return sound_count(((const struct arima_head *)state)->n);
}

const struct eddy_expert expert_arima = {
    .part = {.struct_size = sizeof(struct eddy_expert),
             .kind = EDDY_PART_EXPERT,
             .name = "arima",
             .summary =
                 "ARIMA(p, d, q) with coefficients that are learnt online: for values that depend on their last "
                 "few. 1112 bytes per value of a key.",
             .options = options,
             .settings_size = sizeof(struct arima_settings),
             .check = arima_check},
    .state_version = 1,
    .state_bytes = arima_state_bytes,
    .fold = arima_fold,
    .sound = arima_sound,
};

/* The figures of classes and smoothed values.
 *     log loss  -1/n sum_i ln p_i[k_i]                 k_i: the true class of event i
 *     brier      1/n sum_i sum_k (p_i[k] - [k = k_i])^2
 *     base rate  1 - sum_k (n_k / n)^2                 the brier score of p_i[k] = n_k / n */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/metrics_private.h"

static const double SMALLEST_P = 1e-15; /* one certain mistake is not to outweigh all else */

/* ---- classes ---- */

void metrics_classes_free(struct metrics_classes *c)
{
    for (int k = 0; k < c->n_classes; k++) free(c->item[k].name);
    free(c->item);
}

static bool classes_shape(struct metrics_classes *c, const struct eddy_classes *from)
{
    c->item = calloc((size_t)from->n_classes, sizeof(*c->item));
    if (!c->item) return false;
    c->n_classes = from->n_classes;
    for (int k = 0; k < c->n_classes; k++)
        if (!(c->item[k].name = strdup(from->names[k]))) return false;
    return true;
}

/* The class that a label names; -1 when there is none. */
static int class_of(const struct metrics_classes *c, const char *label, size_t len)
{
    for (int k = 0; k < c->n_classes; k++)
        if (strlen(c->item[k].name) == len && memcmp(c->item[k].name, label, len) == 0) return k;
    return -1;
}

static void classes_judge(struct metrics_classes *c, const double *p /* [n_classes] */, int truth)
{
    int best = 0;
    for (int k = 0; k < c->n_classes; k++) {
        double miss = p[k] - (k == truth);
        c->brier += miss * miss;
        if (p[k] > p[best]) best = k;
    }
    c->log_loss -= log(p[truth] > SMALLEST_P ? p[truth] : SMALLEST_P);
    c->n++;
    c->n_correct += best == truth;
    c->item[truth].n++;
    c->item[best].predicted++;
    c->item[best].correct += best == truth;
}

bool metrics_classes_add(struct metrics_classes *c, const struct eddy_result *r)
{
    const struct eddy_classes *told = &r->classes;
    if (told->n_classes == 0) return true;
    if (!c->item && !classes_shape(c, told)) return false;
    int truth = r->label && told->n_classes == c->n_classes ? class_of(c, r->label, r->label_len) : -1;
    bool known = truth >= 0;
    for (int k = 0; k < c->n_classes && known; k++) known = isfinite(told->p[k]);
    if (known) classes_judge(c, told->p, truth);
    return true;
}

static double share(int64_t part, int64_t whole)
{
    return whole ? (double)part / (double)whole : NAN;
}

static double base_rate_brier(const struct metrics_classes *c)
{
    double sum = 0;
    for (int k = 0; k < c->n_classes; k++) sum += share(c->item[k].n, c->n) * share(c->item[k].n, c->n);
    return 1 - sum;
}

void metrics_classes_write(const struct metrics_classes *c, struct json_out *j)
{
    if (c->n == 0) return;
    json_open(j, "classes", '{');
    json_int(j, "n", c->n);
    json_real(j, "accuracy", share(c->n_correct, c->n));
    json_real(j, "log_loss", c->log_loss / (double)c->n);
    json_real(j, "brier", c->brier / (double)c->n);
    json_real(j, "base_rate_brier", base_rate_brier(c));
    json_open(j, "by_class", '{');
    for (int k = 0; k < c->n_classes; k++) {
        const struct metrics_class *one = &c->item[k];
        json_open(j, one->name, '{');
        json_int(j, "n", one->n);
        json_real(j, "precision", share(one->correct, one->predicted));
        json_real(j, "recall", share(one->correct, one->n));
        json_close(j, '}');
    }
    json_close(j, '}');
    json_close(j, '}');
}

void metrics_classes_print(const struct metrics_classes *c, FILE *out)
{
    if (c->n == 0) return;
    fprintf(out, "classes    %lld labels, accuracy %.4f, log loss %.4f, brier %.4f (base rate %.4f)\n",
            (long long)c->n, share(c->n_correct, c->n), c->log_loss / (double)c->n, c->brier / (double)c->n,
            base_rate_brier(c));
}

/* ---- smoothed values ---- */

void metrics_smoothed_add(struct metrics_smoothed *s, const struct eddy_result *r)
{
    if (!r->smoothed.y || !r->smoothed.known) return;
    for (int v = 0; v < r->schema->n_values; v++) {
        double e = r->smoothed.y[v] - r->smoothed.actual[v];
        if (!isfinite(e)) continue;
        s->n++;
        s->squared += e * e;
        s->absolute += fabs(e);
    }
}

void metrics_smoothed_write(const struct metrics_smoothed *s, struct json_out *j)
{
    if (s->n == 0) return;
    json_open(j, "smoothed", '{');
    json_int(j, "n", s->n);
    json_real(j, "mse", s->squared / (double)s->n);
    json_real(j, "mae", s->absolute / (double)s->n);
    json_close(j, '}');
}

void metrics_smoothed_print(const struct metrics_smoothed *s, FILE *out)
{
    if (s->n == 0) return;
    fprintf(out, "smoothed   %lld values, mae %.5g, mse %.5g\n", (long long)s->n, s->absolute / (double)s->n,
            s->squared / (double)s->n);
}

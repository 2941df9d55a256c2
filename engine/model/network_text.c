/* Networks as text: the fingerprint that tells stored weights apart, and the summary for people. */
#include <inttypes.h>
#include <string.h>

#include "engine/model/stack.h"

/* ---- fingerprint ---- */

static eddy_status text_add(struct eddy_buffer *out, const char *text)
{
    return eddy_buffer_append(out, text, strlen(text));
}

static eddy_status options_text(const struct eddy_part *, const void *settings, struct eddy_buffer *out);

/* A part inside a layer: the cell of a bidirectional layer. */
static eddy_status choice_text(const struct eddy_choice *choice, struct eddy_buffer *out)
{
    if (!choice->part) return text_add(out, "-");
    eddy_status rc = text_add(out, "{");
    if (rc >= 0) rc = text_add(out, choice->part->name);
    if (rc >= 0) rc = options_text(choice->part, choice->settings, out);
    return rc >= 0 ? text_add(out, "}") : rc;
}

static eddy_status lists_text(const struct eddy_option *o, const void *at, struct eddy_buffer *out)
{
    char text[40];
    eddy_status rc = EDDY_OK;
    const struct eddy_reals *reals = at;
    const struct eddy_ints *ints = at;
    const struct eddy_strings *strings = at;
    for (int i = 0; o->type == EDDY_OPT_REALS && i < reals->n && rc >= 0; i++) {
        (void)snprintf(text, sizeof(text), "%.17g,", reals->item[i]);
        rc = text_add(out, text);
    }
    for (int i = 0; o->type == EDDY_OPT_RANGES && i < ints->n && rc >= 0; i++) {
        (void)snprintf(text, sizeof(text), "%d,", ints->item[i]);
        rc = text_add(out, text);
    }
    for (int i = 0; o->type == EDDY_OPT_STRINGS && i < strings->n && rc >= 0; i++) {
        rc = text_add(out, strings->item[i]);
        if (rc >= 0) rc = text_add(out, ",");
    }
    return rc;
}

static eddy_status option_text(const struct eddy_option *o, const void *settings, struct eddy_buffer *out)
{
    const void *at = (const char *)settings + o->offset;
    char text[40] = "";
    eddy_status rc = text_add(out, " ");
    if (rc >= 0) rc = text_add(out, o->name);
    if (rc >= 0) rc = text_add(out, "=");
    if (rc < 0) return rc;
    switch (o->type) {
    case EDDY_OPT_BOOL: (void)snprintf(text, sizeof(text), "%d", *(const bool *)at); break;
    case EDDY_OPT_ENUM: (void)snprintf(text, sizeof(text), "%d", *(const int *)at); break;
    case EDDY_OPT_REAL: (void)snprintf(text, sizeof(text), "%.17g", *(const double *)at); break;
    case EDDY_OPT_INT:
    case EDDY_OPT_DURATION:
    case EDDY_OPT_SIZE: (void)snprintf(text, sizeof(text), "%" PRId64, *(const int64_t *)at); break;
    case EDDY_OPT_STRING: return text_add(out, *(const char *const *)at ? *(const char *const *)at : "");
    case EDDY_OPT_PART: return choice_text(at, out);
    default: return lists_text(o, at, out);
    }
    return text_add(out, text);
}

static eddy_status options_text(const struct eddy_part *part, const void *settings, struct eddy_buffer *out)
{
    eddy_status rc = EDDY_OK;
    for (const struct eddy_option *o = part->options; o && o->name && rc >= 0; o++)
        rc = option_text(o, settings, out);
    return rc;
}

/* An activation has no size, but other weights belong to it: options are part of what a network is. */
eddy_status network_fingerprint(const struct network *net, struct eddy_buffer *out)
{
    eddy_status rc = EDDY_OK;
    char line[160];
    for (int i = 0; i <= net->n_layers && rc >= 0; i++) {
        const struct network_layer *l = &net->layers[i];
        (void)snprintf(line, sizeof(line), "%.60s %d %d %zu %zu%s", l->layer->part.name, l->plan.n_in, l->plan.n_out,
                       l->plan.n_params, l->plan.n_state, l->residual ? " residual" : "");
        rc = text_add(out, line);
        if (rc >= 0) rc = options_text(&l->layer->part, l->plan.settings, out);
        if (rc >= 0) rc = text_add(out, "\n");
    }
    const struct loss *loss = &net->loss;
    (void)snprintf(line, sizeof(line), "loss %d %.17g %.17g %d", loss->kind, loss->delta, loss->freedom,
                   loss->n_classes);
    if (rc >= 0) rc = text_add(out, line);
    for (int i = 0; loss->kind == LOSS_QUANTILES && i < loss->n_levels && rc >= 0; i++) {
        (void)snprintf(line, sizeof(line), " %.17g", loss->levels[i]);
        rc = text_add(out, line);
    }
    return rc >= 0 ? text_add(out, "\n") : rc;
}

/* ---- summary ---- */

/* What a layer says of itself, or every weight once: biases are added, not multiplied. */
static size_t text_multiply_adds(const struct network_layer *l)
{
    size_t n = 0;
    struct eddy_tensor_info t;
    if (l->plan.multiply_adds > 0) return l->plan.multiply_adds;
    for (int i = 0; l->layer->tensor && l->layer->tensor(&l->plan, i, &t); i++)
        if (strncmp(t.name, "bias", 4) != 0) n += (size_t)t.rows * (size_t)t.cols;
    return n;
}

struct text_totals {
    size_t params, state, tape, multiply_adds;
};

static void text_row(FILE *out, const char *name, const char *shape, const struct text_totals *t)
{
    (void)fprintf(out, "%-26s %-12s %12zu %10zu %10zu %16zu\n", name, shape, t->params, t->state, t->tape,
                  t->multiply_adds);
}

static void text_layer(const struct network *net, int i, FILE *out, struct text_totals *all)
{
    const struct network_layer *l = &net->layers[i];
    char name[40], shape[32];
    const bool added = i == net->n_layers && !l->plan.head; /* the head that eddy adds */
    if (added)
        (void)snprintf(name, sizeof(name), "head");
    else
        (void)snprintf(name, sizeof(name), "%d %.20s%s", i, l->layer->part.name, l->residual ? " +x" : "");
    if (l->plan.head)
        (void)snprintf(shape, sizeof(shape), "%d", l->plan.n_out);
    else
        (void)snprintf(shape, sizeof(shape), "%d -> %d", l->plan.n_in, l->plan.n_out);
    const struct text_totals t = {l->plan.n_params, l->plan.n_state, l->plan.n_tape,
                                  text_multiply_adds(l) / (size_t)l->every};
    text_row(out, name, shape, &t);
    all->params += t.params;
    all->state += t.state;
    all->tape += t.tape;
    all->multiply_adds += t.multiply_adds;
}

static const char *text_loss(const struct loss *loss)
{
    static const char *const names[] = {"huber",     "squared", "gaussian", "student_t",
                                        "quantiles", "sigmoid", "softmax"};
    return names[loss->kind];
}

void network_summary(const struct network *net, FILE *out)
{
    struct text_totals all = {0};
    char shape[32];
    (void)fprintf(out, "%-26s %-12s %12s %10s %10s %16s\n", "layer", "shape", "parameters", "state", "tape",
                  "multiply-adds");
    for (int i = 0; i <= net->n_layers; i++) text_layer(net, i, out, &all);
    (void)snprintf(shape, sizeof(shape), "%d -> %d", net->n_in, net->n_out);
    all.state = net->n_state; /* with what is held between two firings */
    text_row(out, "total", shape, &all);
    (void)fprintf(out, "loss %s over %d labels a step", text_loss(&net->loss), net->n_targets);
    if (net->stride > 1) (void)fprintf(out, "; fires every %d events", net->stride);
    if (net->lag > 0) (void)fprintf(out, "; answers %d events late", net->lag);
    (void)fputc('\n', out);
}

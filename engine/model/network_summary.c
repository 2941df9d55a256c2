/* The table of a network for people: what each layer costs, and what holds for the whole. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/stack.h"

/* What a layer says of itself, or every weight once: biases are added, not multiplied. */
static size_t summary_multiply_adds(const struct network_layer *l)
{
    size_t n = 0;
    struct eddy_tensor_info t;
    if (l->plan.multiply_adds > 0) return l->plan.multiply_adds;
    for (int i = 0; l->layer->tensor && l->layer->tensor(&l->plan, i, &t); i++)
        if (strncmp(t.name, "bias", 4) != 0) n += (size_t)t.rows * (size_t)t.cols;
    return n;
}

/* ---- options ---- */

/* The i-th of words separated by |. */
static const char *summary_word(const char *words, int i, int *len)
{
    while (i-- > 0 && strchr(words, '|')) words = strchr(words, '|') + 1;
    *len = (int)strcspn(words, "|");
    return words;
}

/* Separates notes at the end of a line. */
static void summary_note(FILE *out, int *n_notes)
{
    (void)fputs(*n_notes > 0 ? ", " : "  ", out);
    ++*n_notes;
}

/* Sizes and parts always, the rest where it is not as it would be anyway. */
static void summary_option(const struct eddy_option *o, const void *settings, FILE *out, int *n_notes)
{
    const void *at = (const char *)settings + o->offset;
    const char *usual = o->default_text ? o->default_text : "";
    int len;
    if (o->type == EDDY_OPT_INT) {
        summary_note(out, n_notes);
        (void)fprintf(out, "%s %" PRId64, o->name, *(const int64_t *)at);
    } else if (o->type == EDDY_OPT_PART && ((const struct eddy_choice *)at)->part) {
        summary_note(out, n_notes);
        (void)fprintf(out, "%s %s", o->name, ((const struct eddy_choice *)at)->part->name);
    } else if (o->type == EDDY_OPT_REAL && *(const double *)at != strtod(usual, NULL)) {
        summary_note(out, n_notes);
        (void)fprintf(out, "%s %g", o->name, *(const double *)at);
    } else if (o->type == EDDY_OPT_BOOL && *(const bool *)at != (strcmp(usual, "true") == 0)) {
        summary_note(out, n_notes);
        (void)fprintf(out, "%s%s", *(const bool *)at ? "" : "no ", o->name);
    } else if (o->type == EDDY_OPT_ENUM) {
        const char *word = summary_word(o->unit, *(const int *)at, &len);
        if (strlen(usual) == (size_t)len && strncmp(word, usual, (size_t)len) == 0) return;
        summary_note(out, n_notes);
        (void)fprintf(out, "%s %.*s", o->name, len, word);
    }
}

/* ---- rows ---- */

struct summary_counts {
    size_t params, state, tape, multiply_adds;
};

static void summary_row(FILE *out, const char *name, const char *shape, const struct summary_counts *c)
{
    (void)fprintf(out, "%-18s %-14s %12zu %10zu %10zu %14zu", name, shape, c->params, c->state, c->tape,
                  c->multiply_adds);
}

/* The head that eddy adds is dense, without a choice but its bias. */
static void summary_notes(const struct network *net, const struct network_layer *l, bool added, FILE *out)
{
    const struct layer_dense_settings *head = l->plan.settings;
    int n_notes = 0;
    for (const struct eddy_option *o = l->layer->part.options; o && o->name && !added; o++)
        summary_option(o, l->plan.settings, out, &n_notes);
    if (added && !head->bias) {
        summary_note(out, &n_notes);
        (void)fputs("no bias", out);
    }
    if (l->residual) {
        summary_note(out, &n_notes);
        (void)fputs("+ its input", out);
    }
    if (net->stride > 1 && l->every > 1) {
        summary_note(out, &n_notes);
        (void)fprintf(out, "every %d events", l->every);
    }
    (void)fputc('\n', out);
}

static void summary_layer(const struct network *net, int i, FILE *out, struct summary_counts *all)
{
    const struct network_layer *l = &net->layers[i];
    const bool added = i == net->n_layers && !l->plan.head;
    char name[48], shape[32];
    (void)snprintf(name, sizeof(name), "%d %.30s", i, l->layer->part.name);
    (void)snprintf(shape, sizeof(shape), "%d -> %d", l->plan.n_in, l->plan.n_out);
    const struct summary_counts c = {l->plan.n_params, l->plan.n_state, l->plan.n_tape,
                                     summary_multiply_adds(l) / (size_t)l->every};
    summary_row(out, added ? "head" : name, shape, &c);
    summary_notes(net, l, added, out);
    all->params += c.params;
    all->state += c.state;
    all->tape += c.tape;
    all->multiply_adds += c.multiply_adds;
}

/* ---- the whole ---- */

static void summary_loss(const struct network *net, FILE *out)
{
    static const char *const names[] = {"huber",     "squared", "gaussian", "student_t",
                                        "quantiles", "sigmoid", "softmax"};
    const struct loss *loss = &net->loss;
    (void)fprintf(out, "loss      %s", names[loss->kind]);
    if (loss->kind == LOSS_HUBER) (void)fprintf(out, ", delta %g", loss->delta);
    if (loss->kind == LOSS_STUDENT_T) (void)fprintf(out, ", freedom %g", loss->freedom);
    for (int k = 0; loss->kind == LOSS_QUANTILES && k < loss->n_levels; k++)
        (void)fprintf(out, "%s %g", k > 0 ? "," : ":", loss->levels[k]);
    for (int k = 0; k < net->classes.n; k++) (void)fprintf(out, "%s %s", k > 0 ? "," : ":", net->classes.item[k]);
    (void)fprintf(out, "; %d label%s an event\n", net->n_targets, net->n_targets == 1 ? "" : "s");
}

static void summary_rules(const struct network *net, FILE *out)
{
    int residual = 0;
    for (int i = 0; i < net->n_layers; i++) residual += net->layers[i].residual;
    summary_loss(net, out);
    if (residual > 0) (void)fprintf(out, "residual  %d of %d layers add their input\n", residual, net->n_layers);
    if (net->stride > 1)
        (void)fprintf(out, "stride    the output changes every %d events and stands in between\n", net->stride);
    if (net->lag > 0) (void)fprintf(out, "lag       the output answers the event of %d events ago\n", net->lag);
}

void network_summary(const struct network *net, FILE *out)
{
    struct summary_counts all = {0};
    char shape[32];
    (void)fprintf(out, "%-18s %-14s %12s %10s %10s %14s\n", "layer", "shape", "parameters", "state", "tape",
                  "multiply-adds");
    for (int i = 0; i <= net->n_layers; i++) summary_layer(net, i, out, &all);
    if (net->n_state > all.state) {
        summary_row(out, "held in between", "", &(struct summary_counts){.state = net->n_state - all.state});
        (void)fputc('\n', out);
    }
    all.state = net->n_state;
    (void)snprintf(shape, sizeof(shape), "%d -> %d", net->n_in, net->n_out);
    summary_row(out, "total", shape, &all);
    (void)fputc('\n', out);
    summary_rules(net, out);
}

/* Labels in, probabilities out: what a network with loss sigmoid or softmax says of each event, before its own label is
 * used, and the labels that come with an event or later. */
#include <math.h>
#include <string.h>

#include "engine/flow/lane_private.h"

static const struct eddy_strings *class_names(const struct plan *p)
{
    return &p->networks[p->classifier].settings->classes;
}

float lane_class(const struct plan *p, const char *label, size_t len)
{
    if (p->classifier < 0 || !label) return NAN;
    const struct eddy_strings *names = class_names(p);
    for (int i = 0; i < names->n; i++)
        if (strlen(names->item[i]) == len && memcmp(names->item[i], label, len) == 0) return (float)i;
    return NAN;
}

void lane_classify(struct lane *l, const struct lane_item *item, int i, struct eddy_result *out)
{
    const struct plan *p = l->plan;
    const struct plan_network *n = &p->networks[p->classifier];
    double *shown = (double *)(uintptr_t)out->classes.p;
    float *probabilities = l->head;
    (void)item;
    if (!l->steps[i]) return; /* a network that classifies has one series per key */
    int best = 0;
    loss_probabilities(&n->net->loss, n->net->n_targets, l->rows[p->classifier].y[i], probabilities);
    for (int c = 0; c < out->classes.n_classes; c++) {
        shown[c] = (double)probabilities[c];
        if (shown[c] > shown[best]) best = c;
    }
    out->classes.label = out->classes.names[best];
}

bool lane_label_excluded(const struct plan *p, const struct eddy_event *event)
{
    const struct eddy_strings *out = &p->settings->train.exclude;
    for (int i = 0; event->label && i < out->n; i++)
        if (strlen(out->item[i]) == event->label_len && memcmp(out->item[i], event->label, event->label_len) == 0)
            return true;
    return false;
}

/* The event of that time among the steps that are kept for training; -1: there is none. */
static int64_t label_step(const struct lane *l, const struct key_row *r, int channel, int64_t time_ns)
{
    const int64_t end = lane_steps(l, r)[channel], first = end > l->plan->n_steps ? end - l->plan->n_steps : 0;
    for (int64_t step = end - 1; step >= first; step--)
        if (lane_point(l, r, channel, step)->time_ns == time_ns) return step;
    return -1;
}

/* A late label finds its event among the steps that are kept for training; one that has left them comes too late. */
void lane_label(struct lane *l, struct key_row *r, const struct eddy_event *event)
{
    const struct plan *p = l->plan;
    const float class = lane_class(p, event->label, event->label_len);
    const bool excluded = lane_label_excluded(p, event);
    for (int c = 0; c < p->n_channels && p->training && (excluded || !isnan(class)); c++) {
        const int64_t step = label_step(l, r, c, event->time_ns);
        if (step < 0) continue;
        if (excluded) lane_learn_not(l, r, c, step);
        struct point_head *head = lane_point(l, r, c, step);
        if (!isnan(class))
            *(float *)(void *)((struct point *)(void *)(head + 1) + p->n_dims) = class; /* first extra */
    }
}

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

/* A late label finds its event among the steps that are kept for training; one that has left them comes too late. */
void lane_label(struct lane *l, struct key_row *r, const struct eddy_event *event)
{
    const struct plan *p = l->plan;
    const float class = lane_class(p, event->label, event->label_len);
    const int64_t end = lane_steps(l, r)[0], first = end > p->n_steps ? end - p->n_steps : 0;
    if (isnan(class) || !p->training) return;
    for (int64_t step = end - 1; step >= first; step--) {
        struct point_head *head = lane_point(l, r, 0, step);
        if (head->time_ns != event->time_ns) continue;
        *(float *)(void *)((struct point *)(void *)(head + 1) + p->n_dims) = class; /* the first of the extras */
        return;
    }
}

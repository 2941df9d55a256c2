/* Figures that several workers collected, each of its own partitions, as those of one: series move as they are, and what
 * is counted over all series is added up. */
#include <stdlib.h>
#include <string.h>

#include "plugin/metrics_private.h"

static void merge_classes(struct metrics_classes *into, struct metrics_classes *from)
{
    if (!into->item) {
        const struct metrics_classes none = *into;
        *into = *from;
        *from = none;
        return;
    }
    if (from->n_classes != into->n_classes) return; /* nothing was judged there */
    into->n += from->n;
    into->n_correct += from->n_correct;
    into->log_loss += from->log_loss;
    into->brier += from->brier;
    for (int k = 0; k < into->n_classes; k++) {
        into->item[k].n += from->item[k].n;
        into->item[k].predicted += from->item[k].predicted;
        into->item[k].correct += from->item[k].correct;
    }
}

static void merge_weights(struct metrics *into, const struct metrics *from)
{
    for (int i = 0; i < into->experts.n * into->n_horizons; i++) {
        into->experts.weight[i].n += from->experts.weight[i].n;
        into->experts.weight[i].sum += from->experts.weight[i].sum;
    }
}

static int merge_order(const void *a, const void *b)
{
    const struct metrics_key *const *l = a, *const *r = b;
    return ((*l)->number > (*r)->number) - ((*l)->number < (*r)->number);
}

/* The series of `from`, behind those of `into` in their own order. */
static bool merge_series(struct metrics *into, struct metrics *from)
{
    size_t n = 0;
    struct metrics_key **keys = calloc(from->n_keys + 1, sizeof(*keys));
    if (!keys || !metrics_room(into, from->n_keys)) {
        free(keys);
        return false;
    }
    for (size_t at = 0; at < from->cap; at++)
        if (from->table[at]) keys[n++] = from->table[at];
    qsort(keys, n, sizeof(struct metrics_key *), merge_order);
    for (size_t i = 0; i < n; i++) {
        size_t at = keys[i]->hash & (into->cap - 1);
        while (into->table[at]) at = (at + 1) & (into->cap - 1);
        into->table[at] = keys[i];
        keys[i]->number = (int64_t)into->n_keys++;
    }
    into->bytes += from->bytes;
    free(keys);
    free(from->table);
    from->table = NULL;
    from->cap = from->n_keys = 0;
    return true;
}

void metrics_merge(struct metrics *into, struct metrics *from)
{
    const bool failed = into->failed || from->failed;
    if (!into->horizons) { /* it has seen no series: all there is besides labels is there */
        struct metrics was = *into;
        *into = *from;
        *from = was;
    }
    into->failed = failed;
    into->unmeasured += from->unmeasured;
    into->unjudged += from->unjudged;
    into->incidents += from->incidents;
    into->smoothed.n += from->smoothed.n;
    into->smoothed.squared += from->smoothed.squared;
    into->smoothed.absolute += from->smoothed.absolute;
    merge_classes(&into->classes, &from->classes);
    if (!from->horizons) return;
    if (from->n_values != into->n_values || from->n_horizons != into->n_horizons || from->n_bands != into->n_bands ||
        from->experts.n != into->experts.n) { /* partitions whose records have other values */
        for (size_t at = 0; at < from->cap; at++)
            if (from->table[at]) into->unmeasured += from->table[at]->count;
        return;
    }
    merge_weights(into, from);
    if (!merge_series(into, from)) into->failed = true;
}

/* What a result tells of every expert: the errors of what each had said of the event, and its weights in what is said now.
 * Replays ask for it; a live lane never comes here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flow/lane_private.h"

enum { NAME_BYTES = 160 };

/* A network's name, a part's name; with the network that it reads. */
static void experts_write_name(const struct plan *p, int i, char out[NAME_BYTES])
{
    const struct plan_expert *e = &p->experts[i];
    if (e->network >= 0)
        (void)snprintf(out, NAME_BYTES, "%s", p->networks[e->network].name);
    else if (e->reads >= 0)
        (void)snprintf(out, NAME_BYTES, "%s of %s", e->part->part.name, p->networks[e->reads].name);
    else
        (void)snprintf(out, NAME_BYTES, "%s", e->part->part.name);
}

/* Equal names are numbered. */
static char *experts_name(const struct lane *l, int i)
{
    char plain[NAME_BYTES], other[NAME_BYTES], numbered[NAME_BYTES + 16];
    int n = 1;
    experts_write_name(l->plan, i, plain);
    for (int k = 0; k < i; k++) {
        experts_write_name(l->plan, k, other);
        n += strcmp(plain, other) == 0;
    }
    (void)snprintf(numbered, sizeof(numbered), "%s %d", plain, n);
    return strdup(n > 1 ? numbered : plain);
}

static size_t experts_plane(const struct lane *l)
{
    return (size_t)l->plan->outlook.n_horizons * (size_t)l->plan->n_values;
}

eddy_status lane_tell_experts(struct lane *l, struct eddy_error *err)
{
    const int n = l->plan->n_experts;
    l->expert_names = calloc((size_t)n + 1, sizeof(*l->expert_names));
    bool good = l->expert_names != NULL;
    for (int i = 0; i < n && good; i++) good = (l->expert_names[i] = experts_name(l, i)) != NULL;
    if (!good) return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", l->request.topic);
    l->values_each += 2 * (size_t)n * experts_plane(l);
    l->most_events = lane_most_events(l);
    return EDDY_OK;
}

void lane_experts_close(struct lane *l)
{
    for (int i = 0; l->expert_names && i < l->plan->n_experts; i++) free(l->expert_names[i]);
    free(l->expert_names);
}

struct eddy_experts lane_experts_at(const struct lane *l, double *block)
{
    const int n = l->plan->n_experts;
    return (struct eddy_experts){.n = n,
                                 .names = (const char *const *)l->expert_names,
                                 .errors = block,
                                 .weights = block + (size_t)n * experts_plane(l)};
}

void lane_experts_errors(const struct lane *l, const struct eddy_result *out)
{
    const double *from = l->plan->n_experts > 1 ? l->expert_residuals : l->residuals;
    memcpy((double *)(uintptr_t)out->experts.errors, from, (size_t)out->experts.n * experts_plane(l) * sizeof(*from));
}

void lane_experts_weights(const struct lane *l, const void *mix, int64_t step, int value,
                          const struct eddy_result *out)
{
    const struct plan *p = l->plan;
    const int n = out->experts.n, n_horizons = p->outlook.n_horizons;
    double weights[BLEND_MAX_EXPERTS] = {1}, *to = (double *)(uintptr_t)out->experts.weights;
    for (int j = 0; j < n_horizons; j++) {
        if (n > 1) blend_weights(&p->blend, mix, lane_share_prior(l), step, j, weights);
        for (int i = 0; i < n; i++)
            to[((size_t)i * (size_t)n_horizons + (size_t)j) * (size_t)p->n_values + (size_t)value] = weights[i];
    }
}

#include "engine/model/inner.h"

#include <string.h>

static eddy_status inner_open(const struct eddy_choice *choice, int n_in, struct inner *out, struct eddy_error *err)
{
    const struct eddy_layer_place place = {.n_in = n_in, .n_dims = 1, .n_horizons = 1, .above = true};
    *out = (struct inner){.layer = (const struct eddy_layer *)(const void *)choice->part};
    return out->layer->plan(choice->settings, &place, &out->plan, err);
}

eddy_status inner_plan(const char *outer, const struct eddy_choice *choice, int n_in, struct inner *out,
                       struct eddy_error *err)
{
    eddy_status rc = inner_open(choice, n_in, out, err);
    if (rc < 0) return rc;
    const struct eddy_layer_plan *plan = &out->plan;
    const char *why = plan->head                              ? "it is the head of a network"
                      : plan->lag != 0                        ? "it answers late"
                      : plan->stride != 1                     ? "it does not answer every input"
                      : plan->n_state == 0                    ? "it has no memory"
                      : plan->n_back_once > 0                 ? "it looks at its whole window at once"
                      : plan->n_in != n_in || plan->n_out < 1 ? "its sizes cannot be"
                                                              : NULL;
    if (!why) return EDDY_OK;
    return eddy_fail(err, EDDY_ECONFIG, "%s: layer %s cannot be inside: %s; recurrent layers can", outer,
                     out->layer->part.name, why);
}

struct inner inner_of(const struct eddy_choice *choice, int n_in)
{
    struct inner inner;
    (void)inner_open(choice, n_in, &inner, NULL);
    return inner;
}

bool inner_tensor(const struct inner *inner, int i, struct eddy_tensor_info *out)
{
    return inner->layer->tensor && inner->layer->tensor(&inner->plan, i, out);
}

size_t inner_multiply_adds(const struct inner *inner)
{
    size_t n = 0;
    struct eddy_tensor_info t;
    if (inner->plan.multiply_adds > 0) return inner->plan.multiply_adds;
    for (int i = 0; inner_tensor(inner, i, &t); i++)
        if (strncmp(t.name, "bias", 4) != 0) n += (size_t)t.rows * (size_t)t.cols;
    return n;
}

const uint64_t *inner_draws(const uint64_t *draws, int n, int step, uint64_t *to)
{
    for (int i = 0; i < n && draws; i++) to[i] = eddy_random_bits(draws[i], (uint64_t)step);
    return draws ? to : NULL;
}

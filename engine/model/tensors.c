#include "engine/model/tensors.h"

#include <string.h>

#include "engine/model/stack.h"

bool tensors_next(struct tensors *t)
{
    for (; t->layer <= t->net->n_layers; t->layer++, t->next = 0) {
        const struct network_layer *l = &t->net->layers[t->layer];
        if (!l->layer->tensor(&l->plan, t->next, &t->info)) continue;
        t->info.first += l->first_param;
        t->next++;
        return true;
    }
    return false;
}

size_t tensors_floats(const struct tensors *t)
{
    return (size_t)t->info.rows * (size_t)t->info.cols;
}

int tensors_count(const struct network *net)
{
    int n = 0;
    for (struct tensors t = {.net = net}; tensors_next(&t);) n++;
    return n;
}

bool tensors_is_weight(const struct eddy_tensor_info *t)
{
    return strstr(t->name, "weight") != NULL && strstr(t->name, "norm") == NULL;
}

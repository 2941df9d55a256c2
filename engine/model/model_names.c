#include "engine/model/model_names.h"

#include <stdlib.h>
#include <string.h>

#include "engine/model/stack.h"

/* Part of a name behind its last dot. */
static const char *name_end(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

static bool name_is(const char *name, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(name, *words) == 0) return true;
    return false;
}

/* What is written behind the names of a bidirectional layer's reverse weights; "" for others. */
static const char *name_direction(const char *name)
{
    static const char reverse[] = "_reverse";
    const size_t len = strlen(name), tail = sizeof(reverse) - 1;
    return len > tail && strcmp(name + len - tail, reverse) == 0 ? name + len - tail : name + len;
}

/* The same for the name without its direction. */
static bool name_is_either_way(const char *name, const char *const *words)
{
    char both[EDDY_TENSOR_NAME_BYTES];
    (void)snprintf(both, sizeof(both), "%.*s", (int)(name_direction(name) - name), name);
    return name_is(both, words);
}

/* A matrix stays one when it has a single column, which eddy_tensor_info cannot say. */
static struct safetensors_shape tensor_shape(const struct network_layer *l, const struct eddy_tensor_info *t)
{
    static const char *const matrices[] = {"weight_ih",  "weight_hh",      "weight_start",
                                           "weight_out", "in_proj_weight", NULL};
    const bool weight = strcmp(t->name, "weight") == 0;
    if (weight && l->layer == &layer_conv1d)
        return (struct safetensors_shape){3, {t->rows, l->plan.n_in, t->cols / l->plan.n_in}};
    const bool matrix = t->cols > 1 || (weight && l->layer == &layer_dense) ||
                        name_is_either_way(name_end(t->name), matrices);
    return (struct safetensors_shape){matrix ? 2 : 1, {t->rows, t->cols}};
}

/* Where in the file's names a tensor belongs. */
struct place {
    const char *network; /* NULL: there is only one */
    int layer;           /* -1 = the head */
};

static eddy_status names_add(struct model_names *names, const struct place *at, const char *tensor,
                             const struct model_tensor *t)
{
    static const char *const numbered[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh", NULL};
    if (names->n == names->cap) {
        const int cap = names->cap > 0 ? 2 * names->cap : 16;
        struct model_tensor *grown = realloc(names->items, (size_t)cap * sizeof(*grown));
        if (!grown) return EDDY_ENOMEM;
        names->items = grown;
        names->cap = cap;
    }
    char layer[32] = "head";
    if (at->layer >= 0) (void)snprintf(layer, sizeof(layer), "layers.%d", at->layer);
    struct model_tensor *to = &names->items[names->n];
    *to = *t;
    const char *direction = name_direction(tensor);
    if (asprintf(&to->name, "%s%s%s.%.*s%s%s", at->network ? at->network : "", at->network ? "." : "", layer,
                 (int)(direction - tensor), tensor, name_is_either_way(name_end(tensor), numbered) ? "_l0" : "",
                 direction) < 0)
        return EDDY_ENOMEM;
    names->n++;
    return EDDY_OK;
}

/* A recurrent cell, one direction of it. */
struct cell_biases {
    int gates; /* rows of weight_hh for each of its columns */
    bool two;
    struct model_tensor first; /* bias_ih; n 0: it has none */
};

static void biases_see(struct cell_biases ways[2], const struct eddy_tensor_info *t, const struct model_tensor *item)
{
    const char *name = name_end(t->name);
    struct cell_biases *way = &ways[*name_direction(name) != '\0'];
    if (name_is_either_way(name, (const char *const[]){"weight_hh", NULL})) way->gates = t->rows / t->cols;
    if (name_is_either_way(name, (const char *const[]){"bias_ih", NULL})) way->first = *item;
    way->two |= name_is_either_way(name, (const char *const[]){"bias_hh", NULL});
}

/* The bias that torch's RNN, GRU and LSTM have twice, where there is only one here. */
static eddy_status names_add_second(struct model_names *names, const struct place *at, const struct cell_biases *way,
                                    const char *name)
{
    enum { RNN_GATES = 1, GRU_GATES = 3, LSTM_GATES = 4 };
    const int gates = way->gates;
    if (way->two || way->first.n == 0 || (gates != RNN_GATES && gates != GRU_GATES && gates != LSTM_GATES))
        return EDDY_OK;
    struct model_tensor second = way->first;
    second.added = true;
    second.n_free = gates == GRU_GATES ? second.n / GRU_GATES * 2 : second.n;
    return names_add(names, at, name, &second);
}

static eddy_status names_add_layer(struct model_names *names, const struct place *at, const struct network_layer *l,
                                   size_t first_param)
{
    struct eddy_tensor_info t;
    struct cell_biases ways[2] = {{0}}; /* forward, reverse */
    eddy_status rc = EDDY_OK;
    for (int i = 0; rc >= 0 && l->layer->tensor && l->layer->tensor(&l->plan, i, &t); i++) {
        const struct model_tensor item = {
            .shape = tensor_shape(l, &t), .first = first_param + t.first, .n = (size_t)t.rows * (size_t)t.cols};
        biases_see(ways, &t, &item);
        rc = names_add(names, at, t.name, &item);
    }
    if (rc >= 0) rc = names_add_second(names, at, &ways[0], "bias_hh");
    return rc < 0 ? rc : names_add_second(names, at, &ways[1], "bias_hh_reverse");
}

eddy_status model_names_fill(struct model_names *names, const struct model *m)
{
    eddy_status rc = EDDY_OK;
    for (int k = 0; k < m->n; k++) {
        const struct model_slice *s = &m->slices[k];
        for (int i = 0; rc >= 0 && i <= s->net->n_layers; i++) {
            const struct network_layer *l = &s->net->layers[i];
            const struct place at = {m->n > 1 ? s->name : NULL, i < s->net->n_layers ? i : -1};
            rc = names_add_layer(names, &at, l, s->first_param + l->first_param);
        }
    }
    return rc;
}

void model_names_free(struct model_names *names)
{
    for (int i = 0; i < names->n; i++) free(names->items[i].name);
    free(names->items);
    *names = (struct model_names){0};
}

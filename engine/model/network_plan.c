/* Opening a network: layer by layer, with the reasons why some stacks cannot be. */
#include <stdlib.h>
#include <string.h>

#include "engine/model/stack.h"

enum {
    PACKED_MULTIPLE = 16, /* floats; each layer's packed weights start on a cache line */
    MAX_STRIDE = 1 << 20, /* of a whole network: no training window is as long */
    MAX_OUTPUTS = 1 << 20
};

/* The planned network with the settings of its head behind it. */
struct network_block {
    struct network network;
    struct layer_dense_settings head;
};

/* What is being opened. */
struct opening {
    struct network *net;
    const struct network_settings *settings;
    const struct network_shape *shape;
    const char *where; /* the layer in hand, as the user wrote it; NULL when nobody knows, or for the head */
};

/* The path of an option of the network. */
static const char *plan_where(const struct opening *o)
{
    return o->shape->where ? o->shape->where : "network";
}

/* Where layer i was written. */
static const char *plan_where_layer(const struct opening *o, int i)
{
    const char *where = o->settings->layers.item[i].where;
    return where ? where : plan_where(o);
}

/* A message about a layer says where it was written, which ends with the layer's name: that is not said twice. */
static eddy_status plan_fail(const struct opening *o, const struct eddy_layer *layer, const struct eddy_error *why,
                             struct eddy_error *err)
{
    const char *name = layer->part.name, *text = why->message;
    const size_t len = strlen(name);
    if (o->where && strncmp(text, name, len) == 0 && strncmp(text + len, ": ", 2) == 0) text += len + 2;
    return eddy_fail(err, why->code, "%.200s: %.400s", o->where ? o->where : plan_where(o), text);
}

static size_t plan_round_up(size_t n)
{
    return (n + PACKED_MULTIPLE - 1) / PACKED_MULTIPLE * PACKED_MULTIPLE;
}

/* What the layer planned must fit what stands below. */
static eddy_status plan_fits(const struct opening *o, const struct network_layer *l, int n_in, struct eddy_error *err)
{
    const struct network *net = o->net;
    const struct network_layer *below = net->n_layers > 0 ? &net->layers[net->n_layers - 1] : NULL;
    const char *name = l->layer->part.name;
    if (below && below->plan.head)
        return eddy_fail(err, EDDY_ECONFIG, "%s: stands above %s, which has the last word", name,
                         below->layer->part.name);
    if (l->plan.n_in != n_in || l->plan.n_out < 1 || l->plan.lag < 0 || l->plan.stride < 1)
        return eddy_fail(err, EDDY_ECONFIG, "%s: %d inputs, %d outputs, lag %d, stride %d on a layer of %d outputs",
                         name, l->plan.n_in, l->plan.n_out, l->plan.lag, l->plan.stride, n_in);
    if (l->plan.stride > 1 && l->plan.n_state < 1)
        return eddy_fail(err, EDDY_ECONFIG, "%s: a stride of %d needs a state that counts", name, l->plan.stride);
    if (l->plan.stride > MAX_STRIDE / net->stride)
        return eddy_fail(err, EDDY_ECONFIG, "%s: a stride of %d above layers that fire every %d events", name,
                         l->plan.stride, net->stride);
    return EDDY_OK;
}

/* Plans `layer` on top of what is there. */
static eddy_status plan_push(struct opening *o, const struct eddy_layer *layer, const void *settings,
                             struct eddy_error *err)
{
    struct network *net = o->net;
    const struct network_layer *below = net->n_layers > 0 ? &net->layers[net->n_layers - 1] : NULL;
    struct network_layer *l = &net->layers[net->n_layers];
    struct eddy_error why = {0};
    const struct eddy_layer_place place = {.n_in = below ? below->plan.n_out : net->n_in,
                                           .n_categories = below ? 0 : o->shape->n_categories,
                                           .n_dims = o->shape->n_dims,
                                           .n_horizons = o->shape->n_horizons,
                                           .above = below != NULL};
    l->layer = layer;
    eddy_status rc = layer->plan(settings, &place, &l->plan, &why);
    if (rc >= 0) rc = plan_fits(o, l, place.n_in, &why);
    if (rc < 0) return plan_fail(o, layer, &why, err);
    l->residual = o->settings->residual && net->n_layers < o->settings->layers.n && !l->plan.head &&
                  l->plan.n_in == l->plan.n_out && l->plan.stride == 1 && l->plan.lag == 0;
    l->every = net->stride;
    l->first_param = net->n_params;
    l->first_packed = net->n_packed;
    l->first_state = net->n_state;
    net->n_params += l->plan.n_params;
    net->n_packed = plan_round_up(net->n_packed + l->plan.n_packed);
    net->n_state += l->plan.n_state;
    net->lag += l->plan.lag;
    net->stride *= l->plan.stride;
    net->n_layers++;
    return EDDY_OK;
}

/* ---- rules for the whole ---- */

/* A network that looks back must not be told the value that it looks back at: whoever remembers another layer's input
 * would tell. */
static eddy_status plan_check_lag(const struct opening *o, struct eddy_error *err)
{
    const struct network_layer *layers = o->net->layers;
    int late = 0;
    if (o->net->lag == 0) return EDDY_OK;
    while (layers[late].plan.lag == 0) late++;
    const char *name = layers[late].layer->part.name;
    if (o->net->stride > 1)
        return eddy_fail(err, EDDY_ECONFIG, "%.300s: answers late, and so cannot be combined with a stride",
                         plan_where_layer(o, late));
    for (int i = 0; i < o->net->n_layers; i++) {
        if (i != late && layers[i].plan.lag > 0)
            return eddy_fail(err, EDDY_ECONFIG, "%.300s: answers late, as %s does already; one layer may",
                             plan_where_layer(o, i), name);
        if (i != late && layers[i].plan.n_state > 0)
            return eddy_fail(err, EDDY_ECONFIG,
                             "%.300s: %s %s %s remembers the value that the smoother must not see; layers without a "
                             "memory (dense) may stand there",
                             plan_where_layer(o, i), layers[i].layer->part.name, i < late ? "below" : "above", name);
    }
    return EDDY_OK;
}

static eddy_status plan_check_residual(const struct opening *o, struct eddy_error *err)
{
    if (!o->settings->residual) return EDDY_OK;
    for (int i = 0; i < o->net->n_layers; i++)
        if (o->net->layers[i].residual) return EDDY_OK;
    return eddy_fail(err, EDDY_ECONFIG, "%.300s.residual: no layer is as wide as its input", plan_where(o));
}

/* ---- the loss ---- */

static eddy_status plan_check_levels(const struct opening *o, struct eddy_error *err)
{
    const struct eddy_reals *levels = &o->settings->quantiles;
    bool middle = false;
    for (int i = 0; i < levels->n; i++) {
        const double level = levels->item[i];
        middle |= level == 0.5;
        if (!(level > 0 && level < 1))
            return eddy_fail(err, EDDY_ECONFIG, "%.300s.quantiles: %g is not between 0 and 1", plan_where(o), level);
        if (i > 0 && !(level > levels->item[i - 1]))
            return eddy_fail(err, EDDY_ECONFIG, "%.300s.quantiles: %g is not above the one before it", plan_where(o),
                             level);
    }
    if (middle) return EDDY_OK;
    return eddy_fail(err, EDDY_ECONFIG, "%.300s.quantiles: 0.5 must be among them", plan_where(o));
}

static eddy_status plan_loss(const struct opening *o, struct eddy_error *err)
{
    const struct network_settings *s = o->settings;
    struct loss *loss = &o->net->loss;
    *loss = (struct loss){.kind = s->loss,
                          .delta = s->delta > 0 ? s->delta : 1, /* settings made by hand may leave it out */
                          .freedom = s->freedom > 0 ? s->freedom : 5,
                          .n_levels = s->quantiles.n,
                          .levels = s->quantiles.item,
                          .n_classes = s->classes.n};
    if (loss_is_classes(loss)) o->net->classes = s->classes;
    if (!loss_is_classes(loss) && s->classes.n > 0)
        return eddy_fail(err, EDDY_ECONFIG, "%.300s.classes: only the losses sigmoid and softmax tell classes apart",
                         plan_where(o));
    for (int i = 0; i < s->classes.n; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(s->classes.item[i], s->classes.item[k]) == 0)
                return eddy_fail(err, EDDY_ECONFIG, "%.300s.classes: \"%.100s\" is named twice", plan_where(o),
                                 s->classes.item[i]);
    if (s->loss == LOSS_QUANTILES) return plan_check_levels(o, err);
    if (s->loss == LOSS_SIGMOID && s->classes.n != 2)
        return eddy_fail(err, EDDY_ECONFIG, "%.300s.classes: loss sigmoid tells two classes apart, %d are named",
                         plan_where(o), s->classes.n);
    if (s->loss == LOSS_SOFTMAX && s->classes.n < 2)
        return eddy_fail(err, EDDY_ECONFIG, "%.300s.classes: loss softmax needs at least two, %d are named",
                         plan_where(o), s->classes.n);
    return EDDY_OK;
}

/* ---- the head ---- */

/* A layer at the top that says the forecast itself. */
static eddy_status plan_own_head(const struct opening *o, const struct network_layer *top, struct eddy_error *err)
{
    struct network *net = o->net;
    const char *name = top->layer->part.name;
    if (net->loss.kind != LOSS_HUBER && net->loss.kind != LOSS_SQUARED)
        return eddy_fail(err, EDDY_ECONFIG, "%.300s.loss: %s says a point; its losses are huber and squared",
                         plan_where(o), name);
    if (top->plan.n_out != net->n_targets || top->plan.stride > 1)
        return eddy_fail(err, EDDY_ECONFIG, "%.300s: says %d numbers every %d steps, %d at each step are forecast",
                         plan_where_layer(o, net->n_layers - 1), top->plan.n_out, top->plan.stride, net->n_targets);
    net->n_out = net->n_targets;
    return EDDY_OK;
}

static eddy_status plan_head(struct opening *o, struct layer_dense_settings *head, struct eddy_error *err)
{
    struct network *net = o->net;
    const struct network_layer *top = net->n_layers > 0 ? &net->layers[net->n_layers - 1] : NULL;
    if (top && top->plan.head) return plan_own_head(o, top, err);
    const int each = loss_outputs(&net->loss, 1);
    if (net->n_targets > MAX_OUTPUTS / each)
        return eddy_fail(err, EDDY_ECONFIG, "%.300s: %d outputs for each of %d labels; at most %d in all",
                         plan_where(o), each, net->n_targets, MAX_OUTPUTS);
    net->n_out = each * net->n_targets;
    *head = (struct layer_dense_settings){net->n_out, ACTIVATION_IDENTITY, o->settings->bias};
    o->where = NULL;
    return plan_push(o, &layer_dense, head, err);
}

/* What lies in the state behind the layers' own. */
static void plan_held(struct network *net)
{
    if (net->stride == 1) return;
    for (int i = 0; i <= net->n_layers; i++) {
        if (net->layers[i].plan.stride == 1) continue;
        net->layers[i].at_elapsed = net->n_state++;
    }
    net->at_held = net->n_state;
    net->n_state += (size_t)net->n_out;
}

static eddy_status plan_layers(struct opening *o, struct layer_dense_settings *head, struct eddy_error *err)
{
    eddy_status rc = plan_loss(o, err);
    for (int i = 0; i < o->settings->layers.n && rc >= 0; i++) {
        const struct eddy_choice *choice = &o->settings->layers.item[i];
        o->where = choice->where;
        rc = plan_push(o, (const struct eddy_layer *)(const void *)choice->part, choice->settings, err);
    }
    if (rc >= 0) rc = plan_check_lag(o, err);
    if (rc >= 0) rc = plan_check_residual(o, err);
    if (rc >= 0) rc = plan_head(o, head, err);
    if (rc < 0) return rc;
    o->net->n_layers--; /* the head is not counted */
    plan_held(o->net);
    o->net->n_work = network_work(o->net);
    return EDDY_OK;
}

eddy_status network_open(const struct network_settings *settings, const struct network_shape *shape,
                         struct network **out, struct eddy_error *err)
{
    *out = NULL;
    const int n_targets = shape->n_dims * shape->n_horizons;
    if (shape->n_in < 1 || n_targets < 1)
        return eddy_fail(err, EDDY_EINVAL, "a network of %d inputs and %d labels cannot be", shape->n_in, n_targets);
    struct network_block *block = calloc(1, sizeof(*block));
    struct network_layer *layers = calloc((size_t)settings->layers.n + 1, sizeof(*layers));
    if (!block || !layers) {
        free(block);
        free(layers);
        return eddy_fail(err, EDDY_ENOMEM, "out of memory while planning a network of %d layers", settings->layers.n);
    }
    block->network = (struct network){.n_in = shape->n_in, .n_targets = n_targets, .stride = 1, .layers = layers};
    struct opening o = {.net = &block->network, .settings = settings, .shape = shape};
    eddy_status rc = plan_layers(&o, &block->head, err);
    if (rc < 0) {
        network_close(&block->network);
        return rc;
    }
    *out = &block->network;
    return EDDY_OK;
}

void network_close(struct network *net)
{
    if (!net) return;
    free(net->layers);
    free((struct network_block *)(void *)net); /* its first member */
}

/* The networks of a plan: what each is for, what it reads, and the windows it learns from. */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "engine/flow/look_back.h"
#include "engine/flow/plan_private.h"
#include "engine/forecast/calendar.h"
#include "engine/model/layers.h"
#include "engine/train/schedule.h"

enum { MAX_NETWORK_OUTPUTS = 65536 };

/* The path that messages name. */
static eddy_status network_fail(const struct plan_network *n, const char *option, struct eddy_error *err,
                                const char *format, const char *detail)
{
    char text[400];
    (void)snprintf(text, sizeof(text), format, detail); /* one of the formats below, each with one %s */
    return eddy_fail(err, EDDY_ECONFIG, "%s%s%s: %s", n->where, *option ? "." : "", option, text);
}

static const struct network_settings *network_given(const struct plan *p, int i, struct plan_network *n)
{
    const struct forecast_settings *f = &p->settings->forecast;
    n->name = f->networks.n > 0 ? f->networks.item[i].name : "network";
    n->where = f->networks.n > 0 ? f->networks.item[i].where : "forecast.network";
    return f->networks.n > 0 ? f->networks.item[i].settings : &f->network;
}

static bool network_has_word(const struct network_settings *s, const char *word)
{
    for (int i = 0; i < s->inputs.n; i++)
        if (strcmp(s->inputs.item[i], word) == 0) return true;
    return false;
}

/* Category numbers mean something to an embedding alone: others would take them for sizes. */
static bool network_embeds(const struct network_settings *s)
{
    return s->layers.n > 0 && s->layers.item[0].part == &layer_embedding.part;
}

/* What the network reads: what its settings list, or all that there is and that its layers understand. */
static eddy_status network_inputs(const struct plan *p, struct plan_network *n, struct eddy_error *err)
{
    const struct network_settings *s = n->settings;
    const bool there[N_NETWORK_INPUTS] = {[INPUT_LEVEL] = true,
                                          [INPUT_DIFFERENCE] = n->task != TASK_LOOK_BACK,
                                          [INPUT_KNOWN] = true,
                                          [INPUT_ELAPSED] = true,
                                          [INPUT_CALENDAR] = p->settings->forecast.calendar,
                                          [INPUT_CHANNEL] = p->n_channels > 1,
                                          [INPUT_SEASON] = n->task != TASK_LOOK_BACK && p->n_season_bins > 0,
                                          [INPUT_CATEGORIES] = p->schema.n_categories > 0};
    bool any = false;
    for (int k = 0; k < N_NETWORK_INPUTS; k++) {
        const bool wanted = s->inputs.n > 0 ? network_has_word(s, network_input_words[k])
                                            : k != INPUT_CATEGORIES || network_embeds(s);
        n->reads[k] = wanted && there[k];
        any |= n->reads[k];
        if (wanted && s->inputs.n > 0 && !there[k] && k == INPUT_SEASON)
            return network_fail(n, "inputs", err, "%s",
                                n->task == TASK_LOOK_BACK
                                    ? "season would tell a network with a lag the value that it "
                                      "must not see"
                                    : "there is no season (forecast.season)");
        if (wanted && s->inputs.n > 0 && !there[k] && (k == INPUT_DIFFERENCE || k == INPUT_CATEGORIES))
            return network_fail(n, "inputs", err,
                                k == INPUT_DIFFERENCE
                                    ? "%s would tell a network with a lag the value that it must not see"
                                    : "the codec reads no %s (codec.json.categories)",
                                network_input_words[k]);
    }
    return any ? EDDY_OK : network_fail(n, "inputs", err, "%s leaves the network nothing to read", "this choice");
}

static int network_width(const struct plan *p, const struct plan_network *n)
{
    int per_value = n->reads[INPUT_LEVEL] + n->reads[INPUT_DIFFERENCE] + n->reads[INPUT_KNOWN];
    return per_value * p->n_dims + n->reads[INPUT_ELAPSED] + (n->reads[INPUT_CALENDAR] ? CALENDAR_INPUTS : 0) +
           (n->reads[INPUT_CHANNEL] ? p->n_channels : 0) + (n->reads[INPUT_SEASON] ? p->n_dims * SEASON_INPUTS : 0) +
           (n->reads[INPUT_CATEGORIES] ? p->schema.n_categories : 0);
}

/* Its own horizons within those of the plan. */
static eddy_status network_horizons(const struct plan *p, struct plan_network *n, struct eddy_error *err)
{
    const struct eddy_ints *own = n->settings->horizons.n > 0 ? &n->settings->horizons
                                                              : &p->settings->forecast.horizons;
    n->at_horizon = calloc((size_t)own->n, sizeof(*n->at_horizon));
    if (!n->at_horizon) return plan_no_memory(err);
    n->n_horizons = own->n;
    for (int i = 0, j = 0; i < own->n; i++, j++) {
        while (j < p->outlook.n_horizons && p->outlook.horizons[j] != own->item[i]) j++;
        if (j == p->outlook.n_horizons)
            return eddy_fail(err, EDDY_ECONFIG, "%s.horizons: %d is not among forecast.horizons", n->where,
                             own->item[i]);
        n->at_horizon[i] = j;
    }
    return EDDY_OK;
}

static eddy_status network_try(const struct plan *p, struct plan_network *n, struct eddy_error *err)
{
    eddy_status rc = network_inputs(p, n, err);
    if (rc < 0) return rc;
    const bool forecasts = n->task == TASK_FORECAST;
    const int dims = n->task == TASK_CLASSIFY ? 1 : p->n_dims;
    const struct network_shape shape = {.n_in = network_width(p, n),
                                        .n_categories = n->reads[INPUT_CATEGORIES] ? p->schema.n_categories : 0,
                                        .n_dims = dims,
                                        .n_horizons = forecasts ? n->n_horizons : 1,
                                        .where = n->where};
    int64_t n_targets = (int64_t)shape.n_dims * shape.n_horizons;
    if (n_targets > MAX_NETWORK_OUTPUTS)
        return eddy_fail(
            err, EDDY_ECONFIG,
            "%s: %d values x %d horizons are %lld outputs of one network; at most %d (channels: independent "
            "gives each value its own)",
            n->where, shape.n_dims, shape.n_horizons, (long long)n_targets, MAX_NETWORK_OUTPUTS);
    network_close(n->net);
    n->net = NULL;
    return network_open(n->settings, &shape, &n->net, err);
}

/* A network with a lag looks back; whether it has one its layers say, once they are planned. */
static eddy_status network_plan(const struct plan *p, struct plan_network *n, struct eddy_error *err)
{
    const struct network_settings *s = n->settings;
    n->learns = s->learns && p->settings->train.mode != TRAIN_OFF;
    n->own_weights = s->learns && (s->scope == NETWORK_SCOPE_FORECAST ? p->settings->forecast.scope == SCOPE_KEY
                                                                      : s->scope == NETWORK_SCOPE_KEY);
    if (n->own_weights && p->settings->train.mode == TRAIN_BACKGROUND)
        return network_fail(n, "scope", err, "weights per key cannot be trained in the background: say %s",
                            "train: {mode: inline}");
    n->task = s->loss == LOSS_SIGMOID || s->loss == LOSS_SOFTMAX ? TASK_CLASSIFY : TASK_FORECAST;
    if (n->task == TASK_CLASSIFY && p->n_channels > 1)
        return network_fail(n, "loss", err, "a class belongs to the whole record: say %s",
                            "forecast.channels: joint");
    eddy_status rc = network_horizons(p, n, err);
    if (rc >= 0) rc = network_try(p, n, err);
    if (rc >= 0 && n->net->lag == 0 && s->score == SMOOTHED_SCORE_RECONSTRUCTION)
        return network_fail(n, "score", err, "%s needs a layer with a lag, such as masked_encoder", "reconstruction");
    if (rc < 0 || n->net->lag == 0) return rc;
    if (n->task == TASK_CLASSIFY)
        return network_fail(n, "loss", err, "classes are told when the event comes; %s", "no layer may have a lag");
    n->task = TASK_LOOK_BACK;
    n->n_horizons = 1;
    return network_try(p, n, err);
}

/* A window must reach from an origin to the label of the largest horizon, and start where a state was kept.  One that
 * teaches what to say of a new key reaches as far again: with labels for its first steps alone it would say nothing of the
 * later ones. */
static eddy_status network_window(const struct plan *p, struct plan_network *n, struct eddy_error *err)
{
    int64_t every = p->settings->train.every, steps = p->settings->train.window, reach = n->net->lag + 2;
    if (n->task == TASK_FORECAST) {
        const int64_t horizon = p->outlook.horizons[n->at_horizon[n->n_horizons - 1]];
        reach = p->settings->train.young > 0 ? 2 * horizon : horizon + 1;
    }
    if (steps < reach) steps = reach;
    steps = (steps + every - 1) / every * every;
    if (n->net->stride > steps)
        return eddy_fail(err, EDDY_ECONFIG,
                         "%s: fires every %d steps, which a training window of %lld steps never sees (train.window)",
                         n->where, n->net->stride, (long long)steps);
    n->window = (struct window_shape){
        .n_steps = (int)steps, .n_in = n->net->n_in, .n_targets = n->net->n_targets, .n_state = n->net->n_state};
    n->n_starts = (int)(steps / every);
    return EDDY_OK;
}

/* The record has room for one opinion on its class, and for one look back. */
static eddy_status network_role(struct plan *p, int i, struct eddy_error *err)
{
    const struct plan_network *n = &p->networks[i];
    int *role = n->task == TASK_CLASSIFY ? &p->classifier : n->task == TASK_LOOK_BACK ? &p->looker : NULL;
    if (role && *role >= 0)
        return network_fail(n, n->task == TASK_CLASSIFY ? "loss" : "layers", err,
                            n->task == TASK_CLASSIFY ? "only one network may classify, and %s does"
                                                     : "only one network may look back, and %s does",
                            p->networks[*role].name);
    if (role) *role = i;
    return EDDY_OK;
}

/* The layers that there are when nobody writes any. */
static bool network_is_default(const struct network_settings *s)
{
    const struct eddy_choice *c = s->layers.n == 1 ? &s->layers.item[0] : NULL;
    if (!c || c->part != &layer_gru.part || s->classes.n > 0) return false;
    void *defaults = calloc(1, c->part->settings_size);
    const bool same = defaults && config_part_defaults(c->part, defaults, NULL) >= 0 &&
                      memcmp(defaults, c->settings, c->part->settings_size) == 0;
    free(defaults);
    return same;
}

/* How many there are.  The one that is there by default is so only when nobody says who forecasts, or names it. */
static int networks_count(const struct forecast_settings *f)
{
    if (f->networks.n > 0) return f->networks.n;
    bool heard = f->experts.n == 0;
    for (int i = 0; i < f->experts.n; i++) heard |= f->experts.item[i].part == &expert_network.part;
    return heard || !network_is_default(&f->network) ? 1 : 0;
}

eddy_status plan_networks(struct plan *p, struct eddy_error *err)
{
    const int count = networks_count(&p->settings->forecast);
    const char *names[EDDY_MAX_NETWORKS];
    struct network *nets[EDDY_MAX_NETWORKS];
    if (count > EDDY_MAX_NETWORKS)
        return eddy_fail(err, EDDY_ECONFIG, "forecast.networks: %d networks; at most %d", count, EDDY_MAX_NETWORKS);
    p->networks = calloc((size_t)count + 1, sizeof(*p->networks));
    if (!p->networks) return plan_no_memory(err);
    for (int i = 0; i < count; i++) {
        struct plan_network *n = &p->networks[p->n_networks++];
        n->at_state = n->at_starts = n->at_weights = n->at_optimiser = n->at_pace = n->at_look_back = -1;
        n->settings = network_given(p, i, n);
        eddy_status rc = network_plan(p, n, err);
        if (rc >= 0) rc = network_window(p, n, err);
        if (rc < 0) return rc;
        if ((rc = network_role(p, i, err)) < 0) return rc;
        if (n->learns && n->window.n_steps > p->n_steps) p->n_steps = n->window.n_steps;
        if (n->learns && !n->own_weights) p->shared[i] = n->window;
        p->training |= n->learns;
        p->networks_seasonal |= n->reads[INPUT_SEASON] ||
                                (p->n_season_bins > 0 && p->settings->forecast.anchor == ANCHOR_SEASON);
        names[i] = n->name;
        nets[i] = n->net;
    }
    return model_open(names, nets, count, &p->model, err);
}

int plan_network_named(const struct plan *p, const char *name)
{
    for (int i = 0; i < p->n_networks; i++)
        if (strcmp(p->networks[i].name, name) == 0) return i;
    return -1;
}

/* The section names of the one network that has no name of its own are older than those of the others. */
static void network_section_name(const struct plan_network *n, const char *what, const char *alone, char out[64])
{
    if (strcmp(n->name, "network") == 0)
        (void)snprintf(out, 64, "%s", alone);
    else
        (void)snprintf(out, 64, "network.%s.%s", n->name, what);
}

static eddy_status network_sections(struct plan *p, struct plan_network *n, struct eddy_error *err)
{
    const size_t channels = (size_t)p->n_channels, state = channels * n->net->n_state * sizeof(float);
    const size_t own = n->own_weights ? n->net->n_params : 0;
    const bool plateau = p->settings->train.schedule == SCHEDULE_PLATEAU;
    const struct {
        int64_t *at;
        const char *what, *alone;
        int type;
        size_t bytes;
    } sections[] = {
        {&n->at_state, "state", "network.state", SECTION_F32, state},
        {&n->at_weights, "weights", "network.weights", SECTION_F32, 4 * own * sizeof(float)},
        {&n->at_optimiser, "optimiser", "optimiser", SECTION_I64, own ? sizeof(int64_t) : 0},
        {&n->at_pace, "pace", "optimiser.pace", SECTION_F64, own && plateau ? sizeof(struct train_pace) : 0},
        {&n->at_look_back, "look_back", "network.look_back", SECTION_BYTES,
         n->task == TASK_LOOK_BACK ? channels * look_back_bytes(p->n_dims, n->net->lag) : 0},
    };
    eddy_status rc = EDDY_OK;
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]) && rc >= 0; i++) {
        char name[64];
        network_section_name(n, sections[i].what, sections[i].alone, name);
        const struct planned_section s = {sections[i].at, name, sections[i].type, 1, sections[i].bytes};
        rc = plan_add(p, &s, err);
    }
    return rc;
}

eddy_status plan_network_sections(struct plan *p, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < p->n_networks && rc >= 0; i++) rc = network_sections(p, &p->networks[i], err);
    return rc;
}

eddy_status plan_network_starts(struct plan *p, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < p->n_networks && rc >= 0; i++) {
        struct plan_network *n = &p->networks[i];
        const size_t floats = (size_t)p->n_channels * (size_t)n->n_starts * n->net->n_state;
        char name[64];
        network_section_name(n, "starts", "train.starts", name);
        const struct planned_section s = {&n->at_starts, name, SECTION_F32, 1,
                                          n->learns ? floats * sizeof(float) : 0};
        rc = plan_add(p, &s, err);
    }
    return rc;
}

void plan_forget_networks(struct row_layout *stored)
{
    row_layout_remove(stored, "train.starts");
    row_layout_remove(stored, "optimiser");
    for (int i = 0; i < stored->n;) {
        char name[64];
        (void)snprintf(name, sizeof(name), "%s", stored->sections[i].name);
        if (strncmp(name, "network.", strlen("network.")) == 0)
            row_layout_remove(stored, name);
        else
            i++;
    }
}

void plan_networks_close(struct plan *p)
{
    model_close(p->model);
    for (int i = 0; i < p->n_networks; i++) {
        network_close(p->networks[i].net);
        free(p->networks[i].at_horizon);
    }
    free(p->networks);
}

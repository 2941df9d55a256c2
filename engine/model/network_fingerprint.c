/* The fingerprint that tells stored weights apart: what a network is, as text. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/model/stack.h"

static eddy_status text_add(struct eddy_buffer *out, const char *text)
{
    return eddy_buffer_append(out, text, strlen(text));
}

/* A name of the user's own, with its length: two lists of names never read the same. */
static eddy_status name_text(const char *name, struct eddy_buffer *out)
{
    char text[24];
    if (!name) return text_add(out, "-");
    (void)snprintf(text, sizeof(text), "%zu:", strlen(name));
    eddy_status rc = text_add(out, text);
    return rc >= 0 ? text_add(out, name) : rc;
}

static eddy_status names_text(const struct eddy_strings *names, struct eddy_buffer *out)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < names->n && rc >= 0; i++) rc = name_text(names->item[i], out);
    return rc;
}

static eddy_status reals_text(const struct eddy_reals *reals, struct eddy_buffer *out)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < reals->n && rc >= 0; i++) {
        char text[40];
        (void)snprintf(text, sizeof(text), "%.17g,", reals->item[i]);
        rc = text_add(out, text);
    }
    return rc;
}

static eddy_status ints_text(const struct eddy_ints *ints, struct eddy_buffer *out)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < ints->n && rc >= 0; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%d,", ints->item[i]);
        rc = text_add(out, text);
    }
    return rc;
}

static eddy_status map_text(const struct eddy_map *map, struct eddy_buffer *out)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < map->n && rc >= 0; i++) {
        rc = name_text(map->item[i].name, out);
        if (rc >= 0) rc = name_text(map->item[i].value, out);
    }
    return rc;
}

static eddy_status options_text(const struct eddy_option *, const void *settings, struct eddy_buffer *out);

/* Options within a part or a group. */
static eddy_status inside_text(const char *name, const struct eddy_option *options, const void *settings,
                               struct eddy_buffer *out)
{
    eddy_status rc = text_add(out, "{");
    if (rc >= 0) rc = name_text(name, out);
    if (rc >= 0) rc = options_text(options, settings, out);
    return rc >= 0 ? text_add(out, "}") : rc;
}

/* A part inside a layer: the cell of a bidirectional layer. */
static eddy_status choice_text(const struct eddy_choice *choice, struct eddy_buffer *out)
{
    if (!choice->part) return text_add(out, "-");
    return inside_text(choice->part->name, choice->part->options, choice->settings, out);
}

static eddy_status choices_text(const struct eddy_choices *choices, struct eddy_buffer *out)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < choices->n && rc >= 0; i++) rc = choice_text(&choices->item[i], out);
    return rc;
}

static eddy_status groups_text(const struct eddy_groups *groups, const struct eddy_option *options,
                               struct eddy_buffer *out)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < groups->n && rc >= 0; i++)
        rc = inside_text(groups->item[i].name, options, groups->item[i].settings, out);
    return rc;
}

static eddy_status value_text(const struct eddy_option *o, const void *at, struct eddy_buffer *out)
{
    char text[40] = "";
    switch (o->type) {
    case EDDY_OPT_END: break;
    case EDDY_OPT_BOOL: (void)snprintf(text, sizeof(text), "%d", *(const bool *)at); break;
    case EDDY_OPT_ENUM: (void)snprintf(text, sizeof(text), "%d", *(const int *)at); break;
    case EDDY_OPT_REAL: (void)snprintf(text, sizeof(text), "%.17g", *(const double *)at); break;
    case EDDY_OPT_INT:
    case EDDY_OPT_DURATION:
    case EDDY_OPT_SIZE: (void)snprintf(text, sizeof(text), "%" PRId64, *(const int64_t *)at); break;
    case EDDY_OPT_STRING: return name_text(*(const char *const *)at, out);
    case EDDY_OPT_STRINGS: return names_text(at, out);
    case EDDY_OPT_REALS: return reals_text(at, out);
    case EDDY_OPT_RANGES: return ints_text(at, out);
    case EDDY_OPT_MAP: return map_text(at, out);
    case EDDY_OPT_GROUP: return inside_text("", o->sub, at, out);
    case EDDY_OPT_PART: return choice_text(at, out);
    case EDDY_OPT_PARTS: return choices_text(at, out);
    case EDDY_OPT_GROUPS: return groups_text(at, o->sub, out);
    }
    return text_add(out, text);
}

static eddy_status options_text(const struct eddy_option *options, const void *settings, struct eddy_buffer *out)
{
    eddy_status rc = EDDY_OK;
    for (const struct eddy_option *o = options; o && o->name && rc >= 0; o++) {
        rc = text_add(out, " ");
        if (rc >= 0) rc = text_add(out, o->name);
        if (rc >= 0) rc = text_add(out, "=");
        if (rc >= 0) rc = value_text(o, (const char *)settings + o->offset, out);
    }
    return rc;
}

/* Only what the kind of loss makes use of. */
static eddy_status loss_text(const struct network *net, struct eddy_buffer *out)
{
    const struct loss *loss = &net->loss;
    const double option = loss->kind == LOSS_HUBER ? loss->delta : loss->kind == LOSS_STUDENT_T ? loss->freedom : 0;
    char line[64];
    (void)snprintf(line, sizeof(line), "loss %d %.17g ", loss->kind, option);
    eddy_status rc = text_add(out, line);
    if (rc >= 0 && loss->kind == LOSS_QUANTILES)
        rc = reals_text(&(struct eddy_reals){loss->n_levels, loss->levels}, out);
    if (rc >= 0) rc = names_text(&net->classes, out);
    return rc >= 0 ? text_add(out, "\n") : rc;
}

/* An activation has no size, but other weights belong to it: options are part of what a network is. */
eddy_status network_fingerprint(const struct network *net, struct eddy_buffer *out)
{
    eddy_status rc = EDDY_OK;
    char line[160];
    for (int i = 0; i <= net->n_layers && rc >= 0; i++) {
        const struct network_layer *l = &net->layers[i];
        (void)snprintf(line, sizeof(line), "%.60s %d %d %zu %zu%s", l->layer->part.name, l->plan.n_in, l->plan.n_out,
                       l->plan.n_params, l->plan.n_state, l->residual ? " residual" : "");
        rc = text_add(out, line);
        if (rc >= 0) rc = options_text(l->layer->part.options, l->plan.settings, out);
        if (rc >= 0) rc = text_add(out, "\n");
    }
    return rc >= 0 ? loss_text(net, out) : rc;
}

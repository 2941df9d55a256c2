/* Who forecasts, and who judges. */
#include <stdlib.h>
#include <string.h>

#include "engine/detect/incident.h"
#include "engine/flow/plan_private.h"
#include "engine/model/stack.h"

enum { OTHER_VERSIONS = 64 }; /* of a part, on either side of its own, that a stored state is recognised by */

struct network_expert_settings {
    const char *name;
};

static const struct eddy_option network_expert_options[] = {
    {"name", EDDY_OPT_STRING, offsetof(struct network_expert_settings, name), "", 0, 0, "",
     "Which of forecast.networks; unset: the only one that forecasts.", NULL, 0, false},
    {0}};

/* The lane steps networks by itself, in waves: this part only says which. */
const struct eddy_expert expert_network = {
    .part = {.struct_size = sizeof(struct eddy_expert),
             .kind = EDDY_PART_EXPERT,
             .name = "network",
             .summary = "A network of forecast.network or forecast.networks.",
             .options = network_expert_options,
             .settings_size = sizeof(struct network_expert_settings)},
};

/* The option `network` of a part, if its table has one: whose residuals a detector looks at, whose hidden outputs an
 * expert reads. */
static const char *choice_bound_to(const struct eddy_choice *choice)
{
    for (const struct eddy_option *o = choice->part->options; o && o->name; o++)
        if (strcmp(o->name, "network") == 0 && o->type == EDDY_OPT_STRING)
            return *(const char *const *)(const void *)((const char *)choice->settings + o->offset);
    return NULL;
}

/* ---- who forecasts ---- */

static int experts_of_network(const struct plan *p, int network)
{
    for (int i = 0; i < p->n_experts; i++)
        if (p->experts[i].network == network) return i;
    return -1;
}

/* The network that a name means; without one the only network that forecasts. */
static eddy_status experts_network(const struct plan *p, const char *where, const char *name, int *network,
                                   struct eddy_error *err)
{
    int found = -1, n = 0;
    for (int i = 0; i < p->n_networks; i++) {
        if (p->networks[i].task != TASK_FORECAST) continue;
        n += !name;
        if (!name || strcmp(p->networks[i].name, name) == 0) found = i;
    }
    *network = found;
    if (n > 1) return eddy_fail(err, EDDY_ECONFIG, "%s: %d networks forecast: say which, by name", where, n);
    if (found >= 0) return EDDY_OK;
    return eddy_fail(err, EDDY_ECONFIG, "%s: no network%s%s forecasts", where, name ? " of the name " : "",
                     name ? name : "");
}

/* The hidden outputs that a part asks for: those of the top layer, if its state begins with them. */
static eddy_status experts_features(const struct plan *p, const struct eddy_choice *choice, struct plan_expert *e,
                                    struct eddy_error *err)
{
    const char *name = choice_bound_to(choice), *where = choice->where;
    if (!name) return EDDY_OK;
    e->reads = plan_network_named(p, name);
    if (e->reads < 0) return eddy_fail(err, EDDY_ECONFIG, "%s.network: no network of the name %s", where, name);
    const struct network *net = p->networks[e->reads].net;
    const struct network_layer *top = &net->layers[net->n_layers - 1];
    if (!top->plan.state_gradient || p->networks[e->reads].task != TASK_FORECAST)
        return eddy_fail(
            err, EDDY_ECONFIG,
            "%s.network: %s shows no hidden outputs: it must forecast, and its top layer be a gru, lstm or "
            "rnn",
            where, name);
    e->shape.n_features = top->plan.n_out;
    e->at_hidden = top->first_state;
    return EDDY_OK;
}

/* Room for what the keys share. */
static struct plan_share experts_share(struct plan *p, size_t model_bytes, size_t contribution_bytes)
{
    const struct plan_share share = {(model_bytes + 7) & ~(size_t)7, p->shared_bytes, p->contribution_bytes};
    p->shared_bytes += share.model_bytes;
    p->contribution_bytes += (contribution_bytes + 7) & ~(size_t)7;
    return share;
}

/* Long states and places of experts that keep some begin on cache lines; all others lie close together, as they always
 * have: their sizes are those of stored states. */
static bool experts_on_lines(const struct plan_expert *e, size_t bytes)
{
    return e->part->kept_bytes && bytes >= EDDY_EXPERT_LONG;
}

static size_t experts_aligned(const struct plan_expert *e, size_t bytes)
{
    const size_t to = experts_on_lines(e, bytes) ? 64 : 8;
    return (bytes + to - 1) / to * to;
}

static eddy_status experts_add(struct plan *p, const struct eddy_choice *choice, struct eddy_error *err)
{
    struct plan_expert *e = &p->experts[p->n_experts];
    *e = (struct plan_expert){.part = (const struct eddy_expert *)(const void *)choice->part,
                              .settings = choice->settings,
                              .network = -1,
                              .reads = -1,
                              .shape = p->expert_shape,
                              .at_state = -1,
                              .at_kept = -1};
    struct eddy_error why = {0};
    eddy_status rc = EDDY_OK;
    if (e->part == &expert_network) {
        const struct network_expert_settings *s = e->settings;
        rc = experts_network(p, choice->where, s->name, &e->network, err);
        if (rc >= 0 && experts_of_network(p, e->network) >= 0)
            rc = eddy_fail(err, EDDY_ECONFIG, "%s: the network %s is named twice", choice->where,
                           p->networks[e->network].name);
    } else {
        p->parts_forecast = true;
        if ((rc = experts_features(p, choice, e, err)) < 0) return rc;
        if (e->part->plan) rc = e->part->plan(e->settings, &e->shape, &why);
        if (rc < 0) return eddy_fail(err, EDDY_ECONFIG, "%s: %.400s", choice->where, why.message);
        e->bytes = experts_aligned(e, e->part->state_bytes(e->settings, &e->shape));
        if (e->part->kept_bytes) e->kept_each = e->part->kept_bytes(e->settings, &e->shape, &e->n_kept);
        e->kept = experts_aligned(e, (size_t)e->n_kept * e->kept_each);
        if (e->part->model_bytes)
            e->share = experts_share(p, e->part->model_bytes(e->settings, &e->shape),
                                     e->part->contribution_bytes(e->settings, &e->shape));
        if (e->part->seasonal && p->n_season_bins > 0) {
            p->seasonal = true;
            p->n_ahead = p->expert_shape.n_ahead;
        }
    }
    p->n_experts++;
    return rc;
}

static const char *experts_called(const struct plan *p, const struct plan_expert *e)
{
    return e->network >= 0 ? p->networks[e->network].name : e->part->part.name;
}

static bool experts_read(const struct plan *p, int network)
{
    for (int i = 0; i < p->n_experts; i++)
        if (p->experts[i].reads == network) return true;
    return false;
}

/* Every network that forecasts must be heard, or read. */
static eddy_status experts_complete(const struct plan *p, struct eddy_error *err)
{
    for (int i = 0; i < p->n_networks; i++) {
        struct plan_network *n = &p->networks[i];
        const bool heard = n->task != TASK_FORECAST || experts_of_network(p, i) >= 0;
        n->unheard = !heard && !network_head_remembers(n->net);
        if (!heard && !experts_read(p, i))
            return eddy_fail(
                err, EDDY_ECONFIG,
                "forecast.experts: the network %s forecasts, but is not among them: add {network: {name: %s}}",
                p->networks[i].name, p->networks[i].name);
    }
    if (p->n_experts == 0)
        return eddy_fail(err, EDDY_ECONFIG,
                         "forecast: nothing forecasts; add a network without lag and classes, or an expert such as "
                         "experts: [persistence]");
    return EDDY_OK;
}

static bool experts_use_heads(const struct plan *p)
{
    if (p->n_experts != 1 || p->experts[0].network < 0) return false;
    const struct plan_network *n = &p->networks[p->experts[0].network];
    const int kind = n->net->loss.kind;
    return kind == LOSS_GAUSSIAN || kind == LOSS_STUDENT_T || kind == LOSS_QUANTILES;
}

/* What the edges of the bands mean under the head's loss. */
static eddy_status experts_tails(struct plan *p, struct eddy_error *err)
{
    const struct loss *loss = &p->networks[p->experts[0].network].net->loss;
    p->tails = calloc(2 * (size_t)p->n_bands, sizeof(*p->tails));
    if (!p->tails) return plan_no_memory(err);
    for (int b = 0; b < p->n_bands; b++) {
        const double outside = (1 - p->settings->forecast.bands.item[b]) / 2;
        p->tails[2 * b] = loss_tail(loss, outside);
        p->tails[2 * b + 1] = loss_tail(loss, 1 - outside);
    }
    return EDDY_OK;
}

/* What experts are told about the horizons and the season. */
static void experts_shape(struct plan *p)
{
    enum { LEAST_AHEAD = 24 };
    const int last = p->outlook.horizons[p->outlook.n_horizons - 1];
    p->expert_shape = (struct eddy_expert_shape){.n_horizons = p->outlook.n_horizons,
                                                 .horizons = p->outlook.horizons,
                                                 .season = p->season.kind == SEASON_STEPS ? (int)p->season.steps : 0,
                                                 .n_ahead = last > LEAST_AHEAD ? last : LEAST_AHEAD};
    p->n_ahead = last;
}

eddy_status plan_experts(struct plan *p, struct eddy_error *err)
{
    const struct eddy_choices *given = &p->settings->forecast.experts;
    if (given->n > BLEND_MAX_EXPERTS)
        return eddy_fail(err, EDDY_ECONFIG, "forecast.experts: %d experts; at most %d are allowed", given->n,
                         BLEND_MAX_EXPERTS);
    p->experts = calloc((size_t)(given->n + p->n_networks), sizeof(*p->experts));
    if (!p->experts) return plan_no_memory(err);
    eddy_status rc = EDDY_OK;
    experts_shape(p);
    for (int i = 0; i < given->n && rc >= 0; i++) rc = experts_add(p, &given->item[i], err);
    for (int i = 0; given->n == 0 && i < p->n_networks; i++)
        if (p->networks[i].task == TASK_FORECAST)
            p->experts[p->n_experts++] = (struct plan_expert){
                .part = &expert_network, .network = i, .reads = -1, .at_state = -1};
    if (rc >= 0) rc = experts_complete(p, err);
    p->head_bands = rc >= 0 && experts_use_heads(p);
    return p->head_bands ? experts_tails(p, err) : rc;
}

/* The next section begins on a cache line, behind an empty one that every eddy can read. */
static eddy_status experts_line(struct plan *p, const char *section, struct eddy_error *err)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%.58s.line", section);
    const int64_t at = row_layout_add(&p->layout, name, SECTION_F32, 1, 0, err);
    return at < 0 ? (eddy_status)at : EDDY_OK;
}

/* What a section of an expert means, were its part of this state_version. */
static uint32_t experts_meaning(const struct plan *p, uint32_t state_version)
{
    return plan_meaning(plan_domain(p, state_version), p->outlook.horizons,
                        (size_t)p->outlook.n_horizons * sizeof(int));
}

/* A section of one expert: `bytes` per value. */
static eddy_status experts_section(struct plan *p, int i, const char *what, size_t bytes, int64_t *at,
                                   struct eddy_error *err)
{
    const struct plan_expert *e = &p->experts[i];
    const uint32_t version = experts_meaning(p, e->part->state_version);
    char name[64];
    (void)snprintf(name, sizeof(name), "expert.%d.%.40s%s", i, experts_called(p, e), what);
    const struct planned_section s = {at, name, SECTION_BYTES, version, (size_t)p->n_values * bytes};
    const eddy_status rc = experts_on_lines(e, bytes) ? experts_line(p, name, err) : EDDY_OK;
    return rc < 0 ? rc : plan_add(p, &s, err);
}

eddy_status plan_expert_kept(struct plan *p, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < p->n_experts && rc >= 0; i++) {
        struct plan_expert *e = &p->experts[i];
        rc = experts_section(p, i, ".kept", e->kept, &e->at_kept, err);
        p->n_pieces += e->kept > 0 ? (size_t)p->n_values : 0;
        p->piece_bytes += (size_t)p->n_values * e->kept_each;
    }
    return rc;
}

/* `who`: the experts and horizons that are mixed. */
static void experts_prior(struct plan *p, uint32_t who)
{
    const struct prior_shape shape = blend_prior(&p->blend);
    const int kinds[] = {PRIOR_LAYOUT, shape.n_experts, shape.settings->horizons};
    if (p->n_experts < 2 || !(shape.settings->prior > 0)) return;
    p->prior = experts_share(p, prior_bytes(&shape), prior_contribution_bytes(&shape));
    p->prior_version = plan_meaning(who, kinds, sizeof(kinds));
}

eddy_status plan_expert_sections(struct plan *p, struct eddy_error *err)
{
    const size_t values = (size_t)p->n_values, horizons = (size_t)p->outlook.n_horizons;
    const uint32_t outlook = plan_meaning(1, p->outlook.horizons, horizons * sizeof(int));
    eddy_status rc = EDDY_OK;
    uint32_t who = outlook;
    for (int i = 0; i < p->n_experts && rc >= 0; i++) {
        const char *called = experts_called(p, &p->experts[i]);
        who = plan_meaning(who, called, strlen(called));
        rc = experts_section(p, i, "", p->experts[i].bytes, &p->experts[i].at_state, err);
    }
    mix_group(&p->settings->forecast.mix, p->outlook.horizons, p->outlook.n_horizons, &p->mix_groups);
    p->blend = (struct blend){.settings = &p->settings->forecast.mix,
                              .n_experts = p->n_experts,
                              .n_horizons = p->outlook.n_horizons,
                              .horizons = p->outlook.horizons,
                              .first = p->outlook.first,
                              .groups = &p->mix_groups};
    experts_prior(p, who);
    p->mix_bytes = p->n_experts > 1 ? blend_bytes(&p->blend) : 0;
    const int kinds[] = {BLEND_LAYOUT, p->blend.settings->kind, p->blend.settings->shrink > 0,
                         p->blend.settings->extreme > 0};
    const struct planned_section mix = {&p->at_mix, "mix", SECTION_BYTES, plan_meaning(who, kinds, sizeof(kinds)),
                                        values * p->mix_bytes};
    const struct planned_section edges = {&p->at_edges, "edges", SECTION_F32, 1,
                                          p->head_bands ? values * 2 * sizeof(float) : 0};
    if (rc >= 0) rc = plan_add(p, &mix, err);
    return rc >= 0 ? plan_add(p, &edges, err) : rc;
}

/* ---- who judges ---- */

int plan_judge_horizons(const struct plan *p, const struct plan_judge *j, const int **horizons)
{
    static const int next[] = {1};
    *horizons = j->network >= 0 ? next : p->outlook.horizons;
    return j->network >= 0 ? 1 : p->outlook.n_horizons;
}

/* What a detector's section means, were its part of this state_version. */
static uint32_t judge_meaning(const struct plan *p, const struct plan_judge *j, uint32_t state_version)
{
    const int *horizons;
    const int n_horizons = plan_judge_horizons(p, j, &horizons);
    const uint32_t version = plan_meaning(plan_domain(p, state_version), horizons, (size_t)n_horizons * sizeof(int));
    return j->expert >= 0 ? plan_meaning(version, &j->expert, sizeof(j->expert)) : version;
}

static eddy_status judge_add(struct plan *p, const struct eddy_choice *choice, int place, struct plan_judge judge,
                             struct eddy_error *err)
{
    struct plan_judge *j = &p->judges[p->n_judges++];
    const int *horizons;
    char name[64];
    *j = judge;
    j->part = (const struct eddy_detector *)(const void *)choice->part;
    j->settings = choice->settings;
    j->at_state = -1;
    if (j->part->max_values > 0 && p->n_values > j->part->max_values)
        return eddy_fail(err, EDDY_ECONFIG, "%s: %s judges at most %d values of an event, the series has %d",
                         choice->where ? choice->where : "detect.detectors", j->part->part.name, j->part->max_values,
                         p->n_values);
    const int n_horizons = plan_judge_horizons(p, j, &horizons);
    const char *whose = j->network >= 0 ? p->networks[j->network].name : "";
    (void)snprintf(name, sizeof(name), "detect.%d.%.20s%s%s", place, j->part->part.name, *whose ? "." : "", whose);
    const struct planned_section section = {&j->at_state, name, SECTION_BYTES,
                                            judge_meaning(p, j, j->part->state_version),
                                            j->part->state_bytes(j->settings, p->n_values, n_horizons)};
    return plan_add(p, &section, err);
}

/* One that is bound to a network judges that one; any other judges the forecast, and with a state of its own each
 * network that looks back. */
static eddy_status judge_places(struct plan *p, int i, struct eddy_error *err)
{
    const struct eddy_choice *choice = &p->settings->detect.detectors.item[i];
    const char *bound = choice_bound_to(choice);
    const struct plan_judge free_judge = {.expert = -1, .network = -1};
    eddy_status rc = EDDY_OK;
    if (!bound) {
        rc = judge_add(p, choice, i, free_judge, err);
        for (int k = 0; k < p->n_networks && rc >= 0; k++)
            if (p->networks[k].task == TASK_LOOK_BACK)
                rc = judge_add(p, choice, i, (struct plan_judge){.expert = -1, .network = k}, err);
        return rc;
    }
    const int k = plan_network_named(p, bound);
    if (k < 0 || p->networks[k].task == TASK_CLASSIFY)
        return eddy_fail(err, EDDY_ECONFIG, "%s.network: no network of the name %s forecasts or looks back",
                         choice->where, bound);
    if (p->networks[k].task == TASK_LOOK_BACK)
        return judge_add(p, choice, i, (struct plan_judge){.expert = -1, .network = k}, err);
    const int expert = p->n_experts > 1 ? experts_of_network(p, k) : -1;
    return judge_add(p, choice, i, (struct plan_judge){.expert = expert, .network = -1}, err);
}

/* The faults that detectors of the score can name, each once; what looks back names none. */
static eddy_status judge_faults(struct plan *p, struct eddy_error *err)
{
    p->faults = (const char **)calloc((size_t)p->n_judges * EDDY_MAX_KINDS + 1, sizeof(*p->faults));
    if (!p->faults) return plan_no_memory(err);
    p->faults[p->n_faults++] = p->kinds[0];
    for (int i = 0; i < p->n_judges; i++) {
        const struct plan_judge *j = &p->judges[i];
        for (int k = 0; j->part->faults && j->network < 0 && k < EDDY_MAX_KINDS && j->part->faults[k]; k++) {
            int at = 1;
            while (at < p->n_faults && strcmp(p->faults[at], j->part->faults[k]) != 0) at++;
            if (at == p->n_faults && at < INCIDENT_FAULTS) p->faults[p->n_faults++] = j->part->faults[k];
        }
    }
    return EDDY_OK;
}

/* The kinds of incidents: the score's, then those of the detectors in their order.  What looks back opens none. */
static eddy_status judge_kinds(struct plan *p, struct eddy_error *err)
{
    p->kinds = (const char **)calloc((size_t)p->n_judges * EDDY_MAX_KINDS + 1, sizeof(*p->kinds));
    if (!p->kinds) return plan_no_memory(err);
    p->kinds[p->n_kinds++] = "anomaly";
    uint32_t version = 2;
    for (int i = 0; i < p->n_judges; i++) {
        struct plan_judge *j = &p->judges[i];
        j->first_kind = p->n_kinds;
        for (int k = 0; j->part->kinds && j->network < 0 && k < EDDY_MAX_KINDS && j->part->kinds[k]; k++) {
            const char *name = j->part->kinds[k];
            version = plan_meaning(version, name, strlen(name));
            p->kinds[p->n_kinds++] = name;
        }
        j->n_kinds = p->n_kinds - j->first_kind;
    }
    const eddy_status rc = judge_faults(p, err);
    if (rc < 0) return rc;
    for (int i = 1; i < p->n_faults; i++) version = plan_meaning(version, p->faults[i], strlen(p->faults[i]));
    p->n_drivers = p->n_values < EDDY_INCIDENT_DRIVERS ? p->n_values : EDDY_INCIDENT_DRIVERS;
    p->incident_bytes = sizeof(struct incident) + (size_t)p->n_drivers * sizeof(struct incident_driver);
    const struct planned_section section = {&p->at_incidents, "incidents", SECTION_BYTES, version,
                                            (size_t)p->n_kinds * p->incident_bytes};
    return plan_add(p, &section, err);
}

eddy_status plan_judges(struct plan *p, struct eddy_error *err)
{
    const int n = p->settings->detect.detectors.n;
    p->judges = calloc((size_t)n * (size_t)(1 + p->n_networks) + 1, sizeof(*p->judges));
    if (!p->judges) return plan_no_memory(err);
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < n && rc >= 0; i++) rc = judge_places(p, i, err);
    return rc >= 0 ? judge_kinds(p, err) : rc;
}

/* The state_version near `now` that has this meaning; 0 = none. */
static uint32_t version_of(const struct plan *p, const struct plan_judge *j, uint32_t now, uint32_t meaning)
{
    const uint32_t first = now > OTHER_VERSIONS ? now - OTHER_VERSIONS : 1;
    for (uint32_t v = first; v - first < 2 * OTHER_VERSIONS; v++)
        if ((j ? judge_meaning(p, j, v) : experts_meaning(p, v)) == meaning) return v;
    return 0;
}

uint32_t plan_part_version(const struct plan *p, const struct section *s, uint32_t meaning, uint32_t *now)
{
    const int64_t at = (int64_t)s->offset;
    for (int i = 0; i < p->n_experts; i++) {
        const struct plan_expert *e = &p->experts[i];
        if (e->at_state != at && e->at_kept != at) continue;
        *now = e->part->state_version;
        return version_of(p, NULL, *now, meaning);
    }
    for (int i = 0; i < p->n_judges; i++) {
        if (p->judges[i].at_state != at) continue;
        *now = p->judges[i].part->state_version;
        return version_of(p, &p->judges[i], *now, meaning);
    }
    return 0;
}

void plan_experts_close(struct plan *p)
{
    free(p->experts);
    free(p->judges);
    free((void *)p->kinds);
    free((void *)p->faults);
    free(p->tails);
}

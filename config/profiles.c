#include "config/profiles.h"

#include <string.h>

#include "config/option.h"
#include "config/yaml_nodes.h"

/* ---- merging ---- */

static bool profile_merge(struct reading *, const struct eddy_option *table, struct node *user,
                          const struct node *fragment);

/* Groups under names of the user's own: those of the same name are merged, the others added. */
static bool profile_merge_named(struct reading *r, const struct eddy_option *table, struct node *user,
                                const struct node *fragment)
{
    for (int i = 0; i < fragment->n; i++) {
        struct node *said = node_get(user, fragment->name[i]);
        if (!said && !node_set(r, user, fragment->name[i], fragment->item[i])) return false;
        if (!said || said->kind != NODE_MAP) continue;
        if (!profile_merge(r, table, said, fragment->item[i])) return false;
    }
    return true;
}

/* Adds to `user` what it does not say itself. */
static bool profile_merge(struct reading *r, const struct eddy_option *table, struct node *user,
                          const struct node *fragment)
{
    for (int i = 0; i < fragment->n; i++) {
        const struct eddy_option *option = option_find(table, fragment->name[i]);
        struct node *said = node_get(user, fragment->name[i]), *more = fragment->item[i];
        const bool both = said && said->kind == NODE_MAP && more->kind == NODE_MAP && option;
        bool good = true;
        if (!said || (node_is_empty(said) && more->kind == NODE_MAP))
            good = node_set(r, user, fragment->name[i], more);
        else if (both && option->type == EDDY_OPT_GROUP)
            good = profile_merge(r, option->sub, said, more);
        else if (both && option->type == EDDY_OPT_GROUPS)
            good = profile_merge_named(r, option->sub, said, more);
        if (!good) return false;
    }
    return true;
}

/* ---- which ---- */

/* The option at "a.b". */
static const struct eddy_option *profile_option(const struct eddy_option *table, const char *path)
{
    char group[64];
    size_t len = strcspn(path, ".");
    if (!path[len]) return option_find(table, path);
    if (len >= sizeof(group)) return NULL;
    for (size_t i = 0; i < len; i++) group[i] = path[i];
    group[len] = 0;
    const struct eddy_option *option = option_find(table, group);
    return option && option->type == EDDY_OPT_GROUP ? profile_option(option->sub, path + len + 1) : NULL;
}

/* True when the index-th of the words "a|b|c" is `word`. */
static bool profile_is(const char *words, int index, const char *word)
{
    for (; index > 0 && *words; index--) words = strchrnul(words, '|') + (*strchrnul(words, '|') == '|');
    const size_t len = strcspn(words, "|");
    return strlen(word) == len && strncmp(words, word, len) == 0;
}

static const struct node *profile_node(const struct node *root, const char *path)
{
    const struct node *at = root;
    while (at && at->kind == NODE_MAP && *path) {
        const size_t len = strcspn(path, ".");
        const struct node *found = NULL;
        for (int i = 0; i < at->n; i++)
            if (strncmp(at->name[i], path, len) == 0 && !at->name[i][len]) found = at->item[i];
        at = found;
        path += len + (path[len] == '.');
    }
    return *path ? NULL : at;
}

/* Merges a profile if the root chooses it. */
static bool profile_apply(struct reading *r, const struct profile *p, const struct eddy_option *table,
                          struct node *root)
{
    const struct eddy_option *option = profile_option(table, p->option);
    if (!option) return true;
    int chosen = 0;
    const struct slot slot = {option, p->option, &chosen};
    const int before = r->n_problems + r->n_more;
    option_fill(r, &slot, profile_node(root, p->option), node_at(root, p->option)->place);
    if (r->oom || r->n_problems + r->n_more > before) return false;
    if (!profile_is(option->unit, chosen, p->word) || !*p->yaml) return true;
    const struct yaml_text text = {p->yaml, strlen(p->yaml), p->source, 0};
    struct node *fragment = yaml_nodes(r, &text);
    return fragment && fragment->kind == NODE_MAP && profile_merge(r, table, root, fragment);
}

bool profiles_apply(struct reading *r, const struct profile *profiles, const struct eddy_option *table,
                    struct node *root)
{
    for (const struct profile *p = profiles; p->option; p++)
        if (!profile_apply(r, p, table, root)) return false;
    return true;
}

bool profiles_chosen_by(const struct profile *profiles, const char *override)
{
    const size_t len = strcspn(override, "=");
    for (const struct profile *p = profiles; p->option; p++)
        if (strncmp(p->option, override, len) == 0 && (p->option[len] == '.' || !p->option[len])) return true;
    return false;
}

/* ---- the profiles ---- */

/* As much as goes into a few kilobytes a key: no network, whatever the number of horizons.  It leaves random walks at their
 * last value by itself. */
static const char fleet[] = "forecast:\n"
                            "  experts: [fleet]\n";

/* As good as it gets, for 0.3 megabytes and some 40 microseconds a value at 48 horizons: a network that learns from all
 * keys; two wide reservoirs, whose outputs never change their meaning, and on each a linear head of the value's own, one
 * in units that follow the value's pace and forgets sooner, one in units that do not; the model that all keys share, which
 * is ahead while a key is young; and what they all say blended.  (Heads on networks that learn must learn anew whenever
 * those change; and floats lose nothing here.) */
static const char best[] =
    "forecast:\n"
    "  networks:\n"
    "    gru: {layers: [{gru: {units: 32}}], inputs: [level, difference, season]}\n"
    "    reservoir1: {layers: [{gru: {units: 96}}], inputs: [level, difference, season], learns: false}\n"
    "    reservoir2: {layers: [{gru: {units: 96}}], inputs: [level, difference, season], learns: false}\n"
    "  experts:\n"
    "    - network: {name: gru}\n"
    "    - rls: {network: reservoir1, units: scaled, forgetting: 0.9992, huber: 6, precision: float}\n"
    "    - rls: {network: reservoir2, units: raw, forgetting: 0.9997, huber: 12, precision: float}\n"
    "    - fleet\n"
    "  mix: {kind: both, rate: 0.05, shrink: 2}\n"
    "train: {every: 8, window: 49, ema: 0.998, replay: 1}\n";

const struct profile profiles_built_in[] = {
    {"forecast.profile", "fleet", "profile fleet", fleet},
    {"forecast.profile", "best", "profile best", best},
    {"detect.sensitivity", "low", "sensitivity low", "detect: {threshold: 0.5}\n"},
    {"detect.sensitivity", "normal", "sensitivity normal", ""},
    {"detect.sensitivity", "high", "sensitivity high", "detect: {threshold: 0.32}\n"},
    {"latency", "low", "latency low", "commit_interval: 100ms\n"},
    {0},
};

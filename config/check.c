#include "config/check.h"

#include <math.h>
#include <string.h>

#include "config/option.h"
#include "config/season.h"
#include "config/unit.h"

enum { MAX_HORIZONS = 512, MAX_NAME = 100, MAX_LAYERS = 16 };

struct checking {
    struct reading *reading;
    const struct node *root;
    const struct settings *settings;
};

static struct place place_of(const struct checking *c, const char *path)
{
    return node_at(c->root, path)->place;
}

static void check_name(const struct checking *c)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const char *name = c->settings->name;
    if (!name) return;
    size_t len = strlen(name), good = strspn(name, allowed);
    if (name[good])
        reading_problem(
            c->reading, place_of(c, "name"), "name",
            "may hold letters, digits, dot, dash and underscore only, got %s",
            reading_quote(c->reading, node_at(c->root, "name")->text)); /* as written: no variable's value */
    else if (len > MAX_NAME)
        reading_problem(c->reading, place_of(c, "name"), "name", "is %zu characters long; at most %d are allowed",
                        len, MAX_NAME);
    else if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) /* files are named after it */
        reading_problem(c->reading, place_of(c, "name"), "name", "may not be \"%s\"", name);
}

static void check_horizons(const struct checking *c)
{
    int n = c->settings->forecast.horizons.n;
    if (n == 0)
        reading_problem(c->reading, place_of(c, "forecast.horizons"), "forecast.horizons",
                        "is empty: expected at least one, such as [1]");
    else if (n > MAX_HORIZONS)
        reading_problem(c->reading, place_of(c, "forecast.horizons"), "forecast.horizons",
                        "names %d horizons; at most %d are allowed", n, MAX_HORIZONS);
}

static void check_bands(const struct checking *c)
{
    const struct eddy_reals *bands = &c->settings->forecast.bands;
    struct place place = place_of(c, "forecast.bands");
    if (bands->n == 0)
        reading_problem(c->reading, place, "forecast.bands", "is empty: expected at least one, such as [0.9]");
    for (int i = 0; i < bands->n; i++) {
        bool inside = bands->item[i] > 0 && bands->item[i] < 1;
        if (inside && (i == 0 || bands->item[i] > bands->item[i - 1])) continue;
        reading_problem(c->reading, place, "forecast.bands", "%g is %s; expected ascending shares such as [0.5, 0.9]",
                        bands->item[i], inside ? "not above the one before it" : "not between 0 and 1");
        return;
    }
}

static void check_network(const struct checking *c, const char *path, const struct network_settings *s)
{
    const char *layers = reading_format(c->reading, "%s.layers", path);
    if (layers && s->layers.n > MAX_LAYERS)
        reading_problem(c->reading, place_of(c, layers), layers, "has %d layers; at most %d are allowed", s->layers.n,
                        MAX_LAYERS);
    const char *inputs = reading_format(c->reading, "%s.inputs", path);
    for (int i = 0; inputs && i < s->inputs.n; i++) {
        bool known = false;
        for (const char *const *word = network_input_words; *word; word++)
            known = known || strcmp(*word, s->inputs.item[i]) == 0;
        const struct node *list = node_at(c->root, inputs);
        const struct node *at = list->kind == NODE_LIST && i < list->n ? list->item[i] : list;
        if (!known)
            option_not_one_of(c->reading, inputs, at, reading_quote(c->reading, s->inputs.item[i]),
                              network_input_words);
    }
}

static void check_networks(const struct checking *c)
{
    const struct forecast_settings *f = &c->settings->forecast;
    const struct node *forecast = node_get(c->root, "forecast");
    if (f->networks.n > 0 && forecast && node_get(forecast, "network"))
        reading_problem(c->reading, place_of(c, "forecast.network"), "forecast.network",
                        "stands beside forecast.networks: move it in there under a name of its own");
    if (f->networks.n > EDDY_MAX_NETWORKS)
        reading_problem(c->reading, place_of(c, "forecast.networks"), "forecast.networks",
                        "has %d networks; at most %d are allowed", f->networks.n, EDDY_MAX_NETWORKS);
    check_network(c, "forecast.network", &f->network);
    for (int i = 0; i < f->networks.n; i++) {
        const char *path = reading_format(c->reading, "forecast.networks.%s", f->networks.item[i].name);
        if (path && f->networks.item[i].settings) check_network(c, path, f->networks.item[i].settings);
    }
}

static void check_anchor(const struct checking *c)
{
    if (c->settings->forecast.anchor == ANCHOR_NONE && c->settings->forecast.scaling.kind != SCALING_FIXED)
        reading_problem(c->reading, place_of(c, "forecast.anchor"), "forecast.anchor",
                        "none needs a mean that stands still: say scaling: {kind: fixed}");
}

static void check_scaling_map(const struct checking *c, const char *path, const struct eddy_map *map, double above)
{
    for (int i = 0; i < map->n; i++) {
        double value = 0;
        const char *wrong = parse_real(map->item[i].value, &value);
        const char *name = reading_format(c->reading, "%s.%s", path, map->item[i].name);
        if (!name || (!wrong && value > above)) continue;
        const struct node *at = node_get(node_at(c->root, path), map->item[i].name);
        reading_problem(c->reading, at ? at->place : place_of(c, path), name, "%s %s",
                        reading_quote(c->reading, map->item[i].value), wrong ? wrong : "is not above 0");
    }
}

static void check_scaling(const struct checking *c)
{
    const struct scaling_settings *s = &c->settings->forecast.scaling;
    check_scaling_map(c, "forecast.scaling.mean", &s->mean, -HUGE_VAL);
    check_scaling_map(c, "forecast.scaling.deviation", &s->deviation, 0);
}

static void check_scope(const struct checking *c)
{
    if (c->settings->forecast.scope != SCOPE_KEY || c->settings->train.mode != TRAIN_BACKGROUND) return;
    reading_problem(c->reading, place_of(c, "forecast.scope"), "forecast.scope",
                    "weights per key cannot be trained in the background: say train: {mode: inline}");
}

static void check_missing(const struct checking *c)
{
    const struct eddy_map *missing = &c->settings->forecast.missing;
    const struct node *map = node_at(c->root, "forecast.missing");
    for (int i = 0; i < missing->n; i++) {
        bool known = false;
        for (const char *const *word = missing_policy_words; *word; word++)
            known = known || strcmp(*word, missing->item[i].value) == 0;
        const struct node *at = node_get(map, missing->item[i].name);
        const char *path = reading_format(c->reading, "forecast.missing.%s", missing->item[i].name);
        if (known || !at || !path) continue;
        option_not_one_of(c->reading, path, at, reading_quote(c->reading, at->text), missing_policy_words);
    }
}

static void check_season(const struct checking *c)
{
    struct season_rule rule;
    const char *text = c->settings->forecast.season, *wrong = parse_season(text, &rule);
    if (wrong)
        reading_problem(c->reading, place_of(c, "forecast.season"), "forecast.season", "%s %s",
                        reading_quote(c->reading, text), wrong);
}

/* A rule, and the options that it reads. */
struct rule {
    void (*check)(const struct checking *);
    const char *reads[3];
};

static const struct rule rules[] = {
    {check_name, {"name"}},
    {check_horizons, {"forecast.horizons"}},
    {check_bands, {"forecast.bands"}},
    {check_networks, {"forecast.network", "forecast.networks"}},
    {check_anchor, {"forecast.anchor", "forecast.scaling.kind"}},
    {check_scaling, {"forecast.scaling"}},
    {check_season, {"forecast.season"}},
    {check_scope, {"forecast.scope", "train.mode"}},
    {check_missing, {"forecast.missing"}},
};

/* Above an option its group may be at fault: then the option was never read.  Where there were more problems than are kept
 * nobody knows. */
static bool was_read(const struct reading *r, const char *path)
{
    if (r->n_more > 0) return false;
    size_t group = strcspn(path, ".");
    for (int i = 0; i < r->n_problems; i++)
        if (strncmp(r->problem[i].path, path, group) == 0 && !r->problem[i].path[group]) return false;
    return !reading_has_problem(r, path);
}

void settings_check(struct reading *r, const struct node *root, const struct settings *settings)
{
    struct checking c = {r, root, settings};
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        bool good = true;
        for (int k = 0; k < 3 && rules[i].reads[k]; k++) good = good && was_read(r, rules[i].reads[k]);
        if (good) rules[i].check(&c);
    }
}

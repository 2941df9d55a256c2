#include "config/check.h"

#include <string.h>

#include "config/option.h"

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

static void check_layers(const struct checking *c)
{
    int n = c->settings->forecast.network.layers.n;
    if (n > MAX_LAYERS)
        reading_problem(c->reading, place_of(c, "forecast.network.layers"), "forecast.network.layers",
                        "has %d layers; at most %d are allowed", n, MAX_LAYERS);
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

/* A rule, and the options that it reads. */
struct rule {
    void (*check)(const struct checking *);
    const char *reads[3];
};

static const struct rule rules[] = {
    {check_name, {"name"}},
    {check_horizons, {"forecast.horizons"}},
    {check_bands, {"forecast.bands"}},
    {check_layers, {"forecast.network.layers"}},
    {check_scope, {"forecast.scope", "train.mode"}},
    {check_missing, {"forecast.missing"}},
};

/* Above an option its group may be at fault: then the option was never read. */
static bool was_read(const struct reading *r, const char *path)
{
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

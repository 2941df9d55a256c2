#include "config/config.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "config/check.h"
#include "config/option.h"
#include "config/override.h"
#include "config/print.h"
#include "config/sha256.h"
#include "config/yaml_nodes.h"

struct config {
    struct reading reading;
    struct settings settings;
    const char *source; /* name of the text in messages */
    int n_errors;
    const char **error; /* [n_errors] */
    char sha256[65];
};

static eddy_status out_of_memory(struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "configuration: out of memory");
}

/* Decimal points are points while a configuration is read or printed, whatever the host program has set. */
static locale_t c_locale_enter(locale_t *c)
{
    *c = newlocale(LC_ALL_MASK, "C", NULL);
    return *c ? uselocale(*c) : NULL;
}

static void c_locale_leave(locale_t c, locale_t before)
{
    if (!c) return;
    uselocale(before);
    freelocale(c);
}

static eddy_status read_file(const char *path, struct eddy_buffer *out, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    FILE *file = fopen(path, "re");
    if (!file) return eddy_fail(err, EDDY_EIO, "%s", strerror(errno));
    while (rc == EDDY_OK && out->len <= YAML_MAX_BYTES) { /* the parser refuses what is longer */
        rc = eddy_buffer_reserve(out, 65536);
        if (rc < 0) break;
        size_t n = fread(out->data + out->len, 1, 65536, file);
        out->len += n;
        if (n == 0) break;
    }
    if (rc < 0)
        rc = out_of_memory(err);
    else if (ferror(file))
        rc = eddy_fail(err, EDDY_EIO, "%s", strerror(errno));
    fclose(file);
    return rc;
}

static eddy_status read_tree(struct config *c, const struct config_request *request, struct node **root,
                             struct eddy_error *err)
{
    struct eddy_buffer file = {0};
    struct yaml_text text = {.bytes = request->text, .source = c->source};
    eddy_status rc = EDDY_OK;
    if (request->path) {
        rc = read_file(request->path, &file, err);
        text.bytes = file.data;
        text.len = file.len;
    } else {
        text.len = strlen(request->text);
    }
    if (rc == EDDY_OK) *root = yaml_nodes(&c->reading, &text);
    eddy_buffer_free(&file);
    return rc;
}

/* Some overrides decide what the others mean, and go first. */
enum override_turn { OVERRIDES_OF_PLUGINS, OVERRIDES_OF_PROFILES, OVERRIDES_OF_THE_REST };

static const struct profile *profiles_of(const struct config_request *request)
{
    return request->profiles ? request->profiles : profiles_built_in;
}

static enum override_turn override_turn_of(const struct config_request *request, const char *override)
{
    if (override_is_of(override, "plugins")) return OVERRIDES_OF_PLUGINS;
    return profiles_chosen_by(profiles_of(request), override) ? OVERRIDES_OF_PROFILES : OVERRIDES_OF_THE_REST;
}

static void apply_overrides(struct config *c, const struct config_request *request, struct node *root,
                            enum override_turn turn)
{
    for (const char *const *o = request->overrides; o && *o; o++)
        if (override_turn_of(request, *o) == turn) override_apply(&c->reading, root, settings_options, *o);
}

/* Loaded parts must be known before any part is looked up.  False when they are not: then nothing more can be said. */
static bool load_plugins(struct config *c, const struct config_request *request, const struct node *root)
{
    struct reading *r = &c->reading;
    struct settings *s = &c->settings;
    struct slot slot = {option_find(settings_options, "plugins"), "plugins", &s->plugins};
    struct place place = node_at(root, "plugins")->place;
    option_fill(r, &slot, node_get(root, "plugins"), place);
    if (r->oom || reading_has_problem(r, "plugins")) return false;

    struct eddy_error err = {0};
    if (request->load_plugins) {
        r->parts = request->load_plugins(request->context, &s->plugins, &err);
        if (r->parts) return true;
        reading_problem(r, place, "plugins", "%s", *err.message ? err.message : "cannot be loaded");
        return false;
    }
    if (s->plugins.n == 0) return true;
    reading_problem(r, place, "plugins", "this program loads no plugins");
    return false;
}

static void fill_settings(struct config *c, const struct config_request *request, struct node *root)
{
    struct reading *r = &c->reading;
    if (node_is_empty(root)) {
        if (!request->overrides || !*request->overrides)
            reading_problem(r, root->place, "", "the configuration is empty");
        root = node_new(r, NODE_MAP, root->place);
        if (!root) return;
    }
    if (root->kind != NODE_MAP) {
        if (root->kind != NODE_BAD)
            reading_problem(r, root->place, "", "expected a map of options such as \"name: plant\", got %s",
                            node_kind_text(root));
        return;
    }
    apply_overrides(c, request, root, OVERRIDES_OF_PLUGINS);
    if (!load_plugins(c, request, root)) return;
    apply_overrides(c, request, root, OVERRIDES_OF_PROFILES);
    if (!profiles_apply(r, profiles_of(request), settings_options, root)) return;
    apply_overrides(c, request, root, OVERRIDES_OF_THE_REST);
    c->settings = (struct settings){0};
    options_fill(r, settings_options, root, "", &c->settings);
    if (!r->oom) settings_check(r, root, &c->settings);
}

/* What does not change the outputs stays out, so that a moved state directory or broker is the same configuration. */
static void hash_settings(struct config *c)
{
    static const char *const leave_out[] = {"source", "sink", "state.path", "errors.dead_letter", "plugins", NULL};
    struct print_request request = {&c->reading, leave_out, true};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out) settings_print(&request, settings_options, &c->settings, out);
    bool failed = !out || ferror(out);
    if ((out && fclose(out) != 0) || failed)
        c->reading.oom = true;
    else
        sha256_hex(text, len, c->sha256);
    free(text);
}

static void list_errors(struct config *c)
{
    struct reading *r = &c->reading;
    reading_sort(r);
    c->error = reading_take(r, (size_t)(r->n_problems + 1) * sizeof(*c->error));
    if (!c->error) return;
    for (int i = 0; i < r->n_problems; i++) c->error[i] = r->problem[i].text;
    c->n_errors = r->n_problems;
    if (r->n_more) {
        c->error[c->n_errors] = reading_format(r, "%s: %d more errors", c->source, r->n_more);
        c->n_errors += c->error[c->n_errors] != NULL;
    }
}

static eddy_status read_all(struct config *c, const struct config_request *request, struct eddy_error *err)
{
    struct node *root = NULL;
    struct eddy_error why = {0};
    eddy_status rc = read_tree(c, request, &root, &why);
    if (rc == EDDY_ENOMEM) return out_of_memory(err);
    if (rc < 0) reading_problem(&c->reading, (struct place){c->source, 0}, "", "%s", why.message);
    if (root) fill_settings(c, request, root);
    if (!c->reading.oom && c->reading.n_problems == 0) hash_settings(c);
    if (!c->reading.oom) list_errors(c);
    if (c->reading.oom) return out_of_memory(err);
    return c->n_errors ? eddy_fail(err, rc < 0 ? rc : EDDY_ECONFIG, "%s", c->error[0]) : EDDY_OK;
}

eddy_status config_open(const struct config_request *request, struct config **out, struct eddy_error *err)
{
    static const char *const both[] = {"source", "sink", NULL};
    static const char *const source[] = {"source", NULL};
    *out = NULL;
    if (!request->path && !request->text)
        return eddy_fail(err, EDDY_EINVAL, "a configuration needs a path or a text");
    struct config *c = calloc(1, sizeof(*c));
    if (!c) return out_of_memory(err);

    const char *name = request->path ? request->path : "configuration";
    c->source = reading_copy(&c->reading, name, strlen(name));
    c->reading.parts = request->parts;
    if (request->sink_optional) c->reading.optional = request->source_optional ? both : both + 1;
    if (request->source_optional && !request->sink_optional) c->reading.optional = source;

    locale_t c_locale, before = c_locale_enter(&c_locale);
    eddy_status rc = c_locale && c->source ? read_all(c, request, err) : out_of_memory(err);
    c_locale_leave(c_locale, before);
    if (rc == EDDY_ENOMEM) {
        config_close(c);
        return rc;
    }
    *out = c;
    return rc;
}

void config_close(struct config *c)
{
    if (!c) return;
    reading_free(&c->reading);
    free(c);
}

const struct settings *config_settings(const struct config *c)
{
    return &c->settings;
}

int config_error_count(const struct config *c)
{
    return c->n_errors;
}

const char *config_error(const struct config *c, int i)
{
    return i >= 0 && i < c->n_errors ? c->error[i] : NULL;
}

eddy_status config_part_defaults(const struct eddy_part *part, void *settings, struct eddy_error *err)
{
    struct reading r = {.defaults_only = true};
    eddy_status rc = EDDY_OK;
    if (part->settings_size) memset(settings, 0, part->settings_size);
    locale_t c_locale, before = c_locale_enter(&c_locale);
    struct place place = {eddy_part_kind_text((int)part->kind), 0};
    struct node *empty = c_locale ? node_new(&r, NODE_MAP, place) : NULL;
    if (empty) options_fill(&r, part->options, empty, part->name, settings);
    if (!empty || r.oom)
        rc = out_of_memory(err);
    else if (r.n_problems)
        rc = eddy_fail(err, EDDY_EUNSUPPORTED, "%s", r.problem[0].text);
    c_locale_leave(c_locale, before);
    reading_free(&r);
    return rc;
}

void config_print(const struct config *c, FILE *out)
{
    locale_t c_locale, before = c_locale_enter(&c_locale);
    struct print_request request = {.reading = &c->reading};
    settings_print(&request, settings_options, &c->settings, out);
    c_locale_leave(c_locale, before);
}

void config_sha256(const struct config *c, char out[65])
{
    memcpy(out, c->sha256, sizeof(c->sha256));
}

/* A configuration: one YAML file plus --set overrides, read into `struct settings`.
 *
 * config_open() reads with libyaml, merges the profiles that are chosen beneath it (profiles.h), expands ${VAR},
 * ${VAR:-default} and ${file:path} in scalars, applies the overrides
 * (each "a.b.c=VALUE", VALUE being YAML; an index picks a list item: "forecast.network.layers.0.gru.units=16"), and
 * fills the settings by the option tables.
 *
 * Errors   all of them at once: `err->message` holds the first, config_errors() every one, each as
 *          "file:line: path.to.option: what is wrong (did you mean "x"?)".  Code EDDY_ECONFIG (EDDY_EIO when the file
 *          cannot be read).
 * Memory   the settings and all that they point to belong to the config and end with config_close().
 * Threads  no shared state; one config belongs to one thread until it is filled, afterwards it is read only. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdio.h>

#include "config/profiles.h"
#include "config/settings.h"

struct config;

/* Messages name the path, or "configuration" where there is none.  `load_plugins` (may be NULL: then a `plugins:` list is
 * an error) is called with the `plugins:` list, which may be empty, before parts are looked up; it returns the parts to
 * use, or NULL and an error. */
struct config_request {
    const char *path;             /* file to read; NULL = use `text` */
    const char *text;             /* YAML text when path is NULL */
    const char *const *overrides; /* --set values; NULL-terminated or NULL */
    const struct eddy_parts *parts;
    const struct profile *profiles; /* NULL = the built-in ones */
    const struct eddy_parts *(*load_plugins)(void *context, const struct eddy_strings *paths, struct eddy_error *);
    void *context;
    /* What a command supplies by itself, so that it may be absent from the file: replay and filter bring their own
     * source and sink. */
    bool source_optional, sink_optional;
};

/* On failure *out is still set when errors can be listed (NULL only for EDDY_ENOMEM); close it in every case. */
eddy_status config_open(const struct config_request *, struct config **out, struct eddy_error *);
void config_close(struct config *);

const struct settings *config_settings(const struct config *);
int config_error_count(const struct config *);
const char *config_error(const struct config *, int i);

/* Fills settings of one part by itself with its defaults: tests, demo, embedding.  Required options stay unset for the
 * caller to fill; no text or list needs freeing.  EDDY_EUNSUPPORTED: the default of an option is a list or a part, which
 * only a config can own. */
eddy_status config_part_defaults(const struct eddy_part *, void *settings, struct eddy_error *);

/* The effective configuration as YAML, secrets masked, every default written out. */
void config_print(const struct config *, FILE *out);
/* sha256 (hex, 64 digits + NUL) of the effective configuration without secrets, paths of state, source and sink:
 * equal hashes give equal outputs on equal input. */
void config_sha256(const struct config *, char out[65]);

/* `eddy options [PART]`: the reference, as text or Markdown (config/OPTIONS.md is the Markdown of all). */
enum options_format { OPTIONS_TEXT, OPTIONS_MARKDOWN, OPTIONS_JSON };
eddy_status options_print(const struct eddy_parts *, const char *part, enum options_format, FILE *out,
                          struct eddy_error *);

/* The known word nearest to `word` (edit distance at most a third of its length, at least 1), or NULL. */
const char *suggest(const char *word, const char *const *known);

#endif

/* The registry of parts: what is built in, then what the configuration's `plugins:` list loads.
 *
 * Loading  a path must be absolute or hold a slash (no search in library paths), and name a regular file that belongs to
 *          root or to us and that neither group nor others may write.  The library exports eddy_module() (config/
 *          eddy_part.h); its ABI number must be ours.  Every part is copied into memory of the registry: the smaller of
 *          its struct_size and ours, the rest zero.  A part whose kind and name exist already is refused.
 * Errors   EDDY_ECONFIG naming the file (and the part).
 * Memory   parts and libraries live until registry_close(): close whatever uses them before.
 * Threads  one thread until it is filled, then read only. */
#ifndef PLUGIN_REGISTRY_H
#define PLUGIN_REGISTRY_H

#include "eddy_part.h"

struct registry;

eddy_status registry_open(struct registry **, struct eddy_error *);
void registry_close(struct registry *); /* NULL is fine */
const struct eddy_parts *registry_parts(const struct registry *);

/* As config_request.load_plugins: `context` is the registry.  A path that is loaded already is left alone. */
const struct eddy_parts *registry_load(void *context, const struct eddy_strings *paths, struct eddy_error *);

/* For the loader and its tests: takes over one module's parts, `where` names it in messages. */
eddy_status registry_add_module(struct registry *, const struct eddy_module *, const char *where,
                                struct eddy_error *);

#endif

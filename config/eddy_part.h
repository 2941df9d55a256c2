/* Parts: everything that a user can name in the configuration.
 *
 * A part is one constant struct whose first member is a `struct eddy_part`: a codec is a struct eddy_codec
 * {struct eddy_part part; ...calls...}, and so on.  Built-in and loaded parts look the same.
 * `struct_size` is sizeof the whole (outer) struct as the part was compiled: vtables grow at the end only, and the
 * host copies the smaller of the two sizes into zeroed memory, so that an older part runs in a newer host; one that is too
 * short to have the members that its kind always had is refused (plugin/registry.c). */
#ifndef EDDY_PART_H
#define EDDY_PART_H

#include "eddy_option.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDDY_PART_ABI 5u

enum eddy_part_kind {
    EDDY_PART_SOURCE = 1,
    EDDY_PART_SINK,
    EDDY_PART_CODEC,
    EDDY_PART_LAYER,
    EDDY_PART_DETECTOR,
    EDDY_PART_EXPERT
};

struct eddy_part {
    uint32_t struct_size;              /* sizeof the outer struct */
    uint32_t kind;                     /* enum eddy_part_kind */
    const char *name;                  /* as in the configuration, e.g. "kafka", "gru" */
    const char *summary;               /* one line for `eddy options` */
    const struct eddy_option *options; /* table that fills `settings`; NULL = no options */
    size_t settings_size;              /* bytes of the settings struct */
    eddy_status (*check)(const void *settings, struct eddy_error *); /* what a table cannot say; may be NULL */
};

/* The registry that is passed down: all parts, built-in first, then loaded ones; the last entry is NULL. */
struct eddy_parts {
    const struct eddy_part *const *item;
};

/* What a shared library that adds parts exports as `const struct eddy_module *eddy_module(void)`. */
struct eddy_module {
    uint32_t abi;  /* EDDY_PART_ABI */
    uint32_t size; /* sizeof(struct eddy_module) */
    const char *name, *version, *licence;
    const struct eddy_part *const *parts; /* NULL-terminated */
};

/* Finds a part; NULL when there is none.  `kind` 0 = any kind. */
EDDY_API const struct eddy_part *eddy_part_find(const struct eddy_parts *, int kind, const char *name);
EDDY_API const char *eddy_part_kind_text(int kind); /* "codec", "layer", .. */

#ifdef __cplusplus
}
#endif
#endif

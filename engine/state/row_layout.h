/* The directory of a key's row: typed sections, each with a name, a version, a size and an offset.
 * Whoever keeps something per key adds a section; hash, estimate, eviction, saving and migration are one loop each. */
#ifndef ENGINE_STATE_ROW_LAYOUT_H
#define ENGINE_STATE_ROW_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "eddy_buffer.h"

enum section_type { SECTION_BYTES, SECTION_F32, SECTION_F64, SECTION_I64 };

struct section {
    char name[64];    /* "network.main.state", "detect.0.exceedance", .. */
    uint32_t type;    /* enum section_type: what verify and show may say about its numbers */
    uint32_t version; /* raised when the meaning of the bytes changes */
    uint64_t bytes;
    uint64_t offset; /* from the start of the row, a multiple of 8; of 64 for f32, also for an empty one */
};

struct row_layout {
    int n;
    struct section *sections; /* in the order of adding */
    size_t row_bytes;         /* a multiple of 64 */
    size_t copied_bytes;      /* of these, those before the sections that are undone piece by piece; not stored */
    bool in_pieces;
};

void row_layout_free(struct row_layout *);
/* Returns the section's offset, or a negative status.  A name may be added once. */
int64_t row_layout_add(struct row_layout *, const char *name, int type, uint32_t version, size_t bytes,
                       struct eddy_error *);
/* A batch copies a row before it changes it, but for the sections added from now on: whoever changes a few bytes of a long
 * section now and then says so (keyspace_note()), and only those are copied. */
void row_layout_go_on_in_pieces(struct row_layout *);
const struct section *row_layout_find(const struct row_layout *, const char *name);
/* Takes a section out, if it is there; the others and the row stay where they are, so nothing may be added after it. */
void row_layout_remove(struct row_layout *, const char *name);

eddy_status row_layout_encode(const struct row_layout *, struct eddy_buffer *, struct eddy_error *);
eddy_status row_layout_decode(const void *bytes, size_t n, struct row_layout *out, struct eddy_error *);
/* Names what differs ("section x: 128 bytes were stored, 256 are configured"); EDDY_OK when equal, else EDDY_EMISMATCH. */
eddy_status row_layout_compare(const struct row_layout *stored, const struct row_layout *configured,
                               struct eddy_error *);
/* Copies the sections that both layouts have in equal name, type, version and size; the others stay as they are in `to`. */
void row_layout_copy(const struct row_layout *from_layout, const unsigned char *from,
                     const struct row_layout *to_layout, unsigned char *to);

#endif

#include "eddy_part.h"

#include <string.h>

const struct eddy_part *eddy_part_find(const struct eddy_parts *parts, int kind, const char *name)
{
    if (!parts) return NULL;
    for (const struct eddy_part *const *p = parts->item; *p; p++)
        if ((kind == 0 || (int)(*p)->kind == kind) && strcmp((*p)->name, name) == 0) return *p;
    return NULL;
}

const char *eddy_part_kind_text(int kind)
{
    switch (kind) {
    case EDDY_PART_SOURCE: return "source";
    case EDDY_PART_SINK: return "sink";
    case EDDY_PART_CODEC: return "codec";
    case EDDY_PART_LAYER: return "layer";
    case EDDY_PART_DETECTOR: return "detector";
    case EDDY_PART_EXPERT: return "expert";
    default: return "part";
    }
}

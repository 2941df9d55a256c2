#include "engine/flow/codec_categories.h"

#include <string.h>

eddy_status codec_categories(const struct settings *s, struct eddy_buffer *names, struct eddy_error *err)
{
    const struct eddy_codec *type = (const struct eddy_codec *)(const void *)s->codec.part;
    const struct eddy_limits limits = {s->limits.record, s->limits.key, s->limits.depth, s->limits.fields};
    void *codec = NULL;
    if (!type || !type->categories) return 0;
    eddy_status rc = type->open(s->codec.settings, &limits, &codec, err);
    if (rc >= 0) rc = type->categories(codec, names, err);
    type->close(codec);
    return rc;
}

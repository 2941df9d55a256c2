/* eddy model CONFIG list | diff V W | promote V | rollback: the versions of the weights that each partition keeps. */
#ifndef PLUGIN_CMD_MODEL_VERSIONS_H
#define PLUGIN_CMD_MODEL_VERSIONS_H

#include "config/settings.h"

struct model_versions {
    const struct settings *settings;
    const char *topic; /* only this one; NULL = all */
    int64_t partition; /* only this one; -1 = all */
    bool json;
    uint64_t a, b; /* diff: both; promote: a */
};

eddy_status model_list(const struct model_versions *, struct eddy_error *);
/* What has changed from a to b, tensor by tensor: |b - a|, the same over |a|, and the cosine between both. */
eddy_status model_diff(const struct model_versions *, struct eddy_error *);
/* A copy of version a becomes the newest version, and the one in use: what the optimiser knew comes with it. */
eddy_status model_promote(const struct model_versions *, struct eddy_error *);
/* Promotes the version before the one in use, or before the one that this is a copy of. */
eddy_status model_rollback(const struct model_versions *, struct eddy_error *);

#endif

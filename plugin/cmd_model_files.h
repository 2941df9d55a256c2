/* eddy model CONFIG export FILE / import FILE: weights as files that PyTorch reads and writes (engine/model/model_file.h). */
#ifndef PLUGIN_CMD_MODEL_FILES_H
#define PLUGIN_CMD_MODEL_FILES_H

#include "engine/flow/plan.h"

struct model_files {
    const struct settings *settings;
    const char *path;
    const char *values; /* names with commas between; NULL = as stored, or as the codec lists them */
    const char *topic;  /* export: of which partition; NULL = any topic */
    int64_t partition;  /* -1 = any partition: the first */
    const char *word;   /* the version as it was written, for messages; NULL = the one in use */
    uint64_t version;
    bool quiet; /* import: says nothing of what it has done */
};

/* The weights that serve.  Without state: those that a run would start from. */
eddy_status model_export(const struct model_files *, struct eddy_error *);
/* Becomes the weights in use of every partition that has state, and what others start from. */
eddy_status model_import(const struct model_files *, struct eddy_error *);

/* Weights [n_params] with what they belong to, as import takes them. */
eddy_status model_write(const char *path, const struct plan *, const float *params, struct eddy_error *);

#endif

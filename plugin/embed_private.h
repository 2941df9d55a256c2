/* The inside of `struct eddy`, shared by embed.c (open, feed) and embed_save.c (save, restore). */
#ifndef PLUGIN_EMBED_PRIVATE_H
#define PLUGIN_EMBED_PRIVATE_H

#include "config/config.h"
#include "eddy.h"
#include "engine/flow/lane.h"
#include "plugin/registry.h"
#include "plugin/schema.h"

/* The name under which an embedded eddy's only partition is stored. */
#define EMBED_TOPIC "embedded"

struct eddy {
    struct registry *registry;
    struct config *config;
    struct schema_names names;
    struct plan *plan;
    struct trainer *trainer; /* NULL when training is off */
    bool keep_state;
    struct store_lock *lock; /* keep_state only */
    char *store_path;        /* keep_state only */
    struct store *store;
    struct lane *lane;
    const struct eddy_codec *codec;
    void *open_codec;
    struct eddy_buffer text;     /* eddy_format */
    struct eddy_arena arena;     /* what the last eddy_feed returned */
    float *no_categories;        /* [n_categories] EDDY_NO_CATEGORY: what is fed has none */
    struct lane_event *events;   /* [cap] */
    struct eddy_result *results; /* [cap] */
    int cap;
};

/* A lane over a store, with the eddy's plan and trainer. */
eddy_status embed_open_lane(struct eddy *, struct store *, struct lane **, struct eddy_error *);

#endif

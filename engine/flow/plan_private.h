/* The inside of planning, shared by plan.c, plan_networks.c and plan_experts.c. */
#ifndef ENGINE_FLOW_PLAN_PRIVATE_H
#define ENGINE_FLOW_PLAN_PRIVATE_H

#include "engine/flow/plan.h"

/* One row of the directory that is being laid out. */
struct planned_section {
    int64_t *at;
    const char *name;
    int type;
    uint32_t version;
    size_t bytes;
};

eddy_status plan_no_memory(struct eddy_error *);
/* Adds a section; one of 0 bytes stays absent. */
eddy_status plan_add(struct plan *, const struct planned_section *, struct eddy_error *);
/* Sections whose bytes mean something else under other numbers take them into their version. */
uint32_t plan_meaning(uint32_t version, const void *numbers, size_t n_bytes);
uint32_t plan_domain(const struct plan *, uint32_t version); /* with the transforms of the values, if any */
/* `map` says something about a value by its name, or about all others by `default`; NULL = nothing. */
const char *plan_about(const struct eddy_map *, const char *value_name);

/* plan_networks.c */
eddy_status plan_networks(struct plan *, struct eddy_error *);
eddy_status plan_network_sections(struct plan *, struct eddy_error *);
eddy_status plan_network_starts(struct plan *, struct eddy_error *); /* what windows begin with */
void plan_networks_close(struct plan *);

/* plan_experts.c */
eddy_status plan_experts(struct plan *, struct eddy_error *);
eddy_status plan_expert_sections(struct plan *, struct eddy_error *);
eddy_status plan_expert_kept(struct plan *, struct eddy_error *); /* what is undone piece by piece */
eddy_status plan_judges(struct plan *, struct eddy_error *);      /* with their sections */
void plan_experts_close(struct plan *);

#endif

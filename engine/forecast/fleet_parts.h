/* What expert `fleet` (fleet.c) does with an event, piece by piece. */
#ifndef ENGINE_FORECAST_FLEET_PARTS_H
#define ENGINE_FORECAST_FLEET_PARTS_H

#include "engine/forecast/fleet_shape.h"

/* What is known at an event: features, and f of each anchor, in sigmas. */
struct fleet_view {
    float features[FLEET_FEATURES];
    float course[FLEET_ANCHORS];
    float back; /* to the mean of about the last 12: what the mean return adds to f */
};

/* fleet_features.c */
void fleet_look(const struct fleet_run *, const struct eddy_expert_event *, struct fleet_view *);
/* Keeps them in an origin's place, or `kept` alone, and gives them back as they were kept. */
void fleet_keep(const struct fleet_shape *, const struct fleet_view *, float sigma, unsigned char *origin);
float fleet_origin_sigma(const unsigned char *origin); /* 0: its value was missing */
void fleet_kept_features(const int8_t *kept /* [FLEET_STORED] */, float *features);
float fleet_kept_course(const struct fleet_shape *, const unsigned char *origin, int anchor);
const int8_t *fleet_kept(const unsigned char *origin);
unsigned char *fleet_origin(const struct fleet_run *, int anchor, int64_t of); /* `of` was a multiple of `every` */

/* fleet_weights.c: the labels that the event brings, and what the weights say */
void fleet_weights_learn(struct fleet_run *);
void fleet_weights_say(const struct fleet_run *, const struct fleet_view *, float *deviation /* [n_anchors] */);
void fleet_weights_fit(const struct fleet_settings *, struct fleet_class *classes, const struct fleet_shape *,
                       const struct fleet_label *, int anchor);
void fleet_covariance_fit(struct fleet_class *, double forgetting, const float *features);

/* fleet_stack.c: the weights of the model and of the mean return, together at most 1 */
struct fleet_trust {
    float model, back;
};
void fleet_stack_learn(struct fleet_run *);
void fleet_stack_keep(const struct fleet_run *, const struct fleet_view *, const float *deviation);
struct fleet_trust fleet_stack_trust(const struct fleet_run *, int group);

#endif

/* A lane over a simulated fleet, for tests: configuration text in, results and state hash out. */
#ifndef TESTS_UNIT_FLOW_FIXTURE_H
#define TESTS_UNIT_FLOW_FIXTURE_H

#include "config/config.h"
#include "engine/flow/lane.h"

extern const struct eddy_parts fixture_parts;

/* Aborts the test with the configuration's errors when `yaml` is wrong. `name`, source and sink are supplied. */
struct config *fixture_config(const char *yaml);

/* Event i of a stream of `n_keys` keys: a daily rhythm with noise per key, 5 minutes apart, one key after another with
 * some keys busier than others; every 17th value is missing when `gaps`. */
struct fixture_stream {
    int n_keys, n_values;
    bool gaps;
};
void fixture_event(const struct fixture_stream *, int64_t i, char key[16], double *x, struct lane_event *out);

struct fixture_lane {
    struct config *config;
    struct plan *plan;
    struct trainer *trainer;
    struct lane *lane;
    struct store *store;
    uint64_t digest; /* over every number of every result, in offset order */
    int64_t results;
    double squared_error, persistence_error; /* of the one-step forecast of value 0, over `errors` results */
    double last[64];                         /* last value 0 of each key */
    int64_t errors, errors_from;
};

/* store_path NULL = in memory. */
void fixture_open(struct fixture_lane *, const char *yaml, int n_values, const char *store_path,
                  int64_t max_resident);
void fixture_close(struct fixture_lane *);
/* Folds events [from, to) in turns of `chunk`, committing each. */
void fixture_run(struct fixture_lane *, const struct fixture_stream *, int64_t from, int64_t to, int chunk);
void fixture_hash(struct fixture_lane *, char out[33]);
/* Folds one event made by hand and returns its result (borrowed until the next call). */
const struct eddy_result *fixture_feed(struct fixture_lane *, int64_t offset, const char *key, int64_t time_ns,
                                       const double *x);
/* The same with a label (NULL: none) that comes with the event, or `late` without it. */
const struct eddy_result *fixture_feed_label(struct fixture_lane *, int64_t offset, const char *key, int64_t time_ns,
                                             const double *x, const char *label, bool late);

#endif

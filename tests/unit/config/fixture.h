/* Small parts of every kind, and ways to open a text and to state the errors that it must give. */
#ifndef TESTS_CONFIG_FIXTURE_H
#define TESTS_CONFIG_FIXTURE_H

#include "config/config.h"

struct wire_settings {
    struct eddy_strings topics;
    const char *start;
    struct eddy_map properties;
    const char *password;
};

struct gru_settings {
    int64_t units;
};

/* One option of every scalar and list type. */
struct probe_settings {
    bool flag;
    int64_t count, wait, room;
    double rate;
    const char *text;
    int word;
    struct eddy_strings words;
    struct eddy_reals numbers;
    struct eddy_ints steps;
    struct {
        int64_t depth;
    } inner;
};

extern const struct eddy_part part_gru, part_probe, part_defaults;
extern const struct eddy_parts parts;

#define MINIMAL "name: plant\nsource: {kafka: {topics: [a]}}\nsink: {kafka: {topics: [b]}}\n"

/* Opens a text that must be good; the caller closes. */
struct config *open_good(const char *text, const char *const *overrides);
/* Opens a text that must give exactly these errors, in this order; NULL ends the list. */
void expect_errors(const char *text, const char *const *overrides, const char *const *errors);
/* What config_print() writes; the caller frees. */
char *printed(const struct config *);
/* "detect: {detectors: [{probe: {LINE}}]}" below the minimal file, so that LINE stands on line 5. */
char *with_probe(const char *line);
const struct probe_settings *probe_of(const struct config *);
/* The one error that LINE must give, less "configuration:5: detect.detectors.0.probe."; NULL = it is good. */
void expect_probe_error(const char *line, const char *error);

#endif

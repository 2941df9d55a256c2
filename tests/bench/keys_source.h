/* A source that makes its records up as they are asked for, so that ten million keys need no memory here: first every key
 * once, then events over keys drawn as asked; and a watch over the loop that works on them.
 *
 * The settings are a `struct keys_plan`; results go to its `watch`.  The same plan gives the same records. */
#ifndef TESTS_BENCH_KEYS_SOURCE_H
#define TESTS_BENCH_KEYS_SOURCE_H

#include <stdio.h>

#include "engine/flow/source.h"

enum keys_draw {
    KEYS_IN_TURN, /* key 0, 1, .. */
    KEYS_UNIFORM, /* each as often as any other */
    KEYS_ZIPF,    /* the key of rank r as often as r^-1.1 */
    KEYS_TENTH    /* a tenth of them, uniform: what a checkpoint finds dirty, once that of all keys is over */
};

struct keys_watch {
    double fill_s;    /* wall seconds of the loop over the first events of the keys, making records not counted */
    double run_s;     /* the same over the events after them */
    double longest_s; /* time between two polls in the second part, less waiting for a CPU that others had */
    double longest_wall_s; /* with it */
    double second_s;       /* the next longest */
};

struct keys_plan {
    int keys, events;       /* events after every key has been seen once */
    int draw;               /* enum keys_draw */
    const char *state_file; /* its size goes into the timeline; NULL = none */
    FILE *timeline; /* a line of CSV every second: s, events, resident bytes, file bytes, log bytes; NULL = none */
    struct keys_watch *watch;
};

extern const struct eddy_source source_keys;

#endif

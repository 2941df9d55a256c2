/* The world around eddy: sends the simulated events to the input topics, and reads the scores from the output topics.
 *
 * It speaks Kafka like any other program: a producer of its own per input topic, and a consumer of its own.  At most
 * WORLD_IN_FLIGHT events per stream are under way, because the mock cluster forgets what is older than 5 MiB.
 *
 * Memory   borrows the streams; closed by who opened it.
 * Threads  one thread. */
#ifndef PLUGIN_DEMO_WORLD_H
#define PLUGIN_DEMO_WORLD_H

#include <stdio.h>

#include "eddy_part.h"
#include "plugin/demo/tally.h"

enum { WORLD_IN_FLIGHT = 8192, WORLD_STREAMS = 2 };

struct world_stream {
    const char *topic;     /* scores are read from "<topic>.scored" */
    const char *key_field; /* member that holds the key, e.g. "machine" */
    const struct simulation *simulation;
    struct tally *tally;
    FILE *sent, *scored; /* copies of all records, one a line; NULL = none */
};

struct world;
eddy_status world_open(const char *servers, const struct world_stream streams[WORLD_STREAMS],
                       const struct eddy_parts *, struct world **, struct eddy_error *);
/* Sends what may be sent and reads what has come, waiting a moment for it; returns how many records came. */
eddy_status world_turn(struct world *, struct eddy_error *);
void world_close(struct world *); /* NULL is fine */

#endif

/* What a run of the demo has shown: the verdict, the table on stdout and the report. */
#ifndef PLUGIN_DEMO_OUTCOME_H
#define PLUGIN_DEMO_OUTCOME_H

#include <stdio.h>

#include "plugin/demo/tally.h"

struct outcome {
    uint64_t seed;
    const struct tally *sensors, *prices;
    double seconds;           /* from the first score read back to the last */
    int64_t updates, refused; /* training steps of both pipelines */
    int64_t false_alarms;
    const struct tally_fault *faults; /* [sensors->truth->n_faults] */
};

/* EDDY_OK when the pipeline has done its job; else EDDY_EDATA and what is wrong. */
eddy_status outcome_check(const struct outcome *, struct eddy_error *);
void outcome_print(const struct outcome *, FILE *out);
eddy_status outcome_report(const struct outcome *, const char *path, struct eddy_error *);

int64_t outcome_events(const struct outcome *);
int outcome_hits(const struct outcome *, int kind, int *n); /* kind -1 = all; *n = how many there were */

#endif

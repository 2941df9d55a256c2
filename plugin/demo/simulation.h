/* What the demo feeds to eddy: a plant with faults and a market, both simulated, so that the truth is known.
 *
 * A simulation is a pure function of its seed: same seed, same numbers (on one machine and C library).
 *
 * Layout   x  [n_steps, n_series]  row-major: one row per time step, one column per series; NaN = the sensor sent null
 * Memory   the caller closes a simulation with simulation_close().
 * Errors   EDDY_ENOMEM. */
#ifndef PLUGIN_DEMO_SIMULATION_H
#define PLUGIN_DEMO_SIMULATION_H

#include <stdint.h>

#include "eddy_error.h"

enum fault_kind {
    FAULT_SPIKE,  /* a few readings far off */
    FAULT_DRIFT,  /* creeps away over hours, then is repaired */
    FAULT_STUCK,  /* repeats one reading */
    FAULT_RHYTHM, /* the machine's cycle stalls and rushes; its range stays the same */
    N_FAULT_KINDS
};
const char *fault_kind_text(int kind); /* "spike", "drift", "stuck", "lost rhythm" */

struct fault {
    int series, kind;
    int first, last; /* steps, both inclusive */
};

struct simulation {
    const char *field;               /* name of the value in the records, e.g. "temperature" */
    const char *const *names;        /* [n_series] keys */
    int n_series, n_steps, decimals; /* decimals: how the values are written */
    int64_t start_ns, step_ns;
    double *x;            /* [n_steps, n_series] */
    struct fault *faults; /* [n_faults] the truth, by series and time */
    int n_faults;
};

enum {
    PLANT_MACHINES = 6,
    PLANT_STEPS_PER_DAY = 288, /* every 5 minutes */
    PLANT_DAYS = 42,
    PLANT_QUIET_DAYS = 14, /* no fault before: time to learn the rhythm */
    PLANT_FAULTS = 3,      /* per machine */
    PRICE_SYMBOLS = 4,
    PRICE_STEPS = 5040 /* every minute, three and a half days */
};

/* Temperatures of machines: daily load, a faster cycle of the machine's own with wandering phase, thermal inertia,
 * coloured and white noise, dropouts, and PLANT_FAULTS faults per machine. */
eddy_status plant_open(uint64_t seed, struct simulation *, struct eddy_error *);
/* Prices: random walks whose volatility is itself random.  There is nothing to forecast but the width of the bands, and
 * nothing is wrong with them: n_faults is 0. */
eddy_status prices_open(uint64_t seed, struct simulation *, struct eddy_error *);
void simulation_close(struct simulation *); /* {0} is fine */

static inline double simulation_value(const struct simulation *s, int step, int series)
{
    return s->x[(int64_t)step * s->n_series + series];
}
static inline int64_t simulation_time_ns(const struct simulation *s, int step)
{
    return s->start_ns + step * s->step_ns;
}
/* The step at that time, or -1 when it is none of the simulation's. */
int simulation_step(const struct simulation *, int64_t time_ns);
/* The series of that name, or -1. */
int simulation_series(const struct simulation *, const char *key, int key_len);

#endif

/* Experts: each forecasts one value of a key by itself, from the value's own past.
 *
 * An expert keeps plain data in the key's row, one state per value (aligned to 8 bytes; of experts with
 * kept_bytes() from EDDY_EXPERT_LONG bytes on to 64; all bytes 0 for a new key unless init() says otherwise), and is called
 * once per event of the key: it takes the value in, then says what it expects.
 *
 * Units    values as they come in the event, no scaling; `sigma` is the value's robust scale of differences, for limits.
 * Memory   never allocates and keeps no pointer; the state is saved, moved and restored as bytes.
 * Threads  reentrant.
 * Errors   only check() (struct eddy_part) and plan() fail, when the pipeline is opened.
 * Numbers  x may be missing (NaN), never infinite; nothing non-finite may be written to the state; a forecast that is not
 *          known yet is NaN.  Equal inputs give equal bits: no function of the C library whose last digit may differ
 *          (exp, log, pow); sqrt and the functions of engine/math are fine. */
#ifndef EDDY_EXPERT_H
#define EDDY_EXPERT_H

#include <stdbool.h>

#include "eddy_part.h"
#include "eddy_season.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EDDY_EXPERT_LONG = 4096 };

struct eddy_expert_shape {
    int n_horizons;
    const int *horizons; /* [n_horizons] steps ahead, ascending */
    int season;          /* steps of a season, where the configuration counts it in steps; else 0 */
    int n_ahead;         /* how far `ahead` of an event reaches; at least 24 and the last horizon */
    int n_features;      /* hidden outputs of the network that the part's option `network` names; else 0 */
};

struct eddy_expert_event {
    double x;         /* the value; NaN = missing: the step counts, the value does not */
    double sigma;     /* > 0, after this value */
    double elapsed_s; /* since the key's last event, >= 0 */
    int64_t count;    /* steps of this value before this one */
    int64_t time_ns;  /* event time */
    /* Experts with `seasonal` only: where in the season the event lies, the value's usual distance from its daily (..)
     * mean there, and how that changes: ahead[j] from here to j steps on, ahead[0] = 0.  0 while unknown. */
    struct eddy_season season;
    double level;
    const double *ahead; /* [n_ahead + 1] */
    /* What the top layer of that network says after this event. */
    const float *features; /* [n_features] */
    /* Experts with a shared model only. */
    const void *model;  /* what the keys share, as it was at the last boundary */
    void *contribution; /* [contribution_bytes] zeroed, for what this event says about it; NULL: nobody will look */
    /* What it may say besides: the usual |error| of forecasts as these, by what it knows of other keys; the bands of a key
     * go by it until the first label of a horizon has come.  NaN where nothing is said. */
    double *spread; /* [n_horizons] NaN at first */
    void *kept;     /* of experts with kept_bytes() */
};

struct eddy_expert {
    struct eddy_part part;  /* kind EDDY_PART_EXPERT */
    uint32_t state_version; /* raise it when the meaning of the state's bytes changes */
    bool seasonal;          /* it reads the season's profile */
    /* What the table of options cannot say about these horizons and this season; may be NULL. */
    eddy_status (*plan)(const void *settings, const struct eddy_expert_shape *, struct eddy_error *);
    size_t (*state_bytes)(const void *settings, const struct eddy_expert_shape *);     /* per value */
    void (*init)(const void *settings, const struct eddy_expert_shape *, void *state); /* may be NULL */
    /* Takes the event in and forecasts: forecast [n_horizons]. */
    void (*fold)(const void *settings, const struct eddy_expert_shape *, void *state,
                 const struct eddy_expert_event *, double *forecast);
    /* What the keys share; NULL when each is on its own.  The model stands still between two boundaries, a few dozen to a
     * few hundred events apart (`forecast.share_every`); at a boundary learn() takes the contributions in between, or
     * an even sample of them, in the order of their offsets, and within an event of its values.  One that fold() left
     * zeroed counts for nothing.  Model and contributions are plain data like a state, multiples of 8 bytes. */
    size_t (*model_bytes)(const void *settings, const struct eddy_expert_shape *);
    void (*model_init)(const void *settings, const struct eddy_expert_shape *, void *model); /* NULL: all bytes 0 */
    size_t (*contribution_bytes)(const void *settings, const struct eddy_expert_shape *);
    void (*learn)(const void *settings, const struct eddy_expert_shape *, void *model,
                  const void *const *contributions, int n_contributions);
    /* False for stored bytes that no fold() leaves and that would do harm: places beyond an array, counts that would run
     * over.  Asked once when a key comes back into memory, then its row is refused; NULL: any bytes are harmless. */
    bool (*sound)(const void *settings, const struct eddy_expert_shape *, const void *state);
    bool (*model_sound)(const void *settings, const struct eddy_expert_shape *, const void *model); /* the same */
    /* Long memory of steps, per value and besides the state: `kept` of an event is a ring of *n_steps places of so many bytes
     * (aligned as a state is, all 0 for a new key).  A fold changes no other place than that of its own step, count mod
     * n_steps, so that it alone need be given back when a batch is aborted.  0, or NULL here: nothing is kept. */
    size_t (*kept_bytes)(const void *settings, const struct eddy_expert_shape *, int *n_steps);
};

#ifdef __cplusplus
}
#endif
#endif

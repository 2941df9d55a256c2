/* Detectors: from a key's residuals to a score in 0..1.
 *
 * A detector keeps plain data in the key's row (aligned to 8 bytes, all bytes 0 for a new key unless init() says
 * otherwise) and is called once per event of the key, before anything learns from the event.
 *
 * Memory   never allocates and keeps no pointer; the state is saved, moved and restored as bytes.
 * Threads  reentrant.
 * Errors   none: every size was checked when the pipeline was opened.
 * Numbers  values may be missing (NaN); nothing non-finite may be written to state or verdict. */
#ifndef EDDY_DETECTOR_H
#define EDDY_DETECTOR_H

#include "eddy_part.h"
#include "eddy_season.h"

#ifdef __cplusplus
extern "C" {
#endif

struct eddy_evidence {
    int n_values, n_horizons;
    const int *horizons;    /* [n_horizons] */
    const double *x;        /* [n_values] the event's values; NaN = missing */
    const double *residual; /* [n_horizons, n_values] x minus what was forecast for it h steps ago; NaN = unknown */
    int64_t count;          /* events of the key before this one */
    int64_t time_ns, elapsed_ns; /* event time; since the key's last event, >= 0 */
    struct eddy_season season;   /* where in the season the event lies */
    double threshold;            /* detect.threshold: limits grow with it, for detect.sensitivity */
    bool warmup;                 /* the key is too young to be scored; the verdict is not used */
    int64_t warmup_events; /* detect.warmup: a detector whose own state is younger (after a reset) stays silent too */
    double support; /* the largest that detectors before this one in the list say of this event; NaN: none does */
};

enum { EDDY_MAX_KINDS = 32 };

struct eddy_verdict {
    double score;       /* 0..1 after any refractory period ("mute") */
    double evidence;    /* 0..1 the same before it */
    float *attribution; /* [n_values] parts of the evidence, >= 0, any scale, as what counts is their shares of it;
                           all 0 on entry */
    double support;     /* how near its alarm this detector is without any refractory period, 1 = there; NaN on entry:
                           it does not say */
    uint32_t holds;    /* bit i: kinds[i] holds at this event, so an incident of that kind is open; 0 on entry.  It is
                           the detector that decides when it begins and ends; nothing opens in the warm-up */
    const char *fault; /* what speaks, one of the detector's `faults`; NULL on entry: it does not say */
    uint32_t
        accepted; /* bit i: kinds[i] has ended at this event because it has lasted too long to be a fault, which is
                          told of its incident; 0 on entry, and nothing while it holds */
};

struct eddy_detector {
    struct eddy_part part;  /* kind EDDY_PART_DETECTOR */
    uint32_t state_version; /* raise it when the meaning of the state's bytes changes */
    size_t (*state_bytes)(const void *settings, int n_values, int n_horizons);
    void (*init)(const void *settings, int n_values, int n_horizons, void *state); /* may be NULL */
    void (*judge)(const void *settings, void *state, const struct eddy_evidence *, struct eddy_verdict *out);
    int max_values; /* more values per event are refused when the pipeline is opened; 0 = any number */
    /* Names of incidents of its own, NULL-terminated, at most EDDY_MAX_KINDS; NULL = none.  A kind may hold while score
     * and evidence stay 0: such a detector opens incidents without alarming.  While one holds, what the detector says by
     * score and evidence belongs to that incident, and opens none of the score's. */
    const char *const *kinds;
    /* The kinds of fault that it can tell apart, NULL-terminated, at most EDDY_MAX_KINDS; NULL = none.  An incident that its
     * score opens is told as one of that kind. */
    const char *const *faults;
    /* False for stored bytes that no judge() leaves and that would do harm: places beyond an array, counts that would run
     * over.  Asked once when a key comes back into memory, then its row is refused; NULL: any bytes are harmless. */
    bool (*sound)(const void *settings, int n_values, int n_horizons, const void *state);
};

#ifdef __cplusplus
}
#endif
#endif

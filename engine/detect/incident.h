/* An incident of one kind of a key: from single verdicts to a span of trouble with a beginning, a peak and an end.
 *
 * T the threshold, e the evidence of an event (0..1), h the hysteresis:
 *     opens     at an alert, when e >= T for min_count events in a row, the alert among them
 *     belongs   e >= h T: such an event keeps it open
 *     closes    after `quiet` events in a row that do not belong, and no sooner than `hold` after the last that did
 *     repeats   an alert within `repeat` events of the closing opens the same incident again: its id and start stay;
 *               one that is known to be of another kind of fault opens another
 *     fault     of the alert that opened it, then of each that knows and is no less than the peak so far
 *     accepted  open for more than `accept` events it is the new normal: it closes, and nothing opens before `quiet`
 *               events in a row did not belong
 * A kind whose detector decides by itself opens, closes and is accepted as that says; repeats hold for it too, but for
 * one that was accepted.
 * Memory   plain data in the key's row; all 0 when new.  Times are event times, and may run backwards. */
#ifndef ENGINE_DETECT_INCIDENT_H
#define ENGINE_DETECT_INCIDENT_H

#include <stdbool.h>
#include <stdint.h>

#include "config/settings.h"

struct incident {
    uint64_t id;                                 /* 0: there has been none yet */
    int64_t start_ns, last_ns, peak_ns, told_ns; /* last: of the last event that belongs to it */
    double peak;                                 /* largest evidence */
    uint32_t events, repeats;                    /* events since it opened */
    uint32_t quiet;                              /* events in a row that do not belong */
    uint32_t since;                              /* events since it closed */
    uint32_t loud;                               /* events in a row with e >= T, while closed */
    /* Kinds of fault by a number of the caller's, 0 = unknown: its own, and of the first alert in the loud row. */
    uint8_t fault, heard, n_drivers;
    unsigned open : 1, alerted : 1, accepted : 1;
};

/* Behind it in the row, [n_drivers]: what drove it at its peak. */
enum { INCIDENT_FAULTS = 256 };

struct incident_driver {
    int32_t value; /* index in the schema */
    float share;
    double y, yhat, yhat_lower, yhat_upper; /* NaN = unknown */
};

enum incident_change { INCIDENT_SAME, INCIDENT_OPENED, INCIDENT_REOPENED, INCIDENT_CLOSED, INCIDENT_ACCEPTED };

struct incident_event {
    int64_t time_ns;
    double evidence, threshold;
    bool alert;
    uint8_t fault; /* of the alert; 0 = unknown */
    bool accepted; /* by a detector of its own: what no longer holds is the new normal */
    uint64_t id;   /* what an incident that opens here is called; not 0 */
};
struct incident_step {
    enum incident_change change;
    bool peak; /* the event is the peak so far */
    bool told; /* an open one is due to be told of again */
};

/* By the score. */
struct incident_step incident_judge(struct incident *, const struct incident_settings *,
                                    const struct incident_event *);
/* By a detector of its own. */
struct incident_step incident_hold(struct incident *, const struct incident_settings *, const struct incident_event *,
                                   bool holds);

#endif

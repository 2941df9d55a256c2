/* Time of day and day of week as smooth inputs, UTC.
 *
 * Equations   a = 2 pi (seconds of the day) / 86400,  b = 2 pi (seconds of the week, from Monday) / 604800
 *             out = sin a, cos a, sin 2a, cos 2a, sin b, cos b
 * Own sine (error below 1e-7), so that replays give the same bits on every C library. */
#ifndef ENGINE_FORECAST_CALENDAR_H
#define ENGINE_FORECAST_CALENDAR_H

#include <stdint.h>

enum { CALENDAR_INPUTS = 6 };

void calendar_inputs(int64_t time_ns, float out[CALENDAR_INPUTS]);

/* The same, remembered for the seconds asked for last: events of a stream come close together, and the windows of a
 * series overlap. */
enum { CALENDAR_REMEMBERED = 512 };
struct calendar_memory {
    struct calendar_entry {
        int64_t second;
        float inputs[CALENDAR_INPUTS];
    } entry[CALENDAR_REMEMBERED]; /* by a hash of the second */
};
void calendar_forget(struct calendar_memory *); /* before the first look */
const float *calendar_remembered(struct calendar_memory *, int64_t time_ns);

#endif

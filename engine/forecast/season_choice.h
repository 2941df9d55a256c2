/* Which cycle a key goes by under `forecast.season: auto`: the calendar's, of which there are several, or one that was
 * found in its past (season_search.h).
 *
 *     calendar   by the key's pace: a day, a week, a year or none (season_period())
 *     found      unless it is within 5 % of the calendar's: clocks know about gaps, counts do not
 *     stays      what was chosen, until something else has been the choice at 64 events in a row
 * Paces and periods are estimates and cross these borders to and fro by chance; each crossing would give the profile another
 * meaning.  In a key's first 64 events every choice counts at once, and so does a cycle that is found or lost.
 *
 * Memory   plain data in the key's row, all 0 for a new key. */
#ifndef ENGINE_FORECAST_SEASON_CHOICE_H
#define ENGINE_FORECAST_SEASON_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

struct season_choice {
    int64_t period_ns; /* of the calendar; 0 = none */
    uint16_t made;     /* 1: there is a choice */
    uint16_t found;    /* 1: the cycle that was found counts */
    uint32_t against;  /* events in a row that ask for something else */
};

/* An event of a key that has had `n` before it: the calendar's period at its pace (usual_s seconds from event to event), and
 * the steps of the cycle that is found, 0 = none; `anew`: it is found, or lost, since the last event.  True when the choice
 * has changed. */
bool season_choose(struct season_choice *, int64_t n, int64_t period_ns, double usual_s, double found_steps,
                   bool anew);

#endif

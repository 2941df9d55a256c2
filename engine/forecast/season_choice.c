#include "engine/forecast/season_choice.h"

enum { PATIENCE = 64 };
static const double SAME = .05;

/* Whether the cycle that was found is another than the calendar's. */
static bool choice_prefers_found(int64_t period_ns, double usual_s, double found_steps)
{
    const double calendar = usual_s > 0 ? (double)period_ns / (usual_s * 1e9) : 0;
    return found_steps > 0 && !(found_steps > (1 - SAME) * calendar && found_steps < (1 + SAME) * calendar);
}

bool season_choose(struct season_choice *c, int64_t n, int64_t period_ns, double usual_s, double found_steps,
                   bool anew)
{
    const bool found = choice_prefers_found(period_ns, usual_s, found_steps);
    if (c->made && c->period_ns == period_ns && c->found == found) {
        c->against = 0;
        return false;
    }
    if (c->made && n >= PATIENCE && !anew && ++c->against < PATIENCE) return false;
    const bool changed = c->made;
    *c = (struct season_choice){.period_ns = period_ns, .made = 1, .found = found};
    return changed;
}

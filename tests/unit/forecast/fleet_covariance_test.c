/* The covariance of a fleet stands features that are equal throughout, for as long as a stream may run. */
#include <criterion/criterion.h>
#include <math.h>

#include "eddy_layer.h"
#include "engine/forecast/fleet_parts.h"

Test(fleet, directions_that_no_event_excites_do_not_blow_up_in_two_million_records)
{
    static struct fleet_class c;
    for (int i = 0; i < FLEET_FEATURES; i++) c.covariance[i][i] = .1;
    for (int64_t n = 0; n < 2000000; n++) {
        float p[FLEET_WIDTH] = {1};
        const float x = eddy_random_normal(1, (uint64_t)n);
        for (int i = 1; i < FLEET_FEATURES; i++) p[i] = x; /* all lags and means alike: a young key's */
        fleet_covariance_fit(&c, .99998, p);
    }
    float most = 0;
    for (int i = 0; i < FLEET_FEATURES; i++)
        for (int j = 0; j < FLEET_FEATURES; j++) most = fmaxf(most, fabsf(c.gain[i][j]));
    cr_assert(most < 2e5, "%g", (double)most);
}

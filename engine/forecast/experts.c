#include "engine/forecast/experts.h"

#include <stddef.h>

const struct eddy_part *const experts_built_in[] = {EXPERTS(EXPERTS_PART) NULL};

eddy_status expert_season_check(const char *expert, int64_t own, const struct eddy_expert_shape *shape,
                                struct eddy_error *err)
{
    const int season = expert_season(own, shape);
    if (season == 0)
        return eddy_fail(err, EDDY_ECONFIG,
                         "%s: no season is known: say how many steps one has, for instance %s: {season: 24}", expert,
                         expert);
    if (season < 2) return eddy_fail(err, EDDY_ECONFIG, "%s.season: a season has at least 2 steps", expert);
    return EDDY_OK;
}

#include "engine/forecast/experts.h"

#include <stddef.h>

const struct eddy_part *const experts_built_in[] = {EXPERTS(EXPERTS_PART) NULL};

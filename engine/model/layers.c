#include "engine/model/layers.h"

#include <stddef.h>

const struct eddy_part *const layers_built_in[] = {LAYERS(LAYERS_PART) NULL};

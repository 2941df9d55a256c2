/* The elementary functions act_* for this build: single precision, or exact for the proof of the gradients. */
#ifdef MATH_DOUBLE
#include "engine/math/activations_exact.h"
#else
#include "engine/math/activations_single.h"
#endif

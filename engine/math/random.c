/* Random numbers as a pure function of (seed, counter): no stream is shared, so the order in which keys or threads draw
 * changes nothing.
 *
 * bits     m(m(seed) + counter * g), m a 64-bit finaliser (xor-shifts and odd multipliers), g the golden ratio in 64
 *          bits: for one seed distinct counters give distinct bits
 * uniform  the top 24 bits of it
 * normal   Box and Muller: sqrt(-2 ln u) cos(2 pi v) from the two halves of one draw; the logarithm is eddy's own and
 *          the cosine a Taylor sum, so that the numbers are the same on every machine */
#include "eddy_layer.h"

#include <math.h>

#include "engine/math/activations.h"

static uint64_t random_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

uint64_t eddy_random_bits(uint64_t seed, uint64_t counter)
{
    return random_mix(random_mix(seed + 0x9E3779B97F4A7C15u) + counter * 0x9E3779B97F4A7C15u);
}

float eddy_random_uniform(uint64_t seed, uint64_t counter)
{
    return (float)(eddy_random_bits(seed, counter) >> 40) / 16777216.0f;
}

/* cos(2 pi t) for |t| <= 1/2: the first dropped term is below 4e-9. */
static double random_cosine_of_turn(double t)
{
    const double minus_x2 = -39.478417604357434 * t * t; /* -(2 pi t)^2 */
    double sum = 1, term = 1;
    for (int k = 1; k < 10; k++) {
        term *= minus_x2 / (2.0 * k * (2.0 * k - 1));
        sum += term;
    }
    return sum;
}

float eddy_random_normal(uint64_t seed, uint64_t counter)
{
    uint64_t bits = eddy_random_bits(seed, counter);
    double u = ((double)(bits >> 32) + 0.5) / 4294967296.0;
    double v = (double)(uint32_t)bits / 4294967296.0 - 0.5;
    return (float)(sqrt(-2.0 * (double)math_log((float)u)) * random_cosine_of_turn(v));
}

/* exp(x)   = 2^n e^r,  n = round(x / ln 2),  e^r by its series
 * log(x)   = e ln 2 + 2 (s + s^3/3 + s^5/5 + ..),  x = 2^e m,  m in [sqrt(1/2), sqrt 2),  s = (m - 1) / (m + 1)
 * cos      by its series, folded to a quarter turn */
#include "engine/math/precise.h"

#include <math.h> /* frexp, ldexp, floor: exact */

static const double LN2_HIGH = 0.693145751953125, LN2_LOW = 1.42860682030941723e-6; /* n * high is exact */
static const double SQRT_HALF = 0.70710678118654752440, PI = 3.14159265358979323846;

double precise_exp(double x)
{
    if (x > 709) x = 709;
    if (x < -708) x = -708;
    const double n = floor(x / (LN2_HIGH + LN2_LOW) + 0.5);
    const double r = (x - n * LN2_HIGH) - n * LN2_LOW; /* at most ln 2 / 2: r^14 / 14! is below 1e-17 */
    double sum = 1;
    for (int k = 14; k > 0; k--) sum = 1 + sum * (r / k);
    return ldexp(sum, (int)n);
}

double precise_log(double x)
{
    int e;
    double m = frexp(x, &e), sum = 0;
    if (m < SQRT_HALF) {
        m *= 2;
        e--;
    }
    const double s = (m - 1) / (m + 1), z = s * s; /* z < 0.03: z^12 / 25 is below 1e-19 */
    for (int k = 11; k >= 0; k--) sum = sum * z + 1.0 / (2 * k + 1);
    return e * LN2_HIGH + (2 * s * sum + e * LN2_LOW);
}

double precise_cos(double half_turns)
{
    const double sign = half_turns > 0.5 ? -1 : 1;
    const double x = PI * (half_turns > 0.5 ? 1 - half_turns : half_turns), z = x * x;
    double sum = 1;
    for (int k = 22; k > 0; k -= 2) sum = 1 - sum * (z / (k * (k - 1)));
    return sign * sum;
}

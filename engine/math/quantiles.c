/* Quantiles of the normal distribution and of Student's t.
 *
 * normal      Wichura's rational approximations (algorithm AS 241, PPND16): in q = p - 1/2 near the middle, in
 *             r = sqrt(-log p) in the tails.
 * its inverse Phi(z) = 1/2 + phi(z) (z + z^3/3 + z^5/(3 5) + ..), phi the density
 * student_t   density  f(t) = (1 + t^2/v)^-(v+1)/2 / (sqrt(v) B(1/2, v/2))
 *             tail     Q(t) = I_x(v/2, 1/2) / 2,  x = v / (v + t^2),  I the incomplete beta function by its continued
 *                      fraction C (Lentz): I = 2 t f C(v/2, 1/2, x) / v, or 1 - 2 t f C(1/2, v/2, 1 - x) in the middle
 *             t is found by Newton's method on log Q by log t, from the normal quantile: tails are straight lines there. */
#include "engine/math/quantiles.h"

#include <math.h>

#include "engine/math/precise.h"

static const double LEAST = 1e-100, MOST = 1 - 0x1p-53;
/* Where iterations end, relative: the fraction's terms, and Newton's last step (the next would be its square). */
static const double LAST_TERM = 1e-13, LAST_STEP = 1e-7;
enum { MOST_TERMS = 1000, MOST_STEPS = 100 };

/* a[0] + a[1] x + .. + a[7] x^7 */
static double polynomial(const double a[8], double x)
{
    double sum = 0;
    for (int i = 7; i >= 0; i--) sum = sum * x + a[i];
    return sum;
}

static double normal_middle(double q)
{
    static const double up[8] = {3.3871328727963666080,   1.3314166789178437745e2, 1.9715909503065514427e3,
                                 1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                                 3.3430575583588128105e4, 2.5090809287301226727e3};
    static const double down[8] = {1.0,
                                   4.2313330701600911252e1,
                                   6.8718700749205790830e2,
                                   5.3941960214247511077e3,
                                   2.1213794301586595867e4,
                                   3.9307895800092710610e4,
                                   2.8729085735721942674e4,
                                   5.2264952788528545610e3};
    const double r = 0.180625 - q * q;
    return q * polynomial(up, r) / polynomial(down, r);
}

static double normal_tail(double r)
{
    static const double near_up[8] = {1.42343711074968357734,    4.63033784615654529590,   5.76949722146069140550,
                                      3.64784832476320460504,    1.27045825245236838258,   2.41780725177450611770e-1,
                                      2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double near_down[8] = {1.0,
                                        2.05319162663775882187,
                                        1.67638483018380384940,
                                        6.89767334985100004550e-1,
                                        1.48103976427480074590e-1,
                                        1.51986665636164571966e-2,
                                        5.47593808499534494600e-4,
                                        1.05075007164441684324e-9};
    static const double far_up[8] = {6.65790464350110377720,    5.46378491116411436990,    1.78482653991729133580,
                                     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                     2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double far_down[8] = {1.0,
                                       5.99832206555887937690e-1,
                                       1.36929880922735805310e-1,
                                       1.48753612908506148525e-2,
                                       7.86869131145613259100e-4,
                                       1.84631831751005468180e-5,
                                       1.42151175831644588870e-7,
                                       2.04426310338993978564e-15};
    if (r <= 5) return polynomial(near_up, r - 1.6) / polynomial(near_down, r - 1.6);
    return polynomial(far_up, r - 5) / polynomial(far_down, r - 5);
}

double normal_quantile(double p)
{
    if (p < LEAST) p = LEAST;
    if (p > MOST) p = MOST;
    const double q = p - 0.5;
    if (q >= -0.425 && q <= 0.425) return normal_middle(q);
    const double size = normal_tail(sqrt(-precise_log(q < 0 ? p : 1 - p)));
    return q < 0 ? -size : size;
}

double normal_probability(double z)
{
    static const double ROOT_2_PI = 2.50662827463100050242, CERTAIN = 9;
    if (z > CERTAIN) return 1;
    if (z < -CERTAIN) return 0;
    double term = z, sum = z, before = 0;
    for (int k = 3; sum != before; k += 2) {
        before = sum;
        term *= z * z / k;
        sum += term;
    }
    const double p = .5 + sum * precise_exp(-z * z / 2) / ROOT_2_PI;
    return p < 0 ? 0 : p > 1 ? 1 : p;
}

/* Gamma(a + 1/2) / Gamma(a): its series in 1/a far out, and back by Gamma(a + 1) = a Gamma(a). */
static double gamma_ratio(double a)
{
    double back = 1;
    for (; a < 30; a++) back *= a / (a + 0.5);
    const double z = 1 / (8 * a);
    return back * sqrt(a) * (1 - z * (1 - z * (1.0 / 2 + z * (5.0 / 2 - z * (21.0 / 8 + z * (399.0 / 8))))));
}

/* The incomplete beta function's continued fraction. */
static double beta_fraction(double a, double b, double x)
{
    double c = 1, d = 1 / (1 - (a + b) * x / (a + 1)), product = d;
    for (int m = 1; m <= MOST_TERMS; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 / (1 + even * d);
        c = 1 + even / c;
        product *= c * d;
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / (1 + odd * d);
        c = 1 + odd / c;
        product *= c * d;
        if (fabs(c * d - 1) < LAST_TERM) break;
    }
    return product;
}

/* The share above t > 0; *slope = t f(t). */
static double student_t_tail(double t, double v, double scale, double *slope)
{
    const double u = t * t / v, x = 1 / (1 + u);
    *slope = t * scale * precise_exp(-(v + 1) / 2 * precise_log(1 + u));
    if (x < (v / 2 + 1) / (v / 2 + 2.5)) return *slope * beta_fraction(v / 2, 0.5, x) / v;
    return 0.5 - *slope * beta_fraction(0.5, v / 2, u / (1 + u));
}

double student_t_quantile(double p, double v)
{
    if (p == 0.5) return 0;
    if (p < LEAST) p = LEAST;
    if (p > MOST) p = MOST;
    const double above = p < 0.5 ? p : 1 - p;
    const double scale = gamma_ratio(v / 2) / sqrt(v * 3.14159265358979323846);
    double t = fabs(normal_quantile(p));
    for (int i = 0; i < MOST_STEPS; i++) {
        double slope;
        const double q = student_t_tail(t, v, scale, &slope), step = precise_log(q / above) * q / slope;
        t *= precise_exp(step);
        if (fabs(step) < LAST_STEP) break;
    }
    return p < 0.5 ? -t : t;
}

/* Quantiles of the standard normal and of Student's t distribution, in double precision from + - * / and the square root
 * alone, so that every machine gets the same digits.
 *
 * Normal      rational approximations in three ranges (Wichura 1988, algorithm AS 241, 7 digits)
 * Student's   x = sqrt(v) tan a, where F(a) = (integral of cos^(v-1) from 0 to a) / (the same to a quarter turn) = 2 tau - 1,
 *             by Simpson's rule over equal steps of a, and an inverse interpolation: 6 digits from two degrees on
 * Both are for planning, not for every event. */
#include <math.h>

#include "engine/model/loss.h"

static const double LN2 = 0.69314718055994530942, QUARTER_TURN = 1.57079632679489661923;

/* log of x > 0: x = 2^e m, m in [sqrt 1/2, sqrt 2), log m = 2 atanh((m - 1) / (m + 1)). */
static double tail_log(double x)
{
    int e;
    double m = frexp(x, &e); /* exact */
    if (m < 0.70710678118654752) m *= 2, e--;
    const double s = (m - 1) / (m + 1), z = s * s;
    double sum = 0;
    for (int k = 25; k >= 1; k -= 2) sum = sum * z + 1.0 / k;
    return e * LN2 + 2 * s * sum;
}

/* e^x for x <= 0: 2^n e^r. */
static double tail_exp(double x)
{
    if (x < -700) return 0;
    const double n = floor(x / LN2 + 0.5), r = x - n * LN2;
    double sum = 1;
    for (int k = 18; k >= 1; k--) sum = 1 + sum * r / k;
    return ldexp(sum, (int)n);
}

static double tail_normal(double tau)
{
    const double q = tau - 0.5;
    if (fabs(q) <= 0.425) {
        const double r = 0.180625 - q * q;
        return q * (((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179) /
               (((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1);
    }
    double r = sqrt(-tail_log(q < 0 ? tau : 1 - tau)), z;
    if (r <= 5) {
        r -= 1.6;
        z = (((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777) /
            ((0.12021132975 * r + 0.73700164250) * r + 1);
    } else {
        r -= 5;
        z = (((0.017337203997 * r + 0.42868294337) * r + 3.0812263860) * r + 6.6579051150) /
            ((0.012258202635 * r + 0.24197894225) * r + 1);
    }
    return q < 0 ? -z : z;
}

enum { TURN_STEPS = 4096 /* even */ };

/* sin and cos of a small angle. */
static void tail_turn(double a, double *sine, double *cosine)
{
    const double z = a * a;
    *sine = a * (1 - z / 6 * (1 - z / 20 * (1 - z / 42)));
    *cosine = 1 - z / 2 * (1 - z / 12 * (1 - z / 30 * (1 - z / 56)));
}

/* f[k] = cos^(v-1) of the k-th of TURN_STEPS equal parts of a quarter turn. */
static void tail_powers(double freedom, double f[TURN_STEPS + 1])
{
    double sine, cosine, s = 0, c = 1;
    tail_turn(QUARTER_TURN / TURN_STEPS, &sine, &cosine);
    for (int k = 0; k <= TURN_STEPS; k++) {
        f[k] = k == TURN_STEPS && freedom > 1 ? 0 : tail_exp((freedom - 1) * tail_log(c > 1e-300 ? c : 1e-300));
        const double next = c * cosine - s * sine;
        s = s * cosine + c * sine;
        c = next;
    }
}

/* tan of an angle in [0, quarter turn): by halving until it is small, then doubling. */
static double tail_tan(double a)
{
    double sine, cosine;
    tail_turn(a / 64, &sine, &cosine);
    for (int i = 0; i < 6; i++) {
        const double s = 2 * sine * cosine;
        cosine = cosine * cosine - sine * sine;
        sine = s;
    }
    return sine / cosine;
}

static double tail_student(double freedom, double tau)
{
    double f[TURN_STEPS + 1], sum = 0, all = 0;
    tail_powers(freedom, f);
    for (int k = 0; k < TURN_STEPS; k += 2) all += f[k] + 4 * f[k + 1] + f[k + 2];
    const double wanted = fabs(2 * tau - 1) * all;
    int k = 0;
    for (; k + 2 < TURN_STEPS; k += 2) {
        const double piece = f[k] + 4 * f[k + 1] + f[k + 2];
        if (sum + piece > wanted) break;
        sum += piece;
    }
    /* Within two steps the integral (times 3 / step) is that of the parabola through three points. */
    double low = 0, high = 2;
    for (int i = 0; i < 60; i++) {
        const double u = (low + high) / 2, d1 = (f[k + 1] - f[k]), d2 = (f[k + 2] - 2 * f[k + 1] + f[k]) / 2;
        const double part = 3 * (f[k] * u + (d1 - d2) * u * u / 2 + d2 * u * u * u / 3);
        if (sum + part < wanted)
            low = u;
        else
            high = u;
    }
    const double x = sqrt(freedom) * tail_tan((k + low) * QUARTER_TURN / TURN_STEPS);
    return tau < 0.5 ? -x : x;
}

struct loss_tail loss_tail(const struct loss *loss, double tau)
{
    struct loss_tail tail = {.tau = tau};
    if (loss->kind == LOSS_GAUSSIAN) tail.standard = tail_normal(tau);
    if (loss->kind == LOSS_STUDENT_T) tail.standard = tail_student(loss->freedom, tau);
    return tail;
}

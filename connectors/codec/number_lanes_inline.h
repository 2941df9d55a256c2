/* The conversion of number_lanes.h, written once for vectors of `LANES` doubles; the includer defines LANES, NAME and
 * the mask type `which`, and after this header the functions that are only declared here.
 *
 * The steps are those of number_write.c (write_quickly), whose comments say why they are right; k lies in 0..21 here, so
 * that scaling is always a multiplication.  A number that is odd takes part as another one.
 *   whole numbers   as doubles; adding WHOLE rounds to one and puts it into the low bits
 *   n / 10^m        floor(n / 10^m) is the whole number nearest to n / 10^m - (1 - 10^-m) / 2, which keeps clear of the
 *                   middle between two by 10^-m / 2 */
#include "connectors/codec/number_lanes.h"
#include "connectors/codec/number_layout.h"

typedef double reals __attribute__((vector_size(8 * LANES)));
typedef int64_t longs __attribute__((vector_size(8 * LANES))); /* comparisons give all bits, or none */
typedef uint64_t ulongs __attribute__((vector_size(8 * LANES)));
typedef uint32_t words __attribute__((vector_size(8 * LANES)));

static const double WHOLE = 0x1.8p52; /* 2^52 + 2^51: so are whole numbers somewhat below 0 */

static inline reals lanes_floor(reals t);
static inline reals lanes_load(const double *const *x); /* *x[0], *x[1], .. */
/* table[i], i < 24, lane by lane */
static inline reals lanes_look(const double *table, ulongs i);
/* `which` lanes: a mask of the instruction set's own kind, to which & applies. */
static inline which lanes_less(reals a, reals b);
static inline which lanes_equal(reals a, reals b);
static inline which lanes_zero(longs a);
static inline bool lanes_any(which);
static inline reals lanes_pick(which, reals yes, reals no);

static inline reals lanes_all(double x)
{
    return (reals){0} + x;
}

static inline reals lanes_fabs(reals a)
{
    return (reals)((longs)a & 0x7FFFFFFFFFFFFFFF);
}

/* k = 8 - floor(log10 v), as decimal_exponent(). */
static inline ulongs lanes_scale(reals v)
{
    enum { BIAS = 32 }; /* keeps the shift's argument above 0 */
    const words e2 = (words)((ulongs)v >> 52);
    const uint32_t bias = ((uint32_t)BIAS << 12) - 1022u * 1233u;
    const ulongs e = (ulongs)((e2 * 1233u + bias) >> 12) & 0x3F;
    const ulongs j = e - (BIAS - NUMBER_LOWEST);
    const ulongs k = NUMBER_LOWEST + 8 - j;
    return (ulongs)lanes_pick(lanes_less(v, lanes_look(number_from, j)), (reals)(k + 1), (reals)k);
}

/* half_gap() of a float above 0 that is held in a double. */
static inline reals lanes_half_gap(longs f)
{
    const longs half = (f & 0x7FF0000000000000) - ((int64_t)24 << 52);
    /* below a power of two the neighbour is nearer */
    return lanes_pick(lanes_zero(f & 0xFFFFFFFFFFFFF), (reals)(half - ((int64_t)1 << 52)), (reals)half);
}

/* v as a float: to 24 bits, ties to even. */
static inline longs lanes_float(reals v)
{
    const longs bits = (longs)v;
    return (bits + 0xFFFFFFF + ((bits >> 29) & 1)) & ~(int64_t)0x1FFFFFFF;
}

/* fewest_digits() */
static inline reals lanes_fewest(reals s, reals reach)
{
    const double TENTH = .1, HUNDREDTH = .1 * .1, THOUSANDTH = .1 * .1 * .1;
    const reals nine = lanes_floor(s + 0.5), eight = lanes_floor(s * TENTH + 0.5) * 10,
                seven = lanes_floor(s * HUNDREDTH + 0.5) * 100, six = lanes_floor(s * THOUSANDTH + 0.5) * 1000;
    const which to_eight = lanes_less(lanes_fabs(eight - s), reach),
                to_seven = to_eight & lanes_less(lanes_fabs(seven - s), reach),
                to_six = to_seven & lanes_less(lanes_fabs(six - s), reach);
    return lanes_pick(to_six, six, lanes_pick(to_seven, seven, lanes_pick(to_eight, eight, nine)));
}

/* The digits of v as a whole number, 10^8 .. 10^9. */
static inline reals lanes_digits(reals v, reals power)
{
    const reals s = v * power, exact = lanes_floor(s + 0.5);
    const longs f = lanes_float(v);
    const reals fewest = lanes_fewest((reals)f * power, lanes_half_gap(f) * power - 1e-6);
    const which near = lanes_less(lanes_fabs(s - exact), lanes_all(1e-6));
    if (!lanes_any(near)) return fewest; /* most numbers that were computed: the division is dear */
    return lanes_pick(near & lanes_equal(exact / power, v), exact, fewest);
}

/* floor(n / 10^m) + WHOLE */
static inline reals lanes_quotient(reals n, double tenths)
{
    return n * tenths - (1 - tenths) / 2 + WHOLE;
}

/* number_eight_digits() of high * 10^4 + low, which come with WHOLE added. */
static inline ulongs lanes_eight_digits(reals high, reals low)
{
    const words x = (words)(((longs)high & 0x3FFF) | ((longs)low & 0x3FFF) << 32);
    const words hundreds = x * 10486 >> 20, y = hundreds | (x - 100 * hundreds) << 16;
    const words tens = (y * 103 >> 10) & 0x000F000F;
    return (ulongs)(tens | (y - 10 * tens) << 8);
}

static inline void lanes_convert(const double *const *x, uint64_t *firsts, uint64_t *eights, int64_t *e10s)
{
    reals v = lanes_fabs(lanes_load(x));
    const which usual = lanes_less(v, lanes_all(1e9)) &
                        lanes_less(lanes_all(0x1.c25c268497681p-44) /* that below 1e-13 */, v);
    v = lanes_pick(usual, v, lanes_all(1));

    const ulongs k = lanes_scale(v);
    reals nine = lanes_digits(v, lanes_look(number_power, k));
    const which up = lanes_equal(nine, lanes_all(1e9)); /* rounded up */
    nine = lanes_pick(up, lanes_all(1e8), nine);
    const longs e10 = 8 - (longs)k, odd = (longs){0} + NUMBER_LANES_ODD;
    const reals e10_up = lanes_pick(up, (reals)(e10 + 1), (reals)e10), told = lanes_pick(usual, e10_up, (reals)odd);
    memcpy(e10s, &told, sizeof(told));

    /* side by side: the first digit, and the first five */
    const reals leading = lanes_quotient(nine, 1e-8), five = lanes_quotient(nine, 1e-4) - WHOLE;
    const reals high = five - (leading - WHOLE) * 1e4 + WHOLE, low = nine - five * 1e4 + WHOLE;
    const longs first = (longs)leading & 0xF;
    const ulongs eight = lanes_eight_digits(high, low);
    memcpy(firsts, &first, sizeof(first));
    memcpy(eights, &eight, sizeof(eight));
}

void NAME(const double *const x[NUMBER_LANES], uint64_t *first, uint64_t *eight, int64_t *e10)
{
    for (int at = 0; at < NUMBER_LANES; at += LANES) lanes_convert(x + at, first + at, eight + at, e10 + at);
}

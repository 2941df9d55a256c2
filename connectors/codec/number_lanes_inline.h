/* The texts of number_lanes.h, written once for vectors of `LANES` doubles.  The includer brings immintrin.h, for each text
 * is laid out by a byte shuffle of SSSE3, defines LANES, NAME and the mask type `which`, and after this header the functions
 * that are only declared here.
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
static inline longs lanes_count_bytes(ulongs); /* that are not 0 */
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

/* How many characters number_lay_out() makes of them. */
static inline longs lanes_length(ulongs eight, longs e10)
{
    ulongs used = eight | eight >> 8; /* no byte up to the last digit that is not 0 stays 0 */
    used |= used >> 16;
    used |= used >> 32;
    const longs digits = lanes_count_bytes(used) + 1, whole = e10 + 1;
    const longs with_point = digits + 1 - (e10 & (e10 < 0)); /* and with the zeros of a number below 1 */
    return whole ^ ((whole ^ with_point) & (digits > whole));
}

/* By e10 - NUMBER_PLAIN_LOWEST: how a number looks.  The low four bits of each character, which are all that a shuffle takes,
 * tell where it comes from: a digit 1..9 from the byte of that number, 0, the point and the sign from bytes of their own. */
enum { FORM_BYTES = 32, SIGN_AT = '-' & 15, POINT_AT = '.' & 15 };
static const char forms[][FORM_BYTES] = {"-0.0000123456789", "-0.000123456789", "-0.00123456789", "-0.0123456789",
                                         "-0.123456789",     "-1.23456789",     "-12.3456789",    "-123.456789",
                                         "-1234.56789",      "-12345.6789",     "-123456.789",    "-1234567.89",
                                         "-12345678.9",      "-123456789"};

/* number_lay_out(), with the sign: `negative` is 1 or 0. */
static inline void lanes_lay_out(ulongs first, ulongs eight, longs e10, longs negative,
                                 char (*text)[NUMBER_LANE_BYTES], int64_t *lens)
{
    enum { BITS = 8, WORD = 8 };
    const uint64_t zeros = 0x3030303030303030u;
    const ulongs low = eight << 2 * BITS | first << BITS | zeros;
    const ulongs high = eight >> 6 * BITS | ((zeros & 0xFFFF) | (uint64_t)'-' << BITS * (SIGN_AT - WORD) |
                                             (uint64_t)'.' << BITS * (POINT_AT - WORD));
    const longs plain = (e10 >= NUMBER_PLAIN_LOWEST) & (e10 <= NUMBER_SHORT_HIGHEST);
    const longs form = ((e10 - NUMBER_PLAIN_LOWEST) & plain) * FORM_BYTES + (1 - negative);
    const longs len = (lanes_length(eight, e10) + negative) & plain;
    memcpy(lens, &len, sizeof(len));
    for (int i = 0; i < LANES; i++) {
        const __m128i parts = _mm_set_epi64x((int64_t)high[i], (int64_t)low[i]);
        const __m128i order = _mm_loadu_si128((const __m128i *)(const void *)(forms[0] + form[i]));
        _mm_storeu_si128((__m128i *)(void *)text[i], _mm_shuffle_epi8(parts, order));
    }
}

static inline void lanes_write(const double *const *x, char (*text)[NUMBER_LANE_BYTES], int64_t *lens)
{
    const reals numbers = lanes_load(x);
    reals v = lanes_fabs(numbers);
    const which usual = lanes_less(v, lanes_all(1e9)) &
                        lanes_less(lanes_all(0x1.c25c268497681p-44) /* that below 1e-13 */, v);
    v = lanes_pick(usual, v, lanes_all(1));

    const ulongs k = lanes_scale(v);
    reals nine = lanes_digits(v, lanes_look(number_power, k));
    const which up = lanes_equal(nine, lanes_all(1e9)); /* rounded up */
    nine = lanes_pick(up, lanes_all(1e8), nine);
    const longs e10 = 8 - (longs)k, odd = (longs){0} + NUMBER_SHORT_HIGHEST + 1;
    const reals e10_up = lanes_pick(up, (reals)(e10 + 1), (reals)e10), told = lanes_pick(usual, e10_up, (reals)odd);

    /* side by side: the first digit, and the first five */
    const reals leading = lanes_quotient(nine, 1e-8), five = lanes_quotient(nine, 1e-4) - WHOLE;
    const reals high = five - (leading - WHOLE) * 1e4 + WHOLE, low = nine - five * 1e4 + WHOLE;
    const longs negative = (longs)((ulongs)numbers >> 63);
    lanes_lay_out((ulongs)leading & 0xF, lanes_eight_digits(high, low), (longs)told, negative, text, lens);
}

void NAME(const double *const *x, int n, char (*text)[NUMBER_LANE_BYTES], int64_t *len)
{
    for (int at = 0; at < n; at += LANES) lanes_write(x + at, text + at, len + at);
}

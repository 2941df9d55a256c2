#include "engine/detect/tail.h"

/* -log10 Q(z) at z = -1, -.75, .., 9; from erfc in double precision. */
static const double minus_log10_q[] = {
    .07503,   .11161,   .16023,   .22279,   .30103,   .39654,   .51069,   .64469,  .79955,   .97613,   1.17518,
    1.3973,   1.64302,  1.91277,  2.20693,  2.52582,  2.8697,   3.23881,  3.63334, 4.05346,  4.49933,  4.97108,
    5.46882,  5.99264,  6.54265,  7.1189,   7.72149,  8.35045,  9.00586,  9.68777, 10.39621, 11.13122, 11.89285,
    12.68113, 13.49609, 14.33775, 15.20614, 16.10129, 17.02321, 17.97193, 18.94746};

double tail_minus_log10(double z)
{
    if (!(z > -1)) return 0;
    if (z >= 9) return minus_log10_q[40];
    double place = (z + 1) * 4;
    int i = (int)place;
    return minus_log10_q[i] + (place - i) * (minus_log10_q[i + 1] - minus_log10_q[i]);
}

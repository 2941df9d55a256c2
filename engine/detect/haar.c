#include "engine/detect/haar.h"

#include <math.h>

#include "engine/math/precise.h"

static const double LN_2 = 0.69314718055994530942;

/* No options: how many it takes before a mean of squares can say what is too large; and that a shift which has become normal
 * counts as two of the long blocks' differences, or the next such shift would open a fault again. */
enum { STEPS_TO_CLIP = 32, COUNTS_TO_CLIP = 16, FEWEST_COUNTS = 8, SHIFT_OCTAVE = 7, SHIFT_COUNTS = 2 };

static double haar_block(int octave) /* records */
{
    return (double)(1 << octave);
}

static void haar_add_step(struct haar *h, double x, uint32_t n, const struct haar_settings *s)
{
    const struct haar_octave *first = &h->octaves[0];
    if (!first->filled) return;
    const double d = x - (double)first->half[(first->at + 3) & 3];
    double square = d * d;
    if (n > STEPS_TO_CLIP && h->step > 0) square = fmin(square, s->clip * (double)h->step);
    h->step += (float)(fmax(1 / (double)n, 1 / s->memory) * (square - (double)h->step));
}

/* The variance of octave j from its two newest blocks. */
static void haar_add_difference(struct haar_octave *o, int j, const struct haar_settings *s)
{
    const float *half = o->half;
    const int at = o->at; /* the oldest */
    const double older = (double)half[at] + (double)half[(at + 1) & 3];
    const double newer = (double)half[(at + 2) & 3] + (double)half[(at + 3) & 3];
    const double d = (newer - older) / haar_block(j);
    double v = d * d / 2;
    o->count++;
    if (o->count > COUNTS_TO_CLIP && o->variance > 0) v = fmin(v, s->clip * (double)o->variance);
    const double longest = fmax(FEWEST_COUNTS, 2 * s->memory / haar_block(j));
    o->variance += (float)((v - (double)o->variance) / fmin((double)o->count, longest));
}

void haar_add(struct haar *h, double x, uint32_t n, const struct haar_settings *s)
{
    haar_add_step(h, x, n, s);
    double half = x;
    for (int j = 1; j <= HAAR_OCTAVES; j++) {
        struct haar_octave *o = &h->octaves[j - 1];
        const double before = (double)o->half[(o->at + 3) & 3];
        o->half[o->at] = (float)half;
        o->at = (o->at + 1) & 3;
        if (o->filled < 4) o->filled++;
        if (o->filled == 4) haar_add_difference(o, j, s);
        o->odd ^= 1;
        if (o->odd) return; /* half a block of the next octave is two of this one's */
        half += before;
    }
}

bool haar_sound(const struct haar *h)
{
    bool sound = true;
    for (int i = 0; i < HAAR_OCTAVES; i++) sound &= h->octaves[i].at < 4 && h->octaves[i].filled <= 4;
    return sound;
}

void haar_restart(struct haar *h)
{
    for (int i = 0; i < HAAR_OCTAVES; i++) h->octaves[i].filled = h->octaves[i].odd = 0;
}

void haar_admit(struct haar *h, double shift)
{
    for (int j = 1; j <= HAAR_OCTAVES; j++) {
        struct haar_octave *o = &h->octaves[j - 1];
        o->count = fminf(o->count, FEWEST_COUNTS);
        if (j < SHIFT_OCTAVE) continue;
        o->count += SHIFT_COUNTS;
        o->variance += (float)(SHIFT_COUNTS / (double)o->count * (shift * shift / 2 - (double)o->variance));
    }
    haar_restart(h);
}

/* A weighted straight line through log2 V_j. */
struct haar_line {
    double weight, middle, height, slope;
};

static double haar_log2(const struct haar_octave *o)
{
    return precise_log((double)o->variance + 1e-38) / LN_2;
}

static struct haar_line haar_fit(const struct haar *h)
{
    struct haar_line line = {0};
    double along = 1e-12, across = 0;
    for (int j = HAAR_FIT_FIRST; j <= HAAR_FIT_LAST; j++) {
        const struct haar_octave *o = &h->octaves[j - 1];
        const double w = (double)o->count / 2;
        if (o->count < 1) continue;
        line.weight += w;
        line.middle += w * j;
        line.height += w * haar_log2(o);
    }
    if (line.weight <= 0) return line;
    line.middle /= line.weight;
    line.height /= line.weight;
    for (int j = HAAR_FIT_FIRST; j <= HAAR_FIT_LAST; j++) {
        const struct haar_octave *o = &h->octaves[j - 1];
        const double w = (double)o->count / 2, from = j - line.middle;
        if (o->count < 1) continue;
        along += w * from * from;
        across += w * from * (haar_log2(o) - line.height);
    }
    line.slope = across / along;
    return line;
}

double haar_tolerance(const struct haar *h, const struct haar_settings *s, double *drift)
{
    const struct haar_line line = haar_fit(h);
    if (line.weight <= 0) return 0;
    *drift = fmin(fmax((line.slope - s->slope_level) / (s->slope_drift - s->slope_level), 0), 1);
    const double slope = fmin(fmax(line.slope, -1), 2);
    double sum = .125 * s->rate * s->rate * (double)h->step; /* what single steps leave in the mean */
    for (int j = HAAR_SUM_FIRST; j <= HAAR_OCTAVES; j++) {
        const struct haar_octave *o = &h->octaves[j - 1];
        const double w = (double)o->count / 2, t = w / (w + s->trust);
        const double fit = line.height + slope * (j - line.middle);
        sum += precise_exp(LN_2 * (t * haar_log2(o) + (1 - t) * fit));
    }
    return sqrt(sum);
}

#include "engine/forecast/outlook.h"

#include "engine/forecast/ring.h"

static size_t outlook_numbers(const struct outlook_shape *s)
{
    return s->first[s->n_horizons] * (size_t)s->n_dims;
}

size_t outlook_bytes(const struct outlook_shape *s)
{
    const size_t each = sizeof(double) + sizeof(float) + (size_t)s->n_edges * sizeof(bands_edge);
    return (outlook_numbers(s) * each + 7) & ~(size_t)7;
}

struct outlook_entry outlook_at(const struct outlook_shape *s, unsigned char *outlook, int j, int64_t t)
{
    const size_t place = (s->first[j] + ring_place(t, s->horizons[j])) * (size_t)s->n_dims;
    double *xhat = (double *)(void *)outlook;
    float *s0 = (float *)(void *)(xhat + outlook_numbers(s));
    bands_edge *edges = (bands_edge *)(void *)(s0 + outlook_numbers(s));
    return (struct outlook_entry){xhat + place, s0 + place, edges + place * (size_t)s->n_edges};
}

/* Forecasts that wait for their label: for horizon h a ring of the last h forecasts.
 *
 * A forecast made at step t for t + h lies in place t mod h of its ring, and is overwritten at step t + h by the next
 * one, right after it was compared with what came.
 *
 * Layout   in the key's row, per channel:  xhat [sum of h, n_dims] doubles | s0 [sum of h, n_dims] floats |
 *          edges [sum of h, n_dims, n_edges] (s0 and edges: how its bands were written out, bands.h). */
#ifndef ENGINE_FORECAST_OUTLOOK_H
#define ENGINE_FORECAST_OUTLOOK_H

#include <stddef.h>
#include <stdint.h>

#include "engine/forecast/bands.h"
#include "engine/forecast/ring.h"

struct outlook_shape {
    int n_horizons, n_dims;
    const int *horizons; /* [n_horizons] */
    const size_t *first; /* [n_horizons + 1] sum of the horizons before the j-th: where its ring begins */
    int n_edges;         /* two per band; 0: nothing is kept of them */
};
struct outlook_entry {
    double *xhat;      /* [n_dims] */
    float *s0;         /* [n_dims] */
    bands_edge *edges; /* [n_dims, n_edges] */
};

size_t outlook_bytes(const struct outlook_shape *); /* per channel, a multiple of 8 */

static inline size_t outlook_numbers(const struct outlook_shape *s)
{
    return s->first[s->n_horizons] * (size_t)s->n_dims;
}

/* The place of horizon j at step t; what lies there was forecast for t if t >= horizons[j]. */
static inline struct outlook_entry outlook_at(const struct outlook_shape *s, unsigned char *outlook, int j, int64_t t)
{
    const size_t numbers = outlook_numbers(s);
    const size_t place = (s->first[j] + ring_place(t, s->horizons[j])) * (size_t)s->n_dims;
    double *xhat = (double *)(void *)outlook;
    float *s0 = (float *)(void *)(xhat + numbers);
    bands_edge *edges = (bands_edge *)(void *)(s0 + numbers);
    return (struct outlook_entry){xhat + place, s0 + place, edges + place * (size_t)s->n_edges};
}

#endif

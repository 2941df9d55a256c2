#include "engine/forecast/outlook.h"

size_t outlook_bytes(const struct outlook_shape *s)
{
    const size_t each = sizeof(double) + sizeof(float) + (size_t)s->n_edges * sizeof(bands_edge);
    return (outlook_numbers(s) * each + 7) & ~(size_t)7;
}

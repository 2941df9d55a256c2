#include "engine/model/model.h"

#include <stdlib.h>
#include <string.h>

#include "engine/model/tensors.h"

enum { PACKED_MULTIPLE = 16 /* floats; each network's packed weights start on a cache line */ };

eddy_status model_open(const char *const *names, struct network *const *networks, int n, struct model **out,
                       struct eddy_error *err)
{
    *out = NULL;
    struct model *m = calloc(1, sizeof(*m));
    struct model_slice *slices = calloc((size_t)n + 1, sizeof(*slices));
    if (!m || !slices) {
        free(m);
        free(slices);
        return eddy_fail(err, EDDY_ENOMEM, "out of memory for a model of %d networks", n);
    }
    m->n = n;
    m->slices = slices;
    for (int i = 0; i < n; i++) {
        slices[i] = (struct model_slice){names[i], networks[i], m->n_params, m->n_packed, m->n_tensors};
        m->n_tensors += tensors_count(networks[i]);
        m->n_params += networks[i]->n_params;
        m->n_packed += (networks[i]->n_packed + PACKED_MULTIPLE - 1) / PACKED_MULTIPLE * PACKED_MULTIPLE;
    }
    *out = m;
    return EDDY_OK;
}

void model_close(struct model *m)
{
    if (!m) return;
    free(m->slices);
    free(m);
}

void model_init(const struct model *m, uint64_t seed, float *params)
{
    for (int i = 0; i < m->n; i++) {
        uint64_t own = i == 0 ? seed : eddy_random_bits(seed ^ 0x6e6574776f726bu, (uint64_t)i);
        network_init(m->slices[i].net, own, params + m->slices[i].first_param);
    }
}

void model_pack(const struct model *m, const float *params, float *packed)
{
    for (int i = 0; i < m->n; i++) {
        const struct model_slice *s = &m->slices[i];
        network_pack(s->net, params + s->first_param, packed + s->first_packed);
    }
}

eddy_status model_fingerprint(const struct model *m, struct eddy_buffer *out)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < m->n && rc >= 0; i++) {
        rc = eddy_buffer_append(out, m->slices[i].name, strlen(m->slices[i].name));
        if (rc >= 0) rc = eddy_buffer_append(out, "\n", 1);
        if (rc >= 0) rc = network_fingerprint(m->slices[i].net, out);
    }
    return rc;
}

void model_summary(const struct model *m, FILE *out)
{
    for (int i = 0; i < m->n; i++) {
        if (m->n > 1) (void)fprintf(out, "%snetwork %s\n", i > 0 ? "\n" : "", m->slices[i].name);
        network_summary(m->slices[i].net, out);
    }
    if (m->n > 1) (void)fprintf(out, "\nall networks: %zu parameters\n", m->n_params);
}

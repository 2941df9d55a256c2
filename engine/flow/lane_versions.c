#include "engine/flow/lane_versions.h"

#include <string.h>

#include "engine/flow/blob.h"

enum { VERSIONS_FORMAT = 1, ROLLED_FORMAT = 1 };

eddy_status lane_versions_read(struct store *store, struct lane_version out[LANE_VERSIONS_MOST], int *n,
                               struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    uint32_t format = 0, count = 0;
    *n = 0;
    eddy_status rc = store_get_meta(store, "versions", &b, err);
    if (rc == EDDY_ENOTFOUND) return EDDY_OK;
    struct blob_reader r = {b.data, b.len};
    bool good = rc >= 0 && blob_get_u32(&r, &format) && format > 0;
    if (good && format > VERSIONS_FORMAT) rc = blob_newer("versions", format, VERSIONS_FORMAT, err);
    good = good && blob_get_u32(&r, &count) && count <= LANE_VERSIONS_MOST;
    for (uint32_t i = 0; rc >= 0 && good && i < count; i++)
        good = blob_get_u64(&r, &out[i].version) && blob_get_i64(&r, &out[i].offset) &&
               blob_get_u64(&r, &out[i].origin);
    if (rc >= 0 && !good)
        rc = eddy_fail(err, EDDY_ECORRUPT, "%s: the stored list of model versions is damaged", store_file(store));
    if (rc >= 0) *n = (int)count;
    eddy_buffer_free(&b);
    return rc;
}

eddy_status lane_versions_note(struct store *store, const struct lane_version *newest, int64_t keep,
                               struct eddy_error *err)
{
    struct lane_version all[LANE_VERSIONS_MOST];
    struct eddy_buffer b = {0};
    int n = 0;
    eddy_status rc = lane_versions_read(store, all, &n, err);
    if (rc < 0) return rc;
    while (n > 0 && all[n - 1].version >= newest->version) n--; /* a state that was set back */
    if (keep > LANE_VERSIONS_MOST) keep = LANE_VERSIONS_MOST;
    const int drop = n + 1 > keep ? n + 1 - (int)keep : 0;
    memmove(all, all + drop, (size_t)(n - drop) * sizeof(*all));
    n -= drop;
    all[n++] = *newest;
    rc = blob_u32(&b, VERSIONS_FORMAT, EDDY_OK);
    rc = blob_u32(&b, (uint32_t)n, rc);
    for (int i = 0; i < n; i++) {
        rc = blob_u64(&b, all[i].version, rc);
        rc = blob_i64(&b, all[i].offset, rc);
        rc = blob_u64(&b, all[i].origin, rc);
    }
    if (rc < 0) rc = eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", store_file(store));
    if (rc >= 0) rc = store_put_meta(store, "versions", b.data, b.len, err);
    eddy_buffer_free(&b);
    return rc;
}

eddy_status lane_versions_rolled(struct store *store, uint64_t out[LANE_VERSIONS_MOST], int *n,
                                 struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    uint32_t format = 0, count = 0;
    *n = 0;
    eddy_status rc = store_get_meta(store, "rolled", &b, err);
    if (rc == EDDY_ENOTFOUND) return EDDY_OK;
    struct blob_reader r = {b.data, b.len};
    bool good = rc >= 0 && blob_get_u32(&r, &format) && format > 0;
    if (good && format > ROLLED_FORMAT) rc = blob_newer("rolled", format, ROLLED_FORMAT, err);
    good = good && blob_get_u32(&r, &count) && count <= LANE_VERSIONS_MOST;
    for (uint32_t i = 0; rc >= 0 && good && i < count; i++) good = blob_get_u64(&r, &out[i]);
    if (rc >= 0 && !good)
        rc = eddy_fail(err, EDDY_ECORRUPT, "%s: the stored list of rollbacks is damaged", store_file(store));
    if (rc >= 0) *n = (int)count;
    eddy_buffer_free(&b);
    return rc;
}

eddy_status lane_versions_note_rolled(struct store *store, uint64_t version, struct eddy_error *err)
{
    struct lane_version noted[LANE_VERSIONS_MOST];
    uint64_t rolled[LANE_VERSIONS_MOST];
    struct eddy_buffer b = {0};
    int n_noted, n, first = 0;
    eddy_status rc = lane_versions_read(store, noted, &n_noted, err);
    if (rc >= 0) rc = lane_versions_rolled(store, rolled, &n, err);
    if (rc < 0) return rc;
    while (n > 0 && rolled[n - 1] >= version) n--; /* a state that was set back */
    while (first < n && (n_noted == 0 || rolled[first] < noted[0].version)) first++;
    if (n - first == LANE_VERSIONS_MOST) first++;
    rc = blob_u32(&b, ROLLED_FORMAT, EDDY_OK);
    rc = blob_u32(&b, (uint32_t)(n - first + 1), rc);
    for (int i = first; i < n; i++) rc = blob_u64(&b, rolled[i], rc);
    rc = blob_u64(&b, version, rc);
    if (rc < 0) rc = eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", store_file(store));
    if (rc >= 0) rc = store_put_meta(store, "rolled", b.data, b.len, err);
    eddy_buffer_free(&b);
    return rc;
}

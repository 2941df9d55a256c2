/* Windows as a new key would have kept them: the same values, with a scale that begins at the window, states of 0 and no
 * season.  Any stretch of any key's past is an example of how a key begins, so that networks learn from a whole fleet's
 * past what to say of a key that they have hardly seen, and not from the few first steps alone.
 *
 * Once a new key would know its season (after one), the window has no labels: what it would have known then is not redone. */
#include <math.h>
#include <stdlib.h>

#include "engine/flow/lane_private.h"
#include "engine/forecast/scale.h"

static const uint64_t YOUNG = 0x796f756e67u; /* purpose of random numbers */

eddy_status lane_young_open(struct lane *l, struct eddy_error *err)
{
    const struct plan *p = l->plan;
    const size_t n = (size_t)p->n_steps * (size_t)p->n_dims;
    if (!(p->settings->train.young > 0)) return EDDY_OK;
    l->young.points = calloc(n, sizeof(*l->young.points));
    l->young.away = calloc(n, sizeof(*l->young.away));
    if (l->young.points && l->young.away) return EDDY_OK;
    return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory while training", l->topic, (int)l->request.partition);
}

void lane_young_close(struct lane *l)
{
    free(l->young.points), free(l->young.away);
}

bool lane_young_wants(const struct lane *l, const struct lane_window *w)
{
    const double share = l->plan->settings->train.young;
    return share > 0 && (double)(lane_window_draw(l, w, YOUNG) >> 11) * 0x1p-53 < share;
}

static void young_value(struct lane *l, const struct key_row *r, int channel, int dim, int64_t first, int64_t end)
{
    const struct plan *p = l->plan;
    struct scale s = {0};
    for (int64_t step = first; step < end; step++) {
        const size_t place = (size_t)(step - first) * (size_t)p->n_dims + (size_t)dim;
        const struct point *kept = (const struct point *)(const void *)(lane_point(l, r, channel, step) + 1) + dim;
        const bool known = kept->known > 0;
        const double x = kept->value, last = s.n > 0 ? s.last : x;
        if (known) (void)scale_update(&s, x);
        if (s.n == 0) {
            l->young.points[place] = (struct point){.value = NAN, .sigma = 1};
            l->young.away[place] = NAN;
            continue;
        }
        struct point *point = &l->young.points[place];
        *point = lane_point_against(p, &s, channel * p->n_dims + dim, x, last, known);
        l->young.away[place] = (float)lane_clip((x - s.mean) / (double)point->sigma, 1e6);
    }
}

void lane_young_view(struct lane *l, const struct key_row *r, int channel, int64_t first, int64_t end)
{
    for (int d = 0; d < l->plan->n_dims; d++) young_value(l, r, channel, d, first, end);
}

#include "engine/flow/lane_share.h"

#include <stdlib.h>
#include <string.h>

#include "engine/flow/blob.h"
#include "engine/flow/lane_private.h"

/* Until so many offsets after the lane's first one, boundaries are no further apart than this. */
static const struct {
    int64_t until, apart;
} stages[] = {{64, 4}, {1024, 16}, {8192, 64}};
enum { N_STAGES = sizeof(stages) / sizeof(stages[0]) };

static size_t share_item_bytes(const struct plan *p)
{
    return sizeof(struct lane_share_head) + p->contribution_bytes;
}

static struct lane_share_head *share_item(const struct lane *l, int i)
{
    return (struct lane_share_head *)(void *)(l->share.waiting + (size_t)i * share_item_bytes(l->plan));
}

/* ---- what is shared ---- */

/* The i-th that may share something: an expert, or behind the last of them the mix; model_bytes 0: it does not. */
static const struct plan_share *share_of(const struct plan *p, int i)
{
    return i < p->n_experts ? &p->experts[i].share : &p->prior;
}

static int share_count(const struct plan *p)
{
    int n = 0;
    for (int i = 0; i <= p->n_experts; i++) n += share_of(p, i)->model_bytes > 0;
    return n;
}

static void share_init(struct lane *l)
{
    const struct plan *p = l->plan;
    for (int i = 0; i < p->n_experts; i++) {
        const struct plan_expert *e = &p->experts[i];
        if (e->share.model_bytes > 0 && e->part->model_init)
            e->part->model_init(e->settings, &e->shape, l->share.model + e->share.at_model);
    }
    const struct prior_shape shape = blend_prior(&p->blend);
    if (p->prior.model_bytes > 0) prior_init(&shape, l->share.model + p->prior.at_model);
}

static void share_learn_one(struct lane *l, int i)
{
    const struct plan *p = l->plan;
    unsigned char *model = l->share.model + share_of(p, i)->at_model;
    if (i < p->n_experts) {
        const struct plan_expert *e = &p->experts[i];
        e->part->learn(e->settings, &e->shape, model, l->share.ordered, l->share.n);
    } else {
        const struct prior_shape shape = blend_prior(&p->blend);
        prior_learn(&shape, model, l->share.ordered, l->share.n);
    }
}

static bool share_sound(const struct lane *l, int i)
{
    const struct plan *p = l->plan;
    const unsigned char *model = l->share.model + share_of(p, i)->at_model;
    if (i < p->n_experts) {
        const struct plan_expert *e = &p->experts[i];
        return !e->part->model_sound || e->part->model_sound(e->settings, &e->shape, model);
    }
    const struct prior_shape shape = blend_prior(&p->blend);
    return prior_sound(&shape, model);
}

/* What a stored model must fit. */
static uint64_t share_meaning(const struct plan *p, int i)
{
    if (i == p->n_experts) return eddy_random_bits(p->prior.model_bytes, p->prior_version);
    const struct plan_expert *e = &p->experts[i];
    const struct eddy_expert_shape *shape = &e->shape;
    uint64_t h = eddy_random_bits(e->share.model_bytes, e->part->state_version);
    for (const char *c = e->part->part.name; *c; c++) h = eddy_random_bits(h, (unsigned char)*c);
    for (int j = 0; j < shape->n_horizons; j++) h = eddy_random_bits(h, (uint64_t)shape->horizons[j]);
    return eddy_random_bits(h, e->bytes);
}

const void *lane_share_prior(const struct lane *l)
{
    return l->plan->prior.model_bytes > 0 ? l->share.model + l->plan->prior.at_model : NULL;
}

/* ---- memory ---- */

eddy_status lane_share_open(struct lane *l, struct eddy_error *err)
{
    const struct plan *p = l->plan;
    struct lane_share *s = &l->share;
    s->until = -1;
    if (p->shared_bytes == 0) return EDDY_OK;
    s->model = calloc(1, p->shared_bytes);
    s->mark.model = calloc(1, p->shared_bytes);
    s->waiting = calloc(SHARE_MOST, share_item_bytes(p));
    s->mark.waiting = calloc(SHARE_MOST, share_item_bytes(p));
    s->ordered = (const void **)calloc(SHARE_MOST, sizeof(*s->ordered));
    if (!s->model || !s->mark.model || !s->waiting || !s->mark.waiting || !s->ordered)
        return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory for what keys share", l->request.topic,
                         (int)l->request.partition);
    share_init(l);
    return EDDY_OK;
}

void lane_share_close(struct lane *l)
{
    struct lane_share *s = &l->share;
    free(s->model), free(s->mark.model);
    free(s->waiting), free(s->mark.waiting);
    free((void *)s->ordered);
}

/* ---- boundaries ---- */

/* Those around an offset. */
static void share_bounds(const struct lane *l, int64_t offset, int64_t *from, int64_t *until)
{
    const int64_t every = l->plan->settings->forecast.share_every, at = offset - l->start;
    int64_t begin = 0, end = INT64_MAX - l->start, apart = every;
    for (int i = 0; i < N_STAGES; i++) {
        if (at < stages[i].until) {
            end = stages[i].until;
            apart = stages[i].apart < every ? stages[i].apart : every;
            break;
        }
        begin = stages[i].until;
    }
    begin += (at - begin) / apart * apart;
    *from = l->start + begin;
    *until = l->start + (end - begin > apart ? begin + apart : end);
}

/* ---- contributions ---- */

/* One of each run of `apart` places contributes, a place being an offset's value. */
static bool share_chosen(const struct lane *l, int64_t offset, int value)
{
    const uint64_t values = (uint64_t)l->plan->n_values, places = (uint64_t)(l->share.until - l->share.from) * values;
    const uint64_t apart = (places + SHARE_MOST - 1) / SHARE_MOST;
    const uint64_t place = (uint64_t)(offset - l->share.from) * values + (uint64_t)value;
    return apart == 1 || place % apart == eddy_random_bits((uint64_t)l->share.from, place / apart) % apart;
}

unsigned char *lane_share_contribution(struct lane *l, int64_t offset, int value)
{
    struct lane_share *s = &l->share;
    if (s->n == SHARE_MOST || !share_chosen(l, offset, value)) return NULL;
    struct lane_share_head *head = share_item(l, s->n++);
    *head = (struct lane_share_head){offset, value};
    return memset(head + 1, 0, l->plan->contribution_bytes);
}

static int share_by_place(const void *a, const void *b)
{
    const struct lane_share_head *x = *(const void *const *)a, *y = *(const void *const *)b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

/* ordered [n]: the heads of those that wait. */
static void share_sort(struct lane *l)
{
    for (int i = 0; i < l->share.n; i++) l->share.ordered[i] = share_item(l, i);
    qsort((void *)l->share.ordered, (size_t)l->share.n, sizeof(*l->share.ordered), share_by_place);
}

static void share_learn(struct lane *l)
{
    const struct plan *p = l->plan;
    struct lane_share *s = &l->share;
    share_sort(l);
    size_t at = 0; /* of what the pointers point to, in an item */
    for (int k = 0; k <= p->n_experts; k++) {
        const struct plan_share *x = share_of(p, k);
        if (x->model_bytes == 0) continue;
        const size_t from = sizeof(struct lane_share_head) + x->at_contribution;
        for (int i = 0; i < s->n; i++) s->ordered[i] = (const unsigned char *)s->ordered[i] + (from - at);
        at = from;
        share_learn_one(l, k);
    }
}

void lane_share_enter(struct lane *l, int64_t offset)
{
    struct lane_share *s = &l->share;
    if (l->plan->shared_bytes == 0 || offset < s->until) return;
    if (s->n > 0) {
        if (!s->mark.apart) memcpy(s->mark.model, s->model, l->plan->shared_bytes);
        share_learn(l);
        if (!s->mark.apart) {
            unsigned char *waited = s->waiting;
            s->waiting = s->mark.waiting;
            s->mark.waiting = waited;
            s->mark.apart = true;
        }
        s->n = 0;
    }
    share_bounds(l, offset, &s->from, &s->until);
}

int64_t lane_share_until(const struct lane *l)
{
    return l->plan->shared_bytes > 0 ? l->share.until : INT64_MAX;
}

/* ---- batches ---- */

void lane_share_mark(struct lane *l)
{
    struct lane_share *s = &l->share;
    if (l->plan->shared_bytes == 0) return;
    s->mark.from = s->from;
    s->mark.until = s->until;
    s->mark.n = s->n;
    s->mark.apart = false;
}

void lane_share_abort(struct lane *l)
{
    struct lane_share *s = &l->share;
    if (l->plan->shared_bytes == 0) return;
    s->from = s->mark.from;
    s->until = s->mark.until;
    s->n = s->mark.n;
    if (!s->mark.apart) return;
    memcpy(s->model, s->mark.model, l->plan->shared_bytes);
    unsigned char *waiting = s->waiting;
    s->waiting = s->mark.waiting;
    s->mark.waiting = waiting;
    s->mark.apart = false;
}

/* ---- checkpoints ---- */

static eddy_status share_bytes(struct eddy_buffer *b, const void *bytes, size_t n, eddy_status before)
{
    return before < 0 ? before : eddy_buffer_append(b, bytes, n);
}

eddy_status lane_share_blob(struct lane *l, struct eddy_buffer *b)
{
    const struct plan *p = l->plan;
    const struct lane_share *s = &l->share;
    if (p->shared_bytes == 0) return EDDY_OK;
    eddy_status rc = blob_u32(b, SHARE_FORMAT, EDDY_OK);
    rc = blob_u32(b, (uint32_t)share_count(p), rc);
    for (int i = 0; i <= p->n_experts; i++) {
        const struct plan_share *x = share_of(p, i);
        if (x->model_bytes == 0) continue;
        rc = blob_u64(b, share_meaning(p, i), rc);
        rc = blob_u64(b, x->model_bytes, rc);
        rc = share_bytes(b, s->model + x->at_model, x->model_bytes, rc);
    }
    rc = blob_i64(b, s->from, rc);
    rc = blob_i64(b, s->until, rc);
    rc = blob_u64(b, p->contribution_bytes, rc);
    rc = blob_u32(b, (uint32_t)s->n, rc);
    share_sort(l);
    for (int i = 0; i < s->n; i++) {
        const struct lane_share_head *head = s->ordered[i];
        rc = blob_i64(b, head->offset, rc);
        rc = blob_i64(b, head->value, rc);
        rc = share_bytes(b, head + 1, p->contribution_bytes, rc);
    }
    return rc;
}

static eddy_status share_damaged(const struct lane *l, struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ECORRUPT, "%s[%d]: what is stored of the keys' shared models is damaged", l->topic,
                     (int)l->request.partition);
}

/* The stored models, each to whom it fits; *all: every one had its place. */
static bool share_get_models(struct lane *l, struct blob_reader *r, bool *all)
{
    const struct plan *p = l->plan;
    uint32_t n;
    uint64_t meaning, bytes;
    int next = 0;
    if (!blob_get_u32(r, &n)) return false;
    *all = n == (uint32_t)share_count(p);
    for (uint32_t i = 0; i < n; i++) {
        if (!blob_get_u64(r, &meaning) || !blob_get_u64(r, &bytes) || r->left < bytes) return false;
        while (next <= p->n_experts && share_of(p, next)->model_bytes == 0) next++;
        const int at = next++;
        if (at <= p->n_experts && share_of(p, at)->model_bytes == bytes && share_meaning(p, at) == meaning) {
            memcpy(l->share.model + share_of(p, at)->at_model, r->at, bytes);
            if (!share_sound(l, at)) return false;
        } else {
            *all = false;
        }
        r->at += bytes;
        r->left -= bytes;
    }
    return true;
}

static bool share_get_waiting(struct lane *l, struct blob_reader *r, bool fits)
{
    const struct plan *p = l->plan;
    struct lane_share *s = &l->share;
    int64_t from, until;
    uint64_t bytes;
    uint32_t n;
    if (!blob_get_i64(r, &from) || !blob_get_i64(r, &until) || !blob_get_u64(r, &bytes) || !blob_get_u32(r, &n))
        return false;
    if (n > SHARE_MOST || bytes > r->left || r->left != n * (2 * sizeof(int64_t) + bytes)) return false;
    if (until >= 0 && (from < 0 || from > until)) return false;
    if (!fits || bytes != p->contribution_bytes) return true;
    for (; s->n < (int)n; s->n++) {
        struct lane_share_head *head = share_item(l, s->n);
        (void)blob_get_i64(r, &head->offset);
        (void)blob_get_i64(r, &head->value);
        memcpy(head + 1, r->at, bytes);
        r->at += bytes;
        r->left -= bytes;
    }
    s->from = from;
    s->until = until;
    return true;
}

/* Format and models of a blob. */
static eddy_status share_read(struct lane *l, struct blob_reader *r, bool *all, struct eddy_error *err)
{
    uint32_t format = 0;
    bool good = blob_get_u32(r, &format) && format > 0;
    if (good && format > SHARE_FORMAT) return blob_newer("shared", format, SHARE_FORMAT, err);
    good = good && share_get_models(l, r, all);
    return good ? EDDY_OK : share_damaged(l, err);
}

eddy_status lane_share_begin(struct lane *l, const void *blob, size_t n, struct eddy_error *err)
{
    struct blob_reader r = {blob, n};
    bool all;
    const eddy_status rc = n > 0 ? share_read(l, &r, &all, err) : EDDY_OK;
    if (rc < 0 || (n > 0 ? all : l->plan->shared_bytes == 0)) return rc;
    return eddy_fail(err, EDDY_EMISMATCH,
                     "%s[%d]: what keys shared was learnt by other experts or for other horizons", l->topic,
                     (int)l->request.partition);
}

eddy_status lane_share_restore(struct lane *l, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    bool all = false;
    eddy_status rc = store_get_meta(l->store, "shared", &b, err);
    if (rc == EDDY_ENOTFOUND) return EDDY_OK;
    struct blob_reader r = {b.data, b.len};
    if (rc >= 0 && b.len > 0 && l->plan->shared_bytes == 0) { /* nobody shares any more */
        rc = store_put_meta(l->store, "shared", "", 0, err);
    } else if (rc >= 0 && b.len > 0) {
        rc = share_read(l, &r, &all, err);
        if (rc >= 0 && !share_get_waiting(l, &r, all)) rc = share_damaged(l, err);
    }
    eddy_buffer_free(&b);
    return rc;
}

#include "engine/flow/window_set.h"

#include <stdlib.h>
#include <string.h>

#include "engine/train/trainer.h"

static eddy_status set_no_memory(struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "out of memory for the training windows of a history");
}

static int set_lane(struct window_set *s, const char *topic, int32_t partition)
{
    for (int i = 0; i < s->n_lanes; i++)
        if (s->lanes[i].partition == partition && strcmp(s->lanes[i].topic, topic) == 0) return i;
    struct window_set_lane *grown = realloc(s->lanes, (size_t)(s->n_lanes + 1) * sizeof(*grown));
    if (!grown) return -1;
    s->lanes = grown;
    char *name = strdup(topic);
    if (!name) return -1;
    grown[s->n_lanes] = (struct window_set_lane){name, partition};
    return s->n_lanes++;
}

static eddy_status set_begin(struct window_set *s, const struct plan *p, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    s->floats = train_windows_floats(p->model, p->shared);
    s->below = UINT64_MAX;
    for (int i = 0; i < p->n_values && rc >= 0; i++) {
        if (i > 0) rc = eddy_buffer_append(&s->values, ",", 1);
        if (rc >= 0) rc = eddy_buffer_append(&s->values, p->schema.names[i], strlen(p->schema.names[i]));
    }
    if (rc >= 0) rc = eddy_buffer_append(&s->values, "", 1);
    return rc < 0 ? set_no_memory(err) : rc;
}

static void set_halve(struct window_set *s)
{
    int64_t kept = 0;
    s->below /= 2;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->item[i].rank < s->below)
            s->item[kept++] = s->item[i];
        else
            free(s->item[i].block);
    }
    s->n = kept;
}

eddy_status window_set_add(struct window_set *s, const struct plan *p, const char *topic, int32_t partition,
                           const struct window_set_item *from, struct eddy_error *err)
{
    eddy_status rc = s->floats == 0 ? set_begin(s, p, err) : EDDY_OK;
    if (rc < 0) return rc;
    if (train_windows_floats(p->model, p->shared) != s->floats)
        return eddy_fail(err, EDDY_EMISMATCH, "%s[%d]: its series have other values than those before it", topic,
                         (int)partition);
    const size_t bytes = s->floats * sizeof(float);
    while (s->n > 0 && (size_t)(s->n + 1) * bytes > s->most_bytes) set_halve(s);
    if (from->rank >= s->below && s->below != UINT64_MAX) return EDDY_OK;
    if (s->n == s->cap) {
        const int64_t cap = s->cap ? 2 * s->cap : 1024;
        struct window_set_item *grown = realloc(s->item, (size_t)cap * sizeof(*grown));
        if (!grown) return set_no_memory(err);
        s->item = grown;
        s->cap = cap;
    }
    struct window_set_item item = *from;
    item.lane = set_lane(s, topic, partition);
    item.block = malloc(bytes);
    if (item.lane < 0 || !item.block) {
        free(item.block);
        return set_no_memory(err);
    }
    memcpy(item.block, from->block, bytes);
    s->item[s->n++] = item;
    return EDDY_OK;
}

static int set_by_place(const void *a, const void *b)
{
    const struct window_set_item *x = a, *y = b;
    if (x->lane != y->lane) return x->lane < y->lane ? -1 : 1;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return (x->channel > y->channel) - (x->channel < y->channel);
}

/* Where lane i stands among all by topic and partition. */
static int set_place(const struct window_set *s, int i)
{
    int place = 0;
    for (int k = 0; k < s->n_lanes; k++) {
        const int topics = strcmp(s->lanes[k].topic, s->lanes[i].topic);
        place += topics < 0 || (topics == 0 && s->lanes[k].partition < s->lanes[i].partition);
    }
    return place;
}

void window_set_sort(struct window_set *s)
{
    for (int64_t i = 0; i < s->n; i++) s->item[i].lane = set_place(s, s->item[i].lane);
    if (s->n > 0) qsort(s->item, (size_t)s->n, sizeof(*s->item), set_by_place);
}

void window_set_free(struct window_set *s)
{
    for (int64_t i = 0; i < s->n; i++) free(s->item[i].block);
    for (int i = 0; i < s->n_lanes; i++) free(s->lanes[i].topic);
    free(s->item);
    free(s->lanes);
    eddy_buffer_free(&s->values);
    *s = (struct window_set){0};
}

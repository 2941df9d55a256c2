/* What a turn has to tell of keys that sent nothing in it: incidents without a record of their own, in the order of the
 * offsets at which they are due, and so in one order however events are cut into turns. */
#include <stdlib.h>

#include "engine/flow/lane_private.h"

/* A result that holds nothing but one incident. */
struct lane_told {
    struct lane_news news;
    int number; /* within the turn */
    struct eddy_result result;
    struct eddy_incident incident;
};

eddy_status lane_news_add(struct lane *l, const struct lane_news *news, const struct eddy_incident *incident,
                          struct eddy_error *err)
{
    if (l->n_told == l->cap_told) {
        const int cap = l->cap_told ? 2 * l->cap_told : 16;
        struct lane_told *grown = realloc(l->told, (size_t)cap * sizeof(*grown));
        if (!grown) return lane_no_memory_for(l, "incidents", err);
        l->told = grown;
        l->cap_told = cap;
    }
    l->told[l->n_told] = (struct lane_told){.news = *news,
                                            .number = l->n_told,
                                            .result = {.key = news->key,
                                                       .key_len = news->key_len,
                                                       .time_ns = news->now_ns,
                                                       .topic = l->topic,
                                                       .partition = l->request.partition,
                                                       .offset = news->offset,
                                                       .schema = &l->plan->schema,
                                                       .n_incidents = 1},
                                            .incident = *incident};
    l->n_told++;
    return EDDY_OK;
}

static int news_compare(const void *a, const void *b)
{
    const struct lane_told *x = a, *y = b;
    if (x->news.offset != y->news.offset) return x->news.offset < y->news.offset ? -1 : 1;
    if (x->news.since_ns != y->news.since_ns) return x->news.since_ns < y->news.since_ns ? -1 : 1;
    if (x->news.hash != y->news.hash) return x->news.hash < y->news.hash ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

void lane_news_sort(struct lane *l)
{
    if (l->n_told > 1) qsort(l->told, (size_t)l->n_told, sizeof(*l->told), news_compare);
}

int lane_n_news(const struct lane *l)
{
    return l->n_told;
}

const struct eddy_result *lane_news(const struct lane *l, int i)
{
    struct lane_told *at = &l->told[i];
    at->result.incidents = &at->incident;
    return &at->result;
}

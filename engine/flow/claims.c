#include "engine/flow/claims.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/flow/source.h"

enum { LOOK_MS = 20 };

struct claim {
    struct claim *next;
    int32_t partition;
    bool refused;
    bool away; /* nobody holds it: it was taken, and is on its way */
    char topic[];
};

struct claims {
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct claim *first;
    int64_t round_ms; /* when a driver was last told something */
    int patience_ms, n_drivers;
    struct {
        bool waits; /* to be given what is its */
        bool busy;  /* taking over what it was given */
    } driver[];     /* [n_drivers] */
};

struct claims *claims_open(int n_drivers)
{
    struct claims *c = calloc(1, sizeof(*c) + (size_t)n_drivers * sizeof(c->driver[0]));
    if (!c) return NULL;
    c->n_drivers = n_drivers;
    (void)pthread_mutex_init(&c->lock, NULL); /* with no attributes these cannot fail on Linux */
    (void)pthread_cond_init(&c->given, NULL);
    return c;
}

void claims_close(struct claims *c)
{
    if (!c) return;
    for (struct claim *next; c->first; c->first = next) {
        next = c->first->next;
        free(c->first);
    }
    (void)pthread_cond_destroy(&c->given);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

/* Where the claim hangs, or the end of the list. */
static struct claim **claims_find(struct claims *c, const char *topic, int32_t partition)
{
    struct claim **at = &c->first;
    while (*at && ((*at)->partition != partition || strcmp((*at)->topic, topic) != 0)) at = &(*at)->next;
    return at;
}

/* Waits a moment; the stop flag is set by a signal, which wakes nobody. */
static void claims_wait(struct claims *c)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) until.tv_sec++, until.tv_nsec -= 1000000000L;
    (void)pthread_cond_timedwait(&c->given, &c->lock, &until);
}

static bool claims_held(struct claims *c, const char *topic, int32_t partition)
{
    const struct claim *claim = *claims_find(c, topic, partition);
    return claim && !claim->away;
}

static void claims_drop(struct claims *c, const char *topic, int32_t partition)
{
    struct claim **at = claims_find(c, topic, partition), *gone = *at;
    if (gone) *at = gone->next;
    free(gone);
}

static int64_t claims_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

eddy_status claims_take(struct claims *c, const char *topic, int32_t partition, const volatile sig_atomic_t *stop,
                        struct eddy_error *err)
{
    size_t size = strlen(topic) + 1;
    const int64_t end_ms = claims_now_ms() + CLAIMS_WAIT_MS;
    struct claim *claim = malloc(sizeof(*claim) + size);
    if (!claim) return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory", topic, (int)partition);
    *claim = (struct claim){.partition = partition};
    memcpy(claim->topic, topic, size);

    (void)pthread_mutex_lock(&c->lock);
    bool late = false;
    while (claims_held(c, topic, partition) && !late) {
        claims_wait(c);
        late = claims_now_ms() >= end_ms || (stop && __atomic_load_n(stop, __ATOMIC_RELAXED));
    }
    late = claims_held(c, topic, partition);
    if (!late) {
        claims_drop(c, topic, partition);
        claim->next = c->first;
        c->first = claim;
    }
    (void)pthread_mutex_unlock(&c->lock);
    if (!late) return EDDY_OK;
    free(claim);
    return eddy_fail(err, EDDY_EBUSY, "%s[%d]: another worker of this process holds it still", topic, (int)partition);
}

void claims_give(struct claims *c, const char *topic, int32_t partition, bool taken)
{
    (void)pthread_mutex_lock(&c->lock);
    struct claim *claim = *claims_find(c, topic, partition);
    if (claim && taken)
        claim->away = true;
    else
        claims_drop(c, topic, partition);
    (void)pthread_cond_broadcast(&c->given);
    (void)pthread_mutex_unlock(&c->lock);
}

void claims_refuse(struct claims *c, const char *topic, int32_t partition)
{
    (void)pthread_mutex_lock(&c->lock);
    struct claim *claim = *claims_find(c, topic, partition);
    if (claim) claim->refused = true;
    (void)pthread_mutex_unlock(&c->lock);
}

void claims_round(struct claims *c, int driver, int round, int patience_ms)
{
    (void)pthread_mutex_lock(&c->lock);
    c->round_ms = claims_now_ms();
    if (patience_ms > c->patience_ms) c->patience_ms = patience_ms;
    if (round == SOURCE_JOINS || round == SOURCE_TAKES) c->driver[driver].waits = true;
    if (round == SOURCE_GIVES) c->driver[driver].waits = false;
    c->driver[driver].busy = round != SOURCE_SETTLED;
    (void)pthread_mutex_unlock(&c->lock);
}

bool claims_all_refused(struct claims *c)
{
    bool all = true;
    (void)pthread_mutex_lock(&c->lock);
    const bool nothing_comes = claims_now_ms() >= c->round_ms + c->patience_ms;
    for (int i = 0; i < c->n_drivers; i++) all = all && !c->driver[i].busy && !c->driver[i].waits;
    for (const struct claim *claim = c->first; claim; claim = claim->next)
        all = all && (claim->away ? nothing_comes : claim->refused);
    (void)pthread_mutex_unlock(&c->lock);
    return all;
}

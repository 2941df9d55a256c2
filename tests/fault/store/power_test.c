/* The power goes at any moment of a life.  Of what was not synced the disk keeps all, nothing, or some sectors; an honest
 * disk leaves a checkpoint, and a file that was torn by a disk that lies is found out and set aside. */
#include <criterion/criterion.h>
#include <inttypes.h>

#include "world.h"

enum { QUICK = 40, FULL = 100, FULL_LIES = 200, ONE_LIFE_CUTS = 4 };

static uint64_t draw(uint64_t *x)
{
    *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
    return *x * UINT64_C(2685821657736338717);
}

/* A life that ends without power, after `steps` writes, syncs and truncations at most. */
static void cut_life(struct world *w, uint64_t seed, int64_t at, int log_every, bool lies)
{
    static const double keeps[] = {0, 1, .5, .9, .1};
    struct eddy_error err;
    shim_power_watch();
    shim_power_lies(lies);
    shim_power_cut_at(at);
    (void)world_life(w, WORLD_EVENTS, log_every, &err);
    shim_power_lost(seed, keeps[seed % 5]);
    shim_power_lies(false);
}

struct outcome {
    int trials, back, set_aside;
    int64_t steps;
};

static void trial(struct world *w, uint64_t seed, int64_t steps, bool lies, struct outcome *o)
{
    uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    world_begin(w, "power loss, seed %" PRIu64, seed);
    int cuts = 1 + (int)(draw(&x) % ONE_LIFE_CUTS);
    for (int i = 0; i < cuts; i++) {
        w->background = draw(&x) % 2;
        cut_life(w, draw(&x), 1 + (int64_t)(draw(&x) % (uint64_t)steps), (int)(draw(&x) % 3), lies);
        int64_t acknowledged = w->acknowledged;
        struct eddy_error err;
        eddy_status rc = world_inspect(w, 0, &err);
        if (rc < 0 && (!lies || rc != EDDY_ECORRUPT)) world_violation(w, "%s", err.message);
        o->back += rc >= 0 && acknowledged > 0;
    }
    world_finish(w);
    o->set_aside += (int)w->set_aside;
    o->trials++;
}

static int64_t steps_of_a_life(struct world *w)
{
    struct eddy_error err;
    world_begin(w, "undisturbed");
    shim_power_watch();
    cr_assert_eq(world_life(w, WORLD_EVENTS, 2, &err), EDDY_OK, "%s", err.message);
    int64_t steps = shim_power_steps();
    cr_assert_gt(steps, 100);
    return steps;
}

static void losses(const char *name, bool lies, int full)
{
    struct world w;
    struct outcome o = {0};
    world_open(&w);
    o.steps = steps_of_a_life(&w);
    int n = world_full() ? full : QUICK;
    for (int seed = 1; seed <= n; seed++) trial(&w, (uint64_t)seed, o.steps, lies, &o);
    world_row(name, o.trials, w.violations, "1 to %d cuts each; %d files set aside", ONE_LIFE_CUTS, o.set_aside);
    int violations = w.violations;
    world_close(&w);
    cr_assert_eq(violations, 0);
    if (!lies) cr_assert_eq(o.set_aside, 0, "an honest disk tears nothing");
}

Test(fault_power, an_honest_disk_leaves_a_checkpoint)
{
    losses("power loss", false, FULL);
}

Test(fault_power, what_a_lying_disk_has_torn_is_found_out)
{
    losses("power loss, syncs that lie", true, FULL_LIES);
}

/* The n-th call of every kind to the disk fails, for all n: the process goes on or ends with an error that names the
 * file, and a later one finds a checkpoint that was confirmed and makes of the rest what an undisturbed run makes. */
#include <criterion/criterion.h>
#include <inttypes.h>

#include "world.h"

enum { QUICK_TRIALS = 12, LIVES = 2 };

static const struct fault_kind {
    const char *name;
    int op, how;
} kinds[] = {
    {"read fails", SHIM_READ, SHIM_FAILS},           {"write fails", SHIM_WRITE, SHIM_FAILS},
    {"write ends half-way", SHIM_WRITE, SHIM_SHORT}, {"no room for a write", SHIM_WRITE, SHIM_FULL},
    {"sync fails", SHIM_SYNC, SHIM_FAILS},           {"truncation fails", SHIM_TRUNCATE, SHIM_FAILS},
    {"open fails", SHIM_OPEN, SHIM_FAILS},           {"deletion fails", SHIM_DELETE, SHIM_FAILS},
    {"shared memory fails", SHIM_SHM, SHIM_FAILS},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* Two lives, half of the events each; the second one is closed well, too.  Returns how many ended with an error. */
static int two_lives(struct world *w)
{
    int ended = 0;
    for (int i = 1; i <= LIVES; i++) {
        struct eddy_error err;
        eddy_status rc = world_life(w, WORLD_EVENTS / LIVES * i, 2, &err);
        world_named(w, rc, &err);
        ended += rc < 0;
    }
    return ended;
}

struct outcome {
    int trials, ended;
    int64_t calls;
};

/* With a storage thread the order of calls, and with it their number, is not the same every time: a call that does not
 * come is no trial. */
static void trial(struct world *w, const struct fault_kind *k, int64_t at, bool lasting, struct outcome *o)
{
    struct eddy_error err;
    world_begin(w, "%s at call %" PRId64 "%s%s", k->name, at, lasting ? " and all later ones" : "",
                w->background ? ", storage thread" : "");
    shim_arm(&(struct shim_fault){.op = k->op, .how = k->how, .at = at, .lasting = lasting});
    o->ended += two_lives(w) > 0;
    if (!shim_fired() && !w->background) world_violation(w, "the call never came");
    o->trials += shim_fired();
    shim_arm(NULL);
    if (world_inspect(w, w->acknowledged, &err) < 0) world_violation(w, "with a whole disk: %s", err.message);
    world_finish(w);
}

static void all_calls(struct world *w, const struct fault_kind *k, struct outcome *o)
{
    struct eddy_error err;
    world_begin(w, "undisturbed");
    shim_arm(NULL);
    cr_assert_eq(two_lives(w), 0);
    const int64_t calls = shim_count(k->op);
    cr_assert_gt(calls, 0, "there is no such call");
    cr_assert_eq(world_inspect(w, WORLD_EVENTS, &err), EDDY_OK, "%s", err.message);

    const int64_t step = world_full() ? 1 : calls / QUICK_TRIALS + 1;
    for (int64_t at = 1; at <= calls; at += step)
        for (int lasting = 0; lasting < 2; lasting++) trial(w, k, at, lasting, o);
    o->calls += calls;
}

static void all_of_a_kind(const struct fault_kind *k)
{
    struct world w;
    struct outcome o = {0};
    world_open(&w);
    for (int i = 0; i < 2; i++) {
        w.background = i > 0;
        all_calls(&w, k, &o);
    }
    world_row(k->name, o.trials, w.violations,
              "%" PRId64 " calls in two runs, with and without a storage thread; %d runs ended with an error",
              o.calls, o.ended);
    int violations = w.violations;
    world_close(&w);
    cr_assert_eq(violations, 0);
}

Test(fault_io, a_read_that_fails)
{
    all_of_a_kind(&kinds[0]);
}

Test(fault_io, a_write_that_fails)
{
    all_of_a_kind(&kinds[1]);
}

Test(fault_io, a_write_that_ends_half_way)
{
    all_of_a_kind(&kinds[2]);
}

Test(fault_io, a_write_without_room)
{
    all_of_a_kind(&kinds[3]);
}

Test(fault_io, a_sync_that_fails)
{
    all_of_a_kind(&kinds[4]);
}

Test(fault_io, a_truncation_that_fails)
{
    all_of_a_kind(&kinds[5]);
}

Test(fault_io, an_open_that_fails)
{
    all_of_a_kind(&kinds[6]);
}

Test(fault_io, a_deletion_that_fails)
{
    all_of_a_kind(&kinds[7]);
}

Test(fault_io, shared_memory_that_fails)
{
    all_of_a_kind(&kinds[8]);
}

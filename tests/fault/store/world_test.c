/* The tests of this directory can fail: wrong results, wrong state and lost checkpoints are counted. */
#include <criterion/criterion.h>

#include "world.h"

Test(fault_world, what_is_not_the_references_is_a_violation)
{
    struct world w;
    struct eddy_error err;
    world_open(&w);
    world_begin(&w, "planted");
    cr_assert_eq(world_life(&w, WORLD_EVENTS / 2, 0, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(world_inspect(&w, WORLD_EVENTS / 2, &err), EDDY_OK);
    cr_assert_eq(w.violations, 0);

    (void)world_inspect(&w, WORLD_EVENTS / 2 + 1, &err);
    cr_assert_eq(w.violations, 1, "a checkpoint was lost");
    w.attempted = 0;
    (void)world_inspect(&w, 0, &err);
    cr_assert_eq(w.violations, 2, "a checkpoint that nobody began");
    w.attempted = WORLD_EVENTS;
    w.hash[WORLD_CUTS / 2][5] ^= 1;
    (void)world_inspect(&w, 0, &err);
    cr_assert_eq(w.violations, 3, "another state");
    w.result[WORLD_EVENTS - 1] ^= 1;
    cr_assert_eq(world_life(&w, WORLD_EVENTS, 0, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(w.violations, 4, "another result");
    world_named(&w, EDDY_EIO, &(struct eddy_error){.code = EDDY_EIO, .message = "disk I/O error"});
    cr_assert_eq(w.violations, 5, "an error without a name");
    world_close(&w);
}

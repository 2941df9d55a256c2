/* What a key goes by under `season: auto` when its estimates cross a border to and fro. */
#include <criterion/criterion.h>

#include "engine/forecast/season.h"
#include "engine/forecast/season_choice.h"

static const struct season_rule automatic = {.kind = SEASON_AUTO};
static const double HOUR = 3600;

static bool choose(struct season_choice *c, int64_t n, double usual_s, double found)
{
    return season_choose(c, n, season_period(&automatic, usual_s), usual_s, found, false);
}

Test(season_choice, a_pace_on_a_border_does_not_change_the_calendars_cycle_to_and_fro)
{
    struct season_choice c = {0};
    int changes = 0;
    for (int64_t n = 0; n < 500; n++) changes += choose(&c, n, 3.9 * HOUR, 0);
    for (int64_t n = 500; n < 5000; n++) changes += choose(&c, n, n % 40 < 30 ? 4.1 * HOUR : 3.9 * HOUR, 0);
    cr_expect_eq(changes, 0, "%d changes", changes);
    cr_expect_eq(c.period_ns, season_period(&automatic, 3.9 * HOUR));
}

Test(season_choice, a_cycle_near_the_calendars_does_not_take_its_place_to_and_fro)
{
    struct season_choice c = {0};
    int changes = 0;
    for (int64_t n = 0; n < 5000; n++) changes += choose(&c, n, HOUR, n < 500 || n % 40 < 10 ? 24.1 : 25.3);
    cr_expect_eq(changes, 0, "%d changes", changes);
    cr_expect_not(c.found);
}

Test(season_choice, what_has_been_better_for_64_events_is_taken_and_told_once)
{
    struct season_choice c = {0};
    int64_t at = -1;
    int changes = 0;
    for (int64_t n = 0; n < 2000; n++) {
        if (!choose(&c, n, n < 1000 ? HOUR : 6 * HOUR, 0)) continue;
        at = n;
        changes++;
    }
    cr_expect_eq(at, 1063, "at %lld", (long long)at);
    cr_expect_eq(changes, 1);
    cr_expect_eq(c.period_ns, season_period(&automatic, 6 * HOUR));
}

Test(season_choice, a_cycle_that_is_found_or_lost_and_a_young_keys_pace_count_at_once)
{
    struct season_choice c = {0};
    const int64_t day = season_period(&automatic, HOUR);
    cr_expect_not(season_choose(&c, 0, day, HOUR, 0, false), "the first choice changes nothing");
    cr_expect(choose(&c, 20, 6 * HOUR, 0));
    cr_expect(choose(&c, 21, HOUR, 0));
    cr_expect(season_choose(&c, 300, day, HOUR, 17, true));
    cr_expect(c.found);
    cr_expect(season_choose(&c, 900, day, HOUR, 0, true));
    cr_expect_not(c.found);
}

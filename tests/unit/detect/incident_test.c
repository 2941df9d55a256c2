/* Incidents open, go on, repeat, close and become the new normal. */
#include <criterion/criterion.h>

#include "engine/detect/incident.h"

static const struct incident_settings rules = {
    .min_count = 1, .hysteresis = .5, .quiet = 3, .repeat = 5, .accept = 20, .ongoing = 1000};

/* Event `t` at time 100 t with threshold .4. */
static struct incident_step see(struct incident *in, const struct incident_settings *s, int64_t t, double evidence,
                                bool alert)
{
    const struct incident_event e = {
        .time_ns = 100 * t, .evidence = evidence, .threshold = .4, .alert = alert, .id = 1000 + (uint64_t)t};
    return incident_judge(in, s, &e);
}

Test(incident, opens_at_an_alert_and_closes_after_quiet_events_with_the_end_at_the_last_that_belonged)
{
    struct incident in = {0};
    cr_expect_eq(see(&in, &rules, 1, .45, false).change, INCIDENT_SAME, "muted: no alert");
    cr_expect_eq(see(&in, &rules, 2, .6, true).change, INCIDENT_OPENED);
    cr_expect(see(&in, &rules, 3, .9, false).peak);
    cr_expect_eq(see(&in, &rules, 4, .1, false).change, INCIDENT_SAME);
    cr_expect_eq(see(&in, &rules, 5, .2, false).change, INCIDENT_SAME, "at the hysteresis: belongs");
    cr_expect_eq(see(&in, &rules, 6, .1, false).change, INCIDENT_SAME);
    cr_expect_eq(see(&in, &rules, 7, .1, false).change, INCIDENT_SAME);
    cr_expect_eq(see(&in, &rules, 8, .1, false).change, INCIDENT_CLOSED);
    cr_expect_eq(in.id, 1002);
    cr_expect_eq(in.start_ns, 200);
    cr_expect_eq(in.last_ns, 500);
    cr_expect_eq(in.peak_ns, 300);
    cr_expect_eq(in.events, 7);
}

Test(incident, waits_for_its_minimum_count_with_an_alert_among_them)
{
    struct incident_settings three = rules;
    three.min_count = 3;
    struct incident in = {0};
    cr_expect_eq(see(&in, &three, 1, .6, true).change, INCIDENT_SAME);
    cr_expect_eq(see(&in, &three, 2, .6, false).change, INCIDENT_SAME);
    cr_expect_eq(see(&in, &three, 3, .3, false).change, INCIDENT_SAME, "the run is broken");
    for (int t = 4; t < 8; t++) cr_expect_eq(see(&in, &three, t, .6, false).change, INCIDENT_SAME, "no alert in it");
    cr_expect_eq(see(&in, &three, 8, .6, true).change, INCIDENT_OPENED);
}

Test(incident, an_alert_soon_after_the_closing_is_the_same_incident_a_later_one_is_another)
{
    struct incident in = {0};
    see(&in, &rules, 1, .6, true);
    for (int t = 2; t <= 4; t++) see(&in, &rules, t, 0, false);
    cr_assert_not(in.open);
    cr_expect_eq(see(&in, &rules, 8, .7, true).change, INCIDENT_REOPENED);
    cr_expect_eq(in.id, 1001);
    cr_expect_eq(in.start_ns, 100);
    cr_expect_eq(in.repeats, 1);
    for (int t = 9; t <= 11; t++) see(&in, &rules, t, 0, false);
    for (int t = 12; t <= 16; t++) see(&in, &rules, t, 0, false);
    cr_expect_eq(see(&in, &rules, 17, .7, true).change, INCIDENT_OPENED);
    cr_expect_eq(in.id, 1017);
    cr_expect_eq(in.repeats, 0);
}

Test(incident, what_lasts_becomes_the_new_normal_and_the_next_one_waits_for_quiet)
{
    struct incident in = {0};
    see(&in, &rules, 1, .6, true);
    for (int t = 2; t <= 20; t++) cr_expect_eq(see(&in, &rules, t, .5, false).change, INCIDENT_SAME, "%d", t);
    cr_expect_eq(see(&in, &rules, 21, .5, false).change, INCIDENT_ACCEPTED);
    for (int t = 22; t < 60; t++) cr_expect_eq(see(&in, &rules, t, .5, true).change, INCIDENT_SAME, "%d", t);
    for (int t = 60; t < 63; t++) cr_expect_eq(see(&in, &rules, t, 0, false).change, INCIDENT_SAME, "%d", t);
    cr_expect_eq(see(&in, &rules, 63, .5, true).change, INCIDENT_OPENED);
    cr_expect_eq(in.id, 1063);
}

Test(incident, is_held_open_by_time_and_told_of_now_and_then)
{
    struct incident_settings held = rules;
    held.hold = 1500;
    struct incident in = {0};
    int told = 0;
    see(&in, &held, 0, .6, true);
    for (int t = 1; t < 15; t++) {
        const struct incident_step step = see(&in, &held, t, 0, false);
        cr_expect_eq(step.change, INCIDENT_SAME, "%d", t);
        told += step.told;
    }
    cr_expect_eq(told, 1);
    cr_expect_eq(see(&in, &held, 15, 0, false).change, INCIDENT_CLOSED);
}

Test(incident, of_a_detectors_own_kind_is_open_while_the_detector_says_so)
{
    struct incident in = {0};
    struct incident_event e = {.time_ns = 100, .threshold = .4, .id = 7};
    cr_expect_eq(incident_hold(&in, &rules, &e, false).change, INCIDENT_SAME);
    cr_expect_eq(incident_hold(&in, &rules, &e, true).change, INCIDENT_OPENED);
    for (int t = 2; t < 40; t++) {
        e.time_ns = 100 * t;
        cr_expect_eq(incident_hold(&in, &rules, &e, true).change, INCIDENT_SAME, "never accepted");
    }
    e.time_ns = 4000;
    cr_expect_eq(incident_hold(&in, &rules, &e, false).change, INCIDENT_CLOSED);
    cr_expect_eq(in.last_ns, 3900);
}

Test(incident, survives_times_that_run_backwards_and_span_everything)
{
    struct incident in = {0};
    const int64_t times[] = {INT64_MIN + 1, INT64_MAX, -5, INT64_MAX - 1, INT64_MIN + 1};
    struct incident_settings held = rules;
    held.hold = INT64_MAX;
    for (int i = 0; i < 100; i++) {
        const struct incident_event e = {
            .time_ns = times[i % 5], .evidence = i % 7 ? .3 : .9, .threshold = .4, .alert = i % 7 == 0, .id = 5};
        (void)incident_judge(&in, &held, &e);
        cr_expect_leq(in.start_ns, in.last_ns);
    }
}

Test(incident, one_clock_that_ran_ahead_holds_nothing_open)
{
    struct incident in = {0};
    see(&in, &rules, 1, .9, true);
    see(&in, &rules, 1000000, .9, false);
    for (int t = 2; t < 4; t++) cr_expect_eq(see(&in, &rules, t, 0, false).change, INCIDENT_SAME);
    cr_expect_eq(see(&in, &rules, 4, 0, false).change, INCIDENT_CLOSED);
}

static struct incident_step hear(struct incident *in, const struct incident_settings *s, int64_t t, double evidence,
                                 bool alert, uint8_t fault)
{
    const struct incident_event e = {.time_ns = 100 * t,
                                     .evidence = evidence,
                                     .threshold = .4,
                                     .alert = alert,
                                     .fault = fault,
                                     .id = 1000 + (uint64_t)t};
    return incident_judge(in, s, &e);
}

Test(incident, is_of_the_kind_that_its_alerts_know_and_of_a_louder_one_s_later)
{
    struct incident in = {0};
    hear(&in, &rules, 1, .5, true, 0);
    cr_expect_eq(in.fault, 0, "nobody knows");
    hear(&in, &rules, 2, .5, true, 3);
    cr_expect_eq(in.fault, 3);
    hear(&in, &rules, 3, .6, false, 0);
    hear(&in, &rules, 4, .55, true, 7);
    cr_expect_eq(in.fault, 3, "not as loud as the peak");
    hear(&in, &rules, 5, .6, true, 7);
    cr_expect_eq(in.fault, 7);
    hear(&in, &rules, 6, .9, true, 0);
    cr_expect_eq(in.fault, 7, "who does not know takes no name away");
}

Test(incident, the_alert_among_the_events_of_a_minimum_count_gives_the_kind)
{
    struct incident_settings three = rules;
    three.min_count = 3;
    struct incident in = {0};
    hear(&in, &three, 1, .5, true, 4);
    hear(&in, &three, 2, .1, false, 0);
    hear(&in, &three, 3, .5, true, 2);
    hear(&in, &three, 4, .5, false, 0);
    cr_expect_eq(hear(&in, &three, 5, .5, false, 0).change, INCIDENT_OPENED);
    cr_expect_eq(in.fault, 2, "4 was of a row that broke");
}

Test(incident, an_alert_of_another_kind_soon_after_the_closing_opens_another)
{
    for (uint8_t fault = 0; fault < 3; fault++) {
        struct incident in = {0};
        hear(&in, &rules, 1, .6, true, 1);
        for (int t = 2; t <= 4; t++) hear(&in, &rules, t, 0, false, 0);
        cr_assert_not(in.open);
        const struct incident_step step = hear(&in, &rules, 5, .7, true, fault);
        cr_expect_eq(step.change, fault == 2 ? INCIDENT_OPENED : INCIDENT_REOPENED, "%d", fault);
        cr_expect_eq(in.fault, fault == 2 ? 2 : 1);
    }
}

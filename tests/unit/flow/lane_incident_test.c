/* Incidents in a lane: ids that do not depend on turns or restarts, records that fit together. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

#define CHEAP "forecast: {horizons: [1], experts: [persistence]}\ndetect: {warmup: 50}\n"
static const int64_t MINUTE = 60000000000, START = 1700000000000000000;

/* A level with a little movement, and a jump of 100 from 300 to 309. */
static double value_at(int64_t i)
{
    return 10 + (double)(i * 7919 % 101) / 101 + (i >= 300 && i < 310 ? 100 : 0);
}

struct story {
    char text[4096];
    size_t len;
};

static void tell(struct story *s, int64_t i, const struct eddy_result *r)
{
    if (r->incident) s->len += (size_t)snprintf(s->text + s->len, 32, "%s ", r->incident);
    for (int k = 0; k < r->n_incidents && s->len + 200 < sizeof(s->text); k++) {
        const struct eddy_incident *in = &r->incidents[k];
        s->len += (size_t)snprintf(s->text + s->len, 200, "[%d %s %s %d %d %d %.3f] ", (int)i, in->id, in->kind,
                                   in->state, (int)in->events, in->n_drivers, in->drivers[0].y);
    }
}

static void feed(struct fixture_lane *f, int64_t from, int64_t to, struct story *s)
{
    for (int64_t i = from; i < to; i++)
        tell(s, i, fixture_feed(f, i, "pump", START + i * MINUTE, (double[]){value_at(i)}));
}

Test(lane_incident, an_alert_opens_one_that_records_carry_until_it_closes)
{
    struct fixture_lane f;
    fixture_open(&f, CHEAP, 1, NULL, 100);
    const struct eddy_result *r = NULL;
    char id[EDDY_INCIDENT_ID] = "";
    int opened = 0, closed = 0;
    for (int64_t i = 0; i < 500; i++) {
        r = fixture_feed(&f, i, "pump", START + i * MINUTE, (double[]){value_at(i)});
        for (int k = 0; k < r->n_incidents; k++) {
            opened += r->incidents[k].state == EDDY_INCIDENT_OPEN;
            closed += r->incidents[k].state == EDDY_INCIDENT_CLOSED;
        }
        cr_expect_eq(r->incident != NULL, opened > closed, "%d", (int)i);
        if (r->n_incidents == 0) continue;
        const struct eddy_incident *in = &r->incidents[0];
        cr_expect_str_eq(in->kind, "anomaly");
        if (in->state == EDDY_INCIDENT_OPEN) {
            cr_expect(r->anomaly);
            if (opened == 1) {
                (void)snprintf(id, sizeof(id), "%s", in->id);
                cr_expect_eq(i, 300);
                cr_expect_eq(in->n_drivers, 1);
                cr_expect_float_eq(in->drivers[0].y, value_at(300), 0);
                cr_expect(in->drivers[0].yhat < 12 && in->drivers[0].share == 1);
                cr_expect_str_eq(r->incident, id);
            }
        } else if (in->state == EDDY_INCIDENT_CLOSED && closed == 1) {
            cr_expect_str_eq(in->id, id);
            cr_expect_eq(in->start_ns, START + 300 * MINUTE);
        }
    }
    cr_expect(opened > 0 && opened == closed, "%d opened, %d closed", opened, closed);
    struct lane_stats stats;
    lane_stats(f.lane, &stats);
    cr_expect_gt(stats.incidents, 0);
    fixture_close(&f);
}

Test(lane_incident, a_restart_in_the_middle_of_one_goes_on_with_the_same_id)
{
    static struct story whole, parts;
    char path[] = "/tmp/eddy-incident-XXXXXX";
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    unlink(path);
    struct fixture_lane f;
    fixture_open(&f, CHEAP, 1, NULL, 100);
    feed(&f, 0, 500, &whole);
    fixture_close(&f);

    fixture_open(&f, CHEAP, 1, path, 100);
    feed(&f, 0, 303, &parts);
    struct eddy_error err = {0};
    cr_assert_eq(lane_checkpoint(f.lane, &err), EDDY_OK, "%s", err.message);
    fixture_close(&f);
    fixture_open(&f, CHEAP, 1, path, 100);
    feed(&f, 303, 500, &parts);
    fixture_close(&f);
    cr_expect_gt(whole.len, 100);
    cr_expect_str_eq(parts.text, whole.text);
    unlink(path);
}

Test(lane_incident, keys_with_the_same_fault_at_the_same_time_have_ids_of_their_own)
{
    struct fixture_lane f;
    fixture_open(&f, CHEAP, 1, NULL, 100);
    char ids[2][EDDY_INCIDENT_ID] = {"", ""};
    for (int64_t i = 0; i < 301; i++)
        for (int k = 0; k < 2; k++) {
            const struct eddy_result *r = fixture_feed(&f, 2 * i + k, k ? "b" : "a", START + i * MINUTE,
                                                       (double[]){value_at(i)});
            if (r->incident) (void)snprintf(ids[k], sizeof(ids[k]), "%s", r->incident);
        }
    cr_expect(*ids[0] && *ids[1]);
    cr_expect_str_neq(ids[0], ids[1]);
    fixture_close(&f);
}

/* A level with a little movement that moves by 100 for good at 600; what opened and closed of which kind. */
struct ledger {
    int opened, closed, accepted;
    char kinds[200]; /* of those that opened */
};

static void book_shift(const char *detectors, int64_t events, struct ledger *b)
{
    char yaml[400];
    (void)snprintf(yaml, sizeof(yaml),
                   "forecast: {horizons: [1], experts: [persistence]}\ndetect: {warmup: 50, detectors: [%s]}\n",
                   detectors);
    struct fixture_lane f;
    fixture_open(&f, yaml, 1, NULL, 100);
    for (int64_t i = 0; i < events; i++) {
        const double x = 10 + (double)(i * 7919 % 101) / 101 + (i >= 600 ? 100 : 0);
        const struct eddy_result *r = fixture_feed(&f, i, "pump", START + i * MINUTE, &x);
        for (int k = 0; k < r->n_incidents; k++) {
            const struct eddy_incident *in = &r->incidents[k];
            const size_t used = strlen(b->kinds);
            b->closed += in->state == EDDY_INCIDENT_CLOSED;
            b->accepted += in->new_normal;
            if (in->state != EDDY_INCIDENT_OPEN) continue;
            b->opened++;
            (void)snprintf(b->kinds + used, sizeof(b->kinds) - used, "%s ", in->kind);
        }
    }
    fixture_close(&f);
}

Test(lane_incident, a_fault_that_its_detector_holds_itself_is_one_incident_and_is_told_when_it_is_the_new_normal)
{
    struct ledger b = {0};
    book_shift("machine: {warmup: 200, accept: 150, spike: 1e6}", 800, &b);
    cr_expect_str_eq(b.kinds, "fault ");
    cr_expect(b.closed == 1 && b.accepted == 1, "%d closed, %d accepted", b.closed, b.accepted);
}

Test(lane_incident, a_chart_that_alarms_opens_its_level_shift_alone)
{
    struct ledger b = {0};
    book_shift("chart: {warmup: 200}", 1200, &b);
    cr_expect_str_eq(b.kinds, "level_shift ");
    cr_expect(b.closed == 0 && b.accepted == 0);
}

Test(lane_incident, a_detector_beside_one_that_holds_a_kind_opens_its_own)
{
    struct ledger b = {0};
    book_shift("{machine: {warmup: 200, accept: 150, spike: 1e6}}, exceedance", 800, &b);
    cr_expect_not_null(strstr(b.kinds, "fault "), "%s", b.kinds);
    cr_expect_not_null(strstr(b.kinds, "anomaly "), "%s", b.kinds);
}

Test(lane_incident, an_alarm_is_told_when_what_its_detector_holds_is_none_of_its_kinds)
{
    struct ledger b = {0};
    book_shift("nameless", 800, &b);
    cr_expect_str_eq(b.kinds, "anomaly ");
}

Test(lane_incident, a_lasting_change_that_is_the_new_normal_closes_as_that)
{
    struct ledger b = {0};
    book_shift("level_shift: {after: 200, accept: 400}", 1200, &b);
    cr_expect_str_eq(b.kinds, "level_shift ");
    cr_expect(b.closed == 1 && b.accepted == 1, "%d closed, %d accepted", b.closed, b.accepted);
}

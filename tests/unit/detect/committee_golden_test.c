/* The committee's members against tests/golden/committee.py, an implementation of its own. Run from the root of the tree. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/detect/committee.h"

enum { MAX_ROWS = 1000, BLOCK = 24, MEMORY = 3000 };

/* The committee's defaults. */
static const struct committee_rates rates = {.drift = .3,
                                             .level_events = 8,
                                             .rough_events = 16,
                                             .exceeding = .08,
                                             .move = .002,
                                             .error = .003,
                                             .season_move = .06,
                                             .season_error = .04,
                                             .forgetting = .9995};

struct golden {
    FILE *f;
    double season, x[MAX_ROWS];
    int n_rows, n_looks, member[COMMITTEE_MEMBERS]; /* of each column */
};

static int member_named(const char *name)
{
    for (int m = 0; m < COMMITTEE_MEMBERS; m++)
        if (strcmp(committee_members[m].name, name) == 0) return m;
    cr_assert_fail("no member %s", name);
    return -1;
}

static void golden_open(struct golden *g, const char *path)
{
    char name[16];
    int n_members;
    *g = (struct golden){.f = fopen(path, "r")};
    cr_assert(g->f, "no %s: run from the root of the tree", path);
    cr_assert_eq(fscanf(g->f, " season %lf series %d", &g->season, &g->n_rows), 2);
    cr_assert_leq(g->n_rows, MAX_ROWS);
    for (int t = 0; t < g->n_rows; t++) cr_assert_eq(fscanf(g->f, "%lf", &g->x[t]), 1);
    cr_assert_eq(fscanf(g->f, " members %d", &n_members), 1);
    cr_assert_eq(n_members, COMMITTEE_MEMBERS);
    for (int m = 0; m < n_members; m++) {
        cr_assert_eq(fscanf(g->f, "%15s", name), 1);
        g->member[m] = member_named(name);
    }
    cr_assert_eq(fscanf(g->f, " rows %d", &g->n_looks), 1);
}

/* Evidence of all members for row t, by their place in the table. */
static void golden_step(const struct golden *g, struct committee_value *v, int t, double evidence[COMMITTEE_MEMBERS])
{
    struct committee_event event;
    struct eddy_season season = {g->season, 0};
    if (g->season > 0) season.phase = fmod(t, g->season) / g->season;
    cr_assert(committee_begin(v, &rates, g->x[t], &season, &event));
    if (!event.missing) committee_foresee(v, &event);
    committee_windows(v, &event);
    for (int m = 0; m < COMMITTEE_MEMBERS; m++)
        evidence[m] = committee_evidence(&committee_members[m], v, &event, BLOCK, MEMORY);
    committee_learn(v, &event);
}

static void golden_compare(const char *path)
{
    struct golden g;
    struct committee_value v = {.n = 0};
    double evidence[COMMITTEE_MEMBERS], want;
    int row, t = 0;
    golden_open(&g, path);
    for (int i = 0; i < g.n_looks; i++) {
        cr_assert_eq(fscanf(g.f, "%d", &row), 1);
        while (t <= row) golden_step(&g, &v, t++, evidence);
        for (int m = 0; m < COMMITTEE_MEMBERS; m++) {
            cr_assert_eq(fscanf(g.f, "%lf", &want), 1);
            if (isnan(want)) want = CALIBRATION_UNKNOWN;
            const double got = evidence[g.member[m]];
            cr_assert_float_eq(got, want, 1e-4 * (1 + fabs(want)), "%s: row %d, %s is %g, not %g", path, row,
                               committee_members[g.member[m]].name, got, want);
        }
    }
    (void)fclose(g.f);
}

Test(committee_golden, a_day_of_hours)
{
    golden_compare("tests/golden/committee/day_of_24.txt");
}

Test(committee_golden, a_day_of_quarters_of_an_hour)
{
    golden_compare("tests/golden/committee/day_of_96.txt");
}

Test(committee_golden, a_week_of_days)
{
    golden_compare("tests/golden/committee/week_of_7.txt");
}

Test(committee_golden, no_season)
{
    golden_compare("tests/golden/committee/no_season.txt");
}

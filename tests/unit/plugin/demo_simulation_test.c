/* The demo's plant and market: the same for the same seed, and the truth list says what the data holds. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "plugin/demo/simulation.h"

static struct simulation plant(uint64_t seed)
{
    struct simulation s;
    struct eddy_error err;
    cr_assert_eq(plant_open(seed, &s, &err), EDDY_OK);
    return s;
}

static size_t bytes_of(const struct simulation *s)
{
    return (size_t)s->n_series * (size_t)s->n_steps * sizeof(*s->x);
}

Test(demo_simulation, same_seed_same_plant)
{
    struct simulation a = plant(7), b = plant(7), c = plant(8);
    cr_assert_eq(memcmp(a.x, b.x, bytes_of(&a)), 0);
    cr_assert_eq(memcmp(a.faults, b.faults, (size_t)a.n_faults * sizeof(*a.faults)), 0);
    cr_assert_neq(memcmp(a.x, c.x, bytes_of(&a)), 0);
    simulation_close(&a);
    simulation_close(&b);
    simulation_close(&c);
}

Test(demo_simulation, every_kind_of_fault_occurs_after_the_quiet_days_and_apart_from_others)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct simulation s = plant(seed);
        int of[N_FAULT_KINDS] = {0};
        for (int i = 0; i < s.n_faults; i++) {
            const struct fault *f = &s.faults[i];
            of[f->kind]++;
            cr_assert_geq(f->first, PLANT_QUIET_DAYS * PLANT_STEPS_PER_DAY);
            cr_assert_leq(f->first, f->last);
            cr_assert_lt(f->last, s.n_steps - PLANT_STEPS_PER_DAY, "seed %d fault %d ends too late", (int)seed, i);
            if (i && s.faults[i - 1].series == f->series)
                cr_assert_gt(f->first, s.faults[i - 1].last + PLANT_STEPS_PER_DAY / 2);
        }
        for (int kind = 0; kind < N_FAULT_KINDS; kind++) cr_assert_geq(of[kind], 3);
        simulation_close(&s);
    }
}

Test(demo_simulation, stuck_sensors_repeat_one_reading_and_faults_hide_no_dropout)
{
    struct simulation s = plant(1);
    for (int i = 0; i < s.n_faults; i++) {
        const struct fault *f = &s.faults[i];
        for (int step = f->first; step <= f->last; step++) {
            cr_assert(!isnan(simulation_value(&s, step, f->series)));
            if (f->kind == FAULT_STUCK)
                cr_assert_eq(simulation_value(&s, step, f->series), simulation_value(&s, f->first, f->series));
        }
    }
    simulation_close(&s);
}

/* Spikes and drifts are at least 9.4 and 6.6 degrees where they end; a healthy machine moves by 3 at most in a step. */
Test(demo_simulation, the_end_of_spikes_and_drifts_is_a_jump_back)
{
    struct simulation s = plant(1);
    int n = 0;
    for (int i = 0; i < s.n_faults; i++) {
        const struct fault *f = &s.faults[i];
        double after = simulation_value(&s, f->last + 1, f->series);
        if ((f->kind != FAULT_SPIKE && f->kind != FAULT_DRIFT) || isnan(after)) continue;
        cr_assert_gt(fabs(simulation_value(&s, f->last, f->series) - after), 3);
        n++;
    }
    cr_assert_geq(n, 5);
    simulation_close(&s);
}

Test(demo_simulation, sensors_drop_out_now_and_then)
{
    struct simulation s = plant(1);
    int64_t n = (int64_t)s.n_series * s.n_steps, missing = 0;
    for (int64_t i = 0; i < n; i++) missing += isnan(s.x[i]) != 0;
    cr_assert_gt(missing, n / 1000);
    cr_assert_lt(missing, n / 20);
    simulation_close(&s);
}

Test(demo_simulation, prices_are_positive_and_their_changes_are_not_of_one_size)
{
    struct simulation s;
    struct eddy_error err;
    cr_assert_eq(prices_open(1, &s, &err), EDDY_OK);
    for (int symbol = 0; symbol < s.n_series; symbol++) {
        double calm = INFINITY, wild = 0;
        for (int from = 1; from + 500 < s.n_steps; from += 500) {
            double sum = 0;
            for (int step = from; step < from + 500; step++) {
                double now = simulation_value(&s, step, symbol), before = simulation_value(&s, step - 1, symbol);
                cr_assert_gt(now, 0);
                sum += fabs(log(now / before));
            }
            calm = fmin(calm, sum);
            wild = fmax(wild, sum);
        }
        cr_assert_gt(wild, 1.3 * calm);
    }
    cr_assert_eq(s.n_faults, 0);
    simulation_close(&s);
}

Test(demo_simulation, steps_and_keys_are_found_again_and_others_are_not)
{
    struct simulation s = plant(1);
    cr_assert_eq(simulation_step(&s, simulation_time_ns(&s, 17)), 17);
    cr_assert_eq(simulation_step(&s, simulation_time_ns(&s, 17) + 1), -1);
    cr_assert_eq(simulation_step(&s, s.start_ns - s.step_ns), -1);
    cr_assert_eq(simulation_step(&s, simulation_time_ns(&s, s.n_steps)), -1);
    cr_assert_eq(simulation_series(&s, "pump-1", 6), 2);
    cr_assert_eq(simulation_series(&s, "pump-1", 5), -1);
    cr_assert_eq(simulation_series(&s, "nobody", 6), -1);
    simulation_close(&s);
    simulation_close(&s); /* closing twice does nothing */
}

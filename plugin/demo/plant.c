/* The plant.  Per machine and step t (5 minutes), in degrees Celsius:
 *
 *     drive_t  = swing * day_d * load(hour)  +  cycle * wave(phase_t)
 *     heat_t   = heat_{t-1} + inertia * (drive_t - heat_{t-1})
 *     hum_t    = .9 hum_{t-1} + N(0, .4 noise)
 *     reading  = base + heat_t + hum_t + N(0, noise)
 *
 * day_d differs a little from day to day.  phase_t moves on by 2 pi / cycle_steps times its pace: about 1, or between a
 * step back and a rush while the rhythm is lost.  Spikes and drifts are laid over the healthy signal. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "eddy_layer.h"
#include "plugin/demo/simulation.h"

struct machine {
    const char *name;
    double base, swing;        /* degrees */
    double cycle, cycle_steps; /* degrees, steps */
    double noise, inertia;     /* degrees, share per step */
};

static const struct machine machines[PLANT_MACHINES] = {
    {"press-1", 58, 11, 7.0, 24, .30, .35},  {"press-2", 61, 9, 6.0, 30, .35, .30},
    {"pump-1", 44, 7, 5.0, 18, .25, .45},    {"pump-2", 47, 8, 5.5, 21, .30, .40},
    {"oven-1", 182, 16, 10.0, 36, .50, .25}, {"fan-1", 36, 6, 4.5, 27, .22, .40},
};
static const char *const names[PLANT_MACHINES] = {"press-1", "press-2", "pump-1", "pump-2", "oven-1", "fan-1"};

/* What a random number is for: each purpose draws from a sequence of its own. */
enum purpose { FOR_DAY, FOR_PHASE, FOR_PACE, FOR_HUM, FOR_READING, FOR_FAULT, FOR_OUTAGE, FOR_OUTAGE_LENGTH };

static uint64_t plant_counter(enum purpose purpose, int machine, int i)
{
    return (uint64_t)purpose << 56 | (uint64_t)machine << 40 | (uint64_t)i;
}
static double plant_normal(uint64_t seed, enum purpose purpose, int machine, int i)
{
    return (double)eddy_random_normal(seed, plant_counter(purpose, machine, i));
}
static double plant_uniform(uint64_t seed, enum purpose purpose, int machine, int i, double low, double high)
{
    return low + (high - low) * (double)eddy_random_uniform(seed, plant_counter(purpose, machine, i));
}

/* 0 at night, about 1 during two shifts, a dip at noon. */
static double plant_load(double hour)
{
    double on = 1 / (1 + exp(-(hour - 6) / .6)), off = 1 / (1 + exp((hour - 20) / .8));
    double noon = (hour - 12.5) / .7;
    return on * off - .35 * exp(-noon * noon);
}

/* Slots of equal length after the quiet days, one fault in each; the kinds rotate, so that every kind occurs. */
static struct fault plant_fault(uint64_t seed, int machine, int slot)
{
    static const int shortest[N_FAULT_KINDS] = {2, 144, 96, 144}, longest[N_FAULT_KINDS] = {5, 288, 192, 288};
    int slot_steps = (PLANT_DAYS - PLANT_QUIET_DAYS) * PLANT_STEPS_PER_DAY / PLANT_FAULTS;
    int kind = (machine + slot) % N_FAULT_KINDS, draw = slot * 4;
    int length = (int)plant_uniform(seed, FOR_FAULT, machine, draw, shortest[kind], longest[kind] + 1);
    int room = slot_steps - 2 * PLANT_STEPS_PER_DAY;
    int first = PLANT_QUIET_DAYS * PLANT_STEPS_PER_DAY + slot * slot_steps +
                (int)plant_uniform(seed, FOR_FAULT, machine, draw + 1, 0, room);
    return (struct fault){machine, kind, first, first + length - 1};
}

/* Spikes and drifts add to the healthy reading; size and sign are drawn from the fault's place. */
static double plant_offset(uint64_t seed, const struct fault *f, int step)
{
    const struct machine *m = &machines[f->series];
    double sign = plant_uniform(seed, FOR_FAULT, f->series, f->first, -1, 1) < 0 ? -1 : 1;
    double size = sign * plant_uniform(seed, FOR_FAULT, f->series, f->last, .9, 1.8) * (m->swing + m->cycle);
    if (f->kind == FAULT_SPIKE) return size;
    if (f->kind == FAULT_DRIFT) return .7 * size * (step - f->first + 1) / (f->last - f->first + 1);
    return 0;
}

static const struct fault *plant_fault_at(const struct simulation *s, int machine, int step)
{
    for (int i = 0; i < s->n_faults; i++)
        if (s->faults[i].series == machine && step >= s->faults[i].first && step <= s->faults[i].last)
            return &s->faults[i];
    return NULL;
}

struct machine_state {
    double phase, heat, hum, last;
    int outage; /* steps still to be silent */
};

/* One reading of a machine; moves its state on. */
static double plant_reading(const struct simulation *s, uint64_t seed, int machine, int step,
                            struct machine_state *at)
{
    const struct machine *m = &machines[machine];
    const struct fault *f = plant_fault_at(s, machine, step);
    double hour = 24.0 * (step % PLANT_STEPS_PER_DAY) / PLANT_STEPS_PER_DAY;
    double day = 1 + .06 * plant_normal(seed, FOR_DAY, machine, step / PLANT_STEPS_PER_DAY);

    bool lost = f && f->kind == FAULT_RHYTHM;
    double pace = lost ? plant_uniform(seed, FOR_PACE, machine, step / 8, -.5, 2.5)
                       : 1 + .03 * plant_normal(seed, FOR_PHASE, machine, step);
    at->phase += pace * 2 * M_PI / m->cycle_steps;
    double wave = sin(at->phase) + .3 * sin(2 * at->phase);
    double drive = m->swing * day * plant_load(hour) + m->cycle * wave;
    if (step == 0) at->heat = drive;
    at->heat += m->inertia * (drive - at->heat);
    at->hum = .9 * at->hum + .4 * m->noise * plant_normal(seed, FOR_HUM, machine, step);
    double reading = m->base + at->heat + at->hum + m->noise * plant_normal(seed, FOR_READING, machine, step);
    if (f && f->kind == FAULT_STUCK) return at->last;
    if (f) reading += plant_offset(seed, f, step);
    return at->last = round(reading * 100) / 100;
}

/* Sensors fall silent for up to an hour now and then; never during a fault, which must remain visible. */
static bool plant_silent(const struct simulation *s, uint64_t seed, int machine, int step, struct machine_state *at)
{
    if (at->outage == 0 && plant_uniform(seed, FOR_OUTAGE, machine, step, 0, 1) < .0015)
        at->outage = (int)plant_uniform(seed, FOR_OUTAGE_LENGTH, machine, step, 1, 13);
    if (at->outage == 0) return false;
    at->outage--;
    return step > 0 && !plant_fault_at(s, machine, step);
}

eddy_status plant_open(uint64_t seed, struct simulation *s, struct eddy_error *err)
{
    int n_steps = PLANT_DAYS * PLANT_STEPS_PER_DAY;
    *s = (struct simulation){.field = "temperature",
                             .names = names,
                             .n_series = PLANT_MACHINES,
                             .n_steps = n_steps,
                             .decimals = 2,
                             .start_ns = 1772409600000000000 /* 2026-03-02, a Monday */,
                             .step_ns = 300 * INT64_C(1000000000)};
    s->x = calloc((size_t)n_steps * PLANT_MACHINES, sizeof(*s->x));
    s->faults = calloc((size_t)PLANT_MACHINES * PLANT_FAULTS, sizeof(*s->faults));
    if (!s->x || !s->faults) {
        simulation_close(s);
        return eddy_fail(err, EDDY_ENOMEM, "demo: out of memory for the simulated plant");
    }
    for (int m = 0; m < PLANT_MACHINES; m++)
        for (int slot = 0; slot < PLANT_FAULTS; slot++) s->faults[s->n_faults++] = plant_fault(seed, m, slot);

    for (int m = 0; m < PLANT_MACHINES; m++) {
        struct machine_state at = {.phase = m};
        for (int step = 0; step < n_steps; step++) {
            double reading = plant_reading(s, seed, m, step, &at);
            s->x[(int64_t)step * PLANT_MACHINES + m] = plant_silent(s, seed, m, step, &at) ? NAN : reading;
        }
    }
    return EDDY_OK;
}

#include "engine/forecast/calendar.h"

static const int64_t NS = 1000000000, DAY_S = 86400, WEEK_S = 7 * 86400;

/* sin(2 pi turn) for turn in [0, 1): folded to a quarter turn, then the series up to x^13. */
static double calendar_sin(double turn)
{
    double sign = 1;
    if (turn >= .5) {
        turn -= .5;
        sign = -1;
    }
    if (turn > .25) turn = .5 - turn;
    double x = turn * 6.283185307179586476925286766559, q = x * x;
    double sum = 1 - q / 156; /* 12*13 */
    sum = 1 - q / 110 * sum;
    sum = 1 - q / 72 * sum;
    sum = 1 - q / 42 * sum;
    sum = 1 - q / 20 * sum;
    sum = 1 - q / 6 * sum;
    return sign * x * sum;
}

static double calendar_turn(int64_t part, int64_t whole)
{
    return (double)part / (double)whole;
}

static double calendar_cos(double turn)
{
    return calendar_sin(turn >= .75 ? turn - .75 : turn + .25);
}

static int64_t calendar_second(int64_t time_ns)
{
    return time_ns / NS - (time_ns % NS < 0);
}

void calendar_forget(struct calendar_memory *m)
{
    for (int i = 0; i < CALENDAR_REMEMBERED; i++) m->entry[i].second = INT64_MIN; /* no time in ns is so far back */
}

const float *calendar_remembered(struct calendar_memory *m, int64_t time_ns)
{
    const int64_t second = calendar_second(time_ns);
    const uint64_t mixed = (uint64_t)second * 0x9e3779b97f4a7c15u;
    struct calendar_entry *e = &m->entry[mixed >> 32 & (CALENDAR_REMEMBERED - 1)];
    if (e->second != second) {
        e->second = second;
        calendar_inputs(time_ns, e->inputs);
    }
    return e->inputs;
}

void calendar_inputs(int64_t time_ns, float out[CALENDAR_INPUTS])
{
    int64_t s = calendar_second(time_ns);
    int64_t of_day = ((s % DAY_S) + DAY_S) % DAY_S;
    int64_t of_week = (((s + 3 * DAY_S) % WEEK_S) + WEEK_S) % WEEK_S; /* 1970-01-01 was a Thursday */
    double day = calendar_turn(of_day, DAY_S), half = calendar_turn(2 * of_day % DAY_S, DAY_S);
    double week = calendar_turn(of_week, WEEK_S);

    out[0] = (float)calendar_sin(day);
    out[1] = (float)calendar_cos(day);
    out[2] = (float)calendar_sin(half);
    out[3] = (float)calendar_cos(half);
    out[4] = (float)calendar_sin(week);
    out[5] = (float)calendar_cos(week);
}

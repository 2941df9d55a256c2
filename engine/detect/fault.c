#include "engine/detect/fault.h"

#include <math.h>

#include "engine/math/precise.h"

/* What an alarm costs now: 1 within the budget. */
static double fault_price(const struct fault *f, const struct fault_settings *s)
{
    return precise_exp(s->budget_weight * fmin(fmax(0, f->alarms - s->budget), 100));
}

static void fault_turn(struct fault *f, double score)
{
    f->open = !f->open;
    f->in_a_row = f->age = 0;
    f->plateau = score;
}

/* Once it has been open for long enough. */
static enum fault_change fault_accept(struct fault *f, const struct fault_settings *s)
{
    if (f->age <= s->accept_rows) return FAULT_SAME;
    fault_turn(f, 0);
    f->excess = 0;
    f->settling = (int32_t)s->settle_rows;
    return FAULT_ACCEPTED;
}

static enum fault_change fault_judge_open(struct fault *f, const struct fault_settings *s, double score)
{
    f->age++;
    if (isnan(score)) return fault_accept(f, s);
    f->plateau += fmax(1 / (double)f->age, s->plateau_rate) * (score - f->plateau);
    const double low = fmax(s->close_ratio * s->limit * f->price, s->close_share * f->plateau);
    f->in_a_row = score < low ? f->in_a_row + 1 : 0;
    if (f->in_a_row >= s->close_rows) {
        f->excess = fmax(f->excess, score - s->limit);
        fault_turn(f, score);
        return FAULT_CLOSED;
    }
    return fault_accept(f, s);
}

static enum fault_change fault_judge_closed(struct fault *f, const struct fault_settings *s, double score,
                                            double price, double limit)
{
    if (isnan(score)) return FAULT_SAME;
    f->in_a_row = score > limit ? f->in_a_row + 1 : 0;
    if (f->in_a_row < s->open_rows) return FAULT_SAME;
    f->price = price;
    f->alarms++;
    fault_turn(f, score);
    return FAULT_OPENED;
}

struct fault_step fault_judge(struct fault *f, const struct fault_settings *s, double score, double young)
{
    f->excess -= s->reopen_decay * f->excess;
    if (f->open) return (struct fault_step){fault_judge_open(f, s, score), s->limit * f->price};
    f->alarms = fmax(0, f->alarms - 1 / s->budget_memory);
    const double price = fault_price(f, s), limit = young * fmax(s->limit + f->excess, s->limit * price);
    return (struct fault_step){fault_judge_closed(f, s, score, price, limit), limit};
}

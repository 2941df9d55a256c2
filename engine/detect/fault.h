/* A sustained fault from its score: when it opens, when it closes, and when it has become the new normal.
 *
 * Equations (DETECTION, section 10; S the score, u the price of having alarmed often, e what the last fault left)
 *     opens     S > max(limit + e, limit u) young, open_rows rows in a row;   young: more than 1 for a young key
 *     budget    u = exp(budget_weight max(0, alarms - budget));  alarms + 1 at an opening, - 1/budget_memory a row
 *               while closed
 *     closes    S < max(close_ratio limit u_at_opening, close_share plateau), close_rows rows in a row
 *               plateau += max(1/age, plateau_rate) (S - plateau)
 *     after it  e = max(e, S - limit) at the closing row, e falls by reopen_decay of itself a row
 *     accepted  open for more than accept_rows rows; then nothing opens for settle_rows rows
 * A row in which nothing was seen (S is NaN) neither opens nor closes; an open fault grows older by it.
 * Memory   plain data; all 0 when new. */
#ifndef ENGINE_DETECT_FAULT_H
#define ENGINE_DETECT_FAULT_H

#include <stdint.h>

struct fault {
    double plateau, excess, alarms, price; /* price: u at the opening */
    int32_t open, in_a_row, age, settling;
};

struct fault_settings {
    double limit, close_ratio, close_share, reopen_decay, plateau_rate;
    double budget, budget_weight, budget_memory;
    int64_t open_rows, close_rows, accept_rows, settle_rows;
};

enum fault_change { FAULT_SAME, FAULT_OPENED, FAULT_CLOSED, FAULT_ACCEPTED };

struct fault_step {
    enum fault_change change;
    double limit; /* what S is measured against: the opening limit, or the one that was passed while it is open */
};

struct fault_step fault_judge(struct fault *, const struct fault_settings *, double score, double young);

#endif

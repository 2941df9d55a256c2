/* The market.  Per symbol and step t (1 minute):
 *
 *     log s_t = log s_{t-1} + .01 (log s - log s_{t-1}) + N(0, .06)      s: the symbol's usual volatility
 *     log p_t = log p_{t-1} + s_t N(0, 1) */
#include <math.h>
#include <stdlib.h>

#include "eddy_layer.h"
#include "plugin/demo/simulation.h"

static const char *const names[PRICE_SYMBOLS] = {"ALDER", "BIRCH", "CEDAR", "ELM"};
static const double first_price[PRICE_SYMBOLS] = {184.20, 96.75, 412.00, 131.10};
static const double usual[PRICE_SYMBOLS] = {6e-4, 9e-4, 5e-4, 12e-4};

enum purpose { FOR_VOLATILITY = 100, FOR_STEP };

static double prices_normal(uint64_t seed, enum purpose purpose, int symbol, int step)
{
    return (double)eddy_random_normal(seed, (uint64_t)purpose << 56 | (uint64_t)symbol << 40 | (uint64_t)step);
}

eddy_status prices_open(uint64_t seed, struct simulation *s, struct eddy_error *err)
{
    *s = (struct simulation){.field = "price",
                             .names = names,
                             .n_series = PRICE_SYMBOLS,
                             .n_steps = PRICE_STEPS,
                             .decimals = 2,
                             .start_ns = 1772409600000000000 /* 2026-03-02 */,
                             .step_ns = 60 * INT64_C(1000000000)};
    s->x = calloc((size_t)PRICE_STEPS * PRICE_SYMBOLS, sizeof(*s->x));
    if (!s->x) return eddy_fail(err, EDDY_ENOMEM, "demo: out of memory for the simulated prices");

    for (int symbol = 0; symbol < PRICE_SYMBOLS; symbol++) {
        double log_price = log(first_price[symbol]), log_volatility = log(usual[symbol]);
        for (int step = 0; step < PRICE_STEPS; step++) {
            s->x[(int64_t)step * PRICE_SYMBOLS + symbol] = round(exp(log_price) * 100) / 100;
            log_volatility += .01 * (log(usual[symbol]) - log_volatility) +
                              .06 * prices_normal(seed, FOR_VOLATILITY, symbol, step);
            log_price += exp(log_volatility) * prices_normal(seed, FOR_STEP, symbol, step);
        }
    }
    return EDDY_OK;
}

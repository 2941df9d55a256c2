/* One row per way to use an expert, as in the configuration: all that must hold for every expert is run on each.  The
 * season is 24 steps unless the options say otherwise. */
#ifndef TESTS_UNIT_FORECAST_EXPERTS_CASES_H
#define TESTS_UNIT_FORECAST_EXPERTS_CASES_H

static const char *const expert_cases[] = {
    "persistence",
    "seasonal_naive",
    "seasonal_naive: {season: 7}",
    "wma",
    "wma: {window: 12, weights: equal}",
    "ses",
    "ses: {alpha: 0.3}",
    "holt",
    "holt: {alpha: 0.5, beta: 0.1, phi: 1}",
    "holt_winters",
    "holt_winters: {season: 7, alpha: [0.1, 0.9], gamma: [0.1, 0.5], carry: false}",
    "arima",
    "arima: {p: 2, d: 1, q: 1}",
    "arima: {p: 1, d: 2, q: 2}",
    "arima: {p: 0, d: 1, q: 1, mean: running}",
    "arima: {p: 24, d: 0, q: 0}",
    "arima: {p: 0, d: 0, q: 0}",
    "arima: {p: 1, d: 1, q: 1, ar: 0.5, ma: 0.3}",
    "rls",
    "rls: {units: raw, forgetting: 0.99, huber: 12}",
    "rls: {precision: float, lags: [1-3], clamp: 0, leverage: 0}",
    "fleet",
};
enum { N_EXPERT_CASES = sizeof(expert_cases) / sizeof(*expert_cases) };

#endif

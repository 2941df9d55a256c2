/* The defaults of those options of forecast.mix that tests seldom turn. */
#ifndef TESTS_UNIT_FORECAST_MIX_USUAL_H
#define TESTS_UNIT_FORECAST_MIX_USUAL_H

#define MIX_USUAL                                                                                                    \
    .discount = .998, .rate = .02, .floor = .001, .start = 50, .loss_limit = 10, .jump = 5, .ridge = 50,             \
    .stack_start = 200, .shrink_start = 300, .shrink_discount = .9999, .extreme_prior = 30, .prior_ridge = 50,       \
    .prior_rate = .0002

#endif

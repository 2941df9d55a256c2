/* What `forecast.season` says: auto, none, a number of steps ("24"), or a duration ("24h"). */
#ifndef CONFIG_SEASON_H
#define CONFIG_SEASON_H

#include <stdint.h>

enum season_kind { SEASON_NONE, SEASON_AUTO, SEASON_STEPS, SEASON_DURATION };

struct season_rule {
    int kind;          /* enum season_kind */
    int64_t steps;     /* SEASON_STEPS: at least 2 */
    int64_t period_ns; /* SEASON_DURATION: above 0 */
};

const char *parse_season(const char *text, struct season_rule *); /* NULL, or what is wrong (config/unit.h) */

#endif

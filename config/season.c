#include "config/season.h"

#include <string.h>

#include "config/unit.h"

const char *parse_season(const char *text, struct season_rule *out)
{
    static const int64_t MOST_STEPS = 1000000;
    *out = (struct season_rule){0};
    if (strcmp(text, "none") == 0) return NULL;
    if (strcmp(text, "auto") == 0) {
        out->kind = SEASON_AUTO;
        return NULL;
    }
    if (text[strspn(text, "0123456789")] == '\0') {
        out->kind = SEASON_STEPS;
        const char *wrong = parse_int(text, &out->steps);
        return wrong ? wrong : out->steps < 2 || out->steps > MOST_STEPS ? "is not within 2 .. 1000000 steps" : NULL;
    }
    out->kind = SEASON_DURATION;
    if (parse_duration(text, &out->period_ns))
        return "is neither auto, none, a number of steps such as 24 nor a duration such as 24h";
    return out->period_ns <= 0 ? "is not above 0" : NULL;
}

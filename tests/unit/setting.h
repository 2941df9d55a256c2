/* Where a part's option lies in its settings, by name ("limits", "member_limits.stuck"): for tests that turn one. */
#ifndef TESTS_UNIT_SETTING_H
#define TESTS_UNIT_SETTING_H

#include <criterion/criterion.h>
#include <string.h>

#include "eddy_part.h"

static inline void *test_setting(const struct eddy_part *part, void *settings, const char *path)
{
    const struct eddy_option *o = part->options;
    size_t at = 0;
    while (o && o->name) {
        const size_t n = strlen(o->name);
        const bool here = strncmp(path, o->name, n) == 0 && (path[n] == '\0' || path[n] == '.');
        if (!here) {
            o++;
            continue;
        }
        at += o->offset;
        if (path[n] == '\0') return (unsigned char *)settings + at;
        path += n + 1;
        o = o->sub;
    }
    cr_assert_fail("%s has no option %s", part->name, path);
    return NULL;
}

static inline void test_set(const struct eddy_part *part, void *settings, const char *path, double value)
{
    *(double *)test_setting(part, settings, path) = value;
}

#endif

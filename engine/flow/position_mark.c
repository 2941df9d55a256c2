#include "engine/flow/position_mark.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK   "eddy"
#define START  " start="
#define OUTPUT " output="

static int64_t mark_number(const char *text, const char *name)
{
    char *end;
    const char *at = strstr(text, name);
    if (!at) return -1;
    at += strlen(name);
    const int64_t value = strtoll(at, &end, 10);
    return end > at && value >= 0 ? value : -1;
}

struct position_mark position_mark_read(const char *text)
{
    if (strncmp(text, MARK " ", strlen(MARK " ")) != 0) return (struct position_mark){-1, -1};
    return (struct position_mark){mark_number(text, START), mark_number(text, OUTPUT)};
}

static void mark_add(char text[POSITION_MARK_BYTES], const char *name, int64_t value)
{
    const size_t n = strlen(text);
    if (value >= 0) (void)snprintf(text + n, POSITION_MARK_BYTES - n, "%s%" PRId64, name, value);
}

void position_mark_write(struct position_mark mark, char text[POSITION_MARK_BYTES])
{
    (void)snprintf(text, POSITION_MARK_BYTES, MARK);
    mark_add(text, START, mark.start);
    mark_add(text, OUTPUT, mark.output);
}

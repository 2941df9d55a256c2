#include "connectors/files/file_trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

void file_trace_begin(struct file_trace *t, const char *key)
{
    t->head = XXH3_64bits(key, strlen(key));
    t->begun = true;
}

static uint64_t trace_add(uint64_t sum, uint64_t next)
{
    return XXH3_64bits_withSeed(&next, sizeof(next), sum);
}

void file_trace_header(struct file_trace *t, const struct line *line)
{
    t->head = trace_add(t->head, line_sum(line));
}

void file_trace_row(struct file_trace *t, const struct line *line)
{
    if (t->begun) t->sum = trace_add(t->sum, t->head);
    t->begun = false;
    t->sum = trace_add(t->sum, line_sum(line));
    t->open = line->open && !line->cut ? (uint32_t)line->len : 0; /* 1 GiB at most */
}

void file_trace_text(const struct file_trace *t, char out[SOURCE_TRACE_BYTES])
{
    const int n = snprintf(out, SOURCE_TRACE_BYTES, "2:%016" PRIx64, t->sum);
    if (t->open > 0) (void)snprintf(out + n, SOURCE_TRACE_BYTES - (size_t)n, "+%" PRIu32, t->open);
}

bool file_trace_read(struct file_trace *t, const char *text)
{
    *t = (struct file_trace){0};
    return sscanf(text, "2:%16" SCNx64 "+%" SCNu32, &t->sum, &t->open) >= 1;
}

bool file_trace_grown(const struct file_trace *then, const struct file_trace *before, const struct line *row)
{
    struct file_trace was = *before;
    if (then->open == 0 || then->open > row->len) return false;
    file_trace_row(&was, &(struct line){.text = row->text, .len = then->open});
    return was.sum == then->sum;
}

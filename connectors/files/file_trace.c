#include "connectors/files/file_trace.h"

#include <string.h>
#include <xxhash.h>

void file_trace_begin(struct file_trace *t, const char *key)
{
    t->head = XXH3_64bits(key, strlen(key));
    t->begun = true;
}

void file_trace_header(struct file_trace *t, const char *text, size_t len)
{
    t->head = XXH3_64bits_withSeed(text, len, t->head);
}

void file_trace_row(struct file_trace *t, const char *text, size_t len)
{
    if (t->begun) t->sum = XXH3_64bits_withSeed(&t->head, sizeof(t->head), t->sum);
    t->begun = false;
    t->sum = XXH3_64bits_withSeed(text, len, t->sum);
}

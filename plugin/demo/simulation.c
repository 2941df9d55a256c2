#include "plugin/demo/simulation.h"

#include <stdlib.h>
#include <string.h>

const char *fault_kind_text(int kind)
{
    static const char *const texts[N_FAULT_KINDS] = {"spike", "drift", "stuck", "lost rhythm"};
    return kind >= 0 && kind < N_FAULT_KINDS ? texts[kind] : "unknown";
}

void simulation_close(struct simulation *s)
{
    if (!s) return;
    free(s->x);
    free(s->faults);
    *s = (struct simulation){0};
}

int simulation_step(const struct simulation *s, int64_t time_ns)
{
    int64_t since_ns = time_ns - s->start_ns;
    if (since_ns < 0 || since_ns % s->step_ns != 0 || since_ns / s->step_ns >= s->n_steps) return -1;
    return (int)(since_ns / s->step_ns);
}

int simulation_series(const struct simulation *s, const char *key, int key_len)
{
    for (int i = 0; i < s->n_series; i++)
        if (strlen(s->names[i]) == (size_t)key_len && memcmp(s->names[i], key, (size_t)key_len) == 0) return i;
    return -1;
}

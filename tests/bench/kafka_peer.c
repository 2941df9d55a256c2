#include <stdlib.h>

#include "tests/bench/kafka_load.h"

static struct bench_run peer_run(const struct kafka_load *w, int n, int batch)
{
    char command[600];
    struct bench_run run = {0};
    const char *python = getenv("EDDY_BENCH_PYTHON");
    snprintf(command, sizeof(command), "'%s' -B tests/bench/peer_kafka.py '%s' '%s' '%s' %d %d %d",
             python ? python : "python3", w->servers, w->input, w->output, w->n_partitions, n, batch);
    FILE *f = popen(command, "r");
    if (!f || fscanf(f, "%lf %lf %lf", &run.events, &run.cpu_process, &run.seconds) != 3)
        bench_die("peer_kafka.py failed", NULL);
    if (pclose(f) != 0) bench_die("peer_kafka.py failed", NULL);
    return run;
}

struct bench_run load_python(const void *argument)
{
    const struct kafka_load *w = argument;
    return peer_run(w, w->records->n, 500);
}

struct bench_run load_python_alone(const void *argument)
{
    const struct kafka_load *w = argument;
    return peer_run(w, w->records->n / 10, 1);
}

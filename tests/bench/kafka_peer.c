#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/kafka_load.h"

/* Runs a peer, which prints its events, CPU seconds and wall seconds. */
static struct bench_run peer_run(const char *command)
{
    struct bench_run run = {0};
    FILE *f = popen(command, "r");
    if (!f || fscanf(f, "%lf %lf %lf", &run.events, &run.cpu_process, &run.seconds) != 3) bench_die(command, NULL);
    if (pclose(f) != 0) bench_die(command, NULL);
    return run;
}

static struct bench_run python_run(const struct kafka_load *w, int n, int batch)
{
    char command[600];
    snprintf(command, sizeof(command), "'%s' -B tests/bench/peer_kafka.py '%s' '%s' '%s' %d %d %d",
             getenv("EDDY_BENCH_PYTHON"), w->servers, w->input, w->output, w->n_partitions, n, batch);
    return peer_run(command);
}

struct bench_run load_python(const void *argument)
{
    const struct kafka_load *w = argument;
    return python_run(w, w->records->n, 500);
}

struct bench_run load_python_alone(const void *argument)
{
    const struct kafka_load *w = argument;
    return python_run(w, w->records->n / 10, 1);
}

struct bench_run load_streams(const void *argument)
{
    const struct kafka_load *w = argument;
    char command[1200], state[] = "/tmp/eddy-bench-XXXXXX";
    if (!mkdtemp(state)) bench_die("a directory for Kafka Streams", NULL);
    snprintf(command, sizeof(command), "java -Xmx1g -XX:+UseParallelGC -cp '%s' PeerStreams '%s' '%s' '%s' %d %s",
             getenv("EDDY_BENCH_STREAMS"), w->servers, w->input, w->output, w->records->n, state);
    const struct bench_run run = peer_run(command);
    snprintf(command, sizeof(command), "rm -rf %s", state);
    if (system(command) != 0) bench_die("the directory of Kafka Streams", NULL);
    return run;
}

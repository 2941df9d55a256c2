/* What the benchmark programs share.
 *
 * A program prints one flat JSON object per line, {"bench":..,"case":..,NUMBER..}; bench.sh makes the table and
 * build/bench.json of them.  Every measured run is a process of its own, so that CPU time and memory are its own, and
 * the rounds of the cases are interleaved, so that a machine that slows down slows all of them; medians are reported.
 *
 * Errors   a failure is told on stderr and ends the program with 1. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include "config/config.h"
#include "engine/flow/driver.h"
#include "tests/bench/records.h"

enum { BENCH_ROUNDS = 3 };

/* One run of a pipeline. */
struct bench_run {
    double events, seconds;                              /* seconds of wall time in driver_run() */
    double cpu_process, cpu_loop;                        /* CPU seconds: all threads, and the thread of the loop */
    double poll, decode, lane, encode, send, checkpoint; /* CPU seconds of the loop by stage */
    double rss_bytes;                                    /* resident memory gained since before driver_open() */
    double updates, output_bytes, checkpoints;
    double lookup;   /* CPU seconds of finding the keys' rows, where that is measured */
    double p50, p99; /* seconds from a record's produce to its result's arrival, where that is measured */
};

/* Runs work(argument) in a child process and returns what it returns. */
struct bench_run bench_in_child(struct bench_run (*work)(const void *argument), const void *argument);

/* The same, while the caller does something else in between. */
struct bench_child {
    int pid, end;
};
struct bench_child bench_child_start(struct bench_run (*work)(const void *argument), const void *argument);
struct bench_run bench_child_wait(struct bench_child);

/* Runs the pipeline of `yaml` (state in a scratch directory, unless the request names a
 * path) until the source has ended or `stop` is set.  The request
 * may hold source, sink, callbacks; settings come from the YAML. */
struct bench_run bench_pipeline(const char *yaml, struct driver_request request);

/* The same for the sample config/NAME.yml over the benchmark's records: its source and sink are replaced. */
struct bench_run bench_sample(const char *name, struct driver_request request);
/* What plan_estimate() says of that sample for the benchmark's keys. */
size_t bench_sample_estimate(const char *name);

/* CPU seconds of finding the row of a record's key, with the copy for an abort, when all rows are in memory: keys come as in
 * `records`, rows are as the configuration makes them. */
double bench_lookup(const char *yaml, const struct records *records);

/* Sorts `run` by CPU time per event and returns the median one. */
struct bench_run bench_median(struct bench_run *run, int n);

/* Prints one line of results: events per second of wall time and of CPU time, and CPU microseconds per event of the
 * whole process, of the loop's thread, and of its stages (other_us: joining the group, the last checkpoint, ticks).
 * `extra` (may be "") is appended, e.g. ",\"bytes_per_key\":1200". */
void bench_print(const char *bench, const char *name, const struct bench_run *run, const char *extra);

double bench_clock(int clock_id); /* seconds of a clock of clock_gettime() */
void bench_die(const char *what, const struct eddy_error *err) __attribute__((noreturn));

#endif

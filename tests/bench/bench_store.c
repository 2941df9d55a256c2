/* A state file by itself: CPU microseconds per row to write it new, to write every row again, and to open it, which reads
 * and checks all of it.  EDDY_BENCH_KEYS sets the number of rows (default 1,000,000). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/state/store.h"
#include "tests/bench/bench.h"

enum { KEYS = 1000000 };
static const struct store_identity identity = {"bench", "topic", 0};
static const int row_bytes[] = {256, 1024, 4096};

static struct store *must_open(const char *path)
{
    struct eddy_error err = {0};
    struct store *s = NULL;
    if (store_open(path, &identity, STORE_WRITE, &s, &err) < 0) bench_die("opening", &err);
    return s;
}

/* All rows in an order that is not theirs; returns CPU seconds. */
static double put_all(struct store *s, int keys, int bytes, int64_t turn)
{
    struct eddy_error err = {0};
    static unsigned char row[4096];
    const double since = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    for (int64_t i = 0; i < keys; i++) {
        char key[32];
        memcpy(row, &i, sizeof(i));
        const struct stored_row r = {
            .key = key,
            .key_len = (size_t)snprintf(key, sizeof(key), "sensor-%07" PRId64, i * 7919 % keys),
            .next_off = turn,
            .row = row,
            .row_bytes = (size_t)bytes};
        if (store_put_row(s, &r, &err) < 0) bench_die("writing", &err);
    }
    if (store_commit(s, &err) < 0) bench_die("writing", &err);
    return bench_clock(CLOCK_PROCESS_CPUTIME_ID) - since;
}

static void measure(const char *path, int keys, int bytes)
{
    struct store *s = must_open(path);
    const double first = put_all(s, keys, bytes, 1), again = put_all(s, keys, bytes, 2);
    store_close(s);
    const double since = bench_clock(CLOCK_PROCESS_CPUTIME_ID), wall = bench_clock(CLOCK_MONOTONIC);
    s = must_open(path);
    const double opened = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - since, took = bench_clock(CLOCK_MONOTONIC) - wall;
    store_close(s);
    const double us = 1e6 / keys;
    printf(
        "{\"bench\":\"state file\",\"case\":\"rows of %d bytes\",\"rows\":%d,\"write_us\":%.2f,\"rewrite_us\":%.2f,"
        "\"open_us\":%.2f,\"open_s\":%.2f}\n",
        bytes, keys, first * us, again * us, opened * us, took);
    fflush(stdout);
}

int main(void)
{
    const char *asked = getenv("EDDY_BENCH_KEYS"), *tmp = getenv("TMPDIR");
    const int keys = asked && atoi(asked) > 0 ? atoi(asked) : KEYS;
    for (size_t i = 0; i < sizeof(row_bytes) / sizeof(row_bytes[0]); i++) {
        char dir[200], path[240];
        (void)snprintf(dir, sizeof(dir), "%.150s/eddy-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
        if (!mkdtemp(dir)) {
            perror(dir);
            return 1;
        }
        (void)snprintf(path, sizeof(path), "%s/topic-0.db", dir);
        measure(path, keys, row_bytes[i]);
        (void)unlink(path);
        (void)rmdir(dir);
    }
    return 0;
}

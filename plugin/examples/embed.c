/* eddy inside another program: scores a made-up temperature, saves everything, goes on from the saved file.
 *
 *     cc -o embed embed.c $(pkg-config --cflags --libs eddy) -lm && ./embed */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eddy.h"

enum { EVENTS = 2000, SPIKE_AT = 1800, STEP_S = 60 };

static const char yaml[] = "name: example\n"
                           "codec: {json: {values: [temperature]}}\n"
                           "forecast: {horizons: [1, 5], network: {layers: [{gru: {units: 8}}]}}\n"
                           "train: {mode: inline}\n";

static double temperature(int i)
{
    double daily = 5 * sin(i * 0.05), wobble = 0.3 * sin(i * 1.7);
    return 20 + daily + wobble + (i >= SPIKE_AT && i < SPIKE_AT + 5 ? 25 : 0);
}

/* Feeds events from..to - 1 one by one and tells which one had the highest score. */
static int feed(struct eddy *e, int from, int to, struct eddy_error *err)
{
    int worst = from;
    double highest = -1;
    for (int i = from; i < to; i++) {
        double values[] = {temperature(i)};
        struct eddy_input in = {"oven-1", strlen("oven-1"), (int64_t)i * STEP_S * 1000000000, values};
        struct eddy_output out;
        if (eddy_feed(e, &in, 1, &out, err) < 0) return -1;
        if (out.score > highest) {
            highest = out.score;
            worst = i;
        }
        const char *line;
        size_t len;
        if (i == to - 1 && eddy_format(e, &out, &line, &len, err) >= 0) printf("%s\n", line);
    }
    printf("events %d..%d: highest score %.2f at event %d\n", from, to - 1, highest, worst);
    return worst;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "example.eddy";
    struct eddy_error err = {0};
    struct eddy *first = NULL, *second = NULL;
    char a[33] = "", b[33] = "";

    /* Two eddies side by side; the second takes over from the first one's file. */
    int ok = eddy_open_string(yaml, NULL, &first, &err) >= 0 && eddy_open_string(yaml, NULL, &second, &err) >= 0 &&
             feed(first, 0, 1500, &err) >= 0 && eddy_save(first, path, &err) >= 0 &&
             eddy_restore(second, path, &err) >= 0 && feed(first, 1500, EVENTS, &err) >= 0 &&
             feed(second, 1500, EVENTS, &err) >= 0 && eddy_state_hash(first, a, &err) >= 0 &&
             eddy_state_hash(second, b, &err) >= 0;
    if (!ok) fprintf(stderr, "embed: %s\n", err.message);
    if (ok) printf("state %s, after saving and restoring %s\n", a, b);
    eddy_close(first);
    eddy_close(second);
    return ok && strcmp(a, b) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Two pipelines side by side, each in a thread of its own with a trainer thread behind it: run under TSan, where Criterion
 * does not start.  They get the same events, so they must end in the same state. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "plugin/eddy.h"

enum { EVENTS = 6000, TURN = 50 };

struct life {
    char hash[33];
    struct eddy_error err;
    eddy_status rc;
};

static void *live(void *arg)
{
    static const char *const yaml = "name: race\n"
                                    "codec: {json: {values: [v]}}\n"
                                    "forecast: {horizons: [1, 3], network: {layers: [{gru: {units: 8}}]}}\n"
                                    "train: {mode: background, every: 4, window: 8, epoch: 64}\n";
    struct life *life = arg;
    struct eddy *e = NULL;
    life->rc = eddy_open_string(yaml, NULL, &e, &life->err);
    for (int at = 0; at < EVENTS && life->rc >= 0; at += TURN) {
        struct eddy_input in[TURN];
        char keys[TURN][8];
        double x[TURN];
        for (int i = 0; i < TURN; i++) {
            x[i] = sin((at + i) * .01) + (at + i) % 7;
            int n = snprintf(keys[i], sizeof(keys[i]), "k%d", (at + i) % 5);
            in[i] = (struct eddy_input){keys[i], (size_t)n, (int64_t)(at + i) * 1000000000, &x[i]};
        }
        struct eddy_output out[TURN];
        life->rc = eddy_feed(e, in, TURN, out, &life->err);
    }
    if (life->rc >= 0) life->rc = eddy_state_hash(e, life->hash, &life->err);
    eddy_close(e);
    return NULL;
}

int main(void)
{
    struct life lives[2] = {0};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, live, &lives[i]) != 0) return 1;
    for (int i = 0; i < 2; i++) (void)pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
        if (lives[i].rc < 0) {
            (void)fprintf(stderr, "embed_race: %s\n", lives[i].err.message);
            return 1;
        }
    if (strcmp(lives[0].hash, lives[1].hash) != 0) {
        (void)fprintf(stderr, "embed_race: %s and %s\n", lives[0].hash, lives[1].hash);
        return 1;
    }
    return 0;
}

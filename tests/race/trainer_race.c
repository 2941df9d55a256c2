/* Two lanes submit, wait for, share and drop jobs and weights while one trainer works: under `make test-race` the thread
 * sanitizer watches; in any build the results must be those of a trainer that runs inline. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "engine/model/layers.h"
#include "engine/train/trainer.h"

enum { LANES = 2, JOBS = 30, N_WINDOWS = 6, STEPS = 6, LONG_MS = 60000 };

struct lane {
    const struct model *model;
    struct window_shape shape;
    struct train_settings settings;
    struct trainer *trainer;
    struct weights *initial; /* shared by all lanes */
    float *windows;
    uint64_t seed;
    struct weights *result;
};

static void must(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "not ok - %s\n", what);
    exit(1);
}

/* Reads what another thread wrote. */
static double touch(const struct weights *w)
{
    double sum = 0;
    for (size_t i = 0; i < w->n_params; i++) sum += (double)w->ema[i];
    return sum;
}

static struct train_job *lane_submit_job(struct lane *l, struct train_job *after, int n)
{
    struct train_job *job;
    const struct train_windows windows = {&l->shape, l->windows, n, 0};
    must(trainer_submit(l->trainer, l->model, &l->settings, after ? NULL : l->initial, after, &windows, &job, NULL) ==
             EDDY_OK,
         "submit");
    return job;
}

static void *lane_main(void *arg)
{
    struct lane *l = arg;
    struct train_job *last = lane_submit_job(l, NULL, N_WINDOWS);
    for (int i = 1; i < JOBS; i++) {
        struct train_job *next = lane_submit_job(l, last, 1 + i % N_WINDOWS);
        train_job_release(lane_submit_job(l, last, N_WINDOWS)); /* a candidate that nobody wants */
        if (i % 3 == 0) {
            while (train_job_wait(last, 1) == EDDY_EAGAIN) (void)train_job_done(next);
            struct weights *w = weights_ref(train_job_result(last));
            must(touch(w) == touch(w), "finite weights");
            weights_unref(w);
        }
        train_job_release(last);
        last = next;
    }
    must(train_job_wait(last, LONG_MS) == EDDY_OK, "wait");
    l->result = weights_ref(train_job_result(last));
    train_job_release(last);
    return NULL;
}

static void lane_open(struct lane *l, const struct model *model, uint64_t seed)
{
    l->model = model;
    l->shape = (struct window_shape){STEPS, 2, 1, model->slices[0].net->n_state};
    l->settings = (struct train_settings){
        .learning_rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .clip_norm = 1, .ema = 0.9, .batch = 4};
    l->seed = seed;
    const size_t n = N_WINDOWS * window_floats(&l->shape);
    l->windows = malloc(n * sizeof(float));
    must(l->windows != NULL, "memory");
    for (size_t i = 0; i < n; i++) l->windows[i] = eddy_random_normal(seed, i);
}

static void run(struct lane *lanes, int mode, struct weights *initial)
{
    pthread_t threads[LANES];
    struct trainer *trainer;
    must(trainer_open(mode, &trainer, NULL) == EDDY_OK, "trainer");
    for (int i = 0; i < LANES; i++) {
        lanes[i].trainer = trainer;
        lanes[i].initial = initial;
        must(pthread_create(&threads[i], NULL, lane_main, &lanes[i]) == 0, "thread");
    }
    for (int i = 0; i < LANES; i++) must(pthread_join(threads[i], NULL) == 0, "join");
    /* One that is still queued, or running, when the trainer closes. */
    struct train_job *left = lane_submit_job(&lanes[0], NULL, N_WINDOWS);
    trainer_close(trainer);
    must(train_job_done(left), "a closed trainer leaves nobody waiting");
    train_job_release(left);
}

int main(void)
{
    double defaults[16]; /* room and alignment for the settings of one layer */
    must(layer_gru.part.settings_size <= sizeof(defaults), "room");
    must(config_part_defaults(&layer_gru.part, defaults, NULL) == EDDY_OK, "settings");
    const struct eddy_choice layer = {&layer_gru.part, defaults, "race"};
    const struct network_shape network_shape = {.n_in = 2, .n_dims = 1, .n_horizons = 1};
    const struct network_settings settings = {.layers = {1, &layer}};
    struct network *net;
    struct weights *initial;
    struct lane lanes[LANES];
    struct weights *inline_results[LANES];
    must(network_open(&settings, &network_shape, &net, NULL) == EDDY_OK, "network");
    static const char *const names[] = {"network"};
    struct model *model;
    must(model_open(names, &net, 1, &model, NULL) == EDDY_OK, "model");
    must(weights_initial(model, 1, &initial, NULL) == EDDY_OK, "weights");
    for (int i = 0; i < LANES; i++) lane_open(&lanes[i], model, 10 + (uint64_t)i);

    run(lanes, TRAIN_INLINE, initial);
    for (int i = 0; i < LANES; i++) inline_results[i] = lanes[i].result;
    run(lanes, TRAIN_BACKGROUND, initial);
    for (int i = 0; i < LANES; i++) {
        const struct weights *a = inline_results[i], *b = lanes[i].result;
        must(a->version == b->version && memcmp(a->master, b->master, a->n_params * sizeof(float)) == 0,
             "background equals inline");
        weights_unref(inline_results[i]);
        weights_unref(lanes[i].result);
        free(lanes[i].windows);
    }
    weights_unref(initial);
    model_close(model);
    network_close(net);
    printf("ok - lanes share a trainer without races\n");
    return 0;
}

#include "engine/flow/pretrain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eddy_layer.h"
#include "engine/train/judge.h"

enum { JOB_WINDOWS = 512 /* at most */, HELD_OUT = 10 /* one of so many */ };
static const double CALM_FROM =
    2. / 3; /* the share of the course that goes at the full rate: a short one needs its steps */

struct course {
    const struct pretrain *request;
    struct trainer *trainer;
    struct train_scratch *scratch;
    const float **learn, **held; /* [windows->n] blocks, in stream order */
    const float **order;         /* [windows->n] of the epoch in hand */
    int64_t n_learn, n_held;
    float *gathered; /* [JOB_WINDOWS, windows->floats] */
};

static eddy_status course_open(struct course *c, struct eddy_error *err)
{
    const struct window_set *set = c->request->windows;
    const size_t n = (size_t)set->n + 1;
    c->learn = calloc(n, sizeof(*c->learn));
    c->held = calloc(n, sizeof(*c->held));
    c->order = calloc(n, sizeof(*c->order));
    c->gathered = malloc(JOB_WINDOWS * (set->floats + 1) * sizeof(float));
    c->scratch = train_scratch_open();
    if (!c->learn || !c->held || !c->order || !c->gathered || !c->scratch)
        return eddy_fail(err, EDDY_ENOMEM, "out of memory for training on %lld windows", (long long)set->n);
    for (int64_t i = 0, end = 0; i < set->n; i = end) {
        while (end < set->n && set->item[end].lane == set->item[i].lane) end++;
        const int64_t from = end - (end - i) / HELD_OUT;
        for (int64_t k = i; k < from; k++) c->learn[c->n_learn++] = set->item[k].block;
        for (int64_t k = from; k < end; k++) c->held[c->n_held++] = set->item[k].block;
    }
    if (c->n_held == 0)
        return eddy_fail(err, EDDY_EINVAL, "%lld training windows are too few to learn from and to hold some out",
                         (long long)set->n);
    return trainer_open(TRAIN_INLINE, &c->trainer, err);
}

static void course_close(struct course *c)
{
    trainer_close(c->trainer);
    train_scratch_close(c->scratch);
    free((void *)c->learn), free((void *)c->held), free((void *)c->order);
    free(c->gathered);
}

/* n blocks network by network, as a job wants them. */
static struct train_windows course_gather(struct course *c, const float *const *blocks, int n)
{
    const struct plan *p = c->request->plan;
    float *to = c->gathered;
    size_t first = 0;
    for (int k = 0; k < p->n_networks; k++) {
        if (p->shared[k].n_steps == 0) continue;
        const size_t floats = window_floats(&p->shared[k]);
        for (int i = 0; i < n; i++, to += floats) memcpy(to, blocks[i] + first, floats * sizeof(float));
        first += floats;
    }
    return (struct train_windows){p->shared, c->gathered, n, 0};
}

static eddy_status course_judge(struct course *c, const struct weights *w, const float *const *blocks, int64_t n,
                                double *loss, struct eddy_error *err)
{
    const struct plan *p = c->request->plan;
    const float *params = p->settings->train.ema > 0 ? w->ema : w->master;
    double sum = 0, one;
    int64_t judged = 0;
    for (int64_t i = 0; i < n; i += JOB_WINDOWS) {
        const int now = n - i < JOB_WINDOWS ? (int)(n - i) : JOB_WINDOWS;
        const struct train_windows windows = course_gather(c, blocks + i, now);
        eddy_status rc = judge_model(p->model, params, &windows, c->scratch, &one, err);
        if (rc < 0) return rc;
        if (isnan(one)) continue;
        sum += one * now;
        judged += now;
    }
    *loss = judged > 0 ? sum / (double)judged : NAN;
    return EDDY_OK;
}

/* Epoch 1 in stream order, later ones shuffled (Fisher and Yates). */
static void course_shuffle(struct course *c, int64_t epoch)
{
    const uint64_t seed = eddy_random_bits((uint64_t)c->request->plan->settings->seed ^ 0x73687566u, (uint64_t)epoch);
    memcpy((void *)c->order, (const void *)c->learn, (size_t)c->n_learn * sizeof(*c->order));
    for (int64_t i = c->n_learn - 1; epoch > 1 && i > 0; i--) {
        const int64_t k = (int64_t)(eddy_random_bits(seed, (uint64_t)i) % (uint64_t)(i + 1));
        const float *block = c->order[i];
        c->order[i] = c->order[k];
        c->order[k] = block;
    }
}

static bool course_anneals(const struct plan *p)
{
    return p->settings->train.schedule == SCHEDULE_CONSTANT; /* else somebody chose a schedule */
}

/* The share of the learning rate when `done` of the course (0 .. 1) is over. */
static double course_pace(const struct plan *p, double done)
{
    static const double LEAST = .02, HALF_TURN = 3.14159265358979323846;
    if (!course_anneals(p) || done < CALM_FROM) return 1;
    return LEAST + (1 - LEAST) * (1 + cos(HALF_TURN * (done - CALM_FROM) / (1 - CALM_FROM))) / 2;
}

/* Windows of a job, whole steps of the optimiser: few enough for the rate to fall evenly where the whole course is short. */
static int64_t course_job_windows(const struct course *c)
{
    enum { FALLS = 32 };
    const int64_t batch = c->request->plan->settings->train.batch;
    const double falling = (1 - CALM_FROM) * (double)c->n_learn * (double)c->request->epochs / FALLS;
    if (!course_anneals(c->request->plan) || falling >= JOB_WINDOWS) return JOB_WINDOWS;
    const int64_t steps = (int64_t)falling / batch;
    return steps > 1 ? steps * batch : batch < JOB_WINDOWS ? batch : JOB_WINDOWS;
}

/* Trains *w on all windows in order; *w becomes the result. */
static eddy_status course_epoch(struct course *c, int64_t epoch, struct weights **w, struct eddy_error *err)
{
    const struct plan *p = c->request->plan;
    const int64_t job_windows = course_job_windows(c);
    struct train_settings settings = p->settings->train;
    eddy_status rc = EDDY_OK;
    for (int64_t i = 0; i < c->n_learn && rc >= 0; i += job_windows) {
        struct train_job *job = NULL;
        const int now = (int)(c->n_learn - i < job_windows ? c->n_learn - i : job_windows);
        const struct train_windows windows = course_gather(c, c->order + i, now);
        const double epochs = (double)(epoch - 1) + ((double)i + .5 * now) / (double)c->n_learn;
        settings.learning_rate = p->settings->train.learning_rate *
                                 course_pace(p, epochs / (double)c->request->epochs);
        rc = trainer_submit(c->trainer, p->model, &settings, *w, NULL, &windows, &job, err);
        if (rc < 0) break;
        struct weights *next = weights_ref(train_job_result(job));
        train_job_release(job);
        weights_unref(*w);
        *w = next;
        if (c->request->stop && *c->request->stop) rc = eddy_fail(err, EDDY_EAGAIN, "stopped before the end");
    }
    return rc;
}

static int64_t course_steps(const struct weights *w)
{
    int64_t steps = 0;
    for (int k = 0; k < w->n_networks; k++) steps += w->progress[k].steps;
    return steps;
}

static eddy_status course_run(struct course *c, struct weights **w, struct weights **best, struct eddy_error *err)
{
    const struct pretrain *q = c->request;
    struct pretrain_epoch e = {.loss = NAN};
    const int64_t patience = course_anneals(q->plan) ? q->epochs : q->patience;
    double least = INFINITY;
    int64_t since = 0;
    eddy_status rc = EDDY_OK;
    for (; rc >= 0 && e.epoch <= q->epochs && since < patience; e.epoch++) {
        if (e.epoch > 0) {
            course_shuffle(c, e.epoch);
            rc = course_epoch(c, e.epoch, w, err);
            if (rc >= 0) rc = course_judge(c, *w, c->learn, c->n_learn, &e.loss, err);
        }
        if (rc >= 0) rc = course_judge(c, *w, c->held, c->n_held, &e.held_out, err);
        if (rc < 0) break;
        e.best = e.held_out < least || !*best;
        e.steps = course_steps(*w);
        since = e.best ? 0 : since + 1;
        if (e.best) {
            least = e.held_out;
            weights_unref(*best);
            *best = weights_ref(*w);
        }
        q->on_epoch(q->context, &e);
    }
    return rc;
}

eddy_status pretrain_run(const struct pretrain *q, struct weights **best, struct eddy_error *err)
{
    struct course c = {.request = q};
    struct weights *w = weights_ref(q->base);
    *best = NULL;
    eddy_status rc = course_open(&c, err);
    if (rc >= 0) rc = course_run(&c, &w, best, err);
    if (rc < 0) {
        weights_unref(*best);
        *best = NULL;
    }
    weights_unref(w);
    course_close(&c);
    return rc;
}

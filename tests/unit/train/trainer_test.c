#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/train/trainer.h"
#include "tests/unit/train/fixture.h"

enum { N_WINDOWS = 10, LONG_MS = 60000 };

struct trainer_test {
    struct test_network t;
    struct window_shape shape;
    struct train_settings settings;
    struct trainer *trainer;
    struct weights *base;
    float *windows;
};

static void open_test(struct trainer_test *r, int mode)
{
    memset(r, 0, sizeof(*r));
    test_network_open(&r->t, "gru:6 lstm:5", 3, 2);
    r->shape = (struct window_shape){8, 3, 2, r->t.net->n_state};
    r->settings = test_train_settings(); /* 4 + 4 + 2 windows */
    r->settings.mode = mode;
    r->settings.ema = 0.99;
    r->windows = test_windows(&r->shape, N_WINDOWS, 5);
    cr_assert_eq(trainer_open(mode, &r->trainer, NULL), EDDY_OK);
    cr_assert_eq(weights_initial(r->t.model, 1, &r->base, NULL), EDDY_OK);
}

static void close_test(struct trainer_test *r)
{
    trainer_close(r->trainer);
    weights_unref(r->base);
    free(r->windows);
    test_network_close(&r->t);
}

static struct train_job *submit(struct trainer_test *r, struct train_job *after, int n)
{
    struct train_job *job = NULL;
    const struct train_windows windows = {&r->shape, r->windows, n, 0};
    cr_assert_eq(
        trainer_submit(r->trainer, r->t.model, &r->settings, after ? NULL : r->base, after, &windows, &job, NULL),
        EDDY_OK);
    cr_assert(job);
    return job;
}

/* Waits, takes the result for good and lets go of the job. */
static struct weights *finish(struct train_job *job)
{
    cr_assert_eq(train_job_wait(job, LONG_MS), EDDY_OK);
    cr_assert(train_job_done(job));
    struct weights *w = weights_ref(train_job_result(job));
    train_job_release(job);
    return w;
}

static void assert_equal(const struct trainer_test *r, const struct weights *a, const struct weights *b)
{
    const size_t bytes = r->t.net->n_params * sizeof(float);
    cr_assert_eq(a->version, b->version);
    cr_assert_eq(a->progress[0].steps, b->progress[0].steps);
    cr_assert_eq(a->progress[0].refused, b->progress[0].refused);
    cr_assert_eq(memcmp(&a->progress[0].loss, &b->progress[0].loss, sizeof(double)), 0);
    cr_assert_eq(memcmp(&a->progress[0].grad_norm, &b->progress[0].grad_norm, sizeof(double)), 0);
    cr_assert_eq(memcmp(a->master, b->master, bytes), 0);
    cr_assert_eq(memcmp(a->moment, b->moment, bytes), 0);
    cr_assert_eq(memcmp(a->variance, b->variance, bytes), 0);
    cr_assert_eq(memcmp(a->ema, b->ema, bytes), 0);
    cr_assert_eq(memcmp(a->packed, b->packed, r->t.net->n_packed * sizeof(float)), 0);
}

/* Three jobs one after another. */
static struct weights *three_jobs(int mode)
{
    struct trainer_test r;
    open_test(&r, mode);
    struct train_job *first = submit(&r, NULL, N_WINDOWS), *second = submit(&r, first, 7);
    struct train_job *third = submit(&r, second, 3);
    train_job_release(first);
    train_job_release(second);
    struct weights *w = finish(third);
    close_test(&r);
    return w;
}

Test(trainer, inline_equals_background_bit_for_bit)
{
    struct trainer_test r;
    open_test(&r, TRAIN_INLINE);
    struct weights *inside = three_jobs(TRAIN_INLINE), *behind = three_jobs(TRAIN_BACKGROUND);
    assert_equal(&r, inside, behind);
    cr_assert_eq(inside->version, 3);
    cr_assert_eq(inside->progress[0].steps, 3 + 2 + 1); /* groups of 4 windows */
    weights_unref(inside);
    weights_unref(behind);
    close_test(&r);
}

Test(trainer, a_job_run_again_gives_the_same_bits)
{
    struct trainer_test r;
    open_test(&r, TRAIN_BACKGROUND);
    struct weights *once = finish(submit(&r, NULL, N_WINDOWS)), *again = finish(submit(&r, NULL, N_WINDOWS));
    assert_equal(&r, once, again);
    cr_assert_neq(memcmp(once->master, r.base->master, r.t.net->n_params * sizeof(float)), 0);
    weights_unref(once);
    weights_unref(again);
    close_test(&r);
}

Test(trainer, the_base_is_never_written_to)
{
    struct trainer_test r;
    struct weights *fresh;
    open_test(&r, TRAIN_INLINE);
    cr_assert_eq(weights_initial(r.t.model, 1, &fresh, NULL), EDDY_OK);
    weights_unref(finish(submit(&r, NULL, N_WINDOWS)));
    assert_equal(&r, fresh, r.base);
    weights_unref(fresh);
    close_test(&r);
}

Test(trainer, a_job_without_windows_changes_the_version_alone)
{
    struct trainer_test r;
    open_test(&r, TRAIN_BACKGROUND);
    struct weights *w = finish(submit(&r, NULL, 0));
    cr_assert_eq(w->version, 1);
    w->version = 0;
    assert_equal(&r, w, r.base);
    weights_unref(w);
    close_test(&r);
}

Test(trainer, windows_are_copied_and_kept_for_checkpoints)
{
    struct trainer_test r;
    open_test(&r, TRAIN_BACKGROUND);
    struct train_job *job = submit(&r, NULL, N_WINDOWS);
    const size_t bytes = N_WINDOWS * window_floats(&r.shape) * sizeof(float);
    float *before = test_floats(bytes / sizeof(float));
    memcpy(before, r.windows, bytes);
    memset(r.windows, 0xff, bytes);
    cr_assert_eq(memcmp(train_job_windows(job).data, before, bytes), 0);
    cr_assert_eq(train_job_windows(job).n, N_WINDOWS);
    struct weights *w = finish(job);
    cr_assert_eq(w->progress[0].steps, 3);
    cr_assert_eq(w->progress[0].refused, 0);
    weights_unref(w);
    free(before);
    close_test(&r);
}

Test(trainer, refused_steps_are_counted_in_the_weights)
{
    struct trainer_test r;
    open_test(&r, TRAIN_INLINE);
    for (int b = 0; b < 4; b++) /* the first group of four */
        window_target(&r.shape, r.windows + (size_t)b * window_floats(&r.shape))[0] = INFINITY;
    struct weights *w = finish(submit(&r, NULL, N_WINDOWS));
    cr_assert_eq(w->progress[0].refused, 1);
    cr_assert_eq(w->progress[0].steps, 2);
    cr_assert(isfinite(w->progress[0].loss) && isfinite(w->progress[0].grad_norm));
    weights_unref(w);
    close_test(&r);
}

Test(trainer, a_job_that_finds_no_memory_returns_its_base)
{
    struct trainer_test r;
    open_test(&r, TRAIN_BACKGROUND);
    struct network huge = *r.t.net;
    struct model_slice slice = r.t.model->slices[0];
    struct model model = *r.t.model;
    slice.net = &huge;
    model.slices = &slice;
    const struct train_windows windows = {&r.shape, r.windows, 3, 0};
    struct train_job *job;
    huge.n_packed = SIZE_MAX / 4;
    cr_assert_eq(trainer_submit(r.trainer, &model, &r.settings, r.base, NULL, &windows, &job, NULL), EDDY_OK);
    struct weights *w = finish(job);
    cr_assert_eq(w, r.base);
    weights_unref(w);
    close_test(&r);
}

Test(trainer, a_wait_ends_when_the_time_is_up)
{
    struct trainer_test r;
    open_test(&r, TRAIN_BACKGROUND);
    struct train_job *last = NULL;
    for (int i = 0; i < 200; i++) {
        struct train_job *job = submit(&r, last, N_WINDOWS);
        train_job_release(last);
        last = job;
    }
    cr_assert_eq(train_job_wait(last, 0), EDDY_EAGAIN);
    cr_assert_eq(train_job_wait(last, 1), EDDY_EAGAIN);
    cr_assert_null(train_job_result(last));
    struct weights *w = finish(last);
    cr_assert_eq(w->version, 200);
    weights_unref(w);
    close_test(&r);
}

Test(trainer, closing_drops_what_is_queued_and_leaves_nobody_waiting)
{
    struct trainer_test r;
    struct train_job *jobs[50];
    open_test(&r, TRAIN_BACKGROUND);
    for (int i = 0; i < 50; i++) jobs[i] = submit(&r, i ? jobs[i - 1] : NULL, N_WINDOWS);
    trainer_close(r.trainer);
    r.trainer = NULL;
    for (int i = 0; i < 50; i++) {
        cr_assert_eq(train_job_wait(jobs[i], 0), EDDY_OK);
        cr_assert_not_null(train_job_result(jobs[i]));
        train_job_release(jobs[i]);
    }
    close_test(&r);
}

Test(trainer, a_released_job_that_waits_in_the_queue_is_skipped)
{
    struct trainer_test r;
    open_test(&r, TRAIN_BACKGROUND);
    struct train_job *first = submit(&r, NULL, N_WINDOWS);
    for (int i = 0; i < 20000; i++) train_job_release(submit(&r, NULL, 1)); /* running them would take seconds */
    struct train_job *second = submit(&r, first, N_WINDOWS);
    train_job_release(first);
    struct weights *w = finish(second);
    cr_assert_eq(w->version, 2);
    weights_unref(w);
    close_test(&r);
}

/* Under the address sanitizer: the network is gone while the trainer goes on with another one's jobs. */
Test(trainer, a_network_may_be_closed_once_it_is_forgotten)
{
    struct trainer_test stays, goes;
    open_test(&stays, TRAIN_BACKGROUND);
    open_test(&goes, TRAIN_INLINE);
    trainer_close(goes.trainer);
    goes.trainer = stays.trainer;
    struct train_job *left[20], *other = NULL;
    for (int i = 0; i < 20; i++) left[i] = submit(&goes, i ? left[i - 1] : NULL, N_WINDOWS);
    other = submit(&stays, NULL, N_WINDOWS);
    trainer_forget(stays.trainer, goes.t.model);
    goes.trainer = NULL;
    close_test(&goes);
    for (int i = 0; i < 20; i++) train_job_release(left[i]);
    struct weights *w = finish(other);
    cr_assert_eq(w->version, 1);
    cr_assert_gt(w->progress[0].steps, 0);
    weights_unref(w);
    trainer_forget(NULL, NULL);
    close_test(&stays);
}

Test(trainer, several_lanes_may_share_one)
{
    struct trainer_test r;
    open_test(&r, TRAIN_BACKGROUND);
    struct train_job *a = submit(&r, NULL, N_WINDOWS), *b = submit(&r, NULL, 5), *c = submit(&r, a, 5);
    struct weights *wb = finish(b), *wc = finish(c);
    cr_assert_eq(wb->version, 1);
    cr_assert_eq(wc->version, 2);
    train_job_release(a);
    weights_unref(wb);
    weights_unref(wc);
    close_test(&r);
}

Test(trainer, senseless_jobs_are_refused)
{
    struct trainer_test r;
    struct train_job *job;
    open_test(&r, TRAIN_INLINE);
    const struct train_windows one = {&r.shape, r.windows, 1, 0}, negative = {&r.shape, r.windows, -1, 0};
    cr_assert_eq(trainer_submit(r.trainer, r.t.model, &r.settings, NULL, NULL, &one, &job, NULL), EDDY_EINVAL);
    cr_assert_null(job);
    cr_assert_eq(trainer_submit(r.trainer, r.t.model, &r.settings, r.base, NULL, &negative, &job, NULL), EDDY_EINVAL);
    train_job_release(NULL);
    trainer_close(NULL);
    close_test(&r);
}

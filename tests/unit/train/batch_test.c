/* How a batch is brought to the layers: grids above strides, times, labels, seeds.  What the layers are told, probes
 * write down. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model/probe.h"
#include "tests/unit/train/fixture.h"

enum { ROWS = 2, EVENTS = 7, FIRINGS = 3 };

/* A probe that fires at every third event, under another one, in windows of one input and one label.  Row 0 starts anew,
 * row 1 where two events have passed: it fires at events 2 and 5, and at 0, 3 and 6. */
struct probed {
    struct probe below, above;
    struct eddy_choice choices[2];
    struct network_settings settings;
    struct network *net;
    struct window_shape shape;
    struct train_scratch *scratch;
    float *params, *windows, *gradient;
    double loss;
};

static void probed_open(struct probed *p, bool head)
{
    const struct network_shape shape = {.n_in = 1, .n_dims = 1, .n_horizons = 1};
    struct eddy_error err = {0};
    memset(p, 0, sizeof(*p));
    p->below.stride = 3;
    p->above.head = head;
    p->choices[0] = (struct eddy_choice){.part = &probe_layer.part, .settings = &p->below};
    p->choices[1] = (struct eddy_choice){.part = &probe_layer.part, .settings = &p->above};
    p->settings = (struct network_settings){.layers = {2, p->choices}, .loss = LOSS_SQUARED};
    cr_assert_eq(network_open(&p->settings, &shape, &p->net, &err), EDDY_OK, "%s", err.message);
    p->shape = (struct window_shape){EVENTS, 1, 1, p->net->n_state};
    p->scratch = train_scratch_open();
    p->params = test_floats(p->net->n_params);
    p->gradient = test_floats(p->net->n_params);
    p->windows = test_floats(ROWS * window_floats(&p->shape));
    if (!head) p->params[0] = 1; /* the head hands on as well */
    for (int b = 0; b < ROWS; b++) {
        float *window = p->windows + (size_t)b * window_floats(&p->shape);
        window_start(&p->shape, window)[0] = (float)(2 * b);
        window_start(&p->shape, window)[p->net->layers[0].at_elapsed] = (float)(100 * b);
        for (int t = 0; t < EVENTS; t++) {
            window_elapsed(&p->shape, window)[t] = (float)(1 << t);
            window_x(&p->shape, window)[t] = (float)(10 * b + t);
            window_target(&p->shape, window)[t] = (float)(10 * b + t + 1);
        }
    }
}

static void probed_run(struct probed *p, uint64_t draw)
{
    p->below.n_seen = p->above.n_seen = 0;
    cr_assert_eq(
        tbptt_gradient(p->net, &p->shape, p->params, p->windows, ROWS, draw, p->gradient, &p->loss, p->scratch, NULL),
        EDDY_OK);
    cr_assert_eq(p->below.n_seen, EVENTS * ROWS);
    cr_assert_eq(p->above.n_seen, FIRINGS * ROWS);
}

static void probed_close(struct probed *p)
{
    float *all[] = {p->params, p->windows, p->gradient};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    train_scratch_close(p->scratch);
    network_close(p->net);
}

/* In the order of what a probe has seen: step by step, rows 0 and 1. */
static const int fired_at[FIRINGS * ROWS] = {2, 0, 5, 3, -1, 6};

Test(batch, a_layer_above_a_stride_sees_one_firing_a_step_and_the_time_since_the_last)
{
    struct probed p;
    const float elapsed[FIRINGS * ROWS] = {1 + 2 + 4, 100 + 1, 8 + 16 + 32, 2 + 4 + 8, 0, 16 + 32 + 64};
    probed_open(&p, false);
    probed_run(&p, 1);
    for (int i = 0; i < FIRINGS * ROWS; i++) {
        const struct probe_seen *seen = &p.above.seen[i];
        cr_assert_eq(seen->step, i / ROWS);
        cr_assert_eq(seen->x, fired_at[i] < 0 ? 0 : (float)(10 * (i % ROWS) + fired_at[i]), "%d", i);
        cr_assert_eq(seen->elapsed_s, elapsed[i], "%d: %g", i, (double)seen->elapsed_s);
    }
    for (int b = 0; b < ROWS; b++) cr_assert_eq(p.below.start[b], (float)(2 * b));
    probed_close(&p);
}

Test(batch, an_output_that_stands_answers_to_the_labels_of_all_its_events)
{
    /* y is x at the firing, the label of event t is x_t + 1, so e = (event of the firing) - t - 1; labels before the
     * first firing count for nothing. */
    struct probed p;
    const float slopes[FIRINGS * ROWS] = {-1 - 2 - 3, -1 - 2 - 3, -1 - 2, -1 - 2 - 3, 0, -1};
    const int n_labels = 5 + 7;
    probed_open(&p, false);
    probed_run(&p, 1);
    cr_assert_eq(p.above.n_slopes, FIRINGS * ROWS);
    for (int i = 0; i < FIRINGS * ROWS; i++)
        cr_assert_float_eq(p.above.d_y[i], (double)slopes[i] / n_labels, 1e-6, "%d: %g", i, (double)p.above.d_y[i]);
    cr_assert_float_eq(p.loss, (3 * (1 + 4 + 9) + (1 + 4) + 1) / 2.0 / n_labels, 1e-6);

    /* And below, at the event of the firing alone. */
    for (int i = 0; i < EVENTS * ROWS; i++) {
        double want = 0;
        for (int k = 0; k < FIRINGS * ROWS; k++)
            if (k % ROWS == i % ROWS && fired_at[k] == i / ROWS) want = (double)p.above.d_y[k];
        cr_assert_float_eq(p.below.d_y[i], want, 1e-9, "%d: %g", i, (double)p.below.d_y[i]);
    }
    probed_close(&p);
}

Test(batch, a_head_is_told_the_labels_of_the_events_that_it_answers)
{
    struct probed p;
    probed_open(&p, true);
    probed_run(&p, 1);
    for (int i = 0; i < FIRINGS * ROWS; i++) {
        const float label = p.above.seen[i].label;
        if (fired_at[i] < 0)
            cr_assert(isnan(label), "%d: %g", i, (double)label);
        else
            cr_assert_eq(label, (float)(10 * (i % ROWS) + fired_at[i] + 1), "%d: %g", i, (double)label);
    }
    for (int i = 0; i < EVENTS * ROWS; i++) cr_assert_eq(p.below.seen[i].label, 0);
    probed_close(&p);
}

Test(batch, windows_without_a_firing_teach_nothing)
{
    struct probed p;
    probed_open(&p, false);
    p.shape.n_steps = 2; /* row 0 would fire at the third event */
    float *gradient = p.gradient, window[16] = {0};
    window_target(&p.shape, window)[0] = 1;
    cr_assert_eq(tbptt_gradient(p.net, &p.shape, p.params, window, 1, 1, gradient, &p.loss, p.scratch, NULL),
                 EDDY_OK);
    cr_assert(isnan(p.loss));
    for (size_t i = 0; i < p.net->n_params; i++) cr_assert_eq(gradient[i], 0);
    probed_close(&p);
}

Test(batch, every_layer_row_and_batch_draws_for_itself_and_all_steps_alike)
{
    enum { BATCHES = 2 };
    struct probed p;
    uint64_t draws[BATCHES * 2 * ROWS];
    int n = 0;
    probed_open(&p, false);
    for (uint64_t batch = 0; batch < BATCHES; batch++) {
        probed_run(&p, batch);
        for (int i = 0; i < EVENTS * ROWS; i++)
            cr_assert_eq(p.below.seen[i].draw, p.below.seen[i % ROWS].draw, "step %d", i / ROWS);
        for (int b = 0; b < ROWS; b++) {
            draws[n++] = p.below.seen[b].draw;
            draws[n++] = p.above.seen[b].draw;
        }
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) cr_assert_neq(draws[i], draws[j]);
    const uint64_t before = p.below.seen[0].draw;
    probed_run(&p, BATCHES - 1);
    cr_assert_eq(p.below.seen[0].draw, before);
    probed_close(&p);
}

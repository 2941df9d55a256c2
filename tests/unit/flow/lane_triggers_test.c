/* When rounds of training are due. */
#include "engine/flow/lane_triggers.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "eddy_codec.h"

static const int64_t HOUR = 3600000000000;

Test(triggers, a_round_waits_until_the_clock_has_moved_by_the_time_and_no_longer)
{
    const struct train_settings s = {.every_time = HOUR, .drift_epochs = 4};
    struct lane_triggers t = {.trained_at = EDDY_NO_TIME};
    cr_expect_not(triggers_due(&t, &s, 1, EDDY_NO_TIME), "no clock yet");
    cr_expect(triggers_due(&t, &s, 1, 5), "the first one does not wait");
    t.trained_at = 5;
    cr_expect_not(triggers_due(&t, &s, 2, 5));
    cr_expect_not(triggers_due(&t, &s, 3, 4 + HOUR));
    cr_expect(triggers_due(&t, &s, 4, 5 + HOUR));
    t.trained_at = INT64_MIN + 2;
    cr_expect(triggers_due(&t, &s, 4, INT64_MAX), "however far apart");
}

Test(triggers, without_a_time_every_epoch_has_a_round)
{
    const struct train_settings s = {.drift_epochs = 4};
    const struct lane_triggers t = {.trained_at = 100};
    cr_expect(triggers_due(&t, &s, 1, 100));
    cr_expect(triggers_due(&t, &s, 1, EDDY_NO_TIME));
}

/* Epochs first .. last - 1 with 32 errors of about `size` each; returns how often drift was found, and where last. */
static int epochs(struct lane_triggers *t, const struct train_settings *s, int64_t first, int64_t last, double size,
                  int64_t *at)
{
    int n = 0;
    for (int64_t e = first; e < last; e++) {
        for (int i = 0; i < 32; i++) triggers_error(t, size * sin((double)(32 * e + i)), 2);
        if (!triggers_epoch(t, s, e + 1)) continue;
        n++;
        *at = e + 1;
    }
    return n;
}

Test(triggers, errors_that_have_doubled_press_once_and_those_that_have_halved_do_not)
{
    const struct train_settings s = {.drift_rounds = 3, .drift_epochs = 10, .every_time = HOUR};
    struct lane_triggers t = {.trained_at = 0};
    int64_t at = -1;
    cr_expect_eq(epochs(&t, &s, 0, 60, 2, &at), 0);
    cr_expect_eq(epochs(&t, &s, 60, 120, 1, &at), 0, "halved");
    cr_expect_eq(epochs(&t, &s, 120, 125, 2, &at), 1, "doubled");
    cr_expect(at > 120 && at <= 126, "seen at %lld", (long long)at);
    cr_expect_eq(triggers_rounds(&t, &s, at), 4);
    cr_expect_eq(triggers_rounds(&t, &s, at + 9), 4);
    cr_expect_eq(triggers_rounds(&t, &s, at + 10), 1);
    cr_expect(triggers_due(&t, &s, at, 0), "drift does not wait for the time");
    cr_expect_not(triggers_due(&t, &s, at + 10, 0));
    int64_t none = -1;
    cr_expect_eq(epochs(&t, &s, 125, 200, 2, &none), 0, "the new normal");
}

Test(triggers, errors_that_are_no_numbers_do_not_count)
{
    struct lane_triggers t = {0};
    const struct train_settings s = {.drift_epochs = 1};
    const double none[][2] = {{NAN, 1}, {INFINITY, 1}, {1, 0}, {1, NAN}, {1, -1}, {1e308, 1e-300}};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) triggers_error(&t, none[i][0], none[i][1]);
    cr_expect_eq(t.losses, 0);
    cr_expect_not(triggers_epoch(&t, &s, 1));
    cr_expect_eq(t.epochs, 0, "an epoch without errors says nothing");
}

Test(triggers, the_order_of_errors_cannot_be_seen)
{
    struct lane_triggers a = {0}, b = {0};
    for (int i = 0; i < 1000; i++) triggers_error(&a, 1. / (i + 1), .3), triggers_error(&b, 1. / (1000 - i), .3);
    cr_expect_eq(memcmp(&a, &b, sizeof(a)), 0);
}

Test(triggers, what_is_stored_comes_back_and_damage_is_seen)
{
    const struct train_settings s = {.drift_rounds = 3, .drift_epochs = 10};
    struct lane_triggers t = {.trained_at = 77}, back = {0};
    struct eddy_buffer b = {0};
    int64_t at = -1;
    (void)epochs(&t, &s, 0, 40, 1, &at);
    cr_assert_eq(epochs(&t, &s, 40, 50, 3, &at), 1);
    triggers_error(&t, 1, 1);
    cr_assert_eq(triggers_blob(&t, &b, EDDY_OK), EDDY_OK);
    struct blob_reader r = {b.data, b.len};
    cr_assert(triggers_get(&back, &r));
    cr_expect_eq(r.left, 0);
    cr_expect_eq(memcmp(&t, &back, sizeof(t)), 0);

    r = (struct blob_reader){b.data, b.len - 1};
    cr_expect_not(triggers_get(&back, &r), "cut off");
    t.usual = NAN;
    b.len = 0;
    cr_assert_eq(triggers_blob(&t, &b, EDDY_OK), EDDY_OK);
    r = (struct blob_reader){b.data, b.len};
    cr_expect_not(triggers_get(&back, &r), "no number");
    eddy_buffer_free(&b);
}

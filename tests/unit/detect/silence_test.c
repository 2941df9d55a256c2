/* Keys that stop sending, by the event time of the others. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "eddy_layer.h"
#include "engine/detect/silence.h"

static const int64_t MINUTE = 60000000000;
static const struct silence_settings standard = {.keys = 50, .factor = 8, .events = 20};

static struct silence *opened(const struct silence_settings *settings)
{
    struct silence *s;
    struct eddy_error err;
    cr_assert_geq(silence_open(settings, &s, &err), 0);
    return s;
}

/* An event of key k at that time; returns the news, *begun and *ended count. */
struct tally {
    int begun, ended, accepted, last;
};
static void event(struct silence *s, int k, int64_t time_ns, struct tally *t)
{
    char key[16];
    struct silence_news news[SILENCE_NEWS];
    struct eddy_error err;
    const int len = snprintf(key, sizeof(key), "k%d", k);
    const eddy_status n = silence_event(s, (uint64_t)(k + 1) * 0x9e3779b97f4a7c15u, key, (size_t)len, time_ns, news,
                                        &err);
    cr_assert_geq(n, 0);
    for (int i = 0; i < n; i++) {
        t->begun += news[i].change == SILENCE_BEGINS;
        t->ended += news[i].change == SILENCE_ENDS;
        t->accepted += news[i].change == SILENCE_ACCEPTED;
        t->last = news[i].key[1] - '0';
        cr_assert_neq(news[i].id, 0);
    }
}

/* Minutes from .. to - 1 of n keys that send once a minute, all but `mute`. */
static void minutes(struct silence *s, int n, int mute, int from, int to, struct tally *t)
{
    for (int m = from; m < to; m++)
        for (int k = 0; k < n; k++)
            if (k != mute) event(s, k, m * MINUTE + k * MINUTE / 60, t);
}

Test(silence, a_key_that_stops_is_told_of_once_and_again_when_it_comes_back)
{
    struct silence *s = opened(&standard);
    struct tally t = {0};
    minutes(s, 5, -1, 0, 60, &t);
    cr_assert_eq(t.begun + t.ended, 0);
    minutes(s, 5, 3, 60, 67, &t);
    cr_assert_eq(t.begun, 0, "seven minutes are not long enough");
    minutes(s, 5, 3, 67, 100, &t);
    cr_assert_eq(t.begun, 1);
    cr_assert_eq(t.last, 3);
    event(s, 3, 100 * MINUTE, &t);
    cr_assert_eq(t.ended, 1);
    silence_close(s);
}

Test(silence, a_pause_of_everything_is_nobodys_silence)
{
    struct silence *s = opened(&standard);
    struct tally t = {0};
    minutes(s, 5, -1, 0, 60, &t);
    minutes(s, 5, -1, 60 + 10000, 60 + 10060, &t);
    cr_assert_eq(t.begun, 0);
    silence_close(s);
}

Test(silence, one_broken_clock_stops_no_time)
{
    struct silence *s = opened(&standard);
    struct tally t = {0};
    minutes(s, 5, -1, 0, 60, &t);
    event(s, 0, 1000000 * MINUTE, &t);
    minutes(s, 5, 3, 60, 100, &t);
    cr_assert_eq(t.begun, 1);
    cr_assert_eq(t.last, 3);
    silence_close(s);
}

Test(silence, irregular_keys_have_their_longest_silence_to_be_measured_by)
{
    struct silence *s = opened(&standard);
    struct tally t = {0};
    int events = 0;
    for (int m = 0; m < 20000; m++)
        for (int k = 0; k < 5; k++)
            if (eddy_random_bits(1, (uint64_t)(m * 5 + k)) % 10 == 0) event(s, k, m * MINUTE, &t), events++;
    cr_assert_leq(t.begun, events / 2000, "%d silences in %d events", t.begun, events);
    silence_close(s);
}

Test(silence, a_key_that_is_gone_for_good_makes_room)
{
    const struct silence_settings two = {.keys = 2, .factor = 8, .events = 20};
    struct silence *s = opened(&two);
    struct tally t = {0};
    minutes(s, 2, -1, 0, 60, &t);
    minutes(s, 2, 0, 60, 1000, &t);
    cr_assert_eq(t.begun, 1);
    cr_assert_eq(t.accepted, 1);
    for (int m = 1000; m < 1100; m++) event(s, 1, m * MINUTE, &t), event(s, 7, m * MINUTE, &t);
    for (int m = 1100; m < 1200; m++) event(s, 1, m * MINUTE, &t);
    cr_assert_eq(t.begun, 2, "the place went to key 7");
    cr_assert_eq(t.last, 7);
    silence_close(s);
}

Test(silence, a_place_may_change_hands_twice_within_a_batch)
{
    const struct silence_settings two = {.keys = 2, .factor = 8, .events = 20};
    struct silence *s = opened(&two);
    struct tally t = {0};
    minutes(s, 2, -1, 0, 30, &t);
    silence_commit(s);
    for (int k = 3; k < 6; k++) {
        char key[16];
        const int last = k == 3 ? 0 : k - 1, len = snprintf(key, sizeof(key), "k%d", last);
        struct silence_news news;
        cr_assert_eq(silence_forget(s, (uint64_t)(last + 1) * 0x9e3779b97f4a7c15u, key, (size_t)len, &news), 0);
        event(s, k, 30 * MINUTE, &t);
    }
    silence_abort(s);
    minutes(s, 2, 0, 30, 60, &t);
    cr_assert_eq(t.begun, 1, "key 0 is back in its place, and silent");
    silence_close(s);
}

Test(silence, a_silence_ends_when_its_key_is_forgotten)
{
    struct silence *s = opened(&standard);
    struct tally t = {0};
    struct silence_news news;
    minutes(s, 5, -1, 0, 60, &t);
    minutes(s, 5, 2, 60, 200, &t);
    cr_assert_eq(t.begun, 1);
    const uint64_t hash = 3 * 0x9e3779b97f4a7c15u;
    cr_assert_eq(silence_forget(s, hash, "k2", 2, &news), 1);
    cr_expect_eq(news.change, SILENCE_ENDS);
    cr_expect(news.key_len == 2 && memcmp(news.key, "k2", 2) == 0);
    cr_expect_neq(news.id, 0);
    cr_expect_eq(silence_forget(s, hash, "k2", 2, &news), 0, "once");
    silence_close(s);
}

static void same_bytes(const struct silence *a, const struct silence *b)
{
    struct eddy_buffer x = {0}, y = {0};
    cr_assert_geq(silence_encode(a, &x), 0);
    cr_assert_geq(silence_encode(b, &y), 0);
    cr_assert_eq(x.len, y.len);
    cr_assert_eq(memcmp(x.data, y.data, x.len), 0);
    eddy_buffer_free(&x);
    eddy_buffer_free(&y);
}

Test(silence, an_abort_leaves_nothing_behind_and_bytes_bring_everything_back)
{
    struct silence *quiet = opened(&standard), *aborted = opened(&standard), *restored = opened(&standard);
    struct tally a = {0}, b = {0};
    minutes(quiet, 5, -1, 0, 60, &a);
    silence_commit(quiet);
    minutes(aborted, 5, -1, 0, 60, &b);
    silence_commit(aborted);
    minutes(aborted, 9, 2, 60, 200, &b);
    struct silence_news news;
    (void)silence_forget(aborted, 2 * 0x9e3779b97f4a7c15u, "k1", 2, &news);
    silence_abort(aborted);
    same_bytes(quiet, aborted);

    struct eddy_buffer bytes = {0};
    struct eddy_error err;
    cr_assert_geq(silence_encode(quiet, &bytes), 0);
    cr_assert_geq(silence_decode(restored, bytes.data, bytes.len, &err), 0);
    same_bytes(quiet, restored);
    struct silence *damaged = opened(&standard);
    cr_assert_eq(silence_decode(damaged, bytes.data, bytes.len - 1, &err), EDDY_ECORRUPT);
    silence_close(damaged);

    a = b = (struct tally){0};
    minutes(quiet, 5, 4, 60, 100, &a);
    minutes(restored, 5, 4, 60, 100, &b);
    cr_assert_eq(a.begun, 1);
    cr_assert_eq(b.begun, 1);
    same_bytes(quiet, restored);
    eddy_buffer_free(&bytes);
    silence_close(quiet), silence_close(aborted), silence_close(restored);
}

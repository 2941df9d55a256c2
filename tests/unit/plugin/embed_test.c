/* eddy.h from the outside: what another program may rely on. */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eddy.h"

#define SECOND 1000000000LL

static const char yaml[] = "name: t\n"
                           "codec: {json: {values: [a, b]}}\n"
                           "forecast: {horizons: [1, 3], network: {layers: [{gru: {units: 4}}]}}\n"
                           "detect: {warmup: 10}\n"
                           "train: {mode: inline, window: 8, every: 4, epoch: 32}\n";

static struct eddy *opened(const char *text, const struct eddy_open_options *options)
{
    struct eddy *e = NULL;
    struct eddy_error err = {0};
    cr_assert_eq(eddy_open_string(text, options, &e, &err), EDDY_OK, "%s", err.message);
    return e;
}

/* Event i of a made-up pair of series, keys k0..k2 in turn. */
struct made {
    char key[8];
    double values[2];
    struct eddy_input input;
};
static void make(struct made *m, int i)
{
    (void)snprintf(m->key, sizeof(m->key), "k%d", i % 3);
    m->values[0] = sin(i * 0.1) + i % 3;
    m->values[1] = i % 7 == 0 ? (double)NAN : cos(i * 0.07);
    m->input = (struct eddy_input){m->key, 2, i * SECOND, m->values};
}

/* Feeds events first..last - 1, `step` at a time; the last output's score. */
static double feed(struct eddy *e, int first, int last, int step)
{
    static struct made made[512];
    struct eddy_input inputs[512];
    struct eddy_output outputs[512];
    struct eddy_error err = {0};
    double score = -1;
    for (int i = first; i < last; i += step) {
        int n = last - i < step ? last - i : step;
        for (int k = 0; k < n; k++) {
            make(&made[k], i + k);
            inputs[k] = made[k].input;
        }
        cr_assert_eq(eddy_feed(e, inputs, n, outputs, &err), EDDY_OK, "%s", err.message);
        for (int k = 0; k < n; k++) {
            cr_assert_eq(outputs[k].time_ns, (i + k) * SECOND);
            cr_assert_eq(outputs[k].offset, i + k);
            cr_assert_eq(memcmp(outputs[k].key, made[k].key, 2), 0);
            cr_assert(outputs[k].score >= 0 && outputs[k].score <= 1);
        }
        score = outputs[n - 1].score;
    }
    return score;
}

static const char *hash_of(struct eddy *e)
{
    static char hash[2][33];
    static int turn;
    struct eddy_error err = {0};
    turn = !turn;
    cr_assert_eq(eddy_state_hash(e, hash[turn], &err), EDDY_OK, "%s", err.message);
    return hash[turn];
}

Test(embed, values_come_from_the_options_or_the_codec)
{
    static const char *const names[] = {"x", NULL};
    const struct eddy_open_options options = {.struct_size = sizeof(options), .values = names};
    struct eddy *a = opened(yaml, NULL), *b = opened(yaml, &options);
    cr_assert_eq(eddy_value_count(a), 2);
    cr_assert_str_eq(eddy_value_name(a, 1), "b");
    cr_assert_null(eddy_value_name(a, 2));
    cr_assert_null(eddy_value_name(a, -1));
    cr_assert_eq(eddy_value_count(b), 1);
    cr_assert_str_eq(eddy_value_name(b, 0), "x");
    eddy_close(a);
    eddy_close(b);
}

Test(embed, values_that_nobody_names_are_an_error)
{
    struct eddy *e;
    struct eddy_error err = {0};
    cr_assert_eq(eddy_open_string("name: t\n", NULL, &e, &err), EDDY_EINVAL);
    cr_assert(strstr(err.message, "values"), "%s", err.message);
    cr_assert_null(e);
}

Test(embed, a_wrong_configuration_names_line_and_option)
{
    struct eddy *e;
    struct eddy_error err = {0};
    cr_assert_eq(eddy_open_string("name: t\nforcast: {}\n", NULL, &e, &err), EDDY_ECONFIG);
    cr_assert(strstr(err.message, "2") && strstr(err.message, "forcast") && strstr(err.message, "forecast"), "%s",
              err.message);
    cr_assert_lt(eddy_open_file("/nowhere/x.yml", NULL, &e, &err), 0);
    cr_assert(strstr(err.message, "/nowhere/x.yml"), "%s", err.message);
}

Test(embed, null_and_nonsense_are_refused_not_followed)
{
    struct eddy *e = opened(yaml, NULL);
    struct eddy_error err;
    const struct eddy_open_options unset = {0};
    struct eddy_input input = {"k", 1, 0, NULL};
    cr_assert_eq(eddy_open_string(NULL, NULL, &e, NULL), EDDY_EINVAL);
    cr_assert_eq(eddy_open_string(yaml, NULL, NULL, NULL), EDDY_EINVAL);
    cr_assert_eq(eddy_feed(NULL, &input, 1, NULL, &err), EDDY_EINVAL);
    cr_assert_eq(eddy_feed(e, NULL, 1, NULL, &err), EDDY_EINVAL);
    cr_assert_eq(eddy_feed(e, &input, -1, NULL, &err), EDDY_EINVAL);
    cr_assert_eq(eddy_feed(e, &input, 1, NULL, &err), EDDY_EINVAL, "no values");
    cr_assert_eq(eddy_feed(e, NULL, 0, NULL, &err), EDDY_OK, "nothing is fine");
    cr_assert_eq(eddy_format(e, NULL, NULL, NULL, &err), EDDY_EINVAL);
    cr_assert_eq(eddy_save(e, NULL, &err), EDDY_EINVAL, "there is no state directory");
    cr_assert_eq(eddy_save(NULL, "x", &err), EDDY_EINVAL);
    cr_assert_eq(eddy_restore(e, NULL, &err), EDDY_EINVAL);
    cr_assert_eq(eddy_state_hash(e, NULL, &err), EDDY_EINVAL);
    cr_assert_eq(eddy_forget(e, "", 0, &err), EDDY_EDATA);
    eddy_close(e);
    eddy_close(NULL);
    cr_assert_eq(eddy_open_string(yaml, &unset, &e, &err), EDDY_EINVAL, "struct_size is not set");
}

Test(embed, one_by_one_equals_all_at_once)
{
    struct eddy *a = opened(yaml, NULL), *b = opened(yaml, NULL), *c = opened(yaml, NULL);
    double x = feed(a, 0, 400, 1), y = feed(b, 0, 400, 400), z = feed(c, 0, 400, 37);
    cr_assert_eq(x, y);
    cr_assert_eq(x, z);
    cr_assert_str_eq(hash_of(a), hash_of(b));
    cr_assert_str_eq(hash_of(a), hash_of(c));
    eddy_close(a);
    eddy_close(b);
    eddy_close(c);
}

Test(embed, a_feed_is_all_or_nothing)
{
    struct eddy *a = opened(yaml, NULL), *b = opened(yaml, NULL);
    struct made made[3];
    struct eddy_input inputs[3];
    struct eddy_error err = {0};
    feed(a, 0, 100, 10);
    feed(b, 0, 100, 10);
    for (int k = 0; k < 3; k++) {
        make(&made[k], 100 + k);
        inputs[k] = made[k].input;
    }
    for (int bad = 0; bad < 3; bad++) { /* the poison in every position */
        double keep = made[bad].values[0];
        made[bad].values[0] = INFINITY;
        cr_assert_eq(eddy_feed(b, inputs, 3, NULL, &err), EDDY_EDATA);
        made[bad].values[0] = keep;
        cr_assert_str_eq(hash_of(a), hash_of(b));
    }
    feed(a, 100, 200, 10);
    feed(b, 100, 200, 10);
    cr_assert_str_eq(hash_of(a), hash_of(b));
    eddy_close(a);
    eddy_close(b);
}

Test(embed, keys_that_are_empty_or_too_long_are_refused)
{
    static char huge[4096];
    struct eddy *e = opened(yaml, NULL);
    struct eddy_error err = {0};
    const double x[] = {1, 2};
    struct eddy_input input = {"", 0, 0, x};
    memset(huge, 'k', sizeof(huge));
    cr_assert_eq(eddy_feed(e, &input, 1, NULL, &err), EDDY_EDATA);
    input.key = huge;
    input.key_len = sizeof(huge);
    cr_assert_eq(eddy_feed(e, &input, 1, NULL, &err), EDDY_EDATA);
    input.key_len = 1024;
    cr_assert_eq(eddy_feed(e, &input, 1, NULL, &err), EDDY_OK, "%s", err.message);
    eddy_close(e);
}

Test(embed, outputs_live_until_the_next_call_even_over_many_epochs)
{
    enum { N = 300 };
    static struct made made[N];
    static struct eddy_input inputs[N];
    static struct eddy_output outputs[N];
    struct eddy *e = opened(yaml, NULL);
    struct eddy_error err = {0};
    for (int i = 0; i < N; i++) {
        make(&made[i], i);
        inputs[i] = made[i].input;
    }
    cr_assert_eq(eddy_feed(e, inputs, N, outputs, &err), EDDY_OK, "%s", err.message);
    for (int i = 0; i < N; i++) {
        cr_assert_eq(outputs[i].y[0], made[i].values[0]);
        cr_assert_eq(outputs[i].n_horizons, 2);
        cr_assert(!isinf(outputs[i].forecast[3]));
        memset(made[i].values, 0, sizeof(made[i].values)); /* the caller's memory is the caller's again */
    }
    cr_assert_eq(outputs[5].y[0], sin(5 * 0.1) + 2);
    eddy_close(e);
}

static bool same(const double *a, const double *b, int n)
{
    return memcmp(a, b, (size_t)n * sizeof(*a)) == 0;
}

/* The feed crosses epochs, and the lane writes its results over those of the epoch before. */
Test(embed, all_members_of_an_output_live_until_the_next_call)
{
    enum {
        N = 1300,
        VALUES = 2,
        AHEAD = 2 * VALUES,
        BANDS = 2 * AHEAD
    }; /* 2 horizons, 2 bands; more than one turn */
    static struct made made[N];
    static struct eddy_input inputs[N];
    static struct eddy_output whole[N];
    struct eddy *a = opened(yaml, NULL), *b = opened(yaml, NULL);
    struct eddy_error err = {0};
    for (int i = 0; i < N; i++) {
        make(&made[i], i);
        inputs[i] = made[i].input;
    }
    cr_assert_eq(eddy_feed(a, inputs, N, whole, &err), EDDY_OK, "%s", err.message);
    int n_known = 0;
    for (int i = 0; i < N; i++) {
        struct eddy_output one;
        cr_assert_eq(eddy_feed(b, &inputs[i], 1, &one, &err), EDDY_OK, "%s", err.message);
        cr_assert_str_eq(whole[i].topic, one.topic);
        cr_assert_eq(whole[i].n_bands, 2);
        cr_assert(same(whole[i].coverages, one.coverages, 2), "event %d", i);
        cr_assert(same(whole[i].yhat, one.yhat, VALUES), "event %d", i);
        cr_assert(same(whole[i].yhat_lower, one.yhat_lower, VALUES), "event %d", i);
        cr_assert(same(whole[i].yhat_upper, one.yhat_upper, VALUES), "event %d", i);
        cr_assert(same(whole[i].forecast, one.forecast, AHEAD), "event %d", i);
        cr_assert(same(whole[i].lower, one.lower, AHEAD), "event %d", i);
        cr_assert(same(whole[i].upper, one.upper, AHEAD), "event %d", i);
        cr_assert(same(whole[i].band_lower, one.band_lower, BANDS), "event %d", i);
        cr_assert(same(whole[i].band_upper, one.band_upper, BANDS), "event %d", i);
        n_known += !isnan(whole[i].band_lower[0]);
    }
    cr_assert_gt(n_known, N / 2, "bands were compared, not gaps");
    eddy_close(a);
    eddy_close(b);
}

Test(embed, a_result_is_formatted_as_the_program_writes_it)
{
    struct eddy *e = opened(yaml, NULL);
    struct made m;
    struct eddy_output out;
    struct eddy_error err = {0};
    const char *text;
    size_t len;
    make(&m, 1);
    cr_assert_eq(eddy_feed(e, &m.input, 1, &out, &err), EDDY_OK);
    cr_assert_eq(eddy_format(e, &out, &text, &len, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(strlen(text), len);
    cr_assert_eq(strncmp(text, "{\"key\":\"k1\",\"ts\":\"1970-01-01T00:00:01Z\",", 38), 0, "%s", text);
    eddy_close(e);
}

Test(embed, forgetting_makes_a_key_as_new)
{
    struct eddy *a = opened(yaml, NULL);
    struct eddy_error err = {0};
    struct made m;
    struct eddy_output out;
    feed(a, 0, 99, 9);
    make(&m, 99);
    cr_assert_eq(eddy_forget(a, "k0", 2, &err), 1, "%s", err.message);
    cr_assert_eq(eddy_forget(a, "k0", 2, &err), 0);
    cr_assert_eq(eddy_forget(a, "nobody", 6, &err), 0);
    cr_assert_eq(eddy_feed(a, &m.input, 1, &out, &err), EDDY_OK);
    cr_assert_eq(out.state, EDDY_STATE_WARMUP);
    cr_assert(isnan(out.yhat[0]), "nothing is known of a new key");
    eddy_close(a);
}

static char scratch[64];
static void make_scratch(void)
{
    strcpy(scratch, "/tmp/eddy-embed-XXXXXX");
    cr_assert_not_null(mkdtemp(scratch));
}
static void drop_scratch(void)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
    cr_assert_eq(system(command), 0);
}

Test(embed, a_saved_eddy_goes_on_where_it_was, .init = make_scratch, .fini = drop_scratch)
{
    char path[128];
    struct eddy_error err = {0};
    struct eddy *a = opened(yaml, NULL), *b = opened(yaml, NULL);
    (void)snprintf(path, sizeof(path), "%s/saved", scratch);
    feed(a, 0, 250, 50);
    feed(b, 0, 33, 11); /* is replaced */
    cr_assert_eq(eddy_save(a, path, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(eddy_restore(b, path, &err), EDDY_OK, "%s", err.message);
    cr_assert_str_eq(hash_of(a), hash_of(b));
    cr_assert_eq(feed(a, 250, 500, 50), feed(b, 250, 500, 7));
    cr_assert_str_eq(hash_of(a), hash_of(b));
    cr_assert_eq(eddy_save(b, path, &err), EDDY_OK, "saving again replaces: %s", err.message);
    eddy_close(a);
    eddy_close(b);
}

Test(embed, a_damaged_file_is_refused_and_changes_nothing, .init = make_scratch, .fini = drop_scratch)
{
    char path[128], command[256];
    struct eddy_error err = {0};
    struct eddy *a = opened(yaml, NULL);
    (void)snprintf(path, sizeof(path), "%s/saved", scratch);
    feed(a, 0, 100, 50);
    cr_assert_eq(eddy_save(a, path, &err), EDDY_OK, "%s", err.message);
    feed(a, 100, 150, 50);
    char before[33];
    cr_assert_eq(eddy_state_hash(a, before, &err), EDDY_OK);

    (void)snprintf(command, sizeof(command), "truncate -s -20 '%s'", path);
    cr_assert_eq(system(command), 0);
    cr_assert_lt(eddy_restore(a, path, &err), 0);
    cr_assert(strstr(err.message, path), "%s", err.message);
    cr_assert_lt(eddy_restore(a, "/nowhere/saved", &err), 0);
    cr_assert_str_eq(hash_of(a), before);
    feed(a, 150, 200, 50);
    cr_assert_lt(eddy_save(a, "/nowhere/saved", &err), 0);
    cr_assert(strstr(err.message, "/nowhere/saved"), "%s", err.message);
    (void)snprintf(command, sizeof(command), "%s/pipe", scratch);
    struct stat st;
    cr_assert_eq(mkfifo(command, 0600), 0);
    cr_assert_eq(eddy_save(a, command, &err), EDDY_EIO, "nothing but a file is replaced");
    cr_assert(stat(command, &st) == 0 && S_ISFIFO(st.st_mode) && strstr(err.message, command), "%s", err.message);
    eddy_close(a);
}

Test(embed, kept_state_is_restored_at_open_and_locked_meanwhile, .init = make_scratch, .fini = drop_scratch)
{
    char path[128];
    struct eddy_error err = {0};
    (void)snprintf(path, sizeof(path), "state.path=%s/state", scratch);
    const char *const overrides[] = {path, NULL};
    const struct eddy_open_options options = {
        .struct_size = sizeof(options), .overrides = overrides, .keep_state = true};
    struct eddy *whole = opened(yaml, NULL), *a = opened(yaml, &options), *second;
    feed(whole, 0, 300, 50);
    feed(a, 0, 150, 50);
    cr_assert_eq(eddy_open_string(yaml, &options, &second, &err), EDDY_EBUSY, "%s", err.message);
    cr_assert_eq(eddy_save(a, NULL, &err), EDDY_OK, "%s", err.message);
    feed(a, 150, 180, 10); /* not saved: lost with close */
    eddy_close(a);
    a = opened(yaml, &options);
    feed(a, 150, 300, 50);
    cr_assert_str_eq(hash_of(a), hash_of(whole));
    (void)snprintf(path, sizeof(path), "%s/saved", scratch);
    cr_assert_eq(eddy_save(a, path, &err), EDDY_OK, "%s", err.message);
    feed(a, 300, 350, 50);
    cr_assert_eq(eddy_restore(a, path, &err), EDDY_OK, "%s", err.message);
    cr_assert_str_eq(hash_of(a), hash_of(whole));
    eddy_close(a);
    eddy_close(whole);
}

/* Several eddies, each in a thread of its own, do not disturb each other. */
static void *feed_in_thread(void *arg)
{
    struct eddy *e = opened(yaml, NULL);
    static _Thread_local struct made made;
    struct eddy_error err = {0};
    for (int i = 0; i < 300; i++) {
        make(&made, i);
        if (eddy_feed(e, &made.input, 1, NULL, &err) < 0) break;
    }
    if (eddy_state_hash(e, arg, &err) < 0) strcpy(arg, "failed");
    eddy_close(e);
    return NULL;
}

Test(embed, eddies_in_several_threads_run_side_by_side)
{
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    char hash[THREADS][33];
    struct eddy *e = opened(yaml, NULL);
    for (int i = 0; i < THREADS; i++) cr_assert_eq(pthread_create(&thread[i], NULL, feed_in_thread, hash[i]), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    feed(e, 0, 300, 30);
    for (int i = 0; i < THREADS; i++) cr_assert_str_eq(hash[i], hash_of(e));
    eddy_close(e);
}

Test(embed, background_training_gives_the_same_bits)
{
    static const char *const overrides[] = {"train.mode=background", NULL};
    const struct eddy_open_options options = {.struct_size = sizeof(options), .overrides = overrides};
    struct eddy *a = opened(yaml, NULL), *b = opened(yaml, &options);
    cr_assert_eq(feed(a, 0, 400, 40), feed(b, 0, 400, 13));
    cr_assert_str_eq(hash_of(a), hash_of(b));
    eddy_close(a);
    eddy_close(b);
}

Test(embed, version_is_the_headers)
{
    char expected[32];
    (void)snprintf(expected, sizeof(expected), "%d.%d.%d", EDDY_VERSION_MAJOR, EDDY_VERSION_MINOR,
                   EDDY_VERSION_PATCH);
    cr_assert_str_eq(eddy_version(), expected);
}

/* Several drivers in one process: results, states, errors and stopping are those of one. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture_script.h"
#include "fixture_shards.h"

static const char learning[] = "train: {mode: background, epoch: 64, every: 16, window: 16}\n"
                               "state: {checkpoint: 1ms, max_keys: 16}\n";

struct life {
    eddy_status rc;
    struct eddy_error err;
    struct driver_stats stats;
    char hash[33];
};

static struct driver_request request_of(const struct config *config, struct shards *topic, const char *state_path)
{
    return (struct driver_request){.settings = config_settings(config),
                                   .source = &shards_source,
                                   .source_settings = topic,
                                   .sink = &shards_sink,
                                   .sink_settings = topic,
                                   .sink_request = {.name = "test"},
                                   .state = state_path ? DRIVER_STATE_KEPT : DRIVER_STATE_SCRATCH,
                                   .state_path = state_path,
                                   .commit = true};
}

static struct life live_until(struct shards *topic, const char *state_path, int n_workers,
                              const volatile sig_atomic_t *stop)
{
    struct life life = {0};
    struct workers *workers = NULL;
    struct config *config = script_config(learning);
    struct driver_request q = request_of(config, topic, state_path);
    q.stop = stop;
    life.rc = workers_open(&q, n_workers, NULL, &workers, &life.err);
    if (life.rc >= 0) life.rc = workers_run(workers, &life.err);
    if (workers) workers_stats(workers, &life.stats);
    if (life.rc >= 0) cr_assert_geq(workers_hash(workers, false, life.hash, &life.err), 0, "%s", life.err.message);
    workers_close(workers);
    config_close(config);
    return life;
}

static struct life live(struct shards *topic, const char *state_path, int n_workers)
{
    return live_until(topic, state_path, n_workers, NULL);
}

static void expect_same_outputs(const struct shards *a, const struct shards *b, const char *what)
{
    for (int p = 0; p < SHARDS; p++) {
        cr_expect_eq(a->n_out[p], b->n_out[p], "%s: partition %d", what, p);
        cr_expect(a->out[p].len == b->out[p].len && memcmp(a->out[p].data, b->out[p].data, a->out[p].len) == 0,
                  "%s: partition %d, byte for byte", what, p);
    }
}

Test(workers, results_and_states_are_those_of_one, .timeout = 120)
{
    struct shards alone;
    shards_open(&alone, SHARDS_RECORDS);
    struct life one = live(&alone, NULL, 1);
    cr_assert_eq(one.rc, EDDY_OK, "%s", one.err.message);
    cr_assert_eq(one.stats.events, SHARDS * SHARDS_RECORDS);
    cr_assert_gt(one.stats.updates, 0, "networks learn in this test");
    for (int n = 2; n <= 5; n++) {
        char what[32];
        struct shards topic;
        (void)snprintf(what, sizeof(what), "%d workers", n);
        shards_open(&topic, SHARDS_RECORDS);
        struct life many = live(&topic, NULL, n);
        cr_assert_eq(many.rc, EDDY_OK, "%s: %s", what, many.err.message);
        cr_expect_str_eq(many.hash, one.hash, "%s", what);
        cr_expect_eq(many.stats.events, one.stats.events, "%s", what);
        cr_expect_eq(many.stats.results, one.stats.results, "%s", what);
        cr_expect_eq(many.stats.keys, one.stats.keys, "%s", what);
        cr_expect_eq(many.stats.updates, one.stats.updates, "%s", what);
        cr_expect_eq(many.stats.partitions, SHARDS, "%s", what);
        expect_same_outputs(&alone, &topic, what);
        cr_expect_eq(topic.n_open, 0);
        shards_free(&topic);
    }
    shards_free(&alone);
}

static void die(struct shards *topic, const char *state_path, int n_workers, int64_t at)
{
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        topic->die_at = at;
        (void)live(topic, state_path, n_workers);
        _exit(1);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 9, "the child should have died at its place");
}

Test(workers, after_a_kill_any_number_goes_on_where_the_others_were, .timeout = 120)
{
    struct shards whole, topic;
    shards_open(&whole, SHARDS_RECORDS);
    struct life one = live(&whole, NULL, 1);
    cr_assert_eq(one.rc, EDDY_OK, "%s", one.err.message);

    char *dir = script_dir();
    shards_open(&topic, SHARDS_RECORDS);
    die(&topic, dir, 3, 400);
    die(&topic, dir, 1, 800);
    die(&topic, dir, 2, 1200);
    struct life last = live(&topic, dir, 4);
    cr_assert_eq(last.rc, EDDY_OK, "%s", last.err.message);
    cr_expect_str_eq(last.hash, one.hash);
    cr_expect_lt(last.stats.events, SHARDS * SHARDS_RECORDS, "it went on at checkpoints");
    for (int p = 0; p < SHARDS; p++) { /* what the last life wrote is the end of what one run writes */
        const struct eddy_buffer *all = &whole.out[p], *end = &topic.out[p];
        cr_assert_leq(end->len, all->len);
        cr_expect(memcmp(all->data + all->len - end->len, end->data, end->len) == 0, "partition %d", p);
    }
    script_remove(dir);
    free(dir);
    shards_free(&whole), shards_free(&topic);
}

Test(workers, an_error_of_one_stops_all_and_what_they_folded_is_saved, .timeout = 60)
{
    struct shards topic;
    char *dir = script_dir();
    shards_open(&topic, SHARDS_RECORDS);
    topic.broken = 2;
    topic.endless = true;
    struct life life = live(&topic, dir, 3);
    cr_expect_eq(life.rc, EDDY_EIO);
    cr_expect_str_eq(life.err.message, "t.out[2]: message too large");
    cr_expect_leq(topic.committed[2], 0, "nothing of the broken one");
    for (int p = 0; p < SHARDS; p++)
        if (p != 2) cr_expect_eq(topic.committed[p], topic.n_out[p] > 0 ? topic.n_out[p] : -1, "partition %d", p);
    script_remove(dir);
    free(dir);
    shards_free(&topic);
}

static void *stop_soon(void *stop)
{
    (void)usleep(300000);
    __atomic_store_n((volatile sig_atomic_t *)stop, 1, __ATOMIC_RELAXED);
    return NULL;
}

Test(workers, a_stop_drains_and_saves_all, .timeout = 60)
{
    struct shards topic;
    static volatile sig_atomic_t stop;
    pthread_t thread;
    char *dir = script_dir();
    shards_open(&topic, SHARDS_RECORDS);
    topic.endless = true;
    cr_assert_eq(pthread_create(&thread, NULL, stop_soon, (void *)(uintptr_t)&stop), 0);
    struct life life = live_until(&topic, dir, 2, &stop);
    (void)pthread_join(thread, NULL);
    cr_expect_eq(life.rc, EDDY_OK, "%s", life.err.message);
    for (int p = 0; p < SHARDS; p++)
        cr_expect_eq(topic.committed[p], topic.n_out[p] > 0 ? topic.n_out[p] : -1, "partition %d", p);
    script_remove(dir);
    free(dir);
    shards_free(&topic);
}

/* Two workers, of which one has partitions that were made anew, so that their states are refused. */
static struct life live_with_refused(struct shards *topic, bool all, const volatile sig_atomic_t *stop)
{
    char *dir = script_dir();
    shards_open(topic, 100);
    cr_assert_eq(live(topic, dir, 2).rc, EDDY_OK);
    topic->n_records = 1000;
    topic->endless = true;
    for (int p = 0; p < SHARDS; p += all ? 1 : 2) topic->emptied[p] = true;
    const struct life life = live_until(topic, dir, 2, stop);
    script_remove(dir);
    free(dir);
    return life;
}

static void *stop_later(void *stop)
{
    (void)usleep(1500000);
    return stop_soon(stop);
}

Test(workers, one_that_has_nothing_but_refused_partitions_does_not_end_the_others, .timeout = 60)
{
    struct shards topic;
    static volatile sig_atomic_t stop;
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, stop_later, (void *)(uintptr_t)&stop), 0);
    const struct life life = live_with_refused(&topic, false, &stop);
    (void)pthread_join(thread, NULL);
    cr_expect_eq(life.rc, EDDY_EMISMATCH, "and the end does not hide it: %d", life.rc);
    for (int p = 0; p < SHARDS; p++) cr_expect_eq(topic.n_out[p], p % 2 ? 1000 : 100, "partition %d", p);
    shards_free(&topic);
}

Test(workers, when_all_partitions_are_refused_the_process_ends, .timeout = 60)
{
    struct shards topic;
    const struct life life = live_with_refused(&topic, true, NULL);
    cr_expect_eq(life.rc, EDDY_EMISMATCH, "%d", life.rc);
    shards_free(&topic);
}

Test(workers, one_with_refused_partitions_waits_for_those_that_others_are_given_late, .timeout = 60)
{
    struct shards topic;
    char *dir = script_dir();
    shards_open(&topic, 100);
    cr_assert_eq(live(&topic, dir, 2).rc, EDDY_OK);
    topic.n_records = 1000;
    topic.endless = true;
    for (int p = 0; p < SHARDS; p += 2) topic.emptied[p] = true;
    topic.late_ms = 3000;
    static volatile sig_atomic_t stop;
    topic.stop_when_read = &stop;
    const struct life life = live_until(&topic, dir, 2, &stop);
    cr_expect_eq(life.rc, EDDY_EMISMATCH, "%d", life.rc);
    for (int p = 0; p < SHARDS; p++) cr_expect_eq(topic.n_out[p], p % 2 ? 1000 : 100, "partition %d", p);
    script_remove(dir);
    free(dir);
    shards_free(&topic);
}

enum { PATIENCE_MS = 200 };

static void told(struct claims *c, int driver, int round)
{
    claims_round(c, driver, round, PATIENCE_MS);
}

static void refused(struct claims *c, int partition)
{
    struct eddy_error err = {0};
    cr_assert_eq(claims_take(c, "t", partition, NULL, &err), EDDY_OK, "%s", err.message);
    claims_refuse(c, "t", partition);
}

Test(claims, all_are_refused_only_when_no_driver_is_about_to_be_given_more)
{
    struct claims *c = claims_open(2);
    cr_assert(claims_all_refused(c), "sources that do not tell are settled");
    told(c, 0, SOURCE_JOINS);
    told(c, 1, SOURCE_JOINS);
    told(c, 0, SOURCE_GIVES);
    refused(c, 0);
    refused(c, 1);
    told(c, 0, SOURCE_SETTLED);
    cr_expect(!claims_all_refused(c), "the other has not been given anything yet");
    told(c, 1, SOURCE_GIVES);
    cr_expect(!claims_all_refused(c), "it does not have it yet");
    told(c, 1, SOURCE_SETTLED);
    cr_expect(claims_all_refused(c), "it got none");
    told(c, 1, SOURCE_REPEATS);
    cr_expect(!claims_all_refused(c), "it may be read this time");
    told(c, 1, SOURCE_SETTLED);
    cr_expect(claims_all_refused(c));
    claims_close(c);
}

Test(claims, a_partition_that_was_taken_is_waited_for_until_it_has_come_or_must_be_anothers)
{
    struct claims *c = claims_open(2);
    refused(c, 0);
    refused(c, 1);
    for (int comes = 1; comes >= 0; comes--) {
        told(c, 0, SOURCE_TAKES);
        claims_give(c, "t", 1, true);
        told(c, 1, SOURCE_GIVES); /* still of the round in which it was taken */
        told(c, 1, SOURCE_SETTLED);
        cr_expect(!claims_all_refused(c), "the one that it was taken from waits");
        told(c, 0, SOURCE_GIVES);
        told(c, 0, SOURCE_SETTLED);
        cr_expect(!claims_all_refused(c), "it is on its way");
        if (comes) refused(c, 1);
        if (!comes) (void)usleep(1000 * (PATIENCE_MS + 50));
        cr_expect(claims_all_refused(c), "%s", comes ? "it has come" : "another process has it");
    }
    claims_close(c);
}

Test(workers, the_state_directory_is_locked_once_for_all, .timeout = 60)
{
    struct shards topic;
    struct workers *first = NULL, *second = NULL;
    struct eddy_error err = {0};
    char *dir = script_dir();
    shards_open(&topic, 10);
    struct config *config = script_config(learning);
    const struct driver_request q = request_of(config, &topic, dir);
    cr_assert_eq(workers_open(&q, 2, NULL, &first, &err), EDDY_OK, "%s", err.message);
    cr_expect_eq(workers_open(&q, 2, NULL, &second, &err), EDDY_EBUSY);
    cr_expect_eq(workers_open(&q, 1, NULL, &second, &err), EDDY_EBUSY);
    workers_close(first);
    cr_expect_eq(workers_open(&q, 1, NULL, &second, &err), EDDY_OK, "%s", err.message);
    workers_close(second);
    config_close(config);
    script_remove(dir);
    free(dir);
    shards_free(&topic);
}

/* ---- how many ---- */

Test(workers, a_source_in_one_piece_has_one_and_a_sink_for_one_is_refused_by_name)
{
    struct shards topic;
    struct eddy_error err = {0};
    shards_open(&topic, 10);
    struct config *config = script_config("workers: 3\n");
    struct driver_request q = request_of(config, &topic, NULL);
    cr_expect_eq(workers_wanted(&q, &err), 3, "%s", err.message);
    q.sink = &script_sink;
    cr_expect_eq(workers_wanted(&q, &err), EDDY_ECONFIG);
    cr_expect(strstr(err.message, "sink: script") && strstr(err.message, "workers"), "%s", err.message);
    q.sink = &shards_sink;
    q.incidents = &script_sink;
    cr_expect_eq(workers_wanted(&q, &err), EDDY_ECONFIG);
    cr_expect(strstr(err.message, "detect.incidents.sink: script"), "%s", err.message);
    q.source = &script_source;
    cr_expect_eq(workers_wanted(&q, &err), 1, "all of it comes in one piece");
    config_close(config);
    config = script_config("workers: 2\nerrors: {dead_letter: {letters: {}}}\n");
    q = request_of(config, &topic, NULL);
    cr_expect_eq(workers_wanted(&q, &err), EDDY_ECONFIG);
    cr_expect(strstr(err.message, "errors.dead_letter: letters"), "%s", err.message);
    config_close(config);
}

/* ---- partitions that move ---- */

struct mover {
    struct claims *claims;
    eddy_status rc;
    atomic_bool has;
};

static void *mover_main(void *context)
{
    struct mover *m = context;
    m->rc = claims_take(m->claims, "t", 1, NULL, NULL);
    atomic_store(&m->has, true);
    return NULL;
}

Test(claims, a_partition_is_opened_after_its_last_owner_has_closed_it, .timeout = 60)
{
    struct mover m = {.claims = claims_open(2)};
    struct eddy_error err = {0};
    pthread_t thread;
    cr_assert_eq(claims_take(m.claims, "t", 1, NULL, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(claims_take(m.claims, "t", 2, NULL, &err), EDDY_OK, "another partition is free");
    cr_assert_eq(claims_take(m.claims, "u", 1, NULL, &err), EDDY_OK, "another topic is free");
    cr_assert_eq(pthread_create(&thread, NULL, mover_main, &m), 0);
    (void)usleep(100000);
    cr_expect_not(atomic_load(&m.has));
    claims_give(m.claims, "t", 2, false);
    (void)usleep(50000);
    cr_expect_not(atomic_load(&m.has), "that was another one");
    claims_give(m.claims, "t", 1, false);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_eq(m.rc, EDDY_OK);

    const volatile sig_atomic_t stop = 1;
    cr_expect_eq(claims_take(m.claims, "t", 1, &stop, &err), EDDY_EBUSY, "whoever is to stop waits no longer");
    cr_expect(strstr(err.message, "t[1]"), "%s", err.message);
    claims_close(m.claims);
}

/* guarantee: exactly_once with transactions that fail in every way: what readers of committed records see is what an
 * undisturbed pipeline writes. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "fixture_script.h"

enum { RECORDS = 4000, BAD_EVERY = 97 };

enum fate { DONE, ANSWER_LOST, REQUEST_LOST, REFUSED_AT_BEGIN, BREAKS, FATES };

/* A broker that keeps what was committed, and an open transaction behind it. */
static struct broker {
    uint64_t draw;         /* of the fates */
    int percent;           /* of the transactions that do not end well */
    enum fate fate;        /* of the open one */
    bool open, doubtful;   /* begun; ended without an answer */
    int64_t sent, letters; /* what was visible before it */
    int64_t begun, failed[FATES], away;
} broker;

static uint32_t draw(uint32_t below)
{
    broker.draw = broker.draw * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(broker.draw >> 33) % below;
}

static eddy_status fake_open(const struct transaction_request *r, void **out, struct eddy_error *err)
{
    (void)err;
    cr_assert_gt(strlen(r->id), 0, "a transaction needs a name that lasts");
    *out = &broker;
    return EDDY_OK;
}

/* What readers of committed records never see. */
static void fake_abort(void)
{
    struct script *s = script_now;
    if (!broker.open) return;
    while (s->sent > broker.sent) free(s->out[--s->sent]), s->out[s->sent] = NULL;
    while (s->n_letters > broker.letters) free(s->letters[--s->n_letters]), s->letters[s->n_letters] = NULL;
    s->outstanding = 0;
    broker.open = false;
}

static eddy_status fake_begin(void *t, struct eddy_error *err)
{
    (void)t;
    cr_assert(!broker.open, "begun twice");
    broker.fate = (int)draw(100) < broker.percent ? (enum fate)(1 + draw(FATES - 1)) : DONE;
    broker.failed[broker.fate]++;
    if (broker.fate == REFUSED_AT_BEGIN) return eddy_fail(err, EDDY_EAGAIN, "fenced");
    broker.begun++;
    broker.open = true;
    broker.sent = script_now->sent;
    broker.letters = script_now->n_letters;
    return EDDY_OK;
}

static eddy_status fake_check(void *t, struct eddy_error *err)
{
    (void)t;
    if (!broker.open || broker.fate != BREAKS) return EDDY_OK;
    return eddy_fail(err, EDDY_EAGAIN, "a message was not delivered");
}

static eddy_status fake_commit(void *t, void *source, const struct source_position *at, int n, int timeout_ms,
                               struct eddy_error *err)
{
    struct script *s = source;
    (void)t, (void)timeout_ms;
    cr_assert(broker.open);
    if (broker.fate == DONE || broker.fate == ANSWER_LOST) {
        broker.open = false;
        for (int i = 0; i < n; i++) {
            cr_assert_gt(at[i].next, s->committed, "positions only move on");
            s->committed = at[i].next;
            (void)snprintf(s->metadata, sizeof(s->metadata), "%s", at[i].metadata);
        }
        s->outstanding = 0;
        if (broker.fate == DONE) return EDDY_OK;
    }
    return eddy_fail(err, EDDY_EAGAIN, "no answer");
}

static eddy_status fake_recover(void *t, int timeout_ms, struct eddy_error *err)
{
    (void)t, (void)timeout_ms;
    if (draw(3) == 0) {
        broker.away++;
        return eddy_fail(err, EDDY_EAGAIN, "the broker is away");
    }
    fake_abort();
    return EDDY_OK;
}

static void fake_close(void *t)
{
    (void)t;
    fake_abort();
}

static const struct eddy_transactor fake = {fake_open, fake_begin, fake_check, fake_commit, fake_recover, fake_close};

static struct script *topic(void)
{
    struct script *s = script_open(RECORDS);
    for (int i = 50; i < RECORDS; i += BAD_EVERY) script_replace(s, i, "{\"ts\":");
    s->batch = 20;
    return s;
}

static const char yaml[] = "state: {checkpoint: 100ms}\ncommit_interval: 10ms\ntrain: {epoch: 256}\n"
                           "errors: {dead_letter: {letters: {}}}\n";

static int64_t transaction_most; /* of the next lives; 0 = as it is by itself */

static struct script_run live_as(const char *dir, bool exactly_once, const char *configured)
{
    struct script_run run = {.config = script_config(configured)};
    const struct driver_request q = {.settings = config_settings(run.config),
                                     .source = &script_source,
                                     .sink = &script_sink,
                                     .sink_request = {.name = "test"},
                                     .state = DRIVER_STATE_KEPT,
                                     .state_path = dir,
                                     .transactor = exactly_once ? &fake : NULL,
                                     .transaction_most = transaction_most,
                                     .commit = true};
    run.opened = driver_open(&q, &run.driver, &run.err);
    cr_assert_geq(run.opened, 0, "%s", run.err.message);
    run.ran = driver_run(run.driver, &run.err);
    driver_stats(run.driver, &run.stats);
    if (run.ran >= 0) cr_assert_geq(driver_hash(run.driver, false, run.hash, &run.err), 0, "%s", run.err.message);
    driver_close(run.driver);
    run.driver = NULL;
    config_close(run.config);
    return run;
}

static struct script_run live(const char *dir, bool exactly_once)
{
    return live_as(dir, exactly_once, yaml);
}

static void check_equal(const struct script *a, const struct script *b)
{
    cr_assert_eq(a->sent, b->sent, "%lld results, not %lld", (long long)b->sent, (long long)a->sent);
    for (int64_t i = 0; i < a->sent; i++) cr_assert_str_eq(a->out[i], b->out[i], "result %lld", (long long)i);
    cr_assert_eq(a->n_letters, b->n_letters);
    for (int i = 0; i < a->n_letters; i++) cr_assert_str_eq(a->letters[i], b->letters[i]);
}

Test(driver_transaction, however_transactions_end_every_result_is_seen_once, .fini = script_close_all)
{
    char *dir = script_dir();
    struct script *quiet = topic();
    const struct script_run reference = live(dir, false);
    cr_assert_geq(reference.ran, 0, "%s", reference.err.message);
    script_remove(dir);

    int64_t failed = 0;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        char *own = script_dir();
        struct script *s = topic();
        broker = (struct broker){.draw = seed, .percent = seed == 1 ? 0 : 25};
        struct script_run run = {0};
        int64_t restarts = 0;
        for (int lives = 0; s->committed < RECORDS && lives < 50;
             lives++) { /* the last commit of a life may fail, too */
            run = live(own, true);
            cr_assert_geq(run.ran, 0, "seed %d: %s", (int)seed, run.err.message);
            restarts += run.stats.restarts;
        }
        check_equal(quiet, s);
        cr_assert_str_eq(reference.hash, run.hash);
        cr_assert_eq(s->committed, RECORDS);
        cr_assert_eq(restarts, s->restarts);
        for (int f = 1; f < FATES; f++) failed += broker.failed[f];
        if (seed == 1) cr_assert_eq(s->restarts, 0);
        script_remove(own);
        free(own);
    }
    cr_assert_gt(failed, 8, "the test must have met failures: %lld", (long long)failed);
    free(dir);
}

Test(driver_transaction, a_stop_in_an_open_transaction_leaves_nothing_half, .fini = script_close_all)
{
    char *dir = script_dir(), *other = script_dir();
    struct script *quiet = topic();
    const struct script_run reference = live(other, false);

    struct script *s = topic();
    broker = (struct broker){.draw = 7, .percent = 0};
    for (int64_t end = 700; end <= RECORDS;
         end += 1100) { /* the source ends in the middle of things, several lives long */
        s->end_at = end < RECORDS ? end : RECORDS;
        const struct script_run run = live(dir, true);
        cr_assert_geq(run.ran, 0, "%s", run.err.message);
        cr_assert_eq(s->committed, s->end_at, "%lld of %lld", (long long)s->committed, (long long)s->end_at);
    }
    s->end_at = 0;
    const struct script_run last = live(dir, true);
    check_equal(quiet, s);
    cr_assert_str_eq(reference.hash, last.hash);
    script_remove(dir), script_remove(other);
    free(dir), free(other);
}

/* Brokers give up what is open for longer than transaction.timeout.ms, however long `commit_interval` is. */
Test(driver_transaction, no_turn_begins_in_a_transaction_that_it_would_outlive, .fini = script_close_all)
{
    static const char seldom[] = "state: {checkpoint: 1h}\ncommit_interval: 5s\n"
                                 "errors: {dead_letter: {letters: {}}}\n";
    char *dir = script_dir(), *other = script_dir();
    struct script *quiet = topic();
    broker = (struct broker){.draw = 7, .percent = 0};
    const struct script_run rare = live_as(other, true, seldom);
    cr_assert_leq(rare.stats.transactions, 2, "%lld", (long long)rare.stats.transactions);

    struct script *s = topic();
    broker = (struct broker){.draw = 7, .percent = 0};
    transaction_most = 5000000; /* 5 ms: a few polls of the script */
    const struct script_run run = live_as(dir, true, seldom);
    cr_assert_geq(run.ran, 0, "%s", run.err.message);
    cr_assert_gt(run.stats.transactions, 20, "%lld", (long long)run.stats.transactions);
    check_equal(quiet, s);
    cr_assert_str_eq(rare.hash, run.hash);
    script_remove(dir), script_remove(other);
    free(dir), free(other);
}

/* A checkpoint that is being written when its transaction fails is given up with the lanes; the file is the older one. */
#define SAVING                                                                                                       \
    "state: {checkpoint: 1ms, max_keys: 2}\ncommit_interval: 10ms\ntrain: {epoch: 256}\n"                            \
    "errors: {dead_letter: {letters: {}}}\n"

/* Lives with failing transactions until all is committed, equal to an undisturbed one; how many checkpoints were given up
 * in the making. */
static int64_t restarts_while_saving(uint64_t seed, const struct script *quiet, const char *hash)
{
    char *dir = script_dir();
    struct script *s = topic();
    broker = (struct broker){.draw = seed, .percent = 20};
    int64_t cancelled = 0, checkpoints = 0;
    struct script_run run = {0};
    for (int lives = 0; s->committed < RECORDS && lives < 50; lives++) {
        run = live_as(dir, true, SAVING);
        cr_assert_geq(run.ran, 0, "%s", run.err.message);
        cancelled += run.stats.saves_given_up;
        checkpoints += run.stats.checkpoints;
    }
    check_equal(quiet, s);
    cr_assert_str_eq(hash, run.hash);
    cr_assert_gt(checkpoints, 10);
    script_remove(dir);
    free(dir);
    return cancelled;
}

Test(driver_transaction, a_restart_in_the_middle_of_a_checkpoint_loses_and_repeats_nothing, .fini = script_close_all)
{
    char *dir = script_dir();
    const struct script *quiet = topic();
    const struct script_run reference = live_as(dir, false, SAVING);
    int64_t cancelled = 0;
    for (uint64_t seed = 11; cancelled == 0 && seed < 40; seed++) /* a quick disk has saved before anything fails */
        cancelled = restarts_while_saving(seed, quiet, reference.hash);
    cr_assert_gt(cancelled, 0, "the test must have met a checkpoint in the making");
    script_remove(dir);
    free(dir);
}

/* The transaction holds a part of what the next owner writes again. */
Test(driver_transaction, a_partition_that_leaves_while_its_first_batch_is_sent_leaves_nothing_behind,
     .fini = script_close_all)
{
    char *dir = script_dir(), *other = script_dir();
    struct script *quiet = topic();
    const struct script_run reference = live(other, false);

    struct script *s = topic();
    broker = (struct broker){.draw = 7, .percent = 0};
    s->end_at = 700;
    cr_assert_geq(live(dir, true).ran, 0); /* the next life begins at a checkpoint */
    s->end_at = 0;
    s->capacity = 5;
    s->deaf_services = 1000000;
    s->revoke_in_serve = s->serves + 3;
    const struct script_run torn = live(dir, true);
    cr_assert_geq(torn.ran, 0, "%s", torn.err.message);
    cr_assert_eq(s->revokes, 1);
    cr_assert_eq(s->committed, 700, "%lld", (long long)s->committed);

    s->capacity = 0;
    s->deaf_services = s->revoke_in_serve = s->revokes = 0;
    const struct script_run last = live(dir, true);
    check_equal(quiet, s);
    cr_assert_str_eq(reference.hash, last.hash);
    script_remove(dir), script_remove(other);
    free(dir), free(other);
}

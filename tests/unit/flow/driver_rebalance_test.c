/* The driver and many partitions at once: what a rebalance or an end does to those that are not in hand. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "connectors/codec/codecs.h"
#include "fixture_script.h"

/* Partition 0 stays.  OTHERS partitions from 1 on may be revoked; as many from FIRST_NEW on may come instead. */
enum { OTHERS = 12, FIRST_NEW = 100, IDS = FIRST_NEW + OTHERS, RECORDS = 400, OTHERS_BEGIN = 1000 };

/* A broker with these partitions.  The first poll assigns, the second delivers a batch of each, then there is no more. */
struct fleet {
    /* What happens. */
    int exchange_in_serve; /* at the k-th serve() the others are lost and new ones come; 0 = never */
    int revoke_in_poll;    /* at the k-th poll() the others are revoked; 0 = never */
    int stop_in_poll;      /* at the k-th poll() the program is told to stop; 0 = never */
    int lose_in_serve;     /* at the k-th serve() partition 0 is lost; 0 = never */
    bool away;             /* nothing is confirmed; a rebalance finds the broker back */
    int64_t capacity;      /* messages that the sink holds unconfirmed */
    int refuse_incident;   /* the k-th call for incidents takes none; 0 = never */
    bool story;            /* what partition 0 holds is that of story_record() */
    volatile sig_atomic_t stop;

    /* What has happened. */
    int polls, serves, commits, incident_calls;
    int64_t outstanding, sent[IDS];
    int n_incidents, n_too_late; /* of partition 0: written out, and of them when it was lost already */
    void *tag[IDS];              /* NULL = not assigned */
    struct source_listener listener;
    struct eddy_record records[1 + OTHERS][RECORDS];
    char payload[1 + OTHERS][RECORDS][64];
};

/* ---- source ---- */

static eddy_status fleet_open(const void *settings, const struct source_request *request, void **out,
                              struct eddy_error *err)
{
    struct fleet *f = (struct fleet *)(uintptr_t)settings;
    (void)err;
    f->listener = request->listener;
    *out = f;
    return EDDY_OK;
}

static eddy_status fleet_assign(struct fleet *f, int first, int n, int64_t from, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    for (int p = first; p < first + n && rc >= 0; p++) {
        const struct source_partition partition = {"t", p, -1, "", from, OTHERS_BEGIN + RECORDS, from};
        int64_t at = f->listener.assign(f->listener.context, &partition, &f->tag[p], err);
        if (at < 0) rc = (eddy_status)at;
    }
    return rc;
}

static eddy_status fleet_revoke(struct fleet *f, int first, int n, bool lost, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    for (int p = first; p < first + n; p++) {
        eddy_status one = f->tag[p] ? f->listener.revoke(f->listener.context, f->tag[p], lost, err) : EDDY_OK;
        if (one < 0) rc = one;
        f->tag[p] = NULL;
    }
    return rc;
}

/* "a" and "b" jump together and are never heard of again; by the time of "c" both are forgotten at once. */
static void story_record(int i, struct eddy_record *r, char *text, size_t size)
{
    enum { LEAVE = 300, JUMP = 290 };
    static const char *const keys[] = {"a", "b", "c"};
    const int second = i < LEAVE ? i / 2 : LEAVE / 2 + i - LEAVE;
    (void)snprintf(text, size, "{\"ts\":%d,\"v\":%d}", 1700000000 + second,
                   second % 5 + (i >= JUMP && i < LEAVE ? 10000 : 0));
    r->key = keys[i < LEAVE ? i % 2 : 2];
    r->payload_len = strlen(text);
}

/* Values of partition p are p * 1000 and up, so that a result tells whose record it was made from. */
static struct source_batch fleet_batch(struct fleet *f, int p)
{
    for (int i = 0; i < RECORDS; i++) {
        char *text = f->payload[p][i];
        (void)snprintf(text, sizeof(f->payload[p][i]), "{\"ts\":%d,\"v\":%d}", 1700000000 + i, p * 1000 + i);
        f->records[p][i] = (struct eddy_record){.topic = "t",
                                                .partition = p,
                                                .offset = i + (p ? OTHERS_BEGIN : 0),
                                                .time_ns = i,
                                                .key = "k",
                                                .key_len = 1,
                                                .payload = text,
                                                .payload_len = strlen(text)};
        if (f->story && p == 0) story_record(i, &f->records[p][i], text, sizeof(f->payload[p][i]));
    }
    return (struct source_batch){f->tag[p], RECORDS, f->records[p]};
}

static eddy_status fleet_poll(void *source, int timeout_ms, int max_records, struct source_batch *batches,
                              int max_batches, struct eddy_error *err)
{
    struct fleet *f = source;
    (void)timeout_ms, (void)max_records;
    cr_assert_geq(max_batches, 1 + OTHERS);
    f->polls++;
    if (f->polls == f->stop_in_poll) f->stop = 1;
    if (f->polls == f->revoke_in_poll) {
        eddy_status rc = fleet_revoke(f, 1, OTHERS, false, err);
        f->away = false;
        return rc;
    }
    if (f->polls == 1) {
        eddy_status rc = fleet_assign(f, 0, 1, 0, err);
        return rc < 0 ? rc : fleet_assign(f, 1, OTHERS, OTHERS_BEGIN, err);
    }
    if (f->polls > 2) return 0;
    for (int p = 0; p <= OTHERS; p++) batches[p] = fleet_batch(f, p);
    return 1 + OTHERS;
}

static void fleet_release(void *source)
{
    (void)source;
}

static eddy_status fleet_serve(void *source, struct eddy_error *err)
{
    struct fleet *f = source;
    if (++f->serves == f->lose_in_serve) return fleet_revoke(f, 0, 1, true, err);
    if (f->serves != f->exchange_in_serve) return EDDY_OK;
    eddy_status rc = fleet_revoke(f, 1, OTHERS, true, err);
    f->away = false;
    return rc < 0 ? rc : fleet_assign(f, FIRST_NEW, OTHERS, 0, err);
}

static eddy_status fleet_pause(void *source, void *tag, struct eddy_error *err)
{
    (void)source, (void)tag, (void)err;
    return EDDY_OK;
}

static eddy_status fleet_commit(void *source, const struct source_position *at, int n, struct eddy_error *err)
{
    (void)at, (void)n, (void)err;
    ((struct fleet *)source)->commits++;
    return EDDY_OK;
}

static bool fleet_ended(void *source)
{
    return ((struct fleet *)source)->polls > 2;
}

static void fleet_close(void *source)
{
    struct eddy_error err = {0};
    (void)fleet_revoke(source, 0, IDS, false, &err);
}

static const struct eddy_source fleet_source = {
    .part = {sizeof(struct eddy_source), EDDY_PART_SOURCE, "fleet", "for tests", NULL, 0, NULL},
    .open = fleet_open,
    .poll = fleet_poll,
    .release = fleet_release,
    .serve = fleet_serve,
    .pause = fleet_pause,
    .resume = fleet_pause,
    .commit = fleet_commit,
    .ended = fleet_ended,
    .close = fleet_close};

/* ---- sink ---- */

static eddy_status results_open(const void *settings, const struct sink_request *request, void **out,
                                struct eddy_error *err)
{
    (void)request, (void)err;
    *out = (void *)(uintptr_t)settings;
    return EDDY_OK;
}

static eddy_status results_send(void *sink, const struct sink_message *m, int n, struct eddy_error *err)
{
    struct fleet *f = sink;
    int taken = 0;
    (void)err;
    for (; taken < n && f->outstanding < f->capacity; taken++, f->outstanding++) f->sent[m[taken].partition]++;
    return taken;
}

static eddy_status results_service(void *sink, int timeout_ms, struct eddy_error *err)
{
    struct fleet *f = sink;
    (void)err;
    if (!f->away)
        f->outstanding = 0;
    else
        (void)usleep((useconds_t)timeout_ms * 1000);
    return EDDY_OK;
}

static int64_t results_outstanding(void *sink)
{
    return ((struct fleet *)sink)->outstanding;
}

static void results_close(void *sink)
{
    (void)sink;
}

static const struct eddy_sink fleet_sink = {
    .part = {sizeof(struct eddy_sink), EDDY_PART_SINK, "fleet", "for tests", NULL, 0, NULL},
    .open = results_open,
    .send = results_send,
    .service = results_service,
    .outstanding = results_outstanding,
    .close = results_close};

static eddy_status incidents_send(void *sink, const struct sink_message *m, int n, struct eddy_error *err)
{
    struct fleet *f = sink;
    (void)m, (void)err;
    return ++f->incident_calls == f->refuse_incident ? 0 : n;
}

static const struct eddy_sink fleet_incidents = {
    .part = {sizeof(struct eddy_sink), EDDY_PART_SINK, "incidents", "for tests", NULL, 0, NULL},
    .open = results_open,
    .send = incidents_send,
    .service = results_service,
    .outstanding = results_outstanding,
    .close = results_close};

/* ---- codec ---- */

static struct fleet *fleet_now; /* a codec knows nothing but its settings */

static eddy_status watched_incident(void *codec, const struct eddy_result *r, int i, struct eddy_buffer *out,
                                    struct eddy_error *err)
{
    fleet_now->n_incidents += r->partition == 0;
    fleet_now->n_too_late += r->partition == 0 && !fleet_now->tag[0];
    return codec_json.encode_incident(codec, r, i, out, err);
}

/* ---- lives ---- */

struct fleet_run {
    struct eddy_error err;
    eddy_status rc;
    struct driver_stats stats;
    double seconds; /* until everything was closed */
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* codec: how incidents are written; NULL = they are not. */
static struct fleet_run fleet_live_as(struct fleet *f, const char *yaml, const struct eddy_codec *codec, int chunk)
{
    struct fleet_run run = {0};
    struct driver *driver = NULL;
    struct config *config = script_config(yaml);
    const struct settings *settings = config_settings(config);
    const struct driver_request q = {.settings = settings,
                                     .source = &fleet_source,
                                     .source_settings = f,
                                     .sink = &fleet_sink,
                                     .sink_settings = f,
                                     .sink_request = {.name = "test"},
                                     .sink_codec = codec,
                                     .sink_codec_settings = codec ? settings->codec.settings : NULL,
                                     .incidents = codec ? &fleet_incidents : NULL,
                                     .incidents_settings = f,
                                     .chunk = chunk,
                                     .state = DRIVER_STATE_SCRATCH,
                                     .commit = true,
                                     .stop = &f->stop};
    double began = now_s();
    cr_assert_eq(driver_open(&q, &driver, &run.err), EDDY_OK, "%s", run.err.message);
    run.rc = driver_run(driver, &run.err);
    driver_stats(driver, &run.stats);
    driver_close(driver);
    run.seconds = now_s() - began;
    config_close(config);
    return run;
}

static struct fleet_run fleet_live(struct fleet *f)
{
    return fleet_live_as(f, "train: {mode: 'off'}\n", NULL, 0);
}

/* Far below 5 s for each of 13 partitions, and with room for a busy machine above 5 s in all. */
static const double ONE_DRAIN_S = 9;

Test(driver_rebalance, batches_of_lost_partitions_reach_no_lane_that_came_instead)
{
    /* Partition 0 is in hand and waits for the sink while the batches of the others lie ready. */
    struct fleet *f = calloc(1, sizeof(*f));
    f->capacity = 30;
    f->away = true;
    f->exchange_in_serve = 3;
    struct fleet_run run = fleet_live(f);
    cr_assert_eq(run.rc, EDDY_OK, "%s", run.err.message);
    cr_assert_geq(f->serves, 3, "the exchange took place");
    cr_assert_eq(f->sent[0], RECORDS, "the partition in hand goes on");
    for (int p = 1; p < IDS; p++) cr_assert_eq(f->sent[p], 0, "partition %d: %lld results", p, (long long)f->sent[p]);
    cr_assert_eq(run.stats.events, RECORDS);
    free(f);
}

Test(driver_rebalance, told_to_stop_with_the_broker_away_it_waits_once_not_for_each_partition)
{
    struct fleet *f = calloc(1, sizeof(*f));
    f->capacity = INT64_MAX;
    f->away = true;
    f->stop_in_poll = 3;
    struct fleet_run run = fleet_live(f);
    cr_assert_eq(run.rc, EDDY_OK, "%s", run.err.message);
    cr_assert_lt(run.seconds, ONE_DRAIN_S);
    cr_assert_eq(f->sent[OTHERS], RECORDS);
    cr_assert_eq(f->commits, 0, "nothing was confirmed");
    free(f);
}

Test(driver_rebalance, partitions_revoked_together_wait_for_the_broker_together)
{
    struct fleet *f = calloc(1, sizeof(*f));
    f->capacity = INT64_MAX;
    f->away = true;
    f->revoke_in_poll = 3;
    struct fleet_run run = fleet_live(f);
    cr_assert_eq(run.rc, EDDY_OK, "%s", run.err.message);
    cr_assert_lt(run.seconds, ONE_DRAIN_S);
    cr_assert_eq(f->commits, 1, "of partition 0, which stayed until the broker was back");
    free(f);
}

static void live_the_story(struct fleet *f, int chunk)
{
    struct eddy_codec watched = codec_json;
    watched.encode_incident = watched_incident;
    f->story = true;
    fleet_now = f;
    struct fleet_run run = fleet_live_as(f, "train: {mode: 'off'}\nstate: {ttl: 30s}\n", &watched, chunk);
    cr_assert_eq(run.rc, EDDY_OK, "%s", run.err.message);
}

Test(driver_rebalance, incidents_of_a_turn_whose_partition_was_lost_are_not_written)
{
    /* All of partition 0 is one turn, and the sink has no room for its results. */
    struct fleet *f = calloc(1, sizeof(*f));
    f->capacity = INT64_MAX;
    live_the_story(f, 0);
    const int whole = f->n_incidents;
    cr_assert_geq(whole, 4, "two are opened, and closed for the keys' age: %d", whole);

    *f = (struct fleet){.capacity = 30, .lose_in_serve = 1};
    live_the_story(f, 0);
    cr_assert_null(f->tag[0]);
    cr_expect_eq(f->n_incidents, 0, "%d of %d", f->n_incidents, whole);
    free(f);
}

Test(driver_rebalance, the_second_incident_of_a_turn_is_not_written_when_the_first_has_cost_the_partition)
{
    /* Turns of one event: two are opened in two of them, and two closed by a third. */
    struct fleet *f = calloc(1, sizeof(*f));
    *f = (struct fleet){.capacity = INT64_MAX, .refuse_incident = 3, .lose_in_serve = 1};
    live_the_story(f, 1);
    cr_assert_null(f->tag[0]);
    cr_assert_eq(f->n_incidents, 3, "%d", f->n_incidents);
    cr_expect_eq(f->n_too_late, 0);
    free(f);
}

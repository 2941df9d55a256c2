#include "fixture_script.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connectors/codec/codecs.h"
#include "engine/detect/detectors.h"
#include "engine/flow/lane_store.h"
#include "engine/flow/plan.h"
#include "engine/forecast/experts.h"
#include "engine/model/layers.h"

struct script *script_now;
static int64_t die_at = -1;
static struct script *kept[256]; /* every script of the test, to be freed by script_close_all() */
static int n_kept;

/* ---- source ---- */

static eddy_status source_open(const void *settings, const struct source_request *request, void **out,
                               struct eddy_error *err)
{
    (void)settings, (void)err;
    script_now->listener = request->listener;
    script_now->assigned = script_now->paused = false;
    *out = script_now;
    return EDDY_OK;
}

static eddy_status source_assign(struct script *s, struct eddy_error *err)
{
    const struct source_partition p = {"t", 0, s->committed, s->metadata, s->low, s->n_records, s->start};
    int64_t from = s->listener.assign(s->listener.context, &p, &s->tag, err);
    if (from < 0) return (eddy_status)from;
    s->position = from;
    s->assigned = true;
    return EDDY_OK;
}

static eddy_status source_poll(void *source, int timeout_ms, int max_records, struct source_batch *batches,
                               int max_batches, struct eddy_error *err)
{
    struct script *s = source;
    (void)timeout_ms, (void)max_batches;
    (void)usleep(1200 + (useconds_t)s->slow_us); /* so that a checkpoint every millisecond is due at every turn */
    s->polls++;
    if (s->on_poll) s->on_poll(s);
    if (!s->assigned) return source_assign(s, err);
    if (s->paused) {
        s->polls_paused++;
        return 0;
    }
    if (die_at >= 0 && s->position >= die_at) _exit(9);
    int n = s->batch < max_records ? s->batch : max_records;
    int64_t end = s->end_at > 0 ? s->end_at : s->n_records;
    if (n > 256) n = 256;
    if (n > end - s->position) n = (int)(end - s->position);
    for (int i = 0; i < n; i++) {
        int64_t at = s->position + i;
        s->records[i] = (struct eddy_record){.topic = "t",
                                             .offset = at,
                                             .time_ns = at,
                                             .key = s->key[at],
                                             .key_len = s->key[at] ? strlen(s->key[at]) : 0,
                                             .payload = s->payload[at],
                                             .payload_len = s->payload[at] ? strlen(s->payload[at]) : 0};
    }
    batches[0] = (struct source_batch){s->tag, n, s->records};
    s->position += n;
    return n > 0;
}

static void source_release(void *source)
{
    (void)source;
}

static eddy_status source_serve(void *source, struct eddy_error *err)
{
    struct script *s = source;
    if (++s->serves == s->revoke_in_serve && s->assigned) {
        s->assigned = false;
        s->revokes++;
        return s->listener.revoke(s->listener.context, s->tag, s->lost, err);
    }
    return EDDY_OK;
}

static eddy_status source_pause(void *source, void *tag, struct eddy_error *err)
{
    struct script *s = source;
    (void)tag, (void)err;
    s->pauses++;
    s->paused = true;
    return EDDY_OK;
}

static eddy_status source_resume(void *source, void *tag, struct eddy_error *err)
{
    struct script *s = source;
    (void)tag, (void)err;
    s->resumes++;
    s->paused = false;
    return EDDY_OK;
}

static eddy_status source_commit(void *source, const struct source_position *p, int n, struct eddy_error *err)
{
    struct script *s = source;
    (void)err;
    for (int i = 0; i < n; i++) {
        if (s->on_commit) s->on_commit(s, p[i].next);
        s->committed = p[i].next;
        (void)snprintf(s->metadata, sizeof(s->metadata), "%s", p[i].metadata);
    }
    s->commits++;
    s->n_confirmed_at_commit = s->sent - s->outstanding;
    return EDDY_OK;
}

static eddy_status source_restart(void *source, struct eddy_error *err)
{
    struct script *s = source;
    if (!s->assigned) return EDDY_OK;
    s->assigned = false; /* the next poll assigns it again */
    s->restarts++;
    return s->listener.revoke(s->listener.context, s->tag, true, err);
}

static eddy_status source_again(void *source, void *tag, struct eddy_error *err)
{
    struct script *s = source;
    cr_assert_eq(s->tag, tag);
    const eddy_status rc = source_restart(source, err);
    (void)usleep((useconds_t)s->late_us);
    s->late_us = 0;
    return rc;
}

static bool source_ended(void *source)
{
    struct script *s = source;
    int64_t end = s->end_at > 0 ? s->end_at : s->n_records;
    return !s->stop && ((s->assigned && s->position >= end) || s->revokes > 0);
}

static void source_close(void *source)
{
    struct script *s = source;
    struct eddy_error err = {0};
    if (s->assigned) (void)s->listener.revoke(s->listener.context, s->tag, false, &err);
    s->assigned = false;
}

const struct eddy_source script_source = {
    .part = {sizeof(struct eddy_source), EDDY_PART_SOURCE, "script", "for tests", NULL, 0, NULL},
    .open = source_open,
    .poll = source_poll,
    .release = source_release,
    .serve = source_serve,
    .pause = source_pause,
    .resume = source_resume,
    .commit = source_commit,
    .restart = source_restart,
    .again = source_again,
    .ended = source_ended,
    .close = source_close};

/* ---- sink ---- */

static eddy_status sink_open(const void *settings, const struct sink_request *request, void **out,
                             struct eddy_error *err)
{
    (void)settings, (void)request, (void)err;
    *out = script_now;
    return EDDY_OK;
}

static eddy_status sink_send(void *sink, const struct sink_message *m, int n, struct eddy_error *err)
{
    struct script *s = sink;
    int taken = 0;
    (void)err;
    for (; taken < n && (s->capacity == 0 || s->outstanding < s->capacity); taken++) {
        s->out_partition_errors += m[taken].partition != 0;
        s->out[s->sent++] = strndup(m[taken].payload, m[taken].len);
        s->outstanding++;
    }
    return taken;
}

static eddy_status sink_service(void *sink, int timeout_ms, struct eddy_error *err)
{
    struct script *s = sink;
    (void)timeout_ms;
    if (s->broken) return eddy_fail(err, EDDY_EIO, "t.out[0]: message too large");
    if (s->deaf_services > 0) {
        s->deaf_services--;
        return EDDY_OK;
    }
    int64_t n = s->confirm > 0 && s->confirm < s->outstanding ? s->confirm : s->outstanding;
    s->outstanding -= n;
    return EDDY_OK;
}

static eddy_status sink_written(void *sink, const char *topic, int32_t partition, int64_t from,
                                struct sink_written *w, struct eddy_error *err)
{
    const struct script *s = sink;
    (void)topic, (void)partition, (void)err;
    w->end = s->sent;
    if (!s->remembers || w->only_end) return EDDY_OK;
    w->item = calloc((size_t)s->sent + 1, sizeof(*w->item));
    cr_assert(w->item);
    for (int64_t i = w->output > 0 ? w->output : 0; i < s->sent; i++) {
        const char *at = strstr(s->out[i], "\"offset\":");
        const int64_t offset = at ? atoll(at + strlen("\"offset\":")) : -1;
        if (offset < from) continue;
        int place = w->n++;
        for (; place > 0 && w->item[place - 1].offset > offset; place--) w->item[place] = w->item[place - 1];
        w->item[place].offset = offset;
        w->item[place].sum = w->sum(s->out[i], strlen(s->out[i]));
    }
    return EDDY_OK;
}

static int64_t sink_outstanding(void *sink)
{
    return ((struct script *)sink)->outstanding;
}

static void sink_close(void *sink)
{
    (void)sink;
}

const struct eddy_sink script_sink = {
    .part = {sizeof(struct eddy_sink), EDDY_PART_SINK, "script", "for tests", NULL, 0, NULL},
    .open = sink_open,
    .send = sink_send,
    .service = sink_service,
    .written = sink_written,
    .outstanding = sink_outstanding,
    .close = sink_close};

static eddy_status letters_send(void *sink, const struct sink_message *m, int n, struct eddy_error *err)
{
    struct script *s = sink;
    (void)err;
    for (int i = 0; i < n; i++) {
        int at = s->n_letters++;
        s->letters[at] = strndup(m[i].payload, m[i].len);
        for (int h = 0; h < m[i].n_headers; h++) {
            const struct sink_header *header = &m[i].headers[h];
            if (strcmp(header->name, "__eddy.errors.code") == 0)
                (void)snprintf(s->codes[at], sizeof(s->codes[at]), "%.*s", (int)header->len,
                               (const char *)header->value);
            if (strcmp(header->name, "__eddy.errors.offset") == 0) s->letter_offsets[at] = atoll(header->value);
        }
    }
    return n;
}

static eddy_status letters_service(void *sink, int timeout_ms, struct eddy_error *err)
{
    (void)sink, (void)timeout_ms, (void)err;
    return EDDY_OK;
}

static int64_t letters_outstanding(void *sink)
{
    (void)sink;
    return 0;
}

const struct eddy_sink script_letters = {
    .part = {sizeof(struct eddy_sink), EDDY_PART_SINK, "letters", "for tests", NULL, 0, NULL},
    .open = sink_open,
    .send = letters_send,
    .service = letters_service,
    .outstanding = letters_outstanding,
    .close = sink_close};

static const struct eddy_part *const parts[] = {&script_source.part,
                                                &script_sink.part,
                                                &script_letters.part,
                                                &codec_json.part,
                                                &detector_exceedance.part,
                                                LAYERS(LAYERS_PART) EXPERTS(EXPERTS_PART) & expert_network.part,
                                                NULL};
const struct eddy_parts script_parts = {parts};

/* ---- lives ---- */

struct script *script_open(int n_records)
{
    static const char *const keys[] = {"a", "b", "c", "d", "e"};
    struct script *s = calloc(1, sizeof(*s));
    cr_assert(s);
    s->n_records = n_records;
    s->committed = -1;
    s->batch = 100;
    for (int i = 0; i < n_records; i++) {
        char *text = NULL;
        cr_assert_gt(asprintf(&text, "{\"ts\":%d,\"v\":%.4f}", 1700000000 + 60 * i, 10 * sin(i * .05) + i % 5), 0);
        s->payload[i] = text;
        s->key[i] = keys[i % 5];
    }
    script_now = s;
    cr_assert_lt(n_kept, 256);
    kept[n_kept++] = s;
    return s;
}

void script_close_all(void)
{
    for (int k = 0; k < n_kept; k++) {
        struct script *s = kept[k];
        for (int i = 0; i < SCRIPT_RECORDS; i++) free(s->payload[i]), free(s->letters[i]);
        for (int i = 0; i < 4 * SCRIPT_RECORDS; i++) free(s->out[i]);
        free(s);
    }
    n_kept = 0;
}

void script_replace(struct script *s, int i, const char *payload)
{
    free(s->payload[i]);
    s->payload[i] = payload ? strdup(payload) : NULL;
}

struct config *script_config(const char *yaml)
{
    char text[4096];
    struct config *config = NULL;
    struct eddy_error err = {0};
    (void)snprintf(text, sizeof(text),
                   "name: test\nsource: {script: {}}\nsink: {script: {}}\n"
                   "codec: {json: {time_unit: s}}\n"
                   "forecast: {network: {layers: [{gru: {units: 4}}]}}\n%s",
                   yaml);
    const struct config_request request = {.text = text, .parts = &script_parts};
    if (config_open(&request, &config, &err) < 0)
        for (int i = 0; i < config_error_count(config); i++) cr_log_error("%s", config_error(config, i));
    cr_assert_eq(err.code, EDDY_OK, "%s", err.message);
    return config;
}

static void script_request(const struct config *config, const char *state_path, struct driver_request *q)
{
    const struct settings *settings = config_settings(config);
    *q = (struct driver_request){.settings = settings,
                                 .source = &script_source,
                                 .sink = &script_sink,
                                 .sink_request = {.name = "test"},
                                 .state = state_path ? DRIVER_STATE_KEPT : DRIVER_STATE_SCRATCH,
                                 .state_path = state_path,
                                 .state_topic = settings->state.topic ? &script_topic : NULL,
                                 .topic_patience = script_now->topic_patience,
                                 .stop = script_now->stop,
                                 .commit = true,
                                 .forget_tombstones = true};
}

struct script_run script_live(const char *yaml, const char *state_path)
{
    struct driver_request q;
    struct script_run run = {.config = script_config(yaml)};
    script_request(run.config, state_path, &q);
    run.opened = driver_open(&q, &run.driver, &run.err);
    if (run.opened >= 0) {
        run.ran = driver_run(run.driver, &run.err);
        driver_stats(run.driver, &run.stats);
        if (run.ran >= 0) cr_assert_geq(driver_hash(run.driver, false, run.hash, &run.err), 0, "%s", run.err.message);
    }
    driver_close(run.driver);
    config_close(run.config);
    return run;
}

void script_die(const char *yaml, const char *state_path, int64_t at_position)
{
    /* In a child, so that nothing of it is closed; what it "sent" is its own affair, what is on disk stays. */
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        struct driver_request q;
        struct driver *driver;
        struct eddy_error err = {0};
        struct config *config = script_config(yaml);
        script_request(config, state_path, &q);
        die_at = at_position;
        if (driver_open(&q, &driver, &err) >= 0) (void)driver_run(driver, &err);
        (void)fprintf(stderr, "outlived its death: %s\n", err.message);
        _exit(1);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 9, "the child should have died at its place");
}

char *script_dir(void)
{
    char *dir = strdup("/tmp/eddy-test-XXXXXX");
    cr_assert(mkdtemp(dir));
    return dir;
}

void script_remove(const char *dir)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    cr_assert_eq(system(command), 0);
}

void script_spoil_row(const char *path)
{
    static unsigned char bytes[1 << 16];
    static const char key[] = "a";
    struct eddy_error err = {0};
    struct store *store;
    struct stored_row row;
    struct row_layout layout;
    cr_assert_geq(store_open(path, NULL, STORE_WRITE, &store, &err), 0, "%s", err.message);
    cr_assert_geq(lane_stored_layout(store, &layout, &err), 0, "%s", err.message);
    cr_assert_geq(store_get_row(store, key, 1, &row, &err), 0, "%s", err.message);
    cr_assert_leq(row.row_bytes, sizeof(bytes));
    memcpy(bytes, row.row, row.row_bytes);
    memset(bytes + row_layout_find(&layout, "scale")->offset, 0xff, sizeof(int64_t));
    row.row = bytes;
    row.key = key;
    cr_assert_geq(store_put_row(store, &row, &err), 0, "%s", err.message);
    cr_assert_geq(store_commit(store, &err), 0, "%s", err.message);
    row_layout_free(&layout);
    store_close(store);
}

/* state.topic: several partitions take turns, however long a publication takes. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flow/driver_private.h"
#include "fixture_script.h"
#include "fixture_shards.h"

enum { FLUSH_MS = 40, ORDER = 64 };

/* A topic that keeps nothing but who committed, in order, and whose brokers are slow. */
static int32_t order[ORDER];
static int n_commits;
static int64_t flushed_ns;

static eddy_status slow_open(const struct state_topic_request *r, void **out, struct eddy_error *err)
{
    (void)r, (void)err;
    *out = order;
    return EDDY_OK;
}

static size_t slow_piece_bytes(void *topic)
{
    (void)topic;
    return 4096;
}

static eddy_status slow_end(void *topic, int32_t partition, int timeout_ms, int64_t *end, struct eddy_error *err)
{
    (void)topic, (void)partition, (void)timeout_ms, (void)err;
    *end = -1;
    return EDDY_OK;
}

static eddy_status slow_seek(void *topic, int32_t partition, int64_t from, int64_t to, int timeout_ms,
                             struct eddy_error *err)
{
    (void)topic, (void)partition, (void)from, (void)to, (void)timeout_ms, (void)err;
    return EDDY_OK;
}

static eddy_status slow_read(void *topic, int timeout_ms, struct state_topic_record *out, struct eddy_error *err)
{
    (void)topic, (void)timeout_ms, (void)out, (void)err;
    return EDDY_ENOTFOUND;
}

static eddy_status slow_begin(void *topic, int32_t partition, struct eddy_error *err)
{
    (void)topic, (void)partition, (void)err;
    flushed_ns = driver_clock_ns() + FLUSH_MS * 1000000LL;
    return EDDY_OK;
}

static eddy_status slow_send(void *topic, int32_t partition, const struct eddy_buffer *key,
                             const struct eddy_buffer *value, struct eddy_error *err)
{
    (void)topic, (void)partition, (void)key, (void)value, (void)err;
    return 1;
}

static eddy_status slow_flushed(void *topic, int32_t partition, int64_t *from, int64_t *end, struct eddy_error *err)
{
    (void)topic, (void)partition, (void)err;
    *from = n_commits;
    *end = n_commits + 1;
    return driver_clock_ns() >= flushed_ns;
}

static eddy_status slow_commit(void *topic, void *source, int32_t partition, int64_t end, int timeout_ms,
                               struct eddy_error *err)
{
    (void)topic, (void)source, (void)end, (void)timeout_ms, (void)err;
    if (n_commits < ORDER) order[n_commits++] = partition;
    return EDDY_OK;
}

static eddy_status slow_recover(void *topic, int32_t partition, int timeout_ms, struct eddy_error *err)
{
    (void)topic, (void)partition, (void)timeout_ms, (void)err;
    return EDDY_OK;
}

static void slow_leave(void *topic, int32_t partition)
{
    (void)topic, (void)partition;
}

static void slow_close(void *topic)
{
    (void)topic;
}

static const struct eddy_state_topic slow_topic = {.open = slow_open,
                                                   .piece_bytes = slow_piece_bytes,
                                                   .end = slow_end,
                                                   .seek = slow_seek,
                                                   .read = slow_read,
                                                   .begin = slow_begin,
                                                   .send = slow_send,
                                                   .flushed = slow_flushed,
                                                   .commit = slow_commit,
                                                   .recover = slow_recover,
                                                   .leave = slow_leave,
                                                   .close = slow_close};

static void live(struct shards *topic, const char *dir, const char *yaml)
{
    struct eddy_error err = {0};
    struct driver *driver = NULL;
    struct config *config = script_config(yaml);
    const struct settings *settings = config_settings(config);
    const struct driver_request q = {.settings = settings,
                                     .source = &shards_source,
                                     .source_settings = topic,
                                     .sink = &shards_sink,
                                     .sink_settings = topic,
                                     .sink_request = {.name = "test"},
                                     .state = DRIVER_STATE_KEPT,
                                     .state_path = dir,
                                     .state_topic = settings->state.topic ? &slow_topic : NULL,
                                     .commit = true};
    cr_assert_geq(driver_open(&q, &driver, &err), 0, "%s", err.message);
    cr_assert_geq(driver_run(driver, &err), 0, "%s", err.message);
    driver_close(driver);
    config_close(config);
}

Test(driver_topic_order, the_last_partition_is_published_like_the_first)
{
    struct shards topic;
    char *dir = script_dir();
    int n[SHARDS] = {0};
    shards_open(&topic, 300);
    live(&topic, dir, "");
    topic.n_records = 12000;
    live(&topic, dir, "state: {topic: copy, topic_interval: 100ms, checkpoint: 1ms}\n");
    cr_assert_geq(n_commits, 3 * SHARDS, "there was time for some rounds");
    for (int i = SHARDS; i < 3 * SHARDS; i++) n[order[i]]++; /* in the first, looks end one after another */
    for (int p = 0; p < SHARDS; p++) cr_expect_geq(n[p], 1, "partition %d: %d times in two rounds", p, n[p]);
    shards_free(&topic);
    script_remove(dir);
    free(dir);
}

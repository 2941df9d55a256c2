#include "fixture_topic.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct copy copy;

static void record_free(struct copy_record *r)
{
    free(r->key), free(r->value);
}

void copy_open(void)
{
    copy = (struct copy){.end = -1, .piece_bytes = 4096};
}

void copy_close(void)
{
    for (int i = 0; i < copy.n; i++) record_free(&copy.record[i]);
    copy_open();
}

void copy_lose(int i)
{
    record_free(&copy.record[i]);
    memmove(&copy.record[i], &copy.record[i + 1], (size_t)(copy.n - i - 1) * sizeof(*copy.record));
    copy.n--, copy.n_committed--;
}

static bool has_newer(int of, int n)
{
    const struct copy_record *r = &copy.record[of];
    for (int i = of + 1; i < n; i++)
        if (copy.record[i].key_len == r->key_len && memcmp(copy.record[i].key, r->key, r->key_len) == 0) return true;
    return false;
}

void copy_compact(int keep)
{
    const int n = copy.n - keep;
    int kept = 0;
    cr_assert_eq(copy.n, copy.n_committed);
    for (int i = 0; i < copy.n; i++) {
        if (i < n && has_newer(i, n))
            record_free(&copy.record[i]);
        else
            copy.record[kept++] = copy.record[i];
    }
    copy.n = copy.n_committed = kept;
}

/* Does this call fail? */
static bool fails(void)
{
    if (++copy.calls != copy.fail_at) return false;
    copy.failures++;
    return true;
}

/* Nothing is left of it, and mostly the group has forgotten it too. */
static void copy_vanish(void)
{
    while (copy.n > 0) record_free(&copy.record[--copy.n]);
    copy.n_committed = 0;
    copy.next = 0;
    if (!copy.remembers) copy.end = -1;
}

static eddy_status failed(const char *call, struct eddy_error *err)
{
    if (copy.stolen_end > 0) copy.end = copy.stolen_end;
    if (copy.vanishes) copy_vanish();
    return eddy_fail(err, EDDY_EAGAIN, "%s: the broker is away", call);
}

/* What nobody has committed is never read. */
static void copy_abort(void)
{
    while (copy.n > copy.n_committed) record_free(&copy.record[--copy.n]);
    copy.open = false;
}

static eddy_status copy_topic_open(const struct state_topic_request *r, void **out, struct eddy_error *err)
{
    (void)err;
    cr_assert_str_eq(r->name, "test");
    copy.claimed = false;
    *out = &copy;
    return EDDY_OK;
}

static size_t copy_piece_bytes(void *topic)
{
    (void)topic;
    return copy.piece_bytes;
}

static eddy_status copy_end(void *topic, int32_t partition, int timeout_ms, int64_t *end, struct eddy_error *err)
{
    (void)topic, (void)timeout_ms;
    cr_assert_eq(partition, 0);
    if (fails()) return failed("end", err);
    if (copy.nowhere) return eddy_fail(err, EDDY_ENOTFOUND, "copy has no partition %d", (int)partition);
    if (!copy.claimed) copy_abort();
    copy.claimed = true;
    *end = copy.end;
    return EDDY_OK;
}

static eddy_status copy_seek(void *topic, int32_t partition, int64_t from, int64_t to, int timeout_ms,
                             struct eddy_error *err)
{
    (void)topic, (void)partition, (void)timeout_ms;
    copy.silent = copy.silent_seeks > 0;
    copy.silent_seeks -= copy.silent;
    if (fails()) return failed("seek", err);
    cr_assert(copy.claimed);
    copy.to = to < 0 ? copy.next : to;
    if (copy.to > copy.next) return eddy_fail(err, EDDY_ENOTFOUND, "it ends at %lld", (long long)copy.next);
    for (copy.at = 0; copy.at < copy.n_committed && copy.record[copy.at].offset < from;) copy.at++;
    return EDDY_OK;
}

static eddy_status copy_read(void *topic, int timeout_ms, struct state_topic_record *out, struct eddy_error *err)
{
    (void)topic, (void)timeout_ms;
    if (fails()) return failed("read", err);
    if (copy.silent) return 0;
    if (copy.at == copy.n_committed || copy.record[copy.at].offset >= copy.to) return EDDY_ENOTFOUND;
    const struct copy_record *r = &copy.record[copy.at++];
    *out = (struct state_topic_record){r->offset, r->key, r->value, r->key_len, r->n};
    return 1;
}

static eddy_status copy_begin(void *topic, int32_t partition, struct eddy_error *err)
{
    (void)topic, (void)partition;
    if (fails()) return failed("begin", err);
    cr_assert(copy.claimed && !copy.open);
    if (++copy.begins == copy.vanish_at) copy_vanish();
    copy.open = true;
    copy.began = script_now->polls;
    return EDDY_OK;
}

static eddy_status copy_send(void *topic, int32_t partition, const struct eddy_buffer *key,
                             const struct eddy_buffer *value, struct eddy_error *err)
{
    (void)topic, (void)partition;
    if (fails()) return failed("send", err);
    cr_assert(copy.open && copy.n < COPY_RECORDS);
    if (copy.too_long) return eddy_fail(err, EDDY_ELIMIT, "something is too long");
    if (copy.full_every && ++copy.sends % copy.full_every == 0) return 0;
    struct copy_record *r = &copy.record[copy.n++];
    *r = (struct copy_record){.offset = copy.next++, .key_len = key->len, .n = value ? value->len : 0};
    cr_assert(!value || value->len <= copy.piece_bytes + 64);
    r->key = malloc(key->len);
    memcpy(r->key, key->data, key->len);
    if (value) r->value = malloc(value->len + 1);
    if (value) memcpy(r->value, value->data, value->len);
    return 1;
}

static eddy_status copy_flushed(void *topic, int32_t partition, int64_t *from, int64_t *end, struct eddy_error *err)
{
    (void)topic, (void)partition;
    if (fails()) return failed("flushed", err);
    *from = copy.record[copy.n_committed].offset;
    *end = copy.next;
    return 1;
}

static eddy_status copy_commit(void *topic, void *source, int32_t partition, int64_t end, int timeout_ms,
                               struct eddy_error *err)
{
    (void)topic, (void)source, (void)partition, (void)timeout_ms;
    const bool fail = fails();
    const int turns = (int)(script_now->polls - copy.began);
    cr_assert(copy.open);
    if (turns > copy.most_turns) copy.most_turns = turns;
    if (!fail || copy.answer_lost) {
        copy.end = end;
        copy.n_committed = copy.n;
        copy.next++; /* the transaction's mark */
        copy.open = false;
        copy.commits++;
        if (script_now->stop) *script_now->stop = 1;
    }
    return fail ? failed("commit", err) : EDDY_OK;
}

static eddy_status copy_recover(void *topic, int32_t partition, int timeout_ms, struct eddy_error *err)
{
    (void)topic, (void)partition, (void)timeout_ms;
    if (fails()) return failed("recover", err);
    copy_abort();
    return EDDY_OK;
}

static void copy_leave(void *topic, int32_t partition)
{
    (void)topic, (void)partition;
    copy.claimed = false;
    copy.leaves++;
}

static void copy_topic_close(void *topic)
{
    (void)topic;
    copy.claimed = false;
}

const struct eddy_state_topic script_topic = {.open = copy_topic_open,
                                              .piece_bytes = copy_piece_bytes,
                                              .end = copy_end,
                                              .seek = copy_seek,
                                              .read = copy_read,
                                              .begin = copy_begin,
                                              .send = copy_send,
                                              .flushed = copy_flushed,
                                              .commit = copy_commit,
                                              .recover = copy_recover,
                                              .leave = copy_leave,
                                              .close = copy_topic_close};

/* ---- lives ---- */

struct script *topic_whole;
struct script_run topic_reference;

void topic_setup(void)
{
    topic_whole = script_open(RECORDS);
    topic_reference = script_live(LEARNING, NULL);
    copy_open();
}

void topic_teardown(void)
{
    copy_close();
    script_close_all();
}

struct script_run lives_to(struct script *s, const char *dir, const char *yaml, int64_t until)
{
    s->end_at = until;
    const struct script_run run = script_live(yaml, dir);
    cr_assert_eq(run.ran, EDDY_OK, "%s", run.err.message);
    s->end_at = 0;
    return run;
}

struct script *lived(const char *dir, const char *yaml, const int64_t *until, int n)
{
    struct script *s = script_open(RECORDS);
    for (int i = 0; i < n; i++) (void)lives_to(s, dir, yaml, until[i]);
    return s;
}

void wipe(const char *dir)
{
    char *file = NULL;
    cr_assert_gt(asprintf(&file, "%s/test", dir), 0);
    script_remove(file);
    free(file);
}

struct script_run goes_on(struct script *s, const char *yaml, const char *dir)
{
    const struct script_run run = lives_to(s, dir, yaml, 0);
    cr_assert_eq(s->sent, RECORDS);
    for (int i = 0; i < RECORDS; i++) cr_assert_str_eq(s->out[i], topic_whole->out[i]);
    cr_assert_str_eq(run.hash, topic_reference.hash);
    return run;
}

void is_restored(struct script *s, char *dir)
{
    wipe(dir);
    cr_assert_eq(goes_on(s, COPIED, dir).stats.restores, 1);
    script_remove(dir);
    free(dir);
}

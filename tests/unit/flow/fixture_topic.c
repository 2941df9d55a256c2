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

static eddy_status failed(const char *call, struct eddy_error *err)
{
    if (copy.stolen_end > 0) copy.end = copy.stolen_end;
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
    if (!copy.claimed) copy_abort();
    copy.claimed = true;
    *end = copy.end;
    return EDDY_OK;
}

static eddy_status copy_seek(void *topic, int32_t partition, int64_t from, int64_t to, struct eddy_error *err)
{
    (void)topic, (void)partition;
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
    copy.open = true;
    return EDDY_OK;
}

static eddy_status copy_send(void *topic, int32_t partition, const struct eddy_buffer *key,
                             const struct eddy_buffer *value, struct eddy_error *err)
{
    (void)topic, (void)partition;
    if (fails()) return failed("send", err);
    cr_assert(copy.open && copy.n < COPY_RECORDS);
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

static eddy_status copy_flushed(void *topic, int32_t partition, int64_t *end, struct eddy_error *err)
{
    (void)topic, (void)partition;
    if (fails()) return failed("flushed", err);
    *end = copy.next;
    return 1;
}

static eddy_status copy_commit(void *topic, void *source, int32_t partition, int64_t end, int timeout_ms,
                               struct eddy_error *err)
{
    (void)topic, (void)source, (void)partition, (void)timeout_ms;
    const bool fail = fails();
    cr_assert(copy.open);
    if (!fail || copy.answer_lost) {
        copy.end = end;
        copy.n_committed = copy.n;
        copy.next++; /* the transaction's mark */
        copy.open = false;
        copy.commits++;
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

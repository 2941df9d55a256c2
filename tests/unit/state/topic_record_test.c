#include "engine/state/topic_record.h"

#include <xxhash.h>

#include "config/little_endian.h"
#include "tests/unit/state/fixture.h"

enum { MOST = 64 };

struct kept { /* what was emitted */
    char *key[MOST], *value[MOST];
    size_t key_len[MOST], n[MOST];
    int count, refuse_at; /* refuse_at: the record that finds no room, once; -1 = none */
};

static char *copy_of(const struct eddy_buffer *b)
{
    char *copy = malloc(b->len + 1);
    cr_assert_not_null(copy);
    memcpy(copy, b->data, b->len);
    return copy;
}

static eddy_status keep(void *context, const struct eddy_buffer *key, const struct eddy_buffer *value,
                        struct eddy_error *why)
{
    struct kept *all = context;
    if (all->count == all->refuse_at) {
        all->refuse_at = -1;
        return eddy_fail(why, EDDY_EAGAIN, "full");
    }
    cr_assert_lt(all->count, MOST);
    all->key[all->count] = copy_of(key);
    all->key_len[all->count] = key->len;
    all->value[all->count] = value ? copy_of(value) : NULL;
    all->n[all->count++] = value ? value->len : 0;
    return EDDY_OK;
}

/* What every test has: a writer of generation 3, number 7, what it emitted, and a reader of that. */
static struct eddy_error err;
static struct topic_writer w;
static struct kept k;
static struct topic_reader t;
static struct topic_thing thing; /* read last */

static void end(void)
{
    topic_writer_free(&w);
    topic_reader_free(&t);
    for (int i = 0; i < k.count; i++) free(k.key[i]), free(k.value[i]);
}

/* Anew, with pieces of so many bytes. */
static void begin(size_t piece_bytes)
{
    end();
    k = (struct kept){.refuse_at = -1};
    w = (struct topic_writer){
        .id = an_identity, .generation = 3, .number = 7, .piece_bytes = piece_bytes, .emit = keep, .context = &k};
    t = (struct topic_reader){.id = an_identity, .topic = "plant.state"};
    thing = (struct topic_thing){0};
}

TestSuite(topic_record, .fini = end);

static eddy_status take(int i)
{
    return topic_take(&t, 100 + i, k.key[i], k.key_len[i], k.value[i], k.n[i], &thing, &err);
}

/* `thing` is the last whole one of all that was kept; how many there were. */
static int take_all(void)
{
    struct topic_thing last = thing;
    int n = 0;
    for (int i = 0; i < k.count; i++) {
        const eddy_status rc = take(i);
        must(rc);
        if (rc > 0) last = thing, n++;
    }
    thing = last;
    return n;
}

static struct stored_row a_row(unsigned char *row, size_t n, uint64_t seed)
{
    fill_row(row, n, seed);
    return (struct stored_row){.key = "pump-\x00-7",
                               .key_len = 8,
                               .next_off = 1234567890123,
                               .time_ns = -5,
                               .count = 77,
                               .flags = 0x80000001,
                               .row = row,
                               .row_bytes = n};
}

static void same_row(const struct stored_row *a, const struct stored_row *b)
{
    cr_assert_eq(a->key_len, b->key_len);
    cr_assert_eq(memcmp(a->key, b->key, a->key_len), 0);
    cr_assert(a->next_off == b->next_off && a->time_ns == b->time_ns && a->count == b->count && a->flags == b->flags);
    cr_assert_eq(a->row_bytes, b->row_bytes);
    cr_assert_eq(memcmp(a->row, b->row, a->row_bytes), 0);
}

Test(topic_record, a_row_comes_back_whole_whatever_the_pieces)
{
    unsigned char row[256];
    for (size_t piece = 1; piece <= 300; piece += 13) {
        const struct stored_row r = a_row(row, piece % 2 ? 0 : 8, piece);
        begin(piece);
        must(topic_put_row(&w, &r, false, &err));
        cr_assert_eq((size_t)k.count, (32 + r.row_bytes + piece - 1) / piece);
        cr_assert_eq(take_all(), 1);
        cr_assert(thing.kind == TOPIC_ROW && !thing.gone && thing.anew);
        same_row(&thing.row, &r);
    }
}

Test(topic_record, blobs_weights_and_the_manifest_come_back)
{
    const struct topic_manifest m = {.position = 500, .n = 2, .sum = UINT64_MAX, .fingerprint = 9};
    begin(8);
    must(topic_put_blob(&w, "train", "windows in training", 19, &err));
    cr_assert_eq(take_all(), 1);
    cr_assert(thing.kind == TOPIC_BLOB && thing.name_len == 5 && memcmp(thing.name, "train", 5) == 0);
    cr_assert(thing.n == 19 && memcmp(thing.bytes, "windows in training", 19) == 0);
    must(topic_put_model(&w, 12, 99, "weights", 7, &err));
    take_all();
    cr_assert(thing.kind == TOPIC_MODEL && thing.version == 12 && thing.wall_time_s == 99);
    cr_assert(thing.n == 7 && memcmp(thing.bytes, "weights", 7) == 0);
    must(topic_put_blob(&w, "empty", NULL, 0, &err));
    take_all();
    cr_assert(thing.kind == TOPIC_BLOB && !thing.gone && thing.n == 0);
    must(topic_put_manifest(&w, &m, &err));
    take_all();
    cr_assert_eq(thing.kind, TOPIC_MANIFEST);
    cr_assert(thing.manifest.position == 500 && thing.manifest.n == 2 && thing.manifest.sum == UINT64_MAX);
    cr_assert(thing.manifest.fingerprint == 9 && thing.manifest.generation == 3 && thing.manifest.number == 7);
}

Test(topic_record, every_piece_of_a_row_that_is_gone_has_its_tombstone)
{
    unsigned char row[64];
    const struct stored_row r = a_row(row, sizeof(row), 1);
    begin(40);
    must(topic_put_row(&w, &r, false, &err));
    must(topic_put_row(&w, &r, true, &err));
    cr_assert_eq(k.count, 6);
    for (int i = 0; i < 3; i++) { /* the same keys, so that compaction forgets both in the end */
        cr_assert_eq(k.key_len[i], k.key_len[i + 3]);
        cr_assert_eq(memcmp(k.key[i], k.key[i + 3], k.key_len[i]), 0);
        cr_assert_null(k.value[i + 3]);
    }
    cr_assert_eq(take_all(), 2);
    cr_assert(thing.kind == TOPIC_ROW && thing.gone && thing.row.key_len == r.key_len);
    cr_assert_eq(memcmp(thing.row.key, r.key, r.key_len), 0);
}

Test(topic_record, pieces_left_over_by_compaction_count_no_more)
{
    begin(10);
    must(topic_put_blob(&w, "shared", "an older and longer value", 25, &err)); /* 3 pieces: only the last survives */
    w.number++;
    must(topic_put_blob(&w, "shared", "a shorter one", 13, &err)); /* 2 pieces */
    cr_assert_eq(take(2), 0);
    cr_assert_eq(take(3), 0);
    cr_assert_eq(take(2), 0, "an older piece in between belongs to nothing");
    cr_assert_eq(take(4), 0, "and the rest alone is not a whole");
    cr_assert_eq(take(3), 0);
    cr_assert_eq(take(4), 1);
    cr_assert(thing.n == 13 && memcmp(thing.bytes, "a shorter one", 13) == 0);
}

Test(topic_record, a_put_that_found_no_room_goes_on_where_it_stopped)
{
    begin(10);
    k.refuse_at = 2;
    cr_assert_eq(topic_put_blob(&w, "shared", "twenty-five bytes of text", 25, &err), EDDY_EAGAIN);
    must(topic_put_blob(&w, "shared", "twenty-five bytes of text", 25, &err));
    cr_assert_eq(k.count, 3);
    cr_assert_eq(take_all(), 1);
    cr_assert(thing.n == 25 && memcmp(thing.bytes, "twenty-five bytes of text", 25) == 0);
    must(topic_put_model(&w, 5, 0, "weights", 7, &err)); /* two pieces with the time before them */
    k.refuse_at = 6;
    cr_assert_eq(topic_drop_model(&w, 5, 7, &err), EDDY_EAGAIN);
    must(topic_drop_model(&w, 5, 7, &err));
    cr_assert_eq(k.count, 7);
    for (int i = 3; i < 5; i++) {
        cr_assert_null(k.value[i + 2]);
        cr_assert_eq(memcmp(k.key[i], k.key[i + 2], k.key_len[i]), 0);
    }
}

Test(topic_record, an_older_generation_counts_no_more_and_a_newer_one_begins_anew)
{
    begin(100);
    must(topic_put_blob(&w, "a", "old", 3, &err));
    w.generation = 4;
    must(topic_put_blob(&w, "b", "new", 3, &err));
    must(topic_put_blob(&w, "c", "new", 3, &err));
    cr_assert(take(0) == 1 && thing.anew);
    cr_assert(take(1) == 1 && thing.anew);
    cr_assert(take(2) == 1 && !thing.anew);
    cr_assert_eq(take(0), 0);
}

Test(topic_record, no_flipped_bit_of_a_record_is_believed)
{
    unsigned char row[16];
    const struct stored_row r = a_row(row, sizeof(row), 5);
    begin(1000);
    must(topic_put_row(&w, &r, false, &err));
    for (size_t bit = 0; bit < 8 * (k.key_len[0] + k.n[0]); bit++) {
        char *at = bit / 8 < k.key_len[0] ? k.key[0] + bit / 8 : k.value[0] + bit / 8 - k.key_len[0];
        *at = (char)(*at ^ 1 << bit % 8);
        err.message[0] = '\0';
        const eddy_status rc = take(0);
        cr_assert(rc == EDDY_ECORRUPT || rc == EDDY_EVERSION, "bit %zu: %d", bit, rc);
        cr_assert_not_null(strstr(err.message, "plant.state[3]"));
        cr_assert_not_null(strstr(err.message, "offset 100"), "%s", err.message);
        *at = (char)(*at ^ 1 << bit % 8);
    }
    for (size_t n = 0; n < k.n[0]; n++)
        cr_assert_eq(topic_take(&t, 0, k.key[0], k.key_len[0], k.value[0], n, &thing, &err), EDDY_ECORRUPT);
}

Test(topic_record, another_pipeline_s_state_is_refused_by_name)
{
    begin(1000);
    w.id.name = "brewery";
    must(topic_put_manifest(&w, &(struct topic_manifest){.position = 1}, &err));
    must(topic_put_blob(&w, "lane", "x", 1, &err));
    w.id.name = an_identity.name;
    w.id.topic = "pumps";
    must(topic_put_blob(&w, "lane", "x", 1, &err));
    w.id.topic = an_identity.topic;
    w.id.partition = 4;
    must(topic_put_blob(&w, "lane", "x", 1, &err));
    cr_assert_eq(take(0), EDDY_EMISMATCH);
    cr_assert_not_null(strstr(err.message, "pipeline brewery over topic sensors"), "%s", err.message);
    cr_assert_not_null(strstr(err.message, "not of pipeline plant-7 over topic sensors"), "%s", err.message);
    cr_assert_eq(take(1), EDDY_EMISMATCH);
    cr_assert_eq(take(2), EDDY_EMISMATCH);
    cr_assert_eq(take(3), EDDY_EMISMATCH);
    cr_assert_not_null(strstr(err.message, "partition 4"), "%s", err.message);
}

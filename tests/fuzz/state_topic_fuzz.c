/* Fuzzes the reading of the state topic: any records are refused with a message, or give things that lie within the bytes
 * that were given.
 *
 * Input    records, each  u8 how | u16 bytes of the key | u16 bytes of the value | key | value
 *          how: 1 no value, 2 format, partition and pipeline are made right, 4 the sum is.  Each is read from memory of
 *          its own, so that a sanitizer sees where reading ends. */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "config/little_endian.h"
#include "engine/state/topic_record.h"
#include "tests/fuzz/fuzz.h"

enum { NO_VALUE = 1, RIGHT_KEY = 2, RIGHT_SUM = 4, INPUT_HEAD = 5 };

static const struct store_identity identity = {"fuzz", "topic", 3};
static volatile unsigned char sink;

static void must(bool holds)
{
    if (!holds) abort();
}

static unsigned char *own(const uint8_t *from, size_t n)
{
    unsigned char *copy = malloc(n ? n : 1);
    must(copy != NULL);
    if (n) memcpy(copy, from, n);
    return copy;
}

static void right_key(unsigned char *key, size_t n)
{
    if (n < TOPIC_KEY_BYTES) return;
    key[0] = TOPIC_FORMAT;
    le_put_u32(key + 4, (uint32_t)identity.partition);
    le_put_u64(key + 8, XXH3_64bits_withSeed(identity.topic, strlen(identity.topic),
                                             XXH3_64bits(identity.name, strlen(identity.name) + 1)));
}

static void touch(const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < n; i++) sink = at[i];
}

static void look(const struct topic_thing *thing, size_t given)
{
    if (thing->kind == TOPIC_ROW) {
        touch(thing->row.key, thing->row.key_len);
        if (!thing->gone) touch(thing->row.row, thing->row.row_bytes);
        must(thing->gone || thing->row.row_bytes <= given);
        return;
    }
    if (thing->kind == TOPIC_MANIFEST) {
        must(thing->gone || thing->manifest.position >= 0);
        return;
    }
    must(thing->kind == TOPIC_BLOB || thing->kind == TOPIC_MODEL);
    touch(thing->name, thing->name_len);
    if (!thing->gone) touch(thing->bytes, thing->n);
    must(thing->n <= given);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct topic_reader reader = {.id = identity, .topic = "fuzz.state"};
    size_t given = 0;
    for (int64_t offset = 0; n >= INPUT_HEAD; offset++) {
        const int how = bytes[0];
        size_t key_len = (size_t)bytes[1] | (size_t)bytes[2] << 8, len = (size_t)bytes[3] | (size_t)bytes[4] << 8;
        bytes += INPUT_HEAD, n -= INPUT_HEAD;
        if (key_len > n) key_len = n;
        if (len > n - key_len) len = n - key_len;
        unsigned char *key = own(bytes, key_len), *value = how & NO_VALUE ? NULL : own(bytes + key_len, len);
        if (how & RIGHT_KEY) right_key(key, key_len);
        if (value && how & RIGHT_SUM && len >= 8)
            le_put_u64(value, XXH3_64bits_withSeed(value + 8, len - 8, XXH3_64bits(key, key_len)));
        struct topic_thing thing;
        struct eddy_error err = {0};
        given += len;
        const eddy_status rc = topic_take(&reader, offset, key, key_len, value, len, &thing, &err);
        must(rc >= 0 ? rc <= 1 : err.message[0] != '\0');
        if (rc == 1) look(&thing, given);
        free(key);
        free(value);
        bytes += key_len + len, n -= key_len + len;
    }
    topic_reader_free(&reader);
    return 0;
}

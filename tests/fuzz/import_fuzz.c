/* Fuzzes the reading of exported state: any stream is refused with a message and leaves no file, or gives a state file
 * that is sound.
 *
 * Input    when it begins with 'S': records to be written with a right first line and right sums, each
 *          u8 type | u16 bytes | payload; else the stream itself.  A row directory in front of the layouts' own test:
 *          an 'L' takes the rest as one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "engine/state/export.h"
#include "engine/state/export_record.h"
#include "tests/fuzz/fuzz.h"

static void must(bool holds)
{
    if (!holds) abort();
}

static void first_line(struct eddy_buffer *out)
{
    static const char line[] = EXPORT_MAGIC " 1 fuzz topic 3";
    char sum[20];
    const int n = snprintf(sum, sizeof(sum), " %016llx\n", (unsigned long long)XXH3_64bits(line, sizeof(line) - 1));
    must(eddy_buffer_append(out, line, sizeof(line) - 1) >= 0 && eddy_buffer_append(out, sum, (size_t)n) >= 0);
}

static void with_sums(const uint8_t *at, size_t left, struct eddy_buffer *out)
{
    uint64_t sum = 0;
    first_line(out);
    while (left >= 3) {
        unsigned char head[EXPORT_HEAD_BYTES] = {at[0]}, tail[8];
        size_t n = (size_t)at[1] | (size_t)at[2] << 8;
        if (n > left - 3) n = left - 3;
        le_put_u64(head + 1, n);
        sum = export_sum(head, at + 3, n, sum);
        le_put_u64(tail, sum);
        must(eddy_buffer_append(out, head, sizeof(head)) >= 0 && eddy_buffer_append(out, at + 3, n) >= 0 &&
             eddy_buffer_append(out, tail, sizeof(tail)) >= 0);
        at += 3 + n;
        left -= 3 + n;
    }
}

static void try_layout(const uint8_t *bytes, size_t n)
{
    struct row_layout layout = {0};
    struct eddy_buffer again = {0};
    struct eddy_error err = {0};
    const eddy_status rc = row_layout_decode(bytes, n, &layout, &err);
    must(rc >= 0 || err.message[0]);
    for (int i = 0; rc >= 0 && i < layout.n; i++) {
        const struct section *s = &layout.sections[i];
        must(s->offset % 8 == 0 && s->offset <= layout.row_bytes && s->bytes <= layout.row_bytes - s->offset);
    }
    if (rc >= 0) {
        must(row_layout_encode(&layout, &again, &err) >= 0);
        must(again.len == n && memcmp(again.data, bytes, n) == 0);
    }
    eddy_buffer_free(&again);
    row_layout_free(&layout);
}

static void try_stream(const struct eddy_buffer *stream, const char *path)
{
    struct eddy_buffer names = {0};
    struct store_identity id;
    struct eddy_error err = {0};
    FILE *from = fmemopen(stream->data, stream->len, "r");
    must(from != NULL);
    eddy_status rc = store_import_identity(from, &names, &id, &err);
    if (rc >= 0) rc = store_import(from, path, &id, &err);
    (void)fclose(from);
    must(rc >= 0 ? access(path, F_OK) == 0 : access(path, F_OK) != 0 && err.message[0]);
    if (rc >= 0) {
        struct store *store = NULL;
        if (store_open(path, &id, STORE_WRITE, &store, &err) < 0 || store_verify(store, NULL, &err) < 0) {
            (void)fprintf(stderr, "fuzz: %s\n", err.message);
            abort();
        }
        store_close(store);
        must(unlink(path) == 0);
    }
    eddy_buffer_free(&names);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static char directory[] = "/dev/shm/eddy-fuzz-XXXXXX", path[64];
    struct eddy_buffer stream = {0};
    if (n == 0) return 0;
    if (bytes[0] == 'L') {
        try_layout(bytes + 1, n - 1);
        return 0;
    }
    must(mkdtemp(directory) != NULL);
    (void)snprintf(path, sizeof(path), "%s/state.db", directory);
    if (bytes[0] == 'S')
        with_sums(bytes + 1, n - 1, &stream);
    else
        must(eddy_buffer_append(&stream, bytes, n) >= 0);
    try_stream(&stream, path);
    must(rmdir(directory) == 0); /* nothing else was left behind */
    memcpy(strrchr(directory, '-'), "-XXXXXX", sizeof("-XXXXXX"));
    eddy_buffer_free(&stream);
    return 0;
}

/* Lines as they are read: their sums say what they are, not how much of them is given. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/files/line_reader.h"
#include "fixture.h"

enum { LINES = 7 };

/* The sums of all lines under a limit; `twice`: looked at first, and then read once more. */
static void sums_of(const char *path, size_t max_len, bool twice, uint64_t sums[LINES])
{
    struct line_reader *reader;
    struct line line;
    struct eddy_error err = {0};
    int n = 0;
    cr_assert_eq(line_reader_open(path, max_len, &reader, &err), EDDY_OK);
    if (twice) line_reader_mark(reader);
    while (!line_reader_ended(reader)) {
        while (line_reader_next(reader, &line)) {
            cr_assert_lt(n, LINES);
            cr_expect_leq(line.len, max_len + 1);
            cr_expect_eq(line.open, n == LINES - 1);
            cr_expect_eq(line.number, n + 1);
            sums[n++] = line_sum(&line);
        }
        if (twice && line_reader_ended(reader)) line_reader_rewind(reader), n = 0, twice = false;
        cr_assert_geq(line_reader_fill(reader, 0, &err), 0);
    }
    cr_expect_eq(n, LINES);
    line_reader_close(reader);
}

static void add_line(struct eddy_buffer *text, const char *before, size_t n, const char *after)
{
    cr_assert_eq(eddy_buffer_append(text, before, strlen(before)), EDDY_OK);
    cr_assert_eq(eddy_buffer_reserve(text, n), EDDY_OK);
    for (size_t i = 0; i < n; i++) text->data[text->len++] = (char)('a' + i % 23);
    cr_assert_eq(eddy_buffer_append(text, after, strlen(after)), EDDY_OK);
}

Test(line_reader, the_sum_of_a_line_is_the_same_whatever_the_limit)
{
    struct folder f;
    struct eddy_buffer text = {0};
    char path[PATH_BYTES];
    uint64_t whole[LINES], sums[LINES];
    static const size_t limits[] = {64, 1000, 65534, 65535, 262143, 500000, 999999, 1000000};
    folder_make(&f);
    add_line(&text, "\xEF\xBB\xBF", 700000, "\r\n"); /* a byte-order mark and CR are none of the line */
    add_line(&text, "", 700000, "\n");
    add_line(&text, "", 65535, "\r\n"); /* what one read gives, and its CR */
    add_line(&text, "", 3, "\n");
    add_line(&text, "", 262143, "\r\n");
    add_line(&text, "\r", 262142, "\r\r\n");
    add_line(&text, "", 999999, "!");
    folder_write_bytes(&f, "a.txt", text.data, text.len);
    folder_path(&f, "a.txt", path);
    sums_of(path, 1 << 20, false, whole);
    cr_expect_eq(whole[0], whole[1]);
    cr_expect_neq(whole[1], whole[2]);
    for (size_t i = 0; i < 2 * sizeof(limits) / sizeof(*limits); i++) {
        sums_of(path, limits[i / 2], i % 2, sums);
        for (int k = 0; k < LINES; k++) cr_expect_eq(sums[k], whole[k], "line %d, limit %zu", k + 1, limits[i / 2]);
    }
    eddy_buffer_free(&text);
    folder_remove(&f);
}

/* Files and pipes as a source: which files, which rows, which keys. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

Test(file_source, a_csv_file_gives_its_rows_and_its_name_as_key)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "pump.1.csv", "ts,v\n2020-01-01,1\n\n2020-01-02,2\n");
    reading_set(&r, &f, "pump.1.csv", NULL);
    expect_rows(&r, "csv pump.1|0|2|2020-01-01,1\ncsv pump.1|1|4|2020-01-02,2\n");
    cr_expect_str_eq(r.topic, r.paths[0]);
    folder_remove(&f);
}

Test(file_source, the_path_of_its_file_is_a_records_topic)
{
    struct folder f;
    struct reading r;
    struct source_batch batch;
    folder_make(&f);
    folder_write(&f, "a.csv", "ts,v\n2020-01-01,1\n");
    reading_set(&r, &f, "a.csv", NULL);
    cr_assert_eq(reading_open(&r), EDDY_OK);
    cr_assert_eq(source_file.poll(r.source, 0, 10, &batch, 1, &r.err), 1);
    cr_expect_str_eq(batch.records[0].topic, r.paths[0]);
    cr_expect_eq(batch.records[0].time_ns, EDDY_NO_TIME);
    source_file.release(r.source);
    reading_close(&r);
    folder_remove(&f);
}

Test(file_source, line_ends_of_all_kinds_are_taken)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "a.csv", "\xEF\xBB\xBFts,v\r\n2020-01-01,1\r\n2020-01-02,2");
    reading_set(&r, &f, "a.csv", NULL);
    expect_rows(&r, "csv a|0|2|2020-01-01,1\ncsv a|1|3|2020-01-02,2\n");
    folder_remove(&f);
}

Test(file_source, a_directory_gives_each_file_as_a_series_in_order_of_paths)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "d/z.csv", "ts,v\n2020-01-01,1\n");
    folder_write(&f, "d/b/y.jsonl", "{\"a\":1}\n");
    folder_write_gz(&f, "d/b/x.csv.gz", "ts,v\n2020-01-01,2\n");
    folder_write_gz(&f, "d/a.jsonl.gz", "{\"a\":2}\n");
    folder_write(&f, "d/windows.json", "{}");
    folder_write(&f, "d/.hidden.csv", "ts,v\n2020-01-01,9\n");
    folder_write(&f, "d/empty.csv", "");
    reading_set(&r, &f, "d", NULL);
    expect_rows(&r, "a|0|1|{\"a\":2}\ncsv b/x|1|2|2020-01-01,2\nb/y|2|1|{\"a\":1}\ncsv z|3|2|2020-01-01,1\n");
    folder_remove(&f);
}

Test(file_source, a_slash_behind_a_directory_changes_nothing)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "d/b/x.csv", "ts,v\n2020-01-01,2\n");
    reading_set(&r, &f, "d/", NULL);
    expect_rows(&r, "csv b/x|0|2|2020-01-01,2\n");
    folder_remove(&f);
}

Test(file_source, several_inputs_are_numbered_on)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "b.csv", "ts,v\n2020-01-01,1\n2020-01-02,2\n");
    folder_write(&f, "a.csv", "ts,v\n2020-01-01,3\n");
    reading_set(&r, &f, "b.csv", "a.csv");
    expect_rows(&r, "csv b|0|2|2020-01-01,1\ncsv b|1|3|2020-01-02,2\ncsv a|2|2|2020-01-01,3\n");
    folder_remove(&f);
}

Test(file_source, reading_goes_on_where_the_checkpoint_says)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "a.csv", "ts,v\n2020-01-01,1\n2020-01-02,2\n");
    folder_write(&f, "b.csv", "ts,v\n2020-01-01,3\n");
    reading_set(&r, &f, "a.csv", "b.csv");
    r.start = 1;
    expect_rows(&r, "csv a|1|3|2020-01-02,2\ncsv b|2|2|2020-01-01,3\n");
    folder_remove(&f);
}

Test(file_source, any_chunk_size_gives_the_same_rows)
{
    enum { ROWS = 20000 };
    struct folder f;
    struct reading r;
    struct eddy_buffer text = {0}, first = {0}, again = {0};
    char line[64];
    folder_make(&f);
    cr_assert_eq(eddy_buffer_append(&text, "ts,v\n", 5), EDDY_OK);
    for (int i = 0; i < ROWS; i++) { /* several times the buffer, lines of many lengths */
        int n = snprintf(line, sizeof(line), "2020-01-01,%.*d\n", 1 + i % 40, i);
        cr_assert_eq(eddy_buffer_append(&text, line, (size_t)n), EDDY_OK);
    }
    folder_write_bytes(&f, "a.csv", text.data, text.len);
    static const int chunks[] = {1, 7, 1024, ROWS * 2};
    for (size_t i = 0; i < sizeof(chunks) / sizeof(*chunks); i++) {
        reading_set(&r, &f, "a.csv", NULL);
        cr_assert_eq(reading_open(&r), EDDY_OK);
        again.len = 0;
        cr_expect_eq(reading_all(&r, chunks[i], i ? &again : &first), EDDY_OK);
        reading_close(&r);
        if (i) cr_expect(again.len == first.len && memcmp(again.data, first.data, first.len) == 0, "%d", chunks[i]);
    }
    cr_expect(strstr(first.data, "csv a|19999|20001|"));
    eddy_buffer_free(&text), eddy_buffer_free(&first), eddy_buffer_free(&again);
    folder_remove(&f);
}

/* A line of n bytes between two short ones: what comes of it has at most limits.record + 1 bytes. */
static void expect_cut(size_t n, size_t limit)
{
    struct folder f;
    struct reading r;
    struct source_batch batch;
    struct eddy_buffer text = {0};
    folder_make(&f);
    cr_assert_eq(eddy_buffer_append(&text, "{\"a\":1}\n", 8), EDDY_OK);
    cr_assert_eq(eddy_buffer_reserve(&text, n), EDDY_OK);
    memset(text.data + text.len, 'x', n);
    text.len += n;
    cr_assert_eq(eddy_buffer_append(&text, "\r\n{\"a\":2}", 9), EDDY_OK);
    folder_write_bytes(&f, "a.jsonl", text.data, text.len);
    reading_set(&r, &f, "a.jsonl", NULL);
    r.limits.record = (int64_t)limit;
    cr_assert_eq(reading_open(&r), EDDY_OK);

    size_t lengths[4] = {0};
    int got = 0;
    while (!source_file.ended(r.source)) {
        eddy_status rc = source_file.poll(r.source, 0, 10, &batch, 1, &r.err);
        cr_assert_geq(rc, 0, "%s", r.err.message);
        for (int i = 0; rc > 0 && i < batch.n && got < 4; i++) {
            cr_expect_eq(batch.records[i].line, got + 1);
            lengths[got++] = batch.records[i].payload_len;
        }
        source_file.release(r.source);
    }
    cr_expect_eq(got, 3);
    cr_expect(lengths[0] == 7 && lengths[2] == 7);
    cr_expect_eq(lengths[1], n > limit ? limit + 1 : n, "%zu", lengths[1]);
    reading_close(&r);
    eddy_buffer_free(&text);
    folder_remove(&f);
}

Test(file_source, a_line_beyond_the_limit_is_cut_and_the_next_ones_come_whole)
{
    expect_cut(99, 100);
    expect_cut(100, 100);
    expect_cut(101, 100);
    expect_cut(106, 100);
    expect_cut(3000000, 100);
    expect_cut(3000000, 2999999);
    expect_cut(3000000, 3000000);
}

Test(file_source, a_gz_that_breaks_off_is_an_error_behind_the_lines_before_it)
{
    struct folder f;
    struct reading r;
    struct eddy_buffer text = {0}, out = {0};
    char line[64], path[PATH_BYTES];
    folder_make(&f);
    uint64_t noise = 88172645463325252u;
    for (int i = 0; i < 100000; i++) {
        noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
        int n = snprintf(line, sizeof(line), "{\"a\":%llu}\n", (unsigned long long)noise);
        cr_assert_eq(eddy_buffer_append(&text, line, (size_t)n), EDDY_OK);
    }
    cr_assert_eq(eddy_buffer_append(&text, "", 1), EDDY_OK);
    folder_write_gz(&f, "a.jsonl.gz", text.data);
    struct stat st;
    folder_path(&f, "a.jsonl.gz", path);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(truncate(path, st.st_size * 3 / 4), 0);
    reading_set(&r, &f, "a.jsonl.gz", NULL);
    cr_assert_eq(reading_open(&r), EDDY_OK);
    cr_expect_eq(reading_all(&r, 1000, &out), EDDY_EIO);
    cr_expect(strstr(r.err.message, "a.jsonl.gz:") && strstr(r.err.message, "break off"), "%s", r.err.message);
    int n = 0;
    for (const char *p = out.data; (p = strchr(p, '\n')); p++) n++;
    cr_expect_gt(n, 60000);
    cr_expect(strncmp(out.data, "a|0|1|{\"a\":", 11) == 0);
    reading_close(&r);
    eddy_buffer_free(&text), eddy_buffer_free(&out);
    folder_remove(&f);
}

Test(file_source, what_cannot_be_read_is_refused_by_name)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "empty/readme.txt", "nothing");
    folder_write(&f, "none.csv", "");
    folder_write(&f, "plain.csv.gz", "ts,v\n2020-01-01,1\n");
    folder_write(&f, "d/a.csv", "");
    reading_set(&r, &f, "missing.csv", NULL);
    expect_refusal(&r, EDDY_ENOTFOUND, "missing.csv: No such file");
    reading_set(&r, &f, "empty", NULL);
    expect_refusal(&r, EDDY_EINVAL, "no *.csv or *.jsonl");
    reading_set(&r, &f, "none.csv", NULL);
    expect_refusal(&r, EDDY_EINVAL, "none.csv: no data");
    reading_set(&r, &f, "plain.csv.gz", NULL);
    expect_refusal(&r, EDDY_EIO, "plain.csv.gz: is not gzip data");
    reading_set(&r, &f, "d", NULL);
    expect_refusal(&r, EDDY_EINVAL, "no data");
    reading_set(&r, &f, NULL, NULL);
    expect_refusal(&r, EDDY_EINVAL, "no input");
    reading_set(&r, &f, "-", "-");
    expect_refusal(&r, EDDY_EINVAL, "only once");
    folder_remove(&f);
}

Test(file_source, other_names_are_told_apart_by_their_first_character)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "a.txt", "\n  {\"a\":1}\n");
    folder_write(&f, "b.txt", "ts,v\n2020-01-01,1\n");
    reading_set(&r, &f, "a.txt", "b.txt");
    expect_rows(&r, "a|0|2|  {\"a\":1}\ncsv b|1|2|2020-01-01,1\n");
    folder_remove(&f);
}

Test(file_source, a_paused_partition_gives_nothing_and_loses_nothing)
{
    struct folder f;
    struct reading r;
    struct source_batch batch;
    folder_make(&f);
    folder_write(&f, "a.jsonl", "1\n2\n");
    reading_set(&r, &f, "a.jsonl", NULL);
    cr_assert_eq(reading_open(&r), EDDY_OK);
    cr_expect_eq(source_file.poll(r.source, 0, 1, &batch, 1, &r.err), 1);
    source_file.release(r.source);
    cr_expect_eq(source_file.pause(r.source, &r, &r.err), EDDY_OK);
    cr_expect_eq(source_file.poll(r.source, 1, 1, &batch, 1, &r.err), 0);
    cr_expect(!source_file.ended(r.source));
    cr_expect_eq(source_file.resume(r.source, &r, &r.err), EDDY_OK);
    cr_expect_eq(source_file.poll(r.source, 0, 1, &batch, 1, &r.err), 1);
    cr_expect_eq(batch.records[0].offset, 1);
    reading_close(&r);
    folder_remove(&f);
}

Test(file_source, a_source_opens_its_inputs_by_itself_when_none_are_handed_over)
{
    struct folder f;
    struct reading r;
    struct eddy_buffer out = {0};
    folder_make(&f);
    folder_write(&f, "a.csv", "ts,v\n2020-01-01,1\n");
    reading_set(&r, &f, "a.csv", NULL);
    struct eddy_source file = source_file; /* not the one that the fixture opens inputs for */
    r.type = &file;
    cr_assert_eq(reading_open(&r), EDDY_OK, "%s", r.err.message);
    cr_expect_null(r.inputs);
    cr_expect_eq(reading_all(&r, 10, &out), EDDY_OK);
    cr_expect_str_eq(out.data, "csv a|0|2|2020-01-01,1\n");
    reading_close(&r);
    eddy_buffer_free(&out);
    folder_remove(&f);
}

/* Makes a pipe standard input; returns the end to write into. */
static int pipe_as_stdin(void)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    cr_assert_eq(close(ends[0]), 0);
    return ends[1];
}

static void say(int fd, const char *text)
{
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

Test(stdin_source, lines_come_as_they_are_written_and_blank_ones_count)
{
    struct reading r = {.type = &source_stdin, .limits = {1000, 1024, 32, 1024}};
    struct source_batch batch;
    int fd = pipe_as_stdin();
    cr_assert_eq(reading_open(&r), EDDY_OK);
    cr_expect_eq(source_stdin.poll(r.source, 1, 10, &batch, 1, &r.err), 0);
    cr_expect_str_eq(r.topic, "stdin");
    say(fd, "{\"a\":1}\n\n{\"a\"");
    cr_expect_eq(source_stdin.poll(r.source, 1000, 10, &batch, 1, &r.err), 1);
    cr_expect_eq(batch.n, 2);
    cr_expect_eq(batch.records[1].payload_len, 0);
    cr_expect_not_null(batch.records[1].payload);
    cr_expect_str_eq(batch.records[0].topic, "stdin");
    cr_expect_null(batch.records[0].context);
    source_stdin.release(r.source);
    say(fd, ":2}");
    cr_assert_eq(close(fd), 0);
    struct eddy_buffer out = {0};
    cr_expect_eq(reading_all(&r, 10, &out), EDDY_OK);
    cr_expect_str_eq(out.data, "stdin|2|3|{\"a\":2}\n");
    eddy_buffer_free(&out);
    reading_close(&r);
}

Test(stdin_source, a_csv_on_standard_input_is_looked_at_without_losing_a_line)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    int fd = pipe_as_stdin();
    say(fd, "ts,name,v\n2020-01-01,,NA\n2020-01-02,x,5\n2020-01-03,y,6\n");
    cr_assert_eq(close(fd), 0);
    reading_set(&r, &f, "-", NULL);
    expect_rows(&r, "csv stdin|0|2|2020-01-01,,NA\ncsv stdin|1|3|2020-01-02,x,5\ncsv stdin|2|4|2020-01-03,y,6\n");
    folder_remove(&f);
}

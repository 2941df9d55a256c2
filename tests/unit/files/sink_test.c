/* Files and standard output as sinks: nothing is lost, and what goes wrong has a name. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "connectors/files/writer.h"
#include "fixture.h"

static const struct sink_request request = {.name = "test"};

static eddy_status send_text(const struct eddy_sink *type, void *sink, const char *text, struct eddy_error *err)
{
    const struct sink_message m = {.payload = text, .len = strlen(text), .time_ns = EDDY_NO_TIME};
    return type->send(sink, &m, 1, err);
}

static void *open_file(const char *path, bool append)
{
    struct file_sink_settings settings = {path, append};
    struct eddy_error err = {0};
    void *sink = NULL;
    cr_assert_eq(sink_file.open(&settings, &request, &sink, &err), EDDY_OK, "%s", err.message);
    return sink;
}

static void drain(const struct eddy_sink *type, void *sink)
{
    struct eddy_error err = {0};
    for (int i = 0; type->outstanding(sink) > 0; i++) {
        cr_assert_lt(i, 100);
        cr_assert_eq(type->service(sink, 10, &err), EDDY_OK, "%s", err.message);
    }
}

static void expect_text(const struct folder *f, const char *name, const char *text)
{
    char *found = folder_read(f, name);
    cr_expect_str_eq(found, text);
    free(found);
}

Test(file_sink, lines_are_confirmed_when_they_are_synced)
{
    struct folder f;
    struct eddy_error err = {0};
    char path[PATH_BYTES];
    folder_make(&f);
    void *sink = open_file(folder_path(&f, "out.jsonl", path), true);
    cr_expect_eq(sink_file.outstanding(sink), 0);
    cr_expect_eq(send_text(&sink_file, sink, "{\"a\":1}", &err), 1);
    cr_expect_eq(send_text(&sink_file, sink, "{\"a\":2}", &err), 1);
    cr_expect_eq(sink_file.outstanding(sink), 2);
    cr_expect_eq(sink_file.service(sink, 0, &err), EDDY_OK);
    cr_expect_eq(sink_file.outstanding(sink), 2); /* written, not yet on the disk */
    drain(&sink_file, sink);
    sink_file.close(sink);
    expect_text(&f, "out.jsonl", "{\"a\":1}\n{\"a\":2}\n");
    folder_remove(&f);
}

Test(file_sink, appending_goes_on_and_starting_anew_does_not)
{
    struct folder f;
    struct eddy_error err = {0};
    char path[PATH_BYTES];
    folder_make(&f);
    folder_path(&f, "out.jsonl", path);
    for (int i = 0; i < 2; i++) {
        void *sink = open_file(path, true);
        cr_expect_eq(send_text(&sink_file, sink, "x", &err), 1);
        drain(&sink_file, sink);
        sink_file.close(sink);
    }
    expect_text(&f, "out.jsonl", "x\nx\n");
    sink_file.close(open_file(path, false));
    expect_text(&f, "out.jsonl", "");
    folder_remove(&f);
}

Test(file_sink, an_unfinished_last_line_is_cut_off)
{
    static char torn[10000];
    struct folder f;
    struct eddy_error err = {0};
    char path[PATH_BYTES];
    folder_make(&f);
    memset(torn, 'x', sizeof(torn) - 1);
    memcpy(torn, "{\"a\":1}\n", 8);
    folder_path(&f, "out.jsonl", path);
    folder_write(&f, "out.jsonl", torn);
    void *sink = open_file(path, true);
    cr_expect_eq(send_text(&sink_file, sink, "{\"a\":2}", &err), 1);
    drain(&sink_file, sink);
    sink_file.close(sink);
    expect_text(&f, "out.jsonl", "{\"a\":1}\n{\"a\":2}\n");
    folder_write(&f, "out.jsonl", "torn from the start");
    sink_file.close(open_file(path, true));
    expect_text(&f, "out.jsonl", "");
    folder_remove(&f);
}

Test(file_sink, a_full_disk_is_named_and_loses_nothing)
{
    struct folder f;
    struct eddy_error err = {0};
    char path[PATH_BYTES];
    folder_make(&f);
    folder_path(&f, "out.jsonl", path);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit small = {10, old.rlim_max}; /* writes are cut short at 10 bytes, then fail */
    void *sink = open_file(path, true);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    cr_expect_eq(send_text(&sink_file, sink, "{\"a\":1}", &err), 1);
    cr_expect_eq(send_text(&sink_file, sink, "{\"a\":2}", &err), 1);
    cr_expect_eq(sink_file.service(sink, 0, &err), EDDY_EFULL);
    cr_expect(strstr(err.message, path), "%s", err.message);
    cr_expect_eq(sink_file.outstanding(sink), 2);
    cr_expect_eq(sink_file.service(sink, 0, &err), EDDY_EFULL);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    drain(&sink_file, sink);
    sink_file.close(sink);
    expect_text(&f, "out.jsonl", "{\"a\":1}\n{\"a\":2}\n");
    folder_remove(&f);
}

Test(file_sink, a_device_without_room_is_full)
{
    struct eddy_error err = {0};
    void *sink = open_file("/dev/full", true);
    cr_expect_eq(send_text(&sink_file, sink, "x", &err), 1);
    cr_expect_eq(sink_file.service(sink, 0, &err), EDDY_EFULL);
    cr_expect_str_eq(err.message, "/dev/full: No space left on device");
    cr_expect_eq(sink_file.outstanding(sink), 1);
    sink_file.close(sink);
}

Test(file_sink, a_queue_that_is_full_takes_fewer_messages)
{
    enum { BYTES = 1 << 20, N = 8 };
    struct folder f;
    struct eddy_error err = {0};
    char path[PATH_BYTES], *text = malloc(BYTES);
    struct sink_message messages[N];
    cr_assert_not_null(text);
    memset(text, 'x', BYTES);
    folder_make(&f);
    for (int i = 0; i < N; i++) messages[i] = (struct sink_message){.payload = text, .len = BYTES};
    void *sink = open_file(folder_path(&f, "out.jsonl", path), true);
    int sent = sink_file.send(sink, messages, N, &err);
    cr_expect(sent > 0 && sent < N);
    cr_expect_eq(sink_file.send(sink, messages + sent, N - sent, &err), 0);
    cr_expect_eq(sink_file.service(sink, 0, &err), EDDY_OK);
    cr_expect_gt(sink_file.send(sink, messages + sent, N - sent, &err), 0);
    sink_file.close(sink);
    free(text);
    folder_remove(&f);
}

Test(file_sink, paths_that_cannot_be_written_are_refused_by_name)
{
    struct folder f;
    char path[PATH_BYTES];
    void *sink = NULL;
    folder_make(&f);
    static const struct {
        const char *name;
        eddy_status code;
    } bad[] = {{"none/out.jsonl", EDDY_EIO}, {"", EDDY_EIO}, {"out.jsonl.gz", EDDY_ECONFIG}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct eddy_error err = {0};
        struct file_sink_settings settings = {folder_path(&f, bad[i].name, path), true};
        cr_expect_eq(sink_file.open(&settings, &request, &sink, &err), bad[i].code, "%s", bad[i].name);
        cr_expect_neq(err.message[0], '\0');
        cr_expect_null(sink);
    }
    sink_file.close(NULL);
    folder_remove(&f);
}

/* ---- dead letters ---- */

static json_t *dead_letter(const void *payload, size_t len, const char *key, size_t key_len)
{
    struct folder f;
    struct eddy_error err = {0};
    char path[PATH_BYTES];
    static const struct sink_header headers[] = {{"other", "x", 1},
                                                 {"__eddy.errors.topic", "sensors", 7},
                                                 {"__eddy.errors.partition", "3", 1},
                                                 {"__eddy.errors.offset", "42", 2},
                                                 {"__eddy.errors.timestamp", "1700000000123", 13},
                                                 {"__eddy.errors.stage", "decode", 6},
                                                 {"__eddy.errors.code", "not_json", 8},
                                                 {"__eddy.errors.message", "byte 1: \"oops\"", 14}};
    const struct sink_message m = {.partition = -1,
                                   .key = key,
                                   .key_len = key_len,
                                   .payload = payload,
                                   .len = len,
                                   .headers = headers,
                                   .n_headers = 8};
    folder_make(&f);
    void *sink = open_file(folder_path(&f, "bad.jsonl", path), true);
    cr_assert_eq(sink_file.send(sink, &m, 1, &err), 1);
    drain(&sink_file, sink);
    sink_file.close(sink);
    char *text = folder_read(&f, "bad.jsonl");
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    cr_assert_not_null(line, "%s", text);
    free(text);
    folder_remove(&f);
    return line;
}

static void expect_member(const json_t *line, const char *name, const char *value)
{
    const char *found = json_string_value(json_object_get(line, name));
    cr_assert_not_null(found, "%s", name);
    cr_expect_str_eq(found, value);
}

Test(dead_letter, a_letter_is_one_line_with_reason_and_original_bytes)
{
    json_t *line = dead_letter("{\"a\":\n\xC3\xA4", 8, "k1", 2);
    expect_member(line, "topic", "sensors");
    cr_expect_eq(json_integer_value(json_object_get(line, "partition")), 3);
    cr_expect_eq(json_integer_value(json_object_get(line, "offset")), 42);
    cr_expect_eq(json_integer_value(json_object_get(line, "timestamp")), 1700000000123);
    expect_member(line, "stage", "decode");
    expect_member(line, "code", "not_json");
    expect_member(line, "message", "byte 1: \"oops\"");
    expect_member(line, "key", "k1");
    expect_member(line, "payload", "{\"a\":\n\xC3\xA4");
    cr_expect_eq(json_object_size(line), 9);
    json_decref(line);
}

Test(dead_letter, bytes_that_are_no_text_come_in_base64)
{
    static const char *const encoded[] = {"/w==", "/wA=", "/wAB", "/wABAg=="};
    static const char bytes[] = {(char)0xFF, 0, 1, 2};
    for (size_t len = 1; len <= 4; len++) {
        json_t *line = dead_letter(bytes, len, "\xFF", 1);
        expect_member(line, "payload_base64", encoded[len - 1]);
        expect_member(line, "key_base64", "/w==");
        cr_expect_null(json_object_get(line, "payload"));
        json_decref(line);
    }
}

Test(dead_letter, nothing_is_null_and_empty_is_empty)
{
    json_t *line = dead_letter("", 0, NULL, 0);
    cr_expect(json_is_null(json_object_get(line, "key")));
    expect_member(line, "payload", "");
    json_decref(line);
}

/* ---- standard output ---- */

/* Makes a pipe standard output; returns the end to read. */
static int pipe_as_stdout(int *saved)
{
    int ends[2];
    *saved = dup(STDOUT_FILENO);
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    cr_assert_eq(close(ends[1]), 0);
    return ends[0];
}

static void restore_stdout(int saved)
{
    cr_assert_eq(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
    cr_assert_eq(close(saved), 0);
}

Test(stdout_sink, one_service_writes_every_line)
{
    int saved, fd = pipe_as_stdout(&saved);
    char text[64];
    void *sink = NULL;
    struct eddy_error err = {0};
    cr_assert_eq(sink_stdout.open(NULL, &request, &sink, &err), EDDY_OK);
    eddy_status sent = send_text(&sink_stdout, sink, "a", &err), again = send_text(&sink_stdout, sink, "b", &err);
    eddy_status rc = sink_stdout.service(sink, 0, &err);
    int64_t left = sink_stdout.outstanding(sink);
    sink_stdout.close(sink);
    restore_stdout(saved);
    ssize_t n = read(fd, text, sizeof(text));
    cr_expect(sent == 1 && again == 1 && rc == EDDY_OK && left == 0);
    cr_expect(n == 4 && memcmp(text, "a\nb\n", 4) == 0);
    cr_assert_eq(close(fd), 0);
}

Test(stdout_sink, a_reader_that_has_gone_is_an_error_and_no_signal)
{
    signal(SIGPIPE, SIG_DFL); /* it would end the test */
    int saved, fd = pipe_as_stdout(&saved);
    void *sink = NULL;
    struct eddy_error err = {0};
    sigset_t pending;
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(sink_stdout.open(NULL, &request, &sink, &err), EDDY_OK);
    eddy_status sent = send_text(&sink_stdout, sink, "a", &err), rc = sink_stdout.service(sink, 0, &err);
    int64_t left = sink_stdout.outstanding(sink);
    sink_stdout.close(sink);
    restore_stdout(saved);
    cr_expect_eq(sent, 1);
    cr_expect_eq(rc, EDDY_EIO);
    cr_expect_str_eq(err.message, "standard output: the reader has closed the pipe");
    cr_expect_eq(left, 1);
    cr_expect_eq(sigpending(&pending), 0);
    cr_expect_eq(sigismember(&pending, SIGPIPE), 0);
}

Test(stdout_sink, a_reader_that_is_slow_makes_it_wait_and_loses_nothing)
{
    enum { LINES = 40, BYTES = 8192 };
    static char text[BYTES + 1], got[LINES * (BYTES + 1)];
    int saved, fd = pipe_as_stdout(&saved);
    void *sink = NULL;
    struct eddy_error err = {0};
    eddy_status rc = EDDY_OK;
    size_t n = 0;
    memset(text, 'y', BYTES);
    cr_assert_eq(fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(sink_stdout.open(NULL, &request, &sink, &err), EDDY_OK);
    for (int i = 0; i < LINES && rc >= 0; i++) rc = send_text(&sink_stdout, sink, text, &err);
    if (rc >= 0) rc = sink_stdout.service(sink, 1, &err);
    int64_t held = sink_stdout.outstanding(sink);
    for (int i = 0; i < 1000 && n < sizeof(got) && rc >= 0; i++) {
        ssize_t some = read(fd, got + n, sizeof(got) - n);
        n += some > 0 ? (size_t)some : 0;
        rc = sink_stdout.service(sink, 1, &err);
    }
    int64_t left = sink_stdout.outstanding(sink);
    sink_stdout.close(sink);
    restore_stdout(saved);
    cr_expect(rc == EDDY_OK, "%s", err.message);
    cr_expect_eq(held, LINES);
    cr_expect_eq(left, 0);
    cr_expect_eq(n, sizeof(got));
    cr_assert_eq(close(fd), 0);
}

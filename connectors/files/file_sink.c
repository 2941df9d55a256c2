#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/log.h"
#include "connectors/files/dead_letter_line.h"
#include "connectors/files/files.h"
#include "connectors/files/writer.h"

struct file_sink {
    char *path;
    int fd; /* -1 = not open; standard output is not ours to close */
    bool own_fd;
    struct writer writer;
    struct eddy_buffer line;
};

static void sink_close(void *sink)
{
    struct file_sink *s = sink;
    if (!s) return;
    writer_free(&s->writer);
    eddy_buffer_free(&s->line);
    if (s->own_fd && s->fd >= 0 && close(s->fd) != 0) log_warn("file_close", "%s: %s", s->path, strerror(errno));
    free(s->path);
    free(s);
}

static eddy_status sink_make(const char *path, int fd, bool own_fd, struct file_sink **out, struct eddy_error *err)
{
    struct stat st;
    struct file_sink *s = calloc(1, sizeof(*s));
    char *copy = strdup(path);
    if (!s || !copy) {
        free(copy);
        free(s);
        return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", path);
    }
    bool durable = own_fd && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    *s = (struct file_sink){.path = copy, .fd = fd, .own_fd = own_fd};
    s->writer = (struct writer){.path = copy, .fd = fd, .durable = durable};
    *out = s;
    return EDDY_OK;
}

/* ---- open ---- */

/* Cuts off what follows the last line end: a line that a crash left unfinished, and that comes again. */
static eddy_status cut_unfinished(const char *path, int fd, struct eddy_error *err)
{
    enum { BLOCK_BYTES = 4096 };
    char block[BLOCK_BYTES];
    off_t end = lseek(fd, 0, SEEK_END), at = end, keep = 0;
    while (at > 0 && keep == 0) {
        off_t from = at > BLOCK_BYTES ? at - BLOCK_BYTES : 0;
        ssize_t n = pread(fd, block, (size_t)(at - from), from);
        if (n != at - from) return eddy_fail(err, EDDY_EIO, "%s: %s", path, n < 0 ? strerror(errno) : "short read");
        const char *stop = memrchr(block, '\n', (size_t)n);
        if (stop) keep = from + (stop - block) + 1;
        at = from;
    }
    if (keep == end) return EDDY_OK;
    log_warn("unfinished_line", "%s: %lld bytes behind the last line end cut off", path, (long long)(end - keep));
    if (ftruncate(fd, keep) != 0) return eddy_fail(err, EDDY_EIO, "%s: %s", path, strerror(errno));
    return lseek(fd, keep, SEEK_SET) < 0 ? eddy_fail(err, EDDY_EIO, "%s: %s", path, strerror(errno)) : EDDY_OK;
}

/* Makes the directory entry of a new file survive a crash of the machine. */
static void sync_directory(const char *path)
{
    char *copy = strdup(path);
    if (!copy) return;
    char *slash = strrchr(copy, '/');
    if (slash) slash[slash == copy] = '\0';
    int dir = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0) {
        (void)fsync(dir);
        (void)close(dir);
    }
    free(copy);
}

static eddy_status file_check(const void *settings, struct eddy_error *err)
{
    const struct file_sink_settings *file = settings;
    size_t len = strlen(file->path);
    if (len == 0) return eddy_fail(err, EDDY_ECONFIG, "path must not be empty");
    if (len > 3 && strcmp(file->path + len - 3, ".gz") == 0)
        return eddy_fail(err, EDDY_ECONFIG, "path: results are not compressed; \"%.*s\" would be fine", (int)len - 3,
                         file->path);
    return EDDY_OK;
}

/* A file is opened for reading too, to look at its end; a pipe or device is not, or we would be our own reader. */
static int open_for_writing(const struct file_sink_settings *file)
{
    struct stat st;
    bool special = stat(file->path, &st) == 0 && !S_ISREG(st.st_mode);
    return open(file->path, (special ? O_WRONLY : O_RDWR | O_CREAT) | O_CLOEXEC | (file->append ? 0 : O_TRUNC), 0666);
}

static eddy_status file_open(const void *settings, const struct sink_request *request, void **out,
                             struct eddy_error *err)
{
    (void)request; /* lines are lines: what is in them is the codec's affair */
    const struct file_sink_settings *file = settings;
    struct file_sink *s = NULL;
    struct stat st;
    *out = NULL;
    eddy_status rc = file_check(settings, err);
    if (rc < 0) return rc;
    int fd = open_for_writing(file);
    if (fd < 0)
        return eddy_fail(err, errno == ENOSPC || errno == EDQUOT ? EDDY_EFULL : EDDY_EIO, "%s: %s", file->path,
                         strerror(errno));
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (file->append && regular) rc = cut_unfinished(file->path, fd, err);
    if (rc >= 0) rc = sink_make(file->path, fd, true, &s, err);
    if (rc < 0) {
        (void)close(fd);
        return rc;
    }
    if (regular && st.st_size == 0) sync_directory(file->path);
    *out = s;
    return EDDY_OK;
}

static eddy_status stdout_open(const void *settings, const struct sink_request *request, void **out,
                               struct eddy_error *err)
{
    (void)settings;
    (void)request;
    struct file_sink *s = NULL;
    eddy_status rc = sink_make("standard output", STDOUT_FILENO, false, &s, err);
    *out = s;
    return rc;
}

/* ---- lines ---- */

/* Queues one message; 1 when it was taken, 0 when there is no room now. */
static eddy_status sink_add(struct file_sink *s, const struct sink_message *m, struct eddy_error *err)
{
    const char *line = m->payload;
    size_t len = m->len;
    eddy_status rc = EDDY_OK;
    if (is_dead_letter(m)) {
        s->line.len = 0;
        rc = dead_letter_line(m, &s->line);
        line = s->line.data;
        len = s->line.len;
    }
    if (rc >= 0 && !writer_has_room(&s->writer, len + 1)) return 0;
    if (rc >= 0) rc = eddy_buffer_reserve(&s->writer.queue, len + 1);
    if (rc < 0) return eddy_fail(err, rc, "%s: out of memory for a line", s->path);
    (void)eddy_buffer_append(&s->writer.queue, line, len);
    (void)eddy_buffer_append(&s->writer.queue, "\n", 1);
    s->writer.n_queued++;
    return 1;
}

static eddy_status sink_send(void *sink, const struct sink_message *messages, int n, struct eddy_error *err)
{
    struct file_sink *s = sink;
    for (int i = 0; i < n; i++) {
        eddy_status rc = sink_add(s, &messages[i], err);
        if (rc < 0) return i > 0 ? i : rc;
        if (rc == 0) return i;
    }
    return n;
}

static eddy_status sink_service(void *sink, int timeout_ms, struct eddy_error *err)
{
    return writer_service(&((struct file_sink *)sink)->writer, timeout_ms, err);
}

static int64_t sink_outstanding(void *sink)
{
    return writer_outstanding(&((const struct file_sink *)sink)->writer);
}

/* ---- the parts ---- */

static const struct eddy_option file_options[] = {
    {.name = "path",
     .type = EDDY_OPT_STRING,
     .offset = offsetof(struct file_sink_settings, path),
     .help = "The file to write, one line per result."},
    {.name = "append",
     .type = EDDY_OPT_BOOL,
     .offset = offsetof(struct file_sink_settings, append),
     .default_text = "true",
     .help = "Go on behind what is there; an unfinished last line, which a crash left, is cut off. Else start anew."},
    {0}};

const struct eddy_sink sink_file = {
    .part = {.struct_size = sizeof(struct eddy_sink),
             .kind = EDDY_PART_SINK,
             .name = "file",
             .summary = "A file, one line per result or dead letter.",
             .options = file_options,
             .settings_size = sizeof(struct file_sink_settings),
             .check = file_check},
    .open = file_open,
    .send = sink_send,
    .service = sink_service,
    .outstanding = sink_outstanding,
    .close = sink_close,
};

const struct eddy_sink sink_stdout = {
    .part = {.struct_size = sizeof(struct eddy_sink),
             .kind = EDDY_PART_SINK,
             .name = "stdout",
             .summary = "Lines on standard output."},
    .open = stdout_open,
    .send = sink_send,
    .service = sink_service,
    .outstanding = sink_outstanding,
    .close = sink_close,
};

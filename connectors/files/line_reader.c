#include "connectors/files/line_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <zlib.h>

enum { BUFFER_BYTES = 256 * 1024, READ_BYTES = 64 * 1024, MAX_READ_BYTES = 1 << 30 };

struct line_reader {
    char *path;
    int fd;     /* -1 when zlib owns it */
    gzFile gz;  /* NULL for plain files */
    bool waits; /* standard input: reads may block */
    size_t max_len;
    char *data;                   /* [cap] */
    size_t cap, begin, seen, end; /* begin..end not taken yet; no line end in begin..seen */
    int64_t number;               /* of the last line taken */
    bool at_end, marked;
    XXH3_state_t *cut_sum; /* of the line at `begin` up to `summed`, where it is too long */
    size_t summed;         /* <= begin: it is not known to be too long */
};

static bool has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

static eddy_status reader_fail(const struct line_reader *r, eddy_status code, const char *what,
                               struct eddy_error *err)
{
    if (r->number == 0) return eddy_fail(err, code, "%s: %s", r->path, what);
    return eddy_fail(err, code, "%s:%lld: %s", r->path, (long long)r->number + 1, what);
}

eddy_status line_reader_open(const char *path, size_t max_len, struct line_reader **out, struct eddy_error *err)
{
    *out = NULL;
    eddy_status rc = EDDY_OK;
    bool is_stdin = strcmp(path, "-") == 0;
    struct line_reader *r = calloc(1, sizeof(*r));
    if (!r) return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", path);
    *r = (struct line_reader){.fd = -1, .max_len = max_len, .waits = is_stdin, .cap = BUFFER_BYTES};
    r->path = strdup(is_stdin ? "stdin" : path);
    r->data = malloc(r->cap);
    r->cut_sum = XXH3_createState();
    if (!r->path || !r->data || !r->cut_sum) {
        rc = eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", path);
        goto fail;
    }
    r->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0) {
        rc = eddy_fail(err, errno == ENOENT ? EDDY_ENOTFOUND : EDDY_EIO, "%s: %s", path, strerror(errno));
        goto fail;
    }
    if (has_suffix(path, ".gz")) {
        r->gz = gzdopen(r->fd, "rb");
        if (!r->gz) {
            rc = eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", path);
            goto fail;
        }
        r->fd = -1;
        (void)gzbuffer(r->gz, 2 * READ_BYTES);
    }
    *out = r;
    return EDDY_OK;
fail:
    line_reader_close(r);
    return rc;
}

void line_reader_close(struct line_reader *r)
{
    if (!r) return;
    if (r->gz) (void)gzclose_r(r->gz);
    if (r->fd >= 0 && !r->waits) (void)close(r->fd);
    (void)XXH3_freeState(r->cut_sum);
    free(r->data);
    free(r->path);
    free(r);
}

/* ---- taking lines ---- */

uint64_t line_sum(const struct line *line)
{
    return line->cut ? line->whole : XXH3_64bits(line->text, line->len);
}

/* Where the text of the line at `begin` begins, behind a byte-order mark. */
static size_t reader_text(const struct line_reader *r)
{
    const bool marked = r->number == 0 && r->end - r->begin >= 3 &&
                        memcmp(r->data + r->begin, "\xEF\xBB\xBF", 3) == 0;
    return r->begin + (marked ? 3 : 0);
}

/* Sums up a line that is too long, up to `to`. */
static void reader_sum(struct line_reader *r, size_t to)
{
    if (r->summed <= r->begin) {
        (void)XXH3_64bits_reset(r->cut_sum);
        r->summed = reader_text(r);
    }
    (void)XXH3_64bits_update(r->cut_sum, r->data + r->summed, to - r->summed);
    r->summed = to;
}

/* Keeps of a line that is too long, and has not ended, what is given of it, and its last byte, which may be a CR. */
static void reader_cut(struct line_reader *r)
{
    const size_t kept = reader_text(r) + r->max_len + 1;
    reader_sum(r, r->end - 1);
    if (r->marked || r->summed <= kept) return;
    memmove(r->data + kept, r->data + r->summed, r->end - r->summed);
    r->end -= r->summed - kept;
    r->seen = r->end;
    r->summed = kept;
}

/* The line that ends at `stop`. */
static void reader_give(struct line_reader *r, size_t stop, struct line *line)
{
    const size_t text = reader_text(r);
    if (stop > text && r->data[stop - 1] == '\r') stop--;
    *line = (struct line){.text = r->data + text, .len = stop - text, .number = r->number + 1};
    line->cut = line->len > r->max_len;
    if (line->cut) {
        reader_sum(r, stop);
        line->whole = XXH3_64bits_digest(r->cut_sum);
        line->len = r->max_len + 1;
    }
    r->number++;
}

bool line_reader_next(struct line_reader *r, struct line *line)
{
    const char *found = r->seen < r->end ? memchr(r->data + r->seen, '\n', r->end - r->seen) : NULL;
    const size_t stop = found ? (size_t)(found - r->data) : r->end;
    r->seen = r->end;
    if (!found && !(r->at_end && stop > r->begin)) {
        if (stop - r->begin > r->max_len + 4) reader_cut(r); /* 4: a byte-order mark and a CR do not count */
        return false;
    }
    reader_give(r, stop, line);
    line->open = !found;
    r->begin = r->seen = r->summed = stop + (found != NULL);
    return true;
}

bool line_reader_ended(const struct line_reader *r)
{
    return r->at_end && r->begin == r->end;
}

/* ---- reading on ---- */

static eddy_status reader_make_room(struct line_reader *r, struct eddy_error *err)
{
    if (r->begin > 0 && !r->marked) {
        memmove(r->data, r->data + r->begin, r->end - r->begin);
        r->seen -= r->begin;
        r->summed = r->summed > r->begin ? r->summed - r->begin : 0;
        r->end -= r->begin;
        r->begin = 0;
    }
    if (r->cap - r->end >= READ_BYTES) return EDDY_OK;
    size_t cap = r->cap * 2;
    char *data = realloc(r->data, cap);
    if (!data) return reader_fail(r, EDDY_ENOMEM, "out of memory", err);
    r->data = data;
    r->cap = cap;
    return EDDY_OK;
}

static eddy_status reader_read_gz(struct line_reader *r, size_t room, struct eddy_error *err)
{
    int code = Z_OK, n = gzread(r->gz, r->data + r->end, (unsigned)room);
    const char *what = gzerror(r->gz, &code);
    if (n > 0) {
        if (gzdirect(r->gz)) return reader_fail(r, EDDY_EIO, "is not gzip data", err);
        r->end += (size_t)n;
        return 1;
    }
    if (code == Z_ERRNO) return reader_fail(r, EDDY_EIO, strerror(errno), err);
    if (code == Z_BUF_ERROR) return reader_fail(r, EDDY_EIO, "the compressed data break off", err);
    if (n < 0 || (code != Z_OK && code != Z_STREAM_END)) return reader_fail(r, EDDY_EIO, what, err);
    r->at_end = true;
    return 1;
}

static eddy_status reader_read(struct line_reader *r, size_t room, struct eddy_error *err)
{
    ssize_t n = read(r->fd, r->data + r->end, room);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
    if (n < 0) return reader_fail(r, EDDY_EIO, strerror(errno), err);
    r->end += (size_t)n;
    r->at_end = n == 0;
    return 1;
}

eddy_status line_reader_fill(struct line_reader *r, int timeout_ms, struct eddy_error *err)
{
    if (r->at_end) return 1;
    eddy_status rc = reader_make_room(r, err);
    if (rc < 0) return rc;
    size_t room = r->cap - r->end;
    if (room > MAX_READ_BYTES) room = MAX_READ_BYTES;
    if (r->gz) return reader_read_gz(r, room, err);
    if (r->waits) {
        struct pollfd input = {.fd = r->fd, .events = POLLIN};
        if (poll(&input, 1, timeout_ms) <= 0) return 0; /* nothing yet, or a signal that the caller wants to see */
    }
    return reader_read(r, room, err);
}

/* ---- looking ahead ---- */

void line_reader_mark(struct line_reader *r)
{
    r->marked = true;
}

void line_reader_rewind(struct line_reader *r)
{
    r->begin = r->seen = r->summed = 0;
    r->number = 0;
    r->marked = false;
}

size_t line_reader_looked(const struct line_reader *r)
{
    return r->begin;
}

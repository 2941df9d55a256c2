#include "connectors/files/writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool writer_has_room(const struct writer *w, size_t len)
{
    return w->queue.len == 0 || w->queue.len + len <= WRITER_QUEUE_BYTES;
}

int64_t writer_outstanding(const struct writer *w)
{
    return w->n_queued + w->n_unsynced;
}

void writer_free(struct writer *w)
{
    eddy_buffer_free(&w->queue);
}

/* write() without the signal that a closed pipe sends; the process's own handling of it stays as it is. */
static ssize_t write_quietly(const struct writer *w, const char *bytes, size_t len)
{
    if (w->durable) return write(w->fd, bytes, len);

    sigset_t pipe_set, old, pending;
    const struct timespec at_once = {0, 0};
    (void)sigemptyset(&pipe_set);
    (void)sigaddset(&pipe_set, SIGPIPE);
    (void)sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
    ssize_t n = write(w->fd, bytes, len);
    int error = errno;
    if (n < 0 && error == EPIPE && !was_pending)
        while (sigtimedwait(&pipe_set, NULL, &at_once) < 0 && errno == EINTR) continue;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = error;
    return n;
}

static eddy_status writer_fail(const struct writer *w, int error, struct eddy_error *err)
{
    if (error == ENOSPC || error == EDQUOT || error == EFBIG)
        return eddy_fail(err, EDDY_EFULL, "%s: %s", w->path, strerror(error));
    if (error == EPIPE) return eddy_fail(err, EDDY_EIO, "%s: the reader has closed the pipe", w->path);
    return eddy_fail(err, EDDY_EIO, "%s: %s", w->path, strerror(error));
}

static eddy_status writer_write(struct writer *w, int timeout_ms, struct eddy_error *err)
{
    while (w->written < w->queue.len) {
        ssize_t n = write_quietly(w, w->queue.data + w->written, w->queue.len - w->written);
        if (n >= 0) {
            w->written += (size_t)n;
            continue;
        }
        if (errno == EINTR) return EDDY_OK; /* the caller may want to stop */
        if (errno != EAGAIN && errno != EWOULDBLOCK) return writer_fail(w, errno, err);
        struct pollfd output = {.fd = w->fd, .events = POLLOUT};
        if (poll(&output, 1, timeout_ms) <= 0) return EDDY_OK;
    }
    w->queue.len = w->written = 0;
    if (w->durable) w->n_unsynced += w->n_queued;
    w->n_queued = 0;
    return EDDY_OK;
}

eddy_status writer_service(struct writer *w, int timeout_ms, struct eddy_error *err)
{
    if (w->queue.len > 0) return writer_write(w, timeout_ms, err);
    if (w->n_unsynced > 0) {
        if (fdatasync(w->fd) != 0) return writer_fail(w, errno, err);
        w->n_unsynced = 0;
    }
    return EDDY_OK;
}

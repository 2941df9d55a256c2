#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "engine/state/paths.h"

struct store_lock {
    int fd;
};

/* The pid in the file is for people; the lock itself is the kernel's and ends with the process. */
static eddy_status lock_busy(int fd, const char *path, struct eddy_error *err)
{
    char text[32] = {0};
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    return eddy_fail(err, EDDY_EBUSY, "state directory: %s is held by process %ld; two processes must not share it",
                     path, pid);
}

static void lock_sign(int fd)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    /* Without the pid (disk full) the lock holds all the same. */
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) return;
}

eddy_status store_lock_open(const char *state_path, const char *name, struct store_lock **out, struct eddy_error *err)
{
    char *path = NULL;
    int fd = -1;
    eddy_status rc;
    struct store_lock *lock = malloc(sizeof(*lock));

    if (!lock || asprintf(&path, "%s/%s/lock", state_path, name) < 0) {
        rc = eddy_fail(err, EDDY_ENOMEM, "state directory %s: out of memory", state_path);
        goto fail;
    }
    if ((rc = make_directory_of(path, err)) < 0) goto fail;
    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        rc = eddy_fail(err, errno == ENOSPC ? EDDY_EFULL : EDDY_EIO, "state directory: cannot open %s: %s", path,
                       strerror(errno));
        goto fail;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        rc = errno == EWOULDBLOCK
                 ? lock_busy(fd, path, err)
                 : eddy_fail(err, EDDY_EIO, "state directory: cannot lock %s: %s", path, strerror(errno));
        goto fail;
    }
    lock_sign(fd);
    lock->fd = fd;
    *out = lock;
    free(path);
    return EDDY_OK;
fail:
    if (fd >= 0) close(fd);
    free(path);
    free(lock);
    return rc;
}

void store_lock_close(struct store_lock *lock)
{
    if (!lock) return;
    /* The file stays: removing it would let a second process lock a name that a third one creates anew. */
    if (ftruncate(lock->fd, 0) != 0) { /* the pid of the dead holder stays readable, no more */
    }
    close(lock->fd);
    free(lock);
}

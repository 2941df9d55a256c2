/* State files as a whole.  A damaged one is put out of the way: renamed, never deleted, so that people can look at it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/state/paths.h"
#include "engine/state/store.h"

enum { ASIDE_TRIES = 1000 };

static eddy_status aside_fail(const char *path, eddy_status code, const char *what, struct eddy_error *err)
{
    return eddy_fail(err, code, "state file %s: cannot be moved aside: %s", path, what);
}

/* The file itself, to a name that nobody has; the caller frees *moved. */
static eddy_status aside_rename(const char *path, char **moved, struct eddy_error *err)
{
    int64_t now = (int64_t)time(NULL);
    for (int i = 0; i < ASIDE_TRIES; i++) {
        if (asprintf(moved, "%s.corrupt-%" PRId64, path, now + i) < 0) {
            *moved = NULL;
            return aside_fail(path, EDDY_ENOMEM, "out of memory", err);
        }
        if (renameat2(AT_FDCWD, path, AT_FDCWD, *moved, RENAME_NOREPLACE) == 0) return EDDY_OK;
        if (errno == EINVAL && access(*moved, F_OK) != 0 && rename(path, *moved) == 0) return EDDY_OK;
        if (errno != EEXIST && errno != EINVAL) break;
        free(*moved);
        *moved = NULL;
    }
    return aside_fail(path, EDDY_EIO, strerror(errno), err);
}

/* SQLite's files beside it.  A log that stays behind would be deleted with the next, empty file. */
static eddy_status aside_beside(const char *path, const char *moved, const char *suffix, struct eddy_error *err)
{
    char *from = NULL, *to = NULL;
    eddy_status rc = EDDY_OK;
    if (asprintf(&from, "%s%s", path, suffix) < 0) from = NULL;
    if (asprintf(&to, "%s%s", moved, suffix) < 0) to = NULL;
    if (!from || !to)
        rc = aside_fail(path, EDDY_ENOMEM, "out of memory", err);
    else if (rename(from, to) != 0 && errno != ENOENT)
        rc = aside_fail(from, EDDY_EIO, strerror(errno), err);
    free(from);
    free(to);
    return rc;
}

void store_sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(directory);
}

void store_remove(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        char *file = NULL;
        if (asprintf(&file, "%s%s", path, endings[i]) < 0) continue;
        (void)unlink(file);
        free(file);
    }
}

eddy_status store_set_aside(const char *path, char **moved, struct eddy_error *err)
{
    *moved = NULL;
    eddy_status rc = aside_rename(path, moved, err);
    if (rc >= 0) rc = aside_beside(path, *moved, "-wal", err);
    if (rc >= 0) rc = aside_beside(path, *moved, "-journal", err);
    if (rc >= 0) rc = aside_beside(path, *moved, "-shm", err);
    if (rc >= 0) store_sync_directory(path); /* undone by a power loss it is found and moved once more */
    if (rc < 0) {
        free(*moved);
        *moved = NULL;
    }
    return rc;
}

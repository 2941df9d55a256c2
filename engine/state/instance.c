/* The name of a pipeline's instance: <state.path>/<name>/instance, 16 hexadecimal digits, drawn once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "engine/state/paths.h"

static bool instance_good(const char *text)
{
    return strlen(text) == STORE_INSTANCE_DIGITS && strspn(text, "0123456789abcdef") == STORE_INSTANCE_DIGITS;
}

static bool instance_read(const char *path, char out[STORE_INSTANCE_DIGITS + 1])
{
    memset(out, 0, STORE_INSTANCE_DIGITS + 1);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, out, STORE_INSTANCE_DIGITS);
    close(fd);
    return n == STORE_INSTANCE_DIGITS && instance_good(out);
}

/* Under another name first, so that no crash leaves half a name. */
static eddy_status instance_write(const char *path, const char *digits, struct eddy_error *err)
{
    char *fresh = NULL;
    if (asprintf(&fresh, "%s.new", path) < 0) return eddy_fail(err, EDDY_ENOMEM, "state directory: out of memory");
    (void)unlink(fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, digits, STORE_INSTANCE_DIGITS) == STORE_INSTANCE_DIGITS && fsync(fd) == 0;
    int failed = errno;
    if (fd >= 0 && close(fd) != 0 && good) good = false, failed = errno;
    if (good && rename(fresh, path) != 0) good = false, failed = errno;
    eddy_status rc = EDDY_OK;
    if (!good)
        rc = eddy_fail(err, failed == ENOSPC || failed == EDQUOT ? EDDY_EFULL : EDDY_EIO,
                       "state directory: cannot write %s: %s", path, strerror(failed));
    free(fresh);
    return rc;
}

eddy_status store_instance(const char *state_path, const char *name, char out[STORE_INSTANCE_DIGITS + 1],
                           struct eddy_error *err)
{
    char *path = NULL;
    unsigned char drawn[STORE_INSTANCE_DIGITS / 2];
    if (asprintf(&path, "%s/%s/instance", state_path, name) < 0)
        return eddy_fail(err, EDDY_ENOMEM, "state directory %s: out of memory", state_path);
    eddy_status rc = EDDY_OK;
    if (!instance_read(path, out)) {
        if (getrandom(drawn, sizeof(drawn), 0) != (ssize_t)sizeof(drawn))
            rc = eddy_fail(err, EDDY_EIO, "no random numbers: %s", strerror(errno));
        for (size_t i = 0; i < sizeof(drawn) && rc >= 0; i++) snprintf(out + 2 * i, 3, "%02x", drawn[i]);
        if (rc >= 0) rc = instance_write(path, out, err);
    }
    free(path);
    return rc;
}

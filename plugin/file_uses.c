#include "plugin/file_uses.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/files/file_clash.h"

static void uses_add(struct file_uses *u, const char *option, const char *path, bool written)
{
    if (!path) return;
    assert(u->n < FILE_USES_MAX);
    u->item[u->n++] = (struct file_use){option, path, written};
}

void file_uses_read(struct file_uses *u, const char *option, const char *path)
{
    if (path && strcmp(path, "-") != 0) uses_add(u, option, path, false);
}

void file_uses_write(struct file_uses *u, const char *option, const char *path)
{
    uses_add(u, option, path, true);
}

static const char *shown(const char *path, const char *standard)
{
    return strcmp(path, "-") == 0 ? standard : path;
}

/* --set is the configuration's. */
static bool of_command_line(const char *option)
{
    return strncmp(option, "--", 2) == 0 && strncmp(option, "--set", 5) != 0;
}

/* Is it written where something else is read or written? */
static eddy_status uses_differ(const struct file_use *a, const struct file_use *b, bool *misused,
                               struct eddy_error *err)
{
    const bool share_stdout = strcmp(a->path, "-") == 0 && strcmp(b->path, "-") == 0; /* line by line, in one order */
    if ((!a->written && !b->written) || share_stdout || !file_same(a->path, b->path)) return EDDY_OK;
    *misused = of_command_line(a->option) || of_command_line(b->option);
    return eddy_fail(err, EDDY_ECONFIG, "%s and %s are the same file, %s: one would destroy the other", a->option,
                     b->option, shown(strcmp(a->path, "-") == 0 ? b->path : a->path, "standard output"));
}

static eddy_status uses_spare(const struct file_uses *u, const struct file_use *target, bool *misused,
                              struct eddy_error *err)
{
    const char *input = u->inputs_option ? file_clash(&u->inputs, target->path) : NULL;
    const char *path = shown(target->path, "standard output");
    if (input) {
        *misused = of_command_line(target->option) || of_command_line(u->inputs_option);
        return eddy_fail(err, EDDY_ECONFIG, "%s: %s belongs to what %s reads (%s); nothing may be written there",
                         target->option, path, u->inputs_option, shown(input, "standard input"));
    }
    if (!*u->state || strcmp(target->path, "-") == 0 || !file_below(u->state, target->path)) return EDDY_OK;
    *misused = of_command_line(target->option);
    return eddy_fail(err, EDDY_ECONFIG, "%s: %s lies in the directory of the state (%s), which nothing else may use",
                     target->option, path, u->state);
}

eddy_status file_uses_differ(const struct file_uses *u, bool *misused, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < u->n && rc >= 0; i++) {
        if (u->item[i].written) rc = uses_spare(u, &u->item[i], misused, err);
        for (int k = 0; k < i && rc >= 0; k++) rc = uses_differ(&u->item[k], &u->item[i], misused, err);
    }
    return rc;
}

static bool place_can_be_made(const char *path, int n_links);

/* The place that a link to nothing points to; errno says why not. */
static bool target_can_be_made(const char *link, int n_links)
{
    char target[PATH_MAX], path[2 * PATH_MAX];
    const ssize_t n = readlink(link, target, sizeof(target) - 1);
    if (n < 0) return errno == EINVAL && access(link, W_OK) == 0; /* made by another meanwhile */
    target[n] = '\0';
    const char *slash = *target == '/' ? NULL : strrchr(link, '/'); /* else it counts from the link's directory */
    (void)snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash - link) + 1 : 0, link, target);
    return place_can_be_made(path, n_links + 1);
}

/* Only what this made is removed. */
static bool place_can_be_made(const char *path, int n_links)
{
    enum { MOST_LINKS = 40 }; /* as many as Linux follows */
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(path);
        return true;
    }
    if (errno != EEXIST) return false;
    if (n_links < MOST_LINKS) return target_can_be_made(path, n_links);
    errno = ELOOP;
    return false;
}

static bool can_be_written(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) return errno == ENOENT ? place_can_be_made(path, 0) : false;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return access(path, W_OK) == 0; /* a pipe would wait */
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) (void)close(fd);
    return fd >= 0;
}

eddy_status file_can_write(const char *option, const char *path, struct eddy_error *err)
{
    if (!path || strcmp(path, "-") == 0 || can_be_written(path)) return EDDY_OK;
    return eddy_fail(err, errno == ENOSPC || errno == EDQUOT ? EDDY_EFULL : EDDY_EIO, "%s: %s: %s", option, path,
                     strerror(errno));
}

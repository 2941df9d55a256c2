#include "plugin/loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct library {
    void *handle;
    int fd; /* stays open while it is loaded: the loader knows libraries by name, and the name holds this number */
    const struct eddy_module *module;
    dev_t device;
    ino_t inode;
};

static eddy_status library_refuse(const char *path, const struct stat *is, struct eddy_error *err)
{
    if (!S_ISREG(is->st_mode)) return eddy_fail(err, EDDY_ECONFIG, "plugin %s: not a regular file", path);
    if (is->st_uid != 0 && is->st_uid != geteuid())
        return eddy_fail(err, EDDY_ECONFIG, "plugin %s: owned by user %u; root or the user of eddy must own it", path,
                         (unsigned)is->st_uid);
    if (is->st_mode & (S_IWGRP | S_IWOTH))
        return eddy_fail(err, EDDY_ECONFIG, "plugin %s: group or others may write it (mode %03o): chmod go-w", path,
                         (unsigned)is->st_mode & 0777u);
    return EDDY_OK;
}

/* dlerror() repeats the descriptor's path; people know the file by its name. */
static eddy_status library_unloadable(const char *path, const char *through, struct eddy_error *err)
{
    const char *why = dlerror();
    size_t skip = strlen(through);
    if (!why) why = "unknown error";
    if (strncmp(why, through, skip) == 0) {
        why += skip;
        while (*why == ':' || *why == ' ') why++;
    }
    return eddy_fail(err, EDDY_ECONFIG, "plugin %s: %s", path, why);
}

static eddy_status library_load(struct library *l, const char *path, struct eddy_error *err)
{
    char through[64];
    (void)snprintf(through, sizeof(through), "/proc/self/fd/%d", l->fd);
    l->handle = dlopen(through, RTLD_NOW | RTLD_LOCAL);
    if (!l->handle && access("/proc/self/fd", X_OK) != 0) { /* no /proc here: by name, then */
        (void)snprintf(through, sizeof(through), "%s", "");
        l->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    if (!l->handle) return library_unloadable(path, through, err);

    /* A function pointer through a data pointer: what POSIX guarantees and C does not. */
    const struct eddy_module *(*module)(void) = NULL;
    void *symbol = dlsym(l->handle, "eddy_module");
    if (!symbol) return eddy_fail(err, EDDY_ECONFIG, "plugin %s: exports no eddy_module()", path);
    memcpy(&module, &symbol, sizeof(module));
    l->module = module();
    return EDDY_OK;
}

eddy_status library_open(const char *path, struct library **out, struct eddy_error *err)
{
    *out = NULL;
    if (!strchr(path, '/'))
        return eddy_fail(err, EDDY_ECONFIG,
                         "plugin %s: give a path with a slash (./%s), libraries are not searched for", path, path);
    struct library *l = calloc(1, sizeof(*l));
    if (!l) return eddy_fail(err, EDDY_ENOMEM, "plugin %s: out of memory", path);

    struct stat is = {0};
    eddy_status rc;
    l->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (l->fd < 0 || fstat(l->fd, &is) != 0)
        rc = eddy_fail(err, EDDY_ECONFIG, "plugin %s: %s", path, strerror(errno));
    else
        rc = library_refuse(path, &is, err);
    l->device = is.st_dev;
    l->inode = is.st_ino;
    if (rc >= 0) rc = library_load(l, path, err);
    if (rc < 0) {
        library_close(l);
        return rc;
    }
    *out = l;
    return EDDY_OK;
}

void library_close(struct library *l)
{
    if (!l) return;
    if (l->handle) dlclose(l->handle);
    if (l->fd >= 0) close(l->fd);
    free(l);
}

const struct eddy_module *library_module(const struct library *l)
{
    return l->module;
}

bool library_same(const struct library *a, const struct library *b)
{
    return a->device == b->device && a->inode == b->inode;
}

#include "connectors/files/file_clash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/files/file_list.h"

static bool is_file(const char *path, int standard, struct stat *st)
{
    int failed = strcmp(path, "-") == 0 ? fstat(standard, st) : stat(path, st);
    return failed == 0 && S_ISREG(st->st_mode);
}

/* The resolved path of a file that need not exist: of its directory, and its name.  NULL when it has none. */
static char *place_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char *parent = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    char *resolved = parent ? realpath(parent, NULL) : NULL, *place = NULL;
    if (resolved && asprintf(&place, "%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved, name) < 0) place = NULL;
    free(parent);
    free(resolved);
    return place;
}

/* Would a listing of `directory` find `target`?  As file_list.h says: data files by their names, nothing hidden. */
static bool would_list(const char *directory, const char *target)
{
    if (file_kind(target) == FILE_KIND_OTHER) return false;
    char *root = realpath(directory, NULL), *place = place_of(target);
    size_t n = root ? strlen(root) : 0;
    if (n == 1) n = 0; /* the root directory is its own slash */
    bool below = root && place && strncmp(place, root, n) == 0 && place[n] == '/' && !strstr(place + n, "/.");
    free(root);
    free(place);
    return below;
}

static bool clashes(const char *input, const char *target)
{
    struct stat read, written;
    if (is_file(input, STDIN_FILENO, &read))
        return is_file(target, STDOUT_FILENO, &written) && read.st_dev == written.st_dev &&
               read.st_ino == written.st_ino;
    return stat(input, &read) == 0 && S_ISDIR(read.st_mode) && would_list(input, target);
}

const char *file_clash(const struct file_source_settings *files, const char *target)
{
    for (int i = 0; i < files->paths.n; i++)
        if (clashes(files->paths.item[i], target)) return files->paths.item[i];
    for (int i = 0; files->inputs && i < files->inputs->n; i++) /* links within directories */
        if (clashes(files->inputs->item[i].path, target)) return files->inputs->item[i].path;
    return NULL;
}

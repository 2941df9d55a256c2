#include "connectors/files/file_clash.h"

#include <errno.h>
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

static char *place_of(const char *path);

/* The resolved path of a directory that need not exist either. */
static char *directory_place(const char *path)
{
    char *resolved = realpath(path, NULL);
    size_t n = strlen(path);
    if (resolved || errno != ENOENT) return resolved;
    while (n > 1 && path[n - 1] == '/') n--;
    char *plain = strndup(path, n);
    resolved = plain ? place_of(plain) : NULL;
    free(plain);
    return resolved;
}

/* The directory itself, or the one above it; where it is not there yet no link can lead elsewhere. */
static char *place_stepped(char *resolved, const char *step)
{
    char *last = strrchr(resolved, '/');
    if (strcmp(step, "..") == 0) last[last == resolved] = '\0';
    return resolved;
}

/* The resolved path of a file that need not exist: of its directory, and its name.  NULL when it has none. */
static char *place_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char *parent = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    char *resolved = parent ? directory_place(parent) : NULL, *place = NULL;
    free(parent);
    if (resolved && (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)) return place_stepped(resolved, name);
    if (resolved && asprintf(&place, "%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved, name) < 0) place = NULL;
    free(resolved);
    return place;
}

/* Where `target` lies below `directory`, from its slash on; NULL = elsewhere.  *place is to be freed. */
static const char *below_of(const char *directory, const char *target, char **place)
{
    char *root = directory_place(directory);
    size_t n = root ? strlen(root) : 0;
    if (n == 1) n = 0; /* the root directory is its own slash */
    *place = place_of(target);
    bool below = root && *place && strncmp(*place, root, n) == 0 && (*place)[n] == '/';
    free(root);
    return below ? *place + n : NULL;
}

bool file_below(const char *directory, const char *target)
{
    char *place;
    bool below = below_of(directory, target, &place) != NULL;
    free(place);
    return below;
}

/* Would a listing of `directory` find `target`?  As file_list.h says: data files by their names, nothing hidden. */
static bool would_list(const char *directory, const char *target)
{
    char *place;
    if (file_kind(target) == FILE_KIND_OTHER) return false;
    const char *rest = below_of(directory, target, &place);
    bool listed = rest && !strstr(rest, "/.");
    free(place);
    return listed;
}

bool file_same(const char *a, const char *b)
{
    struct stat first, second;
    if (is_file(a, STDOUT_FILENO, &first))
        return is_file(b, STDOUT_FILENO, &second) && first.st_dev == second.st_dev && first.st_ino == second.st_ino;
    if (strcmp(a, "-") == 0 || strcmp(b, "-") == 0 || stat(a, &first) == 0 || stat(b, &second) == 0) return false;
    char *place = place_of(a), *other = place_of(b);
    bool same = place && other && strcmp(place, other) == 0;
    free(place);
    free(other);
    return same;
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

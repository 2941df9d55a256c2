#include "connectors/files/file_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_LEVELS = 32 };

static bool ends_in(const char *text, size_t len, const char *suffix)
{
    size_t m = strlen(suffix);
    return len > m && memcmp(text + len - m, suffix, m) == 0;
}

int file_kind(const char *path)
{
    size_t len = strlen(path);
    if (ends_in(path, len, ".gz")) len -= 3;
    if (ends_in(path, len, ".csv")) return FILE_KIND_CSV;
    return ends_in(path, len, ".jsonl") ? FILE_KIND_JSONL : FILE_KIND_OTHER;
}

/* The path from `skip` on, without extensions: .gz and one more. */
static char *series_name(const char *path, size_t skip)
{
    const char *name = path + skip, *base = strrchr(name, '/');
    base = base ? base + 1 : name;
    size_t len = strlen(name), base_at = (size_t)(base - name);
    if (ends_in(base, len - base_at, ".gz")) len -= 3;
    for (size_t i = len; i > base_at + 1; i--)
        if (name[i - 1] == '.') {
            len = i - 1;
            break;
        }
    return strndup(name, len);
}

static eddy_status add_file(struct file_inputs *inputs, const char *path, size_t skip, bool one_series,
                            struct eddy_error *err)
{
    if (inputs->n == inputs->cap) {
        int cap = inputs->cap ? 2 * inputs->cap : 16;
        struct file_input *more = realloc(inputs->item, (size_t)cap * sizeof(*more));
        if (!more) return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", path);
        inputs->item = more;
        inputs->cap = cap;
    }
    struct file_input *in = &inputs->item[inputs->n];
    *in = (struct file_input){.path = strdup(path), .key = series_name(path, skip), .one_series = one_series};
    inputs->n++;
    return in->path && in->key ? EDDY_OK : eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", path);
}

/* All data files below a directory, in no order yet.  `skip` bytes of each path are the directory's own. */
static eddy_status walk(struct file_inputs *inputs, const char *path, size_t skip, int level, struct eddy_error *err)
{
    struct dirent *entry;
    eddy_status rc = EDDY_OK;
    DIR *dir = opendir(path);
    if (!dir) return eddy_fail(err, EDDY_EIO, "%s: %s", path, strerror(errno));
    if (level > MOST_LEVELS) rc = eddy_fail(err, EDDY_EINVAL, "%s: more than %d directories deep", path, MOST_LEVELS);
    while (rc >= 0 && (errno = 0, entry = readdir(dir))) {
        struct stat st;
        char *below = NULL;
        if (entry->d_name[0] == '.') continue;
        if (asprintf(&below, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", entry->d_name) < 0) {
            rc = eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", path);
            break;
        }
        bool data = file_kind(entry->d_name) != FILE_KIND_OTHER;
        if (stat(below, &st) != 0)
            rc = data ? eddy_fail(err, EDDY_EIO, "%s: %s", below, strerror(errno)) : EDDY_OK;
        else if (S_ISDIR(st.st_mode))
            rc = walk(inputs, below, skip, level + 1, err);
        else if (data)
            rc = add_file(inputs, below, skip, true, err);
        free(below);
    }
    if (rc >= 0 && errno != 0) rc = eddy_fail(err, EDDY_EIO, "%s: %s", path, strerror(errno));
    (void)closedir(dir);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct file_input *)a)->path, ((const struct file_input *)b)->path);
}

static eddy_status add_directory(struct file_inputs *inputs, const char *path, struct eddy_error *err)
{
    int first = inputs->n;
    size_t skip = strlen(path);
    if (path[skip - 1] != '/') skip++;
    eddy_status rc = walk(inputs, path, skip, 1, err);
    if (rc < 0) return rc;
    if (inputs->n == first)
        return eddy_fail(err, EDDY_EINVAL, "%s: no *.csv or *.jsonl file in this directory or below", path);
    qsort(inputs->item + first, (size_t)(inputs->n - first), sizeof(*inputs->item), by_path);
    return EDDY_OK;
}

eddy_status file_list_add(struct file_inputs *inputs, const char *path, struct eddy_error *err)
{
    struct stat st;
    if (!*path) return eddy_fail(err, EDDY_EINVAL, "the path of an input is empty");
    if (strcmp(path, "-") == 0) {
        for (int i = 0; i < inputs->n; i++)
            if (strcmp(inputs->item[i].path, "-") == 0)
                return eddy_fail(err, EDDY_EINVAL, "standard input (-) can be read only once");
        eddy_status rc = add_file(inputs, path, 0, false, err);
        if (rc < 0) return rc;
        free(inputs->item[inputs->n - 1].key);
        inputs->item[inputs->n - 1].key = strdup("stdin");
        return inputs->item[inputs->n - 1].key ? EDDY_OK : eddy_fail(err, EDDY_ENOMEM, "stdin: out of memory");
    }
    if (stat(path, &st) != 0)
        return eddy_fail(err, errno == ENOENT ? EDDY_ENOTFOUND : EDDY_EIO, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) return add_directory(inputs, path, err);
    const char *base = strrchr(path, '/');
    return add_file(inputs, path, base ? (size_t)(base + 1 - path) : 0, false, err);
}

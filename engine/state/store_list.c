#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/state/paths.h"

static int is_state_file(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 3 && e->d_name[0] != '.' && !strcmp(e->d_name + n - 3, ".db");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* alphasort would follow the locale */
}

/* <topic>-<partition>.db back into topic and partition; false when eddy would not have written such a name. */
static bool name_parse(const char *name, struct eddy_buffer *topic, int32_t *partition)
{
    const char *dash = strrchr(name, '-');
    char *end;
    if (!dash || dash == name || dash[1] < '0' || dash[1] > '9') return false;
    errno = 0;
    long n = strtol(dash + 1, &end, 10);
    if (errno || n > INT32_MAX || strcmp(end, ".db") != 0) return false;
    *partition = (int32_t)n;
    topic->len = 0;
    return text_unescape(name, (size_t)(dash - name), topic) && eddy_buffer_append(topic, "", 1) == EDDY_OK;
}

/* A name that was cut says too little: the file knows. */
static eddy_status identity_from_file(const char *path, struct eddy_buffer *text, struct store_identity *out,
                                      struct eddy_error *err)
{
    struct store *s = NULL;
    eddy_status rc = store_open(path, NULL, STORE_READ_ONLY, &s, err);
    if (rc == EDDY_OK) rc = store_identity(s, text, out, err);
    store_close(s);
    return rc;
}

typedef eddy_status list_callback(void *context, const char *path, const struct store_identity *,
                                  struct eddy_error *);

static eddy_status list_one(const char *directory, const char *file, const char *name, list_callback *each,
                            void *context, struct eddy_error *err)
{
    struct eddy_buffer text = {0};
    struct store_identity id = {.name = name};
    char *path = NULL;
    eddy_status rc = EDDY_OK;
    bool known;

    if (asprintf(&path, "%s/%s", directory, file) < 0)
        return eddy_fail(err, EDDY_ENOMEM, "state directory %s: out of memory", directory);
    known = name_parse(file, &text, &id.partition);
    id.topic = text.data;
    if (!known && strchr(file, '~')) {
        rc = identity_from_file(path, &text, &id, err);
        known = rc == EDDY_OK;
    }
    if (known) rc = each(context, path, &id, err);
    eddy_buffer_free(&text);
    free(path);
    return rc;
}

eddy_status store_list(const char *state_path, const char *name, list_callback *each, void *context,
                       struct eddy_error *err)
{
    struct dirent **files = NULL;
    char *directory = NULL;
    eddy_status rc = EDDY_OK;

    if (asprintf(&directory, "%s/%s", state_path, name) < 0)
        return eddy_fail(err, EDDY_ENOMEM, "state directory %s: out of memory", state_path);
    int n = scandir(directory, &files, is_state_file, by_bytes);
    if (n < 0 && errno != ENOENT) rc = eddy_fail(err, EDDY_EIO, "state directory %s: %s", directory, strerror(errno));
    for (int i = 0; i < n; i++) {
        if (rc >= 0) rc = list_one(directory, files[i]->d_name, name, each, context, err);
        free(files[i]);
    }
    free(files);
    free(directory);
    return rc < 0 ? rc : EDDY_OK;
}

#include "plugin/stored_files.h"

#include <stdlib.h>
#include <string.h>

static eddy_status stored_file_add(void *context, const char *path, const struct store_identity *identity,
                                   struct eddy_error *err)
{
    struct stored_files *files = context;
    struct stored_file *item = realloc(files->item, (size_t)(files->n + 1) * sizeof(*item));
    if (!item) return eddy_fail(err, EDDY_ENOMEM, "state %s: out of memory", path);
    files->item = item;
    struct stored_file *file = &item[files->n];
    *file = (struct stored_file){.path = strdup(path), .identity = {.partition = identity->partition}};
    file->identity.topic = strdup(identity->topic);
    files->n++;
    if (!file->path || !file->identity.topic) return eddy_fail(err, EDDY_ENOMEM, "state %s: out of memory", path);
    return EDDY_OK;
}

static int stored_file_order(const void *a, const void *b)
{
    const struct stored_file *x = a, *y = b;
    int by_topic = strcmp(x->identity.topic, y->identity.topic);
    if (by_topic) return by_topic;
    return (x->identity.partition > y->identity.partition) - (x->identity.partition < y->identity.partition);
}

eddy_status stored_files_find(const struct settings *settings, struct stored_files *files, struct eddy_error *err)
{
    *files = (struct stored_files){0};
    eddy_status rc = store_list(settings->state.path, settings->name, stored_file_add, files, err);
    if (rc >= 0 && files->n == 0)
        rc = eddy_fail(err, EDDY_ENOTFOUND, "state %s/%s: nothing is stored there", settings->state.path,
                       settings->name);
    if (rc < 0) {
        stored_files_free(files);
        return rc;
    }
    qsort(files->item, (size_t)files->n, sizeof(*files->item), stored_file_order);
    for (int i = 0; i < files->n; i++) files->item[i].identity.name = settings->name;
    return EDDY_OK;
}

void stored_files_free(struct stored_files *files)
{
    for (int i = 0; i < files->n; i++) {
        free(files->item[i].path);
        free((char *)(uintptr_t)files->item[i].identity.topic);
    }
    free(files->item);
    *files = (struct stored_files){0};
}

#include "plugin/demo/workspace.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

eddy_status workspace_open(struct workspace *w, const char *keep, struct eddy_error *err)
{
    const char *tmp = getenv("TMPDIR");
    *w = (struct workspace){.keep = keep != NULL};
    int n = keep ? snprintf(w->path, sizeof(w->path), "%s", keep)
                 : snprintf(w->path, sizeof(w->path), "%s/eddy-demo-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    bool fits = n > 0 && (size_t)n < sizeof(w->path);
    if (!fits || (keep ? mkdir(w->path, 0700) != 0 : !mkdtemp(w->path))) {
        eddy_status rc = eddy_fail(err, EDDY_EIO, "%s: %s", keep ? keep : w->path,
                                   fits ? strerror(errno) : "the path is too long");
        w->path[0] = 0; /* nothing of ours to remove */
        return rc;
    }
    return EDDY_OK;
}

eddy_status workspace_file(const struct workspace *w, const char *name, FILE **out, struct eddy_error *err)
{
    char path[600];
    *out = NULL;
    if (!w->keep) return EDDY_OK;
    snprintf(path, sizeof(path), "%s/%s", w->path, name);
    *out = fopen(path, "wx");
    return *out ? EDDY_OK : eddy_fail(err, EDDY_EIO, "%s: %s", path, strerror(errno));
}

eddy_status workspace_write(const struct workspace *w, const char *name, const char *text, struct eddy_error *err)
{
    FILE *file;
    eddy_status rc = workspace_file(w, name, &file, err);
    if (!file) return rc;
    bool written = fputs(text, file) >= 0;
    if (fclose(file) != 0 || !written) return eddy_fail(err, EDDY_EIO, "%s/%s: %s", w->path, name, strerror(errno));
    return EDDY_OK;
}

static int workspace_remove(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    (void)remove(path);
    return 0;
}

void workspace_close(struct workspace *w)
{
    if (w->path[0] && !w->keep) (void)nftw(w->path, workspace_remove, 8, FTW_DEPTH | FTW_PHYS);
    *w = (struct workspace){0};
}

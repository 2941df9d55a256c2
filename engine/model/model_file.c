#include "engine/model/model_file.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/model/model_names.h"

/* ---- to a file ---- */

eddy_status model_file_encode(const struct model *m, const float *params, const struct safetensors_text *metadata,
                              int n_metadata, struct eddy_buffer *out, struct eddy_error *err)
{
    struct model_names names = {0};
    eddy_status rc = model_names_fill(&names, m);
    struct safetensors_part *parts = rc < 0 ? NULL : calloc((size_t)names.n + 1, sizeof(*parts));
    if (!parts) {
        model_names_free(&names);
        return eddy_fail(err, EDDY_ENOMEM, "model file: out of memory");
    }
    for (int i = 0; i < names.n; i++) {
        const struct model_tensor *t = &names.items[i];
        parts[i] = (struct safetensors_part){t->name, t->shape, t->added ? NULL : params + t->first};
    }
    rc = safetensors_write(metadata, n_metadata, parts, names.n, out, err);
    free(parts);
    model_names_free(&names);
    return rc;
}

/* ---- from a file: does it fit ---- */

/* All that is wrong, as far as there is room to say it. */
struct complaint {
    int n, shown;
    char text[600];
    size_t used;
};
enum { ROOM_FOR_COUNT = 32 };

static void complain(struct complaint *c, const char *before, const char *name, const char *after)
{
    char item[256];
    const int n = snprintf(item, sizeof(item), "%s%s%.100s%s", c->n > 0 ? "; " : "", before, name, after);
    c->n++;
    if (n < 0 || c->used + (size_t)n + ROOM_FOR_COUNT >= sizeof(c->text) || c->shown + 1 < c->n) return;
    memcpy(c->text + c->used, item, (size_t)n + 1);
    c->used += (size_t)n;
    c->shown++;
}

static bool same_shape(const struct safetensors_shape *a, const struct safetensors_shape *b)
{
    bool same = a->n == b->n;
    for (int i = 0; same && i < a->n; i++) same = a->of[i] == b->of[i];
    return same;
}

static void compare_tensor(const struct safetensors *f, const struct model_tensor *t, struct complaint *c)
{
    const struct safetensor *there = safetensors_find(f, t->name);
    if (!there) {
        if (!t->added) complain(c, "it lacks ", t->name, "");
        return;
    }
    if (same_shape(&there->shape, &t->shape)) return;
    char is[64], wanted[64], what[160];
    safetensors_shape_text(&there->shape, is, sizeof(is));
    safetensors_shape_text(&t->shape, wanted, sizeof(wanted));
    (void)snprintf(what, sizeof(what), " is %s, the configured network has %s", is, wanted);
    complain(c, "", t->name, what);
}

static bool names_has(const struct model_names *names, const char *name)
{
    for (int i = 0; i < names->n; i++)
        if (strcmp(names->items[i].name, name) == 0) return true;
    return false;
}

static eddy_status compare(const struct safetensors *f, const struct model_names *names, const char *path,
                           struct eddy_error *err)
{
    struct complaint c = {0};
    for (int i = 0; i < names->n; i++) compare_tensor(f, &names->items[i], &c);
    for (int i = 0; i < f->n; i++)
        if (!names_has(names, f->tensors[i].name))
            complain(&c, "", f->tensors[i].name, " is none of the network's tensors");
    if (c.n == 0) return EDDY_OK;
    if (c.n > c.shown) (void)snprintf(c.text + c.used, sizeof(c.text) - c.used, "; and %d more", c.n - c.shown);
    return eddy_fail(err, EDDY_EMISMATCH, "%s does not fit: %s", path, c.text);
}

/* ---- from a file: the numbers ---- */

static eddy_status take(const struct safetensor *from, const struct model_tensor *t, const char *path, float *params,
                        struct eddy_error *err)
{
    float *to = params + t->first;
    for (size_t i = 0; i < t->n; i++) {
        const float v = (float)safetensors_number(from, i);
        if (t->added && i >= t->n_free && v != 0)
            return eddy_fail(err, EDDY_EMISMATCH,
                             "%s: \"%s\" has a bias for the new gate inside the reset gate, which a gru with one "
                             "bias does not have: say bias: separate",
                             path, t->name);
        if (!t->added)
            to[i] = v;
        else if (v != 0) /* -0 stays what it is */
            to[i] += v;
        if (!isfinite(to[i]))
            return eddy_fail(err, EDDY_ECORRUPT, "%s: \"%s\": number %zu is not finite", path, t->name, i);
    }
    return EDDY_OK;
}

static eddy_status take_all(const struct safetensors *f, const struct model_names *names, const char *path,
                            float *params, struct eddy_error *err)
{
    eddy_status rc = compare(f, names, path, err);
    for (int i = 0; i < names->n && rc >= 0; i++) {
        const struct safetensor *from = safetensors_find(f, names->items[i].name);
        if (from) rc = take(from, &names->items[i], path, params, err); /* a second bias may be missing */
    }
    return rc;
}

eddy_status model_file_decode(const struct model *m, const char *path, const void *bytes, size_t n, float *params,
                              struct eddy_error *err)
{
    struct model_names names = {0};
    struct safetensors *f = NULL;
    eddy_status rc = model_names_fill(&names, m);
    if (rc < 0) rc = eddy_fail(err, rc, "%s: out of memory", path);
    if (rc >= 0) rc = safetensors_open(path, bytes, n, &f, err);
    if (rc >= 0) rc = take_all(f, &names, path, params, err);
    safetensors_close(f);
    model_names_free(&names);
    return rc;
}

/* ---- the file itself ---- */

static eddy_status file_failed(const char *path, struct eddy_error *err)
{
    const int code = errno;
    const eddy_status rc = code == ENOENT ? EDDY_ENOTFOUND : code == ENOSPC || code == EDQUOT ? EDDY_EFULL : EDDY_EIO;
    return eddy_fail(err, rc, "%s: %s", path, strerror(code));
}

eddy_status model_file_load(const char *path, struct eddy_buffer *out, struct eddy_error *err)
{
    enum { PIECE = 1 << 16 };
    FILE *from = fopen(path, "re");
    if (!from) return file_failed(path, err);
    eddy_status rc = EDDY_OK;
    while (rc >= 0) {
        rc = eddy_buffer_reserve(out, PIECE);
        if (rc < 0) {
            rc = eddy_fail(err, rc, "%s: out of memory", path);
            break;
        }
        const size_t n = fread(out->data + out->len, 1, PIECE, from);
        out->len += n;
        if (n == 0 && ferror(from)) rc = file_failed(path, err);
        if (n == 0) break;
        if (out->len > MODEL_FILE_MAX)
            rc = eddy_fail(err, EDDY_ELIMIT, "%s: more than %zu bytes", path, MODEL_FILE_MAX);
    }
    (void)fclose(from);
    return rc;
}

static eddy_status save_to(const char *path, const struct eddy_buffer *bytes, struct eddy_error *err)
{
    FILE *to = fopen(path, "we");
    if (!to) return file_failed(path, err);
    eddy_status rc = EDDY_OK;
    if (fwrite(bytes->data, 1, bytes->len, to) != bytes->len || fflush(to) != 0 || fsync(fileno(to)) != 0)
        rc = file_failed(path, err);
    if (fclose(to) != 0 && rc >= 0) rc = file_failed(path, err);
    return rc;
}

eddy_status model_file_save(const char *path, const struct eddy_buffer *bytes, struct eddy_error *err)
{
    char *beside = NULL;
    if (asprintf(&beside, "%s.new", path) < 0) return eddy_fail(err, EDDY_ENOMEM, "%s: out of memory", path);
    eddy_status rc = save_to(beside, bytes, err);
    if (rc >= 0 && rename(beside, path) != 0) rc = file_failed(path, err);
    if (rc < 0) (void)unlink(beside);
    free(beside);
    return rc;
}

#include "config/expand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/log.h"
#include "config/reading.h"

enum { MAX_NESTING = 8, MAX_FILE_BYTES = 1 << 20, SHOWN_BYTES = 200 };

struct expansion {
    struct eddy_buffer *out;
    bool *secret;
    int depth;
};

static eddy_status expand_into(struct expansion *, const char *text, size_t len, struct eddy_error *);

static eddy_status out_of_memory(struct eddy_error *err)
{
    return eddy_fail(err, EDDY_ENOMEM, "out of memory");
}

static eddy_status append(struct expansion *x, const char *bytes, size_t n, struct eddy_error *err)
{
    return eddy_buffer_append(x->out, bytes, n) < 0 ? out_of_memory(err) : EDDY_OK;
}

/* Where the brace closes that was opened just before `text`; NULL when it never does. */
static const char *closing_brace(const char *text, const char *end)
{
    int open = 1;
    for (; text < end; text++) {
        if (*text == '$' && text + 1 < end && text[1] == '{')
            open++;
        else if (*text == '}' && --open == 0)
            return text;
    }
    return NULL;
}

/* A warning only: where secrets are mounted for one process alone, as in a container, everybody is nobody else.  A group
 * may read where the file is another user's: that is how this process reads it, too (secrets that Kubernetes mounts). */
static void warn_of_readers(const char *path, FILE *file)
{
    struct stat is;
    if (fstat(fileno(file), &is) != 0 || !S_ISREG(is.st_mode)) return;
    const mode_t group = is.st_uid == geteuid() ? S_IRGRP : 0;
    if (is.st_mode & (S_IROTH | S_IWOTH | S_IWGRP | group))
        log_warn("secret_file", "%s: %s may %s it (mode %03o): chmod %s %s", path,
                 is.st_mode & (S_IROTH | S_IWOTH) ? "others" : "its group",
                 is.st_mode & (S_IWOTH | S_IWGRP) ? "write" : "read", (unsigned)is.st_mode & 0777u,
                 group ? "go=" : "go-w,o=", path);
}

static eddy_status expand_file(struct expansion *x, const char *path, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    size_t before = x->out->len;
    char chunk[4096];
    *x->secret = true;
    FILE *file = fopen(path, "re");
    if (!file) return eddy_fail(err, EDDY_ECONFIG, "cannot read file %s: %s", path, strerror(errno));
    (void)setvbuf(file, NULL, _IONBF, 0); /* no copy of a secret is left behind */
    warn_of_readers(path, file);

    for (size_t n = 1; n > 0 && rc == EDDY_OK;) {
        n = fread(chunk, 1, sizeof(chunk), file);
        if (memchr(chunk, 0, n))
            rc = eddy_fail(err, EDDY_ECONFIG, "file %s holds a NUL byte", path);
        else if (x->out->len - before + n > MAX_FILE_BYTES)
            rc = eddy_fail(err, EDDY_ECONFIG, "file %s is larger than 1 MiB", path);
        else
            rc = append(x, chunk, n, err);
    }
    if (rc == EDDY_OK && ferror(file))
        rc = eddy_fail(err, EDDY_ECONFIG, "cannot read file %s: %s", path, strerror(errno));
    fclose(file);
    explicit_bzero(chunk, sizeof(chunk));
    if (rc == EDDY_OK && x->out->len > before && x->out->data[x->out->len - 1] == '\n') {
        x->out->len--;
        if (x->out->len > before && x->out->data[x->out->len - 1] == '\r') x->out->len--;
    }
    return rc;
}

static size_t name_length(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    if (!*text || !strchr(letters, *text)) return 0;
    size_t n = 0;
    while (text[n] && (strchr(letters, text[n]) || (text[n] >= '0' && text[n] <= '9'))) n++;
    return n;
}

/* `inside` is what stands between the braces. */
static eddy_status expand_variable(struct expansion *x, char *inside, struct eddy_error *err)
{
    size_t n = name_length(inside);
    char *rest = inside + n;
    if (n == 0 || (*rest && strncmp(rest, ":-", 2) != 0))
        return eddy_fail(
            err, EDDY_ECONFIG,
            "${%.*s..} is no expansion: expected ${VAR}, ${VAR:-default} or ${file:path}; write $$ for a $",
            (int)(n ? n : strcspn(inside, ":-")), inside);
    const char *fallback = *rest ? rest + 2 : NULL;
    *rest = 0;
    if (name_looks_secret(inside)) *x->secret = true;

    const char *value = getenv(inside);
    if (value && (*value || !fallback)) return append(x, value, strlen(value), err);
    if (!fallback)
        return eddy_fail(err, EDDY_ECONFIG,
                         "the environment variable %.*s is not set (${%.*s:-..} would give a default)", SHOWN_BYTES,
                         inside, SHOWN_BYTES, inside);
    x->depth++;
    eddy_status rc = expand_into(x, fallback, strlen(fallback), err);
    x->depth--;
    return rc;
}

static eddy_status expand_braces(struct expansion *x, const char *text, size_t len, struct eddy_error *err)
{
    char *inside = strndup(text, len);
    if (!inside) return out_of_memory(err);
    eddy_status rc;
    if (strncmp(inside, "file:", 5) == 0)
        rc = inside[5] ? expand_file(x, inside + 5, err) : eddy_fail(err, EDDY_ECONFIG, "${file:} names no file");
    else
        rc = expand_variable(x, inside, err);
    free(inside);
    return rc;
}

static eddy_status expand_into(struct expansion *x, const char *text, size_t len, struct eddy_error *err)
{
    const char *end = text + len;
    if (x->depth > MAX_NESTING) return eddy_fail(err, EDDY_ECONFIG, "${..} is nested deeper than %d", MAX_NESTING);
    while (text < end) {
        const char *dollar = memchr(text, '$', (size_t)(end - text));
        const char *stop = dollar ? dollar : end;
        eddy_status rc = append(x, text, (size_t)(stop - text), err);
        if (rc < 0 || !dollar) return rc;
        if (dollar + 1 < end && dollar[1] == '{') {
            const char *close = closing_brace(dollar + 2, end);
            if (!close) return eddy_fail(err, EDDY_ECONFIG, "${ is never closed by }; write $$ for a $");
            rc = expand_braces(x, dollar + 2, (size_t)(close - dollar - 2), err);
            text = close + 1;
        } else {
            bool twice = dollar + 1 < end && dollar[1] == '$';
            rc = append(x, "$", 1, err);
            text = dollar + 1 + twice;
        }
        if (rc < 0) return rc;
    }
    return EDDY_OK;
}

eddy_status expand_text(const char *text, struct eddy_buffer *out, bool *secret, struct eddy_error *err)
{
    struct expansion x = {.out = out, .secret = secret};
    eddy_status rc = expand_into(&x, text, strlen(text), err);
    return rc < 0 ? rc : append(&x, "", 1, err);
}

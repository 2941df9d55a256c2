#include "engine/state/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

enum { MAX_TOPIC_TEXT = 200 }; /* file names have at most 255 bytes; "-4294967295.db-wal" follows */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

static eddy_status append_byte(struct eddy_buffer *out, char c, bool plain)
{
    char text[4];
    if (plain) return eddy_buffer_append(out, &c, 1);
    snprintf(text, sizeof(text), "%%%02X", (unsigned char)c);
    return eddy_buffer_append(out, text, 3);
}

eddy_status text_escape(const char *text, struct eddy_buffer *out)
{
    for (const char *c = text; *c; c++)
        if (append_byte(out, *c, is_plain(*c) && !(*c == '.' && c == text)) < 0) return EDDY_ENOMEM;
    return EDDY_OK;
}

/* The topic as part of a file name. */
static eddy_status topic_escape(const char *topic, struct eddy_buffer *out)
{
    size_t start = out->len;
    if (text_escape(topic, out) < 0) return EDDY_ENOMEM;
    if (out->len - start <= MAX_TOPIC_TEXT) return EDDY_OK;

    char hash[18];
    snprintf(hash, sizeof(hash), "~%016" PRIx64, (uint64_t)XXH3_64bits(topic, strlen(topic)));
    out->len = start + MAX_TOPIC_TEXT - (sizeof(hash) - 1);
    return eddy_buffer_append(out, hash, sizeof(hash) - 1);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool text_unescape(const char *text, size_t n, struct eddy_buffer *out)
{
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '%') {
            if (i + 2 >= n || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0) return false;
            c = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            if (!c) return false;
            i += 2;
        } else if (!is_plain(c)) {
            return false;
        }
        if (eddy_buffer_append(out, &c, 1) < 0) return false;
    }
    return n > 0;
}

char *store_path(const char *state_path, const struct store_identity *id)
{
    struct eddy_buffer topic = {0};
    char *path = NULL;
    if (topic_escape(id->topic, &topic) == EDDY_OK && eddy_buffer_append(&topic, "", 1) == EDDY_OK &&
        asprintf(&path, "%s/%s/%s-%" PRId32 ".db", state_path, id->name, topic.data, id->partition) < 0)
        path = NULL;
    eddy_buffer_free(&topic);
    return path;
}

eddy_status make_directories(const char *directory, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    char *path = strdup(directory);
    if (!path) return eddy_fail(err, EDDY_ENOMEM, "state directory %s: out of memory", directory);
    for (char *end = path; rc == EDDY_OK && *end; end++) {
        while (*end == '/') end++;
        end = strchrnul(end, '/');
        char kept = *end;
        *end = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            struct stat st;
            int failed = errno; /* a read-only file system answers EROFS for a directory that is there */
            if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
                rc = eddy_fail(err, failed == ENOSPC || failed == EDQUOT ? EDDY_EFULL : EDDY_EIO,
                               "state directory %s: cannot create %s: %s", directory, path, strerror(failed));
        }
        *end = kept;
        if (!kept) break;
    }
    free(path);
    return rc;
}

eddy_status make_directory_of(const char *path, struct eddy_error *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path) return EDDY_OK;
    char *directory = strndup(path, (size_t)(slash - path));
    if (!directory) return eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", path);
    eddy_status rc = make_directories(directory, err);
    free(directory);
    return rc;
}

eddy_status path_to_uri(const char *path, const char *query, char **out, struct eddy_error *err)
{
    struct eddy_buffer b = {0};
    bool ok = eddy_buffer_append(&b, "file:", 5) == EDDY_OK;
    for (const char *c = path; ok && *c; c++) ok = append_byte(&b, *c, is_plain(*c) || *c == '/') == EDDY_OK;
    if (!ok || eddy_buffer_append(&b, query, strlen(query) + 1) < 0) {
        eddy_buffer_free(&b);
        return eddy_fail(err, EDDY_ENOMEM, "state file %s: out of memory", path);
    }
    *out = b.data;
    return EDDY_OK;
}

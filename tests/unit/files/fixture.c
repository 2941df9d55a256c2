#include "fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

void folder_make(struct folder *f)
{
    strcpy(f->path, "/tmp/eddy-files-XXXXXX");
    cr_assert_not_null(mkdtemp(f->path));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st, (void)kind, (void)walk;
    return remove(path);
}

void folder_remove(struct folder *f)
{
    cr_expect_eq(nftw(f->path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

const char *folder_path(const struct folder *f, const char *name, char out[PATH_BYTES])
{
    int n = snprintf(out, PATH_BYTES, *name ? "%s/%s" : "%s%s", f->path, name);
    cr_assert(n > 0 && n < PATH_BYTES);
    return out;
}

static void make_parents(const char *path)
{
    char copy[PATH_BYTES];
    strcpy(copy, path);
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        cr_assert(mkdir(copy, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
}

void folder_write_bytes(const struct folder *f, const char *name, const void *bytes, size_t len)
{
    char path[PATH_BYTES];
    make_parents(folder_path(f, name, path));
    FILE *out = fopen(path, "we");
    cr_assert_not_null(out, "%s", path);
    cr_assert_eq(fwrite(bytes, 1, len, out), len);
    cr_assert_eq(fclose(out), 0);
}

void folder_write(const struct folder *f, const char *name, const char *text)
{
    folder_write_bytes(f, name, text, strlen(text));
}

void folder_write_gz(const struct folder *f, const char *name, const char *text)
{
    char path[PATH_BYTES];
    make_parents(folder_path(f, name, path));
    gzFile out = gzopen(path, "wb");
    cr_assert_not_null(out);
    cr_assert_eq(gzwrite(out, text, (unsigned)strlen(text)), (int)strlen(text));
    cr_assert_eq(gzclose(out), Z_OK);
}

char *folder_read(const struct folder *f, const char *name)
{
    char path[PATH_BYTES];
    FILE *in = fopen(folder_path(f, name, path), "re");
    cr_assert_not_null(in, "%s", path);
    size_t cap = 1 << 20;
    char *text = malloc(cap);
    cr_assert_not_null(text);
    size_t len = fread(text, 1, cap - 1, in);
    text[len] = '\0';
    cr_assert_eq(fclose(in), 0);
    return text;
}

/* ---- the source ---- */

static int64_t on_assign(void *context, const struct source_partition *p, void **tag, struct eddy_error *err)
{
    (void)err;
    struct reading *r = context;
    r->n_assigned++;
    (void)snprintf(r->topic, sizeof(r->topic), "%s", p->topic);
    cr_expect_eq(p->partition, 0);
    cr_expect_eq(p->committed, -1);
    *tag = r;
    return r->start;
}

static eddy_status on_revoke(void *context, void *tag, bool lost, struct eddy_error *err)
{
    (void)err;
    struct reading *r = context;
    cr_expect(tag == r && !lost);
    r->n_revoked++;
    return EDDY_OK;
}

void reading_set(struct reading *r, const struct folder *f, const char *a, const char *b)
{
    *r = (struct reading){.type = &source_file, .limits = {1000, 1024, 32, 1024}};
    const char *const names[] = {a, b};
    int n = 0;
    for (int i = 0; i < 2; i++)
        if (names[i]) r->item[n++] = strcmp(names[i], "-") == 0 ? "-" : folder_path(f, names[i], r->paths[i]);
    r->settings.paths = (struct eddy_strings){n, r->item};
    r->settings.csv.header = true;
    r->settings.csv.interval = 1000000000;
}

eddy_status reading_open(struct reading *r)
{
    const struct source_request request = {
        .name = "test", .limits = &r->limits, .listener = {r, on_assign, on_revoke, NULL}};
    if (r->type == &source_file) {
        eddy_status rc = file_inputs_open(&r->settings, &r->limits, &r->inputs, &r->err);
        if (rc < 0) return rc;
        r->settings.inputs = r->inputs;
    }
    return r->type->open(&r->settings, &request, &r->source, &r->err);
}

void reading_close(struct reading *r)
{
    r->type->close(r->source);
    file_inputs_close(r->inputs);
    cr_expect_eq(r->n_revoked, r->n_assigned);
    r->source = NULL;
    r->inputs = NULL;
}

static void add_row(struct eddy_buffer *out, const struct eddy_record *record)
{
    char head[PATH_BYTES];
    int n = snprintf(head, sizeof(head), "%s%.*s|%lld|%lld|", record->context ? "csv " : "", (int)record->key_len,
                     record->key, (long long)record->offset, (long long)record->line);
    cr_assert_eq(eddy_buffer_append(out, head, (size_t)n), EDDY_OK);
    cr_assert_eq(eddy_buffer_append(out, record->payload, record->payload_len), EDDY_OK);
    cr_assert_eq(eddy_buffer_append(out, "\n", 1), EDDY_OK);
}

eddy_status reading_all(struct reading *r, int chunk, struct eddy_buffer *out)
{
    eddy_status rc = EDDY_OK;
    for (int turns = 0; !r->type->ended(r->source) && rc >= 0; turns++) {
        struct source_batch batch;
        cr_assert_lt(turns, 1000000, "it never ends");
        rc = r->type->poll(r->source, 1000, chunk, &batch, 1, &r->err);
        if (rc <= 0) continue;
        cr_expect(batch.tag == r && batch.n <= chunk && batch.n > 0);
        for (int i = 0; i < batch.n; i++) add_row(out, &batch.records[i]);
        r->type->release(r->source);
    }
    cr_assert_eq(eddy_buffer_append(out, "", 1), EDDY_OK);
    out->len--;
    return rc < 0 ? rc : EDDY_OK;
}

void expect_rows(struct reading *r, const char *rows)
{
    struct eddy_buffer out = {0};
    cr_assert_eq(reading_open(r), EDDY_OK, "%s", r->err.message);
    cr_expect_eq(reading_all(r, 3, &out), EDDY_OK, "%s", r->err.message);
    cr_expect_str_eq(out.data, rows, "%s", out.data);
    eddy_buffer_free(&out);
    reading_close(r);
}

void expect_refusal(struct reading *r, eddy_status code, const char *part)
{
    cr_expect_eq(reading_open(r), code);
    cr_expect(strstr(r->err.message, part), "\"%s\" does not say \"%s\"", r->err.message, part);
    reading_close(r);
}

const char *reading_values(struct reading *r, char *out, size_t room)
{
    cr_assert_eq(reading_open(r), EDDY_OK, "%s", r->err.message);
    const struct eddy_schema *schema = file_inputs_schema(r->inputs);
    (void)snprintf(out, room, "%s", schema ? "" : "none");
    for (int i = 0; schema && i < schema->n_values; i++) {
        strncat(out, i ? " " : "", room - strlen(out) - 1);
        strncat(out, schema->names[i], room - strlen(out) - 1);
    }
    reading_close(r);
    return out;
}

/* A directory of its own for each test, files in it, and a source over them. */
#ifndef TESTS_UNIT_FILES_FIXTURE_H
#define TESTS_UNIT_FILES_FIXTURE_H

#include "connectors/files/file_source.h"
#include "connectors/files/files.h"

enum { PATH_BYTES = 256, MOST_PATHS = 4 };

struct folder {
    char path[PATH_BYTES];
};
void folder_make(struct folder *);
void folder_remove(struct folder *); /* with all that is in it */
/* The path of a name in the folder, in a buffer of the caller's. */
const char *folder_path(const struct folder *, const char *name, char out[PATH_BYTES]);
/* Writes a file, making directories on the way. */
void folder_write(const struct folder *, const char *name, const char *text);
void folder_write_gz(const struct folder *, const char *name, const char *text);
void folder_write_bytes(const struct folder *, const char *name, const void *bytes, size_t len);
/* The whole text of a file; free() it. */
char *folder_read(const struct folder *, const char *name);

/* A source as a driver would hold it. */
struct reading {
    const struct eddy_source *type;
    void *source;
    struct file_source_settings settings;
    const char *item[MOST_PATHS];
    char paths[MOST_PATHS][PATH_BYTES];
    struct eddy_limits limits;
    struct file_inputs *inputs;
    int64_t start; /* what assign() answers */
    int n_assigned, n_revoked;
    char topic[PATH_BYTES];
    struct eddy_error err;
};
/* Settings with their defaults over names in the folder ("" = the folder itself, NULL = no more). */
void reading_set(struct reading *, const struct folder *, const char *a, const char *b);
eddy_status reading_open(struct reading *); /* inputs first, then the source */
void reading_close(struct reading *);

/* All rows until the end, one a line: "key|offset|line|payload\n" with "csv " before it for a record with a context.
 * Stops at an error, which is the return value.  `chunk` is the most records per poll. */
eddy_status reading_all(struct reading *, int chunk, struct eddy_buffer *out);
/* Opens, reads all rows and compares; closes. */
void expect_rows(struct reading *, const char *rows);
/* Opens and expects to be refused with a text that holds `part`. */
void expect_refusal(struct reading *, eddy_status code, const char *part);
/* The names of the CSV values with blanks between; "none" without CSV. */
const char *reading_values(struct reading *, char *out, size_t room);

#endif

/* A fuzz target without libFuzzer: runs it over its corpus.
 *     build/NAME_fuzz [FILE..]    default: all of tests/fuzz/corpus/NAME; run from the root of the tree
 * Besides each file as it is, all that it begins with, byte by byte. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eddy_buffer.h"
#include "tests/fuzz/fuzz.h"

enum { MOST_BYTES = 1 << 20 };

/* A copy of its own for each run, so that a sanitizer sees what is read behind it. */
static void replay(const char *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy) abort();
    memcpy(copy, bytes, n);
    (void)LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static int replay_file(const char *path)
{
    struct eddy_buffer b = {0};
    FILE *from = fopen(path, "re");
    if (from && eddy_buffer_reserve(&b, MOST_BYTES) >= 0) b.len = fread(b.data, 1, MOST_BYTES, from);
    int failed = !from || b.len == 0 || ferror(from);
    for (size_t n = 0; n <= b.len && !failed; n++) replay(b.data, n);
    (void)printf("%s - %s\n", failed ? "not ok" : "ok", path);
    (void)fflush(stdout); /* an abort in the next one loses nothing */
    if (from) (void)fclose(from);
    eddy_buffer_free(&b);
    return failed;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int replay_corpus(const char *program)
{
    char directory[256], path[512];
    struct dirent **files = NULL;
    const char *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;
    (void)snprintf(directory, sizeof(directory), "tests/fuzz/corpus/%.*s", (int)strcspn(name, "_"), name);
    const int n = scandir(directory, &files, not_hidden, alphasort);
    int failed = n <= 0;
    if (failed) (void)printf("not ok - %s: nothing is there\n", directory);
    for (int i = 0; i < n; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, files[i]->d_name);
        failed |= replay_file(path);
        free(files[i]);
    }
    free(files);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = argc < 2 ? replay_corpus(argv[0]) : 0;
    for (int i = 1; i < argc; i++) failed |= replay_file(argv[i]);
    return failed;
}

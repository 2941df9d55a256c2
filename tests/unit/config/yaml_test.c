/* The text itself: what is no YAML, what eddy does not take of YAML, and files that are none. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

#define ERRORS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Opens a file with these bytes and returns its first error, less the path and what comes before it. */
static char *error_of_file(const void *bytes, size_t len, eddy_status expected)
{
    char path[] = "/tmp/eddy-config-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    close(fd);
    struct config_request request = {.path = path, .parts = &parts};
    struct config *c = NULL;
    struct eddy_error err = {0};
    cr_expect_eq(config_open(&request, &c, &err), expected);
    unlink(path);
    cr_assert_eq(strncmp(err.message, path, strlen(path)), 0, "%s", err.message);
    char *rest = strdup(err.message + strlen(path));
    config_close(c);
    return rest;
}

static void expect_file_error(const void *bytes, size_t len, const char *error)
{
    char *got = error_of_file(bytes, len, EDDY_ECONFIG);
    cr_expect_str_eq(got, error);
    free(got);
}

Test(yaml, empty_files_say_so)
{
    struct config_request request = {.text = "# nothing\n", .parts = &parts};
    struct config *c;
    cr_expect_eq(config_open(&request, &c, NULL), EDDY_ECONFIG);
    cr_expect_eq(config_error_count(c), 4);
    cr_expect_str_eq(config_error(c, 0), "configuration:1: the configuration is empty");
    config_close(c);
    expect_file_error("", 0, ":1: the configuration is empty");
    expect_file_error("---\n", 4, ":2: the configuration is empty");
}

Test(yaml, an_empty_file_may_be_filled_by_overrides)
{
    config_close(open_good("", (const char *const[]){"name=a", "source.kafka.topics=[a]", "sink=kafka", NULL}));
}

Test(yaml, missing_and_unreadable_files_are_input_errors)
{
    static const struct {
        const char *path, *error;
    } cases[] = {{"/no/such/file.yml", "/no/such/file.yml: No such file or directory"},
                 {"/tmp", "/tmp: Is a directory"}};
    for (int i = 0; i < 2; i++) {
        struct config_request request = {.path = cases[i].path, .parts = &parts};
        struct config *c;
        struct eddy_error err = {0};
        cr_expect_eq(config_open(&request, &c, &err), EDDY_EIO);
        cr_expect_eq(err.code, EDDY_EIO);
        cr_assert_not_null(c);
        cr_expect_eq(config_error_count(c), 1);
        cr_expect_str_eq(config_error(c, 0), cases[i].error);
        config_close(c);
    }
    struct config_request nothing = {.parts = &parts};
    struct config *c = (struct config *)&nothing;
    cr_expect_eq(config_open(&nothing, &c, NULL), EDDY_EINVAL);
    cr_expect_null(c);
    config_close(NULL);
}

Test(yaml, broken_yaml_names_line_and_column)
{
    expect_errors(
        "name: a\nsource: {kafka: [\n", NULL,
        ERRORS("configuration:3: not YAML: did not find expected node content (column 1), while parsing a flow "
               "node that begins on line 3"));
    expect_errors("name: a: b\n", NULL,
                  ERRORS("configuration:1: not YAML: mapping values are not allowed in this context (column 8)"));
    expect_errors(
        "name: \"a\nsink: b\n", NULL,
        ERRORS("configuration:3: not YAML: found unexpected end of stream (column 1), while scanning a quoted "
               "scalar that begins on line 1"));
    expect_errors("name: a\n  sink: b\n", NULL,
                  ERRORS("configuration:2: not YAML: mapping values are not allowed in this context (column 7)"));
    expect_errors(
        "a: }\n", NULL,
        ERRORS("configuration:1: not YAML: did not find expected node content (column 4), while parsing a block "
               "node that begins on line 1"));
}

Test(yaml, tabs_for_indentation_are_named)
{
    expect_errors("name: a\nsource:\n\tkafka: {}\n", NULL,
                  ERRORS("configuration:3: not YAML: a tab where only spaces may indent"));
    expect_errors("name: a\nsource:\n  \tkafka: {}\n", NULL,
                  ERRORS("configuration:3: not YAML: a tab where only spaces may indent"));
}

Test(yaml, names_given_twice_are_refused_at_every_depth)
{
    expect_errors(MINIMAL "seed: 1\nseed: 2\ntrain: {every: 1, batch: 2, every: 3}\n", NULL,
                  ERRORS("configuration:5: \"seed\" is given twice in one map; the other is on line 4",
                         "configuration:6: \"every\" is given twice in one map; the other is on line 6"));
}

Test(yaml, anchors_aliases_and_tags_are_refused)
{
    expect_errors("name: &n a\nseed: !!int 3\nsource: {kafka: {topics: *n}}\nsink: {kafka: &k {}}\n", NULL,
                  ERRORS("configuration:1: anchors (&) are not used here; a text that begins with & needs quotes",
                         "configuration:2: tags (!) are not used here; a text that begins with ! needs quotes",
                         "configuration:3: aliases (*) are not used here; a text that begins with * needs quotes",
                         "configuration:4: anchors (&) are not used here; a text that begins with & needs quotes"));
}

Test(yaml, a_part_is_not_asked_about_an_option_that_could_not_be_read)
{
    expect_errors(MINIMAL "codec: {json: {time: *when}}\n", NULL,
                  ERRORS("configuration:4: aliases (*) are not used here; a text that begins with * needs quotes"));
}

Test(yaml, a_second_document_is_refused)
{
    expect_errors(MINIMAL "---\nname: b\n", NULL,
                  ERRORS("configuration:4: a second document begins here; a configuration is one"));
    config_close(open_good("---\n" MINIMAL "...\n", NULL));
}

Test(yaml, the_root_must_be_a_map)
{
    expect_errors("- a\n- b\n", NULL,
                  ERRORS("configuration:1: expected a map of options such as \"name: plant\", got a list"));
    expect_errors("hello\n", NULL,
                  ERRORS("configuration:1: expected a map of options such as \"name: plant\", got a single value"));
}

Test(yaml, names_must_be_words)
{
    expect_errors(MINIMAL "[a, b]: 1\n\"\": 2\n", NULL,
                  ERRORS("configuration:4: the name of an option is a word, here it is a list",
                         "configuration:5: the name of an option is a word, here it is empty"));
}

Test(yaml, nesting_ends_at_64_levels)
{
    char text[2100];
    memset(text, '[', sizeof(text));
    memcpy(text, "name: ", 6);
    text[6 + 2000] = 0;
    expect_errors(text, NULL, ERRORS("configuration:1: nested deeper than 64 levels"));
}

Test(yaml, large_files_are_refused)
{
    size_t len = (1 << 20) + 1;
    char *text = malloc(len + 1);
    memset(text, '#', len);
    text[len] = 0;
    expect_errors(text, NULL, ERRORS("configuration:1: larger than 1 MiB"));
    expect_file_error(text, len, ":1: larger than 1 MiB");
    text[len - 1] = 0;
    expect_file_error(text, len - 1, ":1: the configuration is empty");
    free(text);
}

Test(yaml, a_file_of_many_names_takes_no_quadratic_time)
{
    size_t len = 0, room = 1 << 20;
    char *text = malloc(room);
    for (int i = 0; len < room - 32; i++) len += (size_t)snprintf(text + len, 32, "n%d: 1\n", i);
    struct config_request request = {.text = text, .parts = &parts};
    struct config *c;
    cr_expect_eq(config_open(&request, &c, NULL), EDDY_ECONFIG);
    cr_expect_eq(config_error_count(c), 101);
    config_close(c);
    free(text);
}

Test(yaml, binary_garbage_and_foreign_encodings_are_refused)
{
    unsigned char noise[4096];
    unsigned state = 1;
    for (size_t i = 0; i < sizeof(noise); i++) noise[i] = (unsigned char)((state = state * 1103515245 + 12345) >> 16);
    char *got = error_of_file(noise, sizeof(noise), EDDY_ECONFIG);
    cr_expect_eq(strncmp(got, ":1: not YAML: ", 14), 0, "%s", got);
    free(got);
    expect_file_error("name: a\nb: \xff\xfe\n", 14, ":2: not YAML: invalid leading UTF-8 octet at byte 11");
    expect_file_error("name: \xc0\xaf\n", 9, ":1: not YAML: invalid length of a UTF-8 sequence at byte 6");
    expect_file_error("name: a\nb: \x01\n", 13, ":2: not YAML: control characters are not allowed at byte 11");
    expect_file_error("name: a\nb: \0\n", 13, ":2: not YAML: control characters are not allowed at byte 11");
    expect_file_error("name: \"a\\0b\"\n", 13, ":1: a value holds a NUL character");
}

Test(yaml, a_byte_order_mark_is_no_error)
{
    config_close(open_good("\xEF\xBB\xBF" MINIMAL, NULL));
}

Test(yaml, random_mutations_never_crash)
{
    static const char seed[] =
        "name: a\nsource: {kafka: {topics: [a, \"b\"], properties: {x.y: '1'}}}\nsink:\n  kafka:\n"
        "    topic: ${A:-b}\nforecast: {horizons: [1-48], bands: [0.5]}\n";
    static const char letters[] = "{}[]:,-\"'&*!#%\n\t ${}\\|>\xff\xc3?@a0.";
    unsigned state = 7;
    for (int round = 0; round < 3000; round++) {
        char text[sizeof(seed)];
        memcpy(text, seed, sizeof(seed));
        for (int k = 0; k < 3; k++) {
            state = state * 1103515245 + 12345;
            text[(state >> 8) % (sizeof(seed) - 1)] = letters[(state >> 20) % (sizeof(letters) - 1)];
        }
        struct config_request request = {.text = text, .parts = &parts};
        struct config *c;
        eddy_status rc = config_open(&request, &c, NULL);
        cr_assert(rc == EDDY_OK || (rc == EDDY_ECONFIG && config_error_count(c) > 0), "%s", text);
        config_close(c);
    }
}

#ifndef __SANITIZE_ADDRESS__
Test(yaml, running_out_of_memory_is_an_error)
{
    size_t len = 0, room = 1 << 20;
    char *text = malloc(room);
    len += (size_t)snprintf(text, room, MINIMAL "plugins:\n");
    while (len < room - 32) len += (size_t)snprintf(text + len, 32, "- abcdefghijklm\n");
    struct rlimit limit = {96 << 20, 96 << 20};
    FILE *statm = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;
    cr_assert(statm && fscanf(statm, "%lu", &pages) == 1);
    (void)fclose(statm);
    limit.rlim_cur = limit.rlim_max = pages * 4096 + (2 << 20);
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    struct config_request request = {.text = text, .parts = &parts};
    struct config *c = (struct config *)text;
    struct eddy_error err = {0};
    eddy_status rc = config_open(&request, &c, &err);
    cr_expect_eq(rc, EDDY_ENOMEM, "%d %s", rc, err.message);
    cr_expect_null(c);
    free(text);
}
#endif

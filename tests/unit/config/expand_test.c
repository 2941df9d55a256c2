/* ${VAR}, ${VAR:-default}, ${file:path} and $$ in values. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/expand.h"
#include "fixture.h"

static void expect_expansion(const char *text, const char *expected)
{
    struct eddy_buffer out = {0};
    struct eddy_error err = {0};
    bool secret = false;
    cr_expect_eq(expand_text(text, &out, &secret, &err), EDDY_OK, "%s: %s", text, err.message);
    cr_expect_str_eq(out.data ? out.data : "", expected, "%s gave %s", text, out.data ? out.data : "");
    eddy_buffer_free(&out);
}

static void expect_refusal(const char *text, const char *message)
{
    struct eddy_buffer out = {0};
    struct eddy_error err = {0};
    bool secret = false;
    cr_expect_eq(expand_text(text, &out, &secret, &err), EDDY_ECONFIG, "%s", text);
    cr_expect_str_eq(err.message, message);
    eddy_buffer_free(&out);
}

Test(expand, every_form_is_expanded)
{
    setenv("EDDY_T", "value", 1);
    setenv("EDDY_EMPTY", "", 1);
    setenv("EDDY_DOLLAR", "${EDDY_T}$$", 1);
    unsetenv("EDDY_NONE");
    expect_expansion("plain", "plain");
    expect_expansion("", "");
    expect_expansion("${EDDY_T}", "value");
    expect_expansion("a${EDDY_T}b${EDDY_T}", "avaluebvalue");
    expect_expansion("${EDDY_EMPTY}", "");
    expect_expansion("${EDDY_NONE:-fallback}", "fallback");
    expect_expansion("${EDDY_EMPTY:-fallback}", "fallback");
    expect_expansion("${EDDY_T:-fallback}", "value");
    expect_expansion("${EDDY_NONE:-}", "");
    expect_expansion("${EDDY_NONE:-a:-b}", "a:-b");
    expect_expansion("${EDDY_NONE:-${EDDY_T}!}", "value!");
    expect_expansion("${EDDY_NONE:-${EDDY_NONE:-x}}", "x");
    expect_expansion("$key", "$key");
    expect_expansion("a$", "a$");
    expect_expansion("$$", "$");
    expect_expansion("$${EDDY_T}", "${EDDY_T}");
    expect_expansion("$$$key", "$$key");
    expect_expansion("}{", "}{");
    expect_expansion("${EDDY_DOLLAR}", "${EDDY_T}$$"); /* what a variable holds is not expanded again */
}

Test(expand, wrong_forms_are_refused_by_name)
{
    unsetenv("EDDY_NONE");
    expect_refusal("${EDDY_NONE}",
                   "the environment variable EDDY_NONE is not set (${EDDY_NONE:-..} would give a default)");
    expect_refusal("${EDDY_T", "${ is never closed by }; write $$ for a $");
    expect_refusal("${}",
                   "${..} is no expansion: expected ${VAR}, ${VAR:-default} or ${file:path}; write $$ for a $");
    expect_refusal("${A B}",
                   "${A..} is no expansion: expected ${VAR}, ${VAR:-default} or ${file:path}; write $$ for a $");
    expect_refusal("${A-hunter2}",
                   "${A..} is no expansion: expected ${VAR}, ${VAR:-default} or ${file:path}; write $$ for a $");
    expect_refusal("${1A}",
                   "${1A..} is no expansion: expected ${VAR}, ${VAR:-default} or ${file:path}; write $$ for a $");
    expect_refusal("${file:}", "${file:} names no file");
    expect_refusal("${file:/no/such}", "cannot read file /no/such: No such file or directory");
    expect_refusal("${file:/tmp}", "cannot read file /tmp: Is a directory");
    expect_refusal("${file:/dev/zero}", "file /dev/zero holds a NUL byte");
    char deep[400] = "";
    for (int i = 0; i < 20; i++) strcat(deep, "${EDDY_NONE:-");
    for (int i = 0; i < 20; i++) strcat(deep, "}");
    expect_refusal(deep, "${..} is nested deeper than 8");
}

static char *scratch_file(const char *text, size_t len)
{
    char *path = strdup("/tmp/eddy-expand-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, len) == (ssize_t)len);
    close(fd);
    return path;
}

static void expect_file(const char *content, size_t len, const char *expected)
{
    char *path = scratch_file(content, len), text[100];
    (void)snprintf(text, sizeof(text), "<${file:%s}>", path);
    expect_expansion(text, expected);
    unlink(path);
    free(path);
}

Test(expand, one_line_end_is_cut_from_a_file)
{
    expect_file("secret\n", 7, "<secret>");
    expect_file("secret\r\n", 8, "<secret>");
    expect_file("secret\n\n", 8, "<secret\n>");
    expect_file("secret", 6, "<secret>");
    expect_file("", 0, "<>");
    expect_file("${EDDY_NONE}", 12, "<${EDDY_NONE}>");
}

Test(expand, large_files_are_refused)
{
    size_t len = (1 << 20) + 1;
    char *bytes = malloc(len), text[100], message[200];
    memset(bytes, 'x', len);
    char *path = scratch_file(bytes, len);
    (void)snprintf(text, sizeof(text), "${file:%s}", path);
    (void)snprintf(message, sizeof(message), "file %s is larger than 1 MiB", path);
    expect_refusal(text, message);
    unlink(path);
    free(path);
    free(bytes);
}

Test(expand, values_of_every_type_are_expanded)
{
    setenv("EDDY_N", "12", 1);
    setenv("EDDY_W", "green", 1);
    setenv("EDDY_CODEC", "csv", 1);
    char *text = with_probe(
        "count: \"${EDDY_N}\", word: \"${EDDY_W}\", words: [\"x${EDDY_N}\"], steps: [\"1-${EDDY_N}\"], "
        "wait: \"${EDDY_N}s\", numbers: [\"${EDDY_N}\"], text: \"$$key\"");
    struct config *c = open_good(text, (const char *const[]){"codec=${EDDY_CODEC}", "name=p${EDDY_N}", NULL});
    const struct probe_settings *s = probe_of(c);
    cr_expect_eq(s->count, 12);
    cr_expect_eq(s->word, 1);
    cr_expect_str_eq(s->words.item[0], "x12");
    cr_expect_eq(s->steps.n, 12);
    cr_expect_eq(s->wait, 12000000000);
    cr_expect_eq(s->numbers.item[0], 12);
    cr_expect_str_eq(s->text, "$key");
    cr_expect_str_eq(config_settings(c)->codec.part->name, "csv");
    cr_expect_str_eq(config_settings(c)->name, "p12");
    config_close(c);
    free(text);
}

Test(expand, errors_stand_at_the_option_and_show_what_was_written)
{
    setenv("EDDY_BAD", "hunter2", 1);
    unsetenv("EDDY_NONE");
    expect_probe_error("count: \"${EDDY_BAD}\"", "count: \"${EDDY_BAD}\" is not a whole number");
    expect_probe_error("word: \"${EDDY_BAD}\"", "word: \"${EDDY_BAD}\" is not one of: red, green, blue");
    expect_probe_error("count: \"${EDDY_NONE:-}\"", "count: is empty: it was written as \"${EDDY_NONE:-}\"");
    expect_errors(MINIMAL "codec: \"${EDDY_BAD}\"\nstate: {path: \"${EDDY_NONE}\"}\n", NULL,
                  (const char *const[]){"configuration:4: codec: unknown codec \"${EDDY_BAD}\"; known: json, csv",
                                        "configuration:5: state.path: the environment variable EDDY_NONE is not set "
                                        "(${EDDY_NONE:-..} would give a default)",
                                        NULL});
    expect_errors(
        "name: \"${EDDY_BAD}!\"\nsource: {kafka: {topics: [a]}}\nsink: kafka\n", NULL,
        (const char *const[]){"configuration:1: name: may hold letters, digits, dot, dash and underscore only, "
                              "got \"${EDDY_BAD}!\"",
                              NULL});
}

Test(expand, an_overridden_value_is_never_expanded)
{
    unsetenv("EDDY_NONE");
    config_close(open_good(MINIMAL "state: {path: \"${EDDY_NONE}\"}\n", (const char *const[]){"state.path=x", NULL}));
}

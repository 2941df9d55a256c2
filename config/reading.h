/* One reading of a configuration: its memory and the problems found so far.
 *
 * Every stage (parser, overrides, option tables, checks) reports its problems here and goes on, so that the user sees
 * all of them at once.  Running out of memory sets `oom`; what was read is worth nothing then.
 * Memory   reading_free() ends everything that was taken.
 * Threads  one reading belongs to one thread. */
#ifndef CONFIG_READING_H
#define CONFIG_READING_H

#include "eddy_buffer.h"
#include "eddy_part.h"

/* Where a value was written: a line of a file, or an override. */
struct place {
    const char *source; /* file name, or "--set a.b=..." */
    int line;           /* 0 = none */
};

struct problem {
    struct place place;
    const char *path; /* option at fault; "" when there is none */
    const char *text; /* the whole message */
    int order;
};

struct reading {
    struct eddy_arena arena;
    const struct eddy_parts *parts;
    const char *const *optional; /* paths of required options that may be missing here; NULL-terminated or NULL */
    bool defaults_only;          /* required options stay unset, and nothing may need memory of its own */
    bool oom;
    int n_problems, cap_problems, n_more; /* n_more were found after the list was full */
    struct problem *problem;
    int n_secrets, cap_secrets;
    const char **secret; /* strings in the settings that are never printed */
};

void *reading_take(struct reading *, size_t bytes); /* zeroed; NULL = out of memory, and oom is set */
char *reading_copy(struct reading *, const char *text, size_t len);
char *reading_format(struct reading *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Makes room for one more item in an array that doubles; the old copy stays in the arena. */
bool reading_grow(struct reading *, void *array, int n, int *cap, size_t item_bytes);
void reading_free(struct reading *);

/* Reports "place: path: what is wrong".  `path` is "" when no option is at fault. */
void reading_problem(struct reading *, struct place, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* True when a problem was reported for the option or for anything inside it. */
bool reading_has_problem(const struct reading *, const char *path);
/* Puts the problems into the order of the file, overrides last. */
void reading_sort(struct reading *);

/* Remembers a string of the settings as secret. */
void reading_keep_secret(struct reading *, const char *text);
bool reading_is_secret(const struct reading *, const char *text);
/* True for names such as "sasl.password", "ssl.key.pem", "API_TOKEN". */
bool name_looks_secret(const char *name);

/* A text for messages, in quotes, cut to 60 bytes. */
const char *reading_quote(struct reading *, const char *text);
/* " (did you mean "x"?)", or "; known: a, b, c" when nothing is near. */
const char *reading_advice(struct reading *, const char *word, const char *const *known);

#endif

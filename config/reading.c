#include "config/reading.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

/* More than these help nobody, and a hostile file could ask for millions. */
enum { MAX_PROBLEMS = 100, QUOTED_BYTES = 60 };

void *reading_take(struct reading *r, size_t bytes)
{
    void *taken = r->oom ? NULL : eddy_arena_take(&r->arena, bytes ? bytes : 1);
    if (!taken)
        r->oom = true;
    else
        memset(taken, 0, bytes ? bytes : 1);
    return taken;
}

char *reading_copy(struct reading *r, const char *text, size_t len)
{
    char *copy = reading_take(r, len + 1);
    if (copy) memcpy(copy, text, len);
    return copy;
}

static char *format_text(struct reading *r, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0) return NULL;
    char *text = reading_take(r, (size_t)len + 1);
    if (text) (void)vsnprintf(text, (size_t)len + 1, format, args);
    return text;
}

char *reading_format(struct reading *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(r, format, args);
    va_end(args);
    return text;
}

bool reading_grow(struct reading *r, void *array, int n, int *cap, size_t item_bytes)
{
    if (n < *cap) return true;
    int more = *cap ? *cap * 2 : 4;
    char *grown = reading_take(r, (size_t)more * item_bytes);
    if (!grown) return false;
    void *old;
    memcpy(&old, array, sizeof(old)); /* `array` is the address of a pointer of any type */
    if (n) memcpy(grown, old, (size_t)n * item_bytes);
    memcpy(array, &grown, sizeof(grown));
    *cap = more;
    return true;
}

void reading_free(struct reading *r)
{
    eddy_arena_free(&r->arena);
    *r = (struct reading){0};
}

/* Names and values of a hostile file must not move the cursor of the terminal that shows the message. */
static void one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F) *text = '?';
}

void reading_problem(struct reading *r, struct place place, const char *path, const char *format, ...)
{
    if (r->n_problems == MAX_PROBLEMS) {
        r->n_more++;
        return;
    }
    va_list args;
    va_start(args, format);
    const char *what = format_text(r, format, args);
    va_end(args);
    if (!what || !reading_grow(r, &r->problem, r->n_problems, &r->cap_problems, sizeof(*r->problem))) return;

    const char *colon = *path ? ": " : "";
    char *text = place.line > 0 ? reading_format(r, "%s:%d: %.300s%s%s", place.source, place.line, path, colon, what)
                                : reading_format(r, "%s: %.300s%s%s", place.source, path, colon, what);
    const char *kept = reading_copy(r, path, strlen(path));
    if (!text || !kept) return;
    one_line(text);
    r->problem[r->n_problems] = (struct problem){place, kept, text, r->n_problems};
    r->n_problems++;
}

bool reading_has_problem(const struct reading *r, const char *path)
{
    size_t len = strlen(path);
    for (int i = 0; i < r->n_problems; i++) {
        const char *at = r->problem[i].path;
        if (strncmp(at, path, len) == 0 && (!at[len] || at[len] == '.')) return true;
    }
    return false;
}

static int problem_order(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;
    if ((x->place.line > 0) != (y->place.line > 0)) return x->place.line > 0 ? -1 : 1;
    if (x->place.line != y->place.line) return x->place.line < y->place.line ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

void reading_sort(struct reading *r)
{
    if (r->n_problems) qsort(r->problem, (size_t)r->n_problems, sizeof(*r->problem), problem_order);
}

void reading_keep_secret(struct reading *r, const char *text)
{
    if (!reading_grow(r, &r->secret, r->n_secrets, &r->cap_secrets, sizeof(*r->secret))) return;
    r->secret[r->n_secrets++] = text;
}

bool reading_is_secret(const struct reading *r, const char *text)
{
    for (int i = 0; i < r->n_secrets; i++)
        if (r->secret[i] == text) return true;
    return false;
}

bool name_looks_secret(const char *name)
{
    static const char *const words[] = {"passw",
                                        "passphrase",
                                        "secret",
                                        "token",
                                        "jaas",
                                        "pem",
                                        "credential",
                                        "api_key",
                                        "apikey",
                                        "api.key",
                                        "private.key",
                                        "authorization",
                                        "auth.user.info",
                                        "oauthbearer.config",
                                        NULL};
    for (int i = 0; words[i]; i++)
        if (strcasestr(name, words[i])) return true;
    return false;
}

const char *reading_quote(struct reading *r, const char *text)
{
    size_t len = strlen(text), kept = len < QUOTED_BYTES ? len : QUOTED_BYTES;
    while (kept < len && kept > 0 && ((unsigned char)text[kept] & 0xC0) == 0x80) kept--; /* whole UTF-8 letters */
    char *copy = reading_copy(r, text, kept);
    if (!copy) return "";
    const char *quoted = reading_format(r, "\"%s%s\"", copy, kept < len ? ".." : "");
    return quoted ? quoted : "";
}

const char *reading_advice(struct reading *r, const char *word, const char *const *known)
{
    const char *near = suggest(word, known);
    const char *advice = NULL;
    if (near) {
        advice = reading_format(r, " (did you mean \"%s\"?)", near);
        return advice ? advice : "";
    }
    for (int i = 0; known[i]; i++)
        advice = reading_format(r, "%s%s%s", advice ? advice : "; known: ", i ? ", " : "", known[i]);
    return advice ? advice : "";
}

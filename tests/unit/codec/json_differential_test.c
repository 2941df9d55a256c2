/* The scanner and jansson must agree on every document: the same ones refused, the same values found.
 *
 * Two differences are known: of fields that nobody wants the scanner lets one name come twice, and jansson overlooks a
 * NUL byte behind a number, which is why the codec scans a record before jansson gets it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/codec/json_general.h"
#include "connectors/codec/json_layout.h"
#include "connectors/codec/json_scan.h"
#include "connectors/codec/number.h"
#include "fixture.h"

enum { DOCUMENTS = 60000, ROOM = 2048 };

struct text {
    char bytes[ROOM];
    size_t len;
};

static void add(struct text *t, const char *s)
{
    size_t n = strlen(s);
    if (t->len + n >= ROOM) return;
    memcpy(t->bytes + t->len, s, n);
    t->len += n;
}

static const char *one_of(uint64_t *seed, const char *const *list, size_t n)
{
    return list[next_random(seed) % n];
}
#define ONE_OF(seed, list) one_of((seed), (list), sizeof(list) / sizeof(*(list)))

static void add_blank(struct text *t, uint64_t *seed)
{
    static const char *const blanks[] = {"", "", "", "", " ", "\n", "\t\r ", "  "};
    add(t, ONE_OF(seed, blanks));
}

static void add_number(struct text *t, uint64_t *seed)
{
    static const char *const odd[] = {"0",
                                      "-0.5",
                                      "1e3",
                                      "1E-7",
                                      "9007199254740993",
                                      "9223372036854775807",
                                      "1e308",
                                      "5e-324",
                                      "9223372036854775808",
                                      "0.1",
                                      "123456789012345678901234567890",
                                      "1e400",
                                      "-1e999",
                                      "0e5"};
    char number[64];
    if (next_random(seed) % 2)
        add(t, ONE_OF(seed, odd));
    else {
        (void)snprintf(number, sizeof(number), "%.*g", (int)(next_random(seed) % 18),
                       (double)(int64_t)next_random(seed) / 1e12);
        add(t, number);
    }
}

static void add_string(struct text *t, uint64_t *seed)
{
    static const char *const pieces[] = {"a",
                                         "key",
                                         "pump-7",
                                         "\\n",
                                         "\\u00e4",
                                         "\\ud83d\\ude00",
                                         "\xC3\xA4",
                                         "\xE2\x82\xAC",
                                         "\xF0\x9F\x98\x80",
                                         "\\\"",
                                         "\\\\",
                                         "/",
                                         "\\/",
                                         " ",
                                         "2020-01-01T00:00:00Z",
                                         "\x7F"};
    add(t, "\"");
    for (uint64_t n = next_random(seed) % 4; n > 0; n--) add(t, ONE_OF(seed, pieces));
    add(t, "\"");
}

static void add_value(struct text *t, uint64_t *seed, int depth)
{
    static const char *const words[] = {"true", "false", "null"};
    switch (next_random(seed) % (depth < 4 ? 8 : 6)) {
    case 0:
    case 1: add_string(t, seed); break;
    case 2: add(t, ONE_OF(seed, words)); break;
    case 6:
        add(t, "[");
        for (uint64_t n = next_random(seed) % 4, i = 0; i < n; i++) {
            if (i) add(t, ",");
            add_blank(t, seed);
            add_value(t, seed, depth + 1);
        }
        add(t, "]");
        break;
    case 7:
        add(t, "{");
        for (uint64_t n = next_random(seed) % 3, i = 0; i < n; i++) {
            add(t, i ? ",\"b\":" : "\"a\":");
            add_value(t, seed, depth + 1);
        }
        add(t, "}");
        break;
    default: add_number(t, seed); break;
    }
}

/* An object with the wanted fields among others, in any order, some of them left out. */
static void make_document(struct text *t, uint64_t *seed)
{
    const char *names[] = {"\"key\"",     "\"ts\"", "\"v\"", "\"w\"", "\"x\"", "\"long name\"", "\"\\u0076\\u0031\"",
                           "\"\xC3\xA4\""};
    enum { N = sizeof(names) / sizeof(*names) };
    for (size_t i = N - 1; i > 0; i--) {
        size_t k = next_random(seed) % (i + 1);
        const char *swap = names[i];
        names[i] = names[k];
        names[k] = swap;
    }
    t->len = 0;
    add_blank(t, seed);
    add(t, "{");
    uint64_t n = next_random(seed) % (N + 1);
    for (uint64_t i = 0; i < n; i++) {
        if (i) add(t, ",");
        add_blank(t, seed);
        add(t, names[i]);
        add_blank(t, seed);
        add(t, ":");
        add_blank(t, seed);
        add_value(t, seed, 1);
        add_blank(t, seed);
    }
    add(t, "}");
    add_blank(t, seed);
}

/* Breaks it a little: a byte changed, taken out, put in, a piece doubled, the end cut off. */
static void mutate(struct text *t, uint64_t *seed)
{
    static const char spice[] = "{}[]:,\"\\0123456789eE+-.tfnu \x00\x1F\x7F\x80\xC0\xED\xF4\xFF";
    size_t at = next_random(seed) % (t->len + 1), rest = t->len - at, n = 1 + next_random(seed) % 8;
    char c = spice[next_random(seed) % (sizeof(spice) - 1)];
    switch (next_random(seed) % 5) {
    case 0:
        if (rest) t->bytes[at] = c;
        break;
    case 1:
        if (n > rest) n = rest;
        memmove(t->bytes + at, t->bytes + at + n, rest - n);
        t->len -= n;
        break;
    case 2:
        if (t->len + 1 >= ROOM) break;
        memmove(t->bytes + at + 1, t->bytes + at, rest);
        t->bytes[at] = c;
        t->len++;
        break;
    case 3:
        if (n > rest) n = rest;
        if (t->len + n >= ROOM) break;
        memmove(t->bytes + at + n, t->bytes + at, rest);
        t->len += n;
        break;
    default: t->len = at; break;
    }
}

static void expect_same_value(const struct text *t, const struct json_field *field, const struct json_value *ours,
                              const struct json_value *theirs)
{
    cr_assert_eq(ours->type, theirs->type, "%s of %.*s: %s and %s", field->name, (int)t->len, t->bytes,
                 json_type_text(ours->type), json_type_text(theirs->type));
    if (ours->type == JSON_TYPE_NUMBER)
        cr_assert(memcmp(&ours->number, &theirs->number, sizeof(double)) == 0, "%s of %.*s: %.17g and %.17g",
                  field->name, (int)t->len, t->bytes, ours->number, theirs->number);
    if (ours->type == JSON_TYPE_NUMBER && field->role < 0) { /* as text it stands for the same number */
        double back = 0;
        cr_assert(number_parse(theirs->text, theirs->text + theirs->len, &back) == theirs->text + theirs->len &&
                  back == ours->number);
    }
    if ((ours->type == JSON_TYPE_STRING || ours->type == JSON_TYPE_BOOL) && field->role < 0)
        cr_assert(ours->len == theirs->len && memcmp(ours->text, theirs->text, ours->len) == 0, "%s of %.*s",
                  field->name, (int)t->len, t->bytes);
}

struct pair {
    struct json_fields_cache cache;
    struct json_scanner scanner;
    const struct json_fields *fields;
    struct eddy_arena arena;
    int n_taken, n_refused;
};

static void compare(struct pair *p, const struct text *t)
{
    struct json_value ours[8], theirs[8];
    struct eddy_error scan_err = {0}, general_err = {0};
    char exact[ROOM + 8];
    memcpy(exact, t->bytes, t->len);
    eddy_arena_reset(&p->arena);
    eddy_status scanned = json_scan(&p->scanner, p->fields, exact, t->len, &p->arena, ours, &scan_err);
    eddy_status loaded = json_general(p->fields, exact, t->len, &p->arena, theirs, &general_err);
    p->n_taken += scanned == EDDY_OK;
    p->n_refused += scanned < 0;
    if (scanned == EDDY_OK && loaded < 0 && strcmp(general_err.reason, "duplicate_field") == 0) return;
    if (memchr(exact, '\0', t->len)) {
        cr_assert_eq(scanned, EDDY_EDATA, "NUL was taken");
        return;
    }
    cr_assert_eq(scanned, loaded, "%.*s: scanner \"%s\", jansson \"%s\"", (int)t->len, t->bytes, scan_err.message,
                 general_err.message);
    for (int i = 0; i < p->fields->n && scanned == EDDY_OK; i++)
        expect_same_value(t, &p->fields->item[i], &ours[i], &theirs[i]);
}

static void pair_open(struct pair *p, const struct json_settings *settings, const struct eddy_limits *limits,
                      const struct eddy_schema *schema)
{
    *p = (struct pair){.cache = {.settings = settings}};
    cr_assert_eq(json_scanner_open(&p->scanner, limits, NULL), EDDY_OK);
    p->fields = json_fields_get(&p->cache, schema);
    cr_assert_not_null(p->fields);
}

static void pair_close(struct pair *p)
{
    json_fields_free(&p->cache);
    json_scanner_close(&p->scanner);
    eddy_arena_free(&p->arena);
}

static const char *const categories[] = {"long name", "v1", "\xC3\xA4"};
static const struct json_settings settings = {
    .key = "key", .time = "ts", .label = "x", .categories = {3, categories}};
static const struct eddy_limits limits = {1 << 20, 1024, 1000, 100000};

Test(json_differential, scanner_and_jansson_agree_on_generated_documents)
{
    static const char *const names[] = {"v", "w"};
    static const struct eddy_schema schema = {
        .n_values = 2, .names = names, .n_categories = 3, .categories = categories};
    struct pair p;
    struct text t;
    uint64_t seed = 42;
    pair_open(&p, &settings, &limits, &schema);
    for (int i = 0; i < DOCUMENTS; i++) {
        make_document(&t, &seed);
        compare(&p, &t);
        for (uint64_t n = next_random(&seed) % 4; n > 0; n--) {
            mutate(&t, &seed);
            compare(&p, &t);
        }
    }
    cr_expect_gt(p.n_taken, DOCUMENTS / 2);
    cr_expect_gt(p.n_refused, DOCUMENTS / 2);
    pair_close(&p);
}

/* Reads t after whatever was read before, and once more as if nothing had been; returns whether the layout of the record
 * before was of use. */
static bool read_with_and_without_a_layout(struct pair *p, const struct text *t)
{
    struct json_value after[8], alone[8];
    struct eddy_error after_err = {0}, alone_err = {0};
    char *exact = malloc(t->len + !t->len);
    cr_assert_not_null(exact);
    memcpy(exact, t->bytes, t->len);
    eddy_arena_reset(&p->arena);
    const bool used = json_layout_read(p->fields->layout, exact, t->len, after);
    const eddy_status rc = json_scan(&p->scanner, p->fields, exact, t->len, &p->arena, after, &after_err);
    p->fields->layout->n = -1;
    cr_assert_eq(json_scan(&p->scanner, p->fields, exact, t->len, &p->arena, alone, &alone_err), rc, "%.*s",
                 (int)t->len, t->bytes);
    cr_assert(!used || rc == EDDY_OK);
    cr_assert_str_eq(after_err.message, alone_err.message);
    for (int i = 0; i < p->fields->n && rc == EDDY_OK; i++) {
        const struct json_value *x = &after[i], *y = &alone[i];
        cr_assert_eq(x->type, y->type, "%.*s", (int)t->len, t->bytes);
        if (x->type == JSON_TYPE_NUMBER) cr_assert(memcmp(&x->number, &y->number, sizeof(x->number)) == 0);
        if (x->type == JSON_TYPE_NUMBER || x->type == JSON_TYPE_STRING || x->type == JSON_TYPE_BOOL)
            cr_assert(x->len == y->len && memcmp(x->text, y->text, x->len) == 0, "%.*s", (int)t->len, t->bytes);
    }
    free(exact);
    return used;
}

Test(json_differential, the_record_before_changes_nothing)
{
    static const char *const names[] = {"v", "w"};
    static const struct eddy_schema schema = {
        .n_values = 2, .names = names, .n_categories = 3, .categories = categories};
    struct pair p;
    struct text t, good;
    uint64_t seed = 43;
    int n_used = 0, n_unused = 0;
    pair_open(&p, &settings, &limits, &schema);
    for (int i = 0; i < DOCUMENTS; i++) {
        make_document(&good, &seed);
        for (int k = 0; k < 4; k++) {
            t = good;
            if (k > 0) mutate(&t, &seed);
            (void)json_scan(&p.scanner, p.fields, good.bytes, good.len, &p.arena, (struct json_value[8]){{0}}, NULL);
            if (read_with_and_without_a_layout(&p, &t))
                n_used++;
            else
                n_unused++;
        }
    }
    cr_expect_gt(n_used, DOCUMENTS / 4, "%d", n_used);
    cr_expect_gt(n_unused, DOCUMENTS, "%d", n_unused);
    pair_close(&p);
}

Test(json_differential, scanner_and_jansson_agree_on_every_one_and_two_byte_value)
{
    static const char *const names[] = {"v"};
    static const struct eddy_schema schema = {.n_values = 1, .names = names};
    struct pair p;
    pair_open(&p, &settings, &limits, &schema);
    for (int a = 0; a < 256; a++)
        for (int b = -1; b < 256; b++) {
            static const char *const frames[][2] = {{"{\"v\":", "}"}, {"{\"x\":", "}"}, {"{\"key\":\"", "\"}"}};
            for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
                struct text t = {0};
                add(&t, frames[i][0]);
                t.bytes[t.len++] = (char)a;
                if (b >= 0) t.bytes[t.len++] = (char)b;
                add(&t, frames[i][1]);
                compare(&p, &t);
            }
        }
    pair_close(&p);
}

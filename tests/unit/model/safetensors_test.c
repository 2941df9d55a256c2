#include "engine/model/safetensors.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/little_endian.h"
#include "eddy_layer.h"

/* A file of that header with n bytes of data, all 0. */
static void make_file(struct eddy_buffer *b, const char *header, size_t n)
{
    char length[8];
    b->len = 0;
    le_put_u64(length, strlen(header));
    cr_assert_eq(eddy_buffer_append(b, length, 8), EDDY_OK);
    cr_assert_eq(eddy_buffer_append(b, header, strlen(header)), EDDY_OK);
    cr_assert_eq(eddy_buffer_reserve(b, n + 1), EDDY_OK);
    memset(b->data + b->len, 0, n);
    b->len += n;
}

static void some_file(struct eddy_buffer *b)
{
    static const float matrix[] = {1, -2, 0.5f, 1e-30f, 3e38f, -0.0f}, vector[] = {7, 8};
    const struct safetensors_text texts[] = {{"format", "eddy"}, {"note", "a \"quoted\" line\nand \xc3\xa4"}};
    const struct safetensors_part parts[] = {{"a.weight", {2, {2, 3}}, matrix},
                                             {"a.bias", {1, {2}}, vector},
                                             {"none", {2, {0, 4}}, NULL},
                                             {"one", {0, {0}}, NULL}};
    b->len = 0;
    cr_assert_eq(safetensors_write(texts, 2, parts, 4, b, NULL), EDDY_OK);
}

/* A copy of just n bytes, so that the sanitizer sees a read behind them; opens and looks at all of it. */
static eddy_status try_bytes(const char *bytes, size_t n, struct eddy_error *err)
{
    struct safetensors *f;
    char *copy = malloc(n ? n : 1);
    cr_assert(copy);
    memcpy(copy, bytes, n);
    eddy_status rc = safetensors_open("FILE", copy, n, &f, err);
    volatile double sum = 0;
    for (int i = 0; rc >= 0 && i < f->n; i++)
        for (size_t k = 0; k < f->tensors[i].n; k++) sum += safetensors_number(&f->tensors[i], k);
    (void)sum;
    cr_assert((rc == EDDY_OK) == (f != NULL));
    safetensors_close(f);
    free(copy);
    return rc;
}

Test(safetensors, what_was_written_is_read)
{
    struct eddy_buffer b = {0};
    struct safetensors *f;
    some_file(&b);
    cr_assert_eq(le_get_u64(b.data) % 8, 0);
    cr_assert_eq(safetensors_open("FILE", b.data, b.len, &f, NULL), EDDY_OK);
    cr_assert_eq(f->n, 4);
    cr_assert_str_eq(safetensors_metadata(f, "format"), "eddy");
    cr_assert_str_eq(safetensors_metadata(f, "note"), "a \"quoted\" line\nand \xc3\xa4");
    cr_assert_null(safetensors_metadata(f, "nothing"));
    cr_assert_null(safetensors_find(f, "a"));
    const struct safetensor *a = safetensors_find(f, "a.weight"), *one = safetensors_find(f, "one");
    char text[32];
    safetensors_shape_text(&a->shape, text, sizeof(text));
    cr_assert_str_eq(text, "[2, 3]");
    cr_assert_eq(a->n, 6);
    cr_assert(safetensors_number(a, 1) == -2 && safetensors_number(a, 4) == (double)3e38f);
    cr_assert(signbit(safetensors_number(a, 5)));
    cr_assert(one->n == 1 && one->shape.n == 0 && safetensors_number(one, 0) == 0);
    cr_assert_eq(safetensors_find(f, "none")->n, 0);
    safetensors_close(f);
    safetensors_close(NULL);
    eddy_buffer_free(&b);
}

Test(safetensors, doubles_are_read_too)
{
    struct eddy_buffer b = {0};
    struct safetensors *f;
    make_file(&b, "{\"d\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]}} \n", 16);
    le_put_f64(b.data + b.len - 16, 0.1);
    le_put_f64(b.data + b.len - 8, 1e300);
    cr_assert_eq(safetensors_open("FILE", b.data, b.len, &f, NULL), EDDY_OK);
    cr_assert(safetensors_number(&f->tensors[0], 0) == 0.1 && safetensors_number(&f->tensors[0], 1) == 1e300);
    safetensors_close(f);
    eddy_buffer_free(&b);
}

Test(safetensors, an_empty_header_is_a_file_without_tensors)
{
    struct eddy_buffer b = {0};
    make_file(&b, "{}", 0);
    cr_assert_eq(try_bytes(b.data, b.len, NULL), EDDY_OK);
    eddy_buffer_free(&b);
}

Test(safetensors, every_truncation_is_refused)
{
    struct eddy_buffer b = {0};
    struct eddy_error err;
    some_file(&b);
    cr_assert_eq(try_bytes(b.data, b.len, NULL), EDDY_OK);
    for (size_t n = 0; n < b.len; n++) {
        cr_assert_lt(try_bytes(b.data, n, &err), 0, "%zu bytes", n);
        cr_assert_eq(strncmp(err.message, "FILE: ", 6), 0, "%s", err.message);
    }
    cr_assert_eq(eddy_buffer_append(&b, "x", 1), EDDY_OK);
    cr_assert_eq(try_bytes(b.data, b.len, &err), EDDY_ECORRUPT);
    eddy_buffer_free(&b);
}

Test(safetensors, no_flipped_bit_does_harm)
{
    struct eddy_buffer b = {0};
    some_file(&b);
    for (size_t bit = 0; bit < 8 * b.len; bit++) {
        b.data[bit / 8] = (char)(b.data[bit / 8] ^ 1 << bit % 8);
        (void)try_bytes(b.data, b.len, NULL);
        b.data[bit / 8] = (char)(b.data[bit / 8] ^ 1 << bit % 8);
    }
    for (uint64_t round = 0; round < 3000; round++) { /* and several at once */
        some_file(&b);
        for (uint64_t k = 0; k < 1 + round % 6; k++) {
            const uint64_t draw = eddy_random_bits(round, k);
            b.data[draw % b.len] = (char)(draw >> 40);
        }
        (void)try_bytes(b.data, b.len, NULL);
    }
    eddy_buffer_free(&b);
}

/* One tensor "t" of 4 floats in 16 bytes, but for what the case says. */
static const struct {
    const char *header, *says;
    size_t bytes;
} refused[] = {
    {"[]", "no JSON object", 0},
    {"", "no JSON", 0},
    {"{\"t\":1}", "no object", 0},
    {"{\"t\":{\"shape\":[4],\"data_offsets\":[0,16]}}", "no dtype", 16},
    {"{\"t\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]}}", "only F32 and F64", 16},
    {"{\"t\":{\"dtype\":\"F32\",\"data_offsets\":[0,16]}}", "shape", 16},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]}}", "shape", 16},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[4.0],\"data_offsets\":[0,16]}}", "shape", 16},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,4],\"data_offsets\":[0,16]}}", "shape", 16},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4],\"data_offsets\":[0,16]}}", "shape", 16},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}", "fit its shape", 4},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,12]}}", "fit its shape", 16},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}", "within the file", 16},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,9223372036854775807]}}", "within the file", 16},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[4,20]}}", "within the file", 16},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0]}}", "within the file", 16},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[4,20]}}", "hole", 20},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", "belong to no tensor", 20},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"u\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
     "overlap", 12},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     "no JSON: duplicate", 8},
    {"{\"t\\n\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "control characters", 4},
    {"{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "empty", 4},
    {"{\"__metadata__\":{\"a\":1}}", "no object of texts", 0},
    {"{\"__metadata__\":[]}", "no object of texts", 0},
};

Test(safetensors, what_the_format_does_not_allow_is_refused_by_name)
{
    struct eddy_buffer b = {0};
    struct eddy_error err;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        make_file(&b, refused[i].header, refused[i].bytes);
        cr_expect_lt(try_bytes(b.data, b.len, &err), 0, "%s", refused[i].header);
        cr_expect(strstr(err.message, refused[i].says), "%s: %s", refused[i].header, err.message);
    }
    eddy_buffer_free(&b);
}

Test(safetensors, a_header_longer_than_the_limit_is_not_even_parsed)
{
    struct eddy_error err;
    char length[16] = {0};
    le_put_u64(length, SAFETENSORS_MAX_HEADER + 1);
    cr_assert_eq(try_bytes(length, sizeof(length), &err), EDDY_ECORRUPT);
    le_put_u64(length, UINT64_MAX);
    cr_assert_eq(try_bytes(length, sizeof(length), &err), EDDY_ECORRUPT);
}

Test(safetensors, a_deep_header_is_refused)
{
    enum { DEPTH = 100000 };
    struct eddy_buffer b = {0};
    char *deep = malloc(DEPTH + 1);
    cr_assert(deep);
    memset(deep, '[', DEPTH);
    deep[DEPTH] = 0;
    make_file(&b, deep, 0);
    cr_assert_eq(try_bytes(b.data, b.len, NULL), EDDY_ECORRUPT);
    free(deep);
    eddy_buffer_free(&b);
}

Test(safetensors, a_text_that_is_no_utf8_cannot_be_written)
{
    struct eddy_buffer b = {0};
    const struct safetensors_text text = {"values", "\xff\xfe"};
    cr_assert_eq(safetensors_write(&text, 1, NULL, 0, &b, NULL), EDDY_EINVAL);
    eddy_buffer_free(&b);
}

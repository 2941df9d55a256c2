#include "engine/model/model_file.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/little_endian.h"
#include "tests/unit/model/fixture.h"

/* A network with weights, and the file of them. */
struct written {
    struct test_network t;
    float *params, *back; /* [n_params] */
    struct eddy_buffer file;
    struct eddy_error err;
};

static void write_network(struct written *w, const char *layers, int n_in, int n_out)
{
    *w = (struct written){0};
    test_network_open(&w->t, layers, n_in, n_out);
    w->params = test_floats(w->t.net->n_params);
    w->back = test_floats(w->t.net->n_params);
    test_fill(w->params, w->t.net->n_params, 5, 1);
    cr_assert_eq(model_file_encode(w->t.model, w->params, NULL, 0, &w->file, &w->err), EDDY_OK, "%s", w->err.message);
}

static eddy_status read_network(struct written *w)
{
    return model_file_decode(w->t.model, "FILE", w->file.data, w->file.len, w->back, &w->err);
}

static void free_network(struct written *w)
{
    free(w->params);
    free(w->back);
    eddy_buffer_free(&w->file);
    test_network_close(&w->t);
}

/* Writes another number into the file. */
static void put_number(struct written *w, const char *name, size_t i, float v)
{
    struct safetensors *f;
    cr_assert_eq(safetensors_open("FILE", w->file.data, w->file.len, &f, NULL), EDDY_OK);
    const struct safetensor *t = safetensors_find(f, name);
    cr_assert(t && i < t->n, "%s", name);
    le_put_floats((void *)(uintptr_t)(t->data + 4 * i), &v, 1);
    safetensors_close(f);
}

static void assert_shape(const struct written *w, const char *name, const char *shape)
{
    struct safetensors *f;
    char text[64];
    cr_assert_eq(safetensors_open("FILE", w->file.data, w->file.len, &f, NULL), EDDY_OK);
    const struct safetensor *t = safetensors_find(f, name);
    cr_assert(t, "%s", name);
    safetensors_shape_text(&t->shape, text, sizeof(text));
    cr_assert_str_eq(text, shape, "%s is %s", name, text);
    safetensors_close(f);
}

Test(model_file, all_weights_come_back_bit_by_bit)
{
    static const char *const stacks[] = {
        "lstm:5 gru:4 dense_relu:3",           "rnn:3",
        "gru: {units: 2, bias: single}",       "dense:1 gru:1 lstm:1",
        "[{conv1d: {filters: 4, kernel: 3}}]", "[{lags: {steps: 3}}, {dense: {units: 2}}]",
        "[{bidirectional: {layer: lstm}}]",    "[gru, {decoder: {layer: {lstm: {units: 3}}}}]"};
    for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++) {
        struct written w;
        write_network(&w, stacks[i], 2, 3);
        w.params[w.t.net->n_params - 1] = -0.0f;
        w.file.len = 0;
        cr_assert_eq(model_file_encode(w.t.model, w.params, NULL, 0, &w.file, NULL), EDDY_OK);
        cr_assert_eq(read_network(&w), EDDY_OK, "%s", w.err.message);
        cr_assert_eq(memcmp(w.params, w.back, w.t.net->n_params * sizeof(float)), 0, "%s", stacks[i]);
        free_network(&w);
    }
}

Test(model_file, names_and_shapes_are_those_of_pytorch)
{
    struct written w;
    write_network(&w, "lstm:5 gru:4 dense_relu:1", 1, 3);
    assert_shape(&w, "layers.0.weight_ih_l0", "[20, 1]");
    assert_shape(&w, "layers.0.weight_hh_l0", "[20, 5]");
    assert_shape(&w, "layers.0.bias_ih_l0", "[20]");
    assert_shape(&w, "layers.0.bias_hh_l0", "[20]");
    assert_shape(&w, "layers.1.bias_hh_l0", "[12]");
    assert_shape(&w, "layers.2.weight", "[1, 4]");
    assert_shape(&w, "layers.2.bias", "[1]");
    assert_shape(&w, "head.weight", "[3, 1]");
    assert_shape(&w, "head.bias", "[3]");
    free_network(&w);
    write_network(&w, "[{conv1d: {filters: 4, kernel: 3}}]", 2, 1);
    assert_shape(&w, "layers.0.weight", "[4, 2, 3]");
    free_network(&w);
    write_network(&w, "[{conv1d: {filters: 4, kernel: 1}}]", 1, 1);
    assert_shape(&w, "layers.0.weight", "[4, 1, 1]");
    free_network(&w);
    write_network(&w, "[{bidirectional: {layer: {gru: {units: 2}}}}]", 1, 1);
    assert_shape(&w, "layers.0.weight_ih_l0", "[6, 1]");
    assert_shape(&w, "layers.0.weight_ih_l0_reverse", "[6, 1]");
    assert_shape(&w, "layers.0.bias_hh_l0_reverse", "[6]");
    free_network(&w);
    write_network(&w, "[{bidirectional: {layer: {lstm: {units: 2}}}}]", 1, 1);
    assert_shape(&w, "layers.0.bias_hh_l0", "[8]");
    assert_shape(&w, "layers.0.bias_hh_l0_reverse", "[8]");
    free_network(&w);
    write_network(&w, "[{gru: {units: 1}}, {decoder: {layer: {gru: {units: 1}}}}]", 1, 1);
    assert_shape(&w, "layers.0.weight_ih_l0", "[3, 1]");
    assert_shape(&w, "head.weight_hh_l0", "[3, 1]");
    assert_shape(&w, "head.weight_start", "[1, 1]");
    assert_shape(&w, "head.weight_out", "[1, 1]");
    free_network(&w);
}

Test(model_file, a_second_bias_is_added_to_the_first)
{
    struct written w;
    write_network(&w, "lstm:5", 2, 1);
    const size_t bias = 20 * 2 + 20 * 5;
    put_number(&w, "layers.0.bias_hh_l0", 7, 0.25f);
    cr_assert_eq(read_network(&w), EDDY_OK, "%s", w.err.message);
    cr_assert(w.back[bias + 7] == w.params[bias + 7] + 0.25f);
    w.back[bias + 7] = w.params[bias + 7];
    cr_assert_eq(memcmp(w.params, w.back, w.t.net->n_params * sizeof(float)), 0);
    put_number(&w, "layers.0.bias_hh_l0", 7, INFINITY);
    cr_assert_eq(read_network(&w), EDDY_ECORRUPT);
    free_network(&w);
}

Test(model_file, a_gru_with_one_bias_takes_a_second_one_but_not_for_its_new_gate)
{
    enum { BIAS = 6 * 1 + 6 * 2 };
    struct written w;
    write_network(&w, "gru: {units: 2, bias: single}", 1, 1);
    put_number(&w, "layers.0.bias_hh_l0", 0, 10);
    put_number(&w, "layers.0.bias_hh_l0", 3, 20);
    cr_assert_eq(read_network(&w), EDDY_OK, "%s", w.err.message);
    cr_assert(w.back[BIAS] == w.params[BIAS] + 10 && w.back[BIAS + 3] == w.params[BIAS + 3] + 20);
    cr_assert(w.back[BIAS + 1] == w.params[BIAS + 1] && w.back[BIAS + 5] == w.params[BIAS + 5]);
    put_number(&w, "layers.0.bias_hh_l0", 4, 1e-3f);
    cr_assert_eq(read_network(&w), EDDY_EMISMATCH);
    cr_assert(strstr(w.err.message, "layers.0.bias_hh_l0") && strstr(w.err.message, "new gate"), "%s", w.err.message);
    free_network(&w);
}

Test(model_file, several_networks_stand_under_their_names)
{
    struct test_network a, b;
    struct model *both;
    struct eddy_buffer file = {0};
    struct eddy_error err;
    test_network_open(&a, "gru:3", 2, 1);
    test_network_open(&b, "dense:3", 2, 2);
    const char *const names[] = {"fast", "slow"};
    struct network *const nets[] = {a.net, b.net};
    cr_assert_eq(model_open(names, nets, 2, &both, NULL), EDDY_OK);
    float *params = test_floats(both->n_params), *back = test_floats(both->n_params);
    test_fill(params, both->n_params, 1, 1);
    cr_assert_eq(model_file_encode(both, params, NULL, 0, &file, NULL), EDDY_OK);
    cr_assert_eq(model_file_decode(both, "FILE", file.data, file.len, back, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(memcmp(params, back, both->n_params * sizeof(float)), 0);
    cr_assert_eq(model_file_decode(a.model, "FILE", file.data, file.len, back, &err), EDDY_EMISMATCH);
    cr_assert(strstr(err.message, "lacks layers.0.weight_ih_l0") &&
                  strstr(err.message, "fast.layers.0.weight_ih_l0 is none"),
              "%s", err.message);
    cr_assert(strstr(err.message, "more"), "%s", err.message);
    free(params);
    free(back);
    eddy_buffer_free(&file);
    model_close(both);
    test_network_close(&a);
    test_network_close(&b);
}

Test(model_file, another_networks_file_is_refused_with_the_shapes)
{
    struct written w, other;
    write_network(&w, "gru:4", 2, 1);
    write_network(&other, "gru:5", 2, 1);
    cr_assert_eq(model_file_decode(other.t.model, "FILE", w.file.data, w.file.len, other.back, &w.err),
                 EDDY_EMISMATCH);
    cr_assert(strstr(w.err.message, "layers.0.weight_hh_l0 is [12, 4], the configured network has [15, 5]"), "%s",
              w.err.message);
    cr_assert(strstr(w.err.message, "head.weight"), "%s", w.err.message);
    free_network(&w);
    free_network(&other);
}

Test(model_file, numbers_that_are_none_are_refused)
{
    struct written w;
    write_network(&w, "gru:4", 2, 1);
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        put_number(&w, "head.weight", 3, bad[i]);
        cr_assert_eq(read_network(&w), EDDY_ECORRUPT);
        cr_assert(strstr(w.err.message, "\"head.weight\": number 3 is not finite"), "%s", w.err.message);
    }
    put_number(&w, "head.weight", 3, 1);
    cr_assert_eq(read_network(&w), EDDY_OK);
    free_network(&w);
}

/* The same file with every number as a double. */
static void as_doubles(const struct eddy_buffer *from, struct eddy_buffer *to)
{
    struct safetensors *f;
    char header[4000] = "{", bytes[8];
    size_t at = 1, place = 0;
    cr_assert_eq(safetensors_open("FILE", from->data, from->len, &f, NULL), EDDY_OK);
    for (int i = 0; i < f->n; i++) {
        char shape[64];
        const struct safetensor *t = &f->tensors[i];
        safetensors_shape_text(&t->shape, shape, sizeof(shape));
        at += (size_t)snprintf(header + at, sizeof(header) - at,
                               "%s\"%s\":{\"dtype\":\"F64\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                               i > 0 ? "," : "", t->name, shape, place, place + 8 * t->n);
        place += 8 * t->n;
    }
    at += (size_t)snprintf(header + at, sizeof(header) - at, "}");
    cr_assert_lt(at, sizeof(header));
    le_put_u64(bytes, at);
    cr_assert(eddy_buffer_append(to, bytes, 8) >= 0 && eddy_buffer_append(to, header, at) >= 0);
    for (int i = 0; i < f->n; i++)
        for (size_t k = 0; k < f->tensors[i].n; k++) {
            le_put_f64(bytes, safetensors_number(&f->tensors[i], k));
            cr_assert_eq(eddy_buffer_append(to, bytes, 8), EDDY_OK);
        }
    safetensors_close(f);
}

Test(model_file, doubles_are_converted_and_must_fit)
{
    struct written w;
    struct eddy_buffer doubles = {0};
    write_network(&w, "lstm:3", 2, 1);
    as_doubles(&w.file, &doubles);
    cr_assert_eq(model_file_decode(w.t.model, "FILE", doubles.data, doubles.len, w.back, &w.err), EDDY_OK, "%s",
                 w.err.message);
    cr_assert_eq(memcmp(w.params, w.back, w.t.net->n_params * sizeof(float)), 0);
    le_put_f64(doubles.data + doubles.len - 8, 1e300);
    cr_assert_eq(model_file_decode(w.t.model, "FILE", doubles.data, doubles.len, w.back, &w.err), EDDY_ECORRUPT);
    eddy_buffer_free(&doubles);
    free_network(&w);
}

Test(model_file, no_flipped_bit_gives_a_number_that_is_none)
{
    struct written w;
    write_network(&w, "gru:2", 1, 1);
    for (size_t bit = 0; bit < 8 * w.file.len; bit++) {
        w.file.data[bit / 8] = (char)(w.file.data[bit / 8] ^ 1 << bit % 8);
        if (read_network(&w) >= 0)
            for (size_t i = 0; i < w.t.net->n_params; i++) cr_assert(isfinite(w.back[i]));
        w.file.data[bit / 8] = (char)(w.file.data[bit / 8] ^ 1 << bit % 8);
    }
    free_network(&w);
}

Test(model_file, is_saved_in_one_piece_and_loaded)
{
    char path[] = "/tmp/eddy-model-XXXXXX";
    struct eddy_buffer back = {0};
    struct written w;
    struct eddy_error err;
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    write_network(&w, "gru:40", 20, 1);
    cr_assert_eq(model_file_save(path, &w.file, &err), EDDY_OK, "%s", err.message);
    cr_assert_eq(model_file_load(path, &back, &err), EDDY_OK, "%s", err.message);
    cr_assert(back.len == w.file.len && memcmp(back.data, w.file.data, back.len) == 0);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(model_file_load(path, &back, &err), EDDY_ENOTFOUND);
    cr_assert(strstr(err.message, path));
    cr_assert_eq(model_file_load("/", &back, &err), EDDY_EIO);
    cr_assert_eq(model_file_save("/nowhere/at/all", &w.file, &err), EDDY_ENOTFOUND);
    eddy_buffer_free(&back);
    free_network(&w);
}

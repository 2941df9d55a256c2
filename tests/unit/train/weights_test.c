#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/train/weights.h"
#include "tests/unit/train/fixture.h"

enum { HEADER_BYTES = 40 + 64, HEALTH_BYTES = 16 }; /* of one network; of each of its tensors */

static struct weights *some_weights(const struct model *model)
{
    struct weights *initial, *w;
    cr_assert_eq(weights_initial(model, 42, &initial, NULL), EDDY_OK);
    w = weights_next(model, initial);
    cr_assert(w);
    const size_t n = model->n_params;
    struct train_state s = weights_train_state(w, &model->slices[0], 0);
    test_fill(s.master, n, 1, 1);
    test_fill(s.moment, n, 2, 1);
    test_fill(s.ema, n, 3, 1);
    for (size_t i = 0; i < n; i++) s.variance[i] = eddy_random_uniform(4, i);
    w->version = 77;
    *weights_progress(w, 0) = (struct train_progress){12345678901, 3, 0.25, NAN, {1, -2, 3, 0.5}};
    for (int i = 0; i < model->n_tensors; i++) weights_health(w)[i] = (struct train_health){i + 1, 1.0 / (i + 1)};
    weights_pack_all(model, w);
    weights_unref(initial);
    return w;
}

static void assert_same(const struct model *model, const struct weights *a, const struct weights *b)
{
    const size_t bytes = model->n_params * sizeof(float);
    cr_assert_eq(memcmp(a->master, b->master, bytes), 0);
    cr_assert_eq(memcmp(a->moment, b->moment, bytes), 0);
    cr_assert_eq(memcmp(a->variance, b->variance, bytes), 0);
    cr_assert_eq(memcmp(a->ema, b->ema, bytes), 0);
    cr_assert_eq(memcmp(a->packed, b->packed, model->n_packed * sizeof(float)), 0);
    cr_assert_eq(a->n_networks, b->n_networks);
    for (int k = 0; k < a->n_networks; k++) {
        const struct train_progress *x = &a->progress[k], *y = &b->progress[k];
        cr_assert(x->steps == y->steps && x->refused == y->refused);
        cr_assert(memcmp(&x->loss, &y->loss, sizeof(double)) == 0 && isnan(x->grad_norm) == isnan(y->grad_norm));
    }
}

Test(weights, the_initial_ones_depend_on_the_seed_alone)
{
    struct test_network t;
    struct weights *a, *b, *c;
    test_network_open(&t, "gru:5", 3, 1);
    cr_assert_eq(weights_initial(t.model, 1, &a, NULL), EDDY_OK);
    cr_assert_eq(weights_initial(t.model, 1, &b, NULL), EDDY_OK);
    cr_assert_eq(weights_initial(t.model, 2, &c, NULL), EDDY_OK);
    assert_same(t.model, a, b);
    cr_assert_neq(memcmp(a->master, c->master, t.net->n_params * sizeof(float)), 0);
    cr_assert_eq(a->version, 0);
    cr_assert(isnan(a->progress[0].loss) && isnan(a->progress[0].grad_norm));
    cr_assert_eq(a->n_params, t.net->n_params);
    weights_unref(a);
    weights_unref(b);
    weights_unref(c);
    weights_unref(NULL);
    test_network_close(&t);
}

Test(weights, the_last_reference_frees)
{
    struct test_network t;
    struct weights *w;
    test_network_open(&t, "gru:5", 3, 1);
    cr_assert_eq(weights_initial(t.model, 1, &w, NULL), EDDY_OK);
    cr_assert_eq(weights_ref(w), w);
    weights_unref(w);
    cr_assert_eq(w->version, 0); /* still there; the sanitizer build would tell */
    weights_unref(w);
    test_network_close(&t);
}

Test(weights, read_back_as_they_were_written)
{
    struct test_network t;
    struct eddy_buffer bytes = {0};
    struct weights *w, *back;
    test_network_open(&t, "lstm:5 gru:3", 3, 2);
    w = some_weights(t.model);
    cr_assert_eq(eddy_buffer_append(&bytes, "prefix", 6), EDDY_OK); /* it appends */
    cr_assert_eq(weights_encode(w, &bytes, NULL), EDDY_OK);
    cr_assert_eq(weights_decode(t.model, bytes.data + 6, bytes.len - 6, &back, NULL), EDDY_OK);
    cr_assert_eq(back->version, 77);
    assert_same(t.model, w, back);
    cr_assert_eq(memcmp(&w->progress[0].pace, &back->progress[0].pace, sizeof(struct train_pace)), 0);
    cr_assert_eq(memcmp(w->health, back->health, (size_t)w->n_tensors * sizeof(*w->health)), 0);
    weights_unref(w);
    weights_unref(back);
    eddy_buffer_free(&bytes);
    test_network_close(&t);
}

static void sign(struct eddy_buffer *bytes)
{
    const uint64_t sum = XXH3_64bits(bytes->data, bytes->len - 8);
    memcpy(bytes->data + bytes->len - 8, &sum, 8);
}

static void cut(struct eddy_buffer *bytes, size_t from, size_t to)
{
    memmove(bytes->data + from, bytes->data + to, bytes->len - to);
    bytes->len -= to - from;
}

/* Format 1: no counts behind that of the weights, four figures of its one network, none of tensors. */
Test(weights, those_of_format_1_are_still_read)
{
    struct test_network t;
    struct eddy_buffer bytes = {0};
    struct weights *w, *back;
    test_network_open(&t, "gru:3", 3, 2);
    w = some_weights(t.model);
    cr_assert_eq(weights_encode(w, &bytes, NULL), EDDY_OK);
    bytes.data[4] = 1;
    cut(&bytes, 40 + 32, HEADER_BYTES + (size_t)t.model->n_tensors * HEALTH_BYTES);
    cut(&bytes, 24, 40);
    cr_assert_eq(bytes.len, 56 + 4 * t.model->n_params * sizeof(float) + 8);
    sign(&bytes);
    cr_assert_eq(weights_decode(t.model, bytes.data, bytes.len, &back, NULL), EDDY_OK);
    assert_same(t.model, w, back);
    cr_assert(back->progress[0].pace.share == 0 && isnan(back->health[0].grad_norm));
    weights_unref(w);
    weights_unref(back);
    eddy_buffer_free(&bytes);
    test_network_close(&t);
}

Test(weights, another_count_of_tensors_costs_their_figures_and_nothing_else)
{
    struct test_network t;
    struct eddy_buffer bytes = {0};
    struct weights *w, *back;
    test_network_open(&t, "gru:3", 3, 2);
    w = some_weights(t.model);
    cr_assert_eq(weights_encode(w, &bytes, NULL), EDDY_OK);
    bytes.data[32]--;
    cut(&bytes, HEADER_BYTES, HEADER_BYTES + HEALTH_BYTES);
    sign(&bytes);
    cr_assert_eq(weights_decode(t.model, bytes.data, bytes.len, &back, NULL), EDDY_OK);
    assert_same(t.model, w, back);
    for (int i = 0; i < back->n_tensors; i++) cr_assert(isnan(back->health[i].grad_norm));
    weights_unref(w);
    weights_unref(back);
    eddy_buffer_free(&bytes);
    test_network_close(&t);
}

/* A small network's bytes, to be damaged. */
struct damage {
    struct test_network t;
    struct eddy_buffer bytes;
    struct eddy_error err;
};

static void damage_open(struct damage *d)
{
    memset(d, 0, sizeof(*d));
    test_network_open(&d->t, "gru:2", 1, 1);
    struct weights *w = some_weights(d->t.model);
    cr_assert_eq(weights_encode(w, &d->bytes, NULL), EDDY_OK);
    weights_unref(w);
}

static eddy_status damage_decode(struct damage *d, size_t n)
{
    struct weights *w = NULL;
    char *exact = malloc(n ? n : 1); /* so that reading past the end shows */
    cr_assert(exact);
    memcpy(exact, d->bytes.data, n);
    eddy_status rc = weights_decode(d->t.model, exact, n, &w, &d->err);
    cr_assert((rc == EDDY_OK) == (w != NULL));
    weights_unref(w);
    free(exact);
    return rc;
}

static void damage_close(struct damage *d)
{
    eddy_buffer_free(&d->bytes);
    test_network_close(&d->t);
}

/* After a change that the checksum is to miss. */
static void damage_sign(struct damage *d)
{
    sign(&d->bytes);
}

Test(weights, truncation_at_any_length_is_refused)
{
    struct damage d;
    damage_open(&d);
    for (size_t n = 0; n < d.bytes.len; n++) cr_assert_eq(damage_decode(&d, n), EDDY_ECORRUPT, "%zu bytes", n);
    cr_assert_eq(damage_decode(&d, d.bytes.len), EDDY_OK);
    damage_close(&d);
}

Test(weights, every_flipped_bit_is_refused)
{
    struct damage d;
    damage_open(&d);
    for (size_t bit = 0; bit < 8 * d.bytes.len; bit++) {
        d.bytes.data[bit / 8] ^= (char)(1 << bit % 8);
        const eddy_status rc = damage_decode(&d, d.bytes.len);
        cr_assert(rc == EDDY_ECORRUPT || rc == EDDY_EVERSION, "bit %zu: %d", bit, rc);
        d.bytes.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    damage_close(&d);
}

Test(weights, numbers_that_cannot_be_are_refused_even_with_a_good_checksum)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    struct damage d;
    damage_open(&d);
    const size_t n = d.t.net->n_params, arrays = HEADER_BYTES + (size_t)d.t.model->n_tensors * HEALTH_BYTES;
    for (size_t array = 0; array < 4; array++)
        for (int i = 0; i < 3; i++) {
            char *at = d.bytes.data + arrays + (array * n + n / 2) * sizeof(float), kept[4];
            memcpy(kept, at, 4);
            memcpy(at, &bad[i], 4);
            damage_sign(&d);
            cr_assert_eq(damage_decode(&d, d.bytes.len), EDDY_ECORRUPT);
            memcpy(at, kept, 4);
        }
    const float negative = -1;
    const double pace = NAN;
    memcpy(d.bytes.data + 40 + 32, &pace, 8);
    damage_sign(&d);
    cr_assert_eq(damage_decode(&d, d.bytes.len), EDDY_ECORRUPT);
    memset(d.bytes.data + 40 + 32, 0, 8);
    damage_sign(&d);
    cr_assert_eq(damage_decode(&d, d.bytes.len), EDDY_OK);
    memcpy(d.bytes.data + arrays + 2 * n * sizeof(float), &negative, 4); /* a variance */
    damage_sign(&d);
    cr_assert_eq(damage_decode(&d, d.bytes.len), EDDY_ECORRUPT);
    damage_close(&d);
}

Test(weights, counts_that_do_not_fit_the_bytes_are_refused)
{
    static const uint64_t counts[] = {0, 1, UINT64_MAX, UINT64_MAX / 16 + 2};
    struct damage d;
    damage_open(&d);
    for (size_t at = 16; at < 40; at += 8)
        for (int i = 0; i < 4; i++) {
            char kept[8];
            memcpy(kept, d.bytes.data + at, 8);
            if (memcmp(kept, &counts[i], 8) == 0) continue; /* there is 1 network */
            memcpy(d.bytes.data + at, &counts[i], 8);
            damage_sign(&d);
            cr_assert_eq(damage_decode(&d, d.bytes.len), EDDY_ECORRUPT);
            memcpy(d.bytes.data + at, kept, 8);
        }
    damage_close(&d);
}

Test(weights, a_newer_format_is_told_apart_from_damage)
{
    struct damage d;
    damage_open(&d);
    d.bytes.data[4] = 3;
    damage_sign(&d);
    cr_assert_eq(damage_decode(&d, d.bytes.len), EDDY_EVERSION);
    cr_assert(strstr(d.err.message, "newer"));
    damage_close(&d);
}

Test(weights, those_of_another_network_are_refused_with_both_sizes)
{
    struct damage d;
    struct test_network other;
    struct weights *w;
    damage_open(&d);
    test_network_open(&other, "gru:3", 1, 1);
    cr_assert_eq(weights_decode(other.model, d.bytes.data, d.bytes.len, &w, &d.err), EDDY_EMISMATCH);
    cr_assert_null(w);
    cr_assert(strstr(d.err.message, "33") && strstr(d.err.message, "58"), "%s", d.err.message);
    test_network_close(&other);
    damage_close(&d);
}

Test(weights, damage_that_the_file_cannot_show_is_still_bounded)
{
    struct damage d;
    struct weights *w;
    damage_open(&d);
    char junk[300];
    for (uint64_t seed = 0; seed < 2000; seed++) {
        for (size_t i = 0; i < sizeof(junk); i++) junk[i] = (char)eddy_random_bits(seed, i);
        cr_assert_lt(weights_decode(d.t.model, junk, (size_t)(eddy_random_bits(seed, 999) % sizeof(junk)), &w, NULL),
                     0);
    }
    damage_close(&d);
}

Test(weights, given_ones_serve_as_they_are_and_have_learned_nothing)
{
    struct test_network t;
    struct weights *w;
    test_network_open(&t, "gru:5", 3, 1);
    const size_t n = t.net->n_params;
    float *params = test_floats(n), *packed = test_floats(t.model->n_packed);
    test_fill(params, n, 9, 1);
    model_pack(t.model, params, packed);
    cr_assert_eq(weights_given(t.model, params, 12, &w, NULL), EDDY_OK);
    cr_assert_eq(w->version, 12);
    cr_assert_eq(memcmp(w->master, params, n * sizeof(float)), 0);
    cr_assert_eq(memcmp(w->ema, params, n * sizeof(float)), 0);
    cr_assert_eq(memcmp(w->packed, packed, t.net->n_packed * sizeof(float)), 0);
    for (size_t i = 0; i < n; i++) cr_assert(w->moment[i] == 0 && w->variance[i] == 0);
    cr_assert_eq(w->progress[0].steps, 0);
    weights_unref(w);
    free(params);
    free(packed);
    test_network_close(&t);
}

/* Memory goes round among the snapshots of a chain; what a snapshot says depends on its base alone. */
Test(weights, the_next_one_is_its_base_whatever_memory_it_lies_in)
{
    struct test_network t;
    struct weights *first, *moved, *next, *again;
    test_network_open(&t, "gru:5", 3, 1);
    cr_assert_eq(weights_initial(t.model, 1, &first, NULL), EDDY_OK);
    moved = weights_next(t.model, first);
    cr_assert(moved);
    struct train_state s = weights_train_state(moved, &t.model->slices[0], 0);
    s.master[3] = s.ema[4] = 7;
    weights_pack_all(t.model, moved);
    next = weights_next(t.model, moved);
    assert_same(t.model, next, moved);
    cr_assert_eq(next->version, 2);
    weights_unref(moved);
    again = weights_next(t.model, first); /* where `moved` lay */
    cr_assert_eq(again, moved);
    assert_same(t.model, again, first);
    cr_assert_eq(again->version, 1);
    weights_unref(first);
    weights_unref(again);
    cr_assert_eq(next->master[3], 7.0f);
    weights_unref(next);
    test_network_close(&t);
}

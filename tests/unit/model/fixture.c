#include "tests/unit/model/fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char *const activations[] = {"identity", "tanh", "relu", "sigmoid"};

/* Fills the choice for one word "KIND:UNITS". */
static void test_layer(struct test_network *t, int i, const char *word)
{
    const char *colon = strchr(word, ':');
    cr_assert(colon && i < MAX_TEST_LAYERS);
    const int64_t units = atoi(colon + 1);
    const struct eddy_layer *layer = &layer_dense;
    if (strncmp(word, "gru", 3) == 0) {
        layer = &layer_gru;
        t->settings[i].gru = (struct layer_gru_settings){units};
    } else if (strncmp(word, "lstm", 4) == 0) {
        layer = &layer_lstm;
        t->settings[i].lstm = (struct layer_lstm_settings){units, 1};
    } else {
        int a = 0;
        while (a < 3 && strncmp(word + strlen("dense_"), activations[a], strlen(activations[a])) != 0) a++;
        t->settings[i].dense = (struct layer_dense_settings){units, a};
    }
    t->choices[i] = (struct eddy_choice){&layer->part, &t->settings[i], "test"};
}

void test_network_open(struct test_network *t, const char *layers, int n_in, int n_out)
{
    char words[200], *rest = NULL;
    struct eddy_error err = {0};
    int n = 0;
    cr_assert_lt(strlen(layers), sizeof(words));
    strcpy(words, layers);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) test_layer(t, n++, word);
    const struct network_settings settings = {{n, t->choices}};
    cr_assert_eq(network_open(&settings, n_in, n_out, &t->net, &err), EDDY_OK, "%s", err.message);
}

void test_network_close(struct test_network *t)
{
    network_close(t->net);
}

float *test_floats(size_t n)
{
    const size_t bytes = (n * sizeof(float) + 64) / 64 * 64;
    float *p = aligned_alloc(64, bytes);
    cr_assert(p);
    memset(p, 0, bytes);
    return p;
}

void test_fill(float *to, size_t n, uint64_t seed, float scale)
{
    for (size_t i = 0; i < n; i++) to[i] = scale * eddy_random_normal(seed, i);
}

float **test_rows(float *data, int n, size_t stride)
{
    float **rows = calloc((size_t)n + 1, sizeof(*rows));
    cr_assert(rows);
    for (int b = 0; b < n; b++) rows[b] = data + (size_t)b * stride;
    return rows;
}

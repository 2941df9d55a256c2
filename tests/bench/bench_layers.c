/* Speed of every family of layers: ns of CPU per step of one row, serving and training (forward, backward, Adam), and bytes
 * of state per key.  Attention over windows and WaveNet over depths of twice the size show what an event costs.
 * Rounds of all cases are interleaved and the median is reported, so that a machine that slows down slows all of them.
 *     bench_layers [--json] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/config.h"
#include "engine/math/kernels.h"
#include "engine/train/optimiser.h"
#include "plugin/registry.h"

enum {
    ROUNDS = 9,
    N_IN = 8,
    N_HORIZONS = 12, /* for decoders, which are rolled out over them */
    MAX_ROWS = 64,
    WINDOW_STEPS = 32,
    ROUND_ROW_STEPS = 8192
};

struct bench_case {
    const char *name, *layers; /* YAML */
    int n_rows;
    bool training;

    struct config *config;

    struct network *net;
    struct train_state state;
    int64_t steps;
    float *params; /* master | moment | variance | ema */
    float *packed, *work, *rows, *windows;
    struct window_shape shape;
    double ns[ROUNDS];
};

static double cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static float *floats(size_t n)
{
    float *p = aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64);
    if (!p) exit(1);
    memset(p, 0, n * sizeof(float));
    return p;
}

static void must(eddy_status rc, const struct eddy_error *err)
{
    if (rc >= 0) return;
    (void)fprintf(stderr, "bench_layers: %s\n", err->message);
    exit(1);
}

static void case_open(struct bench_case *c, const struct eddy_parts *parts)
{
    char text[500];
    struct eddy_error err;
    (void)snprintf(text, sizeof(text), "name: bench\nforecast: {network: {layers: [%s]}}\n", c->layers);
    const struct config_request request = {
        .text = text, .parts = parts, .source_optional = true, .sink_optional = true};
    must(config_open(&request, &c->config, &err), &err);
    const bool decodes = strstr(c->layers, "decoder");
    const struct network_shape shape = {.n_in = N_IN, .n_dims = 1, .n_horizons = decodes ? N_HORIZONS : 1};
    must(network_open(&config_settings(c->config)->forecast.network, &shape, &c->net, &err), &err);
    const size_t n = c->net->n_params;
    c->params = floats(4 * n);
    c->state = (struct train_state){c->params, c->params + n, c->params + 2 * n, c->params + 3 * n, &c->steps, NULL};
    network_init(c->net, 1, c->params);
    memcpy(c->state.ema, c->state.master, n * sizeof(float));
    c->packed = floats(c->net->n_packed);
    network_pack(c->net, c->params, c->packed);
    c->work = floats(c->net->n_work);
    c->rows = floats((size_t)c->n_rows * (N_IN + c->net->n_state + 16));
    c->shape = (struct window_shape){WINDOW_STEPS, N_IN, c->net->n_targets, c->net->n_state};
    const size_t window = (size_t)c->n_rows * window_floats(&c->shape);
    c->windows = floats(window);
    for (size_t i = 0; i < window; i++) c->windows[i] = eddy_random_normal(2, i) * 0.5f;
}

/* ns per row and step of serving. */
static double case_serve(struct bench_case *c)
{
    const float *x[MAX_ROWS];
    float *state[MAX_ROWS], *y[MAX_ROWS], elapsed_s[MAX_ROWS] = {0};
    const size_t row_floats = N_IN + c->net->n_state + 16;
    for (int b = 0; b < c->n_rows; b++) {
        float *row = c->rows + (size_t)b * row_floats;
        for (int k = 0; k < N_IN; k++) row[c->net->n_state + (size_t)k] = eddy_random_normal(3, (uint64_t)(b + k));
        state[b] = row;
        x[b] = row + c->net->n_state;
        y[b] = row + c->net->n_state + N_IN;
    }
    const struct eddy_rows rows = {.n = c->n_rows, .x = x, .state = state, .elapsed_s = elapsed_s, .y = y};
    const int steps = ROUND_ROW_STEPS / c->n_rows;
    const double start = cpu_ns();
    for (int i = 0; i < steps; i++) network_step(c->net, c->packed, &rows, c->work);
    return (cpu_ns() - start) / (steps * c->n_rows);
}

/* ns per row and step of training: gradient and optimiser. */
static double case_train(struct bench_case *c, struct train_scratch *scratch)
{
    const struct train_settings settings = {
        .learning_rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .clip_norm = 1, .ema = 0.99, .batch = c->n_rows};
    struct train_report report = {0};
    struct eddy_error err;
    const int row_steps = c->n_rows * WINDOW_STEPS, n = 1 + ROUND_ROW_STEPS / 4 / row_steps;
    const double start = cpu_ns();
    for (int i = 0; i < n; i++)
        if (train_step(c->net, &c->shape, &settings, &c->state, c->windows, c->n_rows, &report, scratch, &err) < 0)
            exit(1);
    return (cpu_ns() - start) / (n * row_steps);
}

static void case_close(struct bench_case *c)
{
    network_close(c->net);
    config_close(c->config);
    free(c->params);
    free(c->packed);
    free(c->work);
    free(c->rows);
    free(c->windows);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void case_print(struct bench_case *c, bool json)
{
    qsort(c->ns, ROUNDS, sizeof(c->ns[0]), by_value);
    const char *what = c->training ? "train" : "serve", *kernel = kernels_best()->name;
    const double median = c->ns[ROUNDS / 2];
    if (json)
        printf("{\"bench\":\"layers\",\"case\":\"%s %s B=%d\",\"kernel\":\"%s\",\"ns_per_row_step\":%.0f,"
               "\"state_bytes\":%zu}\n",
               c->name, what, c->n_rows, kernel, median, c->net->n_state * sizeof(float));
    else
        printf("%-22s %-6s %4d %14.0f %16.3f %14zu\n", c->name, what, c->n_rows, median, 1e3 / median,
               c->net->n_state * sizeof(float));
}

static const struct {
    const char *name, *layers;
} networks[] = {
    {"gru-32", "{gru: {units: 32}}"},
    {"gru-64", "{gru: {units: 64}}"},
    {"gru-32 all options", "{gru: {units: 32, layer_norm: true, initial_state: learned, time_decay: true}}"},
    {"lstm-32", "{lstm: {units: 32}}"},
    {"lstm-64", "{lstm: {units: 64}}"},
    {"rnn-32", "{rnn: {units: 32}}"},
    {"lags-24 dense-32", "{lags: {steps: 24}}, {dense: {units: 32}}"},
    {"gru-32 gru-32", "{gru: {units: 32}}, {gru: {units: 32}}"},
    {"bidirectional gru-16", "{bidirectional: {layer: {gru: {units: 16}}, lag: 8}}"},
    {"gru-32 decoder 12", "{gru: {units: 32}}, {decoder: {layer: {gru: {units: 32}}}}"},
    {"conv1d-16/4 gru-32", "{conv1d: {filters: 16, kernel: 8, stride: 4}}, {gru: {units: 32}}"},
    {"wavenet-16 depth 3", "{wavenet: {channels: 16, layers: 3}}"},
    {"wavenet-16 depth 6", "{wavenet: {channels: 16, layers: 6}}"},
    {"wavenet-16 depth 9", "{wavenet: {channels: 16, layers: 9}}"},
    {"attention-32 W 16", "{attention: {units: 32, heads: 4, window: 16}}"},
    {"attention-32 W 32", "{attention: {units: 32, heads: 4, window: 32}}"},
    {"attention-32 W 64", "{attention: {units: 32, heads: 4, window: 64}}"},
    {"attention-32 W 128", "{attention: {units: 32, heads: 4, window: 128}}"},
    {"transformer-32 W 32", "{dense: {units: 32}}, {transformer: {heads: 4, window: 32, feed_forward: 64}}"},
    {"masked-32 W 32/4", "{masked_encoder: {units: 32, heads: 4, blocks: 2, window: 32, stride: 4, lag: 8}}"},
};
enum { N_NETWORKS = sizeof(networks) / sizeof(networks[0]), WAYS = 4 };

int main(int argc, char **argv)
{
    const bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    static const struct {
        int n_rows;
        bool training;
    } ways[WAYS] = {{1, false}, {64, false}, {16, true}, {64, true}};
    static struct bench_case cases[N_NETWORKS * WAYS];
    int n = 0;
    struct registry *registry;
    struct eddy_error err;
    must(registry_open(&registry, &err), &err);
    struct train_scratch *scratch = train_scratch_open();
    if (!scratch) return 1;
    for (size_t l = 0; l < N_NETWORKS; l++)
        for (size_t w = 0; w < WAYS; w++)
            cases[n++] = (struct bench_case){.name = networks[l].name,
                                             .layers = networks[l].layers,
                                             .n_rows = ways[w].n_rows,
                                             .training = ways[w].training};
    for (int i = 0; i < n; i++) case_open(&cases[i], registry_parts(registry));
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < n; i++)
            cases[i].ns[round] = cases[i].training ? case_train(&cases[i], scratch) : case_serve(&cases[i]);

    if (!json)
        printf("kernel %s, %d inputs, windows of %d steps\n%-22s %-6s %4s %14s %16s %14s\n", kernels_best()->name,
               N_IN, WINDOW_STEPS, "network", "what", "rows", "ns/row-step", "M row-steps/s", "bytes per key");
    for (int i = 0; i < n; i++) case_print(&cases[i], json);
    for (int i = 0; i < n; i++) case_close(&cases[i]);
    train_scratch_close(scratch);
    registry_close(registry);
    return 0;
}

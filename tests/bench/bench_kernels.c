/* The recurrent kernels against the processor and against what one would take instead, on one thread and in one process:
 * interleaved rounds, CPU time of the thread, medians.
 *
 *   peak        multiply-adds per second that fused multiply-adds on registers alone reach, measured in the same rounds
 *   share       multiply-adds of a step (gates x units x (inputs + units)) per second, as a share of the peak
 *   openblas    gathered rows, SGEMM, then the activations as a second pass over the sums
 *   naive       plain loops and the C library's expf and tanhf, one key at a time
 * bench_torch.py takes the same steps with PyTorch, bench_onnx.py with ONNX Runtime, where they are installed.
 *     bench_kernels            (JSON lines, as all programs here)  */
#ifdef __x86_64__
#include <immintrin.h>
#endif
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/math/kernels.h"
#include "engine/math/matmul.h"

enum { ROUNDS = 15, MAX_ROWS = 64, N_IN = 1 };
static const double ROUND_MULTIPLY_ADDS = 3e7;

static double cpu_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static float *floats(size_t n)
{
    float *p = aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64);
    if (!p) exit(1);
    for (size_t i = 0; i < n; i++) p[i] = ((float)(i * 2654435761u >> 8 & 0xffff) / 65536 - 0.5f) * 0.25f;
    return p;
}

/* ---- the peak: multiply-adds of `turns` turns on registers alone; 0 where this program does not know how ---- */

enum { CHAINS = 12 }; /* more than two ports with a latency of four can hold */
static volatile float peak_sink;

#ifdef __x86_64__
__attribute__((target("avx512f"))) static double peak_avx512(long turns)
{
    const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(1e-3f);
    __m512 sum[CHAINS];
    for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_set1_ps((float)i);
    for (long t = 0; t < turns; t++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
    for (int i = 1; i < CHAINS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    peak_sink = _mm512_cvtss_f32(sum[0]);
    return (double)turns * CHAINS * 16;
}

__attribute__((target("avx2,fma"))) static double peak_avx2(long turns)
{
    const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(1e-3f);
    __m256 sum[CHAINS];
    for (int i = 0; i < CHAINS; i++) sum[i] = _mm256_set1_ps((float)i);
    for (long t = 0; t < turns; t++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
    for (int i = 1; i < CHAINS; i++) sum[0] = _mm256_add_ps(sum[0], sum[i]);
    peak_sink = _mm256_cvtss_f32(sum[0]);
    return (double)turns * CHAINS * 8;
}

static double peak(const struct kernels *k, long turns)
{
    if (strcmp(k->name, "avx512") == 0) return peak_avx512(turns);
    return strcmp(k->name, "avx2") == 0 ? peak_avx2(turns) : 0;
}
#else
static double peak(const struct kernels *k, long turns)
{
    (void)k, (void)turns;
    return 0;
}
#endif

/* ---- the cells ---- */

/* One cell with states for its keys and the weights in every order that somebody wants. */
struct work {
    bool gru;
    int units, rows, gates;
    float *w, *u, *bias, *panels; /* [gates H, N_IN] [gates H, H] [gates H] */
    float *w_columns, *u_columns; /* transposed, for OpenBLAS and the naive loops */
    float *x, *state, *y, *sums, *gathered;
    const float *x_row[MAX_ROWS];
    float *state_row[MAX_ROWS], *y_row[MAX_ROWS];
    double own[ROUNDS], blas[ROUNDS], naive[ROUNDS]; /* seconds per row */
};

static void transpose(int rows, int cols, const float *a, float *t)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) t[j * rows + i] = a[i * cols + j];
}

static void work_open(struct work *w)
{
    const int h = w->units, n_states = w->gru ? 1 : 2;
    w->gates = w->gru ? 3 : 4;
    const size_t columns = (size_t)(w->gates * h);
    w->w = floats(columns * N_IN);
    w->u = floats(columns * (size_t)h);
    w->w_columns = floats(columns * N_IN);
    w->u_columns = floats(columns * (size_t)h);
    w->bias = floats(columns);
    w->panels = floats(w->gru ? gru_panels_floats(h, N_IN) : lstm_panels_floats(h, N_IN));
    const struct panels_source source = {h, N_IN, h, w->bias, w->gru ? w->bias : NULL, w->w, w->u};
    (w->gru ? gru_panels_pack : lstm_panels_pack)(&source, w->panels);
    transpose(w->gates * h, N_IN, w->w, w->w_columns);
    transpose(w->gates * h, h, w->u, w->u_columns);
    w->x = floats(MAX_ROWS * N_IN);
    w->state = floats((size_t)(MAX_ROWS * n_states * h));
    w->y = floats((size_t)(MAX_ROWS * h));
    w->sums = floats((size_t)MAX_ROWS * 4 * (size_t)h);
    w->gathered = floats((size_t)MAX_ROWS * (size_t)(h + N_IN));
    for (int b = 0; b < MAX_ROWS; b++) {
        w->x_row[b] = w->x + b * N_IN;
        w->state_row[b] = w->state + b * n_states * h;
        w->y_row[b] = w->y + b * h;
    }
}

static void work_close(struct work *w)
{
    float *all[] = {w->w, w->u,     w->bias, w->panels, w->w_columns, w->u_columns,
                    w->x, w->state, w->y,    w->sums,   w->gathered};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
}

static double work_multiply_adds(const struct work *w)
{
    return (double)w->gates * w->units * (w->units + N_IN);
}

static void step_own(const struct kernels *k, struct work *w)
{
    const struct cell_step step = {N_IN, w->units, w->panels};
    const struct cell_rows rows = {w->rows, w->x_row, (const float *const *)w->state_row, w->state_row, w->y_row,
                                   NULL,    0};
    (w->gru ? k->gru_step : k->lstm_step)(&step, &rows);
}

/* Sums of the x part into columns 3 H.. of a gru's, whose n gate keeps the two apart. */
static void step_blas(const struct kernels *k, struct work *w)
{
    const int h = w->units, n = w->gates * h;
    for (int b = 0; b < w->rows; b++) {
        memcpy(w->gathered + b * h, w->state_row[b], (size_t)h * sizeof(float));
        float *a = w->sums + b * 4 * h;
        for (int j = 0; j < n; j++) a[j] = w->bias[j] + w->x[b] * w->w_columns[j];
        if (w->gru) memcpy(a + 3 * h, w->bias + 2 * h, (size_t)h * sizeof(float));
    }
    const int joint = w->gru ? 2 * h : n;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, w->rows, joint, h, 1, w->gathered, h, w->u_columns, n, 1,
                w->sums, 4 * h);
    if (w->gru)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, w->rows, h, h, 1, w->gathered, h, w->u_columns + joint,
                    n, 1, w->sums + 3 * h, 4 * h);
    (w->gru ? k->gru : k->lstm)(w->rows, h, w->sums, (size_t)(4 * h), w->state_row, w->y_row, NULL);
}

static float logistic(float x)
{
    return 1 / (1 + expf(-x));
}

static void step_naive(struct work *w)
{
    const int h = w->units, n = w->gates * h;
    float old[256], a[4 * 256];
    for (int b = 0; b < w->rows; b++) {
        float *state = w->state_row[b];
        memcpy(old, state, (size_t)h * sizeof(float));
        for (int j = 0; j < n; j++) {
            float of_x = w->bias[j] + w->x[b] * w->w[j], of_h = w->gru && j >= 2 * h ? w->bias[j] : 0;
            for (int k = 0; k < h; k++) of_h += w->u[j * h + k] * old[k];
            a[j] = w->gru && j >= 2 * h ? of_x : of_x + of_h;
            if (w->gru && j >= 2 * h) a[j + h] = of_h;
        }
        for (int j = 0; j < h; j++) {
            if (w->gru) {
                const float r = logistic(a[j]), z = logistic(a[h + j]), m = tanhf(a[2 * h + j] + r * a[3 * h + j]);
                state[j] = (1 - z) * m + z * old[j];
            } else {
                const float c = logistic(a[h + j]) * state[h + j] + logistic(a[j]) * tanhf(a[2 * h + j]);
                state[h + j] = c;
                state[j] = logistic(a[3 * h + j]) * tanhf(c);
            }
        }
        memcpy(w->y_row[b], state, (size_t)h * sizeof(float));
    }
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *of)
{
    qsort(of, ROUNDS, sizeof(*of), by_value);
    return of[ROUNDS / 2];
}

static void work_round(const struct kernels *k, struct work *w, int round)
{
    const int n = 1 + (int)(ROUND_MULTIPLY_ADDS / work_multiply_adds(w) / w->rows);
    double at = cpu_s();
    for (int i = 0; i < n; i++) step_own(k, w);
    w->own[round] = (cpu_s() - at) / (n * w->rows);
    at = cpu_s();
    for (int i = 0; i < n; i++) step_blas(k, w);
    w->blas[round] = (cpu_s() - at) / (n * w->rows);
    at = cpu_s();
    for (int i = 0; i < 1 + n / 8; i++) step_naive(w);
    w->naive[round] = (cpu_s() - at) / ((1 + n / 8) * w->rows);
}

int main(void)
{
    static const int units[] = {32, 64, 128}, rows[] = {1, 16, 64};
    static struct work works[18];
    static double peaks[ROUNDS];
    const struct kernels *k = kernels_best();
    int n = 0;
    matmul_single_thread();
    for (int cell = 0; cell < 2; cell++)
        for (int u = 0; u < 3; u++)
            for (int r = 0; r < 3; r++)
                works[n++] = (struct work){.gru = cell == 1, .units = units[u], .rows = rows[r]};
    for (int i = 0; i < n; i++) work_open(&works[i]);
    for (int round = 0; round < ROUNDS; round++) {
        const long turns = 2000000;
        const double at = cpu_s();
        const double multiply_adds = peak(k, turns);
        peaks[round] = multiply_adds / (cpu_s() - at);
        for (int i = 0; i < n; i++) work_round(k, &works[i], round);
    }
    const double peak = median(peaks);
    printf("{\"bench\":\"kernels\",\"case\":\"peak, registers alone\",\"kernel\":\"%s\",\"gflops\":%.1f}\n", k->name,
           2e-9 * peak);
    for (int i = 0; i < n; i++) {
        struct work *w = &works[i];
        const double own = median(w->own), blas = median(w->blas), naive = median(w->naive);
        printf("{\"bench\":\"kernels\",\"case\":\"%s H=%d B=%d\",\"kernel\":\"%s\",\"ns_per_step\":%.0f,",
               w->gru ? "gru" : "lstm", w->units, w->rows, k->name, 1e9 * own);
        if (peak > 0) printf("\"share_of_peak\":%.3f,", work_multiply_adds(w) / own / peak); /* known with FMA */
        printf("\"openblas_over_own\":%.2f,\"naive_over_own\":%.1f}\n", blas / own, naive / own);
        work_close(w);
    }
    return 0;
}

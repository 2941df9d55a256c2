#include "tests/bench/records.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RECORD_BYTES = 96 };

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static void shuffle(int *order, int n, uint64_t *state)
{
    for (int i = n - 1; i > 0; i--) {
        int j = (int)(next_random(state) % (uint32_t)(i + 1)), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

/* Writes "KEY\0JSON" for one event; returns the bytes used. */
static size_t write_event(char *at, int key, int64_t second, double value, struct eddy_record *r)
{
    time_t t = (time_t)second;
    struct tm tm;
    gmtime_r(&t, &tm);
    int key_len = snprintf(at, 24, "sensor-%06d", key);
    char *json = at + key_len + 1;
    char when[32], number[16] = "null";
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (!isnan(value)) snprintf(number, sizeof(number), "%.3f", value);
    int len = snprintf(json, (size_t)(RECORD_BYTES - key_len - 1), "{\"ts\":\"%s\",\"temperature\":%s}", when,
                       number);
    r->key = at;
    r->key_len = (size_t)key_len;
    r->payload = json;
    r->payload_len = (size_t)len;
    return (size_t)(key_len + 1 + len + 1);
}

void records_open(struct records *s, int n, int n_keys)
{
    uint64_t state = 1;
    int *order = calloc((size_t)n_keys, sizeof(*order));
    *s = (struct records){.n = n, .n_keys = n_keys};
    s->record = calloc((size_t)n, sizeof(*s->record));
    s->text = malloc((size_t)n * RECORD_BYTES);
    if (!order || !s->record || !s->text) {
        fprintf(stderr, "bench: out of memory for %d records\n", n);
        exit(1);
    }
    for (int k = 0; k < n_keys; k++) order[k] = k;
    for (int i = 0; i < n; i++) {
        if (i % n_keys == 0) shuffle(order, n_keys, &state);
        int key = order[i % n_keys], round = i / n_keys;
        double noise = (double)next_random(&state) / 2147483648.0 - 0.5;
        double value = 20 + key % 17 + 5 * sin(6.283185307179586 * (round + key) / 48) + noise;
        if (next_random(&state) % 500 == 0) value = NAN;
        struct eddy_record *r = &s->record[i];
        r->topic = "bench";
        r->offset = i;
        r->time_ns = EDDY_NO_TIME;
        s->text_bytes += write_event(s->text + s->text_bytes, key, 1767225600 + (int64_t)round * 60, value, r);
    }
    free(order);
}

void records_close(struct records *s)
{
    free(s->record);
    free(s->text);
    *s = (struct records){0};
}

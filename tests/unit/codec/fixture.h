/* An open codec with its settings, and one-line ways to decode and encode. */
#ifndef TESTS_UNIT_CODEC_FIXTURE_H
#define TESTS_UNIT_CODEC_FIXTURE_H

#include "connectors/codec/codecs.h"
#include "connectors/codec/csv.h"
#include "connectors/codec/json.h"

enum { MOST_VALUES = 16, NAMES_BYTES = 128 };

struct bench {
    const struct eddy_codec *type;
    void *codec;
    struct eddy_limits limits;
    struct eddy_schema schema;
    const char *names[MOST_VALUES], *categories[MOST_VALUES];
    char text[NAMES_BYTES], category_text[NAMES_BYTES]; /* of the names */
    struct eddy_record record;                          /* what decode() starts from: key, time, context */
    struct eddy_arena arena;
    struct eddy_event event;
    double x[MOST_VALUES];
    float category[MOST_VALUES];
    struct eddy_error err;
};

/* `values` are separated by blanks; "" = none. */
void bench_open(struct bench *, const struct eddy_codec *, const void *settings, const char *values);
void bench_close(struct bench *);
/* Makes the schema's categories these; what decode() finds goes into bench->category. */
void bench_want(struct bench *, const char *categories);

/* Decodes a payload into bench->event and bench->x. */
eddy_status bench_decode(struct bench *, const char *payload);
eddy_status bench_decode_bytes(struct bench *, const char *payload, size_t len);
/* Decodes and fails the test unless the record is refused for this reason. */
void bench_expect_refusal(struct bench *, const char *payload, const char *reason);
void bench_expect_key(const struct bench *, const char *key);
void bench_expect_label(const struct bench *, const char *label, bool only); /* NULL = none */
/* Fails the test unless the i-th category is the number of this text. */
void bench_expect_category(const struct bench *, int i, const char *text);
/* The names that discover() finds, with blanks between; the reason of its refusal in angle brackets. */
const char *bench_discover(struct bench *, const char *payload, char *out, size_t room);

/* A result with one value and one horizon, all members set. */
struct sample {
    struct eddy_schema schema;
    const char *names[MOST_VALUES];
    char text[NAMES_BYTES]; /* of the names */
    double y[MOST_VALUES], yhat[MOST_VALUES], lower[MOST_VALUES], upper[MOST_VALUES], ahead[4 * MOST_VALUES];
    double smooth[MOST_VALUES], p[2];
    const char *classes[2];
    float share[MOST_VALUES];
    int horizons[4];
    struct eddy_result result;
};
void sample_make(struct sample *, const char *values, int n_horizons);
/* Adds what a smoother says about the event a minute earlier, and the classes "ok" (0.75) and "fault". */
void sample_extend(struct sample *);
/* The encoded text, NUL-terminated, in `out`. */
const char *sample_encode(struct bench *, const struct sample *, struct eddy_buffer *out);

/* Where a page ends behind which nothing can be read: what is put right before it shows every read beyond its end. */
char *bench_page_end(void);

/* xorshift64*: the same numbers in every run. */
uint64_t next_random(uint64_t *state);

#endif

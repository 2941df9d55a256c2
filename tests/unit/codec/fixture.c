#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int split_names(const char *values, char text[NAMES_BYTES], const char **names)
{
    int n = 0;
    char *rest = NULL;
    cr_assert_lt(strlen(values), (size_t)NAMES_BYTES);
    strcpy(text, values);
    for (char *name = strtok_r(text, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) names[n++] = name;
    return n;
}

void bench_open(struct bench *b, const struct eddy_codec *type, const void *settings, const char *values)
{
    *b = (struct bench){.type = type, .limits = {1 << 20, 1024, 32, 1024}};
    b->schema.n_values = split_names(values, b->text, b->names);
    b->schema.names = b->names;
    b->record = (struct eddy_record){.topic = "t", .time_ns = EDDY_NO_TIME, .offset = 7};
    cr_assert_eq(type->open(settings, &b->limits, &b->codec, &b->err), EDDY_OK, "%s", b->err.message);
}

void bench_want(struct bench *b, const char *categories)
{
    b->schema.n_categories = split_names(categories, b->category_text, b->categories);
    b->schema.categories = b->categories;
}

void bench_close(struct bench *b)
{
    b->type->close(b->codec);
    eddy_arena_free(&b->arena);
}

eddy_status bench_decode_bytes(struct bench *b, const char *payload, size_t len)
{
    struct eddy_record record = b->record;
    record.payload = payload;
    record.payload_len = len;
    eddy_arena_reset(&b->arena);
    b->event = (struct eddy_event){.x = b->x, .category = b->schema.n_categories ? b->category : NULL};
    for (int i = 0; i < b->schema.n_categories; i++) b->category[i] = -1;
    b->err = (struct eddy_error){0};
    return b->type->decode(b->codec, &b->schema, &record, &b->arena, &b->event, &b->err);
}

eddy_status bench_decode(struct bench *b, const char *payload)
{
    return bench_decode_bytes(b, payload, strlen(payload));
}

void bench_expect_refusal(struct bench *b, const char *payload, const char *reason)
{
    eddy_status rc = bench_decode(b, payload);
    cr_expect_eq(rc, EDDY_EDATA, "%s was taken (%d)", payload, rc);
    cr_expect_str_eq(b->err.reason ? b->err.reason : "", reason, "%s: %s", payload, b->err.message);
    cr_expect_neq(b->err.message[0], '\0');
}

void bench_expect_key(const struct bench *b, const char *key)
{
    cr_expect_eq(b->event.key_len, strlen(key));
    cr_expect(b->event.key_len == strlen(key) && memcmp(b->event.key, key, strlen(key)) == 0, "%.*s is not %s",
              (int)b->event.key_len, b->event.key, key);
}

void bench_expect_label(const struct bench *b, const char *label, bool only)
{
    const struct eddy_event *e = &b->event;
    cr_expect_eq(e->label_only, only, "%s", label ? label : "no label");
    if (!label) {
        cr_expect_null(e->label);
        cr_expect_eq(e->label_len, 0);
        return;
    }
    cr_assert_not_null(e->label, "%s is missing", label);
    cr_expect(e->label_len == strlen(label) && memcmp(e->label, label, strlen(label)) == 0, "%.*s is not %s",
              (int)e->label_len, e->label, label);
}

void bench_expect_category(const struct bench *b, int i, const char *text)
{
    cr_expect_eq(b->category[i], eddy_category(text, strlen(text)), "%d is not %s", i, text);
}

const char *bench_discover(struct bench *b, const char *payload, char *out, size_t room)
{
    struct eddy_buffer names = {0};
    struct eddy_record record = b->record;
    record.payload = payload;
    record.payload_len = strlen(payload);
    eddy_status n = b->type->discover(b->codec, &record, &names, &b->err);
    *out = '\0';
    if (n < 0) {
        (void)snprintf(out, room, "<%s>", b->err.reason);
    } else {
        const char *name = names.data;
        for (int i = 0; i < n; i++, name += strlen(name) + 1) {
            strncat(out, i ? " " : "", room - strlen(out) - 1);
            strncat(out, name, room - strlen(out) - 1);
        }
    }
    eddy_buffer_free(&names);
    return out;
}

void sample_make(struct sample *s, const char *values, int n_horizons)
{
    *s = (struct sample){.horizons = {1, 12, 48, 96}};
    s->schema.n_values = split_names(values, s->text, s->names);
    s->schema.names = s->names;
    int n = s->schema.n_values;
    for (int i = 0; i < n; i++) {
        s->y[i] = 1.5 + i;
        s->yhat[i] = 1.25 + i;
        s->lower[i] = 0.5 + i;
        s->upper[i] = 2.5 + i;
        s->share[i] = 1.0f / (float)n;
    }
    for (int i = 0; i < 4 * MOST_VALUES; i++) s->ahead[i] = i / 4.0;
    s->result = (struct eddy_result){.key = "pump-1",
                                     .key_len = 6,
                                     .time_ns = 1700000000000000000,
                                     .topic = "sensors",
                                     .partition = 3,
                                     .offset = 42,
                                     .schema = &s->schema,
                                     .y = s->y,
                                     .yhat = s->yhat,
                                     .yhat_lower = s->lower,
                                     .yhat_upper = s->upper,
                                     .score = 0.5,
                                     .evidence = 0.75,
                                     .score_ratio = 1.25,
                                     .anomaly = true,
                                     .state = EDDY_STATE_OK,
                                     .model = 12,
                                     .attribution = s->share,
                                     .n_horizons = n_horizons,
                                     .horizons = s->horizons,
                                     .forecast = s->ahead,
                                     .lower = s->ahead,
                                     .upper = s->ahead};
}

void sample_extend(struct sample *s)
{
    for (int i = 0; i < s->schema.n_values; i++) s->smooth[i] = 3.25 + i;
    s->result.smoothed = (struct eddy_smoothed){
        .y = s->smooth, .actual = s->y, .known = true, .time_ns = s->result.time_ns - 60000000000, .score = 0.125};
    s->p[0] = 0.75;
    s->p[1] = 0.25;
    s->classes[0] = "ok";
    s->classes[1] = "fault";
    s->result.classes = (struct eddy_classes){.n_classes = 2, .names = s->classes, .p = s->p, .label = s->classes[0]};
}

const char *sample_encode(struct bench *b, const struct sample *s, struct eddy_buffer *out)
{
    out->len = 0;
    cr_assert_eq(b->type->encode(b->codec, &s->result, out, &b->err), EDDY_OK, "%s", b->err.message);
    cr_assert_eq(eddy_buffer_append(out, "", 1), EDDY_OK);
    return out->data;
}

uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717u;
}

char *bench_page_end(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(pages != MAP_FAILED);
    cr_assert_eq(mprotect(pages + page, page, PROT_NONE), 0);
    return pages + page;
}

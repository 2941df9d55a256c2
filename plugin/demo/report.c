#include "plugin/demo/report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/demo/page.h"

/* Everything is appended to `out`; the first failure stays in `rc`, later calls do nothing. */
struct writer {
    struct eddy_buffer *out;
    eddy_status rc;
};

static void write_bytes(struct writer *w, const char *bytes, size_t n)
{
    if (w->rc == EDDY_OK) w->rc = eddy_buffer_append(w->out, bytes, n);
}
static void write_raw(struct writer *w, const char *text)
{
    write_bytes(w, text, strlen(text));
}

/* Length of the UTF-8 sequence at `s`, or 0 when it is none. */
static size_t utf8_length(const unsigned char *s)
{
    static const struct {
        unsigned char low, high, min, max;
        size_t n;
    } leads[] = {{0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        if (s[0] < leads[i].low || s[0] > leads[i].high) continue;
        if (leads[i].n > 1 && (s[1] < leads[i].min || s[1] > leads[i].max)) return 0;
        for (size_t k = 2; k < leads[i].n; k++)
            if ((s[k] & 0xc0) != 0x80) return 0;
        return leads[i].n;
    }
    return 0;
}

/* A JSON string that is also safe inside <script>: nothing in it can close the element or open a comment. */
static void write_string(struct writer *w, const char *text)
{
    const unsigned char *s = (const unsigned char *)(text ? text : "");
    write_raw(w, "\"");
    while (*s) {
        size_t n = utf8_length(s);
        char code[8];
        if (n == 0) {
            write_raw(w, "\\ufffd");
            n = 1;
        } else if (n == 1 && (*s < 0x20 || strchr("\"\\<>&'", *s) || *s == 0x7f)) {
            snprintf(code, sizeof(code), "\\u%04x", *s);
            write_raw(w, code);
        } else {
            write_bytes(w, (const char *)s, n);
        }
        s += n;
    }
    write_raw(w, "\"");
}

static void write_number(struct writer *w, double value, int digits)
{
    char text[32];
    if (isfinite(value))
        snprintf(text, sizeof(text), "%.*g", digits, value);
    else
        snprintf(text, sizeof(text), "null");
    write_raw(w, text);
}

static void write_seconds(struct writer *w, int64_t ns)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)(ns / 1000000000));
    write_raw(w, text);
}

static void write_field(struct writer *w, const char *name, const char *text)
{
    write_raw(w, "\"");
    write_raw(w, name);
    write_raw(w, "\":");
    write_string(w, text);
}

/* Marks the points of one bucket that stay. */
static void thin_bucket(const struct report_point *points, int first, int end, bool *keep)
{
    int low = -1, high = -1, score = first, gap = -1;
    for (int i = first; i < end; i++) {
        if (isnan(points[i].y)) {
            gap = i;
            continue;
        }
        if (low < 0 || points[i].y < points[low].y) low = i;
        if (high < 0 || points[i].y > points[high].y) high = i;
        if (points[i].score > points[score].score) score = i;
        if (points[i].anomaly) keep[i] = true;
    }
    if (low >= 0) keep[low] = keep[high] = true;
    if (gap >= 0) keep[gap] = true;
    if (points[score].score > 0) keep[score] = true;
}

static void thin(const struct report_series *s, int budget, bool *keep)
{
    int per_bucket = s->n_points <= budget ? 1 : (int)((2LL * s->n_points + budget - 1) / budget);
    for (int first = 0; first < s->n_points; first += per_bucket)
        thin_bucket(s->points, first, first + per_bucket < s->n_points ? first + per_bucket : s->n_points, keep);
    if (per_bucket == 1)
        for (int i = 0; i < s->n_points; i++) keep[i] = true;
    if (s->n_points) keep[0] = keep[s->n_points - 1] = true;
}

static double point_member(const struct report_point *p, char column)
{
    switch (column) {
    case 'y': return p->y;
    case 'f': return p->yhat;
    case 'l': return p->lower;
    case 'u': return p->upper;
    case 's': return p->score;
    default: return p->anomaly ? 1 : 0;
    }
}

/* One array per column; times as seconds since the point before. */
static void write_columns(struct writer *w, const struct report_series *s, const bool *keep)
{
    static const char columns[] = "yflusa";
    int64_t before_ns = 0;
    write_raw(w, "\"t\":[");
    for (int i = 0; i < s->n_points; i++) {
        if (!keep[i]) continue;
        if (i) write_raw(w, ",");
        write_seconds(w, s->points[i].time_ns - before_ns);
        before_ns = s->points[i].time_ns / 1000000000 * 1000000000;
    }
    for (const char *column = columns; *column; column++) {
        write_raw(w, "],\"");
        write_bytes(w, column, 1);
        write_raw(w, "\":[");
        for (int i = 0; i < s->n_points; i++) {
            if (!keep[i]) continue;
            if (i) write_raw(w, ",");
            write_number(w, point_member(&s->points[i], *column), *column == 's' ? 3 : *column == 'y' ? 7 : 6);
        }
    }
    write_raw(w, "]");
}

static void write_span(struct writer *w, const struct report_span *span)
{
    write_raw(w, "{\"from\":");
    write_seconds(w, span->start_ns);
    write_raw(w, ",\"to\":");
    write_seconds(w, span->end_ns);
    write_raw(w, ",");
    write_field(w, "kind", span->kind);
    write_raw(w, span->hit ? ",\"hit\":true,\"delay\":" : ",\"hit\":false,\"delay\":");
    write_seconds(w, span->hit ? span->delay_ns : 0);
    write_raw(w, "}");
}

static void write_series(struct writer *w, const struct report_series *s, int budget)
{
    bool *keep = calloc((size_t)s->n_points + 1, sizeof(*keep));
    if (!keep) {
        w->rc = EDDY_ENOMEM;
        return;
    }
    thin(s, budget, keep);
    write_raw(w, "{");
    write_field(w, "group", s->group);
    write_raw(w, ",");
    write_field(w, "key", s->key);
    write_raw(w, ",");
    write_field(w, "field", s->field);
    write_raw(w, ",");
    write_field(w, "unit", s->unit);
    write_raw(w, ",\"spans\":[");
    for (int i = 0; i < s->n_spans; i++) {
        if (i) write_raw(w, ",");
        write_span(w, &s->spans[i]);
    }
    write_raw(w, "],\"ahead\":[");
    for (int i = 0; i < s->n_ahead; i++) {
        write_raw(w, i ? ",[" : "[");
        write_seconds(w, s->ahead[i].time_ns);
        const double values[] = {s->ahead[i].yhat, s->ahead[i].lower, s->ahead[i].upper};
        for (int k = 0; k < 3; k++) {
            write_raw(w, ",");
            write_number(w, values[k], 6);
        }
        write_raw(w, "]");
    }
    write_raw(w, "],");
    write_columns(w, s, keep);
    write_raw(w, "}");
    free(keep);
}

static void write_tiles_and_errors(struct writer *w, const struct report *r)
{
    write_raw(w, ",\"tiles\":[");
    for (int i = 0; i < r->n_tiles; i++) {
        write_raw(w, i ? ",{" : "{");
        write_field(w, "label", r->tiles[i].label);
        write_raw(w, ",");
        write_field(w, "value", r->tiles[i].value);
        write_raw(w, ",");
        write_field(w, "note", r->tiles[i].note);
        write_raw(w, "}");
    }
    write_raw(w, "],\"errors\":[");
    for (int i = 0; i < r->n_errors; i++) {
        write_raw(w, i ? ",{" : "{");
        write_field(w, "group", r->errors[i].group);
        write_raw(w, ",");
        write_field(w, "label", r->errors[i].label);
        write_raw(w, ",");
        write_field(w, "unit", r->errors[i].unit);
        write_raw(w, ",\"eddy\":");
        write_number(w, r->errors[i].eddy, 6);
        write_raw(w, ",\"persistence\":");
        write_number(w, r->errors[i].persistence, 6);
        write_raw(w, "}");
    }
    write_raw(w, "]");
}

static void write_data(struct writer *w, const struct report *r)
{
    write_raw(w, "{");
    write_field(w, "title", r->title);
    write_raw(w, ",");
    write_field(w, "lead", r->lead);
    write_raw(w, ",");
    write_field(w, "footer", r->footer);
    write_tiles_and_errors(w, r);
    write_raw(w, ",\"series\":[");
    for (int i = 0; i < r->n_series && w->rc == EDDY_OK; i++) {
        if (i) write_raw(w, ",");
        write_series(w, &r->series[i], REPORT_POINTS / r->n_series);
    }
    write_raw(w, "]}");
}

eddy_status report_format(const struct report *r, struct eddy_buffer *out, struct eddy_error *err)
{
    struct writer w = {.out = out};
    const char *mark = memmem(page_html, page_html_bytes(), PAGE_DATA, strlen(PAGE_DATA));
    if (!mark) return eddy_fail(err, EDDY_EINVAL, "report: the page has no place for the data");

    write_bytes(&w, page_html, (size_t)(mark - page_html));
    write_data(&w, r);
    mark += strlen(PAGE_DATA);
    write_bytes(&w, mark, (size_t)(page_html + page_html_bytes() - mark));
    return w.rc == EDDY_OK ? EDDY_OK : eddy_fail(err, w.rc, "report: %s", eddy_status_text(w.rc));
}

eddy_status report_write(const struct report *r, const char *path, struct eddy_error *err)
{
    struct eddy_buffer text = {0};
    eddy_status rc = report_format(r, &text, err);
    if (rc < 0) goto done;

    FILE *file = fopen(path, "wb");
    if (!file) {
        rc = eddy_fail(err, EDDY_EIO, "report %s: %s", path, strerror(errno));
        goto done;
    }
    bool written = fwrite(text.data, 1, text.len, file) == text.len;
    if (fclose(file) != 0 || !written) rc = eddy_fail(err, EDDY_EIO, "report %s: %s", path, strerror(errno));
done:
    eddy_buffer_free(&text);
    return rc;
}

#include "plugin/state_view.h"

#include <string.h>

#include "connectors/codec/timestamp.h"
#include "plugin/state_incidents.h"

enum { NUMBERS_SHOWN = 8 };

static const char *view_time(int64_t time_ns, char out[TIMESTAMP_MAX + 1])
{
    if (time_ns == EDDY_NO_TIME) return "-";
    size_t n = timestamp_write(time_ns, out);
    out[n] = '\0';
    return out;
}

/* A key is bytes: what a terminal must not get becomes \xHH. */
static void view_key(const char *key, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)key[i];
        if (c < 0x20 || c == 0x7F || c == '\\')
            fprintf(out, "\\x%02x", c);
        else
            fputc(c, out);
    }
}

void state_view_line(const struct store_identity *id, const struct stored_row *row, FILE *out)
{
    char time[TIMESTAMP_MAX + 1];
    fprintf(out, "%s\t%d\t", id->topic, id->partition);
    view_key(row->key, row->key_len, out);
    fprintf(out, "\t%lld\t%s\t%lld\n", (long long)row->count, view_time(row->time_ns, time),
            (long long)row->next_off);
}

static void view_members_json(const struct store_identity *id, const struct stored_row *row, struct json_out *j)
{
    char time[TIMESTAMP_MAX + 1];
    json_text(j, "topic", id->topic);
    json_int(j, "partition", id->partition);
    json_bytes(j, "key", row->key, row->key_len);
    json_int(j, "count", row->count);
    json_text(j, "ts", row->time_ns == EDDY_NO_TIME ? NULL : view_time(row->time_ns, time));
    json_int(j, "next_offset", row->next_off);
}

void state_view_line_json(const struct store_identity *id, const struct stored_row *row, struct json_out *j)
{
    json_open(j, NULL, '{');
    view_members_json(id, row, j);
    json_close(j, '}');
    json_end(j);
}

static size_t number_bytes(uint32_t type)
{
    return type == SECTION_F32 ? sizeof(float) : type == SECTION_BYTES ? 1 : sizeof(double);
}

static double number_at(const unsigned char *at, uint32_t type, size_t i)
{
    float f;
    double d;
    int64_t n;
    switch (type) {
    case SECTION_F32: memcpy(&f, at + i * sizeof(f), sizeof(f)); return (double)f;
    case SECTION_F64: memcpy(&d, at + i * sizeof(d), sizeof(d)); return d;
    case SECTION_I64: memcpy(&n, at + i * sizeof(n), sizeof(n)); return (double)n;
    default: return (double)at[i];
    }
}

static void view_section(const struct section *s, const unsigned char *row, FILE *out)
{
    size_t n = (size_t)s->bytes / number_bytes(s->type), shown = n < NUMBERS_SHOWN ? n : NUMBERS_SHOWN;
    fprintf(out, "  %-28s v%u %6llu bytes ", s->name, s->version, (unsigned long long)s->bytes);
    for (size_t i = 0; i < shown; i++) {
        if (s->type == SECTION_BYTES)
            fprintf(out, " %02x", row[s->offset + i]);
        else
            fprintf(out, " %.6g", number_at(row + s->offset, s->type, i));
    }
    fprintf(out, "%s\n", shown < n ? " .." : "");
}

static void view_section_json(const struct section *s, const unsigned char *row, struct json_out *j)
{
    static const char *const types[] = {"bytes", "f32", "f64", "i64"};
    json_open(j, s->name, '{');
    json_text(j, "type", s->type < sizeof(types) / sizeof(*types) ? types[s->type] : "?");
    json_int(j, "version", s->version);
    json_open(j, "data", '[');
    size_t n = (size_t)s->bytes / number_bytes(s->type);
    for (size_t i = 0; i < n; i++) {
        int64_t whole;
        if (s->type == SECTION_I64) {
            memcpy(&whole, row + s->offset + i * sizeof(whole), sizeof(whole));
            json_int(j, NULL, whole);
        } else {
            json_real(j, NULL, number_at(row + s->offset, s->type, i));
        }
    }
    json_close(j, ']');
    json_close(j, '}');
}

void state_view_row(const struct store_identity *id, const struct plan *plan, const struct row_layout *layout,
                    const struct stored_row *row, FILE *out)
{
    char time[TIMESTAMP_MAX + 1];
    fprintf(out, "topic        %s\npartition    %d\nkey          ", id->topic, id->partition);
    view_key(row->key, row->key_len, out);
    fprintf(out, "\nevents       %lld\nlast event   %s\nnext offset  %lld\nrow          %zu bytes\n",
            (long long)row->count, view_time(row->time_ns, time), (long long)row->next_off, row->row_bytes);
    const bool told = state_incidents(plan, layout, row, out);
    for (int i = 0; i < layout->n; i++)
        if (!told || strcmp(layout->sections[i].name, "incidents") != 0)
            view_section(&layout->sections[i], row->row, out);
}

void state_view_row_json(const struct store_identity *id, const struct plan *plan, const struct row_layout *layout,
                         const struct stored_row *row, struct json_out *j)
{
    json_open(j, NULL, '{');
    view_members_json(id, row, j);
    (void)state_incidents_json(plan, layout, row, j);
    json_open(j, "sections", '{');
    for (int i = 0; i < layout->n; i++) view_section_json(&layout->sections[i], row->row, j);
    json_close(j, '}');
    json_close(j, '}');
    json_end(j);
}

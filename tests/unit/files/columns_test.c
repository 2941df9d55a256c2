/* What the columns of CSV files are taken for, through the codec that reads them. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "connectors/codec/codecs.h"
#include "connectors/codec/csv.h"
#include "fixture.h"

static const char *values_of(struct reading *r)
{
    static char out[256];
    return reading_values(r, out, sizeof(out));
}

Test(csv_columns, numeric_columns_are_values_and_texts_are_not)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(
        &f, "a.csv",
        "note,Timestamp,temp,empty,load,late\nx,2020-01-01,1,,-2,NA\n2,2020-01-02,y,,3,7\nz,2020-01-03,3,,4,q\n");
    reading_set(&r, &f, "a.csv", NULL);
    cr_expect_str_eq(values_of(&r), "temp empty load late");
    folder_remove(&f);
}

Test(csv_columns, the_values_of_several_files_are_joined_by_first_appearance)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "d/a.csv", "ts,x,y\n2020-01-01,1,2\n");
    folder_write(&f, "d/b.csv", "ts,z,x\n2020-01-01,3,4\n");
    folder_write(&f, "d/c.jsonl", "{}\n");
    reading_set(&r, &f, "d", NULL);
    cr_expect_str_eq(values_of(&r), "x y z");
    reading_set(&r, &f, "d/c.jsonl", NULL);
    cr_expect_str_eq(values_of(&r), "none");
    folder_remove(&f);
}

Test(csv_columns, values_can_be_named)
{
    static const char *const names[] = {"y", "x"}, *const odd[] = {"y", "pressure"}, *const time[] = {"ts"};
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "a.csv", "ts,x,y,z\n2020-01-01,1,2,3\n");
    folder_write(&f, "b.csv", "ts,y\n2020-01-01,1\n");
    reading_set(&r, &f, "a.csv", "b.csv");
    r.settings.csv.values = (struct eddy_strings){2, names};
    cr_expect_str_eq(values_of(&r), "y x");
    reading_set(&r, &f, "a.csv", "b.csv");
    r.settings.csv.values = (struct eddy_strings){2, odd};
    expect_refusal(&r, EDDY_EINVAL, "\"pressure\"");
    reading_set(&r, &f, "a.csv", NULL);
    r.settings.csv.values = (struct eddy_strings){1, time};
    expect_refusal(&r, EDDY_EINVAL, "\"ts\" is the time already");
    folder_remove(&f);
}

static size_t add_labels(const struct eddy_event *event, const struct eddy_schema *schema, char *out, size_t room)
{
    int n = 0;
    for (int i = 0; i < schema->n_categories; i++)
        n += snprintf(out + n, room - (size_t)n, "/%.0f", (double)event->category[i]);
    if (event->label)
        n += snprintf(out + n, room - (size_t)n, "%s%.*s", event->label_only ? "#late " : "#", (int)event->label_len,
                      event->label);
    return (size_t)n;
}

/* Decodes all rows: "key@seconds=x,x/category#label;" each, or "!reason;". */
static const char *decoded(struct reading *r)
{
    static char out[512];
    static const struct csv_settings none = {.key = "$key", .time = "ts"};
    double x[8];
    float categories[8];
    void *codec;
    struct source_batch batch;
    struct eddy_arena arena = {0};
    struct eddy_event event = {.x = x, .category = categories};
    *out = '\0';
    cr_assert_eq(reading_open(r), EDDY_OK, "%s", r->err.message);
    cr_assert_eq(codec_csv.open(&none, &r->limits, &codec, &r->err), EDDY_OK);
    const struct eddy_schema *schema = file_inputs_schema(r->inputs);
    while (!source_file.ended(r->source)) {
        eddy_status rc = source_file.poll(r->source, 0, 2, &batch, 1, &r->err);
        cr_assert_geq(rc, 0, "%s", r->err.message);
        for (int i = 0; rc > 0 && i < batch.n; i++) {
            char *end = out + strlen(out);
            size_t room = sizeof(out) - strlen(out);
            if (codec_csv.decode(codec, schema, &batch.records[i], &arena, &event, &r->err) < 0) {
                (void)snprintf(end, room, "!%s;", r->err.reason);
                continue;
            }
            int n = snprintf(end, room, "%.*s@%lld=", (int)event.key_len, event.key,
                             (long long)(event.time_ns / 1000000000));
            for (int k = 0; k < schema->n_values; k++)
                n += isnan(x[k]) ? snprintf(end + n, room - (size_t)n, "%s-", k ? "," : "")
                                 : snprintf(end + n, room - (size_t)n, "%s%g", k ? "," : "", x[k]);
            (void)add_labels(&event, schema, end + n, room - (size_t)n - 1);
            strcat(end, ";");
        }
        source_file.release(r->source);
    }
    codec_csv.close(codec);
    eddy_arena_free(&arena);
    reading_close(r);
    return out;
}

Test(csv_columns, rows_of_files_with_other_columns_go_to_the_right_values)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "d/a.csv", "ts,x,y\n1970-01-01,1,2\n");
    folder_write(&f, "d/b.csv", "z,ts,x\n3,1970-01-02,4\n5,1970-01-03,\n");
    reading_set(&r, &f, "d", NULL);
    cr_expect_str_eq(decoded(&r), "a@0=1,2,-;b@86400=4,-,3;b@172800=-,-,5;");
    folder_remove(&f);
}

Test(csv_columns, a_key_column_is_found_by_its_name_in_a_file_but_not_below_a_directory)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "d/a.csv", "id,ts,v\n7,1970-01-01,1\n8,1970-01-01,2\n");
    reading_set(&r, &f, "d/a.csv", NULL);
    cr_expect_str_eq(decoded(&r), "7@0=1;8@0=2;");
    reading_set(&r, &f, "d", NULL);
    cr_expect_str_eq(decoded(&r), "a@0=1;a@0=2;");
    reading_set(&r, &f, "d", NULL);
    r.settings.csv.key_column = "id";
    cr_expect_str_eq(decoded(&r), "7@0=1;8@0=2;");
    folder_remove(&f);
}

/* The numbers of categories: "", a, b. */
static const char *numbered(const char *text)
{
    static char out[512];
    char *end = out;
    for (; *text; text++) {
        bool category = text[0] == '/' && text[1] != '\0';
        if (category)
            end += snprintf(end, 16, "/%.0f", (double)eddy_category(text + 1, text[1] == '-' ? 0 : 1));
        else
            *end++ = *text;
        text += category;
    }
    *end = '\0';
    return out;
}

Test(csv_columns, labels_and_categories_are_columns_that_are_named)
{
    static const char *const categories[] = {"site", "type"};
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "a.csv", "key,ts,type,v,state,site\nk,1970-01-01,a,1,ok,b\nk,1970-01-02,,2,,NA\n");
    folder_write(&f, "b.csv", "key,ts,state\nk,1970-01-02,bad\n");
    reading_set(&r, &f, "a.csv", "b.csv");
    r.settings.csv.label_column = "state";
    r.settings.csv.category_columns = (struct eddy_strings){2, categories};
    cr_expect_str_eq(decoded(&r), numbered("k@0=1/b/a#ok;k@86400=2/-/-;k@86400=-/-/-#late bad;"));
    reading_set(&r, &f, "a.csv", NULL);
    cr_expect_str_eq(decoded(&r), "k@0=1;k@86400=2;");
    folder_remove(&f);
}

Test(csv_columns, a_numeric_label_or_category_is_no_value)
{
    static const char *const categories[] = {"unit"};
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "a.csv", "ts,unit,v,state\n1970-01-01,1,2,3\n");
    reading_set(&r, &f, "a.csv", NULL);
    cr_expect_str_eq(values_of(&r), "unit v state");
    reading_set(&r, &f, "a.csv", NULL);
    r.settings.csv.label_column = "state";
    r.settings.csv.category_columns = (struct eddy_strings){1, categories};
    cr_expect_str_eq(values_of(&r), "v");
    folder_remove(&f);
}

Test(csv_columns, a_usual_name_that_is_a_label_or_category_is_neither_key_nor_time)
{
    static const char *const categories[] = {"sensor"};
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "a.csv", "sensor,time,item,date,v\na,ok,k,1970-01-01,1\n");
    reading_set(&r, &f, "a.csv", NULL);
    r.settings.csv.label_column = "time";
    r.settings.csv.category_columns = (struct eddy_strings){1, categories};
    cr_expect_str_eq(decoded(&r), numbered("k@0=1/a#ok;"));
    folder_remove(&f);
}

Test(csv_columns, labels_and_categories_that_make_no_sense_are_refused_by_name)
{
    static const char *const odd[] = {"color"}, *const time[] = {"ts"}, *const twice[] = {"site", "site"},
                             *const value[] = {"v"};
    static const struct {
        const char *label;
        struct eddy_strings categories, values;
        const char *part;
    } bad[] = {{"status", {0, NULL}, {0, NULL}, "a.csv: there is no column \"status\" (label column)"},
               {NULL, {1, odd}, {0, NULL}, "a.csv: there is no column \"color\" (category columns)"},
               {"site", {2, twice}, {0, NULL}, "category column \"site\" is the label already"},
               {NULL, {2, twice}, {0, NULL}, "category column \"site\" is a category already"},
               {NULL, {1, time}, {0, NULL}, "time column \"ts\" is a category already"},
               {"v", {0, NULL}, {1, value}, "column \"v\" is the label already"}};
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "a.csv", "ts,site,v,w\n1970-01-01,a,1,2\n");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        reading_set(&r, &f, "a.csv", NULL);
        r.settings.csv.time_column = "ts";
        r.settings.csv.label_column = bad[i].label;
        r.settings.csv.category_columns = bad[i].categories;
        r.settings.csv.values = bad[i].values;
        expect_refusal(&r, EDDY_EINVAL, bad[i].part);
    }
    folder_remove(&f);
}

Test(csv_columns, the_usual_names_count_in_their_order)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "a.csv", "date,TS,symbol,KEY,v\n1970-01-01,1970-01-02,s,k,1\n");
    reading_set(&r, &f, "a.csv", NULL);
    cr_expect_str_eq(decoded(&r), "k@86400=1;");
    r.settings.csv.time_column = "date";
    r.settings.csv.key_column = "symbol";
    r.settings.inputs = NULL;
    cr_expect_str_eq(decoded(&r), "s@0=1;");
    folder_remove(&f);
}

Test(csv_columns, without_a_header_columns_are_numbered)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "a.csv", "0.5,x,1970-01-01\n1.5,y,1970-01-02\n");
    reading_set(&r, &f, "a.csv", NULL);
    r.settings.csv.header = false;
    r.settings.csv.time_column = "c2";
    cr_expect_str_eq(decoded(&r), "a@0=0.5;a@86400=1.5;");
    folder_remove(&f);
}

Test(csv_columns, rows_can_be_numbered_and_each_file_begins_anew)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write_gz(&f, "a.txt.gz", "1,2\n3,4\n");
    folder_write(&f, "b.txt", "5,6\n");
    reading_set(&r, &f, "a.txt.gz", "b.txt");
    r.settings.csv.header = false;
    r.settings.csv.time_column = "none";
    r.settings.csv.start = "1970-01-02";
    r.settings.csv.interval = 60000000000;
    cr_expect_str_eq(decoded(&r), "a@86400=1,2;a@86460=3,4;b@86400=5,6;");
    r.settings.inputs = NULL;
    r.settings.csv.start = "tomorrow";
    expect_refusal(&r, EDDY_EINVAL, "\"tomorrow\" is no time");
    folder_remove(&f);
}

Test(csv_columns, epoch_times_need_a_unit)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "a.csv", "ts,v\n1500,1\nx,2\n2500,3\n");
    reading_set(&r, &f, "a.csv", NULL);
    r.settings.csv.time_unit = TIME_MS;
    cr_expect_str_eq(decoded(&r), "a@1=1;!bad_time;a@2=3;");
    folder_remove(&f);
}

Test(csv_columns, bad_rows_do_not_decide_what_a_column_is)
{
    struct folder f;
    struct reading r;
    folder_make(&f);
    folder_write(&f, "a.csv", "ts,v\n1970-01-01\n\"broken\n1970-01-01,1,2\n1970-01-02,5\n1970-01-03,oops\n");
    reading_set(&r, &f, "a.csv", NULL);
    cr_expect_str_eq(decoded(&r), "!not_csv;!not_csv;!not_csv;a@86400=5;!wrong_type;");
    folder_remove(&f);
}

Test(csv_columns, what_makes_no_sense_is_refused_by_name)
{
    static const struct {
        const char *text, *part;
    } bad[] = {{"when,v\n2020-01-01,1\n", "a.csv: no time column among when, v"},
               {"ts,v,v\n2020-01-01,1,2\n", "a.csv:1: columns 2 and 3 are both called \"v\""},
               {"ts,name\n2020-01-01,x\n", "a.csv: no column with numbers"},
               {"ts,\"v\n2020-01-01,x\n", "a.csv:1: column 2: the quote is not closed"}};
    struct folder f;
    struct reading r;
    folder_make(&f);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        folder_write(&f, "a.csv", bad[i].text);
        reading_set(&r, &f, "a.csv", NULL);
        expect_refusal(&r, EDDY_EINVAL, bad[i].part);
    }
    folder_write(&f, "a.csv", "ts,v\n2020-01-01,1\n");
    reading_set(&r, &f, "a.csv", NULL);
    r.settings.csv.time_column = "time";
    expect_refusal(&r, EDDY_EINVAL, "no column \"time\" (time column); its columns are ts, v");
    r.settings.csv.time_column = "ts";
    r.settings.csv.key_column = "ts";
    expect_refusal(&r, EDDY_EINVAL, "a.csv: key column \"ts\" is the time already");
    folder_remove(&f);
}

Test(csv_columns, the_codec_discovers_the_values_of_all_files)
{
    static const struct csv_settings none = {.key = "$key", .time = "ts"};
    struct folder f;
    struct reading r;
    struct source_batch batch;
    struct eddy_buffer names = {0};
    void *codec;
    folder_make(&f);
    folder_write(&f, "a.csv", "ts,x\n2020-01-01,1\n");
    folder_write(&f, "b.csv", "ts,y\n2020-01-01,1\n");
    reading_set(&r, &f, "a.csv", "b.csv");
    cr_assert_eq(reading_open(&r), EDDY_OK);
    cr_assert_eq(codec_csv.open(&none, &r.limits, &codec, &r.err), EDDY_OK);
    while (source_file.poll(r.source, 0, 5, &batch, 1, &r.err) == 0) continue;
    cr_expect_eq(codec_csv.discover(codec, &batch.records[0], &names, &r.err), 2);
    cr_expect(names.len == 4 && memcmp(names.data, "x\0y\0", 4) == 0);
    eddy_buffer_free(&names);
    codec_csv.close(codec);
    reading_close(&r);
    folder_remove(&f);
}

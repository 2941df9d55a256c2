#include "plugin/history.h"

#include <string.h>

#include "config/unit.h"

/* NULL = fine, else the complaint. */
static const char *history_columns(const struct history *a, struct history_names *names,
                                   struct file_csv_settings *csv, struct eddy_error *err)
{
    csv->key_column = a->key_column;
    csv->label_column = a->label_column;
    if (a->values) {
        if (schema_from_text(&names->values, a->values, err) < 0) return err->message;
        csv->values = (struct eddy_strings){names->values.schema.n_values, names->values.names};
    }
    if (a->category_columns) {
        if (schema_from_text(&names->categories, a->category_columns, err) < 0)
            return "--category-columns takes names of columns with commas between, none empty and none twice";
        csv->category_columns = (struct eddy_strings){names->categories.schema.n_values, names->categories.names};
    }
    return NULL;
}

static const char *history_csv(const struct history *a, struct history_names *names, struct file_csv_settings *csv,
                               struct eddy_error *err)
{
    static const char *const units[] = {"iso8601", "s", "ms", "us", "ns"};
    csv->time_column = a->time_column;
    csv->header = !a->no_header;
    csv->start = a->start;
    if (a->time && strcmp(a->time, "none") != 0) return "--time knows only none; name a column with --time-column";
    if (a->time && a->time_column) return "--time none and --time-column exclude each other";
    if (a->time) csv->time_column = "none";
    if ((a->start || a->interval) && !a->time) return "--start and --interval go with --time none";
    csv->interval = 1000000000;
    if (a->interval) {
        if (parse_duration(a->interval, &csv->interval) || csv->interval <= 0)
            return "--interval needs a duration above 0 such as 250ms, 10s, 5m, 1h, 1d";
    }
    if (a->time_unit) {
        int unit = TIME_NS;
        while (unit > TIME_ISO8601 && strcmp(units[unit], a->time_unit) != 0) unit--;
        if (unit == TIME_ISO8601 && strcmp(units[TIME_ISO8601], a->time_unit) != 0)
            return "--time-unit is one of s, ms, us, ns";
        csv->time_unit = unit;
    }
    return history_columns(a, names, csv, err);
}

static bool history_is_time(const char *text)
{
    int64_t ns;
    return !text || strcmp(text, "earliest") == 0 || strcmp(text, "latest") == 0 ||
           timestamp_parse(text, strlen(text), &ns);
}

const char *history_complaint(const struct history *a)
{
    bool past = a->from || a->to;
    if (a->inputs.n && past) return "--input reads files, --from and --to a topic's past: one of both";
    if (!a->inputs.n && !past) return "--input PATH is needed, or --from T for the topic's past";
    if (!history_is_time(a->from) || !history_is_time(a->to))
        return "--from and --to take earliest, latest or RFC 3339";
    bool csv = a->time_column || a->key_column || a->values || a->label_column || a->category_columns ||
               a->no_header || a->time || a->start || a->interval || a->time_unit;
    if (past && csv) return "the flags of CSV files go with --input";
    return NULL;
}

eddy_status history_open(const struct history *a, struct pipeline *p, struct history_names *names, bool *misused,
                         struct eddy_error *err)
{
    if (!a->inputs.n) {
        eddy_status rc = pipeline_read_past(p, a->from, a->to, err);
        *misused = rc == EDDY_EINVAL;
        return rc;
    }
    struct file_source_settings files = {.paths = {a->inputs.n, a->inputs.item}};
    const char *wrong = history_csv(a, names, &files.csv, err);
    p->inputs_option = "--input";
    if (!wrong) return pipeline_read_files(p, &files, err);
    *misused = true;
    return wrong == err->message ? EDDY_EINVAL : eddy_fail(err, EDDY_EINVAL, "%s", wrong);
}

void history_close(struct history_names *names)
{
    schema_free(&names->values);
    schema_free(&names->categories);
}

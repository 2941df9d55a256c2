/* The outcome as a page: builds what report.h wants and hands it over. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/demo/outcome.h"
#include "plugin/demo/report.h"

enum { MAX_TILES = 8, MAX_SERIES = PLANT_MACHINES + PRICE_SYMBOLS, TEXT_BYTES = 96 };

/* Everything that the report points to. */
struct sheet {
    struct report report;
    struct report_tile tiles[MAX_TILES];
    char texts[MAX_TILES][2][TEXT_BYTES];
    struct report_series series[MAX_SERIES];
    struct report_point *points;
    struct report_span *spans;
    struct report_forecast ahead[MAX_SERIES][SCORED_MAX_HORIZONS + 1];
    struct report_error errors[2 * SCORED_MAX_HORIZONS];
    char error_labels[2 * SCORED_MAX_HORIZONS][TEXT_BYTES];
};

/* 65535 -> "65,535" */
static const char *thousands(char out[TEXT_BYTES], int64_t n)
{
    snprintf(out, TEXT_BYTES, n >= 1000 ? "%lld,%03lld" : "%lld", (long long)(n >= 1000 ? n / 1000 : n),
             (long long)(n % 1000));
    return out;
}

static __attribute__((format(printf, 4, 5))) void sheet_tile(struct sheet *sheet, const char *label,
                                                             const char *value, const char *note, ...)
{
    int i = sheet->report.n_tiles++;
    va_list args;
    va_start(args, note);
    snprintf(sheet->texts[i][0], TEXT_BYTES, "%s", value);
    vsnprintf(sheet->texts[i][1], TEXT_BYTES, note, args);
    va_end(args);
    sheet->tiles[i] = (struct report_tile){label, sheet->texts[i][0], sheet->texts[i][1]};
}

static void sheet_fault_tile(struct sheet *sheet, const struct outcome *o)
{
    char value[TEXT_BYTES], note[TEXT_BYTES] = "";
    int n, hits;
    for (int kind = 0; kind < N_FAULT_KINDS; kind++) {
        size_t at = strlen(note);
        hits = outcome_hits(o, kind, &n);
        snprintf(note + at, sizeof(note) - at, "%s%s %d/%d", kind ? ", " : "", fault_kind_text(kind), hits, n);
    }
    hits = outcome_hits(o, -1, &n);
    snprintf(value, sizeof(value), "%d of %d", hits, n);
    sheet_tile(sheet, "faults found", value, "%s", note);
}

static void sheet_tiles(struct sheet *sheet, const struct outcome *o)
{
    const struct tally *s = o->sensors, *p = o->prices;
    const struct tally_errors *far = &s->errors[TALLY_ALL][s->n_horizons - 1];
    int64_t scored = s->n_scored + p->n_scored;
    char value[TEXT_BYTES], all[TEXT_BYTES];

    sheet_tile(sheet, "events scored", thousands(value, scored), "of %s sent", thousands(all, outcome_events(o)));
    sheet_tile(sheet, "events per second", thousands(value, llround((double)scored / o->seconds)),
               "for %.1f s, learning meanwhile: %s training steps", o->seconds, thousands(all, o->updates));
    sheet_fault_tile(sheet, o);
    sheet_tile(sheet, "false alarms", thousands(value, o->false_alarms), "%.2f per 1,000 sensor readings",
               1000.0 * (double)o->false_alarms / (double)tally_events(s));
    snprintf(value, sizeof(value), "%+.0f %%", 100 * (far->absolute / far->persistence - 1));
    sheet_tile(sheet, "sensor forecast error", value, "against persistence, %d steps ahead", far->horizon);
    snprintf(value, sizeof(value), "%.1f %%",
             100 * (double)(s->n_covered + p->n_covered) / (double)(s->n_bands + p->n_bands));
    sheet_tile(sheet, "inside the 90 % band", value, "of all values, one step ahead");
}

static void sheet_points(const struct tally *t, int series, struct report_point *points)
{
    for (int step = 0; step < t->truth->n_steps; step++) {
        const struct tally_point *p = tally_at(t, series, step);
        points[step] = (struct report_point){simulation_time_ns(t->truth, step),
                                             simulation_value(t->truth, step, series),
                                             p->seen ? p->yhat : NAN,
                                             p->seen ? p->lower : NAN,
                                             p->seen ? p->upper : NAN,
                                             p->seen ? p->score : 0,
                                             p->anomaly};
    }
}

/* The last value, then what is forecast from there. */
static int sheet_ahead(const struct tally *t, int series, struct report_forecast *ahead)
{
    int step = t->last_step[series];
    if (step < 0) return 0;
    const struct scored *r = &t->last[series];
    double newest = t->newest[(int64_t)series * t->truth->n_steps + step];
    ahead[0] = (struct report_forecast){simulation_time_ns(t->truth, step), newest, newest, newest};
    for (int i = 0; i < r->n_forecasts; i++)
        ahead[i + 1] = (struct report_forecast){simulation_time_ns(t->truth, step + r->forecasts[i].h),
                                                r->forecasts[i].yhat, r->forecasts[i].lower, r->forecasts[i].upper};
    return r->n_forecasts + 1;
}

static int sheet_spans(const struct tally *t, const struct tally_fault *faults, int series, struct report_span *spans)
{
    int n = 0;
    for (int i = 0; i < t->truth->n_faults; i++) {
        const struct fault *f = &t->truth->faults[i];
        if (f->series != series) continue;
        int64_t start_ns = simulation_time_ns(t->truth, f->first);
        spans[n++] = (struct report_span){
            start_ns, simulation_time_ns(t->truth, f->last), fault_kind_text(f->kind), faults[i].hit,
            faults[i].hit ? simulation_time_ns(t->truth, faults[i].alert) - start_ns : 0};
    }
    return n;
}

struct stream_words {
    const char *group, *unit, *error_unit;
};

/* Adds the series of one stream, and moves `points` and `spans` on. */
static void sheet_stream(struct sheet *sheet, const struct tally *t, const struct tally_fault *faults,
                         struct stream_words words, struct report_point **points, struct report_span **spans)
{
    for (int i = 0; i < t->truth->n_series; i++) {
        int at = sheet->report.n_series++;
        sheet_points(t, i, *points);
        int n_spans = sheet_spans(t, faults, i, *spans);
        int n_ahead = sheet_ahead(t, i, sheet->ahead[at]);
        sheet->series[at] = (struct report_series){.group = words.group,
                                                   .key = t->truth->names[i],
                                                   .field = t->truth->field,
                                                   .unit = words.unit,
                                                   .points = *points,
                                                   .n_points = t->truth->n_steps,
                                                   .spans = *spans,
                                                   .n_spans = n_spans,
                                                   .ahead = sheet->ahead[at],
                                                   .n_ahead = n_ahead};
        *points += t->truth->n_steps;
        *spans += n_spans;
    }
    for (int h = 0; h < t->n_horizons; h++) {
        const struct tally_errors *e = &t->errors[TALLY_ALL][h];
        int at = sheet->report.n_errors++;
        int64_t minutes = e->horizon * t->truth->step_ns / 60000000000;
        snprintf(sheet->error_labels[at], TEXT_BYTES, minutes < 60 ? "%lld min ahead" : "%lld h ahead",
                 (long long)(minutes < 60 ? minutes : minutes / 60));
        sheet->errors[at] = (struct report_error){words.group, sheet->error_labels[at], words.error_unit,
                                                  e->absolute / (double)e->n, e->persistence / (double)e->n};
    }
}

eddy_status outcome_report(const struct outcome *o, const char *path, struct eddy_error *err)
{
    eddy_status rc = EDDY_ENOMEM;
    struct sheet *sheet = calloc(1, sizeof(*sheet));
    if (!sheet) goto done;
    sheet->points = calloc((size_t)outcome_events(o), sizeof(*sheet->points));
    sheet->spans = calloc((size_t)o->sensors->truth->n_faults + 1, sizeof(*sheet->spans));
    if (!sheet->points || !sheet->spans) goto done;

    char footer[600];
    snprintf(
        footer, sizeof(footer),
        "Simulated with seed %llu, sent as JSON to librdkafka's mock cluster, scored by the pipeline that `eddy run` "
        "uses, and read back from the output topics. A fault counts as found when an alert comes from its start to "
        "%d steps after its end; every other alert is a false alarm. Errors are taken over all events, faults and "
        "warm-up included. Prices are random walks: there the last value is the best forecast there is, and what "
        "eddy adds is the width of the band. Long series are thinned for drawing; no alert is left out.",
        (unsigned long long)o->seed, o->sensors->grace);
    struct report_point *points = sheet->points;
    struct report_span *spans = sheet->spans;
    sheet_tiles(sheet, o);
    static const char celsius[] = {(char)0xc2, (char)0xb0, 'C', 0};
    sheet_stream(sheet, o->sensors, o->faults, (struct stream_words){"sensors", celsius, celsius}, &points, &spans);
    sheet_stream(sheet, o->prices, NULL, (struct stream_words){"prices", "", "bp"}, &points, &spans);
    sheet->report.title = "eddy: forecasts and anomaly scores on a stream";
    sheet->report.lead =
        "A plant with faults and a market, event by event through Kafka. For every event eddy had said "
        "beforehand what to expect, scored what came, forecast what comes next, and learnt from it.";
    sheet->report.footer = footer;
    sheet->report.tiles = sheet->tiles;
    sheet->report.series = sheet->series;
    sheet->report.errors = sheet->errors;
    rc = report_write(&sheet->report, path, err);
done:
    if (sheet) {
        free(sheet->points);
        free(sheet->spans);
    }
    free(sheet);
    return rc == EDDY_ENOMEM ? eddy_fail(err, rc, "report %s: out of memory", path) : rc;
}

/* The outcome as a page: builds what report.h wants and hands it over. */
#include <math.h>
#include <stdlib.h>

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
static void sheet_thousands(char out[TEXT_BYTES], int64_t n)
{
    if (n >= 1000)
        snprintf(out, TEXT_BYTES, "%lld,%03lld", (long long)(n / 1000), (long long)(n % 1000));
    else
        snprintf(out, TEXT_BYTES, "%lld", (long long)n);
}

static struct report_tile *sheet_tile(struct sheet *sheet, const char *label)
{
    int i = sheet->report.n_tiles++;
    sheet->tiles[i] = (struct report_tile){label, sheet->texts[i][0], sheet->texts[i][1]};
    return &sheet->tiles[i];
}

#define TILE_VALUE(...) snprintf(sheet->texts[sheet->report.n_tiles - 1][0], TEXT_BYTES, __VA_ARGS__)
#define TILE_NOTE(...)  snprintf(sheet->texts[sheet->report.n_tiles - 1][1], TEXT_BYTES, __VA_ARGS__)

static void sheet_tiles(struct sheet *sheet, const struct outcome *o)
{
    int n, hits = outcome_hits(o, -1, &n);
    int64_t scored = o->sensors->n_scored + o->prices->n_scored;
    const struct tally_errors *last = &o->sensors->errors[TALLY_ALL][o->sensors->n_horizons - 1];

    sheet_tile(sheet, "events scored");
    sheet_thousands(sheet->texts[sheet->report.n_tiles - 1][0], scored);
    TILE_NOTE("of %lld sent", (long long)outcome_events(o));
    sheet_tile(sheet, "rate");
    TILE_VALUE("%.0f /s", (double)scored / o->seconds);
    TILE_NOTE("in %.1f s, learning meanwhile: %lld training steps", o->seconds, (long long)o->updates);
    sheet_tile(sheet, "faults found");
    TILE_VALUE("%d of %d", hits, n);
    int spikes, drifts, stuck, rhythms, of[N_FAULT_KINDS];
    spikes = outcome_hits(o, FAULT_SPIKE, &of[FAULT_SPIKE]);
    drifts = outcome_hits(o, FAULT_DRIFT, &of[FAULT_DRIFT]);
    stuck = outcome_hits(o, FAULT_STUCK, &of[FAULT_STUCK]);
    rhythms = outcome_hits(o, FAULT_RHYTHM, &of[FAULT_RHYTHM]);
    TILE_NOTE("spike %d/%d, drift %d/%d, stuck %d/%d, lost rhythm %d/%d", spikes, of[FAULT_SPIKE], drifts,
              of[FAULT_DRIFT], stuck, of[FAULT_STUCK], rhythms, of[FAULT_RHYTHM]);
    sheet_tile(sheet, "false alarms");
    TILE_VALUE("%lld", (long long)o->false_alarms);
    TILE_NOTE("%.2f per 1,000 sensor readings", 1000.0 * (double)o->false_alarms / (double)tally_events(o->sensors));
    sheet_tile(sheet, "sensor forecast error");
    TILE_VALUE("%+.0f %%", 100 * (last->absolute / last->persistence - 1));
    TILE_NOTE("against persistence, %d steps ahead", last->horizon);
    sheet_tile(sheet, "inside the 90 % band");
    TILE_VALUE("%.1f %%", 100 * (double)(o->sensors->n_covered + o->prices->n_covered) /
                              (double)(o->sensors->n_bands + o->prices->n_bands));
    TILE_NOTE("of all values, one step ahead");
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

/* Adds the series of one stream; returns how many points and spans it used. */
static void sheet_stream(struct sheet *sheet, const struct tally *t, const struct tally_fault *faults,
                         const char *group, const char *unit, struct report_point **points,
                         struct report_span **spans)
{
    for (int i = 0; i < t->truth->n_series; i++) {
        int at = sheet->report.n_series++;
        sheet_points(t, i, *points);
        int n_spans = sheet_spans(t, faults, i, *spans);
        int n_ahead = sheet_ahead(t, i, sheet->ahead[at]);
        sheet->series[at] = (struct report_series){
            group,   t->truth->names[i], t->truth->field, unit, *points, t->truth->n_steps, *spans,
            n_spans, sheet->ahead[at],   n_ahead};
        *points += t->truth->n_steps;
        *spans += n_spans;
    }
    for (int h = 0; h < t->n_horizons; h++) {
        const struct tally_errors *e = &t->errors[TALLY_ALL][h];
        int at = sheet->report.n_errors++;
        int64_t minutes = e->horizon * t->truth->step_ns / 60000000000;
        snprintf(sheet->error_labels[at], TEXT_BYTES, minutes < 60 ? "%lld min ahead" : "%lld h ahead",
                 (long long)(minutes < 60 ? minutes : minutes / 60));
        sheet->errors[at] = (struct report_error){group, sheet->error_labels[at], unit, e->absolute / (double)e->n,
                                                  e->persistence / (double)e->n};
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
    sheet_stream(sheet, o->sensors, o->faults, "sensors",
                 "\xc2\xb0"
                 "C",
                 &points, &spans);
    sheet_stream(sheet, o->prices, NULL, "prices", "", &points, &spans);
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

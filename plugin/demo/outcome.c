#include "plugin/demo/outcome.h"

#include <math.h>

int64_t outcome_events(const struct outcome *o)
{
    return tally_events(o->sensors) + tally_events(o->prices);
}

int outcome_hits(const struct outcome *o, int kind, int *n)
{
    int hits = 0;
    *n = 0;
    for (int i = 0; i < o->sensors->truth->n_faults; i++) {
        if (kind >= 0 && o->sensors->truth->faults[i].kind != kind) continue;
        ++*n;
        hits += o->faults[i].hit;
    }
    return hits;
}

static eddy_status check_stream(const struct tally *t, const char *name, struct eddy_error *err)
{
    int64_t n = tally_events(t);
    if (t->n_scored < n)
        return eddy_fail(err, EDDY_EDATA, "%lld of %lld %s have no score", (long long)(n - t->n_scored), (long long)n,
                         name);
    if (t->n_strange)
        return eddy_fail(err, EDDY_EDATA, "%lld scored %s were never sent like that", (long long)t->n_strange, name);
    for (int h = 0; h < t->n_horizons; h++)
        if (t->errors[TALLY_ALL][h].n == 0)
            return eddy_fail(err, EDDY_EDATA, "no forecast %d steps ahead for the %s",
                             t->errors[TALLY_ALL][h].horizon, name);
    return EDDY_OK;
}

eddy_status outcome_check(const struct outcome *o, struct eddy_error *err)
{
    eddy_status rc = check_stream(o->sensors, "sensor readings", err);
    if (rc == EDDY_OK) rc = check_stream(o->prices, "prices", err);
    if (rc != EDDY_OK) return rc;

    for (int h = 0; h < o->sensors->n_horizons; h++) {
        const struct tally_errors *e = &o->sensors->errors[TALLY_ALL][h];
        if (!(e->absolute < e->persistence))
            return eddy_fail(
                err, EDDY_EDATA,
                "sensor forecasts %d steps ahead are no better than persistence (error %.3f against %.3f)",
                e->horizon, e->absolute / (double)e->n, e->persistence / (double)e->n);
    }
    int n, hits = outcome_hits(o, -1, &n);
    if (2 * hits < n) return eddy_fail(err, EDDY_EDATA, "only %d of %d faults were found", hits, n);
    if (o->updates == 0) return eddy_fail(err, EDDY_EDATA, "the networks have not learnt: no training step was made");
    return EDDY_OK;
}

static void print_errors(const struct tally *t, const char *name, const char *unit, FILE *out)
{
    static const char *const shares[N_TALLY_SHARES] = {"all events", "last quarter"};
    for (int share = 0; share < N_TALLY_SHARES; share++)
        for (int h = 0; h < t->n_horizons; h++) {
            const struct tally_errors *e = &t->errors[share][h];
            double n = (double)e->n;
            fprintf(out, "  %-8s %-13s %2d ahead  %7.3f %-3s  %7.3f %-3s  %+6.1f %%   %5.1f %%\n",
                    h || share ? "" : name, h ? "" : shares[share], e->horizon, e->absolute / n, unit,
                    e->persistence / n, unit, 100 * (e->absolute / e->persistence - 1),
                    100 * (double)e->n_covered / (double)e->n_bands);
        }
}

void outcome_print(const struct outcome *o, FILE *out)
{
    const struct tally *s = o->sensors, *p = o->prices;
    int64_t events = outcome_events(o);
    int n;
    fprintf(out, "\nevents        %lld (%lld sensor readings of %d machines, %lld prices of %d symbols)\n",
            (long long)events, (long long)tally_events(s), s->truth->n_series, (long long)tally_events(p),
            p->truth->n_series);
    fprintf(out, "scored        %lld in %.1f s: %.0f events/s, with %lld training steps (%lld refused)\n",
            (long long)(s->n_scored + p->n_scored), o->seconds, (double)(s->n_scored + p->n_scored) / o->seconds,
            (long long)o->updates, (long long)o->refused);
    fprintf(out, "alerts        %lld on sensors, %lld on prices\n", (long long)s->n_alerts, (long long)p->n_alerts);
    int hits = outcome_hits(o, -1, &n);
    fprintf(out, "faults hit    %d of %d (", hits, n);
    for (int kind = 0; kind < N_FAULT_KINDS; kind++) {
        hits = outcome_hits(o, kind, &n);
        fprintf(out, "%s%s %d of %d", kind ? ", " : "", fault_kind_text(kind), hits, n);
    }
    fprintf(out, ")\nfalse alarms  %lld, %.2f per 1,000 sensor readings\n\n", (long long)o->false_alarms,
            1000.0 * (double)o->false_alarms / (double)tally_events(s));
    fprintf(out, "  mean absolute error of the forecasts:  eddy    persistence   change   inside the 90 %% band\n");
    print_errors(s, "sensors", "C", out);
    print_errors(p, "prices", "bp", out);
    fprintf(
        out,
        "\nA fault counts as hit when an alert comes from its start to %d steps after its end; any other alert is\n"
        "false.  Prices are random walks (errors in basis points): persistence cannot be beaten there.\n",
        s->grace);
}

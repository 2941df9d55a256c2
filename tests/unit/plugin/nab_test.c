/* The benchmark's score against tests/golden/nab_score.py, and label windows. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/nab.h"
#include "plugin/windows.h"

enum { SERIES = 8, ROWS = 200, SPANS = 8 };

struct made {
    struct nab_series series[SERIES];
    double score[SERIES][ROWS];
    struct nab_window window[SERIES][SPANS];
    int n_series;
};

static void read_series(FILE *in, struct made *m)
{
    int k = m->n_series++, n, n_windows;
    cr_assert(k < SERIES && fscanf(in, "%d %d", &n, &n_windows) == 2 && n <= ROWS && n_windows <= SPANS);
    for (int w = 0; w < n_windows; w++) {
        long first, last;
        cr_assert_eq(fscanf(in, "%ld %ld", &first, &last), 2);
        m->window[k][w] = (struct nab_window){first, last};
    }
    for (int i = 0; i < n; i++) cr_assert_eq(fscanf(in, "%lf", &m->score[k][i]), 1);
    m->series[k] = (struct nab_series){n, m->score[k], n_windows, m->window[k]};
}

static const struct nab_profile *profile(const char *name)
{
    for (int p = 0; p < NAB_PROFILES; p++)
        if (strcmp(nab_profiles[p].name, name) == 0) return &nab_profiles[p];
    cr_assert_fail("no profile %s", name);
    return NULL;
}

Test(nab, scores_equal_those_of_the_definition)
{
    static struct made m;
    struct eddy_error err;
    char what[16], name[16];
    double threshold, want;
    int n = 0;
    FILE *in = fopen("tests/golden/nab_score.txt", "r");
    cr_assert_not_null(in);
    while (fscanf(in, "%15s", what) == 1) {
        if (strcmp(what, "series") == 0) {
            read_series(in, &m);
            continue;
        }
        cr_assert_eq(fscanf(in, "%15s %lf %lf", name, &threshold, &want), 3);
        n++;
        if (strcmp(what, "score") == 0) {
            double got = nab_score(m.series, m.n_series, threshold, profile(name));
            cr_expect_float_eq(got, want, 1e-9, "%s at %g: %.12g instead of %.12g", name, threshold, got, want);
            continue;
        }
        struct nab_best best;
        cr_assert_eq(nab_best(m.series, m.n_series, profile(name), &best, &err), EDDY_OK);
        cr_expect_float_eq(best.score, want, 1e-9, "%s: best %.12g instead of %.12g", name, best.score, want);
        cr_expect_float_eq(best.threshold, threshold, 1e-12);
    }
    fclose(in);
    cr_expect_eq(n, 18);
}

Test(nab, without_a_window_there_is_no_score_and_silence_is_best)
{
    const double score[] = {0.1, 0.9, 0.2, 0.3};
    const struct nab_series s = {4, score, 0, NULL};
    struct nab_best best;
    struct eddy_error err;
    cr_expect(isnan(nab_score(&s, 1, 0.5, &nab_profiles[0])));
    cr_expect_float_eq(nab_gain(&s, 0.5, &nab_profiles[0]), -0.11, 1e-15);
    cr_assert_eq(nab_best(&s, 1, &nab_profiles[0], &best, &err), EDDY_OK);
    cr_expect(isnan(best.score) && isnan(best.threshold));
}

static eddy_status open_text(const char *text, struct windows **out, struct eddy_error *err)
{
    char path[] = "/tmp/eddy-windows-XXXXXX";
    int file = mkstemp(path);
    cr_assert(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text));
    close(file);
    eddy_status rc = windows_open(path, out, err);
    unlink(path);
    return rc;
}

Test(windows, series_are_found_with_and_without_their_extension)
{
    struct windows *w;
    struct eddy_error err;
    const char *text = "{\"a/x.csv\": [[\"2026-01-02 00:00:00.000000\", \"2026-01-02T00:00:01Z\"], [5, 6.5]],"
                       " \"b/y.jsonl.gz\": [], \"c/y.csv\": [], \"d.e\": []}";
    cr_assert_eq(open_text(text, &w, &err), EDDY_OK, "%s", err.message);
    const struct windows_series *x = windows_find(w, "a/x", 3);
    cr_assert_not_null(x);
    cr_expect_eq(x->n, 2);
    cr_expect_eq(x->span[0].start_ns, 5000000000, "by time");
    cr_expect_eq(x->span[0].end_ns, 6500000000);
    cr_expect_eq(x->span[1].start_ns, 1767312000000000000);
    cr_expect_eq(windows_find(w, "a/x.csv", 7), x);
    cr_expect_eq(windows_find(w, "x", 1), x, "the last part alone, when it is one of its kind");
    cr_expect_not_null(windows_find(w, "b/y", 3));
    cr_expect_null(windows_find(w, "y", 1), "two could be meant");
    cr_expect_not_null(windows_find(w, "d", 1));
    cr_expect_null(windows_find(w, "a", 1));
    windows_close(w);
}

Test(windows, what_is_no_list_of_windows_is_named)
{
    static const char *const wrong[][2] = {
        {"[]", "an object of series"},
        {"{\"a\": 5}", "a: a list of [start, end]"},
        {"{\"a\": [[\"2026-01-02\"]]}", "a: window 1"},
        {"{\"a\": [[1, 2], [\"soon\", \"later\"]]}", "a: window 2"},
        {"{\"a\": [[5, 4]]}", "a: window 1"},
        {"{\"a\": [[1e300, 1e301]]}", "a: window 1"},
        {"{\"a\": [], \"a\": []}", ":1: "},
        {"{\"a\":\n [}", ":2: "},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct windows *w = NULL;
        struct eddy_error err;
        cr_expect_eq(open_text(wrong[i][0], &w, &err), EDDY_EINVAL, "%s", wrong[i][0]);
        cr_expect(strstr(err.message, wrong[i][1]), "%s: %s", wrong[i][0], err.message);
        cr_expect_null(w);
    }
    struct windows *w;
    struct eddy_error err;
    cr_expect_eq(windows_open("/nowhere/l.json", &w, &err), EDDY_EIO);
    cr_expect(strstr(err.message, "/nowhere/l.json"));
}

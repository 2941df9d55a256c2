/* A plan as text: what stored weights and memories must agree with, line by line, and where two of them differ. */
#include <stdio.h>
#include <string.h>

#include "engine/flow/plan_private.h"

static eddy_status text_add(struct eddy_buffer *out, const char *text, eddy_status before)
{
    return before < 0 ? before : eddy_buffer_append(out, text, strlen(text));
}

static eddy_status text_horizons(const struct plan *p, struct eddy_buffer *out)
{
    eddy_status rc = text_add(out, "horizons", EDDY_OK);
    for (int j = 0; j < p->outlook.n_horizons; j++) {
        char text[16];
        (void)snprintf(text, sizeof(text), " %d", p->outlook.horizons[j]);
        rc = text_add(out, text, rc);
    }
    return text_add(out, "\n", rc);
}

static eddy_status text_inputs(const struct plan_network *n, struct eddy_buffer *out)
{
    static const char *const tasks[] = {
        [TASK_FORECAST] = "forecasts from", [TASK_LOOK_BACK] = "looks back on", [TASK_CLASSIFY] = "classifies by"};
    eddy_status rc = text_add(out, n->name, EDDY_OK);
    rc = text_add(out, " ", rc);
    rc = text_add(out, tasks[n->task], rc);
    for (int k = 0; k < N_NETWORK_INPUTS; k++) {
        if (!n->reads[k]) continue;
        rc = text_add(out, " ", rc);
        rc = text_add(out, network_input_words[k], rc);
    }
    return text_add(out, "\n", rc);
}

/* Robust scaling needs no words: it is what there always was. */
static eddy_status text_scaling(const struct plan *p, struct eddy_buffer *out)
{
    eddy_status rc = EDDY_OK;
    for (int v = 0; p->fixed_mean && v < p->n_values; v++) {
        char text[80];
        rc = text_add(out, "scaling fixed, ", rc);
        rc = text_add(out, p->schema.names[v], rc);
        (void)snprintf(text, sizeof(text), ": mean %.17g deviation %.17g\n", p->fixed_mean[v], p->fixed_deviation[v]);
        rc = text_add(out, text, rc);
    }
    for (int v = 0; p->transform && v < p->n_values; v++) {
        rc = text_add(out, "transform of ", rc);
        rc = text_add(out, p->schema.names[v], rc);
        rc = text_add(out, ": ", rc);
        rc = text_add(out, transform_words[p->transform[v]], rc);
        rc = text_add(out, "\n", rc);
    }
    return p->settings->forecast.anchor == ANCHOR_NONE ? text_add(out, "anchor none\n", rc) : rc;
}

eddy_status plan_fingerprint(const struct plan *p, struct eddy_buffer *out)
{
    eddy_status rc = model_fingerprint(p->model, out);
    if (rc >= 0) rc = text_horizons(p, out);
    for (int c = 0; c < p->schema.n_categories; c++) {
        rc = text_add(out, "category ", rc);
        rc = text_add(out, p->schema.categories[c], rc);
        rc = text_add(out, "\n", rc);
    }
    for (int i = 0; i < p->n_networks && rc >= 0; i++) rc = text_inputs(&p->networks[i], out);
    return rc >= 0 ? text_scaling(p, out) : rc;
}

/* The line of `text` in which the byte `at` lies. */
static int text_line(const char *text, size_t len, size_t at, const char **line)
{
    enum { SHOWN = 160 };
    *line = "";
    if (len == 0) return 0;
    if (at > len) at = len;
    size_t first = at, last = at;
    while (first > 0 && text[first - 1] != '\n') first--;
    while (last < len && text[last] != '\n' && text[last] != '\0') last++;
    if (last - first > SHOWN && at - first > SHOWN / 2) first = at - SHOWN / 2;
    *line = text + first;
    return last - first > SHOWN ? SHOWN : (int)(last - first);
}

void plan_difference(const char *stored, size_t n_stored, const char *configured, size_t n_configured,
                     char out[PLAN_DIFFERENCE])
{
    size_t at = 0;
    const char *was, *is;
    while (at < n_stored && at < n_configured && stored[at] == configured[at]) at++;
    const int n_was = text_line(stored, n_stored, at, &was), n_is = text_line(configured, n_configured, at, &is);
    (void)snprintf(out, PLAN_DIFFERENCE, "it says \"%.*s\", the configuration \"%.*s\"", n_was, was, n_is, is);
}

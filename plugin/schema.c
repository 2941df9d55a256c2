#include "plugin/schema.h"

#include <stdlib.h>
#include <string.h>

#include "engine/flow/lane.h"

void schema_free(struct schema_names *s)
{
    eddy_buffer_free(&s->text);
    free(s->names);
    *s = (struct schema_names){0};
}

/* Points the schema at its n names in `text`. */
static eddy_status schema_index(struct schema_names *s, int n, struct eddy_error *err)
{
    s->names = calloc((size_t)n + 1, sizeof(*s->names));
    if (!s->names) return eddy_fail(err, EDDY_ENOMEM, "values: out of memory");
    const char *at = s->text.data;
    for (int i = 0; i < n; i++) {
        s->names[i] = at;
        if (!*at) return eddy_fail(err, EDDY_EINVAL, "values: a name is empty");
        for (int k = 0; k < i; k++)
            if (strcmp(s->names[k], at) == 0)
                return eddy_fail(err, EDDY_EINVAL, "values: \"%s\" stands there twice", at);
        at += strlen(at) + 1;
    }
    s->schema = (struct eddy_schema){.n_values = n, .names = s->names};
    return EDDY_OK;
}

static eddy_status schema_finish(struct schema_names *s, eddy_status rc, int n, struct eddy_error *err)
{
    if (rc >= 0) rc = schema_index(s, n, err);
    if (rc < 0) schema_free(s);
    return rc;
}

eddy_status schema_from_array(struct schema_names *s, const char *const *names, struct eddy_error *err)
{
    *s = (struct schema_names){0};
    int n = 0;
    for (; names[n]; n++) {
        if (eddy_buffer_append(&s->text, names[n], strlen(names[n]) + 1) < 0)
            return schema_finish(s, eddy_fail(err, EDDY_ENOMEM, "values: out of memory"), 0, err);
    }
    if (n == 0) return eddy_fail(err, EDDY_EINVAL, "values: at least one name is needed");
    return schema_finish(s, EDDY_OK, n, err);
}

eddy_status schema_from_text(struct schema_names *s, const char *list, struct eddy_error *err)
{
    *s = (struct schema_names){0};
    if (eddy_buffer_append(&s->text, list, strlen(list) + 1) < 0)
        return eddy_fail(err, EDDY_ENOMEM, "values: out of memory");
    int n = 1;
    for (char *c = strchr(s->text.data, ','); c; c = strchr(c + 1, ',')) {
        *c = '\0';
        n++;
    }
    return schema_finish(s, EDDY_OK, n, err);
}

eddy_status schema_from_codec(struct schema_names *s, const struct settings *settings, struct eddy_error *err)
{
    *s = (struct schema_names){0};
    const struct eddy_codec *codec = (const struct eddy_codec *)settings->codec.part;
    const struct eddy_limits limits = {settings->limits.record, settings->limits.key, settings->limits.depth,
                                       settings->limits.fields};
    void *open = NULL;
    eddy_status rc = codec->open(settings->codec.settings, &limits, &open, err);
    if (rc < 0) return rc;
    /* An empty record: a codec whose settings list the values needs no other. */
    const struct eddy_record nothing = {.topic = "", .time_ns = EDDY_NO_TIME, .payload = ""};
    int n = rc = codec->discover(open, &nothing, &s->text, err);
    codec->close(open);
    if (rc == EDDY_EDATA)
        rc = eddy_fail(err, EDDY_ENOTFOUND, "%s: the values are not listed",
                       settings->codec.where ? settings->codec.where : "codec");
    return schema_finish(s, rc, n, err);
}

eddy_status schema_from_store(struct schema_names *s, struct store *store, struct eddy_error *err)
{
    *s = (struct schema_names){0};
    int n = 0;
    eddy_status rc = lane_stored_schema(store, &s->text, &n, err);
    return schema_finish(s, rc, n, err);
}

eddy_status schema_unknown(struct schema_names *s, struct eddy_error *err)
{
    eddy_status rc = schema_from_text(s, "value", err);
    if (rc >= 0) s->names[0] = "";
    return rc;
}

eddy_status schema_for_plan(struct schema_names *s, const char *list, const struct settings *settings,
                            struct eddy_error *err)
{
    if (list) return schema_from_text(s, list, err);
    eddy_status rc = schema_from_codec(s, settings, err);
    return rc == EDDY_ENOTFOUND ? schema_unknown(s, err) : rc;
}

#include "plugin/registry.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/codec/codecs.h"
#include "connectors/files/files.h"
#include "connectors/kafka/kafka.h"
#include "eddy_codec.h"
#include "eddy_detector.h"
#include "eddy_expert.h"
#include "eddy_layer.h"
#include "engine/detect/detectors.h"
#include "engine/flow/plan.h"
#include "engine/flow/sink.h"
#include "engine/flow/source.h"
#include "engine/forecast/experts.h"
#include "engine/model/layers.h"
#include "plugin/loader.h"

/* A new built-in part is a row here; layers and experts have tables of their own, engine/model/layers.h and
 * engine/forecast/experts.h. */
static const struct eddy_part *const built_in[] = {
    &source_kafka.part,         &source_file.part,      &source_stdin.part,   /* sources */
    &sink_kafka.part,           &sink_file.part,        &sink_stdout.part,    /* sinks */
    &codec_json.part,           &codec_csv.part,                              /* codecs */
    &detector_exceedance.part,  &detector_machine.part, &detector_chart.part, /* detectors */
    &detector_committee.part,   &detector_stuck.part,   &detector_missing.part, &detector_drift.part,
    &detector_level_shift.part, &expert_network.part, /* experts */
};
enum { N_BUILT_IN = sizeof(built_in) / sizeof(*built_in) };

/* What a loaded part of each kind may offer, and what it must.  `must_end` is the end of the last member that the first
 * released struct had: a shorter one is no part of that kind. */
static const struct part_kind {
    int kind;
    size_t size, must_end;
} part_kinds[] = {
    {EDDY_PART_CODEC, sizeof(struct eddy_codec), offsetof(struct eddy_codec, encode_incident)},
    {EDDY_PART_LAYER, sizeof(struct eddy_layer), sizeof(struct eddy_layer)},
    {EDDY_PART_DETECTOR, sizeof(struct eddy_detector), offsetof(struct eddy_detector, max_values)},
    {EDDY_PART_EXPERT, sizeof(struct eddy_expert), sizeof(struct eddy_expert)},
};

struct registry {
    struct eddy_parts parts;
    const struct eddy_part **item; /* [n + 1] what parts.item points to */
    int n, cap;
    void **copies; /* [n_copies] the registry's own copies of loaded parts */
    int n_copies;
    struct library **libraries; /* [n_libraries] */
    int n_libraries;
};

static eddy_status registry_append(struct registry *r, const struct eddy_part *part, struct eddy_error *err)
{
    if (r->n + 1 >= r->cap) {
        int cap = r->cap ? 2 * r->cap : 32;
        const struct eddy_part **item = realloc(r->item, (size_t)cap * sizeof(*item));
        if (!item) return eddy_fail(err, EDDY_ENOMEM, "parts: out of memory");
        r->item = item;
        r->cap = cap;
    }
    r->item[r->n++] = part;
    r->item[r->n] = NULL;
    r->parts.item = r->item;
    return EDDY_OK;
}

eddy_status registry_open(struct registry **out, struct eddy_error *err)
{
    *out = NULL;
    struct registry *r = calloc(1, sizeof(*r));
    if (!r) return eddy_fail(err, EDDY_ENOMEM, "parts: out of memory");
    eddy_status rc = EDDY_OK;
    for (int i = 0; i < N_BUILT_IN && rc >= 0; i++) rc = registry_append(r, built_in[i], err);
    for (int i = 0; layers_built_in[i] && rc >= 0; i++) rc = registry_append(r, layers_built_in[i], err);
    for (int i = 0; experts_built_in[i] && rc >= 0; i++) rc = registry_append(r, experts_built_in[i], err);
    if (rc < 0) {
        registry_close(r);
        return rc;
    }
    *out = r;
    return EDDY_OK;
}

void registry_close(struct registry *r)
{
    if (!r) return;
    for (int i = 0; i < r->n_copies; i++) free(r->copies[i]);
    free(r->copies);
    for (int i = 0; i < r->n_libraries; i++) library_close(r->libraries[i]);
    free(r->libraries);
    free(r->item);
    free(r);
}

const struct eddy_parts *registry_parts(const struct registry *r)
{
    return &r->parts;
}

static const struct part_kind *part_kind_find(uint32_t kind)
{
    for (size_t i = 0; i < sizeof(part_kinds) / sizeof(*part_kinds); i++)
        if (part_kinds[i].kind == (int)kind) return &part_kinds[i];
    return NULL;
}

/* The calls that the engine makes without asking first. */
static bool part_is_complete(const struct eddy_part *part)
{
    switch (part->kind) {
    case EDDY_PART_CODEC: {
        const struct eddy_codec *c = (const struct eddy_codec *)part;
        return c->open && c->discover && c->decode && c->encode && c->close;
    }
    case EDDY_PART_LAYER: {
        const struct eddy_layer *l = (const struct eddy_layer *)part;
        return l->plan && l->init && l->pack && l->step && l->backward && l->tensor;
    }
    case EDDY_PART_DETECTOR: {
        const struct eddy_detector *d = (const struct eddy_detector *)part;
        return d->state_bytes && d->judge;
    }
    case EDDY_PART_EXPERT: {
        const struct eddy_expert *e = (const struct eddy_expert *)part;
        return e->state_bytes && e->fold;
    }
    default: return false;
    }
}

static eddy_status part_check(const struct registry *r, const struct eddy_part *part, const char *where,
                              struct eddy_error *err)
{
    if (part->struct_size < sizeof(struct eddy_part))
        return eddy_fail(err, EDDY_ECONFIG, "plugin %s: a part of %u bytes is too short to be one", where,
                         part->struct_size);
    if (!part->name || !*part->name) return eddy_fail(err, EDDY_ECONFIG, "plugin %s: a part has no name", where);
    const struct part_kind *kind = part_kind_find(part->kind);
    if (!kind)
        return eddy_fail(err, EDDY_ECONFIG,
                         "plugin %s: part %s: kind %u cannot be loaded (codec, layer, detector, expert can)", where,
                         part->name, part->kind);
    if (part->struct_size < kind->must_end)
        return eddy_fail(err, EDDY_ECONFIG, "plugin %s: %s %s: its struct has %u bytes, at least %zu are needed",
                         where, eddy_part_kind_text(kind->kind), part->name, part->struct_size, kind->must_end);
    if (eddy_part_find(&r->parts, kind->kind, part->name))
        return eddy_fail(err, EDDY_ECONFIG, "plugin %s: a %s named %s exists already", where,
                         eddy_part_kind_text(kind->kind), part->name);
    return EDDY_OK;
}

/* A copy of our size: a part that was compiled against an older, shorter struct ends in zeroes, and what a newer one
 * has beyond ours is left behind. */
static eddy_status part_adopt(struct registry *r, const struct eddy_part *part, const char *where,
                              struct eddy_error *err)
{
    eddy_status rc = part_check(r, part, where, err);
    if (rc < 0) return rc;

    size_t size = part_kind_find(part->kind)->size;
    void **copies = realloc(r->copies, (size_t)(r->n_copies + 1) * sizeof(*copies));
    if (!copies) return eddy_fail(err, EDDY_ENOMEM, "plugin %s: out of memory", where);
    r->copies = copies;
    struct eddy_part *copy = calloc(1, size);
    if (!copy) return eddy_fail(err, EDDY_ENOMEM, "plugin %s: out of memory", where);
    r->copies[r->n_copies++] = copy;
    memcpy(copy, part, part->struct_size < size ? part->struct_size : size);
    if (!part_is_complete(copy))
        return eddy_fail(err, EDDY_ECONFIG, "plugin %s: %s %s lacks a call that every %s has", where,
                         eddy_part_kind_text((int)copy->kind), copy->name, eddy_part_kind_text((int)copy->kind));
    return registry_append(r, copy, err);
}

eddy_status registry_add_module(struct registry *r, const struct eddy_module *module, const char *where,
                                struct eddy_error *err)
{
    if (!module) return eddy_fail(err, EDDY_ECONFIG, "plugin %s: eddy_module() returned nothing", where);
    if (module->abi != EDDY_PART_ABI)
        return eddy_fail(err, EDDY_ECONFIG, "plugin %s: built for part ABI %u, this eddy has %u: build it anew",
                         where, module->abi, EDDY_PART_ABI);
    if (module->size < sizeof(*module) || !module->parts || !module->parts[0])
        return eddy_fail(err, EDDY_ECONFIG, "plugin %s: its module offers no parts", where);
    for (const struct eddy_part *const *part = module->parts; *part; part++) {
        eddy_status rc = part_adopt(r, *part, where, err);
        if (rc < 0) return rc;
    }
    return EDDY_OK;
}

static bool registry_holds(const struct registry *r, const struct library *library)
{
    for (int i = 0; i < r->n_libraries; i++)
        if (library_same(r->libraries[i], library)) return true;
    return false;
}

static eddy_status registry_load_one(struct registry *r, const char *path, struct eddy_error *err)
{
    struct library **libraries = realloc(r->libraries, (size_t)(r->n_libraries + 1) * sizeof(*libraries));
    if (!libraries) return eddy_fail(err, EDDY_ENOMEM, "plugin %s: out of memory", path);
    r->libraries = libraries;

    struct library *library;
    eddy_status rc = library_open(path, &library, err);
    if (rc < 0) return rc;
    if (registry_holds(r, library)) {
        library_close(library);
        return EDDY_OK;
    }
    r->libraries[r->n_libraries++] = library;
    return registry_add_module(r, library_module(library), path, err);
}

const struct eddy_parts *registry_load(void *context, const struct eddy_strings *paths, struct eddy_error *err)
{
    struct registry *r = context;
    for (int i = 0; i < paths->n; i++)
        if (registry_load_one(r, paths->item[i], err) < 0) return NULL;
    return &r->parts;
}

/* eddy model CONFIG ACTION: the versions of the weights, and the network that they belong to.  Files of weights are
 * cmd_model_files.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/flow/lane_store.h"
#include "engine/flow/plan.h"
#include "engine/model/stack.h"
#include "engine/model/tensors.h"
#include "engine/train/trainer.h"
#include "plugin/cmd_model_files.h"
#include "plugin/cmd_model_versions.h"
#include "plugin/commands.h"
#include "plugin/json_out.h"
#include "plugin/schema.h"
#include "plugin/stored_files.h"

struct args {
    struct command_list sets;
    const char *values, *topic, *version;
    int64_t partition;
    bool json;
};

static const struct command_option options[] = {
    {"values", COMMAND_TEXT, offsetof(struct args, values), "a,b",
     "summary, export, import: values of an event; default: as stored"},
    {"topic", COMMAND_TEXT, offsetof(struct args, topic), "NAME",
     "export: of this topic; default: the first.  list, diff, promote, rollback: this one alone"},
    {"partition", COMMAND_COUNT, offsetof(struct args, partition), "N", "the same for a partition"},
    {"version", COMMAND_TEXT, offsetof(struct args, version), "V",
     "export: of this version; default: the one in use"},
    {"json", COMMAND_FLAG, offsetof(struct args, json), NULL, "list, show, diff: as JSON, one line each"},
    COMMAND_SETS(struct args, sets),
    {0},
};

struct model_work {
    const struct args *args;
    const struct settings *settings;
    const struct stored_file *file;
    struct store *store;
    struct json_out json;
    uint64_t version; /* the one asked for */
    int64_t found;
};

/* Mean, standard deviation and largest size of the numbers of one tensor, the norm of its gradient at the last accepted
 * step and what share of its own norm that step moved it by. */
struct tensor_figures {
    double mean, spread, largest, grad_norm, update_ratio;
};

static struct tensor_figures tensor_figures(const float *serving, const float *master, size_t n,
                                            const struct train_health *health)
{
    double sum = 0, squares = 0, most = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        double x = (double)serving[i];
        sum += x;
        squares += x * x;
        norm += (double)master[i] * (double)master[i];
        if (fabs(x) > most) most = fabs(x);
    }
    double mean = n ? sum / (double)n : 0;
    return (struct tensor_figures){
        .mean = mean,
        .spread = n ? sqrt(fmax(0, squares / (double)n - mean * mean)) : 0,
        .largest = most,
        .grad_norm = health->grad_norm,
        .update_ratio = norm > 0 ? health->update_norm / sqrt(norm) : NAN,
    };
}

static void show_tensor(struct model_work *w, const struct tensors *t, const struct tensor_figures *f)
{
    const char *part = t->layer < t->net->n_layers ? t->net->layers[t->layer].layer->part.name : "head";
    if (!w->args->json) {
        printf("  %5d %-14s %-24s %4d x %-4d %10.3g %10.3g %10.3g", t->layer, part, t->info.name, t->info.rows,
               t->info.cols, f->mean, f->spread, f->largest);
        if (isfinite(f->grad_norm)) printf(" %10.3g", f->grad_norm);
        if (isfinite(f->grad_norm) && isfinite(f->update_ratio)) printf(" %10.3g", f->update_ratio);
        puts("");
        return;
    }
    json_open(&w->json, NULL, '{');
    json_int(&w->json, "layer", t->layer);
    json_text(&w->json, "part", part);
    json_text(&w->json, "name", t->info.name);
    json_int(&w->json, "rows", t->info.rows);
    json_int(&w->json, "cols", t->info.cols);
    json_real(&w->json, "mean", f->mean);
    json_real(&w->json, "std", f->spread);
    json_real(&w->json, "rms", hypot(f->mean, f->spread));
    json_real(&w->json, "largest", f->largest);
    json_real(&w->json, "grad_norm", f->grad_norm);
    json_real(&w->json, "update_ratio", f->update_ratio);
    json_close(&w->json, '}');
}

static void show_head(struct model_work *w, const struct weights *weights)
{
    if (!w->args->json) {
        printf("%s-%d v%llu: %zu parameters\n", w->file->identity.topic, w->file->identity.partition,
               (unsigned long long)weights->version, weights->n_params);
        return;
    }
    json_open(&w->json, NULL, '{');
    json_text(&w->json, "topic", w->file->identity.topic);
    json_int(&w->json, "partition", w->file->identity.partition);
    json_int(&w->json, "version", (int64_t)weights->version);
    json_int(&w->json, "parameters", (int64_t)weights->n_params);
    json_open(&w->json, "networks", '[');
}

static void show_progress(struct model_work *w, const char *name, const struct train_progress *p)
{
    if (!w->args->json) {
        printf(" %s: %lld steps, %lld refused, loss %.5g, gradient norm %.5g\n", name, (long long)p->steps,
               (long long)p->refused, p->loss, p->grad_norm);
        return;
    }
    json_open(&w->json, NULL, '{');
    json_text(&w->json, "name", name);
    json_int(&w->json, "steps", p->steps);
    json_int(&w->json, "refused", p->refused);
    json_real(&w->json, "loss", p->loss);
    json_real(&w->json, "grad_norm", p->grad_norm);
    json_open(&w->json, "tensors", '[');
}

static void show_network(struct model_work *w, const struct model_slice *slice, const struct weights *weights)
{
    const struct train_health *health = weights->health + slice->first_tensor;
    if (!w->args->json)
        printf("  %5s %-14s %-24s %11s %10s %10s %10s %10s %10s\n", "layer", "part", "tensor", "shape  ", "mean",
               "std", "largest", "gradient", "update");
    for (struct tensors t = {.net = slice->net}; tensors_next(&t); health++) {
        const size_t first = slice->first_param + t.info.first;
        const struct tensor_figures f = tensor_figures(weights->ema + first, weights->master + first,
                                                       tensors_floats(&t), health);
        show_tensor(w, &t, &f);
    }
    if (!w->args->json) return;
    json_close(&w->json, ']');
    json_close(&w->json, '}');
}

static void show_weights(struct model_work *w, const struct model *model, const struct weights *weights)
{
    show_head(w, weights);
    for (int i = 0; i < model->n; i++) {
        show_progress(w, model->slices[i].name, &weights->progress[i]);
        show_network(w, &model->slices[i], weights);
    }
    if (!w->args->json) return;
    json_close(&w->json, ']');
    json_close(&w->json, '}');
    json_end(&w->json);
}

static eddy_status do_show(struct model_work *w, struct eddy_error *err)
{
    struct schema_names names = {0};
    struct plan *plan = NULL;
    struct weights *weights = NULL;
    struct eddy_buffer bytes = {0};
    eddy_status rc = store_get_model(w->store, w->version, &bytes, err);
    if (rc == EDDY_ENOTFOUND) return EDDY_OK;
    if (rc >= 0) rc = schema_from_store(&names, w->store, err);
    if (rc >= 0) rc = plan_open(w->settings, &names.schema, &plan, err);
    if (rc >= 0) rc = weights_decode(plan->model, bytes.data, bytes.len, &weights, err);
    if (rc >= 0) {
        w->found++;
        show_weights(w, plan->model, weights);
    }
    weights_unref(weights);
    plan_close(plan);
    schema_free(&names);
    eddy_buffer_free(&bytes);
    return rc;
}

static eddy_status model_each(struct model_work *w, eddy_status (*each)(struct model_work *, struct eddy_error *),
                              struct eddy_error *err)
{
    struct stored_files files;
    eddy_status rc = stored_files_find(w->settings, &files, err);
    for (int i = 0; rc >= 0 && i < files.n; i++) {
        w->file = &files.item[i];
        rc = store_open(w->file->path, &w->file->identity, STORE_READ_ONLY, &w->store, err);
        if (rc >= 0) rc = each(w, err);
        store_close(w->store);
        w->store = NULL;
    }
    stored_files_free(&files);
    return rc;
}

/* The values of the first state file, when there is one; else what the configuration says. */
static eddy_status summary_schema(const struct model_work *w, struct schema_names *names, struct eddy_error *err)
{
    struct stored_files files = {0};
    struct store *store = NULL;
    eddy_status rc = w->args->values ? EDDY_ENOTFOUND : stored_files_find(w->settings, &files, NULL);
    if (rc >= 0) rc = store_open(files.item[0].path, &files.item[0].identity, STORE_READ_ONLY, &store, NULL);
    if (rc >= 0) rc = schema_from_store(names, store, NULL);
    store_close(store);
    stored_files_free(&files);
    return rc >= 0 ? rc : schema_for_plan(names, w->args->values, w->settings, err);
}

static eddy_status do_summary(struct model_work *w, struct eddy_error *err)
{
    struct schema_names names = {0};
    struct plan *plan = NULL;
    eddy_status rc = summary_schema(w, &names, err);
    if (rc >= 0) rc = plan_open(w->settings, &names.schema, &plan, err);
    if (rc >= 0) model_summary(plan->model, stdout);
    plan_close(plan);
    schema_free(&names);
    return rc;
}

static eddy_status model_act(struct model_work *w, const char *action, const char *word, struct eddy_error *err)
{
    if (strcmp(action, "summary") == 0) return do_summary(w, err);
    eddy_status rc = model_each(w, do_show, err);
    if (rc >= 0 && w->found == 0) rc = eddy_fail(err, EDDY_ENOTFOUND, "model: no version %s is kept", word);
    return rc;
}

/* "v12" or "12". */
static bool model_version(const char *word, uint64_t *out)
{
    const char *digits = word + (*word == 'v');
    char *end;
    *out = strtoull(digits, &end, 10);
    return *digits >= '0' && *digits <= '9' && !*end;
}

/* What each action takes behind its name. */
static const struct model_action {
    const char *name, *takes;
    int words;
    bool json; /* may be asked for it */
} actions[] = {{"list", NULL, 0, true},      {"summary", NULL, 0, false},  {"show", "V", 1, true},
               {"diff", "V W", 2, true},     {"promote", "V", 1, false},   {"rollback", NULL, 0, false},
               {"export", "FILE", 1, false}, {"import", "FILE", 1, false}, {NULL, NULL, 0, false}};

static const struct model_action *model_action(const char *name)
{
    const struct model_action *a = actions;
    while (a->name && strcmp(a->name, name) != 0) a++;
    return a->name ? a : NULL;
}

static eddy_status model_file(const struct args *args, const struct settings *settings, const char *action,
                              const char *path, uint64_t version, struct eddy_error *err)
{
    const struct model_files files = {.settings = settings,
                                      .path = path,
                                      .values = args->values,
                                      .topic = args->topic,
                                      .partition = args->partition,
                                      .word = args->version,
                                      .version = version};
    return strcmp(action, "export") == 0 ? model_export(&files, err) : model_import(&files, err);
}

/* Actions of cmd_model_versions.c; false: it is another one. */
static bool model_of_versions(const struct args *args, const struct settings *settings, const char *action,
                              const uint64_t versions[2], eddy_status *done, struct eddy_error *err)
{
    const struct model_versions m = {.settings = settings,
                                     .topic = args->topic,
                                     .partition = args->partition,
                                     .json = args->json,
                                     .a = versions[0],
                                     .b = versions[1]};
    eddy_status (*act)(const struct model_versions *,
                       struct eddy_error *) = strcmp(action, "list") == 0       ? model_list
                                              : strcmp(action, "diff") == 0     ? model_diff
                                              : strcmp(action, "promote") == 0  ? model_promote
                                              : strcmp(action, "rollback") == 0 ? model_rollback
                                                                                : NULL;
    if (act) *done = act(&m, err);
    return act;
}

/* COMMAND_GO, or why the words behind the action are wrong; versions [2] as far as there are any. */
static int model_words(struct command_context *c, const struct model_action *action, const char *option,
                       uint64_t versions[2])
{
    const int words = c->n_positional - 2;
    const bool file = action->takes && strcmp(action->takes, "FILE") == 0;
    if (words < action->words) return command_usage(c, "%s expects %s", action->name, action->takes);
    if (words > action->words)
        return command_usage(c, "%s takes no \"%s\"", action->name, c->positional[2 + action->words]);
    for (int i = 0; i < (file ? option != NULL : words); i++) {
        const char *word = file ? option : c->positional[2 + i];
        if (!model_version(word, &versions[i]))
            return command_usage(c, "%s: \"%s\" is no version (v12)", action->name, word);
    }
    return COMMAND_GO;
}

static int cmd_model(struct command_context *c, int argc, char **argv)
{
    struct args args = {.partition = -1};
    int rc = command_parse(c, argc, argv, &args);
    if (rc != COMMAND_GO) return rc;
    const char *word = c->n_positional > 2 ? c->positional[2] : NULL;
    const struct model_action *action = model_action(c->positional[1]);
    if (!action)
        return command_usage(
            c,
            "unknown action \"%s\" (list, summary, show V, diff V W, promote V, rollback, export FILE, "
            "import FILE)",
            c->positional[1]);
    bool file = action->takes && strcmp(action->takes, "FILE") == 0;
    if (args.json && !action->json)
        return command_usage(c, "%s has no --json (list, show and diff have)", action->name);
    uint64_t versions[2] = {0};
    rc = model_words(c, action, args.version, versions);
    if (rc != COMMAND_GO) return rc;
    struct model_work work = {.args = &args, .json = json_begin(stdout), .version = versions[0]};

    struct config *config;
    rc = command_config(c, c->positional[0], &args.sets, COMMAND_BRINGS_SOURCE | COMMAND_BRINGS_SINK, &config);
    if (rc != COMMAND_GO) return rc;
    work.settings = config_settings(config);
    struct eddy_error err = {0};
    eddy_status done = EDDY_OK;
    if (file)
        done = model_file(&args, work.settings, action->name, word, work.version, &err);
    else if (!model_of_versions(&args, work.settings, action->name, versions, &done, &err))
        done = model_act(&work, action->name, word, &err);
    rc = done < 0 ? command_fail(c, &err) : COMMAND_DONE;
    config_close(config);
    return rc;
}

const struct command command_model = {
    "model",
    "CONFIG ACTION [V [W] | FILE]",
    2,
    4,
    "the weights: list, summary, show V, diff V W, promote V, rollback, export FILE, import FILE",
    "  list         the versions that each partition keeps (train.keep_versions): when and at which offset they "
    "were\n"
    "               stored, steps of the optimiser made and refused, the loss of the last one, and which is in use\n"
    "  diff V W     what changed from V to W, tensor by tensor: the norm of the change, the same as a share of V, "
    "and\n"
    "               the cosine between both\n"
    "  promote V    a copy of V becomes the next version, and the one in use\n"
    "  rollback     promotes the version that was in use before the last promotion, import or training; another "
    "one\n"
    "               goes further back\n"
    "  summary      the layers of the network with their sizes\n"
    "  show V       the numbers of one version, tensor by tensor; `gradient` is its norm at the last step of the\n"
    "               optimiser, `update` the share of the tensor that this step changed: some 0.001 is healthy\n"
    "  export FILE  the weights as safetensors (- for stdout), with the names and shapes of PyTorch's modules: "
    "layers.0.weight_ih_l0,\n"
    "               .., head.weight, head.bias; with several networks the network's name stands before them\n"
    "  import FILE  such a file becomes the version in use of every partition, and what new partitions start from\n"
    "\n"
    "An import, a promotion and a rollback are refused while the state is in use.  Keys with weights of their own "
    "keep them.  A reset puts the\n"
    "imported weights aside with the rest of the state.",
    options,
    cmd_model,
};

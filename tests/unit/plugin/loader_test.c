/* What may be loaded, and what is refused with the name of the file. */
#include <criterion/criterion.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eddy_plugin.h"
#include "engine/flow/sink.h"
#include "engine/flow/source.h"
#include "engine/forecast/experts.h"
#include "engine/model/layers.h"
#include "plugin/loader.h"
#include "plugin/registry.h"

/* The examples lie beside the test program. */
static const char *example(const char *name)
{
    static char path[PATH_MAX + 64];
    char self[PATH_MAX] = "";
    cr_assert_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
    (void)snprintf(path, sizeof(path), "%s/examples/%s", dirname(self), name);
    return path;
}

static char scratch[64];
static void make_scratch(void)
{
    strcpy(scratch, "/tmp/eddy-loader-XXXXXX");
    cr_assert_not_null(mkdtemp(scratch));
}
static void drop_scratch(void)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
    cr_assert_eq(system(command), 0);
}

static void refused(const char *path, const char *because)
{
    struct library *l;
    struct eddy_error err = {0};
    cr_assert_eq(library_open(path, &l, &err), EDDY_ECONFIG, "%s: %d", path, err.code);
    cr_assert_null(l);
    cr_assert(strstr(err.message, path), "%s does not name %s", err.message, path);
    cr_assert(strstr(err.message, because), "%s does not say \"%s\"", err.message, because);
}

/* A copy of an example in the scratch directory. */
static const char *copy_of(const char *name, mode_t mode)
{
    static char path[128];
    char command[3 * PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", scratch, name);
    (void)snprintf(command, sizeof(command), "cp '%s' '%s'", example(name), path);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(chmod(path, mode), 0);
    return path;
}

Test(loader, a_name_without_a_slash_is_not_searched_for)
{
    refused("codec_kv.so", "slash");
}

Test(loader, a_missing_file_is_named)
{
    refused("/nowhere/codec_kv.so", strerror(ENOENT));
}

Test(loader, only_regular_files_are_loaded, .init = make_scratch, .fini = drop_scratch)
{
    char fifo[128];
    (void)snprintf(fifo, sizeof(fifo), "%s/fifo.so", scratch);
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    refused(fifo, "regular");
    refused(scratch, "regular");
}

Test(loader, a_file_that_others_may_write_is_refused, .init = make_scratch, .fini = drop_scratch)
{
    refused(copy_of("codec_kv.so", 0775), "chmod go-w");
    refused(copy_of("codec_kv.so", 0757), "chmod go-w");
}

Test(loader, a_file_of_another_user_is_refused, .init = make_scratch, .fini = drop_scratch)
{
    if (geteuid() != 0) cr_skip_test("needs root to give a file away");
    const char *path = copy_of("codec_kv.so", 0755);
    cr_assert_eq(chown(path, 12345, 0), 0);
    refused(path, "owned by user 12345");
}

Test(loader, what_is_no_library_is_refused, .init = make_scratch, .fini = drop_scratch)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/text.so", scratch);
    FILE *f = fopen(path, "w");
    fputs("this is text", f);
    fclose(f);
    refused(path, "");
}

Test(loader, a_library_without_eddy_module_is_refused)
{
    struct library *l;
    struct eddy_error err = {0};
    /* libm is somewhere else on every system; the test program's own directory has one that is no plugin. */
    char path[PATH_MAX + 64];
    (void)snprintf(path, sizeof(path), "%s", example("../libeddy.so"));
    if (access(path, R_OK) != 0) cr_skip_test("libeddy.so is not built");
    cr_assert_eq(library_open(path, &l, &err), EDDY_ECONFIG);
    cr_assert(strstr(err.message, "eddy_module"), "%s", err.message);
}

Test(registry, examples_are_found_by_kind_and_name_and_stay_distinct)
{
    static const char *const names[] = {"codec_kv.so", "detector_limit.so", "layer_leaky.so", "expert_drift.so"};
    enum { N_NAMES = sizeof(names) / sizeof(*names) };
    struct registry *r;
    struct eddy_error err = {0};
    char *paths[N_NAMES];
    for (int i = 0; i < N_NAMES; i++) paths[i] = strdup(example(names[i]));
    const struct eddy_strings list = {N_NAMES, (const char *const *)paths};
    cr_assert_eq(registry_open(&r, &err), EDDY_OK);
    cr_assert_not_null(registry_load(r, &list, &err), "%s", err.message);
    cr_assert_not_null(registry_load(r, &list, &err), "loading again is no clash: %s", err.message);
    const struct eddy_parts *parts = registry_parts(r);
    cr_assert_not_null(eddy_part_find(parts, EDDY_PART_CODEC, "kv"));
    cr_assert_not_null(eddy_part_find(parts, EDDY_PART_DETECTOR, "limit"));
    cr_assert_not_null(eddy_part_find(parts, EDDY_PART_LAYER, "leaky"));
    cr_assert_not_null(eddy_part_find(parts, EDDY_PART_EXPERT, "drift"));
    cr_assert_not_null(eddy_part_find(parts, EDDY_PART_CODEC, "json"), "what is built in stays");
    registry_close(r);
    for (int i = 0; i < N_NAMES; i++) free(paths[i]);
}

/* As loaded ones are asked for theirs: what a part says of its size is that of its kind. */
static void check_sizes(const struct eddy_part *const *item)
{
    static const size_t sizes[] = {
        [EDDY_PART_SOURCE] = sizeof(struct eddy_source),     [EDDY_PART_SINK] = sizeof(struct eddy_sink),
        [EDDY_PART_CODEC] = sizeof(struct eddy_codec),       [EDDY_PART_LAYER] = sizeof(struct eddy_layer),
        [EDDY_PART_DETECTOR] = sizeof(struct eddy_detector), [EDDY_PART_EXPERT] = sizeof(struct eddy_expert)};
    for (int i = 0; item[i]; i++)
        cr_expect_eq(item[i]->struct_size, sizes[item[i]->kind], "%s %s says %u bytes",
                     eddy_part_kind_text((int)item[i]->kind), item[i]->name, item[i]->struct_size);
}

Test(registry, every_built_in_part_is_listed_once_with_a_summary)
{
    struct registry *r;
    cr_assert_eq(registry_open(&r, NULL), EDDY_OK);
    const struct eddy_part *const *item = registry_parts(r)->item;
    int n = 0;
    for (; item[n]; n++) {
        cr_assert(item[n]->summary && *item[n]->summary, "%s", item[n]->name);
        for (int k = 0; k < n; k++)
            cr_assert(item[k]->kind != item[n]->kind || strcmp(item[k]->name, item[n]->name) != 0, "%s twice",
                      item[n]->name);
    }
    check_sizes(item);
#define ONE(name) +1
    cr_assert_eq(n, 17 LAYERS(ONE) EXPERTS(ONE), "%d parts", n); /* layers, experts and 17 others */
    registry_close(r);
}

/* ---- modules made up here ---- */

static size_t no_state(const void *settings, int n_values, int n_horizons)
{
    (void)settings, (void)n_values, (void)n_horizons;
    return 0;
}
static void no_verdict(const void *settings, void *state, const struct eddy_evidence *e, struct eddy_verdict *out)
{
    (void)settings, (void)state, (void)e;
    out->score = 0;
}
static struct eddy_detector detector(const char *name)
{
    return (struct eddy_detector){
        .part = {sizeof(struct eddy_detector), EDDY_PART_DETECTOR, name, "s", NULL, 0, NULL},
        .state_bytes = no_state,
        .judge = no_verdict};
}

static eddy_status add(struct eddy_part *part, uint32_t abi, struct registry *r, struct eddy_error *err)
{
    const struct eddy_part *const parts[] = {part, NULL};
    const struct eddy_module module = {abi, sizeof(module), "m", "1", "l", parts};
    return registry_add_module(r, &module, "made-up.so", err);
}

static void not_added(struct eddy_part *part, uint32_t abi, const char *because)
{
    struct registry *r;
    struct eddy_error err = {0};
    cr_assert_eq(registry_open(&r, &err), EDDY_OK);
    cr_assert_eq(add(part, abi, r, &err), EDDY_ECONFIG);
    cr_assert(strstr(err.message, because), "%s does not say \"%s\"", err.message, because);
    cr_assert(strstr(err.message, "made-up.so"), "%s does not name the file", err.message);
    registry_close(r);
}

Test(registry, a_module_of_another_abi_is_refused)
{
    struct eddy_detector d = detector("d");
    not_added(&d.part, EDDY_PART_ABI + 1, "ABI");
}

Test(registry, a_name_that_exists_is_refused)
{
    struct eddy_detector d = detector("exceedance");
    not_added(&d.part, EDDY_PART_ABI, "exists already");
}

Test(registry, a_part_without_name_size_or_calls_is_refused)
{
    struct eddy_detector d = detector("");
    not_added(&d.part, EDDY_PART_ABI, "no name");
    d = detector("d");
    d.part.struct_size = 8;
    not_added(&d.part, EDDY_PART_ABI, "too short");
    d = detector("d");
    d.part.struct_size = sizeof(struct eddy_part) + 8;
    not_added(&d.part, EDDY_PART_ABI, "are needed");
    d = detector("d");
    d.judge = NULL;
    not_added(&d.part, EDDY_PART_ABI, "lacks a call");
    d = detector("d");
    d.part.kind = EDDY_PART_SOURCE;
    not_added(&d.part, EDDY_PART_ABI, "cannot be loaded");
}

Test(registry, a_newer_and_longer_part_is_cut_to_what_this_host_knows)
{
    struct {
        struct eddy_detector known;
        char newer[64];
    } d = {detector("longer"), {1}};
    struct registry *r;
    struct eddy_error err = {0};
    d.known.part.struct_size = sizeof(d);
    cr_assert_eq(registry_open(&r, &err), EDDY_OK);
    cr_assert_eq(add(&d.known.part, EDDY_PART_ABI, r, &err), EDDY_OK, "%s", err.message);
    const struct eddy_part *found = eddy_part_find(registry_parts(r), EDDY_PART_DETECTOR, "longer");
    cr_assert_not_null(found);
    cr_assert_neq(found, &d.known.part, "the registry keeps a copy of its own");
    registry_close(r);
}

Test(registry, an_older_and_shorter_part_has_none_of_what_came_later)
{
    /* Compiled before `kinds` were known: what lies behind it in its library is not its own. */
    static const char *const kinds[] = {"another thing", NULL};
    struct eddy_detector d = detector("shorter");
    struct registry *r;
    struct eddy_error err = {0};
    d.part.struct_size = offsetof(struct eddy_detector, kinds);
    d.kinds = kinds;
    cr_assert_eq(registry_open(&r, &err), EDDY_OK);
    cr_assert_eq(add(&d.part, EDDY_PART_ABI, r, &err), EDDY_OK, "%s", err.message);
    const struct eddy_part *found = eddy_part_find(registry_parts(r), EDDY_PART_DETECTOR, "shorter");
    cr_assert_not_null(found);
    cr_expect_eq(((const struct eddy_detector *)found)->judge, no_verdict);
    cr_expect_null(((const struct eddy_detector *)found)->kinds);
    registry_close(r);
}

Test(registry, an_empty_module_is_refused)
{
    struct registry *r;
    struct eddy_error err = {0};
    const struct eddy_part *const none[] = {NULL};
    const struct eddy_module module = {EDDY_PART_ABI, sizeof(module), "m", "1", "l", none};
    cr_assert_eq(registry_open(&r, &err), EDDY_OK);
    cr_assert_eq(registry_add_module(r, &module, "made-up.so", &err), EDDY_ECONFIG);
    cr_assert_eq(registry_add_module(r, NULL, "made-up.so", &err), EDDY_ECONFIG);
    registry_close(r);
}

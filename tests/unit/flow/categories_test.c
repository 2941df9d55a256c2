/* Which categories a plan has. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "engine/flow/codec_categories.h"
#include "fixture.h"

static const char *const values[] = {"v"};

static void expect_categories(const char *yaml, const struct eddy_schema *schema, const char *const *names, int n)
{
    struct eddy_error err = {0};
    struct plan *p;
    struct config *config = fixture_config(yaml);
    cr_assert_geq(plan_open(config_settings(config), schema, &p, &err), 0, "%s", err.message);
    cr_assert_eq(p->schema.n_categories, n, "%s", yaml);
    for (int i = 0; i < n; i++) cr_expect_str_eq(p->schema.categories[i], names[i]);
    plan_close(p);
    config_close(config);
}

Test(categories, a_plan_has_those_of_the_schema_or_else_of_the_codec)
{
    static const char *const site[] = {"site"}, *const codecs[] = {"type", "unit"};
    const struct eddy_schema bare = {.n_values = 1, .names = values};
    const struct eddy_schema own = {.n_values = 1, .names = values, .n_categories = 1, .categories = site};
    expect_categories("", &bare, NULL, 0);
    expect_categories("", &own, site, 1);
    expect_categories("codec: {json: {categories: [type, unit]}}", &bare, codecs, 2);
    expect_categories("codec: {json: {categories: [type, unit]}}", &own, site, 1);
}

static bool network_reads_categories(const char *network)
{
    static const char *const site[] = {"site"};
    const struct eddy_schema schema = {.n_values = 1, .names = values, .n_categories = 1, .categories = site};
    struct eddy_error err = {0};
    struct plan *p;
    char yaml[200];
    (void)snprintf(yaml, sizeof(yaml), "forecast: {network: {%s}}", network);
    struct config *config = fixture_config(yaml);
    cr_assert_geq(plan_open(config_settings(config), &schema, &p, &err), 0, "%s", err.message);
    const bool reads = p->networks[0].reads[INPUT_CATEGORIES];
    plan_close(p);
    config_close(config);
    return reads;
}

Test(categories, only_an_embedding_reads_them_unasked)
{
    cr_expect(network_reads_categories("layers: [{embedding: {}}, {gru: {units: 4}}]"));
    cr_expect_not(network_reads_categories("layers: [{gru: {units: 4}}]"));
    cr_expect(network_reads_categories("layers: [{gru: {units: 4}}], inputs: [level, categories]"));
    cr_expect_not(network_reads_categories("layers: [{gru: {units: 4}}], inputs: [level]"));
}

Test(categories, a_codec_that_knows_none_has_none)
{
    static const struct eddy_codec plain = {.part = {.kind = EDDY_PART_CODEC, .name = "plain"}};
    struct eddy_error err = {0};
    struct eddy_buffer names = {0};
    const struct settings none = {0}, some = {.codec = {.part = &plain.part}};
    cr_expect_eq(codec_categories(&none, &names, &err), 0);
    cr_expect_eq(codec_categories(&some, &names, &err), 0);
    cr_expect_eq(names.len, 0);
}

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/log.h"
#include "connectors/kafka/kafka_offsets.h"
#include "connectors/kafka/kafka_settings.h"

static struct eddy_error err;

static eddy_status check(const char *name, const char *value)
{
    struct eddy_pair pairs[] = {{"bootstrap.servers", "localhost:9092", 3}, {name, value, 7}};
    struct eddy_map map = {2, pairs};
    err = (struct eddy_error){0};
    return kafka_properties_check(&map, true, &err);
}

Test(kafka_settings, what_eddy_owns_and_what_loads_code_is_refused_by_name_and_line)
{
    static const char *const refused[][2] = {{"enable.auto.commit", "true"},
                                             {"enable.auto.offset.store", "true"},
                                             {"enable.partition.eof", "true"},
                                             {"group.id", "x"},
                                             {"group.instance.id", "x"},
                                             {"auto.offset.reset", "earliest"},
                                             {"topic.auto.offset.reset", "smallest"},
                                             {"isolation.level", "read_uncommitted"},
                                             {"partition.assignment.strategy", "range"},
                                             {"transactional.id", "x"},
                                             {"enable.idempotence", "false"},
                                             {"acks", "1"},
                                             {"request.required.acks", "0"},
                                             {"message.timeout.ms", "1000"},
                                             {"delivery.timeout.ms", "1000"},
                                             {"rebalance_cb", "x"},
                                             {"log_cb", "x"},
                                             {"opaque", "x"},
                                             {"plugin.library.paths", "/tmp/x.so"},
                                             {"ssl.engine.location", "/tmp/x.so"},
                                             {"ssl.engine.id", "x"},
                                             {"ssl.providers", "legacy"},
                                             {"interceptors", "x"},
                                             {"sasl.kerberos.kinit.cmd", "rm -rf /"},
                                             {"debug", "all"},
                                             {"debug", "broker, security"},
                                             {"allow.auto.create.topics", "true"},
                                             {"test.mock.num.brokers", "3"}};
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        cr_expect_eq(check(refused[i][0], refused[i][1]), EDDY_ECONFIG, "%s=%s passed", refused[i][0], refused[i][1]);
        cr_expect(strstr(err.message, refused[i][0]) && strstr(err.message, "line 7"), "%s", err.message);
    }
}

Test(kafka_settings, harmless_properties_of_both_sides_pass)
{
    static const char *const allowed[][2] = {{"acks", "all"},
                                             {"acks", "-1"},
                                             {"isolation.level", "read_committed"},
                                             {"enable.idempotence", "true"},
                                             {"client.rack", "r1"},
                                             {"debug", "broker,cgrp"},
                                             {"compression.type", "lz4"},
                                             {"fetch.wait.max.ms", "50"},
                                             {"sasl.oauthbearer.config", "principal=x"},
                                             {"security.protocol", "plaintext"},
                                             {"linger.ms", "1"}};
    for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
        cr_expect_eq(check(allowed[i][0], allowed[i][1]), EDDY_OK, "%s", err.message);
}

Test(kafka_settings, unknown_properties_and_bad_values_bring_librdkafkas_own_words)
{
    cr_expect_eq(check("fetch.wait.mx.ms", "50"), EDDY_ECONFIG);
    cr_expect(strstr(err.message, "line 7") && strstr(err.message, "No such configuration property"), "%s",
              err.message);
    cr_expect_eq(check("fetch.wait.max.ms", "soon"), EDDY_ECONFIG);
    cr_expect(strstr(err.message, "line 7") && strstr(err.message, "fetch.wait.max.ms"), "%s", err.message);
}

Test(kafka_settings, a_missing_bootstrap_is_named)
{
    struct eddy_map none = {0};
    cr_expect_eq(kafka_properties_check(&none, true, &err), EDDY_ECONFIG);
    cr_expect(strstr(err.message, "bootstrap.servers"), "%s", err.message);
    cr_expect_eq(kafka_properties_check(&none, false, &err), EDDY_OK);
}

Test(kafka_settings, secrets_are_in_no_text)
{
    char text[] = "login hunter22 failed for eve with hunter22";
    struct eddy_pair pairs[] = {{"sasl.password", "hunter22", 3}, {"sasl.username", "eve", 4}};
    struct eddy_map map = {2, pairs};
    kafka_mask(&map, text);
    cr_expect_str_eq(text, "login ******** failed for eve with ********");
    cr_expect_eq(check("ssl.key.pem", "no key at all"), EDDY_OK); /* read when the handle is made */
    cr_expect_eq(check("sasl.mechanisms.typo.password", "hunter22"), EDDY_ECONFIG);
    cr_expect_null(strstr(err.message, "hunter22"), "%s", err.message);
    cr_expect_eq(check("sasl.password.typo", "hunter22"), EDDY_ECONFIG);
    cr_expect_null(strstr(err.message, "hunter22"), "%s", err.message);
}

Test(kafka_settings, defaults_lie_beneath_the_users_and_owned_ones_above)
{
    char value[64];
    size_t size = sizeof(value);
    struct eddy_pair pairs[] = {{"bootstrap.servers", "localhost:1", 3}, {"linger.ms", "77", 4}};
    struct eddy_map map = {2, pairs};
    rd_kafka_conf_t *conf;
    cr_assert_eq(kafka_conf(KAFKA_PRODUCER, LATENCY_BALANCED, "plant-7", NULL, &map, 0, &conf, &err), EDDY_OK, "%s",
                 err.message);
    cr_expect(!rd_kafka_conf_get(conf, "linger.ms", value, &size) && strcmp(value, "77") == 0, "%s", value);
    size = sizeof(value);
    cr_expect(!rd_kafka_conf_get(conf, "enable.idempotence", value, &size) && strcmp(value, "true") == 0);
    size = sizeof(value);
    cr_expect(!rd_kafka_conf_get(conf, "message.timeout.ms", value, &size) && strcmp(value, "0") == 0);
    size = sizeof(value);
    cr_expect(!rd_kafka_conf_get(conf, "queue.buffering.max.messages", value, &size) && strcmp(value, "20000") == 0);
    size = sizeof(value);
    cr_expect(!rd_kafka_conf_get(conf, "client.id", value, &size) && strcmp(value, "plant-7") == 0);
    rd_kafka_conf_destroy(conf);

    cr_assert_eq(kafka_conf(KAFKA_MEMBER, LATENCY_BALANCED, "plant-7", "5eed-3", &map, 1, &conf, &err), EDDY_OK, "%s",
                 err.message);
    cr_assert_eq(kafka_conf_worker(conf, 3, false, &err), EDDY_OK, "%s", err.message);
    size = sizeof(value);
    cr_expect(!rd_kafka_conf_get(conf, "group.instance.id", value, &size) && strcmp(value, "5eed-3") == 0,
              "a worker's own id has its number once: %s", value);
    size = sizeof(value);
    cr_expect(!rd_kafka_conf_get(conf, "client.id", value, &size) && strcmp(value, "plant-7-3") == 0, "%s", value);
    rd_kafka_conf_destroy(conf);

    cr_assert_eq(kafka_conf(KAFKA_MEMBER, LATENCY_BALANCED, "plant-7", "a", &map, 100, &conf, &err), EDDY_OK, "%s",
                 err.message);
    size = sizeof(value);
    cr_expect(!rd_kafka_conf_get(conf, "group.id", value, &size) && strcmp(value, "plant-7") == 0);
    size = sizeof(value);
    cr_expect(!rd_kafka_conf_get(conf, "group.instance.id", value, &size) && strcmp(value, "a") == 0);
    cr_assert_eq(kafka_conf_worker(conf, 12, true, &err), EDDY_OK, "%s", err.message);
    size = sizeof(value);
    cr_expect(!rd_kafka_conf_get(conf, "group.instance.id", value, &size) && strcmp(value, "a-12") == 0, "%s", value);
    size = sizeof(value);
    cr_expect(!rd_kafka_conf_get(conf, "client.id", value, &size) && strcmp(value, "plant-7-12") == 0, "%s", value);
    size = sizeof(value);
    cr_expect(!rd_kafka_conf_get(conf, "group.id", value, &size) && strcmp(value, "plant-7") == 0, "%s", value);
    size = sizeof(value);
    cr_expect(!rd_kafka_conf_get(conf, "partition.assignment.strategy", value, &size) &&
              strcmp(value, "cooperative-sticky") == 0);
    size = sizeof(value);
    cr_expect(!rd_kafka_conf_get(conf, "queued.max.messages.kbytes", value, &size) && strcmp(value, "512") == 0,
              "many partitions share the prefetch memory: %s", value);
    rd_kafka_conf_destroy(conf);
}

Test(kafka_settings, topics_are_checked)
{
    static const char *const good[] = {"a.b_c-9", "x"}, *const twice[] = {"a", "a"}, *const pattern[] = {"^a.*"};
    struct eddy_strings list = {2, good};
    cr_expect_eq(kafka_topics_check(&list, &err), EDDY_OK);
    list.item = twice;
    cr_expect_eq(kafka_topics_check(&list, &err), EDDY_ECONFIG);
    list = (struct eddy_strings){1, pattern};
    cr_expect_eq(kafka_topics_check(&list, &err), EDDY_ECONFIG);
    list.n = 0;
    cr_expect_eq(kafka_topics_check(&list, &err), EDDY_ECONFIG);
}

Test(kafka_settings, times_of_start_are_rfc_3339)
{
    struct kafka_when when;
    cr_assert_eq(kafka_when_parse("earliest", "start", &when, &err), EDDY_OK);
    cr_expect_eq(when.kind, KAFKA_EARLIEST);
    cr_assert_eq(kafka_when_parse("latest", "start", &when, &err), EDDY_OK);
    cr_expect_eq(when.kind, KAFKA_LATEST);
    cr_assert_eq(kafka_when_parse("2026-11-21T05:33:05Z", "start", &when, &err), EDDY_OK);
    cr_expect_eq(when.time_ms, 1795239185000);
    cr_assert_eq(kafka_when_parse("2024-02-29T23:59:59.125+02:30", "start", &when, &err), EDDY_OK);
    cr_expect_eq(when.time_ms, 1709242199125);
    cr_assert_eq(kafka_when_parse("1970-01-01T00:00:00Z", "start", &when, &err), EDDY_OK);
    cr_expect_eq(when.time_ms, 0);
    static const char *const bad[] = {"",
                                      "earlier",
                                      "2026-11-21",
                                      "2026-13-01T00:00:00Z",
                                      "2025-02-29T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:00:00",
                                      "2026-01-01T00:00:00.Z",
                                      "2026-01-01T00:00:00Z ",
                                      "1969-12-31T23:59:59Z"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        cr_expect_eq(kafka_when_parse(bad[i], "start", &when, &err), EDDY_ECONFIG, "\"%s\" passed", bad[i]);
    cr_expect(strstr(err.message, "start"), "%s", err.message);
}

/* What the calls in between wrote to stderr. */
static int stderr_to(FILE *file)
{
    int kept = dup(STDERR_FILENO);
    (void)dup2(fileno(file), STDERR_FILENO);
    return kept;
}

static const char *stderr_back(int kept, FILE *file, char *text, size_t size)
{
    (void)dup2(kept, STDERR_FILENO);
    (void)close(kept);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    return text;
}

Test(kafka_settings, unchecked_certificates_work_with_a_warning)
{
    char text[2000];
    FILE *file = tmpfile();
    struct eddy_pair pairs[] = {{"enable.ssl.certificate.verification", "false", 3},
                                {"ssl.endpoint.identification.algorithm", "none", 4},
                                {"ssl.ca.location", "/x", 5}};
    struct eddy_map map = {3, pairs};
    cr_expect_eq(kafka_properties_check(&map, false, &err), EDDY_OK, "%s", err.message);
    int kept = stderr_to(file);
    kafka_properties_warn(&map);
    (void)stderr_back(kept, file, text, sizeof(text));
    cr_expect(strstr(text, "level=warn event=insecure"), "%s", text);
    cr_expect(strstr(text, "enable.ssl.certificate.verification=false"), "%s", text);
    cr_expect(strstr(text, "ssl.endpoint.identification.algorithm=none"), "%s", text);
    cr_expect_null(strstr(text, "ssl.ca.location"), "%s", text);
    (void)fclose(file);
}

Test(log, a_line_is_logfmt_whatever_the_text_holds)
{
    char text[6000], huge[5000];
    FILE *file = tmpfile();
    memset(huge, '"', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    int kept = stderr_to(file);
    log_info("some_event", "a \"quoted\" \\ thing\nand\tmore");
    log_debug("hidden", "x");
    log_error("big", "%s", huge);
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("hidden", "x");
    (void)stderr_back(kept, file, text, sizeof(text));
    cr_expect(strstr(text, "level=info event=some_event msg=\"a \\\"quoted\\\" \\\\ thing\\nand more\"\n"), "%s",
              text);
    cr_expect_null(strstr(text, "hidden"), "%s", text);
    size_t n = strlen(text);
    cr_expect(text[n - 1] == '\n' && text[n - 2] == '"' && n < 4000, "a huge text is cut, its line is whole");
    (void)fclose(file);
}

Test(log, a_limit_holds_back_repeats_and_counts_them)
{
    struct log_limit limit = {0};
    int64_t n_held = -1;
    cr_expect(log_allowed(&limit, 50, &n_held));
    cr_expect_eq(n_held, 0);
    for (int i = 0; i < 5; i++) cr_expect_not(log_allowed(&limit, 50, &n_held));
    (void)usleep(60000);
    cr_expect(log_allowed(&limit, 50, &n_held));
    cr_expect_eq(n_held, 5);
}

Test(kafka_settings, labels_go_with_one_topic_of_events_and_another_name)
{
    static const char *const names[] = {"events", "more"};
    const struct eddy_strings one = {1, names}, two = {2, names};
    cr_expect_eq(kafka_labels_check(NULL, &two, &err), EDDY_OK);
    cr_expect_eq(kafka_labels_check("", &two, &err), EDDY_OK);
    cr_expect_eq(kafka_labels_check("labels", &one, &err), EDDY_OK);
    cr_expect_eq(kafka_labels_check("labels", &two, &err), EDDY_ECONFIG);
    cr_expect(strstr(err.message, "exactly one, not 2"), "%s", err.message);
    cr_expect_eq(kafka_labels_check("events", &one, &err), EDDY_ECONFIG);
    cr_expect_eq(kafka_labels_check("la bels", &one, &err), EDDY_ECONFIG);
}

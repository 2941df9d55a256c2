#include "connectors/kafka/kafka_offsets.h"

#include <string.h>

/* Exactly `n` digits as a number, -1 when there are fewer. */
static int when_digits(const char **at, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++, (*at)++) {
        if (**at < '0' || **at > '9') return -1;
        value = value * 10 + (**at - '0');
    }
    return value;
}

static bool when_is(const char **at, const char *chars)
{
    if (!**at || !strchr(chars, **at)) return false;
    (*at)++;
    return true;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar, counted in years that begin in March. */
static int64_t when_days(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

static int when_month_days(int year, int month)
{
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 ? 28 + leap : 30 + (month + (month > 7)) % 2;
}

static bool when_date(const char **at, int64_t *days)
{
    int year = when_digits(at, 4);
    if (year < 1 || !when_is(at, "-")) return false;
    int month = when_digits(at, 2);
    if (month < 1 || month > 12 || !when_is(at, "-")) return false;
    int day = when_digits(at, 2);
    if (day < 1 || day > when_month_days(year, month)) return false;
    *days = when_days(year, month, day);
    return true;
}

static bool when_clock(const char **at, int64_t *ms)
{
    int hour = when_digits(at, 2);
    if (hour < 0 || hour > 23 || !when_is(at, ":")) return false;
    int minute = when_digits(at, 2);
    if (minute < 0 || minute > 59 || !when_is(at, ":")) return false;
    int second = when_digits(at, 2);
    if (second < 0 || second > 60) return false;
    *ms = ((hour * 60 + minute) * 60 + second) * (int64_t)1000;
    if (!when_is(at, ".")) return true;
    if (**at < '0' || **at > '9') return false;
    for (int unit = 100; **at >= '0' && **at <= '9'; (*at)++, unit /= 10) *ms += unit * (**at - '0');
    return true;
}

static bool when_zone(const char **at, int64_t *ms)
{
    *ms = 0;
    if (when_is(at, "Zz")) return true;
    int sign = **at == '-' ? -1 : 1;
    if (!when_is(at, "+-")) return false;
    int hour = when_digits(at, 2);
    if (hour < 0 || hour > 23 || !when_is(at, ":")) return false;
    int minute = when_digits(at, 2);
    if (minute < 0 || minute > 59) return false;
    *ms = sign * (hour * 60 + minute) * (int64_t)60000;
    return true;
}

eddy_status kafka_when_parse(const char *text, const char *option, struct kafka_when *out, struct eddy_error *err)
{
    const char *at = text ? text : "earliest";
    int64_t days, clock_ms, zone_ms;

    *out = (struct kafka_when){.kind = KAFKA_EARLIEST};
    if (strcmp(at, "earliest") == 0) return EDDY_OK;
    out->kind = KAFKA_LATEST;
    if (strcmp(at, "latest") == 0) return EDDY_OK;
    out->kind = KAFKA_TIME;
    if (!when_date(&at, &days) || !when_is(&at, "Tt ") || !when_clock(&at, &clock_ms) || !when_zone(&at, &zone_ms) ||
        *at)
        return eddy_fail(err, EDDY_ECONFIG,
                         "%s: \"%s\" is none of earliest, latest and a time such as 2026-01-31T06:00:00Z", option,
                         text);
    out->time_ms = days * 86400000 + clock_ms - zone_ms;
    if (out->time_ms < 0) return eddy_fail(err, EDDY_ECONFIG, "%s: \"%s\" is before 1970", option, text);
    return EDDY_OK;
}

void kafka_add_position(rd_kafka_topic_partition_list_t *list, const char *topic, int32_t partition, int64_t next,
                        const char *metadata)
{
    rd_kafka_topic_partition_t *e = rd_kafka_topic_partition_list_add(list, topic, partition);
    e->offset = next;
    e->metadata = metadata && *metadata ? strdup(metadata) : NULL; /* the list frees it */
    e->metadata_size = e->metadata ? strlen(metadata) : 0;
}

eddy_status kafka_committed(struct kafka_client *c, rd_kafka_topic_partition_list_t *list, int timeout_ms,
                            struct eddy_error *err)
{
    if (list->cnt == 0) return EDDY_OK;
    for (int i = 0; i < list->cnt; i++) list->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
    rd_kafka_resp_err_t code = rd_kafka_committed(c->rk, list, timeout_ms);
    for (int i = 0; i < list->cnt && !code; i++) code = list->elems[i].err;
    if (!code) return EDDY_OK;
    return eddy_fail(err, kafka_error_is_final(code) ? EDDY_EIO : EDDY_EAGAIN,
                     "kafka %s: committed offsets of %s: %s", kafka_servers(c->properties), list->elems[0].topic,
                     rd_kafka_err2str(code));
}

/* Asks for one logical offset or time (ms) per place; answers go to answer[i]. */
static eddy_status offsets_ask(struct kafka_client *c, const struct kafka_place *places, int n, int64_t question,
                               int timeout_ms, rd_kafka_topic_partition_list_t **answers, struct eddy_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, places[i].topic, places[i].partition)->offset = question;

    const struct kafka_place *at = &places[0];
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(c->rk, list, timeout_ms);
    for (int i = 0; i < n && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        code = list->elems[i].err;
        at = &places[i];
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        *answers = list;
        return EDDY_OK;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return eddy_fail(err, kafka_error_is_final(code) ? EDDY_EIO : EDDY_EAGAIN, "kafka %s: offsets of %s [%d]: %s",
                     kafka_servers(c->properties), at->topic, (int)at->partition, rd_kafka_err2str(code));
}

static eddy_status offsets_edges(struct kafka_client *c, struct kafka_place *places, int n, int timeout_ms,
                                 struct eddy_error *err)
{
    rd_kafka_topic_partition_list_t *list;
    eddy_status rc = offsets_ask(c, places, n, RD_KAFKA_OFFSET_BEGINNING, timeout_ms, &list, err);
    if (rc < 0) return rc;
    for (int i = 0; i < n; i++) places[i].low = list->elems[i].offset;
    rd_kafka_topic_partition_list_destroy(list);

    rc = offsets_ask(c, places, n, RD_KAFKA_OFFSET_END, timeout_ms, &list, err);
    if (rc < 0) return rc;
    for (int i = 0; i < n; i++) places[i].high = list->elems[i].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return EDDY_OK;
}

/* "No offset" for a time means the end only if the broker can look up times at all; librdkafka's mock cluster, and
 * topics without timestamps, answer so to every time, also to 1970. */
static eddy_status offsets_can_look_up(struct kafka_client *c, const struct kafka_place *place, int timeout_ms,
                                       struct eddy_error *err)
{
    rd_kafka_topic_partition_list_t *list;
    eddy_status rc = offsets_ask(c, place, 1, 0, timeout_ms, &list, err);
    if (rc < 0) return rc;
    bool found = list->elems[0].offset >= 0;
    rd_kafka_topic_partition_list_destroy(list);
    if (found) return EDDY_OK;
    return eddy_fail(
        err, EDDY_EUNSUPPORTED,
        "kafka: %s [%d] holds offsets %lld to %lld, but the broker finds no offset by time: use earliest "
        "or latest",
        place->topic, (int)place->partition, (long long)place->low, (long long)place->high);
}

static eddy_status offsets_by_time(struct kafka_client *c, struct kafka_place *places, int n, int64_t time_ms,
                                   int timeout_ms, struct eddy_error *err)
{
    rd_kafka_topic_partition_list_t *list;
    eddy_status rc = offsets_ask(c, places, n, time_ms, timeout_ms, &list, err);
    if (rc < 0) return rc;
    for (int i = 0; i < n && rc == EDDY_OK; i++) {
        places[i].at = list->elems[i].offset;
        if (places[i].at >= 0) continue;
        places[i].at = places[i].high;
        if (places[i].high > places[i].low) rc = offsets_can_look_up(c, &places[i], timeout_ms, err);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

eddy_status kafka_places(struct kafka_client *c, struct kafka_place *places, int n, const struct kafka_when *when,
                         int timeout_ms, struct eddy_error *err)
{
    if (n == 0) return EDDY_OK;
    eddy_status rc = offsets_edges(c, places, n, timeout_ms, err);
    if (rc < 0) return rc;
    if (when->kind == KAFKA_TIME) return offsets_by_time(c, places, n, when->time_ms, timeout_ms, err);
    for (int i = 0; i < n; i++) places[i].at = when->kind == KAFKA_EARLIEST ? places[i].low : places[i].high;
    return EDDY_OK;
}

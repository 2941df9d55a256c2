/* What the programs of the fault tests share: arguments "name=value", and reading a whole topic.
 * Errors end the process with status 2 and one line on stderr; nothing here is for production. */
#ifndef TESTS_FAULT_LAB_H
#define TESTS_FAULT_LAB_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

_Noreturn void lab_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The value of "name=value" among the arguments, or `otherwise` (NULL = it is required). */
const char *lab_text(int argc, char **argv, const char *name, const char *otherwise);
long lab_number(int argc, char **argv, const char *name, long otherwise);

/* Sets one property or dies. */
void lab_set(rd_kafka_conf_t *, const char *name, const char *value);
/* A handle on the brokers; takes conf over. */
rd_kafka_t *lab_open(rd_kafka_type_t, rd_kafka_conf_t *conf, const char *servers);
int lab_partitions(rd_kafka_t *, const char *topic);
/* Calls back for every record that a reader with read_committed sees now, partition by partition in order of offsets. */
void lab_read(const char *servers, const char *topic, void (*each)(void *context, const rd_kafka_message_t *),
              void *context);
/* The group's next offset of a partition; -1 = none. */
int64_t lab_committed(const char *servers, const char *group, const char *topic, int partition);

#endif

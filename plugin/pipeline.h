/* From a configuration (and what a command brings) to the driver's request.
 * Memory   a pipeline owns what its request points to beyond the configuration; free it after the driver was closed. */
#ifndef PLUGIN_PIPELINE_H
#define PLUGIN_PIPELINE_H

#include "connectors/codec/csv.h"
#include "connectors/files/file_source.h"
#include "connectors/files/files.h"
#include "connectors/kafka/kafka.h"
#include "engine/flow/driver.h"
#include "plugin/file_uses.h"

struct pipeline {
    struct driver_request request;
    struct settings settings; /* a copy: commands may exchange single members, such as the dead letters */
    struct file_source_settings files;
    struct file_inputs *inputs;
    const char *inputs_option; /* of the command that brought them; NULL = they are the configured source */
    struct kafka_range_settings range;
    struct csv_settings csv_in, csv_out;
    struct file_sink_settings output, dead_letter, incidents;
};

/* Everything as configured, with its state: `run`. */
eddy_status pipeline_configured(struct pipeline *, const struct settings *, struct eddy_error *);
/* The same without a look at the files that it reads, which need not be there. */
eddy_status pipeline_ends(struct pipeline *, const struct settings *, struct eddy_error *);
/* The topic that the state is copied into; NULL = none. */
const char *pipeline_state_topic(const struct settings *);
/* EDDY_ECONFIG, naming both options, when something would be written into a topic that is read or that holds states. */
eddy_status pipeline_topics_apart(const struct settings *, struct eddy_error *);
/* The same when source and sinks cannot keep what `guarantee` and `state.topic` ask of them. */
eddy_status pipeline_can_run(const struct settings *, struct eddy_error *);
/* The same, and what it takes to keep it: `run` only. */
eddy_status pipeline_guarantee(struct pipeline *, struct eddy_error *);
/* The configuration without its source and sink; one of the calls below brings the source. */
eddy_status pipeline_bare(struct pipeline *, const struct settings *, struct eddy_error *);
eddy_status pipeline_read_files(struct pipeline *, const struct file_source_settings *, struct eddy_error *);
/* EDDY_EINVAL when the configured source is not Kafka. */
eddy_status pipeline_read_past(struct pipeline *, const char *from, const char *to, struct eddy_error *);
/* "-" is stdout; a name that ends in .csv gets columns, everything else what the codec writes. */
void pipeline_write(struct pipeline *, const char *path);
/* Bad records as JSON lines in a file, - for stdout; NULL = logged and counted only. */
void pipeline_dead_letters(struct pipeline *, const char *path);
/* Incidents as JSON lines in a file, - for stdout, and not in the results. */
void pipeline_incidents(struct pipeline *, const char *path);
/* Adds what its source reads and its sinks write, when all ends are known and before driver_open(). */
void pipeline_uses(const struct pipeline *, struct file_uses *);
/* EDDY_ECONFIG, naming both options, when one of the configured ends would destroy another, the state or the file
 * `config`. */
eddy_status pipeline_spares(const struct pipeline *, const char *config, struct eddy_error *);
/* How many workers `run` has with these settings: as workers_wanted(). */
eddy_status pipeline_workers(const struct settings *, struct eddy_error *);
void pipeline_free(struct pipeline *); /* {0} is fine */

#endif

/* Files and pipes as sources and sinks.  Their options are in file_source.c and file_sink.c; what a command may set
 * beyond the configuration is in file_source.h. */
#ifndef CONNECTORS_FILES_FILES_H
#define CONNECTORS_FILES_FILES_H

#include "engine/flow/sink.h"
#include "engine/flow/source.h"

extern const struct eddy_source source_file, source_stdin;
extern const struct eddy_sink sink_file, sink_stdout;

/* Settings of sink_file.  Results are lines; a message with __eddy.errors.* headers becomes one JSON line that holds
 * them and the original bytes: {"topic","partition","offset","timestamp","stage","code","message","key","payload"}, with
 * "key_base64" and "payload_base64" where the bytes are not UTF-8. */
struct file_sink_settings {
    const char *path;
    bool append; /* go on behind what is there, after cutting off an unfinished last line; else start anew */
};

#endif

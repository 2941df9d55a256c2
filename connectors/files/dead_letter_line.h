/* A dead letter as one line of JSON: what its __eddy.errors.* headers say, then the key and the original bytes as
 * strings, or, where they are not UTF-8, in base64 as "key_base64" and "payload_base64".  A header that is a number is
 * written as one. */
#ifndef CONNECTORS_FILES_DEAD_LETTER_LINE_H
#define CONNECTORS_FILES_DEAD_LETTER_LINE_H

#include "engine/flow/sink.h"

bool is_dead_letter(const struct sink_message *);
/* Appends the line without a line end; EDDY_OK or EDDY_ENOMEM. */
eddy_status dead_letter_line(const struct sink_message *, struct eddy_buffer *out);

#endif

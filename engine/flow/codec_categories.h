/* The categories that the configured codec is told to read: unlike the values of a series, they are never found in a
 * record, so they are the same for all partitions and whatever the state was written for. */
#ifndef ENGINE_FLOW_CODEC_CATEGORIES_H
#define ENGINE_FLOW_CODEC_CATEGORIES_H

#include "config/settings.h"
#include "eddy_codec.h"

/* Writes their names as the codec's discover() writes names; returns how many there are.  EDDY_ENOMEM. */
eddy_status codec_categories(const struct settings *, struct eddy_buffer *names, struct eddy_error *);

#endif

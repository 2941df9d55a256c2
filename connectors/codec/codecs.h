/* The built-in codecs.  Their settings are in connectors/codec/json.h and csv.h. */
#ifndef CONNECTORS_CODEC_CODECS_H
#define CONNECTORS_CODEC_CODECS_H

#include "eddy_codec.h"

extern const struct eddy_codec codec_json, codec_csv;

#endif

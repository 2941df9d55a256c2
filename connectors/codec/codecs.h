/* The built-in codecs.  Their settings are in connectors/codec/json.h and csv.h.
 * A new one is a file beside json.c, which holds its options and the calls of eddy_codec.h; a line here; a row in
 * plugin/registry.c; and `make options`, which writes its options into config/OPTIONS.md.  Tests of the lane list the
 * parts that they use in tests/unit/flow/fixture.c. */
#ifndef CONNECTORS_CODEC_CODECS_H
#define CONNECTORS_CODEC_CODECS_H

#include "eddy_codec.h"

extern const struct eddy_codec codec_json, codec_csv;

#endif

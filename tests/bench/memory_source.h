/* A source that hands out prepared records and a sink that drops what it gets: the pipeline without input and output.
 * The source's settings are a `struct records`; the sink has none.  Of several workers each gets all records, as a
 * partition of its own. */
#ifndef TESTS_BENCH_MEMORY_SOURCE_H
#define TESTS_BENCH_MEMORY_SOURCE_H

#include "engine/flow/sink.h"
#include "engine/flow/source.h"
#include "tests/bench/records.h"

extern const struct eddy_source source_memory;
extern const struct eddy_sink sink_nowhere;

#endif

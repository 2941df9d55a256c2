/* What a fuzz target NAME_fuzz.c defines.  libFuzzer calls it with bytes of its own (`make fuzz`); replay.c, which runs
 * everywhere, calls it with the files in tests/fuzz/corpus/NAME.  It aborts when it finds something. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#endif

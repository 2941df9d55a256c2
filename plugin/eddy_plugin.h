/* Extending eddy: include this, fill one constant struct per part, and export one function.
 *
 *     static const struct eddy_codec codec_mine = {.part = {sizeof(codec_mine), EDDY_PART_CODEC, "mine", ..}, ..};
 *     static const struct eddy_part *const parts[] = {&codec_mine.part, NULL};
 *     static const struct eddy_module module = {EDDY_PART_ABI, sizeof(module), "mine", "1.0", "Apache-2.0", parts};
 *     EDDY_MODULE const struct eddy_module *eddy_module(void) { return &module; }
 *
 * Build    cc -shared -fPIC -I<include> -o mine.so mine.c     (the eddy_* calls are found in the program that loads it)
 * Use      plugins: [/path/to/mine.so] in the configuration; the file must not be writable by others.
 * The contracts of the parts are in eddy_codec.h, eddy_layer.h, eddy_expert.h and eddy_detector.h; examples are in
 * plugin/examples/. */
#ifndef EDDY_PLUGIN_H
#define EDDY_PLUGIN_H

#include "eddy_codec.h"
#include "eddy_detector.h"
#include "eddy_expert.h"
#include "eddy_layer.h"

#define EDDY_MODULE __attribute__((visibility("default")))

#endif

/* Fuzzes the JSON codec, by its scanner and by its DOM: any bytes are refused with a reason or give an event that is as
 * eddy_codec.h says, and what the scanner takes is JSON to jansson, too. */
#include <jansson.h>
#include <stdlib.h>

#include "connectors/codec/codecs.h"
#include "connectors/codec/json.h"
#include "tests/fuzz/decode.h"
#include "tests/fuzz/fuzz.h"

static const char *const categories[] = {"kind"};
static const struct json_settings at_the_top = {
    .key = "id", .time = "ts", .label = "label", .categories = {1, categories}};
static const struct json_settings by_path = {
    .key = "meta.id", .time = "meta.ts", .time_unit = TIME_MS, .label = "meta.label", .categories = {1, categories}};
static struct decoder scanner = {&codec_json, &at_the_top, {"temp", "load"}, {"kind"}, NULL, {0}};
static struct decoder dom = {&codec_json, &by_path, {"payload.temp", "list.0"}, {"kind"}, NULL, {0}};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const bool taken = decode_record(&scanner, bytes, n);
    if (decode_record(&scanner, bytes, n) != taken) abort(); /* now by its own layout */
    if (taken) {
        json_t *by_jansson = json_loadb((const char *)bytes, n, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
        if (!by_jansson) abort();
        json_decref(by_jansson);
    }
    (void)decode_record(&dom, bytes, n);
    return 0;
}

/* Fuzzes the CSV codec: any line is refused with a reason or gives an event that is as eddy_codec.h says. */
#include "connectors/codec/codecs.h"
#include "connectors/codec/csv.h"
#include "tests/fuzz/decode.h"
#include "tests/fuzz/fuzz.h"

static const char *const columns[] = {"id", "ts", "temp", "load", "label", "kind"}, *const categories[] = {"kind"};
static const struct csv_settings settings = {
    .columns = {6, columns}, .key = "id", .time = "ts", .label = "label", .categories = {1, categories}};
static struct decoder lines = {&codec_csv, &settings, {"temp", "load"}, {"kind"}, NULL, {0}};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    (void)decode_record(&lines, bytes, n);
    return 0;
}

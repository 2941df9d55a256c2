/* Fuzzes times: what is read is written as gmtime_r() says, and reads back as it was; numbers of units are exact. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/codec/timestamp.h"
#include "tests/fuzz/fuzz.h"

enum { NS_PER_S = 1000000000 };

static void written_reads_back(int64_t ns)
{
    char out[TIMESTAMP_MAX], want[TIMESTAMP_MAX], digits[24];
    struct tm tm;
    int64_t back, seconds = ns / NS_PER_S - (ns % NS_PER_S < 0);
    const time_t at = seconds;
    size_t n = timestamp_write(ns, out);
    if (n > sizeof(out) || !timestamp_parse(out, n, &back) || back != ns) abort();
    if (!gmtime_r(&at, &tm) || strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S", &tm) != 19) abort();
    if (n < 20 || memcmp(out, want, 19) != 0) abort();
    n = (size_t)snprintf(digits, sizeof(digits), "%lld", (long long)ns);
    if (!timestamp_parse_epoch(digits, n, TIME_NS, &back) || back != ns) abort();
    n = timestamp_write_epoch_ms(ns, out);
    if (n > sizeof(out)) abort();
    if (timestamp_parse_epoch(out, n, TIME_MS, &back) && (back > ns || ns - back >= 1000000)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct timestamp_minute near = {0}; /* of the first half, which may be a time of the same minute */
    int64_t ns, alone;
    (void)timestamp_parse_as(&near, (const char *)bytes, n / 2, TIME_ISO8601, &ns);
    for (int unit = TIME_ISO8601; unit <= TIME_NS; unit++)
        if (timestamp_parse_as(&near, (const char *)bytes, n, (enum time_unit)unit, &ns)) {
            if (ns == INT64_MIN) abort(); /* EDDY_NO_TIME */
            if (unit == TIME_ISO8601 && (!timestamp_parse((const char *)bytes, n, &alone) || alone != ns)) abort();
            written_reads_back(ns);
        }
    if (n >= sizeof(ns)) {
        memcpy(&ns, bytes, sizeof(ns));
        if (ns != INT64_MIN) written_reads_back(ns);
    }
    return 0;
}

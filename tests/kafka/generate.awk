# Sensor events for the Kafka suites, the same ones for the same arguments on every machine:
#     awk -f tests/kafka/generate.awk -v events=200000 -v keys=2000 [-v from=0] [-v seed=1] [-v step_s=60]
# One line per event, "KEY|JSON", keys in turn but shuffled within each round, so that every key has events/keys of them.
# `from` skips that many events of the same stream, for feeding it in portions.

function random() { # 31-bit linear congruence: exact in doubles
    state = (state * 69069 + 12345) % 2147483648
    return state / 2147483648
}

function date_text(day,    z, era, doe, yoe, doy, mp, d, m) { # days since 1970-01-01, after Hinnant's civil_from_days
    z = day + 719468
    era = int(z / 146097)
    doe = z - era * 146097
    yoe = int((doe - int(doe / 1460) + int(doe / 36524) - int(doe / 146096)) / 365)
    doy = doe - (365 * yoe + int(yoe / 4) - int(yoe / 100))
    mp = int((5 * doy + 2) / 153)
    d = doy - int((153 * mp + 2) / 5) + 1
    m = mp < 10 ? mp + 3 : mp - 9
    return sprintf("%04d-%02d-%02d", yoe + era * 400 + (m <= 2), m, d)
}

function shuffle(    i, j, swap) {
    for (i = keys - 1; i > 0; i--) {
        j = int(random() * (i + 1))
        swap = order[i]; order[i] = order[j]; order[j] = swap
    }
}

BEGIN {
    if (!events) events = 1000
    if (!keys) keys = 10
    if (!step_s) step_s = 60
    state = seed ? seed : 1
    for (i = 0; i < keys; i++) order[i] = i
    for (n = 0; n < events; n++) {
        if (n % keys == 0) {
            shuffle()
            second = 1767225600 + n / keys * step_s # 2026-01-01T00:00:00Z
            time = sprintf("%sT%02d:%02d:%02dZ", date_text(int(second / 86400)), int(second % 86400 / 3600),
                           int(second % 3600 / 60), second % 60)
        }
        k = order[n % keys]
        noise = random() + random() - 1
        value = 20 + k % 17 + 5 * sin(6.283185307179586 * (n / keys + k) / 48) + noise
        if (int(random() * 500) == 0) value = "null"
        else value = sprintf("%.3f", random() < 0.0005 ? value + 30 : value)
        if (n >= from) printf "sensor-%05d|{\"ts\":\"%s\",\"temperature\":%s}\n", k, time, value
    }
}

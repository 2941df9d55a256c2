#!/usr/bin/env python3
"""Writes the small corpora of the fuzz targets, beside which it lies: python3 tests/fuzz/seeds.py

Each seed is a place to start from: one form that a parser knows, or a defect that was found."""
import pathlib
import struct

corpus = pathlib.Path(__file__).parent / "corpus"


def seed(target, name, data):
    path = corpus / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


for name, text in {
    "zero": "-0", "plain": "21.5", "tie": "9007199254740993", "long": "0.1234567890123456789012345",
    "smallest": "4.9406564584124654e-324", "largest": "1.7976931348623157e308", "too_large": "1e400",
    "exponent": "12E+0003", "person": " +.5", "leading": "007",
}.items():
    seed("number", name, text)

for name, text in {
    "rfc": "2026-03-01T08:00:00.123456789Z", "zone": "2026-03-01 08:00:00+05:30", "date": "2024-02-29",
    "leap": "1990-12-31T23:59:60Z", "first": "1677-09-21T00:12:43.145224193Z",
    "last": "2262-04-11T23:47:16.854775807Z", "seconds": "1700000000.25", "millis": "1.7e12", "before": "-1.5",
}.items():
    seed("timestamp", name, text)

seed("json", "plain", '{"id":"p1","ts":"2026-03-01T08:00:00Z","temp":21.5,"load":null,"label":"ok","kind":"M"}')
seed("json", "escapes", r'{"id":"\u00e4\ud83d\ude00\n","ts":"2026-03-01","te\u006dp":-1e3,"x":[{"y":[]}],"load":0}')
seed("json", "paths", '{"meta":{"id":7,"ts":1700000000000,"label":true},"payload":{"temp":1},"list":[2],"kind":3}')
seed("json", "deep", '{"id":1,"a":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}')
seed("json", "late_label", '{"id":"p1","ts":"2026-03-01","label":"broken"}')
seed("json", "twice", '{"id":"a","id":"b","ts":"2026-03-01","temp":1}')

seed("csv", "plain", "p1,2026-03-01T08:00:00Z,21.5,-3,ok,M")
seed("csv", "quotes", '"a,""b""", 2026-03-01 ,"+1e3",.5,"",NA\r\n')
seed("csv", "broken", '"a,2026-03-01,1,2,,')
seed("csv", "label_not_utf8", b"p1,2027-03-01T08:00:00Z,21.5,,&-\xc4ok,M.5")
seed("csv", "label", "p1,2026-03-01,,,fault,")

seed("config", "small", "name: a\nsource: {stdin: {}}\nsink: {stdout: {}}\n")
seed("config", "network", "name: a\nsource: {file: {paths: [x.csv]}}\nsink: {file: {path: y}}\n"
     "codec: {csv: {key: id, time: ts, values: [a, b]}}\n"
     "forecast: {horizons: [1, 4], network: {layers: [{lstm: {units: 2}}]}}\ndetect: {detectors: [exceedance]}\n")
seed("config", "kafka", "name: a\nsource: {kafka: {topics: [t], properties: {bootstrap.servers: h, acks: all}}}\n"
     "sink: {kafka: {topic: o}}\n")
seed("config", "alias", "a: &a [1, *a]\nb: {<<: *a}\n? x\n: |\n  y\n...\n--- !!str 5\n")
seed("config", "unread", "name: a\nsource: {kafka: {topics: [t], properties: {bootstrap.servers: h}}}\n"
     "sink: {kafka: {topic: &o}}\n")
seed("config", "wrong", "name: [\nsource: {nothing: {}}\nstate: {memory: 9999999EiB, ttl: -1d}\n")

# state_fuzz.c: which blob | how | where | bytes
for which in range(12):
    for how, at in ((0, 0), (1, 4), (2, 8)):
        seed("state", f"blob_{which}_{'overwrite cut insert'.split()[how]}",
             struct.pack("<BBH", which, how, at) + b"\xff\xff\xff\x7f\x00\x00")
# A number of the first row: of its bands, scale, season, search, steps, experts, mix, detectors and incidents.
for at in (64, 168, 264, 536, 592, 736, 960, 1808, 2192, 4016, 27696, 34976, 36856, 37888, 38784, 42728, 42800, 43840):
    for number in (12, 13, 14):
        seed("state", f"row_{at}_{number}", struct.pack("<BBHB", 10, 3, at // 4, number))
# Defects that were found.
for name, data in {
    "silence_active_below_zero": b'\xd6\x7fn\x00\xff\x7f\x1d\x00\x0c\xe2',
    "silence_heard_long_ago": b'\xd6o\x08s\xc5',
    "silence_heard_at_no_time": b'{{\xfeaua*\xfeu',
    "silence_empty": b'\x06\x01\x00\x00',
}.items():
    seed("state", name, data)

# import_fuzz.c
record = lambda kind, payload: struct.pack("<cH", kind, len(payload)) + payload
meta = lambda name, value: record(b"M", struct.pack("<I", len(name)) + name + value)
row = lambda key, body: record(b"R", struct.pack("<IIqqq", len(key), 5, 7, 1000, 3) + key + body)
end = lambda n: record(b"E", struct.pack("<Q", n))
seed("import", "whole", b"S" + meta(b"position", b"\x01\x02") + record(b"W", struct.pack("<Qq", 3, 99) + b"weights")
     + row(b"p1", bytes(64)) + row(b"", b"") + end(4))
seed("import", "own_name", b"S" + meta(b".identity", b"x\0y\0" + b"4\0") + end(1))
seed("import", "nul_name", b"S" + meta(b"a\0b", b"") + end(1))
seed("import", "model_version", b"S" + record(b"W", struct.pack("<Qq", 2**64 - 1, 0)) + end(1))
seed("import", "twice", b"S" + row(b"k", bytes(8)) + row(b"k", bytes(8)) + end(2))
seed("import", "raw", b"eddy-state 1 plant topic 3 0000000000000000\nM")

# state_topic_fuzz.c
NO_VALUE, RIGHT = 1, 6
topic_key = lambda kind, piece, name=b"": struct.pack("<BcHiQ", 1, kind, piece, 3, 0) + name
topic_value = lambda pieces, body, generation=1, number=1: struct.pack("<QQQII", 0, generation, number, pieces, 0) + body
topic = lambda how, key, value=b"": struct.pack("<BHH", how, len(key), len(value)) + key + value
topic_row = struct.pack("<IIqqq", 5, 0, 7, 1000, 3) + bytes(64)
manifest = struct.pack("<qQQQII", 40, 1, 2, 3, 4, 1) + b"fuzz" + b"topic"
seed("state_topic", "row", topic(RIGHT, topic_key(b"R", 0, b"p1"), topic_value(1, topic_row)))
seed("state_topic", "gone", topic(RIGHT | NO_VALUE, topic_key(b"R", 0, b"p1")))
seed("state_topic", "pieces", topic(RIGHT, topic_key(b"B", 0, b"train"), topic_value(3, b"one"))
     + topic(RIGHT, topic_key(b"B", 1, b"train"), topic_value(3, b"two"))
     + topic(RIGHT, topic_key(b"B", 2, b"train"), topic_value(3, b"three")))
seed("state_topic", "left_over", topic(RIGHT, topic_key(b"B", 2, b"train"), topic_value(3, b"three"))
     + topic(RIGHT, topic_key(b"B", 0, b"train"), topic_value(2, b"one", number=2))
     + topic(RIGHT | NO_VALUE, topic_key(b"B", 1, b"train")))
seed("state_topic", "weights", topic(RIGHT, topic_key(b"W", 0, bytes(8)), topic_value(1, struct.pack("<q", 9) + b"w")))
seed("state_topic", "manifest", topic(RIGHT, topic_key(b"M", 0), topic_value(1, manifest)))
seed("state_topic", "anew", topic(RIGHT, topic_key(b"M", 0), topic_value(1, manifest, 2))
     + topic(RIGHT, topic_key(b"R", 0, b""), topic_value(1, topic_row, 1)))
seed("state_topic", "other", topic(4, topic_key(b"M", 0), topic_value(1, manifest)))
seed("state_topic", "raw", b"\x00\x12\x00\x30\x00" + topic_key(b"R", 0, b"p1") + topic_value(9, b"x" * 16))

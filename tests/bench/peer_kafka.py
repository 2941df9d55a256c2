#!/usr/bin/env python3
"""The pipeline of bench_kafka.c as a skilled Python programmer writes it: confluent-kafka, an LSTM of 64 units in ONNX
Runtime, orjson, and a dict from keys to rows of arrays: count, mean, variance, last forecast, state.
    peer_kafka.py BROKERS INPUT OUTPUT PARTITIONS EVENTS BATCH
BATCH records are consumed at once and scored in waves in which a key appears once; 1 is one at a time.
Prints "EVENTS CPU_SECONDS SECONDS", of everything behind the first record."""
import sys
import time

import numpy as np
import onnxruntime
import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from bench_onnx import model

UNITS, MOST_KEYS = 64, 1 << 17


class Scorer:
    def __init__(self):
        import onnx
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model(onnx, np, UNITS), options,
                                                    providers=["CPUExecutionProvider"])
        self.head = np.random.default_rng(3).uniform(-0.1, 0.1, UNITS).astype(np.float32)
        self.slots = {}
        self.count, self.mean, self.variance, self.forecast = np.zeros((4, MOST_KEYS))
        self.h, self.c = np.zeros((2, MOST_KEYS, UNITS), np.float32)

    def waves(self, messages):
        """Lists of (message, slot) in which no key appears twice, in the order of arrival."""
        waves, seen, slots = [], {}, self.slots
        for m in messages:
            slot = slots.setdefault(m.key(), len(slots))
            n = seen.get(slot, 0)
            seen[slot] = n + 1
            if n == len(waves):
                waves.append([])
            waves[n].append((m, slot))
        return waves

    def score(self, wave, send):
        at = np.fromiter((slot for _, slot in wave), np.int64, len(wave))
        records = [orjson.loads(m.value()) for m, _ in wave]
        x = np.array([r["temperature"] for r in records], np.float64)
        mean, variance = self.mean[at], self.variance[at]
        x = np.where(np.isnan(x), mean, x)
        score = np.abs(x - self.forecast[at]) / (np.sqrt(variance) + 1e-9)
        count = self.count[at] + 1
        rate = np.where(count < 100, 1 / count, 0.01)
        delta = x - mean
        mean = mean + rate * delta
        variance = (1 - rate) * (variance + rate * delta * delta)
        deviation = np.sqrt(variance) + 1e-9
        inputs = ((x - mean) / deviation).astype(np.float32)
        h, c = self.session.run(["h1", "c1"], {"x": inputs[None, :, None], "h": self.h[at][None], "c": self.c[at][None]})
        forecast = x + deviation * (h[0] @ self.head)
        self.count[at], self.mean[at], self.variance[at], self.forecast[at] = count, mean, variance, forecast
        self.h[at], self.c[at] = h[0], c[0]
        for (m, _), r, y, f, s in zip(wave, records, x.tolist(), forecast.tolist(), score.tolist()):
            send(m, orjson.dumps({"key": m.key().decode(), "ts": r["ts"], "y": y, "forecast": f, "score": s,
                                  "anomaly": s > 6}))


def main():
    servers, source, target = sys.argv[1:4]
    partitions, events, batch = map(int, sys.argv[4:7])
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "peer", "enable.auto.commit": False,
                         "queued.min.messages": 1000000, "queued.max.messages.kbytes": 16384})
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 5, "enable.idempotence": True,
                         "queue.buffering.max.messages": 100000})
    consumer.assign([TopicPartition(source, p, 0) for p in range(partitions)])
    scorer = Scorer()

    def send(m, line):
        while True:
            try:
                return producer.produce(target, line, m.key(), m.partition())
            except BufferError:
                producer.poll(0.005)

    done, cpu, wall = 0, 0.0, 0.0
    while done < events:
        messages = consumer.consume(batch, 0.1) if batch > 1 else [m for m in [consumer.poll(0.1)] if m]
        if messages and not done:
            cpu, wall = time.process_time(), time.monotonic()
        for m in messages:
            if m.error():
                sys.exit(str(m.error()))
        for wave in scorer.waves(messages):
            scorer.score(wave, send)
        producer.poll(0)
        done += len(messages)
    producer.flush()
    print(done, time.process_time() - cpu, time.monotonic() - wall)


main()

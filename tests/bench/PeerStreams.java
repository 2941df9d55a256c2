import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The pipeline of bench_kafka.c as a careful Java programmer writes it: Kafka Streams, one thread, at least once, a row of
 * bytes for each key in a persistent store with its changelog topic; an LSTM of 64 units by hand, in loops that the
 * compiler can vectorise; Jackson's streaming reader and writer.
 *
 * <p>PeerStreams BROKERS INPUT OUTPUT EVENTS STATE_DIRECTORY. Prints "EVENTS CPU_SECONDS SECONDS" of everything
 * behind the first quarter of the events, in which the compiler warms up.
 */
final class PeerStreams {
    private static final int UNITS = 64, GATES = 4 * UNITS;
    private static final int ROW_BYTES = 4 * Double.BYTES + 2 * UNITS * Float.BYTES;
    private static final String STORE = "rows";

    /** Random weights: what is measured is the work, not the forecasts. */
    static final class Lstm {
        private final float[] input = new float[GATES], bias = new float[GATES], head = new float[UNITS];
        private final float[][] hidden = new float[UNITS][GATES];
        private final float[] gates = new float[GATES];

        Lstm() {
            Random random = new Random(1);
            for (float[] w : hidden) fill(w, random);
            fill(input, random);
            fill(bias, random);
            fill(head, random);
        }

        private static void fill(float[] w, Random random) {
            for (int i = 0; i < w.length; i++) w[i] = (random.nextFloat() - .5f) * .25f;
        }

        /** The continued fraction of tanh; its error is below 1e-4. */
        private static float tanh(float x) {
            float z = Math.max(-4.97f, Math.min(4.97f, x)), s = z * z;
            return z * (135135 + s * (17325 + s * (378 + s))) / (135135 + s * (62370 + s * (3150 + 28 * s)));
        }

        float step(float x, float[] h, float[] c) {
            for (int g = 0; g < GATES; g++) gates[g] = bias[g] + input[g] * x;
            for (int j = 0; j < UNITS; j++) {
                float[] w = hidden[j];
                float of = h[j];
                for (int g = 0; g < GATES; g++) gates[g] += w[g] * of;
            }
            for (int g = 0; g < GATES; g++) {
                boolean candidate = g >= 2 * UNITS && g < 3 * UNITS;
                gates[g] = candidate ? tanh(gates[g]) : .5f + .5f * tanh(.5f * gates[g]);
            }
            float y = 0;
            for (int u = 0; u < UNITS; u++) {
                c[u] = gates[UNITS + u] * c[u] + gates[u] * gates[2 * UNITS + u];
                h[u] = gates[3 * UNITS + u] * tanh(c[u]);
                y += head[u] * h[u];
            }
            return y;
        }
    }

    /** Counts events and takes the clocks behind the first quarter. */
    static final class Progress {
        private final long events;
        private final CountDownLatch done = new CountDownLatch(1);
        private long seen, first;
        private double cpu, wall;

        Progress(long events) {
            this.events = events;
            this.first = events / 4;
        }

        void event() {
            seen++;
            if (seen == first) {
                cpu = -cpuSeconds();
                wall = -System.nanoTime() * 1e-9;
            }
            if (seen == events) done.countDown();
        }

        private static double cpuSeconds() {
            var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
            return system.getProcessCpuTime() * 1e-9;
        }

        void print() {
            System.out.println((events - first) + " " + (cpu + cpuSeconds()) + " " + (wall + System.nanoTime() * 1e-9));
        }
    }

    static final class Scorer implements Processor<byte[], byte[], byte[], byte[]> {
        private final Progress progress;
        private final Lstm lstm = new Lstm();
        private final JsonFactory json = new JsonFactory();
        private final ByteArrayOutputStream line = new ByteArrayOutputStream(256);
        private final float[] h = new float[UNITS], c = new float[UNITS];
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<Bytes, byte[]> rows;

        Scorer(Progress progress) {
            this.progress = progress;
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
            rows = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            try {
                context.forward(record.withValue(score(record)));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            progress.event();
        }

        private byte[] score(Record<byte[], byte[]> record) throws IOException {
            String ts = null;
            double x = Double.NaN;
            try (JsonParser parser = json.createParser(record.value())) {
                parser.nextToken();
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String name = parser.currentName();
                    JsonToken value = parser.nextToken();
                    if (name.equals("ts")) ts = parser.getText();
                    else if (name.equals("temperature") && value.isNumeric()) x = parser.getDoubleValue();
                }
            }
            Bytes key = Bytes.wrap(record.key());
            byte[] stored = rows.get(key);
            ByteBuffer row = ByteBuffer.wrap(stored != null ? stored : new byte[ROW_BYTES]);
            double count = row.getDouble() + 1, mean = row.getDouble(), variance = row.getDouble(), forecast = row.getDouble();
            row.asFloatBuffer().get(h).get(c);

            if (Double.isNaN(x)) x = mean;
            double score = Math.abs(x - forecast) / (Math.sqrt(variance) + 1e-9);
            double rate = count < 100 ? 1 / count : .01, delta = x - mean;
            mean += rate * delta;
            variance = (1 - rate) * (variance + rate * delta * delta);
            double deviation = Math.sqrt(variance) + 1e-9;
            forecast = x + deviation * lstm.step((float) ((x - mean) / deviation), h, c);

            ByteBuffer next = ByteBuffer.allocate(ROW_BYTES);
            next.putDouble(count).putDouble(mean).putDouble(variance).putDouble(forecast);
            next.asFloatBuffer().put(h).put(c);
            rows.put(key, next.array());
            return write(record.key(), ts, x, forecast, score);
        }

        private byte[] write(byte[] key, String ts, double x, double forecast, double score) throws IOException {
            line.reset();
            try (JsonGenerator to = json.createGenerator(line, JsonEncoding.UTF8)) {
                to.writeStartObject();
                to.writeStringField("key", new String(key, StandardCharsets.UTF_8));
                to.writeStringField("ts", ts);
                to.writeNumberField("y", x);
                to.writeNumberField("forecast", forecast);
                to.writeNumberField("score", score);
                to.writeBooleanField("anomaly", score > 6);
                to.writeEndObject();
            }
            return line.toByteArray();
        }
    }

    private static Properties settings(String brokers, Path state) {
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, "peer-streams-" + ProcessHandle.current().pid());
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        p.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
        p.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        p.put(StreamsConfig.producerPrefix("linger.ms"), 5);
        return p;
    }

    private static Topology topology(String input, String output, Progress progress) {
        var bytes = Serdes.ByteArray();
        var rows = Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.Bytes(), bytes);
        return new Topology()
                .addSource("events", bytes.deserializer(), bytes.deserializer(), input)
                .addProcessor("scorer", () -> new Scorer(progress), "events")
                .addStateStore(rows.withCachingDisabled(), "scorer")
                .addSink("scores", output, bytes.serializer(), bytes.serializer(), "scorer");
    }

    public static void main(String[] args) throws Exception {
        if (args.length != 5) throw new IllegalArgumentException(Arrays.toString(args));
        Path state = Files.createDirectories(Path.of(args[4]));
        Progress progress = new Progress(Long.parseLong(args[3]));
        KafkaStreams streams = new KafkaStreams(topology(args[1], args[2], progress), settings(args[0], state));
        streams.setUncaughtExceptionHandler(e -> {
            e.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.start();
        progress.done.await();
        if (!streams.close(Duration.ofSeconds(60))) throw new IllegalStateException("the streams did not close");
        progress.print();
    }
}

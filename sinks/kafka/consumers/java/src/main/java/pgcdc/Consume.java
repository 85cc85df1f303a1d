// SPDX-License-Identifier: Apache-2.0
package pgcdc;

import com.google.protobuf.InvalidProtocolBufferException;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import pgcdc.v1.Change;
import pgcdc.v1.Column;
import pgcdc.v1.Key;
import pgcdc.v1.Operation;

/** Prints every change that a pipeline publishes, one a line: Consume BROKERS PIPELINE GROUP [COUNT] */
public final class Consume {
    public static void main(String[] arguments) throws InvalidProtocolBufferException {
        if (arguments.length < 3 || arguments.length > 4) {
            System.err.println("usage: java -jar consume.jar BROKERS PIPELINE GROUP [COUNT]");
            System.exit(1);
        }
        consume(arguments[0], arguments[1], arguments[2], arguments.length == 4 ? Long.parseLong(arguments[3]) : -1);
    }

    private static void consume(String brokers, String pipeline, String group, long left) throws InvalidProtocolBufferException {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", brokers,
                "group.id", group,
                "isolation.level", "read_committed", // otherwise it also reads messages of aborted transactions
                "auto.offset.reset", "earliest",
                "enable.auto.commit", false, // a change is done when commitSync is called, not when poll returns it
                "metadata.max.age.ms", 10000); // how soon the topic of a new table is found
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        Progress progress = new Progress();
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            // PIPELINE.SCHEMA.TABLE or PIPELINE.SCHEMA..TABLE
            consumer.subscribe(Pattern.compile("^" + Pattern.quote(pipeline) + "\\.[^.]+\\.+[^.]+$"));
            while (left != 0) {
                Map<TopicPartition, OffsetAndMetadata> done = new HashMap<>();
                for (ConsumerRecord<byte[], byte[]> message : consumer.poll(Duration.ofSeconds(1))) {
                    if (left == 0) { // the rest of the poll is read again next time
                        break;
                    }
                    if (message.value() != null) { // without a value it is a tombstone, for the compaction of the topic
                        Change change = Change.parseFrom(message.value());
                        if (progress.movesOn(message, change)) {
                            out.println(line(message, change));
                            left--;
                        }
                    }
                    done.put(new TopicPartition(message.topic(), message.partition()), new OffsetAndMetadata(message.offset() + 1));
                }
                consumer.commitSync(done); // without an argument it would commit everything that poll returned
            }
        }
    }

    private static String line(ConsumerRecord<byte[], byte[]> message, Change change) throws InvalidProtocolBufferException {
        if (change.getOperation() == Operation.UNRECOGNIZED || change.getOperation() == Operation.OPERATION_UNSPECIFIED) {
            throw new IllegalArgumentException("an operation that this program does not know");
        }
        String key = message.key() == null ? "none" : row(Key.parseFrom(message.key()).getColumnsList());
        StringBuilder text = new StringBuilder(String.format("%X/%X %s %s %s.%s key=%s", change.getCommitLsn() >>> 32,
                change.getCommitLsn() & 0xFFFFFFFFL, Long.toUnsignedString(change.getIndex()),
                change.getOperation().name().substring("OPERATION_".length()), change.getSchema(), change.getTable(), key));
        if (change.getBeforeCount() > 0) {
            text.append(" before=").append(row(change.getBeforeList()));
        }
        if (change.getAfterCount() > 0) {
            text.append(" after=").append(row(change.getAfterList()));
        }
        if (change.hasMovedTo()) {
            text.append(" moved_to=").append(row(change.getMovedTo().getColumnsList()));
        }
        if (change.getTruncate().getCascade()) {
            text.append(" cascade");
        }
        if (change.getTruncate().getRestartIdentity()) {
            text.append(" restart_identity");
        }
        return text.toString();
    }

    private static String row(List<Column> columns) {
        return columns.stream().map(column -> quoted(column.getName()) + ": " + value(column))
                .collect(Collectors.joining(", ", "{", "}"));
    }

    private static String value(Column column) {
        return switch (column.getValueCase()) {
            case NULL -> "null";
            case UNCHANGED -> "unchanged"; // a large value that the update left unchanged; keep the one you have
            case BOOLEAN -> String.valueOf(column.getBoolean());
            case INTEGER -> String.valueOf(column.getInteger());
            case FLOAT4 -> number(column.getFloat4(), 8);
            case FLOAT8 -> number(column.getFloat8(), 16);
            case TEXT -> quoted(column.getText());
            case BYTES -> "0x" + HexFormat.of().formatHex(column.getBytes().toByteArray());
            case LITERAL -> quoted(column.getLiteral()); // PostgreSQL's own text of any other type
            case VALUE_NOT_SET -> throw new IllegalArgumentException(
                    "column " + column.getName() + " has a kind of value that this program does not know");
        };
    }

    private static String number(double value, int digits) {
        String sign = Double.doubleToLongBits(value) < 0 ? "-" : "";
        if (Double.isNaN(value)) {
            return "nan";
        }
        return sign + (Double.isInfinite(value) ? "inf"
                : String.format(Locale.ROOT, "%." + digits + "e", new BigDecimal(Math.abs(value))));
    }

    private static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n").replace("\r", "\\r")
                .replace("\t", "\\t") + '"';
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Record.java - runs Debezium's embedded engine and writes down what it would have sent.
 *
 *     java -cp JARS Record.java LAST_TOPIC [schemas] < PROPERTIES
 *
 * One line a record: {"topic": ..., "key": ..., "value": ..., "headers": {...}}, through Kafka's JSON converter without
 * schemas, or with them. Ends behind the first record of LAST_TOPIC.
 */
import io.debezium.embedded.Connect;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.RecordChangeEvent;
import io.debezium.engine.format.ChangeEventFormat;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import java.util.StringJoiner;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.source.SourceRecord;

public class Record {
    private static final long DEADLINE_S = 60;
    private static final JsonConverter KEYS = new JsonConverter();
    private static final JsonConverter VALUES = new JsonConverter();
    private static final JsonConverter HEADERS = new JsonConverter();

    private static void configure(boolean hasSchemas) {
        String enable = String.valueOf(hasSchemas);
        KEYS.configure(Map.of("schemas.enable", enable, "converter.type", "key"));
        VALUES.configure(Map.of("schemas.enable", enable, "converter.type", "value"));
        HEADERS.configure(Map.of("schemas.enable", enable, "converter.type", "header"));
    }

    private static String text(byte[] json) {
        return json == null ? "null" : new String(json, StandardCharsets.UTF_8);
    }

    private static String headers(SourceRecord record) {
        StringJoiner joined = new StringJoiner(",", "{", "}");
        for (Header header : record.headers())
            joined.add("\"" + header.key() + "\":"
                       + text(HEADERS.fromConnectHeader(record.topic(), header.key(), header.schema(), header.value())));
        return joined.toString();
    }

    private static String line(SourceRecord record) {
        String topic = record.topic();
        return "{\"topic\":\"" + topic + "\",\"key\":" + text(KEYS.fromConnectData(topic, record.keySchema(), record.key()))
               + ",\"value\":" + text(VALUES.fromConnectData(topic, record.valueSchema(), record.value()))
               + ",\"headers\":" + headers(record) + "}";
    }

    public static void main(String[] arguments) throws Exception {
        configure(arguments.length > 1);
        Properties properties = new Properties();
        properties.load(System.in);
        CountDownLatch ended = new CountDownLatch(1);
        boolean[] isLast = {false};
        DebeziumEngine<RecordChangeEvent<SourceRecord>> engine =
            DebeziumEngine.create(ChangeEventFormat.of(Connect.class))
                .using(properties)
                .using((success, message, error) -> {
                    if (!success)
                        System.err.println("engine: " + message + " " + error);
                    ended.countDown();
                })
                .notifying((records, committer) -> {
                    for (RecordChangeEvent<SourceRecord> event : records) {
                        if (!isLast[0])
                            System.out.println(line(event.record()));
                        isLast[0] = isLast[0] || event.record().topic().equals(arguments[0]);
                        committer.markProcessed(event);
                    }
                    committer.markBatchFinished();
                    if (isLast[0])
                        ended.countDown();
                })
                .build();
        var executor = Executors.newSingleThreadExecutor();
        executor.execute(engine);
        ended.await(DEADLINE_S, TimeUnit.SECONDS);
        System.out.flush();
        try {
            engine.close();
        } catch (IllegalStateException closedAlready) {
            System.err.println("engine: ended before the last record");
        }
        System.exit(isLast[0] ? 0 : 1);
    }
}

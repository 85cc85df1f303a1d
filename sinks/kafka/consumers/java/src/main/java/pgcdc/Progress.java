// SPDX-License-Identifier: Apache-2.0
package pgcdc;

import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import pgcdc.v1.Change;

/**
 * What has been done already. Kafka returns a message again when a consumer dies before its offset was committed, and the
 * same change must not be done twice.
 *
 * <p>Here it is kept in memory. Store it where your results are, both in one transaction.
 */
final class Progress {
    private record Place(String topic, int partition, String schema, String table) {}

    private record Position(long commitLsn, long index, int part) implements Comparable<Position> {
        private static final Comparator<Position> ORDER = Comparator.comparing(Position::commitLsn, Long::compareUnsigned)
                .thenComparing(Position::index, Long::compareUnsigned).thenComparingInt(Position::part);

        @Override
        public int compareTo(Position other) {
            return ORDER.compare(this, other);
        }
    }

    private final Map<Place, Position> done = new HashMap<>();

    /** Is the change new? If so, records it as done. */
    boolean movesOn(ConsumerRecord<byte[], byte[]> message, Change change) {
        Place place = new Place(message.topic(), message.partition(), change.getSchema(), change.getTable());
        // An UPDATE of the key is two messages: the DELETE of the old key, then the UPDATE.
        Position position = new Position(change.getCommitLsn(), change.getIndex(), change.hasMovedTo() ? 0 : 1);
        Position last = done.get(place);
        if (last != null && position.compareTo(last) <= 0) {
            return false;
        }
        done.put(place, position);
        return true;
    }
}

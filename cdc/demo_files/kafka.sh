# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The demo's Kafka: a second sink, and a consumer that reads it; sourced by cdc/demo, which sets $folder, $files and $root.

# Starts the demo again with a private broker, whose address is then in $kafka. The broker ends with the demo.
kafka_run_with() {
    echo "Preparing Kafka: Maven, Java, the broker"
    "$root/tests/support/install" kafka
    exec "$root/tests/support/with_kafka" "$0" "$@"
}

kafka_sink_write() {
    cat >>shop.yaml <<YAML
  - name: events
    type: kafka
    brokers: $kafka
YAML
}

# consume ARGUMENT...
consume() {
    /usr/bin/python3 "$files/consume.py" "$kafka" shop "$@"
}

# The file "seen" contains the number of records so far, and the last record's milliseconds since its commit.
consumer_start() {
    consume --follow seen >consumer.log 2>&1 &
    consumer=$!
}

consumer_view() {
    local records=0 last=-
    [ ! -e seen ] || read -r records last <seen
    printf '    consumer %d records, lag %s ms' "$records" "$last"
}

# One record as a consumer gets it, then every topic replayed in the consumer's memory and compared with the source by count.
kafka_show() {
    local table count topics_differ=0
    headline "The same in Kafka, read_committed: one record, then each topic replayed by a consumer"
    consume --show orders | sed 's/^/  /'
    declare -A at_source
    read_counts source_sql at_source
    printf '  %-14s %12s %12s %12s\n' '' records 'rows then' source
    while read -r table records count; do
        printf '  %-14s %12s %12s %12s\n' "$table" "$records" "$count" "${at_source[$table]}"
        [ "$count" = "${at_source[$table]}" ] || topics_differ=4
    done < <(consume --replay)
    if [ "$topics_differ" = 0 ]; then
        headline "The topics give the source's tables."
    else
        headline "The topics do NOT give the source's tables, see above."
    fi
    return "$topics_differ"
}

kafka_leave_running() {
    cat <<TEXT

Engine, servers and Kafka keep running until you press Enter. Folder: $folder

  source   psql -h 127.0.0.1 -p $source_port -U shop shop
  target   psql -h 127.0.0.1 -p $target_port -U loader warehouse
  kafka    $kafka
  engine   process $engine, log $folder/engine.log

Try, for instance, in another terminal:

  kcat -b $kafka -L
  $files/consume.py $kafka shop --print          every change as it is committed, until you stop it
  $pgcdc status -c $folder/shop.yaml

TEXT
    read -r -p 'Enter stops everything and removes it. '
    kill -TERM "$engine"
    wait "$engine" || { engine_says; return 1; }
}

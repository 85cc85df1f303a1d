# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The demo's archive: the warehouse is fed from files, is stopped for a while, catches up; then the files are replayed up to a second.
# Sourced by cdc/demo, which sets $folder, $files, $programs and $pgcdc.

archive_write() {
    mkdir "$folder/state"
    cat >archive.yaml <<YAML
name: shop
source:
  dsn: host=127.0.0.1 port=$source_port user=shop dbname=shop
  tables: ["public.*"]
state: $folder/state
sinks:
  - name: history
    type: archive
    path: $folder/shop.archive
YAML
    replay_write warehouse warehouse "$folder/shop.archive"
    # The same pipeline with the source beside it, for verify: an archive alone has nothing to compare with.
    sed "s|^  archive: .*|  dsn: host=127.0.0.1 port=$source_port user=shop dbname=shop\n  publication: shop|" warehouse.yaml >verify.yaml
}

# replay_write NAME DATABASE ARCHIVE
replay_write() {
    cat >"$1.yaml" <<YAML
name: $1
source:
  archive: $3
state: $folder/state
sinks:
  - name: warehouse
    type: postgres
    dsn: host=127.0.0.1 port=$target_port user=loader dbname=$2
YAML
}

# An archive has no indexes and constraints, so the tables are made beforehand.
tables_make() {
    "$programs/pg_dump" --schema-only --no-owner --no-publications -h 127.0.0.1 -p "$source_port" -U shop shop |
        sql "$target_port" "$1" loader >/dev/null
}

retained() {
    source_sql -c "select pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)) from pg_replication_slots"
}

archived() {
    du -sh --apparent-size "$folder/shop.archive" | cut -f 1
}

replay_start() {
    setsid "$pgcdc" run -c warehouse.yaml >>warehouse.log 2>&1 &
    replay=$!
}

replay_stop() {
    kill -TERM "$replay"
    wait "$replay" || true
    replay=
}

# Until the traffic ends. The warehouse is stopped for the middle third.
archive_watch() {
    local second state=running
    for ((second = 1; ; second++)); do
        traffic_runs || break
        sleep 1
        if [ "$second" = $((seconds / 3)) ]; then
            replay_stop
            state=stopped
        elif [ "$second" = $((seconds * 2 / 3)) ]; then
            replay_start
            state=running
        fi
        printf '  %3d s  warehouse %s  orders %s/%s  the slot keeps %s of WAL, the archive has %s\n' "$second" "$state" \
            "$(source_sql -c 'select count(*) from orders')" "$(target_sql -c 'select count(*) from orders')" "$(retained)" "$(archived)"
        engine_runs || { engine_says; return 1; }
    done
}

archive_main() {
    local equal=0 moment
    headline "Preparing: packages, build, two PostgreSQL 15 servers, a shop of 100,000 rows"
    "$root/tests/support/install" program
    build
    servers_start
    archive_write
    tables_make warehouse

    headline "The existing rows go into the archive, and from there into the warehouse"
    run_shown run -c archive.yaml --until caught-up
    run_shown run -c warehouse.yaml --until caught-up

    headline "Live, $seconds s: one pipeline writes the archive, one replays it. The warehouse is away for a third of the time"
    setsid "$pgcdc" run -c archive.yaml >>engine.log 2>&1 &
    engine=$!
    replay_start
    traffic_start
    archive_watch
    wait "$traffic" || { cat pgbench.log >&2; return 1; }

    headline "The traffic has stopped. Is the warehouse equal to the source?"
    run_shown verify -c verify.yaml || equal=$?

    headline "A mistake: all orders are deleted. The archive is copied elsewhere, and replayed up to the second before"
    moment=$(source_sql -c "select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    printf '  orders at %s: %s\n' "$moment" "$(source_sql -c 'select count(*) from orders')"
    sleep 1
    source_sql -c 'delete from order_lines; delete from orders'
    printf '  orders now: %s\n' "$(source_sql -c 'select count(*) from orders')"
    archive_ends
    cp -r "$folder/shop.archive" "$folder/elsewhere"
    sql "$target_port" postgres postgres -c 'create database past owner loader'
    tables_make past
    replay_write past past "$folder/elsewhere"
    run_shown run -c past.yaml --until "$moment"
    printf '  orders in the database of the past: %s\n' "$(sql "$target_port" past loader -c 'select count(*) from orders')"

    headline "What is in the archive?"
    run_shown archive list "$folder/elsewhere"
    run_shown archive verify "$folder/elsewhere" || equal=$?
    case $equal in
    0) headline "Equal, and whole." ;;
    *) headline "NOT equal, see above." ;;
    esac
    return "$equal"
}

archive_ends() {
    replay_stop
    kill -TERM "$engine"
    wait "$engine" || { engine_says; return 1; }
    engine=
    "$pgcdc" run -c archive.yaml --until caught-up >>engine.log 2>&1
}

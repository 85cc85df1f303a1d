# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The demo's view while the traffic runs: a table that is redrawn on a terminal, one line a second elsewhere.

tables=(customers products documents orders order_lines journal counters pulse)

counts_query() {
    local table
    for table in "${tables[@]}"; do
        printf "select '%s', count(*) from public.%s;\n" "$table" "$table"
    done
}

# read_counts source_sql|target_sql ARRAY
read_counts() {
    local -n counts=$2
    local table count
    while IFS='|' read -r table count; do
        # shellcheck disable=SC2034
        counts[$table]=$count
    done < <(counts_query | "$1")
}

# Waits for the next pulse at the target while committing it at the source: milliseconds. Both use one machine's clock.
measure_lag() {
    local lag
    exec 3< <(target_sql -c "select set_config('demo.seen', coalesce(max(at), '-infinity')::text, false) from pulse" \
        -c "do \$\$ begin
                for try in 1..5000 loop
                    exit when exists (select from pulse where at > current_setting('demo.seen')::timestamptz);
                    perform pg_sleep(0.0005);
                end loop;
            end \$\$" \
        -c "select round(extract(epoch from clock_timestamp() - max(at)) * 1000) from pulse")
    read -r lag <&3
    source_sql -c "insert into pulse values (1, clock_timestamp()) on conflict (id) do update set at = excluded.at"
    read -r lag <&3
    exec 3<&-
    echo "$lag"
}

rows_applied() {
    target_sql -c "select tup_inserted + tup_updated + tup_deleted from pg_stat_database
                   where datname = current_database()"
}

# show_table SECOND RATE LAG
show_table() {
    local table
    printf '  %s%3d s    %6d rows/s applied    lag %s ms%s%s%s\n' "$bold" "$1" "$2" "$3" "$consumed" "$plain" "$clear_line"
    printf '  %-14s %12s %12s%s\n' '' source target "$clear_line"
    for table in "${tables[@]}"; do
        printf '  %-14s %12s %12s%s\n' "$table" "${at_source[$table]:--}" "${at_target[$table]:--}" "$clear_line"
    done
}

show_line() {
    local table
    printf '  %3d s  %6d rows/s applied  lag %4s ms%s ' "$1" "$2" "$3" "$consumed"
    for table in orders order_lines journal; do
        printf '  %s %s/%s' "$table" "${at_source[$table]:--}" "${at_target[$table]:--}"
    done
    printf '\n'
}

show() {
    if [ ! -t 1 ]; then
        show_line "$@"
        return
    fi
    [ "$drawn" = false ] || printf '\e[%dA' $((${#tables[@]} + 2))
    drawn=true
    show_table "$@"
}

now_ms() {
    echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

# Until the traffic ends; fails when the engine does.
watch_traffic() {
    declare -A at_source at_target
    local drawn=false start then now before applied lag consumed=
    start=$(now_ms) then=$start before=$(rows_applied)
    while traffic_runs; do
        sleep 0.7
        lag=$(measure_lag)
        applied=$(rows_applied)
        now=$(now_ms)
        read_counts source_sql at_source
        read_counts target_sql at_target
        [ -z "$kafka" ] || consumed=$(consumer_view)
        show $(((now - start) / 1000)) $(((applied - before) * 1000 / (now - then))) "$lag"
        before=$applied then=$now
        engine_runs || { engine_says; return 1; }
    done
}

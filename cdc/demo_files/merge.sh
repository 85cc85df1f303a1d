# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The demo's merger: two banks and a shop on the web become one table of customers. Sourced by cdc/demo, which sets $folder, $files,
# $programs and $pgcdc.

merge_sources=(north south web)
merge_engines=()
merge_traffic=()

# merge_head NAME: a pipeline from the database of that name; its rules follow.
merge_head() {
    mkdir "$folder/state-$1"
    cat <<YAML
name: $1
source:
  dsn: host=127.0.0.1 port=$source_port user=shop dbname=$1
  tables: ["public.*"]
state: $folder/state-$1
sinks:
  - name: warehouse
    type: postgres
    dsn: host=127.0.0.1 port=$target_port user=loader dbname=warehouse
mapping:
YAML
}

merge_write() {
    head -c 32 /dev/urandom >mask.key
    chmod 600 mask.key
    { merge_head north; cat <<YAML; } >north.yaml
  - match: public.customer
    to: crm.customer
    columns:
      id:     {type: text}
      name:   [trim, squeeze]
      email:  [trim, lower]
      phone:  {mask: {partial: {keep_last: 3, with: "*"}}}
      iban:   {mask: {fpe: digits, key_file: $folder/mask.key}}
      source: {const: north}
YAML
    { merge_head south; cat <<YAML; } >south.yaml
  - match: public.client
    to: crm.customer
    columns:
      client_no: {as: id, type: text}
      full_name: {as: name, steps: [trim, squeeze]}
      mail:      {as: email, steps: [trim, lower]}
      tel:       {as: phone, mask: {partial: {keep_last: 3, with: "*"}}}
      account:   {as: iban, mask: {fpe: digits, key_file: $folder/mask.key}}
      opened:    {as: since, type: date}
      source:    {const: south}
YAML
    { merge_head web; cat <<YAML; } >web.yaml
  - match: public.users
    to: crm.customer
    columns:
      uid:           {as: id, type: text}
      display_name:  {as: name, steps: [trim, squeeze]}
      email:         [trim, lower]
      phone:         {mask: {partial: {keep_last: 3, with: "*"}}}
      password_hash: drop
      created:       {as: since, type: date}
      source:        {const: web}
YAML
}

merge_databases() {
    local name
    for name in "${merge_sources[@]}"; do
        sql "$source_port" postgres postgres -c "create database $name owner shop"
        sql "$source_port" "$name" shop -v "bank=$name" -f "$files/merge.sql"
    done
    target_sql -c 'create schema crm'
}

merge_start() {
    local name
    for name in "${merge_sources[@]}"; do
        setsid "$pgcdc" run -c "$name.yaml" >>"$name.log" 2>&1 &
        merge_engines+=($!)
        "$programs/pgbench" -n -h 127.0.0.1 -p "$source_port" -U shop -c 2 -T "$seconds" -R 200 -f "$files/merge_$name.sql" "$name" \
            >>pgbench.log 2>&1 &
        merge_traffic+=($!)
    done
}

merge_stop() {
    local process
    for process in "${merge_traffic[@]}" "${merge_engines[@]}"; do
        kill "$process" 2>/dev/null && wait "$process" 2>/dev/null || true
    done
    merge_engines=() merge_traffic=()
}

merge_watch() {
    local second process
    for ((second = 1; second <= seconds; second++)); do
        sleep 1
        [ $((second % 5)) = 0 ] || continue
        printf '  %3d s  rows of %s\n' "$second" \
            "$(target_sql -c "select string_agg(source || ' ' || n, ', ' order by source) from (select source, count(*) n from crm.customer group by 1) t")"
        for process in "${merge_engines[@]}"; do
            kill -0 "$process" 2>/dev/null || { tail -n 5 "${merge_sources[@]/%/.log}" >&2; return 1; }
        done
    done
    for process in "${merge_traffic[@]}"; do
        wait "$process" || { cat pgbench.log >&2; return 1; }
    done
}

merge_main() {
    local name equal=0
    headline "Preparing: packages, build, two PostgreSQL 15 servers, the databases of two banks and a shop on the web"
    "$root/tests/support/install" program
    build
    servers_start
    merge_databases
    merge_write

    headline "Ten lines of rules say what becomes of a bank's clients"
    sed -n '/^mapping/,$p' south.yaml | sed 's/^/  /'

    headline "What does the map make of them? First the columns, then rows"
    run_shown map -c south.yaml
    run_shown map -c south.yaml --dry-run

    headline "All three are copied into one table, and followed, $seconds s"
    for name in "${merge_sources[@]}"; do
        run_shown run -c "$name.yaml" --until caught-up
    done
    merge_start
    merge_watch

    headline "One view of a customer"
    target_sql -c "create view crm.person as select email, max(name) as name, string_agg(source, ', ' order by source) as known_to, max(phone) as phone, max(iban) as iban
                   from crm.customer group by email"
    "$programs/psql" -X -h 127.0.0.1 -p "$target_port" -U loader -d warehouse -P pager=off \
        -c "select known_to, count(*) as people from crm.person group by 1 order by 1" \
        -c "select * from crm.person where known_to like '%,%,%' order by email limit 3" | sed 's/^/  /'

    headline "The traffic has stopped. Is the table what the rules make of the three sources?"
    for name in "${merge_sources[@]}"; do
        run_shown verify -c "$name.yaml" || equal=$?
    done
    merge_stop
    case $equal in
    0) headline "Equal: every row of every source, cleaned and masked, exactly once." ;;
    *) headline "NOT equal, see above." ;;
    esac
    return "$equal"
}

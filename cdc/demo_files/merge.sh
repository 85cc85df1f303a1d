# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The demo's merger: two banks and a shop on the web get one table of customers, in which each is once. Sourced by cdc/demo,
# which sets $folder, $files, $programs and $pgcdc.

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

# What all three say of the table.
merge_policy() {
    cat <<YAML
    source: $1
    on_clash: {by_source: [north, south, web]}
    dedupe: {by: [lower(email)], keep: last_commit}
YAML
}

merge_write() {
    head -c 32 /dev/urandom >mask.key
    chmod 600 mask.key
    { merge_head north; cat <<YAML; } >north.yaml
  - match: public.customer
    to: crm.customer
$(merge_policy north)
    columns:
      person_no: {as: id, type: text}
      name:      [trim, squeeze]
      email:     [trim, lower]
      phone:     {mask: {partial: {keep_last: 3, with: "*"}}}
      iban:      {mask: {fpe: digits, key_file: $folder/mask.key}}
YAML
    { merge_head south; cat <<YAML; } >south.yaml
  - match: public.client
    to: crm.customer
$(merge_policy south)
    columns:
      person:    {as: id, type: text}
      full_name: {as: name, steps: [trim, squeeze]}
      mail:      {as: email, steps: [trim, lower]}
      tel:       {as: phone, mask: {partial: {keep_last: 3, with: "*"}}}
      account:   {as: iban, mask: {fpe: digits, key_file: $folder/mask.key}}
      opened:    {as: since, type: date}
YAML
    { merge_head web; cat <<YAML; } >web.yaml
  - match: public.users
    to: crm.customer
$(merge_policy web)
    columns:
      uid:           {as: id, type: text}
      display_name:  {as: name, steps: [trim, squeeze]}
      email:         [trim, lower]
      phone:         {mask: {partial: {keep_last: 3, with: "*"}}}
      password_hash: drop
      created:       {as: since, type: date}
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
        "$programs/pgbench" -n -h 127.0.0.1 -p "$source_port" -U shop -c 2 -T 600 -R 200 -f "$files/merge_$name.sql" "$name" \
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

merge_runs() {
    local process
    for process in "${merge_engines[@]}" "${merge_traffic[@]}"; do
        kill -0 "$process" 2>/dev/null || { tail -n 5 "${merge_sources[@]/%/.log}" pgbench.log >&2; return 1; }
    done
}

# What is in the table, and what gave way.
merge_counts() {
    target_sql -c "select format('customers %s   rejected: clash %s, duplicate %s', (select count(*) from crm.customer),
                                 count(*) filter (where reason = 'clash'), count(*) filter (where reason = 'duplicate')) from pgcdc.rejected"
}

merge_copy() {
    local name
    for name in "${merge_sources[@]}"; do
        printf '  $ pgcdc run -c %s.yaml --until caught-up\n' "$name"
        "$pgcdc" run -c "$name.yaml" --until caught-up 2>"$name.log" || { cat "$name.log" >&2; return 1; }
        printf '  %s\n' "$(merge_counts)"
    done
}

merge_watch() {
    local second
    for ((second = 1; second <= merge_seconds; second++)); do
        sleep 1
        [ $((second % 5)) = 0 ] || continue
        printf '  %3d s  %s\n' "$second" "$(merge_counts)"
        merge_runs
    done
}

merge_table() {
    "$programs/psql" -X -h 127.0.0.1 -p "$target_port" -U loader -d warehouse -P pager=off -P footer=off "$@" | sed '/^$/d; s/^/  /'
}

merge_person="email = 'person.8501@example.com'"

merge_show_person() {
    merge_table -c "select _pgcdc_source as source, id, name, email, phone, iban, since from crm.customer where $merge_person"
}

# Somebody whom all three know, and what becomes of the three rows.
merge_show() {
    headline "A customer whom all three know is there once"
    merge_show_person

    headline "The other two rows are not lost: they wait, with the reason"
    merge_table -c "select source, reason, row->>'id' as id, row->>'name' as name, row->>'phone' as phone, row->>'iban' as iban
                    from pgcdc.rejected where row->>'email' = 'person.8501@example.com' order by 1"

    headline "The shop deletes its row, and the best of the others takes the place"
    sql "$source_port" web shop -c "delete from users where uid = md5('8501')::uuid"
    until [ "$(target_sql -c "select count(*) from crm._pgcdc_customer where $merge_person and _pgcdc_source = 'web'")" = 0 ]; do
        merge_runs
        sleep 0.1
    done
    merge_show_person

    headline "Counted in one query: customers and rejected rows are the rows of the three sources, and no address is there twice"
    merge_table -c "$merge_sums"
    [ "$(target_sql -c "select rows_of_sources = customers + clashes + duplicates and customers = addresses from ($merge_sums) sums")" = t ] ||
        { echo "demo: the counts do not add up" >&2; return 1; }
}

merge_sums="select (select count(*) from crm._pgcdc_customer) as rows_of_sources, customers, addresses, clashes, duplicates
            from (select count(*) as customers, count(distinct email) as addresses from crm.customer) kept,
                 (select count(*) filter (where reason = 'clash') as clashes, count(*) filter (where reason = 'duplicate') as duplicates
                  from pgcdc.rejected) rejected"

merge_main() {
    local name equal=0
    merge_seconds=${DEMO_SECONDS:-15}
    headline "Preparing: packages, build, two PostgreSQL 15 servers, the databases of two banks and a shop on the web"
    "$root/tests/support/install" program
    build
    servers_start
    merge_databases
    merge_write

    headline "Some lines of rules say what becomes of a bank's clients"
    sed -n '/^mapping/,$p' south.yaml | sed 's/^/  /'

    headline "What does the map make of them? First the columns, then a row"
    run_shown map -c south.yaml
    run_shown map -c south.yaml --dry-run | sed -n 1,2p

    headline "All three are copied into one table"
    merge_copy
    headline "Live: all three are written to for $merge_seconds s"
    merge_start
    merge_watch
    merge_show

    headline "The traffic goes on. Are the rows what the rules make of the three sources?"
    for name in "${merge_sources[@]}"; do
        run_shown verify -c "$name.yaml" || equal=$?
    done
    merge_runs
    merge_stop
    case $equal in
    0) headline "Equal: every row of every source, cleaned and masked; every customer once; none lost." ;;
    *) headline "NOT equal, see above." ;;
    esac
    return "$equal"
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The demo's two servers; sourced by cdc/demo, which sets $folder, $files and $programs.

# PostgreSQL refuses root, so root lends the servers the user postgres.
as_server_user() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

port_is_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

free_port() {
    local port
    while port=$((15000 + RANDOM % 16000)); do
        port_is_free "$port" && echo "$port" && return
    done
}

# server_start NAME PORT PROGRAMS
server_start() {
    local data=$folder/$1
    as_server_user "$3/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    as_server_user tee -a "$data/postgresql.conf" >/dev/null <<SETTINGS
listen_addresses = '127.0.0.1'
port = $2
unix_socket_directories = '$folder'
wal_level = logical
timezone = UTC
SETTINGS
    as_server_user "$3/pg_ctl" -D "$data" -l "$folder/$1.log" -w start >/dev/null ||
        { tail -n 20 "$folder/$1.log" >&2; return 1; }
}

# server_stop NAME
server_stop() {
    as_server_user "$programs/pg_ctl" -D "$folder/$1" -m fast -w stop >/dev/null 2>&1 || true
}

# sql PORT DATABASE USER ARGUMENT...
sql() {
    "$programs/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$1" -d "$2" -U "$3" "${@:4}"
}

source_sql() {
    sql "$source_port" shop shop "$@"
}

target_sql() {
    sql "$target_port" warehouse loader "$@"
}

servers_start() {
    source_port=$(free_port)
    server_start source "$source_port" "$programs"
    target_port=$(free_port)
    server_start target "$target_port" "${target_programs:-$programs}"
    sql "$source_port" postgres postgres -c 'create role shop login replication' -c 'create database shop owner shop'
    sql "$target_port" postgres postgres -c 'create role loader login' -c 'create database warehouse owner loader' \
        -c 'grant set on parameter session_replication_role to loader'
    source_sql -f "$files/schema.sql"
    source_sql -f "$files/rows.sql"
}

servers_stop() {
    server_stop source
    server_stop target
}

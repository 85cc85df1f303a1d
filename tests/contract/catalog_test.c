/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog_test.c - a table is the same to a sink whether its row comes from the initial copy or from the
 * stream: the catalog's definition and pgoutput's Relation, both from the server in PGCDC_TEST_DSN.
 */
#include "cdc/source/catalog.h"

#include <criterion/criterion.h>

#include "cdc/copy/snapshot_rows.h"
#include "decoder/decoder.h"
#include "tests/support/sink_database.h"

static const char CLEAN[] = "drop publication if exists kinds; drop schema if exists kinds cascade;"
                            "select pg_drop_replication_slot(slot_name) from pg_replication_slots"
                            " where slot_name = 'kinds'";

static const char DDL[] =
    "create schema kinds; set search_path = kinds;"
    "create domain small as int2; create domain smaller as small check (value < 100);"
    "create domain few as int4[]; create type mood as enum ('ok'); create type pair as (a int, b text);"
    "create table columns (id int8 primary key, n numeric(10, 2), v varchar(20), t time(0), d small, e "
    "smaller,"
    "  f few, g small[], m mood, o mood[], p pair, x int4[], i information_schema.sql_identifier, c pg_class,"
    "  s \"char\", j jsonb, \"Ü.\" text, b bit(3));"
    "create table by_index (a int, b int not null, c int primary key);"
    "create unique index by_index_key on by_index (b) include (a);"
    "alter table by_index replica identity using index by_index_key;"
    "create table complete (a int primary key, b text); alter table complete replica identity full;"
    "create table nothing (a int primary key, b text); alter table nothing replica identity nothing;"
    "create table later (a int primary key deferrable, b text);"
    "create table keyless (a int, b text);"
    "create publication kinds for table columns, by_index, complete, nothing, later, keyless";

static const char ROWS[] =
    "insert into kinds.columns (id) values (1); insert into kinds.by_index values (1, 2, 3);"
    "insert into kinds.complete values (1); insert into kinds.nothing values (1);"
    "insert into kinds.later values (1); insert into kinds.keyless values (1)";

static const char PEEK[] = "select data from pg_logical_slot_peek_binary_changes('kinds', null, null,"
                           " 'proto_version', '1', 'publication_names', 'kinds')";

struct sides {
    PGconn *conn;
    struct session source;
    struct arena arena;
    struct table_list tables;
    struct decoder *decoder;
    PGresult *messages;
};

static void read_catalog(struct sides *sides) {
    struct error err;
    const struct session_options options = {.dsn = database_dsn(), .peer = "source"};
    cr_assert(session_open(&sides->source, &options, &err), "%s", err.text);
    cr_assert(catalog_read_tables(&sides->source, "{kinds}", &sides->arena, &sides->tables, &err), "%s",
              err.text);
}

static struct sides sides_open(void) {
    if (database_dsn() == NULL)
        cr_skip_test("PGCDC_TEST_DSN is not set");
    struct sides sides = {.conn = database_connect(), .decoder = decoder_new()};
    arena_init(&sides.arena, 64 * 1024, 64 * 1024 * 1024);
    database_execute(sides.conn, CLEAN);
    database_execute(sides.conn, DDL);
    database_execute(sides.conn, "select pg_create_logical_replication_slot('kinds', 'pgoutput')");
    database_execute(sides.conn, ROWS);
    read_catalog(&sides);
    sides.messages = PQexecParams(sides.conn, PEEK, 0, NULL, NULL, NULL, NULL, 1);
    cr_assert_eq(PQresultStatus(sides.messages), PGRES_TUPLES_OK, "%s", PQerrorMessage(sides.conn));
    return sides;
}

static void sides_close(struct sides *sides) {
    database_execute(sides->conn, CLEAN);
    PQclear(sides->messages);
    PQfinish(sides->conn);
    session_close(&sides->source);
    decoder_free(sides->decoder);
    arena_release(&sides->arena);
}

static const struct table *find_table(const struct sides *sides, const struct relation *relation) {
    for (size_t i = 0; i < sides->tables.count; i++)
        if (sides->tables.tables[i].oid == relation->oid)
            return &sides->tables.tables[i];
    cr_assert_fail("%s is not in the catalog", relation->name.data);
    return NULL;
}

static void assert_same_column(const struct column *copied, const struct column *streamed,
                               const char *table) {
    const char *name = streamed->name.data;
    cr_assert_str_eq(copied->name.data, name, "%s", table);
    cr_assert_str_eq(copied->type_schema.data, streamed->type_schema.data, "%s.%s", table, name);
    cr_assert_str_eq(copied->type_name.data, streamed->type_name.data, "%s.%s", table, name);
    cr_assert_eq(copied->type_oid, streamed->type_oid, "%s.%s", table, name);
    cr_assert_eq(copied->type_modifier, streamed->type_modifier, "%s.%s", table, name);
    cr_assert_eq(copied->is_key, streamed->is_key, "%s.%s", table, name);
}

static void assert_same(const struct relation *copied, const struct relation *streamed) {
    const char *table = streamed->name.data;
    cr_assert_str_eq(copied->schema.data, streamed->schema.data);
    cr_assert_str_eq(copied->name.data, table);
    cr_assert_eq(copied->identity, streamed->identity, "%s", table);
    cr_assert_eq(copied->column_count, streamed->column_count, "%s", table);
    cr_assert_eq(copied->key_count, streamed->key_count, "%s", table);
    for (uint32_t i = 0; i < streamed->column_count; i++)
        assert_same_column(&copied->columns[i], &streamed->columns[i], table);
}

static const struct relation *decode(struct sides *sides, int row) {
    const struct slice message = {.data = PQgetvalue(sides->messages, row, 0),
                                  .size = (size_t) PQgetlength(sides->messages, row, 0)};
    struct change *change = NULL;
    struct error err;
    cr_assert(decoder_decode(sides->decoder, 1, message, &sides->arena, &change, &err), "%s", err.text);
    return change != NULL && change_is_row(change) ? change->relation : NULL;
}

Test(catalog, a_table_is_the_same_in_the_copy_and_in_the_stream) {
    static const struct position POSITION = {.end_lsn = 1};
    AUTO(sides_close) struct sides sides = sides_open();
    struct snapshot_rows *rows = snapshot_rows_new(NULL, &POSITION);
    struct error err;
    int compared = 0;
    for (int row = 0; row < PQntuples(sides.messages); row++) {
        const struct relation *streamed = decode(&sides, row);
        if (streamed == NULL)
            continue;
        cr_assert(snapshot_rows_begin(rows, find_table(&sides, streamed), &err));
        assert_same(rows->relation, streamed);
        compared++;
    }
    snapshot_rows_free(rows);
    cr_assert_eq(compared, 6);
}

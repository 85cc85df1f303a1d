/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_model_test.c - random programs, applied by sets, by rows and as it comes, against a naive model.
 *
 * Each program is cut into writes at random places, in mid-transaction too, and flushed between transactions;
 * every other write before a flush knows of it. The tables have what makes order matter: unique columns, keys
 * that move, no keys, identity and generated columns.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "sinks/postgres/apply/apply.h"
#include "sinks/postgres/postgres.h"
#include "tests/support/sink_calls.h"
#include "tests/support/sink_database.h"
#include "tests/support/table_model.h"

static const struct model_shape SHAPES[] = {
    {.table = "m_plain",
     .ddl = "id int8 primary key, n int4, v text",
     .identity = REPLICA_IDENTITY_DEFAULT,
     .columns = "id int8 key, n int4, v text",
     .key_count = 1,
     .column_count = 3,
     .column = {{"id", 'i'}, {"n", 'i'}, {"v", 's'}}},
    {.table = "m_pair",
     .ddl = "w text, b text, a int4, v text, primary key (a, b)",
     .identity = REPLICA_IDENTITY_INDEX,
     .columns = "a int4 key, b text key, v text, w text",
     .key_count = 2,
     .column_count = 4,
     .column = {{"a", 'i'}, {"b", 's'}, {"v", 's'}, {"w", 's'}}},
    {.table = "m_unique",
     .ddl = "id int8 primary key, u int4 unique, v text",
     .identity = REPLICA_IDENTITY_DEFAULT,
     .columns = "id int8 key, u int4, v text",
     .key_count = 1,
     .column_count = 3,
     .column = {{"id", 'i'}, {"u", 'u'}, {"v", 's'}}},
    {.table = "m_keyless",
     .ddl = "n int4, v text, j json",
     .identity = REPLICA_IDENTITY_FULL,
     .columns = "n int4, v text, j json",
     .column_count = 3,
     .column = {{"n", 'i'}, {"v", 's'}, {"j", 'j'}}},
    {.table = "m_alike",
     .ddl = "extra text default 'x', v text, n int4, w text, up text generated always as (upper(v)) stored",
     .identity = REPLICA_IDENTITY_FULL,
     .columns = "n int4, v text, w text",
     .column_count = 3,
     .column = {{"n", 'k'}, {"v", 't'}, {"w", 't'}},
     .also = "extra = 'x' and up is not distinct from upper(v)"},
    {.table = "m_odd",
     .ddl = "f float8, n numeric, p point, v text",
     .identity = REPLICA_IDENTITY_FULL,
     .columns = "f float8, n numeric, p point, v text",
     .column_count = 4,
     .column = {{"f", 'f'}, {"n", 'n'}, {"p", 'p'}, {"v", 't'}}},
    {.table = "m_indexed",
     .ddl = "n int4, v text, d numeric, w text, f float8",
     .also_ddl = "create index on m_indexed (n, v); create index on m_indexed (d); create index on m_indexed "
                 "using hash (f)",
     .identity = REPLICA_IDENTITY_FULL,
     .columns = "n int4, v text, d numeric, w text, f float8",
     .column_count = 5,
     .column = {{"n", 'k'}, {"v", 't'}, {"d", 'n'}, {"w", 't'}, {"f", 'f'}}},
    {.table = "m_heaps",
     .ddl = "n int4, v text) partition by hash (n",
     .identity = REPLICA_IDENTITY_FULL,
     .columns = "n int4, v text",
     .column_count = 2,
     .column = {{"n", 'k'}, {"v", 't'}}},
    {.table = "m_full",
     .ddl = "id int8 primary key, n int4, v text",
     .identity = REPLICA_IDENTITY_FULL,
     .columns = "id int8, n int4, v text",
     .key_count = 1,
     .column_count = 3,
     .column = {{"id", 'i'}, {"n", 'i'}, {"v", 's'}}},
    {.table = "m_log",
     .ddl = "n int4, v text",
     .identity = REPLICA_IDENTITY_DEFAULT,
     .columns = "n int4, v text",
     .column_count = 2,
     .column = {{"n", 'i'}, {"v", 's'}}},
    {.table = "m_always",
     .ddl = "extra text default 'x', id int8 generated always as identity primary key, v text, w text,"
            " up text generated always as (upper(v)) stored",
     .identity = REPLICA_IDENTITY_DEFAULT,
     .columns = "id int8 key, v text, w text",
     .key_count = 1,
     .column_count = 3,
     .column = {{"id", 'i'}, {"v", 's'}, {"w", 's'}},
     .also = "extra = 'x' and up is not distinct from upper(v)"},
    {.table = "m_array",
     .ddl = "id int4 primary key, tags text[], v text",
     .identity = REPLICA_IDENTITY_DEFAULT,
     .columns = "id int4 key, tags text[], v text",
     .key_count = 1,
     .column_count = 3,
     .column = {{"id", 'i'}, {"tags", 'a'}, {"v", 's'}}},
    {.table = "m_parts",
     .ddl = "id int4, n int4, v text, primary key (id)) partition by hash (id",
     .identity = REPLICA_IDENTITY_DEFAULT,
     .columns = "id int4 key, n int4, v text",
     .key_count = 1,
     .column_count = 3,
     .column = {{"id", 'i'}, {"n", 'i'}, {"v", 's'}}},
};

#define SHAPE_COUNT (sizeof SHAPES / sizeof *SHAPES)

struct program {
    struct change_builder builder;
    struct random random;
    struct model_table *tables;
    bool has_unique; /* a table whose order can make a set fail */
};

static void create_tables(PGconn *conn) {
    char sql[1024];
    database_execute(conn, "drop schema if exists pgcdc cascade");
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        snprintf(sql, sizeof sql, "drop table if exists %s; create table %s (%s); %s", SHAPES[i].table,
                 SHAPES[i].table, SHAPES[i].ddl, SHAPES[i].also_ddl != NULL ? SHAPES[i].also_ddl : "");
        database_execute(conn, sql);
    }
    database_execute(conn,
                     "create table m_parts_0 partition of m_parts for values with (modulus 2, remainder 0);"
                     "create table m_parts_1 partition of m_parts for values with (modulus 2, remainder 1);"
                     "create table m_heaps_0 partition of m_heaps for values with (modulus 2, remainder 0);"
                     "create table m_heaps_1 partition of m_heaps for values with (modulus 2, remainder 1)");
}

static void program_make(struct program *program, bool binary) {
    change_builder_init(&program->builder);
    program->builder.binary = binary;
    program->tables = calloc(SHAPE_COUNT, sizeof *program->tables);
    cr_assert_not_null(program->tables);
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        program->tables[i].shape = &SHAPES[i];
        program->tables[i].relation = change_builder_relation(&program->builder, SHAPES[i].table,
                                                              SHAPES[i].identity, SHAPES[i].columns);
    }
    /* A few tables a program, so that many changes meet in each. */
    uint32_t first = random_below(&program->random, SHAPE_COUNT);
    uint32_t count = 1 + random_below(&program->random, SHAPE_COUNT - first);
    struct table_model model = {.builder = &program->builder,
                                .random = &program->random,
                                .tables = program->tables + first,
                                .table_count = count};
    program->has_unique = false;
    for (uint32_t i = first; i < first + count; i++)
        program->has_unique |= strcmp(SHAPES[i].table, "m_unique") == 0;
    uint32_t transactions = 1 + random_below(&program->random, 30);
    for (uint32_t i = 0; i < transactions; i++)
        table_model_transaction(&model, random_below(&program->random, 4) == 0 ? 300 : 20);
}

static void program_release(struct program *program) {
    change_builder_release(&program->builder);
    free(program->tables);
}

static void write_span(struct sink *sink, const struct program *program, size_t first, size_t end,
                       const struct position *until) {
    struct error err = {0};
    cr_assert(sink_write_until(sink, program->builder.changes + first, end - first, until, &err), "%s",
              err.text);
}

static struct position position_of(const struct change *commit) {
    return (struct position){.end_lsn = commit->end_lsn, .system_id = 7, .timeline = 1};
}

static void flush_at(struct sink *sink, const struct change *commit) {
    struct error err = {0};
    const struct position position = position_of(commit);
    cr_assert(sink_flush(sink, &position, &err), "%s", err.text);
}

/*
 * Cuts the program into writes; a transaction cut in two starts a target transaction of its own, as the
 * runner has it.
 */
static void run(struct sink *sink, struct program *program) {
    size_t first = 0;
    for (size_t i = 0; i < program->builder.count; i++) {
        const struct change *change = &program->builder.changes[i];
        if (random_below(&program->random, 100) == 0) {
            write_span(sink, program, first, i + 1, NULL);
            first = i + 1;
        }
        if (change->kind == CHANGE_COMMIT && random_below(&program->random, 6) == 0) {
            const struct position position = position_of(change);
            write_span(sink, program, first, i + 1,
                       random_below(&program->random, 2) == 0 ? &position : NULL);
            first = i + 1;
            flush_at(sink, change);
        }
    }
    write_span(sink, program, first, program->builder.count, NULL);
    flush_at(sink, &program->builder.changes[program->builder.count - 1]);
}

static void compare(PGconn *conn, const struct program *program, const char *way) {
    char sql[2048];
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        model_rows_sql(&SHAPES[i], sql, sizeof sql);
        char *there = database_text(conn, sql);
        char *expected = model_rows(&program->tables[i]);
        cr_assert_str_eq(there, expected, "%s, %s: is\n%s\n\nand should be\n%s", way, SHAPES[i].table, there,
                         expected);
        free(there);
        free(expected);
    }
}

static void apply_program(PGconn *conn, struct program *program, const char *way, size_t set_rows_min) {
    const struct sink_option option = {"dsn", database_dsn()};
    const struct sink_config config = {
        .pipeline = "model", .name = way, .options = &option, .option_count = 1};
    struct position position;
    struct error err = {0};
    struct sink *sink = sink_new(sink_ops_find("postgres"), &config, &NEVER_STOPPED);
    cr_assert_not_null(sink);
    cr_assert(sink->ops->open(sink, &position, &err), "%s", err.text);
    struct apply *apply = ((struct postgres_sink *) sink)->apply;
    apply->set_rows_min = set_rows_min;
    apply->whole_rows_max = PIPELINE_COMMANDS_MAX / 4;
    run(sink, program);
    /* The row path would hide a set that is wrong. */
    if (!program->has_unique)
        cr_assert_eq(apply->fallback_count, 0, "%s: a set failed where none has to", way);
    sink->ops->close(sink);
    sink_free(sink);
    compare(conn, program, way);
}

static void empty_tables(PGconn *conn) {
    char sql[64];
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        snprintf(sql, sizeof sql, "truncate %s", SHAPES[i].table);
        database_execute(conn, sql);
    }
}

static void run_programs(const char *test, uint32_t programs, bool binary) {
    if (database_dsn() == NULL)
        cr_skip_test("PGCDC_TEST_DSN is not set: there is no PostgreSQL to test against");
    static const struct {
        const char *name;
        size_t set_rows_min;
    } WAYS[] = {{"rows", SIZE_MAX}, {"sets", 1}, {"both", 32}};
    struct program program = {.random = random_start(test)};
    PGconn *conn = database_connect();
    create_tables(conn);
    for (uint32_t i = 0; i < programs; i++) {
        program_make(&program, binary);
        for (size_t way = 0; way < sizeof WAYS / sizeof *WAYS; way++) {
            empty_tables(conn);
            database_execute(conn, "drop schema if exists pgcdc cascade");
            apply_program(conn, &program, WAYS[way].name, WAYS[way].set_rows_min);
        }
        program_release(&program);
    }
    PQfinish(conn);
}

Test(apply_model, text_programs_end_as_the_model_does, .timeout = 600) {
    run_programs("text", 25, false);
}

Test(apply_model, binary_programs_end_as_the_model_does, .timeout = 600) {
    run_programs("binary", 25, true);
}

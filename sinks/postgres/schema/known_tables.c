/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known_tables.c - the statements on pgcdc.columns.
 */
#include "sinks/postgres/schema/known_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "sinks/postgres/target/own_tables.h"

#define BLOCK_BYTES ((size_t) 64 * 1024)
#define KNOWN_BYTES_MAX ((size_t) 1 << 30)
#define LISTS_BYTES_MAX ((size_t) 256 << 20)

/* The advisory lock of pgcdc.position serializes engines that create the table at the same time. */
static const char CREATE_COLUMNS[] =
    "begin; select pg_catalog.pg_advisory_xact_lock(7165065, 1);"
    " create table if not exists pgcdc.columns (pipeline text, sink text, relation_oid oid,"
    " target_oid oid not null, columns_max integer not null, storage text not null, numbers smallint[] not "
    "null,"
    " names text[] not null, types oid[] not null, modifiers integer[] not null,"
    " target_numbers smallint[] not null, kept boolean[] not null, wants_rows boolean not null,"
    " primary key (pipeline, sink, relation_oid)); commit";

static const struct own_tables COLUMNS_TABLE = {"{columns}", 1, CREATE_COLUMNS};

static const char LOAD[] =
    "select c.relation_oid, c.target_oid, c.columns_max, c.storage, u.number, u.name, u.type, u.modifier,"
    " u.target_number, u.kept, c.wants_rows from pgcdc.columns c left join lateral rows from ("
    " pg_catalog.unnest(c.numbers), pg_catalog.unnest(c.names), pg_catalog.unnest(c.types),"
    " pg_catalog.unnest(c.modifiers), pg_catalog.unnest(c.target_numbers), pg_catalog.unnest(c.kept))"
    " with ordinality u (number, name, type, modifier, target_number, kept, place) on true"
    " where c.pipeline = $1 and c.sink = $2 order by c.relation_oid, u.place";

enum {
    LOAD_OID,
    LOAD_TARGET,
    LOAD_MAX,
    LOAD_STORAGE,
    LOAD_NUMBER,
    LOAD_NAME,
    LOAD_TYPE,
    LOAD_MODIFIER,
    LOAD_TARGET_NUMBER,
    LOAD_KEPT,
    LOAD_WANTS_ROWS,
    LOAD_FIELDS,
};

static const char PUT[] =
    "insert into pgcdc.columns values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    " on conflict (pipeline, sink, relation_oid) do update set target_oid = excluded.target_oid,"
    " columns_max = excluded.columns_max, storage = excluded.storage, numbers = excluded.numbers,"
    " names = excluded.names, types = excluded.types, modifiers = excluded.modifiers,"
    " target_numbers = excluded.target_numbers, kept = excluded.kept, wants_rows = excluded.wants_rows";

/* Each element of $6 and the parameters after it is itself the text of an array. */
static const char LEARN[] =
    "insert into pgcdc.columns select $1, $2, k.oid, t.oid, k.columns_max, k.storage,"
    " k.numbers::pg_catalog.int2[], k.names::pg_catalog.text[], k.types::pg_catalog.oid[],"
    " k.modifiers::pg_catalog.int4[], n.numbers, n.kept, false"
    " from rows from (pg_catalog.unnest($3::pg_catalog.oid[]), pg_catalog.unnest($4::pg_catalog.name[]),"
    "  pg_catalog.unnest($5::pg_catalog.name[]), pg_catalog.unnest($6::pg_catalog.int4[]),"
    "  pg_catalog.unnest($7::pg_catalog.text[]), pg_catalog.unnest($8::pg_catalog.text[]),"
    "  pg_catalog.unnest($9::pg_catalog.text[]), pg_catalog.unnest($10::pg_catalog.text[]),"
    "  pg_catalog.unnest($11::pg_catalog.text[]), pg_catalog.unnest($12::pg_catalog.text[]))"
    "  k (oid, schema, name, columns_max, storage, numbers, names, types, modifiers, sink_names)"
    " join pg_catalog.pg_namespace s on s.nspname = k.schema"
    " join pg_catalog.pg_class t on t.relnamespace = s.oid and t.relname = k.name and t.relkind in ('r', 'p')"
    " left join pgcdc.columns b on b.pipeline = $1 and b.sink = $2 and b.relation_oid = k.oid"
    "  and b.target_oid = t.oid"
    " cross join lateral (select pg_catalog.array_agg(case when b.target_numbers["
    "   pg_catalog.array_position(b.numbers, u.number)] < 0 then (-1)::pg_catalog.int2 else"
    "   coalesce(a.attnum, 0::pg_catalog.int2) end order by u.place)"
    "   as numbers, pg_catalog.array_agg(false order by u.place) as kept"
    "  from rows from (pg_catalog.unnest(k.sink_names::pg_catalog.text[]),"
    "   pg_catalog.unnest(k.numbers::pg_catalog.int2[])) with ordinality u (name, number, place)"
    "  left join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attname = u.name and a.attnum > 0) n"
    " where n.numbers is not null on conflict (pipeline, sink, relation_oid) do update"
    " set target_oid = excluded.target_oid, columns_max = excluded.columns_max, storage = excluded.storage,"
    " numbers = excluded.numbers, names = excluded.names, types = excluded.types,"
    " modifiers = excluded.modifiers, target_numbers = excluded.target_numbers, kept = excluded.kept,"
    " wants_rows = false";

/* Tables of which no row has been copied yet, in the plan of a copy in chunks. */
static const char TO_COPY[] =
    "select relation_oid from pgcdc.chunk where pipeline = $1 and sink = $2 group by relation_oid"
    " having pg_catalog.bool_and(state in ('waits', 'dirty'))";

void known_tables_init(struct known_tables *known) {
    *known = (struct known_tables){0};
    arena_init(&known->arena, BLOCK_BYTES, KNOWN_BYTES_MAX);
}

void known_tables_release(struct known_tables *known) {
    map_release(&known->by_oid);
    arena_release(&known->arena);
}

/* A table that an earlier version has made lacks the column. */
static bool add_wants_rows(struct session *session, bool *ret_denied, struct error *err) {
    static const char FIND[] = "select from pg_catalog.pg_attribute where attrelid = "
                               "pg_catalog.to_regclass('pgcdc.columns') and attname = 'wants_rows'";
    static const char ADD[] =
        "alter table pgcdc.columns add column if not exists wants_rows boolean not null default false";
    PGresult *found AUTO_PGRESULT = NULL;
    struct error answer = {0};
    if (!session_query(session, FIND, 0, NULL,
                       &(const struct result_shape){"the query for a column", 0, 1, 0, 0}, &found, err))
        return false;
    if (PQntuples(found) > 0 || session_execute(session, ADD, &answer))
        return true;
    *ret_denied = strcmp(answer.sqlstate, "42501") == 0;
    if (!*ret_denied)
        *err = answer;
    return *ret_denied;
}

bool known_tables_create(struct session *session, bool *ret_denied, struct error *err) {
    struct error answer = {0};
    if (own_tables_create(session, &COLUMNS_TABLE, ret_denied, &answer))
        return add_wants_rows(session, ret_denied, err);
    *err = answer;
    return *ret_denied ? session_execute(session, "rollback", err) : false;
}

const struct known_table *known_tables_find(const struct known_tables *known, oid_t oid) {
    return map_find_number(&known->by_oid, oid);
}

bool known_table_ignores(const struct known_table *table) {
    bool ignores = false;
    for (uint32_t i = 0; i < table->column_count; i++)
        ignores = ignores || table->columns[i].is_ignored;
    return ignores;
}

/* ---- reading ---- */

static uint32_t number_of_field(const PGresult *rows, int row, int field) {
    return (uint32_t) strtoul(PQgetvalue(rows, row, field), NULL, 10);
}

static bool keep_slice(struct arena *arena, struct slice text, struct slice *ret_copy) {
    *ret_copy = (struct slice){.data = arena_copy(arena, text), .size = text.size};
    return ret_copy->data != NULL;
}

static bool load_column(const PGresult *rows, int row, struct arena *arena, struct known_column *column) {
    const long target_number = strtol(PQgetvalue(rows, row, LOAD_TARGET_NUMBER), NULL, 10);
    *column = (struct known_column){.number = number_of_field(rows, row, LOAD_NUMBER),
                                    .type_oid = number_of_field(rows, row, LOAD_TYPE),
                                    .type_modifier =
                                        (int32_t) strtol(PQgetvalue(rows, row, LOAD_MODIFIER), NULL, 10),
                                    .target_number = target_number > 0 ? (uint32_t) target_number : 0,
                                    .is_ignored = target_number < 0,
                                    .is_kept = result_is_true(rows, row, LOAD_KEPT)};
    return keep_slice(arena, slice_of(PQgetvalue(rows, row, LOAD_NAME)), &column->name);
}

/* The rows first..end-1 are one table's. */
static bool load_table(struct known_tables *known, const PGresult *rows, int first, int end) {
    struct known_table *table = arena_alloc_zero(&known->arena, sizeof *table);
    struct known_column *columns = arena_alloc(&known->arena, (size_t) (end - first) * sizeof *columns);
    if (table == NULL || columns == NULL)
        return false;
    *table = (struct known_table){.oid = number_of_field(rows, first, LOAD_OID),
                                  .target_oid = number_of_field(rows, first, LOAD_TARGET),
                                  .columns_max = number_of_field(rows, first, LOAD_MAX),
                                  .wants_rows = result_is_true(rows, first, LOAD_WANTS_ROWS),
                                  .columns = columns};
    for (int row = first; row < end && !PQgetisnull(rows, row, LOAD_NUMBER); row++)
        if (!load_column(rows, row, &known->arena, &columns[table->column_count++]))
            return false;
    return keep_slice(&known->arena, slice_of(PQgetvalue(rows, first, LOAD_STORAGE)), &table->storage) &&
           map_put_number(&known->by_oid, table->oid, table);
}

bool known_tables_load(struct known_tables *known, const struct sink_config *config, struct session *session,
                       struct error *err) {
    static const struct result_shape SHAPE = {"the query for known columns", 0, RESULT_ROWS_ANY, LOAD_FIELDS,
                                              ((1u << LOAD_WANTS_ROWS) - 1) & ~((1u << LOAD_NUMBER) - 1)};
    PGresult *rows AUTO_PGRESULT = NULL;
    const char *const parameters[] = {config->pipeline, config->name};
    map_release(&known->by_oid);
    arena_reset(&known->arena);
    if (!session_query(session, LOAD, 2, parameters, &SHAPE, &rows, err))
        return false;
    for (int first = 0, end = 0; first < PQntuples(rows); first = end) {
        while (end < PQntuples(rows) &&
               strcmp(PQgetvalue(rows, first, LOAD_OID), PQgetvalue(rows, end, LOAD_OID)) == 0)
            end++;
        if (!load_table(known, rows, first, end))
            return error_no_memory(err);
    }
    return true;
}

/* ---- writing ---- */

/* The columns of a table as the texts of arrays. */
struct lists {
    struct buffer numbers, names, types, modifiers, targets, kept;
    struct buffer sink_names; /* of learned columns */
};

static void lists_init(struct lists *lists) {
    struct buffer *const all[] = {&lists->numbers, &lists->names, &lists->types,     &lists->modifiers,
                                  &lists->targets, &lists->kept,  &lists->sink_names};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buffer_init(all[i], LISTS_BYTES_MAX);
}

static void lists_release(struct lists *lists) {
    buffer_release(&lists->numbers);
    buffer_release(&lists->names);
    buffer_release(&lists->types);
    buffer_release(&lists->modifiers);
    buffer_release(&lists->targets);
    buffer_release(&lists->kept);
    buffer_release(&lists->sink_names);
}

/* An element of an array's text, in quotes. */
static void append_element(struct buffer *list, struct slice text) {
    buffer_append_text(list, list->size > 1 ? ",\"" : "\"");
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            buffer_append_u8(list, '\\');
        buffer_append_u8(list, (uint8_t) text.data[i]);
    }
    buffer_append_u8(list, '"');
}

static void list_columns(struct lists *lists, const struct known_column *columns, uint32_t count) {
    buffer_append_u8(&lists->names, '{');
    for (uint32_t i = 0; i < count; i++) {
        const char before = i == 0 ? '{' : ',';
        buffer_printf(&lists->numbers, "%c%u", before, columns[i].number);
        append_element(&lists->names, columns[i].name);
        buffer_printf(&lists->types, "%c%u", before, columns[i].type_oid);
        buffer_printf(&lists->modifiers, "%c%d", before, columns[i].type_modifier);
        buffer_printf(&lists->targets, "%c%d", before,
                      columns[i].is_ignored ? -1 : (int) columns[i].target_number);
        buffer_printf(&lists->kept, "%c%s", before, columns[i].is_kept ? "true" : "false");
    }
    struct buffer *const others[] = {&lists->numbers, &lists->types, &lists->modifiers, &lists->targets,
                                     &lists->kept};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        buffer_append_text(others[i], count == 0 ? "{}" : "}");
    buffer_append_u8(&lists->names, '}');
}

static bool keep_known(struct known_tables *known, const struct known_table *table) {
    struct known_table *copy = arena_alloc(&known->arena, sizeof *copy);
    struct known_column *columns = arena_alloc(&known->arena, (table->column_count + 1) * sizeof *columns);
    if (copy == NULL || columns == NULL)
        return false;
    *copy = *table;
    copy->columns = columns;
    for (uint32_t i = 0; i < table->column_count; i++) {
        columns[i] = table->columns[i];
        if (!keep_slice(&known->arena, table->columns[i].name, &columns[i].name))
            return false;
    }
    return keep_slice(&known->arena, table->storage, &copy->storage) &&
           map_put_number(&known->by_oid, copy->oid, copy);
}

bool known_tables_put(struct known_tables *known, const struct sink_config *config, struct session *session,
                      const struct known_table *table, struct error *err) {
    struct lists lists AUTO(lists_release) = {0};
    char oid[16], target[16], max[16];
    lists_init(&lists);
    list_columns(&lists, table->columns, table->column_count);
    snprintf(oid, sizeof oid, "%u", table->oid);
    snprintf(target, sizeof target, "%u", table->target_oid);
    snprintf(max, sizeof max, "%u", table->columns_max);
    const char *const parameters[] = {config->pipeline,
                                      config->name,
                                      oid,
                                      target,
                                      max,
                                      table->storage.data,
                                      buffer_text(&lists.numbers),
                                      buffer_text(&lists.names),
                                      buffer_text(&lists.types),
                                      buffer_text(&lists.modifiers),
                                      buffer_text(&lists.targets),
                                      buffer_text(&lists.kept),
                                      table->wants_rows ? "t" : "f"};
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        if (parameters[i] == NULL)
            return error_no_memory(err);
    if (!session_query(session, PUT, 13, parameters, NULL, NULL, err))
        return error_wrap(err, "storing the columns of a table in pgcdc.columns");
    return keep_known(known, table) || error_no_memory(err);
}

/* ---- the start ---- */

struct learning {
    struct buffer oids, schemas, names, maxima, storages, numbers, columns, types, modifiers, sink_names;
    size_t count;
};

static void learning_release(struct learning *learning) {
    struct buffer *const all[] = {&learning->oids,      &learning->schemas,  &learning->names,
                                  &learning->maxima,    &learning->storages, &learning->numbers,
                                  &learning->columns,   &learning->types,    &learning->modifiers,
                                  &learning->sink_names};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buffer_release(all[i]);
}

static bool is_certain_now(const struct catalog_table *table) {
    bool is_old = table->locked_by == 0 && !table->sends_part;
    for (uint32_t i = 0; is_old && i < table->column_count; i++)
        is_old = table->columns[i].is_old;
    return is_old;
}

static bool find_to_copy(const struct sink_config *config, struct session *session, PGresult **ret_oids,
                         struct error *err) {
    static const struct own_tables CHUNKS = {"{chunk}", 1, NULL};
    const char *const parameters[] = {config->pipeline, config->name};
    bool exists = false;
    return own_tables_exist(session, &CHUNKS, &exists, err) &&
           session_query(
               session, exists ? TO_COPY : "select 0::pg_catalog.oid where $1 = $2", 2, parameters,
               &(const struct result_shape){"the query for tables to copy", 0, RESULT_ROWS_ANY, 1, 0},
               ret_oids, err);
}

static bool is_to_copy(const PGresult *oids, oid_t oid) {
    bool found = false;
    for (int row = 0; row < PQntuples(oids) && !found; row++)
        found = result_oid(oids, row, 0) == oid;
    return found;
}

/*
 * Changes of a table that is yet to be copied come only after its rows have been read, and that is later than
 * the catalog.
 */
static bool is_to_learn(const struct known_tables *known, const struct catalog_table *table,
                        const PGresult *to_copy) {
    if (is_to_copy(to_copy, table->oid))
        return !table->sends_part;
    return known_tables_find(known, table->oid) == NULL && is_certain_now(table);
}

static void append_learned(struct learning *learning, const struct catalog_table *table,
                           const struct lists *lists) {
    const char *before = learning->count++ == 0 ? "" : ",";
    buffer_printf(&learning->oids, "%s%u", before, table->oid);
    append_element(&learning->schemas, table->schema);
    append_element(&learning->names, table->table);
    buffer_printf(&learning->maxima, "%s%u", before, table->column_count);
    append_element(&learning->storages, table->storage);
    append_element(&learning->numbers, buffer_slice(&lists->numbers));
    append_element(&learning->columns, buffer_slice(&lists->names));
    append_element(&learning->types, buffer_slice(&lists->types));
    append_element(&learning->modifiers, buffer_slice(&lists->modifiers));
    append_element(&learning->sink_names, buffer_slice(&lists->sink_names));
}

static bool learn_table(struct learning *learning, const struct catalog_table *table, struct error *err) {
    struct lists lists AUTO(lists_release) = {0};
    struct known_column *columns = calloc(table->column_count + 1, sizeof *columns);
    uint32_t count = 0;
    if (columns == NULL)
        return error_no_memory(err);
    lists_init(&lists);
    buffer_append_u8(&lists.sink_names, '{');
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct catalog_column *column = &table->columns[i];
        if (column->is_dropped)
            continue;
        columns[count++] = (struct known_column){.number = i + 1,
                                                 .name = column->name,
                                                 .type_oid = column->type_oid,
                                                 .type_modifier = column->type_modifier};
        append_element(&lists.sink_names, column->sink_name.data != NULL ? column->sink_name : column->name);
    }
    buffer_append_u8(&lists.sink_names, '}');
    list_columns(&lists, columns, count);
    free(columns);
    append_learned(learning, table, &lists);
    return true;
}

static const char *end_list(struct buffer *list) {
    buffer_append_u8(list, '}');
    return buffer_text(list);
}

static bool store_learned(struct learning *learning, const struct sink_config *config,
                          struct session *session, struct error *err) {
    struct buffer *const all[] = {&learning->oids,      &learning->schemas,  &learning->names,
                                  &learning->maxima,    &learning->storages, &learning->numbers,
                                  &learning->columns,   &learning->types,    &learning->modifiers,
                                  &learning->sink_names};
    const char *parameters[2 + sizeof all / sizeof *all] = {config->pipeline, config->name};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        parameters[2 + i] = end_list(all[i]);
        if (parameters[2 + i] == NULL)
            return error_no_memory(err);
    }
    return session_query(session, LEARN, 12, parameters, NULL, NULL, err) ||
           error_wrap(err, "storing the columns of tables in pgcdc.columns");
}

bool known_tables_learn(struct known_tables *known, const struct sink_config *config, struct session *session,
                        const struct catalog_tables *tables, struct error *err) {
    struct learning learning AUTO(learning_release) = {0};
    PGresult *to_copy AUTO_PGRESULT = NULL;
    struct buffer *const all[] = {
        &learning.oids,    &learning.schemas, &learning.names, &learning.maxima,    &learning.storages,
        &learning.numbers, &learning.columns, &learning.types, &learning.modifiers, &learning.sink_names};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        buffer_init(all[i], LISTS_BYTES_MAX);
        buffer_append_u8(all[i], '{');
    }
    if (!find_to_copy(config, session, &to_copy, err))
        return false;
    for (size_t i = 0; i < tables->count; i++)
        if (is_to_learn(known, &tables->tables[i], to_copy) &&
            !learn_table(&learning, &tables->tables[i], err))
            return false;
    return learning.count == 0 ||
           (store_learned(&learning, config, session, err) && known_tables_load(known, config, session, err));
}

/* ---- rows that were written anew ---- */

static bool has_column(const struct known_table *known, uint32_t number,
                       const struct catalog_column *column) {
    for (uint32_t i = 0; i < known->column_count; i++)
        if (known->columns[i].number == number && !known->columns[i].is_kept)
            return slice_equal(known->columns[i].name, column->name) &&
                   known->columns[i].type_oid == column->type_oid &&
                   known->columns[i].type_modifier == column->type_modifier;
    return false;
}

/* Otherwise the stream has not reached the present definition. */
static bool has_present_columns(const struct known_table *known, const struct catalog_table *table) {
    uint32_t live = 0, present = 0;
    for (uint32_t i = 0; i < known->column_count; i++)
        live += !known->columns[i].is_kept;
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (table->columns[i].is_dropped)
            continue;
        if (!has_column(known, i + 1, &table->columns[i]))
            return false;
        present++;
    }
    return live == present;
}

static bool is_rewritten(const struct known_table *known, const struct catalog_table *table) {
    return known != NULL && !table->sends_part && table->locked_by == 0 &&
           (known->wants_rows || catalog_storage_is_rewritten(known->storage, table->storage)) &&
           has_present_columns(known, table);
}

bool known_tables_find_rewritten(const struct sink_config *config, struct session *session,
                                 const struct catalog_tables *tables, oid_t *ret_oids, size_t max,
                                 size_t *ret_count, struct error *err) {
    struct known_tables known;
    bool exists = false;
    *ret_count = 0;
    if (!own_tables_exist(session, &COLUMNS_TABLE, &exists, err))
        return false;
    if (!exists)
        return true;
    known_tables_init(&known);
    const bool loaded = known_tables_load(&known, config, session, err);
    for (size_t i = 0; loaded && i < tables->count && *ret_count < max; i++)
        if (is_rewritten(known_tables_find(&known, tables->tables[i].oid), &tables->tables[i]))
            ret_oids[(*ret_count)++] = tables->tables[i].oid;
    known_tables_release(&known);
    return loaded;
}

/* ---- the end ---- */

bool known_tables_drop(const struct sink_config *config, struct session *session, struct error *err) {
    bool exists = false;
    PGresult *rest AUTO_PGRESULT = NULL;
    struct error ignored = {0};
    const char *const values[] = {config->pipeline, config->name};
    if (!own_tables_exist(session, &COLUMNS_TABLE, &exists, err))
        return false;
    if (!exists)
        return true;
    if (!session_execute(session, "begin isolation level read committed", err) ||
        !session_execute(session, "lock table pgcdc.columns in share row exclusive mode", err) ||
        !session_query(session, "delete from pgcdc.columns where pipeline = $1 and sink = $2", 2, values,
                       NULL, NULL, err) ||
        !session_query(session, "select from pgcdc.columns limit 1", 0, NULL,
                       &(const struct result_shape){"the query for known columns", 0, 1, 0, 0}, &rest, err))
        return false;
    /* If the role does not own the table, it stays; that is no failure. */
    if (PQntuples(rest) == 0 && (!session_execute(session, "savepoint pgcdc", err) ||
                                 (!session_execute(session, "drop table pgcdc.columns", &ignored) &&
                                  !session_execute(session, "rollback to savepoint pgcdc", err))))
        return false;
    return session_execute(session, "commit", err);
}

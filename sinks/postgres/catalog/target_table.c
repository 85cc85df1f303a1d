/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_table.c - a table's facts from the target's catalog.
 */
#include "sinks/postgres/catalog/target_table.h"
#include "sinks/row_mode.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "decoder/builtin_type.h"
#include "sinks/postgres/catalog/target_catalog.h"

#define NAME_BYTES_MAX 4096u
#define IMAGE_COLUMNS_MAX                                                                                    \
    700u /* old and new columns and a few more in one select list, which has at most 1664 */

static const char ORDINARY_EQUALITY[] = "operator(pg_catalog.=)";

struct lookup {
    struct session *session;
    const struct target_catalog *catalog;
    size_t place; /* of the table in the catalog's answers */
    struct arena *arena;
    struct target_table *table;
    struct buffer text; /* of a name being built */
};

static void lookup_release(struct lookup *lookup) {
    buffer_release(&lookup->text);
}

static bool no_room(struct error *err) {
    return error_set(err, ERROR_RETRY,
                     "the memory for the target's catalog is full; the sink is reopened with an empty one");
}

/* Copies lookup->text into the arena. */
static bool keep_text(struct lookup *lookup, const char **ret_text, struct error *err) {
    const char *copy =
        buffer_ok(&lookup->text) ? arena_copy(lookup->arena, buffer_slice(&lookup->text)) : NULL;
    buffer_reset(&lookup->text);
    if (copy == NULL)
        return no_room(err);
    *ret_text = copy;
    return true;
}

static bool keep_identifier(struct lookup *lookup, const char *name, const char **ret_text,
                            struct error *err) {
    identifier_append(&lookup->text, slice_of(name));
    return keep_text(lookup, ret_text, err);
}

static bool missing_table(const struct target_table *table, struct error *err) {
    error_set(err, ERROR_DATA, "target: table %s is missing, and the source sends changes for it",
              table->name);
    memcpy(err->sqlstate, "42P01", sizeof err->sqlstate);
    return error_remedy(err, "pgcdc check prints the SQL that creates it; then start again");
}

static bool not_a_table(const struct target_table *table, char kind, struct error *err) {
    error_set(err, ERROR_DATA, "target: %s is not a table (pg_class.relkind is %c)", table->name, kind);
    memcpy(err->sqlstate, "42809", sizeof err->sqlstate);
    return error_remedy(err, "drop it, or give it another name; pgcdc check prints the SQL that creates the "
                             "table; then start again");
}

static bool forbidden(const char *table, const struct session *session, struct error *err) {
    return error_set(
        err, ERROR_CONFIG,
        "target: table %s has triggers or foreign keys, which must not act on replicated changes, "
        "and role \"%s\" lacks the right to disable them; grant set on parameter "
        "session_replication_role to \"%s\" (PostgreSQL 15; before, make it a superuser), or let "
        "them act with the sink's option triggers: fire",
        table, PQuser(session->conn), PQuser(session->conn));
}

/* The position is logged, so it would survive the crash that empties the table. */
static bool refuse_unlogged(const char *table, struct error *err) {
    error_set(err, ERROR_CONFIG,
              "target: table %s is unlogged, so a crash of that server would empty it and keep the position",
              table);
    return error_remedy(err, "alter table %s set logged; then start again", table);
}

static bool keep_takers(struct lookup *lookup, int row, struct error *err) {
    const PGresult *tables = lookup->catalog->tables;
    for (int i = 0; i < 3; i++) {
        if (PQgetisnull(tables, row, TABLE_TAKERS + i))
            continue;
        buffer_append_text(&lookup->text, PQgetvalue(tables, row, TABLE_TAKERS + i));
        if (!keep_text(lookup, &lookup->table->takers[i], err))
            return false;
    }
    return true;
}

static bool find_table(struct lookup *lookup, enum trigger_role role, struct error *err) {
    struct target_table *table = lookup->table;
    const PGresult *tables = lookup->catalog->tables;
    int row = (int) lookup->place - 1;
    identifier_append_qualified(&lookup->text, table->relation->schema, table->relation->name);
    if (!keep_text(lookup, &table->name, err))
        return false;
    table->is_missing = PQgetisnull(tables, row, TABLE_OID);
    if (table->is_missing)
        return missing_table(table, err);
    char kind = PQgetvalue(tables, row, TABLE_KIND)[0];
    if (kind != 'r' && kind != 'p')
        return not_a_table(table, kind, err);
    if (!PQgetisnull(tables, row, TABLE_UNLOGGED))
        return refuse_unlogged(PQgetvalue(tables, row, TABLE_UNLOGGED), err);
    table->oid = result_oid(tables, row, TABLE_OID);
    table->is_partitioned = kind == 'p';
    bool fires_by_itself = result_is_true(tables, row, TABLE_ORDINARY);
    table->is_checked_late =
        role == TRIGGERS_REPLICA && result_is_true(tables, row, TABLE_CHECKS) && !fires_by_itself;
    table->fires = result_is_true(tables, row, role == TRIGGERS_REPLICA ? TABLE_REPLICA : TABLE_ORDINARY);
    table->is_strict = table->fires || table->is_checked_late;
    table->has_rules = result_is_true(tables, row, TABLE_RULES);
    table->defers_checks = result_is_true(tables, row, TABLE_CHECKS);
    table->may_cascade =
        table->is_strict && role == TRIGGERS_FIRE && result_is_true(tables, row, TABLE_CASCADES);
    if (table->is_strict && role == TRIGGERS_FORBIDDEN)
        return forbidden(table->name, lookup->session, err);
    table->is_strict |= table->relation->certainty != KEY_CERTAIN && table->relation->key_count > 0;
    return keep_takers(lookup, row, err);
}

static int find_name(const PGresult *columns, struct row_range rows, struct slice name) {
    for (int row = rows.first; row < rows.end; row++)
        if (slice_equal(slice_of(PQgetvalue(columns, row, COLUMN_NAME)), name))
            return row;
    return -1;
}

static bool leaves_out(const struct target_table *table, uint32_t i) {
    return table->left_out != NULL && table->left_out_of == table->oid && table->left_out[i];
}

/*
 * Names all missing columns at once. Only the source's catalog knows what existing rows hold in them, so
 * `pgcdc check` prints the statements.
 */
static bool missing_columns(struct lookup *lookup, struct row_range rows, struct error *err) {
    const struct relation *relation = lookup->table->relation;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        if (find_name(lookup->catalog->columns, rows, relation->columns[i].name) >= 0 ||
            leaves_out(lookup->table, i))
            continue;
        buffer_append_text(&lookup->text, lookup->text.size > 0 ? ", " : "");
        identifier_append(&lookup->text, relation->columns[i].name);
    }
    const char *names = buffer_text(&lookup->text);
    error_set(err, ERROR_DATA, "target: table %s has no column %s, which the source has", lookup->table->name,
              names != NULL ? names : "?");
    memcpy(err->sqlstate, "42703", sizeof err->sqlstate);
    return error_remedy(
        err, "pgcdc check prints the statement that adds or renames it, with the source's default; then "
             "start again");
}

/* Nearly every type has the same operator, which then takes no memory. */
static bool keep_equality(struct lookup *lookup, const char *equals, const char **ret_equals,
                          struct error *err) {
    if (strcmp(equals, ORDINARY_EQUALITY) == 0) {
        *ret_equals = ORDINARY_EQUALITY;
        return true;
    }
    buffer_append_text(&lookup->text, equals);
    return keep_text(lookup, ret_equals, err);
}

static bool has_same_type(const PGresult *columns, int row, const struct column *source) {
    return source->type_oid < BUILTIN_TYPE_FIXED_END &&
           result_oid(columns, row, COLUMN_TYPE) == source->type_oid &&
           strtol(PQgetvalue(columns, row, COLUMN_MODIFIER), NULL, 10) == source->type_modifier;
}

/* Built-in types without a fixed size whose text is at most a few hundred bytes. */
static bool has_short_text(oid_t type) {
    enum { INET = 869, CIDR = 650, BPCHAR = 1042, BIT = 1560, VARBIT = 1562, NUMERIC = 1700 };
    return type == NUMERIC || type == BPCHAR || type == INET || type == CIDR || type == BIT || type == VARBIT;
}

/* A type that compares and does not fold is a number, a time, an enum or the like, or text or bytea. */
static enum column_hash hash_of(const struct target_column *column, bool has_fixed_size) {
    if (column->compares && !column->folds)
        return has_fixed_size ? HASH_VALUE : HASH_SHORT;
    return has_fixed_size || has_short_text(column->type_oid) ? HASH_TEXT : HASH_NOT;
}

static bool read_column(struct lookup *lookup, int row, const struct column *source,
                        struct target_column *column, struct error *err) {
    const PGresult *columns = lookup->catalog->columns;
    column->type_oid = result_oid(columns, row, COLUMN_TYPE);
    column->array_oid = result_oid(columns, row, COLUMN_ARRAY);
    column->delimiter = PQgetvalue(columns, row, COLUMN_DELIMITER)[0];
    column->is_written = !result_is_true(columns, row, COLUMN_GENERATED);
    column->is_text_only = !result_is_true(columns, row, COLUMN_RECEIVES);
    column->compares = result_is_true(columns, row, COLUMN_COMPARES);
    column->folds = column->compares && result_is_true(columns, row, COLUMN_FOLDS);
    column->holds_row = result_is_true(columns, row, COLUMN_HOLDS_ROW);
    column->is_always = column->is_written && result_is_true(columns, row, COLUMN_ALWAYS);
    column->takes_binary = column->type_oid == source->type_oid && builtin_type_is_portable(source->type_oid);
    column->hash = hash_of(column, PQgetvalue(columns, row, COLUMN_SIZE)[0] != '-');
    column->is_same_type = has_same_type(columns, row, source);
    column->is_of_mode = lookup->table->relation->mode != ROWS_MERGED && row_mode_owns(source->name);
    lookup->table->has_always |= column->is_always;
    lookup->table->written_count += column->is_written;
    return keep_equality(lookup, PQgetvalue(columns, row, COLUMN_EQUALS), &column->equals, err) &&
           keep_identifier(lookup, PQgetvalue(columns, row, COLUMN_NAME), &column->name, err);
}

/* Old rows are found by such a column, which the target does not have. */
static bool is_needed(const struct relation *relation, uint32_t i) {
    return relation->columns[i].is_key && relation->identity != REPLICA_IDENTITY_FULL;
}

static bool refuse_left_out(const struct target_table *table, uint32_t i, struct error *err) {
    error_set(err, ERROR_DATA,
              "target: column \"%s\" of table %s is left out (add_column: ignore), and it is part of the key "
              "at the source by now",
              table->relation->columns[i].name.data, table->name);
    const struct relation *source =
        table->relation->mapped_from != NULL ? table->relation->mapped_from : table->relation;
    return error_remedy(err,
                        "drop table %s at the target and run `pgcdc table copy %s.%s`, which makes it anew "
                        "with the column and copies its rows; then start again",
                        table->name, source->schema.data, source->name.data);
}

static bool leave_out(struct lookup *lookup, uint32_t i, struct error *err) {
    struct target_table *table = lookup->table;
    if (is_needed(table->relation, i))
        return refuse_left_out(table, i, err);
    table->columns[i].is_left_out = true;
    table->columns[i].takes_binary = true;
    return keep_identifier(lookup, table->relation->columns[i].name.data, &table->columns[i].name, err);
}

static bool match_columns(struct lookup *lookup, struct row_range rows, struct error *err) {
    struct target_table *table = lookup->table;
    const struct relation *relation = table->relation;
    table->column_count = relation->column_count;
    table->columns = arena_alloc_zero(lookup->arena, (relation->column_count + 1) * sizeof *table->columns);
    if (table->columns == NULL)
        return no_room(err);
    for (uint32_t i = 0; i < relation->column_count; i++) {
        int row = find_name(lookup->catalog->columns, rows, relation->columns[i].name);
        if (leaves_out(table, i)) {
            if (!leave_out(lookup, i, err))
                return false;
            continue;
        }
        if (row < 0)
            return missing_columns(lookup, rows, err);
        if (!read_column(lookup, row, &relation->columns[i], &table->columns[i], err))
            return false;
    }
    return true;
}

static bool has_column(const struct target_table *table, const char *name) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (slice_equal(table->relation->columns[i].name, slice_of(name)) && !table->columns[i].is_left_out)
            return true;
    return false;
}

/* Columns that only the target has, without its generated ones. */
static bool find_extra(struct lookup *lookup, struct row_range rows, struct error *err) {
    struct target_table *table = lookup->table;
    const PGresult *columns = lookup->catalog->columns;
    size_t count_max = (size_t) (rows.end - rows.first);
    const char **extra = arena_alloc_zero(lookup->arena, (count_max + 1) * sizeof *extra);
    if (extra == NULL)
        return no_room(err);
    for (int row = rows.first; row < rows.end; row++) {
        const char *name = PQgetvalue(columns, row, COLUMN_NAME);
        if (result_is_true(columns, row, COLUMN_GENERATED) || has_column(table, name))
            continue;
        if (!keep_identifier(lookup, name, &extra[table->extra_count++], err))
            return false;
    }
    table->extra = extra;
    return true;
}

static bool find_columns(struct lookup *lookup, struct error *err) {
    struct row_range rows = target_catalog_rows(lookup->catalog->columns, lookup->place);
    return match_columns(lookup, rows, err) && find_extra(lookup, rows, err);
}

static struct target_column *find_column(struct target_table *table, const char *name) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (slice_equal(table->relation->columns[i].name, slice_of(name)) && !table->columns[i].is_left_out)
            return &table->columns[i];
    return NULL;
}

/* Uses the index whose columns are these rows of keys as the key, if the relation has all of them. */
static bool take_index(struct target_table *table, const PGresult *keys, struct row_range rows) {
    for (int row = rows.first; row < rows.end; row++)
        if (find_column(table, PQgetvalue(keys, row, KEY_COLUMN)) == NULL)
            return false;
    for (int row = rows.first; row < rows.end; row++)
        find_column(table, PQgetvalue(keys, row, KEY_COLUMN))->is_key = true;
    return true;
}

static bool is_same_index(const PGresult *keys, int a, int b) {
    return strcmp(PQgetvalue(keys, a, KEY_INDEX), PQgetvalue(keys, b, KEY_INDEX)) == 0;
}

/* With replica identity full the source sends whole old rows; a key of the target finds them faster. */
static void find_key_of_full(struct lookup *lookup) {
    const PGresult *keys = lookup->catalog->keys;
    struct row_range rows = target_catalog_rows(keys, lookup->place);
    struct row_range index = {.first = rows.first, .end = rows.first};
    for (; index.first < rows.end && !lookup->table->has_key; index.first = index.end) {
        while (index.end < rows.end && is_same_index(keys, index.first, index.end))
            index.end++;
        lookup->table->has_key = take_index(lookup->table, keys, index);
    }
}

/* Without a key, any index shortens the search; the server's planner chooses which. */
static void find_searched(struct lookup *lookup) {
    struct target_table *table = lookup->table;
    const PGresult *indexed = lookup->catalog->indexed;
    struct row_range rows = target_catalog_rows(indexed, lookup->place);
    for (int row = rows.first; row < rows.end && table->searched_count < TARGET_SEARCHED_MAX; row++) {
        const struct target_column *column = find_column(table, PQgetvalue(indexed, row, INDEXED_COLUMN));
        if (column != NULL && column->compares && column->is_written)
            table->searched[table->searched_count++] = (uint32_t) (column - table->columns);
    }
}

/* Sets takes_images and makes sure that at least one column is hashed. */
static void find_images(struct target_table *table) {
    bool any = false;
    table->takes_images =
        !table->has_rules && table->written_count > 0 && table->column_count <= IMAGE_COLUMNS_MAX;
    for (uint32_t i = 0; i < table->column_count; i++)
        any |= table->columns[i].is_written && table->columns[i].hash != HASH_NOT;
    for (uint32_t i = 0; !any && i < table->column_count; i++)
        table->columns[i].hash = HASH_TEXT;
}

static void find_identity(struct lookup *lookup) {
    struct target_table *table = lookup->table;
    if (table->relation->identity == REPLICA_IDENTITY_FULL) {
        find_key_of_full(lookup);
        if (table->has_key)
            return;
        find_searched(lookup);
        find_images(table);
        return;
    }
    table->has_key = table->relation->key_count > 0;
    for (uint32_t i = 0; i < table->column_count; i++)
        table->columns[i].is_key = table->relation->columns[i].is_key;
}

static bool find_key(struct lookup *lookup, struct error *err) {
    struct target_table *table = lookup->table;
    find_identity(lookup);
    table->key_columns = arena_alloc(lookup->arena, (table->column_count + 1) * sizeof *table->key_columns);
    if (table->key_columns == NULL)
        return no_room(err);
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].is_key)
            table->key_columns[table->key_count++] = i;
    return true;
}

static bool name_key(struct lookup *lookup, struct error *err) {
    struct target_table *table = lookup->table;
    for (uint32_t i = 0; table->has_key && i < table->column_count; i++)
        if (table->columns[i].is_key)
            buffer_printf(&lookup->text, "%s%s", lookup->text.size > 0 ? ", " : "key ",
                          table->columns[i].name);
    if (!table->has_key)
        buffer_append_text(&lookup->text, "no key");
    return keep_text(lookup, &table->key_names, err);
}

bool target_table_check_triggers(struct session *session, const char *schema, const char *name,
                                 enum trigger_role role, struct error *err) {
    struct buffer table AUTO(buffer_release) = {.bytes_max = NAME_BYTES_MAX};
    PGresult *tables AUTO_PGRESULT = NULL;
    const struct relation relation = {.schema = slice_of(schema), .name = slice_of(name)};
    const struct relation *const relations = &relation;
    if (role != TRIGGERS_FORBIDDEN)
        return true;
    if (!target_catalog_read_tables(session, &relations, 1, &tables, err))
        return false;
    if (PQgetisnull(tables, 0, TABLE_OID) || !result_is_true(tables, 0, TABLE_ORDINARY))
        return true;
    identifier_append_qualified(&table, relation.schema, relation.name);
    return buffer_text(&table) != NULL ? forbidden(table.data, session, err) : error_no_memory(err);
}

static bool make_logged(struct session *session, const char *table, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = NAME_BYTES_MAX};
    buffer_printf(&sql, "alter table %s set logged", table);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (session_execute(session, sql.data, err))
        return true;
    return err->kind == ERROR_RETRY || err->kind == ERROR_STOPPED ? false : refuse_unlogged(table, err);
}

bool target_tables_make_logged(struct session *session, const struct relation *const *relations, size_t count,
                               struct error *err) {
    for (;;) {
        PGresult *unlogged AUTO_PGRESULT = NULL;
        if (!target_catalog_find_unlogged(session, relations, count, &unlogged, err))
            return false;
        if (PQntuples(unlogged) == 0)
            return true;
        if (!make_logged(session, PQgetvalue(unlogged, 0, 0), err))
            return false;
    }
}

bool target_table_new(const struct relation *relation, struct arena *arena, struct target_table **ret_table,
                      struct error *err) {
    struct target_table *table = arena_alloc_zero(arena, sizeof *table);
    if (table == NULL)
        return no_room(err);
    table->relation = relation;
    *ret_table = table;
    return true;
}

static bool target_table_fill(const struct target_catalog *catalog, struct session *session,
                              struct arena *arena, enum trigger_role role, size_t place,
                              struct target_table *table, struct error *err) {
    struct lookup lookup AUTO(lookup_release) = {
        .session = session, .catalog = catalog, .place = place, .arena = arena, .table = table};
    buffer_init(&lookup.text, NAME_BYTES_MAX * 64);
    return find_table(&lookup, role, err) && find_columns(&lookup, err) && find_key(&lookup, err) &&
           name_key(&lookup, err);
}

bool target_tables_find(struct session *session, struct target_table *const *tables, size_t count,
                        enum trigger_role role, struct arena *arena, size_t *ret_failed, struct error *err) {
    struct target_catalog catalog AUTO(target_catalog_release) = {0};
    const struct relation *relations[TARGET_TABLES_MAX] = {0};
    assert(count <= TARGET_TABLES_MAX);
    for (size_t i = 0; i < count; i++)
        relations[i] = tables[i]->relation;
    *ret_failed = 0;
    if (!target_catalog_read(&catalog, session, relations, count, err))
        return false;
    for (; *ret_failed < count; ++*ret_failed)
        if (!target_table_fill(&catalog, session, arena, role, *ret_failed + 1, tables[*ret_failed], err))
            return false;
    return true;
}

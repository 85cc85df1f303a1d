/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_table.c - what the target's catalog says of a table.
 */
#include "sinks/postgres/target_table.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "decoder/builtin_type.h"
#include "sinks/postgres/target_table_sql.h"

#define NAME_BYTES_MAX 4096u

struct lookup {
    struct session *session;
    struct arena *arena;
    struct target_table *table;
    struct buffer text; /* of a name in the making */
};

static void lookup_release(struct lookup *lookup) {
    buffer_release(&lookup->text);
}

static bool is_true(const PGresult *result, int row, int column) {
    return PQgetvalue(result, row, column)[0] == 't';
}

static oid_t oid_value(const PGresult *result, int row, int column) {
    return (oid_t) strtoul(PQgetvalue(result, row, column), NULL, 10);
}

static bool no_room(struct error *err) {
    return error_set(err, ERROR_RETRY,
                     "the memory for the target's catalog is used up; starting over with none");
}

/* Keeps what was written to lookup->text. */
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
    return error_set(
        err, ERROR_DATA,
        "target: there is no table %s, which the source has changes for; create it, or take it out "
        "of the publication",
        table->name);
}

static bool forbidden(const char *table, const struct session *session, struct error *err) {
    return error_set(
        err, ERROR_CONFIG,
        "target: table %s has triggers or foreign keys, which must not act on changes that are "
        "copies, and role \"%s\" may not switch them off; grant set on parameter "
        "session_replication_role to \"%s\" (PostgreSQL 15; before, make it a superuser), or let "
        "them act with the sink's option triggers: fire",
        table, PQuser(session->conn), PQuser(session->conn));
}

static bool find_table(struct lookup *lookup, enum trigger_role role, struct error *err) {
    struct target_table *table = lookup->table;
    const struct relation *relation = table->relation;
    PGresult *result AUTO_PGRESULT = NULL;
    const char *const names[] = {relation->schema.data, relation->name.data};
    identifier_append_qualified(&lookup->text, relation->schema, relation->name);
    if (!keep_text(lookup, &table->name, err) ||
        !session_query(lookup->session, FIND_TABLE, 2, names, &result, err))
        return false;
    if (PQntuples(result) == 0)
        return missing_table(table, err);
    char kind = PQgetvalue(result, 0, 1)[0];
    if (kind != 'r' && kind != 'p')
        return error_set(err, ERROR_DATA, "target: %s is not a table (pg_class.relkind is %c)", table->name,
                         kind);
    table->oid = oid_value(result, 0, 0);
    table->is_partitioned = kind == 'p';
    bool fires_by_itself = is_true(result, 0, 3);
    table->is_checked_late = role == TRIGGERS_REPLICA && is_true(result, 0, 5) && !fires_by_itself;
    table->is_strict = is_true(result, 0, role == TRIGGERS_REPLICA ? 2 : 3) || table->is_checked_late;
    table->may_cascade = table->is_strict && role == TRIGGERS_FIRE && is_true(result, 0, 4);
    if (table->is_strict && role == TRIGGERS_FORBIDDEN)
        return forbidden(table->name, lookup->session, err);
    return true;
}

static int find_name(const PGresult *result, int name_column, struct slice name) {
    for (int row = 0; row < PQntuples(result); row++)
        if (slice_equal(slice_of(PQgetvalue(result, row, name_column)), name))
            return row;
    return -1;
}

/* The type in the target's words, when it is one that every cluster has. */
static bool missing_column(struct lookup *lookup, const struct column *column, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    char oid[16], modifier[16];
    snprintf(oid, sizeof oid, "%u", column->type_oid);
    snprintf(modifier, sizeof modifier, "%d", column->type_modifier);
    const char *const values[] = {oid, modifier};
    if (!session_query(lookup->session, NAME_TYPE, 2, values, &result, err))
        return false;
    bool is_known = column->type_oid < 16384;
    identifier_append(&lookup->text, column->name);
    const char *name = buffer_text(&lookup->text);
    return error_set(
        err, ERROR_DATA,
        "target: table %s has no column %s, which the source has; alter table %s add column %s %s",
        lookup->table->name, name != NULL ? name : "?", lookup->table->name, name != NULL ? name : "?",
        is_known ? PQgetvalue(result, 0, 0) : "(with its type at the source)");
}

static bool read_column(struct lookup *lookup, const PGresult *result, int row, const struct column *source,
                        struct target_column *column, struct error *err) {
    column->type_oid = oid_value(result, row, 1);
    column->array_oid = oid_value(result, row, 2);
    column->delimiter = PQgetvalue(result, row, 3)[0];
    column->is_written = !is_true(result, row, 4);
    column->is_always = column->is_written && is_true(result, row, 5);
    column->takes_binary = column->type_oid == source->type_oid && builtin_type_is_portable(source->type_oid);
    lookup->table->has_always |= column->is_always;
    lookup->table->written_count += column->is_written;
    buffer_append_text(&lookup->text, PQgetvalue(result, row, 6));
    return keep_text(lookup, &column->equals, err) &&
           keep_identifier(lookup, PQgetvalue(result, row, 0), &column->name, err);
}

static bool match_columns(struct lookup *lookup, const PGresult *result, struct error *err) {
    struct target_table *table = lookup->table;
    const struct relation *relation = table->relation;
    table->column_count = relation->column_count;
    table->columns = arena_alloc_zero(lookup->arena, (relation->column_count + 1) * sizeof *table->columns);
    if (table->columns == NULL)
        return no_room(err);
    for (uint32_t i = 0; i < relation->column_count; i++) {
        int row = find_name(result, 0, relation->columns[i].name);
        if (row < 0)
            return missing_column(lookup, &relation->columns[i], err);
        if (!read_column(lookup, result, row, &relation->columns[i], &table->columns[i], err))
            return false;
    }
    return true;
}

static bool has_column(const struct relation *relation, const char *name) {
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (slice_equal(relation->columns[i].name, slice_of(name)))
            return true;
    return false;
}

/* Columns that only the target has, without those that it generates. */
static bool find_extra(struct lookup *lookup, const PGresult *result, struct error *err) {
    struct target_table *table = lookup->table;
    const char **extra = arena_alloc_zero(lookup->arena, (size_t) (PQntuples(result) + 1) * sizeof *extra);
    if (extra == NULL)
        return no_room(err);
    for (int row = 0; row < PQntuples(result); row++) {
        const char *name = PQgetvalue(result, row, 0);
        if (is_true(result, row, 4) || has_column(table->relation, name))
            continue;
        if (!keep_identifier(lookup, name, &extra[table->extra_count++], err))
            return false;
    }
    table->extra = extra;
    return true;
}

static bool find_columns(struct lookup *lookup, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    char oid[16];
    snprintf(oid, sizeof oid, "%u", lookup->table->oid);
    const char *const values[] = {oid};
    return session_query(lookup->session, FIND_COLUMNS, 1, values, &result, err) &&
           match_columns(lookup, result, err) && find_extra(lookup, result, err);
}

static struct target_column *find_column(struct target_table *table, const char *name) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (slice_equal(table->relation->columns[i].name, slice_of(name)))
            return &table->columns[i];
    return NULL;
}

/* Takes the index whose columns are rows first..last-1 of result as the key, if the relation has them all. */
static bool take_index(struct target_table *table, const PGresult *result, int first, int last) {
    for (int row = first; row < last; row++)
        if (find_column(table, PQgetvalue(result, row, 1)) == NULL)
            return false;
    for (int row = first; row < last; row++)
        find_column(table, PQgetvalue(result, row, 1))->is_key = true;
    return true;
}

static bool is_same_index(const PGresult *result, int a, int b) {
    return strcmp(PQgetvalue(result, a, 0), PQgetvalue(result, b, 0)) == 0;
}

/* With identity full the source sends whole old rows; a key of the target's finds them faster. */
static bool find_key_of_full(struct lookup *lookup, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    char oid[16];
    snprintf(oid, sizeof oid, "%u", lookup->table->oid);
    const char *const values[] = {oid};
    if (!session_query(lookup->session, FIND_KEYS, 1, values, &result, err))
        return false;
    for (int first = 0, last = 0; first < PQntuples(result) && !lookup->table->has_key; first = last) {
        while (last < PQntuples(result) && is_same_index(result, first, last))
            last++;
        lookup->table->has_key = take_index(lookup->table, result, first, last);
    }
    return true;
}

static bool find_identity(struct lookup *lookup, struct error *err) {
    struct target_table *table = lookup->table;
    if (table->relation->identity == REPLICA_IDENTITY_FULL)
        return find_key_of_full(lookup, err);
    table->has_key = table->relation->key_count > 0;
    for (uint32_t i = 0; i < table->column_count; i++)
        table->columns[i].is_key = table->relation->columns[i].is_key;
    return true;
}

static bool find_key(struct lookup *lookup, struct error *err) {
    struct target_table *table = lookup->table;
    if (!find_identity(lookup, err))
        return false;
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
    PGresult *result AUTO_PGRESULT = NULL;
    const char *const names[] = {schema, name};
    if (role != TRIGGERS_FORBIDDEN)
        return true;
    if (!session_query(session, FIND_TABLE, 2, names, &result, err))
        return false;
    if (PQntuples(result) == 0 || !is_true(result, 0, 3))
        return true;
    identifier_append_qualified(&table, slice_of(schema), slice_of(name));
    return buffer_text(&table) != NULL ? forbidden(table.data, session, err) : error_no_memory(err);
}

bool target_table_find(struct session *session, const struct relation *relation, enum trigger_role role,
                       struct arena *arena, struct target_table **ret_table, struct error *err) {
    struct target_table *table = arena_alloc_zero(arena, sizeof *table);
    if (table == NULL)
        return no_room(err);
    table->relation = relation;
    struct lookup lookup AUTO(lookup_release) = {.session = session, .arena = arena, .table = table};
    buffer_init(&lookup.text, NAME_BYTES_MAX * 64);
    if (!find_table(&lookup, role, err) || !find_columns(&lookup, err) || !find_key(&lookup, err) ||
        !name_key(&lookup, err))
        return false;
    *ret_table = table;
    return true;
}

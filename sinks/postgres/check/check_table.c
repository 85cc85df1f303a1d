/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_table.c - compares one table of the source with its counterpart in a Postgres sink.
 */
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "sinks/postgres/catalog/own_rows.h"
#include "sinks/postgres/catalog/type_shape.h"
#include "sinks/postgres/check/check.h"

#define TEXT_BYTES_MAX 65536

/*
 * acts: the table has triggers that would fire in our session, including those of foreign keys
 * (unique_key_recheck only checks a constraint).
 */
static const char TABLE[] =
    "select c.relkind, has_schema_privilege(n.oid, 'usage'),"
    " array_to_string(array(select privilege from unnest(array['select', 'insert', 'update', 'delete', "
    "'truncate'])"
    "   privilege where not has_table_privilege(c.oid, privilege)), ', '),"
    " exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and i.indimmediate and "
    "i.indisvalid),"
    " exists (select from pg_trigger g join pg_proc p on p.oid = g.tgfoid"
    "   where p.proname <> 'unique_key_recheck' and g.tgenabled in ('A', 'O') and (g.tgrelid = c.oid"
    "     or g.tgrelid in (select relid from pg_partition_tree(c.oid)))),"
    " row_security_active(c.oid),"
    " pg_has_role(c.relowner, 'usage'), (select format('%I.%I', ln.nspname, l.relname) from pg_class l join "
    "pg_namespace ln on ln.oid = l.relnamespace"
    "  where l.relpersistence = 'u' and (l.oid = c.oid or l.oid in (select relid from "
    "pg_partition_tree(c.oid)))"
    "  order by 1 limit 1)"
    " from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2";

static const char COLUMNS[] =
    "select a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '',"
    " a.attnotnull and not a.atthasdef and a.attidentity = '' and t.typdefaultbin is null, a.attgenerated,"
    " a.atthasdef or a.attidentity <> '' or t.typdefaultbin is not null"
    " from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace"
    " join pg_type t on t.oid = a.atttypid"
    " where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped order by a.attnum";

enum {
    TABLE_KIND,
    TABLE_USAGE,
    TABLE_DENIED,
    TABLE_HAS_KEY,
    TABLE_ACTS,
    TABLE_ROW_SECURITY,
    TABLE_OWNED,
    TABLE_UNLOGGED
};
enum { ROW_NAME, ROW_TYPE, ROW_GENERATED, ROW_NEEDED, ROW_GENERATED_HOW, ROW_HAS_DEFAULT };

static const struct result_shape COLUMNS_SHAPE = {"the query for columns", 0, RESULT_ROWS_ANY,
                                                  ROW_HAS_DEFAULT + 1, 0};

/* The comparison of one table. */
struct pair {
    const struct target_check *target;
    const struct table *table;
    const char *name; /* quoted */
};

static bool query(const struct pair *pair, const char *sql, int count, const struct result_shape *shape,
                  PGresult **ret_result, struct error *err) {
    const char *parameters[] = {pair->table->schema, pair->table->name};
    return session_query(pair->target->session, sql, count, parameters, shape, ret_result, err);
}

/* ---- the columns ---- */

static bool is_sent(const struct table *table, const char *name) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return table->columns[i].published;
    return false;
}

/* The target generates the column and the source sends a value for it: copy and stream refuse it. */
static void add_generated_at_target(const struct pair *pair, const struct table_column *column,
                                    bool is_virtual) {
    const char *name = target_check_name(pair->target, NULL, column->name);
    sink_check_add(
        pair->target->check, SINK_PROBLEM, "target_generated",
        "column %s of table %s is generated at the target only, so the source's values would be lost", name,
        pair->name);
    const bool copies = pair->target->check->expects_copy;
    if (is_virtual)
        sink_check_fix(pair->target->check, "alter table %s drop column %s, add column %s %s;%s", pair->name,
                       name, name, column->type_sql,
                       copies ? "" : "  -- existing rows have no value then: pgcdc verify finds them");
    else
        sink_check_fix(pair->target->check, "alter table %s alter column %s drop expression;%s", pair->name,
                       name,
                       copies ? "" : "  -- existing rows keep the computed value: pgcdc verify finds them");
    sink_check_object(pair->target->check, pair->name);
}

/* An unpublished generated column: no value is lost, and none arrives. A published one is like any other. */
static void add_generated_at_source(const struct pair *pair, const struct table_column *column) {
    const char *name = target_check_name(pair->target, NULL, column->name);
    sink_check_add(pair->target->check, SINK_WARNING, "source_generated",
                   "column %s of table %s is generated at the source only, which does not send it; at the "
                   "target it stays empty or has its default",
                   name, pair->name);
    sink_check_fix(
        pair->target->check,
        "if it is to be here, too: alter table %s drop column %s, add column %s %s generated always "
        "as (%s) %s",
        pair->name, name, name, column->type_sql, column->generated_sql,
        column->generated == 'v' && pair->target->session->server_version >= 180000 ? "virtual" : "stored");
    sink_check_object(pair->target->check, pair->name);
}

static void check_generated(const struct pair *pair, const struct table_column *column, const char *there) {
    if (column->generated == '\0' && there[0] != '\0')
        add_generated_at_target(pair, column, there[0] == 'v');
    else if (column->generated != '\0' && !column->published && there[0] == '\0')
        add_generated_at_source(pair, column);
}

static bool column_fits(const struct table_column *column, const PGresult *shapes, int row) {
    const struct type_shape source = type_shape_of_table_column(column);
    const struct type_shape target = type_shape_of_row(shapes, row);
    return column->is_cast || type_fits(&source, &target);
}

/* Under a rule the target may be what is right. */
static void fix_type(const struct pair *pair, const struct table_column *column, const char *name,
                     const char *there) {
    const bool may_say = pair->table->mapped_from != NULL && !column->is_added;
    sink_check_fix(pair->target->check, "alter table %s alter column %s type %s;%s%s%s", pair->name, name,
                   column->type_sql, may_say ? "\nor, if the target's type is meant, say type: " : "",
                   may_say ? there : "", may_say ? " in the column's rule" : "");
}

/* A rule may spell its type in another way, and its length is for tables that the sink creates. */
static bool is_type_of_rule(const struct pair *pair, const struct table_column *column, const char *there,
                            bool *ret_same, struct error *err) {
    const char *const parameters[] = {column->type_sql, there};
    struct error answer = {0};
    PGresult *same AUTO_PGRESULT = NULL;
    *ret_same = strcmp(there, column->type_sql) == 0;
    if (*ret_same || !column->is_cast)
        return true;
    if (session_query(pair->target->session,
                      "select coalesce(pg_catalog.to_regtype($1) = pg_catalog.to_regtype($2), false)", 2,
                      parameters, &(const struct result_shape){"the query for a type", 1, 1, 1, 0}, &same,
                      &answer)) {
        *ret_same = result_is_true(same, 0, 0);
        return true;
    }
    if (answer.sqlstate[0] != '\0')
        return true; /* not the name of a type */
    *err = answer;
    return false;
}

static bool check_column(const struct pair *pair, const struct table_column *column, const PGresult *columns,
                         const PGresult *shapes, struct error *err) {
    bool is_same = false;
    int row = result_find(columns, ROW_NAME, column->name);
    int shape = type_shapes_find(shapes, 0, PQntuples(shapes), slice_of(column->name));
    const char *name = target_check_name(pair->target, NULL, column->name);
    if (row < 0)
        return true;
    check_generated(pair, column, PQgetvalue(columns, row, ROW_GENERATED_HOW));
    if (!is_type_of_rule(pair, column, PQgetvalue(columns, row, ROW_TYPE), &is_same, err))
        return false;
    if (is_same)
        return true;
    bool narrows = shape >= 0 && column->published && !result_is_true(columns, row, ROW_GENERATED) &&
                   !column_fits(column, shapes, shape);
    const bool is_ruled = column->is_cast || column->is_made || column->is_added;
    sink_check_add(
        pair->target->check, narrows && !pair->target->may_narrow ? SINK_PROBLEM : SINK_WARNING,
        "target_column_type", "column %s of table %s is %s, %s %s; %s", name, pair->name,
        PQgetvalue(columns, row, ROW_TYPE), is_ruled ? "by its rule" : "at the source", column->type_sql,
        narrows ? "this can change values silently" : "a value that does not fit stops the pipeline");
    fix_type(pair, column, name, PQgetvalue(columns, row, ROW_TYPE));
    sink_check_object(pair->target->check, pair->name);
    sink_check_gap(pair->target->check, pair->table, column->name);
    return true;
}

/* A column that is not null and has no default, and gets no value. */
static void add_needed(const struct pair *pair, const char *column) {
    const char *name = target_check_name(pair->target, NULL, column);
    sink_check_add(pair->target->check, SINK_PROBLEM, "target_column",
                   "column %s of table %s is not null and has no default, and %s", name, pair->name,
                   pair->table->mapped_from == NULL ? "the source does not send it"
                                                    : "its rule gives it no value");
    sink_check_fix(pair->target->check, "alter table %s alter column %s drop not null;%s", pair->name, name,
                   pair->table->mapped_from == NULL ? "" : "\nor give it a value in the rule's columns");
    sink_check_object(pair->target->check, pair->name);
    sink_check_gap(pair->target->check, pair->table, column);
}

static void check_unsent(const struct pair *pair, const PGresult *columns) {
    for (int row = 0; row < PQntuples(columns); row++) {
        const char *name = PQgetvalue(columns, row, ROW_NAME);
        if (result_is_true(columns, row, ROW_GENERATED) || is_sent(pair->table, name))
            continue;
        if (result_is_true(columns, row, ROW_NEEDED))
            add_needed(pair, name);
        else
            target_check_unfilled(pair->target, pair->table, pair->name, name,
                                  result_is_true(columns, row, ROW_HAS_DEFAULT));
    }
}

static bool check_columns(const struct pair *pair, struct error *err) {
    PGresult *columns AUTO_PGRESULT = NULL;
    PGresult *shapes AUTO_PGRESULT = NULL;
    if (!query(pair, COLUMNS, 2, &COLUMNS_SHAPE, &columns, err) ||
        !type_shapes_read_table(pair->target->session, pair->table->schema, pair->table->name, &shapes, err))
        return false;
    for (uint32_t i = 0; i < pair->table->column_count; i++)
        if (!check_column(pair, &pair->table->columns[i], columns, shapes, err))
            return false;
    if (!target_check_columns(pair->target, pair->table, pair->name, columns, err))
        return false;
    check_unsent(pair, columns);
    return true;
}

/* ---- the table itself ---- */

static void check_rights(const struct pair *pair, const PGresult *table) {
    const char *denied = PQgetvalue(table, 0, TABLE_DENIED);
    if (!result_is_true(table, 0, TABLE_USAGE)) {
        const char *schema = target_check_name(pair->target, NULL, pair->table->schema);
        sink_check_add(pair->target->check, SINK_PROBLEM, "target_rights",
                       "role %s has no right to use schema %s, of table %s", pair->target->role, schema,
                       pair->name);
        sink_check_fix(pair->target->check, "grant usage on schema %s to %s;", schema, pair->target->role);
        sink_check_object(pair->target->check, pair->name);
    }
    if (denied[0] != '\0') {
        sink_check_add(pair->target->check, SINK_PROBLEM, "target_rights", "role %s may not %s table %s",
                       pair->target->role, denied, pair->name);
        sink_check_fix(pair->target->check, "grant %s on table %s to %s;", denied, pair->name,
                       pair->target->role);
        sink_check_object(pair->target->check, pair->name);
    }
    if (result_is_true(table, 0, TABLE_ROW_SECURITY)) {
        sink_check_add(pair->target->check, SINK_PROBLEM, "row_security",
                       "row level security of table %s applies to role %s", pair->name, pair->target->role);
        sink_check_fix(pair->target->check, "alter role %s bypassrls;", pair->target->role);
        sink_check_object(pair->target->check, pair->name);
    }
}

static void check_triggers(const struct pair *pair, const PGresult *table) {
    if (pair->target->acts_as_replica || pair->target->may_fire || !result_is_true(table, 0, TABLE_ACTS))
        return;
    sink_check_add(
        pair->target->check, SINK_PROBLEM, "target_triggers",
        "table %s has triggers or foreign keys, and role %s may not switch them off for its session",
        pair->name, pair->target->role);
    sink_check_fix(pair->target->check, "%s %s%s;\nor let them act: triggers: fire in the sink's section",
                   pair->target->can_grant ? "grant set on parameter session_replication_role to"
                                           : "alter role",
                   pair->target->role, pair->target->can_grant ? "" : " superuser");
    sink_check_object(pair->target->check, pair->name);
}

static void check_logged(const struct pair *pair, const PGresult *table) {
    const char *name = PQgetvalue(table, 0, TABLE_UNLOGGED);
    if (PQgetisnull(table, 0, TABLE_UNLOGGED))
        return;
    const bool made = pair->target->check->expects_copy && result_is_true(table, 0, TABLE_OWNED);
    sink_check_add(pair->target->check, made ? SINK_WARNING : SINK_PROBLEM, "target_unlogged",
                   "table %s is unlogged: a crash of that server would empty it but keep the position%s",
                   name, made ? "; the initial copy makes it logged" : "");
    sink_check_fix(pair->target->check, "alter table %s set logged;", name);
}

/* The key's columns, separated by ", "; "" if the target lacks one of them: that is fixed first. */
static const char *key_columns(const struct pair *pair, const PGresult *columns, struct buffer *text) {
    for (uint32_t place = 1; place <= pair->table->key_count; place++)
        for (uint32_t i = 0; i < pair->table->column_count; i++) {
            if (pair->table->columns[i].key_index != place)
                continue;
            if (result_find(columns, ROW_NAME, pair->table->columns[i].name) < 0)
                return "";
            buffer_append_text(text, place > 1 ? ", " : "");
            identifier_append(text, slice_of(pair->table->columns[i].name));
        }
    const char *list = buffer_text(text);
    return list != NULL ? list : "";
}

static bool check_key(const struct pair *pair, const PGresult *table, struct error *err) {
    PGresult *columns AUTO_PGRESULT = NULL;
    struct buffer text AUTO(buffer_release);
    buffer_init(&text, TEXT_BYTES_MAX);
    if (pair->table->key_count == 0 || result_is_true(table, 0, TABLE_HAS_KEY))
        return true;
    if (!query(pair, COLUMNS, 2, &COLUMNS_SHAPE, &columns, err))
        return false;
    const char *list = key_columns(pair, columns, &text);
    if (list[0] == '\0')
        return true;
    sink_check_add(pair->target->check, SINK_WARNING, "target_key",
                   "table %s has no primary key, so every update and delete reads the whole table",
                   pair->name);
    sink_check_fix(pair->target->check, "alter table %s add primary key (%s);", pair->name, list);
    sink_check_object(pair->target->check, pair->name);
    return true;
}

/*
 * The table, and those with a foreign key to it or to a partition of it, which must be truncated together
 * with it even if they are empty. Tables that inherit from one of them keep their rows: these are others.
 */
static bool append_truncate(const struct pair *pair, struct buffer *sql, struct error *err) {
    static const char SQL[] =
        "with recursive own (oid) as (select c.oid from pg_class c join pg_namespace n on n.oid = "
        "c.relnamespace where n.nspname = $1 and c.relname = $2),"
        " step (oid, after) as (select conrelid, confrelid from pg_constraint where contype = 'f' union all"
        "  select i.inhrelid, i.inhparent from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        "  where c.relispartition),"
        " known (oid) as (select oid from own union select s.oid from step s join known on s.after = "
        "known.oid)"
        " select n.nspname, c.relname, c.relkind = 'r' and c.relhassubclass from known"
        " join pg_class c on c.oid = known.oid join pg_namespace n on n.oid = c.relnamespace"
        " where not c.relispartition or c.oid in (select oid from own) or exists (select from pg_constraint k"
        "  where k.conrelid = c.oid and k.contype = 'f' and k.conparentid = 0"
        "  and k.confrelid in (select oid from known))"
        " order by c.oid not in (select oid from own), 1, 2";
    PGresult *result AUTO_PGRESULT = NULL;
    if (!query(pair, SQL, 2,
               &(const struct result_shape){"the query for foreign keys", 0, RESULT_ROWS_ANY, 3, 0}, &result,
               err))
        return false;
    for (int row = 0; row < PQntuples(result); row++) {
        buffer_append_text(sql, row == 0 ? "truncate " : ", ");
        buffer_append_text(sql, result_is_true(result, row, 2) ? "only " : "");
        identifier_append_printable_qualified(sql, slice_of(PQgetvalue(result, row, 0)),
                                              slice_of(PQgetvalue(result, row, 1)));
    }
    buffer_printf(sql, ";  -- %s", PQntuples(result) > 1 ? "with the tables that refer to it; " : "");
    return true;
}

/* Other sources have rows in a shared table. */
static bool append_emptying(const struct pair *pair, struct buffer *sql, struct error *err) {
    const struct table *table = pair->table;
    if (table->owned_sql == NULL)
        return append_truncate(pair, sql, err);
    own_rows_append_delete(sql, table->schema, table->name, table->owned_sql);
    buffer_append_text(sql, ";  -- the rows of this source; ");
    return true;
}

static bool add_rows(const struct pair *pair, struct error *err) {
    struct buffer statement AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    if (!append_emptying(pair, &statement, err))
        return false;
    const char *sql = buffer_text(&statement);
    if (sql == NULL)
        return error_no_memory(err);
    sink_check_add(pair->target->check, SINK_PROBLEM, "target_rows",
                   "table %s already has rows, and the initial copy refuses to add to them", pair->name);
    sink_check_fix(pair->target->check, "%sor, if they are the source's rows: snapshot: never", sql);
    sink_check_object(pair->target->check, pair->name);
    return true;
}

/* The copy refuses a table that already has rows. */
static bool check_empty(const struct pair *pair, struct error *err) {
    struct buffer sql AUTO(buffer_release);
    struct error answer = {0};
    PGresult *result AUTO_PGRESULT = NULL;
    buffer_init(&sql, TEXT_BYTES_MAX);
    buffer_append_text(&sql, "select where ");
    own_rows_append_exists(&sql, pair->table->schema, pair->table->name, pair->table->owned_sql);
    const char *text = buffer_text(&sql);
    if (text == NULL)
        return error_no_memory(err);
    if (!session_query(pair->target->session, text, 0, NULL,
                       &(const struct result_shape){"the query for a row", 0, 1, 0, 0}, &result, &answer)) {
        if (answer.sqlstate[0] != '\0')
            return true; /* the missing right is already a finding */
        *err = answer;
        return false;
    }
    return PQntuples(result) == 0 || add_rows(pair, err);
}

/* See chunk_copy_find_parts. */
static bool check_other_keys(const struct pair *pair, struct error *err) {
    static const char SQL[] =
        "select from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indrelid"
        " join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2"
        " and (i.indisunique or i.indisexclusion) and not exists (select from pg_catalog.pg_attribute a"
        " where a.attrelid = i.indrelid and a.attname = $3 and a.attnum = any (i.indkey)) limit 1";
    PGresult *result AUTO_PGRESULT = NULL;
    const struct sink_check *check = pair->target->check;
    const char *parameters[] = {pair->table->schema, pair->table->name, NULL};
    for (uint32_t i = 0; i < pair->table->column_count; i++)
        if (pair->table->columns[i].key_index == 1)
            parameters[2] = pair->table->columns[i].name;
    if (parameters[2] == NULL || pair->table->bytes_estimate <= check->long_copy_bytes)
        return true;
    if (!session_query(pair->target->session, SQL, 3, parameters,
                       &(const struct result_shape){"the query for constraints", 0, 1, 0, 0}, &result, err))
        return false;
    if (PQntuples(result) > 0)
        check->ops->long_copy(check->context, pair->table,
                              "a unique or exclusion constraint without the first column of its primary key");
    return true;
}

static bool check_present(const struct pair *pair, const PGresult *table, struct error *err) {
    char kind = PQgetvalue(table, 0, TABLE_KIND)[0];
    if (kind != 'r' && kind != 'p') {
        sink_check_add(pair->target->check, SINK_PROBLEM, "target_table", "%s exists but is not a table",
                       pair->name);
        sink_check_fix(pair->target->check, "drop it, or give it another name");
        sink_check_object(pair->target->check, pair->name);
        return true;
    }
    check_rights(pair, table);
    check_triggers(pair, table);
    check_logged(pair, table);
    return check_key(pair, table, err) && check_columns(pair, err) && check_other_keys(pair, err) &&
           (!pair->target->check->expects_copy || pair->target->check->is_refused || check_empty(pair, err));
}

bool target_check_table(const struct target_check *target, const struct table *table, struct error *err) {
    const struct pair pair = {
        .target = target, .table = table, .name = target_check_name(target, table->schema, table->name)};
    PGresult *result AUTO_PGRESULT = NULL;
    if (!query(&pair, TABLE, 2,
               &(const struct result_shape){"the query for a table", 0, 1, TABLE_UNLOGGED + 1,
                                            1u << TABLE_UNLOGGED},
               &result, err))
        return false;
    bool checked = PQntuples(result) == 0 ? target_check_missing(target, table, pair.name, err)
                                          : check_present(&pair, result, err);
    return checked;
}

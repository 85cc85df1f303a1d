/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expression.c - asks the server for an expression's type, its columns, and whether it is immutable.
 */
#include "sinks/mapping/expression.h"

#include <stdio.h>
#include <string.h>

#include "cdc/pq/identifier.h"

enum { SQL_BYTES_MAX = 4 << 20 };

#define VALUE_COLUMN "\"pgcdc value\""
#define PROOF_TABLE "pg_temp.pgcdc_expression"

void expression_append(struct buffer *sql, const struct expression *expression) {
    buffer_printf(sql, "(%s\n)%s", expression->sql, expression->is_condition ? " is true" : "");
}

/* ---- types ---- */

static bool types_parameter(const struct expression_column *columns, uint32_t count, bool is_schema,
                            struct buffer *text) {
    buffer_append_text(text, "{");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_text(text, ",");
        const char *name = is_schema ? columns[i].type_schema : columns[i].type_name;
        buffer_append_text(text, "\"");
        for (; *name != '\0'; name++) {
            if (*name == '"' || *name == '\\')
                buffer_append_text(text, "\\");
            buffer_append(text, name, 1);
        }
        buffer_append_text(text, "\"");
    }
    buffer_append_text(text, "}");
    return buffer_ok(text);
}

bool expression_find_types(struct session *session, struct expression_column *columns, uint32_t count,
                           struct error *err) {
    struct buffer schemas AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct buffer names AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *answer AUTO_PGRESULT = NULL;
    if (!types_parameter(columns, count, true, &schemas) || !types_parameter(columns, count, false, &names))
        return error_no_memory(err);
    const char *const parameters[] = {buffer_text(&schemas), buffer_text(&names)};
    if (!session_query(session,
                       "select exists (select from pg_catalog.pg_type t join pg_catalog.pg_namespace n on "
                       "n.oid = t.typnamespace where n.nspname = w.schema and t.typname = w.name)"
                       " from unnest($1::text[], $2::text[]) with ordinality w (schema, name, i)"
                       " order by i",
                       2, parameters,
                       &(const struct result_shape){"types of columns", (int) count, (int) count, 1, 0},
                       &answer, err))
        return false;
    for (uint32_t i = 0; i < count; i++)
        columns[i].is_known = columns[i].is_sent && result_is_true(answer, (int) i, 0);
    return true;
}

static void append_type(struct buffer *sql, const struct expression_column *column) {
    identifier_append_qualified(sql, slice_of(column->type_schema), slice_of(column->type_name));
}

/* The type that the server gives the expression; the columns are nulls of their types. */
static bool ask_type(struct session *session, const struct expression_column *columns, uint32_t count,
                     const struct expression *expression, PGresult **ret_answer, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, "select ");
    expression_append(&sql, expression);
    buffer_append_text(&sql, " from (select null::pg_catalog.text as " VALUE_COLUMN);
    for (uint32_t i = 0; i < count; i++) {
        if (!columns[i].is_known)
            continue;
        buffer_append_text(&sql, ", null::");
        append_type(&sql, &columns[i]);
        buffer_append_text(&sql, " as ");
        identifier_append(&sql, slice_of(columns[i].name));
    }
    buffer_append_text(&sql, ") t limit 0");
    const char *text = buffer_text(&sql);
    if (text == NULL)
        return error_no_memory(err);
    return session_query(session, text, 0, NULL,
                         &(const struct result_shape){"an expression", 0, 0, 1, RESULT_NULL_ANYWHERE},
                         ret_answer, err);
}

static bool name_type(struct session *session, oid_t type_oid, int modifier, struct arena *arena,
                      struct expression *expression, struct error *err) {
    char oid[16], typmod[16];
    PGresult *answer AUTO_PGRESULT = NULL;
    snprintf(oid, sizeof oid, "%u", type_oid);
    snprintf(typmod, sizeof typmod, "%d", modifier);
    const char *const parameters[] = {oid, typmod};
    if (!session_query(session,
                       "select pg_catalog.format_type(t.oid, $2::int4), n.nspname, t.typname from "
                       "pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace"
                       " where t.oid = $1::oid",
                       2, parameters, &(const struct result_shape){"the type of an expression", 1, 1, 3, 0},
                       &answer, err))
        return false;
    expression->type_oid = type_oid;
    expression->type_sql = arena_copy(arena, slice_of(PQgetvalue(answer, 0, 0)));
    expression->type_schema = arena_copy(arena, slice_of(PQgetvalue(answer, 0, 1)));
    expression->type_name = arena_copy(arena, slice_of(PQgetvalue(answer, 0, 2)));
    return (expression->type_sql != NULL && expression->type_schema != NULL &&
            expression->type_name != NULL) ||
           error_no_memory(err);
}

static bool find_type(struct session *session, const struct expression_column *columns, uint32_t count,
                      struct arena *arena, struct expression *expression, struct error *err) {
    PGresult *answer AUTO_PGRESULT = NULL;
    return ask_type(session, columns, count, expression, &answer, err) &&
           name_type(session, PQftype(answer, 0), PQfmod(answer, 0), arena, expression, err);
}

/* ---- immutable ---- */

static bool make_table(struct session *session, const struct expression_column *columns, uint32_t count,
                       const struct expression *expression, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, "create temporary table pgcdc_expression (");
    for (uint32_t i = 0; i < count; i++) {
        if (!columns[i].is_known)
            continue;
        identifier_append(&sql, slice_of(columns[i].name));
        buffer_append_text(&sql, " ");
        append_type(&sql, &columns[i]);
        buffer_append_text(&sql, ", ");
    }
    buffer_printf(&sql, VALUE_COLUMN " %s generated always as (", expression->type_sql);
    expression_append(&sql, expression);
    buffer_append_text(&sql, ") stored)");
    const char *text = buffer_text(&sql);
    return text != NULL ? session_query(session, text, 0, NULL, NULL, NULL, err) : error_no_memory(err);
}

/* What is stored about the generated column depends on each column that its expression uses. */
static bool read_uses(struct session *session, const struct expression_column *columns, uint32_t count,
                      struct arena *arena, struct expression *expression, struct error *err) {
    static const char SQL[] =
        "select distinct u.attname from pg_catalog.pg_attribute g"
        " join pg_catalog.pg_attrdef e on e.adrelid = g.attrelid and e.adnum = g.attnum"
        " join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
        " and d.refobjid = g.attrelid and d.refobjsubid > 0 and d.refobjsubid <> g.attnum"
        " and (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and d.objid = e.oid"
        " or d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = g.attrelid"
        " and d.objsubid = g.attnum)"
        " join pg_catalog.pg_attribute u on u.attrelid = g.attrelid and u.attnum = d.refobjsubid"
        " where g.attrelid = '" PROOF_TABLE "'::pg_catalog.regclass and g.attgenerated = 's'";
    PGresult *answer AUTO_PGRESULT = NULL;
    expression->uses = arena_alloc_zero(arena, count + 1);
    if (expression->uses == NULL)
        return error_no_memory(err);
    if (!session_query(session, SQL, 0, NULL,
                       &(const struct result_shape){"the columns of an expression", 0, RESULT_ROWS_ANY, 1, 0},
                       &answer, err))
        return false;
    for (uint32_t i = 0; i < count; i++)
        expression->uses[i] = result_find(answer, 0, columns[i].name) >= 0;
    return true;
}

static bool refuse_standby(const struct session *session, struct error *err) {
    error_set(err, ERROR_CONFIG,
              "the %s is a standby, where no temporary table can be made, so expressions cannot be proven",
              session->peer);
    return error_remedy(err, "read the changes from the primary, or take where and sql out of the rules");
}

static bool prove_in_transaction(struct session *session, const struct expression_column *columns,
                                 uint32_t count, struct arena *arena, struct expression *expression,
                                 struct error *err) {
    struct error ignored = {0};
    if (!session_execute(session, "begin read write", err))
        return false;
    bool is_proven = make_table(session, columns, count, expression, err) &&
                     read_uses(session, columns, count, arena, expression, err);
    return session_execute(session, "rollback", is_proven ? err : &ignored) && is_proven;
}

/* ---- refusals ---- */

static void append_unknown(const struct expression_column *columns, uint32_t count, struct buffer *text) {
    for (uint32_t i = 0; i < count; i++)
        if (columns[i].is_sent && !columns[i].is_known)
            buffer_printf(text, "%s%s (%s.%s)", text->size > 0 ? ", " : "", columns[i].name,
                          columns[i].type_schema, columns[i].type_name);
}

static void refuse_name(const struct session *session, const struct expression_column *columns,
                        uint32_t count, struct error *err) {
    struct buffer unknown AUTO(buffer_release) = {.bytes_max = ERROR_REMEDY_MAX / 2};
    append_unknown(columns, count, &unknown);
    const char *text = buffer_text(&unknown);
    if (text != NULL && text[0] != '\0')
        error_remedy(err, "name columns of this table; create the types of these in the %s before: %s",
                     session->peer, text);
    else
        error_remedy(err, "name columns of this table");
}

/* Whatever the server does not accept is the configuration's fault, unless it can pass. */
static bool refuse_expression(const struct session *session, const struct expression_column *columns,
                              uint32_t count, struct error *err) {
    const char *state = err->sqlstate;
    if (err->kind == ERROR_PROTOCOL && state[0] == '\0') {
        error_set(err, ERROR_CONFIG, "it is not one expression");
        return error_remedy(err, "write one expression that gives one value for a row");
    }
    if (strcmp(state, "08P01") == 0) {
        error_set(err, ERROR_CONFIG, "it has a parameter such as $1");
        return error_remedy(err, "name columns of the table");
    }
    if (state[0] == '\0' || err->kind == ERROR_RETRY || err->kind == ERROR_STOPPED)
        return false;
    err->kind = ERROR_CONFIG;
    if (strcmp(state, "42P17") == 0)
        error_remedy(err, "use only what is immutable: nothing that depends on the time, a time zone, a "
                          "locale, a setting or another row");
    else if (strcmp(state, "42703") == 0)
        refuse_name(session, columns, count, err);
    else if (strcmp(state, "42883") == 0)
        error_remedy(err, "write functions and operators that are not PostgreSQL's own with their schema: "
                          "public.f(a), a operator(public.=) b");
    else if (strcmp(state, "42501") == 0)
        error_remedy(err,
                     "grant temporary on database %s to %s, and usage and execute on what the "
                     "expression uses",
                     PQdb(session->conn), PQuser(session->conn));
    else
        error_remedy(err, "correct the expression");
    return false;
}

bool expression_prove(struct session *session, const struct expression_column *columns, uint32_t count,
                      struct arena *arena, struct expression *expression, struct error *err) {
    if (session_is_standby(session))
        return refuse_standby(session, err);
    return (find_type(session, columns, count, arena, expression, err) &&
            prove_in_transaction(session, columns, count, arena, expression, err)) ||
           refuse_expression(session, columns, count, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle.c - what is there in the target, and what it lacks.
 */
#include "sinks/postgres/settle/settle.h"

#include <string.h>

#include "cdc/base/fault.h"
#include "cdc/pq/identifier.h"
#include "sinks/postgres/settle/rejected.h"
#include "sinks/postgres/settle/settle_sql.h"
#include "sinks/row_mode.h"

#define SQL_BYTES_MAX (32u << 20)
#define LIST_BYTES_MAX 2048u

/* ---- what is there ---- */

/* Of the candidates, and whether the settled table has each column. */
static const char READ_COLUMNS[] =
    "select a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) || case when a.attcollation in (0, "
    "y.typcollation) then '' else (select pg_catalog.format(' collate %I.%I', ln.nspname, l.collname) from "
    "pg_catalog.pg_collation l join pg_catalog.pg_namespace ln on ln.oid = l.collnamespace where l.oid = "
    "a.attcollation) end, k.place, t.attname is not null, coalesce(t.atttypid = a.atttypid and t.atttypmod = "
    "a.atttypmod, true), a.atthasmissing, yn.nspname, pg_catalog.format_type(t.atttypid, t.atttypmod)"
    " from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
    " join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
    " join pg_catalog.pg_type y on y.oid = a.atttypid join pg_catalog.pg_namespace yn on yn.oid = "
    "y.typnamespace"
    " left join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisprimary"
    " left join lateral pg_catalog.unnest(i.indkey) with ordinality k (number, place) on k.number = a.attnum"
    " left join pg_catalog.pg_class s on s.relnamespace = n.oid and s.relname = $3"
    " left join pg_catalog.pg_attribute t on t.attrelid = s.oid and t.attname = a.attname and t.attnum > 0 "
    "and not t.attisdropped"
    " where n.nspname = $1 and c.relname = $2 and a.attname not in ('" MODE_NAME_SOURCE "', '" MODE_NAME_LSN
    "', '" MODE_NAME_INDEX "', '" MODE_NAME_COMMIT_TIME "') order by a.attnum";

enum {
    THERE_TABLE,
    THERE_PLAIN,
    THERE_SOURCE,
    THERE_KEY,
    THERE_LOGGED,
    THERE_OTHERS, /* it has columns that the candidates lack */
    THERE_BODY,
    THERE_TRIGGERS,
    THERE_COLUMNS
};

/* $3: the settled table; $4: its key's columns; $5: the name of a trigger. */
static const char READ_STATE[] =
    "select s.oid is not null, s.relkind = 'r',"
    " exists (select from pg_catalog.pg_attribute a where a.attrelid = s.oid and a.attname = "
    "'" MODE_NAME_SOURCE "' and not a.attisdropped),"
    " exists (select from pg_catalog.pg_index i where i.indrelid = s.oid and i.indisunique and "
    "i.indimmediate and i.indisvalid and i.indpred is null and i.indexprs is null and (select "
    "pg_catalog.array_agg(a.attname::text order by a.attname::text collate \"C\") from "
    "pg_catalog.unnest(i.indkey) with ordinality u (number, place) join pg_catalog.pg_attribute a on "
    "a.attrelid = s.oid and a.attnum = u.number where u.place <= i.indnkeyatts) = (select "
    "pg_catalog.array_agg(x order by x collate \"C\") from pg_catalog.unnest($4::text[]) x)),"
    " s.relpersistence = 'p',"
    " exists (select from pg_catalog.pg_attribute a where a.attrelid = s.oid and a.attnum > 0 and not "
    "a.attisdropped and not exists (select from pg_catalog.pg_attribute o where o.attrelid = c.oid and "
    "o.attname = a.attname and not o.attisdropped)),"
    " (select p.prosrc from pg_catalog.pg_proc p where p.pronamespace = n.oid and p.proname = $2 and "
    "p.pronargs = 0),"
    " (select pg_catalog.count(*) = 3 from pg_catalog.pg_trigger g where g.tgrelid = c.oid and g.tgenabled = "
    "'A' and g.tgname in ($5 || 'insert', $5 || 'update', $5 || 'delete'))"
    " from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
    " left join pg_catalog.pg_class s on s.relnamespace = n.oid and s.relname = $3"
    " where n.nspname = $1 and c.relname = $2";

struct preparation {
    struct session *session;
    struct settled settled;
    PGresult *columns;
    PGresult *state;
    struct buffer body; /* of the function that is needed */
};

static void preparation_release(struct preparation *preparation) {
    PQclear(preparation->columns);
    PQclear(preparation->state);
    buffer_release(&preparation->body);
}

static bool read_settled_columns(struct preparation *preparation, struct error *err) {
    const struct settled *settled = &preparation->settled;
    const char *const names[] = {settled->schema, settled->candidates, settled->table};
    PQclear(preparation->columns);
    preparation->columns = NULL;
    if (!session_query(preparation->session, READ_COLUMNS, 3, names,
                       &(const struct result_shape){"the query for candidates", 0, RESULT_ROWS_ANY,
                                                    SETTLED_COLUMNS,
                                                    1 << SETTLED_KEY | 1 << SETTLED_TARGET_TYPE},
                       &preparation->columns, err))
        return false;
    preparation->settled.columns = preparation->columns;
    return true;
}

/* The text of an array. */
static void list_key(const struct settled *settled, struct buffer *list) {
    const char *glue = "{";
    for (int row = 0; row < PQntuples(settled->columns); row++) {
        if (PQgetisnull(settled->columns, row, SETTLED_KEY))
            continue;
        buffer_printf(list, "%s\"", glue);
        for (const char *at = PQgetvalue(settled->columns, row, SETTLED_NAME); *at != '\0'; at++)
            buffer_printf(list, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
        buffer_append_text(list, "\"");
        glue = ",";
    }
    buffer_append_text(list, glue[0] == '{' ? "{}" : "}");
}

static bool read_state(struct preparation *preparation, struct error *err) {
    const struct settled *settled = &preparation->settled;
    struct buffer key AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    list_key(settled, &key);
    if (buffer_text(&key) == NULL)
        return error_no_memory(err);
    const char *const values[] = {settled->schema, settled->candidates, settled->table, key.data,
                                  row_policy_is_ordered(settled->policy) ? "_pgcdc_order_"
                                                                         : "_pgcdc_settle_"};
    PQclear(preparation->state);
    preparation->state = NULL;
    return session_query(preparation->session, READ_STATE, 5, values,
                         &(const struct result_shape){"the query for a settled table", 1, 1, THERE_COLUMNS,
                                                      RESULT_NULL_ANYWHERE},
                         &preparation->state, err);
}

static bool is_there(const struct preparation *preparation, int what) {
    return result_is_true(preparation->state, 0, what);
}

static bool lacks_column(const struct preparation *preparation) {
    bool lacks = false;
    for (int row = 0; row < PQntuples(preparation->columns); row++)
        lacks = lacks || !result_is_true(preparation->columns, row, SETTLED_IN_TARGET);
    return lacks;
}

static bool has_function(const struct preparation *preparation) {
    return !PQgetisnull(preparation->state, 0, THERE_BODY);
}

static bool is_complete(const struct preparation *preparation) {
    return is_there(preparation, THERE_TABLE) && is_there(preparation, THERE_TRIGGERS) &&
           !lacks_column(preparation) && has_function(preparation) &&
           strcmp(PQgetvalue(preparation->state, 0, THERE_BODY), preparation->body.data) == 0;
}

static bool read_all(struct preparation *preparation, struct error *err) {
    if (!read_settled_columns(preparation, err) || PQntuples(preparation->columns) == 0)
        return PQntuples(preparation->columns) == 0 && preparation->columns != NULL;
    buffer_reset(&preparation->body);
    settle_sql_body(&preparation->body, &preparation->settled);
    if (buffer_text(&preparation->body) == NULL)
        return error_no_memory(err);
    return read_state(preparation, err);
}

/* ---- the settled table ---- */

static bool run_statements(struct preparation *preparation, struct buffer *sql, struct error *err) {
    if (buffer_text(sql) == NULL)
        return error_no_memory(err);
    return sql->size == 0 || session_execute(preparation->session, sql->data, err);
}

static void append_settled(struct buffer *sql, const struct preparation *preparation) {
    identifier_append_printable_qualified(sql, slice_of(preparation->settled.schema),
                                          slice_of(preparation->settled.table));
}

/* It has the candidates' columns and key. */
static bool create_settled(struct preparation *preparation, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, "create table ");
    append_settled(&sql, preparation);
    buffer_append_text(&sql, " (");
    for (int row = 0; row < PQntuples(preparation->columns); row++) {
        identifier_append(&sql, slice_of(PQgetvalue(preparation->columns, row, SETTLED_NAME)));
        buffer_printf(&sql, " %s, ", PQgetvalue(preparation->columns, row, SETTLED_TYPE));
    }
    buffer_append_text(&sql, MODE_NAME_SOURCE " text not null, primary key (");
    settle_sql_key(&sql, &preparation->settled);
    buffer_append_text(&sql, "))");
    return run_statements(preparation, &sql, err) ||
           error_wrap(err, "table %s.%s cannot be created on the target", preparation->settled.schema,
                      preparation->settled.table);
}

static void append_missing(struct buffer *sql, const struct preparation *preparation) {
    const char *glue = "alter table ";
    for (int row = 0; row < PQntuples(preparation->columns); row++) {
        if (result_is_true(preparation->columns, row, SETTLED_IN_TARGET))
            continue;
        buffer_append_text(sql, glue);
        if (glue[0] == 'a')
            append_settled(sql, preparation);
        buffer_append_text(sql, " add column ");
        identifier_append_printable(sql, slice_of(PQgetvalue(preparation->columns, row, SETTLED_NAME)));
        buffer_printf(sql, " %s", PQgetvalue(preparation->columns, row, SETTLED_TYPE));
        glue = ",";
    }
    if (is_there(preparation, THERE_SOURCE))
        return;
    buffer_append_text(sql, glue);
    if (glue[0] == 'a')
        append_settled(sql, preparation);
    buffer_append_text(sql, " add column " MODE_NAME_SOURCE " text");
}

static bool refuse_settled(const struct preparation *preparation, const char *problem, struct buffer *remedy,
                           struct error *err) {
    const char *text = buffer_text(remedy);
    error_set(err, ERROR_CONFIG, "target: table %s.%s cannot take the rows that on_clash or dedupe keep: %s",
              preparation->settled.schema, preparation->settled.table, problem);
    return error_remedy(err, "%s; then start again", text != NULL ? text : "compare it with the rule");
}

static bool refuse_lacks(const struct preparation *preparation, const char *problem, struct error *err) {
    struct buffer remedy AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    append_missing(&remedy, preparation);
    return refuse_settled(preparation, problem, &remedy, err);
}

static bool refuse_key(const struct preparation *preparation, struct error *err) {
    struct buffer remedy AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    buffer_append_text(&remedy, "create unique index on ");
    append_settled(&remedy, preparation);
    buffer_append_text(&remedy, " (");
    settle_sql_key(&remedy, &preparation->settled);
    buffer_append_text(&remedy, ")");
    return refuse_settled(preparation, "it has no unique index of the key", &remedy, err);
}

static bool refuse_loss(const struct preparation *preparation, struct error *err) {
    struct buffer remedy AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    buffer_append_text(&remedy, "alter table ");
    append_settled(&remedy, preparation);
    buffer_append_text(&remedy, " set logged");
    return refuse_settled(preparation, "it is unlogged, so a crash of that server would empty it", &remedy,
                          err);
}

/* sql: alter table NAME alter column ..., for each column that has another type in the two tables. */
static void append_types(struct buffer *sql, const struct preparation *preparation, bool of_candidates) {
    for (int row = 0; row < PQntuples(preparation->columns); row++) {
        if (result_is_true(preparation->columns, row, SETTLED_SAME_TYPE))
            continue;
        if (sql->size == 0) {
            buffer_append_text(sql, "alter table ");
            identifier_append_printable_qualified(
                sql, slice_of(preparation->settled.schema),
                slice_of(of_candidates ? preparation->settled.candidates : preparation->settled.table));
        } else {
            buffer_append_text(sql, ",");
        }
        buffer_append_text(sql, " alter column ");
        identifier_append_printable(sql, slice_of(PQgetvalue(preparation->columns, row, SETTLED_NAME)));
        const char *type =
            PQgetvalue(preparation->columns, row, of_candidates ? SETTLED_TARGET_TYPE : SETTLED_TYPE);
        buffer_printf(sql, of_candidates ? " type %s using null" : " type %s", type);
    }
}

static bool find_candidates(struct preparation *preparation, bool *ret_found, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *result AUTO_PGRESULT = NULL;
    buffer_append_text(&sql, "select from ");
    identifier_append_qualified(&sql, slice_of(preparation->settled.schema),
                                slice_of(preparation->settled.candidates));
    buffer_append_text(&sql, " limit 1");
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (!session_query(preparation->session, sql.data, 0, NULL,
                       &(const struct result_shape){"the query for candidates", 0, 1, 0, 0}, &result, err))
        return false;
    *ret_found = PQntuples(result) > 0;
    return true;
}

/* The types of a table that was there first are those of its candidates, before there are any. */
static bool agree_on_types(struct preparation *preparation, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    bool has_candidates = false;
    if (!find_candidates(preparation, &has_candidates, err))
        return false;
    if (has_candidates) {
        append_types(&sql, preparation, false);
        return sql.size == 0 ||
               refuse_settled(preparation, "its columns have other types than the candidates'", &sql, err);
    }
    append_types(&sql, preparation, true);
    return run_statements(preparation, &sql, err) && (sql.size == 0 || read_all(preparation, err));
}

static bool refuse_kind(const struct preparation *preparation, struct error *err) {
    error_set(err, ERROR_CONFIG, "target: %s.%s, which on_clash or dedupe settle, is not a plain table",
              preparation->settled.schema, preparation->settled.table);
    return error_remedy(err, "give it another name, so that the table can be created; then start again");
}

static bool check_settled(struct preparation *preparation, struct error *err) {
    if (!is_there(preparation, THERE_PLAIN))
        return refuse_kind(preparation, err);
    if (!is_there(preparation, THERE_LOGGED))
        return refuse_loss(preparation, err);
    if (!is_there(preparation, THERE_SOURCE) || (lacks_column(preparation) && !has_function(preparation)))
        return refuse_lacks(preparation, "it lacks columns", err);
    if (lacks_column(preparation) && is_there(preparation, THERE_OTHERS))
        return refuse_lacks(preparation, "it lacks a column, which is new, or is another one renamed", err);
    return is_there(preparation, THERE_KEY) || refuse_key(preparation, err);
}

/* A column that the candidates got later follows them. */
static bool complete_settled(struct preparation *preparation, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    if (!is_there(preparation, THERE_TABLE))
        return create_settled(preparation, err);
    if (!check_settled(preparation, err))
        return false;
    append_missing(&sql, preparation);
    return run_statements(preparation, &sql, err) && agree_on_types(preparation, err);
}

/* ---- the function ---- */

/* Finds the rows of a group; and the server proves that the expressions are immutable. */
static bool index_groups(struct preparation *preparation, struct error *err) {
    const struct settled *settled = &preparation->settled;
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct buffer name AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    buffer_printf(&name, "_pgcdc_by_%s", settled->table);
    if (!buffer_ok(&name))
        return error_no_memory(err);
    buffer_append_text(&sql, "drop index if exists ");
    identifier_append_qualified(&sql, slice_of(settled->schema), buffer_slice(&name));
    if (settled->policy->by_count > 0) {
        buffer_append_text(&sql, "; create index ");
        identifier_append(&sql, buffer_slice(&name));
        buffer_append_text(&sql, " on ");
        identifier_append_qualified(&sql, slice_of(settled->schema), slice_of(settled->candidates));
    }
    for (size_t i = 0; i < settled->policy->by_count; i++)
        buffer_printf(&sql, "%s(%s)", i == 0 ? " (" : ", ", settled->policy->by[i]);
    buffer_append_text(&sql, settled->policy->by_count > 0 ? ")" : "");
    if (run_statements(preparation, &sql, err))
        return true;
    if (err->kind == ERROR_DATA || err->kind == ERROR_CONFIG) {
        err->kind = ERROR_CONFIG;
        error_remedy(err,
                     "correct dedupe.by: expressions over the columns of %s.%s, which the server takes in "
                     "an index",
                     settled->schema, settled->table);
    }
    return false;
}

/* Each candidate is written once, as it is. */
static bool settle_again(struct preparation *preparation, struct error *err) {
    const struct settled *settled = &preparation->settled;
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, "delete from pgcdc.rejected where schema_name = ");
    literal_append(&sql, slice_of(settled->schema));
    buffer_append_text(&sql, " and table_name = ");
    literal_append(&sql, slice_of(settled->table));
    buffer_append_text(&sql, "; update ");
    identifier_append_qualified(&sql, slice_of(settled->schema), slice_of(settled->candidates));
    buffer_append_text(&sql, " set " MODE_NAME_SOURCE " = " MODE_NAME_SOURCE);
    return run_statements(preparation, &sql, err);
}

/* By another rule than before, or a column has come with values. */
static bool must_settle_again(const struct preparation *preparation) {
    struct buffer head AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    if (!has_function(preparation))
        return true;
    settle_sql_head(&head, &preparation->settled);
    bool must = !buffer_ok(&head) ||
                strncmp(PQgetvalue(preparation->state, 0, THERE_BODY), head.data, head.size) != 0;
    for (int row = 0; row < PQntuples(preparation->columns); row++)
        must = must || (!result_is_true(preparation->columns, row, SETTLED_IN_TARGET) &&
                        result_is_true(preparation->columns, row, SETTLED_HAS_VALUE));
    return must;
}

static bool attach(struct preparation *preparation, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    settle_sql_function(&sql, &preparation->settled, buffer_slice(&preparation->body));
    buffer_append_text(&sql, "; ");
    settle_sql_triggers(&sql, &preparation->settled);
    return run_statements(preparation, &sql, err);
}

/* Another engine may have done it while this one waited for the lock. */
static bool install(struct preparation *preparation, struct error *err) {
    if (!session_execute(preparation->session, "select pg_catalog.pg_advisory_xact_lock(7165065, 1)", err) ||
        !read_all(preparation, err))
        return false;
    if (PQntuples(preparation->columns) == 0 || is_complete(preparation))
        return true;
    const bool again = must_settle_again(preparation);
    FAULT_POINT("settle-before-install");
    if (!rejected_open(preparation->session, err) || !complete_settled(preparation, err) ||
        !index_groups(preparation, err) || !attach(preparation, err) ||
        (again && !settle_again(preparation, err)))
        return false;
    FAULT_POINT("settle-installed");
    return true;
}

bool settle_prepare(struct session *session, bool in_transaction, const struct row_policy *policy,
                    const char *schema, const char *candidates, struct error *err) {
    struct preparation preparation AUTO(preparation_release) = {
        .session = session,
        .settled = {.policy = policy,
                    .schema = schema,
                    .candidates = candidates,
                    .table = candidates + strlen(CANDIDATES_PREFIX)},
        .body = {.bytes_max = SQL_BYTES_MAX}};
    if (!read_all(&preparation, err))
        return false;
    if (PQntuples(preparation.columns) == 0 || is_complete(&preparation))
        return true;
    if (in_transaction)
        return install(&preparation, err);
    return session_execute(session, "begin isolation level read committed", err) &&
           install(&preparation, err) && session_execute(session, "commit", err);
}

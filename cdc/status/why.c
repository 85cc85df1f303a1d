/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why.c - looks for the row, and for the rows that its new values conflict with.
 */
#include "cdc/status/why.h"

#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "cdc/pq/session.h"

enum { PARAMETERS_MAX = 2 * RELATION_COLUMNS_MAX };

#define SQL_BYTES_MAX (1u << 20)

/* The columns of the unique indexes on columns alone, the primary key's first. */
static const char INDEXES[] =
    "select c.relname, a.attname, i.indisprimary from pg_index i join pg_class c on c.oid = i.indexrelid"
    " cross join lateral unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) with ordinality k (attnum, n)"
    " join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum"
    " join pg_class t on t.oid = i.indrelid join pg_namespace s on s.oid = t.relnamespace"
    " where s.nspname = $1 and t.relname = $2 and i.indisunique and i.indisvalid and not i.indisexclusion"
    "   and i.indpred is null and i.indexprs is null"
    " order by i.indisprimary desc, c.relname, k.n";

enum { INDEX_NAME, INDEX_COLUMN, INDEX_PRIMARY };

/* The unique indexes on expressions or with a predicate, and exclusion constraints. */
static const char UNASKED[] =
    "select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid"
    " join pg_class t on t.oid = i.indrelid join pg_namespace s on s.oid = t.relnamespace"
    " where s.nspname = $1 and t.relname = $2 and i.indisvalid"
    "   and (i.indisexclusion or (i.indisunique and (i.indpred is not null or i.indexprs is not null)))"
    " order by 1";

struct asking {
    struct session session;
    PGresult *indexes;
    const struct change *change;
    struct arena *arena;
    struct why *why;
};

static void asking_release(struct asking *asking) {
    session_close(&asking->session);
    PQclear(asking->indexes);
}

/* ---- columns ---- */

static bool open_target(struct asking *asking, const struct sink *sink, struct error *err) {
    const struct session_options options = {.dsn = sink_config_find(sink->config, "dsn"),
                                            .password_file = sink_config_find(sink->config, "password_file"),
                                            .peer = "target",
                                            .application = sink->config->application,
                                            .stop = sink->stop};
    const struct relation *relation = asking->change->relation;
    const char *const parameters[] = {relation->schema.data, relation->name.data};
    return session_open(&asking->session, &options, err) && session_take_bytes(&asking->session, err) &&
           session_execute(&asking->session, "begin isolation level repeatable read read only", err) &&
           session_query(&asking->session, INDEXES, 2, parameters,
                         &(const struct result_shape){"the query for indexes", 0, RESULT_ROWS_ANY,
                                                      INDEX_PRIMARY + 1, 0},
                         &asking->indexes, err);
}

static int find_column(const struct relation *relation, const char *name) {
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (strcmp(relation->columns[i].name.data, name) == 0)
            return (int) i;
    return -1;
}

static bool has_primary_key(const struct asking *asking) {
    return asking->indexes != NULL && PQntuples(asking->indexes) > 0 &&
           PQgetvalue(asking->indexes, 0, INDEX_PRIMARY)[0] == 't';
}

/*
 * If the replica identity is the whole row, the row is named by the target's primary key; without one, by the
 * whole row.
 */
static bool is_key(const struct asking *asking, const struct column *column) {
    if (asking->change->relation->identity != REPLICA_IDENTITY_FULL || !has_primary_key(asking))
        return column->is_key;
    for (int row = 0; row < PQntuples(asking->indexes); row++)
        if (PQgetvalue(asking->indexes, row, INDEX_PRIMARY)[0] == 't' &&
            strcmp(PQgetvalue(asking->indexes, row, INDEX_COLUMN), column->name.data) == 0)
            return true;
    return false;
}

/* The old row's value; the new row's for an insert, or if no old values were sent. */
static const struct value *searched_value(const struct change *change, uint32_t column) {
    const struct value *values = change->old_values != NULL ? change->old_values : change->new_values;
    return &values[column];
}

/* The new row's value; for an unchanged large value, the old row's if known. NULL: unknown. */
static const struct value *new_value(const struct change *change, uint32_t column) {
    const struct value *value = &change->new_values[column];
    if (value->kind == VALUE_UNCHANGED && change->old_values != NULL)
        value = &change->old_values[column];
    return value->kind == VALUE_TEXT ? value : NULL;
}

static bool take_key(struct asking *asking, struct error *err) {
    const struct relation *relation = asking->change->relation;
    struct named_values *key = &asking->why->key;
    key->items = arena_alloc_zero(asking->arena, (relation->column_count + 1) * sizeof *key->items);
    if (key->items == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < relation->column_count; i++) {
        const struct value *value = searched_value(asking->change, i);
        if (is_key(asking, &relation->columns[i]) && value->kind != VALUE_UNCHANGED)
            key->items[key->count++] = (struct named_value){.name = relation->columns[i].name,
                                                            .text = value_slice(value),
                                                            .is_null = value->kind == VALUE_NULL};
    }
    return true;
}

/* ---- questions ---- */

struct question {
    struct buffer sql;
    const char *parameters[PARAMETERS_MAX];
    int count;
    struct arena *arena;
    bool failed;
};

static void add_condition(struct question *question, const char *word, struct slice name, struct slice text,
                          bool is_null) {
    buffer_append_text(&question->sql, word);
    identifier_append(&question->sql, name);
    if (is_null) {
        buffer_append_text(&question->sql, " is null");
        return;
    }
    const char *copy = arena_copy(question->arena, text);
    question->failed |= copy == NULL || question->count == PARAMETERS_MAX;
    if (question->failed)
        return;
    question->parameters[question->count++] = copy;
    buffer_printf(&question->sql, " = $%d", question->count);
}

static void add_key(struct question *question, const struct named_values *key) {
    for (size_t i = 0; i < key->count; i++)
        add_condition(question, i == 0 ? "(" : " and ", key->items[i].name, key->items[i].text,
                      key->items[i].is_null);
    buffer_append_text(&question->sql, ")");
}

static void begin_question(struct question *question, const struct asking *asking) {
    const struct named_values *key = &asking->why->key;
    const struct relation *relation = asking->change->relation;
    buffer_append_text(&question->sql, "select ");
    for (size_t i = 0; i < key->count; i++) {
        buffer_append_text(&question->sql, i == 0 ? "" : ", ");
        identifier_append(&question->sql, key->items[i].name);
    }
    buffer_append_text(&question->sql, " from ");
    identifier_append_qualified(&question->sql, relation->schema, relation->name);
    buffer_append_text(&question->sql, " where ");
}

/* A query that the target refuses has no answer: *ret_result is NULL, and the transaction continues. */
static bool why_query(struct asking *asking, struct question *question, PGresult **ret_result,
                      struct error *err) {
    buffer_append_text(&question->sql, " limit 1");
    if (question->failed || buffer_text(&question->sql) == NULL)
        return error_no_memory(err);
    if (!session_execute(&asking->session, "savepoint asked", err))
        return false;
    const struct result_shape shape = {"the query for a row", 0, 1, (int) asking->why->key.count,
                                       RESULT_NULL_ANYWHERE};
    if (session_query(&asking->session, question->sql.data, question->count, question->parameters, &shape,
                      ret_result, err))
        return true;
    return err->sqlstate[0] != '\0' && err->kind != ERROR_RETRY &&
           session_execute(&asking->session, "rollback to asked", err);
}

static void question_release(struct question *question) {
    buffer_release(&question->sql);
}

static bool ask_row(struct asking *asking, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    struct question question AUTO(question_release) = {.sql = {.bytes_max = SQL_BYTES_MAX},
                                                       .arena = asking->arena};
    if (asking->why->key.count == 0)
        return true;
    begin_question(&question, asking);
    add_key(&question, &asking->why->key);
    if (!why_query(asking, &question, &result, err))
        return false;
    asking->why->is_known = result != NULL;
    asking->why->exists = result != NULL && PQntuples(result) > 0;
    return true;
}

/* ---- clashes ---- */

static bool take_clash(struct asking *asking, const char *constraint, const PGresult *row,
                       struct error *err) {
    struct why *why = asking->why;
    struct why_clash *clash = &why->clashes[why->clash_count];
    clash->constraint = slice_of(arena_copy(asking->arena, slice_of(constraint)));
    clash->row.items = arena_alloc_zero(asking->arena, (why->key.count + 1) * sizeof *clash->row.items);
    if (clash->constraint.data == NULL || clash->row.items == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < why->key.count; i++) {
        const struct slice text = {.data = PQgetvalue(row, 0, (int) i),
                                   .size = (size_t) PQgetlength(row, 0, (int) i)};
        struct named_value *value = &clash->row.items[clash->row.count++];
        *value = (struct named_value){.name = why->key.items[i].name,
                                      .text = {.data = arena_copy(asking->arena, text), .size = text.size},
                                      .is_null = PQgetisnull(row, 0, (int) i) == 1};
        if (value->text.data == NULL)
            return error_no_memory(err);
    }
    why->clash_count++;
    return true;
}

/*
 * Rows first to end - 1 of the result are one index. It cannot be queried for NULL or for an unknown value.
 */
static bool ask_clash(struct asking *asking, int first, int end, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    struct question question AUTO(question_release) = {.sql = {.bytes_max = SQL_BYTES_MAX},
                                                       .arena = asking->arena};
    const struct relation *relation = asking->change->relation;
    begin_question(&question, asking);
    for (int row = first; row < end; row++) {
        int column = find_column(relation, PQgetvalue(asking->indexes, row, INDEX_COLUMN));
        const struct value *value = column >= 0 ? new_value(asking->change, (uint32_t) column) : NULL;
        if (value == NULL)
            return true;
        add_condition(&question, row == first ? "" : " and ", relation->columns[column].name,
                      value_slice(value), false);
    }
    if (asking->change->kind == CHANGE_UPDATE) {
        buffer_append_text(&question.sql, " and not ");
        add_key(&question, &asking->why->key);
    }
    if (!why_query(asking, &question, &result, err))
        return false;
    if (result == NULL || PQntuples(result) == 0)
        return true;
    return take_clash(asking, PQgetvalue(asking->indexes, first, INDEX_NAME), result, err);
}

static bool ask_clashes(struct asking *asking, struct error *err) {
    const int count = PQntuples(asking->indexes);
    if (asking->change->new_values == NULL || asking->why->key.count == 0)
        return true;
    asking->why->clashes =
        arena_alloc_zero(asking->arena, ((size_t) count + 1) * sizeof *asking->why->clashes);
    if (asking->why->clashes == NULL)
        return error_no_memory(err);
    for (int first = 0, end = 0; first < count; first = end) {
        for (end = first; end < count && strcmp(PQgetvalue(asking->indexes, end, INDEX_NAME),
                                                PQgetvalue(asking->indexes, first, INDEX_NAME)) == 0;)
            end++;
        if (!ask_clash(asking, first, end, err))
            return false;
    }
    return true;
}

static bool take_unasked(struct asking *asking, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    struct why *why = asking->why;
    const struct relation *relation = asking->change->relation;
    const char *const parameters[] = {relation->schema.data, relation->name.data};
    if (asking->change->new_values == NULL)
        return true;
    if (!session_query(&asking->session, UNASKED, 2, parameters,
                       &(const struct result_shape){"the query for indexes", 0, RESULT_ROWS_ANY, 1, 0},
                       &result, err))
        return false;
    why->unasked = arena_alloc_zero(asking->arena, ((size_t) PQntuples(result) + 1) * sizeof *why->unasked);
    if (why->unasked == NULL)
        return error_no_memory(err);
    for (int row = 0; row < PQntuples(result); row++) {
        const char *name = arena_copy(asking->arena, slice_of(PQgetvalue(result, row, 0)));
        if (name == NULL)
            return error_no_memory(err);
        why->unasked[why->unasked_count++] = slice_of(name);
    }
    return true;
}

static const char *kind_of(const struct why *why, const struct change *change) {
    if (!why->is_known)
        return NULL;
    if (change->kind == CHANGE_DELETE)
        return why->exists ? NULL : conflict_kind_name(CONFLICT_DELETE_MISSING);
    if (change->kind == CHANGE_UPDATE && !why->exists)
        return conflict_kind_name(CONFLICT_UPDATE_MISSING);
    if (why->clash_count > 1)
        return conflict_kind_name(CONFLICT_MULTIPLE_UNIQUE_CONFLICTS);
    if (why->clash_count == 0)
        return NULL;
    return conflict_kind_name(change->kind == CHANGE_UPDATE ? CONFLICT_UPDATE_EXISTS
                                                            : CONFLICT_INSERT_EXISTS);
}

bool why_take_key(struct why *why, const struct change *change, struct arena *arena, struct error *err) {
    struct asking asking = {.change = change, .arena = arena, .why = why};
    *why = (struct why){0};
    return take_key(&asking, err);
}

bool why_ask(struct why *why, const struct change *change, const struct sink *sink, struct arena *arena,
             struct error *err) {
    struct asking asking AUTO(asking_release) = {.change = change, .arena = arena, .why = why};
    *why = (struct why){.is_asked = true};
    if (!open_target(&asking, sink, err) || !take_key(&asking, err) || !ask_row(&asking, err) ||
        !ask_clashes(&asking, err) || !take_unasked(&asking, err))
        return false;
    why->kind = kind_of(why, change);
    return true;
}

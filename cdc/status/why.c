/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why.c - looks for the row, and names the conflict.
 */
#include "cdc/status/why.h"

#include <string.h>

#include "cdc/pq/identifier.h"
#include "cdc/status/why_asking.h"

/* The target's columns in order; nextval() may not be evaluated, because that would change the sequence. */
static const char COLUMNS[] =
    "select a.attname, format_type(a.atttypid, a.atttypmod),"
    " case when pg_get_expr(d.adbin, d.adrelid) not like '%nextval(%' then pg_get_expr(d.adbin, d.adrelid) "
    "end,"
    " a.attgenerated <> '', coalesce(a.attnum = any((p.indkey::int2[])[0:p.indnkeyatts - 1]), false)"
    " from pg_attribute a join pg_class t on t.oid = a.attrelid join pg_namespace s on s.oid = t.relnamespace"
    " left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum"
    " left join pg_index p on p.indrelid = a.attrelid and p.indisprimary"
    " where s.nspname = $1 and t.relname = $2 and a.attnum > 0 and not a.attisdropped order by a.attnum";

static void asking_release(struct asking *asking) {
    session_close(&asking->session);
    PQclear(asking->columns);
}

/* ---- columns ---- */

static bool open_target(struct asking *asking, const struct sink *sink, struct error *err) {
    struct session_options options = {.stop = sink->stop};
    sink->ops->admin->target(sink->config, &options);
    const struct relation *relation = asking->change->relation;
    const char *const parameters[] = {relation->schema.data, relation->name.data};
    return session_open(&asking->session, &options, err) && session_take_bytes(&asking->session, err) &&
           session_execute(&asking->session, "begin isolation level repeatable read read only", err) &&
           session_query(&asking->session, COLUMNS, 2, parameters,
                         &(const struct result_shape){"the query for columns", 0, RESULT_ROWS_ANY,
                                                      COLUMN_IS_PRIMARY + 1, 1u << COLUMN_DEFAULT},
                         &asking->columns, err);
}

static bool is_primary(const struct asking *asking, const char *name) {
    for (int row = 0; asking->columns != NULL && row < PQntuples(asking->columns); row++)
        if (strcmp(PQgetvalue(asking->columns, row, COLUMN_NAME), name) == 0)
            return result_is_true(asking->columns, row, COLUMN_IS_PRIMARY);
    return false;
}

/*
 * If the replica identity is the whole row, or if there is none, the row is named by the target's primary
 * key; without one, by the columns of the replica identity.
 */
static bool is_named_by_target(const struct asking *asking) {
    const struct relation *relation = asking->change->relation;
    bool has_primary = false, has_key = false;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        has_primary |= is_primary(asking, relation->columns[i].name.data);
        has_key |= relation->columns[i].is_key;
    }
    return has_primary && (!has_key || relation->identity == REPLICA_IDENTITY_FULL);
}

/* The old row's value; the new row's for an insert, or if no old values were sent. */
static const struct value *searched_value(const struct change *change, uint32_t column) {
    const struct value *values = change->old_values != NULL ? change->old_values : change->new_values;
    return &values[column];
}

static bool take_key(struct asking *asking, struct error *err) {
    const struct relation *relation = asking->change->relation;
    struct named_values *key = &asking->why->key;
    const bool by_target = is_named_by_target(asking);
    key->items = arena_alloc_zero(asking->arena, (relation->column_count + 1) * sizeof *key->items);
    if (key->items == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < relation->column_count; i++) {
        const struct value *value = searched_value(asking->change, i);
        const struct column *column = &relation->columns[i];
        const bool is_key = by_target ? is_primary(asking, column->name.data) : column->is_key;
        if (is_key && value->kind != VALUE_UNCHANGED)
            key->items[key->count++] = (struct named_value){
                .name = column->name, .text = value_slice(value), .is_null = value->kind == VALUE_NULL};
    }
    return true;
}

/* ---- questions ---- */

static bool ask_row(struct asking *asking, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    struct question question AUTO(question_release);
    const struct named_values *key = &asking->why->key;
    const struct relation *relation = asking->change->relation;
    question_init(&question, asking->arena);
    if (key->count == 0)
        return true;
    for (size_t i = 0; i < key->count; i++) {
        buffer_append_text(&question.sql, i == 0 ? "select " : ", ");
        identifier_append(&question.sql, key->items[i].name);
    }
    buffer_append_text(&question.sql, " from ");
    identifier_append_qualified(&question.sql, relation->schema, relation->name);
    buffer_append_text(&question.sql, " where ");
    question_add_key(&question, key);
    if (!question_ask(&question, asking, &result, err))
        return false;
    asking->why->is_known = result != NULL;
    asking->why->exists = result != NULL && PQntuples(result) > 0;
    return true;
}

/* PostgreSQL has no kind for an exclusion constraint. */
static size_t count_unique(const struct why *why) {
    size_t count = 0;
    for (size_t i = 0; i < why->clash_count; i++)
        count += !why->clashes[i].is_exclusion;
    return count;
}

static const char *kind_of(const struct why *why, const struct change *change) {
    if (!why->is_known)
        return NULL;
    if (change->kind == CHANGE_DELETE)
        return why->exists ? NULL : conflict_kind_name(CONFLICT_DELETE_MISSING);
    if (change->kind == CHANGE_UPDATE && !why->exists)
        return conflict_kind_name(CONFLICT_UPDATE_MISSING);
    if (count_unique(why) > 1)
        return conflict_kind_name(CONFLICT_MULTIPLE_UNIQUE_CONFLICTS);
    if (count_unique(why) == 0)
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
        !why_ask_clashes(&asking, err))
        return false;
    why->kind = kind_of(why, change);
    return true;
}

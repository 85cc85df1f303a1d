/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why_clash.c - which row of the target conflicts with the new row, for each unique or exclusion constraint.
 *
 * The target evaluates the constraint itself, with the text that its catalog has of expressions and
 * predicate:
 *
 *     select there.r0
 *     from (select "id" as r0, (lower(v)) as e0 from "public"."t" where (id > 0)) there,
 *          (select (lower(v)) as e0 from (NEW) row where (id > 0)) new
 *     where (there.e0 operator(pg_catalog.=) new.e0)
 *
 * NEW selects the new row: the change's values; for an update also those of the target's row that the change
 * does not have, for an insert defaults; then what the target generates. Names in such a text have no table
 * before them, so each text is in a query of its own, which has only one table.
 */
#include <string.h>

#include "cdc/pq/identifier.h"
#include "cdc/status/why_asking.h"

/*
 * The columns and expressions of each index, the primary key's first. A partition may have an index that the
 * table does not have; those that belong to an index of the table are not asked twice. The operator is the
 * constraint's, for a unique index the equality of a btree (strategy 3). indnullsnotdistinct exists since 15.
 */
static const char CONSTRAINTS[] =
    "select x.relname, pg_get_indexdef(i.indexrelid, k.n, false), format('operator(%I.%s)', os.nspname, "
    "o.oprname),"
    " case when l.oid is not null then format('collate %I.%I', ls.nspname, l.collname) else '' end,"
    " coalesce(pg_get_expr(i.indpred, i.indrelid), 'true'),"
    " coalesce(to_jsonb(i) ->> 'indnullsnotdistinct', 'false'), i.indisexclusion, t.relkind = 'r',"
    " i.indexrelid, case when r.relkind = 'r' then 'only ' else '' end || format('%I.%I', rs.nspname, "
    "r.relname),"
    " case when r.oid = t.oid then 'true' else coalesce(pg_get_partition_constraintdef(r.oid), 'true') end"
    " from pg_class t join pg_namespace s on s.oid = t.relnamespace"
    " cross join lateral (select t.oid union select p.relid from pg_partition_tree(t.oid) p) of (relid)"
    " join pg_class r on r.oid = of.relid join pg_namespace rs on rs.oid = r.relnamespace"
    " join pg_index i on i.indrelid = r.oid join pg_class x on x.oid = i.indexrelid"
    " left join pg_constraint c on c.conindid = i.indexrelid and c.conrelid = i.indrelid and c.contype in "
    "('p', "
    "'u', 'x')"
    " cross join lateral generate_series(1, i.indnkeyatts::int) k (n)"
    " join pg_opclass p on p.oid = i.indclass[k.n - 1]"
    " left join pg_amop a on a.amopfamily = p.opcfamily and a.amoplefttype = p.opcintype"
    "  and a.amoprighttype = p.opcintype and a.amopstrategy = 3"
    " left join pg_operator o on o.oid = case when i.indisexclusion then c.conexclop[k.n] else a.amopopr end"
    " left join pg_namespace os on os.oid = o.oprnamespace"
    " left join pg_collation l on l.oid = i.indcollation[k.n - 1]"
    " left join pg_namespace ls on ls.oid = l.collnamespace"
    " where s.nspname = $1 and t.relname = $2 and (i.indisunique or i.indisexclusion) and i.indisvalid"
    " and (r.oid = t.oid or not exists (select from pg_inherits h where h.inhrelid = i.indexrelid))"
    " order by i.indisprimary desc, x.relname, i.indexrelid, k.n";

enum {
    NAME,
    EXPRESSION,
    OPERATOR,
    COLLATION,
    PREDICATE,
    NULLS_EQUAL,
    IS_EXCLUSION,
    IS_ORDINARY,
    INDEX,
    RELATION, /* that has the index: the table, or a partition of it */
    BELONGS,  /* does a row belong into that partition? */
    FIELDS,
};

/* ---- the new row ---- */

/* The change's value; for an unchanged large value the old row's. NULL: the change does not have it. */
static const struct value *value_of(const struct change *change, const char *name) {
    const struct relation *relation = change->relation;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        if (strcmp(relation->columns[i].name.data, name) != 0)
            continue;
        const struct value *value = &change->new_values[i];
        if (value->kind == VALUE_UNCHANGED && change->old_values != NULL)
            value = &change->old_values[i];
        return value->kind == VALUE_UNCHANGED ? NULL : value;
    }
    return NULL;
}

static void add_typed(struct question *question, const PGresult *columns, int row,
                      const struct value *value) {
    if (value != NULL && value->kind != VALUE_NULL)
        question_add_value(question, value_slice(value));
    else if (value == NULL && !PQgetisnull(columns, row, COLUMN_DEFAULT))
        buffer_printf(&question->sql, "(%s)", PQgetvalue(columns, row, COLUMN_DEFAULT));
    else
        buffer_append_text(&question->sql, "null");
    buffer_printf(&question->sql, "::%s as ", PQgetvalue(columns, row, COLUMN_TYPE));
}

static void add_plain_columns(struct question *question, const struct asking *asking) {
    const char *before = "";
    for (int row = 0; row < PQntuples(asking->columns); row++) {
        const char *name = PQgetvalue(asking->columns, row, COLUMN_NAME);
        const struct value *value = value_of(asking->change, name);
        if (result_is_true(asking->columns, row, COLUMN_IS_GENERATED))
            continue;
        buffer_append_text(&question->sql, before);
        if (value != NULL || asking->change->kind != CHANGE_UPDATE)
            add_typed(question, asking->columns, row, value);
        identifier_append(&question->sql, slice_of(name));
        before = ", ";
    }
}

static void add_table(struct question *question, const struct asking *asking, bool is_ordinary) {
    buffer_append_text(&question->sql, is_ordinary ? " from only " : " from ");
    identifier_append_qualified(&question->sql, asking->change->relation->schema,
                                asking->change->relation->name);
}

static void add_new_row(struct question *question, const struct asking *asking, bool is_ordinary) {
    buffer_append_text(&question->sql, "(select *");
    for (int row = 0; row < PQntuples(asking->columns); row++) {
        if (!result_is_true(asking->columns, row, COLUMN_IS_GENERATED))
            continue;
        buffer_printf(&question->sql, ", (%s)::%s as ", PQgetvalue(asking->columns, row, COLUMN_DEFAULT),
                      PQgetvalue(asking->columns, row, COLUMN_TYPE));
        identifier_append(&question->sql, slice_of(PQgetvalue(asking->columns, row, COLUMN_NAME)));
    }
    buffer_append_text(&question->sql, " from (select ");
    add_plain_columns(question, asking);
    if (asking->change->kind == CHANGE_UPDATE) {
        add_table(question, asking, is_ordinary);
        buffer_append_text(&question->sql, " where ");
        question_add_key(question, &asking->why->key);
        buffer_append_text(&question->sql, " limit 1");
    }
    buffer_append_text(&question->sql, ") plain) row");
}

/* ---- the question ---- */

/* Rows first to end - 1 of the result are one constraint. */
struct constraint {
    const PGresult *result;
    int first;
    int end;
};

static void add_expressions(struct question *question, const struct constraint *constraint) {
    for (int row = constraint->first; row < constraint->end; row++)
        buffer_printf(&question->sql, "%s(%s) %s as e%d", row == constraint->first ? "" : ", ",
                      PQgetvalue(constraint->result, row, EXPRESSION),
                      PQgetvalue(constraint->result, row, COLLATION), row - constraint->first);
}

static void add_there(struct question *question, const struct asking *asking,
                      const struct constraint *constraint) {
    const struct named_values *key = &asking->why->key;
    buffer_append_text(&question->sql, "(select ");
    for (size_t i = 0; i < key->count; i++) {
        identifier_append(&question->sql, key->items[i].name);
        buffer_printf(&question->sql, " as r%zu, ", i);
    }
    add_expressions(question, constraint);
    buffer_printf(&question->sql, " from %s where (%s)",
                  PQgetvalue(constraint->result, constraint->first, RELATION),
                  PQgetvalue(constraint->result, constraint->first, PREDICATE));
    if (asking->change->kind == CHANGE_UPDATE) {
        buffer_append_text(&question->sql, " and ");
        question_add_key(question, key);
        buffer_append_text(&question->sql, " is not true");
    }
    buffer_append_text(&question->sql, ") there");
}

static void add_new(struct question *question, const struct asking *asking,
                    const struct constraint *constraint) {
    buffer_append_text(&question->sql, "(select ");
    add_expressions(question, constraint);
    buffer_append_text(&question->sql, " from ");
    add_new_row(question, asking, result_is_true(constraint->result, constraint->first, IS_ORDINARY));
    buffer_printf(&question->sql, " where (%s) and (%s)) new",
                  PQgetvalue(constraint->result, constraint->first, PREDICATE),
                  PQgetvalue(constraint->result, constraint->first, BELONGS));
}

static void add_comparison(struct question *question, const struct constraint *constraint) {
    const bool nulls_equal = result_is_true(constraint->result, constraint->first, NULLS_EQUAL);
    for (int row = constraint->first; row < constraint->end; row++) {
        const int n = row - constraint->first;
        buffer_printf(&question->sql, "%s(there.e%d %s new.e%d", n == 0 ? " where " : " and ", n,
                      PQgetvalue(constraint->result, row, OPERATOR), n);
        if (nulls_equal)
            buffer_printf(&question->sql, " or (there.e%d is null and new.e%d is null)", n, n);
        buffer_append_text(&question->sql, ")");
    }
}

static void add_question(struct question *question, const struct asking *asking,
                         const struct constraint *constraint) {
    for (size_t i = 0; i < asking->why->key.count; i++)
        buffer_printf(&question->sql, "%sthere.r%zu", i == 0 ? "select " : ", ", i);
    buffer_append_text(&question->sql, " from ");
    add_there(question, asking, constraint);
    buffer_append_text(&question->sql, ", ");
    add_new(question, asking, constraint);
    add_comparison(question, constraint);
}

/* ---- the answer ---- */

static bool take_clash(struct asking *asking, const struct constraint *constraint, const PGresult *row,
                       struct error *err) {
    struct why *why = asking->why;
    struct why_clash *clash = &why->clashes[why->clash_count];
    const char *name = PQgetvalue(constraint->result, constraint->first, NAME);
    clash->constraint = slice_of(arena_copy(asking->arena, slice_of(name)));
    clash->is_exclusion = result_is_true(constraint->result, constraint->first, IS_EXCLUSION);
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

static bool take_unasked(struct asking *asking, const struct constraint *constraint, struct error *err) {
    const char *name = PQgetvalue(constraint->result, constraint->first, NAME);
    const char *copy = arena_copy(asking->arena, slice_of(name));
    if (copy == NULL)
        return error_no_memory(err);
    asking->why->unasked[asking->why->unasked_count++] = slice_of(copy);
    return true;
}

static bool can_ask(const struct asking *asking, const struct constraint *constraint) {
    for (int row = constraint->first; row < constraint->end; row++)
        if (PQgetisnull(constraint->result, row, OPERATOR))
            return false;
    return asking->why->key.count > 0;
}

static bool ask_clash(struct asking *asking, const struct constraint *constraint, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    struct question question AUTO(question_release);
    question_init(&question, asking->arena);
    if (!can_ask(asking, constraint))
        return take_unasked(asking, constraint, err);
    add_question(&question, asking, constraint);
    if (!question_ask(&question, asking, &result, err))
        return false;
    if (result == NULL)
        return take_unasked(asking, constraint, err);
    return PQntuples(result) == 0 || take_clash(asking, constraint, result, err);
}

static bool ask_all(struct asking *asking, const PGresult *result, struct error *err) {
    const int count = PQntuples(result);
    for (int first = 0, end = 0; first < count; first = end) {
        const char *index = PQgetvalue(result, first, INDEX);
        for (end = first; end < count && strcmp(PQgetvalue(result, end, INDEX), index) == 0;)
            end++;
        if (!ask_clash(asking, &(const struct constraint){result, first, end}, err))
            return false;
    }
    return true;
}

bool why_ask_clashes(struct asking *asking, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    struct why *why = asking->why;
    const struct relation *relation = asking->change->relation;
    const char *const parameters[] = {relation->schema.data, relation->name.data};
    if (asking->change->new_values == NULL)
        return true;
    if (!session_query(&asking->session, CONSTRAINTS, 2, parameters,
                       &(const struct result_shape){"the query for constraints", 0, RESULT_ROWS_ANY, FIELDS,
                                                    1u << OPERATOR},
                       &result, err))
        return false;
    const size_t count = (size_t) PQntuples(result) + 1;
    why->clashes = arena_alloc_zero(asking->arena, count * sizeof *why->clashes);
    why->unasked = arena_alloc_zero(asking->arena, count * sizeof *why->unasked);
    if (why->clashes == NULL || why->unasked == NULL)
        return error_no_memory(err);
    return ask_all(asking, result, err);
}

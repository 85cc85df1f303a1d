/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sums.c - asks both sides about a part of a table.
 *
 *     select k & mask, count(*), sum(h) from (select hash(key) as k, hash(row) as h from table) rows
 *     group by 1
 *
 *     select distinct on (k) * from (select hash(key) as k, left(key's column, 1000) ... from table) rows
 *      where k = any($1) order by k
 */
#include "sinks/postgres/verify/sums.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"

#define SQL_BYTES_MAX (16 << 20)

#define MASK_WHOLE INT64_C(0)

static const struct expressions *expressions_of(const struct comparison_part *part) {
    return (const struct expressions *) part->table; /* the first member */
}

static bool wrap_part(const struct comparison_part *part, struct error *err) {
    return error_wrap(err, "comparing %s.%s", part->table->table->schema, part->table->table->name);
}

/* ---- the table of the snapshots ---- */

/*
 * The rows of a view (c.relfilenode is 0) and of a table without a file are not asked about. The catalog is
 * read in the snapshot, the functions know the present.
 */
static const char IS_WHOLE[] =
    "with recursive tree as (select t.oid, t.relkind from pg_catalog.pg_class t join pg_catalog.pg_namespace "
    "n"
    " on n.oid = t.relnamespace where n.nspname = $1 and t.relname = $2"
    " union all select c.oid, c.relkind from tree join pg_catalog.pg_inherits i on i.inhparent = tree.oid"
    " and tree.relkind = 'p' join pg_catalog.pg_class c on c.oid = i.inhrelid)"
    " select count(*) > 0 and coalesce(bool_and(c.relfilenode = 0"
    " or pg_catalog.pg_relation_filenode(c.oid) is not distinct from c.relfilenode), false)"
    " and (bool_and(c.relkind not in ('p')) or count(*) = (select count(*) from"
    " pg_catalog.pg_partition_tree((select oid from tree limit 1)::regclass)))"
    " and bool_or(c.oid = pg_catalog.format('%I.%I', $1::text, $2::text)::pg_catalog.regclass)"
    " from tree join pg_catalog.pg_class c on c.oid = tree.oid";

static bool side_is_whole(struct session *session, const char *from, const struct table *table,
                          bool *ret_whole, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *result AUTO_PGRESULT = NULL;
    buffer_printf(&sql, "select from %s limit 0", from);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (!session_query(session, sql.data, 0, NULL, &(const struct result_shape){"the lock", 0, 0, 0, 0},
                       &result, err))
        return false;
    PQclear(result);
    result = NULL;
    const char *const parameters[] = {table->schema, table->name};
    if (!session_query(session, IS_WHOLE, 2, parameters,
                       &(const struct result_shape){"the query for its file", 1, 1, 1, 1u}, &result, err))
        return false;
    *ret_whole = *ret_whole && PQgetvalue(result, 0, 0)[0] == 't';
    return true;
}

bool sums_hold(struct comparison *comparison, const struct comparison_table *table, bool *ret_whole,
               struct error *err) {
    struct target_comparison *of = (struct target_comparison *) comparison;
    const struct expressions *expressions = (const struct expressions *) table;
    *ret_whole = true;
    return side_is_whole(of->source, expressions->source_from, table->table, ret_whole, err) &&
           side_is_whole(&of->target, expressions->target.from, &expressions->compared.table, ret_whole, err);
}

/* ---- the condition of a part ---- */

bool sums_check_where(struct comparison *comparison, const struct comparison_table *table,
                      const char *where_sql, struct error *err) {
    struct target_comparison *of = (struct target_comparison *) comparison;
    const struct expressions *expressions = (const struct expressions *) table;
    const struct source_names names = expressions_names(expressions, of->config->name);
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    if (expressions->compared.map.rule == NULL)
        return true;
    buffer_append_text(&sql, "select from (select ");
    source_names_append(&sql, &names);
    buffer_printf(&sql, " from %s) \"pgcdc row\" where (%s\n) limit 0", expressions->target.from, where_sql);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    return session_execute(&of->target, sql.data, err) || source_names_explain(&names, err) ||
           error_wrap(err, "--where, for table %s.%s", table->table->schema, table->table->name);
}

/* ---- a part of a table ---- */

static void append_condition(struct buffer *sql, bool *has_condition) {
    buffer_append_text(sql, *has_condition ? " and (" : " where (");
    *has_condition = true;
}

static void append_comparison(struct buffer *sql, const char *column, const char *operator,
                              const char *bound) {
    identifier_append(sql, slice_of(column));
    buffer_append_text(sql, operator);
    literal_append(sql, slice_of(bound));
}

/* column: the side's. A target's may have nulls, which belong to the first range. */
static void append_range(struct buffer *sql, const struct chunk *range, const char *column,
                         bool *has_condition) {
    if (range->low != NULL) {
        append_condition(sql, has_condition);
        append_comparison(sql, column, " >= ", range->low);
        buffer_append_text(sql, ")");
    }
    if (range->high != NULL) {
        append_condition(sql, has_condition);
        append_comparison(sql, column, " < ", range->high);
        if (range->low == NULL) {
            buffer_append_text(sql, " or ");
            identifier_append(sql, slice_of(column));
            buffer_append_text(sql, " is null");
        }
        buffer_append_text(sql, ")");
    }
}

/* The end of a line ends a comment. */
static void append_where(const struct comparison_part *part, bool has_condition, struct buffer *sql) {
    if (part->where_sql == NULL)
        return;
    append_condition(sql, &has_condition);
    buffer_append_text(sql, part->where_sql);
    buffer_append_text(sql, "\n)");
}

/* The target's row under the source's names. It needs no others, as is known (sums_check_where). */
static void append_named_where(const struct comparison_part *part, bool has_condition, struct buffer *sql) {
    const struct source_names names = expressions_names(expressions_of(part), "");
    if (part->where_sql == NULL)
        return;
    append_condition(sql, &has_condition);
    buffer_append_text(sql, "select (");
    buffer_append_text(sql, part->where_sql);
    buffer_append_text(sql, "\n) from (select ");
    source_names_append(sql, &names);
    buffer_append_text(sql, ") \"pgcdc row\")");
}

/* What is staged is what the part has. */
static void append_source_conditions(const struct comparison_part *part, struct buffer *sql) {
    const struct expressions *expressions = expressions_of(part);
    bool has_condition = expressions->source.is_filtered;
    if (expressions->is_staged)
        return;
    if (part->range != NULL)
        append_range(sql, part->range, part->range->column, &has_condition);
    append_where(part, has_condition, sql);
}

static void append_target_conditions(const struct comparison_part *part, struct buffer *sql) {
    const struct expressions *expressions = expressions_of(part);
    bool has_condition = expressions->target.is_filtered;
    if (part->range != NULL)
        append_range(sql, part->range, expressions->target_divider, &has_condition);
    if (expressions->compared.map.rule != NULL)
        append_named_where(part, has_condition, sql);
    else
        append_where(part, has_condition, sql);
}

static void append_from(const struct comparison_part *part, const struct expression *side,
                        struct buffer *sql) {
    buffer_append_text(sql, side->from);
    if (side == &expressions_of(part)->source)
        append_source_conditions(part, sql);
    else
        append_target_conditions(part, sql);
}

/* Before a question: the source's rows, where they must be mapped first. */
static bool stage_part(struct comparison *comparison, const struct comparison_part *part, struct error *err) {
    struct target_comparison *of = (struct target_comparison *) comparison;
    const struct expressions *expressions = expressions_of(part);
    return !expressions->is_staged || stage_fill(&of->stage, &expressions->staged, part, of->source, err);
}

/* An array's text. */
static void append_keys(struct buffer *text, const struct comparison_keys *keys) {
    buffer_append_text(text, "{");
    for (size_t i = 0; i < keys->count; i++)
        buffer_printf(text, "%s%lld", i > 0 ? "," : "", (long long) keys->items[i]);
    buffer_append_text(text, "}");
}

/* ---- sums ---- */

/* A row that an event has added and another one has deleted is none. */
static void append_weighed(struct buffer *sql, const struct comparison_question *question) {
    buffer_printf(sql,
                  "select k & %lld, greatest(sum(w), 0)::bigint, (sum(h * w) %% 9223372036854775807)::bigint"
                  " from (",
                  (long long) question->mask);
}

/* Sums are taken modulo the largest bigint, so that they fit in one. */
static void append_sum(const struct comparison_question *question, const struct expression *side,
                       struct buffer *sql) {
    if (side->weight != NULL)
        append_weighed(sql, question);
    else
        buffer_printf(sql, "select k & %lld, count(*), (sum(h) %% 9223372036854775807)::bigint from (",
                      (long long) question->mask);
    buffer_printf(sql, "select %s as k, %s as h", question->mask == MASK_WHOLE ? "0::bigint" : side->key,
                  side->row);
    if (side->weight != NULL)
        buffer_printf(sql, ", %s::numeric as w", side->weight);
    buffer_append_text(sql, " from ");
    append_from(&question->part, side, sql);
    buffer_append_text(sql, ") rows");
    if (question->open_mask != MASK_WHOLE)
        buffer_printf(sql, " where k & %lld = any($1::bigint[])", (long long) question->open_mask);
    buffer_printf(sql, " group by 1%s order by 1",
                  side->weight != NULL ? " having sum(w) <> 0 or sum(h * w) <> 0" : "");
}

static int64_t get_key(const PGresult *result, int row) {
    return row < PQntuples(result) ? strtoll(PQgetvalue(result, row, 0), NULL, 10) : INT64_MAX;
}

static struct difference_sum get_sum(const PGresult *result, int row) {
    return (struct difference_sum){.count = strtoull(PQgetvalue(result, row, 1), NULL, 10),
                                   .hash = strtoll(PQgetvalue(result, row, 2), NULL, 10)};
}

bool sums_merge(struct comparison_answer *answer, const PGresult *source, const PGresult *target,
                struct error *err) {
    int source_row = 0, target_row = 0;
    while (source_row < PQntuples(source) || target_row < PQntuples(target)) {
        int64_t source_key = get_key(source, source_row), target_key = get_key(target, target_row);
        struct difference difference = {.key = source_key < target_key ? source_key : target_key,
                                        .streak = 1};
        if (source_row < PQntuples(source) && source_key == difference.key)
            difference.source = get_sum(source, source_row++);
        if (target_row < PQntuples(target) && target_key == difference.key)
            difference.target = get_sum(target, target_row++);
        answer->source_rows += difference.source.count;
        answer->target_rows += difference.target.count;
        answer->source_hash = hash_sum_add(answer->source_hash, difference.source.hash);
        answer->target_hash = hash_sum_add(answer->target_hash, difference.target.hash);
        bool is_equal = difference.source.count == difference.target.count &&
                        difference.source.hash == difference.target.hash;
        if (!is_equal && !differences_append(&answer->differences, &difference))
            return error_no_memory(err);
    }
    return true;
}

bool sums_ask(struct comparison *comparison, const struct comparison_question *question,
              struct comparison_answer *ret_answer, struct error *err) {
    const struct expressions *expressions = expressions_of(&question->part);
    struct buffer source_sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct buffer target_sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct buffer open AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct both_answers answers AUTO(both_answers_release) = {0};
    append_sum(question, &expressions->source, &source_sql);
    append_sum(question, &expressions->target, &target_sql);
    append_keys(&open, &question->open_keys);
    if (buffer_text(&source_sql) == NULL || buffer_text(&target_sql) == NULL || buffer_text(&open) == NULL)
        return error_no_memory(err);
    const struct both_question both = {.source_sql = source_sql.data,
                                       .target_sql = target_sql.data,
                                       .parameter = question->open_mask != MASK_WHOLE ? open.data : NULL,
                                       .is_staged = expressions->is_staged,
                                       .shape = {"the query for sums", 0, RESULT_ROWS_ANY, 3, 0}};
    if (!stage_part(comparison, &question->part, err) ||
        !both_sides_ask((struct target_comparison *) comparison, &both, &answers, err))
        return wrap_part(&question->part, err);
    return sums_merge(ret_answer, answers.source, answers.target, err);
}

bool sums_count_narrowed(struct comparison *comparison, const struct comparison_part *part,
                         uint64_t *ret_rows, struct error *err) {
    const struct expressions *expressions = expressions_of(part);
    PGresult *result AUTO_PGRESULT = NULL;
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, expressions->count_narrowed);
    append_source_conditions(part, &sql);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (!session_query(((struct target_comparison *) comparison)->source, sql.data, 0, NULL,
                       &(const struct result_shape){"the query for narrowed rows", 1, 1, 1, 0}, &result, err))
        return wrap_part(part, err);
    *ret_rows = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    return true;
}

/* ---- rows, by their keys ---- */

static bool ask_rows(struct comparison *comparison, const struct comparison_part *part,
                     const struct comparison_keys *keys, struct both_question *question,
                     struct both_answers *ret_answers, struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    append_keys(&text, keys);
    question->parameter = buffer_text(&text);
    if (question->parameter == NULL || question->source_sql == NULL || question->target_sql == NULL)
        return error_no_memory(err);
    question->is_staged = expressions_of(part)->is_staged;
    return (stage_part(comparison, part, err) &&
            both_sides_ask((struct target_comparison *) comparison, question, ret_answers, err)) ||
           wrap_part(part, err);
}

static const char *write_columns(const struct comparison_part *part, const struct expression *side,
                                 struct buffer *sql) {
    buffer_printf(sql, "select * from (select %s as k, %s from ", side->key, side->columns);
    append_from(part, side, sql);
    buffer_append_text(sql, ") rows where k = any($1::bigint[]) order by k");
    return buffer_text(sql);
}

static bool cells_equal(const PGresult *source, const PGresult *target, int row, int column) {
    if (PQgetisnull(source, row, column) != PQgetisnull(target, row, column))
        return false;
    return strcmp(PQgetvalue(source, row, column), PQgetvalue(target, row, column)) == 0;
}

static void note_columns(const struct comparison_part *part, const struct both_answers *answers,
                         bool *differs) {
    const int rows = PQntuples(answers->source);
    for (int row = 0; row < rows && row < PQntuples(answers->target); row++) {
        if (strcmp(PQgetvalue(answers->source, row, 0), PQgetvalue(answers->target, row, 0)) != 0)
            return; /* two keys have one hash */
        for (size_t i = 0; i < part->table->column_count; i++)
            differs[i] |= !cells_equal(answers->source, answers->target, row, (int) i + 1);
    }
}

bool sums_find_columns(struct comparison *comparison, const struct comparison_part *part,
                       const struct comparison_keys *keys, bool *differs, struct error *err) {
    const struct expressions *expressions = expressions_of(part);
    struct buffer source_sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct buffer target_sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct both_answers answers AUTO(both_answers_release) = {0};
    struct both_question question = {.source_sql = write_columns(part, &expressions->source, &source_sql),
                                     .target_sql = write_columns(part, &expressions->target, &target_sql),
                                     .shape = {"the query for columns that differ", 0, RESULT_ROWS_ANY,
                                               (int) part->table->column_count + 1, RESULT_NULL_ANYWHERE}};
    if (!ask_rows(comparison, part, keys, &question, &answers, err))
        return false;
    note_columns(part, &answers, differs);
    return true;
}

static const char *write_shown(const struct comparison_part *part, const struct expression *side,
                               struct buffer *sql) {
    buffer_printf(sql, "select distinct on (k) * from (select %s as k, %s from ", side->key, side->shown);
    append_from(part, side, sql);
    buffer_append_text(sql, ") rows where k = any($1::bigint[]) order by k");
    return buffer_text(sql);
}

static int find_row(const PGresult *rows, int64_t key) {
    int low = 0, high = PQntuples(rows);
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (strtoll(PQgetvalue(rows, middle, 0), NULL, 10) < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < PQntuples(rows) && strtoll(PQgetvalue(rows, low, 0), NULL, 10) == key ? low : -1;
}

static bool keep_row(const PGresult *rows, int row, size_t column_count, struct arena *arena,
                     struct comparison_row *ret_row) {
    struct slice *values = arena_alloc_zero(arena, (column_count + 1) * sizeof *values);
    for (size_t i = 0; values != NULL && i < column_count; i++) {
        const int field = (int) i + 1;
        if (PQgetisnull(rows, row, field))
            continue;
        values[i].size = (size_t) PQgetlength(rows, row, field);
        values[i].data =
            arena_copy(arena, (struct slice){.data = PQgetvalue(rows, row, field), .size = values[i].size});
        if (values[i].data == NULL)
            return false;
    }
    ret_row->values = values;
    return values != NULL;
}

bool sums_read_rows(struct comparison *comparison, const struct comparison_part *part,
                    const struct comparison_keys *keys, struct arena *arena, struct comparison_row *ret_rows,
                    struct error *err) {
    const struct expressions *expressions = expressions_of(part);
    struct buffer source_sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct buffer target_sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct both_answers answers AUTO(both_answers_release) = {0};
    struct both_question question = {.source_sql = write_shown(part, &expressions->source, &source_sql),
                                     .target_sql = write_shown(part, &expressions->target, &target_sql),
                                     .shape = {"the query for keys", 0, RESULT_ROWS_ANY,
                                               (int) part->table->shown_count + 1, RESULT_NULL_ANYWHERE}};
    if (!ask_rows(comparison, part, keys, &question, &answers, err))
        return false;
    for (size_t i = 0; i < keys->count; i++) {
        const PGresult *const sides[] = {answers.source, answers.target};
        ret_rows[i] = (struct comparison_row){0};
        for (size_t j = 0; j < 2 && ret_rows[i].values == NULL; j++) {
            const int row = find_row(sides[j], keys->items[i]);
            if (row >= 0 && !keep_row(sides[j], row, part->table->shown_count, arena, &ret_rows[i]))
                return error_no_memory(err);
        }
    }
    return true;
}

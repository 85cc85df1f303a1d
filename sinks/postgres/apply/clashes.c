/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clashes.c - one query: for each unique index, does another row have these values?
 */
#include "sinks/postgres/apply/clashes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "sinks/postgres/apply/row_change.h"

#define SQL_BYTES_MAX (1u << 20)
#define ARENA_BYTES_MAX (UINT64_C(1) << 30) /* two rows at most */

enum { BLOCK_BYTES = 16 * 1024, INDEX_OID = 0, INDEX_COLUMN, INDEX_FIELDS };

static const char INDEXES[] =
    "select i.indexrelid, a.attname from pg_catalog.pg_index i"
    " cross join lateral pg_catalog.unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) with ordinality k "
    "(attnum, n)"
    " join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum"
    " where i.indrelid = $1::oid and i.indisunique and i.indisvalid and i.indimmediate"
    "   and i.indpred is null and i.indexprs is null order by 1, k.n";

struct question {
    const struct target_table *table;
    const struct change *change;
    const struct value *old_key; /* of the updated row itself, or NULL */
    struct arena arena;
    struct buffer sql;
    oid_t *types;
    const char **values;
    int *lengths, *formats;
    int count;
};

static void question_release(struct question *question) {
    buffer_release(&question->sql);
    arena_release(&question->arena);
}

/* Each column may be a parameter twice for each index; unique indexes are few and have few columns. */
static bool question_init(struct question *question, size_t capacity, struct error *err) {
    arena_init(&question->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    buffer_init(&question->sql, SQL_BYTES_MAX);
    question->types = arena_alloc_zero(&question->arena, capacity * sizeof *question->types);
    question->values = arena_alloc_zero(&question->arena, capacity * sizeof *question->values);
    question->lengths = arena_alloc_zero(&question->arena, capacity * sizeof *question->lengths);
    question->formats = arena_alloc_zero(&question->arena, capacity * sizeof *question->formats);
    return question->types != NULL && question->values != NULL && question->lengths != NULL &&
                   question->formats != NULL
               ? true
               : error_no_memory(err);
}

static void append_equal(struct question *question, const char *glue, uint32_t column,
                         const struct value *value) {
    const struct target_column *of = &question->table->columns[column];
    const int at = question->count++;
    question->types[at] = of->type_oid;
    question->values[at] = arena_copy(&question->arena, value_slice(value));
    question->lengths[at] = (int) value->size;
    question->formats[at] = value->kind == VALUE_BINARY;
    question->sql.failed |= question->values[at] == NULL;
    buffer_printf(&question->sql, "%st.%s %s $%d", glue, of->name, of->equals, at + 1);
}

static int find_column(const struct target_table *table, const char *name) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (slice_equal(table->relation->columns[i].name, slice_of(name)))
            return (int) i;
    return -1;
}

/* NULL: this index need not be checked. */
static const struct value *new_value(const struct question *question, const PGresult *indexes, int row,
                                     uint32_t *ret_column) {
    const int column = find_column(question->table, PQgetvalue(indexes, row, INDEX_COLUMN));
    if (column < 0 || !question->table->columns[column].compares)
        return NULL;
    const struct value *value = &question->change->new_values[column];
    *ret_column = (uint32_t) column;
    return value->kind == VALUE_TEXT || value->kind == VALUE_BINARY ? value : NULL;
}

/* Rows first to end - 1 belong to one index. */
static void append_index(struct question *question, const PGresult *indexes, int first, int end) {
    uint32_t column = 0;
    for (int row = first; row < end; row++)
        if (new_value(question, indexes, row, &column) == NULL)
            return;
    buffer_printf(&question->sql, " + (exists (select from %s t where ", question->table->name);
    for (int row = first; row < end; row++) {
        const struct value *value = new_value(question, indexes, row, &column);
        append_equal(question, row == first ? "" : " and ", column, value);
    }
    for (uint32_t i = 0; question->old_key != NULL && i < question->table->key_count; i++)
        append_equal(question, i == 0 ? " and not (" : " and ", question->table->key_columns[i],
                     &question->old_key[question->table->key_columns[i]]);
    buffer_append_text(&question->sql, question->old_key != NULL ? ")))::int" : "))::int");
}

static void append_indexes(struct question *question, const PGresult *indexes) {
    const int count = PQntuples(indexes);
    buffer_append_text(&question->sql, "select 0");
    for (int first = 0, end = 0; first < count; first = end) {
        for (end = first; end < count && strcmp(PQgetvalue(indexes, end, INDEX_OID),
                                                PQgetvalue(indexes, first, INDEX_OID)) == 0;)
            end++;
        append_index(question, indexes, first, end);
    }
}

static bool clashes_ask(struct question *question, struct session *session, uint32_t *ret_count,
                        struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    const struct session_parameters parameters = {.count = question->count,
                                                  .types = question->types,
                                                  .values = question->values,
                                                  .lengths = question->lengths,
                                                  .formats = question->formats};
    if (buffer_text(&question->sql) == NULL)
        return error_no_memory(err);
    if (!session_query_typed(session, question->sql.data, &parameters,
                             &(const struct result_shape){"the query for clashes", 1, 1, 1, 0}, &result, err))
        return false;
    *ret_count = (uint32_t) strtoul(PQgetvalue(result, 0, 0), NULL, 10);
    return true;
}

/* An update of a row that is found only by its old values: the query could not exclude that row. */
static bool can_ask(const struct question *question) {
    return question->change->kind == CHANGE_INSERT || (question->old_key != NULL && question->table->has_key);
}

bool clashes_count(struct session *session, const struct target_table *table, const struct change *change,
                   uint32_t *ret_count, struct error *err) {
    PGresult *indexes AUTO_PGRESULT = NULL;
    struct question question AUTO(question_release) = {.table = table, .change = change};
    char oid[16];
    snprintf(oid, sizeof oid, "%u", table->oid);
    if (change->kind == CHANGE_UPDATE)
        question.old_key = row_change_key(table, change);
    *ret_count = 0;
    if (!can_ask(&question))
        return true;
    if (!session_query(
            session, INDEXES, 1, (const char *const[]){oid},
            &(const struct result_shape){"the query for indexes", 0, RESULT_ROWS_ANY, INDEX_FIELDS, 0},
            &indexes, err))
        return false;
    const size_t rows = (size_t) PQntuples(indexes);
    if (!question_init(&question, rows * (1 + table->key_count) + 1, err))
        return false;
    append_indexes(&question, indexes);
    return clashes_ask(&question, session, ret_count, err);
}

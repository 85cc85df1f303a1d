/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proof_read.c - what is proven, and whether it closes.
 */
#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/migrate/proof/proof.h"

enum { NAME, RESULT, EQUAL, SOURCE_ROWS, TARGET_ROWS, SOURCE_HASH, TARGET_HASH, LSN, COUNTED, COUNTS };
enum { FIELDS = COUNTS + LEDGER_SIDES };

#define FIELD(KEY) "coalesce(v.detail::json ->> '" KEY "', '')"
#define COUNT(KEY) "coalesce((l.detail::json ->> '" KEY "')::bigint, 0)"

/* clang-format off */
static const char READ[] =
    "select coalesce(v.object, l.object), v.detail::json ->> 'result',"
    " coalesce((v.detail::json ->> 'equal')::bool, false),"
    FIELD("source_rows") "," FIELD("target_rows") "," FIELD("source_hash") "," FIELD("target_hash") ","
    FIELD("lsn") ", l.object is not null,"
    COUNT("in") "," COUNT("applied") "," COUNT("in_copy") "," COUNT("present") "," COUNT("skipped")
    " from (select object, detail from pgcdc.migration where pipeline = $1"
    "  and step = '" PROOF_VERIFY "' and object <> '') v"
    " full join (select object, detail from pgcdc.migration where pipeline = $1"
    "  and step = '" PROOF_LEDGER "') l on l.object = v.object order by 1";
/* clang-format on */

static bool take_text(struct arena *arena, const PGresult *rows, int row, int column, const char **ret_text) {
    *ret_text =
        PQgetisnull(rows, row, column) ? NULL : arena_copy(arena, slice_of(PQgetvalue(rows, row, column)));
    return *ret_text != NULL || PQgetisnull(rows, row, column);
}

static bool take_proof_table(struct arena *arena, const PGresult *rows, int row, struct proof_table *table) {
    table->is_equal = result_is_true(rows, row, EQUAL);
    table->source_rows = strtoull(PQgetvalue(rows, row, SOURCE_ROWS), NULL, 10);
    table->target_rows = strtoull(PQgetvalue(rows, row, TARGET_ROWS), NULL, 10);
    table->is_counted = result_is_true(rows, row, COUNTED);
    for (int side = 0; side < LEDGER_SIDES; side++)
        table->counts[side] = strtoull(PQgetvalue(rows, row, COUNTS + side), NULL, 10);
    return take_text(arena, rows, row, NAME, &table->name) &&
           take_text(arena, rows, row, RESULT, &table->result) &&
           take_text(arena, rows, row, SOURCE_HASH, &table->source_hash) &&
           take_text(arena, rows, row, TARGET_HASH, &table->target_hash) &&
           take_text(arena, rows, row, LSN, &table->lsn);
}

static bool read_tables(struct steps *steps, struct arena *arena, struct proof *proof, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(&steps->session, READ, 1, &steps->pipeline,
                       &(const struct result_shape){"the query for what is proven", 0, RESULT_ROWS_ANY,
                                                    FIELDS, 1u << RESULT},
                       &rows, err))
        return false;
    proof->count = (size_t) PQntuples(rows);
    proof->tables = arena_alloc_zero(arena, (proof->count + 1) * sizeof *proof->tables);
    for (size_t i = 0; proof->tables != NULL && i < proof->count; i++)
        if (!take_proof_table(arena, rows, (int) i, &proof->tables[i]))
            return error_no_memory(err);
    return proof->tables != NULL ? true : error_no_memory(err);
}

static bool read_whole(struct steps *steps, struct arena *arena, struct proof *proof, struct error *err) {
    static const char SQL[] =
        "select coalesce(detail::json ->> 'last_lsn', ''), (extract(epoch from ended_at -"
        " '2000-01-01 00:00:00+00') * 1000000)::bigint from pgcdc.migration"
        " where pipeline = $1 and step = '" PROOF_VERIFY "' and object = '' and ended_at is not null"
        " and detail is not null";
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(&steps->session, SQL, 1, &steps->pipeline,
                       &(const struct result_shape){"the query for the comparison", 0, 1, 2, 0}, &rows, err))
        return false;
    proof->is_compared = PQntuples(rows) == 1;
    if (!proof->is_compared)
        return true;
    proof->compared_us = strtoll(PQgetvalue(rows, 0, 1), NULL, 10);
    return take_text(arena, rows, 0, 0, &proof->lsn) ? true : error_no_memory(err);
}

static bool take_left_out(struct arena *arena, const PGresult *rows, int row, struct proof_left_out *item) {
    item->changes = strtoull(PQgetvalue(rows, row, 3), NULL, 10);
    item->copied = strtoull(PQgetvalue(rows, row, 4), NULL, 10);
    return take_text(arena, rows, row, 0, &item->sink) && take_text(arena, rows, row, 1, &item->table) &&
           take_text(arena, rows, row, 2, &item->rule);
}

static bool read_left_out(struct steps *steps, struct arena *arena, struct proof *proof, struct error *err) {
    static const char SQL[] =
        "select object::json ->> 0, object::json ->> 1, object::json ->> 2, detail::json ->> 'changes',"
        " detail::json ->> 'copied' from pgcdc.migration where pipeline = $1 and step = '" PROOF_LEFT_OUT
        "' order by 1, 2, 3";
    static const struct result_shape SHAPE = {"the query for what was left out", 0, RESULT_ROWS_ANY, 5, 0};
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(&steps->session, SQL, 1, &steps->pipeline, &SHAPE, &rows, err))
        return false;
    proof->left_out_count = (size_t) PQntuples(rows);
    proof->left_out = arena_alloc_zero(arena, (proof->left_out_count + 1) * sizeof *proof->left_out);
    for (size_t i = 0; proof->left_out != NULL && i < proof->left_out_count; i++)
        if (!take_left_out(arena, rows, (int) i, &proof->left_out[i]))
            return error_no_memory(err);
    return proof->left_out != NULL ? true : error_no_memory(err);
}

bool proof_read(struct steps *steps, struct arena *arena, struct proof *ret_proof, struct error *err) {
    *ret_proof = (struct proof){.lsn = ""};
    return !steps->exists ||
           (read_tables(steps, arena, ret_proof, err) && read_whole(steps, arena, ret_proof, err) &&
            read_left_out(steps, arena, ret_proof, err));
}

bool proof_table_closes(const struct proof_table *table) {
    uint64_t sum = 0;
    for (int side = LEDGER_IN + 1; side < LEDGER_SIDES; side++)
        sum += table->counts[side];
    return sum == table->counts[LEDGER_IN];
}

static bool proof_table_judge(const struct proof_table *table, struct buffer *why) {
    const size_t before = why->size;
    if (table->result != NULL && !table->is_equal)
        buffer_printf(why, "table %s: %s; %s at the source, %s at the target\n", table->name, table->result,
                      amount_count(table->source_rows, "row").text,
                      amount_count(table->target_rows, "row").text);
    if (!proof_table_closes(table))
        buffer_printf(why, "table %s: %s came in, and not all went somewhere\n", table->name,
                      amount_count(table->counts[LEDGER_IN], "change").text);
    return why->size == before;
}

bool proof_closes(const struct proof *proof, struct buffer *why) {
    bool closes = proof->is_compared;
    if (!proof->is_compared)
        buffer_append_text(why,
                           "the comparison of both sides is not complete: pgcdc migrate --until verified\n");
    for (size_t i = 0; i < proof->count; i++)
        closes = proof_table_judge(&proof->tables[i], why) && closes;
    return closes && buffer_ok(why);
}

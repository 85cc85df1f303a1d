/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evaluator.c - rows go to the server as one array for each column, and results come back in one answer.
 *
 *     $1 bigint[]: what is wanted of each row      $2, ... text[]: the columns that the expressions use
 *
 * The arrays are in PostgreSQL's binary format: a value needs no quoting.
 */
#include "sinks/mapping/evaluator.h"

#include <stdlib.h>

#include "cdc/base/fault.h"
#include "sinks/mapping/table_expressions.h"

enum {
    ROWS_MAX = 1000,
    BIGINT_OID = 20,
    BIGINTS_OID = 1016,
    TEXT_OID = 25,
    TEXTS_OID = 1009,
    PROOFS_BLOCK_BYTES = 16384
};
enum { FIELD_ROW, FIELD_PASSES, FIELD_FIRST };

/* Of one call, unless one row has more. A column of all its rows must fit into PostgreSQL's 1 GB. */
#define CALL_BYTES ((size_t) 4 << 20)
#define PROOFS_BYTES_MAX ((size_t) 1 << 30)
#define INPUT_BYTES_MAX ((size_t) 2 << 30)

void evaluator_init(struct evaluator *evaluator, const struct sink_config *config, const atomic_bool *stop) {
    *evaluator = (struct evaluator){.config = config, .stop = stop};
    arena_init(&evaluator->proofs, PROOFS_BLOCK_BYTES, PROOFS_BYTES_MAX);
}

void evaluator_close(struct evaluator *evaluator) {
    session_close(&evaluator->session);
    arena_release(&evaluator->proofs);
    evaluator->proven = NULL;
    for (size_t i = 0; i < evaluator->input_count; i++)
        buffer_release(&evaluator->inputs[i]);
    free(evaluator->inputs);
    evaluator->inputs = NULL;
    evaluator->input_count = 0;
}

static bool refuse_nowhere(const struct evaluator *evaluator, struct error *err) {
    error_set(err, ERROR_CONFIG,
              "mapping: sink %s is no PostgreSQL database and the pipeline reads an archive, so no server "
              "computes where and sql",
              evaluator->config->name);
    return error_remedy(err, "take where and sql out of the rules for this sink");
}

bool evaluator_open(struct evaluator *evaluator, struct error *err) {
    const struct sink_config *config = evaluator->config;
    struct session_options options = {0};
    if (evaluator->session.conn != NULL)
        return true;
    if (sink_admin(config->mapped, target) != NULL)
        config->mapped->admin->target(config, &options);
    else if (config->source != NULL)
        options = *config->source;
    if (options.dsn == NULL)
        return refuse_nowhere(evaluator, err);
    options.stop = evaluator->stop;
    options.gucs = "-c default_transaction_read_only=on";
    return session_open(&evaluator->session, &options, err);
}

/* ---- parameters ---- */

static bool prepare_inputs(struct evaluator *evaluator, size_t count, struct error *err) {
    if (evaluator->input_count < count) {
        struct buffer *inputs = realloc(evaluator->inputs, count * sizeof *inputs);
        if (inputs == NULL)
            return error_no_memory(err);
        evaluator->inputs = inputs;
        for (; evaluator->input_count < count; evaluator->input_count++)
            buffer_init(&inputs[evaluator->input_count], INPUT_BYTES_MAX);
    }
    for (size_t i = 0; i < count; i++)
        buffer_reset(&evaluator->inputs[i]);
    return true;
}

/* array := dimensions, has nulls, type of elements, their count, first index */
static void begin_array(struct buffer *input, oid_t element_oid, size_t count) {
    buffer_append_u32(input, 1);
    buffer_append_u32(input, 1);
    buffer_append_u32(input, element_oid);
    buffer_append_u32(input, (uint32_t) count);
    buffer_append_u32(input, 1);
}

static void append_u64(struct buffer *input, uint64_t value) {
    buffer_append_u32(input, (uint32_t) sizeof value);
    buffer_append_u32(input, (uint32_t) (value >> 32));
    buffer_append_u32(input, (uint32_t) value);
}

static void append_value(struct buffer *input, const struct value *value) {
    if (value->kind != VALUE_TEXT && value->kind != VALUE_BINARY) {
        buffer_append_u32(input, UINT32_MAX);
        return;
    }
    buffer_append_u32(input, value->size);
    buffer_append(input, value->data, value->size);
}

static bool write_inputs(struct evaluator *evaluator, const struct table_expressions *expressions,
                         struct evaluator_row *const *rows, size_t count, struct error *err) {
    bool is_written = true;
    if (!prepare_inputs(evaluator, expressions->input_count + 1, err))
        return false;
    begin_array(&evaluator->inputs[0], BIGINT_OID, count);
    for (size_t i = 0; i < count; i++)
        append_u64(&evaluator->inputs[0], rows[i]->wanted);
    for (uint32_t k = 0; k < expressions->input_count; k++) {
        struct buffer *input = &evaluator->inputs[k + 1];
        begin_array(input, TEXT_OID, count);
        for (size_t i = 0; i < count; i++)
            append_value(input, &rows[i]->values[expressions->inputs[k]]);
        is_written = is_written && buffer_ok(input);
    }
    return (is_written && buffer_ok(&evaluator->inputs[0])) || error_no_memory(err);
}

static bool ask_values(struct evaluator *evaluator, const struct table_expressions *expressions, size_t count,
                       struct arena *arena, PGresult **ret_answer, struct error *err) {
    const size_t inputs = expressions->input_count + 1;
    oid_t *types = arena_alloc(arena, inputs * sizeof *types);
    const char **values = arena_alloc(arena, inputs * sizeof *values);
    int *lengths = arena_alloc(arena, inputs * sizeof *lengths);
    int *formats = arena_alloc(arena, inputs * sizeof *formats);
    if (types == NULL || values == NULL || lengths == NULL || formats == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < inputs; i++) {
        types[i] = i == 0 ? BIGINTS_OID : TEXTS_OID;
        values[i] = evaluator->inputs[i].data;
        lengths[i] = (int) evaluator->inputs[i].size;
        formats[i] = 1;
    }
    const struct session_parameters parameters = {
        .count = (int) inputs, .types = types, .values = values, .lengths = lengths, .formats = formats};
    const struct result_shape shape = {"the expressions of a mapping", (int) count, (int) count,
                                       (int) expressions->count + FIELD_FIRST, RESULT_NULL_ANYWHERE};
    FAULT_POINT("mapping-evaluate");
    return session_query_typed(&evaluator->session, expressions->query, &parameters, &shape, ret_answer, err);
}

/* ---- results ---- */

static bool take_value(const PGresult *answer, int row, int field, struct arena *arena,
                       struct value *ret_value, struct error *err) {
    *ret_value = (struct value){.kind = VALUE_NULL};
    if (PQgetisnull(answer, row, field))
        return true;
    const struct slice text = {PQgetvalue(answer, row, field), (size_t) PQgetlength(answer, row, field)};
    *ret_value =
        (struct value){.data = arena_copy(arena, text), .size = (uint32_t) text.size, .kind = VALUE_TEXT};
    return ret_value->data != NULL || error_no_memory(err);
}

static bool take_row(const struct table_expressions *expressions, const PGresult *answer, int i,
                     struct evaluator_row *const *rows, size_t count, struct arena *arena,
                     struct error *err) {
    const unsigned long long number = strtoull(PQgetvalue(answer, i, FIELD_ROW), NULL, 10);
    if (number < 1 || number > count)
        return error_set(err, ERROR_PROTOCOL, "mapping: the server answered with a row that was not sent");
    struct evaluator_row *row = rows[number - 1];
    row->passes = result_is_true(answer, i, FIELD_PASSES);
    for (size_t k = 0; k < expressions->count; k++)
        if (!take_value(answer, i, (int) k + FIELD_FIRST, arena, &row->results[k], err))
            return false;
    return true;
}

static bool run_call(struct evaluator *evaluator, const struct table_expressions *expressions,
                     struct evaluator_row *const *rows, size_t count, struct arena *arena,
                     struct error *err) {
    PGresult *answer AUTO_PGRESULT = NULL;
    if (!write_inputs(evaluator, expressions, rows, count, err) ||
        !ask_values(evaluator, expressions, count, arena, &answer, err))
        return false;
    for (int i = 0; i < PQntuples(answer); i++)
        if (!take_row(expressions, answer, i, rows, count, arena, err))
            return false;
    return true;
}

/* Finds the first row that fails, by halves. */
static bool run_rows(struct evaluator *evaluator, const struct table_expressions *expressions,
                     struct evaluator_row *const *rows, size_t count, struct arena *arena, size_t *ret_failed,
                     struct error *err) {
    size_t failed = 0;
    if (run_call(evaluator, expressions, rows, count, arena, err))
        return true;
    if (err->kind != ERROR_DATA || count == 1) {
        *ret_failed = 0;
        return false;
    }
    const size_t half = count / 2;
    if (!run_rows(evaluator, expressions, rows, half, arena, ret_failed, err))
        return false;
    if (run_rows(evaluator, expressions, rows + half, count - half, arena, &failed, err))
        return true;
    *ret_failed = half + failed;
    return false;
}

static size_t row_bytes(const struct table_expressions *expressions, const struct evaluator_row *row) {
    size_t bytes = 0;
    for (uint32_t k = 0; k < expressions->input_count; k++)
        bytes += row->values[expressions->inputs[k]].size;
    return bytes;
}

bool evaluator_run(struct evaluator *evaluator, const struct table_expressions *expressions,
                   struct evaluator_row *const *rows, size_t count, struct arena *arena, size_t *ret_failed,
                   struct error *err) {
    *ret_failed = 0;
    if (!evaluator_open(evaluator, err))
        return false;
    for (size_t first = 0, next = 0; first < count; first = next) {
        size_t bytes = row_bytes(expressions, rows[next++]), failed = 0;
        while (next < count && next - first < ROWS_MAX && bytes < CALL_BYTES)
            bytes += row_bytes(expressions, rows[next++]);
        if (!run_rows(evaluator, expressions, rows + first, next - first, arena, &failed, err)) {
            *ret_failed = first + failed;
            return false;
        }
    }
    return true;
}

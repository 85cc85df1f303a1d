/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evaluator.h - the PostgreSQL server that computes a sink's expressions.
 *
 * It is the sink's own database, or the source's if the sink is none. A session is opened when the first
 * table with an expression is met. Its settings are pinned (cdc/pq/settings.h), so that the same row gives
 * the same value in each session. An evaluator belongs to one handle of a sink, and to its thread.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/pq/session.h"
#include "decoder/change.h"
#include "sinks/sink.h"

struct table_expressions;

struct evaluator {
    const struct sink_config *config;
    const atomic_bool *stop;
    struct session session;
    struct arena proofs; /* what was proven in this session: table_expressions.h */
    struct table_expressions *proven;
    struct buffer *inputs; /* the parameters of one call, kept for the next */
    size_t input_count;
};

/* Bit of evaluator_row.wanted: 0 is the condition, 1 the first column's expression. */
#define EXPRESSION_WANTED(i) (UINT64_C(1) << (i))

/* One row of a table with expressions, and what they make of it. */
struct evaluator_row {
    const struct value *values; /* by the source's columns; what is not known is given as null */
    uint64_t wanted;            /* the others are not computed, and null */
    bool passes;                /* result: the condition is true, or was not wanted */
    struct value *results;      /* result: of the columns' expressions; made by the caller */
};

void evaluator_init(struct evaluator *evaluator, const struct sink_config *config, const atomic_bool *stop);
/* Accepts a zeroed one. */
void evaluator_close(struct evaluator *evaluator);

/* Opens the session unless it is open. ERROR_CONFIG: there is no server to ask. */
MUST_CHECK bool evaluator_open(struct evaluator *evaluator, struct error *err);

/*
 * Computes the expressions of rows of one table; texts are in arena. An expression whose row does not pass is
 * not computed. ERROR_DATA: an expression fails on a row, with the table's name, and *ret_failed is the row.
 */
MUST_CHECK bool evaluator_run(struct evaluator *evaluator, const struct table_expressions *expressions,
                              struct evaluator_row *const *rows, size_t count, struct arena *arena,
                              size_t *ret_failed, struct error *err);

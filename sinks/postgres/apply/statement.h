/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statement.h - the prepared statements that change target tables.
 *
 * One for each table, kind and set of written columns. They are prepared on first use, inside the pipeline
 * that needs them. The number kept is limited; above the limit all are dropped and prepared again as needed.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "decoder/change.h"
#include "sinks/postgres/catalog/column_set.h"
#include "sinks/postgres/catalog/target_table.h"
#include "sinks/postgres/target/pq_pipeline.h"

/*
 * ROW: one row, its values are parameters. SET, IMAGE: many rows, each parameter is an array with one
 * column's values.
 */
enum statement_kind {
    STATEMENT_ROW_INSERT,
    STATEMENT_ROW_FILL, /* an insert whose unsent values are those of another row */
    STATEMENT_ROW_UPDATE,
    STATEMENT_ROW_REPLACE, /* delete and insert, because an identity column cannot be set */
    STATEMENT_ROW_DELETE,
    STATEMENT_ROW_ORIGIN, /* finds the row if another session of the target has changed it last */
    STATEMENT_SET_UPDATE,
    STATEMENT_SET_DELETE,
    STATEMENT_IMAGE_UPDATE, /* of rows without a key; see statement_image.h */
    STATEMENT_IMAGE_DELETE,
    STATEMENT_SHAPE, /* described, never executed: the columns that the other statements name */
};

/* IMAGE statements also have parameters that belong to no column. */
enum parameter_kind {
    PARAMETER_VALUE,
    PARAMETER_IMAGE,   /* int4: equal for identical old rows */
    PARAMETER_RANK,    /* int4: the ordinal among these */
    PARAMETER_WRITTEN, /* bytea: a bit for each column that is set */
};

struct statement_parameter {
    enum parameter_kind kind;
    uint32_t column;
    bool is_old;      /* a value by which the row is found */
    bool is_one_form; /* text and binary form of its type are the same bytes */
};

/* What distinguishes the statements of one table. */
struct statement_form {
    enum statement_kind kind;
    const struct column_set *written; /* the columns that an UPDATE or REPLACE sets; NULL for other kinds */
    uint32_t nulls;                   /* see row_match.h; 0 for a table with a key, and for INSERT */
    uint32_t mixed;                   /* of an IMAGE statement: columns that are NULL in some rows only */
    bool is_partial;                  /* an IMAGE UPDATE in which each row says which columns it sets */
    uint16_t origin;                  /* of ROW_ORIGIN: the sink's own; always the same */
    bool counts_one; /* a ROW statement that fails on the server unless it changes exactly one row */
};

struct statement {
    struct statement *next; /* of the same table */
    enum statement_kind kind;
    char name[24];
    int parameter_count;
    struct statement_parameter *parameters;
    struct column_set written; /* of the form; empty when it has none */
    uint32_t nulls;
    uint32_t mixed;
    bool is_partial;
    bool counts_one;
};

struct statements {
    struct arena arena; /* of all statements */
    struct buffer sql;
    struct buffer texts; /* text parameters, each with a NUL */
    uint32_t count;
    uint32_t count_max;       /* tests lower it */
    uint64_t parameter_count; /* of all statements: a measure of their memory in the server */
    uint64_t serial;          /* makes names */
    uint64_t generation;      /* raised when all are dropped; a table's list is of one generation */
    bool must_drop;           /* the server still has statements that were forgotten here */
    int scratch_count;
    const char **values; /* scratch_count of each */
    int *sizes;
    int *formats;
};

void statements_init(struct statements *statements);
void statements_release(struct statements *statements);

/* Forgets every statement: after an error the server may not have prepared some of them. */
void statements_forget(struct statements *statements);

/* The statement, prepared in the open pipeline if need be. Valid until the next find. */
MUST_CHECK bool statement_find(struct statements *statements, struct pq_pipeline *pipeline,
                               struct target_table *table, const struct statement_form *form,
                               const struct statement **ret_statement, struct error *err);

/*
 * Adds the columns that the table's last IMAGE UPDATE wrote. So a table has no more of these statements than
 * columns, whatever columns its updates change.
 */
void statements_widen(const struct statements *statements, const struct target_table *table,
                      struct column_set *written);

/* Sends a ROW statement. old_values finds the row (NULL for INSERT); both are a whole row of the relation. */
MUST_CHECK bool statement_execute_row(struct statements *statements, struct pq_pipeline *pipeline,
                                      const struct statement *statement, const struct value *old_values,
                                      const struct value *new_values, struct pq_pipeline_note note,
                                      struct error *err);

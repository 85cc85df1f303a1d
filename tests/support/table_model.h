/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_model.h - tables as a naive program keeps them, and random transactions that the source could have
 * run.
 *
 * A program changes the model and hands the same changes to a change_builder. Afterwards a target that
 * applied them, in whatever way, has the model's rows and no others.
 */
#pragma once

#include "tests/support/change_builder.h"
#include "tests/support/random.h"

#define MODEL_COLUMNS_MAX 6u
#define MODEL_ROWS_MAX 400u

struct model_column {
    const char *name;
    /*
     * i: a number, u: a number that is unique, s: any text, a: text[], j: json, k: one of two numbers, t: one
     * of three texts, f: float8, n: numeric, p: point
     */
    char kind;
};

struct model_shape {
    const char *table;
    const char *ddl;      /* at the target */
    const char *also_ddl; /* there, too, or NULL */
    enum replica_identity identity;
    const char *columns; /* for change_builder_relation */
    uint32_t key_count;  /* the first columns are the source's primary key; 0: none, rows repeat */
    uint32_t column_count;
    struct model_column column[MODEL_COLUMNS_MAX];
    const char *also; /* a condition that every row at the target fulfils besides, or NULL */
};

struct model_row {
    const char *values[MODEL_COLUMNS_MAX]; /* NULL is null; interned, owned by the builder's arena */
};

struct model_table {
    const struct model_shape *shape;
    const struct relation *relation;
    struct model_row rows[MODEL_ROWS_MAX];
    uint32_t count;
};

struct table_model {
    struct change_builder *builder;
    struct random *random;
    struct model_table *tables;
    uint32_t table_count;
};

/* One random transaction, of one to most changes. */
void table_model_transaction(struct table_model *model, uint32_t most);

/* What SQL must select for the table's rows, one text a row, so that it equals table_model_rows. */
void model_rows_sql(const struct model_shape *shape, char *sql, size_t size);

/* The model's rows as that SQL gives them: one line a row, in byte order. The caller frees it. */
char *model_rows(const struct model_table *table);

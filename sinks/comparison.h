/* SPDX-License-Identifier: Apache-2.0 */
/*
 * comparison.h - compares what a sink holds with the source's tables, for `pgcdc verify`.
 *
 * cdc/verify decides when both sides are read, which parts of which tables, and what a difference proves. A
 * comparison reads both sides, because only the sink knows how a value of the source looks when it is stored
 * there. Of a part of a table it returns keys, and of each key how many rows it has and the sum of their
 * hashes, on both sides. What a key is, the sink decides: usually a hash of the primary key, of which a mask
 * makes buckets. A sink that appends (sink_ops.appends) has records; its rows are those that remain when all
 * records are carried out in their order. It has no parts: range and where_sql are NULL.
 *
 *     admin.compare -> (prepare | ping)*
 *         -> (pin -> (hold? (sum | find_columns | read_rows)*)* -> unpin | ping)* -> close
 *
 * The source's session is the caller's, who begins and ends its snapshot. A sum of equal rows must be equal
 * on both sides once both snapshots show the same transactions.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"
#include "sinks/chunk.h"
#include "sinks/difference.h"
#include "sinks/table.h"

struct session;

/* How one table can be compared. Texts and arrays are in the arena given to prepare. */
struct comparison_table {
    const struct table *table; /* the source's */
    const struct table
        *sink_table;           /* what a rule of the sink's mapping makes of it; NULL: there is no rule */
    const char *about_changes; /* names of the sink's columns that no row of the source has; or NULL */
    const char *ignored;  /* names of the source's columns that the sink is told to do without; or NULL */
    const char *missing;  /* why nothing can be compared: a table or column that the sink lacks; else NULL */
    bool narrows;         /* a column's type in the sink can change values; its result is compared */
    bool counts_narrowed; /* count_narrowed knows how many rows are changed so */
    /* what is not compared, and why; else NULL. Of a sink that appends, sum may change it */
    const char *left_out;
    /* what is compared, how, and with which sink: what was proven holds while these texts are the same */
    const char *const *definition;
    size_t definition_count;
    const char *const *column_names; /* that are compared; as in the sink */
    size_t column_count;
    const char *const *shown_names; /* the columns that identify a row for people */
    size_t shown_count;
    oid_t divider_type; /* the sink's type of the primary key's first column; 0: it cannot be divided by it */
};

struct comparison_part {
    const struct comparison_table *table;
    const struct chunk *range; /* of the primary key's first column; NULL: the whole table */
    const char *where_sql;     /* over the source's columns: only such rows, on each side; or NULL */
};

struct comparison_keys {
    const int64_t *items;
    size_t count;
};

struct comparison_question {
    struct comparison_part part;
    int64_t mask;      /* of the keys in the answer: 0 makes all rows one key, -1 keeps all */
    int64_t open_mask; /* only rows whose key & open_mask is one of open_keys; 0: all rows */
    struct comparison_keys open_keys;
};

/* In a sink that appends: records of the table that are wrong whatever its rows are. */
struct comparison_faults {
    uint64_t duplicate; /* the same change once more */
    uint64_t foreign;   /* no message of the table in the sink's format */
    uint64_t uncounted; /* more, fewer or others than the sink has counted when it published them */
    uint64_t counted;   /* no fault: how many it has counted; 0: there is no such count */
};

/* What differs, ordered by key; and all rows that were compared. */
struct comparison_answer {
    struct differences differences;
    uint64_t source_rows;
    uint64_t target_rows;
    int64_t source_hash; /* of these rows, by hash_sum_add; of a sink that appends: 0 */
    int64_t target_hash;
    struct comparison_faults faults; /* in all records of the table, whatever the question is about */
};

/* The values of shown_names, each cut to 1000 characters. data NULL: a null. NULL: no side has the row. */
struct comparison_row {
    const struct slice *values;
};

/* With what a comparison is opened; all of it outlives the comparison. */
struct comparison_terms {
    struct session *source;
    const char *application; /* application_name of the sink's sessions */
    uint64_t rate_bytes;     /* a second, for a comparison that reads rows itself; 0: no limit */
    const atomic_bool *stop;
};

struct comparison;

struct comparison_ops {
    /* Defines the table's comparison, in arena. The sink's definition of it is read outside of a snapshot. */
    bool (*prepare)(struct comparison *comparison, const struct table *table, struct arena *arena,
                    const struct comparison_table **ret_table, struct error *err);

    /*
     * Can the condition of a part choose among the table's rows on both sides? Outside of a snapshot. NULL:
     * the sink has no parts.
     */
    bool (*check_where)(struct comparison *comparison, const struct comparison_table *table,
                        const char *where_sql, struct error *err);

    /* Does the sink still answer? Outside of a snapshot. */
    bool (*ping)(struct comparison *comparison, struct error *err);

    /* From now on the sink is read in one state, which has everything up to *ret_lsn; 0: no position. */
    bool (*pin)(struct comparison *comparison, lsn_t *ret_lsn, struct error *err);
    bool (*unpin)(struct comparison *comparison, struct error *err);

    /*
     * Locks the table on both sides against other definitions, until the snapshots end. *ret_whole: it was
     * not rewritten, truncated or divided otherwise since they were taken; else they do not show its rows.
     */
    bool (*hold)(struct comparison *comparison, const struct comparison_table *table, bool *ret_whole,
                 struct error *err);

    /* The caller releases ret_answer->differences, also after a failure. */
    bool (*sum)(struct comparison *comparison, const struct comparison_question *question,
                struct comparison_answer *ret_answer, struct error *err);
    /* Rows at the source with a value that the sink's type changes. */
    bool (*count_narrowed)(struct comparison *comparison, const struct comparison_part *part,
                           uint64_t *ret_rows, struct error *err);
    /* Sets differs of each column, by column_names, whose value differs in one of these rows. */
    bool (*find_columns)(struct comparison *comparison, const struct comparison_part *part,
                         const struct comparison_keys *keys, bool *differs, struct error *err);
    /* ret_rows: one for each key, in arena; of several rows with one key any. */
    bool (*read_rows)(struct comparison *comparison, const struct comparison_part *part,
                      const struct comparison_keys *keys, struct arena *arena,
                      struct comparison_row *ret_rows, struct error *err);

    void (*close)(struct comparison *comparison);
};

/* A sink's own struct begins with it. */
struct comparison {
    const struct comparison_ops *ops;
};

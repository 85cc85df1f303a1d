/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - a published table as the source's catalog has it; what the initial copy gives a sink to create
 * it.
 *
 * Filled by cdc/ in one arena, read-only after. Texts are NUL-terminated and not quoted unless said.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/lsn.h"

/*
 * A user-defined type that a column is made of, directly or by way of an array, a domain or a composite type.
 * A table's types are in the order in which they can be created.
 */
struct table_type {
    const char *schema;
    const char *name;
    /* CREATE TYPE or DOMAIN, complete; NULL: cannot be made from the catalog (ranges, base types) */
    const char *create_sql;
    const char *extension; /* that it belongs to, else NULL */
    const char *column;    /* the first column that needs it */
};

struct table_column {
    const char *name;
    oid_t type_oid;
    int32_t type_modifier;
    int32_t base_modifier;     /* of a domain that of its base type; else the same */
    const char *type_schema;   /* as a Relation has it: of a domain its base type's */
    const char *type_name;     /* likewise */
    const char *type_sql;      /* format_type() with typmod under an empty search_path: ready to use in DDL */
    char generated;            /* pg_attribute.attgenerated: s, v or NUL */
    const char *generated_sql; /* the expression of a generated column, else NULL */
    char identity;             /* pg_attribute.attidentity: a, d or NUL */
    const char *collation_sql; /* ready to use, when not the type's default, else NULL */
    bool not_null;
    bool published;    /* its values are in the stream; false for what the target generates by itself */
    bool left_to_sink; /* both sides generate it: set by the sink's copy_begin, so that it is not copied */
    bool sink_takes_binary; /* its target column has its type: set there, too, by a sink that asks */
    bool in_identity;       /* part of the replica identity; with identity full, every column */
    uint32_t key_index;     /* place in the primary key from 1, 0: not part of it */
};

struct table {
    oid_t oid; /* at the source */
    const char *schema;
    const char *name;
    char kind;              /* pg_class.relkind: r or p */
    char identity;          /* pg_class.relreplident */
    uint32_t key_count;     /* columns of the primary key, those that the publication leaves out included */
    bool key_is_deferrable; /* the primary key is checked at the end of a statement or a transaction */
    const char *row_filter_sql; /* of the publication, over the source's columns, or NULL */
    double row_estimate;        /* pg_class.reltuples, summed over partitions; negative: unknown */
    uint64_t bytes_estimate;    /* on disk, without indexes */
    uint32_t column_count;      /* generated columns included, dropped ones not */
    struct table_column *columns;
    uint32_t type_count;
    struct table_type *types;
};

/*
 * The columns of COPY on both sides, in the table's order: what is streamed, but for what a sink computes by
 * itself.
 */
static inline bool table_column_is_copied(const struct table_column *column) {
    return column->published && !column->left_to_sink;
}

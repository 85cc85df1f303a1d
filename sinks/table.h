/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - a published table as the source's catalog has it; what the initial copy gives a sink to create it.
 *
 * Filled by cdc/ in one arena, read-only after. Texts are NUL-terminated and not quoted unless said.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/lsn.h"

struct table_column {
    const char *name;
    oid_t type_oid;
    const char *type_schema;   /* of the element type where the column is an array of a user-defined type */
    const char *type_name;     /* likewise */
    char type_kind;            /* pg_type.typtype of that type: b, c, d, e, p, r, m */
    bool type_is_builtin;      /* type_oid < 16384 */
    const char *type_sql;      /* format_type() with typmod under an empty search_path: ready to use in DDL */
    const char *const *labels; /* of an enum (or of an array of one), in order; else NULL */
    uint32_t label_count;
    const char *generated_sql; /* the expression of a stored generated column, else NULL */
    char identity;             /* pg_attribute.attidentity: a, d or NUL */
    const char *collation_sql; /* ready to use, when not the type's default, else NULL */
    bool not_null;
    uint32_t key_index; /* place in the primary key from 1, 0: not part of it */
};

struct table {
    oid_t oid; /* at the source */
    const char *schema;
    const char *name;
    char kind;               /* pg_class.relkind: r or p */
    char identity;           /* pg_class.relreplident */
    double row_estimate;     /* pg_class.reltuples, summed over partitions; negative: unknown */
    uint64_t bytes_estimate; /* on disk, without indexes */
    uint32_t column_count;   /* generated columns included, dropped ones not */
    struct table_column *columns;
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - a published table as the source's catalog describes it; the initial copy gives it to a sink,
 * which may create the table from it.
 *
 * Filled by cdc/ in one arena, read-only afterwards. Texts are NUL-terminated and not quoted unless noted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/lsn.h"
#include "decoder/relation.h"

/*
 * A user-defined type that a column uses, directly or through an array, a domain or a composite type. A
 * table's types are in the order in which they can be created.
 */
struct table_type {
    const char *schema;
    const char *name;
    /* the complete CREATE TYPE or DOMAIN; NULL: cannot be created from the catalog (ranges, base types) */
    const char *create_sql;
    const char *extension; /* the extension it belongs to, or NULL */
    const char *column;    /* the first column that needs it */
};

struct table_column {
    const char *name;
    uint32_t number; /* pg_attribute.attnum */
    oid_t type_oid;
    int32_t type_modifier;
    int32_t base_modifier;     /* for a domain that of its base type; else the same */
    const char *type_schema;   /* as in a Relation message: for a domain its base type's */
    const char *type_name;     /* likewise */
    const char *type_sql;      /* format_type() with typmod under an empty search_path: ready to use in DDL */
    char generated;            /* pg_attribute.attgenerated: s, v or NUL */
    const char *generated_sql; /* the expression of a generated column, else NULL */
    char identity;             /* pg_attribute.attidentity: a, d or NUL */
    const char *collation_sql; /* ready to use; NULL for the type's default */
    bool not_null;
    bool published;    /* its values are in the stream; false for a column that the target generates itself */
    bool left_to_sink; /* both sides generate it, or the sink leaves it out: set by copy.begin; not copied */
    bool sink_takes_binary; /* its target column has the same type: set by copy.begin of some sinks */
    bool is_cast; /* a rule of the mapping says the sink's type: its input function decides about values */
    const char *source_name; /* under a rule of the mapping: at the source; NULL: it has the same name */
    bool is_added;           /* by a rule of the mapping; the source may have another column of its name */
    bool is_made;            /* a rule of the mapping makes its values */
    bool fills_null;         /* and one of a null, too */
    const char *constant;    /* of an added column: the value in all rows; NULL: rows differ */
    bool in_identity;        /* part of the replica identity; with identity full, every column */
    uint32_t key_index;      /* position in the primary key, from 1; 0: not part of it */
};

struct row_policy;

/* A column of the source that a rule of a mapping is about, also one that it drops. */
struct table_ruled {
    const char *name;
    uint32_t number; /* pg_attribute.attnum */
};

struct table {
    oid_t oid; /* at the source */
    const char *schema;
    const char *name;
    char kind;              /* pg_class.relkind: r or p */
    char identity;          /* pg_class.relreplident */
    uint32_t key_count;     /* columns of the primary key, including those that the publication leaves out */
    bool key_is_deferrable; /* the primary key is checked at the end of a statement or a transaction */
    const char *row_filter_sql; /* the publication's, in terms of the source's columns, or NULL */
    double row_estimate;        /* pg_class.reltuples, summed over partitions; negative: unknown */
    uint64_t bytes_estimate;    /* on disk, without indexes */
    uint32_t column_count;      /* including generated columns, without dropped ones */
    struct table_column *columns;
    uint32_t type_count;
    struct table_type *types;
    /* a condition on the sink's columns: its rows there; NULL: all of the sink's table */
    const char *owned_sql;
    /* its rows may arrive in several steps, while changes are applied: set by chunk.find_parts */
    bool sink_takes_parts;
    enum row_mode mode;      /* set by a mapping */
    const char *mapped_from; /* schema.table at the source, if a rule of a mapping made this; else NULL */
    const struct table_ruled *ruled; /* likewise */
    uint32_t ruled_count;
    const struct row_policy *policy; /* likewise: its rows are candidates; or NULL */
};

/*
 * Is it a column of COPY on both sides? These are the streamed columns, in the table's order, without those
 * that the sink computes itself.
 */
static inline bool table_column_is_copied(const struct table_column *column) {
    return column->published && !column->left_to_sink;
}

/* Has a message of it a key? That is the replica identity, unless it is the whole row. */
bool table_has_message_key(const struct table *table);

/* The column with this name; NULL: there is none. */
const struct table_column *table_find_column(const struct table *table, const char *name);

/* The text of an array of the tables' OIDs, for $1::oid[], in arena; NULL when memory is exhausted. */
const char *table_oids(const struct table *tables, size_t count, struct arena *arena);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relation.h - a table as pgoutput describes it, and the cache of the definitions in force.
 *
 * A Relation message arrives before the first change of a table in a session, and again after the table has
 * changed, also within a transaction. A published definition never changes: a new one gets a new struct, so
 * that a change decoded earlier keeps its columns. All definitions live as long as the cache (one session).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/base/slice.h"
#include "decoder/catalog_table.h"

enum replica_identity {
    REPLICA_IDENTITY_DEFAULT = 'd',
    REPLICA_IDENTITY_NOTHING = 'n',
    REPLICA_IDENTITY_FULL = 'f',
    REPLICA_IDENTITY_INDEX = 'i',
};

/* How a sink keeps the rows of a table. The decoder knows only the first; a mapping sets the others. */
enum row_mode {
    ROWS_MERGED,      /* as the source has them */
    ROWS_APPENDED,    /* each change is a row */
    ROWS_SOFT_DELETE, /* a deleted row stays, and is marked */
    ROWS_HISTORY,     /* each version of a row is a row */
};

/* Does the key in the definition identify a row? A generated column of it may not be sent. */
enum key_certainty {
    KEY_CERTAIN,
    KEY_LIKELY,   /* nothing speaks against it, but the table's key was altered, or the table is dropped */
    KEY_DOUBTFUL, /* the key had, or may have had, a column that is not sent */
};

enum { RELATION_COLUMNS_MAX = 1600 }; /* PostgreSQL's MaxHeapAttributeNumber */

struct column {
    struct slice name; /* also NUL-terminated; as in the catalog, not quoted */
    oid_t type_oid;    /* of the source cluster */
    int32_t type_modifier;
    bool is_key; /* part of the replica identity; with identity full, every column is */
    /* Of a relation that a mapping has made: the place of the source's column, from 1; 0: it has none. */
    uint32_t source_place;
    bool is_ruled; /* likewise: a rule is about the column */
    /* at the source, of a relation that the catalog has given for a copy; 0: a definition does not have it */
    uint32_t number;
    /* as a sink gets it: a rule says its type there, so that type's input function decides about values */
    bool is_cast;
    /* Set by the relation cache, or by the creator of a relation without a cache. Also NUL-terminated. */
    struct slice type_schema; /* "pg_catalog" for built-in types */
    struct slice type_name;   /* pg_type.typname: int4, _text; for a domain its base type's name */
};

struct row_policy;

struct relation {
    oid_t oid; /* of the source cluster */
    /* also NUL-terminated; pgoutput sends "" for pg_catalog, which the decoder replaces */
    struct slice schema;
    struct slice name;
    enum replica_identity identity;
    uint32_t column_count;
    uint32_t key_count; /* number of columns with is_key */
    bool is_tree;       /* a partitioned table with the identity of its leaves: partition_tree.h */
    /* its leaves log different keys, or a part is not sent: an old tuple does not identify its row */
    bool is_unclear;
    bool needs_old; /* an update without an old tuple does not identify its row */
    enum key_certainty certainty;
    /* as a sink gets it: a condition on its columns, for its rows in the sink's table; NULL: all */
    const char *owned_sql;
    struct column *columns;
    enum row_mode mode;
    const struct row_policy *policy; /* likewise: whose rows are candidates (sinks/row_policy.h); or NULL */
    const struct relation *mapped_from; /* of one that a mapping has made: the source's; else NULL */
    /* what the catalog said when the definition came last; NULL: it was not asked */
    const struct catalog_table *catalog;
};

/*
 * Types from Type messages, which pgoutput sends for user-defined types before the Relation. A domain has its
 * own OID and its base type's name. A rename is not sent until the table itself changes.
 */
struct type_name {
    oid_t oid;
    struct slice schema;
    struct slice name;
};

struct relation_cache;

/* NULL when memory is exhausted. relation_cache_free accepts NULL and frees every relation. */
MUST_CHECK struct relation_cache *relation_cache_new(void);
void relation_cache_free(struct relation_cache *cache);

/* NULL when no Relation message had this OID. */
const struct relation *relation_cache_find(const struct relation_cache *cache, oid_t oid);

/*
 * Puts a deep copy of the definition in force and returns it. When it equals the one in force, returns that
 * one and allocates nothing (servers repeat definitions after every ANALYZE). The copy's columns get the
 * names of their types as known now: announced, else built in, else "oid:1234".
 */
MUST_CHECK bool relation_cache_put(struct relation_cache *cache, const struct relation *definition,
                                   const struct relation **ret_relation, struct error *err);

/*
 * Is the cache so large that a new session, with an empty cache, is better? To be called between
 * transactions.
 */
bool relation_cache_is_large(const struct relation_cache *cache);

MUST_CHECK bool relation_cache_put_type(struct relation_cache *cache, const struct type_name *type,
                                        struct error *err);
/* NULL for built-in types and types not announced. */
const struct type_name *relation_cache_find_type(const struct relation_cache *cache, oid_t oid);

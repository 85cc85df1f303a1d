/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relation.h - a table as pgoutput describes it, and the cache of those that are in force.
 *
 * A Relation message comes before the first change of a table in a session and again after the table changed,
 * also in mid-transaction. A definition never changes once published: a new one gets a new struct, so that a
 * change decoded earlier keeps the columns it was decoded with. All live as long as the cache (one session).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/base/slice.h"

enum replica_identity {
    REPLICA_IDENTITY_DEFAULT = 'd',
    REPLICA_IDENTITY_NOTHING = 'n',
    REPLICA_IDENTITY_FULL = 'f',
    REPLICA_IDENTITY_INDEX = 'i',
};

enum { RELATION_COLUMNS_MAX = 1600 }; /* PostgreSQL's MaxHeapAttributeNumber */

struct column {
    struct slice name; /* NUL-terminated as well; as the catalog has it, not quoted */
    oid_t type_oid;    /* of the source cluster */
    int32_t type_modifier;
    bool is_key; /* part of the replica identity; with identity full, every column */
    /* Filled in by the relation cache, or by who makes a relation without one. NUL-terminated as well. */
    struct slice type_schema; /* "pg_catalog" for what is built in */
    struct slice type_name;   /* pg_type.typname: int4, _text; of a domain its base type's */
};

struct relation {
    oid_t oid; /* of the source cluster */
    /* NUL-terminated as well; pgoutput sends "" for pg_catalog, the decoder restores it */
    struct slice schema;
    struct slice name;
    enum replica_identity identity;
    uint32_t column_count;
    uint32_t key_count; /* how many columns are is_key */
    bool is_tree;       /* a partitioned table whose identity is its leaves': partition_tree.h */
    /* its leaves log different keys, or a part is not sent: an old tuple does not tell its row */
    bool is_unclear;
    bool needs_old; /* an update without an old tuple does not tell its row */
    struct column *columns;
};

/*
 * Types seen in Type messages, which pgoutput sends for user-defined types before the Relation. A domain
 * comes with its own OID and its base type's name; a rename is not sent until the table itself changes.
 */
struct type_name {
    oid_t oid;
    struct slice schema;
    struct slice name;
};

struct relation_cache;

/* NULL when memory is exhausted. relation_cache_free accepts NULL and ends the life of every relation. */
MUST_CHECK struct relation_cache *relation_cache_new(void);
void relation_cache_free(struct relation_cache *cache);

/* NULL when no Relation message has named it. */
const struct relation *relation_cache_find(const struct relation_cache *cache, oid_t oid);

/*
 * Puts a deep copy of the definition in force and returns it; when it equals the one in force, that one is
 * returned and nothing is allocated (servers repeat definitions after every ANALYZE). The copy's columns get
 * the names of their types as of now: announced, else built in, else "oid:1234".
 */
MUST_CHECK bool relation_cache_put(struct relation_cache *cache, const struct relation *definition,
                                   const struct relation **ret_relation, struct error *err);

/* Has it grown so that a new session, with an empty cache, is better? To be asked between transactions. */
bool relation_cache_is_large(const struct relation_cache *cache);

MUST_CHECK bool relation_cache_put_type(struct relation_cache *cache, const struct type_name *type,
                                        struct error *err);
/* NULL for built-in types and types not announced. */
const struct type_name *relation_cache_find_type(const struct relation_cache *cache, oid_t oid);

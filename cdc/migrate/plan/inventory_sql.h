/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inventory_sql.h - private to cdc/migrate: the classes of objects, and the query of each.
 */
#pragma once

#include "cdc/migrate/plan/inventory.h"

/* The columns of each query's answer, in this order. */
enum {
    OBJECT_OID,
    OBJECT_SCHEMA,
    OBJECT_NAME,
    OBJECT_OWNER,
    OBJECT_DETAIL,
    OBJECT_ROWS,
    OBJECT_BYTES,
    OBJECT_INDEX_BYTES,
    OBJECT_ROOT, /* of a partition: the OID of the root of its tree */
    OBJECT_COLUMNS,
};

struct class_query {
    const char *name;
    const char *title;
    enum how how;
    const char *remark;
    const char *sql;
    bool is_of_tables; /* the tables that the pipeline sends are HOW_ROWS, and others HOW_STAYS */
};

extern const struct class_query CLASS_QUERIES[]; /* ends with name NULL */

/* Functions that measure a relation wait for its lock, so one that is locked now is not measured. */
#define LOCKED                                                                                               \
    "with locked (oid) as materialized (select l.relation from pg_locks l where l.granted and"               \
    " l.mode = 'AccessExclusiveLock' and l.relation is not null and l.pid <> pg_backend_pid())"

/* Is the namespace one of a user's? N: its alias. */
#define IS_USER_SCHEMA(N) "(" N ".nspname !~ '^pg_' and " N ".nspname not in ('information_schema', 'pgcdc'))"

/* Is it created with an extension? CATALOG: 'pg_class'; OID: an expression. */
#define IS_OF_EXTENSION(CATALOG, OID)                                                                        \
    "exists (select from pg_depend x where x.classid = 'pg_catalog." CATALOG                                 \
    "'::regclass and x.objid = " OID " and x.objsubid = 0 and x.deptype = 'e')"

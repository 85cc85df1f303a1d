/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inventory.h - everything that the source's database holds, class by class, and how each object gets to a
 * target.
 *
 * Read from the catalog with one query a class, whatever the number of objects, and with no lock that waits:
 * of a relation that another session has locked, the size is the last one that the catalog knows. Schemas of
 * the system, pgcdc's own and members of extensions are left out: they are created with their owner.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/check/check.h"
#include "cdc/pq/session.h"

enum how {
    HOW_ROWS,    /* pgcdc copies the rows and streams the changes; the definition is moved with the schema */
    HOW_SCHEMA,  /* with the schema: pg_dump --schema-only */
    HOW_GLOBALS, /* not in the database: migrate.roles, or by hand */
    HOW_SWITCH,  /* the definition with the schema, what it holds at the switch */
    HOW_HAND,    /* nothing moves it */
    HOW_STAYS,   /* source.tables or the publication leaves it out */
};

enum { COUNT_UNKNOWN = -1 };

struct inventory_object {
    oid_t oid;          /* 0: none */
    const char *schema; /* NULL: it is in no schema */
    const char *name;
    const char *owner;  /* NULL: none */
    const char *detail; /* its kind in the class, or ""; for people */
    int64_t rows;       /* an estimate */
    int64_t bytes;
    int64_t index_bytes;
    enum how how;
};

struct inventory_class {
    const char *name;   /* "materialized_views", for scripts */
    const char *title;  /* "materialized views" */
    const char *remark; /* about how the class moves, or NULL */
    struct inventory_object *objects;
    size_t count;
    bool is_unread;                   /* its query failed, which is a finding */
    int64_t rows, bytes, index_bytes; /* sums of those that are known */
    int64_t unknown_rows;             /* objects that have rows, and no statistics about them */
};

struct inventory {
    struct inventory_class *classes;
    size_t class_count;
    int64_t database_bytes;
};

/* On check's source, which is connected. Everything is in check's arena. */
MUST_CHECK bool inventory_read(struct check *check, struct inventory *ret_inventory, struct error *err);

/* The class of that name; it exists. */
const struct inventory_class *inventory_find(const struct inventory *inventory, const char *name);

/* "rows", for scripts; and for people. */
const char *how_name(enum how how);
const char *how_text(enum how how);

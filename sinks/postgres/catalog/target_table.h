/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_table.h - a table of the target as its catalog describes it, matched by name with one relation of
 * the source.
 *
 * Looked up once for each definition of a relation, and kept until the sink is closed. Columns are in the
 * relation's order, so a change's values and their target columns have the same index.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/pq/session.h"
#include "decoder/relation.h"

struct statement;
struct table_effect;

#define TARGET_SEARCHED_MAX 8u /* each combination of NULL and not NULL among them has its own statement */

/* A column's part in the hash by which many rows without a key are found at once. */
enum column_hash {
    HASH_NOT,   /* not used: values may be large, and reading them would be slow */
    HASH_VALUE, /* its type has a hash function, and identical values have the same hash */
    HASH_SHORT, /* like HASH_VALUE, but only the size of a large value */
    HASH_TEXT,  /* hashed as text, which is short */
};

struct target_column {
    const char *name;   /* quoted */
    oid_t type_oid;     /* of the target */
    oid_t array_oid;    /* of its array type; 0: none */
    char delimiter;     /* between the elements of that array's text */
    const char *equals; /* the type's equality, "operator(pg_catalog.=)" */
    bool is_written;    /* false: the target generates it, or it is left out; statements never name it */
    bool is_left_out;   /* the target is to have no column for the source's; only name is set beside this */
    bool is_always;     /* GENERATED ALWAYS AS IDENTITY: can be inserted but not set */
    bool takes_binary;  /* the source's binary form is valid for this column */
    bool is_text_only;  /* its type has no binary form, which even a NULL in a binary COPY needs */
    bool compares;      /* equals works on any two values, and is true for equal bytes */
    bool folds;         /* equals may also be true for different bytes */
    bool holds_row;     /* a value contains a row type, whose bytes depend on when it was written */
    bool is_key;        /* part of the key by which rows are found */
    bool is_of_mode;    /* added by the mode in which the rows are kept */
    enum column_hash hash;
    bool is_same_type; /* a built-in one, with the same modifier as at the source */
};

struct target_table {
    const struct relation *relation; /* the definition it was looked up for */
    struct target_table *previous;   /* of an earlier definition of the same relation */
    const bool *left_out; /* of the relation's columns, if the table's OID is left_out_of; or NULL */
    oid_t left_out_of;
    oid_t oid;        /* of the target */
    const char *name; /* quoted, schema and all */
    bool is_missing;  /* the target has no such table; no other field is set */
    bool is_partitioned;
    /*
     * The order is observable: triggers, foreign keys, deferred checks. Or the key is not certain, so each
     * change must find exactly one row. Changes are applied one by one in the source's order.
     */
    bool is_strict;
    /*
     * Has a deferrable unique constraint, which the replica role would not check, and no trigger that the
     * replica role must disable.
     */
    bool is_checked_late;
    bool fires;            /* user triggers or foreign keys act there */
    const char *takers[3]; /* triggers that may suppress an insert, an update, a delete, or NULL */
    bool has_rules;        /* rules may rewrite the statements */
    bool defers_checks;    /* has a deferrable constraint, in either role */
    bool may_cascade;      /* ON DELETE CASCADE may delete a row before its own change arrives */
    bool has_always;       /* a column is_always */
    bool has_key;          /* false: rows are found only by comparing them whole */
    const char *key_names; /* for errors: "key id, part", or "no key" */
    uint32_t key_count;    /* of columns that are is_key; their indexes follow */
    uint32_t *key_columns;
    uint32_t searched_count; /* without a key: of columns that an index can find; their indexes follow */
    uint32_t searched[TARGET_SEARCHED_MAX];
    bool takes_images;      /* without a key: many rows can be found at once, by such columns or by a hash */
    uint32_t written_count; /* columns that are is_written */
    uint32_t column_count;  /* the relation's */
    struct target_column *columns;
    uint32_t extra_count; /* written columns that only the target has, quoted */
    const char *const *extra;
    uint64_t run;                 /* the last run of changes that used it; see apply.c */
    struct table_effect *effect;  /* its part of the net effect being applied, or NULL */
    struct statement *statements; /* its prepared statements, valid while their generation is current */
    uint64_t statements_generation;
    uint64_t shape; /* digest of the columns that statements name, from their first use; 0: not used yet */
    uint64_t looked_at_in; /* the target transaction in which it was last compared; see apply_look */
    uint32_t set_failures; /* how many times in a row a set failed */
    uint32_t set_pause;    /* for how many more spans it is applied row by row */
};

/* Which triggers fire for the sink's session, and whether that is allowed. */
enum trigger_role {
    TRIGGERS_REPLICA,   /* session_replication_role = replica: ENABLE ALWAYS and ENABLE REPLICA ones */
    TRIGGERS_FIRE,      /* ordinary triggers and foreign keys: triggers: fire */
    TRIGGERS_FORBIDDEN, /* ordinary ones would fire without triggers: fire: such a table is ERROR_CONFIG */
};

/* A table for the relation, allocated in arena and not looked up yet. */
MUST_CHECK bool target_table_new(const struct relation *relation, struct arena *arena,
                                 struct target_table **ret_table, struct error *err);

#define TARGET_TABLES_MAX 128u /* looked up at once; more would only need more memory */

/*
 * Looks up new tables, at most TARGET_TABLES_MAX, with everything in arena. Not in a pipeline. ERROR_DATA
 * when a table or one of its columns is missing; names it and the remedy. *ret_failed is the table's index,
 * or 0 when the error concerns no table.
 */
MUST_CHECK bool target_tables_find(struct session *session, struct target_table *const *tables, size_t count,
                                   enum trigger_role role, struct arena *arena, size_t *ret_failed,
                                   struct error *err);

/* ERROR_CONFIG with the GRANT when triggers would fire that must not. True when the table does not exist. */
MUST_CHECK bool target_table_check_triggers(struct session *session, const char *schema, const char *name,
                                            enum trigger_role role, struct error *err);

/*
 * Makes unlogged empty tables, at most TARGET_TABLES_MAX, and their partitions logged: a crash would empty
 * them while the position stays. Uses only the relations' names, in the caller's transaction. ERROR_CONFIG
 * with the ALTER when the role lacks the right. A missing table is no error.
 */
MUST_CHECK bool target_tables_make_logged(struct session *session, const struct relation *const *relations,
                                          size_t count, struct error *err);

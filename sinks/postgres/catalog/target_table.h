/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_table.h - a table of the target as its catalog has it, matched by name with one relation of the
 * source.
 *
 * Looked up once for each definition of a relation, and kept until the sink is closed. Columns are in the
 * relation's order, so that a change's values and the columns they go to have the same index.
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

#define TARGET_SEARCHED_MAX 8u /* each of them may be NULL or not, which makes a statement of its own */

/* How a column takes part in the hash by which many rows without a key are found at once. */
enum column_hash {
    HASH_NOT,   /* it may be large, and then the rows would take long to read */
    HASH_VALUE, /* its type has a hash function, and values that are the same have the same hash */
    HASH_SHORT, /* the same; of a large value only its size */
    HASH_TEXT,  /* as text, which is not large */
};

struct target_column {
    const char *name;   /* quoted */
    oid_t type_oid;     /* of the target */
    oid_t array_oid;    /* of its array type, 0: has none */
    char delimiter;     /* between the elements of that array's text */
    const char *equals; /* the type's equality, "operator(pg_catalog.=)" */
    bool is_written;    /* false: the target generates it, so it is never named */
    bool is_always;     /* GENERATED ALWAYS AS IDENTITY: can be inserted but not set */
    bool takes_binary;  /* the source's binary form is this column's, too */
    bool is_text_only;  /* its type has no binary form, which a NULL in a binary COPY needs, too */
    bool compares;      /* equals works on every two values, and on equal bytes it is true */
    bool folds;         /* equals may be true on different bytes, too */
    bool holds_row;     /* a value has a row inside, whose bytes depend on when it was written */
    bool is_key;        /* part of the key by which rows are found */
    enum column_hash hash;
    bool is_same_type; /* a built-in one, with the same modifier as at the source */
};

struct target_table {
    const struct relation *relation; /* the definition it was looked up for */
    struct target_table *previous;   /* of an earlier definition of the same relation */
    oid_t oid;                       /* of the target */
    const char *name;                /* quoted, schema and all */
    bool is_missing;                 /* the target has no such table, and nothing else is known */
    bool is_partitioned;
    /*
     * Somebody looks at the order: triggers, foreign keys, late checks. Changes come one by one, as at the
     * source.
     */
    bool is_strict;
    /*
     * A deferrable unique constraint, which the replica role would not check, and no trigger that it keeps
     * quiet.
     */
    bool is_checked_late;
    bool fires;            /* triggers of users act there, or foreign keys */
    const char *takers[3]; /* those that may take an insert, an update, a delete away: their names, or NULL */
    bool has_rules;        /* statements mean something else there */
    bool defers_checks;    /* or can: a deferrable unique constraint, whoever has to check it */
    bool may_cascade;      /* ON DELETE CASCADE may have deleted a row before its own change comes */
    bool has_always;       /* a column is_always */
    bool has_key;          /* false: rows are found only by comparing them whole */
    const char *key_names; /* for errors: "key id, part", or "no key" */
    uint32_t key_count;    /* columns that are is_key, and their indexes */
    uint32_t *key_columns;
    uint32_t searched_count; /* without a key: columns that an index may find, and their indexes */
    uint32_t searched[TARGET_SEARCHED_MAX];
    bool takes_images;      /* without a key: many rows are found at once, by such columns or by a hash */
    uint32_t written_count; /* columns that are is_written */
    uint32_t column_count;  /* the relation's */
    struct target_column *columns;
    uint32_t extra_count; /* written columns that only the target has, quoted */
    const char *const *extra;
    uint64_t run;                 /* the last run of changes that used it; see apply.c */
    struct table_effect *effect;  /* its part in the net effect that is being applied, or NULL */
    struct statement *statements; /* those that are prepared, as long as their generation is in force */
    uint64_t statements_generation;
    uint64_t shape;        /* of the columns that we name, when they were first used; 0: not yet */
    uint64_t looked_at_in; /* the target transaction in which they were last compared; see apply_look */
    uint32_t set_failures; /* sets failed so many times in a row */
    uint32_t set_pause;    /* and for so many spans more it is applied row by row */
};

/* Which triggers fire for us, and whether that is wanted. */
enum trigger_role {
    TRIGGERS_REPLICA,   /* session_replication_role = replica: ENABLE ALWAYS and ENABLE REPLICA ones */
    TRIGGERS_FIRE,      /* ordinary ones and foreign keys, because the operator asked for it */
    TRIGGERS_FORBIDDEN, /* ordinary ones would fire and nobody asked for it: such a table is ERROR_CONFIG */
};

/* Of a relation, and not looked up yet. In arena. */
MUST_CHECK bool target_table_new(const struct relation *relation, struct arena *arena,
                                 struct target_table **ret_table, struct error *err);

#define TARGET_TABLES_MAX 128u /* looked up at once; more would only take more memory */

/*
 * Looks new tables up, at most TARGET_TABLES_MAX, and puts what it finds into arena. Not in a pipeline.
 * ERROR_DATA when a table or one of its columns is missing, naming it and the statement that adds it;
 * *ret_failed is its index, or 0 when it was not about one of them.
 */
MUST_CHECK bool target_tables_find(struct session *session, struct target_table *const *tables, size_t count,
                                   enum trigger_role role, struct arena *arena, size_t *ret_failed,
                                   struct error *err);

/*
 * Where triggers would fire that nobody asked for: ERROR_CONFIG with the GRANT. True when there is no such
 * table.
 */
MUST_CHECK bool target_table_check_triggers(struct session *session, const char *schema, const char *name,
                                            enum trigger_role role, struct error *err);

/*
 * Makes empty tables, at most TARGET_TABLES_MAX, and their partitions, logged where they are not: a crash
 * would empty them while the position stays. Of the relations only the names are known. In the caller's
 * transaction. ERROR_CONFIG with the ALTER when it may not. A table that is missing is no matter.
 */
MUST_CHECK bool target_tables_make_logged(struct session *session, const struct relation *const *relations,
                                          size_t count, struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_table.h - a table of the target as its catalog has it, matched by name with one relation of the source.
 *
 * Looked up once for each definition of a relation, and kept until the sink is closed. Columns are in the relation's
 * order, so that a change's values and the columns they go to have the same index.
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

struct target_column {
    const char *name;   /* quoted */
    oid_t type_oid;     /* of the target */
    oid_t array_oid;    /* of its array type, 0: has none */
    char delimiter;     /* between the elements of that array's text */
    const char *equals; /* the type's equality, "operator(pg_catalog.=)" */
    bool is_written;    /* false: the target generates it, so it is never named */
    bool is_always;     /* GENERATED ALWAYS AS IDENTITY: can be inserted but not set */
    bool takes_binary;  /* the source's binary form is this column's, too */
    bool is_key;        /* part of the key by which rows are found */
};

struct target_table {
    const struct relation *relation; /* the definition it was looked up for */
    struct target_table *previous;   /* of an earlier definition of the same relation */
    oid_t oid;                       /* of the target */
    const char *name;                /* quoted, schema and all */
    bool is_partitioned;
    bool
        is_strict; /* triggers or foreign keys act on it: changes must come one by one, in the source's order */
    bool
        may_cascade; /* a foreign key's ON DELETE CASCADE may have deleted a row before its own change comes */
    bool has_always;       /* a written column is GENERATED ALWAYS AS IDENTITY */
    bool has_key;          /* false with rows that are only found by comparing them whole */
    const char *key_names; /* for errors: "id, part", or "no key" */
    uint32_t key_count;
    uint32_t *key_columns;  /* their indexes */
    uint32_t written_count; /* columns that are written */
    uint32_t column_count;
    struct target_column *columns; /* relation->column_count of them */
    uint32_t extra_count;
    const char *const *extra;     /* written columns of the target that the relation does not have, quoted */
    uint64_t run;                 /* the last run of changes that used it; see apply.c */
    struct table_effect *effect;  /* its part in the net effect of the span that is being applied, or NULL */
    struct statement *statements; /* those that are prepared, when the generation is still in force */
    uint64_t statements_generation;
    /* Sets failed on it: so many times in a row, and for so many spans it is applied row by row. */
    uint32_t set_failures;
    uint32_t set_pause;
};

/* Which triggers fire for us, and whether that is wanted. */
enum trigger_role {
    TRIGGERS_REPLICA,   /* session_replication_role = replica: ENABLE ALWAYS and ENABLE REPLICA ones */
    TRIGGERS_FIRE,      /* ordinary ones and foreign keys, because the operator asked for it */
    TRIGGERS_FORBIDDEN, /* ordinary ones would fire and nobody asked for it: such a table is ERROR_CONFIG */
};

/*
 * Looks the relation's table up and puts it into arena. Not in a pipeline. ERROR_DATA when the table or one of its
 * columns is missing, naming it and the statement that adds it.
 */
MUST_CHECK bool target_table_find(struct session *session, const struct relation *relation,
                                  enum trigger_role role, struct arena *arena,
                                  struct target_table **ret_table, struct error *err);

/* Where triggers would fire that nobody asked for: ERROR_CONFIG with the GRANT. True when there is no such table. */
MUST_CHECK bool target_table_check_triggers(struct session *session, const char *schema, const char *name,
                                            enum trigger_role role, struct error *err);

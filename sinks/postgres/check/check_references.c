/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_references.c - foreign keys of the target that act on the initial copy before the rows that
 * they refer to are there.
 *
 * A table is copied after the tables to which its foreign keys at the source refer. A circle has no such
 * order, nor has a foreign key that only the target has. If the constraint is deferrable, the copy defers it
 * to its end.
 */
#include <string.h>

#include "sinks/postgres/check/check.h"

/*
 * Foreign keys that are checked at each statement, with every table that has one and every table that it
 * refers to: of a partitioned table the partitions too, since these may be what is copied. A constraint of a
 * partition cannot be altered, only the one that it derives from.
 */
static const char IMMEDIATE[] =
    "select n.nspname, c.relname, k.conname, side.refers, tn.nspname, t.relname"
    " from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = "
    "c.relnamespace"
    " cross join lateral (values (true, k.conrelid), (false, k.confrelid)) side (refers, oid)"
    " cross join lateral (select side.oid union select relid from pg_partition_tree(side.oid)) tree (oid)"
    " join pg_class t on t.oid = tree.oid join pg_namespace tn on tn.oid = t.relnamespace"
    " where k.contype = 'f' and not k.condeferrable and k.conparentid = 0 order by 1, 2, 3";

enum { SCHEMA, TABLE, CONSTRAINT, REFERS, TREE_SCHEMA, TREE_TABLE };

/* The table's place in the order of the copy; the count of tables if it is not copied. */
static size_t find_place(const struct target_check *target, const struct table *ordered, const char *schema,
                         const char *name) {
    size_t place = 0;
    while (place < target->check->table_count &&
           (strcmp(ordered[place].name, name) != 0 || strcmp(ordered[place].schema, schema) != 0))
        place++;
    return place;
}

static bool is_same_constraint(const PGresult *keys, int one, int other) {
    for (int field = SCHEMA; field <= CONSTRAINT; field++)
        if (strcmp(PQgetvalue(keys, one, field), PQgetvalue(keys, other, field)) != 0)
            return false;
    return true;
}

static void add_reference(const struct target_check *target, const PGresult *keys, int row) {
    const char *table =
        target_check_name(target, PQgetvalue(keys, row, SCHEMA), PQgetvalue(keys, row, TABLE));
    const char *constraint = target_check_name(target, NULL, PQgetvalue(keys, row, CONSTRAINT));
    sink_check_add(
        target->check, SINK_WARNING, "target_references",
        "foreign key %s of table %s acts (triggers: fire) and refers to rows that are copied later",
        constraint, table);
    sink_check_fix(target->check, "alter table %s alter constraint %s deferrable;", table, constraint);
    sink_check_object(target->check, table);
}

/* The constraint of the rows from first on; returns the row of the next one. */
static int check_constraint(const struct target_check *target, const struct table *ordered,
                            const PGresult *keys, int first) {
    const size_t count = target->check->table_count;
    size_t first_referring = count, last_referred = 0;
    int row = first;
    for (; row < PQntuples(keys) && is_same_constraint(keys, first, row); row++) {
        size_t place = find_place(target, ordered, PQgetvalue(keys, row, TREE_SCHEMA),
                                  PQgetvalue(keys, row, TREE_TABLE));
        if (result_is_true(keys, row, REFERS))
            first_referring = place < first_referring ? place : first_referring;
        else if (place < count)
            last_referred = place > last_referred ? place : last_referred;
    }
    if (first_referring < last_referred)
        add_reference(target, keys, first);
    return row;
}

bool target_check_references(const struct target_check *target, struct error *err) {
    PGresult *keys AUTO_PGRESULT = NULL;
    const struct sink_check *check = target->check;
    const struct table *ordered = NULL;
    if (!target->may_fire || !check->expects_copy)
        return true;
    if (!check->ops->order(check->context, &ordered, err) ||
        !session_query(
            target->session, IMMEDIATE, 0, NULL,
            &(const struct result_shape){"the query for foreign keys", 0, RESULT_ROWS_ANY, TREE_TABLE + 1, 0},
            &keys, err))
        return false;
    for (int row = 0; row < PQntuples(keys);)
        row = check_constraint(target, ordered, keys, row);
    return true;
}

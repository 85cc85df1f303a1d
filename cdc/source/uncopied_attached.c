/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uncopied_attached.c - rows that a partition had before it was attached to a table that is published as one.
 *
 * A table that is created as a partition is as old as its place in the other one, and so has no older rows.
 */
#include "cdc/base/buffer.h"
#include "cdc/source/uncopied_parts.h"

#include <stdio.h>

#define SQL_BYTES_MAX (16u << 20)

enum { LEAF_NAME, LEAF_XMIN, LEAF_CMIN, LEAF_FIELDS };

/*
 * A partition belongs to the root since the youngest of the places between them. System columns are as old as
 * their table, and no statement changes them.
 */
static const char LEAVES[] =
    "select format('%I.%I', n.nspname, c.relname), a.xmin, a.cmin"
    " from pg_partition_tree($1::oid::regclass) p join pg_class c on c.oid = p.relid"
    " join pg_namespace n on n.oid = c.relnamespace"
    " join pg_attribute s on s.attrelid = c.oid and s.attnum = -1"
    " cross join lateral (select i.xmin, i.cmin"
    "  from pg_partition_ancestors(c.oid) with ordinality u (relid, place)"
    "  join pg_inherits i on i.inhrelid = u.relid where u.place <= p.level"
    "  order by age(i.xmin), i.cmin::text::bigint desc limit 1) a"
    " where p.isleaf and c.relkind = 'r' and age(s.xmin) >= age(a.xmin)"
    " and ($2::text is null or age(a.xmin) <= age($2::text::xid8::xid)) and pg_relation_size(c.oid) > 0";

static bool read_leaves(struct uncopied_question *question, const struct table *table, PGresult **ret_leaves,
                        struct error *err) {
    char oid[16];
    struct error answer;
    snprintf(oid, sizeof oid, "%u", table->oid);
    const char *parameters[] = {oid, question->since_xid};
    return uncopied_ask(question, question->source, LEAVES, 2, parameters, LEAF_FIELDS, ret_leaves, &answer,
                        err);
}

bool uncopied_read_attached(struct uncopied_question *question, const struct table *table, PGresult **ret_old,
                            struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *leaves AUTO_PGRESULT = NULL;
    struct error answer;
    *ret_old = NULL;
    if (!read_leaves(question, table, &leaves, err))
        return false;
    if (leaves == NULL || PQntuples(leaves) == 0)
        return true;
    for (int row = 0; row < PQntuples(leaves); row++) {
        buffer_append_text(&sql, row == 0 ? "(" : " union all (");
        uncopied_append_old(&sql, table, PQgetvalue(leaves, row, LEAF_NAME),
                            PQgetvalue(leaves, row, LEAF_XMIN), PQgetvalue(leaves, row, LEAF_CMIN));
        buffer_append_u8(&sql, ')');
    }
    return buffer_text(&sql) != NULL ? uncopied_ask(question, question->source, sql.data, 0, NULL,
                                                    (int) table->key_count + 1, ret_old, &answer, err)
                                     : error_no_memory(err);
}

/* A row that is deleted between the two questions is asked for once more. */
static bool look_rows(struct uncopied_question *question, const struct table *table, bool *ret_lacks,
                      struct error *err) {
    PGresult *old AUTO_PGRESULT = NULL;
    *ret_lacks = false;
    if (!uncopied_read_attached(question, table, &old, err))
        return false;
    for (int row = 0; old != NULL && row < PQntuples(old) && !*ret_lacks; row++)
        if (!uncopied_ask_written(question, table, old, row, ret_lacks, err))
            return false;
    return true;
}

bool uncopied_look_attached(struct uncopied_question *question, const struct table *table, bool *ret_lacks,
                            struct error *err) {
    return look_rows(question, table, ret_lacks, err) &&
           (!*ret_lacks || look_rows(question, table, ret_lacks, err));
}

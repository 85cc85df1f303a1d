/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leaf_identity.c - which old values each partitioned table's leaves write to the WAL.
 */
#include "cdc/leaf_identity.h"

#include <limits.h>
#include <stdlib.h>

#include "cdc/pq/result.h"

/*
 * A row for each root and column of the key that its leaves log; one without a column when all are FULL. Leaves without an
 * identity send neither updates nor deletes. A key is the names of its columns, in order.
 */
static const char LEAVES[] =
    "with root as (select distinct c.oid from pg_publication_tables p"
    "   join pg_namespace n on n.nspname = p.schemaname"
    "   join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename and c.relkind = 'p'"
    "   where p.pubname = any ($1::name[])),"
    " leaf as (select root.oid as root, l.relreplident = 'f' as is_full,"
    "   (select array_agg(a.attname::text order by a.attname) from pg_index i"
    "     join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])"
    "     where i.indrelid = l.oid and case l.relreplident when 'd' then i.indisprimary"
    "       when 'i' then i.indisreplident else false end) as key"
    "   from root cross join lateral pg_partition_tree(root.oid) t join pg_class l on l.oid = t.relid"
    "   where t.isleaf and l.relkind = 'r'),"
    " tree as (select root, bool_and(is_full) as is_full,"
    "   count(distinct key) filter (where not is_full) > 1 as differs, min(key) filter (where not is_full) as key"
    "   from leaf where is_full or key is not null group by root)"
    " select root, is_full, differs, k.name from tree left join lateral unnest(key) k (name) on true order by root";

enum { LEAVES_ROOT, LEAVES_FULL, LEAVES_DIFFERS, LEAVES_COLUMN };

/* As many as there are rows, of which each has room for one column. */
struct room {
    struct partition_tree *trees;
    struct slice *keys;
};

static bool take_row(const PGresult *rows, int row, struct arena *arena, const struct room *room,
                     struct partition_trees *trees) {
    oid_t root = (oid_t) strtoul(PQgetvalue(rows, row, LEAVES_ROOT), NULL, 10);
    if (trees->count == 0 || room->trees[trees->count - 1].root_oid != root)
        room->trees[trees->count++] =
            (struct partition_tree){.root_oid = root,
                                    .is_full = PQgetvalue(rows, row, LEAVES_FULL)[0] == 't',
                                    .differs = PQgetvalue(rows, row, LEAVES_DIFFERS)[0] == 't',
                                    .keys = &room->keys[row]};
    if (PQgetisnull(rows, row, LEAVES_COLUMN))
        return true;
    struct slice name = slice_of(PQgetvalue(rows, row, LEAVES_COLUMN));
    room->keys[row] = (struct slice){.data = arena_copy(arena, name), .size = name.size};
    room->trees[trees->count - 1].key_count++;
    return room->keys[row].data != NULL;
}

bool leaf_identity_read(struct session *source, const char *publications, struct arena *arena,
                        struct partition_trees *ret_trees, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    const char *parameters[] = {publications};
    static const struct result_shape SHAPE = {"source", "the query for partitions", 0, INT_MAX,
                                              4,        1u << LEAVES_COLUMN};
    if (!session_query(source, LEAVES, 1, parameters, &rows, err) || !result_check(rows, &SHAPE, err))
        return error_wrap(err, "reading the identities of partitions");
    size_t count = (size_t) PQntuples(rows);
    const struct room room = {.trees = arena_alloc_zero(arena, (count + 1) * sizeof *room.trees),
                              .keys = arena_alloc_zero(arena, (count + 1) * sizeof *room.keys)};
    struct partition_trees trees = {.trees = room.trees};
    if (room.trees == NULL || room.keys == NULL)
        return error_no_memory(err);
    for (int row = 0; row < PQntuples(rows); row++)
        if (!take_row(rows, row, arena, &room, &trees))
            return error_no_memory(err);
    *ret_trees = trees;
    return true;
}

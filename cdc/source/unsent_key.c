/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unsent_key.c - reads the keys with generated columns from the catalog.
 */
#include "cdc/source/unsent_key.h"

#include <stdlib.h>

/*
 * A row for each such table and column that determines its key. A generated column depends on the columns of
 * its expression: directly in older servers, through its default in newer ones.
 */
static const char GENERATED[] =
    "with key as (select c.oid, a.attnum, a.attgenerated <> '' as is_generated from pg_class c"
    "  join pg_index i on i.indrelid = c.oid"
    "  join pg_attribute a on a.attrelid = c.oid and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])"
    "  where case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end),"
    " part as (select oid, attnum, true as is_sent from key where not is_generated union all"
    "  select distinct k.oid, d.refobjsubid::int2, false from key k left join pg_attrdef e on e.adrelid = "
    "k.oid and e.adnum = k.attnum"
    "  join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = k.oid and d.refobjsubid not "
    "in (0, k.attnum)"
    "   and (d.classid = 'pg_class'::regclass and d.objid = k.oid and d.objsubid = k.attnum"
    "     or d.classid = 'pg_attrdef'::regclass and d.objid = e.oid) where k.is_generated"
    "   and not exists (select from key s where s.oid = k.oid and s.attnum = d.refobjsubid))"
    " select p.oid, a.attname, p.is_sent from part p join pg_attribute a on a.attrelid = p.oid and a.attnum "
    "= p.attnum"
    " where p.oid in (select oid from key where is_generated) order by p.oid, p.is_sent desc";

/* One place for each row of the result. */
struct room {
    struct unsent_key *keys;
    struct slice *columns;
};

static bool take_row(const PGresult *rows, int row, struct arena *arena, const struct room *room,
                     struct unsent_keys *keys) {
    oid_t oid = (oid_t) strtoul(PQgetvalue(rows, row, 0), NULL, 10);
    if (keys->count == 0 || room->keys[keys->count - 1].oid != oid)
        room->keys[keys->count++] = (struct unsent_key){.oid = oid, .columns = &room->columns[row]};
    struct slice name = slice_of(PQgetvalue(rows, row, 1));
    room->columns[row] = (struct slice){.data = arena_copy(arena, name), .size = name.size};
    room->keys[keys->count - 1].column_count++;
    room->keys[keys->count - 1].sent_count += PQgetvalue(rows, row, 2)[0] == 't';
    return room->columns[row].data != NULL;
}

bool unsent_key_read(struct session *source, struct arena *arena, struct unsent_keys *ret_keys,
                     struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    static const struct result_shape SHAPE = {"the query for keys with generated columns", 0, RESULT_ROWS_ANY,
                                              3, 0};
    *ret_keys = (struct unsent_keys){0};
    if (source->server_version >= 180000)
        return true;
    if (!session_query(source, GENERATED, 0, NULL, &SHAPE, &rows, err))
        return error_wrap(err, "reading the keys with generated columns");
    size_t count = (size_t) PQntuples(rows);
    const struct room room = {.keys = arena_alloc_zero(arena, (count + 1) * sizeof *room.keys),
                              .columns = arena_alloc_zero(arena, (count + 1) * sizeof *room.columns)};
    struct unsent_keys keys = {.keys = room.keys};
    if (room.keys == NULL || room.columns == NULL)
        return error_no_memory(err);
    for (int row = 0; row < PQntuples(rows); row++)
        if (!take_row(rows, row, arena, &room, &keys))
            return error_no_memory(err);
    *ret_keys = keys;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_key.c - one query for the indexes that can be identities, their columns, and the age of both.
 */
#include "cdc/source/table_key.h"

#include <stdio.h>
#include <stdlib.h>

/* Taken before the catalog is read, so that no change before it was made after the reading. */
static const char END[] = "select case when pg_is_in_recovery() then pg_last_wal_replay_lsn()"
                          " else pg_current_wal_insert_lsn() end";

/*
 * Tables that may have been altered by a transaction that is not visible yet, although it was sent: its
 * commit waits for a standby, and it keeps its locks as long. ALTER TABLE with a weaker lock changes no key.
 */
static const char LOCKED[] =
    "select coalesce(array_agg(distinct relation), '{}') from pg_locks where locktype = 'relation' and "
    "granted"
    " and mode in ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')"
    " and relation >= 16384";

/*
 * A row for each table, or for each column that determines its key when that has a generated column. Such a
 * column depends on the columns of its expression: directly in older servers, through its default in newer
 * ones. The columns of a primary key are told by what its constraint depends on, since REINDEX CONCURRENTLY
 * makes another index. The system columns of a table are as old as the table. A negative age is that of a row
 * that was frozen long ago.
 */
static const char KEYS[] =
    "with slot as (select coalesce(max(age(catalog_xmin)), 2147483647) as age from pg_replication_slots"
    "  where slot_name = $1),"
    " hiding as (select distinct a.attrelid as oid from pg_attribute a cross join slot"
    "  where a.attnum > 0 and a.attrelid >= 16384 and ($2::oid = 0 or a.attrelid = $2::oid)"
    "   and (a.attgenerated <> '' or (age(a.xmin) <= slot.age and age(a.xmin) >= 0))),"
    " hider as (select c.oid, c.relreplident, b.xmin as born from hiding join pg_class c using (oid)"
    "  join pg_attribute b on b.attrelid = c.oid and b.attnum = -1 where c.relkind in ('r', 'p')),"
    " candidate as (select h.oid, h.relreplident, i.indexrelid, i.indisprimary, i.indisreplident,"
    "   (i.indkey::int2[])[0:i.indnkeyatts - 1] as attnums, i.indnkeyatts as total, i.xmin as xid,"
    "   (select count(*) from pg_attribute a where a.attrelid = h.oid and a.attgenerated = ''"
    "     and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])) as sent"
    "  from hider h join pg_index i on i.indrelid = h.oid and (i.indisprimary or i.indisreplident)),"
    " key as (select c.oid, a.attnum, a.attgenerated <> '' as is_generated, a.xmin as xid"
    "  from candidate c join pg_attribute a on a.attrelid = c.oid and a.attnum = any (c.attnums)"
    "  where case c.relreplident when 'd' then c.indisprimary when 'i' then c.indisreplident end),"
    " expression as (select k.oid, k.attnum, e.oid as default_oid, e.xmin as xid from key k"
    "  left join pg_attrdef e on e.adrelid = k.oid and e.adnum = k.attnum where k.is_generated),"
    " part as (select k.oid, k.attnum, true as is_sent from key k"
    "   where not k.is_generated and k.oid in (select oid from expression)"
    "  union all select distinct e.oid, d.refobjsubid::int2, false from expression e join pg_depend d"
    "   on d.refclassid = 'pg_class'::regclass and d.refobjid = e.oid and d.refobjsubid not in (0, e.attnum)"
    "   and (d.classid = 'pg_class'::regclass and d.objid = e.oid and d.objsubid = e.attnum"
    "    or d.classid = 'pg_attrdef'::regclass and d.objid = e.default_oid)"
    "   where not exists (select from key s where s.oid = e.oid and s.attnum = d.refobjsubid)),"
    " named as (select p.oid, p.is_sent, a.attname, a.xmin as xid from part p"
    "  join pg_attribute a on a.attrelid = p.oid and a.attnum = p.attnum),"
    " fact (oid, what, xid) as (select c.oid, 'primary', d.xmin from candidate c"
    "   join pg_constraint n on n.conindid = c.indexrelid and n.contype = 'p' join pg_depend d"
    "   on d.classid = 'pg_constraint'::regclass and d.objid = n.oid and d.refclassid = 'pg_class'::regclass"
    "   and d.refobjid = c.oid and d.refobjsubid > 0 where c.indisprimary"
    "  union all select oid, 'index', xid from candidate where indisreplident"
    "  union all select oid, 'columns', xid from key where is_generated"
    "  union all select oid, 'columns', xid from expression union all select oid, 'columns', xid from named),"
    " dated as (select f.oid, f.what, case when age(f.xid) > slot.age or age(f.xid) < 0 then 2"
    "   when f.xid = h.born then 1 else 0 end as age from fact f join hider h using (oid) cross join slot),"
    " aged as (select oid, min(age) filter (where what = 'primary') as of_primary,"
    "  min(age) filter (where what = 'index') as of_index, min(age) filter (where what = 'columns') as "
    "of_columns"
    "  from dated group by oid)"
    " select c.oid, c.relnatts, c.relreplident, h.oid is not null, coalesce(h.born::text, '0'),"
    "  coalesce(p.total, 0), coalesce(p.sent, 0), coalesce(g.of_primary, 0),"
    "  coalesce(i.total, 0), coalesce(i.sent, 0), coalesce(g.of_index, 0), coalesce(g.of_columns, 0),"
    "  n.attname, coalesce(n.is_sent, false), c.oid = any ($3::oid[])"
    " from pg_class c left join hider h on h.oid = c.oid"
    " left join candidate p on p.oid = c.oid and p.indisprimary"
    " left join aged g on g.oid = c.oid"
    " left join candidate i on i.oid = c.oid and i.indisreplident"
    " left join named n on n.oid = c.oid"
    " where c.relkind in ('r', 'p') and c.oid >= 16384 and ($2::oid = 0 or c.oid = $2::oid)"
    " order by c.oid, n.is_sent desc";

enum {
    KEY_OID,
    KEY_COLUMNS_MAX,
    KEY_IDENTITY,
    KEY_MAY_HIDE,
    KEY_CREATED_BY,
    KEY_PRIMARY, /* three columns */
    KEY_INDEX = KEY_PRIMARY + 3,
    KEY_COLUMNS_AGE = KEY_INDEX + 3,
    KEY_COLUMN,
    KEY_COLUMN_IS_SENT,
    KEY_IS_LOCKED,
    KEY_FIELDS,
};

bool table_keys_are_needed(int server_version) {
    return server_version < 180000;
}

/* One place for each row of the result. */
struct room {
    struct table_key *keys;
    struct slice *columns;
};

static uint32_t number_at(const PGresult *rows, int row, int field) {
    return (uint32_t) strtoul(PQgetvalue(rows, row, field), NULL, 10);
}

static struct key_index index_at(const PGresult *rows, int row, int field) {
    return (struct key_index){.column_count = number_at(rows, row, field),
                              .sent_count = number_at(rows, row, field + 1),
                              .age = (enum key_age) number_at(rows, row, field + 2)};
}

static struct table_key key_at(const PGresult *rows, int row) {
    return (struct table_key){.oid = number_at(rows, row, KEY_OID),
                              .created_by = number_at(rows, row, KEY_CREATED_BY),
                              .columns_max = number_at(rows, row, KEY_COLUMNS_MAX),
                              .may_hide = result_is_true(rows, row, KEY_MAY_HIDE),
                              .is_locked = result_is_true(rows, row, KEY_IS_LOCKED),
                              .primary = index_at(rows, row, KEY_PRIMARY),
                              .index = index_at(rows, row, KEY_INDEX),
                              .identity = (enum replica_identity) PQgetvalue(rows, row, KEY_IDENTITY)[0],
                              .columns_age = (enum key_age) number_at(rows, row, KEY_COLUMNS_AGE)};
}

static bool take_row(const PGresult *rows, int row, struct arena *arena, const struct room *room,
                     size_t *count) {
    if (*count == 0 || room->keys[*count - 1].oid != number_at(rows, row, KEY_OID)) {
        room->keys[*count] = key_at(rows, row);
        room->keys[(*count)++].columns = &room->columns[row];
    }
    struct table_key *key = &room->keys[*count - 1];
    if (PQgetisnull(rows, row, KEY_COLUMN))
        return true;
    const struct slice name = slice_of(PQgetvalue(rows, row, KEY_COLUMN));
    room->columns[row] = (struct slice){.data = arena_copy(arena, name), .size = name.size};
    key->column_count++;
    key->sent_count += result_is_true(rows, row, KEY_COLUMN_IS_SENT);
    return room->columns[row].data != NULL;
}

static bool read_end(struct session *source, lsn_t *ret_lsn, struct error *err) {
    PGresult *end AUTO_PGRESULT = NULL;
    static const struct result_shape SHAPE = {"the query for the end of its WAL", 1, 1, 1, 0};
    if (!session_query(source, END, 0, NULL, &SHAPE, &end, err))
        return false;
    if (!lsn_parse(PQgetvalue(end, 0, 0), ret_lsn))
        return error_set(err, ERROR_PROTOCOL, "source: the end of the WAL is not an LSN");
    return true;
}

static bool take_rows(const PGresult *rows, struct arena *arena, struct table_keys *ret_keys,
                      struct error *err) {
    const size_t row_count = (size_t) PQntuples(rows);
    size_t count = 0;
    const struct room room = {.keys = arena_alloc_zero(arena, (row_count + 1) * sizeof *room.keys),
                              .columns = arena_alloc_zero(arena, (row_count + 1) * sizeof *room.columns)};
    if (room.keys == NULL || room.columns == NULL)
        return error_no_memory(err);
    for (int row = 0; row < PQntuples(rows); row++)
        if (!take_row(rows, row, arena, &room, &count))
            return error_no_memory(err);
    *ret_keys = (struct table_keys){.keys = room.keys, .count = count, .is_needed = true};
    return true;
}

/* The order of the queries matters: the end, then the locks, then the catalog. */
bool table_keys_read(struct session *source, const char *slot, oid_t table, struct arena *arena,
                     struct table_keys *ret_keys, lsn_t *ret_lsn, struct error *err) {
    PGresult *locked AUTO_PGRESULT = NULL;
    PGresult *rows AUTO_PGRESULT = NULL;
    char oid[16];
    const char *parameters[] = {slot, oid, NULL};
    static const struct result_shape LOCKED_SHAPE = {"the query for locks", 1, 1, 1, 0};
    static const struct result_shape SHAPE = {"the query for keys", 0, RESULT_ROWS_ANY, KEY_FIELDS,
                                              1u << KEY_COLUMN};
    snprintf(oid, sizeof oid, "%u", table);
    if (!read_end(source, ret_lsn, err) ||
        !session_query(source, LOCKED, 0, NULL, &LOCKED_SHAPE, &locked, err))
        return error_wrap(err, "reading the keys of tables");
    parameters[2] = PQgetvalue(locked, 0, 0);
    if (!session_query(source, KEYS, 3, parameters, &SHAPE, &rows, err))
        return error_wrap(err, "reading the keys of tables");
    return take_rows(rows, arena, ret_keys, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog_columns.c - one query for the columns of one table, or of all.
 */
#include "cdc/source/catalog_columns.h"

#include <stdio.h>
#include <stdlib.h>

/* Taken before the catalog is read, so that no change before it was made after the reading. */
static const char END[] = "select case when pg_is_in_recovery() then pg_last_wal_replay_lsn()"
                          " else pg_current_wal_insert_lsn() end";

/*
 * Tables that a transaction has locked and may have altered, with its xid: a commit that waits for a standby
 * was sent already, and is visible only later. The oldest xid of a session is that of its transaction; the
 * others are those of savepoints.
 */
static const char LOCKS[] =
    "select coalesce(array_agg(relation), '{}'), coalesce(array_agg(xid), '{}') from ("
    " select distinct on (l.relation) l.relation, x.transactionid as xid from pg_locks l join pg_locks x"
    "  on x.pid = l.pid and x.locktype = 'transactionid' and x.granted"
    "  where l.locktype = 'relation' and l.granted and l.mode = 'AccessExclusiveLock' and l.relation >= 16384"
    "   and l.database = (select oid from pg_database where datname = current_database())"
    "  order by l.relation, age(x.transactionid) desc) t";

/*
 * attmissingval is an array with one element. The leaves of a partitioned table hold its rows, and must
 * agree. A negative age is that of a row that was frozen long ago. The column lists of 15 are read as JSON,
 * because 14 does not have them.
 */
static const char COLUMNS[] =
    "with slot as (select coalesce(max(age(catalog_xmin)), 2147483647) as age from pg_replication_slots"
    "  where slot_name = $1),"
    " lock as (select * from unnest($3::oid[], $4::xid[]) l (oid, xid)),"
    " part as (select r.prrelid as oid from pg_publication_rel r where to_jsonb(r) ->> 'prattrs' is not null"
    "  union select attrelid from pg_attribute where attgenerated <> '' and not attisdropped)"
    " select c.oid, ns.nspname, c.relname, coalesce(lock.xid::text, '0'), s.sends_part, s.storage, "
    "a.attname, a.atttypid, a.atttypmod,"
    "  coalesce(format_type(a.atttypid, a.atttypmod), ''),"
    "  case when a.attcollation <> 0 and a.attcollation <> t.typcollation then (select format('%I.%I', "
    "n.nspname,"
    "   o.collname) from pg_collation o join pg_namespace n on n.oid = o.collnamespace"
    "   where o.oid = a.attcollation) else '' end,"
    "  a.attisdropped, age(a.xmin) > slot.age or age(a.xmin) < 0,"
    "  coalesce(a.atthasdef or a.attidentity <> '' or t.typdefaultbin is not null, false),"
    "  case when a.attisdropped then null when c.relkind = 'r' then case when a.atthasmissing and"
    "    cardinality(a.attmissingval::text::text[]) = 1 then (a.attmissingval::text::text[])[1] end"
    "   else (select case when bool_and(l.atthasmissing) and count(distinct l.attmissingval::text) = 1 and"
    "     min(cardinality(l.attmissingval::text::text[])) = 1 then min((l.attmissingval::text::text[])[1]) "
    "end"
    "    from pg_partition_tree(c.oid) p join pg_attribute l on l.attrelid = p.relid and l.attname = "
    "a.attname"
    "    where p.isleaf) end"
    " from pg_class c join pg_namespace ns on ns.oid = c.relnamespace cross join slot"
    " cross join lateral (select case c.relkind when 'r' then pg_relation_filenode(c.oid) || ' ' ||"
    "   (select md5(string_agg(v.attnum || ':' || v.xmin, ' ' order by v.attnum)) from pg_attribute v"
    "    where v.attrelid = c.oid and v.attnum > 0) else"
    "   (select md5(string_agg(coalesce(pg_relation_filenode(p.relid)::text, ''), ' ' order by p.relid))"
    "    from pg_partition_tree(c.oid) p) end as storage,"
    "   exists (select from part where part.oid = c.oid) or (c.relispartition and exists (select from part"
    "    join pg_partition_ancestors(c.oid) a on a.relid = part.oid)) as sends_part) s"
    " join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 left join pg_type t on t.oid = a.atttypid"
    " left join lock on lock.oid = c.oid"
    " where c.relkind in ('r', 'p') and c.oid >= 16384 and ($2::oid = 0 or c.oid = $2::oid)"
    "  and c.relpersistence = 'p' and s.storage is not null"
    " order by c.oid, a.attnum";

enum {
    CATALOG_OID,
    CATALOG_SCHEMA,
    CATALOG_TABLE,
    CATALOG_LOCKED_BY,
    CATALOG_SENDS_PART,
    CATALOG_STORAGE,
    CATALOG_NAME,
    CATALOG_TYPE,
    CATALOG_MODIFIER,
    CATALOG_TYPE_SQL,
    CATALOG_COLLATION,
    CATALOG_DROPPED,
    CATALOG_OLD,
    CATALOG_DEFAULT,
    CATALOG_MISSING,
    CATALOG_FIELDS,
};

/* One place for each row of the answer. */
struct catalog_room {
    struct catalog_table *tables;
    struct catalog_column *columns;
    struct arena *arena;
};

static bool keep_text_of(const PGresult *rows, int row, int field, struct arena *arena,
                         struct slice *ret_text) {
    if (PQgetisnull(rows, row, field))
        return true;
    const struct slice text = slice_of(PQgetvalue(rows, row, field));
    *ret_text = (struct slice){.data = arena_copy(arena, text), .size = text.size};
    return ret_text->data != NULL;
}

static bool take_column(const PGresult *rows, int row, const struct catalog_room *room) {
    struct catalog_column *column = &room->columns[row];
    *column = (struct catalog_column){.type_oid = result_oid(rows, row, CATALOG_TYPE),
                                      .type_modifier =
                                          (int32_t) strtol(PQgetvalue(rows, row, CATALOG_MODIFIER), NULL, 10),
                                      .is_dropped = result_is_true(rows, row, CATALOG_DROPPED),
                                      .is_old = result_is_true(rows, row, CATALOG_OLD),
                                      .has_default = result_is_true(rows, row, CATALOG_DEFAULT)};
    return keep_text_of(rows, row, CATALOG_NAME, room->arena, &column->name) &&
           keep_text_of(rows, row, CATALOG_TYPE_SQL, room->arena, &column->type_sql) &&
           keep_text_of(rows, row, CATALOG_COLLATION, room->arena, &column->collation_sql) &&
           keep_text_of(rows, row, CATALOG_MISSING, room->arena, &column->missing);
}

static bool take_catalog_row(const PGresult *rows, int row, const struct catalog_room *room, size_t *count) {
    const oid_t oid = result_oid(rows, row, CATALOG_OID);
    if (*count == 0 || room->tables[*count - 1].oid != oid) {
        struct catalog_table *table = &room->tables[(*count)++];
        *table = (struct catalog_table){
            .oid = oid,
            .locked_by = (xid_t) strtoul(PQgetvalue(rows, row, CATALOG_LOCKED_BY), NULL, 10),
            .sends_part = result_is_true(rows, row, CATALOG_SENDS_PART),
            .columns = &room->columns[row]};
        if (!keep_text_of(rows, row, CATALOG_STORAGE, room->arena, &table->storage) ||
            !keep_text_of(rows, row, CATALOG_SCHEMA, room->arena, &table->schema) ||
            !keep_text_of(rows, row, CATALOG_TABLE, room->arena, &table->table))
            return false;
    }
    room->tables[*count - 1].column_count++;
    return take_column(rows, row, room);
}

static bool take_catalog(const PGresult *rows, struct arena *arena, struct catalog_tables *ret_tables,
                         struct error *err) {
    const size_t row_count = (size_t) PQntuples(rows);
    size_t count = 0;
    const struct catalog_room room = {.tables = arena_alloc(arena, (row_count + 1) * sizeof *room.tables),
                                      .columns = arena_alloc(arena, (row_count + 1) * sizeof *room.columns),
                                      .arena = arena};
    if (room.tables == NULL || room.columns == NULL)
        return error_no_memory(err);
    for (int row = 0; row < PQntuples(rows); row++)
        if (!take_catalog_row(rows, row, &room, &count))
            return error_no_memory(err);
    *ret_tables = (struct catalog_tables){.tables = room.tables, .count = count};
    return true;
}

/* The order of the queries matters: the end, then the locks, then the catalog. */
bool catalog_columns_read(struct session *source, const char *slot, oid_t table, struct arena *arena,
                          struct catalog_tables *ret_tables, lsn_t *ret_lsn, struct error *err) {
    static const struct result_shape END_SHAPE = {"the query for the end of its WAL", 1, 1, 1, 0};
    static const struct result_shape LOCKS_SHAPE = {"the query for locks", 1, 1, 2, 0};
    static const struct result_shape SHAPE = {"the query for columns", 0, RESULT_ROWS_ANY, CATALOG_FIELDS,
                                              1u << CATALOG_MISSING};
    PGresult *end AUTO_PGRESULT = NULL;
    PGresult *locks AUTO_PGRESULT = NULL;
    PGresult *rows AUTO_PGRESULT = NULL;
    char oid[16];
    snprintf(oid, sizeof oid, "%u", table);
    if (!session_query(source, END, 0, NULL, &END_SHAPE, &end, err) ||
        !session_query(source, LOCKS, 0, NULL, &LOCKS_SHAPE, &locks, err))
        return error_wrap(err, "reading the columns of tables");
    if (!lsn_parse(PQgetvalue(end, 0, 0), ret_lsn))
        return error_set(err, ERROR_PROTOCOL, "source: the end of the WAL is not an LSN");
    const char *const parameters[] = {slot, oid, PQgetvalue(locks, 0, 0), PQgetvalue(locks, 0, 1)};
    if (!session_query(source, COLUMNS, 4, parameters, &SHAPE, &rows, err))
        return error_wrap(err, "reading the columns of tables");
    return take_catalog(rows, arena, ret_tables, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_catalog.c - the queries on the target's catalog.
 */
#include "sinks/postgres/catalog/target_catalog.h"

#include <stdio.h>
#include <stdlib.h>

#include "cdc/base/buffer.h"

/*
 * Fields that may be NULL: a missing table has no OID, kind and rules; most tables have no unlogged part,
 * and no trigger that suppresses rows.
 */
enum {
    TABLE_NULLABLE = 1 << TABLE_OID | 1 << TABLE_KIND | 1 << TABLE_RULES | 1 << TABLE_UNLOGGED |
    7 << TABLE_TAKERS
};

#define LIST_BYTES_MAX (1024u * 1024u) /* hundreds of names */

/* ---- the questions ---- */

/*
 * Each query is for several tables, which are numbered from 1; its rows are ordered by that number. The
 * server plans it each time, which takes longer than answering it for one table. Catalogs are rarely
 * analyzed, so the planner may prefer a sequential scan; a lateral aggregate forces the index.
 */

/*
 * The parameters are the schemas and the names. Triggers of every partition count. A deferrable unique
 * constraint is checked by the trigger unique_key_recheck, which is not an ordinary trigger. Foreign keys
 * are triggers too, so a table whose relhastriggers is false needs no search. A BEFORE ROW trigger that
 * fires in our role may suppress the row.
 */
#define TAKERS(event)                                                                                        \
    "pg_catalog.string_agg(pg_catalog.quote_ident(g.tgname), ', ') filter (where g.tgtype & 3 = 3"           \
    " and g.tgtype & " event " <> 0 and g.tgenabled in ('A',"                                                \
    "   case pg_catalog.current_setting('session_replication_role') when 'replica' then 'R' else 'O' end))"

/* The triggers that settle candidates take them in sets (postgres/settle). */
#define ACTS                                                                                                 \
    "p.proname <> 'unique_key_recheck' and pg_catalog.left(g.tgname::pg_catalog.text, 14) <> "               \
    "'_pgcdc_settle_'"

static const char FIND_TABLES[] =
    "select t.oid, t.relkind, coalesce(pg_catalog.bool_or(g.replica), false),"
    "   coalesce(pg_catalog.bool_or(g.ordinary), false), coalesce(pg_catalog.bool_or(f.cascades), false),"
    "   coalesce(pg_catalog.bool_or(g.checks), false), t.relhasrules,"
    "   case t.relkind when 'p' then (select pg_catalog.format('%I.%I', ln.nspname, l.relname) from "
    "pg_catalog.pg_partition_tree(t.oid) p"
    "     join pg_catalog.pg_class l on l.oid = p.relid and l.relpersistence = 'u'"
    "     join pg_catalog.pg_namespace ln on ln.oid = l.relnamespace order by 1 limit 1)"
    "    else case t.relpersistence when 'u' then pg_catalog.format('%I.%I', k.schema, k.name) end end,"
    "   pg_catalog.string_agg(distinct g.inserts, ', '), pg_catalog.string_agg(distinct g.updates, ', '),"
    "   pg_catalog.string_agg(distinct g.deletes, ', ')"
    " from rows from (pg_catalog.unnest($1::pg_catalog.name[]), pg_catalog.unnest($2::pg_catalog.name[]))"
    "   with ordinality k (schema, name, place)"
    " left join (pg_catalog.pg_class t join pg_catalog.pg_namespace n on n.oid = t.relnamespace)"
    "   on n.nspname = k.schema and t.relname = k.name"
    " left join lateral (select t.oid where t.relhastriggers"
    "   union all select p.relid from pg_catalog.pg_partition_tree(t.oid) p where t.relkind = 'p') tree "
    "(oid) on true"
    " left join lateral (select"
    "     pg_catalog.bool_or(g.tgenabled in ('A', 'R') and " ACTS ") as replica,"
    "     pg_catalog.bool_or(g.tgenabled in ('A', 'O') and " ACTS ") as ordinary,"
    "     pg_catalog.bool_or(p.proname = 'unique_key_recheck') as checks,"
    "     " TAKERS("4") " as inserts, " TAKERS("16") " as updates, " TAKERS(
        "8") " as deletes"
             "   from pg_catalog.pg_trigger g join pg_catalog.pg_proc p on p.oid = g.tgfoid where g.tgrelid "
             "= tree.oid) g on true"
             " left join lateral (select pg_catalog.bool_or(f.contype = 'f' and f.confdeltype = 'c') as "
             "cascades"
             "   from pg_catalog.pg_constraint f where f.conrelid = tree.oid) f on true"
             " group by k.place, t.oid, t.relkind, t.relhasrules, t.relpersistence, k.schema, k.name order "
             "by k.place";

/*
 * Finds an unlogged table or partition, by schemas and names; the aggregate prevents a sequential scan of
 * pg_class.
 */
static const char FIND_UNLOGGED[] =
    "select p.name from rows from (pg_catalog.unnest($1::pg_catalog.name[]), "
    "pg_catalog.unnest($2::pg_catalog.name[]))"
    "   with ordinality k (schema, name, place)"
    " join pg_catalog.pg_namespace n on n.nspname = k.schema"
    " join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = k.name"
    " cross join lateral (select c.oid union select t.relid from pg_catalog.pg_partition_tree(c.oid) t"
    "   where c.relkind = 'p') part (oid)"
    " cross join lateral (select pg_catalog.max(pg_catalog.format('%I.%I', ln.nspname, l.relname))"
    "   from pg_catalog.pg_class l join pg_catalog.pg_namespace ln on ln.oid = l.relnamespace"
    "   where l.oid = part.oid and l.relpersistence = 'u') p (name)"
    " where p.name is not null order by k.place, 1 limit 1";

/*
 * search_path is empty, so an operator outside pg_catalog (citext's =) must be qualified with its schema. It
 * is the equality operator of the default btree operator class of the type, or of a domain's base type at
 * any depth; indexes use the same operator. No catalog index supports this search, so it runs once for each
 * type, not for each column.
 *
 * A type's walk goes from a domain to its base type, and from an array or range to its element type. Its
 * first type that is not a domain is the base. Its last type decides whether equality exists (an array of
 * json has an operator that fails) and whether a row type is inside. Two values of the types in the list,
 * with a deterministic collation, are equal only when their bytes are.
 */
#define NEXT_TYPE(t)                                                                                         \
    "case when " t ".typtype = 'd' then " t ".typbasetype"                                                   \
    " when " t ".typtype = 'b' and " t ".typcategory = 'A' then " t ".typelem"                               \
    " when " t ".typtype = 'r' then (select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = " t   \
    ".oid)"                                                                                                  \
    " when " t                                                                                               \
    ".typtype = 'm' then (select r.rngtypid from pg_catalog.pg_range r where r.rngmultitypid = " t ".oid)"   \
    " else 0 end"

static const char FIND_COLUMNS[] =
    "with columns as (select k.place, a.* from pg_catalog.unnest($1::pg_catalog.oid[]) with "
    "ordinality k (oid, place)"
    "     join pg_catalog.pg_attribute a on a.attrelid = k.oid where a.attnum > 0 and not "
    "a.attisdropped),"
    " walks as materialized (select t.oid, t.typarray, t.typdelim, t.typlen, "
    "t.typcollation, w.base, w.receive, w.last, w.kind"
    "   from (select distinct atttypid from columns) d join pg_catalog.pg_type t on t.oid = "
    "d.atttypid"
    "   cross join lateral (with recursive walk (depth, oid, typtype, typreceive, next) as ("
    "       select 1, t.oid, t.typtype, t.typreceive, " NEXT_TYPE(
        "t") "       union all select walk.depth + 1, u.oid, u.typtype, "
             "u.typreceive, " NEXT_TYPE("u") "         from walk join pg_catalog.pg_type u "
                                             "on u.oid = walk.next)"
                                             "     select (pg_catalog.array_agg(walk.oid "
                                             "order by depth) filter (where typtype <> "
                                             "'d'))[1] as base,"
                                             "       "
                                             "(pg_catalog.array_agg(walk.typreceive::pg_"
                                             "catalog.oid order by depth) filter (where "
                                             "typtype <> 'd'))[1] as receive,"
                                             "       (pg_catalog.array_agg(walk.oid order "
                                             "by depth desc))[1] as last,"
                                             "       (pg_catalog.array_agg(walk.typtype "
                                             "order by depth desc))[1] as kind from walk) "
                                             "w),"
                                             " types as materialized (select t.*, o.equals, "
                                             "e.compares"
                                             "   from walks t left join lateral (select "
                                             "pg_catalog.format('operator(%I.%s)', "
                                             "n.nspname, o.oprname) as equals"
                                             "     from pg_catalog.pg_opclass c join "
                                             "pg_catalog.pg_am m on m.oid = c.opcmethod and "
                                             "m.amname = 'btree'"
                                             "     join pg_catalog.pg_amop s on "
                                             "s.amopfamily = c.opcfamily and s.amoplefttype "
                                             "= c.opcintype"
                                             "       and s.amoprighttype = c.opcintype and "
                                             "s.amopstrategy = 3"
                                             "     join pg_catalog.pg_operator o on o.oid = "
                                             "s.amopopr join pg_catalog.pg_namespace n on "
                                             "n.oid = o.oprnamespace"
                                             "     where c.opcdefault and c.opcintype = "
                                             "t.base limit 1) o on true"
                                             "   cross join lateral (select "
                                             "pg_catalog.count(*) > 0 as compares"
                                             "     from pg_catalog.pg_opclass c join "
                                             "pg_catalog.pg_am m on m.oid = c.opcmethod and "
                                             "m.amname = 'btree'"
                                             "     where c.opcdefault and c.opcintype = "
                                             "case when t.kind = 'e' then 3500 when t.last "
                                             "= 1043 then 25 else t.last end"
                                             "   ) e)"
                                             " select c.place, c.attname, c.atttypid, "
                                             "t.typarray, t.typdelim, c.attgenerated <> '', "
                                             "c.attidentity = 'a',"
                                             "   coalesce(t.equals, "
                                             "'operator(pg_catalog.=)'), t.receive <> 0,"
                                             "   t.compares and (t.typcollation in (0, 100) "
                                             "or t.typcollation = c.attcollation),"
                                             "   t.base <> t.last or coalesce(not "
                                             "l.collisdeterministic, false) or not (t.kind "
                                             "= 'e' or t.last in"
                                             "     (16, 17, 18, 19, 20, 21, 23, 25, 26, "
                                             "1043, 1082, 1083, 1114, 1184, 2950)),"
                                             "   t.kind = 'c', c.atttypmod, t.typlen"
                                             " from columns c join types t on t.oid = "
                                             "c.atttypid left join pg_catalog.pg_collation "
                                             "l on l.oid = c.attcollation"
                                             " order by c.place, c.attnum";

/* Unique indexes that are checked at once, over plain NOT NULL columns; the primary key first. */
static const char FIND_KEYS[] =
    "select t.place, i.indexrelid, a.attname from pg_catalog.unnest($1::pg_catalog.oid[]) with ordinality t "
    "(oid, place)"
    " join pg_catalog.pg_index i on i.indrelid = t.oid"
    " cross join lateral pg_catalog.unnest(i.indkey) with ordinality k (number, place)"
    " join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number"
    " where i.indisunique and i.indimmediate and i.indisvalid and i.indpred is null"
    "   and i.indexprs is null and k.place <= i.indnkeyatts"
    "   and not exists (select from pg_catalog.unnest(i.indkey) with ordinality u (number, place)"
    "     join pg_catalog.pg_attribute b on b.attrelid = i.indrelid and b.attnum = u.number"
    "     where u.place <= i.indnkeyatts and not b.attnotnull)"
    " order by t.place, i.indisprimary desc, i.indnkeyatts, i.indexrelid, k.place";

/*
 * Columns by which an index finds rows: those before its first expression. The most useful columns of each
 * table come first.
 */
static const char FIND_INDEXED[] =
    "select t.place, a.attname from pg_catalog.unnest($1::pg_catalog.oid[]) with ordinality t (oid, place)"
    " join pg_catalog.pg_index i on i.indrelid = t.oid"
    " join pg_catalog.pg_class x on x.oid = i.indexrelid join pg_catalog.pg_am m on m.oid = x.relam"
    " cross join lateral pg_catalog.unnest(i.indkey) with ordinality k (number, place)"
    " join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number"
    " where i.indisvalid and i.indpred is null and m.amname in ('btree', 'hash') and k.place <= i.indnkeyatts"
    "   and not exists (select from pg_catalog.unnest(i.indkey) with ordinality u (number, place)"
    "     where u.place <= k.place and u.number = 0)"
    " group by t.place, a.attnum, a.attname"
    " order by t.place, pg_catalog.min(k.place), pg_catalog.bool_or(i.indisunique) desc, a.attnum";

/* ---- asking them ---- */

static void append_name(struct buffer *list, struct slice name) {
    buffer_append_u8(list, '"');
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '"' || name.data[i] == '\\')
            buffer_append_u8(list, '\\');
        buffer_append_u8(list, (uint8_t) name.data[i]);
    }
    buffer_append_u8(list, '"');
}

/* Two arrays: the schemas and the names. */
struct name_lists {
    struct buffer schemas;
    struct buffer names;
};

static void name_lists_release(struct name_lists *lists) {
    buffer_release(&lists->schemas);
    buffer_release(&lists->names);
}

static bool list_names(struct name_lists *lists, const struct relation *const *relations, size_t count,
                       const char **ret_parameters, struct error *err) {
    lists->schemas.bytes_max = lists->names.bytes_max = LIST_BYTES_MAX;
    for (size_t i = 0; i < count; i++) {
        buffer_append_u8(&lists->schemas, i == 0 ? '{' : ',');
        append_name(&lists->schemas, relations[i]->schema);
        buffer_append_u8(&lists->names, i == 0 ? '{' : ',');
        append_name(&lists->names, relations[i]->name);
    }
    buffer_append_u8(&lists->schemas, '}');
    buffer_append_u8(&lists->names, '}');
    ret_parameters[0] = buffer_text(&lists->schemas);
    ret_parameters[1] = buffer_text(&lists->names);
    return ret_parameters[0] != NULL && ret_parameters[1] != NULL ? true : error_no_memory(err);
}

bool target_catalog_read_tables(struct session *session, const struct relation *const *relations,
                                size_t count, PGresult **ret_tables, struct error *err) {
    struct name_lists lists AUTO(name_lists_release) = {0};
    const char *parameters[2];
    const struct result_shape shape = {"the query for tables", (int) count, (int) count, TABLE_TAKERS + 3,
                                       TABLE_NULLABLE};
    return list_names(&lists, relations, count, parameters, err) &&
           session_query(session, FIND_TABLES, 2, parameters, &shape, ret_tables, err);
}

/* A missing table keeps its place with OID 0, which no table has. */
static bool ask_by_oid(struct session *session, const char *sql, int columns, const PGresult *tables,
                       PGresult **ret_rows, struct error *err) {
    struct buffer oids AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    for (int i = 0; i < PQntuples(tables); i++)
        buffer_printf(&oids, "%c%s", i == 0 ? '{' : ',',
                      PQgetisnull(tables, i, TABLE_OID) ? "0" : PQgetvalue(tables, i, TABLE_OID));
    buffer_append_u8(&oids, '}');
    const char *const list = buffer_text(&oids);
    return list != NULL ? session_query(session, sql, 1, &list,
                                        &(const struct result_shape){"the query for columns", 0,
                                                                     RESULT_ROWS_ANY, columns, 0},
                                        ret_rows, err)
                        : error_no_memory(err);
}

static bool has_full(const struct relation *const *relations, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (relations[i]->identity == REPLICA_IDENTITY_FULL)
            return true;
    return false;
}

bool target_catalog_read(struct target_catalog *catalog, struct session *session,
                         const struct relation *const *relations, size_t count, struct error *err) {
    *catalog = (struct target_catalog){0};
    return target_catalog_read_tables(session, relations, count, &catalog->tables, err) &&
           ask_by_oid(session, FIND_COLUMNS, COLUMN_SIZE + 1, catalog->tables, &catalog->columns, err) &&
           (!has_full(relations, count) ||
            (ask_by_oid(session, FIND_KEYS, KEY_COLUMN + 1, catalog->tables, &catalog->keys, err) &&
             ask_by_oid(session, FIND_INDEXED, INDEXED_COLUMN + 1, catalog->tables, &catalog->indexed, err)));
}

void target_catalog_release(struct target_catalog *catalog) {
    session_clear_result(&catalog->tables);
    session_clear_result(&catalog->columns);
    session_clear_result(&catalog->keys);
    session_clear_result(&catalog->indexed);
}

/* The place is the first column of each answer. */
static int first_row(const PGresult *result, size_t place) {
    int low = 0, high = PQntuples(result);
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (strtoul(PQgetvalue(result, middle, 0), NULL, 10) < place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct row_range target_catalog_rows(const PGresult *result, size_t place) {
    return (struct row_range){.first = first_row(result, place), .end = first_row(result, place + 1)};
}

bool target_catalog_find_unlogged(struct session *session, const struct relation *const *relations,
                                  size_t count, PGresult **ret_name, struct error *err) {
    struct name_lists lists AUTO(name_lists_release) = {0};
    const char *parameters[2];
    return list_names(&lists, relations, count, parameters, err) &&
           session_query(session, FIND_UNLOGGED, 2, parameters,
                         &(const struct result_shape){"the query for unlogged tables", 0, 1, 1, 0}, ret_name,
                         err);
}

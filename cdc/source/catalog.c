/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog.c - reads the published tables: three queries (tables, columns, types), joined in the arena.
 *
 * Types come ordered by table OID, tables by name, so each table finds its types by searching for the first
 * one. There may be a million columns: they are read row by row, in the same order as types, and a text that
 * many of them share is kept once.
 */
#include "cdc/source/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/buffer.h"
#include "cdc/pq/lock_wait.h"
#include "cdc/source/own_tables.h"
#include "decoder/builtin_type.h"
#include "decoder/relation.h"

#define SQL_BYTES_MAX 32768

/* ---- the queries ---- */

/*
 * Each query is a head, which selects the published tables, and a body.
 *
 * $1 is an array of the publications, except for NAMED. Several publications are combined as pgoutput
 * combines them: a row is sent if any filter passes it, every row if one publication has no filter, and a
 * root replaces its leaves. Their column lists must be equal; catalog.c refuses others, as the server would
 * at the first change. pg_publication_tables resolves roots or leaves, schemas, column lists and row filters
 * (the last two from 15 on). A generated column is never published before 18, and on request since; it still
 * belongs to the table unless a column list omits it.
 *
 * Materialized, because the planner would otherwise compute a table's attnames again for each of its columns:
 * nine seconds for a table of 1500.
 */
#define UNION_OF_SENT                                                                                        \
    ", published (oid, attnames, has_list, rowfilter) as materialized ("                                     \
    " select s.oid, min(s.attnames), bool_or(s.has_list),"                                                   \
    "  case when bool_and(s.rowfilter is not null) then string_agg(distinct s.rowfilter, ' or ') end"        \
    " from sent s where not exists (select from pg_partition_ancestors(s.oid) a join sent r on r.oid = "     \
    "a.relid"                                                                                                \
    "  where a.relid <> s.oid) group by s.oid)"

static const char PUBLISHED_14[] =
    "with recursive sent (oid, attnames, has_list, rowfilter) as materialized ("
    " select c.oid, null::name[], false, null::text"
    " from pg_publication_tables p"
    " join pg_namespace n on n.nspname = p.schemaname"
    " join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename"
    " where p.pubname = any($1::name[])"
    " and not " IS_OWN_TABLE("n", "c") ")" UNION_OF_SENT;

static const char PUBLISHED_15[] =
    "with recursive sent (oid, attnames, has_list, rowfilter) as materialized ("
    " select c.oid, p.attnames, exists ("
    "   select from pg_publication_rel r join pg_publication b on b.oid = r.prpubid"
    "   where b.pubname = p.pubname and r.prrelid = c.oid and r.prattrs is not null), p.rowfilter"
    " from pg_publication_tables p"
    " join pg_namespace n on n.nspname = p.schemaname"
    " join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename"
    " where p.pubname = any($1::name[])"
    " and not " IS_OWN_TABLE("n", "c") ")" UNION_OF_SENT;

/* Tables for which two publications have different column lists. */
static const char LISTS_DIFFER[] =
    "select format('%I.%I', p.schemaname, p.tablename) from pg_publication_tables p"
    " where p.pubname = any($1::name[]) group by p.schemaname, p.tablename"
    " having count(distinct p.attnames) > 1 order by 1 limit 1";

/* For tables that no publication lists yet; $1 is an array of their OIDs. */
static const char NAMED[] = "with recursive published (oid, attnames, has_list, rowfilter) as ("
                            " select named, null::name[], false, null::text from unnest($1::oid[]) named)";

/*
 * The types of all columns that can be sent, and a few more when a column list contains a generated column.
 * pg_publication_tables would wait for a lock on each table. Partitions have their root's types.
 */
#define COLUMN_TYPES(LIST, SCHEMAS, GENERATED)                                                               \
    "select distinct a.atttypid from pg_publication p cross join lateral ("                                  \
    " select c.oid, null::int2[] from pg_class c where p.puballtables and c.relkind in ('r', 'p')"           \
    "  and c.relpersistence = 'p' and c.oid >= 16384"                                                        \
    " union all select r.prrelid, " LIST " from pg_publication_rel r where r.prpubid = p.oid" SCHEMAS        \
    " ) t (relid, list) join pg_attribute a on a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped" \
    "  and " GENERATED " and (t.list is null or a.attnum = any(t.list)) where p.pubname = any($1::name[])"

#define PUBLISHED_SCHEMAS                                                                                    \
    " union all select c.oid, null from pg_publication_namespace n"                                          \
    " join pg_class c on c.relnamespace = n.pnnspid and c.relkind in ('r', 'p') where n.pnpubid = p.oid"

static const char COLUMN_TYPES_14[] = COLUMN_TYPES("null::int2[]", "", "a.attgenerated = ''");
static const char COLUMN_TYPES_15[] =
    COLUMN_TYPES("r.prattrs::int2[]", PUBLISHED_SCHEMAS, "a.attgenerated = ''");
static const char COLUMN_TYPES_18[] = COLUMN_TYPES("r.prattrs::int2[]", PUBLISHED_SCHEMAS, "true");

/* A partitioned table has no rows of its own: its leaves are counted. */
static const char TABLES[] =
    " select c.oid, n.nspname, c.relname, c.relkind, c.relreplident, p.rowfilter, size.rows, size.bytes,"
    "  coalesce(key.indnkeyatts, 0), coalesce(not key.indimmediate, false)"
    " from published p join pg_class c on c.oid = p.oid join pg_namespace n on n.oid = c.relnamespace"
    " left join pg_index key on key.indrelid = c.oid and key.indisprimary,"
    " lateral (select case when bool_or(l.reltuples >= 0) then sum(greatest(l.reltuples, 0)) else -1 end,"
    "   coalesce(sum(pg_table_size(l.oid)), 0)"
    "  from (select c.oid where c.relkind <> 'p' union all"
    "   select t.relid from pg_partition_tree(c.oid) t where t.isleaf and c.relkind = 'p') leaf (oid)"
    "  join pg_class l on l.oid = leaf.oid) size (rows, bytes)"
    " order by n.nspname, c.relname";

/*
 * included: the columns that the table has on the other side. Early releases of 15 list generated columns in
 * attnames by mistake, so for generated columns attnames is used from 18 on only.
 */
static const char INCLUDED[] =
    ", included as materialized ("
    " select a.*, (a.attgenerated = '' or (a.attgenerated = 's' and p.attnames is not null"
    "   and current_setting('server_version_num')::int >= 180000))"
    "  and coalesce(a.attname = any(p.attnames), true) as published"
    " from published p join pg_attribute a on a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped"
    " where coalesce(a.attname = any(p.attnames), true) or (a.attgenerated <> '' and not p.has_list)),"
    " named_collation (oid, name) as ("
    " select c.oid, format('%I.%I', n.nspname, c.collname)"
    " from pg_collation c join pg_namespace n on n.oid = c.collnamespace)";

/*
 * b is the base type of a domain, else the type itself, as in a Relation message. The index of a replica
 * identity must be immediate, as RelationGetReplicaIndex requires. Whatever is the same for a whole table is
 * queried once per table: a database may have a million columns.
 */
static const char COLUMNS[] =
    ", keyed (relid, identity, main, own) as materialized ("
    " select c.oid, c.relreplident, (select (i.indkey::int2[])[0:i.indnkeyatts - 1] from pg_index i"
    "   where i.indrelid = c.oid and i.indisprimary),"
    "  (select (i.indkey::int2[])[0:i.indnkeyatts - 1] from pg_index i"
    "   where i.indrelid = c.oid and i.indisvalid and i.indimmediate"
    "   and case c.relreplident when 'i' then i.indisreplident else i.indisprimary end limit 1)"
    " from published p join pg_class c on c.oid = p.oid)"
    " select a.attrelid, a.attname, a.atttypid, n.nspname, b.typname, a.atttypmod,"
    "  format_type(a.atttypid, a.atttypmod), a.attgenerated,"
    "  case when a.attgenerated <> '' then pg_get_expr(d.adbin, d.adrelid) end, a.attidentity,"
    "  case when a.attcollation <> t.typcollation then nc.name end,"
    "  a.attnotnull and not exists (select from pg_constraint k where k.conrelid = a.attrelid"
    "   and k.contype = 'n' and not k.convalidated and k.conkey = array[a.attnum]),"
    "  a.published,"
    "  coalesce(array_position(k.main, a.attnum), 0),"
    "  case k.identity when 'f' then true when 'n' then false else coalesce(a.attnum = any(k.own), false) "
    "end,"
    "  coalesce(base.modifier, a.atttypmod), a.attnum"
    " from included a"
    " join keyed k on k.relid = a.attrelid"
    " join pg_type t on t.oid = a.atttypid"
    " left join lateral (with recursive base (oid, next_oid, modifier, inner_modifier) as ("
    "   select t.oid, t.typbasetype, a.atttypmod, t.typtypmod"
    "   union all select d.oid, d.typbasetype,"
    "    case base.modifier when -1 then base.inner_modifier else base.modifier end, d.typtypmod"
    "    from base join pg_type d on d.oid = base.next_oid)"
    "  select base.oid, base.modifier from base where base.next_oid = 0) base on t.typtype = 'd'"
    " join pg_type b on b.oid = coalesce(base.oid, t.oid)"
    " join pg_namespace n on n.oid = b.typnamespace"
    " left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated <> ''"
    " left join named_collation nc on nc.oid = a.attcollation and a.attcollation <> t.typcollation"
    " order by a.attrelid, a.attnum";

/*
 * used: every type that a column consists of. A component is always deeper than its type, so the deepest
 * types are created first. The catalog describes enum, domain and composite types completely; only used types
 * are described. A composite type may have no attributes. The depth limit ends a cycle, which only a damaged
 * catalog can contain.
 */
static const char TYPES[] =
    ", used (relid, attnum, typid, depth) as ("
    " select a.attrelid, a.attnum, a.atttypid, 0 from included a"
    " union select u.relid, u.attnum, part.typid, u.depth + 1"
    " from used u join pg_type t on t.oid = u.typid,"
    " lateral (select t.typelem where t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc"
    "  union all select t.typbasetype where t.typtype = 'd'"
    "  union all select m.atttypid from pg_attribute m"
    "   where t.typtype = 'c' and m.attrelid = t.typrelid and m.attnum > 0 and not m.attisdropped) part "
    "(typid)"
    " where u.typid >= 16384 and u.depth < 100)"
    " select u.relid, n.nspname, t.typname,"
    "  case when x.extname is not null then null"
    "   when t.typtype = 'e' then format('create type %I.%I as enum (%s)', n.nspname, t.typname, ("
    "    select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)"
    "    from pg_enum e where e.enumtypid = t.oid))"
    "   when t.typtype = 'd' then format('create domain %I.%I as %s%s%s%s', n.nspname, t.typname,"
    "    format_type(t.typbasetype, t.typtypmod),"
    "    case when t.typcollation <> bt.typcollation then ' collate ' || nc.name end,"
    "    case when t.typnotnull then ' not null' end, ("
    "    select string_agg(format(' constraint %I %s', k.conname, pg_get_constraintdef(k.oid)), '' order by "
    "k.conname)"
    "    from pg_constraint k where k.contypid = t.oid and k.contype = 'c' and k.convalidated))"
    "   when t.typtype = 'c' and c.relkind = 'c' then format('create type %I.%I as (%s)', n.nspname, "
    "t.typname, ("
    "    select string_agg(format('%I %s%s', m.attname, format_type(m.atttypid, m.atttypmod),"
    "     case when m.attcollation <> mt.typcollation then ' collate ' || mc.name end), ', ' order by "
    "m.attnum)"
    "    from pg_attribute m join pg_type mt on mt.oid = m.atttypid"
    "    left join named_collation mc on mc.oid = m.attcollation"
    "    where m.attrelid = t.typrelid and m.attnum > 0 and not m.attisdropped)) end,"
    "  x.extname, u.column_name"
    " from (select u.relid, u.typid, max(u.depth) as depth,"
    "   (array_agg(a.attname order by u.attnum))[1] as column_name"
    "  from used u join included a on a.attrelid = u.relid and a.attnum = u.attnum"
    "  group by u.relid, u.typid) u"
    " join pg_type t on t.oid = u.typid join pg_namespace n on n.oid = t.typnamespace"
    " left join pg_class c on c.oid = t.typrelid"
    " left join pg_type bt on bt.oid = t.typbasetype"
    " left join named_collation nc on nc.oid = t.typcollation"
    " left join pg_depend d on d.classid = 'pg_catalog.pg_type'::regclass and d.objid = t.oid and d.deptype "
    "= 'e'"
    " left join pg_extension x on x.oid = d.refobjid"
    " where t.oid >= 16384 and t.typsubscript <> 'pg_catalog.array_subscript_handler'::regproc"
    " order by u.relid, u.depth desc, t.oid";

/* ---- what was read ---- */

#define SHARED_MAX 256u /* texts that many columns share: types and schemas */

/* The results of the queries, and the tables built from them. */
struct catalog_reading {
    PGresult *tables;
    PGresult *types;
    struct arena *arena;
    bool failed;           /* the arena is exhausted */
    struct table *taken;   /* by name */
    struct table **by_oid; /* the same, by OID */
    size_t count;
    oid_t relid; /* of the columns in waiting, until the table's last column is read */
    struct table_column waiting[RELATION_COLUMNS_MAX];
    uint32_t waiting_count;
    const char *shared[SHARED_MAX];
};

/* A copy in the arena. NULL for NULL; also when the arena is exhausted, which sets failed. */
static const char *get_text(struct catalog_reading *reading, const PGresult *result, int row, int field) {
    if (PQgetisnull(result, row, field))
        return NULL;
    const char *text = arena_copy(reading->arena, slice_of(PQgetvalue(result, row, field)));
    if (text == NULL)
        reading->failed = true;
    return text;
}

static void *get_array(struct catalog_reading *reading, size_t count, size_t size) {
    void *array = arena_alloc_zero(reading->arena, count * size);
    if (array == NULL)
        reading->failed = true;
    return array;
}

/* The table's rows in result, which is ordered by its first field. */
static int find_run(const PGresult *result, oid_t oid, int *ret_count) {
    int low = 0, high = PQntuples(result);
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (result_oid(result, middle, 0) < oid)
            low = middle + 1;
        else
            high = middle;
    }
    int end = low;
    while (end < PQntuples(result) && result_oid(result, end, 0) == oid)
        end++;
    *ret_count = end - low;
    return low;
}

/* The same, for texts with few distinct values. */
static const char *share_text(struct catalog_reading *reading, const PGresult *result, int row, int field) {
    if (PQgetisnull(result, row, field))
        return NULL;
    const char *text = PQgetvalue(result, row, field);
    uint32_t hash = 0;
    for (const char *at = text; *at != '\0'; at++)
        hash = hash * 31 + (uint8_t) *at;
    const char **shared = &reading->shared[hash % SHARED_MAX];
    if (*shared == NULL || strcmp(*shared, text) != 0)
        *shared = get_text(reading, result, row, field);
    return *shared;
}

static struct table_column read_column(struct catalog_reading *reading, const PGresult *columns) {
    return (struct table_column){
        .name = get_text(reading, columns, 0, 1),
        .type_oid = result_oid(columns, 0, 2),
        .type_schema = share_text(reading, columns, 0, 3),
        .type_name = share_text(reading, columns, 0, 4),
        .type_modifier = (int32_t) strtol(PQgetvalue(columns, 0, 5), NULL, 10),
        .base_modifier = (int32_t) strtol(PQgetvalue(columns, 0, 15), NULL, 10),
        .type_sql = share_text(reading, columns, 0, 6),
        .generated = PQgetvalue(columns, 0, 7)[0],
        .generated_sql = get_text(reading, columns, 0, 8),
        .identity = PQgetvalue(columns, 0, 9)[0],
        .collation_sql = share_text(reading, columns, 0, 10),
        .not_null = result_is_true(columns, 0, 11),
        .published = result_is_true(columns, 0, 12),
        .key_index = (uint32_t) strtoul(PQgetvalue(columns, 0, 13), NULL, 10),
        .in_identity = result_is_true(columns, 0, 14),
        .number = (uint32_t) strtoul(PQgetvalue(columns, 0, 16), NULL, 10),
    };
}

static struct table *find_table(const struct catalog_reading *reading, oid_t oid) {
    size_t low = 0, high = reading->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (reading->by_oid[middle]->oid < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < reading->count && reading->by_oid[low]->oid == oid ? reading->by_oid[low] : NULL;
}

/* A table that was published between two queries is in no list, and its columns are dropped. */
static void give_columns(struct catalog_reading *reading) {
    struct table *table = find_table(reading, reading->relid);
    const size_t count = reading->waiting_count;
    reading->waiting_count = 0;
    if (table == NULL || count == 0)
        return;
    table->columns = get_array(reading, count, sizeof *table->columns);
    if (reading->failed)
        return;
    memcpy(table->columns, reading->waiting, count * sizeof *table->columns);
    table->column_count = (uint32_t) count;
}

static bool take_column(void *context, const PGresult *row, struct error *err) {
    struct catalog_reading *reading = context;
    if (PQntuples(row) == 0)
        return true;
    if (result_oid(row, 0, 0) != reading->relid)
        give_columns(reading);
    reading->relid = result_oid(row, 0, 0);
    if (reading->waiting_count == RELATION_COLUMNS_MAX)
        return error_set(err, ERROR_PROTOCOL, "relation %u: more columns than a table can have",
                         reading->relid);
    reading->waiting[reading->waiting_count++] = read_column(reading, row);
    return !reading->failed || error_no_memory(err);
}

static void take_types(struct catalog_reading *reading, struct table *table) {
    int count = 0;
    int first = find_run(reading->types, table->oid, &count);
    struct table_type *types = get_array(reading, (size_t) count, sizeof *types);
    for (int i = 0; i < count && !reading->failed; i++)
        types[i] = (struct table_type){
            .schema = get_text(reading, reading->types, first + i, 1),
            .name = get_text(reading, reading->types, first + i, 2),
            .create_sql = get_text(reading, reading->types, first + i, 3),
            .extension = get_text(reading, reading->types, first + i, 4),
            .column = get_text(reading, reading->types, first + i, 5),
        };
    table->types = types;
    table->type_count = (uint32_t) count;
}

static void take_table(struct catalog_reading *reading, int row, struct table *table) {
    const PGresult *tables = reading->tables;
    *table = (struct table){
        .oid = result_oid(tables, row, 0),
        .schema = get_text(reading, tables, row, 1),
        .name = get_text(reading, tables, row, 2),
        .kind = PQgetvalue(tables, row, 3)[0],
        .identity = PQgetvalue(tables, row, 4)[0],
        .row_filter_sql = get_text(reading, tables, row, 5),
        .row_estimate = strtod(PQgetvalue(tables, row, 6), NULL),
        .bytes_estimate = strtoull(PQgetvalue(tables, row, 7), NULL, 10),
        .key_count = (uint32_t) strtoul(PQgetvalue(tables, row, 8), NULL, 10),
        .key_is_deferrable = result_is_true(tables, row, 9),
    };
    table->columns = get_array(reading, 0, sizeof *table->columns);
}

static int compare_oids(const void *a, const void *b) {
    const oid_t of_a = (*(struct table *const *) a)->oid, of_b = (*(struct table *const *) b)->oid;
    return of_a < of_b ? -1 : of_a > of_b;
}

static bool no_memory(const struct catalog_reading *reading, struct error *err) {
    return error_set(err, ERROR_SYSTEM, "out of memory for the definitions of %s",
                     amount_count(reading->count, "published table").text);
}

static bool take_tables(struct catalog_reading *reading, struct error *err) {
    reading->count = (size_t) PQntuples(reading->tables);
    reading->taken = get_array(reading, reading->count, sizeof *reading->taken);
    reading->by_oid = get_array(reading, reading->count, sizeof(*reading->by_oid));
    for (size_t i = 0; i < reading->count && !reading->failed; i++) {
        take_table(reading, (int) i, &reading->taken[i]);
        reading->by_oid[i] = &reading->taken[i];
    }
    if (reading->failed)
        return no_memory(reading, err);
    qsort(reading->by_oid, reading->count, sizeof(*reading->by_oid), compare_oids);
    return true;
}

static bool check_publications(struct session *source, const char *publications, struct error *err) {
    static const char MISSING[] = "select quote_ident(named) from unnest($1::name[]) named"
                                  " where named not in (select pubname from pg_publication) limit 1";
    PGresult *missing AUTO_PGRESULT = NULL;
    PGresult *differing AUTO_PGRESULT = NULL;
    if (!session_query(source, MISSING, 1, &publications,
                       &(const struct result_shape){"the query for publications", 0, 1, 1, 0}, &missing, err))
        return false;
    if (PQntuples(missing) > 0)
        return error_set(err, ERROR_CONFIG, "publication %s does not exist at the %s",
                         PQgetvalue(missing, 0, 0), source->peer);
    if (source->server_version < 150000)
        return true;
    if (!session_query(source, LISTS_DIFFER, 1, &publications,
                       &(const struct result_shape){"the query for column lists", 0, 1, 1, 0}, &differing,
                       err))
        return false;
    if (PQntuples(differing) > 0)
        return error_set(
            err, ERROR_CONFIG,
            "table %s has different column lists in the pipeline's publications; give it the same list in "
            "each of them",
            PQgetvalue(differing, 0, 0));
    return true;
}

/* Selects the tables: the head of the queries, and its $1. */
struct selection {
    const char *head;
    const char *parameter;
};

/*
 * pg_get_expr, pg_table_size, pg_partition_tree and, from 15 on, pg_publication_tables wait for the table's
 * lock, and pg_partition_tree keeps locks while others are waited for. A statement that locks several tables
 * can be in each other's way with that. Then the wait ends before deadlock_timeout, so that the other
 * statement is never the victim, and outside a transaction it begins anew.
 */
#define LOCK_LIMIT "set lock_timeout = '400ms'"
#define LOCK_NOT_AVAILABLE "55P03"

enum { LOCK_TRIES = 4 };
#define NO_LOCK_LIMIT "set lock_timeout = 0"

static bool append_query(struct buffer *sql, const struct selection *selection, const char *extra,
                         const char *body, struct error *err) {
    buffer_append_text(sql, selection->head);
    buffer_append_text(sql, extra);
    buffer_append_text(sql, body);
    return buffer_text(sql) != NULL ? true : error_no_memory(err);
}

static bool run_query(struct session *source, const struct selection *selection, const char *extra,
                      const char *body, const struct result_shape *shape, PGresult **ret_result,
                      struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    return append_query(&sql, selection, extra, body, err) &&
           session_query(source, sql.data, 1, &selection->parameter, shape, ret_result, err);
}

static bool read_columns(struct session *source, const struct selection *selection,
                         struct catalog_reading *reading, struct error *err) {
    static const struct result_shape SHAPE = {"the query for columns", 0, 1, 17, 1u << 8 | 1u << 10};
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    if (!append_query(&sql, selection, INCLUDED, COLUMNS, err))
        return false;
    const bool read =
        session_query_rows(source, sql.data, 1, &selection->parameter, &SHAPE, take_column, reading, err);
    give_columns(reading);
    if (reading->failed)
        return no_memory(reading, err);
    return read;
}

static bool read_types(struct session *source, const struct selection *selection,
                       struct catalog_reading *reading, struct error *err) {
    static const struct result_shape SHAPE = {"the query for types", 0, RESULT_ROWS_ANY, 6,
                                              1u << 3 | 1u << 4};
    if (!run_query(source, selection, INCLUDED, TYPES, &SHAPE, &reading->types, err))
        return false;
    for (size_t i = 0; i < reading->count && !reading->failed; i++)
        take_types(reading, &reading->taken[i]);
    return reading->failed ? no_memory(reading, err) : true;
}

static void catalog_reading_free(struct catalog_reading **reading) {
    if (*reading == NULL)
        return;
    PQclear((*reading)->tables);
    PQclear((*reading)->types);
    free(*reading);
}

static bool read_quickly(struct session *source, const struct selection *selection, struct arena *arena,
                         struct table_list *ret_list, struct error *err) {
    static const struct result_shape SHAPE = {"the query for tables", 0, RESULT_ROWS_ANY, 10, 1u << 5};
    struct catalog_reading *reading AUTO(catalog_reading_free) = calloc(1, sizeof *reading);
    if (reading == NULL)
        return error_no_memory(err);
    reading->arena = arena;
    if (!run_query(source, selection, "", TABLES, &SHAPE, &reading->tables, err) ||
        !take_tables(reading, err) || !read_columns(source, selection, reading, err) ||
        !read_types(source, selection, reading, err))
        return false;
    *ret_list = (struct table_list){.tables = reading->taken, .count = reading->count};
    return true;
}

static bool read_selection(struct session *source, const struct selection *selection, struct arena *arena,
                           struct table_list *ret_list, struct error *err) {
    struct error ignored = {0};
    if (!session_execute(source, LOCK_LIMIT, err))
        return false;
    const bool may_repeat = PQtransactionStatus(source->conn) == PQTRANS_IDLE;
    struct error answer = {0};
    bool read = read_quickly(source, selection, arena, ret_list, &answer);
    for (int tries = may_repeat ? LOCK_TRIES : 1;
         !read && tries > 1 && strcmp(answer.sqlstate, LOCK_NOT_AVAILABLE) == 0; tries--) {
        answer = (struct error){0};
        read = read_quickly(source, selection, arena, ret_list, &answer);
    }
    if (!read) {
        *err = answer;
        lock_wait_explain(source, err);
    }
    /* Not in a failed transaction, which its owner ends. */
    return session_execute(source, NO_LOCK_LIMIT, read ? err : &ignored) && read;
}

bool catalog_read_tables(struct session *source, const char *publications, struct arena *arena,
                         struct table_list *ret_list, struct error *err) {
    const struct selection selection = {
        .head = source->server_version >= 150000 ? PUBLISHED_15 : PUBLISHED_14, .parameter = publications};
    return check_publications(source, publications, err) &&
                   read_selection(source, &selection, arena, ret_list, err)
               ? true
               : error_wrap(err, "reading the published tables");
}

bool catalog_read_oids(struct session *source, const char *oids, struct arena *arena,
                       struct table_list *ret_list, struct error *err) {
    const struct selection selection = {.head = NAMED, .parameter = oids};
    return read_selection(source, &selection, arena, ret_list, err)
               ? true
               : error_wrap(err, "reading the definitions of the tables");
}

bool catalog_read_portable(struct session *source, const char *publications, bool *ret_portable,
                           struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    const char *sql = source->server_version >= 180000   ? COLUMN_TYPES_18
                      : source->server_version >= 150000 ? COLUMN_TYPES_15
                                                         : COLUMN_TYPES_14;
    if (!session_query(
            source, sql, 1, &publications,
            &(const struct result_shape){"the query for the columns' types", 0, RESULT_ROWS_ANY, 1, 0},
            &result, err))
        return error_wrap(err, "reading the types of the published columns");
    *ret_portable = true;
    for (int row = 0; row < PQntuples(result); row++)
        *ret_portable = *ret_portable && builtin_type_is_portable(result_oid(result, row, 0));
    return true;
}

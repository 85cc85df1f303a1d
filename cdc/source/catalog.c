/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog.c - reads the published tables: three queries (tables, columns, types), put together in the arena.
 *
 * Columns and types come ordered by table OID, tables by name; so each table finds its run of rows by looking for
 * its first one.
 */
#include "cdc/source/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/lock_wait.h"
#include "cdc/source/own_tables.h"
#include "decoder/builtin_type.h"

#define SQL_BYTES_MAX 32768

/* ---- the queries ---- */

/*
 * Each query is a head, which says what is published, and a body.
 *
 * $1 is an array of the publications, except for NAMED. Of several publications a table has what pgoutput makes of them: the
 * rows that any filter lets through, all when one has none, and the root in place of leaves that are named, too. Their
 * column lists must be the same; catalog.c refuses others, as the server would at the first change.
 * pg_publication_tables knows what it means: roots or leaves, schemas, column
 * lists and row filters (both from 15 on). A generated column is not published before 18 and on demand since; it
 * still belongs to the table unless a column list leaves it out.
 *
 * Materialized, because the planner would otherwise ask for a table's attnames again for each of its columns: nine
 * seconds for a table of 1500.
 */
#define UNION_OF_SENT                                                                                           \
    ", published (oid, attnames, has_list, rowfilter) as materialized ("                                        \
    " select s.oid, min(s.attnames), bool_or(s.has_list),"                                                      \
    "  case when bool_and(s.rowfilter is not null) then string_agg(distinct s.rowfilter, ' or ') end"           \
    " from sent s where not exists (select from pg_partition_ancestors(s.oid) a join sent r on r.oid = a.relid" \
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

/* For tables that no publication names yet; $1 is an array of their OIDs. */
static const char NAMED[] = "with recursive published (oid, attnames, has_list, rowfilter) as ("
                            " select named, null::name[], false, null::text from unnest($1::oid[]) named)";

/*
 * The types of all columns that can be sent, a few more when a column list names a generated one; pg_publication_tables
 * would wait for the lock of each table. Partitions have their root's types.
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

/* Partitioned tables have no rows of their own: their leaves are counted. */
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
 * included: the columns that belong to a table on the other side. attnames holds generated columns by mistake in early
 * releases of 15, so it is believed for them from 18 on only.
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
 * b is the base type of a domain, else the type itself, as in a Relation. The replica identity is an index
 * that is checked at once, as RelationGetReplicaIndex wants it.
 */
static const char COLUMNS[] =
    " select a.attrelid, a.attname, a.atttypid, n.nspname, b.typname, a.atttypmod,"
    "  format_type(a.atttypid, a.atttypmod), a.attgenerated,"
    "  case when a.attgenerated <> '' then pg_get_expr(d.adbin, d.adrelid) end, a.attidentity,"
    "  case when a.attcollation <> t.typcollation then nc.name end,"
    "  a.attnotnull and not exists (select from pg_constraint k where k.conrelid = a.attrelid"
    "   and k.contype = 'n' and not k.convalidated and k.conkey = array[a.attnum]),"
    "  a.published,"
    "  coalesce((select array_position((i.indkey::int2[])[0:i.indnkeyatts - 1], a.attnum) from pg_index i"
    "   where i.indrelid = a.attrelid and i.indisprimary), 0),"
    "  case c.relreplident when 'f' then true when 'n' then false else exists ("
    "   select from pg_index i where i.indrelid = a.attrelid and i.indisvalid and i.indimmediate"
    "   and case c.relreplident when 'i' then i.indisreplident else i.indisprimary end"
    "   and a.attnum = any((i.indkey::int2[])[0:i.indnkeyatts - 1])) end,"
    "  base.modifier"
    " from included a"
    " join pg_class c on c.oid = a.attrelid"
    " join pg_type t on t.oid = a.atttypid"
    " join lateral (with recursive base (oid, next_oid, modifier, inner_modifier) as ("
    "   select t.oid, t.typbasetype, a.atttypmod, t.typtypmod"
    "   union all select d.oid, d.typbasetype,"
    "    case base.modifier when -1 then base.inner_modifier else base.modifier end, d.typtypmod"
    "    from base join pg_type d on d.oid = base.next_oid)"
    "  select base.oid, base.modifier from base where base.next_oid = 0) base on true"
    " join pg_type b on b.oid = base.oid"
    " join pg_namespace n on n.oid = b.typnamespace"
    " left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum"
    " left join named_collation nc on nc.oid = a.attcollation"
    " order by a.attrelid, a.attnum";

/*
 * used: every type that a column is made of; what a type is made of is always deeper than the type, so the
 * deepest are created first. enum, domain and composite: the three that the catalog describes completely. Only types that
 * are used are described: whatever odd type else the database has is nobody's business. A composite type may have no
 * attributes. The limit of depth ends a circle, which only a damaged catalog can have.
 */
static const char TYPES[] =
    ", used (relid, attnum, typid, depth) as ("
    " select a.attrelid, a.attnum, a.atttypid, 0 from included a"
    " union select u.relid, u.attnum, part.typid, u.depth + 1"
    " from used u join pg_type t on t.oid = u.typid,"
    " lateral (select t.typelem where t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc"
    "  union all select t.typbasetype where t.typtype = 'd'"
    "  union all select m.atttypid from pg_attribute m"
    "   where t.typtype = 'c' and m.attrelid = t.typrelid and m.attnum > 0 and not m.attisdropped) part (typid)"
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
    "    select string_agg(format(' constraint %I %s', k.conname, pg_get_constraintdef(k.oid)), '' order by k.conname)"
    "    from pg_constraint k where k.contypid = t.oid and k.contype = 'c' and k.convalidated))"
    "   when t.typtype = 'c' and c.relkind = 'c' then format('create type %I.%I as (%s)', n.nspname, t.typname, ("
    "    select string_agg(format('%I %s%s', m.attname, format_type(m.atttypid, m.atttypmod),"
    "     case when m.attcollation <> mt.typcollation then ' collate ' || mc.name end), ', ' order by m.attnum)"
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
    " left join pg_depend d on d.classid = 'pg_catalog.pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'"
    " left join pg_extension x on x.oid = d.refobjid"
    " where t.oid >= 16384 and t.typsubscript <> 'pg_catalog.array_subscript_handler'::regproc"
    " order by u.relid, u.depth desc, t.oid";

/* ---- what was read ---- */

/* What the three queries returned, and where it goes. */
struct catalog_reading {
    PGresult *tables;
    PGresult *columns;
    PGresult *types;
    struct arena *arena;
    bool failed; /* the arena is exhausted */
};

static bool is_true(const PGresult *result, int row, int field) {
    return PQgetvalue(result, row, field)[0] == 't';
}

static oid_t get_oid(const PGresult *result, int row, int field) {
    return (oid_t) strtoul(PQgetvalue(result, row, field), NULL, 10);
}

/* A copy in the arena; NULL for NULL, and when the arena is exhausted, which is remembered. */
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

/* The rows of result, ordered by their first field, that belong to the table. */
static int find_run(const PGresult *result, oid_t oid, int *ret_count) {
    int low = 0, high = PQntuples(result);
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (get_oid(result, middle, 0) < oid)
            low = middle + 1;
        else
            high = middle;
    }
    int end = low;
    while (end < PQntuples(result) && get_oid(result, end, 0) == oid)
        end++;
    *ret_count = end - low;
    return low;
}

static struct table_column take_column(struct catalog_reading *reading, int row) {
    const PGresult *columns = reading->columns;
    return (struct table_column){
        .name = get_text(reading, columns, row, 1),
        .type_oid = get_oid(columns, row, 2),
        .type_schema = get_text(reading, columns, row, 3),
        .type_name = get_text(reading, columns, row, 4),
        .type_modifier = (int32_t) strtol(PQgetvalue(columns, row, 5), NULL, 10),
        .base_modifier = (int32_t) strtol(PQgetvalue(columns, row, 15), NULL, 10),
        .type_sql = get_text(reading, columns, row, 6),
        .generated = PQgetvalue(columns, row, 7)[0],
        .generated_sql = get_text(reading, columns, row, 8),
        .identity = PQgetvalue(columns, row, 9)[0],
        .collation_sql = get_text(reading, columns, row, 10),
        .not_null = is_true(columns, row, 11),
        .published = is_true(columns, row, 12),
        .key_index = (uint32_t) strtoul(PQgetvalue(columns, row, 13), NULL, 10),
        .in_identity = is_true(columns, row, 14),
    };
}

static void take_columns(struct catalog_reading *reading, struct table *table) {
    int count = 0;
    int first = find_run(reading->columns, table->oid, &count);
    struct table_column *columns = get_array(reading, (size_t) count, sizeof *columns);
    for (int i = 0; i < count && !reading->failed; i++)
        columns[i] = take_column(reading, first + i);
    table->columns = columns;
    table->column_count = (uint32_t) count;
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
        .oid = get_oid(tables, row, 0),
        .schema = get_text(reading, tables, row, 1),
        .name = get_text(reading, tables, row, 2),
        .kind = PQgetvalue(tables, row, 3)[0],
        .identity = PQgetvalue(tables, row, 4)[0],
        .row_filter_sql = get_text(reading, tables, row, 5),
        .row_estimate = strtod(PQgetvalue(tables, row, 6), NULL),
        .bytes_estimate = strtoull(PQgetvalue(tables, row, 7), NULL, 10),
        .key_count = (uint32_t) strtoul(PQgetvalue(tables, row, 8), NULL, 10),
        .key_is_deferrable = is_true(tables, row, 9),
    };
    take_columns(reading, table);
    take_types(reading, table);
}

static bool take_tables(struct catalog_reading *reading, struct table_list *ret_list, struct error *err) {
    int count = PQntuples(reading->tables);
    struct table *tables = get_array(reading, (size_t) count, sizeof *tables);
    for (int i = 0; i < count && !reading->failed; i++)
        take_table(reading, i, &tables[i]);
    if (reading->failed)
        return error_set(err, ERROR_SYSTEM, "no memory for the definitions of %d published tables", count);
    *ret_list = (struct table_list){.tables = tables, .count = (size_t) count};
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

/* What the tables are asked for by: the head of the queries, and its $1. */
struct selection {
    const char *head;
    const char *parameter;
};

/* pg_get_expr, pg_table_size, pg_partition_tree and, from 15 on, pg_publication_tables wait for the table's lock. */
#define LOCK_LIMIT "set lock_timeout = '1s'"
#define NO_LOCK_LIMIT "set lock_timeout = 0"

static bool run_query(struct session *source, const struct selection *selection, const char *extra,
                      const char *body, const struct result_shape *shape, PGresult **ret_result,
                      struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, selection->head);
    buffer_append_text(&sql, extra);
    buffer_append_text(&sql, body);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    return session_query(source, sql.data, 1, &selection->parameter, shape, ret_result, err);
}

static bool read_quickly(struct session *source, const struct selection *selection, struct arena *arena,
                         struct table_list *ret_list, struct error *err) {
    static const struct result_shape TABLES_SHAPE = {"the query for tables", 0, RESULT_ROWS_ANY, 10, 1u << 5};
    static const struct result_shape COLUMNS_SHAPE = {"the query for columns", 0, RESULT_ROWS_ANY, 16,
                                                      1u << 8 | 1u << 10};
    static const struct result_shape TYPES_SHAPE = {"the query for types", 0, RESULT_ROWS_ANY, 6,
                                                    1u << 3 | 1u << 4};
    PGresult *tables AUTO_PGRESULT = NULL;
    PGresult *columns AUTO_PGRESULT = NULL;
    PGresult *types AUTO_PGRESULT = NULL;
    if (!run_query(source, selection, "", TABLES, &TABLES_SHAPE, &tables, err) ||
        !run_query(source, selection, INCLUDED, COLUMNS, &COLUMNS_SHAPE, &columns, err) ||
        !run_query(source, selection, INCLUDED, TYPES, &TYPES_SHAPE, &types, err))
        return false;
    struct catalog_reading reading = {.tables = tables, .columns = columns, .types = types, .arena = arena};
    return take_tables(&reading, ret_list, err);
}

static bool read_selection(struct session *source, const struct selection *selection, struct arena *arena,
                           struct table_list *ret_list, struct error *err) {
    struct error ignored = {0};
    if (!session_execute(source, LOCK_LIMIT, err))
        return false;
    bool read = read_quickly(source, selection, arena, ret_list, err) || lock_wait_explain(source, err);
    /* Not in a transaction that has failed, which its owner will end. */
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
        *ret_portable = *ret_portable && builtin_type_is_portable(get_oid(result, row, 0));
    return true;
}

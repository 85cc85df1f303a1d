/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.c - asks the source's catalog for tables without a usable replica identity.
 *
 * The server ignores a partitioned table's own identity and uses that of its leaves. candidate: an index that
 * could be the identity: unique, immediate, on plain columns that are not null and not generated.
 */
#include "cdc/source/identity.h"

#include "cdc/base/buffer.h"

#define SQL_BYTES_MAX 16384

static const char HEAD[] =
    "select n.nspname, l.relname,"
    " (select x.relname from pg_index i join pg_class x on x.oid = i.indexrelid where i.indrelid = l.oid"
    "   and i.indisunique and i.indimmediate and i.indisvalid and i.indpred is null and i.indexprs is null"
    "   and not exists (select from pg_attribute a where a.attrelid = l.oid and (not a.attnotnull or "
    "a.attgenerated <> '')"
    "     and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]))"
    "   order by i.indisprimary desc, i.indnkeyatts, x.relname limit 1),"
    " generated.name, l.oid, case when l.relispartition then 'partition'"
    "  when exists (select from pg_inherits h where h.inhparent = l.oid) then 'parent' else 'alone' end"
    " from unnest($1::oid[]) named join pg_class c on c.oid = named"
    " cross join lateral (select c.oid where c.relkind <> 'p' union all"
    "   select t.relid from pg_partition_tree(c.oid) t where t.isleaf and c.relkind = 'p') leaf (oid)"
    " join pg_class l on l.oid = leaf.oid and l.relkind = 'r' join pg_namespace n on n.oid = l.relnamespace";

/* Before 18 a generated column in the identity is not refused. */
static const char GENERATED_14[] =
    " cross join (select null::name, false where $2::name[] is not null) generated (name, is_part)";

static const char GENERATED_18[] =
    " join pg_namespace cn on cn.oid = c.relnamespace"
    " left join lateral (select a.attname, l.relreplident = 'f' or exists (select from pg_index i"
    "    where i.indrelid = l.oid and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])"
    "    and case l.relreplident when 'i' then i.indisreplident when 'd' then i.indisprimary end)"
    "   from pg_attribute a where a.attrelid = l.oid and a.attgenerated <> '' and not a.attisdropped"
    "   and (cardinality($2::name[]) = 0 or exists (select from pg_publication_tables p where p.pubname = "
    "any($2::name[])"
    "    and p.schemaname = cn.nspname and p.tablename = c.relname and not a.attname = any(p.attnames)))"
    "   order by 2 desc, a.attnum limit 1) generated (name, is_part) on true";

static const char TAIL[] = " where not case l.relreplident when 'f' then true when 'n' then false"
                           "   when 'd' then exists (select from pg_index i where i.indrelid = l.oid and "
                           "i.indisprimary and i.indimmediate)"
                           "   else exists (select from pg_index i where i.indrelid = l.oid and "
                           "i.indisreplident and i.indisvalid) end"
                           " or generated.is_part order by 1, 2";

bool identity_find_unusable(struct session *source, const char *oids, const char *publications,
                            PGresult **ret_rows, struct error *err) {
    const char *parameters[] = {oids, publications};
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, HEAD);
    buffer_append_text(&sql, source->server_version >= 180000 ? GENERATED_18 : GENERATED_14);
    buffer_append_text(&sql, TAIL);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    return session_query(source, sql.data, 2, parameters,
                         &(const struct result_shape){"the query for replica identities", 0, RESULT_ROWS_ANY,
                                                      6, 1u << 2 | 1u << 3},
                         ret_rows, err);
}

bool identity_is_lacking(struct session *source, const char *oids, bool *ret_lacking, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!identity_find_unusable(source, oids, "{}", &rows, err))
        return false;
    *ret_lacking = PQntuples(rows) > 0;
    return true;
}

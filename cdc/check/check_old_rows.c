/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_old_rows.c - tables whose identity looks right, but of whose old rows the server will not send
 * enough. The stream would stop at the first such change, and by then no change at the source can repair the
 * WAL that waits in the slot.
 */
#include <string.h>

#include "cdc/check/check.h"

/*
 * Leaves of tables that are sent through their root: the number of different keys among leaves with a key,
 * whether any leaf is FULL, and whether the root's identity differs from its leaves'.
 */
static const char LEAVES[] =
    "with leaf as (select c.oid as root, c.relreplident as root_identity, l.oid, l.relkind, l.relpersistence,"
    "   l.relreplident, (select array_agg(a.attname::text order by a.attname) from pg_index i"
    "     join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any "
    "((i.indkey::int2[])[0:i.indnkeyatts - 1])"
    "     where i.indrelid = l.oid and case l.relreplident when 'd' then i.indisprimary"
    "       when 'i' then i.indisreplident else false end) as key,"
    "   exists (select from pg_index i where i.indrelid = c.oid and case c.relreplident when 'd' then "
    "i.indisprimary"
    "       when 'i' then i.indisreplident else false end) as root_has_key"
    "   from unnest($1::oid[]) named join pg_class c on c.oid = named and c.relkind = 'p'"
    "   cross join lateral pg_partition_tree(c.oid) t join pg_class l on l.oid = t.relid where t.isleaf),"
    " tree as (select root, count(distinct key) filter (where relreplident <> 'f') as keys from leaf"
    "   where relkind = 'r' group by root)"
    " select rn.nspname, r.relname, ln.nspname, x.relname, leaf.relkind, leaf.relpersistence,"
    "  leaf.relreplident <> 'f' and leaf.key is not null as is_keyed, tree.keys > 1 as differs,"
    "  leaf.root_identity = 'f' as root_is_full, leaf.root_has_key"
    " from leaf left join tree using (root) join pg_class r on r.oid = leaf.root join pg_namespace rn on "
    "rn.oid = r.relnamespace"
    " join pg_class x on x.oid = leaf.oid join pg_namespace ln on ln.oid = x.relnamespace order by 1, 2, 3, "
    "4";

enum {
    LEAF_ROOT_SCHEMA,
    LEAF_ROOT_NAME,
    LEAF_SCHEMA,
    LEAF_NAME,
    LEAF_KIND,
    LEAF_PERSISTENCE,
    LEAF_KEYED,
    LEAF_DIFFERS,
    LEAF_ROOT_FULL,
    LEAF_ROOT_KEY,
};

/*
 * A generated column of the identity is not sent before 18; from 18 on only if the publication includes it.
 */
static const char GENERATED_KEYS[] =
    "select n.nspname, c.relname from unnest($1::oid[]) named join pg_class c on c.oid = named"
    " join pg_namespace n on n.oid = c.relnamespace"
    " where exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid"
    "   and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]) where i.indrelid = c.oid and "
    "a.attgenerated <> ''"
    "   and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end)"
    " order by 1, 2";

/* Columns outside the identity whose values may be stored out of line; $1: tables with a row filter. */
static const char LARGE_VALUES[] =
    "select n.nspname, c.relname from unnest($1::oid[]) named join pg_class c on c.oid = named"
    " join pg_namespace n on n.oid = c.relnamespace join pg_publication_tables p"
    "   on p.pubname = any ($2::name[]) and p.schemaname = n.nspname and p.tablename = c.relname and "
    "p.rowfilter is not null"
    " where exists (select from pg_partition_tree(c.oid) t join pg_class l on l.oid = t.relid where t.isleaf"
    "     and l.relreplident <> 'f' union all select where c.relkind = 'r' and c.relreplident <> 'f')"
    " and exists (select from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
    "   and a.attname = any (p.attnames) and a.attlen = -1 and a.attstorage <> 'p' and not exists (select "
    "from pg_index i"
    "     where i.indrelid = c.oid and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])"
    "     and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false "
    "end))"
    " order by 1, 2";

static const char *cell(const PGresult *rows, int row, int column) {
    return PQgetvalue(rows, row, column);
}

static bool is_set(const PGresult *rows, int row, int column) {
    return cell(rows, row, column)[0] == 't';
}

static void add_unlogged(struct check *check, const char *leaf, const char *root) {
    findings_add(&check->findings, SEVERITY_PROBLEM, "leaf_unlogged",
                 "partition %s of table %s is unlogged: its changes are not in the WAL and cannot be sent",
                 leaf, root);
    findings_fix(&check->findings, "alter table %s set logged;", leaf);
    findings_object(&check->findings, leaf);
}

static void add_foreign(struct check *check, const char *leaf, const char *root) {
    findings_add(
        &check->findings, SEVERITY_PROBLEM, "leaf_foreign",
        "partition %s of table %s is a foreign table: its changes are not in this server's WAL and cannot be "
        "sent",
        leaf, root);
    findings_fix(&check->findings,
                 "make it an ordinary table, or detach it: alter table %s detach partition %s", root, leaf);
    findings_object(&check->findings, leaf);
}

/* Leaves with different identities stop the stream; leaves where only the leaf has a key may stop it. */
static void add_identity(struct check *check, const PGresult *rows, int row, const char *leaf,
                         const char *root) {
    if (is_set(rows, row, LEAF_DIFFERS))
        findings_add(
            &check->findings, SEVERITY_PROBLEM, "leaf_identities",
            "partitions of table %s have different keys, %s among them: sent through their root, their "
            "updates and deletes do not identify the row",
            root, leaf);
    else if (is_set(rows, row, LEAF_ROOT_FULL))
        findings_add(
            &check->findings, SEVERITY_WARNING, "leaf_identities",
            "table %s has replica identity full, but its partition %s logs only its key of an old row: rows "
            "are found by that key, and sinks receive no other old values",
            root, leaf);
    else
        findings_add(
            &check->findings, SEVERITY_WARNING, "leaf_identities",
            "table %s has no key, but its partition %s has: rows are found by that key, and the stream "
            "stops when two partitions have a row with the same key",
            root, leaf);
    findings_fix(
        &check->findings,
        "alter table %s replica identity full;  -- before changes wait in the slot: it does not help those",
        leaf);
    findings_object(&check->findings, leaf);
}

static void check_leaf(struct check *check, const PGresult *rows, int row) {
    const char *root = check_name(check, cell(rows, row, LEAF_ROOT_SCHEMA), cell(rows, row, LEAF_ROOT_NAME));
    const char *leaf = check_name(check, cell(rows, row, LEAF_SCHEMA), cell(rows, row, LEAF_NAME));
    if (cell(rows, row, LEAF_KIND)[0] == 'f')
        add_foreign(check, leaf, root);
    else if (cell(rows, row, LEAF_PERSISTENCE)[0] == 'u')
        add_unlogged(check, leaf, root);
    if (check->sends_updates && is_set(rows, row, LEAF_KEYED) &&
        (is_set(rows, row, LEAF_DIFFERS) || is_set(rows, row, LEAF_ROOT_FULL) ||
         !is_set(rows, row, LEAF_ROOT_KEY)))
        add_identity(check, rows, row, leaf, root);
}

static void add_generated_key(struct check *check, const char *table) {
    findings_add(
        &check->findings, SEVERITY_PROBLEM, "generated_key",
        "the replica identity of table %s has a generated column, which the source does not send: its "
        "deletes, and updates that change the key, do not identify the row",
        table);
    findings_fix(
        &check->findings,
        "alter table %s replica identity full;  -- before changes wait in the slot: it does not help those",
        table);
    findings_object(&check->findings, table);
}

static void add_filter(struct check *check, const char *table) {
    findings_add(
        &check->findings, SEVERITY_WARNING, "row_filter_large",
        "an update of the key can make a row of table %s pass the publication's row filter, and the source "
        "then does not send unchanged large values; run reads them from the row, and stops if the row was "
        "changed again before that",
        table);
    findings_fix(
        &check->findings,
        "alter table %s replica identity full;  -- before changes wait in the slot: it does not help those",
        table);
    findings_object(&check->findings, table);
}

typedef void add_fn(struct check *check, const char *table);

static bool check_rows(struct check *check, const char *sql, int parameter_count, add_fn *add,
                       struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    const char *parameters[] = {check_table_oids(check), check->config->source.publication_array};
    if (parameters[0] == NULL)
        return error_no_memory(err);
    if (!session_query(&check->source, sql, parameter_count, parameters,
                       &(const struct result_shape){"the query for old rows", 0, RESULT_ROWS_ANY, 2, 0},
                       &rows, err))
        return false;
    for (int row = 0; row < PQntuples(rows); row++)
        add(check, check_name(check, cell(rows, row, 0), cell(rows, row, 1)));
    return true;
}

static bool check_leaves(struct check *check, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    const char *parameters[] = {check_table_oids(check)};
    if (parameters[0] == NULL)
        return error_no_memory(err);
    if (!session_query(&check->source, LEAVES, 1, parameters,
                       &(const struct result_shape){"the query for partitions", 0, RESULT_ROWS_ANY,
                                                    LEAF_ROOT_KEY + 1, 1u << LEAF_DIFFERS},
                       &rows, err))
        return false;
    for (int row = 0; row < PQntuples(rows); row++)
        check_leaf(check, rows, row);
    return true;
}

bool check_old_rows(struct check *check, struct error *err) {
    if (!check->has_tables || check->tables.count == 0)
        return true;
    if (!check_leaves(check, err))
        return false;
    if (!check->sends_updates)
        return true;
    const int version = check->source.server_version;
    return (version >= 180000 || check_rows(check, GENERATED_KEYS, 1, add_generated_key, err)) &&
           (version < 150000 || check_rows(check, LARGE_VALUES, 2, add_filter, err));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_catalog_sql.h - the questions to the target's catalog, for target_catalog.c alone.
 *
 * Each is about several tables, which have places from 1 on, and its rows come in that order. A plan is made for it each
 * time, which takes longer than to answer it for one table. Catalogs are rarely analyzed: where the planner could think
 * that reading one whole is as good as its index, a lateral aggregate leaves it no choice.
 */
#pragma once

/*
 * The parameters are the schemas and the names. Triggers count in every partition. A deferrable unique constraint checks
 * itself by a trigger too, unique_key_recheck: it is no one's ordinary trigger. Foreign keys are triggers as well, so
 * where relhastriggers is false there is nothing to look for.
 */
static const char FIND_TABLES[] =
    "select t.oid, t.relkind, coalesce(pg_catalog.bool_or(g.replica), false),"
    "   coalesce(pg_catalog.bool_or(g.ordinary), false), coalesce(pg_catalog.bool_or(f.cascades), false),"
    "   coalesce(pg_catalog.bool_or(g.checks), false), t.relhasrules"
    " from rows from (pg_catalog.unnest($1::pg_catalog.name[]), pg_catalog.unnest($2::pg_catalog.name[]))"
    "   with ordinality k (schema, name, place)"
    " left join (pg_catalog.pg_class t join pg_catalog.pg_namespace n on n.oid = t.relnamespace)"
    "   on n.nspname = k.schema and t.relname = k.name"
    " left join lateral (select t.oid where t.relhastriggers"
    "   union all select p.relid from pg_catalog.pg_partition_tree(t.oid) p where t.relkind = 'p') tree (oid) on true"
    " left join lateral (select"
    "     pg_catalog.bool_or(g.tgenabled in ('A', 'R') and p.proname <> 'unique_key_recheck') as replica,"
    "     pg_catalog.bool_or(g.tgenabled in ('A', 'O') and p.proname <> 'unique_key_recheck') as ordinary,"
    "     pg_catalog.bool_or(p.proname = 'unique_key_recheck') as checks"
    "   from pg_catalog.pg_trigger g join pg_catalog.pg_proc p on p.oid = g.tgfoid where g.tgrelid = tree.oid) g on true"
    " left join lateral (select pg_catalog.bool_or(f.contype = 'f' and f.confdeltype = 'c') as cascades"
    "   from pg_catalog.pg_constraint f where f.conrelid = tree.oid) f on true"
    " group by k.place, t.oid, t.relkind, t.relhasrules order by k.place";

/*
 * search_path is empty, so an operator outside pg_catalog (citext's =) has to be named with its schema: it is the
 * equality of the type's default btree operator class, which is also the one that its indexes can use. No index finds
 * that, so it is looked for once for each type, not for each column.
 */
static const char FIND_COLUMNS[] =
    "with columns as (select k.place, a.* from pg_catalog.unnest($1::pg_catalog.oid[]) with ordinality k (oid, place)"
    "     join pg_catalog.pg_attribute a on a.attrelid = k.oid where a.attnum > 0 and not a.attisdropped),"
    " types as materialized (select t.oid, t.typarray, t.typdelim,"
    "   coalesce((select pg_catalog.format('operator(%I.%s)', n.nspname, o.oprname)"
    "     from pg_catalog.pg_opclass c join pg_catalog.pg_am m on m.oid = c.opcmethod and m.amname = 'btree'"
    "     join pg_catalog.pg_amop s on s.amopfamily = c.opcfamily and s.amoplefttype = c.opcintype"
    "       and s.amoprighttype = c.opcintype and s.amopstrategy = 3"
    "     join pg_catalog.pg_operator o on o.oid = s.amopopr join pg_catalog.pg_namespace n on n.oid = o.oprnamespace"
    "     where c.opcdefault and c.opcintype = case t.typtype when 'd' then t.typbasetype else t.oid end limit 1),"
    "     'operator(pg_catalog.=)') as equals"
    "   from (select distinct atttypid from columns) d join pg_catalog.pg_type t on t.oid = d.atttypid)"
    " select c.place, c.attname, c.atttypid, t.typarray, t.typdelim, c.attgenerated <> '', c.attidentity = 'a', t.equals"
    " from columns c join types t on t.oid = c.atttypid order by c.place, c.attnum";

/* Unique, checked at once, over plain columns that are never null; the primary key first. */
static const char FIND_KEYS[] =
    "select t.place, i.indexrelid, a.attname from pg_catalog.unnest($1::pg_catalog.oid[]) with ordinality t (oid, place)"
    " join pg_catalog.pg_index i on i.indrelid = t.oid"
    " cross join lateral pg_catalog.unnest(i.indkey) with ordinality k (number, place)"
    " join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number"
    " where i.indisunique and i.indimmediate and i.indisvalid and i.indpred is null"
    "   and i.indexprs is null and k.place <= i.indnkeyatts"
    "   and not exists (select from pg_catalog.unnest(i.indkey) with ordinality u (number, place)"
    "     join pg_catalog.pg_attribute b on b.attrelid = i.indrelid and b.attnum = u.number"
    "     where u.place <= i.indnkeyatts and not b.attnotnull)"
    " order by t.place, i.indisprimary desc, i.indnkeyatts, i.indexrelid, k.place";

static const char NAME_TYPE[] = "select pg_catalog.format_type($1, $2)";

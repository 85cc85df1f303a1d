/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_table_sql.h - the questions to the target's catalog, for target_table.c alone.
 */
#pragma once

/* A deferrable unique constraint checks itself by a trigger too, unique_key_recheck: it is no one's ordinary trigger. */
static const char FIND_TABLE[] =
    "with target as (select c.oid, c.relkind from pg_catalog.pg_class c"
    "   join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2),"
    " tree as (select oid from target union select p.relid from target, pg_catalog.pg_partition_tree(target.oid) p),"
    " active as (select g.tgenabled, p.proname = 'unique_key_recheck' as checks from pg_catalog.pg_trigger g"
    "   join tree on tree.oid = g.tgrelid join pg_catalog.pg_proc p on p.oid = g.tgfoid)"
    " select t.oid, t.relkind, exists (select from active where tgenabled in ('A', 'R') and not checks),"
    "   exists (select from active where tgenabled in ('A', 'O') and not checks),"
    "   exists (select from pg_catalog.pg_constraint f join tree on tree.oid = f.conrelid"
    "     where f.contype = 'f' and f.confdeltype = 'c'),"
    "   exists (select from active where checks)"
    " from target t";

/*
 * search_path is empty, so an operator outside pg_catalog (citext's =) has to be named with its schema: it is the
 * equality of the type's default btree operator class, which is also the one that its indexes can use.
 */
static const char FIND_COLUMNS[] =
    "select a.attname, a.atttypid, t.typarray, t.typdelim, a.attgenerated <> '', a.attidentity = 'a',"
    "   coalesce((select pg_catalog.format('operator(%I.%s)', n.nspname, o.oprname)"
    "     from pg_catalog.pg_opclass c join pg_catalog.pg_am m on m.oid = c.opcmethod and m.amname = 'btree'"
    "     join pg_catalog.pg_amop s on s.amopfamily = c.opcfamily and s.amoplefttype = c.opcintype"
    "       and s.amoprighttype = c.opcintype and s.amopstrategy = 3"
    "     join pg_catalog.pg_operator o on o.oid = s.amopopr join pg_catalog.pg_namespace n on n.oid = o.oprnamespace"
    "     where c.opcdefault and c.opcintype = case t.typtype when 'd' then t.typbasetype else t.oid end limit 1),"
    "     'operator(pg_catalog.=)')"
    " from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid"
    " where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum";

/* Unique, checked at once, over plain columns that are never null; the primary key first. */
static const char FIND_KEYS[] =
    "select i.indexrelid, a.attname from pg_catalog.pg_index i"
    " cross join lateral pg_catalog.unnest(i.indkey) with ordinality k (number, place)"
    " join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number"
    " where i.indrelid = $1 and i.indisunique and i.indimmediate and i.indisvalid and i.indpred is null"
    "   and i.indexprs is null and k.place <= i.indnkeyatts"
    "   and not exists (select from pg_catalog.unnest(i.indkey) with ordinality u (number, place)"
    "     join pg_catalog.pg_attribute b on b.attrelid = i.indrelid and b.attnum = u.number"
    "     where u.place <= i.indnkeyatts and not b.attnotnull)"
    " order by i.indisprimary desc, i.indnkeyatts, i.indexrelid, k.place";

static const char NAME_TYPE[] = "select pg_catalog.format_type($1, $2)";

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probes_target.c - what the target lacks of what the source has, or does otherwise.
 */
#include "cdc/migrate/plan/inventory_sql.h"
#include "cdc/migrate/plan/probe.h"

/* clang-format off */
#define GIVEN_EXTENSIONS                                                                                     \
    "select coalesce(jsonb_agg(jsonb_build_object('name', e.extname, 'schema', n.nspname, 'version',"        \
    " e.extversion)),"                                                                                       \
    " '[]')::text from pg_extension e join pg_namespace n on n.oid = e.extnamespace"
#define EXTENSIONS "jsonb_to_recordset($1::jsonb) g (name name, schema name, version text)"
#define GIVEN_TABLES                                                                                         \
    "select coalesce(jsonb_agg(jsonb_build_object('schema', n.nspname, 'name', c.relname)), '[]')::text"     \
    " from unnest($1::oid[]) moved join pg_class c on c.oid = moved join pg_namespace n on n.oid ="          \
    " c.relnamespace"
#define TABLES                                                                                               \
    "jsonb_to_recordset($1::jsonb) g (schema name, name name) join pg_namespace n on n.nspname = g.schema"   \
    " join pg_class c on c.relnamespace = n.oid and c.relname = g.name"

/* Of tables that move, and of materialized views. */
static const char GIVEN_COMPRESSED[] =
    "select coalesce(jsonb_agg(jsonb_build_object('kind', case c.relkind when 'm' then 'materialized view'"
    "  else 'table' end, 'schema', n.nspname, 'name', c.relname, 'column', a.attname)), '[]')::text"
    " from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace"
    " where a.attcompression = 'l' and not a.attisdropped and (c.relkind = 'm' or c.oid = any($1::oid[]))";

/* Columns that are generated in a child by inheritance, and not in its parent. */
static const char GIVEN_GENERATED[] =
    "select coalesce(jsonb_agg(jsonb_build_object('schema', n.nspname, 'name', c.relname, 'column',"
    "  a.attname, 'parent_schema', pn.nspname, 'parent', p.relname)), '[]')::text"
    " from unnest($1::oid[]) moved join pg_class c on c.oid = moved and not c.relispartition"
    " join pg_namespace n on n.oid = c.relnamespace join pg_inherits h on h.inhrelid = c.oid"
    " join pg_class p on p.oid = h.inhparent join pg_namespace pn on pn.oid = p.relnamespace"
    " join pg_attribute a on a.attrelid = c.oid and a.attgenerated <> ''"
    " join pg_attribute b on b.attrelid = p.oid and b.attname = a.attname and b.attgenerated = ''";

/* Those that own something in the source's database, or have a right on it. */
static const char GIVEN_ROLES[] =
    "select coalesce(jsonb_agg(jsonb_build_object('name', r.rolname, 'login', r.rolcanlogin)), '[]')::text"
    " from pg_roles r where r.rolname !~ '^pg_' and r.oid in (select d.refobjid from pg_shdepend d"
    "  join pg_database b on b.datname = current_database() and b.oid = d.dbid"
    "  where d.refclassid = 'pg_authid'::regclass and d.deptype in ('a', 'o', 'r'))";

/* Where their files are, also those that are in the database's own default. */
static const char GIVEN_TABLESPACES[] =
    "select coalesce(jsonb_agg(jsonb_build_object('name', s.spcname, 'count', s.count)), '[]')::text from"
    " (select t.spcname, count(*) from pg_class c join pg_database d on d.datname = current_database()"
    "  join pg_tablespace t on t.oid = coalesce(nullif(c.reltablespace, 0), d.dattablespace)"
    "  where t.spcname <> 'pg_default' and (c.oid = any ($1::oid[]) or exists (select from pg_index i"
    "  where i.indexrelid = c.oid and i.indrelid = any ($1::oid[]))) group by 1) s";

const struct probe TARGET_PROBES[] = {
    {"target_older", SEVERITY_WARNING, 0, 2, NULL,
     "PostgreSQL {1}, and the source has {2}: a dump of the schema can use what this version does not know",
     "use a target of the source's version or later",
     "select current_setting('server_version_num')::int / 10000, $1::int / 10000"
     " where current_setting('server_version_num')::int / 10000 < $1::int / 10000",
     "select current_setting('server_version_num')"},
    {"extension_missing", SEVERITY_PROBLEM, 0, 2, "{1i}",
     "the server does not have the files of extension {1i}, version {2}",
     "install the package of extension {1i} on the target's server",
     "select g.name, g.version from " EXTENSIONS " where not exists (select from pg_available_extensions a"
     " where a.name = g.name) order by 1", GIVEN_EXTENSIONS},
    {"extension_uncreated", SEVERITY_WARNING, 0, 2, "{1i}",
     "extension {1i} is not in this database yet",
     "create schema if not exists {2i};\ncreate extension {1i} with schema {2i};",
     "select g.name, g.schema from " EXTENSIONS " where g.schema <> 'pg_catalog' and exists (select from"
     " pg_available_extensions a where a.name = g.name and a.installed_version is null) order by 1",
     GIVEN_EXTENSIONS},
    {"extension_uncreated", SEVERITY_WARNING, 0, 2, "{1i}",
     "extension {1i} is not in this database yet", "create extension {1i};",
     "select g.name, g.schema from " EXTENSIONS " where g.schema = 'pg_catalog' and exists (select from"
     " pg_available_extensions a where a.name = g.name and a.installed_version is null) order by 1",
     GIVEN_EXTENSIONS},
    {"extension_older", SEVERITY_WARNING, 0, 3, "{1i}",
     "extension {1i} has version {2}, and the source has {3}",
     "alter extension {1i} update to {3s};",
     "select g.name, e.extversion, g.version from " EXTENSIONS " join pg_extension e on e.extname = g.name,"
     " pg_extension_update_paths(g.name) p where p.source = e.extversion and p.target = g.version and"
     " p.path is not null"
     " and e.extversion <> g.version order by 1", GIVEN_EXTENSIONS},
    {"compression", SEVERITY_PROBLEM, 0, 4, "{2q}",
     "column {4i} of {1} {2q} is compressed with lz4, which this server was built without",
     "at the source: alter {1} {2q} alter column {4i} set compression pglz",
     "select g.kind, g.schema, g.name, g.column from jsonb_to_recordset($1::jsonb)"
     " g (kind text, schema name, name name, \"column\" name) where not exists (select from pg_settings s"
     " where s.name = 'default_toast_compression' and 'lz4' = any(s.enumvals)) order by 2, 3, 4",
     GIVEN_COMPRESSED},
    {"generated_child", SEVERITY_PROBLEM, 160000, 5, "{1q}",
     "column {3i} of table {1q} is generated, and that of its parent {4q} is not, which this version of"
     " PostgreSQL does not allow",
     "at the source: alter table {1q} no inherit {4q}; alter table {1q} alter column {3i} drop expression;"
     " alter table {1q} inherit {4q}",
     "select g.schema, g.name, g.column, g.parent_schema, g.parent from jsonb_to_recordset($1::jsonb)"
     " g (schema name, name name, \"column\" name, parent_schema name, parent name) order by 1, 2, 3, 4, 5",
     GIVEN_GENERATED},
    {"tablespace_missing", SEVERITY_WARNING, 0, 2, "{1i}",
     "tables and indexes ({2}) of the source are in tablespace {1i}, which this server does not have: they"
     " are made in the database's default one",
     "if they shall be in one of that name, make a directory for it at the target's server and there, as a"
     " superuser, the tablespace; migrate makes them in the default one in any case, so move them after"
     " it: alter table ... set tablespace {1i}",
     "select g.name, g.count from jsonb_to_recordset($1::jsonb) g (name name, count bigint) where g.name"
     " not in (select spcname from pg_tablespace) order by 1", GIVEN_TABLESPACES},
    {"tablespace", SEVERITY_NOTE, 0, 2, "{1i}",
     "tables and indexes ({2}) of the source are in tablespace {1i}: here they are made in the database's"
     " default one", "",
     "select g.name, g.count from jsonb_to_recordset($1::jsonb) g (name name, count bigint) where g.name in"
     " (select spcname from pg_tablespace) order by 1", GIVEN_TABLESPACES},
    {"role_missing", SEVERITY_WARNING, 0, 2, "{1i}",
     "role {1i} owns objects at the source, or has rights there, and this server does not have it",
     "create role {1i} {2};  -- its password is not moved",
     "select g.name, case when g.login then 'login' else 'nologin' end from jsonb_to_recordset($1::jsonb)"
     " g (name name, login bool) where g.name not in (select rolname from pg_roles) order by 1", GIVEN_ROLES},
    {"locale", SEVERITY_WARNING, 0, 4, NULL,
     "the database has collation {1s} and character type {2s}, the source's {3s} and {4s}: text can be sorted"
     " and compared otherwise",
     "create the target's database from template0 with lc_collate {3s} and lc_ctype {4s}",
     "select d.datcollate, d.datctype, g.sorting, g.ctype from pg_database d,"
     " jsonb_to_recordset($1::jsonb) g (sorting text, ctype text) where d.datname = current_database()"
     " and (d.datcollate::text, d.datctype::text) <> (g.sorting, g.ctype)",
     "select jsonb_build_array(jsonb_build_object('sorting', datcollate, 'ctype', datctype))::text"
     " from pg_database where datname = current_database()"},
    {"target_trigger_always", SEVERITY_WARNING, 0, 3, "{1q}",
     "trigger {3i} of table {1q} acts on rows that are copied and applied, although the source did its work"
     " already",
     "alter table {1q} enable trigger {3i};",
     "select g.schema, g.name, t.tgname from " TABLES " join pg_trigger t on t.tgrelid = c.oid"
     " where not t.tgisinternal and t.tgenabled in ('A', 'R') order by 1, 2, 3", GIVEN_TABLES},
    {"target_event_trigger", SEVERITY_WARNING, 0, 1, "{1i}",
     "event trigger {1i} acts on the DDL that creates tables and indexes here",
     "alter event trigger {1i} disable;  -- until the move is complete",
     "select evtname from pg_event_trigger where evtenabled <> 'D' order by 1", NULL},
    {"synchronous_standby", SEVERITY_WARNING, 0, 1, NULL,
     "synchronous_standby_names is {1s}: each commit of the copy waits for that standby",
     "alter system set synchronous_standby_names = '';\nselect pg_reload_conf();  -- until the copy is"
     " complete",
     "select setting from pg_settings where name = 'synchronous_standby_names' and setting <> ''", NULL},
    {"target_index", SEVERITY_NOTE, 0, 3, "{1q}",
     "table {1q} has indexes other than its key ({3}), which make the copy slower", "",
     "select g.schema, g.name, count(*) from " TABLES " join pg_index i on i.indrelid = c.oid and not"
     " i.indisprimary"
     " where c.relpages = 0 or c.reltuples <= 0 group by 1, 2 order by 1, 2", GIVEN_TABLES},
    {0},
};

const struct probe RECORD_PROBES[] = {
    {"unique_besides_key", SEVERITY_NOTE, 0, 2, "{1q}",
     "table {1q} has unique indexes other than its key: consumers that apply partitions side by side can meet"
     " a value before"
     " the row that had it is gone", "",
     "select n.nspname, c.relname from unnest($1::oid[]) moved join pg_class c on c.oid = moved join"
     " pg_namespace n"
     " on n.oid = c.relnamespace where exists (select from pg_index i where i.indrelid = c.oid and"
     " i.indisunique"
     " and not i.indisprimary) and exists (select from pg_index i where i.indrelid = c.oid and"
     " i.indisprimary)"
     " and not c.relispartition order by 1, 2", NULL},
    {0},
};
/* clang-format on */

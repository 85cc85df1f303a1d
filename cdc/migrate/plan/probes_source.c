/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probes_source.c - the source's server and database: what a migration meets apart from its tables.
 */
#include "cdc/migrate/plan/inventory_sql.h"
#include "cdc/migrate/plan/probe.h"

/* clang-format off */
const struct probe SOURCE_PROBES[] = {
    {"wraparound", SEVERITY_WARNING, 0, 2, NULL,
     "the oldest row that is not frozen is {2} transactions old; at 2 billion the server stops writing, and"
     " a slot"
     " keeps vacuum from freezing the catalog while it waits",
     "vacuum (freeze);",
     "select datname, age(datfrozenxid) from pg_database where datname = current_database()"
     " and age(datfrozenxid) > 1200000000", NULL},
    {"idle_slot", SEVERITY_WARNING, 0, 3, "{1i}",
     "replication slot {1i} is not in use, and keeps {2} of WAL{3}",
     "if nothing will read it again: select pg_drop_replication_slot({1s});",
     "select s.slot_name, pg_size_pretty(pg_wal_lsn_diff(case when pg_is_in_recovery() then"
     " pg_last_wal_replay_lsn()"
     " else pg_current_wal_lsn() end, s.restart_lsn)), case when age(s.catalog_xmin) > 100000000 then"
     " ' and the catalog''s dead rows of ' || age(s.catalog_xmin) || ' transactions' else '' end"
     " from pg_replication_slots s where not s.active and not s.temporary and s.restart_lsn is not null"
     " and s.slot_name <> all ($2::name[]) and $1::oid[] is not null order by 1", NULL},
    {"open_transaction", SEVERITY_WARNING, 0, 4, NULL,
     "the session with pid {1}, of role {2i}, has kept a transaction open for {3} s, {4}: a slot that is"
     " created waits"
     " for it if it writes, and vacuum cannot remove rows",
     "let it end, or: select pg_terminate_backend({1});",
     "select pid, usename, extract(epoch from now() - xact_start)::bigint, state from pg_stat_activity"
     " where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()"
     " and (xact_start < now() - interval '10 min' or state like 'idle in transaction%' and"
     " state_change < now() - interval '5 s') order by xact_start", NULL},
    {"statistics_hidden", SEVERITY_NOTE, 0, 1, NULL,
     "role {1i} does not see what other sessions do, so open transactions are not found",
     "grant pg_read_all_stats to {1i};",
     "select current_user where not pg_has_role(current_user, 'pg_read_all_stats', 'usage')", NULL},
    {"synchronous_standby", SEVERITY_NOTE, 0, 1, NULL,
     "synchronous_standby_names is {1s}: a change is sent only when the standby has it", "",
     "select setting from pg_settings where name = 'synchronous_standby_names' and setting <> ''", NULL},
    {"connections_left", SEVERITY_WARNING, 0, 1, NULL,
     "only {1} of max_connections are left, and the copy takes one for each of its workers",
     "close some connections, or raise max_connections and restart the server",
     "select l.left from (select current_setting('max_connections')::int"
     " - current_setting('superuser_reserved_connections')::int - (select count(*) from pg_stat_activity"
     "  where datid is not null) as left) l where l.left < 8", NULL},
    {"large_objects", SEVERITY_WARNING, 0, 2, "{1i}",
     "role {1i} has large objects ({2}), which are not moved: their changes are not sent",
     "copy them at the switch, for instance with pg_dump -b, or store them in a column of type"
     " bytea",
     "select pg_get_userbyid(lomowner), count(*) from pg_largeobject_metadata group by 1 order by 1", NULL},
    {"foreign_table", SEVERITY_NOTE, 0, 2, "{1q}",
     "table {1q} is foreign: its rows stay at the foreign server, which the target must reach", "",
     "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
     " where c.relkind = 'f' and " IS_USER_SCHEMA("n") " order by 1, 2", NULL},
    {"event_trigger", SEVERITY_NOTE, 0, 1, "{1i}",
     "event trigger {1i}: only a superuser can create it at the target, and it acts on the DDL there", "",
     "select evtname from pg_event_trigger where evtenabled <> 'D' order by 1", NULL},
    {"library_function", SEVERITY_WARNING, 0, 2, "{1s}",
     "functions ({2}) are in library {1s}, which the target's server must have, too",
     "install the library at the target; only a superuser can create such functions",
     "select p.probin, count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace"
     " join pg_language l on l.oid = p.prolang and l.lanname = 'c' where " IS_USER_SCHEMA("n")
     " and not " IS_OF_EXTENSION("pg_proc", "p.oid") " group by 1 order by 1", NULL},
    {"untrusted_language", SEVERITY_NOTE, 0, 2, "{1i}",
     "functions ({2}) are in the untrusted language {1i}: only a superuser can create them at the target", "",
     "select l.lanname, count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace"
     " join pg_language l on l.oid = p.prolang and not l.lanpltrusted and l.lanname not in ('c',"
     " 'internal') where "
     IS_USER_SCHEMA("n") " group by 1 order by 1", NULL},
    {"security_label", SEVERITY_NOTE, 0, 2, "{1i}",
     "security labels ({2}) of provider {1i}: the target's server must load that provider", "",
     "select provider, count(*) from pg_seclabels group by 1 order by 1", NULL},
    {"subscription", SEVERITY_WARNING, 0, 1, "{1i}",
     "subscription {1i} writes to this database; after the switch it would go on writing to the source",
     "alter subscription {1i} disable;  -- at the switch, and create it anew at the target",
     "select s.subname from pg_subscription s join pg_database d on d.oid = s.subdbid"
     " and d.datname = current_database() where s.subenabled order by 1", NULL},
    {"database_setting", SEVERITY_NOTE, 0, 1, "{1i}",
     "setting {1i} of the database is not moved by pg_dump --schema-only: set it at the target with alter"
     " database", "",
     "select distinct split_part(v, '=', 1) from pg_db_role_setting s join pg_database d on d.oid ="
     " s.setdatabase and"
     " d.datname = current_database(), unnest(s.setconfig) v order by 1", NULL},
    {"extension_config", SEVERITY_NOTE, 0, 1, "{1i}",
     "extension {1i} keeps its configuration in tables of its own; where source.tables takes them, they are"
     " copied as others are",
     "empty them at the target once the extension is created there, or leave them out",
     "select extname from pg_extension where extconfig is not null order by 1", NULL},
    {"collation_version", SEVERITY_WARNING, 150000, 2, NULL,
     "the database's collation was made with another version of its library: indexes on text can be"
     " corrupt, and rows"
     " then be missed",
     "reindex the indexes on text, then run this statement:\nalter database {1i} refresh collation version;",
     "select datname, datcollversion from pg_database where datname = current_database()"
     " and datcollversion <> pg_database_collation_actual_version(oid)", NULL},
    {"collation_version", SEVERITY_WARNING, 0, 2, "{1q}",
     "collation {1q} was made with another version of its library: indexes that use it can be corrupt, and"
     " rows then be"
     " missed",
     "reindex the indexes that use it, then run this statement:\nalter collation {1q} refresh version;",
     "select distinct n.nspname, o.collname from unnest($1::oid[]) moved join pg_attribute a on a.attrelid"
     " = moved"
     " join pg_collation o on o.oid = a.attcollation join pg_namespace n on n.oid = o.collnamespace"
     " where o.collversion <> pg_collation_actual_version(o.oid) order by 1, 2", NULL},
    {0},
};
/* clang-format on */

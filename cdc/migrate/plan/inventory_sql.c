/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inventory_sql.c - see inventory_sql.h. A query that has nothing to say about a column answers NULL.
 */
#include "cdc/migrate/plan/inventory_sql.h"

#include <stdlib.h>

/* clang-format off */
#define BY_PAGES "c.relpages * current_setting('block_size')::bigint"
#define TABLE_BYTES                                                                                          \
    "case when c.oid in (select oid from locked) then " BY_PAGES " else pg_table_size(c.oid) end"
#define INDEX_BYTES "case when c.oid in (select oid from locked) then null else pg_indexes_size(c.oid) end"

#define OWNER(COLUMN) "pg_get_userbyid(" COLUMN ")"
#define SPACE(ALIAS, COLUMN) " join pg_namespace n on n.oid = " ALIAS "." COLUMN
#define NOTHING "null, null, null, null"

#define RELATIONS(KINDS)                                                                                     \
    " from pg_class c" SPACE("c", "relnamespace") " where c.relkind in (" KINDS ")"                          \
    " and c.relpersistence <> 't' and " IS_USER_SCHEMA("n")                                                  \
    " and not " IS_OF_EXTENSION("pg_class", "c.oid") " order by 2, 3"
#define OF_RELATION(COLUMN) " join pg_class c on c.oid = " COLUMN SPACE("c", "relnamespace")
#define OF_USER_RELATION IS_USER_SCHEMA("n") " and not " IS_OF_EXTENSION("pg_class", "c.oid") " order by 2, 3"

static const char SCHEMAS[] =
    "select n.oid, null, n.nspname, " OWNER("n.nspowner") ", '', " NOTHING " from pg_namespace n"
    " where " IS_USER_SCHEMA("n") " and not " IS_OF_EXTENSION("pg_namespace", "n.oid") " order by 3";

static const char EXTENSIONS[] =
    "select e.oid, n.nspname, e.extname, " OWNER("e.extowner") ", e.extversion, " NOTHING
    " from pg_extension e" SPACE("e", "extnamespace") " where e.extname <> 'plpgsql' order by 3";

/* No row types of tables, and no arrays, which are made with their element. */
static const char TYPES[] =
    "select t.oid, n.nspname, t.typname, " OWNER("t.typowner") ", case t.typtype when 'e' then 'enum'"
    "  when 'd' then 'domain' when 'r' then 'range' when 'c' then 'composite' else 'base' end, " NOTHING
    " from pg_type t" SPACE("t", "typnamespace") " left join pg_class c on c.oid = t.typrelid"
    " where t.typtype in ('e', 'd', 'r', 'c', 'b') and (t.typtype <> 'c' or c.relkind = 'c')"
    " and not exists (select from pg_type e where e.typarray = t.oid) and " IS_USER_SCHEMA("n")
    " and not " IS_OF_EXTENSION("pg_type", "t.oid") " order by 2, 3";

static const char FUNCTIONS[] =
    "select p.oid, n.nspname, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', "
    OWNER("p.proowner") ", case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate'"
    "  when 'w' then 'window function' else 'function' end || ', ' || l.lanname, " NOTHING
    " from pg_proc p" SPACE("p", "pronamespace") " join pg_language l on l.oid = p.prolang"
    " where " IS_USER_SCHEMA("n") " and not " IS_OF_EXTENSION("pg_proc", "p.oid") " order by 2, 3";

static const char TABLES[] = LOCKED
    " select c.oid, n.nspname, c.relname, " OWNER("c.relowner") ","
    " case when c.relpersistence = 'u' then 'unlogged' when c.relkind = 'p' then 'partitioned'"
    "  when c.relispartition then 'partition' else '' end,"
    " case when c.relkind = 'p' then 0 when c.reltuples >= 0 then c.reltuples::bigint end,"
    " case when c.relkind = 'p' then 0 else " TABLE_BYTES " end,"
    " case when c.relkind = 'p' then 0 else " INDEX_BYTES " end,"
    " case when c.relispartition then pg_partition_root(c.oid)::oid end" RELATIONS("'r', 'p'");

static const char FOREIGN_TABLES[] =
    "select c.oid, n.nspname, c.relname, " OWNER("c.relowner") ", (select s.srvname from pg_foreign_table f"
    " join pg_foreign_server s on s.oid = f.ftserver where f.ftrelid = c.oid), " NOTHING RELATIONS("'f'");

static const char SEQUENCES[] =
    "select c.oid, n.nspname, c.relname, " OWNER("c.relowner") ", '', " NOTHING RELATIONS("'S'");

static const char VIEWS[] =
    "select c.oid, n.nspname, c.relname, " OWNER("c.relowner") ", '', " NOTHING RELATIONS("'v'");

static const char MATERIALIZED_VIEWS[] = LOCKED
    " select c.oid, n.nspname, c.relname, " OWNER("c.relowner") ","
    " case when c.relispopulated then '' else 'not populated' end,"
    " case when c.reltuples >= 0 then c.reltuples::bigint end, " TABLE_BYTES ", " INDEX_BYTES ", null"
    RELATIONS("'m'");

static const char INDEXES[] = LOCKED
    " select c.oid, n.nspname, c.relname, " OWNER("c.relowner") ","
    " case when i.indisprimary then 'primary key' when i.indisexclusion then 'exclusion constraint'"
    "  when i.indisunique then 'unique' else m.amname end"
    " || case when i.indisvalid then '' else ', invalid' end,"
    " null, case when c.relkind = 'I' or i.indrelid in (select oid from locked) then " BY_PAGES
    "  else pg_relation_size(c.oid) end, null, null"
    " from pg_index i" OF_RELATION("i.indexrelid") " join pg_am m on m.oid = c.relam"
    " where c.relpersistence <> 't' and " IS_USER_SCHEMA("n")
    " and not " IS_OF_EXTENSION("pg_class", "i.indrelid") " order by 2, 3";

static const char CONSTRAINTS[] =
    "select o.oid, n.nspname, o.conname, " OWNER("c.relowner") ", case o.contype when 'f' then 'foreign key'"
    "  else 'check' end || case when o.convalidated then '' else ', not valid' end, " NOTHING
    " from pg_constraint o" OF_RELATION("o.conrelid")
    " where o.contype in ('f', 'c') and o.conparentid = 0 and " OF_USER_RELATION;

static const char TRIGGERS[] =
    "select t.oid, n.nspname, t.tgname, " OWNER("c.relowner") ", case t.tgenabled"
    "  when 'A' then 'enabled always'"
    "  when 'R' then 'enabled replica' when 'D' then 'disabled' else '' end, " NOTHING
    " from pg_trigger t" OF_RELATION("t.tgrelid")
    " where not t.tgisinternal and t.tgparentid = 0 and " OF_USER_RELATION;

static const char RULES[] =
    "select r.oid, n.nspname, r.rulename, " OWNER("c.relowner") ", '', " NOTHING
    " from pg_rewrite r" OF_RELATION("r.ev_class") " where r.rulename <> '_RETURN' and " OF_USER_RELATION;

static const char POLICIES[] =
    "select p.oid, n.nspname, p.polname, " OWNER("c.relowner") ", '', " NOTHING
    " from pg_policy p" OF_RELATION("p.polrelid") " where " OF_USER_RELATION;

#define OTHER(DETAIL, CATALOG, PREFIX)                                                                       \
    "select o.oid, n.nspname, o." PREFIX "name, " OWNER("o." PREFIX "owner") ", '" DETAIL "', " NOTHING      \
    " from " CATALOG " o" SPACE("o", PREFIX "namespace")                                                     \
    " where " IS_USER_SCHEMA("n") " and not " IS_OF_EXTENSION(CATALOG, "o.oid")
#define BARE(DETAIL, CATALOG, NAME, OWNED)                                                                   \
    "select o.oid, null, " NAME ", " OWNED ", '" DETAIL "', " NOTHING " from " CATALOG                       \
    " o where o.oid >= 16384 and not " IS_OF_EXTENSION(CATALOG, "o.oid")

static const char OPERATORS[] =
    OTHER("operator", "pg_operator", "opr") " union all " OTHER("operator class", "pg_opclass", "opc")
    " union all " OTHER("operator family", "pg_opfamily", "opf") " union all "
    BARE("cast", "pg_cast", "format_type(o.castsource, null) || ' as ' || format_type(o.casttarget, null)",
         "null::name") " order by 5, 2, 3";

static const char OTHERS[] =
    OTHER("collation", "pg_collation", "coll") " union all " OTHER("conversion", "pg_conversion", "con")
    " union all " OTHER("statistics", "pg_statistic_ext", "stx") " union all "
    OTHER("text search configuration", "pg_ts_config", "cfg") " union all "
    OTHER("text search dictionary", "pg_ts_dict", "dict") " union all "
    BARE("language", "pg_language", "o.lanname", OWNER("o.lanowner")) " union all "
    BARE("access method", "pg_am", "o.amname", "null::name") " union all "
    BARE("foreign-data wrapper", "pg_foreign_data_wrapper", "o.fdwname", OWNER("o.fdwowner"))
    " order by 5, 2, 3";

static const char FOREIGN_SERVERS[] =
    "select o.oid, null, o.srvname, " OWNER("o.srvowner") ", (select count(*) from pg_user_mappings u"
    " where u.srvid = o.oid) || ' user mappings', " NOTHING " from pg_foreign_server o order by 3";

static const char EVENT_TRIGGERS[] =
    "select o.oid, null, o.evtname, " OWNER("o.evtowner") ", o.evtevent || case o.evtenabled"
    " when 'A' then ', enabled always' when 'R' then ', enabled replica' when 'D' then ', disabled' else ''"
    " end, " NOTHING " from pg_event_trigger o where not " IS_OF_EXTENSION("pg_event_trigger", "o.oid")
    " order by 3";

static const char PUBLICATIONS[] =
    "select o.oid, null, o.pubname, " OWNER("o.pubowner") ", case when o.puballtables then 'for all tables'"
    " else '' end, " NOTHING " from pg_publication o order by 3";

static const char SUBSCRIPTIONS[] =
    "select o.oid, null, o.subname, " OWNER("o.subowner") ", case when o.subenabled then '' else 'disabled'"
    " end, " NOTHING " from pg_subscription o join pg_database d on d.oid = o.subdbid"
    " and d.datname = current_database() order by 3";

/* One line an owner: a database may have many millions. */
static const char LARGE_OBJECTS[] =
    "select 0::oid, null, " OWNER("m.lomowner") ", " OWNER("m.lomowner") ", '', count(*), null, null, null"
    " from pg_largeobject_metadata m group by m.lomowner order by 3";

/* Those that own something in this database, or have a right on it. */
static const char ROLES[] =
    "select r.oid, null, r.rolname, null, concat_ws(', ', case when r.rolcanlogin then 'login' end,"
    "  case when r.rolsuper then 'superuser' end, case when r.rolreplication then 'replication' end), "
    NOTHING
    " from pg_roles r where r.rolname !~ '^pg_' and (r.oid = (select b.datdba from"
    "  pg_database b where b.datname = current_database()) or r.oid in (select d.refobjid from pg_shdepend d"
    "  join pg_database b on b.datname = current_database() where d.refclassid = 'pg_authid'::regclass"
    "  and (d.dbid = b.oid or (d.classid = 'pg_database'::regclass and d.objid = b.oid)))) order by 3";

#define RIGHTS(CATALOG, LIST, COLUMN, OWNED)                                                                 \
    "select a.grantee from " CATALOG " o" SPACE("o", COLUMN) ", aclexplode(" LIST ") a where "               \
    IS_USER_SCHEMA("n") " and a.grantee <> " OWNED

/* Rights of others than the owner, counted for each role. */
static const char GRANTS[] =
    "select 0::oid, null, case when g.grantee = 0 then 'public' else pg_get_userbyid(g.grantee) end, null,"
    " '', count(*), null, null, null from ("
    RIGHTS("pg_class", "o.relacl", "relnamespace", "o.relowner") " union all "
    RIGHTS("pg_proc", "o.proacl", "pronamespace", "o.proowner") " union all "
    RIGHTS("pg_type", "o.typacl", "typnamespace", "o.typowner") " union all "
    "select a.grantee from pg_namespace n, aclexplode(n.nspacl) a where " IS_USER_SCHEMA("n")
    " and a.grantee <> n.nspowner union all"
    " select a.grantee from pg_attribute t" OF_RELATION("t.attrelid") ", aclexplode(t.attacl) a"
    " where t.attacl is not null and " IS_USER_SCHEMA("n") ") g group by g.grantee order by 3";

static const char DEFAULT_PRIVILEGES[] =
    "select o.oid, n.nspname, " OWNER("o.defaclrole") ", " OWNER("o.defaclrole") ", case o.defaclobjtype"
    " when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types'"
    " else 'schemas' end, " NOTHING " from pg_default_acl o"
    " left join pg_namespace n on n.oid = o.defaclnamespace order by 2, 3, 5";

/* Their values may be secrets. */
static const char SETTINGS[] =
    "select 0::oid, null, split_part(v, '=', 1), case when s.setrole <> 0 then " OWNER("s.setrole") " end,"
    " '', " NOTHING " from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase and"
    " d.datname = current_database(), unnest(s.setconfig) v order by 3, 4";

static const char LABELS[] =
    "select 0::oid, null, l.provider, null, '', count(*), null, null, null from pg_seclabels l"
    " group by l.provider order by 3";

const struct class_query CLASS_QUERIES[] = {
    {"schemas", "schemas", HOW_SCHEMA, NULL, SCHEMAS, false},
    {"extensions", "extensions", HOW_SCHEMA, "the target's server must have their files", EXTENSIONS, false},
    {"types", "types", HOW_SCHEMA, NULL, TYPES, false},
    {"functions", "functions", HOW_SCHEMA, NULL, FUNCTIONS, false},
    {"tables", "tables", HOW_ROWS, NULL, TABLES, true},
    {"foreign_tables", "foreign tables", HOW_SCHEMA, "their rows stay at the foreign server", FOREIGN_TABLES,
     false},
    {"sequences", "sequences", HOW_SWITCH, "their values are set at the switch", SEQUENCES, false},
    {"views", "views", HOW_SCHEMA, NULL, VIEWS, false},
    {"materialized_views", "materialized views", HOW_SWITCH, "refreshed before the switch",
     MATERIALIZED_VIEWS, false},
    {"indexes", "indexes", HOW_SCHEMA, "large ones best after the copy", INDEXES, false},
    {"constraints", "foreign keys and checks", HOW_SCHEMA, NULL, CONSTRAINTS, false},
    {"triggers", "triggers", HOW_SCHEMA, NULL, TRIGGERS, false},
    {"rules", "rules", HOW_SCHEMA, NULL, RULES, false},
    {"policies", "row security policies", HOW_SCHEMA, NULL, POLICIES, false},
    {"operators", "operators and casts", HOW_SCHEMA, NULL, OPERATORS, false},
    {"others", "other objects", HOW_SCHEMA, NULL, OTHERS, false},
    {"event_triggers", "event triggers", HOW_SCHEMA, "only a superuser may create them", EVENT_TRIGGERS,
     false},
    {"foreign_servers", "foreign servers", HOW_SCHEMA, "passwords of user mappings are not shown to all",
     FOREIGN_SERVERS, false},
    {"default_privileges", "default privileges", HOW_SCHEMA, NULL, DEFAULT_PRIVILEGES, false},
    {"grants", "roles with grants", HOW_SCHEMA, "the rows are rights", GRANTS, false},
    {"security_labels", "security label providers", HOW_SCHEMA, "the rows are labels", LABELS, false},
    {"roles", "roles", HOW_GLOBALS, NULL, ROLES, false},
    {"settings", "settings of the database", HOW_HAND, "alter database ... set", SETTINGS, false},
    {"publications", "publications", HOW_HAND, NULL, PUBLICATIONS, false},
    {"subscriptions", "subscriptions", HOW_HAND, NULL, SUBSCRIPTIONS, false},
    {"large_objects", "owners of large objects", HOW_HAND, "the rows are large objects", LARGE_OBJECTS,
     false},
    {0},
};
/* clang-format on */

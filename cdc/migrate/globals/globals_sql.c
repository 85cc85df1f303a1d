/* SPDX-License-Identifier: Apache-2.0 */
/*
 * globals_sql.c - the source describes itself in JSON, and the target says which statements it lacks.
 *
 * Every name and value is quoted by format(), so that no text of SQL is taken apart here.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/base/json_text.h"
#include "cdc/migrate/globals/globals_parts.h"

enum { QUERY_BYTES_MAX = 1 << 14, DATABASES_BYTES_MAX = 1 << 18 };

/* clang-format off */

/*
 * The roles that own or may do something in the databases, or have a setting there; their members, since an
 * application logs in as one; and the groups of all these. Publications are made by this program. Roles of
 * initdb have OIDs below 16384.
 */
static const char NEEDED[] =
    "with recursive db as (select d.oid, d.datdba, x.source, x.target from jsonb_to_recordset($1::jsonb) x"
    " (source name,"
    "  target name) join pg_database d on d.datname = x.source),"
    " direct (oid) as (select s.refobjid from pg_shdepend s join db on s.dbid = db.oid"
    "   or (s.classid = 'pg_database'::regclass and s.objid = db.oid)"
    "  where s.refclassid = 'pg_authid'::regclass"
    "   and s.classid not in ('pg_publication'::regclass, 'pg_subscription'::regclass)"
    "  union select datdba from db"
    "  union select t.setrole from pg_db_role_setting t join db on t.setdatabase = db.oid where t.setrole"
    " <> 0),"
    " below (oid) as (select oid from direct union select m.member from below b join pg_auth_members m on"
    " m.roleid = b.oid"
    "  where b.oid >= 16384),"
    " needed (oid) as (select oid from below union select m.roleid from needed n join pg_auth_members m on"
    " m.member = n.oid"
    "  where n.oid >= 16384),";

/* Each grant after the one that lets its grantor give it. */
static const char LEVELS[] =
    " level (roleid, member, grantor, depth) as (select roleid, member, grantor, 0 from pg_auth_members"
    " where grantor < 16384"
    "  union select m.roleid, m.member, m.grantor, l.depth + 1 from level l join pg_auth_members m on"
    " m.roleid = l.roleid"
    "   and m.grantor = l.member where m.grantor >= 16384 and l.depth < 100),";

static const char ROLES[] =
    " select jsonb_build_object('roles', (select coalesce(jsonb_agg(jsonb_build_object('name', r.rolname,"
    " 'super', r.rolsuper,"
    "  'inherit', r.rolinherit, 'createrole', r.rolcreaterole, 'createdb', r.rolcreatedb, 'login',"
    " r.rolcanlogin,"
    "  'replication', r.rolreplication, 'bypassrls', r.rolbypassrls, 'connlimit', r.rolconnlimit, 'until',"
    "  r.rolvaliduntil::text, 'password', %s, 'comment', shobj_description(r.oid, 'pg_authid'))), '[]')"
    "  from needed n join pg_roles r on r.oid = n.oid where r.oid >= 16384),"
    " 'members', (select coalesce(jsonb_agg(jsonb_build_object('role', pg_get_userbyid(a.roleid), 'member',"
    "  pg_get_userbyid(a.member), 'admin', a.admin_option, %s)), '[]') from pg_auth_members a"
    "  where a.member in (select oid from needed where oid >= 16384)),"
    " 'settings', (select coalesce(jsonb_agg(jsonb_build_object('role', r.rolname, 'database', db.target,"
    " 'name',"
    "  split_part(v, '=', 1), 'value', substr(v, strpos(v, '=') + 1))), '[]') from pg_db_role_setting s"
    "  join pg_roles r on r.oid = s.setrole left join db on db.oid = s.setdatabase, unnest(s.setconfig) v"
    "  where r.oid in (select oid from needed where oid >= 16384) and (s.setdatabase = 0 or db.oid is not"
    " null)))::text";

#define MEMBER_16                                                                                            \
    "'inherit', a.inherit_option, 'set', a.set_option, 'grantor', case when a.grantor >= 16384 then"         \
    " pg_get_userbyid(a.grantor) end, 'depth', (select coalesce(min(l.depth), 1000) from level l where"      \
    " l.roleid = a.roleid and l.member = a.member and l.grantor = a.grantor)"
#define MEMBER_14 "'depth', 0"
#define PASSWORD "(select p.rolpassword from pg_authid p where p.oid = r.oid)"

/*
 * A setting whose value is a list of names is stored as it is written, and would become one name if it were
 * quoted as a whole; so it is set for the transaction, and taken from there.
 */
#define IS_LIST                                                                                              \
    "in ('search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries')"

/* Parameters of extensions have a dot in their name. */
#define IS_UNKNOWN(NAME)                                                                                     \
    "(strpos(" NAME ", '.') = 0 and " NAME " not in ('role', 'session_authorization')"                       \
    " and not exists (select from pg_settings g where g.name = lower(" NAME ")))"

/* A row that is left out has a statement too, which is not run. */
#define SETTING_ROW(OBJECT, HEAD, S)                                                                         \
    OBJECT ", case when " S ".name " IS_LIST " then " HEAD " || format(' set %I from current', " S           \
    ".name) else " HEAD " || format(' set %I to %L', " S ".name, " S ".value) end, null, case when " S       \
    ".name " IS_LIST " then " S ".name end, " S ".value, case when " IS_UNKNOWN(S ".name")                   \
    " then 'setting ' || " S ".name || ', which this server does not know' end"

const char GLOBALS_ROLES_SQL[] =
    "with missing as (select r.* from jsonb_to_recordset($1::jsonb -> 'roles') r (name name, super bool,"
    " inherit bool,"
    "  createrole bool, createdb bool, login bool, replication bool, bypassrls bool, connlimit int, until"
    " text,"
    "  password text, comment text) where r.name not in (select rolname from pg_roles)),"
    " known (name) as (select rolname from pg_roles union select name from missing),"
    " here (version, super) as (select current_setting('server_version_num')::int, rolsuper from pg_roles"
    "  where rolname = current_user),"
    " granted as (select m.*, case when m.role not in (select name from known)"
    "   then 'a role that this server does not have'"
    "  when h.version < 160000 and not coalesce(m.set, true) then 'without SET, which this version cannot"
    " say'"
    "  when h.version < 160000 and not coalesce(m.inherit, true) and exists (select from"
    "   (select rolname, rolinherit from pg_roles union all select name, inherit from missing) r"
    "   where r.rolname = m.member and r.rolinherit) then 'without INHERIT, which this version cannot say'"
    " end"
    "  as lack, h.version, h.super from jsonb_to_recordset($1::jsonb -> 'members') m (role name, member name,"
    "  admin bool, inherit bool, set bool, grantor name, depth int), here h"
    "  where m.member in (select name from missing) or m.role in (select name from missing)),"
    " setting as (select s.* from jsonb_to_recordset($1::jsonb -> 'settings') s (role name, database name,"
    "  name text, value text) where s.role in (select name from missing) and (s.database is null"
    "  or exists (select from pg_database d where d.datname = s.database)))"
    " select object, shown, secret, list, value, left_out from ("
    "select 1 as part, 0 as depth, 'role ' || r.name as object, format('create role %I with %s', r.name,"
    " concat_ws(' ',"
    "  case when r.login then 'login' else 'nologin' end, case when r.super then 'superuser' end,"
    "  case when not r.inherit then 'noinherit' end, case when r.createrole then 'createrole' end,"
    "  case when r.createdb then 'createdb' end, case when r.replication then 'replication' end,"
    "  case when r.bypassrls then 'bypassrls' end, case when r.connlimit >= 0 then 'connection limit ' ||"
    " r.connlimit end,"
    "  case when r.until is not null then format('valid until %L', r.until) end)) as shown,"
    " case when r.password is not null then format(' password %L', r.password) end as secret, null as"
    " list, null as value,"
    " null as left_out from missing r union all"
    " select 2, m.depth, 'membership of ' || m.member || ' in ' || m.role, case when m.lack is null then"
    "  format('grant %I to %I', m.role, m.member) || case when m.version >= 160000 and m.inherit is not"
    " null then"
    "   format(' with admin %s, inherit %s, set %s', m.admin::text, m.inherit::text, m.set::text) when"
    " m.admin then ' with"
    " admin option'"
    "   else '' end || case when m.super and m.version >= 160000 and m.grantor in (select name from known)"
    " then"
    "   format(' granted by %I', m.grantor) else '' end end, null, null, null, m.lack from granted m union"
    " all"
    " select 3, 0, " SETTING_ROW("'setting of role ' || s.role", "format('alter role %I', s.role) || case"
    " when s.database is"
    "  null then '' else format(' in database %I', s.database) end", "s") " from setting s union all"
    " select 4, 0, 'comment on role ' || r.name, format('comment on role %I is %L', r.name, r.comment),"
    " null, null, null, null"
    "  from missing r where r.comment is not null) s order by part, depth, object, shown";

/* What is set in the database, and for roles in it; the rights on it; and how it is made. */
static const char DATABASE[] =
    "select jsonb_build_object('name', x.target, 'owner', pg_get_userbyid(d.datdba), 'encoding',"
    " pg_encoding_to_char(d.encoding), 'collate', d.datcollate, 'ctype', d.datctype, 'provider', %s,"
    " 'locale', %s,"
    " 'rules', %s, 'connlimit', d.datconnlimit, 'comment', shobj_description(d.oid, 'pg_database'),"
    " 'has_acl', d.datacl is"
    " not null, 'rights', (select coalesce(jsonb_agg(jsonb_build_object('role', case when a.grantee <> 0 then"
    "  pg_get_userbyid(a.grantee) end, 'right', a.privilege_type, 'option', a.is_grantable)), '[]') from"
    "  aclexplode(d.datacl) a where a.grantee <> d.datdba), 'settings', (select"
    " coalesce(jsonb_agg(jsonb_build_object("
    "  'role', case when s.setrole <> 0 then pg_get_userbyid(s.setrole) end, 'name', split_part(v, '=',"
    " 1), 'value',"
    "  substr(v, strpos(v, '=') + 1))), '[]') from pg_db_role_setting s, unnest(s.setconfig) v where"
    " s.setdatabase ="
    "  d.oid))::text from jsonb_to_recordset($1::jsonb) x (source name, target name) join pg_database d on"
    " d.datname ="
    " x.source";

/* The first row makes it; it is not there for a database that exists. */
const char GLOBALS_DATABASE_SQL[] =
    "with d as (select * from jsonb_to_record($1::jsonb) d (name name, owner name, encoding text,"
    " \"collate\" text, ctype text,"
    "  provider text, locale text, rules text, connlimit int, comment text, has_acl bool, rights jsonb,"
    " settings jsonb)),"
    " rights as (select r.* from d, jsonb_to_recordset(d.rights) r (role name, \"right\" text, option bool)),"
    " settings as (select s.* from d, jsonb_to_recordset(d.settings) s (role name, name text, value text))"
    " select object, shown, secret, list, value, left_out from ("
    "select 1 as part, 'database ' || d.name as object, format('create database %I template template0"
    " encoding %L', d.name,"
    "  d.encoding) || format(' lc_collate %L lc_ctype %L', d.\"collate\", d.ctype) || case d.provider when"
    " 'c' then '' when"
    "  'i' then format(' locale_provider icu icu_locale %L', d.locale) ||"
    "  case when d.rules is null then '' else format(' icu_rules %L', d.rules) end"
    "  else format(' locale_provider builtin builtin_locale %L', d.locale) end || format(' owner %I',"
    " d.owner) || case when"
    "  d.connlimit >= 0 then format(' connection limit %s', d.connlimit) else '' end as shown, null as"
    " secret, null as list, null as value,"
    "  null as left_out from d where d.name not in (select datname from pg_database) union all"
    " select 2, 'rights on database ' || d.name, format('revoke all on database %I from public', d.name),"
    " null, null, null, null"
    "  from d where d.has_acl union all"
    " select 3, 'rights on database ' || d.name || ' of ' || coalesce(r.role, 'public'), case when r.role"
    " is null or r.role"
    "  in (select rolname from pg_roles) then format('grant %s on database %I to %s', r.\"right\", d.name,"
    "  coalesce(quote_ident(r.role), 'public')) || case when r.option then ' with grant option' else ''"
    " end end, null, null, null,"
    "  case when r.role not in (select rolname from pg_roles) then 'a role that this server does not have'"
    " end"
    "  from d, rights r union all"
    " select 4, " SETTING_ROW("s.object", "s.head", "s") " from (select s.name, s.value, case when s.role"
    " is null then"
    "  'setting of database ' || d.name else 'setting of role ' || s.role || ' in database ' || d.name end"
    " as object, case"
    "  when s.role is null then format('alter database %I', d.name) else format('alter role %I in database"
    " %I', s.role,"
    "  d.name) end as head from d, settings s where s.role is null or s.role in (select rolname from"
    " pg_roles)) s union all"
    " select 4, 'setting of role ' || s.role || ' in database ' || d.name, null, null, null, null, 'a role"
    " that this server does"
    " not have' from d, settings s where s.role not in (select rolname from pg_roles) union all"
    " select 5, 'comment on database ' || d.name, format('comment on database %I is %L', d.name,"
    " d.comment), null, null, null, null"
    "  from d where d.comment is not null) s (part, object, shown, secret, list, value, left_out) order by"
    " part, object, shown";

/* clang-format on */

static void put_pair(struct buffer *json, const char *source, const char *target) {
    buffer_append_text(json, json->size > 1 ? ",{\"source\":" : "{\"source\":");
    bool is_text = json_append_string(json, slice_of(source));
    buffer_append_text(json, ",\"target\":");
    is_text = json_append_string(json, slice_of(target)) && is_text;
    buffer_append_text(json, "}");
    json->failed = json->failed || !is_text;
}

/* all: every database of the file; else the one. */
static const char *databases_json(const struct globals *globals, bool all, struct buffer *json) {
    const struct migrate_config *migrate = &globals->config->migrate;
    const struct config_database *one = globals->config->database;
    buffer_append_text(json, "[");
    for (size_t i = 0; one != NULL && all && i < migrate->database_count; i++)
        put_pair(json, migrate->databases[i].source, migrate->databases[i].target);
    if (one != NULL && !all)
        put_pair(json, one->source, one->target);
    if (one == NULL)
        put_pair(json, PQdb(globals->source.conn), PQdb(globals->steps.session.conn));
    buffer_append_text(json, "]");
    return buffer_text(json);
}

static bool globals_describe(struct globals *globals, bool all, const char *sql, const char **ret_json,
                             struct error *err) {
    struct buffer json AUTO(buffer_release) = {.bytes_max = DATABASES_BYTES_MAX};
    PGresult *rows AUTO_PGRESULT = NULL;
    const char *databases = databases_json(globals, all, &json);
    if (databases == NULL)
        return error_set(err, ERROR_CONFIG, "a database's name is not UTF-8");
    if (!session_query(&globals->source, sql, 1, &databases,
                       &(const struct result_shape){"the query for roles and databases", 1, 1, 1, 0}, &rows,
                       err))
        return false;
    *ret_json = arena_copy(&globals->arena, slice_of(PQgetvalue(rows, 0, 0)));
    return *ret_json != NULL || error_no_memory(err);
}

static bool may_read_passwords(struct globals *globals, bool *ret_may, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(&globals->source, "select has_table_privilege('pg_authid', 'select')", 0, NULL,
                       &(const struct result_shape){"the right to read passwords", 1, 1, 1, 0}, &rows, err))
        return false;
    *ret_may = result_is_true(rows, 0, 0);
    return true;
}

bool globals_describe_roles(struct globals *globals, const char **ret_json, struct error *err) {
    char sql[QUERY_BYTES_MAX];
    bool has_passwords = false;
    const bool is_16 = globals->source.server_version >= 160000;
    if (!may_read_passwords(globals, &has_passwords, err))
        return false;
    size_t size = (size_t) snprintf(sql, sizeof sql, "%s%s", NEEDED, is_16 ? LEVELS : "");
    size--; /* the last comma */
    snprintf(sql + size, sizeof sql - size, ROLES, has_passwords ? PASSWORD : "null::text",
             is_16 ? MEMBER_16 : MEMBER_14);
    return globals_describe(globals, true, sql, ret_json, err);
}

bool globals_describe_database(struct globals *globals, const char **ret_json, struct error *err) {
    char sql[QUERY_BYTES_MAX];
    const int version = globals->source.server_version;
    snprintf(sql, sizeof sql, DATABASE, version >= 150000 ? "d.datlocprovider" : "'c'",
             version >= 170000   ? "d.datlocale"
             : version >= 150000 ? "d.daticulocale"
                                 : "null",
             version >= 160000 ? "d.daticurules" : "null");
    return globals_describe(globals, false, sql, ret_json, err);
}

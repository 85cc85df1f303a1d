/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ddl_triggers.c - the SQL that installs and removes them, and the question whether they work.
 */
#include "cdc/source/ddl_triggers.h"

#include <stdio.h>
#include <string.h>

#include "cdc/pq/identifier.h"
#include "sinks/mapping/hmac.h"

/* In the text of a function that writes messages as they are read here. */
#define MESSAGE_FORMAT "message format 2"

#define TRIGGERS "('pgcdc_ddl_command', 'pgcdc_ddl_drop')"

/* Of the triggers as they are; a change of one changes its xmin. */
#define SECRET                                                                                               \
    "(select md5(k.key || ' ' || string_agg(t.oid || ':' || t.xmin || ':' || t.evtenabled::text, ' ' order " \
    "by "                                                                                                    \
    "t.oid))"                                                                                                \
    " from pgcdc.ddl_key k cross join pg_event_trigger t where t.evtname in " TRIGGERS " group by k.key)"

/* ---- install ---- */

static const char PLACE_SQL[] =
    "begin;\n"
    "do $do$ begin\n"
    "    if not exists (select from pg_catalog.pg_namespace where nspname = 'pgcdc') then\n"
    "        create schema pgcdc;\n"
    "        comment on schema pgcdc is 'made by pgcdc ddl install';\n"
    "    end if;\n"
    "end $do$;\n"
    "-- a secret: what its reader can write counts as the triggers' own messages\n"
    "create table if not exists pgcdc.ddl_key (key text primary key, granted_to name[] not null default "
    "'{}');\n"
    "revoke all on pgcdc.ddl_key from public;\n"
    "insert into pgcdc.ddl_key (key) select pg_catalog.gen_random_uuid()::text\n"
    "    where not exists (select from pgcdc.ddl_key);\n";

/*
 * An exception block is a subtransaction. A logical message is ordered by the end of its record, a row by its
 * start; so the next record of the transaction ties with the message, and the server sends that row first
 * when the message is of a subtransaction. The second, empty message is that next record.
 *
 * Commands report the table that they name; its partitions, children and typed tables change with it.
 */
static const char FUNCTION_SQL[] =
    "create or replace function pgcdc.ddl_event() returns event_trigger language plpgsql security definer\n"
    "set search_path = pg_catalog, pg_temp set datestyle = 'ISO' set intervalstyle = 'postgres'\n"
    "set timezone = 'UTC' set bytea_output = 'hex' set extra_float_digits = 3 set lc_monetary = 'C'\n"
    "set quote_all_identifiers = off set row_security = off as $function$\n"
    "declare\n"
    "    touched oid[];\n"
    "    message text;\n"
    "    secret text;\n"
    "    inner_pad bytea;\n"
    "    outer_pad bytea;\n"
    "begin\n"
    "    if tg_event = 'sql_drop' then\n"
    "        select array_agg(distinct objid) into touched from pg_event_trigger_dropped_objects()\n"
    "         where classid = 'pg_class'::regclass and object_type = 'table column';\n"
    "    else\n"
    "        select array_agg(distinct coalesce(t.typrelid, e.objid)) into touched\n"
    "          from pg_event_trigger_ddl_commands() e left join pg_type t\n"
    "            on e.classid = 'pg_type'::regclass and t.oid = e.objid\n"
    "         where e.classid in ('pg_class'::regclass, 'pg_type'::regclass);\n"
    "    end if;\n"
    "    if touched is null then\n"
    "        return;\n"
    "    end if;\n"
    "    -- HMAC-SHA256 (RFC 2104) of the transaction and the message: " MESSAGE_FORMAT "\n"
    "    secret := " SECRET ";\n"
    "    select string_agg(set_byte(decode('00', 'hex'), 0, ascii(substr(secret, i, 1)) # 54), '' order by "
    "i)\n"
    "            || decode(repeat('36', 32), 'hex'),\n"
    "        string_agg(set_byte(decode('00', 'hex'), 0, ascii(substr(secret, i, 1)) # 92), '' order by i)\n"
    "            || decode(repeat('5c', 32), 'hex')\n"
    "      into inner_pad, outer_pad from generate_series(1, 32) i;\n"
    "    for message in\n"
    "        with recursive reached (oid) as ((select unnest(touched) union\n"
    "            select t.oid from pg_class k join pg_class t on t.reloftype = k.reltype\n"
    "             where k.oid = any (touched) and k.relkind = 'c') union\n"
    "            select i.inhrelid from reached r join pg_inherits i on i.inhparent = r.oid)\n"
    "        select jsonb_build_object('version', 2,\n"
    "            'oid', c.oid::bigint, 'columns', (select jsonb_agg(case when a.attisdropped\n"
    "                then jsonb_build_object('number', a.attnum, 'dropped', true)\n"
    "                else jsonb_build_object('number', a.attnum, 'dropped', false, 'name', a.attname,\n"
    "                    'type', a.atttypid::bigint, 'modifier', a.atttypmod,\n"
    "                    'type_sql', format_type(a.atttypid, a.atttypmod),\n"
    "                    'missing', case when a.atthasmissing and\n"
    "                        cardinality(a.attmissingval::text::text[]) = 1\n"
    "                        then (a.attmissingval::text::text[])[1] end)\n"
    "                end order by a.attnum)\n"
    "             from pg_attribute a where a.attrelid = c.oid and a.attnum > 0))::text\n"
    "        from reached join pg_class c on c.oid = reached.oid\n"
    "        where c.relkind in ('r', 'p') and c.relpersistence = 'p' and c.oid >= 16384\n"
    "    loop\n"
    "        perform pg_logical_emit_message(true, '" DDL_MESSAGE_PREFIX "', encode(sha256(outer_pad\n"
    "            || sha256(inner_pad || convert_to(pg_current_xact_id()::xid || ' ' || message,\n"
    "                getdatabaseencoding()))), 'hex') || ' ' || message);\n"
    "        -- a row of the transaction must not be sent before the message: see pgcdc's source\n"
    "        perform pg_logical_emit_message(true, '" DDL_MESSAGE_PREFIX "', '');\n"
    "    end loop;\n"
    "exception when others then\n"
    "    raise warning 'pgcdc does not see this change of a table: %', sqlerrm;\n"
    "    perform pg_logical_emit_message(true, '" DDL_MESSAGE_PREFIX "', 'lost');\n"
    "    perform pg_logical_emit_message(true, '" DDL_MESSAGE_PREFIX "', '');\n"
    "end\n"
    "$function$;\n";

/* Always: also under session_replication_role = replica. */
static const char TRIGGERS_SQL[] =
    "drop event trigger if exists pgcdc_ddl_command;\n"
    "drop event trigger if exists pgcdc_ddl_drop;\n"
    "create event trigger pgcdc_ddl_command on ddl_command_end\n"
    "    when tag in ('ALTER TABLE', 'CREATE TABLE', 'ALTER TYPE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW',\n"
    "        'ALTER FOREIGN TABLE', 'ALTER INDEX', 'ALTER SEQUENCE') execute function pgcdc.ddl_event();\n"
    "create event trigger pgcdc_ddl_drop on sql_drop execute function pgcdc.ddl_event();\n"
    "alter event trigger pgcdc_ddl_command enable always;\n"
    "alter event trigger pgcdc_ddl_drop enable always;\n";

void ddl_triggers_append_install(struct buffer *sql, const char *role) {
    struct slice name = slice_of(role);
    buffer_append_text(sql, PLACE_SQL);
    buffer_append_text(sql, FUNCTION_SQL);
    buffer_append_text(sql, TRIGGERS_SQL);
    buffer_append_text(sql, "do $do$ begin\n    if not pg_catalog.has_schema_privilege(");
    literal_append(sql, name);
    buffer_append_text(sql, ", 'pgcdc', 'usage') then\n        grant usage on schema pgcdc to ");
    identifier_append(sql, name);
    buffer_append_text(sql, ";\n        update pgcdc.ddl_key set granted_to = granted_to || ");
    literal_append(sql, name);
    buffer_append_text(sql, "::name;\n    end if;\nend $do$;\ngrant select on pgcdc.ddl_key to ");
    identifier_append(sql, name);
    buffer_append_text(sql, ";\ncommit;\n");
}

/* ---- remove ---- */

/* The schema may be a Postgres sink's, which is in this database, or was before. */
const char DDL_TRIGGERS_REMOVE[] =
    "begin;\n"
    "drop event trigger if exists pgcdc_ddl_command;\n"
    "drop event trigger if exists pgcdc_ddl_drop;\n"
    "drop function if exists pgcdc.ddl_event();\n"
    "do $do$ declare role name; begin\n"
    "    if pg_catalog.to_regclass('pgcdc.ddl_key') is not null then\n"
    "        for role in select r.rolname from pgcdc.ddl_key k\n"
    "            join pg_catalog.pg_roles r on r.rolname = any (k.granted_to) loop\n"
    "            execute pg_catalog.format('revoke usage on schema pgcdc from %I', role);\n"
    "        end loop;\n"
    "        drop table pgcdc.ddl_key;\n"
    "    end if;\n"
    "    if exists (select from pg_catalog.pg_namespace n where n.nspname = 'pgcdc'\n"
    "            and pg_catalog.obj_description(n.oid, 'pg_namespace') = 'made by pgcdc ddl install'\n"
    "            and not exists (select from pg_catalog.pg_depend d where d.refobjid = n.oid\n"
    "                and d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass)) then\n"
    "        drop schema pgcdc;\n"
    "    end if;\n"
    "end $do$;\n"
    "commit;\n";

/* ---- do they work? ---- */

static const char STATE_SQL[] =
    "select (select count(*) from pg_event_trigger where evtname in " TRIGGERS "),"
    " (select count(*) from pg_event_trigger where evtname in " TRIGGERS " and evtenabled = 'A'),"
    " c.oid is not null and coalesce(p.prosrc like '%" MESSAGE_FORMAT "%', false),"
    " coalesce(has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'), false)"
    " from (select) one left join pg_namespace n on n.nspname = 'pgcdc'"
    " left join pg_class c on c.relnamespace = n.oid and c.relname = 'ddl_key'"
    " left join pg_proc p on p.pronamespace = n.oid and p.proname = 'ddl_event'";

enum { STATE_THERE, STATE_ENABLED, STATE_HAS_REST, STATE_READABLE, STATE_FIELDS, WANTED = 2 };

static enum ddl_triggers_state state_of(const PGresult *row) {
    const long there = strtol(PQgetvalue(row, 0, STATE_THERE), NULL, 10);
    const long enabled = strtol(PQgetvalue(row, 0, STATE_ENABLED), NULL, 10);
    const bool has_rest = result_is_true(row, 0, STATE_HAS_REST);
    if (there == 0 && !has_rest)
        return DDL_TRIGGERS_NONE;
    if (enabled != WANTED || !has_rest)
        return DDL_TRIGGERS_OFF;
    return result_is_true(row, 0, STATE_READABLE) ? DDL_TRIGGERS_ON : DDL_TRIGGERS_DENIED;
}

bool ddl_triggers_read(struct session *source, struct ddl_triggers *ret_triggers, struct error *err) {
    static const char SQL[] = "select " SECRET;
    PGresult *row AUTO_PGRESULT = NULL;
    PGresult *secret AUTO_PGRESULT = NULL;
    *ret_triggers = (struct ddl_triggers){0};
    if (!session_query(source, STATE_SQL, 0, NULL,
                       &(const struct result_shape){"the query for event triggers", 1, 1, STATE_FIELDS, 0},
                       &row, err))
        return false;
    const enum ddl_triggers_state state = state_of(row);
    ret_triggers->state = state;
    if (state != DDL_TRIGGERS_ON)
        return true;
    if (!session_query(source, SQL, 0, NULL,
                       &(const struct result_shape){"the query for what signs their messages", 1, 1, 1, 1},
                       &secret, err))
        return false;
    snprintf(ret_triggers->secret, sizeof ret_triggers->secret, "%s", PQgetvalue(secret, 0, 0));
    if (ret_triggers->secret[0] == '\0')
        ret_triggers->state = DDL_TRIGGERS_OFF;
    return true;
}

/* ---- their messages ---- */

static bool sign_message(const char *secret, struct slice text, uint8_t ret_code[HMAC_BYTES]) {
    struct hmac_key key = {0};
    struct error ignored;
    const bool is_signed =
        hmac_key_init(&key, slice_of(secret), &ignored) && hmac_sign(&key, text, ret_code, &ignored);
    hmac_key_release(&key);
    return is_signed;
}

bool ddl_triggers_wrote(const struct ddl_triggers *triggers, struct slice signed_text, struct slice stamp) {
    uint8_t code[HMAC_BYTES];
    char digits[DDL_STAMP_SIZE + 1];
    if (triggers->secret[0] == '\0' || stamp.size != DDL_STAMP_SIZE ||
        !sign_message(triggers->secret, signed_text, code))
        return false;
    for (size_t i = 0; i < HMAC_BYTES; i++)
        snprintf(digits + 2 * i, 3, "%02x", code[i]);
    return memcmp(digits, stamp.data, DDL_STAMP_SIZE) == 0;
}

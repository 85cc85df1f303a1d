/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - a Postgres sink: its server, and the role's rights there.
 */
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "sinks/postgres/check/check.h"

#define SAID_BYTES_MAX ((size_t) 16 << 20)

enum {
    SET_PARAMETER_VERSION = 150000, /* GRANT SET ON PARAMETER */
    CONNECTIONS_LEFT_MIN = 2,
    COLUMN_VERSION = 0,
    COLUMN_READ_ONLY,
    COLUMN_ENCODING,
    COLUMN_MAY_CREATE,
    COLUMN_HAS_SCHEMA,
    COLUMN_MAY_USE_SCHEMA,
    COLUMN_MAY_CREATE_IN_SCHEMA,
    COLUMN_HAS_TABLE,
    COLUMN_MAY_WRITE_TABLE,
    COLUMN_CONNECTIONS_LEFT,
    COLUMN_ROLE,
    COLUMN_DATABASE,
    COLUMN_IS_REPLICA,
    COLUMN_IS_OLD_TABLE,
    COLUMN_OWNS_TABLE,
    COLUMNS,
};

static const char FACTS[] =
    "select current_setting('server_version'),"
    " case when pg_is_in_recovery() then 'a standby' end,"
    " pg_encoding_to_char(d.encoding), has_database_privilege(d.oid, 'create'), s.oid is not null,"
    " s.oid is not null and has_schema_privilege(s.oid, 'usage'),"
    " s.oid is not null and has_schema_privilege(s.oid, 'create'), t.oid is not null,"
    " t.oid is not null and has_table_privilege(t.oid, 'select') and has_table_privilege(t.oid, 'insert')"
    "  and has_table_privilege(t.oid, 'update') and has_table_privilege(t.oid, 'delete'),"
    " current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    "  - coalesce(current_setting('reserved_connections', true)::int, 0)"
    "  - (select count(*) from pg_stat_activity where backend_type = 'client backend'),"
    " current_user, d.datname, current_setting('session_replication_role') = 'replica',"
    " t.oid is not null and not exists (select from pg_attribute a where a.attrelid = t.oid"
    "  and a.attname = 'layout' and not a.attisdropped),"
    " t.oid is not null and pg_has_role(t.relowner, 'usage')"
    " from pg_database d left join pg_namespace s on s.nspname = 'pgcdc'"
    " left join pg_class t on t.relnamespace = s.oid and t.relname = 'position'"
    " where d.datname = current_database()";

const char *target_check_name(const struct target_check *target, const char *schema, const char *name) {
    return identifier_printable(schema, name, target->check->arena);
}

static const char *role_of(const struct target_check *target, const PGresult *facts) {
    return target_check_name(target, NULL, PQgetvalue(facts, 0, COLUMN_ROLE));
}

/* We already hold a connection; warn if few are left for other sinks and for people. */
static void check_server(const struct target_check *target, const PGresult *facts, int version) {
    if (version < SERVER_VERSION_MIN || version >= SERVER_VERSION_UNTESTED) {
        sink_check_add(target->check, SINK_WARNING, "version", "PostgreSQL %s; pgcdc is tested with 14 to 18",
                       PQgetvalue(facts, 0, COLUMN_VERSION));
        sink_check_fix(target->check, "%s",
                       version < SERVER_VERSION_MIN
                           ? "upgrade the target"
                           : "use a release that is tested with it, if there is one");
    }
    if (!PQgetisnull(facts, 0, COLUMN_READ_ONLY)) {
        sink_check_add(target->check, SINK_PROBLEM, "read_only", "this server is %s",
                       PQgetvalue(facts, 0, COLUMN_READ_ONLY));
        sink_check_fix(target->check, "let the sink's dsn point to a server that can be written "
                                      "(target_session_attrs=read-write)");
    }
    if (strtol(PQgetvalue(facts, 0, COLUMN_CONNECTIONS_LEFT), NULL, 10) < CONNECTIONS_LEFT_MIN) {
        sink_check_add(target->check, SINK_WARNING, "connections",
                       "nearly all of max_connections are in use");
        sink_check_fix(target->check, "close some connections, or raise max_connections and restart the "
                                      "server");
    }
}

static void check_encoding(const struct target_check *target, const PGresult *facts) {
    const char *encoding = PQgetvalue(facts, 0, COLUMN_ENCODING);
    if (strcmp(encoding, "UTF8") == 0 || strcmp(encoding, target->check->source_encoding) == 0)
        return;
    sink_check_add(
        target->check, SINK_WARNING, "encoding",
        "the database's encoding is %s, the source's is %s; a character that %s lacks stops the pipeline",
        encoding, target->check->source_encoding, encoding);
    sink_check_fix(target->check, "use a target database with encoding UTF8");
}

/* Only its owner may alter it, and a new key needs the right to create an index. */
static void check_old_position_table(const struct target_check *target, const PGresult *facts,
                                     const char *role) {
    if (!result_is_true(facts, 0, COLUMN_IS_OLD_TABLE) ||
        (result_is_true(facts, 0, COLUMN_OWNS_TABLE) &&
         result_is_true(facts, 0, COLUMN_MAY_CREATE_IN_SCHEMA)))
        return;
    sink_check_add(target->check, SINK_PROBLEM, "position_owner",
                   "table pgcdc.position was made by an older pgcdc, and role %s may not bring it up to date",
                   role);
    sink_check_fix(target->check,
                   "alter table pgcdc.position owner to %s; grant usage, create on schema pgcdc to %s;", role,
                   role);
}

/* The first run creates pgcdc.position. */
static void check_position_table(const struct target_check *target, const PGresult *facts) {
    const char *role = target->role;
    if (!result_is_true(facts, 0, COLUMN_HAS_SCHEMA)) {
        if (result_is_true(facts, 0, COLUMN_MAY_CREATE))
            return;
        sink_check_add(target->check, SINK_PROBLEM, "position_schema",
                       "schema pgcdc, for the position, is missing, and role %s may not create it", role);
        sink_check_fix(target->check, "create schema pgcdc authorization %s;", role);
    } else if (!result_is_true(facts, 0, COLUMN_HAS_TABLE) &&
               !result_is_true(facts, 0, COLUMN_MAY_CREATE_IN_SCHEMA)) {
        sink_check_add(target->check, SINK_PROBLEM, "position_schema",
                       "table pgcdc.position is missing, and role %s may not create it", role);
        sink_check_fix(target->check, "grant usage, create on schema pgcdc to %s;", role);
    } else if (!result_is_true(facts, 0, COLUMN_MAY_USE_SCHEMA) ||
               (result_is_true(facts, 0, COLUMN_HAS_TABLE) &&
                !result_is_true(facts, 0, COLUMN_MAY_WRITE_TABLE))) {
        sink_check_add(target->check, SINK_PROBLEM, "position_table",
                       "role %s may not read and write table pgcdc.position", role);
        sink_check_fix(target->check,
                       "grant usage on schema pgcdc to %s; grant select, insert, update, delete on "
                       "pgcdc.position to %s;",
                       role, role);
    }
    check_old_position_table(target, facts, role);
}

/* config_read has checked its values. */
static bool has_option(const struct target_check *target, const char *key, const char *value) {
    const char *found = sink_config_find(target->config, key);
    return found != NULL && strcmp(found, value) == 0;
}

/* With on_error: dead_letter the first run creates pgcdc.dead and pgcdc.dead_log. */
static bool check_dead_tables(const struct target_check *target, const PGresult *facts, struct error *err) {
    static const char SQL[] =
        "select pg_catalog.count(*), coalesce(pg_catalog.bool_and(pg_catalog.has_table_privilege(c.oid, "
        "'select')"
        " and pg_catalog.has_table_privilege(c.oid, 'insert') and pg_catalog.has_table_privilege(c.oid, "
        "'delete')"
        " and (c.relname <> 'dead' or pg_catalog.has_table_privilege(c.oid, 'update'))), true)"
        " from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = 'pgcdc' and c.relname in ('dead', 'dead_log')";
    PGresult *result AUTO_PGRESULT = NULL;
    if (!has_option(target, "on_error", "dead_letter") || !result_is_true(facts, 0, COLUMN_HAS_SCHEMA))
        return true;
    if (!session_query(target->session, SQL, 0, NULL,
                       &(const struct result_shape){"the query for pgcdc.dead", 1, 1, 2, 0}, &result, err))
        return false;
    const bool exist = strcmp(PQgetvalue(result, 0, 0), "2") == 0;
    if (exist ? result_is_true(result, 0, 1) : result_is_true(facts, 0, COLUMN_MAY_CREATE_IN_SCHEMA))
        return true;
    sink_check_add(
        target->check, SINK_PROBLEM, "dead_table",
        exist ? "role %s may not read and write pgcdc.dead and pgcdc.dead_log, which on_error: "
                "dead_letter needs"
              : "tables pgcdc.dead and pgcdc.dead_log, which on_error: dead_letter needs, are missing, "
                "and role %s may not create them",
        target->role);
    if (exist)
        sink_check_fix(target->check,
                       "grant select, insert, update, delete on pgcdc.dead, pgcdc.dead_log to %s;",
                       target->role);
    else
        sink_check_fix(target->check, "grant usage, create on schema pgcdc to %s;", target->role);
    return true;
}

/* Tried, not looked up: GRANT SET ON PARAMETER, superusers and managed services each grant it differently. */
static bool try_replica_role(struct session *session, bool *ret_allowed, struct error *err) {
    struct error answer = {0};
    if (!session_execute(session, "begin", err))
        return false;
    *ret_allowed = session_execute(session, "set local session_replication_role = replica", &answer);
    if (!*ret_allowed && answer.sqlstate[0] == '\0') {
        *err = answer;
        return false;
    }
    return session_execute(session, "rollback", err);
}

/* A superuser set it for the role, and run may not reset it. */
static void check_fires(const struct target_check *target, const PGresult *facts) {
    if (!target->may_fire || target->acts_as_replica || !result_is_true(facts, 0, COLUMN_IS_REPLICA))
        return;
    sink_check_add(
        target->check, SINK_PROBLEM, "target_triggers",
        "triggers: fire, but session_replication_role is replica for role %s, which may not change "
        "it, so no trigger and no foreign key would act",
        target->role);
    sink_check_fix(target->check, "alter role %s in database %s set session_replication_role = origin;",
                   target->role, target_check_name(target, NULL, PQgetvalue(facts, 0, COLUMN_DATABASE)));
}

static bool check_tables_there(struct target_check *target, const PGresult *facts, struct error *err) {
    const struct sink_check *check = target->check;
    if (!try_replica_role(target->session, &target->acts_as_replica, err))
        return false;
    check_fires(target, facts);
    for (size_t i = 0; i < check->table_count; i++)
        if (!target_check_table(target, &check->tables[i], err) ||
            !target_check_types(target, &check->tables[i], err))
            return false;
    return check->source == NULL ||
           (target_check_deferrable(target, err) && target_check_references(target, err));
}

static bool check_session(struct target_check *target, struct error *err) {
    PGresult *facts AUTO_PGRESULT = NULL;
    if (!session_query(
            target->session, FACTS, 0, NULL,
            &(const struct result_shape){"the query for its settings", 0, 1, COLUMNS, 1u << COLUMN_READ_ONLY},
            &facts, err))
        return false;
    if (PQntuples(facts) != 1)
        return error_set(err, ERROR_PROTOCOL, "target: the current database is not in its catalog");
    target->role = role_of(target, facts);
    target->may_create = result_is_true(facts, 0, COLUMN_MAY_CREATE);
    check_server(target, facts, target->session->server_version);
    check_encoding(target, facts);
    check_position_table(target, facts);
    if (!check_dead_tables(target, facts, err))
        return false;
    if (target->check->target_is_source) /* its tables are the source's */
        return true;
    return target_check_followed(target, err) && target_check_circle(target, err) &&
           check_tables_there(target, facts, err);
}

bool target_check_all(const struct sink_config *config, const struct sink_check *check, struct error *err) {
    struct buffer said AUTO(buffer_release) = {.bytes_max = SAID_BYTES_MAX};
    struct target_check target = {
        .check = check, .config = config, .session = check->target, .said = &said, .role = ""};
    if (check->target == NULL)
        return true;
    target.may_fire = has_option(&target, "triggers", "fire");
    target.may_narrow = has_option(&target, "narrowing", "allow");
    target.can_grant = check->target->server_version >= SET_PARAMETER_VERSION;
    return check_session(&target, err);
}

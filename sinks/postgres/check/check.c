/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - a Postgres sink: its server, and the role's rights there.
 */
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/check/check.h"
#include "cdc/source/uncopied.h"

#define SAID_BYTES_MAX ((size_t) 16 << 20)

enum {
    VERSION_TESTED_MIN = 140000,
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

static const char *role_of(struct check *check, const PGresult *facts) {
    return check_name(check, NULL, PQgetvalue(facts, 0, COLUMN_ROLE));
}

/* We already hold a connection; warn if few are left for other sinks and for people. */
static void check_server(struct check *check, const PGresult *facts, int version) {
    if (version < VERSION_TESTED_MIN || version >= CHECK_VERSION_UNTESTED) {
        findings_add(&check->findings, SEVERITY_WARNING, "version",
                     "PostgreSQL %s; pgcdc is tested with 14 to 18", PQgetvalue(facts, 0, COLUMN_VERSION));
        findings_fix(&check->findings, "%s",
                     version < VERSION_TESTED_MIN ? "upgrade the target"
                                                  : "use a release that is tested with it, if there is one");
    }
    if (!PQgetisnull(facts, 0, COLUMN_READ_ONLY)) {
        findings_add(&check->findings, SEVERITY_PROBLEM, "read_only", "this server is %s",
                     PQgetvalue(facts, 0, COLUMN_READ_ONLY));
        findings_fix(&check->findings, "let the sink's dsn point to a server that can be written "
                                       "(target_session_attrs=read-write)");
    }
    if (strtol(PQgetvalue(facts, 0, COLUMN_CONNECTIONS_LEFT), NULL, 10) < CONNECTIONS_LEFT_MIN) {
        findings_add(&check->findings, SEVERITY_WARNING, "connections",
                     "nearly all of max_connections are in use");
        findings_fix(&check->findings, "close some connections, or raise max_connections and restart the "
                                       "server");
    }
}

static void check_encoding(struct check *check, const PGresult *facts) {
    const char *encoding = PQgetvalue(facts, 0, COLUMN_ENCODING);
    if (strcmp(encoding, "UTF8") == 0 || strcmp(encoding, check->facts.encoding) == 0)
        return;
    findings_add(
        &check->findings, SEVERITY_WARNING, "encoding",
        "the database's encoding is %s, the source's is %s; a character that %s lacks stops the pipeline",
        encoding, check->facts.encoding, encoding);
    findings_fix(&check->findings, "use a target database with encoding UTF8");
}

/* Only its owner may alter it, and a new key needs the right to create an index. */
static void check_old_position_table(struct check *check, const PGresult *facts, const char *role) {
    if (!result_is_true(facts, 0, COLUMN_IS_OLD_TABLE) ||
        (result_is_true(facts, 0, COLUMN_OWNS_TABLE) &&
         result_is_true(facts, 0, COLUMN_MAY_CREATE_IN_SCHEMA)))
        return;
    findings_add(&check->findings, SEVERITY_PROBLEM, "position_owner",
                 "table pgcdc.position was made by an older pgcdc, and role %s may not bring it up to date",
                 role);
    findings_fix(&check->findings,
                 "alter table pgcdc.position owner to %s; grant usage, create on schema pgcdc to %s;", role,
                 role);
}

/* The first run creates pgcdc.position. */
static void check_position_table(struct check *check, const PGresult *facts) {
    const char *role = role_of(check, facts);
    if (!result_is_true(facts, 0, COLUMN_HAS_SCHEMA)) {
        if (result_is_true(facts, 0, COLUMN_MAY_CREATE))
            return;
        findings_add(&check->findings, SEVERITY_PROBLEM, "position_schema",
                     "schema pgcdc, for the position, is missing, and role %s may not create it", role);
        findings_fix(&check->findings, "create schema pgcdc authorization %s;", role);
    } else if (!result_is_true(facts, 0, COLUMN_HAS_TABLE) &&
               !result_is_true(facts, 0, COLUMN_MAY_CREATE_IN_SCHEMA)) {
        findings_add(&check->findings, SEVERITY_PROBLEM, "position_schema",
                     "table pgcdc.position is missing, and role %s may not create it", role);
        findings_fix(&check->findings, "grant usage, create on schema pgcdc to %s;", role);
    } else if (!result_is_true(facts, 0, COLUMN_MAY_USE_SCHEMA) ||
               (result_is_true(facts, 0, COLUMN_HAS_TABLE) &&
                !result_is_true(facts, 0, COLUMN_MAY_WRITE_TABLE))) {
        findings_add(&check->findings, SEVERITY_PROBLEM, "position_table",
                     "role %s may not read and write table pgcdc.position", role);
        findings_fix(&check->findings,
                     "grant usage on schema pgcdc to %s; grant select, insert, update, delete on "
                     "pgcdc.position to %s;",
                     role, role);
    }
    check_old_position_table(check, facts, role);
}

static bool is_source(const struct check *check, const struct config_sink *sink) {
    return check->has_identity &&
           target_identity_is_source(&check->targets[sink - check->config->sinks], &check->identity);
}

/*
 * A pipeline into its own source would replicate its own changes, and two sinks in one database would
 * conflict.
 */
static bool check_other_database(struct check *check, struct session *session, const struct config_sink *sink,
                                 struct error *err) {
    const struct config_sink *sinks = check->config->sinks;
    struct target_identity *identity = &check->targets[sink - sinks];
    if (!target_identity_read(session, identity, err))
        return false;
    if (is_source(check, sink)) {
        findings_add(&check->findings, SEVERITY_PROBLEM, "same_database",
                     "source and sink are the same database: each change would be replicated again");
        findings_fix(&check->findings, "correct the sink's dsn");
    }
    for (const struct config_sink *before = sinks; before < sink; before++)
        if (target_identity_equal(&check->targets[before - sinks], identity)) {
            findings_add(&check->findings, SEVERITY_PROBLEM, "same_database",
                         "sink %s is the same database, and both would apply every change",
                         before->sink.name);
            findings_fix(&check->findings, "correct the dsn of one of them, or leave it out");
        }
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

/* config_read has checked its values. */
static bool has_option(const struct config_sink *sink, const char *key, const char *value) {
    const char *found = sink_config_find(&sink->sink, key);
    return found != NULL && strcmp(found, value) == 0;
}

/* A superuser set it for the role, and run may not reset it. */
static void check_fires(struct check *check, const struct target_check *target, const PGresult *facts) {
    if (!target->may_fire || target->acts_as_replica || !result_is_true(facts, 0, COLUMN_IS_REPLICA))
        return;
    findings_add(&check->findings, SEVERITY_PROBLEM, "target_triggers",
                 "triggers: fire, but session_replication_role is replica for role %s, which may not change "
                 "it, so no trigger and no foreign key would act",
                 target->role);
    findings_fix(&check->findings, "alter role %s in database %s set session_replication_role = origin;",
                 target->role, check_name(check, NULL, PQgetvalue(facts, 0, COLUMN_DATABASE)));
}

static bool read_plan(struct check *check, const struct config_sink *sink, struct chunk_plan *ret_plan,
                      struct error *err) {
    if (sink->ops->chunk == NULL)
        return true;
    struct sink *handle = sink_new(sink->ops, &sink->sink, check->stop);
    bool looked =
        handle != NULL ? sink->ops->chunk->look(handle, &check->arena, ret_plan, err) : error_no_memory(err);
    sink_free(handle);
    return looked;
}

static bool check_tables_there(struct check *check, struct session *session, const PGresult *facts,
                               const struct config_sink *sink, struct error *err) {
    struct buffer said AUTO(buffer_release) = {.bytes_max = SAID_BYTES_MAX};
    struct target_check target = {.session = session,
                                  .said = &said,
                                  .may_fire = has_option(sink, "triggers", "fire"),
                                  .may_narrow = has_option(sink, "narrowing", "allow"),
                                  .may_lack = !uncopied_matters(sink),
                                  .may_create = result_is_true(facts, 0, COLUMN_MAY_CREATE),
                                  .role = role_of(check, facts)};
    target.can_grant = session->server_version >= SET_PARAMETER_VERSION;
    if (!try_replica_role(session, &target.acts_as_replica, err) ||
        !read_plan(check, sink, &target.plan, err))
        return false;
    check_fires(check, &target, facts);
    for (size_t i = 0; i < check->tables.count; i++)
        if (!check_target_table(check, &target, &check->tables.tables[i], err) ||
            !check_target_types(check, &target, &check->tables.tables[i], err))
            return false;
    return check->source.conn == NULL ||
           (check_target_deferrable(check, &target, err) && check_target_references(check, &target, err));
}

static bool check_session(struct check *check, struct session *session, const struct config_sink *sink,
                          struct error *err) {
    PGresult *facts AUTO_PGRESULT = NULL;
    if (!session_query(
            session, FACTS, 0, NULL,
            &(const struct result_shape){"the query for its settings", 0, 1, COLUMNS, 1u << COLUMN_READ_ONLY},
            &facts, err))
        return false;
    if (PQntuples(facts) != 1)
        return error_set(err, ERROR_PROTOCOL, "target: the current database is not in its catalog");
    check_server(check, facts, session->server_version);
    check_encoding(check, facts);
    check_position_table(check, facts);
    if (!check_other_database(check, session, sink, err))
        return false;
    if (is_source(check, sink)) /* its tables are the source's */
        return true;
    return check_circle(check, session, err) && check_tables_there(check, session, facts, sink, err);
}

bool check_target(struct check *check, const struct config_sink *sink, struct error *err) {
    struct session_options options = {.stop = check->stop};
    struct session session = {0};
    struct error answer = {0};
    sink->ops->admin->target(&sink->sink, &options);
    if (!session_open(&session, &options, &answer)) {
        check_add_unreachable(check, &answer, options.dsn, false);
        return true;
    }
    check_transport(check, &session);
    bool checked = check_session(check, &session, sink, err);
    session_close(&session);
    return checked;
}

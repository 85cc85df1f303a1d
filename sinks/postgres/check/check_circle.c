/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_circle.c - does another pipeline send the changes of this sink's server to the source?
 *
 * The evidence: the source's database holds a position (pgcdc.position) of a pipeline whose source has the
 * system identifier of this sink's server. Then each change travels round forever, or stops a pipeline at the
 * first duplicate row, unless both pipelines leave out replicated changes.
 */
#include <string.h>

#include "sinks/postgres/check/check.h"

enum { ORIGIN_VERSION_MIN = 160000 };

static const char READABLE[] =
    "select coalesce((select has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')"
    " from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'pgcdc' and c.relname "
    "= 'position'), false),"
    " exists (select from pg_replication_origin where roname !~ '^pg_')";

/* If the role lacks the right to ask, no circle is assumed. */
static bool read_system_id(struct session *target, PGresult **ret_id, struct error *err) {
    struct error answer = {0};
    if (session_query(target, "select system_identifier from pg_control_system()", 0, NULL,
                      &(const struct result_shape){"the query for its identity", 1, 1, 1, 0}, ret_id,
                      &answer) ||
        answer.sqlstate[0] != '\0')
        return true;
    *err = answer;
    return false;
}

/* The pipelines that write to the source, as "a, b". */
static bool read_pipelines(const struct target_check *target, const char *system_id, PGresult **ret_names,
                           struct error *err) {
    static const char SQL[] =
        "select string_agg(distinct pipeline, ', ') from pgcdc.position where system_id = $1::numeric";
    return session_query(target->check->source, SQL, 1, &system_id,
                         &(const struct result_shape){"the query for positions at the source", 1, 1, 1, 1},
                         ret_names, err);
}

static void add_circle(const struct target_check *target, const char *pipelines) {
    sink_check_add(
        target->check, SINK_WARNING, "circle",
        "the source is the target of pipeline %s, whose source is this sink's server: each pipeline sends "
        "the other's changes back",
        pipelines);
    if (target->check->source->server_version < ORIGIN_VERSION_MIN)
        sink_check_fix(
            target->check,
            "use only one of the two; source.origin: none, which would separate them, requires PostgreSQL "
            "16 or later at both sources");
    else
        sink_check_fix(target->check,
                       "in both pipelines: source.origin: none, and at the Postgres sink origin: "
                       "NAME, of its own for each sink");
}

bool target_check_circle(const struct target_check *target, struct error *err) {
    PGresult *id AUTO_PGRESULT = NULL;
    PGresult *readable AUTO_PGRESULT = NULL;
    PGresult *names AUTO_PGRESULT = NULL;
    if (target->check->source == NULL)
        return true;
    if (!session_query(target->check->source, READABLE, 0, NULL,
                       &(const struct result_shape){"the query for pgcdc.position", 1, 1, 2, 0}, &readable,
                       err) ||
        !read_system_id(target->session, &id, err))
        return false;
    if (PQgetvalue(readable, 0, 0)[0] != 't' || id == NULL)
        return true;
    if (!read_pipelines(target, PQgetvalue(id, 0, 0), &names, err))
        return false;
    const bool has_origin = result_is_true(readable, 0, 1);
    if (!PQgetisnull(names, 0, 0) && !(target->check->leaves_out_replicated && has_origin))
        add_circle(target, PQgetvalue(names, 0, 0));
    return true;
}

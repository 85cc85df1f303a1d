/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_source.c - the settings of the source on which logical replication depends.
 */
#include <stdlib.h>
#include <string.h>

#include "cdc/check/check.h"

enum {
    SENDER_TIMEOUT_SHORT_MS = 3000, /* we reply after a third of it; a busy machine can be a second late */
    KEEP_SHORT_MB = 1024,
};

static const char FACTS[] =
    "select current_setting('server_version'), current_setting('wal_level'), pg_encoding_to_char(d.encoding),"
    " current_setting('synchronous_commit'), current_user, pg_is_in_recovery(), r.rolsuper,"
    " has_database_privilege(current_database(), 'create'), current_setting('max_replication_slots'),"
    " (select count(*) from pg_replication_slots),"
    " (select setting from pg_settings where name = 'wal_sender_timeout'),"
    " (select setting from pg_settings where name = 'max_slot_wal_keep_size'),"
    " (select coalesce(max(case unit when 'min' then 60 when 'ms' then 0.001 else 1 end * setting::numeric), "
    "0)::int"
    "  from pg_settings where name = 'idle_replication_slot_timeout')"
    " from pg_database d, pg_roles r where d.datname = current_database() and r.rolname = current_user";

static void take_text(const PGresult *result, int column, char *text, size_t size) {
    snprintf(text, size, "%s", PQgetvalue(result, 0, column));
}

static int take_number(const PGresult *result, int column) {
    return (int) strtol(PQgetvalue(result, 0, column), NULL, 10);
}

static bool take_truth(const PGresult *result, int column) {
    return result_is_true(result, 0, column);
}

static bool read_facts(struct check *check, struct error *err) {
    struct source_facts *facts = &check->facts;
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(&check->source, FACTS, 0, NULL,
                       &(const struct result_shape){"the query for its settings", 0, 1, 13, 7u << 10},
                       &result, err))
        return false;
    if (PQntuples(result) != 1)
        return error_set(err, ERROR_PROTOCOL, "source: the current role or database is not in its catalog");
    take_text(result, 0, facts->version, sizeof facts->version);
    take_text(result, 1, facts->wal_level, sizeof facts->wal_level);
    take_text(result, 2, facts->encoding, sizeof facts->encoding);
    take_text(result, 3, facts->synchronous_commit, sizeof facts->synchronous_commit);
    take_text(result, 4, facts->role, sizeof facts->role);
    facts->in_recovery = take_truth(result, 5);
    facts->is_superuser = take_truth(result, 6);
    facts->may_create = take_truth(result, 7);
    facts->slots_max = take_number(result, 8);
    facts->slots_used = take_number(result, 9);
    facts->sender_timeout_ms = take_number(result, 10);
    facts->keep_mb = take_number(result, 11);
    facts->idle_timeout_s = take_number(result, 12);
    return true;
}

static void check_version(struct findings *findings, const struct source_facts *facts, int version) {
    if (version < SERVER_VERSION_MIN) {
        findings_add(findings, SEVERITY_PROBLEM, "version", "PostgreSQL %s; pgcdc reads from 14 and later",
                     facts->version);
        findings_fix(findings, "upgrade the source");
    } else if (version >= SERVER_VERSION_UNTESTED) {
        findings_add(findings, SEVERITY_WARNING, "version", "PostgreSQL %s; pgcdc is tested with 14 to 18",
                     facts->version);
        findings_fix(findings, "use a release that is tested with it, if there is one");
    }
}

static void check_wal_level(struct findings *findings, const struct source_facts *facts) {
    if (strcmp(facts->wal_level, "logical") == 0)
        return;
    findings_add(findings, SEVERITY_PROBLEM, "wal_level", "wal_level is %s; logical decoding needs logical",
                 facts->wal_level);
    findings_fix(findings, "alter system set wal_level = 'logical';  -- then restart the server (RDS: "
                           "rds.logical_replication = 1)");
}

static void check_encoding(struct findings *findings, const struct source_facts *facts) {
    if (strcmp(facts->encoding, "SQL_ASCII") != 0)
        return;
    findings_add(
        findings, SEVERITY_WARNING, "encoding",
        "the database's encoding is SQL_ASCII, so it may contain bytes that are not UTF-8; they stop the "
        "pipeline at every sink except a PostgreSQL database of encoding SQL_ASCII");
}

static void check_sender_timeout(struct findings *findings, const struct source_facts *facts) {
    if (facts->sender_timeout_ms == 0 || facts->sender_timeout_ms >= SENDER_TIMEOUT_SHORT_MS)
        return;
    findings_add(
        findings, SEVERITY_WARNING, "wal_sender_timeout",
        "wal_sender_timeout is %d ms; a short pause of the machine or the network cuts the connection",
        facts->sender_timeout_ms);
    findings_fix(findings, "alter system set wal_sender_timeout = '60s'; select pg_reload_conf();");
}

static void check_keep_size(struct findings *findings, const struct source_facts *facts) {
    if (facts->keep_mb < 0) {
        findings_add(
            findings, SEVERITY_NOTE, "max_slot_wal_keep_size",
            "max_slot_wal_keep_size is -1: while the pipeline is stopped, the source keeps WAL without "
            "limit; watch `pgcdc status`");
    } else if (facts->keep_mb < KEEP_SHORT_MB) {
        findings_add(
            findings, SEVERITY_WARNING, "max_slot_wal_keep_size",
            "max_slot_wal_keep_size is %d MB: a pipeline that lags further loses its slot and must copy "
            "again",
            facts->keep_mb);
        findings_fix(findings, "alter system set max_slot_wal_keep_size = '50GB'; select pg_reload_conf();  "
                               "-- as the disk allows");
    }
}

static void check_idle_timeout(struct findings *findings, const struct source_facts *facts) {
    if (facts->idle_timeout_s == 0)
        return;
    findings_add(findings, SEVERITY_WARNING, "idle_replication_slot_timeout",
                 "idle_replication_slot_timeout is %d s: a pipeline that is stopped longer loses its slot "
                 "and must copy again",
                 facts->idle_timeout_s);
    findings_fix(findings, "alter system set idle_replication_slot_timeout = 0;\nselect pg_reload_conf();");
}

static void check_synchronous_commit(struct findings *findings, const struct source_facts *facts) {
    if (strcmp(facts->synchronous_commit, "off") != 0)
        return;
    findings_add(
        findings, SEVERITY_NOTE, "synchronous_commit",
        "synchronous_commit is off: commits are sent only when the WAL writer has written them, up to "
        "three times wal_writer_delay later");
}

bool check_source_settings(struct check *check, struct error *err) {
    struct findings *findings = &check->findings;
    if (!read_facts(check, err))
        return false;
    check_version(findings, &check->facts, check->source.server_version);
    check_wal_level(findings, &check->facts);
    check_encoding(findings, &check->facts);
    check_sender_timeout(findings, &check->facts);
    check_keep_size(findings, &check->facts);
    check_idle_timeout(findings, &check->facts);
    check_synchronous_commit(findings, &check->facts);
    return true;
}

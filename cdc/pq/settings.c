/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.c - see settings.h. Each comment says what the settings of a group would change.
 */
#include "cdc/pq/settings.h"

#include <stdio.h>
#include <string.h>

const char SETTINGS_PINNED[] =
    /*
     * the text of values, and the meaning of a name; lc_monetary fixes money, search_path the output of
     * regclass
     */
    "-c datestyle=ISO -c intervalstyle=postgres -c timezone=UTC -c bytea_output=hex -c extra_float_digits=3"
    " -c lc_monetary=C -c lc_numeric=C -c lc_time=C -c xmloption=content -c xmlbinary=base64 -c search_path="
    " -c quote_all_identifiers=off"
    /* how our own SQL is parsed, including "= NULL" and arrays with NULL in them */
    " -c standard_conforming_strings=on -c backslash_quote=safe_encoding -c array_nulls=on -c "
    "transform_null_equals=off"
    /* how long we may wait: our own waits have their limits and report what they wait for */
    " -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c "
    "idle_session_timeout=0"
    /* the server's limit: it would end a stream that we do not read while every sink waits for a lock */
    " -c tcp_user_timeout=0"
    /* our transactions write, see what is committed, and do not wait for a safe snapshot */
    " -c default_transaction_read_only=off -c default_transaction_isolation=read\\ committed"
    " -c default_transaction_deferrable=off"
    /*
     * an error ends a statement, not the session; row security would hide rows; warnings carry facts (see
     * slot_reader.c)
     */
    " -c exit_on_error=off -c row_security=off -c client_min_messages=warning"
    /* where and how tables of ours would be created */
    " -c default_tablespace= -c temp_tablespaces= -c default_table_access_method=heap"
    /*
     * gin_fuzzy_search_limit makes answers incomplete; the others make plans of small queries slow or
     * unpredictable
     */
    " -c gin_fuzzy_search_limit=0 -c jit=off -c plan_cache_mode=auto -c enable_indexscan=on -c "
    "enable_indexonlyscan=on"
    " -c enable_bitmapscan=on";

/*
 * transaction_timeout (17) would end every copy, stream and large transaction.
 * restrict_nonsystem_relation_kind (minor releases) refuses views and foreign tables. The others are for
 * superusers: they read damaged pages as empty, or ignore checksums. session_replication_role is set by the
 * target (postgres.c).
 */
static const char WANTED_SQL[] =
    "select w.name, w.value, s.setting from (values ('transaction_timeout', '0'),"
    " ('restrict_nonsystem_relation_kind', ''), ('zero_damaged_pages', 'off'), ('ignore_checksum_failure', "
    "'off')) w (name, value)"
    " join pg_catalog.pg_settings s on s.name = w.name where s.setting is distinct from w.value";

enum { NAME, VALUE, SETTING, FIELDS };

static bool settings_set(struct session *session, const char *name, const char *value, struct error *err) {
    char sql[128];
    snprintf(sql, sizeof sql, "set %s = '%s'", name, value);
    return session_execute(session, sql, err);
}

static bool pin_row(struct session *session, const PGresult *result, int row, struct error *err) {
    const char *name = PQgetvalue(result, row, NAME);
    struct error answer = {0};
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz_") != strlen(name) || strlen(name) > 64)
        return error_set(err, ERROR_PROTOCOL, "%s: a setting that was not asked for", session->peer);
    if (settings_set(session, name, PQgetvalue(result, row, VALUE), &answer))
        return true;
    if (strcmp(answer.sqlstate, "42501") != 0) {
        *err = answer;
        return false;
    }
    return error_set(
        err, ERROR_CONFIG,
        "%s: %s is %s for this role, which may not change it, and data could be wrong with it; let a "
        "superuser reset it: alter role %s reset %s; (or alter database, or alter system)",
        session->peer, name, PQgetvalue(result, row, SETTING), PQuser(session->conn), name);
}

bool settings_pin(struct session *session, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_simple_query(
            session, WANTED_SQL,
            &(const struct result_shape){"the query for settings", 0, RESULT_ROWS_ANY, FIELDS, 1u << SETTING},
            &result, err))
        return false;
    for (int row = 0; row < PQntuples(result); row++)
        if (!pin_row(session, result, row, err))
            return false;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_standby.c - a source that is a hot standby: can it decode, and is its slot safe?
 */
#include <string.h>

#include "cdc/check/check.h"
#include "cdc/source/standby.h"

/*
 * A standby's own wal_level does not show what its primary writes. Decoding checks the primary's wal_level
 * before it looks up the slot, and no slot has a space in its name.
 */
static bool check_primary_wal_level(struct check *check, struct error *err) {
    static const char SQL[] = "select from pg_catalog.pg_logical_slot_peek_changes('pgcdc check', null, 1)";
    static const char UNDEFINED_OBJECT[] = "42704", INSUFFICIENT_PRIVILEGE[] = "42501";
    struct error answer = {0};
    if (session_query(&check->source, SQL, 0, NULL, NULL, NULL, &answer) ||
        strcmp(answer.sqlstate, UNDEFINED_OBJECT) == 0 ||
        strcmp(answer.sqlstate, INSUFFICIENT_PRIVILEGE) == 0)
        return true;
    if (strcmp(answer.sqlstate, "55000") != 0) {
        *err = answer;
        return false;
    }
    if (strcmp(check->facts.wal_level, "logical") != 0)
        return true; /* the standby's own wal_level is another finding */
    findings_add(&check->findings, SEVERITY_PROBLEM, "wal_level",
                 "the primary of this standby does not write its WAL with wal_level = logical");
    findings_fix(&check->findings, "at the primary: alter system set wal_level = 'logical'; then restart it, "
                                   "and let the standby catch up");
    return true;
}

/* The primary's vacuum removes catalog rows that the slot needs, unless feedback prevents it. */
static bool check_feedback(struct check *check, struct error *err) {
    static const char SQL[] =
        "select current_setting('hot_standby_feedback'), current_setting('primary_slot_name')";
    PGresult *settings AUTO_PGRESULT = NULL;
    if (!session_query(&check->source, SQL, 0, NULL,
                       &(const struct result_shape){"the query for a standby's settings", 1, 1, 2, 0},
                       &settings, err))
        return false;
    if (strcmp(PQgetvalue(settings, 0, 0), "on") != 0) {
        findings_add(
            &check->findings, SEVERITY_WARNING, "hot_standby_feedback",
            "hot_standby_feedback is off: a vacuum at the primary can invalidate the slot of this standby, "
            "and the pipeline must copy again");
        findings_fix(&check->findings,
                     "alter system set hot_standby_feedback = 'on';\nselect pg_reload_conf();");
    }
    if (PQgetvalue(settings, 0, 1)[0] == '\0') {
        findings_add(
            &check->findings, SEVERITY_NOTE, "primary_slot_name",
            "primary_slot_name is empty: while this standby is disconnected, a vacuum at the primary can "
            "invalidate its slot");
        findings_fix(
            &check->findings,
            "create a physical slot at the primary (pg_create_physical_replication_slot), and name it in "
            "primary_slot_name of the standby");
    }
    return true;
}

bool check_standby(struct check *check, struct error *err) {
    struct error refusal = {0};
    if (!check->facts.in_recovery)
        return true;
    if (!standby_check_version(&check->source, &refusal)) {
        findings_add_error(&check->findings, SEVERITY_PROBLEM, "standby", &refusal);
        return true;
    }
    findings_add(&check->findings, SEVERITY_NOTE, "standby",
                 "the source is a standby: its database can be changed at the primary only");
    findings_fix(&check->findings, "run the SQL for tables and publications at the primary");
    return check_primary_wal_level(check, err) && check_feedback(check, err);
}
